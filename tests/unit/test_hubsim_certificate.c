/* The authority and the server certificate, checked with OpenSSL's own verifier. */
#include "tests/sim/hubsim/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define NOW_S INT64_C(1767222000)
#define DAY_S INT64_C(86400)

static const char *const names[] = { "emu.azure-devices.net", "localhost", "127.0.0.1", "::1" };

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(x509);
    return x509;
}

/* What a client does: chain, purpose and time, at security level 2. */
static int verify(const char *server, const char *authority, int64_t at_s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *leaf = parse(server), *root = parse(authority);
    int verdict;

    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, leaf, NULL), 1);
    X509_STORE_CTX_set_time(context, 0, (time_t)at_s);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(context), 2);
    X509_verify_cert(context);
    verdict = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(leaf);
    X509_free(root);
    return verdict;
}

static void certificate_issue_is_trusted_for_its_names_and_time(void **state)
{
    struct certificate authority = { 0 }, server = { 0 };
    X509 *x509;

    (void)state;
    assert_int_equal(certificate_new_authority(&authority, NOW_S), 0);
    assert_int_equal(certificate_issue(&server, &authority, names, 4, NOW_S), 0);

    assert_int_equal(verify(server.certificate, authority.certificate, NOW_S), X509_V_OK);
    assert_int_equal(verify(server.certificate, authority.certificate, NOW_S - DAY_S / 2),
                     X509_V_OK);
    assert_int_equal(verify(server.certificate, authority.certificate, NOW_S - 2 * DAY_S),
                     X509_V_ERR_CERT_NOT_YET_VALID);
    assert_int_equal(verify(server.certificate, authority.certificate, NOW_S + 731 * DAY_S),
                     X509_V_ERR_CERT_HAS_EXPIRED);
    x509 = parse(server.certificate);
    assert_int_equal(X509_check_host(x509, "emu.azure-devices.net", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x509, "other.azure-devices.net", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(x509, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x509, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x509, "127.0.0.2", 0), 0);
    X509_free(x509);
    certificate_done(&server);
    certificate_done(&authority);
}

static void certificate_issue_name_with_separators_stays_one_name(void **state)
{
    static const char *const odd[] = { "a,DNS:evil" };
    struct certificate authority = { 0 }, server = { 0 };
    X509 *x509;

    (void)state;
    assert_int_equal(certificate_new_authority(&authority, NOW_S), 0);
    assert_int_equal(certificate_issue(&server, &authority, odd, 1, NOW_S), 0);
    x509 = parse(server.certificate);
    assert_int_equal(X509_check_host(x509, "evil", 0, 0, NULL), 0);
    X509_free(x509);
    certificate_done(&server);
    certificate_done(&authority);
}

static void certificate_serves_until_names_authority_or_time_change(void **state)
{
    static const char *const more[] = { "localhost", "10.0.0.1" };
    struct certificate authority = { 0 }, other = { 0 }, server = { 0 };

    (void)state;
    assert_int_equal(certificate_new_authority(&authority, NOW_S), 0);
    assert_int_equal(certificate_new_authority(&other, NOW_S), 0);
    assert_int_equal(certificate_issue(&server, &authority, names, 4, NOW_S), 0);

    assert_true(certificate_serves(&server, &authority, names, 4, NOW_S));
    assert_true(certificate_serves(&server, &authority, names, 2, NOW_S + 699 * DAY_S));
    assert_false(certificate_serves(&server, &authority, names, 4, NOW_S + 701 * DAY_S));
    assert_false(certificate_serves(&server, &authority, more, 2, NOW_S));
    assert_false(certificate_serves(&server, &other, names, 4, NOW_S));
    certificate_done(&server);
    certificate_done(&other);
    certificate_done(&authority);
}

static void certificate_issue_with_broken_authority_fails(void **state)
{
    char text[] = "not a certificate";
    const struct certificate authority = { text, text };
    struct certificate server = { 0 };

    (void)state;
    assert_true(certificate_issue(&server, &authority, names, 4, NOW_S) < 0);
    assert_null(server.certificate);
    assert_null(server.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificate_issue_is_trusted_for_its_names_and_time),
        cmocka_unit_test(certificate_issue_name_with_separators_stays_one_name),
        cmocka_unit_test(certificate_serves_until_names_authority_or_time_change),
        cmocka_unit_test(certificate_issue_with_broken_authority_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
