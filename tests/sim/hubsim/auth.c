/* Ids, user names, tokens.
 *
 * Happy path: CONNECT's user name is split into host, ids and query; its password into the fields
 * of a token; the HMAC over the raw resource and expiry is computed with the key on file and
 * compared. Fails when: a text does not have the form. Whether the host is ours, the identity
 * exists and the time is not over, the caller knows. */
#include "tests/sim/hubsim/auth.h"

#include "bridge/sas.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define TOKEN_PREFIX "SharedAccessSignature "

const struct auth_policy auth_policies[AUTH_POLICY_COUNT] = {
    { "iothubowner",
      AUTH_REGISTRY_READ | AUTH_REGISTRY_WRITE | AUTH_SERVICE_CONNECT | AUTH_DEVICE_CONNECT },
    { "service", AUTH_SERVICE_CONNECT },
    { "device", AUTH_DEVICE_CONNECT },
    { "registryRead", AUTH_REGISTRY_READ },
    { "registryReadWrite", AUTH_REGISTRY_READ | AUTH_REGISTRY_WRITE },
};

/* A piece of a text that is not NUL-terminated. */
struct piece {
    const char *text;
    size_t length;
};

/* Cuts what stands before `separator` (or all) off the front of `rest`. False when nothing is left.
 */
static bool next_piece(struct piece *rest, char separator, struct piece *out)
{
    const char *end;

    if (rest->text == NULL)
        return false;
    end = memchr(rest->text, separator, rest->length);
    if (end == NULL) {
        *out = *rest;
        rest->text = NULL;
    } else {
        *out = (struct piece){ rest->text, (size_t)(end - rest->text) };
        rest->length -= out->length + 1;
        rest->text = end + 1;
    }
    return true;
}

