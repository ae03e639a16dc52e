/* Every limit of a twin at its edge: the largest that is accepted, the smallest that is refused, in
 * each section that has the limit (iot-hub.md section 4.5). */
#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/twin.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum section { TAGS = 1, DESIRED = 2, REPORTED = 4, ALL = 7, PROPERTIES = 6 };

enum form {
    TEXT,          /* the document as it stands */
    KEY,           /* {"xxx...": 1} with a key of so many bytes */
    VALUE,         /* {"k": "xxx..."} */
    ARRAY_VALUE,   /* {"k": ["xxx..."]} */
    SIZE,          /* texts that count so much together */
    OBJECTS,       /* objects so deep below the section, a number in the innermost */
    ARRAYS,        /* the same with arrays below the first */
    EMPTY_OBJECTS, /* the innermost is empty */
};

struct limit {
    const char *name;
    unsigned sections;
    enum form form;
    const char *text;
    size_t size;
    int want;
};

#define TWO_BYTES "\xc3\xa9"

static const struct limit limits[] = {
    { "tags of 8 KB", TAGS, SIZE, NULL, 8 * 1024, 0 },
    { "tags of 8 KB and one", TAGS, SIZE, NULL, 8 * 1024 + 1, -EFBIG },
    { "a section of 32 KB", PROPERTIES, SIZE, NULL, 32 * 1024, 0 },
    { "a section of 32 KB and one", PROPERTIES, SIZE, NULL, 32 * 1024 + 1, -EFBIG },
    { "a text of 4,096 bytes", ALL, VALUE, NULL, 4096, 0 },
    { "a text of 4,097 bytes", ALL, VALUE, NULL, 4097, -EINVAL },
    { "a text of 4,096 bytes in an array", ALL, ARRAY_VALUE, NULL, 4096, 0 },
    { "a text of 4,097 bytes in an array", ALL, ARRAY_VALUE, NULL, 4097, -EINVAL },
    { "a key of 1,024 bytes", ALL, KEY, NULL, 1024, 0 },
    { "a key of 1,025 bytes", ALL, KEY, NULL, 1025, -EINVAL },
    { "objects 10 deep", ALL, OBJECTS, NULL, 10, 0 },
    { "objects 11 deep", ALL, OBJECTS, NULL, 11, -EINVAL },
    { "empty objects 10 deep", ALL, EMPTY_OBJECTS, NULL, 10, 0 },
    { "empty objects 11 deep", ALL, EMPTY_OBJECTS, NULL, 11, -EINVAL },
    { "arrays 10 deep", ALL, ARRAYS, NULL, 10, 0 },
    { "arrays 11 deep", ALL, ARRAYS, NULL, 11, -EINVAL },
    { "2^52 - 1", ALL, TEXT, "{\"k\":4503599627370495}", 0, 0 },
    { "2^52", ALL, TEXT, "{\"k\":4503599627370496}", 0, -ERANGE },
    { "-2^52", ALL, TEXT, "{\"k\":-4503599627370496}", 0, 0 },
    { "-2^52 - 1", ALL, TEXT, "{\"k\":-4503599627370497}", 0, -ERANGE },
    { "2^52 in an array", ALL, TEXT, "{\"k\":[1,[4503599627370496]]}", 0, -ERANGE },
    { "2^64", ALL, TEXT, "{\"k\":18446744073709551616}", 0, -ERANGE },
    { "a large fraction", ALL, TEXT, "{\"k\":1.5e300}", 0, 0 },
    { "a number without a double", ALL, TEXT, "{\"k\":1e400}", 0, -EBADMSG },
    { "a dot in a key", ALL, TEXT, "{\"a.b\":1}", 0, -EINVAL },
    { "a dollar sign in a key", ALL, TEXT, "{\"a$b\":1}", 0, -EINVAL },
    { "a blank in a key", ALL, TEXT, "{\"a b\":1}", 0, -EINVAL },
    { "a tab in a key", ALL, TEXT, "{\"a\\tb\":1}", 0, -EINVAL },
    { "the last C0 character in a key", ALL, TEXT, "{\"a\\u001fb\":1}", 0, -EINVAL },
    { "DEL in a key", ALL, TEXT, "{\"a\\u007fb\":1}", 0, -EINVAL },
    { "the first C1 character in a key", ALL, TEXT, "{\"a\\u0080b\":1}", 0, -EINVAL },
    { "the last C1 character in a key", ALL, TEXT, "{\"a\\u009fb\":1}", 0, -EINVAL },
    { "the character behind them", ALL, TEXT, "{\"a\\u00a0b\":1}", 0, 0 },
    { "the character behind the blank", ALL, TEXT, "{\"a!b\":1}", 0, 0 },
    { "signs that a key may hold", ALL, TEXT, "{\"a-_/#+b" TWO_BYTES "\":1}", 0, 0 },
    { "a forbidden key in an object", ALL, TEXT, "{\"a\":{\"b\":{\"c.d\":1}}}", 0, -EINVAL },
    { "a forbidden key in an array", ALL, TEXT, "{\"a\":[{\"b.c\":1}]}", 0, -EINVAL },
    { "an empty key", ALL, TEXT, "{\"\":1}", 0, 0 },
    { "keys that differ in case", ALL, TEXT, "{\"a\":1,\"A\":2}", 0, 0 },
    { "null", ALL, TEXT, "{\"k\":null}", 0, 0 },
    { "null in an object", ALL, TEXT, "{\"k\":{\"a\":null}}", 0, 0 },
    { "null in an array", ALL, TEXT, "{\"k\":[1,null]}", 0, -EINVAL },
    { "null in an object in an array", ALL, TEXT, "{\"k\":[{\"a\":null}]}", 0, -EINVAL },
    { "null in an array in an object", ALL, TEXT, "{\"k\":{\"a\":[null]}}", 0, -EINVAL },
    { "every type", ALL, TEXT, "{\"a\":true,\"b\":1.5,\"c\":\"x\",\"d\":{},\"e\":[],\"f\":[[{}]]}",
      0, 0 },
    { "no object", ALL, TEXT, "[]", 0, -EINVAL },
    { "a text", ALL, TEXT, "\"k\"", 0, -EINVAL },
};

