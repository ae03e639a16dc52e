/* The twin document: what a write does to it, and what it may hold (reference: iot-hub.md section
 * 4). Pure: trees, counters and stamps in and out.
 *
 * Every write either happens as a whole or leaves the twin untouched. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "tests/sim/hubsim/options.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stdint.h>

enum { /* 4.5; bytes or characters as counted there */
       TWIN_TAGS_MAX = 8 * 1024,
       TWIN_PROPERTIES_MAX = 32 * 1024,
       TWIN_STRING_MAX = 4096,
       TWIN_KEY_MAX = 1024,
       TWIN_DEPTH_MAX = 10,
       TWIN_BYTES_FACTOR = 5, /* bytes of a section for each character that it may count: what UTF-8
                                 needs at most, and one, so that nobody fills the memory with what
                                 counts nothing */
       TWIN_ETAG_MAX = 16,    /* bytes of an etag's text, with the NUL */
};

struct twin_section {
    cJSON *properties; /* owned; an object without $ keys */
    cJSON *metadata;   /* owned; mirrors the objects of `properties` */
    int64_t version;   /* $version: every accepted write adds one */
};

struct twin {
    uint64_t etag;   /* every write to tags or desired adds one */
    int64_t version; /* every write at all adds one */
    cJSON *tags;     /* owned; an object */
    struct twin_section desired;
    struct twin_section reported;
};

/* A twin as it is born: everything empty, versions 1. 0 or -ENOMEM. */
int twin_init(struct twin *twin);

/* Frees the trees. Safe on a zeroed struct. */
void twin_done(struct twin *twin);

/* What a write needs to know besides the twin and its body. */
struct twin_context {
    const char *stamp;             /* the time in $metadata */
    const struct hub_rules *rules; /* how the open points are decided; NULL = their defaults */
};

/* The back end's PATCH: merges `body`'s "tags" and "properties.desired" (4.3: objects merge, null
 * deletes, all else replaces). $version and $metadata of a whole twin sent back are dropped from
 * `body`, the other members ignored.
 *
 * `*notice` gets what a connected module is to be told (3.4: the fragment as it was sent), owned by
 * the caller; NULL when there is nothing to tell (no desired section, or it only deletes what is
 * not there).
 *
 * 0, -EINVAL (a rule of 4.5 broken), -EFBIG (a section too large), both with `err`; -ENOMEM. */
int twin_patch(struct twin *twin, cJSON *body, const struct twin_context *context, cJSON **notice,
               struct err *err);

/* The back end's PUT: tags and desired become what `body` says, a section that it leaves out
 * becomes empty (or stays, under that rule). `*notice` is the new document plus null for every key that is gone (3.4). Else as
 * twin_patch. */
int twin_replace(struct twin *twin, cJSON *body, const struct twin_context *context, cJSON **notice,
                 struct err *err);

/* The module's reported patch: merged into reported. The etag stays, so that device traffic breaks
 * no If-Match of the back end (or changes, under that rule). Errors of twin_patch; keys that start
 * with $ are refused. */
int twin_report(struct twin *twin, const cJSON *patch, const struct twin_context *context,
                struct err *err);

/* The twin's etag as text: base64 of the counter in eight bytes, "AAAAAAAAAAc=" for 7. */
void twin_etag(const struct twin *twin, char out[TWIN_ETAG_MAX]);

/* Appends the members "version", "tags" and "properties" of the service's document (4.1), without
 * braces around. */
void twin_print(struct buf *buf, const struct twin *twin);

/* Appends what the module gets (3.1): {"desired":{...,"$version":n},"reported":{...,"$version":m}}.
 */
void twin_print_for_module(struct buf *buf, const struct twin *twin);

/* Appends an object with "$version" as its last member. */
void twin_print_versioned(struct buf *buf, const cJSON *properties, int64_t version);
