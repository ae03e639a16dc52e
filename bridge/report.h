/* The reported side of one module twin: which value goes when, what is pending, what the hub took.
 *
 * Holds no values of its own: they are the adapters', asked for (`latest`) when a patch is written, so
 * that a patch always carries the newest fresh sample. Per tag it remembers the last value put into a
 * patch (for the deadband), the acknowledgement, and whether it must go (dirty) or is on its way
 * (flying). Pure: no clock, no I/O.
 *
 *   clean --change, ack, silence--> dirty --report_write--> flying --report_accepted--> clean
 *                                     ^---------------report_lost---------'
 *
 * A tag is named by the device's position in its module and the tag's index in the device. */
#pragma once

#include "adapters/adapter.h"
#include "base/buf.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;
struct report;

enum {
    REPORT_PATCH_MAX = 128 * 1024, /* bytes of one patch */
    REPORT_REFUSED_MAX = 50,       /* refusals under unknown names; more are only counted */
    REPORT_GATHER_MS = 10,         /* changes of one moment go in one patch */
};

/* An acknowledgement (IoT Plug and Play): `detail` is copied. */
struct report_ack {
    int code;           /* ac */
    int64_t version;    /* av */
    const char *detail; /* ad */
};

/* The present sample of a tag, for `data` the owner's. */
typedef void report_latest(const void *data, size_t device, size_t tag, struct sample *out);

/* The reported side of `config->modules[module]`; borrows config. 0, -ENOMEM. */
int report_new(struct report **out, const struct config *config, size_t module,
               report_latest *latest, const void *data);
void report_free(struct report *report); /* NULL is fine */

/* A tag has a new sample: filters it (report, deadband, min_interval, quality). */
void report_sample(struct report *report, size_t device, size_t tag, const struct sample *sample,
                   uint64_t now_ms);

/* The tag's property is an acknowledgement from now on, with this one. -ENOMEM leaves the old one. */
int report_acknowledge(struct report *report, size_t device, size_t tag,
                       const struct report_ack *ack, uint64_t now_ms);

/* What was written without being read back: its `value`, until a later sample shows another. With a
 * VALUE_NONE the value of a tag that cannot be read is not known any more. */
void report_written(struct report *report, size_t device, size_t tag, struct value value,
                    uint64_t now_ms);

/* A read-only tag is named by the desired document no longer: plain again. */
void report_plain(struct report *report, size_t device, size_t tag, uint64_t now_ms);

/* The acknowledgement as it stands; false when the property is plain. `detail` is valid until the next
 * change. */
bool report_acknowledged(const struct report *report, size_t device, size_t tag,
                         struct report_ack *out);

/* A whole desired document comes now: refusals over the limit are counted anew. */
void report_recount(struct report *report);
/* Acknowledges a name that is no tag; `component` is a device's name, or "" at the top. Over the limit,
 * or when the name is `health` where the bridge's own stands, it is only counted in health.refused of
 * the module's first device. -ENOMEM. */
int report_refuse(struct report *report, const char *component, const char *name,
                  const struct report_ack *ack, uint64_t now_ms);
/* A refusal that is only counted: its owner has no place for it either. */
void report_refuse_more(struct report *report, uint64_t now_ms);
/* The desired document does not name it any more: nulled. */
void report_forget(struct report *report, const char *component, const char *name, uint64_t now_ms);

/* The health of a device: its state in the words of the status page, since when, and the error text. */
int report_health(struct report *report, size_t device, const char *state, int64_t since_wall_ms,
                  const char *error, uint64_t now_ms);

/* READY: `reported` is what the hub holds. What differs becomes dirty, all else clean; keys that the
 * mapping does not own will be nulled. -ENOMEM: everything is sent. */
int report_ready(struct report *report, const struct cJSON *reported, uint64_t now_ms);

/* When something will have to be sent, monotonic ms; 0 = nothing waits. */
uint64_t report_due(const struct report *report);

/* Writes what is due as one JSON object into `out` (emptied first) and marks it flying. 0; -EAGAIN
 * nothing is due; -ENOMEM or -ENOSPC with everything left as it was. Not while a patch is flying. */
int report_write(struct report *report, uint64_t now_ms, struct buf *out);

void report_accepted(struct report *report);              /* the hub has it */
void report_lost(struct report *report, uint64_t now_ms); /* it may have it or not: sent again */

/* The size of the reported section by the hub's rule: keys and texts count their characters, a number 8,
 * a bool 4. */
size_t report_bytes(const struct report *report);

/* Properties that wait or fly. */
size_t report_pending(const struct report *report);
