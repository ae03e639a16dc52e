#include "bridge/service/twin_change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <string.h>

static const struct show_style PLAIN = { 0, false };

#define TWIN(etag, tags, desired)                                                                  \
    "{\"etag\":\"" etag "\",\"tags\":" tags ",\"properties\":{\"desired\":" desired                \
    ",\"reported\":{\"r\":1}}}"

/* The twins and the body of a change, parsed. */
struct parsed {
    cJSON *body, *base, *now;
    struct twin_change change;
};

static void parse(struct parsed *out, const char *body, bool replace, const char *base,
                  const char *now)
{
    out->body = cJSON_Parse(body);
    out->base = base == NULL ? NULL : cJSON_Parse(base);
    out->now = cJSON_Parse(now);
    assert_non_null(out->body);
    assert_non_null(out->now);
    out->change = (struct twin_change){ out->body, replace, out->base, out->now };
}

static void done(struct parsed *parsed)
{
    cJSON_Delete(parsed->body);
    cJSON_Delete(parsed->base);
    cJSON_Delete(parsed->now);
}

static void twin_change_plan_shows_what_would_be_different(void **state)
{
    static const struct {
        bool replace;
        const char *body, *want;
        size_t count;
    } cases[] = {
        { false, "{\"properties\":{\"desired\":{\"a\":2,\"b\":null,\"n\":{\"y\":3}}}}",
          "{\"etag\":\"E\",\"changes\":[{\"path\":\"desired.a\",\"old\":1,\"new\":2},"
          "{\"path\":\"desired.b\",\"old\":2},{\"path\":\"desired.n.y\",\"new\":3}]}\n",
          3 },
        { false, "{\"tags\":{\"s\":\"B\"}}",
          "{\"etag\":\"E\",\"changes\":[{\"path\":\"tags.s\",\"old\":\"A\",\"new\":\"B\"}]}\n", 1 },
        { false, "{\"properties\":{\"desired\":{\"a\":1}}}", "{\"etag\":\"E\",\"changes\":[]}\n",
          0 },
        { true, "{\"tags\":{\"s\":\"A\"},\"properties\":{\"desired\":{\"a\":1}}}",
          "{\"etag\":\"E\",\"changes\":[{\"path\":\"desired.b\",\"old\":2},"
          "{\"path\":\"desired.n.x\",\"old\":1}]}\n",
          2 },
        { true, "{\"tags\":{},\"properties\":{\"desired\":{}}}",
          "{\"etag\":\"E\",\"changes\":[{\"path\":\"tags.s\",\"old\":\"A\"},"
          "{\"path\":\"desired.a\",\"old\":1},{\"path\":\"desired.b\",\"old\":2},"
          "{\"path\":\"desired.n.x\",\"old\":1}]}\n",
          4 },
    };
    const char *twin = TWIN("E", "{\"s\":\"A\"}",
                            "{\"a\":1,\"b\":2,\"n\":{\"x\":1},\"$version\":4,\"$metadata\":{}}");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parsed parsed;
        size_t count = 99;
        struct buf out;

        parse(&parsed, cases[i].body, cases[i].replace, NULL, twin);
        buf_init(&out, 10000);
        assert_int_equal(twin_change_plan(&parsed.change, &out, NULL, &count), 0);

        assert_string_equal(buf_text(&out), cases[i].want);
        assert_int_equal(count, cases[i].count);
        buf_done(&out);
        done(&parsed);
    }
}

static void twin_change_plan_rows_say_what_is_removed(void **state)
{
    struct show_table *table = show_table_new(4);
    struct parsed parsed;
    size_t count;
    struct buf out;

    (void)state;
    parse(&parsed, "{\"properties\":{\"desired\":{\"a\":null,\"b\":[1]}}}", false, NULL,
          TWIN("E", "{}", "{\"a\":1}"));
    buf_init(&out, 10000);
    assert_int_equal(twin_change_plan(&parsed.change, &out, table, &count), 0);
    assert_int_equal(show_table_print(table, &out, &PLAIN), 0);

    assert_string_equal(buf_text(&out), "  PROPERTY   NOW      THEN\n"
                                        "  desired.a  1    ->  removed\n"
                                        "  desired.b  -    ->  [1]\n");
    buf_done(&out);
    show_table_free(table);
    done(&parsed);
}

