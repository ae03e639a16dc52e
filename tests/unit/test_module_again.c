/* One module twin: orders that meet another order, a reconnect, a slow store. What was taken back is not
 * written, what is under way is not begun again. */
#include "module_fixture.h"

#include "bridge/report.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Desired while the link is down; the get after it brings it. */
static void desire_unheard(struct fixture *f, int version, const char *fragment)
{
    f->link = false;
    fixture_desire(f, version, fragment);
    f->link = true;
}

static void device_read(struct fixture *f, size_t tag, struct value value)
{
    twin_fixture_good(&f->twin, 0, tag, value, f->now_ms);
    module_read_done(f->module, 0, tag, 0, f->now_ms);
    fixture_settle(f);
}

static void module_order_taken_back_while_it_is_read_is_not_written(void **state)
{
    struct fixture *f = fixture_ready(state);

    desire_unheard(f, 2, "{\"setpoint\":21}");
    fixture_reconnect(f);
    assert_string_equal(f->asked, "read:setpoint");
    fixture_desire(f, 3, "{\"setpoint\":null}");
    device_read(f, SETPOINT, value_float(20));
    fixture_pass(f, 5000);

    assert_string_equal(f->asked, "read:setpoint");
}

static void module_order_taken_back_before_it_was_sent_is_not_written(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_desire(f, 3, "{\"setpoint\":null}");
    fixture_device_wrote(f, WRITE_NOT_SENT, "");
    fixture_pass(f, 5000);

    assert_string_equal(f->asked, "write:setpoint=21");
}

static void module_order_not_sent_gives_way_to_the_newer_one(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_desire(f, 3, "{\"setpoint\":22}");
    fixture_device_wrote(f, WRITE_NOT_SENT, "");
    fixture_pass(f, 5000);

    assert_string_equal(f->asked, "write:setpoint=21 write:setpoint=22");
}

static void module_write_once_taken_back_while_its_intent_is_stored_is_not_sent(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->slow_store = true;
    fixture_desire(f, 2, "{\"start\":true}");
    fixture_desire(f, 3, "{\"start\":null}");
    f->slow_store = false;
    fixture_pass(f, 5000);

    assert_string_equal(f->asked, "");
    fixture_expect_reported(f, "start",
                            "{\"value\":false,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
}

static void module_write_once_with_nothing_to_store_its_intent_is_not_sent(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->commit_rc = -EIO;
    fixture_desire(f, 2, "{\"start\":true}");
    fixture_pass(f, 5000);

    assert_string_equal(f->asked, "");
    fixture_expect_reported(f, "start",
                            "{\"value\":false,\"ac\":504,\"av\":2,"
                            "\"ad\":\"not written: the state cannot be stored\"}");
}

static void module_write_once_reconnect_while_it_is_written_ends_in_200(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"start\":true}");
    assert_string_equal(f->asked, "write:start=true");
    fixture_reconnect(f);
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);

    assert_string_equal(f->asked, "write:start=true");
    fixture_expect_reported(f, "start", "{\"value\":true,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_write_once_newer_while_the_first_is_written_is_sent_after_it(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"start\":true}");
    fixture_desire(f, 3, "{\"start\":true}");
    fixture_reconnect(f);
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    assert_string_equal(f->asked, "write:start=true write:start=true");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 5000);

    assert_string_equal(f->asked, "write:start=true write:start=true");
    fixture_expect_reported(f, "start", "{\"value\":true,\"ac\":200,\"av\":3,\"ad\":\"\"}");
}

static void module_reconnect_while_an_order_is_written_does_not_read_it_again(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    desire_unheard(f, 3, "{\"other\":1}");
    fixture_reconnect(f);
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);

    assert_string_equal(f->asked, "write:setpoint=21");
    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_reconnect_does_not_prolong_the_write_deadline(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->twin.tags[SETPOINT].write_deadline_ms = 10000;
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_pass(f, 5000);
    fixture_reconnect(f); /* takes two seconds */
    fixture_pass(f, 3000);

    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":504,\"av\":2,\"ad\":\"not written\"}");
}

static void module_order_taken_back_while_away_is_not_written(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_desire(f, 2, "{\"setpoint\":21}");
    desire_unheard(f, 3, "{\"setpoint\":null}");
    fixture_reconnect(f);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_pass(f, 5000);

    assert_string_equal(f->asked, "");
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
}

