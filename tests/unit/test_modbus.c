/* The Modbus adapter through its seam, each sentence of adapters/adapter.h. */
#include "adapters/modbus/modbus.h"
#include "tests/unit/modbus_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- memory that runs out ---- */

static size_t allocations_left = SIZE_MAX;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return __real_calloc(count, size);
}

/* ---- samples ---- */

static void open_reads_everything_and_tells_each_tag_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(latest(f, LEVEL).quality, QUALITY_NONE);
    assert_true(until(f, "blind=good 0;"));
    turns(f, 3);

    assert_non_null(strstr(f->log, "connection1 connected;device1 online;"));
    assert_non_null(strstr(f->log, "level=good 7;rate=good 20.5;step=good 21.5;hole=good 0;"));
    assert_null(strstr(strstr(f->log, "level") + 1, "level"));
    assert_null(strstr(f->log, "wish"));
    assert_int_equal(latest(f, WISH).quality, QUALITY_NONE);
}

static void poll_of_unchanged_registers_moves_only_the_time(void **state)
{
    struct fixture *f = *state;
    uint64_t before = latest(f, LEVEL).now_ms;

    turns(f, 3);

    assert_string_equal(f->log, "");
    assert_true(latest(f, LEVEL).now_ms > before);
    assert_int_equal(latest(f, LEVEL).wall_ms, 1790000000000);
}

static void poll_of_a_changed_register_tells_that_tag_only(void **state)
{
    struct fixture *f = *state;

    f->registers[0] = 8;

    assert_true(until(f, "level=good 8;"));
    assert_string_equal(f->log, "level=good 8;");
}

static void poll_of_a_refused_address_costs_only_its_tag(void **state)
{
    struct fixture *f = *state;
    struct adapter_device_status status;

    f->hole = 4;
    assert_true(until(f, "device1 degraded;"));
    turns(f, 10);

    assert_string_equal(f->log, "hole=bad null;device1 degraded;");
    assert_string_equal(latest(f, HOLE).reason, "illegal data address (exception 2)");
    assert_int_equal(latest(f, LEVEL).quality, QUALITY_GOOD);
    f->adapter->ops->device_status(f->adapter, BOILER, &status);
    assert_true(status.exceptions > 1);

    f->hole = -1;
    assert_true(until(f, "hole=good 0;"));
}

static void offline_device_keeps_its_samples(void **state)
{
    struct fixture *f = *state;
    struct adapter_connection_status line;
    struct adapter_device_status status;

    f->mute = true;
    assert_true(until(f, "device1 offline;"));
    assert_int_equal(latest(f, LEVEL).quality, QUALITY_GOOD);
    f->adapter->ops->device_status(f->adapter, BOILER, &status);
    assert_int_equal(status.state, DEVICE_OFFLINE);
    assert_int_equal(status.timeouts, 3);
    assert_true(status.requests > 3);
    assert_int_equal(status.last_ok_wall_ms, 1790000000000);

    f->mute = false;
    f->registers[0] = 9;
    assert_true(until(f, "level=good 9;"));
    assert_non_null(strstr(f->log, "device1 online;"));
    f->adapter->ops->status(f->adapter, &line);
    assert_int_equal(line.state, CONNECTION_CONNECTED);
    assert_string_equal(line.error, "");
    assert_true(line.load > 0 && line.load < 1); /* it was silent */
}

static void absent_peer_is_tried_again(void **state)
{
    struct fixture *f = *state;
    struct adapter_connection_status line;

    f->absent = true;
    assert_true(until(f, "device1 offline;"));
    f->adapter->ops->status(f->adapter, &line);
    assert_string_equal(line.error, "connection refused");
    assert_int_equal(line.reconnects, 0);

    f->absent = false;
    assert_true(until(f, "level=good 7;"));
}

/* ---- writes ---- */

static void write_is_read_back_before_it_is_told(void **state)
{
    static const struct {
        const char *name;
        size_t tag;
        struct value value;
        const char *want;
    } cases[] = {
        { "integer",
          LEVEL,
          { .type = VALUE_INT, .integer = -5 },
          "level=good -5;write level done, good -5;" },
        { "same again", LEVEL, { .type = VALUE_INT, .integer = -5 }, "write level done, good -5;" },
        { "float",
          RATE,
          { .type = VALUE_FLOAT, .number = 1.25 },
          "rate=good 1.25;write rate done, good 1.25;" },
        { "between steps",
          STEP,
          { .type = VALUE_FLOAT, .number = 3.14 },
          "step=good 3.1;write step done, good 3.1;" },
        { "coil",
          PUMP,
          { .type = VALUE_BOOL, .boolean = true },
          "pump=good true;write pump done, good true;" },
        { "write-only", WISH, { .type = VALUE_INT, .integer = 3 }, "write wish done, none null;" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].name);
        forget(f);
        assert_int_equal(ask_write(f, cases[i].tag, cases[i].value), 0);
        assert_true(until(f, "write "));
        assert_string_equal(f->log, cases[i].want);
    }
    assert_int_equal(f->registers[50], 3);
}

