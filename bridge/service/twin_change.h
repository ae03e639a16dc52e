/* A change of a twin, as twin update and twin replace make it: what it would make of the twin, and
 * what of it collides with what somebody else made. Pure. */
#pragma once

#include "bridge/service/show_table.h"

#include <stdbool.h>

struct cJSON;

/* A change and the twins around it; the nodes are the caller's. */
struct twin_change {
    const struct cJSON *body; /* {"tags": ..., "properties": {"desired": ...}}, as it is sent */
    bool replace;             /* it is what is there afterwards, not what is merged into it */
    const struct cJSON *base; /* the twin that it was made for; NULL when that was not read */
    const struct cJSON *now;  /* the twin as it is */
};

/* What the hub would make of `twin`: {"tags": ..., "properties": {"desired": ...}}, the caller's;
 * NULL without memory. */
struct cJSON *twin_change_outcome(const struct twin_change *change, const struct cJSON *twin);

/* Appends what the change would make different in `now`: to `out` as JSON
 * {"etag", "changes": [{"path", "old", "new"}]}, what is not there left out, or as rows to `table`
 * (NULL: JSON). *count is how many. 0 or an error. */
int twin_change_plan(const struct twin_change *change, struct buf *out, struct show_table *table,
                     size_t *count);

/* Appends both sides of a change that came too late: each property that it wanted to change, or
 * that somebody else changed since `base`, with what it was, is, and was to become:
 * {"etag", "properties": [{"path", "was", "now", "wanted", "conflict"}]}, or rows (none when the
 * twin is what it wanted). Both changed it in different ways: that is a conflict. 0 or an error. */
int twin_change_sides(const struct twin_change *change, struct buf *out, struct show_table *table);