/* ---- documents ---- */

static void add_repeated(struct buf *out, char byte, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_add_byte(out, (uint8_t)byte);
}

/* Members of at most 4,002 each: two for the key, the rest text. */
static void add_sized(struct buf *out, size_t size)
{
    for (int i = 0; size > 0; i++) {
        size_t length = size - 2 < 4000 ? size - 2 : 4000;

        buf_printf(out, "%s\"k%c\":\"", i > 0 ? "," : "", 'A' + i);
        add_repeated(out, 'x', length);
        buf_add_byte(out, '"');
        size -= length + 2;
    }
}

static void add_nested(struct buf *out, enum form form, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        buf_add_text(out, form == ARRAYS && i > 0 ? "["
                          : form == ARRAYS        ? "\"k\":["
                          : i > 0                 ? "{\"k\":"
                                                  : "\"k\":{\"k\":");
    /* The innermost container of objects is opened by its key's value. */
    if (form == ARRAYS)
        buf_add_byte(out, '1');
    else
        buf_add_text(out, form == EMPTY_OBJECTS ? "{}" : "1");
    for (size_t i = 0; i < depth; i++)
        buf_add_byte(out, form == ARRAYS ? ']' : '}');
}

static void write_document(struct buf *out, const struct limit *limit)
{
    if (limit->form == TEXT) {
        buf_add_text(out, limit->text);
        return;
    }
    buf_add_byte(out, '{');
    switch (limit->form) {
    case KEY:
        buf_add_byte(out, '"');
        add_repeated(out, 'x', limit->size);
        buf_add_text(out, "\":1");
        break;
    case VALUE:
    case ARRAY_VALUE:
        buf_add_text(out, limit->form == VALUE ? "\"k\":\"" : "\"k\":[\"");
        add_repeated(out, 'x', limit->size);
        buf_add_text(out, limit->form == VALUE ? "\"" : "\"]");
        break;
    case SIZE:
        add_sized(out, limit->size);
        break;
    default:
        add_nested(out, limit->form, limit->form == EMPTY_OBJECTS ? limit->size - 1 : limit->size);
    }
    buf_add_byte(out, '}');
}

/* ---- writes ---- */

