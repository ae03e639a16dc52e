/* The reported side of a twin: filter, pending patch, shadow. Patches are compared as JSON. */
#include "bridge/report.h"
#include "twin_fixture.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

struct fixture {
    struct twin_fixture twin;
    struct report *report;
    struct buf patch;
    size_t first_device; /* of the module in the configuration */
};

static void latest(const void *data, size_t device, size_t tag, struct sample *out)
{
    const struct fixture *f = data;

    *out = f->twin.samples[f->first_device + device][tag];
}

static int setup_module(void **state, size_t module)
{
    struct fixture *f = calloc(1, sizeof *f);

    twin_fixture_init(&f->twin);
    f->first_device = module == BOILER ? 0 : 1;
    buf_init(&f->patch, REPORT_PATCH_MAX);
    *state = f;
    return report_new(&f->report, &f->twin.config, module, latest, f);
}

static int setup_flat(void **state)
{
    return setup_module(state, BOILER);
}

static int setup_components(void **state)
{
    return setup_module(state, PLANT);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    report_free(f->report);
    buf_done(&f->patch);
    free(f);
    return 0;
}

/* The patch due at `now_ms` must be this JSON; "" = none. */
static void expect_patch(struct fixture *f, uint64_t now_ms, const char *json)
{
    int rc = report_write(f->report, now_ms, &f->patch);
    cJSON *have = cJSON_Parse(buf_text(&f->patch));
    cJSON *want = cJSON_Parse(json);

    print_message("patch at %llu: %s\n", (unsigned long long)now_ms, buf_text(&f->patch));
    assert_int_equal(rc, json[0] == 0 ? -EAGAIN : 0);
    if (json[0] != 0)
        assert_true(cJSON_Compare(have, want, true));
    cJSON_Delete(have);
    cJSON_Delete(want);
}

static void show(struct fixture *f, size_t tag, struct value value, uint64_t now_ms)
{
    report_sample(f->report, 0, tag,
                  twin_fixture_good(&f->twin, f->first_device, tag, value, now_ms), now_ms);
}

static void report_sample_first_value_goes_with_its_time(void **state)
{
    struct fixture *f = *state;

    show(f, TEMPERATURE, value_float(61.4), 1000);

    assert_int_equal(report_due(f->report), 1000 + REPORT_GATHER_MS);
    expect_patch(f, 1010,
                 "{\"temperature\":61.4,\"health\":{\"time\":\"1970-01-01T00:16:41.000Z\"}}");
    report_accepted(f->report);
    assert_int_equal(report_pending(f->report), 0);
    expect_patch(f, 1020, "");
}

static void report_sample_within_deadband_is_silent(void **state)
{
    struct fixture *f = *state;

    show(f, TEMPERATURE, value_float(61.4), 1000);
    report_write(f->report, 1010, &f->patch);
    report_accepted(f->report);
    show(f, TEMPERATURE, value_float(61.6), 2000); /* moved by exactly the deadband: not more */

    expect_patch(f, 2010, "");
    show(f, TEMPERATURE, value_float(61.65), 3000);
    expect_patch(f, 3010,
                 "{\"temperature\":61.65,\"health\":{\"time\":\"1970-01-01T00:16:43.000Z\"}}");
}

static void report_sample_min_interval_holds_then_sends_the_newest(void **state)
{
    struct fixture *f = *state;

    show(f, ENERGY, value_int(1), 1000);
    report_write(f->report, 1010, &f->patch);
    report_accepted(f->report);
    show(f, ENERGY, value_int(2), 2000);
    show(f, ENERGY, value_int(3), 9000);

    assert_int_equal(report_due(f->report), 1010 + 10000);
    expect_patch(f, 5000, "");
    assert_int_equal(report_due(f->report), 1010 + 10000);
    expect_patch(f, 11010, "{\"energy\":3,\"health\":{\"time\":\"1970-01-01T00:16:49.000Z\"}}");
}

static void report_sample_report_none_is_never_sent(void **state)
{
    struct fixture *f = *state;

    show(f, QUIET, value_int(1), 1000);

    assert_int_equal(report_due(f->report), 0);
    expect_patch(f, 2000, "");
}