static int copy_piece(char *out, size_t size, struct piece piece)
{
    if (piece.length >= size || memchr(piece.text, 0, piece.length) != NULL)
        return -EBADMSG;
    memcpy(out, piece.text, piece.length);
    out[piece.length] = 0;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes; a '+' is a blank, as everywhere in query strings: a raw one spoils a signature.
 */
static int decode_piece(char *out, size_t size, struct piece piece)
{
    size_t length = 0;

    for (size_t i = 0; i < piece.length; i++) {
        char c = piece.text[i] == '+' ? ' ' : piece.text[i];

        if (c == '%') {
            int high = i + 2 < piece.length ? hex_digit(piece.text[i + 1]) : -1;
            int low = i + 2 < piece.length ? hex_digit(piece.text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -EBADMSG;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == 0 || length + 1 >= size)
            return -EBADMSG;
        out[length++] = c;
    }
    out[length] = 0;
    return 0;
}

bool auth_id_valid(const char *id)
{
    size_t length = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-:.+%_#*?!(),=@;$'");

    return length > 0 && length < AUTH_ID_MAX && id[length] == 0;
}

bool auth_same_host(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

/* ---- user names ---- */

static bool is_query(struct piece segment)
{
    return segment.length > 0 && (segment.text[0] == '?' ||
                                  memmem(segment.text, segment.length, "api-version=", 12) != NULL);
}

/* "?api-version=...&model-id=..." */
static int parse_query(struct auth_username *out, struct piece query)
{
    struct piece field, key;
    bool versioned = false, announced = false;
    int rc = 0;

    if (query.text[0] == '?') {
        query.text++;
        query.length--;
    }
    while (rc == 0 && next_piece(&query, '&', &field)) {
        struct piece value = field;

        if (!next_piece(&value, '=', &key) || value.text == NULL)
            continue;
        if (key.length == 11 && memcmp(key.text, "api-version", 11) == 0 && !versioned) {
            versioned = true;
            rc = decode_piece(out->api_version, sizeof out->api_version, value);
        } else if (key.length == 8 && memcmp(key.text, "model-id", 8) == 0 && !announced) {
            announced = true;
            rc = decode_piece(out->model_id, sizeof out->model_id, value);
        }
    }
    return rc == 0 && out->api_version[0] == 0 ? -EBADMSG : rc;
}

static int copy_id(char out[AUTH_ID_MAX], struct piece piece)
{
    int rc = copy_piece(out, AUTH_ID_MAX, piece);

    return rc == 0 && !auth_id_valid(out) ? -EBADMSG : rc;
}

int auth_parse_username(struct auth_username *out, const char *text, size_t length)
{
    struct piece rest = { text, length }, segment;
    struct auth_username name = { 0 };

    if (!next_piece(&rest, '/', &segment) || segment.length == 0 ||
        copy_piece(name.host, sizeof name.host, segment) != 0 ||
        !next_piece(&rest, '/', &segment) || copy_id(name.device_id, segment) != 0 ||
        !next_piece(&rest, '/', &segment))
        return -EBADMSG;
    if (!is_query(segment) &&
        (copy_id(name.module_id, segment) != 0 || !next_piece(&rest, '/', &segment)))
        return -EBADMSG;
    if (!is_query(segment))
        return -EBADMSG;
    /* A value may hold a raw '/': the query is all that is left. */
    segment.length = (size_t)(text + length - segment.text);
    if (parse_query(&name, segment) != 0)
        return -EBADMSG;
    *out = name;
    return 0;
}

/* ---- tokens ---- */

/* "HOST/devices/..." -> host and path. */
static int split_resource(struct auth_token *token, struct piece raw)
{
    char resource[AUTH_RESOURCE_MAX];
    size_t host;

    if (decode_piece(resource, sizeof resource, raw) != 0)
        return -EBADMSG;
    host = strcspn(resource, "/");
    if (host == 0 || host >= sizeof token->host)
        return -EBADMSG;
    memcpy(token->host, resource, host);
    token->host[host] = 0;
    memcpy(token->path, resource + host, strlen(resource + host) + 1);
    return 0;
}

static bool names(struct piece key, const char *name)
{
    return key.length == strlen(name) && strncasecmp(key.text, name, key.length) == 0;
}

enum { FIELD_SR, FIELD_SE, FIELD_SIG, FIELD_SKN, FIELD_COUNT };

/* The fields of a token; a doubled one would be two tokens in one, and is refused. */
static int find_fields(struct piece out[FIELD_COUNT], struct piece rest)
{
    static const char *const known[FIELD_COUNT] = { "sr", "se", "sig", "skn" };
    struct piece field;

    while (next_piece(&rest, '&', &field)) {
        struct piece value = field, key;

        if (!next_piece(&value, '=', &key) || value.text == NULL)
            return -EBADMSG;
        for (size_t i = 0; i < FIELD_COUNT; i++) {
            if (!names(key, known[i]))
                continue;
            if (out[i].text != NULL)
                return -EBADMSG;
            out[i] = value;
        }
    }
    return 0;
}

int auth_parse_token(struct auth_token *out, const char *text, size_t length)
{
    struct piece fields[FIELD_COUNT] = { { 0 } }, resource, expiry;
    struct auth_token token = { 0 };
    char number[32], *end;
    int rc;

    if (length < strlen(TOKEN_PREFIX) || memcmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0)
        return -EBADMSG;
    rc = find_fields(fields,
                     (struct piece){ text + strlen(TOKEN_PREFIX), length - strlen(TOKEN_PREFIX) });
    resource = fields[FIELD_SR];
    expiry = fields[FIELD_SE];
    if (rc == 0 && fields[FIELD_SIG].text != NULL)
        rc = decode_piece(token.signature, sizeof token.signature, fields[FIELD_SIG]);
    if (rc == 0 && fields[FIELD_SKN].text != NULL)
        rc = decode_piece(token.key_name, sizeof token.key_name, fields[FIELD_SKN]);
    if (rc != 0 || resource.text == NULL || expiry.text == NULL || token.signature[0] == 0 ||
        resource.length >= AUTH_RESOURCE_MAX || copy_piece(number, sizeof number, expiry) != 0 ||
        split_resource(&token, resource) != 0)
        return -EBADMSG;

    token.expiry_s = strtod(number, &end);
    if (number[0] == 0 || *end != 0 || !isfinite(token.expiry_s))
        return -EBADMSG;
    memcpy(token.signed_text, resource.text, resource.length);
    token.signed_text[resource.length] = '\n';
    memcpy(token.signed_text + resource.length + 1, number, strlen(number) + 1);
    *out = token;
    return 0;
}

bool auth_signed_by(const struct auth_token *token, const char *key)
{
    char signature[sizeof token->signature];
    size_t length;

    if (key[0] == 0 || sas_sign(signature, sizeof signature, key, token->signed_text,
                                strlen(token->signed_text)) != 0)
        return false;
    length = strlen(signature);
    return strlen(token->signature) == length &&
           CRYPTO_memcmp(signature, token->signature, length) == 0;
}

bool auth_covers(const struct auth_token *token, const char *path)
{
    size_t length = strlen(token->path);

    if (length > 0 && token->path[length - 1] == '/')
        length--;
    return strncmp(token->path, path, length) == 0 && (path[length] == 0 || path[length] == '/');
}

/* ---- keys ---- */

void auth_new_key(char out[AUTH_KEY_MAX], const struct env *env)
{
    uint32_t words[8];

    for (size_t i = 0; i < 8; i++)
        words[i] = env_random_u32(env);
    EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)words, sizeof words);
    OPENSSL_cleanse(words, sizeof words);
}

bool auth_key_valid(const char *key)
{
    char signature[64];

    return strlen(key) < AUTH_KEY_MAX && sas_sign(signature, sizeof signature, key, "", 0) == 0;
}
