/* base/buf: growing, the maximum, the sticky error, consuming. */
#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void buf_text_while_empty_is_an_empty_text(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 10);

    assert_string_equal(buf_text(&buf), "");
    assert_null(buf.bytes);
    buf_done(&buf);
}

static void buf_add_appends_in_order_and_terminates(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);

    assert_int_equal(buf_add(&buf, "ab", 2), 0);
    assert_int_equal(buf_add_text(&buf, "cd"), 0);
    assert_int_equal(buf_add_byte(&buf, 'e'), 0);
    assert_int_equal(buf_printf(&buf, "%d-%s", 42, "x"), 0);
    assert_int_equal(buf_add(&buf, NULL, 0), 0);

    assert_string_equal(buf_text(&buf), "abcde42-x");
    assert_int_equal(buf.length, 9);
    buf_done(&buf);
}

static void buf_add_over_many_growths_keeps_every_byte(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100000);
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(buf_add_byte(&buf, (uint8_t)(i * 7)), 0);

    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(buf.bytes[i], (uint8_t)(i * 7));
    assert_int_equal(buf_add_byte(&buf, 1), -ENOSPC);
    buf_done(&buf);
}

static void buf_add_up_to_the_maximum_fits_and_one_more_does_not(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 4);

    assert_int_equal(buf_add(&buf, "abcd", 4), 0);
    assert_int_equal(buf_add_byte(&buf, 'e'), -ENOSPC);

    assert_string_equal(buf_text(&buf), "abcd");
    buf_done(&buf);
}

static void buf_add_after_a_failure_does_nothing_until_cleared(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 4);
    assert_int_equal(buf_add_text(&buf, "too long"), -ENOSPC);

    assert_int_equal(buf_add_byte(&buf, 'a'), -ENOSPC);
    assert_int_equal(buf_printf(&buf, "%d", 1), -ENOSPC);
    assert_null(buf_reserve(&buf, 1));
    assert_int_equal(buf.length, 0);
    buf_clear(&buf);
    assert_int_equal(buf_add_byte(&buf, 'a'), 0);

    assert_string_equal(buf_text(&buf), "a");
    buf_done(&buf);
}

static void buf_add_of_a_length_near_the_end_of_size_t_is_refused(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 16);
    assert_int_equal(buf_add_byte(&buf, 'a'), 0);

    assert_null(buf_reserve(&buf, SIZE_MAX));

    assert_int_equal(buf.error, -ENOSPC);
    buf_done(&buf);
}

static void buf_reserve_and_commit_take_what_was_written(void **state)
{
    struct buf buf;
    uint8_t *room;

    (void)state;
    buf_init(&buf, 200);
    assert_int_equal(buf_add_text(&buf, "x"), 0);

    room = buf_reserve(&buf, 150);
    assert_non_null(room);
    memset(room, 'y', 150);
    buf_commit(&buf, 3);

    assert_string_equal(buf_text(&buf), "xyyy");
    buf_done(&buf);
}

static void buf_consume_drops_from_the_front(void **state)
{
    static const struct {
        size_t length;
        const char *left;
    } cases[] = { { 0, "abcdef" }, { 2, "cdef" }, { 6, "" }, { 100, "" } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf buf;

        buf_init(&buf, 10);
        assert_int_equal(buf_add_text(&buf, "abcdef"), 0);

        buf_consume(&buf, cases[i].length);

        assert_string_equal(buf_text(&buf), cases[i].left);
        assert_int_equal(buf.length, strlen(cases[i].left));
        buf_done(&buf);
    }
}

static void buf_done_leaves_it_as_after_init_and_is_safe_when_zeroed(void **state)
{
    struct buf buf = { 0 };

    (void)state;
    buf_done(&buf);
    buf_init(&buf, 5);
    assert_int_equal(buf_add_text(&buf, "abc"), 0);

    buf_done(&buf);

    assert_null(buf.bytes);
    assert_int_equal(buf.length, 0);
    assert_int_equal(buf.max, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_text_while_empty_is_an_empty_text),
        cmocka_unit_test(buf_add_appends_in_order_and_terminates),
        cmocka_unit_test(buf_add_over_many_growths_keeps_every_byte),
        cmocka_unit_test(buf_add_up_to_the_maximum_fits_and_one_more_does_not),
        cmocka_unit_test(buf_add_after_a_failure_does_nothing_until_cleared),
        cmocka_unit_test(buf_add_of_a_length_near_the_end_of_size_t_is_refused),
        cmocka_unit_test(buf_reserve_and_commit_take_what_was_written),
        cmocka_unit_test(buf_consume_drops_from_the_front),
        cmocka_unit_test(buf_done_leaves_it_as_after_init_and_is_safe_when_zeroed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
