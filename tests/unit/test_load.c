/* The busy share of a line over the last ten seconds. */
#include "adapters/modbus/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { START = 5000500 };

static void assert_near(double got, double want)
{
    print_message("share %f, want %f\n", got, want);
    assert_true(got > want - 0.001 && got < want + 0.001);
}

static void share_of_an_idle_line_is_zero(void **state)
{
    struct load load;

    (void)state;
    load_init(&load, START);

    assert_near(load_share(&load, START), 0);
    assert_near(load_share(&load, START + 60000), 0);
}

static void share_early_counts_from_the_start(void **state)
{
    struct load load;

    (void)state;
    load_init(&load, START);

    load_add(&load, START, START + 100);

    assert_near(load_share(&load, START + 200), 0.5);
    assert_near(load_share(&load, START + 1000), 0.1);
}

static void share_of_a_steady_line_is_steady(void **state)
{
    struct load load;

    (void)state;
    load_init(&load, START);

    for (uint64_t at = START; at < START + 30000; at += 100)
        load_add(&load, at, at + 25);

    for (uint64_t at = START + 29000; at < START + 30000; at += 100)
        assert_true(load_share(&load, at) > 0.22 && load_share(&load, at) < 0.28);
}

static void share_of_one_endless_request_is_one(void **state)
{
    struct load load;

    (void)state;
    load_init(&load, START);

    load_add(&load, START, START + 500000);

    assert_near(load_share(&load, START + 500000), 1);
}

static void share_forgets_after_ten_seconds(void **state)
{
    struct load load;

    (void)state;
    load_init(&load, START);

    load_add(&load, START, START + 4000);

    assert_near(load_share(&load, START + 8000), 0.5);
    assert_near(load_share(&load, START + 30000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share_of_an_idle_line_is_zero),
        cmocka_unit_test(share_early_counts_from_the_start),
        cmocka_unit_test(share_of_a_steady_line_is_steady),
        cmocka_unit_test(share_of_one_endless_request_is_one),
        cmocka_unit_test(share_forgets_after_ten_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
