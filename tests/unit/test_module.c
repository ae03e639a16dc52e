/* One module twin: the life of orders and acknowledgements. */
#include "bridge/report.h"
#include "module_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void module_ready_reports_own_values_of_writable_tags(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
    fixture_expect_reported(f, "temperature", "");
    fixture_device_shows(f, TEMPERATURE, value_float(61.4));
    fixture_pass(f, 20);
    fixture_expect_reported(f, "temperature", "61.4");
}

static void module_order_is_written_committed_then_acknowledged(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->slow_store = true;
    fixture_desire(f, 2, "{\"setpoint\":21.5}");
    assert_string_equal(f->asked, "write:setpoint=21.5");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    assert_string_equal(f->stored, "$version=,2 setpoint=21.5,200");
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":21.5,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
    f->slow_store = false;
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint", "{\"value\":21.5,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_order_between_raw_steps_is_the_nearest(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21.56}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint", "{\"value\":21.6,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_refusals_leave_the_register_alone(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_device_shows(f, TEMPERATURE, value_float(61.4));
    fixture_desire(f, 2, "{\"setpoint\":99,\"pump\":1,\"temperature\":3,\"x\":1}");
    fixture_pass(f, 20);

    assert_string_equal(f->asked, "");
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":403,\"av\":2,\"ad\":\"above the maximum\"}");
    fixture_expect_reported(f, "pump",
                            "{\"value\":false,\"ac\":400,\"av\":2,\"ad\":\"wants true or false\"}");
    fixture_expect_reported(f, "temperature",
                            "{\"value\":61.4,\"ac\":403,\"av\":2,\"ad\":\"read-only\"}");
    fixture_expect_reported(f, "x", "{\"ac\":404,\"av\":2,\"ad\":\"no such tag\"}");
    fixture_desire(f, 3, "{\"temperature\":null,\"x\":null,\"setpoint\":null}");
    fixture_pass(f, 20);
    fixture_expect_reported(f, "temperature", "61.4");
    fixture_expect_reported(f, "x", "");
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
}

static void module_names_refused_are_taken_back_together(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"x\":1,\"y\":1,\"z\":1}");
    fixture_pass(f, 20);
    fixture_expect_reported(f, "z", "{\"ac\":404,\"av\":2,\"ad\":\"no such tag\"}");
    fixture_desire(f, 3, "{\"x\":null,\"y\":null,\"z\":null}");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "x", "");
    fixture_expect_reported(f, "y", "");
    fixture_expect_reported(f, "z", "");
}

static void module_names_refused_over_the_limit_are_counted_and_leave_nothing_behind(void **state)
{
    struct fixture *f = fixture_ready(state);
    char patch[2][2000] = { "{\"x\":1", "{\"x\":null" };

    for (int i = 0; i < REPORT_REFUSED_MAX + 9; i++) {
        snprintf(patch[0] + strlen(patch[0]), 20, ",\"x%d\":1", i);
        snprintf(patch[1] + strlen(patch[1]), 20, ",\"x%d\":null", i);
    }
    strcat(patch[0], "}");
    strcat(patch[1], "}");

    f->slow_store = true; /* the answers of those that are kept come after the others are counted */
    fixture_desire(f, 2, patch[0]);
    fixture_pass(f, 20);
    f->slow_store = false;
    fixture_pass(f, 20);
    fixture_expect_reported(f, "x", "{\"ac\":404,\"av\":2,\"ad\":\"no such tag\"}");
    fixture_expect_reported(f, "x48", "{\"ac\":404,\"av\":2,\"ad\":\"no such tag\"}");
    fixture_expect_reported(f, "x49", "");
    fixture_desire(f, 3, patch[1]);
    fixture_pass(f, 20);

    fixture_expect_reported(f, "x", "");
    fixture_expect_reported(f, "x48", "");
    fixture_expect_reported(f, "x58", "");
}

