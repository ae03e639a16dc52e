/* One bad unit hurts nobody else: whole lines with many units over minutes of a fake clock, some of them
 * silent. What is counted is polls that were answered, over every window of ten seconds. */
#include "adapters/modbus/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    UNITS_MAX = 16,
    BLOCKS = 2,
    START = 1000000,
    LATENCY_MS = 4,
    WINDOW_MS = 10000,
    SETTLE_MS = 3000, /* after it fell silent; the windows begin there */
    POLLS_MAX = 40000,
};

/* A line, its devices, and all answered polls of a unit as times. */
struct world {
    struct stream stream; /* first */
    struct modbus_tag tags[BLOCKS];
    struct modbus_device devices[UNITS_MAX];
    struct modbus_connection connection;
    struct plan *plans[UNITS_MAX];
    struct env env;
    struct line *line;
    bool silent[UNITS_MAX + 1]; /* by unit id */
    uint64_t now_ms, tick_ms;

    uint8_t answer[64]; /* under way to the line */
    size_t answer_length;
    uint64_t answer_ms;
    bool closing; /* to be told */

    uint64_t polls[UNITS_MAX][POLLS_MAX];
    size_t poll_count[UNITS_MAX];
    unsigned closes;
    uint64_t asked_ms;       /* the request on the line */
    uint8_t asked_unit;      /* and whose it is; 0 = none */
    uint64_t asked_timeouts; /* of that unit before it */
    uint64_t silence_ms;     /* time that requests to silent offline units were out */
    size_t probes;
    uint64_t longest_ms; /* such a request */
};

/* ---- the fake stream: devices that answer after LATENCY_MS, or never ---- */

static int fake_open(struct stream *stream, const struct stream_events *events, void *owner)
{
    (void)stream;
    (void)events;
    (void)owner;
    return 0;
}

static void fake_close(struct stream *stream)
{
    ((struct world *)stream)->closes++;
    ((struct world *)stream)->closing = true;
}

/* The request on the line was given up: how long was it out? */
static void note_silence(struct world *w)
{
    const struct unit *unit;

    if (w->asked_unit == 0)
        return;
    unit = line_unit(w->line, w->asked_unit - 1u);
    if (unit->timeouts == w->asked_timeouts)
        return;
    w->asked_unit = 0;
    if (unit->unanswered <= w->devices[0].offline_after)
        return; /* that was no probe yet */
    w->silence_ms += w->now_ms - w->asked_ms;
    w->probes++;
    if (w->now_ms - w->asked_ms > w->longest_ms)
        w->longest_ms = w->now_ms - w->asked_ms;
}

static void fake_write(struct stream *stream, const uint8_t *bytes, size_t length)
{
    struct world *w = (struct world *)stream;
    size_t data = 2u * bytes[11];

    note_silence(w);
    w->asked_ms = w->now_ms;
    w->asked_unit = bytes[6];
    w->asked_timeouts = line_unit(w->line, bytes[6] - 1u)->timeouts;
    if (w->silent[bytes[6]] || length != 12)
        return;
    memset(w->answer, 0, sizeof w->answer);
    memcpy(w->answer, bytes, 8);
    w->answer[5] = (uint8_t)(3 + data);
    w->answer[8] = (uint8_t)data;
    w->answer_length = 9 + data;
    w->answer_ms = w->now_ms + LATENCY_MS;
}

static const struct stream_ops fake_ops = { .open = fake_open,
                                            .write = fake_write,
                                            .close = fake_close };

/* ---- events ---- */

static void on_connection(void *owner, enum connection_state state)
{
    (void)owner;
    (void)state;
}

static void on_device(void *owner, size_t device, enum device_state state)
{
    (void)owner;
    (void)device;
    (void)state;
}

static void on_answer(void *owner, size_t device, size_t block, const struct line_answer *answer)
{
    struct world *w = owner;

    (void)block;
    if (answer->rc == 0 && w->poll_count[device] < POLLS_MAX)
        w->polls[device][w->poll_count[device]++] = w->now_ms;
}

static bool on_split(void *owner, size_t device, size_t block)
{
    (void)owner;
    (void)device;
    (void)block;
    return false;
}

static void on_written(void *owner, struct line_write *write, enum write_outcome outcome,
                       const char *detail)
{
    (void)owner;
    (void)write;
    (void)outcome;
    (void)detail;
}

static const struct line_events events = {
    .connection_state = on_connection,
    .device_state = on_device,
    .answer = on_answer,
    .split = on_split,
    .written = on_written,
};

/* ---- the world ---- */

static uint64_t fake_now(void *data)
{
    return ((struct world *)data)->now_ms;
}

static int64_t fake_wall(void *data)
{
    return (int64_t)((struct world *)data)->now_ms;
}

static uint32_t fake_random(void *data)
{
    (void)data;
    return 0; /* the shortest waits: the most probes */
}

static void tick(struct world *w)
{
    w->tick_ms = line_tick(w->line, w->now_ms);
    note_silence(w);
}

