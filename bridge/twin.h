/* Twin documents as JSON trees: strict reading of what a hub sent, versions, merge patches. Pure.
 *
 * cJSON alone is too kind: it passes bad UTF-8, numbers like 01 and 1e400, keys that stand twice, and
 * nesting of 1,000. What is accepted here means the same to every reader. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cJSON;

enum {
    TWIN_BYTES_MAX = 256 * 1024,
    /* Containers in containers: a section allows 10 levels below its root (iot-hub.md section 4.5), the
     * document of a get has one more above, and a little room is left. */
    TWIN_DEPTH_MAX = 14,
    TWIN_VALUES_MAX = 32 * 1024, /* a section is 32 KB at most, a value at least 4 bytes */
};

/* Reads a text that is one JSON object and nothing else. 0 and a tree that the caller deletes; -EBADMSG:
 * not that, or with a doubled key, U+0000, bad UTF-8, a number beyond a double (or cJSON had no
 * memory); -ENOSPC: over a limit; -ENOMEM. */
int twin_parse(struct cJSON **out, const void *text, size_t length);

/* The section's "$version", a whole number of 0 to 2^53; -1 when there is none. */
int64_t twin_version(const struct cJSON *section);

/* Sets "$version". 0, -ENOMEM. */
int twin_set_version(struct cJSON *section, int64_t version);

/* Removes the members whose name starts with '$' from the object itself (not from inside its values). */
void twin_strip(struct cJSON *object);

/* RFC 7396: null removes, an object merges, anything else replaces. Members of the patch itself whose
 * name starts with '$' are left out (not inside its values, as twin_strip). 0; -ENOMEM: `target` is then half merged. */
int twin_merge(struct cJSON *target, const struct cJSON *patch);
