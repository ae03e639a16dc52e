/* The hub: identities, twins and connections joined.
 *
 * Happy path of a service write: authorised -> read from the registry -> changed (twin.c) -> stored
 * -> the connected module told. Nothing is told that is not stored. Fails when: the caller may not,
 * the etag is old, a rule is broken, the disk fails. */
#include "tests/sim/hubsim/hub_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t on_strike(void *data, const char *identity, const struct faults_strike *strike);

/* ---- open and close ---- */

int hub_open(struct hub **out, const struct hub_options *options)
{
    struct hub *hub = calloc(1, sizeof *hub);
    int rc;

    if (hub == NULL)
        return -ENOMEM;
    hub->options = *options;
    rc = messages_new(&hub->messages, HUB_MESSAGES_MAX, HUB_MESSAGES_BYTES_MAX);
    if (rc == 0)
        rc = access_open(&hub->access, &options->access);
    if (rc != 0) {
        messages_free(hub->messages);
        free(hub);
        return rc;
    }
    hub->registry = options->access.registry;
    if (options->faults != NULL)
        faults_on_strike(options->faults, on_strike, hub);
    *out = hub;
    return 0;
}

void hub_close(struct hub *hub)
{
    if (hub == NULL)
        return;
    assert(hub->clients == NULL);
    hub->closing = true;
    hub_end_calls(hub, NULL, NULL, -ECANCELED);
    messages_free(hub->messages);
    access_close(&hub->access);
    free(hub);
}

const struct env *hub_env(const struct hub *hub)
{
    return hub->options.access.env;
}

