/* One connection as a state machine.
 *
 *                 tick: due                 opened
 *     waiting -----------------> connecting ---------> connected
 *        ^                           |                     |
 *        |   closed (refused,        |                     |  closed by the peer; bytes that are no
 *        +-- silent, no such name) --+                     |  Modbus/TCP; every device silent
 *        +-------------------------------------------------+
 *     any --line_stop--> closed          (a line with nothing to ask is closed from the start)
 *
 * Happy path: tick -> pick (read-back, write, asked read, due read) -> send -> bytes -> answer -> up.
 * Fails when: no answer in time (the unit's affair: tried again, counted, offline in the end; the line
 * stays), an answer of another transaction (counted as late and dropped), an answer that is no Modbus
 * (counted, tried again), bytes without form or half an answer (dropped; the header of the answer to the
 * next request is where the stream makes sense again, and a stream where that does not come is closed),
 * more than TRAFFIC_JUNK_MAX of what nobody asked for, or the stream dies. A lost stream is opened again after a back-off that starts
 * anew with the first answer, not with the connection: a peer that accepts and hangs up is no peer. */
#include "adapters/modbus/line.h"

#include "adapters/modbus/traffic.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the connection ---- */

static void set_state(struct line *line, enum connection_state state)
{
    if (line->state == state)
        return;
    line->state = state;
    if (!line->stopped)
        line->args.events->connection_state(line->args.owner, state);
}

/* Every failure of the connection comes here, once. The error is set. */
static void lose(struct line *line)
{
    const struct env *env = line->args.env;
    uint64_t now_ms = env_now_ms(env);

    line->retry_ms = now_ms + backoff_next_ms(&line->backoff, env_random_u32(env));
    line->failures++;
    if (line->transaction.active)
        traffic_lose(line);
    for (size_t i = 0; i < line->unit_count && !line->stopped; i++) {
        struct turn_unit *unit = &line->units[i];

        unit->held = false;
        if (!unit->enabled || line->failures < unit->device->offline_after)
            continue;
        line->probes_ms = 0;
        traffic_tell_unit(line, unit, unit_unreachable(&unit->health, line->error.msg));
    }
    if (!line->stopped)
        set_state(line, CONNECTION_WAITING);
}

static void hang_up(struct line *line)
{
    line->args.stream->ops->close(line->args.stream);
    lose(line);
}

static void open_stream(struct line *line)
{
    struct stream *stream = line->args.stream;
    int rc;

    set_state(line, CONNECTION_CONNECTING);
    if (line->stopped)
        return;
    rc = stream->ops->open(stream, line->args.stream_events, line->args.owner);
    if (rc < 0) {
        err_set(&line->error, "cannot open a connection to %s: %s", stream->peer, strerror(-rc));
        lose(line);
        return;
    }
    line->stream_open = true;
}

void line_opened(struct line *line)
{
    uint64_t now_ms = env_now_ms(line->args.env);

    if (line->stopped || line->state != CONNECTION_CONNECTING)
        return;
    framing_reader_init(&line->reader);
    line->error.msg[0] = '\0';
    line->quiet_ms = now_ms + line->args.connection->connect_delay_ms;
    if (line->was_connected)
        line->reconnects++;
    line->was_connected = true;
    for (size_t i = 0; i < line->unit_count; i++) {
        struct turn_unit *unit = &line->units[i];

        unit->silent = 0;
        unit->held = false;
        unit->rest_ms = 0;
        unit_reachable(&unit->health, now_ms);
        schedule_all(&unit->schedule);
    }
    traffic_defer_probes(line);
    line->junk = 0;
    set_state(line, CONNECTION_CONNECTED);
}

void line_closed(struct line *line, int rc, const char *why)
{
    line->stream_open = false;
    if (line->stopped || line->state == CONNECTION_WAITING)
        return; /* it was us: what happened is told already */
    if (why[0] != '\0')
        err_set(&line->error, "%s", why);
    else
        err_set(&line->error, "lost the connection to %s: %s", line->args.stream->peer,
                strerror(-rc));
    lose(line);
}

/* Whether these bytes are where the stream makes sense again: after half an answer or bytes without form
 * the peer has gone on to the request in flight. */
