/* The link to the hub: a TLS WebSocket on the shared loop. The only client of libwebsockets.
 *
 * One context for the process (one TLS context, one set of trust anchors), one websocket per module.
 * Names are resolved off the loop (uv_getaddrinfo); certificate, SNI and Host header are checked against
 * the host name. All deadlines belong to whoever uses it (the session): nothing here waits by itself. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct lws_context;
struct websocket_context;
struct websocket;

enum {
    WEBSOCKET_QUEUE_MAX = 512 * 1024
}; /* bytes queued per websocket before send says -ENOBUFS */

/* A context on `loop`. `ca_file` is a PEM bundle; one that cannot be read is no error here: `connect`
 * says so in words and reads it anew each time, so that a repaired file helps without a restart.
 * 0, -ENOMEM, -EIO with `err` (the event-loop plugin of libwebsockets is missing). */
int websocket_context_new(struct websocket_context **out, struct uv_loop_s *loop,
                          const char *ca_file, size_t descriptor_limit, struct err *err);

/* Closes what is left, then frees; `closed` comes once, from the loop. Every websocket must have been
 * freed before. The loop must go on running until then. */
void websocket_context_close(struct websocket_context *context, void (*closed)(void *data),
                             void *data);

/* For the status server, which puts its own vhost on the same context. */
struct lws_context *websocket_context_lws(struct websocket_context *context);

struct websocket_events {
    void (*up)(void *owner);
    void (*bytes)(void *owner, const uint8_t *bytes,
                  size_t length); /* binary, frame edges ignored */
    /* The end of this connection, however it came; `reason` for a person with the remedy where one is
     * known (TLS: what does not match), `status` of a refused upgrade, else 0. */
    void (*down)(void *owner, const char *reason, int status);
};

/* A websocket that is not connected. 0, -ENOMEM. */
int websocket_new(struct websocket **out, struct websocket_context *context,
                  const struct websocket_events *events, void *owner);

/* Frees it. Only while down: before connect, or after `down`. NULL is fine. */
void websocket_free(struct websocket *websocket);

/* Resolves, connects, TLS, upgrade to wss://host:port/$iothub/websocket, subprotocol mqtt. 0: `up` or
 * `down` follows, never from inside. -EBUSY while not down. -errno with `err`. */
int websocket_connect(struct websocket *websocket, const char *host, int port, struct err *err);

/* Queues a copy as one binary message, tried at once where libwebsockets allows. 0, -ENOBUFS,
 * -ENOTCONN, -ENOMEM. */
int websocket_send(struct websocket *websocket, const uint8_t *bytes, size_t length);

/* Hands over what is queued as far as the socket takes it now, then closes, at any stage; `down`
 * follows, never from inside. */
void websocket_close(struct websocket *websocket);
