/* Sign-in and authorisation.
 *
 * Happy path: the token is taken apart (auth.h) -> it is for this hub, for this resource, and its
 * time is not over -> the key that must have signed it is looked up -> the signature is computed
 * and compared. Fails when: any of that does not hold; the reason is for the operator and for the
 * error body. */
#include "tests/sim/hubsim/access.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

/* ---- policies ---- */

/* The key kept as `policy/NAME/WHICH`, made when there is none. */
static int load_key(struct access *access, const char *policy, const char *which,
                    char out[AUTH_KEY_MAX])
{
    char name[64], *text = NULL;
    int rc;

    snprintf(name, sizeof name, "policy/%s/%s", policy, which);
    rc = registry_get_text(access->options.registry, name, &text);
    if (rc == 0) {
        snprintf(out, AUTH_KEY_MAX, "%s", text);
        free(text);
    } else if (rc == -ENOENT) {
        auth_new_key(out, access->options.env);
        rc = registry_put_text(access->options.registry, name, out);
    }
    return rc;
}

int access_open(struct access *access, const struct access_options *options)
{
    int rc = registry_begin(options->registry);

    assert(options->name_count >= 1 && options->name_count <= ACCESS_NAMES_MAX);
    *access = (struct access){ .options = *options };
    for (size_t i = 0; i < AUTH_POLICY_COUNT && rc == 0; i++) {
        rc = load_key(access, auth_policies[i].name, "primary", access->policies[i].primary_key);
        if (rc == 0)
            rc = load_key(access, auth_policies[i].name, "secondary",
                          access->policies[i].secondary_key);
    }
    return registry_end(options->registry, rc);
}

void access_close(struct access *access)
{
    OPENSSL_cleanse(access->policies, sizeof access->policies);
}

static int find_policy(const char *name)
{
    for (int i = 0; i < AUTH_POLICY_COUNT; i++) {
        if (strcmp(auth_policies[i].name, name) == 0)
            return i;
    }
    return -1;
}

const char *access_policy_key(const struct access *access, const char *name)
{
    int i = find_policy(name);

    return i >= 0 ? access->policies[i].primary_key : NULL;
}

/* ---- tokens ---- */

static bool is_ours(const struct access *access, const char *host)
{
    for (size_t i = 0; i < access->options.name_count; i++) {
        if (auth_same_host(access->options.names[i], host))
            return true;
    }
    return false;
}

static int64_t end_of(const struct access *access, const struct auth_token *token)
{
    double end_s = token->expiry_s + access->options.expiry_grace_s;

    return end_s > 1e15 ? INT64_C(1000000000000000000) : end_s < 0 ? 0 : (int64_t)(end_s * 1000);
}

/* What every token must be, whoever signed it. */
static int check_token(const struct access *access, const struct auth_token *token,
                       const char *path, struct err *err)
{
    if (!is_ours(access, token->host)) {
        err_set(err, "the token is for the hub %s, not for this one", token->host);
        return -EACCES;
    }
    if (!auth_covers(token, path)) {
        err_set(err, "the token is for %.200s, not for this resource",
                token->path[0] != 0 ? token->path : "/");
        return -EACCES;
    }
    if (end_of(access, token) <= env_wall_ms(access->options.env)) {
        err_set(err, "the token has expired");
        return -EACCES;
    }
    return 0;
}

/* The permissions of the policy that signed the token. */
static int check_policy(const struct access *access, const struct auth_token *token,
                        unsigned *permissions, struct err *err)
{
    int i = find_policy(token->key_name);

    if (i < 0) {
        err_set(err, "there is no policy '%s'", token->key_name);
        return -EACCES;
    }
    if (!auth_signed_by(token, access->policies[i].primary_key) &&
        !auth_signed_by(token, access->policies[i].secondary_key)) {
        err_set(err, "the signature is not of the policy %s", token->key_name);
        return -EACCES;
    }
    *permissions = auth_policies[i].permissions;
    return 0;
}

static int check_name(const struct access *access, const struct access_credentials *credentials,
                      struct auth_username *name, char path[AUTH_RESOURCE_MAX], struct err *err)
{
    char client_id[2 * AUTH_ID_MAX];
    bool module;

