/* A table for a person: columns that are as wide as what stands in them, and no wider than the
 * terminal. Pure. */
#pragma once

#include "bridge/service/show_value.h"

#include <stdbool.h>
#include <stddef.h>

/* What the output is shown on. */
struct show_style {
    size_t width; /* columns of the terminal; 0 = it is none, or endless */
    bool colour;
};

/* What a row is besides its cells. */
enum show_mark {
    SHOW_PLAIN,
    SHOW_HEAD,    /* the heads of the columns */
    SHOW_DIFFERS, /* '!' in front: somebody should look at it */
    SHOW_TITLE,   /* one text across all columns */
};

enum { SHOW_COLUMNS_MAX = 32, SHOW_ROWS_MAX = 20000 };

struct show_table;

/* A table of `columns` columns (1 to SHOW_COLUMNS_MAX). NULL without memory. */
struct show_table *show_table_new(size_t columns);
void show_table_free(struct show_table *table); /* NULL is fine */

/* Begins a row: its cells follow, from the left; those that are not given are empty. The first
 * failure of a table sticks and is returned by show_table_print: -ENOMEM, -ENOSPC (too many rows). */
void show_table_row(struct show_table *table, enum show_mark mark);

/* The next cell of the row: a text (by show_text, NULL is as ""), or a value (by show_value). More
 * cells than columns are dropped. */
void show_table_text(struct show_table *table, const char *text);
void show_table_value(struct show_table *table, const struct cJSON *value);

/* Appends the rows. Columns keep at least the widths of earlier prints of this table. What is too
 * wide for the terminal is cut, the widest columns first. 0, or the first failure. */
int show_table_print(struct show_table *table, struct buf *out, const struct show_style *style);

/* Forgets the rows, keeps the widths of the columns: for a table that goes on. */
void show_table_clear(struct show_table *table);
