/* Traffic of one line.
 *
 * Happy path: pick (read-back, write, asked read, scheduled read) -> send -> a frame with the same
 * transaction, unit and function -> answer -> up.
 * Fails when: no answer comes in time, or one that is no Modbus: counted, tried again as often as the
 * device is to be, then given up; the line is none the worse. An exception is an answer: busy is tried
 * again, a block that is refused is divided, the rest goes up. A frame of no transaction in flight is
 * counted as late and dropped. */
#include "adapters/modbus/traffic.h"

#include <assert.h>
#include <errno.h>

enum {
    BUSY_REST_MS = 200, /* a device that is busy (exceptions 5 and 6) is left alone for so long */
    PROBE_REST = 19, /* a probe of 1 is followed by so much without one: 5 % of the line's time */
};

/* ---- events ---- */

static bool is_in_flight(const struct line *line, const struct line_write *write)
{
    return line->transaction.active && line->transaction.write == write;
}

static size_t number_of(const struct line *line, const struct turn_unit *unit)
{
    return (size_t)(unit - line->units);
}

void traffic_tell_unit(struct line *line, struct turn_unit *unit, bool changed)
{
    if (changed && !line->stopped)
        line->args.events->device_state(line->args.owner, number_of(line, unit),
                                        unit->health.state);
}

static void tell_answer(struct line *line, struct turn_unit *unit, size_t block,
                        const struct line_answer *answer)
{
    if (!line->stopped)
        line->args.events->answer(line->args.owner, number_of(line, unit), block, answer);
}

static void unlink_write(struct line *line, struct line_write *write)
{
    struct line_write **at = &line->writes;

    while (*at != write)
        at = &(*at)->next;
    *at = write->next;
    if (line->writes_end == &write->next)
        line->writes_end = at;
    write->next = NULL;
}

static void finish_write(struct line *line, struct line_write *write, enum write_outcome outcome,
                         const char *detail)
{
    unlink_write(line, write);
    line->args.events->written(line->args.owner, write, outcome, detail);
}

/* A write that will not be sent (again). */
static void drop_write(struct line *line, struct line_write *write, const char *detail)
{
    finish_write(line, write, write->tries > 0 ? WRITE_NO_ANSWER : WRITE_NOT_SENT, detail);
}

static void end_read(struct line *line, struct turn_unit *unit, size_t block,
                     const struct line_answer *answer)
{
    schedule_served(&unit->schedule, block, env_now_ms(line->args.env));
    tell_answer(line, unit, block, answer);
}

static void end_transaction(struct line *line, uint64_t now_ms)
{
    line->transaction.active = false;
    load_add(&line->load, line->transaction.sent_ms, now_ms);
    line->quiet_ms = now_ms + line->args.connection->request_delay_ms;
}

/* ---- a try has ended ---- */

/* Something on this connection speaks Modbus for the unit: the connection is worth keeping. */
static void peer_spoke(struct line *line, struct turn_unit *unit)
{
    line->failures = 0;
    backoff_reset(&line->backoff);
    unit->silent = 0;
}

void traffic_defer_probes(struct line *line)
{
    for (size_t i = 0; i < line->unit_count; i++)
        if (line->units[i].health.unanswered > 0)
            unit_defer(&line->units[i].health, line->probes_ms);
}

static bool anyone_answers(const struct line *line)
{
    for (size_t i = 0; i < line->unit_count; i++)
        if (line->units[i].enabled && line->units[i].schedule.count > 0 &&
            !turn_is_offline(&line->units[i]))
            return true;
    return false;
}

/* A probe took `spent_ms` of the line for nothing. That is rationed for those who answer; when nobody
 * does, nobody is kept waiting. */
static void charge_probe(struct line *line, uint64_t spent_ms, uint64_t now_ms)
{
    if (anyone_answers(line))
        line->probes_ms = now_ms + PROBE_REST * spent_ms;
    else
        line->probes_ms = 0;
}

/* Nobody that is or seems to be silent is asked before all reads that the others have due now. */
static void hold_silent(struct line *line, struct turn_unit *failed, uint64_t now_ms)
{
    for (size_t i = 0; i < line->unit_count; i++) {
        struct turn_unit *unit = &line->units[i];

        if (unit != failed && unit->health.unanswered == 0 && !turn_is_offline(unit))
            continue;
        unit->held = true;
        unit->held_ms = now_ms;
    }
}

