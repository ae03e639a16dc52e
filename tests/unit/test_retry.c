#include "bridge/service/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BUDGET_MS = 30000 };

struct clock {
    uint64_t now_ms;
    uint32_t random;
};

static uint64_t fake_now(void *data)
{
    return ((struct clock *)data)->now_ms;
}

static int64_t fake_wall(void *data)
{
    (void)data;
    return 0;
}

static uint32_t fake_random(void *data)
{
    return ((struct clock *)data)->random;
}

static struct env env_of(struct clock *clock)
{
    return (struct env){ fake_now, fake_wall, fake_random, clock };
}

static void retry_again_outcome_and_kind_decide(void **state)
{
    static const struct {
        const char *name;
        struct retry_try tried;
        bool want[4]; /* REPEATABLE, REFUSED, UNSENT, METADATA */
        bool uncertain;
    } cases[] = {
        { "success", { RETRY_ANSWERED, 200, -1 }, { false, false, false, false }, false },
        { "refused for good", { RETRY_ANSWERED, 400, -1 }, { false, false, false, false }, false },
        { "etag lost", { RETRY_ANSWERED, 412, -1 }, { false, false, false, false }, false },
        { "too many", { RETRY_ANSWERED, 429, -1 }, { true, true, false, true }, false },
        { "internal", { RETRY_ANSWERED, 500, -1 }, { true, false, false, true }, true },
        { "not implemented", { RETRY_ANSWERED, 501, -1 }, { false, false, false, false }, false },
        { "bad gateway", { RETRY_ANSWERED, 502, -1 }, { true, false, false, true }, true },
        { "unavailable", { RETRY_ANSWERED, 503, -1 }, { true, false, false, true }, true },
        { "gateway timed out", { RETRY_ANSWERED, 504, -1 }, { true, false, false, true }, true },
        { "not found", { RETRY_ANSWERED, 404, -1 }, { false, false, false, true }, false },
        { "gone", { RETRY_ANSWERED, 410, -1 }, { false, false, false, true }, false },
        { "nobody there", { RETRY_NOBODY, 0, -1 }, { true, true, true, false }, false },
        { "answer lost", { RETRY_LOST, 0, -1 }, { true, false, false, true }, true },
        { "certificate", { RETRY_HOPELESS, 0, -1 }, { false, false, false, false }, false },
    };
    struct clock clock = { 1000, 0 };
    struct env env = env_of(&clock);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (enum retry_kind kind = RETRY_REPEATABLE; kind <= RETRY_METADATA; kind++) {
            struct retry retry;
            uint32_t wait_ms = 7;

            print_message("case %s, kind %d\n", cases[i].name, (int)kind);
            retry_begin(&retry, clock.now_ms, BUDGET_MS);
            assert_int_equal(retry_again(&retry, kind, &cases[i].tried, &env, &wait_ms),
                             cases[i].want[kind]);
            assert_int_equal(retry.uncertain, cases[i].uncertain);
            if (!cases[i].want[kind])
                assert_int_equal(wait_ms, 7);
        }
    }
}

static void retry_again_waits_double_and_end_with_the_budget(void **state)
{
    static const uint32_t want_ms[] = { 1000, 2000, 4000, 8000, 15000 };
    const struct retry_try busy = { RETRY_ANSWERED, 503, -1 };
    struct clock clock = { 5000, UINT32_MAX };
    struct env env = env_of(&clock);
    struct retry retry;
    uint32_t wait_ms;

    (void)state;
    retry_begin(&retry, clock.now_ms, BUDGET_MS);
    for (size_t i = 0; i < sizeof want_ms / sizeof want_ms[0]; i++) {
        assert_true(retry_again(&retry, RETRY_REPEATABLE, &busy, &env, &wait_ms));
        assert_int_equal(wait_ms, want_ms[i]); /* the last is what is left */
        clock.now_ms += wait_ms;
    }
    assert_int_equal(clock.now_ms, 5000 + BUDGET_MS);
    assert_false(retry_again(&retry, RETRY_REPEATABLE, &busy, &env, &wait_ms));
}

static void retry_again_chance_spreads_the_wait_over_its_upper_half(void **state)
{
    const struct retry_try busy = { RETRY_ANSWERED, 503, -1 };
    struct clock clock = { 0, 0 };
    struct env env = env_of(&clock);
    struct retry retry;
    uint32_t wait_ms;

    (void)state;
    retry_begin(&retry, 0, BUDGET_MS);
    assert_true(retry_again(&retry, RETRY_REPEATABLE, &busy, &env, &wait_ms));
    assert_int_equal(wait_ms, 500);
}

