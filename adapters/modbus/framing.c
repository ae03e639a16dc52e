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

/* How many bytes the frame needs as far as it can be told; 0 when the bytes are no header. */
static size_t needed(struct framing_reader *reader)
{
    unsigned length;

    if (reader->length < LENGTH_AT)
        return LENGTH_AT;
    if (get_word(reader->bytes + PROTOCOL_AT) != 0) {
        reader->reason = "not Modbus/TCP: the protocol id is not 0";
        return 0;
    }
    if (reader->length < UNIT_AT)
        return UNIT_AT;
    length = get_word(reader->bytes + LENGTH_AT);
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

int framing_next(struct framing_reader *reader, const uint8_t **bytes, size_t *length,
                 struct framing_frame *out)
{
    size_t upto;

    if (reader->reason != NULL)
        return -EBADMSG;
    for (;;) {
        upto = needed(reader);
        if (upto == 0)
            return -EBADMSG;
        if (reader->length == upto)
            break; /* nothing more to ask for: the frame is whole */
        take(reader, upto, bytes, length);
        if (reader->length < upto)
            return -EAGAIN;
    }
    *out = (struct framing_frame){
        .transaction = (uint16_t)get_word(reader->bytes),
        .unit_id = reader->bytes[UNIT_AT],
        .pdu = reader->bytes + FRAMING_HEADER,
        .length = upto - FRAMING_HEADER,
    };
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
