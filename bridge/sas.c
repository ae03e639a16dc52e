/* Connection strings and shared access signatures.
 *
 * Happy path: a line of "Name=value" pairs becomes a struct; a key signs "resource \n expiry" and the
 * result becomes a token.
 * Fails when: the text is not such a line (the message names the field and never its value: somebody
 * may have pasted a bare key), or the key is not base64. Every buffer that held a secret is
 * overwritten before it is given up. */
#include "bridge/sas.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    KEY_MIN = 16,
    KEY_TEXT_MAX = (SAS_KEY_MAX + 2) / 3 * 4,
    DECODED_MAX = KEY_TEXT_MAX / 4 * 3, /* what EVP_DecodeBlock writes at most, padding included */
    MAC_BYTES = 32,
    MAC_TEXT = (MAC_BYTES + 2) / 3 * 4 + 1,
};

static const char token_prefix[] = "SharedAccessSignature ";

/* ---- keys and signatures ---- */

/* Strict base64: EVP_DecodeBlock alone skips white space and counts padding as bytes. Returns the
 * length or -EINVAL; the caller cleanses `out`. */
static int decode_key(const char *text, uint8_t out[DECODED_MAX])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strlen(text), data = strspn(text, alphabet), padding = length - data;
    int decoded;

    if (length % 4 != 0 || length > KEY_TEXT_MAX || padding > 2 ||
        strspn(text + data, "=") != padding)
        return -EINVAL;
    decoded = EVP_DecodeBlock(out, (const uint8_t *)text, (int)length);
    if (decoded < 0) {
        ERR_clear_error();
        return -EINVAL;
    }
    decoded -= (int)padding;
    return decoded >= KEY_MIN && decoded <= SAS_KEY_MAX ? decoded : -EINVAL;
}

int sas_sign(char *out, size_t size, const char *key_base64, const void *text, size_t length)
{
    uint8_t key[DECODED_MAX], mac[EVP_MAX_MD_SIZE];
    unsigned mac_length = 0;
    int key_length, rc = 0;

    if (size < MAC_TEXT)
        return -ENOSPC;
    key_length = decode_key(key_base64, key);
    if (key_length < 0) {
        rc = key_length;
    } else if (HMAC(EVP_sha256(), key, key_length, text, length, mac, &mac_length) == NULL) {
        ERR_clear_error();
        rc = -ENOMEM; /* the only way it fails with good arguments */
    } else {
        EVP_EncodeBlock((uint8_t *)out, mac, (int)mac_length);
    }
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(mac, sizeof mac);
    return rc;
}

int sas_percent_encode(char *out, size_t size, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t length = 0;

    for (const uint8_t *s = (const uint8_t *)text; *s != 0; s++) {
        bool plain = (*s < 0x80 && isalnum(*s)) || strchr("-._~", *s) != NULL;

        if (length + (plain ? 1 : 3) >= size)
            return -ENOSPC;
        if (plain) {
            out[length++] = (char)*s;
        } else {
            out[length++] = '%';
            out[length++] = hex[*s >> 4];
            out[length++] = hex[*s & 15];
        }
    }
    if (length >= size)
        return -ENOSPC;
    out[length] = 0;
    return (int)length;
}

