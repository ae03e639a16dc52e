/* Who may come in: sign-in of devices and modules, authorisation of service calls (reference:
 * iot-hub.md sections 2 and 12.3). Joins what auth.h reads with the keys that the registry holds.
 */
#pragma once

#include "base/env.h"
#include "base/err.h"
#include "tests/sim/hubsim/auth.h"
#include "tests/sim/hubsim/entra.h"
#include "tests/sim/hubsim/registry.h"

#include <stddef.h>
#include <stdint.h>

enum { ACCESS_NAMES_MAX = 8 };

struct access_options {
    const struct env *env;
    struct registry *registry;
    const char *const *names;  /* host names and addresses that are this hub */
    size_t name_count;         /* 1 to ACCESS_NAMES_MAX */
    uint32_t expiry_grace_s;   /* a token is good for so much longer than it says */
    const struct entra *entra; /* whose bearer tokens service calls may show; NULL = none */
};

struct access {
    struct access_options options;
    struct {
        char primary_key[AUTH_KEY_MAX];
        char secondary_key[AUTH_KEY_MAX];
    } policies[AUTH_POLICY_COUNT]; /* in the order of auth_policies */
};

/* Reads or makes the keys of the policies. The options are copied, what they point to is not. 0,
 * -EIO, -ENOMEM. */
int access_open(struct access *access, const struct access_options *options);

/* Wipes the keys. */
void access_close(struct access *access);

/* The primary key of a built-in policy, NULL for another name. */
const char *access_policy_key(const struct access *access, const char *name);

/* The credentials of a CONNECT packet, not NUL-terminated. */
struct access_credentials {
    const char *client_id;
    size_t client_id_length;
    const char *username;
    size_t username_length;
    const char *password;
    size_t password_length;
};

/* Checks them (12.3, rules 2 and 3). 0 and the name and the moment the token ends (grace included,
 * UTC ms); -EACCES (anything wrong with name or token), -EPERM (the device is disabled), -EIO,
 * -ENOMEM, with the reason in `err`. */
int access_sign_in(const struct access *access, const struct access_credentials *credentials,
                   struct auth_username *name, int64_t *expiry_ms, struct err *err);

/* Checks the Authorization header of a service call on `path`: a signature of a policy, or a bearer
 * token, whose owner may do everything a back end does. 0, -EINVAL (no token at all), -EACCES
 * (wrong, expired), -EPERM (the policy has none of `permissions`), with the reason in `err`. */
int access_authorize(const struct access *access, const char *authorization, const char *path,
                     unsigned permissions, struct err *err);
