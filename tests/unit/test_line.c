/* The connection of a line: every arrow of the picture in line.c, its times, and its end. */
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

/* ---- the arrows of the connection ---- */

static void tick_first_opens_the_stream(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(line_state(f->line), CONNECTION_CONNECTING);
    tick(f);

    assert_int_equal(f->opens, 1);
    assert_int_equal(f->next_ms, 0); /* the stream's turn */
    assert_true(line_stream_open(f->line));
    assert_string_equal(noted(f), "");
}

static void opened_asks_everything_at_once_one_after_the_other(void **state)
{
    struct fixture *f = *state;

    tick(f);
    opened(f);

    assert_string_equal(noted(f), "connected;");
    assert_int_equal(f->sent, 1);
    assert_int_equal(f->next_ms, START + 500);
    answer_all(f, 0);
    assert_int_equal(f->sent, 6);
    assert_string_equal(noted(f), "unit1 online;unit1.0 ok;unit2 online;unit2.0 ok;"
                                  "unit1.1 ok;unit2.1 ok;unit1.2 ok;unit2.2 ok;");
    assert_int_equal(line_reconnects(f->line), 0);
    assert_string_equal(line_error(f->line), "");
    assert_int_equal(line_last_ok_wall_ms(f->line, 0), START + 7);
}

static void closed_while_connecting_waits_longer_each_time(void **state)
{
    static const uint64_t waits[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000 };
    struct fixture *f = *state;

    tick(f);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        closed(f, "connection refused");
        assert_int_equal(line_state(f->line), CONNECTION_WAITING);
        assert_string_equal(line_error(f->line), "connection refused");
        assert_true(f->next_ms > f->now_ms + waits[i] - 2 && f->next_ms <= f->now_ms + waits[i]);
        pass(f, waits[i]);
        assert_int_equal(line_state(f->line), CONNECTION_CONNECTING);
        assert_int_equal(f->opens, i + 2);
    }
    assert_string_equal(line_error(f->line), "connection refused"); /* until it is connected */
}

static void closed_three_times_makes_the_devices_offline_with_the_reason(void **state)
{
    struct fixture *f = *state;

    tick(f);
    closed(f, "connection refused");
    pass(f, 1000);
    closed(f, "connection refused");
    assert_string_equal(noted(f), "waiting;connecting;waiting;");
    pass(f, 2000);
    closed(f, "connection refused");

    assert_string_equal(noted(f), "connecting;unit1 offline;unit2 offline;waiting;");
    assert_string_equal(unit(f, 0)->error, "connection refused");
    pass(f, 4000);
    opened(f);
    answer_all(f, 0);
    assert_string_equal(noted(f), "connecting;connected;unit1 online;unit1.0 ok;unit2 online;"
                                  "unit2.0 ok;unit1.1 ok;unit2.1 ok;unit1.2 ok;unit2.2 ok;");
}

static void open_that_fails_at_once_waits_and_tries_again(void **state)
{
    struct fixture *f = *state;

    f->open_rc = -EMFILE;
    tick(f);

    assert_string_equal(noted(f), "waiting;");
    assert_string_equal(line_error(f->line),
                        "cannot open a connection to 10.0.0.5:502: Too many open files");
    f->open_rc = 0;
    pass(f, 1000);
    assert_int_equal(f->opens, 1);
    assert_string_equal(noted(f), "connecting;");
}

static void closed_by_the_peer_reconnects_and_polls_everything(void **state)
{
    struct fixture *f = *state;

    pass(f, 100);
    closed(f, "the peer closed");
    assert_string_equal(noted(f), "waiting;");
    assert_string_equal(line_error(f->line), "the peer closed");
    pass(f, 999);
    assert_int_equal(f->opens, 1);
    pass(f, 1);
    assert_int_equal(f->opens, 2);
    opened(f);
    answer_all(f, 0);

    assert_string_equal(noted(f), "connecting;connected;unit1.0 ok;unit2.0 ok;unit1.1 ok;"
                                  "unit2.1 ok;unit1.2 ok;unit2.2 ok;");
    assert_int_equal(line_reconnects(f->line), 1);
    assert_string_equal(line_error(f->line), "");
}

static void closed_with_a_request_out_counts_it_and_asks_again_later(void **state)
{
    struct fixture *f = *state;

    tick(f);
    opened(f);
    noted(f);
    closed(f, "the peer closed");

    assert_string_equal(noted(f), "waiting;");
    assert_int_equal(unit(f, 0)->other, 1);
    pass(f, 1000);
    opened(f);
    answer_all(f, 0);
    assert_non_null(strstr(noted(f), "unit1.0 ok;"));
}

/* The jitter spreads gateways that lost the same device; the wait never falls under half. */
static void closed_waits_with_jitter(void **state)
{
    struct fixture *f = *state;

    f->random = 0;
    tick(f);
    closed(f, "gone");

    assert_int_equal(f->next_ms, f->now_ms + 500);
}

