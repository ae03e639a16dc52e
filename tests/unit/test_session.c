/* The states of a session: every arrow of the drawing in session.c, every deadline, every failure. */
#include "tests/unit/session_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the way up ---- */

static void session_on_the_happy_path_walks_to_ready(void **state)
{
    struct fixture *f = *state;

    fixture_expect_status(f, SESSION_WAITING, "");
    fixture_tick(f);
    fixture_expect(f, "connect edge.net:443|connecting|");
    fixture_up(f);
    fixture_expect(f, "CONNECT|");
    fixture_connack(f, 0);
    fixture_expect(f, "SUBSCRIBE|");
    fixture_suback(f, 0, 1);
    fixture_expect(f, "PUBLISH0 $iothub/twin/GET/ |getting|");
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect(f, "ready {\"a\":1,\"$version\":5} {\"$version\":2}|ready|");

    fixture_expect_status(f, SESSION_READY, "");
    assert_int_equal(fixture_status(f).desired_version, 5);
    assert_int_equal(fixture_status(f).reported_version, 2);
    assert_int_equal(fixture_status(f).reconnects, 0);
    assert_true(session_idle(f->session));
}

static void session_connect_sends_the_fields_that_the_hub_wants(void **state)
{
    static const char want[] = "\x10\x82\x01"         /* remaining length 130 */
                               "\0\4MQTT\4\xc0\0\x3c" /* user name, password, not clean, 60 s */
                               "\0\x0c"
                               "gw-1/heating"
                               "\0\x61"
                               "hub.net/gw-1/heating/?api-version=2021-04-12&DeviceClientType="
                               "twinbridge%2F0.1.0%20%28x%3B%20y%29"
                               "\0\5TOKEN";
    struct fixture *f = *state;

    fixture_go_connack(f);

    assert_int_equal(f->sent_length, sizeof want - 1);
    assert_memory_equal(f->sent, want, sizeof want - 1);
}

static void session_subscribe_asks_for_both_filters_with_qos_0(void **state)
{
    static const char want[] = "\x82\x41\0\1"
                               "\0\x12$iothub/twin/res/#\0"
                               "\0\x27$iothub/twin/PATCH/properties/desired/#\0";
    struct fixture *f = *state;

    fixture_go_suback(f);

    assert_int_equal(f->sent_length, sizeof want - 1);
    assert_memory_equal(f->sent, want, sizeof want - 1);
}

static void session_suback_that_refuses_or_does_not_fit_ends_the_connection(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *says;
    } cases[] = {
        { "\x90\4\0\1\x80\0", 6, "refused the twin subscription" },
        { "\x90\4\0\1\0\x80", 6, "refused the twin subscription" },
        { "\x90\3\0\1\0", 5, "(SUBACK)" },     /* one code for two filters */
        { "\x90\5\0\1\0\0\0", 7, "(SUBACK)" }, /* three */
        { "\x90\4\0\2\0\0", 6, "(SUBACK)" },   /* of another packet */
        { "\x90\4\0\1\0\3", 6, "(SUBACK)" },   /* no such code */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = fixture_again(state);

        fixture_go_suback(f);
        fixture_bytes(f, cases[i].bytes, cases[i].length);
        fixture_expect_status(f, SESSION_WAITING, cases[i].says);
    }
}

/* ---- deadlines ---- */

