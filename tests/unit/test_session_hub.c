/* The talk of a session with its hub: twin answers, desired patches, reported patches. */
#include "tests/unit/session_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GET "PUBLISH0 $iothub/twin/GET/ |"

/* ---- the get ---- */

static void get_answered_429_waits_10_to_60_s_on_the_same_link(void **state)
{
    static const struct {
        uint32_t random;
        uint64_t wait_s;
    } cases[] = {
        { 0, 10 }, { UINT32_MAX, 40 }, { UINT32_MAX, 60 }, { UINT32_MAX, 60 }, { 0, 30 }
    };
    struct fixture *f = *state;

    fixture_go_getting(f);
    fixture_log(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->random = cases[i].random;
        fixture_answer_get(f, 429, "{\"message\":\"slow down\"}");
        fixture_expect(f, i == 0 ? "getting|" : ""); /* told once */
        fixture_expect_status(f, SESSION_GETTING, "module heating: the hub throttles");
        for (uint64_t s = 0; s < cases[i].wait_s; s++) { /* with the keepalive answered */
            fixture_expect(f, "");
            fixture_advance(f, s + 1 < cases[i].wait_s ? 1000 : 999);
            if (strcmp(buf_text(&f->log), "PINGREQ|") == 0) {
                fixture_log(f);
                fixture_pingresp(f);
            }
        }
        fixture_expect(f, "");
        fixture_advance(f, 1);
        if (strncmp(buf_text(&f->log), "PINGREQ|", 8) == 0) {
            fixture_expect(f, "PINGREQ|" GET);
            fixture_pingresp(f);
        } else {
            fixture_expect(f, GET);
        }
    }
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect_status(f, SESSION_READY, "");

    fixture_desired(f, 9, "{}"); /* the next time starts from 10 s again */
    f->random = 0;
    fixture_answer_get(f, 429, "");
    fixture_log(f);
    fixture_advance(f, 9999);
    fixture_expect(f, "");
    fixture_advance(f, 1);
    fixture_expect(f, GET);
}

static void get_answered_with_an_error_reconnects_and_shows_it(void **state)
{
    static const struct {
        int status;
        const char *body, *says;
    } cases[] = {
        { 404, "", "module heating: the hub answered the twin get with 404" },
        { 500, "{\"errorCode\":500,\"message\":\"in\\nternal\"}", "with 500: in ternal" },
        { 503, "busy \x01\xff!", "with 503: busy   !" },
        { 204, "", "with 204" }, /* not an answer to a get */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = fixture_again(state);

        fixture_go_getting(f);
        fixture_log(f);
        fixture_answer_get(f, cases[i].status, cases[i].body);
        fixture_expect(f, "close|waiting|");
        fixture_expect_status(f, SESSION_WAITING, cases[i].says);
    }
}

static void get_answered_with_no_twin_asks_once_more_then_reconnects(void **state)
{
    static const char *const bodies[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"desired\":{\"$version\":1}}",
        "{\"reported\":{\"$version\":1}}",
        "{\"desired\":{},\"reported\":{}}",
        "{\"desired\":[],\"reported\":{}}",
        "{\"desired\":{\"$version\":\"1\"},\"reported\":{}}",
        "{\"desired\":{\"$version\":1.5},\"reported\":{}}",
        "{\"desired\":{\"$version\":1},\"reported\":null}",
        "{\"desired\":{\"$version\":1},\"reported\":{}} ,",
        "{\"desired\":{\"$version\":1},\"reported\":{\"a\":\"\\u0000\"}}",
        "{\"desired\":{\"$version\":1,\"$version\":2},\"reported\":{}}",
        "{\"desired\":{\"$version\":1,\"a\":[[[[[[[[[[[[[[1]]]]]]]]]]]]]]},\"reported\":{}}",
    };

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct fixture *f = fixture_again(state);

        print_message("case %s\n", bodies[i]);
        fixture_go_getting(f);
        fixture_log(f);
        fixture_answer_get(f, 200, bodies[i]);
        fixture_expect(f, GET);
        fixture_answer_get(f, 200, bodies[i]);
        fixture_expect(f, "close|waiting|");
        fixture_expect_status(f, SESSION_WAITING, "that is no twin JSON");

        /* a good one in between is forgiven */
        f = fixture_again(state);
        fixture_go_getting(f);
        fixture_answer_get(f, 200, bodies[i]);
        fixture_answer_get(f, 200, FIXTURE_TWIN);
        fixture_expect_status(f, SESSION_READY, "");
    }
}

