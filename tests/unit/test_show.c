#include "bridge/service/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

static const int64_t NOON_S = 1795348800; /* 2026-11-22T12:00:00Z */

/* The table of a twin given as JSON. */
static void show(struct buf *out, const char *json)
{
    cJSON *twin = cJSON_Parse(json);

    assert_non_null(twin);
    buf_init(out, 100000);
    assert_int_equal(show_twin(out, twin, "gw/boiler", NOON_S), 0);
    cJSON_Delete(twin);
}

static void show_age_time_gives_the_largest_unit(void **state)
{
    static const struct {
        const char *time;
        const char *want;
    } cases[] = {
        { "2026-11-22T11:59:57.1234567Z", "3 s ago" },
        { "2026-11-22T11:58:01Z", "119 s ago" },
        { "2026-11-22T11:58:00Z", "2 min ago" },
        { "2026-11-22T10:00:01Z", "119 min ago" },
        { "2026-11-22T10:00:00Z", "2 h ago" },
        { "2026-11-20T12:00:01Z", "47 h ago" },
        { "2026-11-14T12:00:00Z", "8 d ago" },
        { "2026-11-22T12:00:05Z", "0 s ago" },
        { "0001-01-01T00:00:00Z", "never" },
        { "yesterday", "" },
        { "", "" },
        { NULL, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char age[SHOW_AGE_MAX];

        show_age(age, cases[i].time, NOON_S);
        assert_string_equal(age, cases[i].want);
    }
}

static void show_twin_both_sections_stand_side_by_side(void **state)
{
    struct buf out;

    (void)state;
    show(&out,
         "{\"etag\":\"AAAAAAAAAAc=\",\"connectionState\":\"Connected\",\"tags\":{\"site\":\"A\"},"
         "\"properties\":{\"desired\":{\"setpoint\":24,\"pump\":true,\"odd\":1,\"$version\":3,"
         "\"$metadata\":{\"setpoint\":{\"$lastUpdated\":\"2026-11-22T11:50:00Z\"},"
         "\"pump\":{\"$lastUpdated\":\"2026-11-22T11:59:55Z\"}}},"
         "\"reported\":{\"temperature\":61.4,"
         "\"setpoint\":{\"value\":24,\"ac\":200,\"av\":3,\"ad\":\"\"},"
         "\"pump\":{\"value\":false,\"ac\":504,\"av\":3,\"ad\":\"not written\"},"
         "\"health\":{\"state\":\"online\",\"bad\":{}},"
         "\"$metadata\":{\"temperature\":{\"$lastUpdated\":\"2026-11-22T11:59:58Z\"},"
         "\"setpoint\":{\"$lastUpdated\":\"2026-11-22T11:50:01Z\"}},\"$version\":6}}}");

    assert_string_equal(
        buf_text(&out),
        "gw/boiler: etag AAAAAAAAAAc=, desired version 3, reported version 6, Connected\n"
        "tags: {\"site\":\"A\"}\n"
        "  PROPERTY      DESIRED  SET         REPORTED  UPDATED    ACKNOWLEDGED\n"
        "  setpoint      24       10 min ago  24        9 min ago  200 for version 3\n"
        "! pump          true     5 s ago     false                504 for version 3: not written\n"
        "! odd           1                    -\n"
        "  temperature   -                    61.4      2 s ago\n"
        "  health.state  -                    \"online\"\n"
        "  health.bad    -                    {}\n"
        "! 2 desired properties are not reported as desired\n");
    buf_done(&out);
}

static void show_twin_pending_acknowledgement_is_marked(void **state)
{
    struct buf out;

    (void)state;
    show(&out, "{\"properties\":{\"desired\":{\"a\":1},\"reported\":"
               "{\"a\":{\"value\":1,\"ac\":202,\"av\":2}}}}");

    assert_non_null(strstr(buf_text(&out), "! a "));
    assert_non_null(strstr(buf_text(&out), "! 1 desired property is not"));
    buf_done(&out);
}

static void show_twin_value_of_the_device_answers_no_version(void **state)
{
    struct buf out;

    (void)state;
    show(&out, "{\"properties\":{\"reported\":"
               "{\"a\":{\"value\":1,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}}}}");

    assert_non_null(strstr(buf_text(&out), "203: device's own value\n"));
    buf_done(&out);
}

static void show_twin_components_are_paths(void **state)
{
    struct buf out;

    (void)state;
    show(&out, "{\"properties\":{\"desired\":{\"b7\":{\"__t\":\"c\",\"setpoint\":5}},\"reported\":"
               "{\"b7\":{\"__t\":\"c\",\"setpoint\":{\"value\":5,\"ac\":200,\"av\":1},\"t\":2}}}}");

    assert_non_null(strstr(buf_text(&out), "  b7.setpoint  5"));
    assert_non_null(strstr(buf_text(&out), "  b7.t         -"));
    assert_null(strstr(buf_text(&out), "__t"));
    assert_null(strstr(buf_text(&out), "!"));
    buf_done(&out);
}

static void show_twin_value_of_a_peer_cannot_move_the_cursor(void **state)
{
    struct buf out;

    (void)state;
    show(&out,
         "{\"etag\":\"\\u001b[2J\",\"properties\":{\"reported\":{\"a\\u001b[1m\":\"x\\u009b2J\","
         "\"b\":\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"}}}");

    assert_null(strchr(buf_text(&out), 0x1b));
    assert_null(strstr(buf_text(&out), "\xc2\x9b"));
    assert_non_null(strstr(buf_text(&out), "zzz...\n"));
    buf_done(&out);
}

static void show_twin_without_properties_says_so(void **state)
{
    static const char *const twins[] = { "{}", "{\"properties\":{}}", "{\"properties\":[1]}",
                                         "{\"properties\":{\"desired\":{\"$version\":1}}}" };

    (void)state;
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++) {
        struct buf out;

        show(&out, twins[i]);
        assert_non_null(strstr(buf_text(&out), "  no properties\n"));
        buf_done(&out);
    }
}

static void show_twin_into_a_small_buffer_fails(void **state)
{
    cJSON *twin = cJSON_Parse("{\"properties\":{\"reported\":{\"a\":1}}}");
    struct buf out;

    (void)state;
    buf_init(&out, 20);
    assert_int_equal(show_twin(&out, twin, "gw/boiler", NOON_S), -ENOSPC);
    buf_done(&out);
    cJSON_Delete(twin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_age_time_gives_the_largest_unit),
        cmocka_unit_test(show_twin_both_sections_stand_side_by_side),
        cmocka_unit_test(show_twin_pending_acknowledgement_is_marked),
        cmocka_unit_test(show_twin_value_of_the_device_answers_no_version),
        cmocka_unit_test(show_twin_components_are_paths),
        cmocka_unit_test(show_twin_value_of_a_peer_cannot_move_the_cursor),
        cmocka_unit_test(show_twin_without_properties_says_so),
        cmocka_unit_test(show_twin_into_a_small_buffer_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
