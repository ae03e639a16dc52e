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
#include "bridge/mqtt.h"
#include "tests/sim/hubsim/access.h"
#include "tests/sim/hubsim/faults.h"
#include "tests/sim/hubsim/identity.h"
#include "tests/sim/hubsim/messages.h"
#include "tests/sim/hubsim/options.h"
#include "tests/sim/hubsim/registry.h"
#include "tests/sim/hubsim/twin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HUB_MODULES_MAX = 50,                      /* of one device */
    HUB_CALLS_MAX = 256,                       /* direct methods under way, all together */
    HUB_METHOD_MAX = 128 * 1024,               /* bytes of a method's payload, either way (5.3) */
    HUB_TELEMETRY_MAX = 256 * 1024,            /* body and properties of one message (5.1) */
    HUB_MESSAGES_MAX = 1000,                   /* device-to-cloud messages that are kept */
    HUB_MESSAGES_BYTES_MAX = 16 * 1024 * 1024, /* all together */
    HUB_PENDING_MAX = 50,                      /* cloud-to-device messages of one device (5.4) */
    HUB_PENDING_BYTES_MAX = 64 * 1024,         /* body and properties of one of them */
    HUB_PENDING_TTL_S = 3600,                  /* they are gone then, unless they say otherwise */
    HUB_DELIVERIES_MAX = 10,                   /* and when they were sent so often in vain */
};

struct hub;

struct hub_options {
    struct access_options access;               /* what they point to outlives the hub */
    struct hub_rules rules;                     /* the open points; zeroed = their defaults */
    struct faults *faults;                      /* outlives the hub; NULL = none */
    void (*note)(void *data, const char *text); /* one line for the operator; NULL = none */
    void *note_data;
};

/* ---- direct methods (5.3) ---- */

struct hub_method {
    const char *device_id;
    const char *module_id; /* "" for the device */
    const char *name;
    const char *payload; /* JSON of any kind, or nothing */
    size_t payload_length;
    uint32_t connect_timeout_s;  /* how long to wait for somebody who takes calls */
    uint32_t response_timeout_s; /* from the moment the call was sent */
};

/* What became of a call. `rc`: 0 with the client's `status` and payload (JSON or nothing; valid during
 * the call); -ENOTCONN (nobody took calls until connect_timeout was over: 404103), -ETIMEDOUT (no
 * answer: 504), -EBADMSG (the answer is not JSON), -ENOENT (the identity was deleted), -ENOMEM,
 * -ECANCELED (hub_close). Called exactly once, never from inside hub_call_method; the call is gone when
 * it begins. It may call everything but hub_close. */
typedef void hub_method_done(void *data, int rc, int status, const char *payload, size_t length);

/* A connected client. The hub keeps it in a list between hub_attach and hub_detach. */
struct hub_client {
    char device_id[AUTH_ID_MAX];
    char module_id[AUTH_ID_MAX];
    char model_id[AUTH_NAME_MAX]; /* what it announced itself as; "" = nothing */
    int64_t generation_id;        /* of the identity that it signed in as */
    /* The desired properties changed; `patch` holds $version. */
    void (*desired)(struct hub_client *client, int64_t version, const char *patch, size_t length);
    /* To be closed now, without a word; the hub has let go of it already. */
    void (*drop)(struct hub_client *client, const char *why);
    /* A fault of the connection itself; drops are told by drop. */
    void (*strike)(struct hub_client *client, const struct faults_strike *strike);
    /* A method is called; false = it takes no calls now (not subscribed). NULL = never. */
    bool (*call)(struct hub_client *client, const char *rid, const struct hub_method *method);
    /* A cloud-to-device message came: hub_each_pending shows it. NULL = not interested. */
    void (*message)(struct hub_client *client);
    struct hub_client *next; /* the hub's */
};

/* Opens the hub. Errors of access_open. */
int hub_open(struct hub **out, const struct hub_options *options);

/* No client may be attached any more. */
void hub_close(struct hub *hub);

const struct env *hub_env(const struct hub *hub);

