/* What the files of module share: the twin's state. Private to module*.c. */
#pragma once

#include "base/backoff.h"
#include "base/buf.h"
#include "bridge/desired.h"
#include "bridge/module.h"
#include "bridge/order.h"
#include "bridge/report.h"

struct module_slot {     /* one tag */
    struct order *order; /* the one under way; owned */
    struct order *newer; /* came meanwhile; replaces it, never both written for nothing; owned */
    struct desired_record *record; /* owned; NULL = nothing was ever desired */
    struct value applied; /* what a 200 stands for: VALUE_NONE when the last order did not end so */
    uint64_t applied_ms;  /* samples up to then say nothing of it */
    unsigned commits;     /* of the record, under way */
};

struct module {
    const struct config *config;
    size_t index;
    const struct config_module *mapping;
    const struct env *env;
    const struct module_io *io;
    void *data;

    struct report *report;
    struct session *session;
    struct module_slot *slots; /* of all tags of all devices, one after the other */
    size_t *first;             /* of each device, its first slot; one more at the end */
    enum device_state *states; /* of each device */

    struct order *orders; /* all that are under way, newest first; each owned by its slot */
    struct desired_unknown *unknown;
    size_t unknown_count;
    uintptr_t unknown_ids;    /* the last one given */
    int64_t recorded_version; /* highest $version in the store; -1 = it knows nothing */
    bool first_document;      /* none was read since start */
    uint64_t document_ms;     /* the moment of the document being decided */
    const struct cJSON *document_reported; /* the other section of it; NULL while it is a patch */

    bool missed; /* something of what was desired, or its answer, found no memory: read it again */
    uint64_t again_ms; /* not before */

    struct buf patch; /* reused for every reported patch */
    bool patch_flies;
    uint64_t patch_after_ms; /* not before: the hub refused one */
    struct backoff throttle;
    uint64_t patches;
    struct err error;

    bool stopping, session_stopped;
    uint64_t stop_ms; /* last words until here */
};

struct module_slot *module_slot(struct module *m, size_t device, size_t tag);

static inline const struct config_device *module_device(const struct module *m, size_t device)
{
    return &m->config->devices[m->mapping->devices[device]];
}

static inline const struct config_tag *module_tag(const struct module *m, size_t device, size_t tag)
{
    return &module_device(m, device)->tags[tag];
}

static inline struct sample module_latest(const struct module *m, size_t device, size_t tag)
{
    struct sample sample;

    m->io->latest(m->data, m->mapping->devices[device], tag, &sample);
    return sample;
}

static inline struct value module_nearest(const struct module *m, size_t device, size_t tag,
                                          struct value value)
{
    return m->io->nearest(m->data, m->mapping->devices[device], tag, value);
}

/* ---- module_records.c: what was answered ---- */

/* Replaces the tag's record and commits it; the acknowledgement follows the commit. -ENOMEM: nothing was
 * done, the next document brings it up again. */
int module_record_put(struct module *m, size_t device, size_t tag, int64_t version,
                      const char *desired, int code, const char *detail, uint64_t now_ms);
void module_record_forget(struct module *m, size_t device, size_t tag);
/* report_acknowledge; what finds no memory is told again with the next whole document. */
void module_acknowledge(struct module *m, size_t device, size_t tag, const struct report_ack *ack,
                        uint64_t now_ms);
void module_record_acknowledge(struct module *m, size_t device, size_t tag, uint64_t now_ms);
void module_record_version(struct module *m, int64_t version);
void module_record_free(struct desired_record *record);

/* Names that are no tag. */
struct desired_unknown *module_unknown_find(const struct module *m, const char *component,
                                            const char *name);
void module_unknown_acknowledge(struct module *m, const struct desired_unknown *u, uint64_t now_ms);
void module_unknown_refuse(struct module *m, const struct desired_decision *d, const char *text,
                           uint64_t now_ms);
void module_unknown_clear(struct module *m, const struct desired_decision *d, uint64_t now_ms);
void module_unknown_drop(struct module *m, struct desired_unknown *unknown);

/* ---- module_orders.c: what is on its way ---- */

bool module_device_answers(const struct module *m, size_t device);

/* A new order, in place of whatever was ordered before for the tag; takes `text` over. */
void module_order_place(struct module *m, const struct desired_decision *d, char *text,
                        uint64_t now_ms);
/* The order that counts for this tag, under way or behind one; NULL = none. */
struct order *module_order_current(const struct module *m, size_t device, size_t tag);
/* What was ordered before for this tag counts no more. */
void module_order_supersede(struct module *m, size_t device, size_t tag);
/* The record that it will be sent is stored, or could not be. */
void module_order_stored(struct module *m, size_t device, size_t tag, int rc, uint64_t now_ms);
void module_order_read(struct module *m, size_t device, size_t tag, int rc, uint64_t now_ms);
void module_order_written(struct module *m, size_t device, size_t tag,
                          const struct write_result *result, uint64_t now_ms);
/* Moves every order that can move; returns when one will be able to (0 = none). */
uint64_t module_orders_tick(struct module *m, uint64_t now_ms);
void module_orders_free(struct module *m);

/* ---- module_desired.c: what is wanted ---- */

extern const struct report_ack module_own_value;

void module_desired_document(struct module *m, const struct cJSON *desired,
                             const struct cJSON *reported, uint64_t now_ms);
void module_desired_patch(struct module *m, int64_t version, const struct cJSON *patch,
                          uint64_t now_ms);

/* A writable tag's acknowledgement follows the device: 200 becomes 203 when it was changed there. */
void module_follow_device(struct module *m, size_t device, size_t tag, const struct sample *sample,
                          uint64_t now_ms);
