/* The desired document of one module twin, read: which property is an order, which is refused, which
 * stands as it was. Design section 8. Pure: decides, does nothing.
 *
 * The hub versions the document, not the property. Per property the store keeps the last order
 * (struct desired_record). In a patch every property it names is a new order, equal or not. In a whole
 * document only what differs from its record is an order, and that is read before it is written. */
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

/* The last order for one property and its result. */
struct desired_record {
    int64_t version; /* av */
    char *desired;   /* owned: the value as ordered, JSON text */
    int code;        /* ac; 0 = was meant to be sent, outcome not known */
    char *detail;    /* owned: ad */
};

/* A name that is no tag, refused before. */
struct desired_unknown {
    struct desired_unknown *next;
    uintptr_t id;    /* unique in the module */
    char *component; /* owned; "" = at the top */
    char *name;      /* owned */
    struct desired_record record;
};

enum desired_kind {
    DESIRED_ORDER,  /* write it; with `read_first` only if the device holds another value */
    DESIRED_REFUSE, /* acknowledge with `code` and `detail`, write nothing */
    DESIRED_KEEP,   /* as recorded: the record's acknowledgement stands */
    DESIRED_CLEAR,  /* not desired any more: write nothing, forget the record */
};

#define DESIRED_NO_TAG SIZE_MAX

struct desired_decision {
    enum desired_kind kind;
    size_t device; /* position in the module; with no tag, DESIRED_NO_TAG unless in a component */
    size_t tag;    /* DESIRED_NO_TAG: a name that is no tag */
    const char *component, *name; /* of the property in the twin; component "" = at the top */
    const struct cJSON *node;     /* as desired; NULL with DESIRED_CLEAR */
    int64_t version;              /* av of the acknowledgement to come */
    struct value value;           /* of an order, engineering units */
    bool read_first;
    int code;
    const char *detail;
};

typedef void desired_emit(void *data, const struct desired_decision *decision);

struct desired_input {
    const struct config *config;
    size_t module;
    bool first;               /* the first whole document since start: on_start counts */
    int64_t recorded_version; /* highest $version ever recorded; -1 = the store knows nothing */

    /* The record of a tag; NULL = none. */
    const struct desired_record *(*record)(const void *data, size_t device, size_t tag);
    /* Whether an order for it is under way, which may have no record yet. */
    bool (*ordered)(const void *data, size_t device, size_t tag);
    /* The first of the names refused before, now: an `emit` may add to the list and take from it. */
    const struct desired_unknown *(*unknown)(const void *data);
    const void *data;
};

/* Decides a desired patch: one `emit` per property it names. `patch` has no keys that start with $. */
void desired_patch(const struct desired_input *input, int64_t version, const struct cJSON *patch,
                   desired_emit *emit, void *data);

/* Decides a whole document: one `emit` per property that it names, has a record or is under way. `reported` is
 * the other section of the same get: the acknowledgements there stand in for records that are lost. */
void desired_document(const struct desired_input *input, const struct cJSON *desired,
                      const struct cJSON *reported, desired_emit *emit, void *data);

/* Whether `node` may be written to `tag`: 0 and the value, or the code (400, 403) and why, a constant
 * text. */
int desired_check(const struct config *config, const struct config_tag *tag,
                  const struct cJSON *node, struct value *out, const char **detail);

/* The value as JSON text for the record; to be freed, NULL without memory. */
char *desired_text(const struct cJSON *node);
