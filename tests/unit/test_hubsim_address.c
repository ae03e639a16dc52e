/* Literal addresses. Listening itself is tried by the tests of the whole program. */
#include "tests/sim/hubsim/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void address_is_literal_tells_addresses_from_names(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        { "127.0.0.1", true }, { "0.0.0.0", true },    { "::1", true },
        { "fe80::1", true },   { "localhost", false }, { "127.0.0.256", false },
        { "127.1", false },    { "[::1]", false },     { "", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(address_is_literal(cases[i].text), cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_is_literal_tells_addresses_from_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