/* One line for the operator. */
__attribute__((format(printf, 2, 3))) void hub_note(const struct hub *hub, const char *format, ...);

/* How the open points are decided. */
const struct hub_rules *hub_rules(const struct hub *hub);

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

/* ---- time ---- */

/* Ends what has lasted too long. The next moment to be called at, in ms; 0 = none. */
uint64_t hub_tick(struct hub *hub, uint64_t now_ms);

/* Who is told that the next moment may have moved; called from any function of the hub. */
void hub_on_wake(struct hub *hub, void (*wake)(void *data), void *data);

/* ---- calling methods ---- */

struct hub_call;

/* Calls a method; `method` is copied as far as it is needed. `*out` (may be NULL) is for
 * hub_forget_call, until `done`. 0, or without `done` ever being called: -ENOENT (no such identity),
 * -EINVAL (a name that fits into no topic), -EFBIG (payload), -EMFILE (HUB_CALLS_MAX), -ECANCELED (from inside hub_close), -ENOMEM, -EIO. A client that answers after its connection
 * was replaced by another of the same identity is heard. */
int hub_call_method(struct hub *hub, const struct hub_method *method, hub_method_done *done,
                    void *data, struct hub_call **out);

/* The caller is gone: `done` is not called, an answer is dropped. */
void hub_forget_call(struct hub *hub, struct hub_call *call);

/* The client takes calls from now on: what waits for it is sent. */
void hub_takes_calls(struct hub *hub, struct hub_client *client);

/* The client's answer. Late and unknown ones are dropped. */
void hub_answer_call(struct hub *hub, const struct hub_client *client, struct mqtt_text rid,
                     int status, const void *payload, size_t length);

/* ---- device-to-cloud messages (5.1): the newest ones, in memory only ---- */

enum hub_telemetry { HUB_TELEMETRY = 0, HUB_RETAINED = 1, HUB_WILL = 2 }; /* bits */

/* Whether hub_take_message would take it: 0, -EBADMSG, -EFBIG, -ENOMEM. */
int hub_check_message(struct mqtt_text bag, size_t length);

/* Takes a client's message: `bag` as it stands in the topic. 0, -EBADMSG (the bag), -EFBIG, -ENOMEM. */
int hub_take_message(struct hub *hub, const struct hub_client *client, struct mqtt_text bag,
                     const void *body, size_t length, unsigned how);

/* Those with a number over `after`, oldest first, at most `limit`. */
void hub_each_message(const struct hub *hub, uint64_t after, size_t limit, hub_visit_message *visit,
                      void *data);

/* ---- cloud-to-device messages (5.4): of devices only, kept with the state ---- */

/* Of `message` the properties and the body count. `ttl_s` 0 = HUB_PENDING_TTL_S. 0, -ENOENT (no such
 * device), -EMFILE (HUB_PENDING_MAX wait), -EFBIG, -EIO, -ENOMEM. */
int hub_send_message(struct hub *hub, const char *device_id, const struct hub_message *message,
                     uint32_t ttl_s);

/* How many wait that are still good. */
int hub_count_messages(const struct hub *hub, const char *device_id, int *out);

/* Those behind `after` (0 = all) that are still good, oldest first, until `visit` returns false. */
int hub_each_pending(struct hub *hub, const char *device_id, int64_t after,
                     registry_visit_message *visit, void *data);
/* It was sent; the next time it is a duplicate. */
int hub_mark_message(struct hub *hub, const char *device_id, int64_t sequence);
/* It arrived. */
int hub_settle_message(struct hub *hub, const char *device_id, int64_t sequence);
/* All of them are dropped: a clean session begins. */
int hub_purge_messages(struct hub *hub, const char *device_id);

/* ---- counts ---- */

struct hub_statistics {
    int devices, enabled, disabled; /* identities */
    int connected;                  /* devices, not modules */
};

/* 0, -EIO, -ENOMEM. */
int hub_statistics(const struct hub *hub, struct hub_statistics *out);

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

/* As registry_each. */
int hub_each(const struct hub *hub, enum registry_kind kind, const char *after_device_id,
             const char *after_module_id, registry_visit *visit, void *data);

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
