/* Twin semantics: merge, difference, metadata, counters, limits at their edges (iot-hub.md section
 * 4). */
#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/twin.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT "2026-01-01T00:00:00.0000000Z"

static cJSON *parse(const char *text)
{
    cJSON *tree = NULL;

    assert_int_equal(json_parse(&tree, text, strlen(text)), 0);
    return tree;
}

static void assert_tree(const cJSON *tree, const char *want)
{
    struct buf buf;

    buf_init(&buf, 1024 * 1024);
    json_print(&buf, tree);
    assert_string_equal(buf_text(&buf), want);
    buf_done(&buf);
}

/* How the open points are decided; a test that changes it puts it back. */
static struct hub_rules rules;
static const struct twin_context context = { AT, &rules };

/* One write from text; what the module is told goes to `told` ("" = nothing). */
static int write_twin(struct twin *twin, bool replace, const char *body, char *told, size_t size)
{
    cJSON *tree = parse(body), *notice = NULL;
    struct err err = { "" };
    int rc = replace ? twin_replace(twin, tree, &context, &notice, &err)
                     : twin_patch(twin, tree, &context, &notice, &err);
    struct buf buf;

    buf_init(&buf, 1024 * 1024);
    if (notice != NULL)
        json_print(&buf, notice);
    if (told != NULL)
        snprintf(told, size, "%s", buf_text(&buf));
    if (rc == -EINVAL || rc == -EFBIG)
        assert_true(err.msg[0] != 0);
    buf_done(&buf);
    cJSON_Delete(notice);
    cJSON_Delete(tree);
    return rc;
}

static int patch(struct twin *twin, const char *body)
{
    return write_twin(twin, false, body, NULL, 0);
}

static int report(struct twin *twin, const char *body)
{
    cJSON *tree = parse(body);
    struct err err = { "" };
    int rc = twin_report(twin, tree, &context, &err);

    cJSON_Delete(tree);
    return rc;
}

static void twin_init_gives_versions_one_and_no_properties(void **state)
{
    struct twin twin;
    struct buf buf;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    buf_init(&buf, 4096);
    twin_print(&buf, &twin);
    assert_string_equal(
        buf_text(&buf),
        "\"version\":1,\"tags\":{},\"properties\":{"
        "\"desired\":{\"$metadata\":{\"$lastUpdated\":\"0001-01-01T00:00:00Z\"},\"$version\":1},"
        "\"reported\":{\"$metadata\":{\"$lastUpdated\":\"0001-01-01T00:00:00Z\"},\"$version\":1}}");
    buf_done(&buf);
    twin_done(&twin);
}

static void twin_etag_counter_is_base64_of_eight_bytes(void **state)
{
    static const struct {
        uint64_t etag;
        const char *want;
    } cases[] = { /* iot-hub.md section 13 */
                  { 1, "AAAAAAAAAAE=" },
                  { 2, "AAAAAAAAAAI=" },
                  { 7, "AAAAAAAAAAc=" },
                  { 258, "AAAAAAAAAQI=" }
    };
    char etag[TWIN_ETAG_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct twin twin = { .etag = cases[i].etag };

        twin_etag(&twin, etag);
        assert_string_equal(etag, cases[i].want);
    }
}

