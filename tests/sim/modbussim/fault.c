/* Misbehaviour of a unit: see fault.h. The wire faults are all that a peer was seen to send, and worse;
 * each keeps to itself, so that a test knows which counter must rise. */
#include "tests/sim/modbussim/fault.h"

#include "config/duration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 7,    /* transaction 2, protocol 2, length 2, unit 1 */
    LENGTH_AT = 4, /* its field that counts unit and PDU */
    UNIT_AT = 6,
    PAUSE_MS = 1, /* between the pieces of a split or dribbled answer */
    FLOOD_BYTES = 500,
    STORM_FRAMES = 20,
};

/* ---- the words ---- */

static const struct wire_name {
    const char *name;
    enum fault_kind kind;
} wire_names[] = {
    { "short", FAULT_SHORT },
    { "long", FAULT_LONG },
    { "cut", FAULT_CUT },
    { "glued", FAULT_GLUED },
    { "split", FAULT_SPLIT },
    { "dribble", FAULT_DRIBBLE },
    { "duplicate", FAULT_DUPLICATE },
    { "foreign-id", FAULT_FOREIGN_ID },
    { "foreign-unit", FAULT_FOREIGN_UNIT },
    { "foreign-function", FAULT_FOREIGN_FUNCTION },
    { "garbage", FAULT_GARBAGE },
    { "close-at", FAULT_CLOSE_AT },
    { "flood", FAULT_FLOOD },
    { "storm", FAULT_STORM },
    { "any", FAULT_ANY },
};

/* A whole number from `least` to `most`, alone or with `unit` behind. */
static int parse_number(uint32_t *out, const char *text, const char *unit, uint32_t least,
                        uint32_t most)
{
    unsigned long number;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || strcmp(end, unit) != 0 || number < least || number > most)
        return -EINVAL;
    *out = (uint32_t)number;
    return 0;
}

static int parse_share(struct fault *fault, const char *text)
{
    return parse_number(&fault->percent, text, "%", 1, 100);
}

/* "3" or "30%", and nothing behind it. */
static int parse_often(struct fault *fault, char *const *words, size_t count)
{
    if (count == 0)
        return 0;
    if (count > 1)
        return -EINVAL;
    if (parse_share(fault, words[0]) == 0)
        return 0;
    return parse_number(&fault->times, words[0], "", 1, UINT32_MAX);
}

static int parse_exception(struct fault *fault, char *const *words, size_t count)
{
    uint32_t number;

    if (count == 0 || parse_number(&number, words[0], "", 1, 255) != 0)
        return -EINVAL;
    fault->exception = (uint8_t)number;
    if (count > 1 && parse_number(&number, words[1], "", 0, 65535) == 0) {
        fault->address = (int)number;
        words++;
        count--;
    }
    if (count == 1)
        return 0;
    return count == 2 ? parse_share(fault, words[1]) : -EINVAL;
}

static int parse_delayed(struct fault *fault, char *const *words, size_t count)
{
    if (count == 0 || duration_parse(words[0], &fault->delay_ms) != 0)
        return -EINVAL;
    return parse_often(fault, words + 1, count - 1);
}

static int parse_wire(struct fault *fault, char *const *words, size_t count)
{
    for (size_t i = 0; count > 0 && i < sizeof wire_names / sizeof wire_names[0]; i++)
        if (strcmp(words[0], wire_names[i].name) == 0)
            fault->kind = wire_names[i].kind;
    if (fault->kind == FAULT_NONE)
        return -EINVAL;
    if (fault->kind == FAULT_CLOSE_AT) {
        if (count < 2 || parse_number(&fault->at, words[1], "", 0, FAULT_FRAME_MAX) != 0)
            return -EINVAL;
        words++;
        count--;
    }
    return parse_often(fault, words + 1, count - 1);
}

int fault_parse(struct fault *out, char *const *words, size_t count)
{
    static const struct {
        const char *word;
        enum fault_kind kind;
        int (*rest)(struct fault *fault, char *const *words, size_t count);
    } forms[] = {
        { "silent", FAULT_SILENT, parse_often }, { "slow", FAULT_SLOW, parse_delayed },
        { "late", FAULT_LATE, parse_delayed },   { "exception", FAULT_EXCEPTION, parse_exception },
        { "hangup", FAULT_HANGUP, parse_often }, { "wire", FAULT_NONE, parse_wire },
    };
    struct fault fault = { .address = -1, .percent = 100 };

    if (count == 1 && strcmp(words[0], "ok") == 0) {
        *out = fault;
        return 0;
    }
    for (size_t i = 0; count > 0 && i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(words[0], forms[i].word) != 0)
            continue;
        fault.kind = forms[i].kind;
        if (forms[i].rest(&fault, words + 1, count - 1) != 0)
            return -EINVAL;
        *out = fault;
        return 0;
    }
    return -EINVAL;
}