static void unit_spoke(struct line *line, struct turn_unit *unit, bool was_offline)
{
    uint64_t now_ms = env_now_ms(line->args.env);

    peer_spoke(line, unit);
    unit->last_ok_wall_ms = env_wall_ms(line->args.env);
    if (!was_offline)
        return;
    schedule_all(&unit->schedule);
    for (size_t i = 0; i < line->unit_count; i++)
        unit_hope(&line->units[i].health, now_ms);
    traffic_defer_probes(line);
}

static void fail_read(struct line *line, struct turn_unit *unit, size_t block, int rc)
{
    struct schedule_poll *poll = &unit->schedule.polls[block];

    poll->tries++;
    if (poll->tries <= unit->device->read_retries && !turn_is_offline(unit))
        return; /* it is still due */
    end_read(line, unit, block, &(struct line_answer){ .rc = rc });
}

static void fail_write(struct line *line, struct turn_unit *unit, struct line_write *write,
                       const char *detail)
{
    if (write->tries <= write->retries && !turn_is_offline(unit))
        return; /* it is still in the queue */
    finish_write(line, write, WRITE_NO_ANSWER, detail);
}

static const char *failure_text(enum unit_failure why, int rc)
{
    if (why == UNIT_TIMEOUT)
        return "the device did not answer";
    if (why == UNIT_ABSENT)
        return "the gateway gets no answer from the device";
    return rc == -ENOTCONN ? "the connection was lost" : "malformed answer";
}

void traffic_fail(struct line *line, enum unit_failure why, int rc)
{
    const struct env *env = line->args.env;
    const struct transaction *t = &line->transaction;
    struct turn_unit *unit = t->unit;
    uint64_t now_ms = env_now_ms(env);
    bool was_probe = turn_is_offline(unit);
    bool changed;

    end_transaction(line, now_ms);
    if (why == UNIT_TIMEOUT)
        unit->silent++;
    changed = unit_failed(&unit->health, now_ms, why, env_random_u32(env));
    hold_silent(line, unit, now_ms);
    if (was_probe)
        charge_probe(line, now_ms - t->sent_ms, now_ms);
    traffic_defer_probes(line);
    traffic_tell_unit(line, unit, changed);
    if (line->stopped)
        return;
    if (t->write != NULL)
        fail_write(line, unit, t->write, failure_text(why, rc));
    else
        fail_read(line, unit, t->block, rc);
}

void traffic_lose(struct line *line)
{
    const struct transaction *t = &line->transaction;

    if (line->reader.reason == NULL || !line->torn || t->write != NULL) {
        traffic_fail(line, UNIT_OTHER, -ENOTCONN);
        return;
    }
    end_transaction(line, env_now_ms(line->args.env));
    unit_dropped(&t->unit->health);
}

static void refuse_read(struct line *line, struct turn_unit *unit, size_t block, uint8_t exception)
{
    size_t count = unit->schedule.count;

    if (pdu_exception_kind(exception) == PDU_EXCEPTION_BUSY) {
        unit->rest_ms = env_now_ms(line->args.env) + BUSY_REST_MS;
        fail_read(line, unit, block, -EBUSY);
        return;
    }
    if ((exception == 2 || exception == 3) &&
        line->args.events->split(line->args.owner, number_of(line, unit), block)) {
        schedule_split(&unit->schedule, block, count);
        return;
    }
    end_read(line, unit, block, &(struct line_answer){ .rc = -EREMOTEIO, .exception = exception });
}

static void refuse_write(struct line *line, struct turn_unit *unit, struct line_write *write,
                         uint8_t exception)
{
    if (pdu_exception_kind(exception) == PDU_EXCEPTION_BUSY) {
        unit->rest_ms = env_now_ms(line->args.env) + BUSY_REST_MS;
        if (write->tries <= write->retries)
            return;
    }
    finish_write(line, write, WRITE_REFUSED, pdu_exception_text(exception));
}

/* Read once from the bytes of an answer to the end of the tick that sends the next request: a clock costs
 * as much as decoding the answer. */
static uint64_t now_us(struct line *line)
{
    if (line->now_us == 0)
        line->now_us = line->args.now_us != NULL ? line->args.now_us()
                                                 : env_now_ms(line->args.env) * 1000;
    return line->now_us;
}