static void write_without_verify_is_done_when_accepted(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ask_write(f, BLIND, value_int(3)), 0);
    assert_true(until(f, "write blind done, none null;"));
    assert_int_equal(f->registers[5], 3);
}

static void write_that_the_device_ignores_differs(void **state)
{
    struct fixture *f = *state;

    f->stubborn = true;
    assert_int_equal(ask_write(f, LEVEL, value_int(99)), 0);

    assert_true(until(f, "write level differs, good 7;"));
    assert_int_equal(f->registers[0], 7);
}

static void write_of_what_cannot_be_written_is_refused_at_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ask_write(f, HOLE, value_int(1)), -EINVAL);
    assert_int_equal(ask_write(f, LEVEL, value_bool(true)), -EINVAL);
    assert_int_equal(ask_write(f, LEVEL, value_int(70000)), -ERANGE);
    assert_int_equal(ask_write(f, LEVEL, value_int(1)), 0);
    assert_int_equal(ask_write(f, LEVEL, value_int(2)), -EAGAIN);
    assert_true(until(f, "write level done, good 1;"));
    assert_int_equal(f->writes, 1);
}

static void write_to_a_silent_device_has_an_unknown_outcome(void **state)
{
    struct fixture *f = *state;

    f->mute = true;
    assert_int_equal(ask_write(f, LEVEL, value_int(1)), 0);

    assert_true(until(f, "write level no answer, none null;"));
}

static void write_to_an_absent_device_is_not_sent(void **state)
{
    struct fixture *f = *state;

    f->absent = true;
    assert_true(until(f, "waiting;"));
    assert_int_equal(ask_write(f, LEVEL, value_int(1)), 0);

    assert_true(until(f, "write level not sent, none null;"));
}

static void nearest_is_what_reads_back(void **state)
{
    struct fixture *f = *state;
    struct value value = f->adapter->ops->nearest(f->adapter, BOILER, STEP, value_float(3.14));

    assert_true(value.type == VALUE_FLOAT && value.number == 3.1);
}

/* ---- reads ---- */

static void read_is_answered_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ask_read(f, BOILER, WISH), -EINVAL);
    assert_int_equal(ask_read(f, BOILER, LEVEL), 0);
    assert_int_equal(ask_read(f, BOILER, LEVEL), -EAGAIN);
    assert_int_equal(ask_read(f, BOILER, RATE), 0);
    assert_true(until(f, "read rate 0;"));
    turns(f, 3);

    assert_string_equal(f->log, "read level 0;read rate 0;");
}

static void read_of_a_refused_tag_is_a_bad_sample(void **state)
{
    struct fixture *f = *state;

    f->hole = 4;
    assert_int_equal(ask_read(f, BOILER, HOLE), 0);

    assert_true(until(f, "read hole 0;"));
    assert_int_equal(latest(f, HOLE).quality, QUALITY_BAD);
}

static void read_of_a_silent_device_times_out(void **state)
{
    struct fixture *f = *state;
    char want[32];

    f->mute = true;
    assert_int_equal(ask_read(f, BOILER, LEVEL), 0);

    snprintf(want, sizeof want, "read level %d;", -ETIMEDOUT);
    assert_true(until(f, want));
}

static void disabled_devices_answer_what_is_asked(void **state)
{
    struct fixture *f = *state;
    struct adapter_connection_status line;
    struct adapter_device_status status;
    char want[32];

    snprintf(want, sizeof want, "read level %d;", -ENOTCONN);
    assert_int_equal(ask_read(f, PARKED, LEVEL), 0);
    assert_true(until(f, want));
    f->adapter->ops->device_status(f->adapter, PARKED, &status);
    assert_int_equal(status.state, DEVICE_DISABLED);
    f->adapter->ops->status(f->adapter, &line);
    assert_int_equal(line.state, CONNECTION_CONNECTED);
}

static void disabled_connection_is_closed(void **state)
{
    struct fixture *f = *state;
    struct adapter_connection_status line;
    struct adapter_device_status status;
    char want[32];

    open_adapter(f, SPARE);
    snprintf(want, sizeof want, "read level %d;", -ENOTCONN);
    assert_int_equal(ask_read(f, IDLE, 0), 0);
    assert_true(until(f, want));
    f->adapter->ops->status(f->adapter, &line);
    f->adapter->ops->device_status(f->adapter, IDLE, &status);

    assert_int_equal(line.state, CONNECTION_CLOSED);
    assert_int_equal(status.state, DEVICE_DISABLED);
    assert_string_equal(f->log, want);
}

/* ---- the end ---- */

static void close_before_the_first_turn_is_clean(void **state)
{
    struct fixture *f = *state;

    ask_close(f);
    assert_false(f->closed);
}

