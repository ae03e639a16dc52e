/* Frames of Modbus/TCP (Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3): a writer and an
 * incremental reader with hard limits. Pure: bytes in, bytes out, nothing allocated.
 *
 * The stream carries no marks to find a frame's start again: after bytes that are no MBAP header the
 * reader is lost for good, and whoever owns the connection closes it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    FRAMING_HEADER = 7, /* transaction 2, protocol 2, length 2, unit 1 */
    FRAMING_MAX = 260,  /* header and the largest PDU (253) */
};

struct framing_frame {
    uint16_t transaction;
    uint8_t unit_id;
    const uint8_t
        *pdu;      /* in the reader or in the bytes that were given to it: valid as long as these,
                           and until the next call on it */
    size_t length; /* 1 to 253 */
};

struct framing_reader {
    size_t length;      /* bytes of the frame that is being gathered */
    const char *reason; /* why the stream is lost, for a person; NULL while it is not */
    uint8_t bytes[FRAMING_MAX];
};

/* For a new connection. */
void framing_reader_init(struct framing_reader *reader);

/* Takes bytes from *bytes (advancing *bytes and reducing *length) until one frame is whole. 0: *out is
 * that frame; call again with what is left. A frame that comes whole is not copied. -EAGAIN: all bytes are taken, no frame is whole yet.
 * -EBADMSG: not Modbus/TCP (protocol id not 0, or length not 2 to 254), reader->reason says which; for
 * ever, until framing_reader_init. Headers are judged as soon as their bytes are there. */
int framing_next(struct framing_reader *reader, const uint8_t **bytes, size_t *length,
                 struct framing_frame *out);

/* Writes one frame around a PDU of 1 to 253 bytes; returns its length. */
size_t framing_write(uint8_t out[FRAMING_MAX], uint16_t transaction, uint8_t unit_id,
                     const uint8_t *pdu, size_t length);
