/* The inside of a session, shared by session.c (the states: connect, deadlines, failures, the end) and
 * session_hub.c (the talk: packets, twin answers, desired patches). Nobody else includes it. */
#pragma once

#include "base/backoff.h"
#include "bridge/inbox.h"
#include "bridge/mqtt.h"
#include "bridge/session.h"

enum {
    SESSION_LINK_MS = 15000, /* TCP, TLS and upgrade in all; this and the next: design section 4 */
    SESSION_CONNACK_MS = 60000,
    SESSION_SUBACK_MS = 20000,
    SESSION_ANSWER_PING_MS = 20000, /* a get or patch without an answer: is anybody there? */
    SESSION_ANSWER_MS = 60000,      /* and in all */
    SESSION_PINGRESP_MS = 10000,
    SESSION_KEEPALIVE_MAX_MS = 1177000, /* the largest that the hub heeds: iot-hub.md section 1.3 */
    SESSION_STABLE_MS = 60000,          /* ready for so long: the next failure is the first */
    SESSION_CLOCK_MS = 10000,           /* between two looks at a wrong clock */
    SESSION_RENEW_WAIT_MS = 5000,       /* renewal waits for a patch's answer */
    SESSION_RENEW_MIN_MS = 5000,        /* a token near its end is not renewed more often */
    SESSION_EVICTED_MS =
        10000,             /* closed so soon after CONNACK: another client took the identity? */
    SESSION_EVICTIONS = 3, /* in a row, until it is said */
    SESSION_RID_MAX = 32,
    SESSION_ERROR_MAX = 512,
};

enum phase {
    PHASE_IDLE,    /* no link wanted; the old one may still be closing */
    PHASE_LINK,    /* connect was asked for */
    PHASE_CONNACK, /* CONNECT is sent */
    PHASE_SUBACK,  /* SUBSCRIBE is sent */
    PHASE_GET,     /* a get is sent, or will be */
    PHASE_READY,
    PHASE_STOPPED,
};

enum failure {
    FAILURE_RETRY,     /* state WAITING, back-off up to 60 s */
    FAILURE_REFUSED,   /* state REFUSED, back-off up to 300 s */
    FAILURE_EVICTED,   /* state WAITING, back-off as long as REFUSED */
    FAILURE_THROTTLED, /* state WAITING, 10 s to 60 s */
    FAILURE_CLOCK,     /* state WAITING, 10 s */
};

/* A twin request whose answer is awaited. At most one of each kind. */
struct request {
    bool active;
    bool pinged; /* the answer is late, the hub was asked for a sign of life */
    char rid[SESSION_RID_MAX];
    uint64_t sent_ms;
};

struct session {
    char *name;
    char *product_info;
    struct session_options options; /* product_info points to the copy above */
    const struct env *env;
    const struct session_io *io;
    void *io_data;
    const struct session_events *events;
    void *owner;

    enum phase phase;
    enum session_state state;
    int64_t since_wall_ms;
    char error[SESSION_ERROR_MAX];
    bool untold;    /* state or error changed since the owner was told */
    bool link_open; /* connect was asked for and its end was not told yet */
    bool stopping;
    bool in_patch; /* inside session_patch: the owner is told by the next tick */
    bool planned;  /* the link closes or closed for a renewal */
    bool connected_once;
    bool credential_changed; /* while a connect with the old one was under way */
    uint64_t reconnects;

    struct session_credential credential; /* token wiped once it is sent */
    struct backoff backoff, refused, throttled;
    unsigned evictions;

    /* times: monotonic ms, 0 = none */
    uint64_t try_at_ms;         /* PHASE_IDLE: the next connect */
    uint64_t phase_deadline_ms; /* LINK, CONNACK, SUBACK */
    uint64_t get_at_ms;         /* PHASE_GET: the get that is not sent yet */
    uint64_t connack_ms, ready_ms;
    uint64_t heard_ms, said_ms; /* the last packet of either side */
    uint64_t ping_ms;           /* of the unanswered PINGREQ */
    uint64_t renew_at_ms;

    struct mqtt_reader reader;
    uint32_t rid_run, rid_count; /* unique in this run, and unlikely to be another run's */
    struct request get, patch;
    struct inbox inbox;
    unsigned bad_documents;                    /* since the last good one */
    int64_t desired_version, reported_version; /* last known, also while offline; -1 = never */
};

/* ---- session.c ---- */

/* Sets state and error; session_tell tells the owner if that was a change. `error` NULL = as it was. */
void session_set(struct session *s, enum session_state state, const char *error);
void session_tell(struct session *s);

/* Ends the connection, if there is one, plans the next try, reports a patch in flight as lost, tells.
 * The text reads on from "module NAME: ". Nothing of the connection may be touched afterwards. */
__attribute__((format(printf, 4, 5))) void
session_fail(struct session *s, uint64_t now_ms, enum failure failure, const char *format, ...);

/* Hands a packet to the link; fails the session when it has no room. False: the session has failed. */
bool session_send(struct session *s, uint64_t now_ms, const struct buf *packet, int rc);

/* Starts the renewal when it is due and no patch waits for its answer any more. True: the link is being
 * closed; the owner is not told yet. */
bool session_renew_if_due(struct session *s, uint64_t now_ms);

/* ---- session_hub.c ---- */

void session_hub_connect(struct session *s, uint64_t now_ms); /* the link is up: sends CONNECT */
void session_hub_packet(struct session *s, uint64_t now_ms, const struct mqtt_packet *packet);
void session_hub_ping(struct session *s, uint64_t now_ms);
void session_hub_get(struct session *s, uint64_t now_ms); /* sends the get */
/* Goes (back) to GETTING and sends a get, once a patch in flight is answered: its answer and the
 * reported section of the get would otherwise come in either order. */
void session_hub_get_again(struct session *s, uint64_t now_ms);
int session_hub_patch(struct session *s, uint64_t now_ms, const char *json, size_t length);
