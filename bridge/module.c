/* One module twin. See module.h.
 *
 * Happy path up: a sample passes the filter of report.c, the next tick writes a patch, the hub answers
 * 204. Happy path down: a desired patch is decided (desired.c), each order goes to its device, the
 * result is committed, then acknowledged as just another reported property.
 * Fails when: the link goes away (what flew is merged back, a READY compares with the twin), a device is
 * silent (202, and the order waits), the store cannot write (acknowledged all the same: an answer that is
 * true now beats none), the hub refuses a patch (shown; tried again with patience). */
#include "bridge/module_state.h"

#include "base/backoff.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODULE_STOP_MS = 1000,       /* for the last words to the hub */
    MODULE_REFUSED_MS = 60000,   /* after 400 or 413: the same patch again does not help soon */
    MODULE_THROTTLED_MS = 10000, /* after 429: at least, up to a minute */
    MODULE_AGAIN_MS = 10000,     /* between two reads of the twin for want of memory */
};

/* ---- building ---- */

struct module_slot *module_slot(struct module *m, size_t device, size_t tag)
{
    return &m->slots[m->first[device] + tag];
}

/* Position in the module of a device of the configuration. */
static size_t position_of(const struct module *m, size_t device)
{
    size_t i = 0;

    while (m->mapping->devices[i] != device)
        i++;
    return i;
}

static void latest(const void *data, size_t device, size_t tag, struct sample *out)
{
    const struct module *m = data;

    m->io->latest(m->data, m->mapping->devices[device], tag, out);
}

static const struct session_events session_events;

static int allocate(struct module *m)
{
    size_t count = 0;

    m->first = calloc(m->mapping->device_count + 1, sizeof *m->first);
    m->states = calloc(m->mapping->device_count, sizeof *m->states);
    if (m->first == NULL || m->states == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < m->mapping->device_count; i++) {
        m->first[i] = count;
        count += module_device(m, i)->tag_count;
    }
    m->first[m->mapping->device_count] = count;
    m->slots = calloc(count + 1, sizeof *m->slots);
    return m->slots == NULL ? -ENOMEM : 0;
}

/* Before anything is desired, a writable tag shows the device's own value. */
static int own_values(struct module *m)
{
    for (size_t i = 0; i < m->mapping->device_count; i++) {
        for (size_t k = 0; k < module_device(m, i)->tag_count; k++) {
            if ((module_device(m, i)->tags[k].access & CONFIG_WRITE) == 0)
                continue;
            if (report_acknowledge(m->report, i, k, &module_own_value, 0) != 0)
                return -ENOMEM;
        }
    }
    return 0;
}