static int write_section(struct twin *twin, enum section section, const char *document,
                         bool replace, struct err *err)
{
    static const struct twin_context context = { "2026-01-01T00:00:00Z", NULL };
    cJSON *tree = NULL, *notice = NULL;
    struct buf body;
    int rc;

    buf_init(&body, 256 * 1024);
    buf_printf(&body,
               section == TAGS      ? "{\"tags\":%s}"
               : section == DESIRED ? "{\"properties\":{\"desired\":%s}}"
                                    : "%s",
               document);
    assert_int_equal(body.error, 0);
    rc = json_parse(&tree, buf_text(&body), body.length);
    if (rc == 0 && section == REPORTED)
        rc = twin_report(twin, tree, &context, err);
    else if (rc == 0 && replace)
        rc = twin_replace(twin, tree, &context, &notice, err);
    else if (rc == 0)
        rc = twin_patch(twin, tree, &context, &notice, err);
    cJSON_Delete(notice);
    cJSON_Delete(tree);
    buf_done(&body);
    return rc;
}

static void assert_limit(const struct limit *limit, enum section section, bool replace)
{
    struct err err = { "" };
    struct buf document;
    struct twin twin;
    int rc;

    buf_init(&document, 128 * 1024);
    write_document(&document, limit);
    assert_int_equal(document.error, 0);
    assert_int_equal(twin_init(&twin), 0);
    rc = write_section(&twin, section, buf_text(&document), replace, &err);
    print_message("case %s, section %d%s: %d %s\n", limit->name, section, replace ? ", PUT" : "",
                  rc, err.msg);

    assert_int_equal(rc, limit->want);
    assert_int_equal(twin.version, rc == 0 ? 2 : 1);
    if (rc == -EINVAL || rc == -EFBIG)
        assert_true(err.msg[0] != 0);
    if (rc != 0) {
        assert_null(twin.tags->child);
        assert_null(twin.desired.properties->child);
        assert_null(twin.reported.properties->child);
    }
    twin_done(&twin);
    buf_done(&document);
}

static void twin_writes_keep_every_limit_at_its_edge(void **state)
{
    static const enum section sections[] = { TAGS, DESIRED, REPORTED };

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (size_t j = 0; j < 3; j++) {
            if ((limits[i].sections & sections[j]) == 0)
                continue;
            assert_limit(&limits[i], sections[j], false);
            if (sections[j] != REPORTED)
                assert_limit(&limits[i], sections[j], true);
        }
    }
}

static void twin_report_of_what_fits_only_together_is_refused(void **state)
{
    static const struct limit most = { "", REPORTED, SIZE, NULL, 32 * 1024 - 9, 0 };
    struct err err = { "" };
    struct buf document;
    struct twin twin;

    (void)state;
    buf_init(&document, 128 * 1024);
    write_document(&document, &most);
    assert_int_equal(twin_init(&twin), 0);
    assert_int_equal(write_section(&twin, REPORTED, buf_text(&document), false, &err), 0);
    assert_int_equal(write_section(&twin, REPORTED, "{\"nn\":1}", false, &err), -EFBIG);
    assert_int_equal(write_section(&twin, REPORTED, "{\"n\":1}", false, &err), 0);
    assert_int_equal(write_section(&twin, REPORTED, "{\"b\":true}", false, &err), -EFBIG);
    assert_int_equal(
        write_section(&twin, REPORTED, "{\"n\":null,\"b\":true,\"c\":\"ab\"}", false, &err), 0);
    twin_done(&twin);
    buf_done(&document);
}

/* Control characters and empty elements count nothing (4.5); a twin is not to be endless for that. */
static void twin_patch_of_what_counts_nothing_has_an_end(void **state)
{
    static const char *const elements[] = { "[],", "{},", "\"\"," };
    struct err err = { "" };
    struct buf document;
    struct twin twin;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t over = 0; over < 2; over++) {
            /* The key and its byte are two. */
            size_t count = TWIN_BYTES_FACTOR * TWIN_TAGS_MAX - 2 + over;

            buf_init(&document, 256 * 1024);
            assert_int_equal(twin_init(&twin), 0);
            buf_add_text(&document, "{\"k\":[");
            for (size_t j = 0; j < count; j++)
                buf_add_text(&document, elements[i]);
            document.length--;
            buf_add_text(&document, "]}");
            assert_int_equal(write_section(&twin, TAGS, buf_text(&document), false, &err),
                             over ? -EFBIG : 0);
            twin_done(&twin);
            buf_done(&document);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twin_writes_keep_every_limit_at_its_edge),
        cmocka_unit_test(twin_report_of_what_fits_only_together_is_refused),
        cmocka_unit_test(twin_patch_of_what_counts_nothing_has_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
