/* A twin for a person: desired and reported side by side. Pure. */
#pragma once

#include "base/buf.h"

#include <stdint.h>

struct cJSON;

/* Appends a table of the twin's properties: '!' where a desired value is not the reported one or
 * its acknowledgement is no success, how long ago each was written as seen from `now_s` (UTC), and
 * the acknowledgements of the module. Control characters are never written. 0, or buf's errors,
 * -ENOMEM. */
int show_twin(struct buf *out, const struct cJSON *twin, const char *name, int64_t now_s);

/* Writes an age in the largest fitting unit, "12 s ago", "3 min ago", "5 h ago", "8 d ago"; "never"
 * for the hub's year 1; "" for what is no time ("2026-11-22T10:00:00.1234567Z" is one). */
enum { SHOW_AGE_MAX = 24 };
void show_age(char out[SHOW_AGE_MAX], const char *time_text, int64_t now_s);
