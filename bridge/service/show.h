/* A twin for a person: desired and reported side by side. Pure. */
#pragma once

#include "bridge/service/show_table.h"

#include <stdint.h>

struct cJSON;

/* Appends the twin `name`: a line of what it is, a table of its properties, its tags. A property
 * shows its desired and its reported value, how long ago each was written as seen from `now_s`
 * (UTC), and what the module's acknowledgement {value, ac, av, ad} says of it; '!' where a desired
 * value is not the reported one or was not done. Components ("__t": "c") stand together. 0, or an
 * error of show_table_print. */
int show_twin(struct buf *out, const struct cJSON *twin, const char *name, int64_t now_s,
              const struct show_style *style);

/* Whether a reported value is an acknowledgement: an object with the numbers ac and av. */
bool show_is_acknowledgement(const struct cJSON *node);

/* Appends what an acknowledgement says in a few words: "ok", "202 pending", "504 failed: not
 * written". `wanted` is the desired version that it should answer; it is told when it answers an
 * older one. 0 or an error of buf's. */
int show_acknowledgement(struct buf *out, const struct cJSON *acknowledgement, double wanted);

/* Whether two values are the same: numbers as numbers, objects whatever their order. */
bool show_same(const struct cJSON *a, const struct cJSON *b);
