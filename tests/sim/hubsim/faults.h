/* What the hub is to do wrong, and to whom: the faults of the control address. Pure.
 *
 * A line "IDENTITY FAULT [ARGUMENT]..." sets one fault. IDENTITY is "device/module", "device", or "*"
 * for everybody. A fault is a row of the table in faults.c: its name, how its arguments are read, what
 * it changes in the identity's plan, what it does at once to open connections. Who speaks to clients
 * asks the plan before each step, by the functions below; all of them take NULL for "no faults at
 * all". An identity's own plan goes before that of "*". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAULTS_IDENTITY_MAX = 260, /* bytes of "device/module", with its NUL */
    FAULTS_PLANS_MAX = 16384,
    FAULTS_ANSWER_MAX = 256, /* bytes of an answer, with its NUL */
    FAULTS_BYTES_MAX = 256,  /* of one "send" */
    FAULTS_MS_MAX = 600 * 1000,
    FAULTS_CLOCK_MAX_S = 10 * 366 * 24 * 3600,
};

struct faults;
struct faults_plan;

enum faults_step { FAULTS_CONNACK, FAULTS_SUBACK, FAULTS_ANSWERS, FAULTS_STEPS };
enum faults_request { FAULTS_GET, FAULTS_PATCH, FAULTS_REQUESTS };

enum faults_event { /* what "status" counts */
                    FAULTS_CONNECTS,
                    FAULTS_REFUSED,
                    FAULTS_SUBSCRIBED,
                    FAULTS_GETS,
                    FAULTS_PATCHES,
                    FAULTS_NOTICES, /* of desired properties, sent */
                    FAULTS_PINGS,
                    FAULTS_LOST, /* answers and notices that were not sent */
                    FAULTS_ENDED,
                    FAULTS_EVENTS,
};

/* What happens at once to connections that are open. */
enum faults_act {
    FAULTS_NOTHING,
    FAULTS_OF_HUB, /* the same: it is the hub's as a whole, and of "*" only */
    FAULTS_DROP,   /* the TCP connection is closed without a word */
    FAULTS_WIPE, /* the same, and its MQTT session is forgotten; also of one who is away, if he is named */
    FAULTS_HALF_OPEN,   /* nothing that comes is read as MQTT, nothing is sent, TCP stays */
    FAULTS_SLOW_READER, /* nothing is taken from the network for `ms` */
    FAULTS_SEND,        /* `bytes` go into the stream as they are */
    FAULTS_RECOVER,     /* the end of the two before */
};

struct faults_strike {
    enum faults_act act;
    uint32_t ms;
    const uint8_t *bytes;
    size_t length;
};

/* 0 or -ENOMEM. */
int faults_new(struct faults **out);
void faults_free(struct faults *faults); /* NULL is fine */

/* Who carries out strikes; gives how many connections were met. */
void faults_on_strike(struct faults *faults,
                      size_t (*strike)(void *data, const char *identity,
                                       const struct faults_strike *strike),
                      void *data);

/* Carries out one line, which is taken apart. Always answers with one line without its end: "ok",
 * "ok NUMBER" (connections that were met), "ok NAME=COUNT ..." (status), "error ...". `faults` is a
 * struct faults. */
void faults_run(void *faults, char *line, char answer[FAULTS_ANSWER_MAX]);

/* The plan of an identity, made when there is none; stays until faults_free. NULL when `faults` is
 * NULL, memory is out or there are too many. */
struct faults_plan *faults_plan(struct faults *faults, const char *identity);

/* ---- what to do ---- */

void faults_count(struct faults_plan *plan, enum faults_event event);

/* Whether a CONNECT is to be refused, and with which code. Counts down. */
bool faults_refuse(struct faults_plan *plan, uint8_t *code);

/* Whether the packet of a client that was just taken is the last one: its connection is to be dropped.
 * Counts down. */
bool faults_drop(struct faults_plan *plan);

/* How far the hub's wall clock is to be off. */
int64_t faults_clock_ms(const struct faults *faults);

/* How long a packet is to be kept back. */
uint32_t faults_delay_ms(const struct faults_plan *plan, enum faults_step step);

/* Whether the answer to a twin request, which is carried out, is to be lost. Counts down. */
bool faults_lose(struct faults_plan *plan);

/* The status to answer a twin request with instead of carrying it out; 0 = carry it out. Counts down. */
int faults_status(struct faults_plan *plan, enum faults_request request);

/* How often a desired notification is to be sent: 0, 1 or 2 times, and how much is to be added to its
 * $version. Counts down. */
unsigned faults_notice(struct faults_plan *plan, int64_t *ahead);

/* How many of `length` bytes the next frame is to carry: 1 to `length`. `random` is any number. */
size_t faults_frame(const struct faults_plan *plan, uint32_t random, size_t length);

/* How long packets are to be gathered into one frame. */
uint32_t faults_merge_ms(const struct faults_plan *plan);

/* Whether the next frame is to be a text frame. Counts down. */
bool faults_text_frame(struct faults_plan *plan);
