/* Device and module identities: the registry's entries, and how they look in REST (reference:
 * iot-hub.md section 7.4). A module is an identity with a module id; what only devices have stays
 * at its default there. Pure. */
#pragma once

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "tests/sim/hubsim/auth.h"
#include "tests/sim/hubsim/stamp.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    IDENTITY_REASON_MAX = 129,    /* statusReason: 128 characters */
    IDENTITY_THUMBPRINT_MAX = 65, /* hexadecimal SHA-1 or SHA-256 */
    IDENTITY_ETAG_MAX = 20,       /* ten digits in base64 */
};

struct identity {
    char device_id[AUTH_ID_MAX];
    char module_id[AUTH_ID_MAX]; /* "" for a device */
    int64_t generation_id;       /* new at every creation */
    uint32_t etag;               /* new at every change */
    bool enabled;                /* modules always are: it is their device that counts */
    char status_reason[IDENTITY_REASON_MAX]; /* "" = none */
    char status_updated[STAMP_MAX];
    char managed_by[AUTH_ID_MAX]; /* of modules; "" = nobody */
    bool iot_edge;
    char authentication[24]; /* sas, selfSigned, certificateAuthority, none */
    char primary_key[AUTH_KEY_MAX];
    char secondary_key[AUTH_KEY_MAX];
    char primary_thumbprint[IDENTITY_THUMBPRINT_MAX];
    char secondary_thumbprint[IDENTITY_THUMBPRINT_MAX];
    char model_id[AUTH_NAME_MAX]; /* as announced at the last connect; "" = none */
    char last_activity[STAMP_MAX];
    char connection_updated[STAMP_MAX]; /* when it connected or disconnected */
};

/* A new, enabled identity with two new keys. Ids are valid and fit. */
void identity_init(struct identity *out, const char *device_id, const char *module_id,
                   const struct env *env);

/* Takes over what a PUT's body says: authentication, status, statusReason, capabilities, managedBy.
 * What it leaves out stays; sas keys that a given authentication lacks or leaves empty are made
 * anew. The ids in the body must be those of `identity`. The etag changes. 0, or -EINVAL with
 * `err`; `identity` is untouched then. */
int identity_apply(struct identity *identity, const cJSON *body, const struct env *env,
                   struct err *err);

/* The identity's etag as text: base64 of the decimal number. */
void identity_etag(const struct identity *identity, char out[IDENTITY_ETAG_MAX]);

/* What a document says of an identity besides what the registry keeps. */
struct identity_state {
    bool connected;
    int queued; /* cloud-to-device messages that wait */
};

/* Appends the Device or Module document. */
void identity_print(struct buf *buf, const struct identity *identity,
                    const struct identity_state *state);

/* Appends the members of a twin's document that come from the identity (4.1), without braces and
 * with a comma behind the last. `twin_etag` stands among them. */
void identity_print_for_twin(struct buf *buf, const struct identity *identity,
                             const struct identity_state *state, const char *twin_etag);
