/* A twin as a table.
 *
 * Both sections are walked together, so that what belongs together stands in one row. An object
 * with numbers ac and av is a module's acknowledgement: its value is compared, its code shown.
 * Nothing of a twin is trusted to be of its documented form: what is missing shows as "-". */
#include "bridge/service/show.h"

#include "config/value.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMNS = 6, CELL_MAX = 44, ROWS_MAX = 10000, TEXT_MAX = 256 };

struct row {
    bool differs;
    char *cells[COLUMNS]; /* property, desired, set, reported, updated, acknowledged */
};

struct table {
    struct row *rows;
    size_t count, capacity;
    size_t differences;
    int64_t now_s;
    int error;
};

/* ---- ages ---- */

void show_age(char out[SHOW_AGE_MAX], const char *time_text, int64_t now_s)
{
    struct tm tm = { 0 };
    const char *rest = time_text == NULL ? NULL : strptime(time_text, "%Y-%m-%dT%H:%M:%S", &tm);
    long long age;

    out[0] = '\0';
    if (rest == NULL)
        return;
    if (tm.tm_year + 1900 <= 1) {
        snprintf(out, SHOW_AGE_MAX, "never");
        return;
    }
    age = (long long)(now_s - (int64_t)timegm(&tm));
    if (age < 0)
        age = 0; /* the clocks of hub and reader differ a little */
    if (age < 120)
        snprintf(out, SHOW_AGE_MAX, "%lld s ago", age);
    else if (age < 2 * 3600)
        snprintf(out, SHOW_AGE_MAX, "%lld min ago", age / 60);
    else if (age < 2 * 86400)
        snprintf(out, SHOW_AGE_MAX, "%lld h ago", age / 3600);
    else
        snprintf(out, SHOW_AGE_MAX, "%lld d ago", age / 86400);
}

/* The age that $metadata tells for a property. */
static void age_of(char out[SHOW_AGE_MAX], const cJSON *metadata, int64_t now_s)
{
    show_age(out, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "$lastUpdated")),
             now_s);
}

/* ---- cells ---- */

/* A text that fits into a cell: one line, no control characters, cut at a whole character. */
static char *cell(const char *text)
{
    char *out = malloc(strlen(text) + 4);
    size_t characters = 0;
    size_t length = 0;

    if (out == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;

        if ((byte & 0xC0) != 0x80 && ++characters > CELL_MAX) {
            memcpy(out + length, "...", 3);
            length += 3;
            break;
        }
        /* C0, DEL, and C1 (which is C2 80 to C2 9F) move a terminal's cursor, or worse. */
        if (byte < ' ' || byte == 0x7F || (byte == 0xC2 && (unsigned char)text[1] < 0xA0)) {
            out[length++] = '?';
            if (byte == 0xC2 && text[1] != '\0')
                text++;
        } else {
            out[length++] = *text;
        }
    }
    out[length] = '\0';
    return out;
}

static char *value_cell(const cJSON *value)
{
    char number[VALUE_TEXT_MAX];
    char *printed;
    char *out;

    if (value == NULL)
        return strdup("-");
    if (cJSON_IsNumber(value)) {
        value_print_number(value->valuedouble, number);
        return strdup(number);
    }
    printed = cJSON_PrintUnformatted(value);
    out = printed == NULL ? NULL : cell(printed);
    cJSON_free(printed);
    return out;
}

static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* ---- rows ---- */

static bool is_acknowledgement(const cJSON *node)
{
    return cJSON_IsObject(node) && cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(node, "ac")) &&
           cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(node, "av"));
}

static bool same(const cJSON *a, const cJSON *b)
{
    if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
        return a->valuedouble == b->valuedouble;
    return cJSON_Compare(a, b, 1);
}

static char *acknowledgement_cell(const cJSON *acknowledgement)
{
    const cJSON *ac = cJSON_GetObjectItemCaseSensitive(acknowledgement, "ac");
    const cJSON *av = cJSON_GetObjectItemCaseSensitive(acknowledgement, "av");
    const char *ad = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(acknowledgement, "ad"));
    char text[TEXT_MAX];
    char version[48] = "";

    if (acknowledgement == NULL)
        return strdup("");
    if (av->valuedouble > 0) /* 0 answers no order: the value is the device's own */
        snprintf(version, sizeof version, " for version %.0f", av->valuedouble);
    snprintf(text, sizeof text, "%.0f%s%s%s", ac->valuedouble, version,
             ad == NULL || *ad == '\0' ? "" : ": ", ad == NULL ? "" : ad);
    return cell(text);
}