static uint64_t next_event_ms(const struct world *w)
{
    uint64_t next = w->tick_ms == 0 ? UINT64_MAX : w->tick_ms;

    if (w->answer_length > 0 && w->answer_ms < next)
        next = w->answer_ms;
    return next;
}

static void pass(struct world *w, uint64_t ms)
{
    uint64_t end = w->now_ms + ms;

    for (;;) {
        uint64_t next = next_event_ms(w);

        if (next > end)
            break;
        if (next > w->now_ms)
            w->now_ms = next;
        if (w->answer_length > 0 && w->answer_ms <= w->now_ms) {
            size_t length = w->answer_length;

            w->answer_length = 0;
            line_bytes(w->line, w->answer, length);
        }
        tick(w);
        if (w->closing) {
            w->closing = false;
            line_closed(w->line, 0, "");
            tick(w);
        }
        if (line_state(w->line) == CONNECTION_CONNECTING) {
            line_opened(w->line);
            tick(w);
        }
    }
    w->now_ms = end;
}

struct shape {
    const char *name;
    size_t units, dead;
    uint32_t poll_ms, timeout_ms;
};

static void add_device(struct world *w, size_t i, const struct shape *shape)
{
    w->devices[i] = (struct modbus_device){
        .name = "d",
        .enabled = true,
        .unit_id = (uint8_t)(i + 1),
        .response_timeout_ms = shape->timeout_ms,
        .read_retries = 1,
        .write_retries = 1,
        .offline_after = 3,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 30000,
        .max_registers = 125,
        .max_bits = 2000,
        .tags = w->tags,
        .tag_count = BLOCKS,
    };
    assert_int_equal(plan_new(&w->plans[i], &w->devices[i]), 0);
    assert_int_equal(w->plans[i]->block_count, BLOCKS);
}

static struct world *world_new(const struct shape *shape)
{
    struct world *w = calloc(1, sizeof *w);
    struct line_open args;

    assert_non_null(w);
    w->stream.ops = &fake_ops;
    w->now_ms = START;
    w->env = (struct env){ fake_now, fake_wall, fake_random, w };
    for (size_t i = 0; i < BLOCKS; i++)
        w->tags[i] = (struct modbus_tag){
            .table = MODBUS_TABLE_HOLDING,
            .address = (uint16_t)(100 * i),
            .count = 1,
            .type = MODBUS_TYPE_INT16,
            .bit = -1,
            .scale = 1,
            .decimals = -1,
            .access = CONFIG_READ,
            .poll_interval_ms = shape->poll_ms,
        };
    for (size_t i = 0; i < shape->units; i++)
        add_device(w, i, shape);
    w->connection = (struct modbus_connection){ .name = "c",
                                                .devices = w->devices,
                                                .device_count = shape->units };
    args = (struct line_open){ .connection = &w->connection,
                               .plans = w->plans,
                               .enabled = true,
                               .stream = &w->stream,
                               .env = &w->env,
                               .events = &events,
                               .owner = w };
    assert_int_equal(line_new(&w->line, &args), 0);
    tick(w);
    line_opened(w->line);
    tick(w);
    return w;
}

static void world_free(struct world *w)
{
    line_stop(w->line);
    line_closed(w->line, 0, "");
    line_cancel(w->line);
    line_free(w->line);
    for (size_t i = 0; i < w->connection.device_count; i++)
        plan_free(w->plans[i]);
    free(w);
}

/* How many polls of a unit were answered from a time on, over WINDOW_MS. */
static size_t polls_in(const struct world *w, size_t unit, uint64_t from_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < w->poll_count[unit]; i++)
        count += w->polls[unit][i] >= from_ms && w->polls[unit][i] < from_ms + WINDOW_MS;
    return count;
}

/* The worst window of the worst unit that answers, in per cent of all its polls. */
static size_t worst_share(const struct world *w, const struct shape *shape, uint64_t from_ms)
{
    size_t full = BLOCKS * WINDOW_MS / shape->poll_ms;
    size_t least = SIZE_MAX;

    for (size_t unit = shape->dead; unit < shape->units; unit++)
        for (uint64_t at = from_ms; at + WINDOW_MS <= w->now_ms; at += 50)
            if (polls_in(w, unit, at) < least)
                least = polls_in(w, unit, at);
    return least * 100 / full;
}

