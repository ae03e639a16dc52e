/* What the files of report share: its state, and the few questions all of them ask. Private to
 * report.c, report_ready.c and report_patch.c. */
#pragma once

#include "bridge/report.h"

#include <cjson/cJSON.h>

struct acknowledgement {
    bool present; /* the property is an object {value, ac, av, ad} */
    int code;
    int64_t version;
    char *detail; /* owned; NULL = "" */
};

struct slot {
    struct value last;    /* put into a patch last, or found in the twin */
    struct value written; /* without being read back */
    uint64_t written_ms;
    uint64_t last_ms; /* when it was put; 0 = not since start */
    struct acknowledgement ack;
    const char *reason; /* why it is bad; NULL = it is not */
    bool owed;          /* what was read last is not what the twin holds, but not fresh any more */
    bool unsure;        /* a patch with `last` was lost: the twin may hold another value */
    bool foreign;       /* the twin may hold an object where a plain value belongs */
    bool dirty, flying;
    bool bad_dirty, bad_flying; /* its entry in health.bad */
};

struct refusal {
    struct refusal *next;
    char *component;
    char *name;
    struct acknowledgement ack;
    bool gone; /* null it, then drop it */
    bool dirty, flying;
};

struct health {
    char *state; /* owned; NULL until told */
    char *error; /* owned; NULL = "" */
    int64_t since_wall_ms;
    bool named; /* desired names `health` itself, where no refusal can stand: it is only counted */
    bool dirty, flying;
};

struct report {
    const struct config *config;
    const struct config_module *module;
    report_latest *latest;
    const void *data;
    struct slot *slots; /* of all tags of all devices, one after the other */
    size_t *first;      /* of each device, its first slot; one more at the end */
    struct health *health;
    struct refusal *refusals;
    size_t refusal_count;
    size_t refused_more; /* over the limit */
    bool refused_shown;  /* the twin may hold health.refused */
    cJSON *strange;      /* nulls for keys found in the twin that nobody owns; NULL = none */
    bool strange_flying;
    uint64_t due_ms; /* earliest moment at which report_write may find something; 0 = never */
};

const struct config_device *report_device(const struct report *report, size_t device);
struct slot *report_slot(const struct report *report, size_t device, size_t tag);

/* report_write may find something from `due_ms` on. */
void report_wake(struct report *report, uint64_t due_ms);

/* How long a property may stay silent while fresh samples come; 0 = for ever. */
uint32_t report_silence_ms(const struct config_tag *tag);

bool report_fresh(const struct sample *sample, const struct config_tag *tag, uint64_t now_ms);

/* The value to report now; VALUE_NONE when there is no fresh one. The time of its sample goes into
 * *newest_wall_ms when it is later (NULL: not wanted). */
struct value report_value(const struct report *report, size_t device, size_t tag, uint64_t now_ms,
                          int64_t *newest_wall_ms);

/* There is nothing fresh to say: when the same value is read again nobody tells, so it is looked for. */
void report_owe(const struct report *report, size_t device, size_t tag);

/* Forgets the refusals whose null has arrived. */
void report_drop_gone(struct report *report);

struct refusal *report_refusal(const struct report *report, const char *component,
                               const char *name);

/* How many refusals cannot be shown under their own name. */
size_t report_refused(const struct report *report);

/* An owned text, NULL standing for "". */
static inline const char *report_text(const char *text)
{
    return text == NULL ? "" : text;
}
