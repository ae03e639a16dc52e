/* Modbus/TCP frames.
 *
 * Happy path: bytes arrive in any pieces, framing_next gathers them and hands out one frame at a time;
 * framing_write puts the seven bytes of header before a PDU.
 * Fails when a header cannot be one: the reader then stays lost and says why. */
#include "adapters/modbus/framing.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    PROTOCOL_AT = 2, /* 3.1.3: places of the header's fields */
    LENGTH_AT = 4,
    UNIT_AT = 6,
    COUNTED_FROM = 6, /* the length field counts the unit and the PDU */
    LENGTH_LEAST = 2,
    LENGTH_MOST = 254,
};

static unsigned get_word(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

void framing_reader_init(struct framing_reader *reader)
{
    reader->length = 0;
    reader->reason = NULL;
}

/* How many bytes the frame needs as far as the first `have` of them tell; 0 when they are no header. */
static size_t needed(struct framing_reader *reader, const uint8_t *bytes, size_t have)
{
    unsigned length;

    if (have < LENGTH_AT)
        return LENGTH_AT;
    if (get_word(bytes + PROTOCOL_AT) != 0) {
        reader->reason = "not Modbus/TCP: the protocol id is not 0";
        return 0;
    }
    if (have < UNIT_AT)
        return UNIT_AT;
    length = get_word(bytes + LENGTH_AT);
    if (length < LENGTH_LEAST || length > LENGTH_MOST) {
        reader->reason = "not Modbus/TCP: the length field is not 2 to 254";
        return 0;
    }
    return COUNTED_FROM + length;
}

static void take(struct framing_reader *reader, size_t upto, const uint8_t **bytes, size_t *length)
{
    size_t missing = upto - reader->length;
    size_t n = *length < missing ? *length : missing;

    if (n == 0)
        return;
    memcpy(reader->bytes + reader->length, *bytes, n);
    reader->length += n;
    *bytes += n;
    *length -= n;
}

/* Gathers one frame in the reader. Its length, 0 when the bytes are no header, -EAGAIN. */
static int gather(struct framing_reader *reader, const uint8_t **bytes, size_t *length)
{
    for (;;) {
        size_t upto = needed(reader, reader->bytes, reader->length);

        if (upto == 0 || reader->length == upto)
            return (int)upto; /* nothing more to ask for: the frame is whole */
        take(reader, upto, bytes, length);
        if (reader->length < upto)
            return -EAGAIN;
    }
}

static struct framing_frame frame_at(const uint8_t *bytes, size_t length)
{
    return (struct framing_frame){
        .transaction = (uint16_t)get_word(bytes),
        .unit_id = bytes[UNIT_AT],
        .pdu = bytes + FRAMING_HEADER,
        .length = length - FRAMING_HEADER,
    };
}

int framing_next(struct framing_reader *reader, const uint8_t **bytes, size_t *length,
                 struct framing_frame *out)
{
    size_t whole;
    int rc;

    if (reader->reason != NULL)
        return -EBADMSG;
    if (reader->length == 0 && *length > FRAMING_HEADER) { /* nearly always it comes whole */
        whole = needed(reader, *bytes, *length);
        if (whole > 0 && whole <= *length) {
            *out = frame_at(*bytes, whole);
            *bytes += whole;
            *length -= whole;
            return 0;
        }
    }
    rc = gather(reader, bytes, length);
    if (rc <= 0)
        return rc == 0 ? -EBADMSG : rc;
    *out = frame_at(reader->bytes, (size_t)rc);
    reader->length = 0; /* the bytes stay where they are until the next call */
    return 0;
}

size_t framing_write(uint8_t out[FRAMING_MAX], uint16_t transaction, uint8_t unit_id,
                     const uint8_t *pdu, size_t length)
{
    assert(length >= 1 && length <= FRAMING_MAX - FRAMING_HEADER);
    out[0] = (uint8_t)(transaction >> 8);
    out[1] = (uint8_t)transaction;
    out[PROTOCOL_AT] = 0;
    out[PROTOCOL_AT + 1] = 0;
    out[LENGTH_AT] = (uint8_t)((length + 1) >> 8);
    out[LENGTH_AT + 1] = (uint8_t)(length + 1);
    out[UNIT_AT] = unit_id;
    memcpy(out + FRAMING_HEADER, pdu, length);
    return FRAMING_HEADER + length;
}
