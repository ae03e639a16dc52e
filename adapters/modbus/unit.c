/* Health of one device.
 *
 *                    answer                       a bad tag, or > 10 % of the last 50 failed
 *   STARTING ---------------------------> ONLINE ------------------------------> DEGRADED
 *      |    (straight to DEGRADED when      | ^  <------------------------------   | ^
 *      |     a tag is bad)                  | |     no bad tag, and < 2 % failed    | |
 *      |                                    | |                                    | |
 *      | offline_after tries in a row       | | answer, exception                  | | the same,
 *      | unanswered, or no connection       v |                                    v | with a bad tag
 *      +--------------------------------> OFFLINE (one probe at a time) <-----------+
 *
 * Happy path: unit_sent, unit_answered, for ever. A failure only counts until offline_after of them came
 * in a row; then the device costs the line one probe per back-off and nothing else, and the first answer
 * brings it back with a clean record of failures. Knows nothing of the other devices of the line. */
#include "adapters/modbus/unit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEGRADED_OVER = UNIT_WINDOW * 10 / 100, /* more failures than this of the last 50 */
    DEGRADED_UNDER = UNIT_WINDOW * 2 / 100, /* until there are fewer than this */
    PROBE_LEAST_MS = 50,
};

static const uint64_t window_mask = (UINT64_C(1) << UNIT_WINDOW) - 1;

void unit_init(struct unit *unit, const struct modbus_device *device)
{
    *unit = (struct unit){
        .state = DEVICE_STARTING,
        .device = device,
        .backoff = { .min_ms = device->backoff_min_ms, .max_ms = device->backoff_max_ms },
    };
}

/* ---- may it be asked ---- */

bool unit_due(const struct unit *unit, uint64_t now_ms)
{
    return unit->state != DEVICE_OFFLINE || (!unit->probing && now_ms >= unit->probe_ms);
}

uint64_t unit_next_ms(const struct unit *unit)
{
    if (unit->state != DEVICE_OFFLINE)
        return 0;
    return unit->probing ? UINT64_MAX : unit->probe_ms;
}

static int compare_latencies(const void *a, const void *b)
{
    uint32_t la = *(const uint32_t *)a, lb = *(const uint32_t *)b;

    return (la > lb) - (la < lb);
}

/* Sorted copy of the ring; returns how many there are. */
static size_t latencies(const struct unit *unit, uint32_t out[UNIT_LATENCIES])
{
    size_t count = unit->latency_count < UNIT_LATENCIES ? unit->latency_count : UNIT_LATENCIES;

    memcpy(out, unit->latency_us, count * sizeof out[0]);
    qsort(out, count, sizeof out[0], compare_latencies);
    return count;
}

/* Nearest rank: the smallest of `count` sorted values that `percent` of them do not exceed. */
static uint32_t percentile(const uint32_t *sorted, size_t count, size_t percent)
{
    return sorted[(count * percent + 99) / 100 - 1];
}

uint32_t unit_timeout_ms(const struct unit *unit)
{
    uint32_t sorted[UNIT_LATENCIES];
    uint64_t wait_ms;
    size_t count;

    if (unit->state != DEVICE_OFFLINE || unit->patient || unit->latency_count == 0)
        return unit->device->response_timeout_ms;
    count = latencies(unit, sorted);
    wait_ms = (uint64_t)percentile(sorted, count, 95) * 4 / 1000;
    if (wait_ms < PROBE_LEAST_MS)
        wait_ms = PROBE_LEAST_MS;
    return wait_ms < unit->device->response_timeout_ms ? (uint32_t)wait_ms
                                                       : unit->device->response_timeout_ms;
}

/* ---- what happened ---- */

static unsigned failed_in_window(const struct unit *unit)
{
    unsigned failed = 0;

    for (uint64_t bits = unit->window; bits != 0; bits &= bits - 1)
        failed++;
    return failed;
}

static void record(struct unit *unit, bool failed)
{
    unsigned count;

    unit->window = (unit->window << 1 | failed) & window_mask;
    count = failed_in_window(unit);
    if (count > DEGRADED_OVER)
        unit->degraded = true;
    else if (count < DEGRADED_UNDER)
        unit->degraded = false;
}

static bool set_state(struct unit *unit, enum device_state state)
{
    bool changed = unit->state != state;

    unit->state = state;
    return changed;
}

/* ONLINE or DEGRADED, of a device that answers. The reason is part of what is told, so it names no number
 * that moves with every request. */
static bool settle(struct unit *unit)
{
    enum device_state state = unit->bad_tags > 0 || unit->degraded ? DEVICE_DEGRADED
                                                                   : DEVICE_ONLINE;
    char error[sizeof unit->error];
    bool explained;

    if (state == DEVICE_ONLINE && unit->state == DEVICE_ONLINE)
        return false; /* nothing to say before or now: so ends nearly every request */
    memset(error, 0, sizeof error);
    if (unit->bad_tags > 0)
        snprintf(error, sizeof error, "%zu tag%s bad", unit->bad_tags,
                 unit->bad_tags == 1 ? " is" : "s are");
    else if (unit->degraded)
        snprintf(error, sizeof error, "over 10 %% of the last %d requests failed", UNIT_WINDOW);
    explained = strcmp(unit->error, error) == 0;
    memcpy(unit->error, error, sizeof error);
    return set_state(unit, state) || !explained;
}

