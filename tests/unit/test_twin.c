/* Twin documents: strict reading, versions, merge patches. */
#include "bridge/twin.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <cmocka.h>

/* From memory that ends with the text, without a NUL. */
static int parse(cJSON **out, const char *text, size_t length)
{
    char *copy = malloc(length + (length == 0));
    int rc;

    assert_non_null(copy);
    memcpy(copy, text, length);
    rc = twin_parse(out, copy, length);
    free(copy);
    return rc;
}

static cJSON *tree(const char *text)
{
    cJSON *out = NULL;

    assert_int_equal(parse(&out, text, strlen(text)), 0);
    return out;
}

static void assert_text(const cJSON *node, const char *want)
{
    char *text = cJSON_PrintUnformatted(node);

    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

static void twin_parse_of_good_documents_gives_the_tree(void **state)
{
    static const char *const cases[] = {
        "{}",
        "{\"a\":1,\"b\":-0.5,\"c\":1e+20,\"d\":0,\"e\":true,\"f\":null,\"g\":\"x\"}",
        "{\"a\":{\"b\":[1,[2],{\"c\":3}]},\"A\":1}", /* keys have case */
        "{\"a\":\"\\\"\\\\\\n\"}",
        "{\"\":1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *document = tree(cases[i]);

        assert_text(document, cases[i]);
        cJSON_Delete(document);
    }
}

static void twin_parse_of_white_space_and_escapes_reads_them(void **state)
{
    cJSON *document = tree(" {\r\n\t\"a\" : \"\\u00e9\\ud83d\\ude00\\\\u0000\" } \n");

    (void)state;
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(document, "a")->valuestring,
                        "\xc3\xa9\xf0\x9f\x98\x80\\u0000");
    cJSON_Delete(document);
}

static void twin_parse_of_a_bad_document_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t length; /* 0 = strlen */
    } cases[] = {
        { "", 0 },
        { " ", 0 },
        { "[]", 0 },
        { "1", 0 },
        { "\"a\"", 0 },
        { "null", 0 },
        { "{", 0 },
        { "{}}", 0 },
        { "{} x", 0 },
        { "{}{}", 0 },
        { "{\"a\"}", 0 },
        { "{\"a\":}", 0 },
        { "{\"a\":1,}", 0 },
        { "{a:1}", 0 },
        { "{'a':1}", 0 },
        { "{\"a\":1 \"b\":2}", 0 },
        { "{\"a\":[1,2}", 0 },
        { "{\"a\":\"x}", 0 },
        { "{\"a\":\"x\\", 0 },
        { "{\"a\":\"\\u0000\"}", 0 },
        { "{\"\\u0000a\":1}", 0 },
        { "{\"a\":\"\\ud800\"}", 0 },
        { "{\"a\":\"\n\"}", 0 }, /* a control character bare in a string */
        { "{\"a\":\"\xff\"}", 0 },
        { "{\"a\":\"\xc0\xaf\"}", 0 },
        { "{\"a\":\"\xed\xa0\x80\"}", 0 },
        { "{\"a\":1}\0", 8 },
        { "{\"a\":1\0}", 8 },
        { "{\x01}", 0 },
        { "{\"a\":01}", 0 },
        { "{\"a\":-}", 0 },
        { "{\"a\":-01}", 0 },
        { "{\"a\":+1}", 0 },
        { "{\"a\":.5}", 0 },
        { "{\"a\":5.}", 0 },
        { "{\"a\":1e}", 0 },
        { "{\"a\":1e+}", 0 },
        { "{\"a\":1.2.3}", 0 },
        { "{\"a\":0x10}", 0 },
        { "{\"a\":1e400}", 0 },
        { "{\"a\":-1e400}", 0 },
        { "{\"a\":NaN}", 0 },
        { "{\"a\":tru}", 0 },
        { "{\"a\":1,\"a\":2}", 0 },
        { "{\"a\":1,\"b\":2,\"a\":1}", 0 },
        { "{\"x\":[{\"a\":1,\"\\u0061\":2}]}", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *document = NULL;
        size_t length = cases[i].length != 0 ? cases[i].length : strlen(cases[i].text);

        print_message("case %s\n", cases[i].text);
        assert_int_equal(parse(&document, cases[i].text, length), -EBADMSG);
        assert_null(document);
    }
}