static void twin_patch_merges_and_tells_the_fragment(void **state)
{
    static const struct {
        const char *before, *patch, *after, *told;
    } cases[] = {
        { "{}", "{\"a\":1}", "{\"a\":1}", "{\"a\":1}" },
        { "{\"a\":1}", "{\"a\":1}", "{\"a\":1}", "{\"a\":1}" },
        { "{\"a\":1,\"b\":2}", "{\"a\":null}", "{\"b\":2}", "{\"a\":null}" },
        { "{\"a\":1}", "{\"x\":null}", "{\"a\":1}", "" },
        { "{\"a\":{\"b\":1}}", "{\"a\":{\"x\":null}}", "{\"a\":{\"b\":1}}", "" },
        { "{}", "{\"p\":{\"q\":null}}", "{\"p\":{}}", "{\"p\":{\"q\":null}}" },
        { "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":{\"d\":3}}}",
          "{\"a\":{\"b\":{\"d\":3},\"c\":2}}", "{\"a\":{\"b\":{\"d\":3}}}" },
        { "{\"a\":{\"b\":1}}", "{\"a\":[1,2]}", "{\"a\":[1,2]}", "{\"a\":[1,2]}" },
        { "{\"a\":[1,2]}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}" },
        { "{\"a\":1}", "{\"$metadata\":{\"x\":1},\"$version\":9,\"a\":2}", "{\"a\":2}",
          "{\"a\":2}" },
        { "{\"a\":1}", "{}", "{\"a\":1}", "" },
        { "{\"A\":1}", "{\"a\":2}", "{\"A\":1,\"a\":2}", "{\"a\":2}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512], told[512];
        struct twin twin;

        print_message("case %zu %s\n", i, cases[i].patch);
        assert_int_equal(twin_init(&twin), 0);
        snprintf(body, sizeof body, "{\"properties\":{\"desired\":%s}}", cases[i].before);
        assert_int_equal(patch(&twin, body), 0);
        snprintf(body, sizeof body, "{\"properties\":{\"desired\":%s}}", cases[i].patch);
        assert_int_equal(write_twin(&twin, false, body, told, sizeof told), 0);

        assert_tree(twin.desired.properties, cases[i].after);
        assert_string_equal(told, cases[i].told);
        assert_int_equal(twin.desired.version, 3);
        twin_done(&twin);
    }
}

static void twin_replace_tells_the_new_document_and_null_for_what_is_gone(void **state)
{
    static const struct {
        const char *before, *body, *after, *told;
    } cases[] = {
        { "{\"a\":1,\"b\":2}", "{\"properties\":{\"desired\":{\"a\":1,\"c\":100}}}",
          "{\"a\":1,\"c\":100}", "{\"a\":1,\"c\":100,\"b\":null}" }, /* csharp issue 954 */
        { "{\"a\":{\"x\":1,\"y\":2}}", "{\"properties\":{\"desired\":{\"a\":{\"y\":3}}}}",
          "{\"a\":{\"y\":3}}", "{\"a\":{\"y\":3,\"x\":null}}" },
        { "{\"a\":{\"x\":1}}", "{\"properties\":{\"desired\":{\"a\":5}}}", "{\"a\":5}",
          "{\"a\":5}" },
        { "{\"a\":1}", "{\"properties\":{\"desired\":{\"a\":null,\"z\":null,\"b\":1}}}",
          "{\"b\":1}", "{\"b\":1,\"a\":null}" },
        { "{\"a\":1}", "{\"tags\":{\"t\":1}}", "{}", "{\"a\":null}" },
        { "{\"a\":1}", "{\"properties\":{\"desired\":null}}", "{}", "{\"a\":null}" },
        { "{}", "{}", "{}", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512], told[512];
        struct twin twin;

        print_message("case %zu %s\n", i, cases[i].body);
        assert_int_equal(twin_init(&twin), 0);
        snprintf(body, sizeof body, "{\"properties\":{\"desired\":%s},\"tags\":{\"old\":1}}",
                 cases[i].before);
        assert_int_equal(patch(&twin, body), 0);
        assert_int_equal(write_twin(&twin, true, cases[i].body, told, sizeof told), 0);

        assert_tree(twin.desired.properties, cases[i].after);
        assert_string_equal(told, cases[i].told);
        assert_null(cJSON_GetObjectItemCaseSensitive(twin.tags, "old"));
        twin_done(&twin);
    }
}

static void writes_count_what_section_12_5_says(void **state)
{
    struct twin twin;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);

    assert_int_equal(patch(&twin, "{\"tags\":{\"a\":1}}"), 0);
    assert_int_equal(twin.etag, 2);
    assert_int_equal(twin.version, 2);
    assert_int_equal(twin.desired.version, 1);

    assert_int_equal(patch(&twin, "{\"properties\":{\"desired\":{\"a\":1}}}"), 0);
    assert_int_equal(twin.etag, 3);
    assert_int_equal(twin.version, 3);
    assert_int_equal(twin.desired.version, 2);

    assert_int_equal(patch(&twin, "{\"tags\":{\"a\":2},\"properties\":{\"desired\":{\"a\":1}}}"),
                     0);
    assert_int_equal(twin.etag, 4);
    assert_int_equal(twin.desired.version, 3);

    assert_int_equal(report(&twin, "{\"a\":1}"), 0);
    assert_int_equal(twin.etag, 4);
    assert_int_equal(twin.version, 5);
    assert_int_equal(twin.reported.version, 2);

    assert_int_equal(patch(&twin, "{\"properties\":{\"reported\":{\"a\":9}},\"etag\":\"x\"}"), 0);
    assert_int_equal(twin.etag, 4);
    assert_tree(twin.reported.properties, "{\"a\":1}");
    twin_done(&twin);
}

static void metadata_mirrors_what_was_written(void **state)
{
    struct twin twin;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    assert_int_equal(
        patch(&twin, "{\"properties\":{\"desired\":{\"a\":{\"b\":1,\"c\":[1]},\"d\":1}}}"), 0);
    assert_int_equal(patch(&twin, "{\"properties\":{\"desired\":{\"a\":{\"b\":2},\"d\":null}}}"),
                     0);
    assert_int_equal(report(&twin, "{\"r\":1}"), 0);

    assert_tree(twin.desired.metadata, "{\"$lastUpdated\":\"" AT
                                       "\",\"$lastUpdatedVersion\":3,\"a\":{\"$lastUpdated\":\"" AT
                                       "\",\"$lastUpdatedVersion\":3,\"b\":{\"$lastUpdated\":\"" AT
                                       "\",\"$lastUpdatedVersion\":3},\"c\":{\"$lastUpdated\":\"" AT
                                       "\",\"$lastUpdatedVersion\":2}}}");
    assert_tree(twin.reported.metadata,
                "{\"$lastUpdated\":\"" AT "\",\"r\":{\"$lastUpdated\":\"" AT "\"}}");
    twin_done(&twin);
}

static void twin_print_for_module_has_neither_metadata_nor_tags(void **state)
{
    struct twin twin;
    struct buf buf;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    assert_int_equal(patch(&twin, "{\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"a\":1}}}"),
                     0);
    buf_init(&buf, 1024);
    twin_print_for_module(&buf, &twin);
    assert_string_equal(buf_text(&buf),
                        "{\"desired\":{\"a\":1,\"$version\":2},\"reported\":{\"$version\":1}}");
    buf_done(&buf);
    twin_done(&twin);
}

/* ---- limits; their edges are in test_hubsim_twin_limits.c ---- */

static void twin_report_forbidden_content_is_refused_and_nothing_applied(void **state)
{
    static const char *const cases[] = {
        "{\"ok\":1,\"a.b\":1}",
        "{\"ok\":1,\"a b\":1}",
        "{\"ok\":1,\"a\":{\"$x\":1}}",
        "{\"ok\":1,\"$version\":1}",
        "{\"ok\":1,\"a\\u0001\":1}",
        "{\"ok\":1,\"a\xc2\x85\":1}",
        "{\"ok\":1,\"a\":[1,null]}",
        "{\"ok\":1,\"a\":[{\"b\":null}],\"c\":[[null]]}",
        "[1]",
        "1",
    };
    struct twin twin;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i]);
        assert_int_equal(report(&twin, cases[i]), -EINVAL);
    }
    assert_tree(twin.reported.properties, "{}");
    assert_int_equal(twin.version, 1);
    twin_done(&twin);
}

