/* The loop of tries, with a network and a clock of the test's own: http_send and the waiting are
 * wrapped by the linker (service.cmake). */
#include "bridge/service/exchange.h"

#include "bridge/service/header.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct step {
    enum retry_outcome outcome;
    long status;
    const char *retry_after; /* NULL = none */
    const char *body;
};

/* The world of one test. */
static struct {
    const struct step *steps;
    size_t count;
    size_t next;
    uint64_t now_ms;
    uint64_t waited_ms;
    int interrupted; /* what a wait returns */
    uint32_t timeout_ms;
} world;

int __wrap_http_send(struct http *http, const struct http_request *request,
                     struct http_answer *answer, struct err *err);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *span,
                           struct timespec *left);

int __wrap_http_send(struct http *http, const struct http_request *request,
                     struct http_answer *answer, struct err *err)
{
    const struct step *step = &world.steps[world.next < world.count ? world.next : world.count - 1];

    (void)http;
    world.next++;
    world.timeout_ms = request->timeout_ms;
    buf_clear(&answer->headers);
    buf_clear(&answer->body);
    if (step->retry_after != NULL)
        buf_printf(&answer->headers, "Retry-After: %s\n", step->retry_after);
    if (step->body != NULL)
        buf_add_text(&answer->body, step->body);
    answer->status = step->status;
    answer->outcome = step->outcome;
    if (step->outcome == RETRY_ANSWERED)
        return 0;
    err_set(err, "step %zu", world.next);
    return -EHOSTUNREACH;
}

int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *span,
                           struct timespec *left)
{
    uint64_t ms = (uint64_t)span->tv_sec * 1000 + (uint64_t)span->tv_nsec / 1000000;

    (void)clock;
    (void)flags;
    (void)left;
    world.now_ms += ms;
    world.waited_ms += ms;
    return world.interrupted;
}

static uint64_t fake_now(void *data)
{
    (void)data;
    return world.now_ms;
}

static int64_t fake_wall(void *data)
{
    (void)data;
    return (int64_t)world.now_ms;
}

static uint32_t fake_random(void *data)
{
    (void)data;
    return UINT32_MAX;
}

static const struct env env = { fake_now, fake_wall, fake_random, NULL };

struct result {
    int rc;
    long status;
    bool uncertain;
    size_t tries;
    char body[16];
    char error[32];
};

static struct result play(const struct step *steps, size_t count, enum retry_kind kind,
                          uint32_t retry_for_ms)
{
    const struct exchange exchange = { NULL, &env, 1234, retry_for_ms, false };
    struct http_request request = { .method = "GET", .url = "https://h/", .kind = kind };
    struct http_answer answer;
    struct err err = { "" };
    struct result result = { 0 };

    memset(&world, 0, sizeof world);
    world.steps = steps;
    world.count = count;
    http_answer_init(&answer, 100);
    result.rc = exchange_send(&exchange, &request, &answer, &result.uncertain, &err);
    result.status = answer.status;
    result.tries = world.next;
    snprintf(result.body, sizeof result.body, "%s", buf_text(&answer.body));
    snprintf(result.error, sizeof result.error, "%.30s", err.msg);
    http_answer_done(&answer);
    return result;
}

static void exchange_send_first_answer_is_given_back(void **state)
{
    static const struct step steps[] = { { RETRY_ANSWERED, 200, NULL, "good" } };
    struct result result = play(steps, 1, RETRY_REPEATABLE, 30000);

    (void)state;
    assert_int_equal(result.rc, 0);
    assert_int_equal(result.tries, 1);
    assert_string_equal(result.body, "good");
    assert_false(result.uncertain);
    assert_int_equal(world.timeout_ms, 1234);
    assert_int_equal(world.waited_ms, 0);
}

static void exchange_send_passing_failures_are_waited_for(void **state)
{
    static const struct step steps[] = {
        { RETRY_ANSWERED, 503, NULL, "busy" },
        { RETRY_NOBODY, 0, NULL, NULL },
        { RETRY_ANSWERED, 429, "5", "slow down" },
        { RETRY_ANSWERED, 200, NULL, "good" },
    };
    struct result result = play(steps, 4, RETRY_REPEATABLE, 30000);

    (void)state;
    assert_int_equal(result.rc, 0);
    assert_int_equal(result.status, 200);
    assert_string_equal(result.body, "good");
    assert_string_equal(result.error, "");
    assert_int_equal(result.tries, 4);
    assert_true(result.uncertain);
    assert_in_range(world.waited_ms, 1000 + 2000 + 5000, 1000 + 2000 + 5625);
}

