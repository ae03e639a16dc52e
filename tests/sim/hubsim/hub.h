/* The hub itself: identities, twins and connections, and what follows from a write. REST and MQTT
 * are two doors to it; both call these functions, and the hub tells the connected module what it is
 * to know.
 *
 * Single-threaded, synchronous: a function that returned 0 has stored its work. All return 0 or
 * -errno; codes that the doors translate are named at each function. `module_id` "" always means
 * the device. */
#pragma once

#include "base/env.h"
#include "base/err.h"
#include "tests/sim/hubsim/access.h"
#include "tests/sim/hubsim/faults.h"
#include "tests/sim/hubsim/identity.h"
#include "tests/sim/hubsim/registry.h"
#include "tests/sim/hubsim/twin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HUB_MODULES_MAX = 50 }; /* of one device */

struct hub;

struct hub_options {
    struct access_options access;               /* what they point to outlives the hub */
    struct faults *faults;                      /* outlives the hub; NULL = none */
    void (*note)(void *data, const char *text); /* one line for the operator; NULL = none */
    void *note_data;
};

/* A connected client. The hub keeps it in a list between hub_attach and hub_detach. */
struct hub_client {
    char device_id[AUTH_ID_MAX];
    char module_id[AUTH_ID_MAX];
    /* The desired properties changed; `patch` holds $version. */
    void (*desired)(struct hub_client *client, int64_t version, const char *patch, size_t length);
    /* To be closed now, without a word; the hub has let go of it already. */
    void (*drop)(struct hub_client *client, const char *why);
    /* A fault of the connection itself; drops are told by drop. */
    void (*strike)(struct hub_client *client, const struct faults_strike *strike);
    struct hub_client *next; /* the hub's */
};

/* Opens the hub. Errors of access_open. */
int hub_open(struct hub **out, const struct hub_options *options);

/* No client may be attached any more. */
void hub_close(struct hub *hub);

const struct env *hub_env(const struct hub *hub);

/* One line for the operator. */
__attribute__((format(printf, 2, 3))) void hub_note(const struct hub *hub, const char *format, ...);

/* What goes wrong on purpose; NULL = nothing. */
struct faults *hub_faults(const struct hub *hub);

/* Who may come in. */
const struct access *hub_access(const struct hub *hub);

/* ---- connections ---- */

/* The client is connected from here on; one of the same identity is dropped first. */
void hub_attach(struct hub *hub, struct hub_client *client);
/* It is not any more. Does nothing when the hub let go of it. */
void hub_detach(struct hub *hub, struct hub_client *client);
bool hub_connected(const struct hub *hub, const char *device_id, const char *module_id);

/* ---- identities: registry of the hub ---- */

int hub_get_identity(const struct hub *hub, const char *device_id, const char *module_id,
                     struct identity *out); /* -ENOENT */

/* Creates with a new twin, or updates what is there. `if_match`: NULL = create, -EEXIST when there;
 * "*" or an etag = update, -ENOENT when absent, -ESTALE when changed. Others: -EINVAL (body,
 * `err`), -ENODEV (the module's device is absent), -EMFILE (50 modules). A changed key or a
 * disabled device drops the connection. `*out` is the identity as it is now. */
int hub_put_identity(struct hub *hub, const char *device_id, const char *module_id,
                     const cJSON *body, const char *if_match, struct identity *out,
                     struct err *err);

/* `if_match` NULL or "*" = whatever it is now. -ENOENT, -ESTALE. Drops its connections. */
int hub_delete_identity(struct hub *hub, const char *device_id, const char *module_id,
                        const char *if_match);

int hub_each_device(const struct hub *hub, int limit, registry_visit *visit, void *data);
int hub_each_module(const struct hub *hub, const char *device_id, registry_visit *visit,
                    void *data);

/* ---- twins ---- */

/* The caller ends `out` with twin_done. -ENOENT. */
int hub_get_twin(const struct hub *hub, const char *device_id, const char *module_id,
                 struct twin *out);

enum hub_write { HUB_PATCH, HUB_REPLACE };

/* The back end's write. `if_match` as for deletion. Tells the connected client. Errors of
 * twin_patch
 * (-EINVAL, -EFBIG with `err`), -ENOENT, -ESTALE. */
int hub_write_twin(struct hub *hub, const char *device_id, const char *module_id,
                   enum hub_write write, cJSON *body, const char *if_match, struct err *err);

/* The module's write. `base` is the version it must build on, -1 = any (-ESTALE otherwise).
 * `*version` is the new one. Errors of twin_report, -ENOENT. */
int hub_report(struct hub *hub, const char *device_id, const char *module_id, const cJSON *patch,
               int64_t base, int64_t *version, struct err *err);

/* ---- sessions of MQTT (12.3, rule 5) ---- */

int hub_get_session(const struct hub *hub, const char *device_id, const char *module_id,
                    struct registry_session *out); /* -ENOENT */
int hub_put_session(struct hub *hub, const char *device_id, const char *module_id,
                    const struct registry_session *session);
int hub_delete_session(struct hub *hub, const char *device_id, const char *module_id);