void hub_note(const struct hub *hub, const char *format, ...)
{
    char text[512];
    va_list args;

    if (hub->options.note == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c != 0;
         c++) { /* peers' names are in it: no lines of their own, no escapes */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    hub->options.note(hub->options.note_data, text);
}

const struct hub_rules *hub_rules(const struct hub *hub)
{
    return &hub->options.rules;
}

struct faults *hub_faults(const struct hub *hub)
{
    return hub->options.faults;
}

const struct access *hub_access(const struct hub *hub)
{
    return &hub->access;
}

/* ---- connections ---- */

struct hub_client *hub_find_client(const struct hub *hub, const char *device_id,
                                   const char *module_id)
{
    struct hub_client *client = hub->clients;

    while (client != NULL &&
           (strcmp(client->device_id, device_id) != 0 || strcmp(client->module_id, module_id) != 0))
        client = client->next;
    return client;
}

/* For the documents only: a client is served when this cannot be written, too. */
static void note_connection(const struct hub *hub, const struct hub_client *client,
                            const char *model_id)
{
    char stamp[STAMP_MAX];

    stamp_print(env_wall_ms(hub_env(hub)), stamp);
    if (registry_note_connection(hub->registry, client->device_id, client->module_id, model_id,
                                 stamp) != 0)
        hub_note(hub, "%s: its connection cannot be noted", client->device_id);
}

void hub_detach(struct hub *hub, struct hub_client *client)
{
    struct hub_client **link = &hub->clients;

    while (*link != NULL && *link != client)
        link = &(*link)->next;
    if (*link == NULL)
        return;
    *link = client->next;
    client->next = NULL;
    note_connection(hub, client, NULL);
}

static void drop(struct hub *hub, struct hub_client *client, const char *why)
{
    hub_detach(hub, client);
    client->drop(client, why);
}

void hub_attach(struct hub *hub, struct hub_client *client)
{
    struct hub_client *older = hub_find_client(hub, client->device_id, client->module_id);

    if (older != NULL)
        drop(hub, older, "a new connection of the same identity");
    client->next = hub->clients;
    hub->clients = client;
    note_connection(hub, client, client->model_id);
}

bool hub_connected(const struct hub *hub, const char *device_id, const char *module_id)
{
    return hub_find_client(hub, device_id, module_id) != NULL;
}

/* A device's modules go with it. */
static void drop_below(struct hub *hub, const char *device_id, const char *module_id,
                       const char *why)
{
    struct hub_client *client, *next;

    for (client = hub->clients; client != NULL; client = next) {
        next = client->next;
        if (strcmp(client->device_id, device_id) == 0 &&
            (module_id[0] == 0 || strcmp(client->module_id, module_id) == 0))
            drop(hub, client, why);
    }
}

/* ---- faults ---- */

static bool is_named(const struct hub_client *client, const char *identity)
{
    size_t length = strlen(client->device_id);

    if (strcmp(identity, "*") == 0)
        return true;
    if (strncmp(identity, client->device_id, length) != 0)
        return false;
    return client->module_id[0] == 0
               ? identity[length] == 0
               : identity[length] == '/' && strcmp(identity + length + 1, client->module_id) == 0;
}

static void strike_client(struct hub *hub, struct hub_client *client,
                          const struct faults_strike *strike)
{
    if (strike->act == FAULTS_WIPE)
        registry_delete_session(hub->registry, client->device_id, client->module_id);
    if (strike->act == FAULTS_WIPE || strike->act == FAULTS_DROP)
        drop(hub, client, "a fault wants it");
    else if (client->strike != NULL)
        client->strike(client, strike);
}

/* The session of one who may be away. */
static void wipe_session(struct hub *hub, const char *identity)
{
    size_t length = strcspn(identity, "/");
    char device_id[AUTH_ID_MAX];

    if (length >= sizeof device_id)
        return;
    memcpy(device_id, identity, length);
    device_id[length] = 0;
    if (registry_delete_session(hub->registry, device_id,
                                identity[length] == 0 ? "" : identity + length + 1) != 0)
        hub_note(hub, "%s: its session cannot be wiped", identity);
}

static size_t on_strike(void *data, const char *identity, const struct faults_strike *strike)
{
    struct hub *hub = data;
    struct hub_client *client, *next;
    size_t met = 0;

    if (strike->act == FAULTS_WIPE)
        wipe_session(hub, identity);
    for (client = hub->clients; client != NULL; client = next) {
        next = client->next;
        if (!is_named(client, identity))
            continue;
        met++;
        strike_client(hub, client, strike);
    }
    return met;
}

/* ---- identities ---- */

int hub_get_identity(const struct hub *hub, const char *device_id, const char *module_id,
                     struct identity *out)
{
    return registry_get_identity(hub->registry, device_id, module_id, out);
}

static bool matches(const char *if_match, const char *etag)
{
    return if_match == NULL || strcmp(if_match, "*") == 0 || strcmp(if_match, etag) == 0;
}

static int check_etag(const struct identity *identity, const char *if_match)
{
    char etag[IDENTITY_ETAG_MAX];

    identity_etag(identity, etag);
    return matches(if_match, etag) ? 0 : -ESTALE;
}

static int check_parent(const struct hub *hub, const char *device_id)
{
    struct identity device;
    int count = 0;
    int rc = registry_get_identity(hub->registry, device_id, "", &device);

    if (rc == 0)
        rc = registry_count_modules(hub->registry, device_id, &count);
    if (rc == 0 && count >= HUB_MODULES_MAX)
        rc = -EMFILE;
    return rc == -ENOENT ? -ENODEV : rc;
}

static int store_new(const struct hub *hub, const struct identity *identity)
{
    struct twin twin;
    int rc = twin_init(&twin);

    if (rc != 0)
        return rc;
    rc = registry_begin(hub->registry);
    if (rc == 0) {
        rc = registry_put_identity(hub->registry, identity);
        if (rc == 0)
            rc = registry_put_twin(hub->registry, identity->device_id, identity->module_id, &twin);
        rc = registry_end(hub->registry, rc);
    }
    twin_done(&twin);
    return rc;
}

static int create(struct hub *hub, const char *device_id, const char *module_id, const cJSON *body,
                  struct identity *out, struct err *err)
{
    int rc = module_id[0] != 0 ? check_parent(hub, device_id) : 0;

    if (rc != 0)
        return rc;
    identity_init(out, device_id, module_id, hub_env(hub));
    rc = identity_apply(out, body, hub_env(hub), err);
    return rc == 0 ? store_new(hub, out) : rc;
}

static int update(struct hub *hub, const struct identity *before, const cJSON *body,
                  struct identity *out, struct err *err)
{
    int rc;

    *out = *before;
    rc = identity_apply(out, body, hub_env(hub), err);
    if (rc == 0)
        rc = registry_put_identity(hub->registry, out);
    if (rc != 0)
        return rc;
    if (!out->enabled)
        drop_below(hub, out->device_id, out->module_id, "the device was disabled");
    else if (strcmp(before->primary_key, out->primary_key) != 0 ||
             strcmp(before->secondary_key, out->secondary_key) != 0 ||
             strcmp(before->authentication, out->authentication) != 0) {
        struct hub_client *client = hub_find_client(hub, out->device_id, out->module_id);

        if (client != NULL)
            drop(hub, client, "its keys were changed");
    }
    return 0;
}

int hub_put_identity(struct hub *hub, const char *device_id, const char *module_id,
                     const cJSON *body, const char *if_match, struct identity *out, struct err *err)
{
    struct identity before, after;
    int rc = registry_get_identity(hub->registry, device_id, module_id, &before);

    if (rc == -ENOENT && if_match == NULL)
        rc = create(hub, device_id, module_id, body, &after, err);
    else if (rc == 0 && if_match == NULL)
        rc = -EEXIST;
    else if (rc == 0)
        rc = check_etag(&before, if_match) == 0 ? update(hub, &before, body, &after, err) : -ESTALE;
    if (rc == 0)
        *out = after;
    return rc;
}

int hub_delete_identity(struct hub *hub, const char *device_id, const char *module_id,
                        const char *if_match)
{
    struct identity identity;
    int rc = registry_get_identity(hub->registry, device_id, module_id, &identity);

    if (rc == 0)
        rc = check_etag(&identity, if_match);
    if (rc == 0)
        rc = registry_delete_identity(hub->registry, device_id, module_id);
    if (rc != 0)
        return rc;
    drop_below(hub, device_id, module_id, "its identity was deleted");
    hub_end_calls(hub, device_id, module_id, -ENOENT);
    return 0;
}

int hub_each(const struct hub *hub, enum registry_kind kind, const char *after_device_id,
             const char *after_module_id, registry_visit *visit, void *data)
{
    return registry_each(hub->registry, kind, after_device_id, after_module_id, visit, data);
}

/* ---- twins ---- */

int hub_get_twin(const struct hub *hub, const char *device_id, const char *module_id,
                 struct twin *out)
{
    return registry_get_twin(hub->registry, device_id, module_id, out);
}

static void tell(struct hub *hub, const char *device_id, const char *module_id, const cJSON *notice,
                 int64_t version)
{
    struct hub_client *client = hub_find_client(hub, device_id, module_id);
    struct buf patch;

    if (client == NULL || notice == NULL)
        return;
    buf_init(&patch, SIZE_MAX / 4); /* what was measured when it was accepted */
    twin_print_versioned(&patch, notice, version);
    if (patch.error == 0)
        client->desired(client, version, buf_text(&patch), patch.length);
    else /* it was stored: the module must read it again */
        drop(hub, client, "out of memory");
    buf_done(&patch);
}

int hub_write_twin(struct hub *hub, const char *device_id, const char *module_id,
                   enum hub_write write, cJSON *body, const char *if_match, struct err *err)
{
    char stamp[STAMP_MAX], etag[TWIN_ETAG_MAX];
    const struct twin_context context = { stamp, hub_rules(hub) };
    cJSON *notice = NULL;
    struct twin twin;
    int rc = registry_get_twin(hub->registry, device_id, module_id, &twin);

    if (rc != 0)
        return rc;
    stamp_print(env_wall_ms(hub_env(hub)), stamp);
    twin_etag(&twin, etag);
    if (!matches(if_match, etag))
        rc = -ESTALE;
    else if (write == HUB_PATCH)
        rc = twin_patch(&twin, body, &context, &notice, err);
    else
        rc = twin_replace(&twin, body, &context, &notice, err);
    if (rc == 0)
        rc = registry_put_twin(hub->registry, device_id, module_id, &twin);
    if (rc == 0)
        tell(hub, device_id, module_id, notice, twin.desired.version);
    cJSON_Delete(notice);
    twin_done(&twin);
    return rc;
}

int hub_report(struct hub *hub, const char *device_id, const char *module_id, const cJSON *patch,
               int64_t base, int64_t *version, struct err *err)
{
    char stamp[STAMP_MAX];
    const struct twin_context context = { stamp, hub_rules(hub) };
    struct twin twin;
    int rc = registry_get_twin(hub->registry, device_id, module_id, &twin);

    if (rc != 0)
        return rc;
    stamp_print(env_wall_ms(hub_env(hub)), stamp);
    if (base >= 0 && base != twin.reported.version) {
        err_set(err, "the reported properties are at version %lld",
                (long long)twin.reported.version);
        rc = -ESTALE;
    }
    if (rc == 0)
        rc = twin_report(&twin, patch, &context, err);
    if (rc == 0)
        rc = registry_put_twin(hub->registry, device_id, module_id, &twin);
    if (rc == 0)
        *version = twin.reported.version;
    twin_done(&twin);
    return rc;
}

/* ---- counts ---- */

int hub_statistics(const struct hub *hub, struct hub_statistics *out)
{
    struct hub_statistics statistics = { 0 };
    struct registry_counts counts;
    int rc = registry_count(hub->registry, &counts);

    if (rc != 0)
        return rc;
    statistics.devices = (int)counts.devices;
    statistics.enabled = (int)counts.enabled_devices;
    statistics.disabled = (int)(counts.devices - counts.enabled_devices);
    for (const struct hub_client *c = hub->clients; c != NULL; c = c->next)
        statistics.connected += c->module_id[0] == 0;
    *out = statistics;
    return 0;
}

/* ---- sessions ---- */

/* Whether nobody has used the session for too long (point 1 of section 14). What the registry noted at
 * the end of the connection, or at its beginning if hubsim was killed, is what counts. */
static int has_expired(const struct hub *hub, const char *device_id, const char *module_id,
                       bool *expired)
{
    const int64_t kept_ms = INT64_C(1000) * hub_rules(hub)->session_expiry_s;
    struct identity identity;
    char oldest[STAMP_MAX];
    int rc;

    *expired = false;
    if (kept_ms == 0 || hub_connected(hub, device_id, module_id))
        return 0;
    rc = registry_get_identity(hub->registry, device_id, module_id, &identity);
    if (rc != 0)
        return rc;
    stamp_print(env_wall_ms(hub_env(hub)) - kept_ms, oldest);
    *expired = strcmp(identity.connection_updated, oldest) <= 0;
    return 0;
}

int hub_get_session(const struct hub *hub, const char *device_id, const char *module_id,
                    struct registry_session *out)
{
    bool expired;
    int rc = has_expired(hub, device_id, module_id, &expired);

    if (rc == 0 && expired)
        return -ENOENT;
    return rc == 0 ? registry_get_session(hub->registry, device_id, module_id, out) : rc;
}

int hub_put_session(struct hub *hub, const char *device_id, const char *module_id,
                    const struct registry_session *session)
{
    return registry_put_session(hub->registry, device_id, module_id, session);
}

int hub_delete_session(struct hub *hub, const char *device_id, const char *module_id)
{
    return registry_delete_session(hub->registry, device_id, module_id);
}
