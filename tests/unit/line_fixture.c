/* The fake stream, the fake clock and the notes: see line_fixture.h. */
#include "tests/unit/line_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REGISTER(at)                                                                               \
    {                                                                                              \
        .table = MODBUS_TABLE_HOLDING, .address = (at), .count = 1, .type = MODBUS_TYPE_INT16,     \
        .bit = -1, .scale = 1, .decimals = -1, .access = CONFIG_READ_WRITE, .verify = true,        \
        .poll_interval_ms = 1000                                                                   \
    }
#define COIL(at)                                                                                   \
    {                                                                                              \
        .table = MODBUS_TABLE_COIL, .address = (at), .count = 1, .type = MODBUS_TYPE_BOOL,         \
        .bit = -1, .scale = 1, .decimals = -1, .access = CONFIG_READ_WRITE, .verify = true,        \
        .poll_interval_ms = 1000                                                                   \
    }

static const struct modbus_tag tags[TAGS] = { REGISTER(0),   REGISTER(1), REGISTER(2), REGISTER(3),
                                              REGISTER(100), COIL(5),     COIL(6) };

__attribute__((format(printf, 2, 3))) static void note(struct fixture *f, const char *format, ...)
{
    size_t length = strlen(f->log);
    va_list args;

    va_start(args, format);
    vsnprintf(f->log + length, sizeof f->log - length, format, args);
    va_end(args);
    f->events++;
    if (f->events == f->stop_at)
        line_stop(f->line);
}

const char *noted(struct fixture *f)
{
    static char copy[LOG];

    memcpy(copy, f->log, sizeof copy);
    f->log[0] = '\0';
    print_message("at %d ms: %s\n", (int)(f->now_ms - START), copy);
    return copy;
}

/* ---- the fake stream ---- */

static int fake_open(struct stream *stream, const struct stream_events *events, void *owner)
{
    struct fixture *f = (struct fixture *)stream;

    (void)events;
    (void)owner;
    if (f->open_rc == 0) {
        f->opens++;
        f->is_open = true;
    }
    return f->open_rc;
}

static void fake_write(struct stream *stream, const uint8_t *bytes, size_t length)
{
    struct fixture *f = (struct fixture *)stream;

    f->sent++;
    f->last = (struct request){ .transaction = (uint16_t)(bytes[0] << 8 | bytes[1]),
                                .unit_id = bytes[6],
                                .function = bytes[7],
                                .address = (uint16_t)(bytes[8] << 8 | bytes[9]),
                                .count = (uint16_t)(bytes[10] << 8 | bytes[11]) };
    if (length < 12)
        f->last = (struct request){ .unit_id = 0 };
}

static void fake_close(struct stream *stream)
{
    struct fixture *f = (struct fixture *)stream;

    f->closes++;
}

static const struct stream_ops fake_ops = { .open = fake_open,
                                            .write = fake_write,
                                            .close = fake_close };

/* ---- events ---- */

static void on_connection(void *owner, enum connection_state state)
{
    static const char *const names[] = { "connecting", "connected", "waiting", "closed" };

    note(owner, "%s;", names[state]);
}

static void on_device(void *owner, size_t device, enum device_state state)
{
    static const char *const names[] = { "starting", "online", "degraded", "offline", "disabled" };

    note(owner, "unit%zu %s;", device + 1, names[state]);
}

static void on_answer(void *owner, size_t device, size_t block, const struct line_answer *answer)
{
    const char *text = "?";

    switch (answer->rc) {
    case 0:
        text = "ok";
        break;
    case -EREMOTEIO:
        text = "refused";
        break;
    case -EBADMSG:
        text = "malformed";
        break;
    case -EBUSY:
        text = "busy";
        break;
    case -ETIMEDOUT:
        text = "silent";
        break;
    case -ENOTCONN:
        text = "unconnected";
        break;
    }
    note(owner, "unit%zu.%zu %s;", device + 1, block, text);
}

static bool on_split(void *owner, size_t device, size_t block)
{
    struct fixture *f = owner;
    size_t added;

    return f->can_split && plan_split(f->plans[device], block, &added) == 0;
}

static void on_written(void *owner, struct line_write *write, enum write_outcome outcome,
                       const char *detail)
{
    static const char *const names[] = { "done", "differs", "refused", "no answer", "not sent" };
    struct fixture *f = owner;

    note(f, "write%d %s%s%s;", (int)(write - f->writes), names[outcome], detail[0] ? ": " : "",
         detail);
}

const struct line_events fixture_events = {
    .connection_state = on_connection,
    .device_state = on_device,
    .answer = on_answer,
    .split = on_split,
    .written = on_written,
};

/* ---- the world ---- */

static uint64_t fake_now(void *data)
{
    return ((struct fixture *)data)->now_ms;
}

static int64_t fake_wall(void *data)
{
    return (int64_t)((struct fixture *)data)->now_ms + 7;
}

static uint32_t fake_random(void *data)
{
    return ((struct fixture *)data)->random;
}

void tick(struct fixture *f)
{
    f->next_ms = line_tick(f->line, f->now_ms);
}

void pass(struct fixture *f, uint64_t ms)
{
    uint64_t end = f->now_ms + ms;

    while (f->next_ms != 0 && f->next_ms <= end) {
        if (f->next_ms > f->now_ms)
            f->now_ms = f->next_ms;
        tick(f);
    }
    f->now_ms = end;
    tick(f);
}