/* {"k0":"xxx","k1":...} that the size rule counts as `size`: 2 for each key, the rest text. */
static char *sized_text(size_t size)
{
    struct buf buf;
    char text[TWIN_STRING_MAX + 1];

    memset(text, 'x', sizeof text);
    buf_init(&buf, 1024 * 1024);
    buf_add_byte(&buf, '{');
    for (int i = 0; size > 0; i++) {
        size_t length = size - 2 < 4000 ? size - 2 : 4000;

        buf_printf(&buf, "%s\"k%c\":\"%.*s\"", i > 0 ? "," : "", 'A' + i, (int)length, text);
        size -= length + 2;
    }
    buf_add_byte(&buf, '}');
    assert_int_equal(buf.error, 0);
    return (char *)buf.bytes;
}

static void twin_section_sizes_at_their_edge(void **state)
{
    char *most = sized_text(TWIN_PROPERTIES_MAX), *more = sized_text(TWIN_PROPERTIES_MAX + 1);
    char *most_tags = sized_text(TWIN_TAGS_MAX), *more_tags = sized_text(TWIN_TAGS_MAX + 1);
    char body[TWIN_PROPERTIES_MAX + 1024];
    struct twin twin;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    assert_int_equal(report(&twin, more), -EFBIG);
    assert_int_equal(report(&twin, most), 0);
    assert_int_equal(report(&twin, "{\"one\":1}"), -EFBIG); /* it is the sum that counts */
    assert_int_equal(report(&twin, "{\"kA\":null,\"one\":1}"), 0);

    snprintf(body, sizeof body, "{\"tags\":{},\"properties\":{\"desired\":%s}}", more);
    assert_int_equal(patch(&twin, body), -EFBIG);
    snprintf(body, sizeof body, "{\"tags\":{},\"properties\":{\"desired\":%s}}", most);
    assert_int_equal(patch(&twin, body), 0);
    snprintf(body, sizeof body, "{\"properties\":{\"desired\":{\"k\":1}},\"tags\":%s}", more_tags);
    assert_int_equal(patch(&twin, body), -EFBIG);
    assert_int_equal(twin.desired.version, 2); /* both sections or none */
    snprintf(body, sizeof body, "{\"tags\":%s}", most_tags);
    assert_int_equal(patch(&twin, body), 0);
    twin_done(&twin);
    free(most);
    free(more);
    free(most_tags);
    free(more_tags);
}