/* `depth` objects in each other. */
static int parse_nested(size_t depth)
{
    char text[8 * 1024] = "";
    cJSON *document = NULL;
    int rc;

    for (size_t i = 1; i < depth; i++)
        strcat(text, "{\"a\":");
    strcat(text, "{}");
    for (size_t i = 1; i < depth; i++)
        strcat(text, "}");
    rc = parse(&document, text, strlen(text));
    cJSON_Delete(document);
    return rc;
}

static void twin_parse_over_the_limits_is_refused(void **state)
{
    char *text = malloc(TWIN_BYTES_MAX + 2);
    cJSON *document = NULL;
    size_t length = 0;

    (void)state;
    assert_non_null(text);
    assert_int_equal(parse_nested(TWIN_DEPTH_MAX), 0);
    assert_int_equal(parse_nested(TWIN_DEPTH_MAX + 1), -ENOSPC);
    assert_int_equal(parse_nested(1000), -ENOSPC);

    memset(text, ' ', TWIN_BYTES_MAX + 1);
    memcpy(text, "{}", 2);
    assert_int_equal(parse(&document, text, TWIN_BYTES_MAX), 0);
    cJSON_Delete(document);
    document = NULL;
    assert_int_equal(parse(&document, text, TWIN_BYTES_MAX + 1), -ENOSPC);

    memcpy(text, "{\"a\":[1", 7);
    for (length = 7; length < 7 + 2 * (TWIN_VALUES_MAX + 1); length += 2)
        memcpy(text + length, ",1", 2);
    memcpy(text + length, "]}", 2);
    assert_int_equal(parse(&document, text, length + 2), -ENOSPC);
    free(text);
}

static void twin_parse_of_a_text_cut_at_every_byte_is_refused(void **state)
{
    static const char whole[] =
        "{\"desired\":{\"a\":-1.5e3,\"b\":[true,null,\"\\u00e9\xc3\xa9\"],\"$version\":3}}";

    (void)state;
    for (size_t i = 0; i < strlen(whole); i++) {
        cJSON *document = NULL;

        assert_int_equal(parse(&document, whole, i), -EBADMSG);
        assert_null(document);
    }
}

static void twin_version_takes_whole_numbers_only(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        { "{\"$version\":0}", 0 },
        { "{\"$version\":3}", 3 },
        { "{\"$version\":3.0}", 3 },
        { "{\"$version\":9007199254740992}", INT64_C(9007199254740992) },
        { "{}", -1 },
        { "{\"$Version\":3}", -1 },
        { "{\"$version\":-1}", -1 },
        { "{\"$version\":3.5}", -1 },
        { "{\"$version\":1e300}", -1 },
        { "{\"$version\":9007199254740994}", -1 },
        { "{\"$version\":\"3\"}", -1 },
        { "{\"$version\":true}", -1 },
        { "{\"$version\":null}", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *section = tree(cases[i].text);

        print_message("case %s\n", cases[i].text);
        assert_true(twin_version(section) == cases[i].want);
        cJSON_Delete(section);
    }
    assert_true(twin_version(NULL) == -1);
}

static void twin_set_version_replaces_or_adds(void **state)
{
    cJSON *section = tree("{\"$version\":3,\"a\":1}");

    (void)state;
    assert_int_equal(twin_set_version(section, 4), 0);
    assert_text(section, "{\"a\":1,\"$version\":4}");
    cJSON_Delete(section);
}