static bool resumes(const struct line *line, const uint8_t *bytes, size_t length)
{
    const struct transaction *t = &line->transaction;

    return line->torn && t->active && length > FRAMING_HEADER &&
           bytes[0] == (uint8_t)(t->id >> 8) && bytes[1] == (uint8_t)t->id && bytes[2] == 0 &&
           bytes[3] == 0 && bytes[4] == 0 && bytes[6] == t->unit->device->unit_id;
}

/* Bytes without form: the request in flight has failed, and the rest is dropped. */
static void drop_junk(struct line *line, size_t length)
{
    line->junk += length;
    err_set(&line->error, "%s sends what is %s: check \"port\"", line->args.stream->peer,
            line->reader.reason);
    if (line->transaction.active && !line->torn)
        traffic_fail(line, UNIT_OTHER, -EBADMSG);
    line->torn = true;
}

/* Hangs up on a peer that sends too much of what nobody asked for. */
static void check_junk(struct line *line)
{
    if (line->stopped || line->state != CONNECTION_CONNECTED || line->junk <= TRAFFIC_JUNK_MAX)
        return;
    if (line->reader.reason == NULL)
        err_set(&line->error, "%s sends answers that nobody asked for: is it a Modbus device?",
                line->args.stream->peer);
    hang_up(line);
}

void line_bytes(struct line *line, const uint8_t *bytes, size_t length)
{
    struct framing_frame frame;
    int rc;

    line->now_us = 0;
    if (resumes(line, bytes, length)) {
        framing_reader_init(&line->reader);
        line->torn = false;
        line->error.msg[0] = '\0';
    }
    while (!line->stopped && line->state == CONNECTION_CONNECTED) {
        rc = framing_next(&line->reader, &bytes, &length, &frame);
        if (rc == -EAGAIN)
            return;
        if (rc == 0) {
            traffic_frame(line, &frame);
            check_junk(line);
            continue;
        }
        drop_junk(line, length);
        check_junk(line);
        return;
    }
}

/* ---- the tick ---- */

static uint64_t next_tick_ms(const struct line *line)
{
    uint64_t next = traffic_next_ms(line);

    if (line->state == CONNECTION_WAITING && !line->stream_open && line->retry_ms < next)
        next = line->retry_ms;
    if (next == UINT64_MAX)
        return 0;
    return next > 0 ? next : 1; /* 0 is "never" */
}

static bool all_silent(const struct line *line)
{
    bool any = false;

    for (size_t i = 0; i < line->unit_count; i++) {
        const struct turn_unit *unit = &line->units[i];

        if (!unit->enabled || unit->schedule.count == 0)
            continue; /* never asked: says nothing */
        if (!turn_is_offline(unit) || unit->silent < unit->device->offline_after)
            return false;
        any = true;
    }
    return any;
}

/* The answer in flight did not come in time. Where bytes without form came before it, the stream does not
 * make sense again by itself. */
static void run_out(struct line *line)
{
    bool lost = line->reader.reason != NULL;

    traffic_fail(line, UNIT_TIMEOUT, -ETIMEDOUT);
    if (lost && !line->stopped)
        hang_up(line);
}

static void check_silence(struct line *line)
{
    if (line->stopped || line->state != CONNECTION_CONNECTED || !all_silent(line))
        return;
    err_set(&line->error,
            "connected to %s, but no device answers: check \"unit_id\" and the device",
            line->args.stream->peer);
    hang_up(line);
}

uint64_t line_tick(struct line *line, uint64_t now_ms)
{
    if (line->stopped)
        return 0;
    if (!line->stream_open && line->state != CONNECTION_CLOSED && now_ms >= line->retry_ms)
        open_stream(line);
    if (line->transaction.active && now_ms >= line->transaction.deadline_ms)
        run_out(line);
    check_silence(line);
    traffic_drop(line, now_ms);
    if (line->stopped)
        return 0;
    if (line->state == CONNECTION_CONNECTED && !line->transaction.active &&
        now_ms >= line->quiet_ms)
        traffic_send(line, now_ms);
    line->now_us = 0;
    return next_tick_ms(line);
}

/* ---- asked by the owner ---- */

void line_read(struct line *line, size_t device, size_t block, enum schedule_wish wish)
{
    schedule_wish(&line->units[device].schedule, block, wish);
}

