/* Frames of Modbus RTU as a master meets them (Modbus over Serial Line V1.02, section 2.5.1): a writer and
 * an incremental reader of answers with hard limits. Pure: bytes in, bytes out, nothing allocated.
 *
 * An answer is framed by the length that its function and byte count tell, not by the silence around it:
 * USB adapters and busy machines put gaps into frames that are longer than the 3.5 characters of the
 * specification. A stream that makes no sense is searched, byte by byte, for the next frame whose CRC is
 * right; nothing is ever lost for good, as it is with Modbus/TCP. But a wrong byte count promises up to 255
 * bytes, and a good frame behind it is seen only when so many have come or the caller begins anew. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    RTU_MAX = 256,  /* 2.5.1.1: address 1, PDU 253, CRC 2 */
    RTU_AROUND = 3, /* address and CRC */
};

struct rtu_frame {
    uint8_t unit_id;
    const uint8_t *pdu; /* in the reader, until the next call on it */
    size_t length;      /* 2 to 253 */
};

struct rtu_reader {
    size_t length;   /* bytes that are gathered */
    size_t taken;    /* of them, those of the frame that was handed out last */
    uint64_t strays; /* bytes that belonged to no frame, since rtu_reader_init */
    uint8_t bytes[RTU_MAX];
};

/* For a new request: what was gathered for an older one is forgotten. */
void rtu_reader_init(struct rtu_reader *reader);

/* Takes bytes from *bytes (advancing *bytes and reducing *length) until one frame is whole whose CRC is
 * right. 0: *out is that frame; call again with what is left. -EAGAIN: all bytes are taken, no frame is
 * whole yet; whether one still comes is for the caller's clock to say. Answers are those to functions 1 to
 * 6, 15 and 16, and exceptions to them; all else is strays. */
int rtu_next(struct rtu_reader *reader, const uint8_t **bytes, size_t *length,
             struct rtu_frame *out);

/* Writes one frame around a PDU of 1 to 253 bytes; returns its length. */
size_t rtu_write(uint8_t out[RTU_MAX], uint8_t unit_id, const uint8_t *pdu, size_t length);

/* The checksum of 2.5.1.2, as it stands in a frame: the low byte goes first. */
uint16_t rtu_crc(const uint8_t *bytes, size_t length);
