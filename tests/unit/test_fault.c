/* How a simulated unit misbehaves: the words that order it, and the bytes that come of it. */
#include "tests/sim/modbussim/fault.h"

#include "adapters/modbus/framing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Transaction 0x1234, unit 7, two registers. */
static const uint8_t answer[] = { 0x12, 0x34, 0, 0, 0, 7, 7, 3, 4, 0x10, 0x64, 0x10, 0x65 };

static int parse(struct fault *out, const char *text)
{
    char copy[128];
    char *words[12];
    char *rest = copy;
    size_t count = 0;

    snprintf(copy, sizeof copy, "%s", text);
    while ((words[count] = strtok_r(rest, " ", &rest)) != NULL)
        count++;
    return fault_parse(out, words, count);
}

static void parse_every_form_is_understood(void **state)
{
    static const struct {
        const char *text;
        struct fault want;
    } cases[] = {
        { "ok", { FAULT_NONE, 0, 0, -1, 0, 0, 100 } },
        { "silent", { FAULT_SILENT, 0, 0, -1, 0, 0, 100 } },
        { "silent 3", { FAULT_SILENT, 0, 0, -1, 0, 3, 100 } },
        { "slow 2s", { FAULT_SLOW, 2000, 0, -1, 0, 0, 100 } },
        { "late 300ms 30%", { FAULT_LATE, 300, 0, -1, 0, 0, 30 } },
        { "exception 2", { FAULT_EXCEPTION, 0, 2, -1, 0, 0, 100 } },
        { "exception 2 100", { FAULT_EXCEPTION, 0, 2, 100, 0, 0, 100 } },
        { "exception 6 50%", { FAULT_EXCEPTION, 0, 6, -1, 0, 0, 50 } },
        { "exception 2 0 50%", { FAULT_EXCEPTION, 0, 2, 0, 0, 0, 50 } },
        { "hangup 1", { FAULT_HANGUP, 0, 0, -1, 0, 1, 100 } },
        { "wire short", { FAULT_SHORT, 0, 0, -1, 0, 0, 100 } },
        { "wire foreign-unit 100%", { FAULT_FOREIGN_UNIT, 0, 0, -1, 0, 0, 100 } },
        { "wire close-at 0", { FAULT_CLOSE_AT, 0, 0, -1, 0, 0, 100 } },
        { "wire close-at 260 5", { FAULT_CLOSE_AT, 0, 0, -1, 260, 5, 100 } },
        { "wire flood 1", { FAULT_FLOOD, 0, 0, -1, 0, 1, 100 } },
        { "wire any 1%", { FAULT_ANY, 0, 0, -1, 0, 0, 1 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault fault;

        print_message("case %s\n", cases[i].text);
        assert_int_equal(parse(&fault, cases[i].text), 0);
        assert_int_equal(fault.kind, cases[i].want.kind);
        assert_int_equal(fault.delay_ms, cases[i].want.delay_ms);
        assert_int_equal(fault.exception, cases[i].want.exception);
        assert_int_equal(fault.address, cases[i].want.address);
        assert_int_equal(fault.at, cases[i].want.at);
        assert_int_equal(fault.times, cases[i].want.times);
        assert_int_equal(fault.percent, cases[i].want.percent);
    }
}

static void parse_nonsense_changes_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "ok now",
        "asleep",
        "silent 0",
        "silent 1 2",
        "silent 30%%",
        "silent 0%",
        "silent 101%",
        "silent -1",
        "slow",
        "slow 2",
        "late 2s 3 4",
        "exception",
        "exception 0",
        "exception 256",
        "exception 2 65536",
        "exception 2 100 3",
        "wire",
        "wire nope",
        "wire close-at",
        "wire close-at 261",
        "wire close-at 30%",
        "wire short 4294967296",
        "hangup 2 s",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct fault fault = { .kind = FAULT_STORM };

        print_message("case '%s'\n", texts[i]);
        assert_int_equal(parse(&fault, texts[i]), -EINVAL);
        assert_int_equal(fault.kind, FAULT_STORM);
    }
}

static void next_strikes_as_often_as_ordered(void **state)
{
    struct fault fault = { .kind = FAULT_SHORT, .percent = 100, .times = 3 };
    uint64_t random = 1;
    unsigned struck = 0;

    (void)state;
    for (int i = 0; i < 10; i++)
        struck += fault_next(&fault, &random) == FAULT_SHORT;
    assert_int_equal(struck, 3);
    assert_int_equal(fault.kind, FAULT_NONE);

    fault = (struct fault){ .kind = FAULT_SHORT, .percent = 30 };
    struck = 0;
    for (int i = 0; i < 10000; i++)
        struck += fault_next(&fault, &random) == FAULT_SHORT;
    assert_in_range(struck, 2700, 3300);
}

static void next_of_any_gives_every_wire_fault(void **state)
{
    struct fault fault = { .kind = FAULT_ANY, .percent = 100 };
    unsigned seen[FAULT_ANY + 1] = { 0 };
    uint64_t random = 1;

    (void)state;
    for (int i = 0; i < 2000; i++)
        seen[fault_next(&fault, &random)]++;
    for (int kind = 0; kind <= FAULT_ANY; kind++)
        assert_int_equal(seen[kind] > 0, kind >= FAULT_WIRE_FIRST && kind <= FAULT_WIRE_LAST);
}

