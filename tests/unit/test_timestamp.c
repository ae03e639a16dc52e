/* base/timestamp: RFC 3339 in UTC. */
#include "base/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void timestamp_print_is_utc_with_ms(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1, "1970-01-01T00:00:00.001Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { -1000, "1969-12-31T23:59:59.000Z" },
        { 951782399999, "2000-02-28T23:59:59.999Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 1795341871250, "2026-11-22T10:04:31.250Z" },
        { 4102444800000, "2100-01-01T00:00:00.000Z" }, /* beyond 32 bits of seconds */
    };
    char out[TIMESTAMP_MAX];

    (void)state;
    setenv("TZ", "America/New_York", 1);
    tzset();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(timestamp_print(cases[i].ms, out), cases[i].text);
}

static void timestamp_print_of_any_time_stays_in_its_buffer(void **state)
{
    static const int64_t cases[] = { INT64_MAX, INT64_MIN + 1000, 253402300799999,
                                     253402300800000 };
    char out[TIMESTAMP_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_ptr_equal(timestamp_print(cases[i], out), out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamp_print_is_utc_with_ms),
        cmocka_unit_test(timestamp_print_of_any_time_stays_in_its_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