/* A peer that accepts and hangs up gets the growing wait of one that refuses. */
static void closed_before_any_answer_waits_longer_each_time(void **state)
{
    struct fixture *f = *state;
    uint64_t wait = 1000;

    tick(f);
    for (int i = 0; i < 4; i++) {
        opened(f);
        closed(f, "the peer closed");
        assert_true(f->next_ms > f->now_ms + wait - 2 && f->next_ms <= f->now_ms + wait);
        pass(f, wait);
        wait *= 2;
    }
    opened(f);
    answer(f);
    closed(f, "the peer closed");
    assert_true(f->next_ms <= f->now_ms + 1000);
}

/* The next request of the schedule is out, and nothing else happened since the last. */
static struct request next_request(struct fixture *f)
{
    unsigned sent = f->sent;

    while (f->sent == sent)
        pass(f, 10);
    assert_string_equal(noted(f), "");
    return f->last;
}

/* Good times again, long enough for the failures before them to be forgotten. */
static void recover(struct fixture *f)
{
    for (int i = 0; i < 2000; i++) {
        pass(f, 10);
        answer_all(f, 0);
        f->log[0] = '\0';
    }
}

static const struct unit *unit_of(const struct fixture *f, const struct request *request)
{
    return unit(f, request->unit_id - 1u);
}

static void bytes_that_are_no_modbus_hang_up_and_reconnect(void **state)
{
    static const uint8_t http[] = "HTTP/1.0 400 Bad Request\r\n\r\n";
    struct fixture *f = *state;
    struct request first = next_request(f);
    unsigned sent = f->sent;

    bytes(f, http, sizeof http - 1);
    assert_int_equal(unit_of(f, &first)->other, 1); /* the request has failed at once ... */
    assert_int_equal(f->sent, sent + 1);            /* ... and is out again */
    bytes(f, http, sizeof http - 1);
    assert_int_equal(f->closes, 0);
    pass(f, 500);

    assert_int_equal(f->closes, 1);
    assert_non_null(strstr(noted(f), "waiting;"));
    assert_non_null(strstr(line_error(f->line), "10.0.0.5:502 sends what is not Modbus/TCP: "));
    pass(f, 60000);
    assert_int_equal(f->opens, 1); /* not before the old one is closed */
    line_bytes(f->line, http, sizeof http - 1);
    closed(f, "");
    assert_int_equal(f->opens, 2);
    assert_string_equal(noted(f), "connecting;");
}

/* Who sends nonsense for one unit, as a gateway may, does not cost the others the connection. */
static void bytes_that_are_no_modbus_are_dropped_when_the_next_answer_is_right(void **state)
{
    static const uint8_t junk[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++) {
        struct request request = next_request(f);
        uint64_t other = unit_of(f, &request)->other;

        bytes(f, junk, sizeof junk);
        bytes(f, junk, sizeof junk); /* the rest of it */
        assert_string_equal(noted(f), "");
        answer_all(f, 0);

        assert_non_null(strstr(noted(f), "ok;"));
        assert_int_equal(f->closes, 0);
        assert_int_equal(unit_of(f, &request)->other, other + 1);
        assert_string_equal(line_error(f->line), "");
        recover(f);
    }
}

/* Half an answer never becomes whole: the next answer's header says so, and is not taken for the rest. */
static void half_an_answer_costs_its_request_only(void **state)
{
    struct fixture *f = *state;

    for (size_t cut = 1; cut < 10; cut++) {
        struct request request = next_request(f);
        uint64_t timeouts = unit(f, 0)->timeouts + unit(f, 1)->timeouts;
        uint64_t late = unit_of(f, &request)->late;
        uint8_t frame[300];

        print_message("cut after %zu bytes\n", cut);
        assert_true(response(&request, frame) > cut);
        bytes(f, frame, cut);
        pass(f, 500);
        assert_string_equal(noted(f), "");
        answer_all(f, 0);

        assert_non_null(strstr(noted(f), "ok;"));
        assert_int_equal(unit(f, 0)->timeouts + unit(f, 1)->timeouts, timeouts + 1);
        assert_int_equal(unit_of(f, &request)->late, late);
        recover(f);
    }
    assert_int_equal(f->closes, 0);
}

/* The rest of an answer that had been given up makes it whole, and late. */
static void half_an_answer_that_is_completed_late_is_late(void **state)
{
    struct fixture *f = *state;
    struct request request = next_request(f);
    uint8_t frame[300];
    size_t length = response(&request, frame);

    bytes(f, frame, 5);
    pass(f, 500);
    bytes(f, frame + 5, length - 5);
    assert_int_equal(unit_of(f, &request)->late, 1);
    assert_string_equal(noted(f), "");
    answer_all(f, 0);

    assert_non_null(strstr(noted(f), "ok;"));
    assert_int_equal(unit(f, 0)->timeouts + unit(f, 1)->timeouts, 1);
    assert_int_equal(f->closes, 0);
}

