/* What differs between two JSON documents, property by property. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

enum { DIFFERENCE_MAX = 20000 };

/* One property that differs. Its values are nodes of the documents, which must outlive this; NULL =
 * it is not there. */
struct difference {
    char *path; /* "desired.mode.night" */
    const struct cJSON *old;
    const struct cJSON *now;
};

struct difference_list {
    struct difference *items;
    size_t count, capacity;
};

/* Appends what differs between `old` and `now` (NULL = nothing is there), each with `root` and a
 * dot in front of its path. Objects are gone into; arrays, scalars, empty objects and a module's
 * acknowledgements are compared whole. What the hub keeps beside properties ($version, $metadata)
 * is passed over. 0; -ENOMEM; -ENOSPC over DIFFERENCE_MAX. The list holds what was found till then.
 */
int difference_find(struct difference_list *list, const char *root, const struct cJSON *old,
                    const struct cJSON *now);

/* The same for the parts of a twin that people care for: connectionState, status, tags, desired and
 * reported. */
int difference_find_twin(struct difference_list *list, const struct cJSON *old,
                         const struct cJSON *now);

/* Frees what the list owns; it is then empty. */
void difference_done(struct difference_list *list);

/* The property that a path names: "desired.mode.night", "reported.x", "tags.site",
 * "connectionState"; NULL when the twin does not have it. A module's acknowledgement stands for its
 * value when it is the last part. */
const struct cJSON *difference_at(const struct cJSON *twin, const char *path);

/* The part of a twin that a path begins with: "desired" and "reported" are its properties'. NULL
 * when it has none. */
const struct cJSON *difference_section(const struct cJSON *twin, const char *name);