static void silent_units_leave_the_others_nine_tenths_of_their_polls(void **state)
{
    static const struct shape shapes[] = {
        { "four, one silent, as configured by default", 4, 1, 1000, 1000 },
        { "four, one silent, half a second", 4, 1, 500, 500 },
        { "four, one silent, fast", 4, 1, 200, 200 },
        { "four, one silent, faster than its time-out", 4, 1, 200, 1000 },
        { "sixteen, three dead, as configured by default", 16, 3, 1000, 1000 },
        { "sixteen, three dead, half a second", 16, 3, 500, 500 },
        { "sixteen, three dead, two seconds", 16, 3, 2000, 1000 },
        { "sixteen, fifteen dead", 16, 15, 1000, 200 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct shape *shape = &shapes[i];

        print_message("case %s\n", shape->name);
        /* whenever in a second it happens */
        for (unsigned phase = 0; phase < 1000; phase += 170) {
            struct world *w = world_new(shape);
            uint64_t fell_ms;
            size_t share;

            pass(w, 20000 + phase);
            for (size_t unit = 0; unit < shape->dead; unit++)
                w->silent[unit + 1] = true;
            fell_ms = w->now_ms;
            pass(w, 60000);

            share = worst_share(w, shape, fell_ms + SETTLE_MS);
            if (share < 90)
                print_message("phase %u: %zu %% of the polls\n", phase, share);
            assert_true(share >= 90);
            for (size_t unit = 0; unit < shape->units; unit++)
                assert_int_equal(line_unit(w->line, unit)->state,
                                 unit < shape->dead ? DEVICE_OFFLINE : DEVICE_ONLINE);
            assert_int_equal(w->closes, 0);
            world_free(w);
        }
    }
}

/* The time of probes, whatever backoff_max says, and however many there are to probe. */
static void probes_take_a_twentieth_of_the_time_at_most(void **state)
{
    static const struct shape shapes[] = {
        { "four, one silent", 4, 1, 1000, 1000 },
        { "sixteen, three dead", 16, 3, 1000, 1000 },
        { "sixteen, fifteen dead", 16, 15, 1000, 1000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct world *w = world_new(&shapes[i]);
        const uint64_t minutes_ms = 20 * 60000;

        print_message("case %s\n", shapes[i].name);
        /* One shape answered before: its probes are short. The others never did: they are not. */
        for (size_t unit = 0; unit < shapes[i].dead; unit++)
            w->devices[unit].backoff_max_ms = 1000;
        if (i > 0)
            for (size_t unit = 0; unit < shapes[i].dead; unit++)
                w->silent[unit + 1] = true;
        pass(w, 90000);
        for (size_t unit = 0; unit < shapes[i].dead; unit++)
            w->silent[unit + 1] = true;
        pass(w, 10000);
        w->silence_ms = 0;
        w->probes = 0;
        w->longest_ms = 0;
        pass(w, minutes_ms);

        print_message("%zu probes, %u ms, the longest %u ms\n", w->probes, (unsigned)w->silence_ms,
                      (unsigned)w->longest_ms);
        assert_true(w->probes >= 10);
        assert_true(w->silence_ms * 100 <= minutes_ms * 5 + w->longest_ms * 100);
        assert_int_equal(w->longest_ms, i > 0 ? 1000 : 50);
        for (size_t unit = 0; unit < shapes[i].dead; unit++)
            assert_true(line_unit(w->line, unit)->requests > 3); /* each gets its share */
        world_free(w);
    }
}

static void silent_units_are_back_by_themselves(void **state)
{
    static const struct {
        struct shape shape;
        uint64_t within_ms;
    } cases[] = {
        { { "four, one silent", 4, 1, 1000, 1000 }, 31000 },
        { { "sixteen, three dead", 16, 3, 1000, 1000 }, 31000 },
        { { "sixteen, all dead", 16, 16, 1000, 1000 }, 60000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct shape *shape = &cases[i].shape;
        struct world *w = world_new(shape);
        size_t online = 0;

        print_message("case %s\n", shape->name);
        pass(w, 10000);
        for (size_t unit = 0; unit < shape->dead; unit++)
            w->silent[unit + 1] = true;
        pass(w, 120000);
        memset(w->silent, 0, sizeof w->silent);
        pass(w, cases[i].within_ms);
        for (size_t unit = 0; unit < shape->units; unit++)
            online += line_unit(w->line, unit)->state == DEVICE_ONLINE;
        assert_int_equal(online, shape->units);
        pass(w, WINDOW_MS + 1000);

        assert_true(worst_share(w, &(struct shape){ "", shape->units, 0, 1000, 1000 },
                                w->now_ms - WINDOW_MS) >= 90);
        world_free(w);
    }
}

/* The one that comes back is a sign that the others may have: a repaired bus does not wait for each. */
static void first_unit_that_is_back_brings_the_others(void **state)
{
    static const struct shape shape = { "sixteen, eight dead", 16, 8, 1000, 200 };
    struct world *w = world_new(&shape);
    size_t online = 0;

    (void)state;
    pass(w, 10000);
    for (size_t unit = 0; unit < shape.dead; unit++)
        w->silent[unit + 1] = true;
    pass(w, 300000);
    memset(w->silent, 0, sizeof w->silent);
    for (int i = 0; i < 6000 && online == 0; i++) {
        pass(w, 10);
        for (size_t unit = 0; unit < shape.dead; unit++)
            online += line_unit(w->line, unit)->state == DEVICE_ONLINE;
    }
    assert_true(online > 0);
    pass(w, 1100); /* the ration of the last probe in vain may still hold them */

    for (size_t unit = 0; unit < shape.units; unit++)
        assert_int_equal(line_unit(w->line, unit)->state, DEVICE_ONLINE);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_units_leave_the_others_nine_tenths_of_their_polls),
        cmocka_unit_test(probes_take_a_twentieth_of_the_time_at_most),
        cmocka_unit_test(silent_units_are_back_by_themselves),
        cmocka_unit_test(first_unit_that_is_back_brings_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