static void exchange_send_first_try_of_all_is_certain(void **state)
{
    static const struct step steps[] = { { RETRY_ANSWERED, 503, NULL, NULL },
                                         { RETRY_ANSWERED, 412, NULL, NULL } };
    static const struct step refused[] = { { RETRY_ANSWERED, 429, "0", NULL },
                                           { RETRY_ANSWERED, 412, NULL, NULL } };

    (void)state;
    assert_true(play(steps, 2, RETRY_REPEATABLE, 30000).uncertain);
    assert_false(play(steps + 1, 1, RETRY_REPEATABLE, 30000).uncertain);
    assert_false(play(refused, 2, RETRY_REPEATABLE, 30000).uncertain);
}

/* A first call that ended in 401 after a lost answer, and the one with a new token. */
static void exchange_send_certain_call_leaves_doubts_of_one_before(void **state)
{
    static const struct step steps[] = { { RETRY_ANSWERED, 412, NULL, NULL } };
    const struct exchange exchange = { NULL, &env, 1, 30000, false };
    struct http_request request = { .method = "PATCH", .url = "https://h/" };
    struct http_answer answer;
    struct err err = { "" };
    bool uncertain = true;

    (void)state;
    memset(&world, 0, sizeof world);
    world.steps = steps;
    world.count = 1;
    http_answer_init(&answer, 100);

    assert_int_equal(exchange_send(&exchange, &request, &answer, &uncertain, &err), 0);
    assert_true(uncertain);
    http_answer_done(&answer);
}

static void exchange_send_budget_ends_with_the_last_failure(void **state)
{
    static const struct step busy[] = { { RETRY_ANSWERED, 503, NULL, "busy" } };
    static const struct step lost[] = { { RETRY_LOST, 0, NULL, NULL } };
    struct result result = play(busy, 1, RETRY_REPEATABLE, 10000);

    (void)state;
    assert_int_equal(result.rc, 0);
    assert_int_equal(result.status, 503);
    assert_int_equal(world.waited_ms, 10000);
    result = play(lost, 1, RETRY_REPEATABLE, 3000);
    assert_int_equal(result.rc, -EHOSTUNREACH);
    assert_int_equal(result.tries, 3);
    assert_string_equal(result.error, "step 3");
}

static void exchange_send_signal_ends_the_waiting(void **state)
{
    static const struct step busy[] = { { RETRY_ANSWERED, 503, NULL, NULL } };
    const struct exchange exchange = { NULL, &env, 1, 30000, false };
    struct http_request request = { .method = "GET", .url = "https://h/" };
    struct http_answer answer;
    struct err err = { "" };

    (void)state;
    memset(&world, 0, sizeof world);
    world.steps = busy;
    world.count = 1;
    world.interrupted = EINTR;
    http_answer_init(&answer, 100);

    assert_int_equal(exchange_send(&exchange, &request, &answer, NULL, &err), 0);
    assert_int_equal(answer.status, 503);
    assert_int_equal(world.next, 1);
    http_answer_done(&answer);
}

static void exchange_send_request_keeps_its_own_time_limit(void **state)
{
    static const struct step steps[] = { { RETRY_ANSWERED, 200, NULL, NULL } };
    const struct exchange exchange = { NULL, &env, 1, 0, false };
    struct http_request request = { .method = "POST", .url = "https://h/", .timeout_ms = 330000 };
    struct http_answer answer;
    struct err err = { "" };

    (void)state;
    memset(&world, 0, sizeof world);
    world.steps = steps;
    world.count = 1;
    http_answer_init(&answer, 100);

    assert_int_equal(exchange_send(&exchange, &request, &answer, NULL, &err), 0);
    assert_int_equal(world.timeout_ms, 330000);
    http_answer_done(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchange_send_first_answer_is_given_back),
        cmocka_unit_test(exchange_send_passing_failures_are_waited_for),
        cmocka_unit_test(exchange_send_first_try_of_all_is_certain),
        cmocka_unit_test(exchange_send_certain_call_leaves_doubts_of_one_before),
        cmocka_unit_test(exchange_send_budget_ends_with_the_last_failure),
        cmocka_unit_test(exchange_send_signal_ends_the_waiting),
        cmocka_unit_test(exchange_send_request_keeps_its_own_time_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
