/* The fake clock, stream and device, and the owner's notes: see modbus_fixture.h. */
#include "tests/unit/modbus_fixture.h"

#include "adapters/modbus/modbus.h"
#include "adapters/modbus/stream.h"
#include "tests/unit/mapping_fixture.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "boiler" is the second device of the file: the adapter's own numbering begins elsewhere. */
static const char mapping_text[] =
    "{'hub': {'host_name': 'h.example', 'device_id': 'gw'},"
    " 'connections': {"
    "  'spare': {'transport': 'tcp', 'host': '10.0.0.9', 'enabled': false},"
    "  'plant': {'transport': 'tcp', 'host': '10.0.0.5', 'response_timeout': '30ms',"
    "            'poll_interval': '20ms', 'backoff_min': '10ms', 'backoff_max': '10ms'}},"
    " 'devices': {"
    "  'idle':   {'connection': 'spare', 'unit_id': 9, 'tags': {"
    "    'level': {'table': 'holding', 'address': 0, 'type': 'int16', 'access': 'rw'}}},"
    "  'boiler': {'connection': 'plant', 'unit_id': 1, 'tags': {"
    "    'level':  {'table': 'holding', 'address': 0, 'type': 'int16', 'access': 'rw'},"
    "    'rate':   {'table': 'holding', 'address': 1, 'type': 'float32', 'access': 'rw'},"
    "    'step':   {'table': 'holding', 'address': 3, 'type': 'int16', 'scale': 0.1,"
    "               'access': 'rw'},"
    "    'hole':   {'table': 'holding', 'address': 4, 'type': 'uint16'},"
    "    'pump':   {'table': 'coil', 'address': 0, 'access': 'rw'},"
    "    'wish':   {'table': 'holding', 'address': 50, 'type': 'uint16', 'access': 'w'},"
    "    'blind':  {'table': 'holding', 'address': 5, 'type': 'uint16', 'access': 'rw',"
    "               'verify': false}}},"
    "  'parked': {'connection': 'plant', 'unit_id': 2, 'enabled': false, 'tags': {"
    "    'level':  {'table': 'holding', 'address': 0, 'type': 'int16', 'access': 'rw'}}}}}";

static struct fixture *the; /* tcp_new has no other way to find it */

/* ---- the fake clock ---- */

int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_timer, uint64_t timeout,
                          uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_timer, uint64_t timeout,
                          uint64_t repeat);

/* A timer that is due now fires in the next turn; any other waits for pass_time. */
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_timer, uint64_t timeout,
                          uint64_t repeat)
{
    the->timer = timer;
    the->on_timer = on_timer;
    the->due_ms = the->now_ms + timeout;
    return __real_uv_timer_start(timer, on_timer, timeout == 0 ? 0 : UINT32_MAX, repeat);
}

/* ---- the fake stream ---- */

static int fake_open(struct stream *stream, const struct stream_events *events, void *owner)
{
    (void)stream;
    assert(!the->open && !the->opening);
    the->events = events;
    the->owner = owner;
    the->opening = true;
    return 0;
}

static void fake_write(struct stream *stream, const uint8_t *bytes, size_t length)
{
    (void)stream;
    assert(the->open);
    memcpy(the->request, bytes, length);
    the->request_length = length;
}

static void fake_close(struct stream *stream)
{
    (void)stream;
    the->closing |= the->open || the->opening;
    the->open = the->opening = false;
    the->request_length = 0;
}

static void fake_free(struct stream *stream)
{
    assert(!the->open && !the->opening && !the->closing);
    free(stream);
}

static const struct stream_ops fake_ops = {
    .open = fake_open, .write = fake_write, .close = fake_close, .free = fake_free
};

/* Stands in for tcp.c: the linker finds this one first. */
int tcp_new(struct stream **out, struct uv_loop_s *loop, const char *host, int port,
            uint32_t connect_timeout_ms)
{
    struct stream *stream = calloc(1, sizeof *stream);

    (void)loop;
    (void)connect_timeout_ms;
    if (stream == NULL)
        return -ENOMEM;
    stream->ops = &fake_ops;
    snprintf(stream->peer, sizeof stream->peer, "%s:%d", host, port);
    *out = stream;
    return 0;
}

/* ---- the device at its end ---- */