static void peer_that_sends_for_ever_is_hung_up_on(void **state)
{
    static const struct {
        const char *name;
        const char *why;
        bool framed;
    } cases[] = {
        { "without form", "10.0.0.5:502 sends what is not Modbus/TCP: ", false },
        { "answers to nobody", "10.0.0.5:502 sends answers that nobody asked for: ", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f;
        uint8_t frame[300];
        size_t length;
        unsigned writes = 0;
        void *s;

        print_message("case %s\n", cases[i].name);
        set_up_running(&s);
        f = s;
        next_request(f);
        length = response(&f->last, frame);
        frame[0] ^= 0x40;
        if (!cases[i].framed)
            memset(frame, 'x', length);
        while (f->closes == 0 && writes++ < 10000)
            bytes(f, frame, length);

        assert_true(writes * length < 5000);
        assert_non_null(strstr(line_error(f->line), cases[i].why));
        assert_int_equal(line_state(f->line), CONNECTION_WAITING);
        assert_int_equal(unit(f, 0)->other + unit(f, 1)->other, 1); /* whose request it followed */
        tear_down(&s);
    }
}

static void all_silent_hangs_up_and_reconnects(void **state)
{
    struct fixture *f = *state;

    pass(f, 20000);

    assert_int_equal(f->closes, 1);
    assert_string_equal(line_error(f->line), "connected to 10.0.0.5:502, but no device answers: "
                                             "check \"unit_id\" and the device");
    assert_non_null(strstr(noted(f), "unit2 offline;unit2.1 silent;waiting;"));
    closed(f, "");
    assert_int_equal(f->opens, 2);
}

static void one_silent_unit_does_not_cost_the_connection(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 6000; i++) {
        pass(f, 10);
        answer_all(f, 2);
    }

    assert_int_equal(f->closes, 0);
    assert_int_equal(unit(f, 0)->state, DEVICE_ONLINE);
    assert_int_equal(unit(f, 0)->timeouts, 0);
    assert_int_equal(unit(f, 1)->state, DEVICE_OFFLINE);
}

/* ---- time ---- */

static void polls_keep_their_period(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 1000; i++) {
        pass(f, 10);
        answer_all(f, 0);
        f->log[0] = '\0';
    }

    assert_true(f->sent >= 60 && f->sent <= 66); /* 6 blocks, 10 s, and one extra at the start */
}

static void request_delay_is_kept_after_every_answer(void **state)
{
    struct fixture *f = *state;

    f->connection.request_delay_ms = 30;
    tick(f);
    opened(f);
    answer(f);
    assert_int_equal(f->sent, 1);
    assert_int_equal(f->next_ms, START + 30);
    pass(f, 29);
    assert_int_equal(f->sent, 1);
    pass(f, 1);
    assert_int_equal(f->sent, 2);
    noted(f);
}

static void connect_delay_starts_when_connected(void **state)
{
    struct fixture *f = *state;

    f->connection.connect_delay_ms = 200;
    tick(f);
    pass(f, 5000);
    opened(f);
    assert_int_equal(f->sent, 0);
    pass(f, 199);
    assert_int_equal(f->sent, 0);
    pass(f, 1);
    assert_int_equal(f->sent, 1);
    noted(f);
}

static void load_counts_the_time_a_request_is_out(void **state)
{
    struct fixture *f = *state;

    tick(f);
    pass(f, 1000);
    opened(f);
    pass(f, 250);
    assert_true(line_load(f->line, f->now_ms) > 0.19); /* the request in flight counts */
    for (int i = 0; i < 6; i++)
        answer(f);
    pass(f, 50);

    assert_true(line_load(f->line, f->now_ms) > 0.19 && line_load(f->line, f->now_ms) < 0.195);
    noted(f);
}

/* ---- off and the end ---- */

static void disabled_line_is_closed_and_answers_what_is_asked(void **state)
{
    struct fixture *f = line_fixture_new();

    assert_int_equal(line_fixture_line(f, false), 0);
    *state = f;
    tick(f);
    line_read(f->line, 0, 0, SCHEDULE_ASKED);
    queue_write(f, 0, 0, 4, 0);

    assert_int_equal(line_state(f->line), CONNECTION_CLOSED);
    assert_int_equal(f->opens, 0);
    assert_string_equal(noted(f), "write0 not sent: the device is disabled;unit1.0 unconnected;");
    tear_down(state);
}