static void close_answers_everything_that_was_asked(void **state)
{
    struct fixture *f = *state;
    char want[256];

    f->mute = true;
    while (f->request_length == 0 && turn(f)) /* until a poll is out */
        ;
    assert_int_equal(ask_write(f, LEVEL, value_int(1)), 0);
    assert_int_equal(ask_write(f, PUMP, value_bool(true)), 0);
    assert_int_equal(ask_read(f, BOILER, RATE), 0);
    ask_close(f);
    assert_string_equal(f->log, "");
    while (!f->closed && turn(f))
        ;

    snprintf(want, sizeof want,
             "write level not sent, none null;write pump not sent, none null;read rate %d;",
             -ECANCELED);
    assert_string_equal(f->log, want);
}

static void close_with_a_write_out_has_an_unknown_outcome(void **state)
{
    struct fixture *f = *state;

    f->mute = true;
    assert_int_equal(ask_write(f, LEVEL, value_int(1)), 0);
    while ((f->request_length == 0 || f->request[7] != 6) && turn(f))
        ;
    ask_close(f);
    while (!f->closed && turn(f))
        ;

    assert_string_equal(f->log, "write level no answer, none null;");
}

static void close_between_write_and_read_back_has_an_unknown_outcome(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ask_write(f, LEVEL, value_int(1)), 0);
    while (f->writes == 0 && turn(f))
        ;
    ask_close(f);
    while (!f->closed && turn(f))
        ;

    assert_int_equal(f->registers[0], 1);
    assert_string_equal(f->log, "write level no answer, none null;");
}

/* A life with every kind of event in it. Asking is left out once the owner has closed. */
static void live(struct fixture *f)
{
    for (int step = 0; step < 5; step++) {
        if (f->close_asked)
            break;
        f->hole = step == 2 ? 4 : -1;
        f->mute = step == 4;
        ask_write(f, LEVEL, value_int(step));
        ask_read(f, BOILER, RATE);
        if (!f->mute)
            turns(f, 6);
    }
    while (!f->closed && strstr(f->log, "offline") == NULL && turn(f))
        ;
}

static void close_from_inside_any_event_is_clean(void **state)
{
    struct fixture *f;
    size_t total;

    set_up(state);
    f = *state;
    live(f);
    total = f->told;
    tear_down(state);
    assert_true(total > 15);

    for (size_t i = 1; i <= total; i++) {
        set_up(state);
        f = *state;
        f->close_at = i;
        live(f);
        tear_down(state);
    }
}

static void open_without_memory_fails_cleanly(void **state)
{
    struct fixture *f = *state;
    const struct adapter_open args = { .loop = &f->loop,
                                       .env = &f->env,
                                       .config = f->config,
                                       .connection = PLANT,
                                       .events = &owner_events,
                                       .owner = f };
    struct err err = { "" };
    int rc = -ENOMEM;

    for (size_t n = 0; rc == -ENOMEM; n++) {
        allocations_left = n;
        rc = modbus_adapter.open(&f->adapter, &args, &err);
        allocations_left = SIZE_MAX;
        assert_true(rc == 0 || f->adapter == NULL);
    }

    assert_int_equal(rc, 0);
    assert_string_equal(err.msg, "cannot open connection \"plant\": Cannot allocate memory");
}

#define WORLD(test)   cmocka_unit_test_setup_teardown(test, set_up_world, tear_down)
#define FRESH(test)   cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, set_up_running, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(open_reads_everything_and_tells_each_tag_once),
        RUNNING(poll_of_unchanged_registers_moves_only_the_time),
        RUNNING(poll_of_a_changed_register_tells_that_tag_only),
        RUNNING(poll_of_a_refused_address_costs_only_its_tag),
        RUNNING(offline_device_keeps_its_samples),
        FRESH(absent_peer_is_tried_again),
        RUNNING(write_is_read_back_before_it_is_told),
        RUNNING(write_without_verify_is_done_when_accepted),
        RUNNING(write_that_the_device_ignores_differs),
        RUNNING(write_of_what_cannot_be_written_is_refused_at_once),
        RUNNING(write_to_a_silent_device_has_an_unknown_outcome),
        FRESH(write_to_an_absent_device_is_not_sent),
        RUNNING(nearest_is_what_reads_back),
        RUNNING(read_is_answered_once),
        RUNNING(read_of_a_refused_tag_is_a_bad_sample),
        RUNNING(read_of_a_silent_device_times_out),
        RUNNING(disabled_devices_answer_what_is_asked),
        WORLD(disabled_connection_is_closed),
        WORLD(open_without_memory_fails_cleanly),
        FRESH(close_before_the_first_turn_is_clean),
        RUNNING(close_answers_everything_that_was_asked),
        RUNNING(close_with_a_write_out_has_an_unknown_outcome),
        RUNNING(close_between_write_and_read_back_has_an_unknown_outcome),
        cmocka_unit_test(close_from_inside_any_event_is_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
