/* Identities as structs and as JSON.
 *
 * Happy path: PUT's body -> identity_apply on a copy -> stored -> identity_print.
 * Fails when: the body names another identity, or a member has a wrong type or value. */
#include "tests/sim/hubsim/identity.h"

#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

static void new_etag(struct identity *identity, const struct env *env)
{
    uint32_t etag = env_random_u32(env);

    identity->etag = etag == identity->etag ? etag + 1 : etag;
}

void identity_init(struct identity *out, const char *device_id, const char *module_id,
                   const struct env *env)
{
    *out = (struct identity){ .enabled = true, .authentication = "sas" };
    snprintf(out->device_id, sizeof out->device_id, "%s", device_id);
    snprintf(out->module_id, sizeof out->module_id, "%s", module_id);
    memcpy(out->status_updated, STAMP_NEVER, sizeof STAMP_NEVER);
    memcpy(out->last_activity, STAMP_NEVER, sizeof STAMP_NEVER);
    memcpy(out->connection_updated, STAMP_NEVER, sizeof STAMP_NEVER);
    /* .NET ticks of the moment, made different for two creations within one millisecond. */
    out->generation_id = (env_wall_ms(env) + INT64_C(62135596800000)) * 10000 +
                         (int64_t)(env_random_u32(env) % 10000);
    auth_new_key(out->primary_key, env);
    auth_new_key(out->secondary_key, env);
    new_etag(out, env);
}

/* ---- reading ---- */

/* A member that is a text: copied when it is there and no null. */
static int take_text(char *out, size_t size, const cJSON *object, const char *key, struct err *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (item == NULL || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= size) {
        err_set(err, "%s is not a text of at most %zu bytes", key, size - 1);
        return -EINVAL;
    }
    memcpy(out, item->valuestring, strlen(item->valuestring) + 1);
    return 0;
}

static int check_ids(const struct identity *identity, const cJSON *body, struct err *err)
{
    const char *device_id = json_text(body, "deviceId");
    const char *module_id = json_text(body, "moduleId");

    if (device_id != NULL && strcmp(device_id, identity->device_id) != 0) {
        err_set(err, "deviceId is not the one of the address");
        return -EINVAL;
    }
    if (module_id != NULL && strcmp(module_id, identity->module_id) != 0) {
        err_set(err, "moduleId is not the one of the address");
        return -EINVAL;
    }
    return 0;
}

static int take_key(char out[AUTH_KEY_MAX], const cJSON *keys, const char *name,
                    const struct env *env, struct err *err)
{
    const char *key = json_text(keys, name);

    if (key == NULL || key[0] == 0) {
        auth_new_key(out, env);
        return 0;
    }
    if (!auth_key_valid(key)) {
        err_set(err, "%s is not base64 of 16 to 64 bytes", name);
        return -EINVAL;
    }
    memcpy(out, key, strlen(key) + 1);
    return 0;
}

/* A thumbprint is SHA-1 or SHA-256 in hexadecimal, or nothing. */
static int take_thumbprint(char out[IDENTITY_THUMBPRINT_MAX], const cJSON *prints, const char *name,
                           struct err *err)
{
    int rc = take_text(out, IDENTITY_THUMBPRINT_MAX, prints, name, err);
    size_t length = strlen(out);

    if (rc == 0 && ((length != 0 && length != 40 && length != 64) ||
                    strspn(out, "0123456789abcdefABCDEF") != length)) {
        err_set(err, "%s is not 40 or 64 hexadecimal digits", name);
        rc = -EINVAL;
    }
    return rc;
}

static int take_thumbprints(struct identity *identity, const cJSON *prints, struct err *err)
{
    int rc = take_thumbprint(identity->primary_thumbprint, prints, "primaryThumbprint", err);

    if (rc == 0)
        rc = take_thumbprint(identity->secondary_thumbprint, prints, "secondaryThumbprint", err);
    return rc;
}

static int take_keys(struct identity *identity, const cJSON *keys, const struct env *env,
                     struct err *err)
{
    int rc = take_key(identity->primary_key, keys, "primaryKey", env, err);

    return rc == 0 ? take_key(identity->secondary_key, keys, "secondaryKey", env, err) : rc;
}

