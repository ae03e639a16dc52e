/* The Modbus adapter: joins the line (what goes over the wire), the samples (what it means) and the
 * stream with the owner of the seam.
 *
 * Happy path: open -> timer -> line_tick -> stream ... bytes -> line -> answer -> samples -> events.
 * A write goes to the line, and when the device accepted it the block of its tag is read before anything
 * else; that answer says whether the write did what was asked.
 * Fails when: the loop or memory is short at open. Everything later shows in states and results.
 *
 * Everything happens in callbacks of the loop: a call of the owner's only leaves a wish behind and makes
 * the timer fire at once, so that no event ever comes from inside it. Closing: the line stops, the stream
 * and the timer close, and when both are through all that was asked is answered and `closed` told. */
#include "adapters/modbus/modbus.h"

#include "adapters/modbus/asked.h"
#include "adapters/modbus/codec.h"
#include "adapters/modbus/line.h"
#include "adapters/modbus/mapping.h"
#include "adapters/modbus/samples.h"
#include "adapters/modbus/stream.h"

#include <uv.h>

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct device {
    struct samples *samples;
    struct asked asked;
    enum device_state state; /* told last */
    int64_t since_wall_ms;
};

struct modbus {
    struct adapter adapter; /* first */
    struct adapter_open args;
    struct modbus_connection *connection;
    struct stream *stream;
    struct line *line;
    struct plan **plans; /* per device; for the line */
    struct device *devices;
    int64_t since_wall_ms;

    uv_timer_t timer;
    uint64_t armed_ms; /* the tick that the timer stands for; 0 = it is not running */
    bool timer_open;
    bool turning; /* inside an event of the loop that ends with a tick */
    bool nudged;  /* the owner has asked for something since the last tick */
    bool closing;
    void (*closed)(void *owner);
};

/* ---- small ---- */

static uint64_t now_ms(const struct modbus *m)
{
    return env_now_ms(m->args.env);
}

static int64_t wall_ms(const struct modbus *m)
{
    return env_wall_ms(m->args.env);
}

static const struct config_connection *config_of(const struct modbus *m)
{
    return &m->args.config->connections[m->args.connection];
}

/* Position of a device on the line; the configuration's indices ascend. */
static size_t local(const struct modbus *m, size_t device)
{
    size_t low = 0;
    size_t high = m->connection->device_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (m->connection->devices[middle].index <= device)
            low = middle;
        else
            high = middle;
    }
    assert(low < high && m->connection->devices[low].index == device);
    return low;
}

static size_t global(const struct modbus *m, size_t device)
{
    return m->connection->devices[device].index;
}

static bool is_enabled(const struct modbus *m, size_t device)
{
    return config_of(m)->enabled && m->connection->devices[device].enabled;
}

/* ---- turning ---- */

static void on_timer(uv_timer_t *timer);

static void arm(struct modbus *m, uint64_t at_ms, uint64_t delay_ms)
{
    m->armed_ms = at_ms;
    uv_timer_start(&m->timer, on_timer, delay_ms, 0);
}

/* Sets the timer for the next tick; 0 = never. One that fires earlier stays: a tick too many does no harm,
 * and a deadline that moves with every request is not worth a timer that does. */
static void arm_next(struct modbus *m, uint64_t now, uint64_t next)
{
    if (m->armed_ms != 0 && m->armed_ms <= next)
        return;
    if (next != 0) {
        arm(m, next, next > now ? next - now : 0);
        return;
    }
    m->armed_ms = 0;
    uv_timer_stop(&m->timer);
}

/* Lets the line do what is due. */
static void turn(struct modbus *m)
{
    uint64_t now, next;

    if (m->closing)
        return;
    uv_update_time(m->args.loop); /* what came before may have been long */
    now = now_ms(m);
    m->nudged = false;
    next = line_tick(m->line, now);
    if (m->nudged) /* from inside an event of this very tick */
        next = now;
    m->turning = false;
    if (!m->closing)
        arm_next(m, now, next);
}

static void on_timer(uv_timer_t *timer)
{
    struct modbus *m = timer->data;

    m->armed_ms = 0;
    m->turning = true;
    turn(m);
}

/* Something new is wished: the line looks at it at the end of this event or in the next turn of the loop. */
static void nudge(struct modbus *m)
{
    m->nudged = true;
    if (!m->turning)
        arm(m, now_ms(m), 0);
}