int sas_token(char *out, size_t size, const char *resource, const char *key_base64,
              const char *key_name, int64_t expiry_s)
{
    char encoded[SAS_TOKEN_MAX], to_sign[SAS_TOKEN_MAX + 24], name[256] = "";
    char signature[MAC_TEXT], encoded_signature[3 * MAC_TEXT], token[SAS_TOKEN_MAX];
    int length, rc;

    rc = sas_percent_encode(encoded, sizeof encoded, resource);
    if (rc >= 0 && key_name != NULL)
        rc = sas_percent_encode(name, sizeof name, key_name);
    if (rc < 0)
        return rc;
    /* what is signed is the resource as it stands in the token, escapes and all */
    length = snprintf(to_sign, sizeof to_sign, "%s\n%lld", encoded, (long long)expiry_s);
    rc = sas_sign(signature, sizeof signature, key_base64, to_sign, (size_t)length);
    if (rc != 0)
        return rc;
    sas_percent_encode(encoded_signature, sizeof encoded_signature, signature);
    length = snprintf(token, sizeof token, "%ssr=%s&sig=%s%s%s&se=%lld", token_prefix, encoded,
                      encoded_signature, name[0] == 0 ? "" : "&skn=", name, (long long)expiry_s);
    if ((size_t)length >= sizeof token || (size_t)length >= size)
        rc = -ENOSPC;
    else
        memcpy(out, token, (size_t)length + 1);
    OPENSSL_cleanse(signature, sizeof signature);
    OPENSSL_cleanse(encoded_signature, sizeof encoded_signature);
    OPENSSL_cleanse(token, sizeof token);
    return rc;
}

/* The digits up to '&' or the end, as a number; false when there is anything else. */
static bool read_seconds(const char *text, int64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    int64_t value = 0;

    if (digits == 0 || (text[digits] != 0 && text[digits] != '&'))
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (value > (INT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return true;
}

int sas_token_expiry(const char *token, int64_t *expiry_s)
{
    const char *field = token;

    if (strncmp(token, token_prefix, sizeof token_prefix - 1) == 0)
        field += sizeof token_prefix - 1;
    for (;;) {
        if (strncasecmp(field, "se=", 3) == 0)
            return read_seconds(field + 3, expiry_s) ? 0 : -EBADMSG;
        field = strchr(field, '&');
        if (field == NULL)
            return -EBADMSG;
        field++;
    }
}

/* ---- connection strings ---- */

struct field {
    const char *name;
    char *value;
    size_t size;
};

enum {
    FIELD_HOST_NAME,
    FIELD_GATEWAY,
    FIELD_DEVICE_ID,
    FIELD_MODULE_ID,
    FIELD_KEY_NAME,
    FIELD_KEY,
    FIELD_TOKEN,
    FIELD_COUNT,
};

/* The field whose name is `name`; NULL with a message when there is none. */
static const struct field *find_field(const struct field *fields, const char *name, size_t length,
                                      size_t position, struct err *err)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strlen(fields[i].name) != length || strncasecmp(fields[i].name, name, length) != 0)
            continue;
        if (strncmp(fields[i].name, name, length) == 0)
            return &fields[i];
        err_set(err, "field %zu: write %s with these capitals", position, fields[i].name);
        return NULL;
    }
    if (length == 4 && strncasecmp(name, "x509", 4) == 0)
        err_set(err, "field %zu: x509 is not supported, use SharedAccessKey", position);
    else /* its name is not shown: it may be a pasted key */
        err_set(err,
                "field %zu is not known: a connection string reads HostName=...;DeviceId=...;"
                "ModuleId=...;SharedAccessKey=...",
                position);
    return NULL;
}

static int read_pair(const struct field *fields, const char *pair, size_t length, size_t position,
                     struct err *err)
{
    const char *equals = memchr(pair, '=', length);
    const struct field *field;
    size_t value_length;

    if (equals == NULL) {
        err_set(err, "field %zu has no '=': it is not a connection string", position);
        return -EINVAL;
    }
    field = find_field(fields, pair, (size_t)(equals - pair), position, err);
    if (field == NULL)
        return -EINVAL;
    value_length = length - (size_t)(equals - pair) - 1;
    if (field->value[0] != 0) {
        err_set(err, "%s stands twice", field->name);
        return -EINVAL;
    }
    if (value_length == 0 || value_length >= field->size) {
        err_set(err, "%s %s", field->name, value_length == 0 ? "is empty" : "is too long");
        return -EINVAL;
    }
    memcpy(field->value, equals + 1, value_length);
    field->value[value_length] = 0;
    return 0;
}

static bool host_valid(const char *host)
{
    for (const char *c = host; *c != 0; c++) {
        if (!isalnum((unsigned char)*c) && strchr(".-_:[]", *c) == NULL)
            return false;
    }
    return true;
}