/* ---- chance ---- */

/* xorshift64*: chance enough for faults that nobody bets on. */
uint32_t fault_chance(uint64_t *random, uint32_t bound)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (uint32_t)((*random * 2685821657736338717ULL >> 32) % bound);
}

enum fault_kind fault_next(struct fault *fault, uint64_t *random)
{
    enum fault_kind kind = fault->kind;

    if (kind == FAULT_NONE || fault_chance(random, 100) >= fault->percent)
        return FAULT_NONE;
    if (fault->times > 0 && --fault->times == 0)
        fault->kind = FAULT_NONE;
    if (kind == FAULT_ANY)
        kind = FAULT_WIRE_FIRST + fault_chance(random, FAULT_WIRE_LAST - FAULT_WIRE_FIRST + 1);
    return kind;
}

/* ---- on the wire ---- */

static void put_word(uint8_t *bytes, size_t word)
{
    bytes[0] = (uint8_t)(word >> 8);
    bytes[1] = (uint8_t)word;
}

/* The frame at the end of `out` is `by` bytes longer (or shorter) than it was, and says so. */
static void resize(struct fault_wire *out, size_t length)
{
    put_word(out->bytes + LENGTH_AT, length - UNIT_AT);
    out->length = length;
}

/* An answer of the same form to a transaction that is not this one's; what it carries is all ones. */
static void put_foreign(uint8_t *to, const uint8_t *answer, size_t length, unsigned distance)
{
    memcpy(to, answer, length);
    put_word(to, ((size_t)answer[0] << 8 | answer[1]) + 0x4000 + distance);
    if (length > HEADER + 2)
        memset(to + HEADER + 2, 0xFF, length - HEADER - 2);
}

static void make_flood(struct fault_wire *out, uint64_t *random)
{
    out->length = FLOOD_BYTES;
    for (size_t i = 0; i < out->length; i++)
        out->bytes[i] = (uint8_t)(1 + fault_chance(random, 255)); /* no zero: no protocol id */
    out->endless = true;
}

static void make_storm(struct fault_wire *out, const uint8_t *answer, size_t length)
{
    out->length = 0;
    for (unsigned i = 0; i < STORM_FRAMES && out->length + length <= FAULT_BYTES_MAX; i++) {
        put_foreign(out->bytes + out->length, answer, length, i);
        out->length += length;
    }
    out->endless = true;
}

/* Chance, but for the third byte: a header with that protocol id is none. */
static void make_garbage(struct fault_wire *out, uint64_t *random)
{
    out->length = 4 + fault_chance(random, 60);
    for (size_t i = 0; i < out->length; i++)
        out->bytes[i] = (uint8_t)fault_chance(random, 256);
    out->bytes[2] |= 1;
}

static void make_pieces(struct fault_wire *out, size_t piece)
{
    out->piece = piece;
    out->pause_ms = PAUSE_MS;
}

void fault_wire(struct fault_wire *out, enum fault_kind kind, uint32_t at, const uint8_t *answer,
                size_t length, uint64_t *random)
{
    *out = (struct fault_wire){ .length = length };
    memcpy(out->bytes, answer, length);
    switch (kind) {
    case FAULT_SHORT:
        resize(out, length - 1);
        break;
    case FAULT_LONG:
        out->bytes[length] = 0xFF;
        resize(out, length + 1);
        break;
    case FAULT_CUT:
        out->length = 1 + fault_chance(random, (uint32_t)length - 1);
        break;
    case FAULT_GLUED:
        put_foreign(out->bytes, answer, length, 0);
        memcpy(out->bytes + length, answer, length);
        out->length = 2 * length;
        break;
    case FAULT_SPLIT:
        make_pieces(out, 1 + fault_chance(random, (uint32_t)length - 1));
        break;
    case FAULT_DRIBBLE:
        make_pieces(out, 1);
        break;
    case FAULT_DUPLICATE:
        memcpy(out->bytes + length, answer, length);
        out->length = 2 * length;
        break;
    case FAULT_FOREIGN_ID:
        put_foreign(out->bytes, answer, length, 0);
        break;
    case FAULT_FOREIGN_UNIT:
        out->bytes[UNIT_AT] ^= 0x80;
        break;
    case FAULT_FOREIGN_FUNCTION:
        out->bytes[HEADER] ^= 0x40;
        break;
    case FAULT_GARBAGE:
        make_garbage(out, random);
        break;
    case FAULT_CLOSE_AT:
        out->length = at < length ? at : length;
        out->hang_up = true;
        break;
    case FAULT_FLOOD:
        make_flood(out, random);
        break;
    case FAULT_STORM:
        make_storm(out, answer, length);
        break;
    default:
        break;
    }
    if (out->piece == 0)
        out->piece = out->length;
    if (out->endless)
        out->pause_ms = 1;
}