static void on_opened(void *owner)
{
    struct modbus *m = owner;

    m->turning = true;
    line_opened(m->line);
    turn(m);
}

static void on_bytes(void *owner, const uint8_t *bytes, size_t length)
{
    struct modbus *m = owner;

    m->turning = true;
    line_bytes(m->line, bytes, length);
    turn(m);
}

static void maybe_closed(struct modbus *m);

static void on_closed(void *owner, int rc, const char *why)
{
    struct modbus *m = owner;

    m->turning = true;
    line_closed(m->line, rc, why);
    turn(m);
    maybe_closed(m);
}

static const struct stream_events stream_events = {
    .opened = on_opened,
    .bytes = on_bytes,
    .closed = on_closed,
};

/* ---- what the line tells ---- */

static void on_connection_state(void *owner, enum connection_state state)
{
    struct modbus *m = owner;

    m->since_wall_ms = wall_ms(m);
    m->args.events->connection_state(m->args.owner, m->args.connection, state);
}

static void on_device_state(void *owner, size_t device, enum device_state state)
{
    struct modbus *m = owner;
    struct device *d = &m->devices[device];

    if (d->state != state) /* else only the reason is another */
        d->since_wall_ms = wall_ms(m);
    d->state = state;
    m->args.events->device_state(m->args.owner, global(m, device), state);
}

struct change_context {
    struct modbus *m;
    size_t device;
};

static void on_changed(void *context, size_t tag, const struct sample *sample)
{
    const struct change_context *c = context;
    const struct modbus *m = c->m;

    if (!m->closing)
        m->args.events->sample(m->args.owner, global(m, c->device), tag, sample);
}

static void finish_write(struct modbus *m, size_t device, struct asked_write *write,
                         const struct write_result *result)
{
    asked_write_end(&m->devices[device].asked, write);
    m->args.events->write_done(m->args.owner, global(m, device), write->tag, result);
}

static bool reads_back(const struct modbus *m, size_t device, size_t tag)
{
    return m->connection->devices[device].tags[tag].verify &&
           samples_block(m->devices[device].samples, tag) != SAMPLES_NO_BLOCK;
}

static void on_written(void *owner, struct line_write *line_write, enum write_outcome outcome,
                       const char *detail)
{
    struct modbus *m = owner;
    struct asked_write *write = (struct asked_write *)line_write;
    size_t device = line_write->device;
    struct device *d = &m->devices[device];
    struct write_result result = { .outcome = outcome, .detail = detail };
    bool accepted = outcome == WRITE_DONE || outcome == WRITE_DIFFERS;

    if (!accepted || !reads_back(m, device, write->tag)) {
        finish_write(m, device, write, &result);
        return;
    }
    asked_verify(&d->asked, write);
    line_read(m->line, device, samples_block(d->samples, write->tag), SCHEDULE_VERIFY);
}

static bool on_split(void *owner, size_t device, size_t block)
{
    struct modbus *m = owner;

    return samples_split(m->devices[device].samples, block) == 0;
}

/* ---- who waits for an answer ---- */

static int read_result(int rc)
{
    switch (rc) {
    case 0:
    case -EREMOTEIO: /* a bad sample is a sample */
    case -EBADMSG:
        return 0;
    case -ENOTCONN:
        return -ENOTCONN;
    default:
        return -ETIMEDOUT;
    }
}

static void answer_write(struct modbus *m, size_t device, struct asked_write *write, int rc)
{
    struct device *d = &m->devices[device];
    struct write_result result;
    struct sample sample;

    samples_latest(d->samples, write->tag, &sample);
    result = asked_judge(&d->asked, write, rc, &sample);
    finish_write(m, device, write, &result);
}

static void answer_waiting(struct modbus *m, size_t device, const struct plan_block *block, int rc)
{
    struct asked *asked = &m->devices[device].asked;

    for (size_t i = 0; i < block->tag_count && !m->closing; i++) {
        size_t tag = block->tags[i];
        struct asked_write *write = asked_verifying(asked, tag);

        if (write != NULL)
            answer_write(m, device, write, rc);
        if (!m->closing && asked_read_end(asked, tag))
            m->args.events->read_done(m->args.owner, global(m, device), tag, read_result(rc));
    }
}

