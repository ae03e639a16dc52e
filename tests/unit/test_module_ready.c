/* One module twin meeting what the hub holds: values that are not fresh at READY, junk, arrays, limits. */
#include "module_fixture.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The device is read again and shows the same: nobody is told (adapter.h). */
static void device_unchanged(struct fixture *f, size_t tag)
{
    f->twin.samples[0][tag].now_ms = f->now_ms;
    f->twin.samples[0][tag].wall_ms = 1000000 + (int64_t)f->now_ms;
}

/* Long enough after the last time that the session begins its back-off anew. */
static void reconnect_later(struct fixture *f)
{
    fixture_pass(f, 70000);
    fixture_reconnect(f);
    fixture_pass(f, 20);
}

static void hold_reported(struct fixture *f, const char *json)
{
    cJSON_Delete(f->reported);
    f->reported = cJSON_Parse(json);
    assert_non_null(f->reported);
}

static void module_value_missed_while_offline_comes_with_the_device(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_device_shows(f, TEMPERATURE, value_float(50));
    fixture_pass(f, 20);
    fixture_lose_link(f);
    fixture_device_shows(f, TEMPERATURE, value_float(60));
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_pass(f, 10000);
    fixture_pass(f, 10000);
    fixture_expect_reported(f, "temperature", "50");
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_pass(f, 20);
    device_unchanged(f, TEMPERATURE);
    fixture_pass(f, 1000);

    fixture_expect_reported(f, "temperature", "60");
}

static void module_value_that_went_stale_before_its_patch_is_not_forgotten(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_device_shows(f, TEMPERATURE, value_float(60));
    f->now_ms += 4000; /* nothing was sent meanwhile: stale now */
    fixture_settle(f);
    fixture_expect_reported(f, "temperature", "");
    assert_in_range(f->next_ms, f->now_ms + 1, f->now_ms + 1000);
    device_unchanged(f, TEMPERATURE);
    fixture_pass(f, 1000);

    fixture_expect_reported(f, "temperature", "60");
}

static void module_write_not_verified_follows_what_is_read_later(void **state)
{
    struct fixture *f = fixture_ready(state);
    struct write_result result = { .outcome = WRITE_DONE, .detail = "" };

    f->twin.tags[SETPOINT].verify = false;
    fixture_desire(f, 2, "{\"setpoint\":21}");
    module_write_done(f->module, 0, SETPOINT, &result, f->now_ms);
    fixture_pass(f, 20);
    fixture_expect_reported(f, "setpoint",
                            "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"not verified\"}");
    device_unchanged(f, SETPOINT); /* still 20: the device took no notice */
    fixture_pass(f, 1000);

    fixture_expect_reported(f, "setpoint",
                            "{\"value\":20,\"ac\":200,\"av\":2,\"ad\":\"not verified\"}");
}

static void module_read_only_tag_named_no_more_is_plain_though_its_device_is_silent(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_device_shows(f, TEMPERATURE, value_float(60));
    fixture_desire(f, 2, "{\"temperature\":3}");
    fixture_pass(f, 20);
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_pass(f, 10000);
    fixture_desire(f, 3, "{\"temperature\":null}");
    fixture_expect_reported(f, "temperature", "");
    fixture_device_becomes(f, DEVICE_ONLINE);
    device_unchanged(f, TEMPERATURE);
    fixture_pass(f, 1000);

    fixture_expect_reported(f, "temperature", "60");
}