/* Whether a person should look at it. */
static bool differs(const cJSON *desired, const cJSON *reported, const cJSON *acknowledgement)
{
    double ac;

    if (desired == NULL)
        return false;
    if (acknowledgement != NULL) {
        ac = cJSON_GetObjectItemCaseSensitive(acknowledgement, "ac")->valuedouble;
        if (ac < 200 || ac > 299 || ac == 202)
            return true;
    }
    return reported == NULL || !same(desired, reported);
}

static struct row *add_row(struct table *table)
{
    struct row *rows;

    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 32 : 2 * table->capacity;
        rows = table->count >= ROWS_MAX ? NULL
                                        : reallocarray(table->rows, table->capacity, sizeof *rows);
        if (rows == NULL) {
            table->error = table->count >= ROWS_MAX ? -ENOSPC : -ENOMEM;
            return NULL;
        }
        table->rows = rows;
    }
    table->rows[table->count] = (struct row){ 0 };
    return &table->rows[table->count++];
}

/* One property. `metadata` are those of desired and reported. */
static void add_property(struct table *table, const char *path, const cJSON *desired,
                         const cJSON *reported, const cJSON *const metadata[2])
{
    const cJSON *acknowledgement = is_acknowledgement(reported) ? reported : NULL;
    struct row *row = table->error == 0 ? add_row(table) : NULL;
    char age[2][SHOW_AGE_MAX] = { "", "" };

    if (row == NULL)
        return;
    if (acknowledgement != NULL)
        reported = cJSON_GetObjectItemCaseSensitive(reported, "value");
    if (desired != NULL)
        age_of(age[0], metadata[0], table->now_s);
    age_of(age[1], metadata[1], table->now_s);
    row->differs = differs(desired, reported, acknowledgement);
    table->differences += row->differs;
    row->cells[0] = cell(path);
    row->cells[1] = value_cell(desired);
    row->cells[2] = strdup(age[0]);
    row->cells[3] = value_cell(reported);
    row->cells[4] = strdup(age[1]);
    row->cells[5] = acknowledgement_cell(acknowledgement);
    for (size_t i = 0; i < COLUMNS; i++)
        if (row->cells[i] == NULL)
            table->error = -ENOMEM;
}

/* Not a property of the user's: the hub's own entries, and the mark of a component. */
static bool is_hidden(const cJSON *child)
{
    return child->string[0] == '$' || strcmp(child->string, "__t") == 0;
}

static void walk(struct table *table, const char *path, const cJSON *desired, const cJSON *reported,
                 const cJSON *const metadata[2]);

/* The child `key` of both sides. */
static void walk_child(struct table *table, const char *path, const char *key, const cJSON *desired,
                       const cJSON *reported, const cJSON *const metadata[2])
{
    const cJSON *below[2] = { cJSON_GetObjectItemCaseSensitive(metadata[0], key),
                              cJSON_GetObjectItemCaseSensitive(metadata[1], key) };
    size_t size = strlen(path) + strlen(key) + 2;
    char *name = malloc(size);

    if (name == NULL) {
        table->error = -ENOMEM;
        return;
    }
    snprintf(name, size, "%s%s%s", path, *path == '\0' ? "" : ".", key);
    walk(table, name, cJSON_GetObjectItemCaseSensitive(desired, key),
         cJSON_GetObjectItemCaseSensitive(reported, key), below);
    free(name);
}