static void on_answer(void *owner, size_t device, size_t block, const struct line_answer *answer)
{
    struct modbus *m = owner;
    struct device *d = &m->devices[device];
    struct change_context context = { .m = m, .device = device };
    const struct plan_block *plan = &samples_plan(d->samples)->blocks[block];
    bool waiting = d->asked.waiting > 0;
    size_t bad = samples_bad(d->samples);

    if (waiting)
        asked_answered(&d->asked, plan);
    if (answer->rc == 0)
        samples_read(d->samples, block, answer->data, now_ms(m),
                     line_last_ok_wall_ms(m->line, device), on_changed, &context); /* just now */
    else if (answer->rc == -EREMOTEIO)
        samples_refused(d->samples, block, pdu_exception_text(answer->exception), now_ms(m),
                        wall_ms(m), on_changed, &context);
    else if (answer->rc == -EBADMSG)
        samples_refused(d->samples, block, "malformed answer", now_ms(m), wall_ms(m), on_changed,
                        &context);
    if (!m->closing && samples_bad(d->samples) != bad)
        line_bad_tags(m->line, device, samples_bad(d->samples));
    if (!m->closing && waiting)
        answer_waiting(m, device, plan, answer->rc);
}

static const struct line_events line_events = {
    .connection_state = on_connection_state,
    .device_state = on_device_state,
    .answer = on_answer,
    .split = on_split,
    .written = on_written,
};

/* ---- asked by the owner ---- */

static int modbus_read(struct adapter *adapter, size_t device, size_t tag)
{
    struct modbus *m = (struct modbus *)adapter;
    size_t number = local(m, device);
    struct device *d = &m->devices[number];
    size_t block = samples_block(d->samples, tag);
    int rc;

    if (block == SAMPLES_NO_BLOCK)
        return -EINVAL;
    rc = asked_read(&d->asked, tag);
    if (rc < 0)
        return rc;
    line_read(m->line, number, block, SCHEDULE_ASKED);
    nudge(m);
    return 0;
}

static int modbus_write(struct adapter *adapter, size_t device, size_t tag, struct value value,
                        uint64_t deadline_ms)
{
    struct modbus *m = (struct modbus *)adapter;
    size_t number = local(m, device);
    const struct config_tag *config = &m->args.config->devices[device].tags[tag];
    struct line_write *write;
    int rc = asked_write(&m->devices[number].asked, tag, value, &write);

    if (rc < 0)
        return rc;
    write->device = number;
    write->deadline_ms = deadline_ms;
    /* A pulse must not come twice, not even when its answer got lost. */
    write->retries = config->write_once ? 0 : m->connection->devices[number].write_retries;
    line_write(m->line, write);
    nudge(m);
    return 0;
}

static void modbus_latest(const struct adapter *adapter, size_t device, size_t tag,
                          struct sample *out)
{
    const struct modbus *m = (const struct modbus *)adapter;

    samples_latest(m->devices[local(m, device)].samples, tag, out);
}

static struct value modbus_nearest(const struct adapter *adapter, size_t device, size_t tag,
                                   struct value value)
{
    const struct modbus *m = (const struct modbus *)adapter;

    return codec_nearest(&m->connection->devices[local(m, device)].tags[tag], value);
}

static void modbus_status(const struct adapter *adapter, struct adapter_connection_status *out)
{
    const struct modbus *m = (const struct modbus *)adapter;

    *out = (struct adapter_connection_status){
        .state = line_state(m->line),
        .since_wall_ms = m->since_wall_ms,
        .error = line_error(m->line),
        .reconnects = line_reconnects(m->line),
        .load = line_load(m->line, now_ms(m)),
    };
}

static void modbus_device_status(const struct adapter *adapter, size_t device,
                                 struct adapter_device_status *out)
{
    const struct modbus *m = (const struct modbus *)adapter;
    size_t number = local(m, device);
    const struct unit *unit = line_unit(m->line, number);

    *out = (struct adapter_device_status){
        .state = is_enabled(m, number) ? unit->state : DEVICE_DISABLED,
        .since_wall_ms = m->devices[number].since_wall_ms,
        .last_ok_wall_ms = line_last_ok_wall_ms(m->line, number),
        .error = unit->error,
        .requests = unit->requests,
        .timeouts = unit->timeouts,
        .crc = unit->crc,
        .exceptions = unit->exceptions,
        .late = unit->late,
        .other = unit->other,
    };
    unit_latency(unit, &out->latency_p50_ms, &out->latency_p95_ms, &out->latency_max_ms);
}

