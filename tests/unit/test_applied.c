#include "bridge/service/applied.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char twin_text[] =
    "{\"etag\":\"AAI=\",\"tags\":{\"site\":\"north\",\"x\":{\"y\":1}},\"properties\":{"
    "\"desired\":{\"a\":1,\"b\":{\"c\":2,\"d\":[1,2]},\"t\":\"x\",\"$version\":4,"
    "\"$metadata\":{\"$lastUpdated\":\"now\"}},\"reported\":{\"a\":7}}}";

static void applied_body_is_compared_with_the_twin(void **state)
{
    static const struct {
        const char *name;
        const char *body;
        bool patch, replace;
    } cases[] = {
        { "one value", "{\"properties\":{\"desired\":{\"a\":1}}}", true, false },
        { "another value", "{\"properties\":{\"desired\":{\"a\":2}}}", false, false },
        { "the reported value does not count", "{\"properties\":{\"desired\":{\"a\":7}}}", false,
          false },
        { "a text for a number", "{\"properties\":{\"desired\":{\"a\":\"1\"}}}", false, false },
        { "one of another case", "{\"properties\":{\"desired\":{\"A\":1}}}", false, false },
        { "deeper", "{\"properties\":{\"desired\":{\"b\":{\"d\":[1,2]}}}}", true, false },
        { "an array is a value", "{\"properties\":{\"desired\":{\"b\":{\"d\":[1]}}}}", false,
          false },
        { "a value where an object is", "{\"properties\":{\"desired\":{\"b\":1}}}", false, false },
        { "an object where a value is", "{\"properties\":{\"desired\":{\"a\":{\"c\":2}}}}", false,
          false },
        { "a deletion that happened", "{\"properties\":{\"desired\":{\"z\":null}}}", true, false },
        { "a deletion that did not", "{\"properties\":{\"desired\":{\"a\":null}}}", false, false },
        { "a deeper deletion", "{\"properties\":{\"desired\":{\"b\":{\"z\":null}}}}", true, false },
        { "tags", "{\"tags\":{\"site\":\"north\"}}", true, false },
        { "other tags", "{\"tags\":{\"site\":\"south\"}}", false, false },
        { "the whole",
          "{\"tags\":{\"x\":{\"y\":1},\"site\":\"north\"},\"properties\":{\"desired\":{\"t\":\"x\","
          "\"a\":1,\"b\":{\"d\":[1,2],\"c\":2},\"$version\":3}}}",
          true, true },
        { "the whole but one deep down",
          "{\"properties\":{\"desired\":{\"t\":\"x\",\"a\":1,\"b\":{\"c\":2}}}}", true, false },
        { "one section as a whole", "{\"tags\":{\"x\":{\"y\":1},\"site\":\"north\"}}", true, true },
        { "nothing", "{}", true, true },
        { "no object", "[]", false, false },
    };
    cJSON *twin = cJSON_Parse(twin_text);

    (void)state;
    assert_non_null(twin);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *body = cJSON_Parse(cases[i].body);

        print_message("case %s\n", cases[i].name);
        assert_non_null(body);
        assert_int_equal(applied_patch(twin, body), cases[i].patch);
        assert_int_equal(applied_replace(twin, body), cases[i].replace);
        cJSON_Delete(body);
    }
    cJSON_Delete(twin);
}

static void applied_what_is_no_twin_was_not_written(void **state)
{
    static const char *const twins[] = { "{}", "{\"properties\":[]}", "[]", "null",
                                         "{\"properties\":{\"desired\":[1]}}" };
    cJSON *body = cJSON_Parse("{\"properties\":{\"desired\":{\"a\":1}}}");

    (void)state;
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++) {
        cJSON *twin = cJSON_Parse(twins[i]);

        print_message("case %s\n", twins[i]);
        assert_false(applied_patch(twin, body));
        assert_false(applied_replace(twin, body));
        cJSON_Delete(twin);
    }
    assert_false(applied_patch(NULL, body));
    assert_false(applied_patch(body, NULL));
    cJSON_Delete(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applied_body_is_compared_with_the_twin),
        cmocka_unit_test(applied_what_is_no_twin_was_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