/* What the bridge's reader makes of the bytes. */
struct reading {
    unsigned right, foreign, malformed, lost, unfinished;
};

static struct reading read_wire(const struct fault_wire *wire)
{
    struct reading reading = { 0 };
    struct framing_reader reader;
    struct framing_frame frame;
    const uint8_t *bytes = wire->bytes;
    size_t length = wire->length;
    int rc;

    framing_reader_init(&reader);
    while ((rc = framing_next(&reader, &bytes, &length, &frame)) == 0) {
        if (frame.transaction != 0x1234 || frame.unit_id != 7 || frame.pdu[0] != 3)
            reading.foreign++;
        else if (frame.length == 6 && memcmp(frame.pdu, answer + 7, 6) == 0)
            reading.right++;
        else
            reading.malformed++;
    }
    reading.lost = rc == -EBADMSG;
    reading.unfinished = rc == -EAGAIN && reader.length > 0;
    return reading;
}

static void wire_each_fault_is_what_it_says(void **state)
{
    static const struct {
        const char *name;
        enum fault_kind kind;
        struct reading want;
        bool endless, in_pieces;
    } cases[] = {
        { "none", FAULT_NONE, { .right = 1 }, false, false },
        { "late", FAULT_LATE, { .right = 1 }, false, false },
        { "short", FAULT_SHORT, { .malformed = 1 }, false, false },
        { "long", FAULT_LONG, { .malformed = 1 }, false, false },
        { "cut", FAULT_CUT, { .unfinished = 1 }, false, false },
        { "glued", FAULT_GLUED, { .right = 1, .foreign = 1 }, false, false },
        { "split", FAULT_SPLIT, { .right = 1 }, false, true },
        { "dribble", FAULT_DRIBBLE, { .right = 1 }, false, true },
        { "duplicate", FAULT_DUPLICATE, { .right = 2 }, false, false },
        { "foreign id", FAULT_FOREIGN_ID, { .foreign = 1 }, false, false },
        { "foreign unit", FAULT_FOREIGN_UNIT, { .foreign = 1 }, false, false },
        { "foreign function", FAULT_FOREIGN_FUNCTION, { .foreign = 1 }, false, false },
        { "garbage", FAULT_GARBAGE, { .lost = 1 }, false, false },
        { "flood", FAULT_FLOOD, { .lost = 1 }, true, false },
        { "storm", FAULT_STORM, { .foreign = 20 }, true, false },
    };
    uint64_t random = 99;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int round = 0; round < 200; round++) { /* chance is in some */
            struct fault_wire wire;
            struct reading reading;

            fault_wire(&wire, cases[i].kind, 0, answer, sizeof answer, &random);
            reading = read_wire(&wire);
            if (round == 0)
                print_message("case %s\n", cases[i].name);
            assert_memory_equal(&reading, &cases[i].want, sizeof reading);
            assert_int_equal(wire.endless, cases[i].endless);
            assert_int_equal(wire.piece < wire.length, cases[i].in_pieces);
            assert_true(wire.piece > 0 && wire.length <= FAULT_BYTES_MAX);
            assert_false(wire.hang_up);
        }
    }
}

static void wire_close_at_every_byte_sends_so_many_and_hangs_up(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (uint32_t at = 0; at <= sizeof answer + 2; at++) {
        struct fault_wire wire;

        fault_wire(&wire, FAULT_CLOSE_AT, at, answer, sizeof answer, &random);
        assert_int_equal(wire.length, at < sizeof answer ? at : sizeof answer);
        assert_memory_equal(wire.bytes, answer, wire.length);
        assert_true(wire.hang_up);
    }
}

/* The longest and the shortest answers there are stay within the bounds. */
static void wire_of_any_length_keeps_its_bounds(void **state)
{
    uint64_t random = 7;

    (void)state;
    for (size_t length = 8; length <= FAULT_FRAME_MAX; length++) {
        uint8_t frame[FAULT_FRAME_MAX] = { 0, 1, 0, 0, 0, (uint8_t)(length - 6), 1, 0x83 };

        for (int kind = FAULT_NONE; kind < FAULT_ANY; kind++) {
            struct fault_wire wire;

            fault_wire(&wire, (enum fault_kind)kind, 3, frame, length, &random);
            assert_true(wire.length <= FAULT_BYTES_MAX);
            assert_true(wire.length > 0 && wire.piece > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_every_form_is_understood),
        cmocka_unit_test(parse_nonsense_changes_nothing),
        cmocka_unit_test(next_strikes_as_often_as_ordered),
        cmocka_unit_test(next_of_any_gives_every_wire_fault),
        cmocka_unit_test(wire_each_fault_is_what_it_says),
        cmocka_unit_test(wire_close_at_every_byte_sends_so_many_and_hangs_up),
        cmocka_unit_test(wire_of_any_length_keeps_its_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