static void module_order_gone_back_to_the_recorded_value_while_away_is_not_written(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_desire(f, 3, "{\"setpoint\":22}");
    desire_unheard(f, 4, "{\"setpoint\":21}");
    fixture_reconnect(f);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_device_shows(f, SETPOINT, value_float(21));
    fixture_pass(f, 5000);

    assert_string_equal(f->asked, "write:setpoint=21");
    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_order_gone_back_while_the_other_is_written_is_written_after_it(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    fixture_desire(f, 3, "{\"setpoint\":22}");
    desire_unheard(f, 4, "{\"setpoint\":21}");
    fixture_reconnect(f);
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_settle(f);
    device_read(f, SETPOINT, value_float(22));
    assert_string_equal(f->asked,
                        "write:setpoint=21 write:setpoint=22 read:setpoint write:setpoint=21");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_late_commit_does_not_hide_that_a_newer_order_waits(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->slow_store = true;
    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_desire(f, 3, "{\"setpoint\":22}");
    f->slow_store = false;
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint",
                            "{\"value\":21,\"ac\":202,\"av\":3,\"ad\":\"waiting for the device\"}");
}

static void module_order_behind_a_slow_one_says_202_after_a_second_too(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_desire(f, 3, "{\"setpoint\":22}");
    fixture_pass(f, 1000);

    assert_string_equal(f->asked, "write:setpoint=21");
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":202,\"av\":3,\"ad\":\"being written\"}");
}

static void module_change_at_the_device_before_the_commit_is_told(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->slow_store = true;
    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 5);
    fixture_device_shows(f, SETPOINT, value_float(18));
    f->slow_store = false;
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint",
                            "{\"value\":18,\"ac\":203,\"av\":2,\"ad\":\"changed at the device\"}");
}

static void module_order_sent_without_answer_never_becomes_not_written(void **state)
{
    struct fixture *f = fixture_ready(state);

    f->twin.tags[SETPOINT].write_deadline_ms = 5000;
    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_NO_ANSWER, "");
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_pass(f, 6000);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_settle(f);
    device_read(f, SETPOINT, value_float(20));
    fixture_pass(f, 2000);

    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":504,\"av\":2,\"ad\":\"no answer\"}");
}

static void module_restart_keeps_changed_at_the_device_until_it_is_read(void **state)
{
    struct fixture *f = fixture_ready(state);
    const struct record rows[] = { fixture_row("", 2, "", 0),
                                   fixture_row("setpoint", 2, "21", 200) };

    fixture_desire(f, 2, "{\"setpoint\":21}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    fixture_device_shows(f, SETPOINT, value_float(18));
    fixture_pass(f, 20);
    fixture_restart(f, rows, 2);
    fixture_pass(f, 2000);
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":18,\"ac\":203,\"av\":2,\"ad\":\"changed at the device\"}");
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_device_shows(f, SETPOINT, value_float(21));
    fixture_pass(f, 20);

    fixture_expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_patch_that_is_too_large_does_not_spin(void **state)
{
    static char reason[REPORT_PATCH_MAX];
    struct fixture *f = fixture_ready(state);
    struct module_status status;
    struct sample bad;

    memset(reason, 'x', sizeof reason - 1);
    bad = *twin_fixture_bad(&f->twin, 0, TEMPERATURE, reason, f->now_ms);
    module_sample(f->module, 0, TEMPERATURE, &bad, f->now_ms);
    fixture_pass(f, 20);

    assert_in_range(f->next_ms, f->now_ms + 1, f->now_ms + 60000);
    module_status(f->module, &status);
    assert_string_not_equal(status.error, "");
}

static void module_write_only_tag_without_answer_shows_no_value(void **state)
{
    struct fixture *f = fixture_ready(state);
    const struct write_result done = { .outcome = WRITE_DONE, .detail = "" };

    fixture_desire(f, 2, "{\"relay\":4}");
    module_write_done(f->module, 0, RELAY, &done, f->now_ms);
    fixture_pass(f, 20);
    fixture_desire(f, 3, "{\"relay\":5}");
    fixture_device_wrote(f, WRITE_NO_ANSWER, "");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "relay", "{\"ac\":504,\"av\":3,\"ad\":\"no answer\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(module_order_taken_back_while_it_is_read_is_not_written),
        TEST(module_order_taken_back_before_it_was_sent_is_not_written),
        TEST(module_order_not_sent_gives_way_to_the_newer_one),
        TEST(module_write_once_taken_back_while_its_intent_is_stored_is_not_sent),
        TEST(module_write_once_with_nothing_to_store_its_intent_is_not_sent),
        TEST(module_write_once_reconnect_while_it_is_written_ends_in_200),
        TEST(module_write_once_newer_while_the_first_is_written_is_sent_after_it),
        TEST(module_reconnect_while_an_order_is_written_does_not_read_it_again),
        TEST(module_reconnect_does_not_prolong_the_write_deadline),
        TEST(module_order_taken_back_while_away_is_not_written),
        TEST(module_order_gone_back_to_the_recorded_value_while_away_is_not_written),
        TEST(module_order_gone_back_while_the_other_is_written_is_written_after_it),
        TEST(module_late_commit_does_not_hide_that_a_newer_order_waits),
        TEST(module_order_behind_a_slow_one_says_202_after_a_second_too),
        TEST(module_change_at_the_device_before_the_commit_is_told),
        TEST(module_order_sent_without_answer_never_becomes_not_written),
        TEST(module_restart_keeps_changed_at_the_device_until_it_is_read),
        TEST(module_write_only_tag_without_answer_shows_no_value),
        TEST(module_patch_that_is_too_large_does_not_spin),
    };

    return cmocka_run_group_tests_name("module_again", tests, NULL, NULL);
}
