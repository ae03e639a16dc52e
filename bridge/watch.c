/* What the status page and the health probes ask of the running gateway. */
#include "bridge/bridge_state.h"

static void document_connection(const void *data, size_t connection,
                                struct adapter_connection_status *out)
{
    const struct bridge *bridge = data;
    const struct adapter *adapter = bridge->lines[connection].adapter;

    if (adapter == NULL)
        *out = (struct adapter_connection_status){ .state = CONNECTION_CLOSED, .error = "" };
    else
        adapter->ops->status(adapter, out);
}

static void document_device(const void *data, size_t device, struct adapter_device_status *out)
{
    bridge_device_status(data, device, out);
}

static void document_module(const void *data, size_t module, struct module_status *out)
{
    const struct bridge *bridge = data;

    module_status(bridge->nodes[module].module, out);
}

static void document_latest(const void *data, size_t device, size_t tag, struct sample *out)
{
    bridge_latest(data, device, tag, out);
}

static const char *document_state_error(const void *data)
{
    const struct bridge *bridge = data;

    return bridge->store == NULL ? bridge->store_error.msg : store_error(bridge->store);
}

/* One that is disabled, or has nothing to do, is never tried. */
static bool waits_for_first_try(const struct line *line)
{
    struct adapter_connection_status status;

    if (line->adapter == NULL || line->tried)
        return false;
    line->adapter->ops->status(line->adapter, &status);
    return status.state != CONNECTION_CLOSED;
}

static bool is_ready(void *data, struct err *why)
{
    const struct bridge *bridge = data;

    for (size_t i = 0; i < bridge->config->connection_count; i++) {
        if (waits_for_first_try(&bridge->lines[i])) {
            err_set(why, "connection %s was not tried yet", bridge->config->connections[i].name);
            return false;
        }
    }
    if (!bridge->one_ready)
        err_set(why, "no module was ready yet");
    return bridge->one_ready;
}

/* The answer itself shows that the loop turns. */
static bool is_healthy(void *data, struct err *why)
{
    (void)data;
    (void)why;
    return true;
}

static bool next_piece(void *data, struct status_cursor *cursor, struct buf *out)
{
    struct bridge *bridge = data;
    struct err why;
    struct document_now now = {
        .now_ms = uv_now(bridge->loop),
        .wall_ms = env_wall_ms(&bridge->env),
        .ready = is_ready(bridge, &why),
    };

    return document_next(&bridge->document, &now, cursor, out);
}

struct status_source watch_source(struct bridge *bridge)
{
    bridge->document = (struct document_source){
        .config = bridge->config,
        .started_wall_ms = bridge->started_wall_ms,
        .started_ms = bridge->started_ms,
        .data = bridge,
        .connection = document_connection,
        .device = document_device,
        .module = document_module,
        .latest = document_latest,
        .state_error = document_state_error,
    };
    return (struct status_source){ next_piece, is_healthy, is_ready, bridge };
}
