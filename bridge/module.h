/* One module twin: joins what the devices say (samples), what the hub holds (report) and what the back
 * end wants (desired, orders). Decides everything about the twin and does no I/O: sockets, devices and
 * the store are reached through struct module_io.
 *
 * Up:    sample -> report -> patch -> session.
 * Down:  session -> desired -> order -> device -> read-back -> store -> acknowledgement -> report.
 *
 * An order is acknowledged when its result is committed, and never written again by itself after that.
 * Devices are named by their index in struct config here, as the adapters do. */
#pragma once

#include "adapters/adapter.h"
#include "base/env.h"
#include "base/err.h"
#include "bridge/session.h"
#include "bridge/store.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct module;

struct module_io {
    /* The devices: as in adapters/adapter.h. */
    int (*read)(void *data, size_t device, size_t tag);
    int (*write)(void *data, size_t device, size_t tag, struct value value, uint64_t deadline_ms);
    void (*latest)(const void *data, size_t device, size_t tag, struct sample *out);
    struct value (*nearest)(const void *data, size_t device, size_t tag, struct value value);
    void (*device_status)(const void *data, size_t device, struct adapter_device_status *out);

    /* The store: module_committed follows once when it returned 0. */
    int (*commit)(void *data, const struct record *record, uintptr_t token);

    /* The session's state or error changed: for the log and the status page. */
    void (*session_state)(void *data, enum session_state state);
};

/* Builds the twin of `config->modules[index]`; borrows everything, copies nothing but `options`.
 * `session_io` is called with `session_data`, `io` with `data`. 0, -ENOMEM. */
int module_new(struct module **out, const struct config *config, size_t index,
               const struct env *env, const struct session_options *options,
               const struct session_io *session_io, void *session_data, const struct module_io *io,
               void *data);
void module_free(struct module *module); /* after module_stopped; NULL is fine */

/* A row of the store, before the first tick. -ENOMEM. */
int module_restore(struct module *module, const struct record *record);

/* Does what is due; returns when to call again (monotonic ms, 0 = never). To be called after every other
 * call too. */
uint64_t module_tick(struct module *module, uint64_t now_ms);

/* From the adapters. */
void module_sample(struct module *module, size_t device, size_t tag, const struct sample *sample,
                   uint64_t now_ms);
void module_read_done(struct module *module, size_t device, size_t tag, int rc, uint64_t now_ms);
void module_write_done(struct module *module, size_t device, size_t tag,
                       const struct write_result *result, uint64_t now_ms);
void module_device_state(struct module *module, size_t device, enum device_state state,
                         uint64_t now_ms);

/* From the store. */
void module_committed(struct module *module, uintptr_t token, int rc, uint64_t now_ms);

/* The link's events go straight to the session. */
struct session *module_session(struct module *module);

/* Says "stopped" in the twin when that is possible within a second, then disconnects. */
void module_stop(struct module *module, uint64_t now_ms);
bool module_stopped(const struct module *module);

struct module_status {
    struct session_status session;
    size_t pending;    /* properties that wait to be reported, or fly */
    uint64_t patches;  /* accepted by the hub */
    size_t twin_bytes; /* of the reported section, by the hub's rule */
    const char *error; /* of the twin: a refused patch; "" = none. Valid until the next call */
};

void module_status(const struct module *module, struct module_status *out);

/* The word of the status page and of the twin's health. */
const char *module_device_state_name(enum device_state state);
