/* Deciding desired documents and patches: the table of design section 8, row by row. */
#include "bridge/desired.h"
#include "twin_fixture.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct twin_fixture twin;
    struct desired_input input;
    struct desired_record records[2][TAG_COUNT]; /* `desired` NULL = none */
    struct desired_unknown unknown[2];
    const struct desired_unknown *first_unknown;
    size_t ordered;     /* the tag with an order under way, plus 1; 0 = none */
    char decided[2000]; /* one word per decision, in order */
};

static const struct desired_record *record(const void *data, size_t device, size_t tag)
{
    const struct fixture *f = data;
    const struct desired_record *r = &f->records[device][tag];

    return r->desired == NULL ? NULL : r;
}

static bool ordered(const void *data, size_t device, size_t tag)
{
    const struct fixture *f = data;

    return device == 0 && f->ordered == tag + 1;
}

static const struct desired_unknown *first_unknown(const void *data)
{
    const struct fixture *f = data;

    return f->first_unknown;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    twin_fixture_init(&f->twin);
    f->input = (struct desired_input){ .config = &f->twin.config,
                                       .module = BOILER,
                                       .recorded_version = 3,
                                       .record = record,
                                       .ordered = ordered,
                                       .unknown = first_unknown,
                                       .data = f };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void note(void *data, const struct desired_decision *d)
{
    struct fixture *f = data;
    static const char *const kinds[] = { "order", "refuse", "keep", "clear" };
    size_t used = strlen(f->decided);
    char value[VALUE_TEXT_MAX] = "";
    int n;

    if (d->kind == DESIRED_ORDER)
        value_print(d->value, value);
    n = snprintf(f->decided + used, sizeof f->decided - used, "%s%s%s%s", used > 0 ? " | " : "",
                 d->component, d->component[0] != 0 ? "." : "", d->name);
    used += (size_t)n;
    if (d->kind == DESIRED_ORDER)
        snprintf(f->decided + used, sizeof f->decided - used, " order %s av %lld%s", value,
                 (long long)d->version, d->read_first ? " read first" : "");
    else if (d->kind == DESIRED_REFUSE)
        snprintf(f->decided + used, sizeof f->decided - used, " %d %s av %lld", d->code, d->detail,
                 (long long)d->version);
    else
        snprintf(f->decided + used, sizeof f->decided - used, " %s", kinds[d->kind]);
}

static void expect_patch(struct fixture *f, const char *patch, const char *decided)
{
    cJSON *node = cJSON_Parse(patch);

    print_message("patch %s\n", patch);
    assert_non_null(node);
    f->decided[0] = 0;
    desired_patch(&f->input, 7, node, note, f);
    cJSON_Delete(node);
    assert_string_equal(f->decided, decided);
}

static void expect_document(struct fixture *f, const char *desired, const char *reported,
                            const char *decided)
{
    cJSON *d = cJSON_Parse(desired);
    cJSON *r = cJSON_Parse(reported);

    print_message("document %s\n", desired);
    assert_non_null(d);
    assert_non_null(r);
    f->decided[0] = 0;
    desired_document(&f->input, d, r, note, f);
    cJSON_Delete(d);
    cJSON_Delete(r);
    assert_string_equal(f->decided, decided);
}

static char text_21[] = "21.5", text_true[] = "true", text_x[] = "1", detail_none[] = "";

static void desired_patch_row_by_row(void **state)
{
    static const struct {
        const char *patch, *decided;
    } rows[] = {
        { "{\"setpoint\":21.5}", "setpoint order 21.5 av 7" },
        { "{\"pump\":true}", "pump order true av 7" },
        { "{\"relay\":3}", "relay order 3 av 7" },
        { "{\"setpoint\":5}", "setpoint order 5 av 7" },
        { "{\"setpoint\":35}", "setpoint order 35 av 7" },
        { "{\"setpoint\":4.9}", "setpoint 403 below the minimum av 7" },
        { "{\"setpoint\":35.1}", "setpoint 403 above the maximum av 7" },
        { "{\"temperature\":1}", "temperature 403 read-only av 7" },
        { "{\"setpoint\":\"21\"}", "setpoint 400 wants a number av 7" },
        { "{\"setpoint\":{\"value\":21}}", "setpoint 400 wants a number av 7" },
        { "{\"setpoint\":[21]}", "setpoint 400 wants a number av 7" },
        { "{\"setpoint\":true}", "setpoint 400 wants a number av 7" },
        { "{\"pump\":1}", "pump 400 wants true or false av 7" },
        { "{\"pump\":\"true\"}", "pump 400 wants true or false av 7" },
        { "{\"relay\":1.5}", "relay 400 wants a whole number av 7" },
        { "{\"relay\":2e9}", "relay 403 more than the register can hold av 7" },
        { "{\"setpiont\":21}", "setpiont 404 no such tag av 7" },
        { "{\"setpoint\":null}", "setpoint clear" },
        { "{\"temperature\":null}", "temperature clear" },
        { "{\"setpiont\":null}", "" },
        { "{\"__t\":\"c\",\"$version\":9}", "" },
        { "{\"Setpoint\":21}", "Setpoint 404 no such tag av 7" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_patch(*state, rows[i].patch, rows[i].decided);
}

static void desired_patch_equal_to_the_record_is_a_new_order(void **state)
{
    struct fixture *f = *state;

    f->records[0][SETPOINT] = (struct desired_record){ 3, text_21, 200, detail_none };

    expect_patch(f, "{\"setpoint\":21.5}", "setpoint order 21.5 av 7");
}

static void desired_patch_off_step_is_refused(void **state)
{
    struct fixture *f = *state;

    f->twin.tags[SETPOINT].step = 0.5;

    expect_patch(f, "{\"setpoint\":5.3}", "setpoint 403 not on a step av 7");
    expect_patch(f, "{\"setpoint\":5.5}", "setpoint order 5.5 av 7");
}

static void desired_patch_writes_forbidden_refuses_all(void **state)
{
    struct fixture *f = *state;

    f->twin.config.writes = false;

    expect_patch(f, "{\"setpoint\":21.5}",
                 "setpoint 403 writes are forbidden by the mapping file av 7");
}

static void desired_document_equal_is_kept_different_is_read_first(void **state)
{
    struct fixture *f = *state;

    f->records[0][SETPOINT] = (struct desired_record){ 3, text_21, 200, detail_none };
    f->records[0][PUMP] = (struct desired_record){ 2, text_true, 200, detail_none };

    expect_document(f, "{\"setpoint\":21.5,\"pump\":false,\"relay\":2,\"$version\":5}", "{}",
                    "setpoint keep | pump order false av 5 read first | relay order 2 av 5");
}

static void desired_document_without_a_recorded_property_clears_it(void **state)
{
    struct fixture *f = *state;

    f->records[0][SETPOINT] = (struct desired_record){ 3, text_21, 200, detail_none };

    expect_document(f, "{\"$version\":5}", "{}", "setpoint clear");
}

static void desired_document_lower_version_reads_again(void **state)
{
    struct fixture *f = *state;

    f->input.recorded_version = 9;
    f->records[0][SETPOINT] = (struct desired_record){ 9, text_21, 200, detail_none };
    f->records[0][START] = (struct desired_record){ 8, text_true, 200, detail_none };

    expect_document(f, "{\"setpoint\":21.5,\"start\":true,\"$version\":2}", "{}",
                    "setpoint order 21.5 av 2 read first | start keep");
    expect_document(f, "{\"start\":false,\"$version\":2}", "{}",
                    "setpoint clear | start order false av 2");
}

static void desired_document_interrupted_write_once_is_not_sent_again(void **state)
{
    struct fixture *f = *state;

    f->records[0][START] = (struct desired_record){ 3, text_true, 0, detail_none };

    expect_document(f, "{\"start\":true,\"$version\":3}", "{}",
                    "start 504 interrupted, outcome unknown av 3");
}

static void desired_document_store_lost_write_once_asks_the_twin(void **state)
{
    struct fixture *f = *state;

    f->input.recorded_version = -1;

    expect_document(f, "{\"start\":true,\"$version\":4}", "{}",
                    "start 203 state lost, not sent av 4");
    expect_document(f, "{\"start\":true,\"$version\":4}",
                    "{\"start\":{\"value\":true,\"ac\":200,\"av\":3,\"ad\":\"\"}}",
                    "start 200  av 3");
    expect_document(f, "{\"start\":true,\"$version\":4}",
                    "{\"start\":{\"value\":false,\"ac\":504,\"av\":4,\"ad\":\"no answer\"}}",
                    "start 504 no answer av 4");
    expect_document(
        f, "{\"start\":true,\"$version\":4}",
        "{\"start\":{\"value\":false,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}}",
        "start order true av 4");
}

static void desired_document_store_lost_ordinary_tag_is_read_first(void **state)
{
    struct fixture *f = *state;

    f->input.recorded_version = -1;

    expect_document(f, "{\"setpoint\":20,\"$version\":4}", "{}",
                    "setpoint order 20 av 4 read first");
}

static void desired_document_on_start_apply_and_skip_count_once(void **state)
{
    struct fixture *f = *state;

    f->twin.tags[SETPOINT].on_start = CONFIG_START_APPLY;
    f->twin.tags[PUMP].on_start = CONFIG_START_SKIP;
    f->records[0][SETPOINT] = (struct desired_record){ 3, text_21, 200, detail_none };
    f->input.first = true;

    expect_document(f, "{\"setpoint\":21.5,\"pump\":true,\"$version\":5}", "{}",
                    "setpoint order 21.5 av 5 | pump 203 skipped at start av 5");
    f->input.first = false;
    expect_document(f, "{\"setpoint\":21.5,\"pump\":true,\"$version\":5}", "{}",
                    "setpoint keep | pump order true av 5 read first");
}

static void desired_document_refused_before_is_checked_once(void **state)
{
    struct fixture *f = *state;
    char setpiont[] = "setpiont", gone[] = "gone", component[] = "";

    f->unknown[0] = (struct desired_unknown){
        &f->unknown[1], 1, component, setpiont, { 3, text_x, 404, detail_none }
    };
    f->unknown[1] =
        (struct desired_unknown){ NULL, 2, component, gone, { 3, text_x, 404, detail_none } };
    f->first_unknown = f->unknown;

    expect_document(f, "{\"setpiont\":1,\"$version\":5}", "{}", "gone clear | setpiont keep");
    expect_document(f, "{\"setpiont\":2,\"gone\":1,\"$version\":5}", "{}",
                    "setpiont 404 no such tag av 5 | gone keep");
}

static void desired_patch_components(void **state)
{
    struct fixture *f = *state;

    f->input.module = PLANT;
    f->records[0][PUMP] = (struct desired_record){ 2, text_true, 200, detail_none };

    expect_patch(
        f, "{\"left\":{\"__t\":\"c\",\"setpoint\":20},\"right\":{\"x\":1},\"middle\":{\"a\":1}}",
        "left.setpoint order 20 av 7 | right.x 404 no such tag av 7 | "
        "middle 404 no such device av 7");
    expect_patch(f, "{\"left\":null}", "left.pump clear");
    expect_patch(f, "{\"left\":5}", "left.pump clear");
}

static void desired_document_without_an_ordered_property_clears_it(void **state)
{
    struct fixture *f = *state;

    f->ordered = SETPOINT + 1;
    expect_document(f, "{\"$version\":5}", "{}", "setpoint clear");
    f->input.module = PLANT;
    expect_patch(f, "{\"left\":null}", "left.setpoint clear");
}

static void desired_document_with_a_lost_store_never_repeats_a_write_once(void **state)
{
    static const struct {
        const char *ack, *want;
    } cases[] = {
        { "null", "start 203 state lost, not sent av 9" },
        { "{\"value\":false,\"ac\":203,\"av\":0,\"ad\":\"own\"}", "start order true av 9" },
        { "{\"value\":false,\"ac\":200,\"av\":4,\"ad\":\"\"}", "start order true av 9" },
        { "{\"value\":true,\"ac\":200,\"av\":4,\"ad\":\"\"}", "start 200  av 4" },
        { "{\"value\":false,\"ac\":203,\"av\":4,\"ad\":\"changed\"}", "start 203 changed av 4" },
        { "{\"value\":false,\"ac\":500,\"av\":4,\"ad\":\"x\"}", "start 500 x av 4" },
        { "{\"value\":false,\"ac\":504,\"av\":4,\"ad\":\"x\"}", "start 504 x av 4" },
        { "{\"value\":false,\"ac\":202,\"av\":9,\"ad\":\"being written\"}",
          "start 504 interrupted, outcome unknown av 9" },
        { "{\"value\":false,\"ac\":1e300,\"av\":4,\"ad\":\"\"}",
          "start 203 state lost, not sent av 9" },
        { "{\"value\":false,\"ac\":200,\"av\":-1e300,\"ad\":\"\"}",
          "start 203 state lost, not sent av 9" },
    };
    struct fixture *f = *state;

    f->input.recorded_version = -1;
    f->input.first = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char reported[200];

        snprintf(reported, sizeof reported, "{\"start\":%s}", cases[i].ack);
        expect_document(f, "{\"start\":true,\"$version\":9}", reported, cases[i].want);
    }
}

static void desired_patch_component_taken_away_clears_its_refusals_too(void **state)
{
    struct fixture *f = *state;
    char setpiont[] = "setpiont", left[] = "left", right[] = "right";

    f->input.module = PLANT;
    f->unknown[0] = (struct desired_unknown){
        &f->unknown[1], 1, left, setpiont, { 3, text_x, 404, detail_none }
    };
    f->unknown[1] =
        (struct desired_unknown){ NULL, 2, right, setpiont, { 3, text_x, 404, detail_none } };
    f->first_unknown = f->unknown;

    expect_patch(f, "{\"left\":null}", "left.setpiont clear");
    expect_patch(f, "{\"left\":[]}", "left.setpiont clear");
    expect_patch(f, "{\"left\":{}}", "");
}

static void desired_text_keeps_numbers_exact(void **state)
{
    cJSON *number = cJSON_CreateNumber(0.1 + 0.2);
    cJSON *object = cJSON_Parse("{\"a\":[1,null]}");
    char *exact = desired_text(number);
    char *text = desired_text(object);

    (void)state;
    assert_string_equal(exact, "0.30000000000000004");
    assert_string_equal(text, "{\"a\":[1,null]}");
    free(exact);
    free(text);
    cJSON_Delete(number);
    cJSON_Delete(object);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(desired_patch_row_by_row),
        TEST(desired_patch_equal_to_the_record_is_a_new_order),
        TEST(desired_patch_off_step_is_refused),
        TEST(desired_patch_writes_forbidden_refuses_all),
        TEST(desired_document_equal_is_kept_different_is_read_first),
        TEST(desired_document_without_a_recorded_property_clears_it),
        TEST(desired_document_without_an_ordered_property_clears_it),
        TEST(desired_document_with_a_lost_store_never_repeats_a_write_once),
        TEST(desired_document_lower_version_reads_again),
        TEST(desired_document_interrupted_write_once_is_not_sent_again),
        TEST(desired_document_store_lost_write_once_asks_the_twin),
        TEST(desired_document_store_lost_ordinary_tag_is_read_first),
        TEST(desired_document_on_start_apply_and_skip_count_once),
        TEST(desired_document_refused_before_is_checked_once),
        TEST(desired_patch_components),
        TEST(desired_patch_component_taken_away_clears_its_refusals_too),
        TEST(desired_text_keeps_numbers_exact),
    };

    return cmocka_run_group_tests_name("desired", tests, NULL, NULL);
}
