/* A session with a fake clock, a fake link and a fake hub. Everything that the session asks for, sends
 * or tells is written into a log that a test compares: "connect hub:443|CONNECT|SUBSCRIBE|...".
 *
 * Packets of the fake hub go in whole, or in pieces of `piece` bytes. Nothing here asserts inside a
 * callback of the session. */
#pragma once

#include "base/buf.h"
#include "bridge/mqtt.h"
#include "bridge/session.h"

#include <stdbool.h>
#include <stdint.h>

#define FIXTURE_TWIN   "{\"desired\":{\"a\":1,\"$version\":5},\"reported\":{\"$version\":2}}"
#define FIXTURE_WALL_S INT64_C(1767225600) /* 2026-01-01: the oldest that a session believes */

struct fixture {
    struct session *session;
    struct session_options options;
    struct env env;
    uint64_t now_ms, deadline_ms; /* the deadline is what the last tick said; 0 = never */
    int64_t wall_ms;
    uint32_t random; /* what chance gives */
    size_t piece;    /* bytes per session_link_bytes; 0 = all at once */
    struct buf log;
    bool log_off;
    bool inside; /* the code that runs is the session's, for faults of its memory alone */

    /* the outside's answers */
    int credential_rc, connect_rc, send_rc;
    char credential_error[200], connect_error[200];
    int64_t token_life_s;

    /* what was seen */
    bool link_open, closing; /* connect was asked for; close was, too */
    unsigned connects;
    uint8_t sent[1024]; /* the last packet that was sent, if it is not larger */
    size_t sent_length;
    char get_rid[64], patch_rid[64];                       /* of the last requests */
    char patched_text[256];                                /* the message of the last `patched` */
    void (*on_event)(struct fixture *f, const char *what); /* a test's own reaction, or NULL */
};

int fixture_set_up(void **state); /* *state is a new fixture with a session in WAITING */
int fixture_tear_down(void **state);

/* Makes the session, with errors of session_new; for a fixture whose session was freed. */
int fixture_start(struct fixture *f);

/* A new one in the place of the old, for the next row of a table. */
struct fixture *fixture_again(void **state);

/* The log since the last call, and empties it. */
const char *fixture_log(struct fixture *f);

/* Asserts that the log since the last call is `want`. */
void fixture_expect(struct fixture *f, const char *want);

/* Asserts the state, and that the error contains `error` (or, when that is "", that there is none). */
void fixture_expect_status(const struct fixture *f, enum session_state state, const char *error);

/* ---- time ---- */
void fixture_tick(struct fixture *f);                 /* now */
void fixture_advance(struct fixture *f, uint64_t ms); /* later, with a tick */
void fixture_to_deadline(struct fixture *f);          /* at the deadline of the last tick */

/* ---- the link and the hub; each is followed by a tick ---- */
void fixture_up(struct fixture *f);
void fixture_down(struct fixture *f, const char *reason, int status);
void fixture_bytes(struct fixture *f, const void *bytes, size_t length);
void fixture_connack(struct fixture *f, uint8_t code);
void fixture_suback(struct fixture *f, uint8_t first, uint8_t second);
void fixture_pingresp(struct fixture *f);
void fixture_publish(struct fixture *f, uint8_t qos, uint16_t id, const char *topic,
                     const char *payload);
void fixture_answer_get(struct fixture *f, int status, const char *body);
void fixture_answer_patch(struct fixture *f, int status, int64_t version, const char *body);
void fixture_desired(struct fixture *f, int64_t version, const char *body);

/* ---- ways ---- */
void fixture_go_connack(struct fixture *f); /* CONNECT is sent */
void fixture_go_suback(struct fixture *f);  /* SUBSCRIBE is sent */
void fixture_go_getting(struct fixture *f); /* the get is sent */
void fixture_go_ready(
    struct fixture *f); /* desired version 5, reported version 2; the log is empty */

int fixture_patch(struct fixture *f, const char *json);
struct session_status fixture_status(const struct fixture *f);
