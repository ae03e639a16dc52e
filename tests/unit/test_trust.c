/* bridge/trust: the trust anchors and the words for a handshake that failed. Whole TLS handshakes between
 * a client of trust.c and a server of this test, in memory; certificates are made here. */
#include "bridge/trust.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAY_S = 86400 };

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

struct fixture {
    char folder[32];
    char file[64]; /* the ca_file */
    struct identity ca, other_ca;
    struct trust *trust;
};

/* ---- certificates ---- */

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* Valid from `from_days` to `to_days` from now; signed by `issuer`, NULL = by itself, as a CA. */
static struct identity make_identity(const char *name, const char *names, int from_days,
                                     int to_days, const struct identity *issuer)
{
    struct identity made = { EVP_EC_gen("P-256"), X509_new() };
    X509_NAME *subject = X509_NAME_new();

    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 1);
    X509_set_subject_name(made.certificate, subject);
    X509_set_issuer_name(made.certificate,
                         issuer == NULL ? subject : X509_get_subject_name(issuer->certificate));
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), (long)from_days * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), (long)to_days * DAY_S);
    X509_set_pubkey(made.certificate, made.key);
    add_extension(made.certificate, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (names != NULL)
        add_extension(made.certificate, NID_subject_alt_name, names);
    assert_true(X509_sign(made.certificate, issuer == NULL ? made.key : issuer->key, EVP_sha256()) >
                0);
    X509_NAME_free(subject);
    return made;
}

static void free_identity(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}

static void write_file(const char *path, const X509 *certificate, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    if (certificate != NULL)
        assert_int_equal(PEM_write_X509(file, certificate), 1);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* ---- handshakes in memory ---- */

/* Moves what one side has written to the other; false when there was nothing. */
static bool carry(SSL *from, SSL *to)
{
    char bytes[4096];
    int length = BIO_read(SSL_get_wbio(from), bytes, sizeof bytes);

    if (length <= 0)
        return false;
    BIO_write(SSL_get_rbio(to), bytes, length);
    return true;
}

static SSL *make_side(SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);

    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

static SSL *make_client(struct trust *trust, const char *host)
{
    SSL *client = make_side(trust_ssl_ctx(trust));
    X509_VERIFY_PARAM *param = SSL_get0_param(client);

    /* as libwebsockets does */
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1)
        X509_VERIFY_PARAM_set1_host(param, host, 0);
    SSL_set_connect_state(client);
    return client;
}

static SSL_CTX *make_server_context(const struct identity *identity)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    SSL_CTX_use_certificate(context, identity->certificate);
    SSL_CTX_use_PrivateKey(context, identity->key);
    return context;
}

static void shake(SSL *client, SSL *server)
{
    for (int turn = 0; turn < 20; turn++) {
        bool moved = false;

        SSL_do_handshake(client);
        ERR_clear_error();
        while (carry(client, server))
            moved = true;
        SSL_do_handshake(server);
        ERR_clear_error();
        while (carry(server, client))
            moved = true;
        if (!moved)
            return;
    }
}

struct outcome {
    bool finished;
    bool named; /* trust_names for the host asked */
    struct err err;
};

static struct outcome connect_to(struct fixture *f, const struct identity *identity,
                                 const char *host)
{
    SSL_CTX *context = make_server_context(identity);
    SSL *client = make_client(f->trust, host), *server = make_side(context);
    struct outcome outcome = { .err = { "" } };

    SSL_set_accept_state(server);
    shake(client, server);
    outcome.finished = SSL_is_init_finished(client);
    outcome.named = trust_names(client, host);
    trust_explain(f->trust, client, host, &outcome.err);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(context);
    return outcome;
}