/* The type; without one, thumbprints mean selfSigned and keys mean sas, as the SDKs leave it out. */
static int take_type(struct identity *identity, const cJSON *authentication, struct err *err)
{
    static const char *const types[] = { "sas", "selfSigned", "certificateAuthority", "none" };
    const cJSON *prints = cJSON_GetObjectItemCaseSensitive(authentication, "x509Thumbprint");
    const char *print = json_text(prints, "primaryThumbprint");
    int rc = take_text(identity->authentication, sizeof identity->authentication, authentication,
                       "type", err);

    if (json_text(authentication, "type") == NULL && print != NULL && print[0] != 0)
        memcpy(identity->authentication, "selfSigned", sizeof "selfSigned");
    else if (json_text(authentication, "type") == NULL &&
             cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(authentication, "symmetricKey")))
        memcpy(identity->authentication, "sas", sizeof "sas");
    for (size_t i = 0; rc == 0 && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(identity->authentication, types[i]) == 0)
            return 0;
    }
    err_set(err, "authentication.type is none of sas, selfSigned, certificateAuthority, none");
    return -EINVAL;
}

static int take_authentication(struct identity *identity, const cJSON *body, const struct env *env,
                               struct err *err)
{
    const cJSON *authentication = cJSON_GetObjectItemCaseSensitive(body, "authentication");
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(authentication, "symmetricKey");
    const cJSON *prints = cJSON_GetObjectItemCaseSensitive(authentication, "x509Thumbprint");
    int rc;

    if (authentication == NULL || cJSON_IsNull(authentication))
        return 0;
    rc = take_type(identity, authentication, err);
    if (rc == 0 && strcmp(identity->authentication, "sas") == 0)
        rc = take_keys(identity, keys, env, err);
    return rc == 0 ? take_thumbprints(identity, prints, err) : rc;
}

static int take_status(struct identity *identity, const cJSON *body, const struct env *env,
                       struct err *err)
{
    char status[16] = "";
    int rc = take_text(status, sizeof status, body, "status", err);
    bool enabled = strcmp(status, "disabled") != 0;

    if (rc != 0 || status[0] == 0)
        return rc;
    if (enabled && strcmp(status, "enabled") != 0) {
        err_set(err, "status is neither enabled nor disabled");
        return -EINVAL;
    }
    if (enabled != identity->enabled)
        stamp_print(env_wall_ms(env), identity->status_updated);
    identity->enabled = enabled;
    return 0;
}

int identity_apply(struct identity *identity, const cJSON *body, const struct env *env,
                   struct err *err)
{
    struct identity next = *identity;
    const cJSON *capabilities = cJSON_GetObjectItemCaseSensitive(body, "capabilities");
    const cJSON *iot_edge = cJSON_GetObjectItemCaseSensitive(capabilities, "iotEdge");
    bool is_device = identity->module_id[0] == 0;
    int rc;

    if (!cJSON_IsObject(body)) {
        err_set(err, "the identity is not an object");
        return -EINVAL;
    }
    rc = check_ids(identity, body, err);
    if (rc == 0)
        rc = take_authentication(&next, body, env, err);
    if (rc == 0 && is_device)
        rc = take_status(&next, body, env, err);
    if (rc == 0 && is_device)
        rc = take_text(next.status_reason, sizeof next.status_reason, body, "statusReason", err);
    if (rc == 0 && !is_device)
        rc = take_text(next.managed_by, sizeof next.managed_by, body, "managedBy", err);
    if (rc != 0)
        return rc;
    if (is_device && cJSON_IsBool(iot_edge))
        next.iot_edge = cJSON_IsTrue(iot_edge);
    new_etag(&next, env);
    *identity = next;
    return 0;
}

/* ---- writing ---- */

void identity_etag(const struct identity *identity, char out[IDENTITY_ETAG_MAX])
{
    char number[11];

    snprintf(number, sizeof number, "%u", (unsigned)identity->etag);
    EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)number, (int)strlen(number));
}

/* A text, or null when it is empty. */
static void print_optional(struct buf *buf, const char *text)
{
    json_print_text(buf, text[0] != 0 ? text : NULL);
}

static void print_thumbprints(struct buf *buf, const struct identity *identity)
{
    buf_add_text(buf, "\"x509Thumbprint\":{\"primaryThumbprint\":");
    print_optional(buf, identity->primary_thumbprint);
    buf_add_text(buf, ",\"secondaryThumbprint\":");
    print_optional(buf, identity->secondary_thumbprint);
    buf_add_byte(buf, '}');
}

