#include "bridge/service/given.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

static int read_text(cJSON **out, const char *text, enum given_purpose purpose,
                     struct given_mistake *mistake)
{
    memset(mistake, 0, sizeof *mistake);
    return given_json(out, text, strlen(text), purpose, mistake);
}

static void given_json_good_json_gives_the_tree(void **state)
{
    static const char *const texts[] = {
        "1",
        "-0.5",
        "true",
        "null",
        "\"a\\u00e9\\n\"",
        "[]",
        "{\"a\":[1,{\"b\":null}]}",
        " 5 ",
        "1.0e-3",
        "\"\"",
        "4503599627370495",
        "-4503599627370496",
        "4503599627370496.0",
        "1e30",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct given_mistake mistake;
        cJSON *node = NULL;

        print_message("case %s\n", texts[i]);
        assert_int_equal(read_text(&node, texts[i], GIVEN_FOR_TWIN, &mistake), 0);
        assert_non_null(node);
        cJSON_Delete(node);
    }
}

static void given_json_what_cjson_lets_pass_is_named(void **state)
{
    static const struct {
        const char *text;
        int rc;
        unsigned line, column;
        const char *message; /* part of it */
    } cases[] = {
        /* a text, for who takes one */
        { "007", -EBADMSG, 1, 1, "start with 0" },
        { "1.", -EBADMSG, 1, 3, "digit" },
        { "-01", -EBADMSG, 1, 1, "start with 0" },
        { "north", -EBADMSG, 1, 1, "" },
        { "", -EBADMSG, 1, 1, "" },
        { "[1,2", -EBADMSG, 1, 5, "" },
        /* meant as JSON */
        { "{\"zip\":\n 007}", -EINVAL, 2, 2, "start with 0" },
        { "{\"a\":1,\"a\":2}", -EINVAL, 1, 8, "stands here again" },
        { "{\"p\":{\"a\":1,\"a\":1}}", -EINVAL, 1, 13, "stands here again" },
        { "\"a\\u0000b\"", -EINVAL, 1, 3, "u0000" },
        { "{\"a\\u0000\":1}", -EINVAL, 1, 4, "u0000" },
        { "\"a\tb\"", -EINVAL, 1, 3, "" },
        { "\"\xff\"", -EINVAL, 1, 2, "UTF-8" },
        { "4503599627370496", -EINVAL, 1, 1, "a twin's integers go from" },
        { "{\"a\":[-4503599627370497]}", -EINVAL, 1, 7, "a twin's integers go from" },
        { "{\"serial\":12345678901234567890}", -EINVAL, 1, 11, "4503599627370495" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct given_mistake mistake;
        cJSON *node = NULL;

        print_message("case %s\n", cases[i].text);
        assert_int_equal(read_text(&node, cases[i].text, GIVEN_FOR_TWIN, &mistake), cases[i].rc);
        assert_null(node);
        print_message("said %u:%u: %s\n", mistake.place.line, mistake.place.column,
                      mistake.message);
        assert_int_equal(mistake.place.line, cases[i].line);
        assert_int_equal(mistake.place.column, cases[i].column);
        assert_non_null(strstr(mistake.message, cases[i].message));
    }
}

static void given_json_as_it_is_takes_any_integer(void **state)
{
    struct given_mistake mistake;
    cJSON *node = NULL;

    (void)state;
    assert_int_equal(
        read_text(&node, "{\"serial\":12345678901234567890}", GIVEN_AS_IT_IS, &mistake), 0);
    cJSON_Delete(node);
}

static void given_json_bytes_behind_a_nul_are_not_lost(void **state)
{
    static const char text[] = "{\"a\":1}\0{\"b\":2}";
    struct given_mistake mistake;
    cJSON *node = NULL;

    (void)state;
    assert_int_not_equal(given_json(&node, text, sizeof text - 1, GIVEN_FOR_TWIN, &mistake), 0);
    assert_null(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_json_good_json_gives_the_tree),
        cmocka_unit_test(given_json_what_cjson_lets_pass_is_named),
        cmocka_unit_test(given_json_as_it_is_takes_any_integer),
        cmocka_unit_test(given_json_bytes_behind_a_nul_are_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