/* One row for each way in which two changes of one property can meet. */
static void twin_change_sides_of_an_update_mark_what_collides(void **state)
{
    const char *base = TWIN("E", "{\"t\":1}",
                            "{\"both\":1,\"agreed\":1,\"mine\":1,\"theirs\":1,\"same\":1,"
                            "\"gone\":1,\"still\":1}");
    const char *now = TWIN("F", "{\"t\":2}",
                           "{\"both\":2,\"agreed\":3,\"mine\":1,\"theirs\":2,\"same\":5,"
                           "\"still\":1}");
    const char *body = "{\"properties\":{\"desired\":{\"both\":3,\"agreed\":3,\"mine\":3,"
                       "\"same\":1,\"gone\":3,\"still\":null}}}";
    struct show_table *table = show_table_new(4);
    struct parsed parsed;
    struct buf out;

    (void)state;
    parse(&parsed, body, false, base, now);
    buf_init(&out, 10000);
    assert_int_equal(twin_change_sides(&parsed.change, &out, table), 0);
    assert_int_equal(show_table_print(table, &out, &PLAIN), 0);

    assert_string_equal(buf_text(&out), "  PROPERTY        WAS  IS NOW  YOU WANTED\n"
                                        "! desired.both    1    2       3\n"
                                        "  desired.agreed  1    3       3\n"
                                        "  desired.mine    1    1       3\n"
                                        "! desired.gone    1    -       3\n"
                                        "  desired.still   1    1       removed\n"
                                        "  tags.t          1    2       (not touched)\n"
                                        "  desired.theirs  1    2       (not touched)\n"
                                        "! desired.same    1    5       1\n");
    buf_done(&out);
    show_table_free(table);
    done(&parsed);
}

static void twin_change_sides_of_a_replacement_touch_everything(void **state)
{
    struct parsed parsed;
    struct buf out;

    (void)state;
    parse(&parsed, "{\"tags\":{},\"properties\":{\"desired\":{\"a\":5}}}", true,
          TWIN("E", "{}", "{\"a\":1,\"b\":1}"), TWIN("F", "{}", "{\"a\":1,\"b\":2}"));
    buf_init(&out, 10000);
    assert_int_equal(twin_change_sides(&parsed.change, &out, NULL), 0);

    assert_string_equal(
        buf_text(&out),
        "{\"etag\":\"F\",\"properties\":["
        "{\"path\":\"desired.a\",\"was\":1,\"now\":1,\"wanted\":5,\"conflict\":false},"
        "{\"path\":\"desired.b\",\"was\":1,\"now\":2,\"conflict\":true}]}\n");
    buf_done(&out);
    done(&parsed);
}

static void twin_change_sides_without_a_base_compare_with_what_is(void **state)
{
    struct show_table *table = show_table_new(3);
    struct parsed parsed;
    struct buf out;

    (void)state;
    parse(&parsed, "{\"properties\":{\"desired\":{\"n\":{\"x\":5},\"same\":1}}}", false, NULL,
          TWIN("F", "{\"t\":1}", "{\"n\":{\"x\":1,\"y\":2},\"same\":1}"));
    buf_init(&out, 10000);
    assert_int_equal(twin_change_sides(&parsed.change, &out, table), 0);
    assert_int_equal(show_table_print(table, &out, &PLAIN), 0);

    assert_string_equal(buf_text(&out), "  PROPERTY     IS NOW  YOU WANTED\n"
                                        "! desired.n.x  1       5\n");
    buf_done(&out);
    show_table_free(table);
    done(&parsed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twin_change_plan_shows_what_would_be_different),
        cmocka_unit_test(twin_change_plan_rows_say_what_is_removed),
        cmocka_unit_test(twin_change_sides_of_an_update_mark_what_collides),
        cmocka_unit_test(twin_change_sides_of_a_replacement_touch_everything),
        cmocka_unit_test(twin_change_sides_without_a_base_compare_with_what_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