int module_new(struct module **out, const struct config *config, size_t index,
               const struct env *env, const struct session_options *options,
               const struct session_io *session_io, void *session_data, const struct module_io *io,
               void *data)
{
    struct module *m = calloc(1, sizeof *m);
    int rc;

    if (m == NULL)
        return -ENOMEM;
    m->config = config;
    m->index = index;
    m->mapping = &config->modules[index];
    m->env = env;
    m->io = io;
    m->data = data;
    m->recorded_version = -1;
    m->first_document = true;
    m->throttle = (struct backoff){ .min_ms = 2 * MODULE_THROTTLED_MS, .max_ms = 60000 };
    buf_init(&m->patch, REPORT_PATCH_MAX);
    rc = allocate(m);
    if (rc == 0)
        rc = report_new(&m->report, config, index, latest, m);
    if (rc == 0)
        rc = own_values(m);
    if (rc == 0)
        rc = session_new(&m->session, m->mapping->name, options, env, session_io, session_data,
                         &session_events, m);
    if (rc != 0) {
        module_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

void module_free(struct module *m)
{
    if (m == NULL)
        return;
    session_free(m->session);
    report_free(m->report);
    module_orders_free(m);
    for (size_t i = 0; m->slots != NULL && i < m->first[m->mapping->device_count]; i++)
        module_record_free(m->slots[i].record);
    while (m->unknown != NULL)
        module_unknown_drop(m, m->unknown);
    buf_done(&m->patch);
    free(m->slots);
    free(m->states);
    free(m->first);
    free(m);
}

/* ---- from the devices ---- */

static void sample_in(struct module *m, size_t device, size_t tag, const struct sample *sample,
                      uint64_t now_ms)
{
    module_follow_device(m, device, tag, sample, now_ms);
    report_sample(m->report, device, tag, sample, now_ms);
}

void module_sample(struct module *m, size_t device, size_t tag, const struct sample *sample,
                   uint64_t now_ms)
{
    sample_in(m, position_of(m, device), tag, sample, now_ms);
}

void module_read_done(struct module *m, size_t device, size_t tag, int rc, uint64_t now_ms)
{
    module_order_read(m, position_of(m, device), tag, rc, now_ms);
}

void module_write_done(struct module *m, size_t device, size_t tag,
                       const struct write_result *result, uint64_t now_ms)
{
    module_order_written(m, position_of(m, device), tag, result, now_ms);
}

const char *module_device_state_name(enum device_state state)
{
    static const char *const names[] = { "starting", "online", "degraded", "offline", "disabled" };

    return names[state];
}

void module_device_state(struct module *m, size_t device, enum device_state state, uint64_t now_ms)
{
    struct adapter_device_status status;
    size_t position = position_of(m, device);

    m->io->device_status(m->data, device, &status);
    m->states[position] = state;
    if (!m->stopping)
        report_health(m->report, position, module_device_state_name(state), status.since_wall_ms,
                      status.error, now_ms);
}

/* ---- to and from the hub ---- */

static void on_ready(void *owner, const struct cJSON *desired, const struct cJSON *reported)
{
    struct module *m = owner;
    uint64_t now_ms = env_now_ms(m->env);

    module_desired_document(m, desired, reported, now_ms);
    if (report_ready(m->report, reported, now_ms) != 0)
        m->missed = true;
}

static void on_desired(void *owner, int64_t version, const struct cJSON *patch)
{
    struct module *m = owner;

    module_desired_patch(m, version, patch, env_now_ms(m->env));
}

/* A patch the hub would not take: when to try again, and what to say. */
static void patch_refused(struct module *m, int status, const char *message, uint64_t now_ms)
{
    uint32_t wait_ms = MODULE_REFUSED_MS;

    if (status == 429) {
        wait_ms = backoff_next_ms(&m->throttle, env_random_u32(m->env));
        err_set(&m->error, "the hub throttles (429): next patch in %u s", wait_ms / 1000);
    } else if (status >= 500) {
        wait_ms = backoff_next_ms(&m->throttle, env_random_u32(m->env));
        err_set(&m->error, "the hub failed to take a patch (%d): %.150s", status, message);
    } else {
        err_set(&m->error, "the hub refused a patch (%d): %.150s", status, message);
    }
    m->patch_after_ms = now_ms + wait_ms;
}

static void on_patched(void *owner, int status, int64_t version, const char *message)
{
    struct module *m = owner;
    uint64_t now_ms = env_now_ms(m->env);

    (void)version;
    m->patch_flies = false;
    if (status == 204 || status == 200) {
        m->patches++;
        m->error.msg[0] = 0;
        backoff_reset(&m->throttle);
        report_accepted(m->report);
        return;
    }
    report_lost(m->report, now_ms);
    if (status != 0)
        patch_refused(m, status, message, now_ms);
}

static void on_state(void *owner, enum session_state state)
{
    struct module *m = owner;

    m->io->session_state(m->data, state);
}

static const struct session_events session_events = {
    .ready = on_ready,
    .desired = on_desired,
    .patched = on_patched,
    .state = on_state,
};

static bool is_ready(const struct module *m)
{
    struct session_status status;

    session_status(m->session, &status);
    return status.state == SESSION_READY;
}

/* Sends what is due; says when something will be. */
static uint64_t send_patch(struct module *m, uint64_t now_ms)
{
    uint64_t due_ms = report_due(m->report);
    int rc;

    if (m->patch_flies || due_ms == 0 || !is_ready(m))
        return 0;
    if (due_ms < m->patch_after_ms)
        due_ms = m->patch_after_ms;
    if (due_ms > now_ms)
        return due_ms;
    rc = report_write(m->report, now_ms, &m->patch);
    if (rc == -EAGAIN)
        return report_due(m->report);
    if (rc != 0) {
        err_set(&m->error,
                rc == -ENOSPC ? "a patch would be larger than %d KB: map fewer tags"
                              : "out of memory for a patch of up to %d KB",
                REPORT_PATCH_MAX / 1024);
        m->patch_after_ms = now_ms + MODULE_REFUSED_MS;
        return m->patch_after_ms;
    }
    m->patch_flies = true;
    if (session_patch(m->session, now_ms, buf_text(&m->patch), m->patch.length) != 0) {
        m->patch_flies = false;
        report_lost(m->report, now_ms);
        return now_ms + MODULE_THROTTLED_MS;
    }
    return 0;
}

struct session *module_session(struct module *m)
{
    return m->session;
}

/* ---- time ---- */

static uint64_t earliest(uint64_t a, uint64_t b)
{
    if (a == 0 || (b != 0 && b < a))
        return b;
    return a;
}

/* The last words are said when the patch with them is through, or the time for them is over. What
 * min_interval holds back is not waited for: the next start sends it. */
static uint64_t stop_tick(struct module *m, uint64_t now_ms)
{
    uint64_t due_ms = report_due(m->report);
    bool more = m->patch_flies || (due_ms != 0 && due_ms <= now_ms + REPORT_GATHER_MS);

    if (m->session_stopped)
        return 0;
    if (now_ms < m->stop_ms && is_ready(m) && more)
        return m->stop_ms;
    m->session_stopped = true;
    session_stop(m->session, now_ms);
    return 0;
}

/* Has the twin told again what found no memory; says when. */
static uint64_t read_again(struct module *m, uint64_t now_ms)
{
    if (!m->missed || m->stopping || !is_ready(m))
        return 0;
    if (now_ms < m->again_ms)
        return m->again_ms;
    m->missed = false;
    m->again_ms = now_ms + MODULE_AGAIN_MS;
    session_again(m->session, now_ms);
    return 0;
}

uint64_t module_tick(struct module *m, uint64_t now_ms)
{
    uint64_t next_ms = m->stopping ? 0 : module_orders_tick(m, now_ms);

    next_ms = earliest(next_ms, read_again(m, now_ms));
    next_ms = earliest(next_ms, send_patch(m, now_ms));
    if (m->stopping)
        next_ms = earliest(next_ms, stop_tick(m, now_ms));
    return earliest(next_ms, session_tick(m->session, now_ms));
}

void module_stop(struct module *m, uint64_t now_ms)
{
    if (m->stopping)
        return;
    m->stopping = true;
    m->stop_ms = now_ms + MODULE_STOP_MS;
    m->patch_after_ms = 0;
    for (size_t i = 0; i < m->mapping->device_count; i++)
        report_health(m->report, i, "stopped", env_wall_ms(m->env), "", now_ms);
}

bool module_stopped(const struct module *m)
{
    struct session_status status;

    session_status(m->session, &status);
    return m->session_stopped && status.state == SESSION_STOPPED;
}

void module_status(const struct module *m, struct module_status *out)
{
    session_status(m->session, &out->session);
    out->pending = report_pending(m->report);
    out->patches = m->patches;
    out->twin_bytes = report_bytes(m->report);
    out->error = m->error.msg;
}