static void module_order_to_a_silent_device_waits_and_only_the_newest_is_written(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_desire(f, 3, "{\"setpoint\":22}");
    fixture_pass(f, 20);
    assert_string_equal(f->asked, "");
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":202,\"av\":3,\"ad\":\"waiting for the device\"}");
    fixture_pass(f, 10000);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_settle(f);
    assert_string_equal(f->asked, "write:setpoint=22");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint", "{\"value\":22,\"ac\":200,\"av\":3,\"ad\":\"\"}");
}

static void module_order_slower_than_a_second_says_202_first(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"pump\":true}");
    fixture_pass(f, 999);
    fixture_expect_reported(f, "pump",
                            "{\"value\":false,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
    fixture_pass(f, 1);
    fixture_expect_reported(f, "pump",
                            "{\"value\":false,\"ac\":202,\"av\":2,\"ad\":\"being written\"}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "pump", "{\"value\":true,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_order_past_its_deadline_is_504(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->twin.tags[SETPOINT].write_deadline_ms = 5000;
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_pass(f, 5000);
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":504,\"av\":2,\"ad\":\"not written\"}");
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_pass(f, 20);

    assert_string_equal(f->asked, "");
}

static void module_order_refused_by_the_device_is_502(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_REFUSED, "illegal data value (exception 3)");
    fixture_pass(f, 20);

    fixture_expect_reported(
        f, "setpoint",
        "{\"value\":20,\"ac\":502,\"av\":2,\"ad\":\"illegal data value (exception 3)\"}");
}

static void module_order_that_reads_back_otherwise_is_500(void **state)
{
    struct fixture *f = fixture_ready(state);
    struct write_result result = { .outcome = WRITE_DIFFERS, .detail = "" };

    fixture_desire(f, 2, "{\"setpoint\":21}");
    result.readback = *twin_fixture_good(&f->twin, 0, SETPOINT, value_float(19), f->now_ms);
    module_sample(f->module, 0, SETPOINT, &result.readback, f->now_ms);
    module_write_done(f->module, 0, SETPOINT, &result, f->now_ms);
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint",
                            "{\"value\":19,\"ac\":500,\"av\":2,\"ad\":\"reads back as 19\"}");
}

static void module_order_without_answer_is_504_then_read_then_written_once_more(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_NO_ANSWER, "");
    fixture_pass(f, 20);
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":504,\"av\":2,\"ad\":\"no answer\"}");
    fixture_pass(f, 1000);
    assert_string_equal(f->asked, "write:setpoint=21 read:setpoint");
    twin_fixture_good(&f->twin, 0, SETPOINT, value_float(20), f->now_ms);
    module_read_done(f->module, 0, SETPOINT, 0, f->now_ms);
    fixture_settle(f);
    assert_string_equal(f->asked, "write:setpoint=21 read:setpoint write:setpoint=21");
    fixture_device_wrote(f, WRITE_NO_ANSWER, "");
    fixture_pass(f, 60000);

    assert_string_equal(f->asked, "write:setpoint=21 read:setpoint write:setpoint=21");
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":504,\"av\":2,\"ad\":\"no answer\"}");
}

static void module_order_without_answer_found_done_is_200(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_NO_ANSWER, "");
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_pass(f, 30000);
    assert_string_equal(f->asked, "write:setpoint=21");
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_settle(f);
    fixture_device_shows(f, SETPOINT, value_float(21));
    module_read_done(f->module, 0, SETPOINT, 0, f->now_ms);
    fixture_pass(f, 20);

    assert_string_equal(f->asked, "write:setpoint=21 read:setpoint");
    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_order_not_sent_waits_for_the_connection(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_NOT_SENT, "");
    fixture_pass(f, 1000);

    assert_string_equal(f->asked, "write:setpoint=21 write:setpoint=21");
}