/* A valid response to the request in flight. */
static void take_response(struct line *line, const struct pdu_response *response)
{
    const struct transaction *t = &line->transaction;
    struct turn_unit *unit = t->unit;
    uint64_t now_ms = env_now_ms(line->args.env);
    uint32_t latency_us = (uint32_t)(now_us(line) - t->sent_us);
    bool was_offline = turn_is_offline(unit);
    bool changed;

    line->junk = 0;
    if (response->exception != 0 &&
        pdu_exception_kind(response->exception) == PDU_EXCEPTION_ABSENT) {
        peer_spoke(line, unit);
        traffic_fail(line, UNIT_ABSENT, -ETIMEDOUT);
        return;
    }
    end_transaction(line, now_ms);
    if (response->exception == 0)
        changed = unit_answered(&unit->health, latency_us);
    else
        changed = unit_refused(&unit->health, latency_us);
    unit_spoke(line, unit, was_offline);
    traffic_tell_unit(line, unit, changed);
    if (line->stopped)
        return;

    if (t->write != NULL && response->exception != 0)
        refuse_write(line, unit, t->write, response->exception);
    else if (t->write != NULL && response->altered)
        finish_write(line, t->write, WRITE_DIFFERS, "the device answered with another value");
    else if (t->write != NULL)
        finish_write(line, t->write, WRITE_DONE, "");
    else if (response->exception != 0)
        refuse_read(line, unit, t->block, response->exception);
    else
        end_read(line, unit, t->block,
                 &(struct line_answer){ .data = response->data, .length = response->length });
}

/* An answer to a request that was given up, or of somebody else. */
static void count_stray(struct line *line, const struct framing_frame *frame)
{
    uint64_t now_ms = env_now_ms(line->args.env);

    line->junk += FRAMING_HEADER + frame->length;
    for (size_t i = 0; i < line->unit_count; i++)
        if (line->units[i].enabled && line->units[i].device->unit_id == frame->unit_id) {
            peer_spoke(line, &line->units[i]);
            unit_late(&line->units[i].health, now_ms);
            traffic_defer_probes(line);
            return;
        }
    if (line->transaction.active)
        line->transaction.unit->health.late++;
}

void traffic_frame(struct line *line, const struct framing_frame *frame)
{
    const struct transaction *t = &line->transaction;
    struct pdu_response response;
    int rc;

    if (!t->active || frame->transaction != t->id || frame->unit_id != t->unit->device->unit_id) {
        count_stray(line, frame);
        return;
    }
    rc = pdu_parse(&response, &t->request, frame->pdu, frame->length);
    if (rc == 0)
        take_response(line, &response);
    else if (rc == -EPROTO)
        count_stray(line, frame);
    else
        traffic_fail(line, UNIT_OTHER, -EBADMSG);
}

/* ---- what goes next ---- */

static void send_request(struct line *line, struct turn_unit *unit, uint64_t now_ms)
{
    struct transaction *t = &line->transaction;
    struct stream *stream = line->args.stream;
    uint8_t frame[FRAMING_MAX];
    size_t length;

    t->active = true;
    t->id = ++line->last_id;
    t->unit = unit;
    t->sent_ms = now_ms;
    t->sent_us = now_us(line);
    unit->asked_ms = now_ms;
    t->deadline_ms = now_ms + unit_timeout_ms(&unit->health);
    line->torn = line->reader.length > 0 || line->reader.reason != NULL;
    unit_sent(&unit->health);
    length = framing_write(frame, t->id, unit->device->unit_id, t->request.bytes,
                           t->request.length);
    stream->ops->write(stream, frame, length);
}

static void send_read(struct line *line, struct turn_unit *unit, size_t block, uint64_t now_ms)
{
    int rc = plan_read_block(&line->transaction.request, &unit->plan->blocks[block]);

    assert(rc == 0); /* a plan's blocks can be read */
    (void)rc;
    line->transaction.write = NULL;
    line->transaction.block = block;
    send_request(line, unit, now_ms);
}

static bool send_write(struct line *line, uint64_t now_ms)
{
    struct line_write *write;
    int rc;

    for (write = line->writes; write != NULL; write = write->next)
        if (turn_may_ask(&line->units[write->device], now_ms))
            break;
    if (write == NULL)
        return false;

    rc = plan_write_tag(&line->transaction.request, write->tag, write->raw);
    assert(rc == 0); /* only writable tags come here */
    (void)rc;
    write->tries++;
    line->transaction.write = write;
    send_request(line, &line->units[write->device], now_ms);
    return true;
}