static void size_counts_characters_numbers_and_bools(void **state)
{
    /* 8,192 = 2,046 + 4: keys of 2 and values of 8, 4 and one character of two bytes. */
    static const struct {
        const char *member;
        size_t size;
    } cases[] = {
        { "\"n1\":1", 10 },
        { "\"b1\":true", 6 },
        { "\"s1\":\"\xc3\xa9\"", 3 },
        { "\"c1\":\"\\n\"", 2 },
        { "\"o1\":{\"ab\":[1,false]}", 2 + 2 + 8 + 4 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *rest = sized_text(TWIN_TAGS_MAX - cases[i].size), body[TWIN_TAGS_MAX + 256];
        struct twin twin;

        print_message("case %s\n", cases[i].member);
        assert_int_equal(twin_init(&twin), 0);
        snprintf(body, sizeof body, "{\"tags\":{%s,%s}", cases[i].member, rest + 1);
        assert_int_equal(patch(&twin, body), 0);
        assert_int_equal(patch(&twin, "{\"tags\":{\"x\":\"\"}}"), -EFBIG);
        twin_done(&twin);
        free(rest);
    }
}

static void twin_patch_of_wrong_shape_is_refused(void **state)
{
    static const char *const cases[] = { "[]", "1", "{\"tags\":1}", "{\"properties\":[]}",
                                         "{\"properties\":{\"desired\":\"x\"}}" };
    struct twin twin;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(write_twin(&twin, false, cases[i], NULL, 0), -EINVAL);
        assert_int_equal(write_twin(&twin, true, cases[i], NULL, 0), -EINVAL);
    }
    assert_int_equal(twin.etag, 1);
    twin_done(&twin);
}

/* ---- the open points of section 14 ---- */

