/* The running gateway on one loop.
 *
 * Start: store, hub context, modules (with their rows of the store), adapters, status server.
 * Stop: modules say "stopped" (1 s at most) -> links closed -> adapters drained -> store synced ->
 * status server, context and timers closed. Each step starts when the one before it has finished, all in
 * advance(); the last one fires `stopped`.
 *
 * What adapters say goes to the module of the device; modules are in node.c, the status page in watch.c. */
#include "bridge/bridge_state.h"

#include "bridge/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

enum {
    DESCRIPTORS_BESIDE = 64,  /* of the process, besides connections and modules */
    WELL_MS = 10 * 60 * 1000, /* after so long without it, the same trouble is news again */
};

/* ---- clock and chance ---- */

static uint64_t loop_now_ms(void *data)
{
    return uv_now(data);
}

static int64_t wall_ms(void *data)
{
    struct timespec now;

    (void)data;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint32_t random_u32(void *data)
{
    uint32_t random = 0;

    (void)data;
    while (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        continue;
    return random;
}

/* ---- the devices ---- */

struct adapter *bridge_adapter(const struct bridge *bridge, size_t device)
{
    return bridge->lines[bridge->config->devices[device].connection].adapter;
}

void bridge_latest(const struct bridge *bridge, size_t device, size_t tag, struct sample *out)
{
    const struct adapter *adapter = bridge_adapter(bridge, device);

    if (adapter == NULL)
        *out = (struct sample){ .quality = QUALITY_NONE };
    else
        adapter->ops->latest(adapter, device, tag, out);
}

void bridge_device_status(const struct bridge *bridge, size_t device,
                          struct adapter_device_status *out)
{
    const struct adapter *adapter = bridge_adapter(bridge, device);

    if (adapter == NULL)
        *out = (struct adapter_device_status){ .error = "" };
    else
        adapter->ops->device_status(adapter, device, out);
}

static struct node *node_of(const struct bridge *bridge, size_t device)
{
    size_t module = bridge->config->devices[device].module;

    return module == CONFIG_NO_MODULE || bridge->step >= SYNCING ? NULL : &bridge->nodes[module];
}

static void on_sample(void *owner, size_t device, size_t tag, const struct sample *sample)
{
    const struct line *line = owner;
    struct node *node = node_of(line->bridge, device);

    if (node == NULL)
        return;
    module_sample(node->module, device, tag, sample, uv_now(line->bridge->loop));
    node_tick(node);
}

static void on_read_done(void *owner, size_t device, size_t tag, int rc)
{
    const struct line *line = owner;
    struct node *node = node_of(line->bridge, device);

    if (node == NULL)
        return;
    module_read_done(node->module, device, tag, rc, uv_now(line->bridge->loop));
    node_tick(node);
}

static void on_write_done(void *owner, size_t device, size_t tag, const struct write_result *result)
{
    const struct line *line = owner;
    struct node *node = node_of(line->bridge, device);

    if (node == NULL)
        return;
    module_write_done(node->module, device, tag, result, uv_now(line->bridge->loop));
    node_tick(node);
}

/* A device has answered since the connection was made: what ends it now is news. */
static bool has_worked(const struct line *line)
{
    const struct config *config = line->bridge->config;
    struct adapter_device_status status;

    for (size_t i = 0; i < config->device_count && line->connected_wall_ms != 0; i++) {
        if (config->devices[i].connection != line->index)
            continue;
        line->adapter->ops->device_status(line->adapter, i, &status);
        if (status.last_ok_wall_ms >= line->connected_wall_ms)
            return true;
    }
    return false;
}

/* Says a connection's trouble once in words, as say_trouble in node.c. One that is made and lost again
 * without an answer in between, or within minutes, is the same trouble. */
static void say_lost(struct line *line, const char *name, const char *error)
{
    bool news;

    if (has_worked(line) && uv_now(line->bridge->loop) - line->connected_ms >= WELL_MS)
        said_forget(&line->said);
    news = said_is_news(&line->said, error);
    log_line(news ? LEVEL_WARN : LEVEL_DEBUG, "connection %s: %s", name, error);
    line->repeats = !news && line->connected_wall_ms != 0;
    line->connected_wall_ms = 0;
}

static void on_connection_state(void *owner, size_t connection, enum connection_state state)
{
    struct line *line = owner;
    const char *name = line->bridge->config->connections[connection].name;
    struct adapter_connection_status status;

    line->adapter->ops->status(line->adapter, &status);
    if (state == CONNECTION_CONNECTED) {
        log_line(line->repeats ? LEVEL_DEBUG : LEVEL_INFO, "connection %s: connected", name);
        line->connected_wall_ms = env_wall_ms(&line->bridge->env);
        line->connected_ms = uv_now(line->bridge->loop);
    } else if (state == CONNECTION_WAITING) {
        say_lost(line, name, status.error);
    }
    if (state != CONNECTION_CONNECTING)
        line->tried = true;
}

/* Says a device's state. One that comes and goes for the same reasons is said once, and again when it was
 * well for so long that its trouble is news. */
static void say_device(struct bridge *bridge, size_t device, enum device_state state,
                       const char *error)
{
    struct device_log *seen = &bridge->device_logs[device];
    const char *name = bridge->config->devices[device].name;
    uint64_t now_ms = uv_now(bridge->loop);
    char text[256];

    if (state == DEVICE_ONLINE) {
        log_line(seen->quiet ? LEVEL_DEBUG : LEVEL_INFO, "device %s: online", name);
        seen->online_ms = now_ms;
        return;
    }
    if (state == DEVICE_STARTING)
        return;
    if (seen->online_ms != 0 && now_ms - seen->online_ms >= WELL_MS)
        said_forget(&seen->said);
    seen->online_ms = 0;
    snprintf(text, sizeof text, "%s: %s", module_device_state_name(state), error);
    seen->quiet = !said_is_news(&seen->said, text);
    log_line(seen->quiet ? LEVEL_DEBUG : LEVEL_WARN, "device %s: %s", name, text);
}

static void on_device_state(void *owner, size_t device, enum device_state state)
{
    const struct line *line = owner;
    struct node *node = node_of(line->bridge, device);
    struct adapter_device_status status;

    bridge_device_status(line->bridge, device, &status);
    say_device(line->bridge, device, state, status.error);
    if (node == NULL)
        return;
    module_device_state(node->module, device, state, uv_now(line->bridge->loop));
    node_tick(node);
}

static const struct adapter_events adapter_events = {
    .sample = on_sample,
    .read_done = on_read_done,
    .write_done = on_write_done,
    .connection_state = on_connection_state,
    .device_state = on_device_state,
};

/* ---- starting ---- */

/* Raises the soft limit of descriptors to what the mapping needs, as far as the hard one allows. */
static size_t raise_descriptor_limit(const struct config *config)
{
    rlim_t need = config->connection_count + config->module_count + DESCRIPTORS_BESIDE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return need;
    if (limit.rlim_cur < need) {
        limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < need)
            log_line(LEVEL_WARN, "the mapping needs %lu descriptors and the limit is %lu; raise it",
                     (unsigned long)need, (unsigned long)limit.rlim_cur);
    }
    return need;
}

static void open_store(struct bridge *bridge)
{
    bool lost = false;
    int rc = store_open(&bridge->store, bridge->loop, bridge->config->state, &lost,
                        &bridge->store_error);

    if (rc != 0)
        log_line(LEVEL_ERROR, "%s; going on without: results of orders do not survive a restart",
                 bridge->store_error.msg);
    else if (lost)
        log_line(LEVEL_ERROR,
                 "state: the database in %s was damaged; it is set aside and a new one made",
                 bridge->config->state);
    bridge->store_open = rc == 0;
}

static int start_line(struct bridge *bridge, size_t index, struct err *err)
{
    const struct adapter_ops *ops = adapters_find(bridge->config->connections[index].adapter);
    struct line *line = &bridge->lines[index];
    struct adapter_open args = {
        .loop = bridge->loop,
        .env = &bridge->env,
        .config = bridge->config,
        .connection = index,
        .events = &adapter_events,
        .owner = line,
    };
    int rc;

    line->bridge = bridge;
    line->index = index;
    rc = ops->open(&line->adapter, &args, err);
    if (rc == 0)
        bridge->open_lines++;
    return rc;
}

static int start_server(struct bridge *bridge, struct err *err)
{
    const struct status_source source = watch_source(bridge);
    int rc;

    rc = status_server_new(&bridge->server, websocket_context_lws(bridge->context), bridge->loop,
                           bridge->config->status_listen, &source, err);
    if (rc == 0) {
        const char *listen = bridge->config->status_listen;

        bridge->server_open = true;
        log_line(LEVEL_INFO, "status page at http://%.*s:%d/", (int)(strrchr(listen, ':') - listen),
                 listen, status_server_port(bridge->server));
    }
    return rc;
}

/* A disabled device never changes its state: what it is at the start is told here. */
static void tell_first_states(struct bridge *bridge)
{
    for (size_t i = 0; i < bridge->config->device_count; i++) {
        struct node *node = node_of(bridge, i);
        struct adapter_device_status status;

        bridge_device_status(bridge, i, &status);
        if (node != NULL)
            module_device_state(node->module, i, status.state, uv_now(bridge->loop));
    }
}

static int start_all(struct bridge *bridge, struct err *err)
{
    const struct config *config = bridge->config;
    int rc;

    rc = websocket_context_new(&bridge->context, bridge->loop, config->hub.ca_file,
                               raise_descriptor_limit(config), err);
    if (rc != 0)
        return rc;
    bridge->context_open = true;
    rc = start_server(bridge, err);
    if (rc != 0)
        return rc;
    open_store(bridge);
    for (size_t i = 0; i < config->module_count && rc == 0; i++)
        rc = node_start(bridge, i);
    for (size_t i = 0; i < config->connection_count && rc == 0; i++)
        rc = start_line(bridge, i, err);
    if (rc == 0)
        tell_first_states(bridge);
    for (size_t i = 0; i < config->module_count && rc == 0; i++)
        node_tick(&bridge->nodes[i]);
    return rc;
}

static void bridge_free(struct bridge *bridge)
{
    for (size_t i = 0; bridge->nodes != NULL && i < bridge->config->module_count; i++)
        module_free(bridge->nodes[i].module);
    free(bridge->nodes);
    free(bridge->lines);
    free(bridge->device_logs);
    free(bridge);
}

int bridge_start(struct bridge **out, struct uv_loop_s *loop, const struct config *config,
                 struct err *err)
{
    struct bridge *bridge = calloc(1, sizeof *bridge);
    int rc;

    if (bridge == NULL)
        return -ENOMEM;
    bridge->loop = loop;
    bridge->env = (struct env){ loop_now_ms, wall_ms, random_u32, loop };
    bridge->config = config;
    bridge->started_wall_ms = wall_ms(NULL);
    bridge->started_ms = uv_now(loop);
    bridge->nodes = calloc(config->module_count + 1, sizeof *bridge->nodes);
    bridge->lines = calloc(config->connection_count + 1, sizeof *bridge->lines);
    bridge->device_logs = calloc(config->device_count + 1, sizeof *bridge->device_logs);
    if (bridge->nodes == NULL || bridge->lines == NULL || bridge->device_logs == NULL) {
        bridge_free(bridge);
        return -ENOMEM;
    }
    uv_timer_init(loop, &bridge->credential_timer);
    bridge->credential_timer.data = bridge;
    bridge->open_handles = 1;
    rc = start_all(bridge, err);
    if (rc != 0) {
        bridge->abandoned = true;
        bridge->step = GOODBYE;
        bridge_advance(bridge);
        return rc;
    }
    *out = bridge;
    return 0;
}

/* ---- stopping ---- */

static void on_line_closed(void *owner)
{
    struct line *line = owner;

    line->adapter = NULL;
    line->bridge->open_lines--;
    bridge_advance(line->bridge);
}

static void on_store_closed(void *data)
{
    struct bridge *bridge = data;

    bridge->store = NULL;
    bridge->store_open = false;
    bridge_advance(bridge);
}

static void on_server_closed(void *data)
{
    struct bridge *bridge = data;

    bridge->server_open = false;
    bridge_advance(bridge);
}

static void on_context_closed(void *data)
{
    struct bridge *bridge = data;

    bridge->context_open = false;
    bridge_advance(bridge);
}

static void on_credential_timer_closed(uv_handle_t *handle)
{
    struct bridge *bridge = handle->data;

    bridge->open_handles--;
    bridge_advance(bridge);
}

static void on_node_timer_closed(uv_handle_t *handle)
{
    struct node *node = handle->data;

    node->bridge->open_handles--;
    bridge_advance(node->bridge);
}

static bool all_said_goodbye(const struct bridge *bridge)
{
    for (size_t i = 0; i < bridge->config->module_count && !bridge->abandoned; i++) {
        if (!module_stopped(bridge->nodes[i].module))
            return false;
    }
    return true;
}

static void close_lines(struct bridge *bridge)
{
    for (size_t i = 0; i < bridge->config->module_count; i++) {
        websocket_free(bridge->nodes[i].websocket);
        bridge->nodes[i].websocket = NULL;
    }
    for (size_t i = 0; i < bridge->config->connection_count; i++) {
        if (bridge->lines[i].adapter != NULL)
            bridge->lines[i].adapter->ops->close(bridge->lines[i].adapter, on_line_closed);
    }
}

static void close_handles(struct bridge *bridge)
{
    if (bridge->server_open)
        status_server_close(bridge->server, on_server_closed, bridge);
    uv_close((uv_handle_t *)&bridge->credential_timer, on_credential_timer_closed);
    for (size_t i = 0; i < bridge->config->module_count; i++) {
        if (bridge->nodes[i].bridge != NULL)
            uv_close((uv_handle_t *)&bridge->nodes[i].timer, on_node_timer_closed);
    }
}

/* The one place that goes from step to step of a stop. */
void bridge_advance(struct bridge *bridge)
{
    if (bridge->step == GOODBYE && all_said_goodbye(bridge)) {
        bridge->step = DRAINING;
        close_lines(bridge);
    }
    if (bridge->step == DRAINING && bridge->open_lines == 0) {
        bridge->step = SYNCING;
        if (bridge->store_open)
            store_close(bridge->store, on_store_closed, bridge);
    }
    if (bridge->step == SYNCING && !bridge->store_open) {
        bridge->step = CLOSING;
        close_handles(bridge);
    }
    if (bridge->step == CLOSING && !bridge->server_open && bridge->open_handles == 0) {
        bridge->step = CLOSED;
        if (bridge->context_open) {
            websocket_context_close(bridge->context, on_context_closed, bridge);
            return;
        }
    }
    if (bridge->step == CLOSED && !bridge->context_open) {
        void (*stopped)(void *data) = bridge->stopped;
        void *data = bridge->stopped_data;

        bridge_free(bridge);
        if (stopped != NULL)
            stopped(data);
    }
}

void bridge_stop(struct bridge *bridge, void (*stopped)(void *data), void *data)
{
    if (bridge->step != RUNNING)
        return;
    bridge->step = GOODBYE;
    bridge->stopped = stopped;
    bridge->stopped_data = data;
    uv_timer_stop(&bridge->credential_timer);
    uv_update_time(bridge->loop);
    for (size_t i = 0; i < bridge->config->module_count; i++)
        module_stop(bridge->nodes[i].module, uv_now(bridge->loop));
    for (size_t i = 0; i < bridge->config->module_count && bridge->step == GOODBYE; i++)
        node_tick(&bridge->nodes[i]);
    if (bridge->step == GOODBYE)
        bridge_advance(bridge);
}

const char *bridge_waits_for(const struct bridge *bridge)
{
    static const char *const waits[] = {
        [RUNNING] = "",
        [GOODBYE] = "the hub's link",
        [DRAINING] = "a device's connection (a name that does not resolve holds it)",
        [SYNCING] = "the disk",
        [CLOSING] = "the status server",
        [CLOSED] = "the hub's link (a name that does not resolve holds it)",
    };

    return waits[bridge->step];
}
