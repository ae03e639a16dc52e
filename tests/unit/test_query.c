/* bridge/status/query: the arguments of /api/status. */
#include "bridge/status/query.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void status_query_init_asks_for_everything(void **state)
{
    struct status_query query;

    (void)state;
    memset(&query, 0xff, sizeof query);
    status_query_init(&query);

    assert_true(query.tags);
    assert_string_equal(query.device, "");
    assert_string_equal(query.search, "");
    assert_int_equal(query.offset, 0);
    assert_int_equal(query.limit, 0);
}

static void status_query_add_takes_each_argument(void **state)
{
    static const char *const arguments[] = { "tags=0", "device=boiler-1", "search=a=b c",
                                             "offset=20", "limit=999999999" };
    struct status_query query;
    struct err err = { "" };

    (void)state;
    status_query_init(&query);
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++)
        assert_int_equal(status_query_add(&query, arguments[i], &err), 0);

    assert_false(query.tags);
    assert_string_equal(query.device, "boiler-1");
    assert_string_equal(query.search, "a=b c");
    assert_int_equal(query.offset, 20);
    assert_int_equal(query.limit, 999999999);
}

static void status_query_add_twice_counts_the_second(void **state)
{
    struct status_query query;
    struct err err = { "" };

    (void)state;
    status_query_init(&query);
    assert_int_equal(status_query_add(&query, "search=one", &err), 0);
    assert_int_equal(status_query_add(&query, "search=", &err), 0);

    assert_string_equal(query.search, "");
}

static void status_query_add_of_what_it_does_not_know_is_refused(void **state)
{
    static const struct {
        const char *argument, *says;
    } cases[] = {
        { "", "no such argument" },
        { "=", "no such argument" },
        { "tag=0", "no such argument" },
        { "tagss=0", "no such argument" },
        { "Tags=0", "no such argument" },
        { "offse=1", "no such argument" },
        { "tags", "tags must be 0 or 1" },
        { "tags=", "tags must be 0 or 1" },
        { "tags=2", "tags must be 0 or 1" },
        { "tags=00", "tags must be 0 or 1" },
        { "offset=", "offset must be a number" },
        { "offset=-1", "offset must be a number" },
        { "offset=+1", "offset must be a number" },
        { "offset= 1", "offset must be a number" },
        { "offset=1x", "offset must be a number" },
        { "limit=0x10", "limit must be a number" },
        { "limit=1000000000", "limit must be a number" },
        { "limit=99999999999999999999999", "limit must be a number" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct status_query query, before;
        struct err err = { "" };

        print_message("case %s\n", cases[i].argument);
        status_query_init(&query);
        before = query;

        assert_int_equal(status_query_add(&query, cases[i].argument, &err), -EINVAL);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_memory_equal(&query, &before, sizeof query);
    }
}

static void status_query_add_takes_names_up_to_their_maximum(void **state)
{
    static const char *const keys[] = { "device", "search" };
    char argument[160], name[140];

    (void)state;
    memset(name, 'x', sizeof name);
    for (size_t i = 0; i < 2; i++) {
        struct status_query query;
        struct err err = { "" };

        status_query_init(&query);
        snprintf(argument, sizeof argument, "%s=%.128s", keys[i], name);
        assert_int_equal(status_query_add(&query, argument, &err), 0);
        assert_int_equal(strlen(i == 0 ? query.device : query.search), 128);
        snprintf(argument, sizeof argument, "%s=%.129s", keys[i], name);
        assert_int_equal(status_query_add(&query, argument, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "longer than 128 bytes"));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_query_init_asks_for_everything),
        cmocka_unit_test(status_query_add_takes_each_argument),
        cmocka_unit_test(status_query_add_twice_counts_the_second),
        cmocka_unit_test(status_query_add_of_what_it_does_not_know_is_refused),
        cmocka_unit_test(status_query_add_takes_names_up_to_their_maximum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