void line_write(struct line *line, struct line_write *write)
{
    write->tries = 0;
    write->next = NULL;
    *line->writes_end = write;
    line->writes_end = &write->next;
}

void line_bad_tags(struct line *line, size_t device, size_t count)
{
    struct turn_unit *unit = &line->units[device];

    traffic_tell_unit(line, unit, unit_bad_tags(&unit->health, count));
}

/* ---- life ---- */

static bool has_work(const struct line *line)
{
    for (size_t i = 0; i < line->unit_count; i++)
        if (line->units[i].enabled)
            return true;
    return false;
}

/* The most impatient device says how long the connection waits. */
static void init_backoff(struct line *line)
{
    line->backoff = (struct backoff){ .min_ms = UINT32_MAX, .max_ms = UINT32_MAX };
    for (size_t i = 0; i < line->unit_count; i++) {
        const struct modbus_device *device = line->units[i].device;

        if (device->backoff_min_ms < line->backoff.min_ms)
            line->backoff.min_ms = device->backoff_min_ms;
        if (device->backoff_max_ms < line->backoff.max_ms)
            line->backoff.max_ms = device->backoff_max_ms;
    }
    if (line->backoff.max_ms < line->backoff.min_ms)
        line->backoff.max_ms = line->backoff.min_ms;
}

static int init_units(struct line *line, uint64_t now_ms)
{
    const struct line_open *args = &line->args;
    size_t total = 0;
    size_t first = 0;
    int rc;

    for (size_t i = 0; i < line->unit_count; i++)
        total += args->plans[i]->block_count;
    for (size_t i = 0; i < line->unit_count; i++) {
        struct turn_unit *unit = &line->units[i];

        unit->device = &args->connection->devices[i];
        unit->enabled = args->enabled && unit->device->enabled;
        unit->plan = args->plans[i];
        unit_init(&unit->health, unit->device);
        rc = schedule_init(&unit->schedule, unit->plan, first, total, now_ms);
        if (rc < 0)
            return rc;
        first += unit->plan->block_count;
    }
    return 0;
}

int line_new(struct line **out, const struct line_open *args)
{
    size_t count = args->connection->device_count;
    struct line *line = calloc(1, sizeof *line + count * sizeof line->units[0]);
    uint64_t now_ms = env_now_ms(args->env);
    int rc;

    if (line == NULL)
        return -ENOMEM;
    line->args = *args;
    line->unit_count = count;
    line->writes_end = &line->writes;
    line->last_id = (uint16_t)env_random_u32(args->env);
    load_init(&line->load, now_ms);
    rc = init_units(line, now_ms);
    if (rc < 0) {
        line_free(line);
        return rc;
    }
    init_backoff(line);
    line->state = has_work(line) ? CONNECTION_CONNECTING : CONNECTION_CLOSED;
    *out = line;
    return 0;
}

void line_free(struct line *line)
{
    if (line == NULL)
        return;
    assert(!line->stream_open);
    for (size_t i = 0; i < line->unit_count; i++)
        schedule_done(&line->units[i].schedule);
    free(line);
}

void line_stop(struct line *line)
{
    line->stopped = true;
    line->state = CONNECTION_CLOSED;
    if (line->transaction.active)
        unit_dropped(&line->transaction.unit->health);
    line->transaction.active = false;
    if (line->stream_open)
        line->args.stream->ops->close(line->args.stream);
}

void line_cancel(struct line *line)
{
    traffic_cancel(line);
}

/* ---- to be shown ---- */

bool line_stream_open(const struct line *line)
{
    return line->stream_open;
}

enum connection_state line_state(const struct line *line)
{
    return line->state;
}

const char *line_error(const struct line *line)
{
    return line->error.msg;
}

uint64_t line_reconnects(const struct line *line)
{
    return line->reconnects;
}

double line_load(const struct line *line, uint64_t now_ms)
{
    struct load load = line->load;

    if (line->transaction.active)
        load_add(&load, line->transaction.sent_ms, now_ms);
    return load_share(&load, now_ms);
}

const struct unit *line_unit(const struct line *line, size_t device)
{
    return &line->units[device].health;
}

int64_t line_last_ok_wall_ms(const struct line *line, size_t device)
{
    return line->units[device].last_ok_wall_ms;
}
