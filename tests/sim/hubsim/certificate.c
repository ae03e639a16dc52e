/* Certificates, with OpenSSL.
 *
 * Happy path: a key pair -> a certificate around its public half -> extensions -> signature -> PEM.
 * Fails when: OpenSSL is out of memory or without its providers; half-made parts are freed. */
#include "tests/sim/hubsim/certificate.h"

#include "tests/sim/hubsim/address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { DAY_S = 24 * 60 * 60, AUTHORITY_DAYS = 3650, SERVER_DAYS = 730, RENEW_DAYS = 30 };

void certificate_done(struct certificate *certificate)
{
    free(certificate->certificate);
    if (certificate->key != NULL)
        OPENSSL_cleanse(certificate->key, strlen(certificate->key));
    free(certificate->key);
    *certificate = (struct certificate){ 0 };
}

/* ---- PEM ---- */

static char *text_of(BIO *bio)
{
    char *bytes, *copy;
    long length = BIO_get_mem_data(bio, &bytes);

    copy = length > 0 ? strndup(bytes, (size_t)length) : NULL;
    return copy;
}

static int to_pem(struct certificate *out, X509 *x509, EVP_PKEY *key)
{
    struct certificate made = { 0 };
    BIO *x509_bio = BIO_new(BIO_s_mem());
    BIO *key_bio = BIO_new(BIO_s_secmem());

    if (x509_bio != NULL && key_bio != NULL && PEM_write_bio_X509(x509_bio, x509) == 1 &&
        PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        made.certificate = text_of(x509_bio);
        made.key = text_of(key_bio);
    }
    BIO_free(x509_bio);
    BIO_free(key_bio);
    if (made.certificate == NULL || made.key == NULL) {
        certificate_done(&made);
        return -EIO;
    }
    *out = made;
    return 0;
}

static X509 *parse_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x509 = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    return x509;
}

static EVP_PKEY *parse_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    return key;
}

/* ---- making ---- */

/* A random positive serial number of 16 bytes (RFC 5280, 4.1.2.2). */
static bool set_serial(X509 *x509)
{
    unsigned char bytes[16];
    BIGNUM *number;
    bool done;

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    number = BN_bin2bn(bytes, sizeof bytes, NULL);
    done = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL;
    BN_free(number);
    return done;
}

static bool set_name(X509 *x509, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(x509);

    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"hubsim", -1,
                                      -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1;
}

/* Everything but extensions and signature. */
static X509 *new_x509(EVP_PKEY *key, const char *common_name, int days, int64_t now_s)
{
    time_t now = (time_t)now_s;
    X509 *x509 = X509_new();

    if (x509 != NULL && X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509) &&
        X509_time_adj_ex(X509_getm_notBefore(x509), -1, 0, &now) != NULL &&
        X509_time_adj_ex(X509_getm_notAfter(x509), days, 0, &now) != NULL &&
        set_name(x509, common_name) && X509_set_pubkey(x509, key) == 1)
        return x509;
    X509_free(x509);
    return NULL;
}

static bool add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool added;

    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    added = extension != NULL && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static int sign(struct certificate *out, X509 *x509, EVP_PKEY *key, EVP_PKEY *signer)
{
    return X509_sign(x509, signer, EVP_sha256()) > 0 ? to_pem(out, x509, key) : -EIO;
}

int certificate_new_authority(struct certificate *out, int64_t now_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = key != NULL ? new_x509(key, "hubsim test authority", AUTHORITY_DAYS, now_s) : NULL;
    int rc = -EIO;

    if (x509 != NULL && X509_set_issuer_name(x509, X509_get_subject_name(x509)) == 1 &&
        add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(x509, x509, NID_subject_key_identifier, "hash"))
        rc = sign(out, x509, key, key);
    X509_free(x509);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return rc;
}

static GENERAL_NAME *general_name(const char *name)
{
    GENERAL_NAME *general = GENERAL_NAME_new();
    bool address = address_is_literal(name);
    ASN1_STRING *value = (ASN1_STRING *)(address ? a2i_IPADDRESS(name) : ASN1_IA5STRING_new());

    if (general == NULL || value == NULL ||
        (!address && ASN1_STRING_set(value, name, (int)strlen(name)) != 1)) {
        ASN1_STRING_free(value);
        GENERAL_NAME_free(general);
        return NULL;
    }
    GENERAL_NAME_set0_value(general, address ? GEN_IPADD : GEN_DNS, value);
    return general;
}

/* Built by hand: a text for OpenSSL's own parser would let a name bring its own commas. */
static bool add_alternative_names(X509 *x509, const char *const *names, size_t name_count)
{
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    bool added = all != NULL;

    for (size_t i = 0; i < name_count && added; i++) {
        GENERAL_NAME *general = general_name(names[i]);

        added = general != NULL && sk_GENERAL_NAME_push(all, general) > 0;
        if (!added)
            GENERAL_NAME_free(general);
    }
    added = added && X509_add1_ext_i2d(x509, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1;
    sk_GENERAL_NAME_pop_free(all, GENERAL_NAME_free);
    return added;
}

int certificate_issue(struct certificate *out, const struct certificate *authority,
                      const char *const *names, size_t name_count, int64_t now_s)
{
    X509 *issuer = parse_certificate(authority->certificate);
    EVP_PKEY *signer = parse_key(authority->key);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = key != NULL ? new_x509(key, "hubsim", SERVER_DAYS, now_s) : NULL;
    int rc = -EIO;

    if (issuer != NULL && signer != NULL && x509 != NULL &&
        X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1 &&
        add_extension(x509, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(x509, issuer, NID_key_usage, "critical,digitalSignature") &&
        add_extension(x509, issuer, NID_ext_key_usage, "serverAuth") &&
        add_extension(x509, issuer, NID_subject_key_identifier, "hash") &&
        add_extension(x509, issuer, NID_authority_key_identifier, "keyid") &&
        add_alternative_names(x509, names, name_count))
        rc = sign(out, x509, key, signer);
    X509_free(x509);
    EVP_PKEY_free(key);
    EVP_PKEY_free(signer);
    X509_free(issuer);
    ERR_clear_error();
    return rc;
}

/* ---- checking ---- */

static bool covers(X509 *x509, const char *name)
{
    return address_is_literal(name) ? X509_check_ip_asc(x509, name, 0) == 1
                                    : X509_check_host(x509, name, 0, 0, NULL) == 1;
}

bool certificate_serves(const struct certificate *server, const struct certificate *authority,
                        const char *const *names, size_t name_count, int64_t now_s)
{
    X509 *x509 = parse_certificate(server->certificate);
    X509 *issuer = parse_certificate(authority->certificate);
    time_t later = (time_t)(now_s + (int64_t)RENEW_DAYS * DAY_S);
    bool serves = x509 != NULL && issuer != NULL &&
                  X509_verify(x509, X509_get0_pubkey(issuer)) == 1 &&
                  X509_cmp_time(X509_get0_notAfter(x509), &later) > 0;

    for (size_t i = 0; i < name_count && serves; i++)
        serves = covers(x509, names[i]);
    X509_free(x509);
    X509_free(issuer);
    ERR_clear_error();
    return serves;
}
