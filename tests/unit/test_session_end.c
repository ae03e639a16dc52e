/* The ends of a session's connections: a link that goes down, renewal, stop, and what comes too late. */
#include "tests/unit/session_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the link's end ---- */

static void session_link_down_of_each_kind_waits_as_it_should(void **state)
{
    static const struct {
        const char *reason;
        int status;
        uint64_t wait_ms; /* with the greatest chance */
        const char *says;
    } cases[] = {
        { "connection refused", 0, 1000, "module heating: connection refused" },
        { "HTTP 503", 503, 1000, "HTTP 503" },
        { "HTTP 429", 429, 20000, "HTTP 429" },
        { "certificate is not yet valid", 0, 10000, "clock is probably wrong" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = fixture_again(state);

        f->random = UINT32_MAX;
        fixture_tick(f);
        fixture_log(f);
        fixture_down(f, cases[i].reason, cases[i].status);
        fixture_expect(f, "waiting|"); /* it is down already: no close */
        fixture_expect_status(f, SESSION_WAITING, cases[i].says);
        assert_int_equal(f->deadline_ms - f->now_ms, cases[i].wait_ms);
    }
}

static void session_that_fails_again_waits_longer_up_to_60_s(void **state)
{
    static const uint64_t waits_s[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        fixture_tick(f);
        f->random = i % 2 == 0 ? UINT32_MAX : 0;
        fixture_down(f, "connection refused", 0);
        assert_int_equal(f->deadline_ms - f->now_ms, waits_s[i] * (i % 2 == 0 ? 1000 : 500));
        f->now_ms = f->deadline_ms;
    }
}

/* Walks to ready, stays, and loses the link. Returns the wait. */
static uint64_t wait_after(struct fixture *f, uint64_t ready_ms)
{
    fixture_to_deadline(f);
    fixture_up(f);
    fixture_connack(f, 0);
    fixture_suback(f, 0, 0);
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    if (ready_ms > 50000) { /* the keepalive is not what this is about */
        fixture_advance(f, 50000);
        fixture_patch(f, "{}");
        fixture_answer_patch(f, 204, -1, "");
        ready_ms -= 50000;
    }
    fixture_advance(f, ready_ms);
    fixture_down(f, "reset by peer", 0);
    return f->deadline_ms - f->now_ms;
}

static void session_back_off_starts_anew_after_60_s_of_ready(void **state)
{
    struct fixture *f = *state;

    f->random = UINT32_MAX;
    fixture_tick(f);
    fixture_down(f, "connection refused", 0);
    assert_int_equal(wait_after(f, 59999), 2000);
    fixture_expect_status(f, SESSION_WAITING, "the connection ended: reset by peer");
    assert_int_equal(wait_after(f, 20000), 4000);
    assert_int_equal(fixture_status(f).reconnects, 1);
    assert_int_equal(wait_after(f, 60000), 1000);
    assert_int_equal(fixture_status(f).reconnects, 2);
}

static void session_that_is_evicted_again_and_again_says_so_and_waits_long(void **state)
{
    struct fixture *f = *state;

    assert_true(wait_after(f, 9999) < 10000);
    assert_true(wait_after(f, 1) < 10000);
    assert_true(wait_after(f, 10000) < 10000); /* lived long enough: counts anew */
    assert_true(wait_after(f, 5) < 10000);
    assert_true(wait_after(f, 5) < 10000);
    fixture_expect_status(f, SESSION_WAITING, "the connection ended");

    assert_int_equal(wait_after(f, 5), 16000);

    fixture_expect_status(f, SESSION_WAITING, "probably another client uses this identity");
    assert_int_equal(wait_after(f, 5), 32000);
}

/* ---- renewal ---- */

static void session_renewal_is_a_reconnect_without_complaint(void **state)
{
    static const struct {
        uint32_t random;
        uint64_t after_s;
    } cases[] = { { 0, 3600 * 75 / 100 }, { 10, 3600 * 85 / 100 } };

    for (size_t i = 0; i < 2; i++) {
        struct fixture *f = fixture_again(state);

        f->random = cases[i].random;
        fixture_go_ready(f);
        for (uint64_t s = 0; s + 1 < cases[i].after_s; s += 30) { /* a quiet hour with answers */
            fixture_advance(f, s + 30 < cases[i].after_s ? 30000 : 29999);
            if (strstr(fixture_log(f), "PINGREQ") != NULL)
                fixture_pingresp(f);
        }
        fixture_expect_status(f, SESSION_READY, "");
        fixture_advance(f, 1);

        fixture_expect(f, "DISCONNECT|close|connecting|");
        fixture_expect_status(f, SESSION_CONNECTING, "");
        assert_int_equal(fixture_patch(f, "{}"), -ENOTCONN);
        fixture_expect(f, "");
        fixture_down(f, "closed", 0);
        fixture_expect(f, "connect edge.net:443|"); /* at once; the state is what it was */
        fixture_up(f);
        fixture_connack(f, 0);
        fixture_suback(f, 0, 0);
        fixture_answer_get(f, 200, FIXTURE_TWIN);
        fixture_expect_status(f, SESSION_READY, "");
        assert_int_equal(fixture_status(f).reconnects, 0); /* nothing went wrong */
    }
}

static void session_renewal_that_fails_is_a_reconnect_like_any_other(void **state)
{
    struct fixture *f = *state;

    f->token_life_s = 40;
    fixture_go_ready(f);
    fixture_advance(f, 30000);
    fixture_down(f, "closed", 0);
    fixture_down(f, "connection refused", 0);
    fixture_expect_status(f, SESSION_WAITING, "connection refused");
    fixture_to_deadline(f);
    fixture_go_ready(f);
    assert_int_equal(fixture_status(f).reconnects, 1);
}

static void session_renewal_waits_for_the_answer_of_a_patch(void **state)
{
    struct fixture *f = *state;

    f->token_life_s = 40; /* renewal after 30 s */
    fixture_go_ready(f);
    fixture_advance(f, 29000);
    assert_int_equal(fixture_patch(f, "{\"t\":1}"), 0);
    fixture_advance(f, 1000);
    assert_int_equal(fixture_patch(f, "{\"t\":2}"), -EBUSY);
    fixture_log(f);
    assert_int_equal(f->deadline_ms - f->now_ms, 5000);

    fixture_answer_patch(f, 204, 3, "");

    fixture_expect(f, "DISCONNECT|close|patched 204 3|connecting|");
}

static void session_renewal_waits_for_a_patch_5_s_at_most(void **state)
{
    struct fixture *f = *state;

    f->token_life_s = 40;
    fixture_go_ready(f);
    fixture_advance(f, 29000);
    assert_int_equal(fixture_patch(f, "{\"t\":1}"), 0);
    fixture_log(f);
    fixture_advance(f, 5999);
    fixture_expect(f, "");
    fixture_advance(f, 1);
    fixture_expect(f, "DISCONNECT|close|patched 0 -1|connecting|");
}

static void session_renewal_of_a_token_near_its_end_makes_no_storm(void **state)
{
    struct fixture *f = *state;

    f->token_life_s = 1;
    fixture_go_ready(f);
    assert_int_equal(f->deadline_ms - f->now_ms, 5000);
}

/* ---- stop ---- */

static void stop_at_each_stage(void **state, void (*go)(struct fixture *f), const char *said,
                               bool link)
{
    struct fixture *f = fixture_again(state);

    go(f);
    fixture_log(f);

    session_stop(f->session, f->now_ms);
    session_stop(f->session, f->now_ms); /* twice is once */
    fixture_tick(f);

    fixture_expect(f, said);
    assert_int_equal(fixture_patch(f, "{}"), -ENOTCONN);
    if (link) {
        assert_int_equal(f->deadline_ms, 0);
        fixture_down(f, "closed", 0);
        fixture_expect(f, "stopped|");
    }
    assert_int_equal(fixture_status(f).state, SESSION_STOPPED);
    fixture_advance(f, 3600 * 1000); /* it is over */
    session_credential_changed(f->session, f->now_ms);
    fixture_tick(f);
    fixture_expect(f, "");
    assert_int_equal(f->deadline_ms, 0);
}

static void go_nowhere(struct fixture *f)
{
    (void)f;
}

static void go_patching(struct fixture *f)
{
    fixture_go_ready(f);
    fixture_patch(f, "{\"t\":1}");
}

static void go_waiting(struct fixture *f)
{
    fixture_tick(f);
    fixture_down(f, "connection refused", 0);
}

static void go_closing(struct fixture *f)
{
    fixture_go_connack(f);
    fixture_connack(f, 5);
}

static void session_stop_at_each_stage_ends_in_stopped(void **state)
{
    stop_at_each_stage(state, go_nowhere, "stopped|", false);
    stop_at_each_stage(state, go_waiting, "stopped|", false);
    stop_at_each_stage(state, fixture_tick, "close|", true); /* TCP or TLS under way */
    stop_at_each_stage(state, fixture_go_connack, "DISCONNECT|close|", true);
    stop_at_each_stage(state, fixture_go_suback, "DISCONNECT|close|", true);
    stop_at_each_stage(state, fixture_go_getting, "DISCONNECT|close|", true);
    stop_at_each_stage(state, fixture_go_ready, "DISCONNECT|close|", true);
    stop_at_each_stage(state, go_patching, "DISCONNECT|close|patched 0 -1|", true);
    stop_at_each_stage(state, go_closing, "", true); /* it is being closed already */
}

static void stop_when_told(struct fixture *f, const char *what)
{
    if (strncmp(what, "desired ", 8) == 0)
        session_stop(f->session, f->now_ms);
}

static void session_stop_from_inside_an_event_is_heeded(void **state)
{
    static const char topic[] = "$iothub/twin/PATCH/properties/desired/?$version=";
    struct fixture *f = *state;
    struct buf buf;

    fixture_go_ready(f);
    f->on_event = stop_when_told;
    buf_init(&buf, 1024); /* two patches in one go: the second is behind the stop */
    for (int version = 6; version <= 7; version++) {
        char text[100];

        snprintf(text, sizeof text, "%s%d", topic, version);
        assert_int_equal(mqtt_write_publish(&buf, text, 0, 0, "{\"a\":6}", 7), 0);
    }
    fixture_bytes(f, buf.bytes, buf.length);
    buf_done(&buf);

    fixture_expect(f, "desired 6 {\"a\":6}|DISCONNECT|close|");
}

/* ---- what comes late ---- */

static void session_link_events_after_a_close_are_ignored(void **state)
{
    struct fixture *f = *state;

    fixture_tick(f);
    fixture_advance(f, 15000); /* the session has asked for the close */
    fixture_log(f);

    fixture_up(f); /* too late */
    fixture_connack(f, 0);
    fixture_bytes(f, "\xff\xff", 2);
    fixture_expect(f, "");
    fixture_down(f, "closed", 0);
    fixture_expect(f, "");
}

static void session_send_queue_that_is_full_ends_the_connection(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    f->send_rc = -ENOBUFS;
    fixture_advance(f, 60000); /* a ping that finds no room */
    fixture_expect(f, "close|waiting|");
    fixture_expect_status(f, SESSION_WAITING, "send queue is full");
}

static void session_patch_that_the_link_does_not_take_is_not_told_as_lost(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    f->send_rc = -ENOBUFS;
    assert_int_equal(session_patch(f->session, f->now_ms, "{}", 2), -ENOTCONN);
    fixture_expect(f, "close|"); /* the owner is told later, not inside its own call */
    fixture_tick(f);
    fixture_expect(f, "waiting|");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(session_link_down_of_each_kind_waits_as_it_should),
        TEST(session_that_fails_again_waits_longer_up_to_60_s),
        TEST(session_back_off_starts_anew_after_60_s_of_ready),
        TEST(session_that_is_evicted_again_and_again_says_so_and_waits_long),
        TEST(session_renewal_is_a_reconnect_without_complaint),
        TEST(session_renewal_that_fails_is_a_reconnect_like_any_other),
        TEST(session_renewal_waits_for_the_answer_of_a_patch),
        TEST(session_renewal_waits_for_a_patch_5_s_at_most),
        TEST(session_renewal_of_a_token_near_its_end_makes_no_storm),
        TEST(session_stop_at_each_stage_ends_in_stopped),
        TEST(session_stop_from_inside_an_event_is_heeded),
        TEST(session_link_events_after_a_close_are_ignored),
        TEST(session_send_queue_that_is_full_ends_the_connection),
        TEST(session_patch_that_the_link_does_not_take_is_not_told_as_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
