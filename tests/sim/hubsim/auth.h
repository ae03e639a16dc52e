/* Who may come in: ids, user names of CONNECT, shared access signatures, policies (reference:
 * iot-hub.md sections 1.2, 2 and 12.3). Pure: texts in, verdicts out; keys and clocks are the
 * caller's. */
#pragma once

#include "base/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUTH_ID_MAX = 129,       /* bytes of a device or module id with the NUL */
    AUTH_NAME_MAX = 256,     /* of a host name */
    AUTH_KEY_MAX = 89,       /* of a base64 key of at most 64 bytes */
    AUTH_RESOURCE_MAX = 768, /* of "host/devices/d/modules/m", percent-encoded at worst */
};

/* 1 to 128 characters of the hub's alphabet: letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $
 * ' */
bool auth_id_valid(const char *id);

/* Two host names, compared without case. */
bool auth_same_host(const char *a, const char *b);

struct auth_username { /* HOST/DEVICE[/MODULE]/?api-version=...&... */
    char host[AUTH_NAME_MAX];
    char device_id[AUTH_ID_MAX];
    char module_id[AUTH_ID_MAX]; /* "" for a device */
    char api_version[32];
    char model_id[AUTH_NAME_MAX]; /* "" when not announced; percent-decoded */
};

/* Reads a user name: three segments are a device, four a module, the last starts with '?'; of
 * doubled keys the first counts, unknown ones are ignored. 0, or -EBADMSG: the form, an id, or no
 * api-version. */
int auth_parse_username(struct auth_username *out, const char *text, size_t length);

struct auth_token { /* "SharedAccessSignature sr=...&sig=...&se=...[&skn=...]" */
    char signed_text[AUTH_RESOURCE_MAX +
                     32];         /* "SR\nSE" exactly as sent: what the signature covers */
    char host[AUTH_NAME_MAX];     /* of sr, decoded */
    char path[AUTH_RESOURCE_MAX]; /* of sr, decoded: what follows the host, "" or "/devices/..." */
    char signature[64];           /* base64, decoded from sig */
    char key_name[65];            /* skn; "" = an identity's own key */
    double expiry_s;              /* se, seconds since 1970 */
};

/* Reads a token; the order of fields is free, their names are compared without case, all but sr are
 * percent-decoded. 0, or -EBADMSG. */
int auth_parse_token(struct auth_token *out, const char *text, size_t length);

/* Whether `key` (base64; "" never) signed the token. The comparison takes the same time for every
 * signature of the right length. */
bool auth_signed_by(const struct auth_token *token, const char *key);

/* Whether the token's path grants `path`: equal, or a prefix that ends at a segment. */
bool auth_covers(const struct auth_token *token, const char *path);

enum auth_permission {
    AUTH_REGISTRY_READ = 1,
    AUTH_REGISTRY_WRITE = 2,
    AUTH_SERVICE_CONNECT = 4,
    AUTH_DEVICE_CONNECT = 8,
};

enum { AUTH_POLICY_COUNT = 5 };

struct auth_policy {
    const char *name;
    unsigned permissions; /* of enum auth_permission */
};

/* The five built-in policies (2.4). */
extern const struct auth_policy auth_policies[AUTH_POLICY_COUNT];

/* A new key: base64 of 32 random bytes. */
void auth_new_key(char out[AUTH_KEY_MAX], const struct env *env);

/* Whether `key` is base64 of 16 to 64 bytes, as the hub accepts keys that users bring. */
bool auth_key_valid(const char *key);
