/* Values and texts of a twin for a person: one line, nothing that moves a terminal's cursor, as
 * wide as there is room. Pure. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

/* Appends the value as compact JSON whose numbers read back the same (cJSON's own lose digits). 0
 * or an error of buf's. */
int show_json(struct buf *out, const struct cJSON *node);

/* Appends a text of UTF-8 as one line: control characters, direction overrides and what is no UTF-8
 * are written out ("\n", "\u001b", "\xff"), so that they are seen and do nothing. 0 or an error of
 * buf's. */
int show_text(struct buf *out, const char *text);

/* Appends the value for a person: "-" when there is none (NULL), else its JSON by show_text. 0 or
 * an error of buf's. */
int show_value(struct buf *out, const struct cJSON *node);

/* How many columns of a terminal a text takes: 2 for wide characters (CJK, emoji), 0 for combining
 * marks, 1 for the rest. */
size_t show_width(const char *text);

/* Where a text has to be cut to take at most `columns` columns with a "…" behind it; its whole
 * length when it fits. */
size_t show_cut(const char *text, size_t columns);

/* Writes an age in the largest fitting unit, "12 s", "3 min", "5 h", "8 d"; "never" for the hub's
 * year 1; "" for what is no time ("2026-11-22T10:00:00.1234567Z" is one). */
enum { SHOW_AGE_MAX = 24 };
void show_age(char out[SHOW_AGE_MAX], const char *time_text, int64_t now_s);