static void report_sample_max_silence_sends_again_only_a_fresh_sample(void **state)
{
    struct fixture *f = *state;

    f->twin.tags[TEMPERATURE].max_silence_ms = 60000;
    show(f, TEMPERATURE, value_float(20), 1000);
    report_write(f->report, 1010, &f->patch);
    report_accepted(f->report);

    assert_int_equal(report_due(f->report), 61010);
    expect_patch(f, 61010, ""); /* the sample is a minute old: silence is the truth */
    assert_int_equal(report_due(f->report), 62010);
    twin_fixture_good(&f->twin, 0, TEMPERATURE, value_float(20), 61500);
    expect_patch(f, 61600,
                 "{\"temperature\":20,\"health\":{\"time\":\"1970-01-01T00:17:41.500Z\"}}");
}

static void report_sample_bad_is_nulled_and_named(void **state)
{
    struct fixture *f = *state;

    show(f, TEMPERATURE, value_float(20), 1000);
    report_write(f->report, 1010, &f->patch);
    report_accepted(f->report);
    report_sample(f->report, 0, TEMPERATURE,
                  twin_fixture_bad(&f->twin, 0, TEMPERATURE, "not a number", 2000), 2000);

    expect_patch(f, 2010,
                 "{\"temperature\":null,\"health\":{\"bad\":{\"temperature\":\"not a number\"}}}");
    report_accepted(f->report);
    show(f, TEMPERATURE, value_float(20), 3000);
    expect_patch(f, 3010,
                 "{\"temperature\":20,\"health\":{\"time\":\"1970-01-01T00:16:43.000Z\","
                 "\"bad\":{\"temperature\":null}}}");
}

static void report_acknowledge_bad_writable_loses_only_its_value(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 200, 7, "" };

    report_acknowledge(f->report, 0, SETPOINT, &ack, 1000);
    report_sample(f->report, 0, SETPOINT,
                  twin_fixture_bad(&f->twin, 0, SETPOINT, "out of range", 1000), 1000);

    expect_patch(f, 1010,
                 "{\"setpoint\":{\"value\":null,\"ac\":200,\"av\":7,\"ad\":\"\"},"
                 "\"health\":{\"bad\":{\"setpoint\":\"out of range\"}}}");
}

static void report_acknowledge_without_fresh_sample_sends_no_value(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 202, 9, "waiting for the device" };

    twin_fixture_good(&f->twin, 0, SETPOINT, value_float(21), 1000);
    report_acknowledge(f->report, 0, SETPOINT, &ack, 60000);

    expect_patch(f, 60000,
                 "{\"setpoint\":{\"ac\":202,\"av\":9,\"ad\":\"waiting for the device\"}}");
}

static void report_lost_merges_back_with_the_newest_value(void **state)
{
    struct fixture *f = *state;

    show(f, TEMPERATURE, value_float(20), 1000);
    show(f, PUMP, value_bool(true), 1000);
    report_write(f->report, 1010, &f->patch);
    show(f, TEMPERATURE, value_float(30), 2000);
    report_lost(f->report, 2000);

    expect_patch(
        f, 2010,
        "{\"temperature\":30,\"pump\":true,\"health\":{\"time\":\"1970-01-01T00:16:42.000Z\"}}");
}

static void report_written_shows_until_a_later_sample(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 200, 3, "not verified" };

    show(f, SETPOINT, value_float(20), 1000);
    report_written(f->report, 0, SETPOINT, value_float(25), 1500);
    report_acknowledge(f->report, 0, SETPOINT, &ack, 1500);

    expect_patch(f, 1510,
                 "{\"setpoint\":{\"value\":25,\"ac\":200,\"av\":3,\"ad\":\"not verified\"}}");
    report_accepted(f->report);
    show(f, SETPOINT, value_float(24), 2000);
    expect_patch(f, 2010,
                 "{\"setpoint\":{\"value\":24,\"ac\":200,\"av\":3,\"ad\":\"not verified\"},"
                 "\"health\":{\"time\":\"1970-01-01T00:16:42.000Z\"}}");
}

static void report_refuse_unknown_name_and_forget(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 404, 5, "no such tag" };

    report_refuse(f->report, "", "setpiont", &ack, 1000);

    expect_patch(f, 1000, "{\"setpiont\":{\"ac\":404,\"av\":5,\"ad\":\"no such tag\"}}");
    report_accepted(f->report);
    report_forget(f->report, "", "setpiont", 2000);
    expect_patch(f, 2000, "{\"setpiont\":null}");
    report_accepted(f->report);
    assert_int_equal(report_pending(f->report), 0);
}

