/* JSON web tokens: ours, those of a certificate, and what is none. */
#include "test_hubsim_jwt_fixture.h"

#include <errno.h>

static const unsigned char secret[JWT_SECRET_BYTES] = "01234567890123456789012345678901";

static void jwt_print_gives_what_jwt_parse_reads(void **state)
{
    static const char want[] = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJhIjoxLCJiIjoiw6kifQ.";
    struct buf out;
    struct jwt jwt;

    (void)state;
    buf_init(&out, 1024);
    assert_int_equal(jwt_print(&out, "{\"a\":1,\"b\":\"\xc3\xa9\"}", secret), 0);
    assert_memory_equal(out.bytes, want, sizeof want - 1);
    assert_int_equal(jwt_parse(&jwt, buf_text(&out), out.length), 0);
    assert_true(jwt_number(jwt.claims, "a", 0) == 1);
    assert_true(jwt_number(jwt.claims, "b", 7) == 7);
    assert_string_equal(jwt_text(jwt.claims, "b"), "\xc3\xa9");
    assert_null(jwt_text(jwt.claims, "a"));
    assert_string_equal(jwt_text(jwt.header, "alg"), "HS256");
    assert_true(jwt_signed_with_secret(&jwt, buf_text(&out), secret));
    jwt_done(&jwt);
    buf_done(&out);
}

static void jwt_of_rfc_7515_has_its_signature(void **state)
{
    /* RFC 7515, appendix A.1, has a key of 64 bytes; this is its input under a key of 32 bytes 'k',
     * signed with openssl dgst -sha256 -hmac. */
    static const unsigned char key[JWT_SECRET_BYTES] = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
    static const char text[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                               "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                               "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
                               "bvCdu1_IyfyRvW0KfE66LYIEGRS-q3AKUTKSuC6x2Ko";
    struct jwt jwt;

    (void)state;
    assert_int_equal(jwt_parse(&jwt, text, strlen(text)), 0);
    assert_true(jwt_number(jwt.claims, "exp", 0) == 1300819380);
    assert_true(jwt_signed_with_secret(&jwt, text, key));
    jwt_done(&jwt);
}

static void jwt_signed_with_secret_sees_every_changed_byte(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    assert_int_equal(jwt_print(&out, "{\"a\":1}", secret), 0);
    for (size_t i = 0; i < out.length; i++) {
        uint8_t before = out.bytes[i];
        struct jwt jwt;

        out.bytes[i] = before == 'A' ? 'Q' : 'A';
        /* The last character carries two bits that decode to nothing. */
        if (jwt_parse(&jwt, buf_text(&out), out.length) == 0) {
            assert_true(i + 1 == out.length ||
                        !jwt_signed_with_secret(&jwt, buf_text(&out), secret));
            jwt_done(&jwt);
        }
        out.bytes[i] = before;
    }
    buf_done(&out);
}

static void jwt_parse_of_what_is_none_is_refused(void **state)
{
    static const char *const cases[] = {
        "",           ".",         "..",
        "e30.e30",    "e30.e30.",  "e30.e30.QQ=",
        "e30.e30.Q",  "e30..QQ",   ".e30.QQ",
        "e30.W10.QQ", /* [] */
        "W10.e30.QQ", "e30.e3.QQ", "e30.e30.QQ.QQ",
        "e+0.e30.QQ",
    };
    struct jwt jwt;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i]);
        assert_int_equal(jwt_parse(&jwt, cases[i], strlen(cases[i])), -EBADMSG);
    }
    assert_int_equal(jwt_parse(&jwt, "e30.e30.QQ", 10), 0);
    assert_false(jwt_signed_with_secret(&jwt, "e30.e30.QQ", secret));
    assert_false(jwt_signed_with_certificate(&jwt, "e30.e30.QQ", JWT_CERTIFICATE));
    assert_false(jwt_names_certificate(&jwt, JWT_CERTIFICATE));
    jwt_done(&jwt);
}

static void jwt_signed_with_certificate_knows_rs256_and_ps256(void **state)
{
    static const struct {
        const char *algorithm, *key, *certificate;
        bool want;
    } cases[] = {
        { "RS256", JWT_KEY, JWT_CERTIFICATE, true },
        { "PS256", JWT_KEY, JWT_CERTIFICATE, true },
        { "RS256", JWT_KEY, JWT_OTHER_CERTIFICATE, false },
        { "PS256", JWT_KEY, JWT_OTHER_CERTIFICATE, false },
        { "RS384", JWT_KEY, JWT_CERTIFICATE, false },
        { "none", JWT_KEY, JWT_CERTIFICATE, false },
        { "HS256", JWT_KEY, JWT_CERTIFICATE, false },
        { "RS256", JWT_KEY, JWT_EC_CERTIFICATE, false },
        { "RS256", JWT_KEY, "no certificate", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[64];
        struct buf out;
        struct jwt jwt;

        print_message("case %zu %s\n", i, cases[i].algorithm);
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", cases[i].algorithm);
        buf_init(&out, 4096);
        fixture_sign(&out, header, "{\"a\":1}", cases[i].key,
                     strcmp(cases[i].algorithm, "PS256") == 0);
        assert_int_equal(jwt_parse(&jwt, buf_text(&out), out.length), 0);
        assert_int_equal(jwt_signed_with_certificate(&jwt, buf_text(&out), cases[i].certificate),
                         cases[i].want);
        assert_false(jwt_signed_with_secret(&jwt, buf_text(&out), secret));
        jwt_done(&jwt);
        buf_done(&out);
    }
}

static void jwt_names_certificate_by_either_thumbprint(void **state)
{
    static const struct {
        const char *header;
        bool want;
    } cases[] = {
        { "{\"x5t\":\"" JWT_THUMBPRINT_SHA1 "\"}", true },
        { "{\"x5t#S256\":\"" JWT_THUMBPRINT_SHA256 "\"}", true },
        { "{\"x5t\":\"" JWT_THUMBPRINT_SHA256 "\"}", false },
        { "{\"x5t\":\"\"}", false },
        { "{\"x5t\":5}", false },
        { "{}", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct jwt jwt = { .header = fixture_tree(cases[i].header) };

        print_message("case %s\n", cases[i].header);
        assert_int_equal(jwt_names_certificate(&jwt, JWT_CERTIFICATE), cases[i].want);
        assert_false(jwt_names_certificate(&jwt, JWT_OTHER_CERTIFICATE));
        jwt_done(&jwt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jwt_print_gives_what_jwt_parse_reads),
        cmocka_unit_test(jwt_of_rfc_7515_has_its_signature),
        cmocka_unit_test(jwt_signed_with_secret_sees_every_changed_byte),
        cmocka_unit_test(jwt_parse_of_what_is_none_is_refused),
        cmocka_unit_test(jwt_signed_with_certificate_knows_rs256_and_ps256),
        cmocka_unit_test(jwt_names_certificate_by_either_thumbprint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