static void get_without_a_reported_version_is_ready_with_it_unknown(void **state)
{
    struct fixture *f = *state;

    fixture_go_getting(f);
    fixture_answer_get(f, 200, "{\"desired\":{\"$version\":1},\"reported\":{\"x\":1}}");
    fixture_expect_status(f, SESSION_READY, "");
    assert_int_equal(fixture_status(f).reported_version, -1);
}

static void answers_to_other_requests_are_ignored(void **state)
{
    struct fixture *f = *state;
    char old[200];

    fixture_go_getting(f);
    snprintf(old, sizeof old, "$iothub/twin/res/200/?$rid=%s", f->get_rid);
    fixture_publish(f, 0, 0, "$iothub/twin/res/200/?$rid=other", FIXTURE_TWIN);
    fixture_publish(f, 0, 0, "$iothub/twin/res/2000/?$rid=1", FIXTURE_TWIN);
    fixture_publish(f, 0, 0, "$iothub/methods/POST/reboot/?$rid=7", "{}");
    fixture_publish(f, 0, 0, "devices/gw-1/modules/heating/inputs/x", "{}");
    fixture_expect_status(f, SESSION_GETTING, "");

    /* the answer of the connection before comes on this one */
    fixture_down(f, "reset", 0);
    fixture_to_deadline(f);
    fixture_up(f);
    fixture_connack(f, 0);
    fixture_suback(f, 0, 0);
    fixture_publish(f, 0, 0, old, FIXTURE_TWIN);
    fixture_expect_status(f, SESSION_GETTING, "reset"); /* why, until it is ready again */
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect_status(f, SESSION_READY, "");
    fixture_answer_get(f, 200, FIXTURE_TWIN); /* twice is once */
    fixture_log(f);
    fixture_answer_get(f, 500, "");
    fixture_expect(f, "");
}

static void requests_have_ids_that_never_repeat(void **state)
{
    struct fixture *f = *state;
    char first[64], second[64], third[64];

    fixture_go_ready(f);
    strcpy(first, f->get_rid);
    fixture_patch(f, "{}");
    strcpy(second, f->patch_rid);
    fixture_answer_patch(f, 204, 3, "");
    fixture_patch(f, "{}");
    strcpy(third, f->patch_rid);
    assert_string_not_equal(first, second);
    assert_string_not_equal(second, third);

    fixture_down(f, "reset", 0); /* the next connection */
    fixture_to_deadline(f);
    fixture_go_ready(f);
    assert_string_not_equal(f->get_rid, first);

    f = fixture_again(state); /* the next run of the process: another number by chance */
    session_free(f->session);
    f->session = NULL;
    f->random = 0xabcdef01;
    fixture_start(f);
    fixture_go_ready(f);
    assert_string_not_equal(f->get_rid, first);
    assert_non_null(strstr(f->get_rid, "abcdef01"));
}

/* ---- desired ---- */

static void desired_in_order_is_told_without_dollar_keys(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    fixture_desired(f, 6, "{\"a\":6,\"$version\":6,\"$metadata\":{}}");
    fixture_desired(f, 7, "{\"b\":{\"c\":null},\"$version\":7}");
    fixture_expect(f, "desired 6 {\"a\":6}|desired 7 {\"b\":{\"c\":null}}|");
    assert_int_equal(fixture_status(f).desired_version, 7);
}

static void desired_that_is_known_is_ignored(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    fixture_desired(f, 5, "{\"a\":5}");
    fixture_desired(f, 4, "{\"a\":4}");
    fixture_desired(f, 6, "{\"a\":6}");
    fixture_desired(f, 6, "{\"a\":6}");
    fixture_expect(f, "desired 6 {\"a\":6}|");
}

