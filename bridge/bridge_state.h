/* What the files of the running gateway share. Private to bridge.c, node.c and watch.c. */
#pragma once

#include "adapters/adapter.h"
#include "base/env.h"
#include "bridge/bridge.h"
#include "bridge/module.h"
#include "bridge/said.h"
#include "bridge/status/document.h"
#include "bridge/status/server.h"
#include "bridge/store.h"
#include "bridge/websocket.h"

#include <uv.h>

#include <sys/stat.h>
#include <time.h>

/* What stat says of a credential file, to see it change. */
struct file_stamp {
    struct timespec changed;
    ino_t inode;
};

struct node { /* one module and its link */
    struct bridge *bridge;
    size_t index;
    struct module *module;
    struct websocket *websocket;
    uv_timer_t timer;
    bool refused;
    bool exposed; /* said that others can read the credential */
    struct file_stamp credential;
    struct said said; /* in the log, since all was well */
};

struct line { /* one connection */
    struct bridge *bridge;
    size_t index;
    struct adapter *adapter;
    bool tried;                /* connected or failed once */
    bool repeats;              /* it connects and fails the same way, again and again */
    int64_t connected_wall_ms; /* 0 = it is not */
    uint64_t connected_ms;     /* the same moment, monotonic */
    struct said said;          /* in the log, since all was well */
};

struct device_log { /* what the log has of one device */
    struct said said;
    bool quiet;         /* its last trouble was no news, so its end is none */
    uint64_t online_ms; /* since when all is well; 0 = it is not */
};

enum stop_step { RUNNING, GOODBYE, DRAINING, SYNCING, CLOSING, CLOSED };

struct bridge {
    uv_loop_t *loop;
    struct env env;
    const struct config *config;
    int64_t started_wall_ms;
    uint64_t started_ms;
    struct node *nodes;
    struct line *lines;
    struct device_log *device_logs; /* one for each device of the config */
    struct store *store;
    struct err store_error; /* why there is no store */
    struct websocket_context *context;
    struct status_server *server;
    uv_timer_t credential_timer;
    bool one_ready; /* a module was READY once */
    struct document_source document;

    enum stop_step step;
    size_t open_handles; /* timers not yet closed */
    size_t open_lines;   /* adapters not yet closed */
    bool server_open, context_open, store_open;
    bool abandoned; /* the start failed: nobody to say goodbye to */
    void (*stopped)(void *data);
    void *stopped_data;
};

/* ---- bridge.c ---- */

struct adapter *bridge_adapter(const struct bridge *bridge, size_t device);

/* The present sample and state of a tag and a device; none while its adapter is not open. */
void bridge_latest(const struct bridge *bridge, size_t device, size_t tag, struct sample *out);
void bridge_device_status(const struct bridge *bridge, size_t device,
                          struct adapter_device_status *out);

/* Goes on with a stop when the step before has finished; the bridge may be gone behind it. */
void bridge_advance(struct bridge *bridge);

/* ---- node.c: one module, its link, its credential ---- */

/* Makes the module and its link, and takes up what the store knows. 0, -ENOMEM. */
int node_start(struct bridge *bridge, size_t index);

/* To be called after every event for the module. */
void node_tick(struct node *node);

/* A refused module connects as soon as its credential file is another one: looks at them all. */
void node_on_credential_timer(uv_timer_t *timer);

/* ---- watch.c: what the status page asks ---- */

struct status_source watch_source(struct bridge *bridge);