static void twin_report_changes_what_the_rule_says(void **state)
{
    static const struct {
        enum hub_report_changes rule;
        uint64_t etag;
        int64_t version;
    } cases[] = { { HUB_REPORT_VERSION, 1, 2 },
                  { HUB_REPORT_BOTH, 2, 2 },
                  { HUB_REPORT_NEITHER, 1, 1 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct twin twin;

        assert_int_equal(twin_init(&twin), 0);
        rules.report_changes = cases[i].rule;
        assert_int_equal(report(&twin, "{\"a\":1}"), 0);
        assert_int_equal(twin.etag, cases[i].etag);
        assert_int_equal(twin.version, cases[i].version);
        assert_int_equal(twin.reported.version, 2);
        twin_done(&twin);
    }
    rules = (struct hub_rules){ 0 };
}

static void twin_replace_keeps_missing_sections_under_that_rule(void **state)
{
    struct twin twin;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    assert_int_equal(patch(&twin, "{\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"d\":1}}}"),
                     0);
    rules.missing_section = HUB_MISSING_KEPT;
    assert_int_equal(write_twin(&twin, true, "{\"tags\":{\"u\":2}}", NULL, 0), 0);
    assert_tree(twin.tags, "{\"u\":2}");
    assert_tree(twin.desired.properties, "{\"d\":1}");
    assert_int_equal(twin.desired.version, 2);
    assert_int_equal(write_twin(&twin, true, "{\"properties\":{\"desired\":{\"e\":1}}}", NULL, 0),
                     0);
    assert_tree(twin.tags, "{\"u\":2}");
    assert_tree(twin.desired.properties, "{\"e\":1}");
    rules = (struct hub_rules){ 0 };
    twin_done(&twin);
}

static void twin_patch_ignores_equal_desired_under_that_rule(void **state)
{
    static const char body[] = "{\"tags\":{\"t\":%d},\"properties\":{\"desired\":{\"d\":1}}}";
    char text[128], told[64];
    struct twin twin;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    rules.equal_desired = HUB_EQUAL_IGNORED;
    for (int i = 1; i <= 2; i++) {
        snprintf(text, sizeof text, body, i);
        assert_int_equal(write_twin(&twin, false, text, told, sizeof told), 0);
        assert_string_equal(told, i == 1 ? "{\"d\":1}" : "");
        assert_int_equal(twin.desired.version, 2);
        assert_int_equal(twin.etag, 1 + i); /* the tags count */
    }
    assert_int_equal(patch(&twin, "{\"properties\":{\"desired\":{\"d\":1}}}"), 0);
    assert_int_equal(twin.etag, 3);
    rules = (struct hub_rules){ 0 };
    twin_done(&twin);
}

static void twin_sizes_count_bytes_under_that_rule(void **state)
{
    struct twin twin;
    struct buf body;

    (void)state;
    buf_init(&body, 64 * 1024);
    buf_add_text(&body, "{\"tags\":{");
    for (int i = 0; i < 3; i++) { /* 3 x (1 + 2,000 characters of two bytes) */
        buf_printf(&body, "%s\"%c\":\"", i > 0 ? "," : "", 'a' + i);
        for (int j = 0; j < 2000; j++)
            buf_add_text(&body, "\xc3\xa9");
        buf_add_byte(&body, '"');
    }
    buf_add_text(&body, "}}");
    assert_int_equal(twin_init(&twin), 0);
    rules.size_rule = HUB_SIZE_BYTES;
    assert_int_equal(patch(&twin, buf_text(&body)), -EFBIG);
    rules = (struct hub_rules){ 0 };
    assert_int_equal(patch(&twin, buf_text(&body)), 0);
    twin_done(&twin);
    buf_done(&body);
}

/* ---- memory that runs out ---- */

static int allocations_left;

static void *scarce_malloc(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Every allocation of a write fails once; the twin must stand as it was. */
static void writes_without_memory_leave_the_twin_untouched(void **state)
{
    cJSON_Hooks scarce = { scarce_malloc, free };
    bool done = false;

    (void)state;
    for (int allowed = 0; !done; allowed++) {
        cJSON *replace = parse(
            "{\"tags\":{\"t\":2},\"properties\":{\"desired\":{\"a\":{\"c\":[1,2]},\"n\":1}}}");
        cJSON *reported = parse("{\"r\":{\"s\":1},\"q\":null}"), *notice = NULL;
        struct err err = { "" };
        struct twin twin;
        int replaced, told = -ENOMEM;

        assert_int_equal(twin_init(&twin), 0);
        assert_int_equal(
            patch(&twin, "{\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"a\":{\"b\":1}}}}"), 0);

        allocations_left = allowed;
        cJSON_InitHooks(&scarce);
        replaced = twin_replace(&twin, replace, &context, &notice, &err);
        if (replaced == 0)
            told = twin_report(&twin, reported, &context, &err);
        cJSON_InitHooks(NULL);

        if (replaced != 0) {
            assert_int_equal(replaced, -ENOMEM);
            assert_tree(twin.desired.properties, "{\"a\":{\"b\":1}}");
            assert_tree(twin.tags, "{\"t\":1}");
            assert_null(notice);
        } else if (told != 0) {
            assert_int_equal(told, -ENOMEM);
            assert_tree(twin.reported.properties, "{}");
        }
        done = replaced == 0 && told == 0;
        cJSON_Delete(notice);
        cJSON_Delete(replace);
        cJSON_Delete(reported);
        twin_done(&twin);
        assert_true(allowed < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twin_init_gives_versions_one_and_no_properties),
        cmocka_unit_test(twin_etag_counter_is_base64_of_eight_bytes),
        cmocka_unit_test(twin_patch_merges_and_tells_the_fragment),
        cmocka_unit_test(twin_replace_tells_the_new_document_and_null_for_what_is_gone),
        cmocka_unit_test(writes_count_what_section_12_5_says),
        cmocka_unit_test(metadata_mirrors_what_was_written),
        cmocka_unit_test(twin_print_for_module_has_neither_metadata_nor_tags),
        cmocka_unit_test(twin_report_forbidden_content_is_refused_and_nothing_applied),
        cmocka_unit_test(twin_section_sizes_at_their_edge),
        cmocka_unit_test(size_counts_characters_numbers_and_bools),
        cmocka_unit_test(twin_patch_of_wrong_shape_is_refused),
        cmocka_unit_test(twin_report_changes_what_the_rule_says),
        cmocka_unit_test(twin_replace_keeps_missing_sections_under_that_rule),
        cmocka_unit_test(twin_patch_ignores_equal_desired_under_that_rule),
        cmocka_unit_test(twin_sizes_count_bytes_under_that_rule),
        cmocka_unit_test(writes_without_memory_leave_the_twin_untouched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