static void desired_after_a_gap_gets_again_and_is_ready_again(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    fixture_desired(f, 8, "{\"a\":8}");
    fixture_expect(f, GET "getting|");
    assert_int_equal(fixture_patch(f, "{}"), -ENOTCONN);
    fixture_desired(f, 9, "{\"a\":9}"); /* held */
    fixture_expect(f, "");

    fixture_answer_get(
        f, 200, "{\"desired\":{\"a\":8,\"b\":7,\"$version\":8},\"reported\":{\"$version\":2}}");

    fixture_expect(f, "ready {\"b\":7,\"a\":9,\"$version\":9} {\"$version\":2}|ready|");
    fixture_desired(f, 10, "{\"a\":10}");
    fixture_expect(f, "desired 10 {\"a\":10}|");
}

static void desired_after_a_gap_lets_a_patch_be_answered_first(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    fixture_patch(f, "{}");
    fixture_log(f);
    fixture_desired(f, 8, "{\"a\":8}");
    fixture_expect(f, "getting|");
    assert_true(f->deadline_ms > f->now_ms); /* it sleeps until then */
    fixture_answer_patch(f, 204, 3, "");
    fixture_expect(f, GET "patched 204 3|");
    fixture_answer_get(f, 200, "{\"desired\":{\"$version\":8},\"reported\":{\"$version\":3}}");
    fixture_expect(f, "ready {\"$version\":8} {\"$version\":3}|ready|");
}

static void again_gets_the_whole_twin_once_more_while_ready(void **state)
{
    struct fixture *f = *state;

    fixture_go_getting(f);
    fixture_log(f);
    session_again(f->session, f->now_ms); /* it is on its way */
    fixture_expect(f, "");
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_patch(f, "{}");
    fixture_log(f);

    session_again(f->session, f->now_ms);
    fixture_expect(f, "getting|"); /* behind the patch */
    fixture_answer_patch(f, 204, 3, "");
    fixture_expect(f, GET "patched 204 3|");
    fixture_answer_get(f, 200, "{\"desired\":{\"$version\":5},\"reported\":{\"$version\":3}}");
    fixture_expect(f, "ready {\"$version\":5} {\"$version\":3}|ready|");
}

static void desired_during_the_get_is_merged_before_ready(void **state)
{
    struct fixture *f = *state;

    fixture_go_getting(f);
    fixture_log(f);
    fixture_desired(f, 5, "{\"a\":\"known\",\"$version\":5}");
    fixture_desired(f, 6, "{\"a\":null,\"b\":6,\"$version\":6}");
    fixture_desired(f, 7, "{\"b\":7,\"$version\":7}");
    fixture_expect(f, "");

    fixture_answer_get(f, 200, FIXTURE_TWIN);

    fixture_expect(f, "ready {\"b\":7,\"$version\":7} {\"$version\":2}|ready|");
    assert_int_equal(fixture_status(f).desired_version, 7);
}

static void desired_before_the_suback_of_a_kept_session_is_held(void **state)
{
    struct fixture *f = *state;

    fixture_go_suback(f);
    fixture_log(f);
    fixture_desired(f, 6, "{\"a\":6}");
    fixture_desired(f, 7, "not json"); /* the get is still to come: no harm */
    fixture_expect(f, "");
    fixture_suback(f, 0, 0);
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect(f, GET "getting|ready {\"a\":6,\"$version\":6} {\"$version\":2}|ready|");
}

static void desired_held_by_a_connection_before_is_forgotten(void **state)
{
    struct fixture *f = *state;

    fixture_go_getting(f);
    fixture_desired(f, 6, "{\"a\":6}");
    fixture_down(f, "reset", 0);
    fixture_to_deadline(f);
    fixture_go_getting(f);
    fixture_log(f);
    fixture_answer_get(f, 200, FIXTURE_TWIN); /* the identity may have been made anew */
    fixture_expect(f, "ready {\"a\":1,\"$version\":5} {\"$version\":2}|ready|");
}

