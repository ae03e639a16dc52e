/* Where to listen: "ADDR:PORT", "[::1]:PORT" or "name:PORT" as a socket. */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum { ADDRESS_TEXT_MAX = 80 };

/* Splits `text` at its last ':'. 0; -EINVAL: no port from 0 to 65535, or no host. Brackets around
 * the host are taken off. */
int address_split(const char *text, char *host, size_t host_size, uint16_t *port);

/* A socket that listens at host:port, non-blocking and close-on-exec; port 0 takes a free one.
 * Blocks while a name is resolved. 0, or -errno with `err`: -EADDRINUSE, -EACCES, -EADDRNOTAVAIL
 * (no address of this machine, unknown name), ... */
int address_listen(int *out, const char *host, uint16_t port, struct err *err);

/* Writes the address that `fd` is bound to as "ADDR:PORT". */
void address_print(char out[ADDRESS_TEXT_MAX], int fd);
