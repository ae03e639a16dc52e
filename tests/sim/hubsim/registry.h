/* What the hub remembers, in one SQLite file: identities, twins, MQTT sessions, and named texts
 * (keys of policies, certificates).
 *
 * A call that returned 0 survives SIGKILL: the write-ahead log was handed to the kernel. It is not
 * synchronised at every commit (synchronous=NORMAL), so a loss of power can cost the last writes,
 * never the file; that is the price a simulator can pay for 1,000 twins. The file belongs to one
 * process. */
#pragma once

#include "base/err.h"
#include "tests/sim/hubsim/identity.h"
#include "tests/sim/hubsim/twin.h"

#include <stddef.h>
#include <stdint.h>

struct registry;

enum { REGISTRY_FILTERS_MAX = 5 }; /* subscriptions of one connection (iot-hub.md 1.4) */

/* What a client with clean session 0 left behind. */
struct registry_session {
    struct {
        char filter[2 * AUTH_ID_MAX + 64];
        uint8_t qos;
    } filters[REGISTRY_FILTERS_MAX];
    size_t count;
};

/* Opens or makes the file `path` (mode 0600; ":memory:" for tests). 0, or with `err`: -EBUSY
 * (another process has it), -EACCES, -ENOENT, -EINVAL (not a state of ours), -EIO, -ENOMEM. */
int registry_open(struct registry **out, const char *path, struct err *err);
void registry_close(struct registry *registry);

/* Several writes as one: all of them or none. `rc` is what became of the writes: end commits if it
 * is 0 and rolls back otherwise; it returns `rc`, or why the commit failed. */
int registry_begin(struct registry *registry);
int registry_end(struct registry *registry, int rc);

/* All of the rest: 0, -ENOENT (no such entry), -EIO, -ENOMEM. `module_id` "" means the device. */

int registry_get_identity(struct registry *registry, const char *device_id, const char *module_id,
                          struct identity *out);
int registry_put_identity(struct registry *registry, const struct identity *identity);
/* With its twin and session; a device with all of its modules. */
int registry_delete_identity(struct registry *registry, const char *device_id,
                             const char *module_id);

typedef void registry_visit(void *data, const struct identity *identity);
/* At most `limit` devices in the order of their ids. */
int registry_each_device(struct registry *registry, int limit, registry_visit *visit, void *data);
int registry_each_module(struct registry *registry, const char *device_id, registry_visit *visit,
                         void *data);
int registry_count_modules(struct registry *registry, const char *device_id, int *out);

/* The caller ends `out` with twin_done. */
int registry_get_twin(struct registry *registry, const char *device_id, const char *module_id,
                      struct twin *out);
int registry_put_twin(struct registry *registry, const char *device_id, const char *module_id,
                      const struct twin *twin);

int registry_get_session(struct registry *registry, const char *device_id, const char *module_id,
                         struct registry_session *out);
int registry_put_session(struct registry *registry, const char *device_id, const char *module_id,
                         const struct registry_session *session);
int registry_delete_session(struct registry *registry, const char *device_id,
                            const char *module_id);

/* Named texts. `*out` is the caller's to free. */
int registry_get_text(struct registry *registry, const char *name, char **out);
int registry_put_text(struct registry *registry, const char *name, const char *text);