static void module_newer_order_while_one_is_written_follows_it(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_desire(f, 3, "{\"setpoint\":22}");
    fixture_desire(f, 4, "{\"setpoint\":23}");
    assert_string_equal(f->asked, "write:setpoint=21");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_settle(f);
    assert_string_equal(f->asked, "write:setpoint=21 write:setpoint=23");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint", "{\"value\":23,\"ac\":200,\"av\":4,\"ad\":\"\"}");
    assert_null(strstr(f->stored, "setpoint=21,"));
}

static void module_write_once_is_committed_before_it_is_sent(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->slow_store = true;
    fixture_desire(f, 2, "{\"start\":true}");
    assert_string_equal(f->asked, "");
    assert_non_null(strstr(f->stored, "start=true,0"));
    f->slow_store = false;
    fixture_pass(f, 20);
    assert_string_equal(f->asked, "write:start=true");
    fixture_device_wrote(f, WRITE_NO_ANSWER, "");
    fixture_pass(f, 60000);

    assert_string_equal(f->asked, "write:start=true");
    fixture_expect_reported(
        f, "start",
        "{\"value\":false,\"ac\":504,\"av\":2,\"ad\":\"interrupted, outcome unknown\"}");
}

static void module_restart_after_an_acknowledgement_writes_nothing(void **state)
{
    struct fixture *f = fixture_ready(state);
    const struct record rows[] = { fixture_row("", 2, "", 0),
                                   fixture_row("setpoint", 2, "21", 200) };

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    fixture_restart(f, rows, 2);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_device_shows(f, SETPOINT, value_float(21));
    fixture_pass(f, 60000);

    assert_string_equal(f->asked, "");
    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_restart_before_the_record_reads_first(void **state)
{
    struct fixture *f = fixture_ready(state);
    const struct record rows[] = { fixture_row("", 1, "", 0) };

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_restart(f, rows, 1);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_settle(f);
    assert_string_equal(f->asked, "read:setpoint");
    fixture_device_shows(f, SETPOINT, value_float(21));
    module_read_done(f->module, 0, SETPOINT, 0, f->now_ms);
    fixture_pass(f, 20);

    assert_string_equal(f->asked, "read:setpoint");
    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_restart_with_write_once_under_way_says_interrupted(void **state)
{
    struct fixture *f = fixture_ready(state);
    const struct record rows[] = { fixture_row("", 2, "", 0), fixture_row("start", 2, "true", 0) };

    fixture_desire(f, 2, "{\"start\":true}");
    fixture_restart(f, rows, 2);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_device_shows(f, START, value_bool(false));
    fixture_pass(f, 60000);

    assert_string_equal(f->asked, "");
    fixture_expect_reported(
        f, "start",
        "{\"value\":false,\"ac\":504,\"av\":2,\"ad\":\"interrupted, outcome unknown\"}");
}

static void module_reconnect_applies_what_was_desired_meanwhile_once(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->link = false;
    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_desire(f, 3, "{\"setpoint\":22}");
    f->link = true;
    fixture_reconnect(f);
    assert_string_equal(f->asked, "read:setpoint");
    module_read_done(f->module, 0, SETPOINT, 0, f->now_ms);
    fixture_settle(f);
    assert_string_equal(f->asked, "read:setpoint write:setpoint=22");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    fixture_expect_reported(f, "setpoint", "{\"value\":22,\"ac\":200,\"av\":3,\"ad\":\"\"}");
    fixture_reconnect(f);

    assert_string_equal(f->asked, "read:setpoint write:setpoint=22");
    fixture_expect_reported(f, "setpoint", "{\"value\":22,\"ac\":200,\"av\":3,\"ad\":\"\"}");
}

static void module_change_at_the_device_is_told_as_such(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    fixture_device_shows(f, SETPOINT, value_float(18));
    fixture_pass(f, 20);
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":18,\"ac\":203,\"av\":2,\"ad\":\"changed at the device\"}");
    fixture_device_shows(f, SETPOINT, value_float(21));
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_write_only_tag_shows_what_was_written(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"relay\":4}");
    {
        struct write_result result = { .outcome = WRITE_DONE, .detail = "" };

        module_write_done(f->module, 0, RELAY, &result, f->now_ms);
    }
    fixture_pass(f, 20);

    fixture_expect_reported(f, "relay",
                            "{\"value\":4,\"ac\":200,\"av\":2,\"ad\":\"not readable\"}");
    fixture_desire(f, 3, "{\"relay\":null}"); /* what it holds from now on, nobody knows */
    fixture_pass(f, 20);
    fixture_expect_reported(f, "relay", "{\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
}

static void module_store_that_fails_does_not_hold_the_answer(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->commit_rc = -EIO;
    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_throttled_hub_is_asked_at_most_every_ten_seconds(void **state)
{
    struct fixture *f = fixture_ready(state);
    unsigned before = f->patches;

    f->refuse_patches = true;
    for (int second = 0; second < 60; second++) {
        fixture_device_shows(f, TEMPERATURE, value_float(20 + second));
        fixture_pass(f, 1000);
    }
    assert_in_range(f->patches - before, 2, 6);
    f->refuse_patches = false;
    for (int second = 0; second < 61; second++) {
        fixture_device_shows(f, TEMPERATURE, value_float(80));
        fixture_pass(f, 1000);
    }

    fixture_expect_reported(f, "temperature", "80");
}

static void module_patch_lost_with_the_link_is_sent_again(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->mute_patches = true;
    fixture_device_shows(f, TEMPERATURE, value_float(42));
    fixture_pass(f, 20);
    f->mute_patches = false;
    twin_fixture_good(&f->twin, 0, TEMPERATURE, value_float(42), f->now_ms + 2000);
    fixture_reconnect(f);
    fixture_pass(f, 20);

    fixture_expect_reported(f, "temperature", "42");
}

static void module_stop_says_stopped(void **state)
{
    struct fixture *f = fixture_ready(state);
    const cJSON *health;

    module_stop(f->module, f->now_ms);
    fixture_pass(f, 20);

    health = cJSON_GetObjectItemCaseSensitive(f->reported, "health");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(health, "state")->valuestring, "stopped");
    assert_true(module_stopped(f->module));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(module_ready_reports_own_values_of_writable_tags),
        TEST(module_order_is_written_committed_then_acknowledged),
        TEST(module_order_between_raw_steps_is_the_nearest),
        TEST(module_refusals_leave_the_register_alone),
        TEST(module_names_refused_are_taken_back_together),
        TEST(module_names_refused_over_the_limit_are_counted_and_leave_nothing_behind),
        TEST(module_order_to_a_silent_device_waits_and_only_the_newest_is_written),
        TEST(module_order_slower_than_a_second_says_202_first),
        TEST(module_order_past_its_deadline_is_504),
        TEST(module_order_refused_by_the_device_is_502),
        TEST(module_order_that_reads_back_otherwise_is_500),
        TEST(module_order_without_answer_is_504_then_read_then_written_once_more),
        TEST(module_order_without_answer_found_done_is_200),
        TEST(module_order_not_sent_waits_for_the_connection),
        TEST(module_newer_order_while_one_is_written_follows_it),
        TEST(module_write_once_is_committed_before_it_is_sent),
        TEST(module_restart_after_an_acknowledgement_writes_nothing),
        TEST(module_restart_before_the_record_reads_first),
        TEST(module_restart_with_write_once_under_way_says_interrupted),
        TEST(module_reconnect_applies_what_was_desired_meanwhile_once),
        TEST(module_change_at_the_device_is_told_as_such),
        TEST(module_write_only_tag_shows_what_was_written),
        TEST(module_store_that_fails_does_not_hold_the_answer),
        TEST(module_throttled_hub_is_asked_at_most_every_ten_seconds),
        TEST(module_patch_lost_with_the_link_is_sent_again),
        TEST(module_stop_says_stopped),
    };

    return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
