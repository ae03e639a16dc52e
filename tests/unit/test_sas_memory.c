/* Tokens without memory: OpenSSL's allocations fail one after the other. */
#include "bridge/sas.h"

#include "tests/unit/memory_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char key[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

static int sign(char out[SAS_TOKEN_MAX])
{
    return sas_token(out, SAS_TOKEN_MAX, "h/devices/d/modules/m", key, NULL, 1800000000);
}

/* OpenSSL keeps what it makes at its first use, a failed load of its providers too: so it is
 * used once with memory. */
static void token_without_memory_is_refused_and_made_the_next_time(void **state)
{
    char want[SAS_TOKEN_MAX], token[SAS_TOKEN_MAX];
    size_t n = 0, places = 0;
    int rc;

    (void)state;
    assert_int_equal(sign(want), 0);
    do {
        memset(token, 'x', sizeof token);
        memory_fault_at(++n);
        rc = sign(token);
        if (memory_fault_over()) {
            places++;
            assert_true(rc == -ENOMEM || rc == 0); /* OpenSSL may do without */
            if (rc != 0)
                assert_int_equal(token[0], 'x');
            assert_int_equal(sign(token), 0);
        } else {
            assert_int_equal(rc, 0);
            n = 0;
        }
        assert_string_equal(token, want);
    } while (n > 0);
    assert_true(places > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_without_memory_is_refused_and_made_the_next_time),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
