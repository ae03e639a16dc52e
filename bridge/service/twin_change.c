/* What a change makes of a twin.
 *
 * The outcome is computed as the hub does it, and compared property by property with the twin
 * before. Fails for want of memory only. */
#include "bridge/service/twin_change.h"

#include "bridge/service/difference.h"
#include "bridge/service/patch.h"
#include "bridge/service/show.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const sections[] = { "tags", "desired" };

enum { SECTIONS = sizeof sections / sizeof sections[0], KEY_MAX = 1025 };

/* ---- the outcome ---- */

/* A copy of a section of the twin, `change` merged into it (NULL = none); NULL without memory. */
static cJSON *merged(const cJSON *section, const cJSON *change)
{
    cJSON *copy = cJSON_IsObject(section) ? cJSON_Duplicate(section, 1) : cJSON_CreateObject();

    if (copy != NULL && cJSON_IsObject(change) && patch_merge(copy, change) != 0) {
        cJSON_Delete(copy);
        copy = NULL;
    }
    return copy;
}

struct cJSON *twin_change_outcome(const struct twin_change *change, const struct cJSON *twin)
{
    cJSON *parts[SECTIONS];
    cJSON *out = cJSON_CreateObject();
    cJSON *properties = cJSON_AddObjectToObject(out, "properties");
    bool whole = properties != NULL;

    for (size_t i = 0; i < SECTIONS; i++) {
        const cJSON *given = difference_section(change->body, sections[i]);
        cJSON *into = strcmp(sections[i], "tags") == 0 ? out : properties;

        parts[i] = change->replace && given != NULL
                       ? cJSON_Duplicate(given, 1)
                       : merged(difference_section(twin, sections[i]), given);
        if (parts[i] == NULL || !cJSON_AddItemToObject(into, sections[i], parts[i])) {
            cJSON_Delete(parts[i]);
            whole = false;
        }
    }
    if (whole)
        return out;
    cJSON_Delete(out);
    return NULL;
}

/* Both sections compared. */
static int find(struct difference_list *list, const cJSON *old, const cJSON *now)
{
    int rc = 0;

    for (size_t i = 0; i < SECTIONS && rc == 0; i++)
        rc = difference_find(list, sections[i], difference_section(old, sections[i]),
                             difference_section(now, sections[i]));
    return rc;
}

/* ---- saying it ---- */

static void add_member(struct buf *out, const char *key, const cJSON *value)
{
    if (value == NULL)
        return;
    buf_printf(out, ",\"%s\":", key);
    show_json(out, value);
}

static void add_head(struct buf *out, const cJSON *twin, const char *list)
{
    const cJSON *etag = cJSON_GetObjectItemCaseSensitive(twin, "etag");

    buf_add_text(out, "{\"etag\":");
    show_json(out, etag);
    buf_printf(out, ",\"%s\":[", list);
}

static void add_path(struct buf *out, const char *path, bool first)
{
    buf_add_text(out, first ? "{\"path\":" : ",{\"path\":");
    buf_add_json(out, path);
}

static void add_heads(struct show_table *table, const char *const *heads, size_t count)
{
    show_table_row(table, SHOW_HEAD);
    for (size_t i = 0; i < count; i++)
        show_table_text(table, heads[i]);
}

int twin_change_plan(const struct twin_change *change, struct buf *out, struct show_table *table,
                     size_t *count)
{
    static const char *const heads[] = { "PROPERTY", "NOW", "", "THEN" };
    cJSON *outcome = twin_change_outcome(change, change->now);
    struct difference_list list = { 0 };
    int rc = outcome == NULL ? -ENOMEM : find(&list, change->now, outcome);

    if (table == NULL)
        add_head(out, change->now, "changes");
    else
        add_heads(table, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < list.count && rc == 0; i++) {
        const struct difference *item = &list.items[i];

        if (table == NULL) {
            add_path(out, item->path, i == 0);
            add_member(out, "old", item->old);
            add_member(out, "new", item->now);
            buf_add_text(out, "}");
            continue;
        }
        show_table_row(table, SHOW_PLAIN);
        show_table_text(table, item->path);
        show_table_value(table, item->old);
        show_table_text(table, "->");
        if (item->now == NULL)
            show_table_text(table, "removed");
        else
            show_table_value(table, item->now);
    }
    if (table == NULL)
        buf_add_text(out, "]}\n");
    *count = list.count;
    difference_done(&list);
    cJSON_Delete(outcome);
    return rc != 0 ? rc : out->error;
}