static void twin_strip_removes_dollar_members_of_the_top(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "{\"$version\":4,\"a\":1,\"$metadata\":{\"x\":1},\"b\":2}", "{\"a\":1,\"b\":2}" },
        { "{\"a\":{\"$x\":1},\"$\":2}", "{\"a\":{\"$x\":1}}" },
        { "{\"$version\":4}", "{}" },
        { "{}", "{}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *object = tree(cases[i].text);

        twin_strip(object);
        assert_text(object, cases[i].want);
        cJSON_Delete(object);
    }
}

static void twin_merge_does_as_rfc_7396_says(void **state)
{
    static const struct {
        const char *target, *patch, *want;
    } cases[] = {
        /* appendix A, the rows whose target and patch are objects */
        { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
        { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
        { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
        { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
        { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
        { "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
        { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
        { "{\"a\":5}", "{\"a\":{\"b\":1,\"c\":null}}", "{\"a\":{\"b\":1}}" },
        { "{\"a\":1}", "{\"A\":2}", "{\"a\":1,\"A\":2}" },
        { "{\"$version\":3}", "{\"a\":1,\"$version\":4}", "{\"$version\":3,\"a\":1}" },
        { "{\"a\":{}}", "{\"a\":{\"$b\":1}}", "{\"a\":{\"$b\":1}}" }, /* as a patch alone has it */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *target = tree(cases[i].target), *patch = tree(cases[i].patch);

        print_message("case %s + %s\n", cases[i].target, cases[i].patch);
        assert_int_equal(twin_merge(target, patch), 0);
        assert_text(target, cases[i].want);
        assert_text(patch, cases[i].patch);
        cJSON_Delete(target);
        cJSON_Delete(patch);
    }
}

/* ---- memory ---- */

static size_t allocations_left; /* 0 = no fault; the n-th from now fails */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return allocations_left > 0 && --allocations_left == 0 ? NULL : __real_malloc(size);
}

static void *cjson_malloc(size_t size)
{
    return __wrap_malloc(size);
}

static void parse_and_merge_without_memory_say_so_and_leave_nothing(void **state)
{
    static const char text[] = "{\"a\":{\"b\":1},\"c\":[1,\"x\"]}";
    cJSON_Hooks hooks = { cjson_malloc, free };
    size_t n, places = 0;

    (void)state;
    cJSON_InitHooks(&hooks);
    for (n = 1;; n++) {
        cJSON *target = tree("{\"a\":5,\"c\":0}"), *patch = NULL;
        int rc;

        allocations_left = n;
        rc = twin_parse(&patch, text, strlen(text));
        if (rc == 0)
            rc = twin_merge(target, patch);
        if (rc == 0)
            rc = twin_set_version(target, 7);
        places += allocations_left == 0;
        if (allocations_left > 0) {
            allocations_left = 0;
            assert_int_equal(rc, 0);
            assert_text(target, "{\"a\":{\"b\":1},\"c\":[1,\"x\"],\"$version\":7}");
            cJSON_Delete(patch);
            cJSON_Delete(target);
            break;
        }
        assert_true(rc == -ENOMEM || (rc == -EBADMSG && patch == NULL));
        twin_strip(target); /* half merged, but a tree */
        cJSON_Delete(patch);
        cJSON_Delete(target);
    }
    cJSON_InitHooks(NULL);
    assert_true(places > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twin_parse_of_good_documents_gives_the_tree),
        cmocka_unit_test(twin_parse_of_white_space_and_escapes_reads_them),
        cmocka_unit_test(twin_parse_of_a_bad_document_is_refused),
        cmocka_unit_test(twin_parse_over_the_limits_is_refused),
        cmocka_unit_test(twin_parse_of_a_text_cut_at_every_byte_is_refused),
        cmocka_unit_test(twin_version_takes_whole_numbers_only),
        cmocka_unit_test(twin_set_version_replaces_or_adds),
        cmocka_unit_test(twin_strip_removes_dollar_members_of_the_top),
        cmocka_unit_test(twin_merge_does_as_rfc_7396_says),
        cmocka_unit_test(parse_and_merge_without_memory_say_so_and_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
