/* config/duration: reading and writing durations. */
#include "config/duration.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void duration_parse_of_every_unit_gives_ms(void **state)
{
    static const struct {
        const char *text;
        uint32_t ms;
    } cases[] = {
        { "0s", 0 },           { "0ms", 0 },
        { "1ms", 1 },          { "500ms", 500 },
        { "10s", 10000 },      { "5m", 300000 },
        { "1h", 3600000 },     { "1d", 86400000 },
        { "49d", 4233600000 }, { "4294967295ms", UINT32_MAX },
        { "007s", 7000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t ms = 99;

        assert_int_equal(duration_parse(cases[i].text, &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void duration_parse_of_anything_else_fails_and_leaves_the_output(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        { "", -EINVAL },
        { "10", -EINVAL },
        { "s", -EINVAL },
        { "10 s", -EINVAL },
        { " 10s", -EINVAL },
        { "10s ", -EINVAL },
        { "1.5s", -EINVAL },
        { "-1s", -EINVAL },
        { "+1s", -EINVAL },
        { "1h30m", -EINVAL },
        { "10S", -EINVAL },
        { "10sec", -EINVAL },
        { "never", -EINVAL },
        { "1w", -EINVAL },
        { "0x10s", -EINVAL },
        { "50d", -ERANGE },
        { "4294967296ms", -ERANGE },
        { "99999999999999999999999999999999d", -ERANGE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t ms = 99;

        assert_int_equal(duration_parse(cases[i].text, &ms), cases[i].rc);
        assert_int_equal(ms, 99);
    }
}

static void duration_print_takes_the_largest_whole_unit(void **state)
{
    static const struct {
        uint32_t ms;
        const char *text;
    } cases[] = {
        { 0, "0s" },         { 1, "1ms" },
        { 1500, "1500ms" },  { 10000, "10s" },
        { 90000, "90s" },    { 300000, "5m" },
        { 3600000, "1h" },   { 86400000, "1d" },
        { 90000000, "25h" }, { UINT32_MAX, "4294967295ms" },
    };
    char out[DURATION_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t ms;

        duration_print(cases[i].ms, out);

        assert_string_equal(out, cases[i].text);
        assert_int_equal(duration_parse(out, &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duration_parse_of_every_unit_gives_ms),
        cmocka_unit_test(duration_parse_of_anything_else_fails_and_leaves_the_output),
        cmocka_unit_test(duration_print_takes_the_largest_whole_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
