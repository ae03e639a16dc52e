/* The twin patch that a command line describes. Pure.
 *
 * A fragment is a JSON object that is put together from assignments ("a.b=1") and documents; each
 * property may be named once. patch_body makes the request's body of it. */
#pragma once

#include "base/err.h"

#include <stddef.h>

struct cJSON;

enum patch_form {
    PATCH_DESIRED, /* the fragment is of the desired properties */
    PATCH_TAGS,    /* of the tags */
    PATCH_WHOLE,   /* it is a twin: its tags and properties.desired count */
};

/* Adds "path=value": the path's parts are separated by dots, the value is JSON if it is that by
 * given.h, else text. 0; -ENOMEM; -EINVAL with `err`. */
int patch_add_assignment(struct cJSON *fragment, const char *text, struct err *err);

/* Adds a document, a JSON object of `length` bytes (a NUL must follow them). `source` names it in
 * messages. 0; -ENOMEM; -EINVAL with `err` (line and column of what is no JSON by given.h). */
int patch_add_document(struct cJSON *fragment, const char *text, size_t length, const char *source,
                       struct err *err);

/* The body of the request, to be freed: {"tags": ..., "properties": {"desired": ...}}, as far as
 * the fragment has them. Numbers are written so that they read back the same. What the hub keeps
 * beside the properties ($version, $metadata) is left out of a whole twin and refused elsewhere. 0;
 * -ENOMEM; -EINVAL with `err`: a key that no twin can have, a number that is none, nothing to
 * change. */
int patch_body(char **out, const struct cJSON *fragment, enum patch_form form, struct err *err);

/* The body of a replacement, to be freed: both sections always, because a hub may take a section
 * that is not there for an empty one. A section that the fragment does not give is as `twin`, which
 * was just read, has it. An empty fragment empties its section. 0; -ENOMEM; -EINVAL with `err`, as
 * patch_body, and for null: what is to go is left out. */
int patch_replacement(char **out, const struct cJSON *fragment, enum patch_form form,
                      const struct cJSON *twin, struct err *err);

/* Makes of `section` what a hub makes of it by `patch` (iot-hub.md section 4.3): objects are merged,
 * null deletes, everything else replaces. 0; -ENOMEM, with a part of it done. */
int patch_merge(struct cJSON *section, const struct cJSON *patch);
