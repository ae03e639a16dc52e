/* Twins shown and changed without memory: an error each time, and nothing is lost or left. */
#include "bridge/service/patch.h"
#include "bridge/service/show.h"
#include "bridge/service/twin_change.h"

#include "tests/unit/memory_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

static const struct show_style PLAIN = { 0, false };

static const char TWIN[] =
    "{\"etag\":\"E\",\"tags\":{\"site\":{\"floor\":3}},\"properties\":{\"desired\":{\"a\":1,"
    "\"n\":{\"x\":[1,2]},\"$version\":2},\"reported\":{\"a\":{\"value\":1,\"ac\":200,\"av\":2},"
    "\"c\":{\"__t\":\"c\",\"t\":20.5},\"s\":\"text\"}}}";
static const char LATER[] =
    "{\"etag\":\"F\",\"tags\":{},\"properties\":{\"desired\":{\"a\":3,\"m\":1},\"reported\":{}}}";

/* Runs `call` with the n-th allocation failing, for every n until none is left to fail: it fails
 * with -ENOMEM, or gives what it gives with memory. */
static void check(int (*call)(struct buf *out, const cJSON *twin, const cJSON *later))
{
    cJSON *twin = cJSON_Parse(TWIN);
    cJSON *later = cJSON_Parse(LATER);
    struct buf whole, out;
    size_t n = 0;
    int rc;

    assert_non_null(twin);
    assert_non_null(later);
    buf_init(&whole, 10000);
    assert_int_equal(call(&whole, twin, later), 0);
    do {
        buf_init(&out, 10000);
        memory_fault_at(++n);
        rc = call(&out, twin, later);
        if (!memory_fault_over())
            n = 0;
        if (n == 0 || rc != -ENOMEM) {
            assert_int_equal(rc, 0);
            assert_string_equal(buf_text(&out), buf_text(&whole));
        }
        buf_done(&out);
    } while (n > 0);
    assert_true(whole.length > 0);
    buf_done(&whole);
    cJSON_Delete(twin);
    cJSON_Delete(later);
}

static int call_show(struct buf *out, const cJSON *twin, const cJSON *later)
{
    (void)later;
    return show_twin(out, twin, "gw/boiler", 0, &PLAIN);
}

static void show_twin_without_memory_says_so(void **state)
{
    (void)state;
    check(call_show);
}

/* The sides of a change as JSON and as a table. */
static int call_sides(struct buf *out, const cJSON *twin, const cJSON *later)
{
    struct show_table *table = show_table_new(4);
    struct twin_change change = { .base = twin, .now = later };
    cJSON *body = cJSON_Parse("{\"properties\":{\"desired\":{\"a\":2,\"n\":{\"x\":null}}}}");
    int rc = table == NULL || body == NULL ? -ENOMEM : 0;

    change.body = body;
    if (rc == 0)
        rc = twin_change_sides(&change, out, NULL);
    if (rc == 0)
        rc = twin_change_sides(&change, out, table);
    if (rc == 0)
        rc = show_table_print(table, out, &PLAIN);
    show_table_free(table);
    cJSON_Delete(body);
    return rc;
}

static void twin_change_sides_without_memory_says_so(void **state)
{
    (void)state;
    check(call_sides);
}

static int call_plan(struct buf *out, const cJSON *twin, const cJSON *later)
{
    struct show_table *table = show_table_new(4);
    struct twin_change change = { .replace = true, .body = later, .now = twin };
    size_t count;
    int rc = table == NULL ? -ENOMEM : twin_change_plan(&change, out, NULL, &count);

    if (rc == 0)
        rc = twin_change_plan(&change, out, table, &count);
    if (rc == 0)
        rc = show_table_print(table, out, &PLAIN);
    show_table_free(table);
    return rc;
}

static void twin_change_plan_without_memory_says_so(void **state)
{
    (void)state;
    check(call_plan);
}

/* A replacement put together from arguments. */
static int call_replacement(struct buf *out, const cJSON *twin, const cJSON *later)
{
    cJSON *fragment = cJSON_CreateObject();
    struct err err = { "" };
    char *body = NULL;
    int rc = fragment == NULL ? -ENOMEM : 0;

    (void)later;
    if (rc == 0)
        rc = patch_add_assignment(fragment, "a.b=1.5", &err);
    if (rc == 0)
        rc = patch_add_document(fragment, "{\"a\":{\"c\":[1]}}", 15, "FILE", &err);
    if (rc == 0)
        rc = patch_replacement(&body, fragment, PATCH_DESIRED, twin, &err);
    if (rc == 0)
        rc = buf_add_text(out, body);
    cJSON_free(body);
    cJSON_Delete(fragment);
    return rc;
}

static void patch_replacement_without_memory_says_so(void **state)
{
    (void)state;
    check(call_replacement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_twin_without_memory_says_so),
        cmocka_unit_test(twin_change_sides_without_memory_says_so),
        cmocka_unit_test(twin_change_plan_without_memory_says_so),
        cmocka_unit_test(patch_replacement_without_memory_says_so),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