void unit_sent(struct unit *unit)
{
    unit->requests++;
    unit->probing = unit->state == DEVICE_OFFLINE;
}

/* It is there. An outage was told by OFFLINE already: its failures are not counted against it again. */
static bool contact(struct unit *unit, uint32_t latency_us, bool failed)
{
    unit->latency_us[unit->latency_count++ % UNIT_LATENCIES] = latency_us;
    if (latency_us > unit->latency_max_us)
        unit->latency_max_us = latency_us;
    if (unit->state == DEVICE_OFFLINE) {
        unit->window = 0;
        unit->degraded = false;
        backoff_reset(&unit->backoff);
    }
    unit->unanswered = 0;
    unit->probing = false;
    unit->patient = false;
    unit->hurried = false;
    record(unit, failed);
    return settle(unit);
}

bool unit_answered(struct unit *unit, uint32_t latency_us)
{
    return contact(unit, latency_us, false);
}

bool unit_refused(struct unit *unit, uint32_t latency_us)
{
    unit->exceptions++;
    return contact(unit, latency_us, true);
}

static void count_failure(struct unit *unit, enum unit_failure why)
{
    switch (why) {
    case UNIT_TIMEOUT:
        unit->timeouts++;
        break;
    case UNIT_ABSENT:
        unit->exceptions++;
        break;
    case UNIT_CRC:
        unit->crc++;
        break;
    case UNIT_OTHER:
        unit->other++;
        break;
    }
}

static void explain(struct unit *unit, enum unit_failure why)
{
    static const char *const texts[] = {
        [UNIT_TIMEOUT] = "no answer",
        [UNIT_ABSENT] = "the gateway gets no answer from it (exception 10 or 11)",
        [UNIT_CRC] = "answers with a wrong checksum",
        [UNIT_OTHER] = "malformed answers, or the connection breaks",
    };

    snprintf(unit->error, sizeof unit->error, "%s (%u request%s in a row)", texts[why],
             unit->unanswered, unit->unanswered == 1 ? "" : "s");
}

bool unit_failed(struct unit *unit, uint64_t now_ms, enum unit_failure why, uint32_t random)
{
    bool was_hurried = unit_timeout_ms(unit) < unit->device->response_timeout_ms;

    count_failure(unit, why);
    record(unit, true);
    if (unit->unanswered < UINT32_MAX)
        unit->unanswered++;
    if (unit->state != DEVICE_OFFLINE && unit->unanswered < unit->device->offline_after)
        return unit->state != DEVICE_STARTING && settle(unit);

    unit->probing = false;
    unit->patient = false;
    unit->hurried = was_hurried;
    unit->probe_ms = now_ms + backoff_next_ms(&unit->backoff, random);
    explain(unit, why);
    return set_state(unit, DEVICE_OFFLINE);
}

void unit_dropped(struct unit *unit)
{
    unit->probing = false;
}

void unit_late(struct unit *unit, uint64_t now_ms)
{
    unit->late++;
    if (unit->state != DEVICE_OFFLINE || !unit->hurried)
        return;
    unit->hurried =
        false; /* once per hurried probe: a device slower than its time-out stays offline */
    unit->patient = true;
    unit->probe_ms = now_ms;
}

bool unit_bad_tags(struct unit *unit, size_t count)
{
    unit->bad_tags = count;
    if (unit->state != DEVICE_ONLINE && unit->state != DEVICE_DEGRADED)
        return false;
    return settle(unit);
}

bool unit_unreachable(struct unit *unit, const char *reason)
{
    unit->unanswered = 0;
    unit->probing = false;
    unit->hurried = false;
    snprintf(unit->error, sizeof unit->error, "%s", reason);
    return set_state(unit, DEVICE_OFFLINE);
}

void unit_reachable(struct unit *unit, uint64_t now_ms)
{
    if (unit->state != DEVICE_OFFLINE)
        return;
    unit->patient = true; /* what was behind the old connection may have been faster */
    unit->probe_ms = now_ms;
    backoff_reset(&unit->backoff);
}

void unit_defer(struct unit *unit, uint64_t until_ms)
{
    if (unit->state == DEVICE_OFFLINE && unit->probe_ms < until_ms)
        unit->probe_ms = until_ms;
}

void unit_hope(struct unit *unit, uint64_t now_ms)
{
    if (unit->state == DEVICE_OFFLINE && unit->probe_ms > now_ms)
        unit->probe_ms = now_ms;
}

/* ---- to be shown ---- */

void unit_latency(const struct unit *unit, double *p50_ms, double *p95_ms, double *max_ms)
{
    uint32_t sorted[UNIT_LATENCIES];
    size_t count = latencies(unit, sorted);

    *p50_ms = count == 0 ? 0 : percentile(sorted, count, 50) / 1000.0;
    *p95_ms = count == 0 ? 0 : percentile(sorted, count, 95) / 1000.0;
    *max_ms = unit->latency_max_us / 1000.0;
}
