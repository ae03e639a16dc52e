/* Client assertions from a certificate file, with OpenSSL.
 *
 * Happy path: the file holds a key and the certificate of that key, in any order, among others of a
 * chain; the two make a JWT of ten minutes. Fails with words that name the file and what it lacks.
 * No passphrase is ever asked for at the terminal. */
#include "bridge/service/assertion.h"

#include "bridge/service/secret_file.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct identity {
    EVP_PKEY *key;
    X509 *certificate;       /* the key's */
    STACK_OF(X509) * others; /* of the chain; may be NULL */
};

static void identity_done(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->others, X509_free);
    ERR_clear_error();
}

/* ---- the file ---- */

/* In place of OpenSSL's own, which asks at the terminal. */
static int give_password(char *out, int size, int writing, void *data)
{
    const char *password = data;
    int length;

    (void)writing;
    if (password == NULL)
        return -1;
    length = (int)strnlen(password, (size_t)size);
    memcpy(out, password, (size_t)length);
    return length;
}

static int read_key(struct identity *out, const struct buf *file, const char *password)
{
    char *given = password == NULL ? NULL : strdup(password);
    BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->length);

    if (bio != NULL && (given != NULL || password == NULL))
        out->key = PEM_read_bio_PrivateKey(bio, NULL, give_password, given);
    BIO_free(bio);
    if (given != NULL)
        explicit_bzero(given, strlen(given));
    free(given);
    return out->key == NULL ? -EINVAL : 0;
}

/* Takes the key's certificate out of the file's, and leaves the others. */
static int read_certificates(struct identity *out, const struct buf *file)
{
    BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->length);
    X509 *certificate;

    out->others = sk_X509_new_null();
    while (bio != NULL && out->others != NULL &&
           (certificate = PEM_read_bio_X509(bio, NULL, give_password, NULL)) != NULL) {
        if (out->certificate == NULL && X509_check_private_key(certificate, out->key) == 1)
            out->certificate = certificate;
        else if (sk_X509_push(out->others, certificate) == 0)
            X509_free(certificate);
    }
    BIO_free(bio);
    return out->certificate == NULL ? -EINVAL : 0;
}

static int read_pem(struct identity *out, const struct buf *file, const struct assertion *a,
                    struct err *err)
{
    if (read_key(out, file, a->password) != 0) {
        if (strstr(buf_text(file), "PRIVATE KEY-----") == NULL)
            err_set(err, "%s: holds no private key; it wants the certificate and its key", a->path);
        else if (strstr(buf_text(file), "ENCRYPTED") == NULL)
            err_set(err, "%s: its private key cannot be read", a->path);
        else
            err_set(err, "%s: AZURE_CLIENT_CERTIFICATE_PASSWORD is %s", a->path,
                    a->password == NULL ? "not set, and the key wants one" : "not the key's");
        return -EINVAL;
    }
    if (read_certificates(out, file) != 0) {
        err_set(err, "%s: holds no certificate of its private key", a->path);
        return -EINVAL;
    }
    return 0;
}

static int read_pkcs12(struct identity *out, const struct buf *file, const struct assertion *a,
                       struct err *err)
{
    BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->length);
    PKCS12 *box = bio == NULL ? NULL : d2i_PKCS12_bio(bio, NULL);
    const char *password = a->password == NULL ? "" : a->password;
    int rc = -EINVAL;

    BIO_free(bio);
    if (box == NULL)
        err_set(err, "%s: is neither PEM nor PKCS#12", a->path);
    else if (PKCS12_verify_mac(box, password, -1) != 1 &&
             (*password != '\0' || PKCS12_verify_mac(box, NULL, 0) != 1))
        err_set(err, "%s: AZURE_CLIENT_CERTIFICATE_PASSWORD is %s", a->path,
                a->password == NULL ? "not set, and the file wants one" : "not the file's");
    else if (PKCS12_parse(box, password, &out->key, &out->certificate, &out->others) != 1)
        err_set(err, "%s: cannot be read; export it anew, with today's ciphers", a->path);
    else if (out->key == NULL || out->certificate == NULL)
        err_set(err, "%s: holds no certificate with its private key", a->path);
    else
        rc = 0;
    PKCS12_free(box);
    return rc;
}

static int check(const struct identity *identity, const struct assertion *a, const struct env *env,
                 struct err *err)
{
    time_t now = (time_t)(env_wall_ms(env) / 1000);

    if (EVP_PKEY_is_a(identity->key, "RSA") != 1 || EVP_PKEY_get_bits(identity->key) < 2048)
        err_set(err, "%s: Entra wants an RSA key of 2048 bits or more", a->path);
    else if (X509_cmp_time(X509_get0_notAfter(identity->certificate), &now) < 0)
        err_set(err, "%s: the certificate has ended; renew it, or check the clock of this machine",
                a->path);
    else if (X509_cmp_time(X509_get0_notBefore(identity->certificate), &now) > 0)
        err_set(err, "%s: the certificate is not valid yet; check the clock of this machine",
                a->path);
    else
        return 0;
    return -EINVAL;
}

static int identity_read(struct identity *out, const struct assertion *a, const struct env *env,
                         struct err *err)
{
    struct buf file;
    int rc;