static void print_authentication(struct buf *buf, const struct identity *identity)
{
    bool sas = strcmp(identity->authentication, "sas") == 0;

    buf_add_text(buf, "\"authentication\":{\"symmetricKey\":{\"primaryKey\":");
    json_print_text(buf, sas ? identity->primary_key : NULL);
    buf_add_text(buf, ",\"secondaryKey\":");
    json_print_text(buf, sas ? identity->secondary_key : NULL);
    buf_add_text(buf, "},");
    print_thumbprints(buf, identity);
    buf_printf(buf, ",\"type\":\"%s\"}", identity->authentication);
}

static const char *connection_state(const struct identity_state *state)
{
    return state->connected ? "Connected" : "Disconnected";
}

/* A moment as identities have it: "never" stands there without its zone, in twins it has one. */
static void print_moment(struct buf *buf, const char *name, const char *stamp)
{
    bool never = strcmp(stamp, STAMP_NEVER) == 0;

    buf_printf(buf, ",\"%s\":\"%s\"", name, never ? "0001-01-01T00:00:00" : stamp);
}

static void print_device_only(struct buf *buf, const struct identity *identity)
{
    buf_printf(buf,
               ",\"status\":\"%s\",\"statusReason\":", identity->enabled ? "enabled" : "disabled");
    print_optional(buf, identity->status_reason);
    print_moment(buf, "statusUpdatedTime", identity->status_updated);
    buf_printf(buf, ",\"capabilities\":{\"iotEdge\":%s}", identity->iot_edge ? "true" : "false");
}

static void print_module_only(struct buf *buf, const struct identity *identity)
{
    buf_add_text(buf, ",\"moduleId\":");
    json_print_text(buf, identity->module_id);
    buf_add_text(buf, ",\"managedBy\":");
    print_optional(buf, identity->managed_by);
}

void identity_print(struct buf *buf, const struct identity *identity,
                    const struct identity_state *state)
{
    char etag[IDENTITY_ETAG_MAX];

    identity_etag(identity, etag);
    buf_add_text(buf, "{\"deviceId\":");
    json_print_text(buf, identity->device_id);
    if (identity->module_id[0] != 0)
        print_module_only(buf, identity);
    else
        print_device_only(buf, identity);
    buf_printf(buf, ",\"generationId\":\"%lld\",\"etag\":\"%s\",\"connectionState\":\"%s\"",
               (long long)identity->generation_id, etag, connection_state(state));
    print_moment(buf, "connectionStateUpdatedTime", identity->connection_updated);
    print_moment(buf, "lastActivityTime", identity->last_activity);
    buf_printf(buf, ",\"cloudToDeviceMessageCount\":%d,", state->queued);
    print_authentication(buf, identity);
    buf_add_byte(buf, '}');
}

void identity_print_for_twin(struct buf *buf, const struct identity *identity,
                             const struct identity_state *state, const char *twin_etag)
{
    bool is_device = identity->module_id[0] == 0;
    char etag[IDENTITY_ETAG_MAX];

    identity_etag(identity, etag);
    buf_add_text(buf, "\"deviceId\":");
    json_print_text(buf, identity->device_id);
    if (!is_device) {
        buf_add_text(buf, ",\"moduleId\":");
        json_print_text(buf, identity->module_id);
    }
    buf_printf(buf, ",\"etag\":\"%s\",\"deviceEtag\":\"%s\",\"status\":\"%s\",", twin_etag, etag,
               identity->enabled ? "enabled" : "disabled");
    if (identity->status_reason[0] != 0) {
        buf_add_text(buf, "\"statusReason\":");
        json_print_text(buf, identity->status_reason);
        buf_add_byte(buf, ',');
    }
    buf_printf(buf,
               "\"statusUpdateTime\":\"%s\",\"connectionState\":\"%s\",\"lastActivityTime\":\"%s\","
               "\"cloudToDeviceMessageCount\":%d,\"authenticationType\":\"%s\",",
               identity->status_updated, connection_state(state), identity->last_activity,
               state->queued, identity->authentication);
    print_thumbprints(buf, identity);
    buf_add_text(buf, ",\"modelId\":");
    json_print_text(buf, identity->model_id);
    buf_add_byte(buf, ',');
    if (is_device)
        buf_printf(buf, "\"capabilities\":{\"iotEdge\":%s},",
                   identity->iot_edge ? "true" : "false");
}
