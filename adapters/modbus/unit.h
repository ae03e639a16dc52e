/* Health of one device: is it there, may it be asked now, how does it do. Pure: no clock, no chance.
 *
 * The line tells it what was sent and what became of it, one try after the other; it answers with a
 * state, a time for the next probe and counters. Every function that can change the state returns
 * whether there is something to tell: another state, or another reason for being degraded. The picture of the states is at the top of unit.c. */
#pragma once

#include "adapters/adapter.h"
#include "adapters/modbus/mapping.h"
#include "base/backoff.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UNIT_WINDOW = 50,    /* requests that the share of failures is counted over */
    UNIT_LATENCIES = 64, /* answers that the percentiles are taken from */
};

/* Why a try got no useful answer. */
enum unit_failure {
    UNIT_TIMEOUT, /* no answer in time */
    UNIT_ABSENT,  /* exception 10 or 11: a gateway says that the device did not answer */
    UNIT_CRC,     /* an answer with a bad checksum (serial) */
    UNIT_OTHER,   /* a malformed answer, or the connection broke under the request */
};

struct unit {
    enum device_state state; /* never DEVICE_DISABLED: a disabled device is not asked at all */
    const struct modbus_device *device;

    uint32_t unanswered; /* tries in a row */
    size_t bad_tags;
    struct backoff backoff;
    uint64_t probe_ms; /* offline: not asked before */
    bool probing;      /* offline: the probe is under way */
    bool patient;      /* offline: the next probe waits for the full response_timeout */
    bool hurried;      /* offline: the last probe waited for less */
    bool degraded;     /* too many of the last requests failed */

    uint64_t requests, timeouts, crc, exceptions, late, other;
    uint64_t window;      /* bit n: the n-th last request failed */
    size_t latency_count; /* ever; the ring's next place is this modulo UNIT_LATENCIES */
    uint32_t latency_max_us;
    uint32_t latency_us[UNIT_LATENCIES];
    char error[128]; /* for a person; "" when there is nothing to say */
};

/* A device that was not asked yet: DEVICE_STARTING. `device` must outlive it. */
void unit_init(struct unit *unit, const struct modbus_device *device);

/* ---- may it be asked ---- */

/* Whether a request may go to it now. Always, unless it is offline: then one probe at a time, when due. */
bool unit_due(const struct unit *unit, uint64_t now_ms);

/* When unit_due becomes true: the time of the next probe, 0 = it is (not offline), UINT64_MAX = a probe is
 * under way. */
uint64_t unit_next_ms(const struct unit *unit);

/* How long to wait for the answer to the next request: response_timeout, and for a probe
 * min(response_timeout, max(4 x p95, 50 ms)) once answers were measured. */
uint32_t unit_timeout_ms(const struct unit *unit);

/* ---- what happened ---- */

/* A try goes out now; exactly one of unit_answered, unit_refused, unit_failed, unit_dropped follows. */
void unit_sent(struct unit *unit);

/* A good answer came `latency_us` after the request. */
bool unit_answered(struct unit *unit, uint32_t latency_us);

/* An exception came that the device itself made: it is there, the request failed. */
bool unit_refused(struct unit *unit, uint32_t latency_us);

/* No useful answer. `random` is uniform over 32 bits, for the next probe's jitter. */
bool unit_failed(struct unit *unit, uint64_t now_ms, enum unit_failure why, uint32_t random);

/* The try was given up by ourselves (closing): it says nothing about the device. */
void unit_dropped(struct unit *unit);

/* An answer came after its request was given up. It is only counted; when the device is offline it is
 * asked again at once, with the full response_timeout: it may have become slow. */
void unit_late(struct unit *unit, uint64_t now_ms);

/* How many of its tags are bad now: more than none is DEVICE_DEGRADED. */
bool unit_bad_tags(struct unit *unit, size_t count);

/* There is no connection to ask it over (`reason`, for a person): offline until it answers again. The
 * line says when: a short reconnect need not come here. A try that is out must be ended first. */
bool unit_unreachable(struct unit *unit, const char *reason);

/* The line has no time for probes before `until_ms`: an offline device is not asked sooner. */
void unit_defer(struct unit *unit, uint64_t until_ms);

/* Another device of the line came back: an offline one may have, too, and is probed at once. */
void unit_hope(struct unit *unit, uint64_t now_ms);

/* The connection stands again: an offline device is probed at once, its back-off starts anew. */
void unit_reachable(struct unit *unit, uint64_t now_ms);

/* ---- to be shown ---- */

/* Milliseconds over the last UNIT_LATENCIES answers, max since the start; all 0 before the first. */
void unit_latency(const struct unit *unit, double *p50_ms, double *p95_ms, double *max_ms);
