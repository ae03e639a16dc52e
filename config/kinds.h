/* Whether a node is of the kind its key wants. Pure. */
#pragma once

#include "config/config.h"

enum { KIND_TEXT_MAX = 256 };

/* Whether `node` is what `key` wants. A secret never is. */
bool kind_fits(const struct config_key *key, const struct cJSON *node);

/* Reports a node that does not fit: what it is, and what to write. Silent about one that fits, and about
 * a secret, which is reported as such. */
void kind_check(const struct config_key *key, const struct cJSON *node,
                struct config_errors *errors);

/* Writes what a node is, for a message: `"abc"`, `5`, `an object`; returns `out`. */
const char *kind_describe(const struct cJSON *node, char out[KIND_TEXT_MAX]);
