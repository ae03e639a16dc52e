/* JSON web tokens.
 *
 * Happy path: split at the dots -> base64url -> JSON -> the algorithm of the header decides how the
 * signature is checked. Fails when: a part is missing or malformed; the algorithm is none of ours,
 * "none" among them. */
#include "tests/sim/hubsim/entra_jwt.h"

#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { SHA256_BYTES = 32 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* ---- base64url, without padding ---- */

static void add_base64url(struct buf *out, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t bits = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);

        for (size_t j = 0; j < (left > 2 ? 4 : left + 1); j++)
            buf_add_byte(out, (uint8_t)alphabet[bits >> (18 - 6 * j) & 63]);
    }
}

/* How many bytes it made of the text, -EBADMSG. */
static long decode(unsigned char *out, size_t size, const char *text, size_t length)
{
    uint32_t bits = 0;
    size_t made = 0;

    if (length % 4 == 1)
        return -EBADMSG;
    for (size_t i = 0; i < length; i++) {
        const char *found = memchr(alphabet, text[i], sizeof alphabet - 1);

        if (found == NULL)
            return -EBADMSG;
        bits = bits << 6 | (uint32_t)(found - alphabet);
        if (i % 4 == 0)
            continue;
        if (made >= size)
            return -EBADMSG;
        out[made++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    return (long)made;
}

/* ---- taking apart ---- */

static int parse_part(cJSON **out, const char *text, size_t length)
{
    unsigned char *json = malloc(length + 1);
    cJSON *tree = NULL;
    long made;
    int rc;

    if (json == NULL)
        return -ENOMEM;
    made = decode(json, length, text, length);
    rc = made < 0 ? (int)made : json_parse(&tree, (const char *)json, (size_t)made);
    free(json);
    if (rc == 0 && !cJSON_IsObject(tree)) {
        cJSON_Delete(tree);
        rc = -EBADMSG;
    }
    if (rc == 0)
        *out = tree;
    return rc == -ERANGE ? -EBADMSG : rc;
}

int jwt_parse(struct jwt *out, const char *text, size_t length)
{
    const char *first = memchr(text, '.', length), *second = NULL;
    struct jwt jwt = { 0 };
    long made = 0;
    int rc = -EBADMSG;

    if (first != NULL)
        second = memchr(first + 1, '.', length - (size_t)(first + 1 - text));
    if (second == NULL || length > JWT_TEXT_MAX)
        return -EBADMSG;
    jwt.signed_length = (size_t)(second - text);
    made = decode(jwt.signature, sizeof jwt.signature, second + 1, length - jwt.signed_length - 1);
    if (made > 0)
        rc = parse_part(&jwt.header, text, (size_t)(first - text));
    if (rc == 0)
        rc = parse_part(&jwt.claims, first + 1, (size_t)(second - first - 1));
    if (rc != 0) {
        jwt_done(&jwt);
        return rc;
    }
    jwt.signature_length = (size_t)made;
    *out = jwt;
    return 0;
}

void jwt_done(struct jwt *jwt)
{
    cJSON_Delete(jwt->header);
    cJSON_Delete(jwt->claims);
    *jwt = (struct jwt){ 0 };
}

const char *jwt_text(const cJSON *object, const char *name)
{
    return json_text(object, name);
}

double jwt_number(const cJSON *object, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

/* ---- our own ---- */

static bool sign(unsigned char out[SHA256_BYTES], const void *bytes, size_t length,
                 const unsigned char secret[JWT_SECRET_BYTES])
{
    unsigned int made = 0;

    return HMAC(EVP_sha256(), secret, JWT_SECRET_BYTES, bytes, length, out, &made) != NULL &&
           made == SHA256_BYTES;
}

int jwt_print(struct buf *out, const char *claims, const unsigned char secret[JWT_SECRET_BYTES])
{
    static const char header[] = "{\"typ\":\"JWT\",\"alg\":\"HS256\"}";
    unsigned char signature[SHA256_BYTES];
    size_t start = out->length;

    add_base64url(out, (const unsigned char *)header, sizeof header - 1);
    buf_add_byte(out, '.');
    add_base64url(out, (const unsigned char *)claims, strlen(claims));
    if (out->error != 0)
        return out->error;
    if (!sign(signature, out->bytes + start, out->length - start, secret))
        return -EIO;
    buf_add_byte(out, '.');
    add_base64url(out, signature, sizeof signature);
    return out->error;
}

static bool has_algorithm(const struct jwt *jwt, const char *name)
{
    const char *algorithm = jwt_text(jwt->header, "alg");

    return algorithm != NULL && strcmp(algorithm, name) == 0;
}

bool jwt_signed_with_secret(const struct jwt *jwt, const char *text,
                            const unsigned char secret[JWT_SECRET_BYTES])
{
    unsigned char signature[SHA256_BYTES];

    return has_algorithm(jwt, "HS256") && jwt->signature_length == sizeof signature &&
           sign(signature, text, jwt->signed_length, secret) &&
           CRYPTO_memcmp(signature, jwt->signature, sizeof signature) == 0;
}

/* ---- somebody's certificate ---- */

static X509 *read_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error(); /* libwebsockets looks at the same queue */
    return certificate;
}

static EVP_PKEY *key_of(const char *pem)
{
    X509 *certificate = read_certificate(pem);
    EVP_PKEY *key = certificate != NULL ? X509_get_pubkey(certificate) : NULL;

    X509_free(certificate);
    if (key != NULL && EVP_PKEY_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

static bool is_thumbprint(const char *text, X509 *certificate, const EVP_MD *digest)
{
    unsigned char wanted[EVP_MAX_MD_SIZE], given[EVP_MAX_MD_SIZE];
    unsigned int length = 0;

    if (text == NULL || X509_digest(certificate, digest, wanted, &length) != 1)
        return false;
    return decode(given, sizeof given, text, strlen(text)) == (long)length &&
           memcmp(given, wanted, length) == 0;
}

bool jwt_names_certificate(const struct jwt *jwt, const char *pem)
{
    X509 *certificate = read_certificate(pem);
    bool named = certificate != NULL &&
                 (is_thumbprint(jwt_text(jwt->header, "x5t#S256"), certificate, EVP_sha256()) ||
                  is_thumbprint(jwt_text(jwt->header, "x5t"), certificate, EVP_sha1()));

    X509_free(certificate);
    return named;
}

bool jwt_signed_with_certificate(const struct jwt *jwt, const char *text, const char *pem)
{
    bool pss = has_algorithm(jwt, "PS256");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY *key = key_of(pem);
    EVP_PKEY_CTX *parameters = NULL;
    bool valid = (pss || has_algorithm(jwt, "RS256")) && context != NULL && key != NULL &&
                 EVP_DigestVerifyInit(context, &parameters, EVP_sha256(), NULL, key) == 1;

    if (valid && pss)
        valid = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1;
    valid = valid && EVP_DigestVerify(context, jwt->signature, jwt->signature_length,
                                      (const unsigned char *)text, jwt->signed_length) == 1;
    EVP_PKEY_free(key);
    EVP_MD_CTX_free(context);
    ERR_clear_error(); /* libwebsockets looks at the same queue */
    return valid;
}
