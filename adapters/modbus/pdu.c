/* Modbus requests and responses.
 *
 * Happy path: pdu_read or pdu_write_* builds a request, the device's bytes go to pdu_parse together with
 * that request, and come back as data, as nothing (a write that was done) or as an exception.
 * Fails when the response is not the one that this request must have: byte counts and echoes are held to
 * the letter, because a wrong one is how an answer to somebody else's question shows itself. */
#include "adapters/modbus/pdu.h"

#include <errno.h>
#include <string.h>

enum {
    ERROR_BIT = 0x80, /* 7: function code of an exception response */
    ECHO_LENGTH = 5,  /* 6.5, 6.6, 6.11, 6.12: function, address, value or count */
    COIL_ON = 0xFF00, /* 6.5 */
};

static void put_word(uint8_t *bytes, unsigned word)
{
    bytes[0] = (uint8_t)(word >> 8);
    bytes[1] = (uint8_t)word;
}

static unsigned get_word(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static size_t packed_length(size_t bits)
{
    return (bits + 7) / 8;
}

static bool range_is_valid(uint16_t address, uint16_t count, unsigned max)
{
    return count >= 1 && count <= max && (uint32_t)address + count <= 65536;
}

/* Function and two words: every request begins so. */
static void begin(struct pdu *out, enum pdu_function function, unsigned first, unsigned second)
{
    out->bytes[0] = (uint8_t)function;
    put_word(out->bytes + 1, first);
    put_word(out->bytes + 3, second);
    out->length = ECHO_LENGTH;
}

int pdu_read(struct pdu *out, enum pdu_function function, uint16_t address, uint16_t count)
{
    unsigned max;

    if (function == PDU_READ_COILS || function == PDU_READ_DISCRETE)
        max = PDU_READ_BITS_MAX;
    else if (function == PDU_READ_HOLDING || function == PDU_READ_INPUT)
        max = PDU_READ_REGISTERS_MAX;
    else
        return -EINVAL;
    if (!range_is_valid(address, count, max))
        return -EINVAL;
    begin(out, function, address, count);
    return 0;
}

int pdu_write_coil(struct pdu *out, uint16_t address, bool on)
{
    begin(out, PDU_WRITE_COIL, address, on ? COIL_ON : 0);
    return 0;
}

int pdu_write_register(struct pdu *out, uint16_t address, const uint8_t word[2])
{
    begin(out, PDU_WRITE_REGISTER, address, get_word(word));
    return 0;
}

/* The byte count and the values that 6.11 and 6.12 add. */
static void add_values(struct pdu *out, const uint8_t *values, size_t length)
{
    out->bytes[ECHO_LENGTH] = (uint8_t)length;
    memcpy(out->bytes + ECHO_LENGTH + 1, values, length);
    out->length = ECHO_LENGTH + 1 + length;
}

int pdu_write_coils(struct pdu *out, uint16_t address, uint16_t count, const uint8_t *bits)
{
    if (!range_is_valid(address, count, PDU_WRITE_BITS_MAX))
        return -EINVAL;
    begin(out, PDU_WRITE_COILS, address, count);
    add_values(out, bits, packed_length(count));
    if (count % 8 != 0) /* 6.11: unused bits of the last byte are zero */
        out->bytes[out->length - 1] &= (uint8_t)((1u << (count % 8)) - 1);
    return 0;
}

int pdu_write_registers(struct pdu *out, uint16_t address, uint16_t count, const uint8_t *words)
{
    if (!range_is_valid(address, count, PDU_WRITE_REGISTERS_MAX))
        return -EINVAL;
    begin(out, PDU_WRITE_REGISTERS, address, count);
    add_values(out, words, (size_t)count * 2);
    return 0;
}

static int parse_read(struct pdu_response *out, size_t expected, const uint8_t *bytes,
                      size_t length)
{
    if (length != 2 + expected || bytes[1] != expected)
        return -EBADMSG;
    *out = (struct pdu_response){ .data = bytes + 2, .length = expected };
    return 0;
}

static int parse_echo(struct pdu_response *out, const struct pdu *request, const uint8_t *bytes,
                      size_t length)
{
    uint8_t function = request->bytes[0];
    bool names_value = function == PDU_WRITE_COIL || function == PDU_WRITE_REGISTER;
    bool altered;

    if (length != ECHO_LENGTH)
        return -EBADMSG;
    altered = memcmp(bytes, request->bytes, ECHO_LENGTH) != 0;
    if (altered && (!names_value || memcmp(bytes, request->bytes, ECHO_LENGTH - 2) != 0))
        return -EPROTO;
    *out = (struct pdu_response){ .altered = altered };
    return 0;
}

static int parse_exception(struct pdu_response *out, const uint8_t *bytes, size_t length)
{
    if (length != 2 || bytes[1] == 0)
        return -EBADMSG;
    *out = (struct pdu_response){ .exception = bytes[1] };
    return 0;
}

int pdu_parse(struct pdu_response *out, const struct pdu *request, const uint8_t *bytes,
              size_t length)
{
    unsigned count = get_word(request->bytes + 3);

    if (length == 0)
        return -EBADMSG;
    if (bytes[0] == (request->bytes[0] | ERROR_BIT))
        return parse_exception(out, bytes, length);
    if (bytes[0] != request->bytes[0])
        return -EPROTO;

    switch (request->bytes[0]) {
    case PDU_READ_COILS:
    case PDU_READ_DISCRETE:
        return parse_read(out, packed_length(count), bytes, length);
    case PDU_READ_HOLDING:
    case PDU_READ_INPUT:
        return parse_read(out, (size_t)count * 2, bytes, length);
    default:
        return parse_echo(out, request, bytes, length);
    }
}

bool pdu_bit(const uint8_t *bits, size_t index)
{
    return (bits[index / 8] >> (index % 8) & 1) != 0;
}

/* A text for each of the 256 codes, so that a reason is always a constant. */
#define UNNAMED(high, low) "unknown exception (exception 0x" #high #low ")"
#define ROW(high)                                                                                  \
    UNNAMED(high, 0), UNNAMED(high, 1), UNNAMED(high, 2), UNNAMED(high, 3), UNNAMED(high, 4),      \
        UNNAMED(high, 5), UNNAMED(high, 6), UNNAMED(high, 7), UNNAMED(high, 8), UNNAMED(high, 9),  \
        UNNAMED(high, A), UNNAMED(high, B), UNNAMED(high, C), UNNAMED(high, D), UNNAMED(high, E),  \
        UNNAMED(high, F)

const char *pdu_exception_text(uint8_t exception)
{
    static const char *const named[] = {
        [1] = "illegal function (exception 1)",
        [2] = "illegal data address (exception 2)",
        [3] = "illegal data value (exception 3)",
        [4] = "server device failure (exception 4)",
        [5] = "acknowledge, still working (exception 5)",
        [6] = "server device busy (exception 6)",
        [8] = "memory parity error (exception 8)",
        [10] = "gateway path unavailable (exception 10)",
        [11] = "gateway target device failed to respond (exception 11)",
    };
    static const char *const unnamed[] = {
        ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7),
        ROW(8), ROW(9), ROW(A), ROW(B), ROW(C), ROW(D), ROW(E), ROW(F),
    };

    if (exception < sizeof named / sizeof named[0] && named[exception] != NULL)
        return named[exception];
    return unnamed[exception];
}

enum pdu_exception_kind pdu_exception_kind(uint8_t exception)
{
    switch (exception) {
    case 5:
    case 6:
        return PDU_EXCEPTION_BUSY;
    case 10:
    case 11:
        return PDU_EXCEPTION_ABSENT;
    default:
        return PDU_EXCEPTION_REFUSED;
    }
}
