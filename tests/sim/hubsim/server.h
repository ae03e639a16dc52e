/* The hub's doors: HTTPS and WebSockets on one port of a libuv loop, and, where it is asked for, plain
 * HTTP for the metadata address that gives tokens to managed identities. Only server*.c know
 * libwebsockets. Requests go to rest.h, WebSocket connections to client.h. */
#pragma once

#include "base/err.h"
#include "tests/sim/hubsim/certificate.h"
#include "tests/sim/hubsim/hub.h"

#include <uv.h>

#include <stdbool.h>

struct server;

struct server_options {
    uv_loop_t *loop;
    struct hub *hub;                       /* outlives the server */
    const struct certificate *certificate; /* needed by server_open only */
    const char *listen;                    /* a literal address */
    int port;                              /* 0 = any */
    const char *metadata_listen;           /* NULL = no metadata address */
    int metadata_port;                     /* 0 = any */
    bool tls_12_only;
    unsigned int descriptors_max; /* most connections and files at once */
};

/* Listens. The loop has no other active handle yet: a failure runs it empty. 0, or with `err`:
 * errors of address_try, -EIO, -ENOMEM. */
int server_open(struct server **out, const struct server_options *options, struct err *err);

/* The ports it listens on. */
int server_port(const struct server *server);
int server_metadata_port(const struct server *server);

/* Closes every connection; the loop then runs out of the server's handles. */
void server_close(struct server *server);

/* After server_close, when the loop has run out. NULL is fine. */
void server_free(struct server *server);