static void desired_in_a_flood_during_the_get_gets_again(void **state)
{
    struct fixture *f = *state;

    fixture_go_getting(f);
    for (int version = 6; version < 40; version++)
        fixture_desired(f, version, "{\"a\":1}");
    fixture_log(f);
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect(f, GET);
    fixture_answer_get(f, 200,
                       "{\"desired\":{\"a\":39,\"$version\":39},\"reported\":{\"$version\":2}}");
    fixture_expect(f, "ready {\"a\":39,\"$version\":39} {\"$version\":2}|ready|");
}

static void desired_without_a_version_in_the_topic_has_it_in_the_body(void **state)
{
    static const char topic[] = "$iothub/twin/PATCH/properties/desired/";
    struct fixture *f = *state;

    fixture_go_ready(f);
    fixture_publish(f, 0, 0, topic, "{\"a\":6,\"$version\":6}");
    fixture_expect(f, "desired 6 {\"a\":6}|");
    fixture_publish(f, 0, 0, topic, "{\"a\":7}"); /* nowhere: get */
    fixture_expect(f, GET "getting|");
}

static void desired_that_cannot_be_read_gets_again_then_reconnects(void **state)
{
    static const char *const bodies[] = { "", "x", "[1]", "{\"a\":1", "{\"a\":\"\xff\"}" };

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct fixture *f = fixture_again(state);

        fixture_go_ready(f);
        fixture_desired(f, 6, bodies[i]);
        fixture_expect(f, GET "getting|");
        fixture_answer_get(f, 200, FIXTURE_TWIN);
        fixture_expect_status(f, SESSION_READY, "");
        fixture_desired(f, 6, bodies[i]); /* a good document came between */
        fixture_expect_status(f, SESSION_GETTING, "");
        fixture_desired(f, 7, bodies[i]);
        fixture_expect_status(f, SESSION_WAITING, "no twin JSON");
    }
}

static void desired_that_cannot_be_read_during_the_get_gets_again_after_it(void **state)
{
    struct fixture *f = *state;

    fixture_go_getting(f);
    fixture_log(f);
    fixture_publish(f, 0, 0, "$iothub/twin/PATCH/properties/desired/?$version=x", "{}");
    fixture_expect(f, "");
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect(f, GET);
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect_status(f, SESSION_READY, "");
}

static void publish_of_qos_1_is_acknowledged_in_order(void **state)
{
    static const char topic[] = "$iothub/twin/PATCH/properties/desired/?$version=";
    struct fixture *f = *state;
    char text[100];

    fixture_go_ready(f);
    snprintf(text, sizeof text, "%s6", topic);
    fixture_publish(f, 1, 500, text, "{\"a\":6}");
    fixture_publish(f, 1, 7, "devices/gw-1/other", "");
    snprintf(text, sizeof text, "%s7", topic);
    fixture_publish(f, 1, 501, text, "{\"a\":7}");
    fixture_expect(f, "PUBACK 500|desired 6 {\"a\":6}|PUBACK 7|PUBACK 501|desired 7 {\"a\":7}|");
}

/* ---- reported ---- */

static void patch_answered_with_each_status_is_told(void **state)
{
    static const struct {
        int status;
        int64_t version;
        const char *body, *want, *message;
    } cases[] = {
        { 204, 3, "", "patched 204 3|", "" },
        { 204, -1, "", "patched 204 -1|", "" }, /* edgeHub tells no version */
        { 400, -1, "{\"errorCode\":400004,\"message\":\"bad thing\"}", "patched 400 -1|",
          "bad thing" },
        { 429, -1, "{}", "patched 429 -1|", "{}" },
        { 503, -1, "", "patched 503 -1|", "" },
    };
    struct fixture *f = *state;

    fixture_go_ready(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(fixture_patch(f, "{\"t\":1}"), 0);
        assert_int_equal(fixture_patch(f, "{\"t\":2}"), -EBUSY);
        assert_false(session_idle(f->session));
        fixture_log(f);
        fixture_answer_patch(f, cases[i].status, cases[i].version, cases[i].body);
        fixture_expect(f, cases[i].want);
        assert_string_equal(f->patched_text, cases[i].message);
        assert_true(session_idle(f->session));
        fixture_answer_patch(f, cases[i].status, cases[i].version, cases[i].body);
        fixture_expect(f, ""); /* twice is once */
    }
    assert_int_equal(fixture_status(f).reported_version, 3);
    fixture_expect_status(f, SESSION_READY, "");
}