static void walk(struct table *table, const char *path, const cJSON *desired, const cJSON *reported,
                 const cJSON *const metadata[2])
{
    size_t before = table->count;

    if ((desired != NULL && !cJSON_IsObject(desired)) ||
        (reported != NULL && !cJSON_IsObject(reported)) || is_acknowledgement(reported)) {
        add_property(table, path, desired, reported, metadata);
        return;
    }
    for (const cJSON *child = desired == NULL ? NULL : desired->child; child != NULL;
         child = child->next)
        if (!is_hidden(child))
            walk_child(table, path, child->string, desired, reported, metadata);
    for (const cJSON *child = reported == NULL ? NULL : reported->child; child != NULL;
         child = child->next)
        if (!is_hidden(child) && cJSON_GetObjectItemCaseSensitive(desired, child->string) == NULL)
            walk_child(table, path, child->string, desired, reported, metadata);
    if (table->count == before && *path != '\0')
        add_property(table, path, desired, reported, metadata);
}

/* ---- printing ---- */

static void print_rows(struct buf *out, const struct table *table)
{
    static const char *const heads[COLUMNS] = { "PROPERTY", "DESIRED", "SET",
                                                "REPORTED", "UPDATED", "ACKNOWLEDGED" };
    size_t widths[COLUMNS];

    for (size_t i = 0; i < COLUMNS; i++) {
        widths[i] = strlen(heads[i]);
        for (size_t j = 0; j < table->count; j++)
            if (width_of(table->rows[j].cells[i]) > widths[i])
                widths[i] = width_of(table->rows[j].cells[i]);
    }
    for (size_t j = 0; j <= table->count; j++) {
        const char *const *cells = j == 0 ? heads : (const char *const *)table->rows[j - 1].cells;
        size_t last = COLUMNS - 1;

        while (last > 0 && *cells[last] == '\0')
            last--;
        buf_add_text(out, j > 0 && table->rows[j - 1].differs ? "! " : "  ");
        for (size_t i = 0; i <= last; i++)
            buf_printf(out, "%s%*s", cells[i],
                       i == last ? 0 : (int)(widths[i] - width_of(cells[i]) + 2), "");
        buf_add_text(out, "\n");
    }
}

static double version_of(const cJSON *section)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(section, "$version");

    return cJSON_IsNumber(version) ? version->valuedouble : 0;
}

static int print_head(struct buf *out, const cJSON *twin, const char *name, const cJSON *desired,
                      const cJSON *reported)
{
    const char *etag = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(twin, "etag"));
    const char *state = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(twin, "connectionState"));
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive(twin, "tags");
    char *cells[2] = { cell(etag == NULL ? "-" : etag), cell(state == NULL ? "-" : state) };

    if (cells[0] != NULL && cells[1] != NULL)
        buf_printf(out, "%s: etag %s, desired version %.0f, reported version %.0f, %s\n", name,
                   cells[0], version_of(desired), version_of(reported), cells[1]);
    free(cells[0]);
    free(cells[1]);
    if (cJSON_GetArraySize(tags) > 0) {
        char *text = value_cell(tags);

        buf_printf(out, "tags: %s\n", text == NULL ? "" : text);
        free(text);
    }
    return out->error;
}

static void table_done(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        for (size_t j = 0; j < COLUMNS; j++)
            free(table->rows[i].cells[j]);
    free(table->rows);
}

int show_twin(struct buf *out, const struct cJSON *twin, const char *name, int64_t now_s)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(twin, "properties");
    const cJSON *desired = cJSON_GetObjectItemCaseSensitive(properties, "desired");
    const cJSON *reported = cJSON_GetObjectItemCaseSensitive(properties, "reported");
    const cJSON *metadata[2] = { cJSON_GetObjectItemCaseSensitive(desired, "$metadata"),
                                 cJSON_GetObjectItemCaseSensitive(reported, "$metadata") };
    struct table table = { .now_s = now_s };

    walk(&table, "", desired, reported, metadata);
    if (table.error == 0)
        table.error = print_head(out, twin, name, desired, reported);
    if (table.error == 0 && table.count > 0)
        print_rows(out, &table);
    if (table.error == 0 && table.count == 0)
        buf_add_text(out, "  no properties\n");
    if (table.error == 0 && table.differences > 0)
        buf_printf(out, "! %zu desired %s not reported as desired\n", table.differences,
                   table.differences == 1 ? "property is" : "properties are");
    table_done(&table);
    return table.error != 0 ? table.error : out->error;
}