    if (auth_parse_username(name, credentials->username, credentials->username_length) != 0) {
        err_set(err, "the user name is not HOST/DEVICE[/MODULE]/?api-version=...");
        return -EACCES;
    }
    module = name->module_id[0] != 0;
    snprintf(client_id, sizeof client_id, "%s%s%s", name->device_id, module ? "/" : "",
             name->module_id);
    if (strlen(client_id) != credentials->client_id_length ||
        memcmp(client_id, credentials->client_id, credentials->client_id_length) != 0) {
        err_set(err, "the client id is not that of the user name");
        return -EACCES;
    }
    if (!is_ours(access, name->host)) {
        err_set(err, "the user name is for the hub %s, not for this one", name->host);
        return -EACCES;
    }
    snprintf(path, AUTH_RESOURCE_MAX, "/devices/%s%s%s", name->device_id, module ? "/modules/" : "",
             name->module_id);
    return 0;
}

/* The signature is the identity's own, or that of a policy that may speak for devices. */
static int check_signature(const struct access *access, const struct auth_token *token,
                           const struct identity *identity, struct err *err)
{
    unsigned permissions = 0;
    int rc;

    if (token->key_name[0] != 0) {
        rc = check_policy(access, token, &permissions, err);
        if (rc == 0 && (permissions & AUTH_DEVICE_CONNECT) == 0) {
            err_set(err, "the policy %s lacks the permission DeviceConnect", token->key_name);
            rc = -EACCES;
        }
        return rc;
    }
    if (strcmp(identity->authentication, "sas") != 0) {
        err_set(err, "the identity does not sign in with keys but with %s",
                identity->authentication);
        return -EACCES;
    }
    if (!auth_signed_by(token, identity->primary_key) &&
        !auth_signed_by(token, identity->secondary_key)) {
        err_set(err, "the signature is of neither of its keys");
        return -EACCES;
    }
    return 0;
}

/* Both the identity and, for a module, its device: a disabled device disables its modules. */
static int find_identity(const struct access *access, const struct auth_username *name,
                         struct identity *identity, bool *enabled, struct err *err)
{
    struct identity device;
    int rc = registry_get_identity(access->options.registry, name->device_id, name->module_id,
                                   identity);

    if (rc == 0)
        rc = registry_get_identity(access->options.registry, name->device_id, "", &device);
    if (rc == -ENOENT) {
        err_set(err, "there is no such %s", name->module_id[0] != 0 ? "module" : "device");
        return -EACCES;
    }
    if (rc != 0)
        err_set(err, "the state cannot be read");
    else
        *enabled = device.enabled;
    return rc;
}

int access_sign_in(const struct access *access, const struct access_credentials *credentials,
                   struct auth_username *name, int64_t *expiry_ms, struct err *err)
{
    char path[AUTH_RESOURCE_MAX];
    struct auth_username who;
    struct auth_token token;
    struct identity identity;
    bool enabled = false;
    int rc = check_name(access, credentials, &who, path, err);

    if (rc == 0 &&
        auth_parse_token(&token, credentials->password, credentials->password_length) != 0) {
        err_set(err, "the password is not a shared access signature");
        rc = -EACCES;
    }
    if (rc == 0)
        rc = check_token(access, &token, path, err);
    if (rc == 0)
        rc = find_identity(access, &who, &identity, &enabled, err);
    if (rc == 0)
        rc = check_signature(access, &token, &identity, err);
    if (rc == 0 && !enabled) {
        err_set(err, "the device is disabled");
        rc = -EPERM;
    }
    if (rc != 0)
        return rc;
    *name = who;
    *expiry_ms = end_of(access, &token);
    return 0;
}

/* Only the back end's side: a device never signs in with one (7.7). */
static int check_bearer(const struct access *access, const char *token, struct err *err)
{
    if (access->options.entra == NULL) {
        err_set(err, "bearer tokens are not known here: hubsim was started without --entra");
        return -EACCES;
    }
    return entra_verify(access->options.entra, token, err);
}

int access_authorize(const struct access *access, const char *authorization, const char *path,
                     unsigned permissions, struct err *err)
{
    struct auth_token token;
    unsigned granted = 0;
    int rc;

    if (authorization == NULL || authorization[0] == 0) {
        err_set(err, "the Authorization header is missing");
        return -EINVAL;
    }
    if (strncasecmp(authorization, "Bearer ", 7) == 0)
        return check_bearer(access, authorization + 7, err);
    if (auth_parse_token(&token, authorization, strlen(authorization)) != 0 ||
        token.key_name[0] == 0) {
        err_set(err, "the Authorization header is not a shared access signature of a policy");
        return -EACCES;
    }
    rc = check_token(access, &token, path, err);
    if (rc == 0)
        rc = check_policy(access, &token, &granted, err);
    if (rc == 0 && (granted & permissions) == 0) {
        err_set(err, "the policy %s lacks the permission that this call needs", token.key_name);
        rc = -EPERM;
    }
    return rc;
}
