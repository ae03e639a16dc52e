/* Trust anchors of the link to the hub, and words for a TLS handshake that failed.
 *
 * The happy path: trust_refresh before each connect finds the file unchanged, and every connection
 * shares one context. A changed file replaces the store of certificates in that context, which OpenSSL
 * looks at in each handshake, so that a repaired file helps without a restart.
 *
 * Failure modes: the file is gone or holds no certificate (nothing connects until it is repaired,
 * connections that stand are left alone); the peer's certificate is expired, not yet valid, from
 * somebody else, for another name: each has its own text, because each has its own remedy. */
#include "bridge/trust.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char SYSTEM_CA_FILE[] = "/etc/ssl/certs/ca-certificates.crt";

struct trust {
    char *ca_file;
    SSL_CTX *context;
    struct stat read; /* the file as it was when read; st_nlink 0 = not yet */
    /* The last fatal alert a peer sent, and to which connection (compared, never followed):
     * libwebsockets empties OpenSSL's error queue before it tells us. */
    const SSL *alert_from;
    int alert;
};

static void on_info(const SSL *ssl, int where, int value)
{
    struct trust *trust = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if ((where & SSL_CB_READ_ALERT) != SSL_CB_READ_ALERT || (value & 0xff) == SSL_AD_CLOSE_NOTIFY)
        return;
    trust->alert_from = ssl;
    trust->alert = value;
}

static SSL_CTX *new_context(struct trust *trust)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    /* Released buffers save some 34 KB on each idle connection. */
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_app_data(context, trust);
    SSL_CTX_set_info_callback(context, on_info);
    return context;
}

int trust_new(struct trust **out, const char *ca_file)
{
    struct trust *trust = calloc(1, sizeof *trust);

    if (trust == NULL)
        return -ENOMEM;
    trust->ca_file = strdup(ca_file != NULL ? ca_file : SYSTEM_CA_FILE);
    trust->context = new_context(trust);
    if (trust->ca_file == NULL || trust->context == NULL) {
        ERR_clear_error();
        trust_free(trust);
        return -ENOMEM;
    }
    *out = trust;
    return 0;
}

