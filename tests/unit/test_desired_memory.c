/* Deciding without memory: what was acknowledged is not ordered again for it. */
#include "bridge/desired.h"

#include "tests/unit/memory_fault.h"
#include "tests/unit/twin_fixture.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct twin_fixture twin;
    struct desired_record records[TAG_COUNT];
    struct desired_unknown unknown;
    size_t orders, decisions;
};

static const struct desired_record *record(const void *data, size_t device, size_t tag)
{
    const struct desired_record *r = &((const struct fixture *)data)->records[tag];

    (void)device;
    return r->desired == NULL ? NULL : r;
}

static bool ordered(const void *data, size_t device, size_t tag)
{
    (void)data;
    (void)device;
    (void)tag;
    return false;
}

static const struct desired_unknown *unknown(const void *data)
{
    return &((const struct fixture *)data)->unknown;
}

static void note(void *data, const struct desired_decision *d)
{
    struct fixture *f = data;

    f->decisions++;
    f->orders += d->kind == DESIRED_ORDER;
}

static void document_as_recorded_orders_nothing_without_memory(void **state)
{
    static char setpoint[] = "21.5", pump[] = "true", start[] = "true", relay[] = "-3",
                x[] = "{\"y\":1}";
    static char none[] = "", name[] = "x";
    cJSON *document = cJSON_Parse("{\"setpoint\":21.5,\"pump\":true,\"start\":true,\"relay\":-3,"
                                  "\"x\":{\"y\":1},\"$version\":4}");
    struct fixture f = { .unknown = {
                             .component = none, .name = name, .record = { 4, x, 404, none } } };
    struct desired_input input = { .config = &f.twin.config,
                                   .module = BOILER,
                                   .recorded_version = 4,
                                   .record = record,
                                   .ordered = ordered,
                                   .unknown = unknown,
                                   .data = &f };
    size_t n = 0;

    (void)state;
    assert_non_null(document);
    twin_fixture_init(&f.twin);
    f.records[SETPOINT] = (struct desired_record){ 4, setpoint, 200, none };
    f.records[PUMP] = (struct desired_record){ 4, pump, 200, none };
    f.records[START] = (struct desired_record){ 4, start, 200, none };
    f.records[RELAY] = (struct desired_record){ 4, relay, 200, none };
    do {
        f.decisions = 0;
        memory_fault_at(++n);
        desired_document(&input, document, NULL, note, &f);
        n = memory_fault_over() ? n : 0;
        assert_int_equal(f.orders, 0);
        assert_int_equal(f.decisions, 5);
    } while (n > 0);
    cJSON_Delete(document);
}

static void text_without_memory_is_null(void **state)
{
    static const char *const texts[] = { "21.5", "true", "\"a\"", "{\"a\":[1]}" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cJSON *node = cJSON_Parse(texts[i]);
        size_t n = 0;
        char *text;

        do {
            memory_fault_at(++n);
            text = desired_text(node);
            if (!memory_fault_over()) {
                assert_string_equal(text, texts[i]);
                n = 0;
            } else if (text != NULL) { /* cJSON did without */
                assert_string_equal(text, texts[i]);
            }
            free(text);
        } while (n > 0);
        cJSON_Delete(node);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_as_recorded_orders_nothing_without_memory),
        cmocka_unit_test(text_without_memory_is_null),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