static void session_in_each_phase_ends_at_its_deadline(void **state)
{
    static const struct {
        void (*go)(struct fixture *f);
        uint64_t after_ms;
        const char *says;
    } cases[] = {
        { fixture_tick, 15000, "no connection to edge.net port 443 within 15 s" },
        { fixture_go_connack, 60000, "did not answer CONNECT within 60 s" },
        { fixture_go_suback, 20000, "did not answer SUBSCRIBE within 20 s" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = fixture_again(state);

        cases[i].go(f);
        assert_int_equal(f->deadline_ms - f->now_ms, cases[i].after_ms);
        fixture_log(f);

        fixture_advance(f, cases[i].after_ms - 1);
        fixture_expect(f, "");
        fixture_advance(f, 1);

        fixture_expect(f, "close|waiting|");
        fixture_expect_status(f, SESSION_WAITING, "module heating: ");
        fixture_expect_status(f, SESSION_WAITING, cases[i].says);
        assert_int_equal(f->deadline_ms, 0); /* nothing before the old link is down */
        fixture_down(f, "closed", 0);
        fixture_expect(f, "");
        assert_int_equal(f->deadline_ms - f->now_ms, 500); /* 1 s x U(0.5, 1), chance 0 */
    }
}

/* A request without an answer: a ping at 20 s; the rest depends on the hub. */
static void check_silent_request(struct fixture *f, const char *patched)
{
    char want[64];

    fixture_advance(f, 19999);
    fixture_expect(f, "");
    fixture_advance(f, 1);
    fixture_expect(f, "PINGREQ|");
    fixture_advance(f, 9999);
    fixture_expect(f, "");
    fixture_pingresp(f);
    fixture_advance(f, 1);
    fixture_expect(f, ""); /* alive: it may take longer */
    fixture_advance(f, 29999);
    fixture_expect(f, "");
    fixture_advance(f, 1);

    snprintf(want, sizeof want, "close|%swaiting|", patched);
    fixture_expect(f, want);
    fixture_expect_status(f, SESSION_WAITING, "within 60 s");
}

static void session_get_without_an_answer_pings_then_reconnects(void **state)
{
    struct fixture *f = *state;

    fixture_go_getting(f);
    fixture_log(f);
    check_silent_request(f, "");
}

static void session_patch_without_an_answer_pings_then_is_lost(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    assert_int_equal(fixture_patch(f, "{\"t\":1}"), 0);
    fixture_expect(f, "PUBLISH0 $iothub/twin/PATCH/properties/reported/ {\"t\":1}|");
    check_silent_request(f, "patched 0 -1|");
}

static void session_ping_without_an_answer_closes_the_link(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    fixture_advance(f, 60000 - 1);
    fixture_expect(f, "");
    fixture_advance(f, 1);
    fixture_expect(f, "PINGREQ|");
    assert_int_equal(f->deadline_ms - f->now_ms, 10000);
    fixture_advance(f, 10000);
    fixture_expect(f, "close|waiting|");
    fixture_expect_status(f, SESSION_WAITING, "PINGREQ");
}

static void session_ping_of_a_connection_before_is_forgotten(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    fixture_advance(f, 60000);
    fixture_expect(f, "PINGREQ|");
    fixture_down(f, "reset", 0);
    fixture_to_deadline(f);
    fixture_go_ready(f);
    fixture_advance(f, 10000);
    fixture_expect_status(f, SESSION_READY, "");
}

static void session_keepalive_pings_again_after_each_answer(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    for (int i = 0; i < 5; i++) {
        fixture_advance(f, 60000);
        fixture_expect(f, "PINGREQ|");
        fixture_pingresp(f);
        fixture_expect(f, "");
    }
    /* what the hub sends is no reason to be silent towards it */
    fixture_advance(f, 30000);
    fixture_desired(f, 6, "{\"a\":6}");
    fixture_expect(f, "desired 6 {\"a\":6}|");
    fixture_advance(f, 30000);
    fixture_expect(f, "PINGREQ|");
    fixture_expect_status(f, SESSION_READY, "");
}

/* ---- refusals ---- */

static void session_connack_of_each_code_has_its_state_and_text(void **state)
{
    static const struct {
        uint8_t code;
        enum session_state state;
        const char *says;
    } cases[] = {
        { 1, SESSION_REFUSED, "MQTT 3.1.1 (CONNACK 1)" },
        { 2, SESSION_REFUSED, "client id (CONNACK 2)" },
        { 3, SESSION_WAITING, "disabled (CONNACK 3)" },
        { 4, SESSION_REFUSED, "(CONNACK 4): check key, module and clock" },
        { 5, SESSION_REFUSED, "(CONNACK 5): check key, module and clock" },
        { 6, SESSION_WAITING, "broke MQTT 3.1.1 (CONNACK)" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = fixture_again(state);

        fixture_go_connack(f);
        fixture_connack(f, cases[i].code);
        fixture_expect_status(f, cases[i].state, "module heating: the hub ");
        fixture_expect_status(f, cases[i].state, cases[i].says);
    }
}

static void session_refused_again_waits_longer_up_to_300_s_and_tells_the_same(void **state)
{
    static const uint64_t waits_s[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300 };
    struct fixture *f = *state;
    char first[512];

    f->random = UINT32_MAX;
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        fixture_go_connack(f);
        fixture_connack(f, 5);
        if (i == 0)
            snprintf(first, sizeof first, "%s", fixture_status(f).error);
        fixture_expect(f, "connect edge.net:443|connecting|CONNECT|close|refused|");
        assert_string_equal(fixture_status(f).error, first); /* the same error is no news */
        fixture_down(f, "closed", 0);
        assert_int_equal(f->deadline_ms - f->now_ms, waits_s[i] * 1000);
        fixture_advance(f, waits_s[i] * 1000 - 1);
        fixture_expect(f, "");
        f->now_ms++;
    }
}

static void session_credential_that_cannot_be_had_is_refused_once_told(void **state)
{
    struct fixture *f = *state;

    f->credential_rc = -ENOENT;
    strcpy(f->credential_error, "module heating: no credential: write it");
    fixture_tick(f);
    fixture_expect(f, "refused|");
    assert_string_equal(fixture_status(f).error, "module heating: no credential: write it");

    for (int i = 0; i < 10; i++)
        fixture_to_deadline(f);
    fixture_expect(f, ""); /* tried ten times, told once */

    f->credential_rc = 0; /* the file is there now, and somebody says so */
    session_credential_changed(f->session, f->now_ms);
    fixture_tick(f);
    fixture_expect(f, "connect edge.net:443|connecting|");
    fixture_up(f);
    fixture_connack(f, 0);
    fixture_suback(f, 0, 0);
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect_status(f, SESSION_READY, "");
}

static void session_error_of_the_outside_gets_the_modules_name(void **state)
{
    struct fixture *f = *state;

    f->connect_rc = -EIO;
    strcpy(f->connect_error, "no such certificate");
    fixture_tick(f);
    fixture_expect(f, "connect edge.net:443|waiting|");
    assert_string_equal(fixture_status(f).error, "module heating: no such certificate");
}

static void session_credential_changed_during_a_refusal_tries_at_once(void **state)
{
    struct fixture *f = *state;

    f->random = UINT32_MAX;
    fixture_go_connack(f);
    session_credential_changed(f->session, f->now_ms); /* the old one is on its way */
    fixture_connack(f, 5);
    fixture_log(f);
    fixture_down(f, "closed", 0);
    fixture_expect(f, "connect edge.net:443|connecting|");
}

static void session_with_an_expired_token_is_refused(void **state)
{
    struct fixture *f = *state;

    f->token_life_s = 0;
    fixture_tick(f);
    fixture_expect(f, "refused|");
    fixture_expect_status(f, SESSION_REFUSED, "module heating: its token has expired");
}

static void session_with_a_wrong_clock_looks_again_every_10_s(void **state)
{
    struct fixture *f = *state;

    f->wall_ms = FIXTURE_WALL_S * 1000 - 1;
    fixture_tick(f);
    fixture_expect(f, "waiting|");
    fixture_expect_status(f, SESSION_WAITING, "module heating: this machine's clock is wrong");
    f->wall_ms = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(f->deadline_ms - f->now_ms, 10000);
        fixture_to_deadline(f);
    }
    fixture_expect(f, "");

    f->wall_ms = FIXTURE_WALL_S * 1000;
    fixture_to_deadline(f);
    fixture_expect(f, "connect edge.net:443|connecting|");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(session_on_the_happy_path_walks_to_ready),
        TEST(session_connect_sends_the_fields_that_the_hub_wants),
        TEST(session_subscribe_asks_for_both_filters_with_qos_0),
        TEST(session_suback_that_refuses_or_does_not_fit_ends_the_connection),
        TEST(session_in_each_phase_ends_at_its_deadline),
        TEST(session_get_without_an_answer_pings_then_reconnects),
        TEST(session_patch_without_an_answer_pings_then_is_lost),
        TEST(session_ping_without_an_answer_closes_the_link),
        TEST(session_ping_of_a_connection_before_is_forgotten),
        TEST(session_keepalive_pings_again_after_each_answer),
        TEST(session_connack_of_each_code_has_its_state_and_text),
        TEST(session_refused_again_waits_longer_up_to_300_s_and_tells_the_same),
        TEST(session_credential_that_cannot_be_had_is_refused_once_told),
        TEST(session_error_of_the_outside_gets_the_modules_name),
        TEST(session_credential_changed_during_a_refusal_tries_at_once),
        TEST(session_with_an_expired_token_is_refused),
        TEST(session_with_a_wrong_clock_looks_again_every_10_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