void opened(struct fixture *f)
{
    line_opened(f->line);
    tick(f);
}

void closed(struct fixture *f, const char *why)
{
    f->is_open = false;
    line_closed(f->line, -ECONNRESET, why);
    tick(f);
}

void bytes(struct fixture *f, const uint8_t *data, size_t length)
{
    line_bytes(f->line, data, length);
    tick(f);
}

size_t response(const struct request *request, uint8_t out[300])
{
    size_t data = request->function <= 2 ? (request->count + 7u) / 8u : request->count * 2u;
    size_t length = request->function <= 4 ? 3 + data : 6;

    memset(out, 0, 300);
    out[0] = (uint8_t)(request->transaction >> 8);
    out[1] = (uint8_t)request->transaction;
    out[5] = (uint8_t)length;
    out[6] = request->unit_id;
    out[7] = request->function;
    out[8] = (uint8_t)(request->function <= 4 ? data : (size_t)request->address >> 8);
    if (request->function > 4) {
        out[9] = (uint8_t)request->address;
        out[10] = (uint8_t)(request->count >> 8);
        out[11] = (uint8_t)request->count;
    }
    return 6 + length;
}

void answer(struct fixture *f)
{
    uint8_t frame[300];

    bytes(f, frame, response(&f->last, frame));
}

void refuse(struct fixture *f, uint8_t exception)
{
    const uint8_t frame[9] = { (uint8_t)(f->last.transaction >> 8),
                               (uint8_t)f->last.transaction,
                               0,
                               0,
                               0,
                               3,
                               f->last.unit_id,
                               (uint8_t)(f->last.function | 0x80),
                               exception };

    bytes(f, frame, sizeof frame);
}

void answer_all(struct fixture *f, uint8_t silent)
{
    unsigned sent = 0;

    while (sent != f->sent && f->last.unit_id != silent) {
        sent = f->sent;
        answer(f);
    }
}

int line_fixture_line(struct fixture *f, bool enabled)
{
    const struct line_open args = {
        .connection = &f->connection,
        .plans = f->plans,
        .enabled = enabled,
        .stream = &f->stream,
        .env = &f->env,
        .now_us = f->now_us,
        .events = &fixture_events,
        .owner = f,
    };

    return line_new(&f->line, &args);
}

static void init_device(struct fixture *f, size_t i)
{
    f->devices[i] = (struct modbus_device){
        .name = "d",
        .enabled = true,
        .unit_id = (uint8_t)(i + 1),
        .response_timeout_ms = 500,
        .read_retries = 1,
        .write_retries = 1,
        .offline_after = 3,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 30000,
        .max_registers = 125,
        .max_bits = 2000,
        .tags = f->tags,
        .tag_count = TAGS,
    };
    assert_int_equal(plan_new(&f->plans[i], &f->devices[i]), 0);
    assert_int_equal(f->plans[i]->block_count, 3);
}

static void find_blocks(struct fixture *f)
{
    for (size_t i = 0; i < 3; i++) {
        const struct plan_block *block = &f->plans[0]->blocks[i];

        if (mapping_is_bits(block->table))
            f->block[COIL_BLOCK] = i;
        else
            f->block[block->start == 0 ? MAIN_BLOCK : SIDE_BLOCK] = i;
    }
}

struct fixture *line_fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    memcpy(f->tags, tags, sizeof tags);
    f->stream.ops = &fake_ops;
    snprintf(f->stream.peer, sizeof f->stream.peer, "10.0.0.5:502");
    f->now_ms = START;
    f->random = UINT32_MAX; /* the longest wait */
    f->can_split = true;
    f->env = (struct env){ fake_now, fake_wall, fake_random, f };
    f->connection = (struct modbus_connection){
        .name = "c", .host = "10.0.0.5", .port = 502, .devices = f->devices, .device_count = UNITS
    };
    for (size_t i = 0; i < UNITS; i++)
        init_device(f, i);
    find_blocks(f);
    return f;
}

int set_up(void **state)
{
    struct fixture *f = line_fixture_new();

    if (f == NULL || line_fixture_line(f, true) < 0)
        return -1;
    *state = f;
    return 0;
}

int set_up_running(void **state)
{
    struct fixture *f;

    if (set_up(state) < 0)
        return -1;
    f = *state;
    tick(f);
    opened(f);
    answer_all(f, 0);
    f->log[0] = '\0';
    f->sent = 0;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;

    line_stop(f->line);
    if (f->is_open)
        line_closed(f->line, 0, "");
    line_cancel(f->line);
    line_free(f->line);
    for (size_t i = 0; i < UNITS; i++)
        plan_free(f->plans[i]);
    free(f);
    return 0;
}

void queue_write(struct fixture *f, size_t number, size_t device, size_t tag, uint64_t deadline_ms)
{
    f->writes[number] = (struct line_write){ .device = device,
                                             .tag = &f->tags[tag],
                                             .raw = { 0, 1 },
                                             .deadline_ms = deadline_ms,
                                             .retries = 1 };
    if (f->tags[tag].table == MODBUS_TABLE_COIL)
        f->writes[number].raw[0] = 1;
    line_write(f->line, &f->writes[number]);
    tick(f);
}

const struct unit *unit(const struct fixture *f, size_t device)
{
    return line_unit(f->line, device);
}
