/* The keys of the mapping file: which may stand where, and what a wrong one should have been. Pure.
 *
 * The general keys are here, an adapter's own are in its table. Where it is not yet known which adapter
 * is meant (the file, a template), the keys of all are allowed. */
#pragma once

#include "config/config.h"

struct keys {
    const struct config_adapter *const *adapters; /* all, NULL-terminated */
    const struct config_adapter *only;            /* whose keys are allowed; NULL = any */
};

/* The key `name` as it may stand at `level` (one bit); NULL when it may not. */
const struct config_key *keys_find(const struct keys *keys, unsigned level, const char *name);

/* Checks the members of `object`: unknown keys, with what they should have been, and wrong kinds. */
void keys_check(const struct keys *keys, unsigned level, const struct cJSON *object,
                struct config_errors *errors);

/* Whether a key names a secret ("connection_string", "password") whose text stands right in the file. */
bool keys_is_secret(const struct cJSON *node);

/* Reports every secret in the tree, whatever key it hides behind. */
void keys_check_secrets(const struct cJSON *root, struct config_errors *errors);

/* The general keys, and other products' spellings of ours; for tests. `theirs` NULL ends it. */
extern const struct config_key keys_general[];
struct keys_spelling {
    const char *theirs; /* lower case, without - and _ */
    const char *ours;
};
extern const struct keys_spelling keys_spellings[];