static void patch_in_flight_when_the_link_goes_is_told_as_lost(void **state)
{
    struct fixture *f = *state;

    fixture_go_ready(f);
    fixture_patch(f, "{\"t\":1}");
    fixture_log(f);
    fixture_down(f, "reset", 0);
    fixture_expect(f, "patched 0 -1|waiting|");
    assert_int_equal(fixture_patch(f, "{}"), -ENOTCONN);
}

static void patch_is_refused_unless_ready_and_over_the_limit(void **state)
{
    struct fixture *f = *state;
    char *large = malloc(256 * 1024 + 2);

    assert_non_null(large);
    assert_int_equal(fixture_patch(f, "{}"), -ENOTCONN);
    fixture_up(f);
    assert_int_equal(fixture_patch(f, "{}"), -ENOTCONN);
    fixture_connack(f, 0);
    fixture_suback(f, 0, 0);
    assert_int_equal(fixture_patch(f, "{}"), -ENOTCONN);
    fixture_answer_get(f, 200, FIXTURE_TWIN);

    memset(large, ' ', 256 * 1024 + 1);
    large[256 * 1024 + 1] = 0;
    assert_int_equal(fixture_patch(f, large), -ENOSPC);
    large[256 * 1024] = 0;
    assert_int_equal(fixture_patch(f, large), 0);
    free(large);
}

static void patch_again(struct fixture *f, const char *what)
{
    if (strncmp(what, "patched 204", 11) == 0 || strncmp(what, "ready {", 7) == 0) {
        f->on_event = NULL;
        fixture_patch(f, "{\"again\":1}");
    }
}

static void patch_from_inside_an_event_is_sent(void **state)
{
    struct fixture *f = *state;

    f->on_event = patch_again;
    fixture_go_getting(f);
    fixture_log(f);
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_expect(f, "ready {\"a\":1,\"$version\":5} {\"$version\":2}|PUBLISH0 "
                      "$iothub/twin/PATCH/properties/reported/ {\"again\":1}|ready|");

    f->on_event = patch_again;
    fixture_answer_patch(f, 204, 3, "");
    fixture_expect(f, "patched 204 3|PUBLISH0 "
                      "$iothub/twin/PATCH/properties/reported/ {\"again\":1}|");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(get_answered_429_waits_10_to_60_s_on_the_same_link),
        TEST(get_answered_with_an_error_reconnects_and_shows_it),
        TEST(get_answered_with_no_twin_asks_once_more_then_reconnects),
        TEST(get_without_a_reported_version_is_ready_with_it_unknown),
        TEST(answers_to_other_requests_are_ignored),
        TEST(requests_have_ids_that_never_repeat),
        TEST(desired_in_order_is_told_without_dollar_keys),
        TEST(desired_that_is_known_is_ignored),
        TEST(desired_after_a_gap_gets_again_and_is_ready_again),
        TEST(desired_after_a_gap_lets_a_patch_be_answered_first),
        TEST(again_gets_the_whole_twin_once_more_while_ready),
        TEST(desired_during_the_get_is_merged_before_ready),
        TEST(desired_before_the_suback_of_a_kept_session_is_held),
        TEST(desired_held_by_a_connection_before_is_forgotten),
        TEST(desired_in_a_flood_during_the_get_gets_again),
        TEST(desired_without_a_version_in_the_topic_has_it_in_the_body),
        TEST(desired_that_cannot_be_read_gets_again_then_reconnects),
        TEST(desired_that_cannot_be_read_during_the_get_gets_again_after_it),
        TEST(publish_of_qos_1_is_acknowledged_in_order),
        TEST(patch_answered_with_each_status_is_told),
        TEST(patch_in_flight_when_the_link_goes_is_told_as_lost),
        TEST(patch_is_refused_unless_ready_and_over_the_limit),
        TEST(patch_from_inside_an_event_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