static size_t read_registers(struct fixture *f, uint16_t start, uint16_t count, uint8_t *out)
{
    f->reads++;
    if (f->hole >= start && f->hole < start + count) {
        out[0] |= 0x80;
        out[1] = 2;
        return 2;
    }
    out[1] = (uint8_t)(count * 2);
    for (size_t i = 0; i < count; i++) {
        out[2 + 2 * i] = (uint8_t)(f->registers[start + i] >> 8);
        out[3 + 2 * i] = (uint8_t)f->registers[start + i];
    }
    return 2 + count * 2u;
}

static void store(struct fixture *f, uint16_t address, const uint8_t *words, size_t count)
{
    f->writes++;
    for (size_t i = 0; i < count && !f->stubborn; i++)
        f->registers[address + i] = (uint16_t)(words[2 * i] << 8 | words[2 * i + 1]);
}

/* The response PDU to the request PDU in `in`; returns its length. */
static size_t serve(struct fixture *f, const uint8_t *in, uint8_t *out)
{
    uint16_t address = (uint16_t)(in[1] << 8 | in[2]);
    uint16_t count = (uint16_t)(in[3] << 8 | in[4]);

    memcpy(out, in, 5);
    switch (in[0]) {
    case 1:
        out[1] = 1;
        out[2] = f->coils[address];
        return 3;
    case 3:
        return read_registers(f, address, count, out);
    case 5:
        f->coils[address] = in[3] == 0xFF;
        return 5;
    case 6:
        store(f, address, in + 3, 1);
        return 5;
    default:
        store(f, address, in + 6, count);
        return 5;
    }
}

static void answer_request(struct fixture *f)
{
    uint8_t frame[260] = { 0 };
    size_t length;

    if (f->request_length == 0 || f->mute)
        return;
    length = serve(f, f->request + 7, frame + 7);
    memcpy(frame, f->request, 7);
    frame[5] = (uint8_t)(length + 1);
    f->request_length = 0;
    f->events->bytes(f->owner, frame, length + 7);
}

/* ---- the owner ---- */

static uint64_t fake_now(void *data)
{
    (void)data;
    return the->now_ms;
}

static int64_t some_wall(void *data)
{
    (void)data;
    return 1790000000000;
}

static uint32_t no_random(void *data)
{
    (void)data;
    return 0;
}

static void on_closed(void *owner)
{
    ((struct fixture *)owner)->closed = true;
}

__attribute__((format(printf, 2, 3))) static void note(struct fixture *f, const char *format, ...)
{
    size_t length = strlen(f->log);
    va_list args;

    va_start(args, format);
    vsnprintf(f->log + length, sizeof f->log - length, format, args);
    va_end(args);
    f->told_inside |= f->in_call || f->closed;
    f->told++;
    if (f->told == f->close_at) {
        f->close_asked = true;
        f->adapter->ops->close(f->adapter, on_closed);
    }
}

static const char *tag_name(const struct fixture *f, size_t device, size_t tag)
{
    return f->config->devices[device].tags[tag].name;
}

static const char *text(const struct sample *sample)
{
    static const char *const qualities[] = { "none", "good", "bad", "stale" };
    static char out[64];
    char value[VALUE_TEXT_MAX];

    value_print(sample->value, value);
    snprintf(out, sizeof out, "%s %s", qualities[sample->quality], value);
    return out;
}

static void on_sample(void *owner, size_t device, size_t tag, const struct sample *sample)
{
    note(owner, "%s=%s;", tag_name(owner, device, tag), text(sample));
}

static void on_read_done(void *owner, size_t device, size_t tag, int rc)
{
    note(owner, "read %s %d;", tag_name(owner, device, tag), rc);
}

static void on_write_done(void *owner, size_t device, size_t tag, const struct write_result *result)
{
    static const char *const names[] = { "done", "differs", "refused", "no answer", "not sent" };

    note(owner, "write %s %s, %s;", tag_name(owner, device, tag), names[result->outcome],
         text(&result->readback));
}

static void on_connection(void *owner, size_t connection, enum connection_state state)
{
    static const char *const names[] = { "connecting", "connected", "waiting", "closed" };

    note(owner, "connection%zu %s;", connection, names[state]);
}

static void on_device(void *owner, size_t device, enum device_state state)
{
    static const char *const names[] = { "starting", "online", "degraded", "offline", "disabled" };

    note(owner, "device%zu %s;", device, names[state]);
}