/* ---- life ---- */

static void free_modbus(struct modbus *m)
{
    for (size_t i = 0; m->devices != NULL && i < m->connection->device_count; i++) {
        samples_free(m->devices[i].samples);
        asked_done(&m->devices[i].asked);
    }
    line_free(m->line);
    stream_free(m->stream);
    free(m->devices);
    free(m->plans);
    mapping_free(m->connection);
    free(m);
}

/* Everything that was asked is answered. Writes in the line's queue were answered by line_cancel. */
static void cancel_device(struct modbus *m, size_t device)
{
    struct asked *asked = &m->devices[device].asked;

    for (size_t tag = 0; tag < m->connection->devices[device].tag_count; tag++) {
        struct asked_write *write = asked_verifying(asked, tag);

        if (write != NULL)
            answer_write(m, device, write, -ECANCELED);
        if (asked_read_cancel(asked, tag))
            m->args.events->read_done(m->args.owner, global(m, device), tag, -ECANCELED);
    }
}

static void maybe_closed(struct modbus *m)
{
    void (*closed)(void *owner) = m->closed;
    void *owner = m->args.owner;

    if (!m->closing || m->timer_open || line_stream_open(m->line))
        return;
    line_cancel(m->line);
    for (size_t i = 0; i < m->connection->device_count; i++)
        cancel_device(m, i);
    free_modbus(m);
    closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct modbus *m = handle->data;

    m->timer_open = false;
    maybe_closed(m);
}

static void modbus_close(struct adapter *adapter, void (*closed)(void *owner))
{
    struct modbus *m = (struct modbus *)adapter;

    assert(!m->closing);
    m->closing = true;
    m->closed = closed;
    line_stop(m->line);
    uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}

static int init_device(struct modbus *m, size_t device)
{
    const struct modbus_device *config = &m->connection->devices[device];
    struct device *d = &m->devices[device];
    int rc;

    d->since_wall_ms = m->since_wall_ms;
    rc = asked_init(&d->asked, config);
    if (rc == 0)
        rc = samples_new(&d->samples, config);
    if (rc == 0)
        m->plans[device] = samples_plan(d->samples);
    return rc;
}

static int init_devices(struct modbus *m)
{
    size_t count = m->connection->device_count;
    int rc = 0;

    m->plans = calloc(count + 1, sizeof(struct plan *));
    m->devices = calloc(count + 1, sizeof *m->devices);
    if (m->plans == NULL || m->devices == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = init_device(m, i);
    return rc;
}

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

static int init_line(struct modbus *m)
{
    const struct modbus_connection *c = m->connection;
    const struct line_open open = {
        .connection = c,
        .plans = m->plans,
        .enabled = config_of(m)->enabled,
        .stream_events = &stream_events,
        .env = m->args.env,
        .now_us = now_us,
        .events = &line_events,
        .owner = m,
    };
    struct line_open args = open;
    int rc = tcp_new(&m->stream, m->args.loop, c->host, c->port, c->connect_timeout_ms);

    if (rc < 0)
        return rc;
    args.stream = m->stream;
    return line_new(&m->line, &args);
}

static int modbus_open(struct adapter **out, const struct adapter_open *args, struct err *err)
{
    struct modbus *m = calloc(1, sizeof *m);
    int rc;

    if (m == NULL)
        return -ENOMEM;
    m->adapter.ops = &modbus_adapter;
    m->args = *args;
    m->since_wall_ms = wall_ms(m);
    rc = mapping_read(&m->connection, args->config, args->connection);
    if (rc == 0)
        rc = init_devices(m);
    if (rc == 0)
        rc = init_line(m);
    if (rc == 0)
        rc = uv_timer_init(args->loop, &m->timer);
    if (rc < 0) {
        err_set(err, "cannot open connection \"%s\": %s", config_of(m)->name, strerror(-rc));
        free_modbus(m);
        return rc;
    }
    m->timer.data = m;
    m->timer_open = true;
    nudge(m);
    *out = &m->adapter;
    return 0;
}

const struct adapter_ops modbus_adapter = {
    .config = &modbus_mapping,
    .open = modbus_open,
    .read = modbus_read,
    .write = modbus_write,
    .latest = modbus_latest,
    .nearest = modbus_nearest,
    .status = modbus_status,
    .device_status = modbus_device_status,
    .close = modbus_close,
};
