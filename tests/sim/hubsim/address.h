/* Literal addresses, and whether one can be listened on. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* Whether the text is an IPv4 or IPv6 address (no brackets, no zone). */
bool address_is_literal(const char *text);

/* Listens on a literal address for a moment: libwebsockets gives no reason when it cannot. 0, or
 * with `err`: -EADDRINUSE, -EACCES, -EADDRNOTAVAIL and other errors of bind. */
int address_try(const char *address, int port, struct err *err);