static void module_ready_clears_junk_of_every_shape(void **state)
{
    static const char *const junk[] = {
        "{\"health\":[1,{\"a\":2}]}",
        "{\"health\":7,\"temperature\":{\"a\":{\"b\":[1]}}}",
        "{\"health\":{\"bad\":[1],\"x\":1}}",
        "{\"health\":{\"bad\":{\"gone\":\"was bad\",\"pump\":{\"a\":1}}}}",
        "{\"temperature\":[1,2],\"setpoint\":[{}],\"pump\":\"on\",\"quiet\":4}",
        "{\"setpoint\":{\"value\":{\"a\":1},\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}}",
        "{\"setpoint\":{\"value\":20,\"ac\":203,\"av\":0,\"ad\":\"device's own value\",\"old\":1}}",
        "{\"x\":{\"ac\":404,\"av\":1,\"ad\":\"no such tag\",\"value\":5}}",
        "{\"relay\":{\"a\":[1e300]},\"old\":{\"deep\":{\"er\":[null]}}}",
    };
    struct fixture *f = fixture_ready(state);
    cJSON *clean;

    fixture_desire(f, 1, "{\"x\":1}");
    fixture_reconnect(f);
    device_unchanged(f, SETPOINT);
    fixture_pass(f, 20);
    clean = cJSON_Duplicate(f->reported, true);
    cJSON_DeleteItemFromObjectCaseSensitive(clean, "health");
    cJSON_DeleteItemFromObjectCaseSensitive(clean, "$version");
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        char *text;

        print_message("case %s\n", junk[i]);
        hold_reported(f, junk[i]);
        reconnect_later(f);
        for (size_t tag = 0; tag < TAG_COUNT; tag++)
            device_unchanged(f, tag);
        fixture_pass(f, 1000);
        fixture_pass(f, 1000);
        text = cJSON_PrintUnformatted(f->reported);
        print_message("  now %s\n", text);
        free(text);
        assert_true(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(f->reported, "health"), "bad")));
        assert_null(cJSON_GetObjectItemCaseSensitive(
                        cJSON_GetObjectItemCaseSensitive(f->reported, "health"), "bad")
                        ->child);
        cJSON_DeleteItemFromObjectCaseSensitive(f->reported, "health");
        assert_true(cJSON_Compare(f->reported, clean, true));
    }
    cJSON_Delete(clean);
}

static void module_components_that_are_arrays_in_the_twin_are_replaced(void **state)
{
    struct fixture *f = *state;
    const cJSON *left;

    module_free(f->module);
    f->mapping = PLANT;
    assert_int_equal(fixture_start(f), 0);
    hold_reported(f, "{\"left\":[1,[2]],\"right\":\"x\",\"$version\":1}");
    fixture_settle(f);
    module_device_state(f->module, 1, DEVICE_ONLINE, f->now_ms);
    fixture_pass(f, 20);

    left = cJSON_GetObjectItemCaseSensitive(f->reported, "left");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(left, "__t")->valuestring, "c");
    assert_non_null(cJSON_GetObjectItemCaseSensitive(left, "setpoint"));
    assert_true(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(f->reported, "right")));
}

/* It was 200 beside a value that is not the ordered one, until the next reconnect. */
static void
module_pulse_that_only_the_twin_knows_says_when_the_device_has_another_value(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_desire(f, 2, "{\"start\":true}");
    fixture_device_wrote(f, WRITE_DONE, "");
    fixture_pass(f, 20);
    fixture_expect_reported(f, "start", "{\"value\":true,\"ac\":200,\"av\":2,\"ad\":\"\"}");
    fixture_restart(f, NULL, 0); /* the store is lost */
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_device_shows(f, START, value_bool(false));
    fixture_pass(f, 20);

    assert_string_equal(f->asked, "");
    fixture_expect_reported(
        f, "start", "{\"value\":false,\"ac\":203,\"av\":2,\"ad\":\"changed at the device\"}");
}

static void module_refusals_whose_null_got_lost_do_not_fill_the_list(void **state)
{
    struct fixture *f = fixture_ready(state);
    int version = 1;

    for (int i = 0; i < 60; i++) {
        char text[40];

        snprintf(text, sizeof text, "{\"x%d\":1}", i);
        fixture_desire(f, ++version, text);
        fixture_pass(f, 30000);
        fixture_lose_link(f);
        snprintf(text, sizeof text, "{\"x%d\":null}", i);
        fixture_desire(f, ++version, text);
        snprintf(text, sizeof text, "x%d", i);
        cJSON_DeleteItemFromObjectCaseSensitive(f->reported, text); /* by another hand */
        fixture_pass(f, 60000);
    }
    fixture_desire(f, ++version, "{\"y\":1}");
    fixture_pass(f, 20);

    fixture_expect_reported(f, "y", "{\"ac\":404,\"av\":122,\"ad\":\"no such tag\"}");
}

static void module_refusals_find_room_when_others_are_gone_from_the_document(void **state)
{
    struct fixture *f = fixture_ready(state);
    char name[20];

    f->link = false; /* fifty names were refused; another fifty come in their place, unheard */
    for (int i = 0; i < 50; i++) {
        char text[40];

        snprintf(text, sizeof text, "{\"a%02d\":1}", i);
        fixture_desire(f, 2 + i, text);
    }
    f->link = true;
    reconnect_later(f);
    f->link = false;
    for (int i = 0; i < 50; i++) {
        char text[40];

        snprintf(text, sizeof text, "{\"a%02d\":null,\"b%02d\":1}", i, i);
        fixture_desire(f, 52 + i, text);
    }
    f->link = true;
    reconnect_later(f);
    reconnect_later(f);
    fixture_expect_reported(f, "b49", "{\"ac\":404,\"av\":101,\"ad\":\"no such tag\"}");
    fixture_desire(f, 102, "{\"b00\":null,\"b49\":null}");
    fixture_pass(f, 20);

    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "a%02d", i);
        fixture_expect_reported(f, name, "");
    }
    fixture_expect_reported(f, "b00", "");
    fixture_expect_reported(f, "b49", "");
}

