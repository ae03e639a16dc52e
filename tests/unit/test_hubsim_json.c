/* JSON text <-> trees: what cJSON alone would let pass, and numbers that keep their value. */
#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void json_parse_what_rfc_8259_refuses_is_refused(void **state)
{
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        { "", -EBADMSG },
        { "{", -EBADMSG },
        { "{} x", -EBADMSG },
        { "{\"a\":01}", -EBADMSG },
        { "{\"a\":-}", -EBADMSG },
        { "{\"a\":1.}", -EBADMSG },
        { "{\"a\":1.5e}", -EBADMSG },
        { "{\"a\":1e999}", -EBADMSG },
        { "{\"a\":+1}", -EBADMSG },
        { "{\"a\":\"\\u0000\"}", -EBADMSG },
        { "{\"a\":\"\n\"}", -EBADMSG },
        { "{\"a\":\"\xc3\x28\"}", -EBADMSG },
        { "{\"a\":\"\xed\xa0\x80\"}", -EBADMSG },
        { "{\"a\":\"\\uZZZZ\"}", -EBADMSG },
        { "{\"a\":\"\\u12\"}", -EBADMSG },
        { "{\"a\":\"\\x41\"}", -EBADMSG },
        { "{\"a\":\v1}", -EBADMSG },
        { "\x01{}", -EBADMSG },
        { "{}\x7f", -EBADMSG },
        { "\xef\xbb\xbf{}", -EBADMSG },
        { "{\"a", -EBADMSG },
        { "{\"a\\", -EBADMSG },
        { "nul", -EBADMSG },
        { "{\"a\":4503599627370496}", -ERANGE },
        { "{\"a\":-4503599627370497}", -ERANGE },
        { "{\"a\":99999999999999999999}", -ERANGE },
        { "{\"a\":99999999999999999999", -EBADMSG },
        { "[99999999999999999999,01]", -EBADMSG },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *tree = NULL;

        print_message("case %s\n", cases[i].text);
        assert_int_equal(json_parse(&tree, cases[i].text, strlen(cases[i].text)), cases[i].want);
        assert_null(tree);
    }
}

static void json_print_of_what_was_parsed_reads_back_the_same(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "{ \"a\" : [ 1 , 2.50 , -0 ] }", "{\"a\":[1,2.5,0]}" },
        { "0.30000000000000004", "0.30000000000000004" },
        { "[1e300,4503599627370495,-4503599627370496,0.1]",
          "[1e+300,4503599627370495,-4503599627370496,0.1]" },
        { "[true,false,null,{},[]]", "[true,false,null,{},[]]" },
        { "\"\\u00e9\\n\\\"\\\\\\/\\u0001\"", "\"\xc3\xa9\\u000a\\\"\\\\/\\u0001\"" },
        { "{\"\\\\u0000\":1}", "{\"\\\\u0000\":1}" },
        { "{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}" },
        { "{\"x\":{\"k\":1,\"K\":2,\"k\":{\"l\":1,\"l\":2}}}",
          "{\"x\":{\"K\":2,\"k\":{\"l\":2}}}" },
    };
    struct buf buf;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *tree = NULL;

        print_message("case %s\n", cases[i].text);
        buf_init(&buf, 1024);
        assert_int_equal(json_parse(&tree, cases[i].text, strlen(cases[i].text)), 0);
        json_print(&buf, tree);
        assert_string_equal(buf_text(&buf), cases[i].want);
        cJSON_Delete(tree);
        buf_done(&buf);
    }
}

static void json_parse_text_without_its_end_reads_no_further(void **state)
{
    const char text[] = { '[', '1', ']', '2' };
    cJSON *tree = NULL;

    (void)state;
    assert_int_equal(json_parse(&tree, text, 3), 0);
    assert_int_equal(cJSON_GetArraySize(tree), 1);
    cJSON_Delete(tree);
}

static void json_print_text_of_any_bytes_is_json(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { "cut \xc3", "\"cut \\ufffd\"" },
        { "cut \xf0\x9f\x98", "\"cut \\ufffd\\ufffd\\ufffd\"" },
        { "\xff\"\x80x", "\"\\ufffd\\\"\\ufffdx\"" },
        { "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
        { "\xc3(", "\"\\ufffd(\"" },
        { "\x7f\x1f", "\"\x7f\\u001f\"" },
    };
    struct buf buf;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_init(&buf, 256);
        json_print_text(&buf, cases[i].text);
        assert_string_equal(buf_text(&buf), cases[i].want);
        buf_done(&buf);
    }
}

static void json_print_into_full_buffer_keeps_the_error(void **state)
{
    cJSON *tree = cJSON_CreateString("longer than eight");
    struct buf buf;

    (void)state;
    buf_init(&buf, 8);
    json_print(&buf, tree);
    assert_int_equal(buf.error, -ENOSPC);
    cJSON_Delete(tree);
    buf_done(&buf);
}

static void json_text_of_other_types_is_null(void **state)
{
    cJSON *tree = NULL;
    const char *text = "{\"a\":\"x\",\"b\":1,\"c\":null}";

    (void)state;
    assert_int_equal(json_parse(&tree, text, strlen(text)), 0);
    assert_string_equal(json_text(tree, "a"), "x");
    assert_null(json_text(tree, "A"));
    assert_null(json_text(tree, "b"));
    assert_null(json_text(tree, "c"));
    assert_null(json_text(NULL, "a"));
    cJSON_Delete(tree);
}

static void json_member_text_is_the_last_as_it_stands(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "{\"p\":1732300000000000001}", "1732300000000000001" },
        { " { \"x\" : [ \"p\", {\"p\":1} ] , \"p\" : { \"a\" : [ 1 , \"}\" ] } } ",
          "{ \"a\" : [ 1 , \"}\" ] }" },
        { "{\"p\":1,\"p\":\"a\\\"b\"}", "\"a\\\"b\"" },
        { "{\"p\":true\n,\"q\":null}", "true" },
        { "{\"q\":-1.5e3,\"p\":-1.5e3}", "-1.5e3" },
        { "{\"P\":1,\"pp\":2,\"\":3}", NULL },
        { "{\"\\u0070\":1}", NULL },
        { "{}", NULL },
        { "[{\"p\":1}]", NULL },
        { "\"p\"", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *tree = NULL;
        size_t length = 0;
        const char *found;

        print_message("case %s\n", cases[i].text);
        assert_int_equal(json_parse_any(&tree, cases[i].text, strlen(cases[i].text)), 0);
        cJSON_Delete(tree);
        found = json_member_text(cases[i].text, "p", &length);
        if (cases[i].want == NULL) {
            assert_null(found);
            continue;
        }
        assert_non_null(found);
        assert_int_equal(length, strlen(cases[i].want));
        assert_memory_equal(found, cases[i].want, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_parse_what_rfc_8259_refuses_is_refused),
        cmocka_unit_test(json_print_of_what_was_parsed_reads_back_the_same),
        cmocka_unit_test(json_parse_text_without_its_end_reads_no_further),
        cmocka_unit_test(json_print_text_of_any_bytes_is_json),
        cmocka_unit_test(json_print_into_full_buffer_keeps_the_error),
        cmocka_unit_test(json_text_of_other_types_is_null),
        cmocka_unit_test(json_member_text_is_the_last_as_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
