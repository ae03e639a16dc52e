/* Whether a request on the wire is whole and well formed, before libmodbus reads it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REQUEST_HEADER = 7, /* MBAP: transaction, protocol, length, unit (Modbus TCP guide 3.1.3) */
    REQUEST_MAX = 260,
};

/* How many bytes the request needs that begins with these: 7 while the header is not whole, then
 * its own length. -EBADMSG: this is no Modbus/TCP, and where the next request begins nobody knows.
 */
int request_length(const uint8_t *bytes, size_t length);

/* The exception that a whole request deserves for its form: 0 none, 1 a function that libmodbus
 * does not answer, 3 a quantity or a length that the standard does not allow. libmodbus trusts the
 * function's length more than the header's, and answers these two after a sleep that would hold
 * everybody up. */
int request_exception(const uint8_t *request, size_t length);

/* Whether a whole request of the right form touches a register or bit at `address`. */
bool request_touches(const uint8_t *request, size_t length, unsigned address);