static void retry_again_budget_of_nothing_is_one_try(void **state)
{
    const struct retry_try busy = { RETRY_ANSWERED, 429, -1 };
    const struct retry_try at_once = { RETRY_ANSWERED, 429, 0 };
    struct clock clock = { 99, 1 };
    struct env env = env_of(&clock);
    struct retry retry;
    uint32_t wait_ms;

    (void)state;
    retry_begin(&retry, clock.now_ms, 0);
    assert_false(retry_again(&retry, RETRY_REPEATABLE, &busy, &env, &wait_ms));
    assert_false(retry_again(&retry, RETRY_REPEATABLE, &at_once, &env, &wait_ms));
}

static void retry_again_retry_after_is_kept_or_not_waited_for(void **state)
{
    const struct retry_try short_wait = { RETRY_ANSWERED, 429, 8000 };
    const struct retry_try long_wait = { RETRY_ANSWERED, 429, BUDGET_MS + 1 };
    struct clock clock = { 0, 0 };
    struct env env = env_of(&clock);
    struct retry retry;
    uint32_t wait_ms;

    (void)state;
    retry_begin(&retry, 0, BUDGET_MS);
    assert_true(retry_again(&retry, RETRY_REFUSED, &short_wait, &env, &wait_ms));
    assert_int_equal(wait_ms, 8000);
    clock.random = UINT32_MAX;
    assert_true(retry_again(&retry, RETRY_REFUSED, &short_wait, &env, &wait_ms));
    assert_int_equal(wait_ms, 9000); /* never earlier, and not all at once */
    assert_false(retry_again(&retry, RETRY_REFUSED, &long_wait, &env, &wait_ms));
}

static void retry_again_nobody_there_is_believed_at_the_third_time(void **state)
{
    const struct retry_try nobody = { RETRY_NOBODY, 0, -1 };
    const struct retry_try busy = { RETRY_ANSWERED, 503, -1 };
    struct clock clock = { 0, 0 };
    struct env env = env_of(&clock);
    struct retry retry;
    uint32_t wait_ms;

    (void)state;
    retry_begin(&retry, 0, BUDGET_MS);
    assert_true(retry_again(&retry, RETRY_UNSENT, &nobody, &env, &wait_ms));
    assert_true(retry_again(&retry, RETRY_UNSENT, &nobody, &env, &wait_ms));
    assert_false(retry_again(&retry, RETRY_UNSENT, &nobody, &env, &wait_ms));

    retry_begin(&retry, 0, BUDGET_MS);
    for (int i = 0; i < 3; i++) { /* an answer in between begins the count anew */
        assert_true(retry_again(&retry, RETRY_REPEATABLE, &nobody, &env, &wait_ms));
        assert_true(retry_again(&retry, RETRY_REPEATABLE, &busy, &env, &wait_ms));
    }
}

static void retry_again_uncertainty_stays(void **state)
{
    const struct retry_try lost = { RETRY_LOST, 0, -1 };
    const struct retry_try refused = { RETRY_ANSWERED, 412, -1 };
    struct clock clock = { 0, 0 };
    struct env env = env_of(&clock);
    struct retry retry;
    uint32_t wait_ms;

    (void)state;
    retry_begin(&retry, 0, BUDGET_MS);
    assert_true(retry_again(&retry, RETRY_REPEATABLE, &lost, &env, &wait_ms));
    assert_false(retry_again(&retry, RETRY_REPEATABLE, &refused, &env, &wait_ms));
    assert_true(retry.uncertain);
}

static void retry_after_ms_reads_seconds_and_dates(void **state)
{
    static const int64_t wall_ms = INT64_C(784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *value;
        int64_t want_ms;
    } cases[] = {
        { "0", 0 },
        { "7", 7000 },
        { "007", 7000 },
        { "301", RETRY_AFTER_MAX_MS },
        { "99999999999999999999999", RETRY_AFTER_MAX_MS },
        { "Sun, 06 Nov 1994 08:49:47 GMT", 10000 },
        { "Sun, 06 Nov 1994 08:49:27 GMT", 0 }, /* is over */
        { "Sun, 06 Nov 1994 18:49:27 GMT", RETRY_AFTER_MAX_MS },
        { "", -1 },
        { "-1", -1 },
        { "1.5", -1 },
        { "7 ", -1 },
        { "soon", -1 },
        { "Sun, 06 Nov 1994", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case '%s'\n", cases[i].value);
        assert_int_equal(retry_after_ms(cases[i].value, wall_ms), cases[i].want_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_again_outcome_and_kind_decide),
        cmocka_unit_test(retry_again_waits_double_and_end_with_the_budget),
        cmocka_unit_test(retry_again_chance_spreads_the_wait_over_its_upper_half),
        cmocka_unit_test(retry_again_budget_of_nothing_is_one_try),
        cmocka_unit_test(retry_again_retry_after_is_kept_or_not_waited_for),
        cmocka_unit_test(retry_again_nobody_there_is_believed_at_the_third_time),
        cmocka_unit_test(retry_again_uncertainty_stays),
        cmocka_unit_test(retry_after_ms_reads_seconds_and_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
