/* /api/status as JSON (design section 9), written piece by piece from what the bridge is asked for: the
 * whole never stands in memory. Pure. */
#pragma once

#include "adapters/adapter.h"
#include "bridge/module.h"
#include "bridge/status/server.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct document_source {
    const struct config *config;
    int64_t started_wall_ms;
    uint64_t started_ms; /* monotonic: the wall clock may be set meanwhile */
    const void *data;
    void (*connection)(const void *data, size_t connection, struct adapter_connection_status *out);
    void (*device)(const void *data, size_t device, struct adapter_device_status *out);
    void (*module)(const void *data, size_t module, struct module_status *out);
    void (*latest)(const void *data, size_t device, size_t tag, struct sample *out);
    const char *(*state_error)(const void *data); /* of the store; "" = none */
};

/* The moment a document is written at; taken anew for every piece. */
struct document_now {
    uint64_t now_ms;
    int64_t wall_ms;
    bool ready;
};

/* Appends the next piece, about 4 KB, to `out`; true while there is more. */
bool document_next(const struct document_source *source, const struct document_now *now,
                   struct status_cursor *cursor, struct buf *out);

/* The quality to show: a good sample that is too old, or whose device is silent, is stale. */
enum quality document_quality(const struct sample *sample, const struct config_tag *tag,
                              enum device_state state, uint64_t now_ms);