static void module_max_silence_counts_from_ready_when_nothing_changed(void **state)
{
    struct fixture *f = fixture_ready(state);
    const struct record rows[] = { fixture_row("", 1, "", 0) };
    const cJSON *health;

    f->twin.tags[TEMPERATURE].max_silence_ms = 10000;
    fixture_device_shows(f, TEMPERATURE, value_float(50));
    fixture_pass(f, 20);
    fixture_restart(f, rows, 1);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_device_shows(f, TEMPERATURE, value_float(50));
    for (int second = 0; second < 12; second++) {
        device_unchanged(f, TEMPERATURE);
        fixture_pass(f, 1000);
    }

    health = cJSON_GetObjectItemCaseSensitive(f->reported, "health");
    assert_non_null(cJSON_GetObjectItemCaseSensitive(health, "time"));
    assert_true(strcmp(cJSON_GetObjectItemCaseSensitive(health, "time")->valuestring,
                       "1970-01-01T00:17") > 0);
}

static void module_name_refused_before_its_null_went_is_in_the_patch_once(void **state)
{
    struct fixture *f = fixture_ready(state);

    hold_reported(f, "{\"x\":{\"ac\":404,\"av\":1,\"ad\":\"of another run\"}}");
    f->refuse_patches = true;
    reconnect_later(f);
    fixture_desire(f, 2, "{\"x\":1}");
    f->refuse_patches = false;
    fixture_pass(f, 60000); /* the fake hub reads strictly */

    fixture_expect_reported(f, "x", "{\"ac\":404,\"av\":2,\"ad\":\"no such tag\"}");
}

static void module_read_only_tag_refused_while_silent_has_its_value_back_later(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_device_shows(f, TEMPERATURE, value_float(60));
    fixture_pass(f, 20);
    fixture_device_becomes(f, DEVICE_OFFLINE);
    fixture_pass(f, 10000);
    fixture_desire(f, 2, "{\"temperature\":3}");
    fixture_device_becomes(f, DEVICE_ONLINE);
    device_unchanged(f, TEMPERATURE);
    fixture_pass(f, 1000);

    fixture_expect_reported(f, "temperature",
                            "{\"value\":60,\"ac\":403,\"av\":2,\"ad\":\"read-only\"}");
}

static void module_value_of_a_refused_patch_comes_when_its_device_is_back(void **state)
{
    struct fixture *f = fixture_ready(state);

    fixture_device_shows(f, TEMPERATURE, value_float(50));
    fixture_pass(f, 20);
    f->refuse_patches = true;
    fixture_device_shows(f, TEMPERATURE, value_float(60));
    fixture_pass(f, 20);
    fixture_device_becomes(f, DEVICE_OFFLINE);
    f->refuse_patches = false;
    fixture_pass(f, 60000);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_pass(f, 20);
    device_unchanged(f, TEMPERATURE);
    fixture_pass(f, 1000);

    fixture_expect_reported(f, "temperature", "60");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(module_value_missed_while_offline_comes_with_the_device),
        TEST(module_value_that_went_stale_before_its_patch_is_not_forgotten),
        TEST(module_write_not_verified_follows_what_is_read_later),
        TEST(module_read_only_tag_named_no_more_is_plain_though_its_device_is_silent),
        TEST(module_ready_clears_junk_of_every_shape),
        TEST(module_components_that_are_arrays_in_the_twin_are_replaced),
        TEST(module_pulse_that_only_the_twin_knows_says_when_the_device_has_another_value),
        TEST(module_refusals_whose_null_got_lost_do_not_fill_the_list),
        TEST(module_refusals_find_room_when_others_are_gone_from_the_document),
        TEST(module_name_refused_before_its_null_went_is_in_the_patch_once),
        TEST(module_read_only_tag_refused_while_silent_has_its_value_back_later),
        TEST(module_value_of_a_refused_patch_comes_when_its_device_is_back),
        TEST(module_max_silence_counts_from_ready_when_nothing_changed),
    };

    return cmocka_run_group_tests_name("module_ready", tests, NULL, NULL);
}
