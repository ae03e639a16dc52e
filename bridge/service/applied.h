/* Whether a write on a twin that was answered "etag lost" at its second try had been done by its
 * first, whose answer was lost. Pure. */
#pragma once

#include <stdbool.h>

struct cJSON;

/* `twin` is the twin as it is now, `patch` the body of a PATCH on it: true when applying it (again)
 * would change nothing. */
bool applied_patch(const struct cJSON *twin, const struct cJSON *patch);

/* The same for the body of a PUT: what it names of tags and desired properties is all there is. */
bool applied_replace(const struct cJSON *twin, const struct cJSON *document);
