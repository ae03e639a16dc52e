/* Points in time as text. */
#include "tests/sim/hubsim/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void stamp_print_moment_gives_seven_digits(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *want;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.0000000Z" },
        { INT64_C(1709164799999), "2024-02-28T23:59:59.9990000Z" },
        { INT64_C(1709164800001), "2024-02-29T00:00:00.0010000Z" },
        { INT64_C(253402300799999), "9999-12-31T23:59:59.9990000Z" },
        { INT64_C(253402300800000), STAMP_NEVER },
        { -1, STAMP_NEVER },
        { INT64_MAX, STAMP_NEVER },
    };
    char text[STAMP_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stamp_print(cases[i].wall_ms, text);
        assert_string_equal(text, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamp_print_moment_gives_seven_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
