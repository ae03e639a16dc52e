/* One IoT Hub session for one module identity: MQTT over a link that somebody else moves the bytes of.
 * Knows no sockets and no clock. Order of reference iot-hub.md section 3.5, deadlines of design
 * section 4.
 *
 *   WAITING --due--> CONNECTING (link) --up--> CONNECTING (CONNACK, SUBACK) --> GETTING --200--> READY
 *      ^                 |                          |                             |           |
 *      +---- any failure, close, deadline, CONNACK != 0: back-off ----------------+-----------+
 *   CONNACK 4 or 5, a bad credential: REFUSED (long back-off; at once by session_credential_changed)
 *
 * Every failure ends in close and back-off; nothing is repaired in place. Renewal of the token is a
 * planned reconnect at 75 to 85 % of its life: no back-off, no complaint. */
#pragma once

#include "base/env.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct session;

enum session_state {
    SESSION_WAITING,
    SESSION_CONNECTING,
    SESSION_GETTING,
    SESSION_READY,
    SESSION_REFUSED,
    SESSION_STOPPED,
};

struct session_credential {
    char host_name[256]; /* of the hub: user name and resource */
    char dial_host[256]; /* the host to connect to: the gateway, else host_name */
    char device_id[129];
    char module_id[129];
    char token[2048]; /* the password */
    int64_t expiry_s; /* of the token, UTC */
};

/* What a session asks of the outside; the bridge implements it on websocket.c, the tests fake it. */
struct session_io {
    /* The credential now: fills all of `out`, the token with the life of
     * the options at most. 0 or -errno with `err`: REFUSED, shown, tried
     * again. */
    int (*credential)(void *data, struct session_credential *out, struct err *err);
    /* Starts TCP, TLS and the WebSocket upgrade. 0: session_link_up or session_link_down follows, never
     * from inside. -errno with `err`: counts as a failed connect. */
    int (*connect)(void *data, const char *host, int port, struct err *err);
    /* Queues whole packets, copied. 0, or -ENOBUFS when the bounded queue is full: the session closes. */
    int (*send)(void *data, const uint8_t *bytes, size_t length);
    /* Sends what is queued as far as that needs no waiting, and closes. session_link_down follows, also
     * when connect was still under way, never from inside; until then no new connect is asked for. */
    void (*close)(void *data);
};

struct session_events {
    /* READY: both sections of the get, with their $version; owned by the session, valid during the
     * call. `desired` may hold patches that came after the get, merged in order. */
    void (*ready)(void *owner, const struct cJSON *desired, const struct cJSON *reported);
    /* A desired patch in order (version = last + 1) while READY; `patch` without keys that start with $. */
    void (*desired)(void *owner, int64_t version, const struct cJSON *patch);
    /* The answer to the reported patch in flight: 204, or the hub's status (400, 429, 5xx) with its
     * message; status 0 = lost: the link went away or time ran out. `version` = -1 when not told. */
    void (*patched)(void *owner, int status, int64_t version, const char *message);
    /* The state or the error text changed. */
    void (*state)(void *owner, enum session_state state);
};

struct session_options {
    int port;
    uint32_t token_lifetime_ms;
    uint32_t keepalive_ms;
    const char *product_info; /* e.g. "twinbridge/0.1.0", goes into DeviceClientType */
};

struct session_status {
    enum session_state state;
    int64_t since_wall_ms;
    const char *error; /* "" when there is none; names the remedy. Valid until the next call */
    uint64_t reconnects;
    int64_t desired_version;  /* -1 unknown */
    int64_t reported_version; /* -1 unknown */
};

/* Events come from inside every call that may change the session, except session_patch: what happens
 * there is told by the next tick. An owner may call the session from inside an event, but not free it.
 *
 * A session in WAITING that connects at the first tick; copies `options`, borrows the rest. `name` is
 * the module's, for messages. 0, -ENOMEM. */
int session_new(struct session **out, const char *name, const struct session_options *options,
                const struct env *env, const struct session_io *io, void *io_data,
                const struct session_events *events, void *owner);
void session_free(struct session *session); /* the link must be down; NULL is fine */

/* Does what is due; returns when it wants to be called next (monotonic ms, 0 = never). To be called
 * after every other call too, because that may have moved the deadline. */
uint64_t session_tick(struct session *session, uint64_t now_ms);

/* The link's side. `reason` for a person ("certificate verify failed: ..."), `status` the HTTP status of
 * a refused upgrade or 0. */
void session_link_up(struct session *session, uint64_t now_ms);
void session_link_bytes(struct session *session, uint64_t now_ms, const uint8_t *bytes,
                        size_t length);
void session_link_down(struct session *session, uint64_t now_ms, const char *reason, int status);

/* Sends one reported patch (a JSON object). 0: `patched` follows exactly once. -ENOTCONN unless READY, or
 * when the link did not take it (the session has failed then, and `patched` does not come); -EBUSY while
 * one is in flight; -ENOSPC over 256 KB. */
int session_patch(struct session *session, uint64_t now_ms, const char *json, size_t length);

/* The owner could not take in what it was told: gets the whole twin again, `ready` follows. Nothing
 * unless READY. */
void session_again(struct session *session, uint64_t now_ms);

/* Nothing waits to be answered or sent: a good moment to stop. */
bool session_idle(const struct session *session);

/* The credential file changed: a REFUSED or WAITING session connects now. */
void session_credential_changed(struct session *session, uint64_t now_ms);

/* Sends DISCONNECT and closes for good; the state is STOPPED once the link is down. */
void session_stop(struct session *session, uint64_t now_ms);

void session_status(const struct session *session, struct session_status *out);