/* ---- both sides ---- */

/* Whether an earlier item has the same path. */
static bool is_known(const struct difference_list *list, size_t before, const char *path)
{
    for (size_t i = 0; i < before; i++)
        if (strcmp(list->items[i].path, path) == 0)
            return true;
    return false;
}

static bool same(const cJSON *a, const cJSON *b)
{
    return a == b || (a != NULL && b != NULL && show_same(a, b));
}

/* Whether the change says anything about this property: by name, or by what it makes of an object
 * that holds it. */
static bool is_touched(const cJSON *body, const char *path)
{
    const cJSON *at = body;

    for (bool first = true; cJSON_IsObject(at); first = false) {
        size_t length = strcspn(path, ".");
        char key[KEY_MAX];

        snprintf(key, sizeof key, "%.*s", (int)length, path);
        at = first ? difference_section(at, key) : cJSON_GetObjectItemCaseSensitive(at, key);
        if (at == NULL || path[length] == '\0')
            return at != NULL;
        path += length + 1;
    }
    return true;
}

/* What a property was, is and was to become. */
struct side {
    const cJSON *was, *now, *wanted;
    bool touched, conflict;
};

static struct side side_of(const struct twin_change *change, const cJSON *outcome, const char *path)
{
    struct side side = {
        .was = change->base == NULL ? NULL : difference_at(change->base, path),
        .now = difference_at(change->now, path),
        .wanted = difference_at(outcome, path),
        .touched = change->replace || is_touched(change->body, path),
    };

    side.conflict = side.touched && !same(side.now, side.wanted) &&
                    (change->base == NULL || !same(side.was, side.now));
    return side;
}

static void add_side(const struct twin_change *change, const struct side *side, struct buf *out,
                     struct show_table *table)
{
    if (table == NULL) {
        add_member(out, "was", side->was);
        add_member(out, "now", side->now);
        add_member(out, "wanted", side->touched ? side->wanted : NULL);
        buf_printf(out, ",\"conflict\":%s}", side->conflict ? "true" : "false");
        return;
    }
    if (change->base != NULL)
        show_table_value(table, side->was);
    show_table_value(table, side->now);
    if (side->touched && side->wanted != NULL)
        show_table_value(table, side->wanted);
    else
        show_table_text(table, side->touched ? "removed" : "(not touched)");
}

int twin_change_sides(const struct twin_change *change, struct buf *out, struct show_table *table)
{
    static const char *const heads[] = { "PROPERTY", "WAS", "IS NOW", "YOU WANTED" };
    static const char *const short_heads[] = { "PROPERTY", "IS NOW", "YOU WANTED" };
    const cJSON *base = change->base == NULL ? change->now : change->base;
    cJSON *outcome = twin_change_outcome(change, base);
    struct difference_list list = { 0 };
    bool first = true;
    struct side side;
    int rc = outcome == NULL ? -ENOMEM : find(&list, base, outcome);

    if (rc == 0)
        rc = find(&list, base, change->now);
    if (table == NULL)
        add_head(out, change->now, "properties");
    else if (change->base != NULL && list.count > 0)
        add_heads(table, heads, sizeof heads / sizeof heads[0]);
    else if (list.count > 0)
        add_heads(table, short_heads, sizeof short_heads / sizeof short_heads[0]);
    for (size_t i = 0; i < list.count && rc == 0; i++) {
        if (is_known(&list, i, list.items[i].path))
            continue;
        side = side_of(change, outcome, list.items[i].path);
        if (table == NULL) {
            add_path(out, list.items[i].path, first);
        } else {
            show_table_row(table, side.conflict ? SHOW_DIFFERS : SHOW_PLAIN);
            show_table_text(table, list.items[i].path);
        }
        add_side(change, &side, out, table);
        first = false;
    }
    if (table == NULL)
        buf_add_text(out, "]}\n");
    difference_done(&list);
    cJSON_Delete(outcome);
    return rc != 0 ? rc : out->error;
}