static void disabled_device_is_never_asked(void **state)
{
    struct fixture *f = line_fixture_new();

    f->devices[0].enabled = false;
    assert_int_equal(line_fixture_line(f, true), 0);
    *state = f;
    tick(f);
    opened(f);
    answer_all(f, 0);

    assert_string_equal(noted(f), "connected;unit2 online;unit2.0 ok;unit2.1 ok;unit2.2 ok;");
    assert_int_equal(unit(f, 0)->requests, 0);
    tear_down(state);
}

static void stop_closes_the_stream_and_cancel_answers_the_writes(void **state)
{
    struct fixture *f = *state;

    queue_write(f, 0, 0, 4, 0);
    queue_write(f, 1, 0, 0, 0);
    line_stop(f->line);
    answer(f);
    pass(f, 60000);
    assert_string_equal(noted(f), "");
    assert_int_equal(f->closes, 1);
    assert_int_equal(f->next_ms, 0);
    line_cancel(f->line);

    assert_string_equal(noted(f), "write0 no answer: twinbridge is stopping;"
                                  "write1 not sent: twinbridge is stopping;");
}

/* A life with everything in it; the owner stops the line from inside each event in turn. */
static void live(struct fixture *f)
{
    tick(f);
    closed(f, "refused");
    pass(f, 1000);
    opened(f);
    queue_write(f, 0, 0, 4, 0);
    queue_write(f, 1, 1, 4, 0);
    queue_write(f, 2, 1, 0, 1);
    line_read(f->line, 1, 0, SCHEDULE_ASKED);
    refuse(f, 2);
    answer_all(f, 2);
    for (int i = 0; i < 300; i++) {
        pass(f, 10);
        if (i % 3 == 0)
            refuse(f, (uint8_t)(i % 12));
        else
            answer_all(f, 2);
    }
    line_read(f->line, 1, 0, SCHEDULE_ASKED);
    line_bad_tags(f->line, 0, 1);
    closed(f, "gone");
    pass(f, 5000);
}

static void stop_from_inside_any_event_is_safe(void **state)
{
    struct fixture *f;
    size_t total;

    set_up(state);
    f = *state;
    live(f);
    total = f->events;
    assert_true(total > 20);
    tear_down(state);

    for (size_t i = 1; i <= total; i++) {
        set_up(state);
        f = *state;
        f->stop_at = i;
        live(f);
        assert_int_equal(f->events, i); /* nothing is told after it */
        tear_down(state);
    }
}

static void new_without_memory_fails_cleanly(void **state)
{
    struct fixture *f = line_fixture_new();
    const struct line_open args = {
        .connection = &f->connection,
        .plans = f->plans,
        .enabled = true,
        .stream = &f->stream,
        .env = &f->env,
        .events = &fixture_events,
        .owner = f,
    };
    int rc = -ENOMEM;

    for (size_t n = 0; rc == -ENOMEM; n++) {
        allocations_left = n;
        rc = line_new(&f->line, &args);
        allocations_left = SIZE_MAX;
        assert_true(rc == 0 || f->line == NULL);
    }

    assert_int_equal(rc, 0);
    *state = f;
    tear_down(state);
    line_free(NULL);
}

#define FRESH(test)   cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, set_up_running, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(tick_first_opens_the_stream),
        FRESH(opened_asks_everything_at_once_one_after_the_other),
        FRESH(closed_while_connecting_waits_longer_each_time),
        FRESH(closed_three_times_makes_the_devices_offline_with_the_reason),
        FRESH(open_that_fails_at_once_waits_and_tries_again),
        RUNNING(closed_by_the_peer_reconnects_and_polls_everything),
        FRESH(closed_with_a_request_out_counts_it_and_asks_again_later),
        FRESH(closed_waits_with_jitter),
        FRESH(closed_before_any_answer_waits_longer_each_time),
        RUNNING(bytes_that_are_no_modbus_hang_up_and_reconnect),
        RUNNING(bytes_that_are_no_modbus_are_dropped_when_the_next_answer_is_right),
        RUNNING(half_an_answer_costs_its_request_only),
        RUNNING(half_an_answer_that_is_completed_late_is_late),
        cmocka_unit_test(peer_that_sends_for_ever_is_hung_up_on),
        RUNNING(all_silent_hangs_up_and_reconnects),
        RUNNING(one_silent_unit_does_not_cost_the_connection),
        RUNNING(polls_keep_their_period),
        FRESH(request_delay_is_kept_after_every_answer),
        FRESH(connect_delay_starts_when_connected),
        FRESH(load_counts_the_time_a_request_is_out),
        cmocka_unit_test(disabled_line_is_closed_and_answers_what_is_asked),
        cmocka_unit_test(disabled_device_is_never_asked),
        RUNNING(stop_closes_the_stream_and_cancel_answers_the_writes),
        cmocka_unit_test(stop_from_inside_any_event_is_safe),
        cmocka_unit_test(new_without_memory_fails_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
