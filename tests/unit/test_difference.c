#include "bridge/service/difference.h"

#include "base/buf.h"
#include "bridge/service/show_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The differences as lines "path old>now". */
static void check(const char *old_json, const char *now_json, const char *want)
{
    cJSON *old = old_json == NULL ? NULL : cJSON_Parse(old_json);
    cJSON *now = now_json == NULL ? NULL : cJSON_Parse(now_json);
    struct difference_list list = { 0 };
    struct buf out;

    buf_init(&out, 10000);
    assert_int_equal(difference_find(&list, "d", old, now), 0);
    for (size_t i = 0; i < list.count; i++) {
        buf_printf(&out, "%s ", list.items[i].path);
        show_value(&out, list.items[i].old);
        buf_add_text(&out, ">");
        show_value(&out, list.items[i].now);
        buf_add_text(&out, "\n");
    }

    assert_string_equal(buf_text(&out), want);
    buf_done(&out);
    difference_done(&list);
    cJSON_Delete(old);
    cJSON_Delete(now);
}

static void difference_find_documents_give_their_properties(void **state)
{
    static const struct {
        const char *old, *now, *want;
    } cases[] = {
        { NULL, NULL, "" },
        { "{}", "{}", "" },
        { "{\"a\":1}", "{\"a\":1.0}", "" },
        { "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "" },
        { "{\"a\":1}", "{\"a\":2}", "d.a 1>2\n" },
        { "{\"a\":1}", "{}", "d.a 1>-\n" },
        { "{}", "{\"a\":1}", "d.a ->1\n" },
        { NULL, "{\"a\":{\"b\":1,\"c\":2}}", "d.a.b ->1\nd.a.c ->2\n" },
        { "{\"a\":{\"b\":1}}", NULL, "d.a.b 1>-\n" },
        { "{\"a\":{\"b\":1}}", "{\"a\":5}", "d.a {\"b\":1}>5\n" },
        { "{\"a\":5}", "{\"a\":{\"b\":1}}", "d.a 5>{\"b\":1}\n" },
        { "{\"a\":{}}", "{}", "d.a {}>-\n" },
        { "{\"a\":{}}", "{\"a\":{\"b\":1}}", "d.a.b ->1\n" },
        { "{\"a\":[1,2]}", "{\"a\":[1,3]}", "d.a [1,2]>[1,3]\n" },
        { "{\"a\":[1]}", "{\"a\":[1]}", "" },
        { "{\"a\":null}", "{}", "d.a null>-\n" },
        { "{\"a\":\"1\"}", "{\"a\":1}", "d.a \"1\">1\n" },
        { "{\"a\":true}", "{\"a\":false}", "d.a true>false\n" },
        { "{\"$version\":1,\"$metadata\":{\"a\":{}},\"a\":1}", "{\"$version\":2,\"a\":1}", "" },
        { "{\"A\":1}", "{\"a\":1}", "d.A 1>-\nd.a ->1\n" },
        { "{\"p\":{\"value\":1,\"ac\":200,\"av\":1}}", "{\"p\":{\"value\":1,\"ac\":202,\"av\":2}}",
          "d.p {\"value\":1,\"ac\":200,\"av\":1}>{\"value\":1,\"ac\":202,\"av\":2}\n" },
        { "1", "2", "d 1>2\n" },
        { "{\"a\":1,\"a\":2}", "{\"a\":1,\"b\":1,\"b\":2}", "d.b ->1\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(cases[i].old, cases[i].now, cases[i].want);
}

static void difference_find_twin_goes_through_what_people_care_for(void **state)
{
    cJSON *old = cJSON_Parse("{\"connectionState\":\"Disconnected\",\"etag\":\"a\",\"version\":1,"
                             "\"properties\":{\"desired\":{\"x\":1,\"$version\":1},"
                             "\"reported\":{\"y\":1}}}");
    cJSON *now = cJSON_Parse("{\"connectionState\":\"Connected\",\"etag\":\"b\",\"version\":2,"
                             "\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"x\":2,"
                             "\"$version\":2},\"reported\":{\"y\":2}}}");
    static const char *const want[] = { "connectionState", "tags.t", "desired.x", "reported.y" };
    struct difference_list list = { 0 };

    (void)state;
    assert_int_equal(difference_find_twin(&list, old, now), 0);

    assert_int_equal(list.count, 4);
    for (size_t i = 0; i < list.count; i++)
        assert_string_equal(list.items[i].path, want[i]);
    difference_done(&list);
    cJSON_Delete(old);
    cJSON_Delete(now);
}

static void difference_find_more_than_anybody_reads_fails(void **state)
{
    enum { ROWS = 200 };
    cJSON *now = cJSON_CreateObject();
    struct difference_list list = { 0 };

    (void)state;
    for (int i = 0; i < ROWS; i++) {
        char key[16];
        cJSON *row;

        snprintf(key, sizeof key, "r%d", i);
        row = cJSON_AddObjectToObject(now, key);
        for (int j = 0; j <= DIFFERENCE_MAX / ROWS; j++) {
            snprintf(key, sizeof key, "k%d", j);
            assert_non_null(cJSON_AddNumberToObject(row, key, j));
        }
    }

    assert_int_equal(difference_find(&list, "d", NULL, now), -ENOSPC);
    assert_int_equal(list.count, DIFFERENCE_MAX);
    difference_done(&list);
    cJSON_Delete(now);
}

static void difference_at_path_gives_the_property(void **state)
{
    cJSON *twin = cJSON_Parse(
        "{\"connectionState\":\"Connected\",\"tags\":{\"a\":{\"b\":1}},\"properties\":{\"desired\":"
        "{\"x\":2,\"$version\":7},\"reported\":{\"p\":{\"value\":5,\"ac\":200,\"av\":7},"
        "\"gone\":{\"ac\":404,\"av\":7}}}}");
    static const struct {
        const char *path, *want;
    } cases[] = {
        { "connectionState", "\"Connected\"" },
        { "tags.a.b", "1" },
        { "tags.a", "{\"b\":1}" },
        { "desired.x", "2" },
        { "desired.$version", "7" },
        { "reported.p", "5" },
        { "reported.p.ac", "200" },
        { "reported.gone", "-" },
        { "desired.x.y", "-" },
        { "desired.X", "-" },
        { "desired", "{\"x\":2,\"$version\":7}" },
        { "x", "-" },
        { "", "-" },
        { ".", "-" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out;

        buf_init(&out, 1000);
        show_value(&out, difference_at(twin, cases[i].path));
        assert_string_equal(buf_text(&out), cases[i].want);
        buf_done(&out);
    }
    assert_null(difference_at(NULL, "desired.x"));
    cJSON_Delete(twin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(difference_find_documents_give_their_properties),
        cmocka_unit_test(difference_find_twin_goes_through_what_people_care_for),
        cmocka_unit_test(difference_find_more_than_anybody_reads_fails),
        cmocka_unit_test(difference_at_path_gives_the_property),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
