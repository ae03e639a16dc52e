/* What the hub remembers, in one SQLite file: identities, twins, MQTT sessions, queued
 * cloud-to-device messages, and named texts (keys of policies, certificates).
 *
 * A call that returned 0 survives SIGKILL: the write-ahead log was handed to the kernel. It is not
 * synchronised at every commit (synchronous=NORMAL), so a loss of power can cost the last writes,
 * never the file; that is the price a simulator can pay for 1,000 twins. The file belongs to one
 * process. */
#pragma once

#include "base/err.h"
#include "tests/sim/hubsim/identity.h"
#include "tests/sim/hubsim/twin.h"

#include <stdbool.h>
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

/* Opens or makes the file `path` (mode 0600; ":memory:" for tests). A file of an older hubsim is
 * brought up to date. 0, or with `err`: -EBUSY (another process has it), -EACCES, -ENOENT, -EINVAL
 * (not a state of ours, or of a newer hubsim), -EIO, -ENOMEM. */
int registry_open(struct registry **out, const char *path, struct err *err);
/* The same for a file that must be a state already: -ENOENT or -EINVAL otherwise, and nothing is made.
 */
int registry_open_present(struct registry **out, const char *path, struct err *err);
void registry_close(struct registry *registry);

/* Several writes as one: all of them or none. `rc` is what became of the writes: end commits if it
 * is 0 and rolls back otherwise; it returns `rc`, or why the commit failed. */
int registry_begin(struct registry *registry);
int registry_end(struct registry *registry, int rc);

/* All of the rest: 0, -ENOENT (no such entry), -EIO, -ENOMEM. `module_id` "" means the device. */

/* ---- identities ---- */

int registry_get_identity(struct registry *registry, const char *device_id, const char *module_id,
                          struct identity *out);
int registry_put_identity(struct registry *registry, const struct identity *identity);
/* With its twin, session and queue; a device with all of its modules. */
int registry_delete_identity(struct registry *registry, const char *device_id,
                             const char *module_id);
/* It connected, disconnected or sent something at `stamp`; `model_id` is what it announced itself
 * as, NULL leaves that as it is. An identity that is gone is no error. */
int registry_note_connection(struct registry *registry, const char *device_id,
                             const char *module_id, const char *model_id, const char *stamp);

/* Devices, or modules, in the order of their ids, behind the one named ("", "" = from the first)
 * until `visit` returns false. It may read and write the registry, but not list. */
enum registry_kind { REGISTRY_DEVICES, REGISTRY_MODULES };
typedef bool registry_visit(void *data, const struct identity *identity);
int registry_each(struct registry *registry, enum registry_kind kind, const char *after_device_id,
                  const char *after_module_id, registry_visit *visit, void *data);
int registry_count_modules(struct registry *registry, const char *device_id, int *out);

struct registry_counts {
    int64_t devices;
    int64_t enabled_devices;
    int64_t modules;
};
int registry_count(struct registry *registry, struct registry_counts *out);

/* ---- twins ---- */

/* The caller ends `out` with twin_done. */
int registry_get_twin(struct registry *registry, const char *device_id, const char *module_id,
                      struct twin *out);
int registry_put_twin(struct registry *registry, const char *device_id, const char *module_id,
                      const struct twin *twin);

/* ---- sessions ---- */

int registry_get_session(struct registry *registry, const char *device_id, const char *module_id,
                         struct registry_session *out);
int registry_put_session(struct registry *registry, const char *device_id, const char *module_id,
                         const struct registry_session *session);
int registry_delete_session(struct registry *registry, const char *device_id,
                            const char *module_id);

/* ---- cloud-to-device messages: a queue for each device ---- */

struct registry_message {
    int64_t sequence; /* the place in the queue; given by registry_put_message */
    const char *bag;  /* the properties as they stand in the topic, "k=v&..." */
    const void *body;
    size_t body_length;
    int64_t enqueued_ms; /* UTC */
    int64_t expiry_ms;   /* UTC; 0 = never */
    int deliveries;      /* how often it was sent */
};

/* Puts the message at the end; its sequence goes to `*sequence`. */
int registry_put_message(struct registry *registry, const char *device_id,
                         const struct registry_message *message, int64_t *sequence);
/* Messages behind `after`, oldest first, until `visit` returns false. What they point to lives
 * during the call. */
typedef bool registry_visit_message(void *data, const struct registry_message *message);
int registry_each_message(struct registry *registry, const char *device_id, int64_t after,
                          registry_visit_message *visit, void *data);
/* It was sent once more. */
int registry_mark_message(struct registry *registry, const char *device_id, int64_t sequence);
int registry_delete_message(struct registry *registry, const char *device_id, int64_t sequence);
int registry_count_messages(struct registry *registry, const char *device_id, int *out);

/* ---- named texts ---- */

/* `*out` is the caller's to free. */
int registry_get_text(struct registry *registry, const char *name, char **out);
int registry_put_text(struct registry *registry, const char *name, const char *text);