const struct adapter_events owner_events = {
    .sample = on_sample,
    .read_done = on_read_done,
    .write_done = on_write_done,
    .connection_state = on_connection,
    .device_state = on_device,
};

/* ---- turning ---- */

static bool world_waits(const struct fixture *f)
{
    return f->closing || f->opening || (f->request_length > 0 && !f->mute);
}

/* Nothing is left to do before the timer. */
static void pass_time(struct fixture *f)
{
    if (f->timer == NULL || !uv_is_active((uv_handle_t *)f->timer) || f->due_ms <= f->now_ms)
        return;
    f->now_ms = f->due_ms;
    __real_uv_timer_start(f->timer, f->on_timer, 0, 0);
}

bool turn(struct fixture *f)
{
    if (!world_waits(f))
        pass_time(f);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    if (f->closed)
        return false;
    if (f->closing) {
        f->closing = false;
        f->events->closed(f->owner, 0, "");
    } else if (f->opening && f->absent) {
        f->opening = false;
        f->events->closed(f->owner, -ECONNREFUSED, "connection refused");
    } else if (f->opening) {
        f->opening = false;
        f->open = true;
        f->events->opened(f->owner);
    } else if (f->open) {
        answer_request(f);
    }
    return ++f->turns < PATIENCE;
}

bool until(struct fixture *f, const char *want)
{
    while (strstr(f->log, want) == NULL && turn(f))
        ;
    print_message("%s\n", f->log);
    return strstr(f->log, want) != NULL;
}

void turns(struct fixture *f, unsigned reads)
{
    unsigned end = f->reads + reads;

    while (f->reads < end && !f->closed && turn(f))
        ;
}

void forget(struct fixture *f)
{
    f->log[0] = '\0';
}

int ask_write(struct fixture *f, size_t tag, struct value value)
{
    int rc;

    f->in_call = true;
    rc = f->adapter->ops->write(f->adapter, BOILER, tag, value, 0);
    f->in_call = false;
    return rc;
}

int ask_read(struct fixture *f, size_t device, size_t tag)
{
    int rc;

    f->in_call = true;
    rc = f->adapter->ops->read(f->adapter, device, tag);
    f->in_call = false;
    return rc;
}

void ask_close(struct fixture *f)
{
    f->in_call = f->close_asked = true;
    f->adapter->ops->close(f->adapter, on_closed);
    f->in_call = false;
}

void open_adapter(struct fixture *f, size_t connection)
{
    const struct adapter_open args = { .loop = &f->loop,
                                       .env = &f->env,
                                       .config = f->config,
                                       .connection = connection,
                                       .events = &owner_events,
                                       .owner = f };
    struct err err = { "" };

    f->in_call = true;
    assert_int_equal(modbus_adapter.open(&f->adapter, &args, &err), 0);
    f->in_call = false;
}

int set_up_world(void **state)
{
    static const struct config_adapter *adapters[2];
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    adapters[0] = modbus_adapter.config;
    the = f;
    f->hole = -1;
    f->now_ms = 1000000;
    f->env = (struct env){ fake_now, some_wall, no_random, NULL };
    f->registers[0] = 7;
    f->registers[1] = 0x41A4; /* 20.5 */
    f->registers[3] = 215;
    f->mapping = calloc(1, sizeof *f->mapping);
    assert_non_null(f->mapping);
    mapping_load(f->mapping, mapping_text, adapters);
    assert_string_equal(f->mapping->said, "");
    f->config = f->mapping->config;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    *state = f;
    return 0;
}

int set_up(void **state)
{
    set_up_world(state);
    open_adapter(*state, PLANT);
    return 0;
}

int set_up_running(void **state)
{
    struct fixture *f;

    set_up(state);
    f = *state;
    assert_true(until(f, "blind=good 0;"));
    forget(f);
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;

    if (!f->close_asked)
        ask_close(f);
    while (!f->closed && turn(f))
        ;
    assert_true(f->closed);
    assert_false(f->told_inside);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    mapping_free(f->mapping);
    free(f->mapping);
    free(f);
    return 0;
}

struct sample latest(const struct fixture *f, size_t tag)
{
    struct sample sample;

    f->adapter->ops->latest(f->adapter, BOILER, tag, &sample);
    return sample;
}
