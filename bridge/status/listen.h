/* The address that the status server listens on. Pure. */
#pragma once

#include "base/err.h"

#include <sys/socket.h>

/* Reads "ADDR:PORT", ADDR a numeric address ("[::1]" for IPv6) or "localhost", which is 127.0.0.1.
 * 0; -EINVAL with `err` naming the text and the remedy: not of that form, or beyond loopback, which is
 * refused as long as there is neither TLS nor a token. */
int status_listen_parse(const char *text, struct sockaddr_storage *out, struct err *err);
