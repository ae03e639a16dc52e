/* What is news of one trouble, and what is not. */
#include "bridge/said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void is_news_first_time_true_then_false(void **state)
{
    struct said said = { { 0 }, 0 };

    (void)state;
    assert_true(said_is_news(&said, "refused by 127.0.0.1"));
    assert_false(said_is_news(&said, "refused by 127.0.0.1"));
    assert_true(said_is_news(&said, ""));
    assert_false(said_is_news(&said, ""));
}

static void is_news_texts_that_take_turns_each_once(void **state)
{
    static const char *const texts[] = { "no answer from ::1", "no answer from 127.0.0.1",
                                         "does not resolve" };
    struct said said = { { 0 }, 0 };

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_true(said_is_news(&said, texts[i]));
    for (size_t i = 0; i < 30; i++)
        assert_false(said_is_news(&said, texts[i % 3]));
}

static void is_news_more_texts_than_fit_forgets_the_oldest_only(void **state)
{
    struct said said = { { 0 }, 0 };
    char text[32];

    (void)state;
    for (int i = 0; i <= SAID_MAX; i++) {
        snprintf(text, sizeof text, "trouble %d", i);
        assert_true(said_is_news(&said, text));
    }
    assert_false(said_is_news(&said, "trouble 1"));
    assert_true(said_is_news(&said, "trouble 0"));
}

static void forget_makes_everything_news(void **state)
{
    struct said said = { { 0 }, 0 };

    (void)state;
    said_is_news(&said, "refused");
    said_forget(&said);
    assert_true(said_is_news(&said, "refused"));
    assert_false(said_is_news(&said, "refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_news_first_time_true_then_false),
        cmocka_unit_test(is_news_texts_that_take_turns_each_once),
        cmocka_unit_test(is_news_more_texts_than_fit_forgets_the_oldest_only),
        cmocka_unit_test(forget_makes_everything_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