/* Ids stand in topics and paths unencoded: iot-hub.md section 1.2. */
static bool id_valid(const char *id)
{
    for (const char *c = id; *c != 0; c++) {
        if (*c <= ' ' || *c > '~' || strchr("+#/", *c) != NULL)
            return false;
    }
    return true;
}

static int check_fields(const struct sas_connection_string *string, struct err *err)
{
    uint8_t key[DECODED_MAX];
    int64_t expiry_s;
    int rc = -EINVAL;

    if (string->host_name[0] == 0)
        err_set(err, "HostName is missing");
    else if (!host_valid(string->host_name) || !host_valid(string->gateway_host_name))
        err_set(err, "%s is not a host name: letters, digits, '.', '-' only",
                host_valid(string->host_name) ? "GatewayHostName" : "HostName");
    else if (!id_valid(string->device_id) || !id_valid(string->module_id))
        err_set(err, "%s holds a character that no id has (white space, '+', '#', '/')",
                id_valid(string->device_id) ? "ModuleId" : "DeviceId");
    else if (string->module_id[0] != 0 && string->device_id[0] == 0)
        err_set(err, "ModuleId needs DeviceId");
    else if ((string->key[0] == 0) == (string->token[0] == 0))
        err_set(err, "it wants exactly one of SharedAccessKey and SharedAccessSignature");
    else if (string->key[0] != 0 && decode_key(string->key, key) < 0)
        err_set(err, "SharedAccessKey is not the base64 text of 16 to 64 bytes: copy all of it");
    else if (string->token[0] != 0 && sas_token_expiry(string->token, &expiry_s) != 0)
        err_set(err, "SharedAccessSignature is no token: it has no expiry (se=...)");
    else
        rc = 0;
    OPENSSL_cleanse(key, sizeof key);
    return rc;
}

static int parse_line(struct sas_connection_string *out, const char *text, size_t length,
                      struct err *err)
{
    const struct field fields[FIELD_COUNT] = {
        [FIELD_HOST_NAME] = { "HostName", out->host_name, sizeof out->host_name },
        [FIELD_GATEWAY] = { "GatewayHostName", out->gateway_host_name,
                            sizeof out->gateway_host_name },
        [FIELD_DEVICE_ID] = { "DeviceId", out->device_id, sizeof out->device_id },
        [FIELD_MODULE_ID] = { "ModuleId", out->module_id, sizeof out->module_id },
        [FIELD_KEY_NAME] = { "SharedAccessKeyName", out->key_name, sizeof out->key_name },
        [FIELD_KEY] = { "SharedAccessKey", out->key, sizeof out->key },
        [FIELD_TOKEN] = { "SharedAccessSignature", out->token, sizeof out->token },
    };
    size_t position = 1;

    for (size_t at = 0; at < length; position++) {
        const char *end = memchr(text + at, ';', length - at);
        size_t pair = end == NULL ? length - at : (size_t)(end - text) - at;
        int rc = read_pair(fields, text + at, pair, position, err);

        if (rc != 0)
            return rc;
        at += pair + 1;
    }
    return check_fields(out, err);
}

int sas_parse_connection_string(struct sas_connection_string *out, const char *text,
                                struct err *err)
{
    struct sas_connection_string string = { .host_name = "" };
    size_t length = strlen(text);
    int rc = -EINVAL;

    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        length--;
    if (length == 0)
        err_set(err, "it is empty: it wants one line with a connection string");
    else if (memchr(text, '\n', length) != NULL)
        err_set(err, "it has more than one line: it wants one connection string");
    else
        rc = parse_line(&string, text, length, err);
    if (rc == 0)
        *out = string;
    OPENSSL_cleanse(&string, sizeof string);
    return rc;
}

void sas_forget(struct sas_connection_string *string)
{
    OPENSSL_cleanse(string->key, sizeof string->key);
    OPENSSL_cleanse(string->token, sizeof string->token);
}
