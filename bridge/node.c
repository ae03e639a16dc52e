/* One module on the loop: its link to the hub, its credential, its timer, and what it asks of devices and
 * store. After every event its tick runs, which says when it wants the next. */
#include "bridge/bridge_state.h"

#include "bridge/credential.h"
#include "bridge/log.h"

#include <errno.h>
#include <stdio.h>

enum { CREDENTIAL_LOOK_MS = 1000 }; /* how often a refused module's credential file is looked at */

/* ---- ticking a module ---- */

static void on_node_timer(uv_timer_t *timer);

void node_tick(struct node *node)
{
    uint64_t now_ms = uv_now(node->bridge->loop);
    uint64_t next_ms;

    if (node->bridge->step >= DRAINING)
        return;
    next_ms = module_tick(node->module, now_ms);
    if (next_ms == 0)
        uv_timer_stop(&node->timer);
    else
        uv_timer_start(&node->timer, on_node_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
    if (node->bridge->step == GOODBYE)
        bridge_advance(node->bridge);
}

static void on_node_timer(uv_timer_t *timer)
{
    node_tick(timer->data);
}

/* ---- the link of a module ---- */

static void on_up(void *owner)
{
    struct node *node = owner;

    session_link_up(module_session(node->module), uv_now(node->bridge->loop));
    node_tick(node);
}

static void on_bytes(void *owner, const uint8_t *bytes, size_t length)
{
    struct node *node = owner;

    session_link_bytes(module_session(node->module), uv_now(node->bridge->loop), bytes, length);
    node_tick(node);
}

static void on_down(void *owner, const char *reason, int status)
{
    struct node *node = owner;

    session_link_down(module_session(node->module), uv_now(node->bridge->loop), reason, status);
    node_tick(node);
}

static const struct websocket_events websocket_events = { on_up, on_bytes, on_down };

static struct file_stamp stamp_of(const struct node *node)
{
    struct file_stamp stamp = { { 0, 0 }, 0 };
    char path[CREDENTIAL_PATH_MAX];
    struct stat info;
    struct err err;

    if (credential_find(node->bridge->config, node->index, path, &err) == 0 &&
        stat(path, &info) == 0)
        stamp = (struct file_stamp){ info.st_ctim, info.st_ino };
    return stamp;
}

static int sign(const struct config *config, const struct sas_connection_string *string,
                struct session_credential *out, struct err *err)
{
    char resource[600];
    time_t now = time(NULL);
    int rc;

    snprintf(out->host_name, sizeof out->host_name, "%s", string->host_name);
    snprintf(out->dial_host, sizeof out->dial_host, "%s",
             string->gateway_host_name[0] != 0 ? string->gateway_host_name : string->host_name);
    snprintf(out->device_id, sizeof out->device_id, "%s", string->device_id);
    snprintf(out->module_id, sizeof out->module_id, "%s", string->module_id);
    if (string->token[0] != 0) {
        snprintf(out->token, sizeof out->token, "%s", string->token);
        rc = sas_token_expiry(out->token, &out->expiry_s);
        if (rc != 0)
            err_set(err, "the ready-made token names no expiry (se=)");
        return rc;
    }
    snprintf(resource, sizeof resource, "%s/devices/%s/modules/%s", string->host_name,
             string->device_id, string->module_id);
    out->expiry_s = (int64_t)now + config->hub.token_lifetime_ms / 1000;
    rc = sas_token(out->token, sizeof out->token, resource, string->key, NULL, out->expiry_s);
    if (rc != 0)
        err_set(err, "SharedAccessKey is not the base64 text of a key; copy it again");
    return rc;
}

static int io_credential(void *data, struct session_credential *out, struct err *err)
{
    struct node *node = data;
    const struct config *config = node->bridge->config;
    struct sas_connection_string string;
    bool exposed = false;
    int rc;

    node->credential = stamp_of(node);
    rc = credential_load(config, node->index, &string, &exposed, err);
    if (rc != 0)
        return rc;
    if (exposed && !node->exposed)
        log_line(LEVEL_WARN, "module %s: the credential file can be read by others; chmod 600 it",
                 config->modules[node->index].name);
    node->exposed = exposed;
    rc = sign(config, &string, out, err);
    sas_forget(&string);
    return rc;
}

static int io_connect(void *data, const char *host, int port, struct err *err)
{
    struct node *node = data;

    return websocket_connect(node->websocket, host, port, err);
}

static int io_send(void *data, const uint8_t *bytes, size_t length)
{
    struct node *node = data;

    return websocket_send(node->websocket, bytes, length);
}

static void io_close(void *data)
{
    struct node *node = data;

    websocket_close(node->websocket);
}

static const struct session_io session_io = {
    .credential = io_credential,
    .connect = io_connect,
    .send = io_send,
    .close = io_close,
};

/* ---- what a module asks of the others ---- */

static int io_read(void *data, size_t device, size_t tag)
{
    const struct node *node = data;
    struct adapter *adapter = bridge_adapter(node->bridge, device);

    return adapter->ops->read(adapter, device, tag);
}

static int io_write(void *data, size_t device, size_t tag, struct value value, uint64_t deadline_ms)
{
    const struct node *node = data;
    struct adapter *adapter = bridge_adapter(node->bridge, device);

    return adapter->ops->write(adapter, device, tag, value, deadline_ms);
}

static void io_latest(const void *data, size_t device, size_t tag, struct sample *out)
{
    const struct node *node = data;

    bridge_latest(node->bridge, device, tag, out);
}

static struct value io_nearest(const void *data, size_t device, size_t tag, struct value value)
{
    const struct node *node = data;
    const struct adapter *adapter = bridge_adapter(node->bridge, device);

    return adapter->ops->nearest(adapter, device, tag, value);
}

static void io_device_status(const void *data, size_t device, struct adapter_device_status *out)
{
    const struct node *node = data;

    bridge_device_status(node->bridge, device, out);
}

static void on_committed(void *owner, uintptr_t token, int rc)
{
    struct node *node = owner;

    module_committed(node->module, token, rc, uv_now(node->bridge->loop));
    node_tick(node);
}

static int io_commit(void *data, const struct record *record, uintptr_t token)
{
    struct node *node = data;

    if (node->bridge->store == NULL || node->bridge->step >= SYNCING)
        return -EIO;
    return store_put(node->bridge->store, record, on_committed, node, token);
}

/* Says a module's trouble once in words; the same again only to who asked for detail. */
static void say_trouble(struct node *node, const char *error)
{
    bool news = said_is_news(&node->said, error);

    log_line(news ? LEVEL_WARN : LEVEL_DEBUG, "%s", error); /* begins with the module's name */
}

static void look_at_credentials(struct bridge *bridge);

static void io_session_state(void *data, enum session_state state)
{
    struct node *node = data;
    struct bridge *bridge = node->bridge;
    struct session_status status;

    session_status(module_session(node->module), &status);
    node->refused = state == SESSION_REFUSED;
    if (node->refused)
        look_at_credentials(bridge);
    if (state == SESSION_READY) {
        log_line(LEVEL_INFO, "module %s: ready, twin synchronised",
                 bridge->config->modules[node->index].name);
        bridge->one_ready = true;
        said_forget(&node->said);
    } else if (status.error[0] != 0) {
        say_trouble(node, status.error);
    }
}

static const struct module_io module_io = {
    .read = io_read,
    .write = io_write,
    .latest = io_latest,
    .nearest = io_nearest,
    .device_status = io_device_status,
    .commit = io_commit,
    .session_state = io_session_state,
};

/* A refused module connects as soon as its credential file is another one. */
void node_on_credential_timer(uv_timer_t *timer)
{
    struct bridge *bridge = timer->data;
    size_t refused = 0;

    for (size_t i = 0; i < bridge->config->module_count; i++) {
        struct node *node = &bridge->nodes[i];
        struct file_stamp now;

        if (!node->refused)
            continue;
        refused++;
        now = stamp_of(node);
        if (now.inode == node->credential.inode &&
            now.changed.tv_sec == node->credential.changed.tv_sec &&
            now.changed.tv_nsec == node->credential.changed.tv_nsec)
            continue;
        node->credential = now;
        session_credential_changed(module_session(node->module), uv_now(bridge->loop));
        node_tick(node);
    }
    if (refused == 0)
        uv_timer_stop(timer);
}

static void look_at_credentials(struct bridge *bridge)
{
    if (bridge->step == RUNNING && !uv_is_active((uv_handle_t *)&bridge->credential_timer))
        uv_timer_start(&bridge->credential_timer, node_on_credential_timer, CREDENTIAL_LOOK_MS,
                       CREDENTIAL_LOOK_MS);
}

/* ---- starting ---- */

static void restore(void *data, const struct record *record)
{
    struct node *node = data;

    if (module_restore(node->module, record) != 0)
        log_line(LEVEL_ERROR, "module %s: out of memory while reading the state", record->module);
}

int node_start(struct bridge *bridge, size_t index)
{
    const struct config *config = bridge->config;
    struct node *node = &bridge->nodes[index];
    struct session_options options = {
        .port = config->hub.port,
        .token_lifetime_ms = config->hub.token_lifetime_ms,
        .keepalive_ms = config->hub.keepalive_ms,
        .product_info = "twinbridge/" TWINBRIDGE_VERSION,
    };
    int rc;

    node->bridge = bridge;
    node->index = index;
    uv_timer_init(bridge->loop, &node->timer);
    node->timer.data = node;
    bridge->open_handles++;
    rc = websocket_new(&node->websocket, bridge->context, &websocket_events, node);
    if (rc == 0)
        rc = module_new(&node->module, config, index, &bridge->env, &options, &session_io, node,
                        &module_io, node);
    if (rc == 0 && bridge->store != NULL &&
        store_each(bridge->store, config->modules[index].name, restore, node) != 0)
        log_line(LEVEL_ERROR,
                 "module %s: its state cannot be read, going on without what is missing",
                 config->modules[index].name);
    return rc;
}
