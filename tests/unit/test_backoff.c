/* base/backoff: doubling, the cap, the spread by chance, the reset. */
#include "base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void backoff_next_with_highest_chance_doubles_up_to_the_cap(void **state)
{
    static const uint32_t want[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };
    struct backoff backoff = { .min_ms = 1000, .max_ms = 60000 };

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), want[i]);
}

static void backoff_next_with_lowest_chance_waits_half(void **state)
{
    static const uint32_t want[] = { 500, 1000, 2000, 4000, 5000, 5000 };
    struct backoff backoff = { .min_ms = 1000, .max_ms = 10000 };

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_int_equal(backoff_next_ms(&backoff, 0), want[i]);
}

static void backoff_next_is_spread_evenly_between(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= 16; i++) {
        struct backoff backoff = { .min_ms = 1600, .max_ms = 60000 };
        uint32_t random = i * (UINT32_MAX / 16);

        assert_in_range(backoff_next_ms(&backoff, random), 800 + 50 * i - 1, 800 + 50 * i);
    }
}

static void backoff_reset_starts_again_from_the_minimum(void **state)
{
    struct backoff backoff = { .min_ms = 1000, .max_ms = 60000 };

    (void)state;
    for (int i = 0; i < 10; i++)
        backoff_next_ms(&backoff, 0);

    backoff_reset(&backoff);

    assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), 1000);
}

static void backoff_next_after_endless_failures_stays_at_the_cap(void **state)
{
    struct backoff backoff = { .min_ms = 1, .max_ms = UINT32_MAX, .failures = UINT32_MAX };

    (void)state;

    assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX), UINT32_MAX);
    assert_int_equal(backoff.failures, UINT32_MAX);
}

static void backoff_next_of_equal_bounds_stays_between_half_and_whole(void **state)
{
    struct backoff backoff = { .min_ms = 300, .max_ms = 300 };

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_in_range(backoff_next_ms(&backoff, (uint32_t)i * 42949672u), 150, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_next_with_highest_chance_doubles_up_to_the_cap),
        cmocka_unit_test(backoff_next_with_lowest_chance_waits_half),
        cmocka_unit_test(backoff_next_is_spread_evenly_between),
        cmocka_unit_test(backoff_reset_starts_again_from_the_minimum),
        cmocka_unit_test(backoff_next_after_endless_failures_stays_at_the_cap),
        cmocka_unit_test(backoff_next_of_equal_bounds_stays_between_half_and_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