void traffic_send(struct line *line, uint64_t now_ms)
{
    struct turn_unit *units = line->units;
    struct turn_unit *unit;
    size_t count = line->unit_count;
    size_t block;

    turn_release(units, count);
    unit = turn_wished(units, count, SCHEDULE_VERIFY, now_ms, &block);
    if (unit == NULL && send_write(line, now_ms))
        return;
    if (unit == NULL)
        unit = turn_wished(units, count, SCHEDULE_ASKED, now_ms, &block);
    if (unit == NULL)
        unit = turn_due(units, count, &line->turn, now_ms, &block);
    if (unit != NULL)
        send_read(line, unit, block, now_ms);
}

/* ---- what cannot go ---- */

/* Why nothing can be asked of a unit now; NULL when it can. An offline unit that is never polled is
 * asked by its writes: they wait for the time of the probe. */
static const char *obstacle(const struct line *line, const struct turn_unit *unit)
{
    if (!unit->enabled)
        return "the device is disabled";
    if (line->state != CONNECTION_CONNECTED)
        return line->error.msg[0] != '\0' ? line->error.msg : "not connected yet";
    if (turn_is_offline(unit) && unit->schedule.count > 0)
        return unit->health.error[0] != '\0' ? unit->health.error : "the device is offline";
    return NULL;
}

/* Only the writes that are queued now: an owner may queue the next from inside `written`. */
static void drop_writes(struct line *line, uint64_t now_ms)
{
    struct line_write *last = NULL;
    struct line_write *write, *next;

    for (write = line->writes; write != NULL; write = write->next)
        last = write;
    for (write = line->writes; write != NULL && !line->stopped; write = next) {
        const char *why = obstacle(line, &line->units[write->device]);

        next = write == last ? NULL : write->next;
        if (is_in_flight(line, write))
            continue;
        if (why == NULL && write->deadline_ms != 0 && write->deadline_ms <= now_ms)
            why = "its deadline has passed";
        if (why != NULL)
            drop_write(line, write, why);
    }
}

static void drop_wishes(struct line *line, struct turn_unit *unit)
{
    bool silent = line->state == CONNECTION_CONNECTED && unit->enabled;
    int rc = silent ? -ETIMEDOUT : -ENOTCONN;

    for (size_t i = 0; i < unit->schedule.count && !line->stopped; i++)
        if (unit->schedule.polls[i].wish != SCHEDULE_NO_WISH)
            end_read(line, unit, i, &(struct line_answer){ .rc = rc });
}

void traffic_drop(struct line *line, uint64_t now_ms)
{
    if (line->writes != NULL)
        drop_writes(line, now_ms);
    for (size_t i = 0; i < line->unit_count && !line->stopped; i++) {
        struct turn_unit *unit = &line->units[i];

        if (unit->schedule.wishes > 0 && obstacle(line, unit) != NULL)
            drop_wishes(line, unit);
    }
}

void traffic_cancel(struct line *line)
{
    while (line->writes != NULL)
        drop_write(line, line->writes, "twinbridge is stopping");
}

/* ---- when ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When an idle, connected line has something to send. */
static uint64_t next_send_ms(const struct line *line)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < line->unit_count; i++) {
        next = earlier(next, turn_wants_ms(&line->units[i]));
        if (line->units[i].schedule.wishes > 0)
            next = earlier(next, line->units[i].rest_ms);
    }
    for (const struct line_write *write = line->writes; write != NULL; write = write->next) {
        const struct turn_unit *unit = &line->units[write->device];

        next = earlier(next, later(unit->rest_ms, unit_next_ms(&unit->health)));
    }
    return later(next, line->quiet_ms);
}

uint64_t traffic_next_ms(const struct line *line)
{
    uint64_t next = UINT64_MAX;

    if (line->transaction.active)
        next = line->transaction.deadline_ms;
    else if (line->state == CONNECTION_CONNECTED)
        next = next_send_ms(line);
    for (const struct line_write *write = line->writes; write != NULL; write = write->next)
        if (write->deadline_ms != 0 && !is_in_flight(line, write))
            next = earlier(next, write->deadline_ms);
    return next;
}
