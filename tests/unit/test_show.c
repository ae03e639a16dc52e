#include "bridge/service/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int64_t NOON_S = 1795348800; /* 2026-11-22T12:00:00Z */
static const struct show_style PLAIN = { 0, false };

/* The table of a twin given as JSON. */
static void show(struct buf *out, const char *json)
{
    cJSON *twin = cJSON_Parse(json);

    assert_non_null(twin);
    buf_init(out, 100000);
    assert_int_equal(show_twin(out, twin, "gw/boiler", NOON_S, &PLAIN), 0);
    cJSON_Delete(twin);
}

static void show_twin_both_sections_stand_side_by_side(void **state)
{
    struct buf out;

    (void)state;
    show(&out,
         "{\"etag\":\"AAAAAAAAAAc=\",\"connectionState\":\"Connected\",\"modelId\":\"dtmi:x;1\","
         "\"tags\":{\"site\":\"A\",\"place\":{\"floor\":3,\"$version\":1}},"
         "\"properties\":{\"desired\":{\"setpoint\":24,\"pump\":true,\"odd\":1,\"$version\":3,"
         "\"$metadata\":{"
         "\"setpoint\":{\"$lastUpdated\":\"2026-11-22T11:50:00Z\",\"$lastUpdatedVersion\":3},"
         "\"pump\":{\"$lastUpdated\":\"2026-11-22T11:59:55Z\",\"$lastUpdatedVersion\":3}}},"
         "\"reported\":{\"temperature\":61.4,"
         "\"setpoint\":{\"value\":24,\"ac\":200,\"av\":3,\"ad\":\"\"},"
         "\"pump\":{\"value\":false,\"ac\":504,\"av\":3,\"ad\":\"not written\"},"
         "\"health\":{\"state\":\"online\",\"bad\":{}},"
         "\"$metadata\":{\"temperature\":{\"$lastUpdated\":\"2026-11-22T11:59:58Z\"},"
         "\"setpoint\":{\"$lastUpdated\":\"2026-11-22T11:50:01Z\"}},\"$version\":6}}}");

    assert_string_equal(
        buf_text(&out),
        "gw/boiler: Connected, desired version 3, reported version 6, etag AAAAAAAAAAc=, "
        "model dtmi:x;1\n"
        "  PROPERTY      DESIRED  AGE     REPORTED  AGE    STATUS\n"
        "  setpoint      24       10 min  24        9 min  ok\n"
        "! pump          true     5 s     false            504 failed: not written\n"
        "! odd           1                -\n"
        "  temperature   -                61.4      2 s\n"
        "  health.state  -                \"online\"\n"
        "  health.bad    -                {}\n"
        "! 2 desired properties are not reported as desired\n"
        "tags\n"
        "  site         \"A\"\n"
        "  place.floor  3\n");
    buf_done(&out);
}