void trust_free(struct trust *trust)
{
    if (trust == NULL)
        return;
    if (trust->context != NULL)
        SSL_CTX_set_info_callback(trust->context, NULL);
    SSL_CTX_free(trust->context);
    free(trust->ca_file);
    free(trust);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int trust_refresh(struct trust *trust, struct err *err)
{
    struct stat now;
    X509_STORE *store;

    if (stat(trust->ca_file, &now) != 0) {
        int rc = -errno;

        err_set(err, "ca_file %.120s: %s: name a PEM file with the hub's CA certificate",
                trust->ca_file, strerror(-rc));
        return rc;
    }
    if (trust->read.st_nlink != 0 && same_file(&now, &trust->read))
        return 0;

    store = X509_STORE_new();
    if (store == NULL) {
        ERR_clear_error();
        err_set(err, "out of memory");
        return -ENOMEM;
    }
    if (X509_STORE_load_file(store, trust->ca_file) != 1) {
        ERR_clear_error();
        X509_STORE_free(store);
        err_set(err,
                "ca_file %.120s holds no readable certificate: it must be PEM and start with "
                "-----BEGIN CERTIFICATE-----",
                trust->ca_file);
        return -EBADMSG;
    }
    SSL_CTX_set_cert_store(trust->context, store); /* takes the store, frees the one before */
    trust->read = now;
    return 0;
}

SSL_CTX *trust_ssl_ctx(const struct trust *trust)
{
    return trust->context;
}

bool trust_names(const SSL *ssl, const char *host)
{
    X509 *certificate = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;

    if (certificate == NULL)
        return false;
    if (X509_check_ip_asc(certificate, host, 0) == 1)
        return true;
    return X509_check_host(certificate, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* Appends to the NUL-terminated `text` as far as `size` goes. The words may come from a peer that nobody
 * has verified: what is not printable becomes "?". */
static void append(char *text, size_t size, const char *more)
{
    size_t used = strlen(text);

    for (; *more != '\0' && used + 1 < size; more++)
        text[used++] = *more >= ' ' && *more <= '~' ? *more : '?';
    text[used] = '\0';
}

static void append_name(char *text, size_t size, const GENERAL_NAME *name)
{
    char address[64] = "";

    if (name->type == GEN_DNS) {
        append(text, size, text[0] == '\0' ? "" : ", ");
        append(text, size, (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    } else if (name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 4) {
        const unsigned char *ip = ASN1_STRING_get0_data(name->d.iPAddress);

        snprintf(address, sizeof address, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
        append(text, size, text[0] == '\0' ? "" : ", ");
        append(text, size, address);
    }
}

/* The names a certificate is for, as far as `size` goes. */
static void list_names(char *text, size_t size, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    text[0] = '\0';
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++)
        append_name(text, size, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    if (text[0] == '\0')
        append(text, size, "no name");
}

static void print_asn1_time(char *text, size_t size, const ASN1_TIME *when)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(when, &tm) != 1 || strftime(text, size, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        snprintf(text, size, "an unreadable time");
}

static void print_now(char *text, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;

    if (gmtime_r(&now, &tm) == NULL || strftime(text, size, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        snprintf(text, size, "unknown");
}

/* The certificate of the chain that its dates rule out now: not always the peer's own. */
static const X509 *out_of_date(const STACK_OF(X509) * chain, bool expired)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const X509 *certificate = sk_X509_value(chain, i);

        if (expired ? X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0
                    : X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
            return certificate;
    }
    return sk_X509_value(chain, 0);
}

static void explain_dates(const STACK_OF(X509) * chain, bool expired, const char *host,
                          struct err *out)
{
    const X509 *certificate = out_of_date(chain, expired);
    char limit[40] = "an unknown time", now[40];

    if (certificate != NULL)
        print_asn1_time(limit, sizeof limit,
                        expired ? X509_get0_notAfter(certificate)
                                : X509_get0_notBefore(certificate));
    print_now(now, sizeof now);
    if (expired)
        err_set(out,
                "TLS: the certificate of %.100s expired %s: have it renewed, or set the clock "
                "here if it is wrong (it says %s)",
                host, limit, now);
    else
        err_set(out,
                "TLS: the certificate of %.100s is not yet valid (from %s; the clock here says %s)",
                host, limit, now);
}

static void explain_name(const STACK_OF(X509) * chain, const char *host, struct err *out)
{
    char names[100] = "another name";

    if (sk_X509_num(chain) > 0)
        list_names(names, sizeof names, sk_X509_value(chain, 0));
    err_set(out,
            "TLS: the certificate is not for %.80s but for %s: correct the host name, or have "
            "the certificate made for it",
            host, names);
}

static void explain_issuer(const struct trust *trust, const STACK_OF(X509) * chain,
                           const char *host, struct err *out)
{
    char issuer[72] = "?";

    /* The last of what could be built: its issuer is the one that is missing. */
    if (sk_X509_num(chain) > 0)
        X509_NAME_oneline(X509_get_issuer_name(sk_X509_value(chain, sk_X509_num(chain) - 1)),
                          issuer, (int)sizeof issuer);
    err_set(out,
            "TLS: the certificate of %.60s comes from %s, which is not trusted here: put that "
            "CA's certificate into ca_file (now %.80s)",
            host, issuer, trust->ca_file);
}

static void explain_unverified(const struct trust *trust, const SSL *ssl, const char *host,
                               struct err *out)
{
    if (ssl == NULL || SSL_is_init_finished(ssl))
        err_set(out, "the connection to %.100s failed", host);
    else if (trust->alert_from == ssl)
        err_set(out, "TLS: %.100s refused the handshake: %s", host,
                SSL_alert_desc_string_long(trust->alert));
    else
        err_set(out,
                "TLS: the handshake with %.100s broke off: is this its TLS port, and nothing in "
                "between that closes it?",
                host);
}

void trust_explain(const struct trust *trust, const SSL *ssl, const char *host, struct err *out)
{
    const STACK_OF(X509) *chain = ssl != NULL ? SSL_get0_verified_chain(ssl) : NULL;
    long verified = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;

    switch (verified) {
    case X509_V_OK:
        explain_unverified(trust, ssl, host, out);
        return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        explain_dates(chain, verified == X509_V_ERR_CERT_HAS_EXPIRED, host, out);
        return;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        explain_name(chain, host, out);
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: /* another CA of the same name */
    case X509_V_ERR_CERT_UNTRUSTED:
        explain_issuer(trust, chain, host, out);
        return;
    default:
        err_set(out, "TLS: the certificate of %.100s was refused: %s", host,
                X509_verify_cert_error_string(verified));
    }
}
