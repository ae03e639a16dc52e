/* The HTTP server of the status page: read-only, on the shared loop, a vhost on the bridge's
 * libwebsockets context. Knows nothing of the bridge but struct status_source.
 *
 *   /            the page (page.html, built in)      /healthz   200 or 503, one line why
 *   /api/status  the document, written in pieces     /readyz    200 or 503, one line why
 *
 * Anything else is 404, another method than GET and HEAD 405, both with one JSON line. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct lws_context;
struct uv_loop_s;
struct status_server;

/* What a request to /api/status asked for. */
struct status_query {
    bool tags;        /* false with ?tags=0 */
    char device[129]; /* only this one; "" = all */
    char search[129]; /* only tags whose device or name holds this, without case; "" = all */
    size_t offset;    /* of the tags found */
    size_t limit;     /* of the tags; 0 = all */
};

/* Where a document being written stands; zeroed at its start. */
struct status_cursor {
    struct status_query query;
    unsigned section;
    size_t device, index;
    size_t found; /* tags that matched so far */
    bool comma;
};

struct status_source {
    /* Appends the next piece (a few KB) to `out`; true while there is more. */
    bool (*next)(void *data, struct status_cursor *cursor, struct buf *out);
    /* True when fine; else `why` says what is missing. */
    bool (*healthy)(void *data, struct err *why);
    bool (*ready)(void *data, struct err *why);
    void *data;
};

/* Listens on "ADDR:PORT" (port 0 = any). 0; -EINVAL (address; beyond loopback is refused until there is
 * TLS and a token), -EADDRINUSE and others with `err` naming the address and what to do. */
int status_server_new(struct status_server **out, struct lws_context *lws, struct uv_loop_s *loop,
                      const char *listen, const struct status_source *source, struct err *err);

/* The port it listens on. */
int status_server_port(const struct status_server *server);

/* Stops listening, ends what is open, then `closed` once from the loop; the server is freed before. */
void status_server_close(struct status_server *server, void (*closed)(void *data), void *data);
