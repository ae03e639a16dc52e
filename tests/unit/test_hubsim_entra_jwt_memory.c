/* JSON web tokens without memory: no token that is half there, no signature that holds by chance. */
#include "test_hubsim_jwt_fixture.h"

#include "tests/unit/memory_fault.h"

#include <errno.h>

static const unsigned char secret[JWT_SECRET_BYTES] = "secret";

static void jwt_print_without_memory_prints_nothing_that_holds(void **state)
{
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        struct jwt jwt = { 0 };
        struct buf out;
        int rc;

        buf_init(&out, 4096);
        memory_fault_at(n);
        rc = jwt_print(&out, "{\"a\":1}", secret);
        failed = memory_fault_over();
        if (rc == 0)
            assert_int_equal(jwt_parse(&jwt, buf_text(&out), out.length), 0);
        assert_int_equal(rc == 0 && jwt_signed_with_secret(&jwt, buf_text(&out), secret), rc == 0);
        assert_true(rc == 0 || failed);
        jwt_done(&jwt);
        buf_done(&out);
    }
}

static void jwt_checks_without_memory_fail_and_say_no(void **state)
{
    bool failed = true;
    struct buf text;

    (void)state;
    buf_init(&text, 4096);
    fixture_sign(&text, "{\"alg\":\"RS256\",\"x5t\":\"" JWT_THUMBPRINT_SHA1 "\"}", "{\"a\":1}",
                 JWT_KEY, false);
    for (size_t n = 1; failed; n++) {
        struct jwt jwt = { 0 };
        bool holds = false;
        int rc;

        memory_fault_at(n);
        rc = jwt_parse(&jwt, buf_text(&text), text.length);
        if (rc == 0)
            holds = jwt_names_certificate(&jwt, JWT_CERTIFICATE) &&
                    jwt_signed_with_certificate(&jwt, buf_text(&text), JWT_CERTIFICATE);
        failed = memory_fault_over();
        assert_true(holds || failed); /* OpenSSL does without some of what it asks for */
        if (rc != 0)
            assert_null(jwt.header);
        jwt_done(&jwt);
    }
    buf_done(&text);
}

/* What OpenSSL makes at its first use it does not expect to fail: it is made before. */
static int use_openssl(void **state)
{
    struct jwt jwt;
    struct buf text;

    (void)state;
    buf_init(&text, 4096);
    fixture_sign(&text, "{\"alg\":\"RS256\"}", "{}", JWT_KEY, false);
    assert_int_equal(jwt_parse(&jwt, buf_text(&text), text.length), 0);
    assert_true(jwt_signed_with_certificate(&jwt, buf_text(&text), JWT_CERTIFICATE));
    assert_false(jwt_names_certificate(&jwt, JWT_CERTIFICATE));
    jwt_done(&jwt);
    buf_clear(&text);
    assert_int_equal(jwt_print(&text, "{}", secret), 0);
    buf_done(&text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jwt_print_without_memory_prints_nothing_that_holds),
        cmocka_unit_test(jwt_checks_without_memory_fail_and_say_no),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, use_openssl, NULL);
}