static void report_refuse_over_the_limit_is_counted(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 404, 5, "no such tag" };
    char name[16];

    for (int i = 0; i < REPORT_REFUSED_MAX + 3; i++) {
        snprintf(name, sizeof name, "x%d", i);
        report_refuse(f->report, "", name, &ack, 1000);
    }
    report_health(f->report, 0, "online", 0, "", 1000);
    report_write(f->report, 1010, &f->patch);

    assert_non_null(strstr(buf_text(&f->patch), "\"refused\":3"));
    report_accepted(f->report);
    report_recount(f->report); /* the next document names one of them only */
    report_refuse(f->report, "", "x51", &ack, 2000);
    report_write(f->report, 2010, &f->patch);
    assert_non_null(strstr(buf_text(&f->patch), "\"refused\":1"));
}

static void report_refuse_health_is_counted_and_leaves_health_alone(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 404, 5, "no such tag" };
    static const char without[] =
        "{\"health\":{\"state\":\"online\",\"since\":\"1970-01-01T00:00:01.000Z\",\"error\":\"\","
        "\"refused\":null,\"bad\":{}}}";

    report_health(f->report, 0, "online", 1000, "", 1000);
    report_refuse(f->report, "", "health", &ack, 1000);
    report_refuse(f->report, "", "health", &ack, 1000); /* named again, but still one name */

    expect_patch(f, 1010,
                 "{\"health\":{\"state\":\"online\",\"since\":\"1970-01-01T00:00:01.000Z\","
                 "\"error\":\"\",\"refused\":1,\"bad\":{}}}");
    report_accepted(f->report);
    report_forget(f->report, "", "health", 2000);
    expect_patch(f, 2000, without);
    report_lost(f->report, 2000);
    expect_patch(f, 3000, without);
}

static void report_health_carries_state_since_and_error(void **state)
{
    struct fixture *f = *state;

    report_health(f->report, 0, "offline", 1000, "no answer to 3 requests", 5000);

    expect_patch(f, 5010,
                 "{\"health\":{\"state\":\"offline\",\"since\":\"1970-01-01T00:00:01.000Z\","
                 "\"error\":\"no answer to 3 requests\",\"bad\":{}}}");
    report_accepted(f->report);
    report_health(f->report, 0, "offline", 1000, "no answer to 3 requests", 6000);
    expect_patch(f, 6010, "");
}

/* READY: what the hub holds, and the patch that must follow. */
static void expect_after_ready(struct fixture *f, const char *reported, uint64_t now_ms,
                               const char *patch)
{
    cJSON *document = cJSON_Parse(reported);

    assert_non_null(document);
    assert_int_equal(report_ready(f->report, document, now_ms), 0);
    cJSON_Delete(document);
    expect_patch(f, now_ms, patch);
}

static void report_ready_sends_only_the_difference(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 200, 7, "" };

    show(f, TEMPERATURE, value_float(61.4), 1000);
    show(f, ENERGY, value_int(12), 1000);
    show(f, SETPOINT, value_float(21.5), 1000);
    report_acknowledge(f->report, 0, SETPOINT, &ack, 1000);

    expect_after_ready(
        f,
        "{\"temperature\":61.3,\"energy\":11,"
        "\"setpoint\":{\"value\":21.5,\"ac\":200,\"av\":7,\"ad\":\"\"},\"$version\":4}",
        1000, "{\"energy\":12,\"health\":{\"time\":\"1970-01-01T00:16:41.000Z\"}}");
}

static void report_ready_nulls_what_nobody_owns(void **state)
{
    struct fixture *f = *state;

    report_health(f->report, 0, "online", 1000, "", 1000);

    expect_after_ready(
        f,
        "{\"old\":1,\"energy\":5,\"health\":{\"state\":\"online\","
        "\"since\":\"1970-01-01T00:00:01.000Z\",\"error\":\"\",\"colour\":\"red\","
        "\"bad\":{\"gone\":\"why\",\"energy\":\"why\"}},\"$metadata\":{}}",
        2000,
        "{\"old\":null,\"health\":{\"colour\":null,\"bad\":{\"gone\":null,\"energy\":null}}}");
    report_accepted(f->report);
    expect_patch(f, 3000, "");
}

static void report_ready_without_fresh_sample_leaves_the_value(void **state)
{
    struct fixture *f = *state;

    twin_fixture_good(&f->twin, 0, TEMPERATURE, value_float(10), 1000);

    expect_after_ready(f, "{\"temperature\":61.3}", 60000, "");
}

