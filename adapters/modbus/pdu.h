/* Requests and responses of the Modbus Application Protocol V1.1b3 (functions 1 to 6, 15, 16), without
 * any framing. Pure: bytes in, bytes out. Clause numbers below are of that specification. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pdu_function {
    PDU_READ_COILS = 1,
    PDU_READ_DISCRETE = 2,
    PDU_READ_HOLDING = 3,
    PDU_READ_INPUT = 4,
    PDU_WRITE_COIL = 5,
    PDU_WRITE_REGISTER = 6,
    PDU_WRITE_COILS = 15,
    PDU_WRITE_REGISTERS = 16,
};

enum {
    PDU_MAX = 253,                 /* 4.1: RS-485 ADU of 256 - address - CRC */
    PDU_READ_BITS_MAX = 2000,      /* 6.1, 6.2 */
    PDU_READ_REGISTERS_MAX = 125,  /* 6.3, 6.4 */
    PDU_WRITE_BITS_MAX = 1968,     /* 6.11 */
    PDU_WRITE_REGISTERS_MAX = 123, /* 6.12 */
};

/* A request, ready for a frame. */
struct pdu {
    size_t length;
    uint8_t bytes[PDU_MAX];
};

/* Each builds one request. 0; -EINVAL: a count of 0 or over its limit, an address range that runs past
 * 65535, or (pdu_read) a function that does not read; *out is untouched then. */

/* `function` is one of the four PDU_READ_*; `count` bits or registers. */
int pdu_read(struct pdu *out, enum pdu_function function, uint16_t address, uint16_t count);
int pdu_write_coil(struct pdu *out, uint16_t address, bool on);
/* `word`: high byte first. */
int pdu_write_register(struct pdu *out, uint16_t address, const uint8_t word[2]);
/* `bits`: as on the wire, eight to a byte, the first is the lowest bit of the first byte. */
int pdu_write_coils(struct pdu *out, uint16_t address, uint16_t count, const uint8_t *bits);
/* `words`: 2 x count bytes, each word high byte first. */
int pdu_write_registers(struct pdu *out, uint16_t address, uint16_t count, const uint8_t *words);

struct pdu_response {
    uint8_t exception; /* 0 = the device did it; else the exception code of section 7 */
    bool altered; /* of function 5 or 6: accepted, but the echo names another value than was asked
                            (6.5, 6.6 want the same; devices that clamp a value name what they took) */
    const uint8_t *data; /* of a read: packed bits, or words high byte first; NULL otherwise. Points
                            into the bytes that were parsed */
    size_t length;       /* bytes of data */
};

/* Reads the response to `request`. 0: a valid response or a valid exception, *out is set. -EPROTO: a
 * response to another function, or a write whose echo names another address or count (it belongs to another
 * request).
 * -EBADMSG: wrong length or byte count, no exception code. *out is untouched on failure. */
int pdu_parse(struct pdu_response *out, const struct pdu *request, const uint8_t *bytes,
              size_t length);

/* Bit number `index` of packed bits. */
bool pdu_bit(const uint8_t *bits, size_t index);

/* For a person: "illegal data address (exception 2)". A constant for every code. */
const char *pdu_exception_text(uint8_t exception);

/* What an exception says about the device (section 7). */
enum pdu_exception_kind {
    PDU_EXCEPTION_REFUSED, /* it will refuse the same request again: 1, 2, 3, 4 and unknown ones */
    PDU_EXCEPTION_BUSY,    /* worth another try later: acknowledge (5), busy (6) */
    PDU_EXCEPTION_ABSENT,  /* a gateway speaks for a device that did not answer: 10, 11 */
};

enum pdu_exception_kind pdu_exception_kind(uint8_t exception);
