/* A table.
 *
 * Rows are gathered first, because no column's width is known before its last cell. Cells hold
 * what is printed, so that nothing of a peer's reaches the terminal unseen. Fails for want of
 * memory, or when there are more rows than anybody reads. */
#include "bridge/service/show_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    GAP = 2,           /* blanks between columns */
    CELL_LEAST = 6,    /* no column gets narrower for want of room */
    CELL_MOST = 60,    /* nor wider where there is no terminal */
    CELL_MAX = 100000, /* bytes */
};

struct row {
    enum show_mark mark;
    size_t count;
    char **cells; /* `columns` of the table, `count` of them given */
};

struct show_table {
    size_t columns;
    struct row *rows;
    size_t count, capacity;
    size_t widths[SHOW_COLUMNS_MAX];
    int error;
};

struct show_table *show_table_new(size_t columns)
{
    struct show_table *table = calloc(1, sizeof *table);

    if (table != NULL)
        table->columns = columns;
    return table;
}

void show_table_clear(struct show_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        for (size_t j = 0; j < table->rows[i].count; j++)
            free(table->rows[i].cells[j]);
        free(table->rows[i].cells);
    }
    table->count = 0;
}

void show_table_free(struct show_table *table)
{
    if (table == NULL)
        return;
    show_table_clear(table);
    free(table->rows);
    free(table);
}

/* ---- filling ---- */

static int grow(struct show_table *table)
{
    size_t capacity = table->capacity == 0 ? 32 : 2 * table->capacity;
    struct row *rows;

    if (table->count < table->capacity)
        return 0;
    if (capacity > SHOW_ROWS_MAX)
        return -ENOSPC;
    rows = realloc(table->rows, capacity * sizeof *rows);
    if (rows == NULL)
        return -ENOMEM;
    table->rows = rows;
    table->capacity = capacity;
    return 0;
}

void show_table_row(struct show_table *table, enum show_mark mark)
{
    struct row row = { .mark = mark };

    if (table->error == 0)
        table->error = grow(table);
    if (table->error != 0)
        return;
    row.cells = calloc(table->columns, sizeof *row.cells);
    if (row.cells == NULL)
        table->error = -ENOMEM;
    else
        table->rows[table->count++] = row;
}

/* Takes what `text` holds as the next cell. */
static void add_cell(struct show_table *table, const struct buf *text, int rc)
{
    struct row *row;
    char *cell;

    if (table->error == 0)
        table->error = rc;
    if (table->error != 0 || table->count == 0)
        return;
    row = &table->rows[table->count - 1];
    if (row->count == table->columns)
        return;
    cell = strdup(buf_text(text));
    if (cell == NULL)
        table->error = -ENOMEM;
    else
        row->cells[row->count++] = cell;
}

void show_table_text(struct show_table *table, const char *text)
{
    struct buf cell;
    int rc;

    buf_init(&cell, CELL_MAX);
    rc = text == NULL ? 0 : show_text(&cell, text);
    add_cell(table, &cell, rc);
    buf_done(&cell);
}

void show_table_value(struct show_table *table, const struct cJSON *value)
{
    struct buf cell;
    int rc;

    buf_init(&cell, CELL_MAX);
    rc = show_value(&cell, value);
    add_cell(table, &cell, rc);
    buf_done(&cell);
}

/* ---- printing ---- */

static void measure(struct show_table *table, const struct show_style *style)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];

        for (size_t j = 0; row->mark != SHOW_TITLE && j < row->count; j++) {
            size_t width = show_width(row->cells[j]);

            if (style->width == 0 && width > CELL_MOST)
                width = CELL_MOST;
            if (width > table->widths[j])
                table->widths[j] = width;
        }
    }
}

/* Takes columns of the terminal from the widest until all fits, or nothing more can be taken. */
static void squeeze(struct show_table *table, size_t room)
{
    for (;;) {
        size_t total = GAP; /* the mark in front */
        size_t widest = 0;

        for (size_t j = 0; j < table->columns; j++) {
            total += table->widths[j] + (j > 0 ? GAP : 0);
            if (table->widths[j] > table->widths[widest])
                widest = j;
        }
        if (total <= room || table->widths[widest] <= CELL_LEAST)
            return;
        table->widths[widest]--;
    }
}

static const char *colour_of(enum show_mark mark)
{
    switch (mark) {
    case SHOW_HEAD:
    case SHOW_TITLE:
        return "\033[1m";
    case SHOW_DIFFERS:
        return "\033[33m";
    default:
        return "";
    }
}

/* One cell, cut to `width`, with blanks behind it unless it is the row's last. */
static void print_cell(struct buf *out, const char *cell, size_t width, bool last)
{
    size_t length = show_cut(cell, width);
    size_t start = out->length;
    size_t taken;

    buf_add(out, cell, length);
    if (cell[length] != '\0')
        buf_add_text(out, "…");
    if (last || out->error != 0)
        return;
    for (taken = show_width(buf_text(out) + start); taken < width + GAP; taken++)
        buf_add_text(out, " ");
}

static void print_row(struct buf *out, const struct show_table *table, const struct row *row,
                      const struct show_style *style)
{
    const char *colour = style->colour ? colour_of(row->mark) : "";
    size_t count = row->count;

    while (count > 0 && *row->cells[count - 1] == '\0')
        count--;
    buf_add_text(out, colour);
    if (row->mark != SHOW_TITLE)
        buf_add_text(out, row->mark == SHOW_DIFFERS ? "! " : "  ");
    for (size_t j = 0; j < count; j++) {
        if (row->mark == SHOW_TITLE)
            buf_add_text(out, row->cells[j]);
        else
            print_cell(out, row->cells[j], table->widths[j], j + 1 == count);
    }
    buf_add_text(out, *colour == '\0' ? "\n" : "\033[0m\n");
}

int show_table_print(struct show_table *table, struct buf *out, const struct show_style *style)
{
    if (table->error != 0)
        return table->error;
    measure(table, style);
    if (style->width > 0)
        squeeze(table, style->width);
    for (size_t i = 0; i < table->count; i++)
        print_row(out, table, &table->rows[i], style);
    return out->error;
}