    buf_init(&file, ASSERTION_FILE_MAX);
    rc = secret_file_read(&file, a->path, err);
    if (rc == 0)
        rc = strstr(buf_text(&file), "-----BEGIN ") != NULL ? read_pem(out, &file, a, err)
                                                            : read_pkcs12(out, &file, a, err);
    secret_file_wipe(&file);
    return rc == 0 ? check(out, a, env, err) : rc;
}

/* ---- the assertion ---- */

/* Appends base64url without padding (RFC 7515, 2), or plain base64. 0 or an error of the buffer. */
static int add_base64(struct buf *out, const void *bytes, size_t length, bool url)
{
    size_t size = (length + 2) / 3 * 4;
    char *text = (char *)buf_reserve(out, size + 1);

    if (text == NULL)
        return out->error;
    EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
    while (url && size > 0 && text[size - 1] == '=')
        size--;
    for (size_t i = 0; url && i < size; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    buf_commit(out, size);
    return 0;
}

static int add_chain_entry(struct buf *header, X509 *certificate)
{
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    int rc = length < 0 ? -ENOMEM : add_base64(header, der, (size_t)length, false);

    OPENSSL_free(der);
    return rc;
}

static int add_chain(struct buf *header, const struct identity *identity)
{
    int rc;

    buf_add_text(header, ",\"x5c\":[\"");
    rc = add_chain_entry(header, identity->certificate);
    for (int i = 0; i < sk_X509_num(identity->others) && rc == 0; i++) {
        buf_add_text(header, "\",\"");
        rc = add_chain_entry(header, sk_X509_value(identity->others, i));
    }
    buf_add_text(header, "\"]");
    return rc;
}

static int make_header(struct buf *header, const struct identity *identity, bool send_chain)
{
    unsigned char thumbprint[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    int rc;

    if (X509_digest(identity->certificate, EVP_sha256(), thumbprint, &length) != 1)
        return -ENOMEM;
    buf_add_text(header, "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"");
    rc = add_base64(header, thumbprint, length, true);
    buf_add_byte(header, '"');
    if (rc == 0 && send_chain)
        rc = add_chain(header, identity);
    buf_add_byte(header, '}');
    return rc == 0 ? header->error : rc;
}

static int make_claims(struct buf *claims, const struct assertion *a, const struct env *env)
{
    int64_t now_s = env_wall_ms(env) / 1000;
    uint32_t id[4];

    for (size_t i = 0; i < 4; i++)
        id[i] = env_random_u32(env);
    buf_add_text(claims, "{\"aud\":");
    buf_add_json(claims, a->audience);
    buf_add_text(claims, ",\"iss\":");
    buf_add_json(claims, a->client_id);
    buf_add_text(claims, ",\"sub\":");
    buf_add_json(claims, a->client_id);
    /* A UUID of version 4 (RFC 9562, 5.4). */
    buf_printf(claims, ",\"jti\":\"%08x-%04x-4%03x-%04x-%04x%08x\"", id[0], id[1] >> 16,
               id[1] & 0xFFF, (id[2] >> 16 & 0x3FFF) | 0x8000, id[2] & 0xFFFF, id[3]);
    return buf_printf(claims, ",\"nbf\":%lld,\"exp\":%lld}", (long long)now_s,
                      (long long)now_s + ASSERTION_LIFETIME_S);
}

/* RSASSA-PSS with SHA-256 and a salt of the digest's length (RFC 7518, 3.5). */
static int sign(struct buf *out, EVP_PKEY *key, const void *text, size_t length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    unsigned char signature[1024]; /* RSA of 8192 bits */
    size_t size = sizeof signature;
    int rc = -EINVAL;

    if (context != NULL && EVP_DigestSignInit(context, &options, EVP_sha256(), NULL, key) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1 &&
        EVP_DigestSign(context, signature, &size, text, length) == 1)
        rc = add_base64(out, signature, size, true);
    EVP_MD_CTX_free(context);
    return rc;
}

static int write_assertion(struct buf *out, const struct identity *identity,
                           const struct assertion *a, const struct env *env)
{
    struct buf part;
    size_t start = out->length;
    int rc;

    buf_init(&part, ASSERTION_FILE_MAX);
    rc = make_header(&part, identity, a->send_chain);
    if (rc == 0)
        rc = add_base64(out, part.bytes, part.length, true);
    buf_clear(&part);
    if (rc == 0)
        rc = make_claims(&part, a, env);
    if (rc == 0)
        rc = buf_add_byte(out, '.');
    if (rc == 0)
        rc = add_base64(out, part.bytes, part.length, true);
    buf_clear(&part);
    /* What is signed stands in the buffer that the signature grows: it is copied. */
    if (rc == 0)
        rc = buf_add(&part, out->bytes + start, out->length - start);
    if (rc == 0)
        rc = buf_add_byte(out, '.');
    if (rc == 0)
        rc = sign(out, identity->key, part.bytes, part.length);
    buf_done(&part);
    return rc;
}

int assertion_make(struct buf *out, const struct assertion *assertion, const struct env *env,
                   struct err *err)
{
    struct identity identity = { NULL, NULL, NULL };
    int rc = identity_read(&identity, assertion, env, err);

    if (rc == 0) {
        rc = write_assertion(out, &identity, assertion, env);
        if (rc == -EINVAL)
            err_set(err, "%s: its key cannot sign", assertion->path);
        else if (rc != 0)
            err_set(err, "%s: out of memory, or too large a chain", assertion->path);
    }
    identity_done(&identity);
    return rc;
}
