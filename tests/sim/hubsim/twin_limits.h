/* The limits of a twin (reference: iot-hub.md section 4.5). Pure. */
#pragma once

#include "base/err.h"
#include "tests/sim/hubsim/options.h"

#include <cjson/cJSON.h>

#include <stddef.h>

/* Whether a section, or a patch of one, has keys, texts and a depth that twins may have, and no null where
 * null cannot delete: in arrays. 0, or -EINVAL with `err`. */
int twin_check_tree(const cJSON *section, struct err *err);

/* Whether a section counts at most `max` by the rule, and takes at most TWIN_BYTES_FACTOR times as many
 * bytes; a null counts nothing, being none. 0, or -EFBIG with `err`. */
int twin_check_size(const cJSON *section, enum hub_size_rule rule, size_t max, struct err *err);