/* ---- fixture ---- */

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = { "" };

    strcpy(f->folder, "/tmp/test_trust.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->file, sizeof f->file, "%s/ca.pem", f->folder);
    f->ca = make_identity("Plant CA", NULL, -1, 1, NULL);
    f->other_ca = make_identity("Other CA", NULL, -1, 1, NULL);
    write_file(f->file, f->ca.certificate, "");
    assert_int_equal(trust_new(&f->trust, f->file), 0);
    assert_int_equal(trust_refresh(f->trust, &err), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    trust_free(f->trust);
    free_identity(&f->ca);
    free_identity(&f->other_ca);
    unlink(f->file);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* ---- tests ---- */

static void handshake_with_a_trusted_name_finishes(void **state)
{
    static const struct {
        const char *host, *names;
    } cases[] = {
        { "hub.example", "DNS:hub.example" },
        { "eu.hub.example", "DNS:*.hub.example" },
        { "127.0.0.1", "IP:127.0.0.1" },
        { "::1", "IP:::1" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct identity hub = make_identity("hub", cases[i].names, -1, 1, &f->ca);
        struct outcome outcome;

        print_message("case %s\n", cases[i].host);
        outcome = connect_to(f, &hub, cases[i].host);
        free_identity(&hub);

        assert_true(outcome.finished);
        assert_true(outcome.named);
    }
}

static void trust_explain_names_the_cause(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *name, *names;
        int from_days, to_days;
        const struct identity *issuer;
        const char *says[3];
    } cases[] = {
        { "expired",
          "DNS:hub.example",
          -9,
          -2,
          &f->ca,
          { "hub.example", "expired", "clock here" } },
        { "future", "DNS:hub.example", 2, 9, &f->ca, { "hub.example", "not yet valid", "clock" } },
        { "name",
          "DNS:a.example,IP:10.0.0.1",
          -1,
          1,
          &f->ca,
          { "not for hub.example", "a.example, 10.0.0.1", "host name" } },
        { "no name", NULL, -1, 1, &f->ca, { "not for hub.example", "no name", "" } },
        { "issuer",
          "DNS:hub.example",
          -1,
          1,
          &f->other_ca,
          { "Other CA", "not trusted", f->file } },
        { "self-signed",
          "DNS:hub.example",
          -1,
          1,
          NULL,
          { "self-signed", "not trusted", "ca_file" } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct identity hub = make_identity(cases[i].name, cases[i].names, cases[i].from_days,
                                            cases[i].to_days, cases[i].issuer);
        struct outcome outcome = connect_to(f, &hub, "hub.example");

        free_identity(&hub);
        print_message("case %s: %s\n", cases[i].name, outcome.err.msg);
        assert_false(outcome.finished);
        assert_false(outcome.named);
        for (size_t k = 0; k < 3; k++)
            assert_non_null(strstr(outcome.err.msg, cases[i].says[k]));
    }
}

static void trust_explain_of_names_with_control_characters_prints_none(void **state)
{
    struct fixture *f = *state;
    struct identity hub = make_identity("hub", "DNS:a\033[31m.example", -1, 1, &f->ca);
    struct outcome outcome = connect_to(f, &hub, "hub.example");

    free_identity(&hub);

    assert_non_null(strstr(outcome.err.msg, "a?[31m.example"));
    assert_null(strchr(outcome.err.msg, '\033'));
}

static void trust_explain_of_an_alert_says_what_the_peer_said(void **state)
{
    struct fixture *f = *state;
    struct identity hub = make_identity("hub", "DNS:hub.example", -1, 1, &f->ca);
    SSL_CTX *context = make_server_context(&hub);
    SSL *client = make_client(f->trust, "hub.example"), *server;
    struct err err = { "" };

    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    server = make_side(context);
    SSL_set_accept_state(server);
    shake(client, server);
    trust_explain(f->trust, client, "hub.example", &err);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(context);
    free_identity(&hub);

    assert_string_equal(err.msg, "TLS: hub.example refused the handshake: protocol version");
}

static void trust_explain_of_a_peer_without_tls_asks_for_the_port(void **state)
{
    struct fixture *f = *state;
    SSL *client = make_client(f->trust, "hub.example");
    struct err err = { "" };

    SSL_do_handshake(client);
    BIO_puts(SSL_get_rbio(client), "HTTP/1.1 400 Bad Request\r\n\r\n");
    SSL_do_handshake(client);
    ERR_clear_error();
    trust_explain(f->trust, client, "hub.example", &err);
    SSL_free(client);

    assert_non_null(strstr(err.msg, "is this its TLS port"));
}

static void trust_explain_without_a_connection_still_says_something(void **state)
{
    struct fixture *f = *state;
    struct err err = { "" };

    trust_explain(f->trust, NULL, "hub.example", &err);

    assert_non_null(strstr(err.msg, "hub.example"));
    assert_false(trust_names(NULL, "hub.example"));
}

static void trust_refresh_of_a_repaired_file_is_believed(void **state)
{
    struct fixture *f = *state;
    struct identity hub = make_identity("hub", "DNS:hub.example", -1, 1, &f->other_ca);
    struct err err = { "" };
    struct outcome before = connect_to(f, &hub, "hub.example"), after;

    write_file(f->file, f->other_ca.certificate, "# now the right one\n");
    assert_int_equal(trust_refresh(f->trust, &err), 0);
    after = connect_to(f, &hub, "hub.example");
    free_identity(&hub);

    assert_false(before.finished);
    assert_true(after.finished);
}

static void trust_refresh_of_a_file_that_is_no_use_keeps_the_anchors(void **state)
{
    static const struct {
        const char *name, *text;
        int want;
        const char *says;
    } cases[] = {
        { "missing", NULL, -ENOENT, "No such file" },
        { "empty", "", -EBADMSG, "no readable certificate" },
        { "garbage", "hello\n", -EBADMSG, "no readable certificate" },
        { "damaged", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", -EBADMSG,
          "no readable certificate" },
    };
    struct fixture *f = *state;
    struct identity hub = make_identity("hub", "DNS:hub.example", -1, 1, &f->ca);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = { "" };
        struct outcome outcome;

        print_message("case %s\n", cases[i].name);
        (void)remove(f->file);
        if (cases[i].text != NULL)
            write_file(f->file, NULL, cases[i].text);

        assert_int_equal(trust_refresh(f->trust, &err), cases[i].want);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_non_null(strstr(err.msg, f->file));
        outcome = connect_to(f, &hub, "hub.example");
        assert_true(outcome.finished);
    }
    free_identity(&hub);
}

static void trust_before_the_first_refresh_believes_nobody(void **state)
{
    struct fixture *f = *state;
    struct identity hub = make_identity("hub", "DNS:hub.example", -1, 1, &f->ca);
    struct outcome outcome;

    trust_free(f->trust);
    assert_int_equal(trust_new(&f->trust, f->file), 0);
    outcome = connect_to(f, &hub, "hub.example");
    free_identity(&hub);

    assert_false(outcome.finished);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(handshake_with_a_trusted_name_finishes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_explain_names_the_cause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_explain_of_names_with_control_characters_prints_none,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_explain_of_an_alert_says_what_the_peer_said, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trust_explain_of_a_peer_without_tls_asks_for_the_port,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_explain_without_a_connection_still_says_something,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_refresh_of_a_repaired_file_is_believed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trust_refresh_of_a_file_that_is_no_use_keeps_the_anchors,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_before_the_first_refresh_believes_nobody, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