static void report_ready_plain_value_becomes_an_acknowledgement(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 203, 0, "device's own value" };

    show(f, PUMP, value_bool(false), 1000);
    report_acknowledge(f->report, 0, PUMP, &ack, 1000);

    expect_after_ready(
        f, "{\"pump\":false}", 1000,
        "{\"pump\":{\"value\":false,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"},"
        "\"health\":{\"time\":\"1970-01-01T00:16:41.000Z\"}}");
}

static void report_plain_after_a_refusal_is_a_plain_value_again(void **state)
{
    struct fixture *f = *state;
    struct report_ack ack = { 403, 2, "read-only" };

    show(f, TEMPERATURE, value_float(20), 1000);
    report_acknowledge(f->report, 0, TEMPERATURE, &ack, 1000);
    report_write(f->report, 1010, &f->patch);
    report_accepted(f->report);
    report_plain(f->report, 0, TEMPERATURE, 1500);

    expect_patch(f, 1510,
                 "{\"temperature\":20,\"health\":{\"time\":\"1970-01-01T00:16:41.000Z\"}}");
}

static void report_components_stand_under_their_names(void **state)
{
    struct fixture *f = *state;

    report_sample(f->report, 1, PUMP, twin_fixture_good(&f->twin, 2, PUMP, value_bool(true), 1000),
                  1000);

    expect_patch(f, 1010,
                 "{\"right\":{\"__t\":\"c\",\"pump\":true,"
                 "\"health\":{\"time\":\"1970-01-01T00:16:41.000Z\"}}}");
}

static void report_components_ready_nulls_strange_keys_in_place(void **state)
{
    struct fixture *f = *state;

    expect_after_ready(
        f,
        "{\"left\":{\"__t\":\"c\",\"old\":1,\"health\":{\"bad\":{}}},"
        "\"middle\":{\"__t\":\"c\"},\"right\":{\"__t\":\"c\",\"health\":{\"bad\":{}}}}",
        1000, "{\"left\":{\"__t\":\"c\",\"old\":null},\"middle\":null}");
}

static void report_write_text_is_escaped(void **state)
{
    struct fixture *f = *state;

    report_health(f->report, 0, "offline", 0, "said \"no\"\n\\", 1000);
    report_write(f->report, 1010, &f->patch);

    assert_non_null(strstr(buf_text(&f->patch), "said \\\"no\\\"\\u000a\\\\"));
}

static void report_bytes_counts_as_the_hub_does(void **state)
{
    struct fixture *f = *state;
    size_t empty = report_bytes(f->report);

    show(f, TEMPERATURE, value_float(20), 1000);
    show(f, PUMP, value_bool(true), 1000);
    report_write(f->report, 1010, &f->patch);

    assert_int_equal(report_bytes(f->report) - empty,
                     strlen("temperature") + 8 + strlen("pump") + 4);
}

#define FLAT(name)       cmocka_unit_test_setup_teardown(name, setup_flat, teardown)
#define COMPONENTS(name) cmocka_unit_test_setup_teardown(name, setup_components, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLAT(report_sample_first_value_goes_with_its_time),
        FLAT(report_sample_within_deadband_is_silent),
        FLAT(report_sample_min_interval_holds_then_sends_the_newest),
        FLAT(report_sample_report_none_is_never_sent),
        FLAT(report_sample_max_silence_sends_again_only_a_fresh_sample),
        FLAT(report_sample_bad_is_nulled_and_named),
        FLAT(report_acknowledge_bad_writable_loses_only_its_value),
        FLAT(report_acknowledge_without_fresh_sample_sends_no_value),
        FLAT(report_lost_merges_back_with_the_newest_value),
        FLAT(report_written_shows_until_a_later_sample),
        FLAT(report_refuse_unknown_name_and_forget),
        FLAT(report_refuse_over_the_limit_is_counted),
        FLAT(report_refuse_health_is_counted_and_leaves_health_alone),
        FLAT(report_health_carries_state_since_and_error),
        FLAT(report_ready_sends_only_the_difference),
        FLAT(report_ready_nulls_what_nobody_owns),
        FLAT(report_ready_without_fresh_sample_leaves_the_value),
        FLAT(report_ready_plain_value_becomes_an_acknowledgement),
        FLAT(report_plain_after_a_refusal_is_a_plain_value_again),
        COMPONENTS(report_components_stand_under_their_names),
        COMPONENTS(report_components_ready_nulls_strange_keys_in_place),
        FLAT(report_write_text_is_escaped),
        FLAT(report_bytes_counts_as_the_hub_does),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
