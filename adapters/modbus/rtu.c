/* Modbus RTU frames.
 *
 * Happy path: bytes are gathered until the length that function and byte count promise, the CRC is right,
 * the frame is handed out where it lies.
 * Fails when the first byte cannot start an answer, or a promise ends in a wrong CRC: that byte is dropped
 * as a stray and the next one is tried. A frame that was promised and never ends is the caller's time-out. */
#include "adapters/modbus/rtu.h"

#include "adapters/modbus/pdu.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
    FUNCTION_AT = 1,
    COUNT_AT = 2,
    EXCEPTION = 0x80,     /* of the function: PDU specification, section 7 */
    EXCEPTION_LENGTH = 5, /* address, function, code, CRC */
    ECHO_LENGTH = 8,      /* address, function, two words, CRC */
    READ_AROUND = 5,      /* address, function, byte count, CRC */
    READ_BYTES_MAX = 250, /* 2000 bits, 125 registers */
    POLYNOMIAL = 0xA001,  /* appendix B, reflected */
};

uint16_t rtu_crc(const uint8_t *bytes, size_t length)
{
    unsigned crc = 0xFFFF;

    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
    }
    return (uint16_t)crc;
}

void rtu_reader_init(struct rtu_reader *reader)
{
    reader->length = 0;
    reader->taken = 0;
    reader->strays = 0;
}

/* ---- one frame ---- */

static size_t read_length(uint8_t byte_count)
{
    return byte_count == 0 || byte_count > READ_BYTES_MAX ? 0 : READ_AROUND + (size_t)byte_count;
}

static bool is_known(unsigned function)
{
    return (function >= PDU_READ_COILS && function <= PDU_WRITE_REGISTER) ||
           function == PDU_WRITE_COILS || function == PDU_WRITE_REGISTERS;
}

/* How many bytes the frame at the front needs as far as those that are there tell; 0: it is none. */
static size_t needed(const struct rtu_reader *reader)
{
    unsigned function;

    if (reader->length <= FUNCTION_AT)
        return FUNCTION_AT + 1;
    function = reader->bytes[FUNCTION_AT];
    if (!is_known(function & ~(unsigned)EXCEPTION))
        return 0;
    if ((function & EXCEPTION) != 0)
        return EXCEPTION_LENGTH;
    if (function > PDU_READ_INPUT)
        return ECHO_LENGTH;
    return reader->length <= COUNT_AT ? COUNT_AT + 1 : read_length(reader->bytes[COUNT_AT]);
}

static bool crc_is_right(const uint8_t *bytes, size_t length)
{
    uint16_t crc = rtu_crc(bytes, length - 2);

    return bytes[length - 2] == (crc & 0xFF) && bytes[length - 1] == crc >> 8;
}

/* ---- the stream ---- */

static void drop(struct rtu_reader *reader, size_t count)
{
    reader->length -= count;
    memmove(reader->bytes, reader->bytes + count, reader->length);
}

/* Gathers up to `upto` bytes in all. */
static void take(struct rtu_reader *reader, size_t upto, const uint8_t **bytes, size_t *length)
{
    size_t missing = upto - reader->length;
    size_t n = *length < missing ? *length : missing;

    if (n == 0) /* *bytes may be NULL */
        return;
    memcpy(reader->bytes + reader->length, *bytes, n);
    reader->length += n;
    *bytes += n;
    *length -= n;
}

int rtu_next(struct rtu_reader *reader, const uint8_t **bytes, size_t *length,
             struct rtu_frame *out)
{
    drop(reader, reader->taken);
    reader->taken = 0;
    for (;;) {
        size_t upto = needed(reader);

        if (upto > reader->length) {
            take(reader, upto, bytes, length);
            if (upto > reader->length)
                return -EAGAIN;
            continue; /* they may tell that it needs more */
        }
        if (upto > 0 && crc_is_right(reader->bytes, upto)) {
            *out = (struct rtu_frame){ .unit_id = reader->bytes[0],
                                       .pdu = reader->bytes + FUNCTION_AT,
                                       .length = upto - RTU_AROUND };
            reader->taken = upto;
            return 0;
        }
        drop(reader, 1);
        reader->strays++;
    }
}

size_t rtu_write(uint8_t out[RTU_MAX], uint8_t unit_id, const uint8_t *pdu, size_t length)
{
    uint16_t crc;

    assert(length >= 1 && length <= RTU_MAX - RTU_AROUND);
    out[0] = unit_id;
    memcpy(out + FUNCTION_AT, pdu, length);
    crc = rtu_crc(out, FUNCTION_AT + length);
    out[FUNCTION_AT + length] = (uint8_t)crc;
    out[FUNCTION_AT + length + 1] = (uint8_t)(crc >> 8);
    return RTU_AROUND + length;
}
