#include "bridge/service/show_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

/* A row of up to three texts. */
static void add(struct show_table *table, enum show_mark mark, const char *a, const char *b,
                const char *c)
{
    const char *const cells[] = { a, b, c };

    show_table_row(table, mark);
    for (size_t i = 0; i < 3 && cells[i] != NULL; i++)
        show_table_text(table, cells[i]);
}

static void print(struct show_table *table, struct buf *out, size_t width, bool colour)
{
    const struct show_style style = { width, colour };

    assert_non_null(table);
    buf_init(out, 100000);
    assert_int_equal(show_table_print(table, out, &style), 0);
}

static void show_table_columns_are_as_wide_as_their_cells(void **state)
{
    struct show_table *table = show_table_new(3);
    struct buf out;

    (void)state;
    add(table, SHOW_HEAD, "NAME", "VALUE", "SAID");
    add(table, SHOW_PLAIN, "a", "Grüße", "ok");
    add(table, SHOW_TITLE, "a title of its own that is longer", NULL, NULL);
    add(table, SHOW_DIFFERS, "日本", "2", NULL);
    add(table, SHOW_PLAIN, "", "", "");
    print(table, &out, 0, false);

    assert_string_equal(buf_text(&out), "  NAME  VALUE  SAID\n"
                                        "  a     Grüße  ok\n"
                                        "a title of its own that is longer\n"
                                        "! 日本  2\n"
                                        "  \n");
    buf_done(&out);
    show_table_free(table);
}

static void show_table_on_a_narrow_terminal_cuts_the_widest_column(void **state)
{
    struct show_table *table = show_table_new(3);
    struct buf out;

    (void)state;
    add(table, SHOW_PLAIN, "name", "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd", "end");
    add(table, SHOW_PLAIN, "日", "日日日日日日日日日日日日日日日日日日日日日日日", "end");
    print(table, &out, 30, false);

    /* 2 for the mark, 4, 2, 17, 2, 3 */
    assert_string_equal(buf_text(&out), "  name  aaaaaaaaaabbbbbb…  end\n"
                                        "  日    日日日日日日日日…  end\n");
    buf_done(&out);
    show_table_free(table);
}

static void show_table_without_a_terminal_cuts_only_what_nobody_reads(void **state)
{
    char text[200];
    struct show_table *table = show_table_new(2);
    struct buf out;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    add(table, SHOW_PLAIN, text, "end", NULL);
    print(table, &out, 0, false);

    assert_int_equal(show_width(buf_text(&out)), 2 + 60 + 2 + 3 + 1);
    assert_non_null(strstr(buf_text(&out), "x…  end\n"));
    buf_done(&out);
    show_table_free(table);
}

static void show_table_colours_stand_around_rows_only_where_wanted(void **state)
{
    struct show_table *table = show_table_new(1);
    struct buf out;

    (void)state;
    add(table, SHOW_DIFFERS, "a\033[0m", NULL, NULL);
    add(table, SHOW_PLAIN, "b", NULL, NULL);
    print(table, &out, 80, true);

    assert_string_equal(buf_text(&out), "\033[33m! a\\u001b[0m\033[0m\n  b\n");
    buf_done(&out);
    show_table_free(table);
}

static void show_table_that_goes_on_keeps_its_columns(void **state)
{
    struct show_table *table = show_table_new(2);
    struct buf out;

    (void)state;
    add(table, SHOW_PLAIN, "long name", "1", NULL);
    print(table, &out, 0, false);
    buf_done(&out);
    show_table_clear(table);
    add(table, SHOW_PLAIN, "b", "2", NULL);
    print(table, &out, 0, false);

    assert_string_equal(buf_text(&out), "  b          2\n");
    buf_done(&out);
    show_table_free(table);
}

static void show_table_too_many_cells_are_dropped(void **state)
{
    cJSON *number = cJSON_CreateNumber(20.1);
    struct show_table *table = show_table_new(1);
    struct buf out;

    (void)state;
    show_table_text(table, "no row yet");
    show_table_row(table, SHOW_PLAIN);
    show_table_value(table, number);
    show_table_value(table, number);
    print(table, &out, 0, false);

    assert_string_equal(buf_text(&out), "  20.1\n");
    buf_done(&out);
    show_table_free(table);
    cJSON_Delete(number);
}

static void show_table_with_more_rows_than_anybody_reads_fails(void **state)
{
    const struct show_style style = { 0, false };
    struct show_table *table = show_table_new(1);
    struct buf out;

    (void)state;
    for (int i = 0; i <= SHOW_ROWS_MAX; i++)
        show_table_row(table, SHOW_PLAIN);
    buf_init(&out, 100000);

    assert_int_equal(show_table_print(table, &out, &style), -ENOSPC);
    buf_done(&out);
    show_table_free(table);
    show_table_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_table_columns_are_as_wide_as_their_cells),
        cmocka_unit_test(show_table_on_a_narrow_terminal_cuts_the_widest_column),
        cmocka_unit_test(show_table_without_a_terminal_cuts_only_what_nobody_reads),
        cmocka_unit_test(show_table_colours_stand_around_rows_only_where_wanted),
        cmocka_unit_test(show_table_that_goes_on_keeps_its_columns),
        cmocka_unit_test(show_table_too_many_cells_are_dropped),
        cmocka_unit_test(show_table_with_more_rows_than_anybody_reads_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