static void show_twin_acknowledgement_is_told_in_words(void **state)
{
    static const struct {
        const char *desired, *reported;
        char mark;
        const char *status;
    } cases[] = {
        { "1", "{\"value\":1,\"ac\":200,\"av\":5}", ' ', "ok" },
        { "1", "{\"value\":1,\"ac\":200,\"av\":3}", ' ', "ok" }, /* the order that asked for it */
        { "1", "{\"value\":1,\"ac\":201,\"av\":5}", ' ', "201 ok" },
        { "1", "{\"value\":1,\"ac\":200,\"av\":5,\"ad\":\"not verified\"}", ' ',
          "ok: not verified" },
        { "1", "{\"value\":1,\"ac\":202,\"av\":5}", '!', "202 pending" },
        { "1", "{\"value\":0,\"ac\":200,\"av\":4}", '!', "ok, for version 4 of 5" },
        { "1", "{\"value\":0,\"ac\":403,\"av\":5,\"ad\":\"above max 35\"}", '!',
          "403 refused: above max 35" },
        { "1", "{\"value\":0,\"ac\":500,\"av\":5}", '!', "500 failed" },
        { "1", "{\"ac\":404,\"av\":5}", '!', "404 refused" },
        { "1", "{\"value\":0,\"ac\":203,\"av\":5,\"ad\":\"changed at the device\"}", '!',
          "203 changed at the device" },
        { NULL, "{\"value\":1,\"ac\":203,\"av\":0}", ' ', "203 device's own value" },
        { NULL, "{\"value\":1,\"ac\":200,\"av\":1}", ' ', "ok" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[512];
        struct buf out;
        const char *row;

        snprintf(json, sizeof json,
                 "{\"properties\":{\"desired\":{%s%s%s\"$version\":9,\"$metadata\":{\"p\":"
                 "{\"$lastUpdatedVersion\":5}}},\"reported\":{\"p\":%s}}}",
                 cases[i].desired == NULL ? "" : "\"p\":",
                 cases[i].desired == NULL ? "" : cases[i].desired,
                 cases[i].desired == NULL ? "" : ",", cases[i].reported);
        print_message("case %s\n", cases[i].reported);
        show(&out, json);

        row = strstr(buf_text(&out), " p  ");
        assert_non_null(row);
        assert_int_equal(row[-1], cases[i].mark);
        row = strstr(row, cases[i].status);
        assert_non_null(row);
        assert_int_equal(row[strlen(cases[i].status)], '\n');
        buf_done(&out);
    }
}

static void show_twin_without_metadata_takes_the_sections_version(void **state)
{
    struct buf out;

    (void)state;
    show(&out, "{\"properties\":{\"desired\":{\"a\":2,\"$version\":7},\"reported\":"
               "{\"a\":{\"value\":1,\"ac\":200,\"av\":6}}}}");

    assert_non_null(strstr(buf_text(&out), "ok, for version 6 of 7\n"));
    assert_non_null(strstr(buf_text(&out), "! 1 desired property is not"));
    buf_done(&out);
}

static void show_twin_components_stand_under_their_names(void **state)
{
    struct buf out;

    (void)state;
    show(&out,
         "{\"properties\":{\"desired\":{\"b7\":{\"__t\":\"c\",\"setpoint\":5},\"rate\":1},"
         "\"reported\":{\"b7\":{\"__t\":\"c\",\"setpoint\":{\"value\":5,\"ac\":200,\"av\":1},"
         "\"deep\":{\"t\":2}},\"b8\":{\"__t\":\"c\",\"t\":3},\"rate\":1,\"plain\":{\"x\":1}}}}");

    assert_string_equal(buf_text(&out), "gw/boiler: desired version 0, reported version 0\n"
                                        "  PROPERTY    DESIRED  AGE  REPORTED  AGE  STATUS\n"
                                        "  rate        1             1\n"
                                        "  plain.x     -             1\n"
                                        "b7\n"
                                        "    setpoint  5             5              ok\n"
                                        "    deep.t    -             2\n"
                                        "b8\n"
                                        "    t         -             3\n");
    buf_done(&out);
}

static void show_twin_object_against_scalar_is_compared_whole(void **state)
{
    struct buf out;

    (void)state;
    show(&out, "{\"properties\":{\"desired\":{\"a\":{\"b\":1},\"c\":3,\"d\":{},\"e\":[1,2]},"
               "\"reported\":{\"a\":5,\"c\":{\"x\":1},\"d\":{\"y\":2},\"e\":[1,2]}}}");

    assert_non_null(strstr(buf_text(&out), "! a         {\"b\":1}       5\n"));
    assert_non_null(strstr(buf_text(&out), "! c         3             {\"x\":1}\n"));
    assert_non_null(strstr(buf_text(&out), "  d.y       -             2\n"));
    assert_non_null(strstr(buf_text(&out), "  e         [1,2]         [1,2]\n"));
    buf_done(&out);
}

static void show_twin_value_of_a_peer_cannot_move_the_cursor(void **state)
{
    struct buf out;

    (void)state;
    show(&out, "{\"etag\":\"\\u001b[2J\",\"modelId\":\"\\u202e\",\"status\":\"disabled\","
               "\"statusReason\":\"\\u0007\",\"tags\":{\"\\u001bt\":\"\\u009b\"},"
               "\"properties\":{\"reported\":{\"a\\u001b[1m\":\"x\\u009b2J\","
               "\"c\":{\"value\":1,\"ac\":500,\"av\":1,\"ad\":\"\\u001b[31m\\n\"},"
               "\"\\u001bd\":{\"__t\":\"c\",\"x\":1}}}}");

    assert_null(strpbrk(buf_text(&out), "\033\a\t"));
    assert_null(strstr(buf_text(&out), "\xc2\x9b"));
    assert_null(strstr(buf_text(&out), "\xe2\x80\xae"));
    assert_non_null(strstr(buf_text(&out), "500 failed: \\u001b[31m\\n"));
    assert_non_null(strstr(buf_text(&out), ", disabled: \\u0007\n"));
    buf_done(&out);
}

static void show_twin_without_properties_says_so(void **state)
{
    static const char *const twins[] = {
        "{}",
        "{\"properties\":{}}",
        "{\"properties\":[1]}",
        "{\"properties\":{\"desired\":[1],\"reported\":\"x\"}}",
        "{\"properties\":{\"desired\":{\"$version\":1,\"$metadata\":{}},\"reported\":{}}}",
        "{\"tags\":[1],\"properties\":{\"desired\":{\"$version\":1}}}",
    };

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
    for (size_t max = 20; max < 100; max += 20) {
        buf_init(&out, max);
        assert_int_equal(show_twin(&out, twin, "gw/boiler", NOON_S, &PLAIN), -ENOSPC);
        buf_done(&out);
    }
    cJSON_Delete(twin);
}

static void show_same_compares_values_not_texts(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } cases[] = {
        { "1", "1.0", true },
        { "1", "\"1\"", false },
        { "true", "true", true },
        { "[1,2]", "[1,2.0]", true },
        { "[1,2]", "[2,1]", false },
        { "[1]", "[1,1]", false },
        { "{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1}", true },
        { "{\"a\":1}", "{\"A\":1}", false },
        { "{\"a\":1}", "{\"a\":1,\"b\":null}", false },
        { "{\"a\":1,\"b\":null}", "{\"a\":1}", false },
        { "{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}", true },
        { "{\"a\":1,\"a\":2}", "{\"a\":1}", true },
        { "{\"a\":1,\"a\":2}", "{\"a\":2}", false },
        { "{}", "[]", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *one = cJSON_Parse(cases[i].one), *other = cJSON_Parse(cases[i].other);

        print_message("case %s %s\n", cases[i].one, cases[i].other);
        assert_int_equal(show_same(one, other), cases[i].same);
        assert_int_equal(show_same(other, one), cases[i].same);

        cJSON_Delete(one);
        cJSON_Delete(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_same_compares_values_not_texts),
        cmocka_unit_test(show_twin_both_sections_stand_side_by_side),
        cmocka_unit_test(show_twin_acknowledgement_is_told_in_words),
        cmocka_unit_test(show_twin_without_metadata_takes_the_sections_version),
        cmocka_unit_test(show_twin_components_stand_under_their_names),
        cmocka_unit_test(show_twin_object_against_scalar_is_compared_whole),
        cmocka_unit_test(show_twin_value_of_a_peer_cannot_move_the_cursor),
        cmocka_unit_test(show_twin_without_properties_says_so),
        cmocka_unit_test(show_twin_into_a_small_buffer_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
