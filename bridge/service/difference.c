/* What differs between two JSON documents.
 *
 * One walk over the keys of both, those of the older first. Keys that a hub forbids in properties
 * ('$' in front) are its own. Fails for want of memory, or when there is more than anybody reads. */
#include "bridge/service/difference.h"

#include "bridge/service/show.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 1025 }; /* a hub's longest, and the NUL */

void difference_done(struct difference_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].path);
    free(list->items);
    *list = (struct difference_list){ 0 };
}

static int add(struct difference_list *list, const char *path, const cJSON *old, const cJSON *now)
{
    size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    struct difference *items;
    char *copy;

    if (list->count == DIFFERENCE_MAX)
        return -ENOSPC;
    if (list->count == list->capacity) {
        items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    copy = strdup(path);
    if (copy == NULL)
        return -ENOMEM;
    list->items[list->count++] = (struct difference){ copy, old, now };
    return 0;
}

/* An object that is gone into: with entries, or beside one with entries. */
static bool is_branch(const cJSON *node)
{
    return cJSON_IsObject(node) && !show_is_acknowledgement(node);
}

static bool has_entries(const cJSON *node)
{
    for (const cJSON *child = is_branch(node) ? node->child : NULL; child != NULL;
         child = child->next)
        if (child->string[0] != '$')
            return true;
    return false;
}

/* One side and the other's absence, or both, are objects, and there is something in them. */
static bool is_gone_into(const cJSON *old, const cJSON *now)
{
    return (old == NULL || is_branch(old)) && (now == NULL || is_branch(now)) &&
           (has_entries(old) || has_entries(now));
}

/* A name that comes twice, which no hub sends, counts once, as everywhere. */
static bool is_first(const cJSON *object, const cJSON *child)
{
    return cJSON_GetObjectItemCaseSensitive(object, child->string) == child;
}

/* The same property of both; `key` is its name. */
static int find_child(struct difference_list *list, const char *path, const cJSON *old,
                      const cJSON *now, const char *key)
{
    size_t size = strlen(path) + strlen(key) + 2;
    char *name;
    int rc;

    if (key[0] == '$')
        return 0;
    name = malloc(size);
    if (name == NULL)
        return -ENOMEM;
    snprintf(name, size, "%s%s%s", path, *path == '\0' ? "" : ".", key);
    rc = difference_find(list, name, old, now);
    free(name);
    return rc;
}

int difference_find(struct difference_list *list, const char *root, const struct cJSON *old,
                    const struct cJSON *now)
{
    int rc = 0;

    if (old == NULL && now == NULL)
        return 0;
    if (!is_gone_into(old, now)) {
        if (old != NULL && now != NULL &&
            (show_same(old, now) || (is_branch(old) && is_branch(now))))
            return 0;
        return add(list, root, old, now);
    }
    for (const cJSON *child = old == NULL ? NULL : old->child; child != NULL && rc == 0;
         child = child->next)
        if (is_first(old, child))
            rc = find_child(list, root, child, cJSON_GetObjectItemCaseSensitive(now, child->string),
                            child->string);
    for (const cJSON *child = now == NULL ? NULL : now->child; child != NULL && rc == 0;
         child = child->next)
        if (cJSON_GetObjectItemCaseSensitive(old, child->string) == NULL && is_first(now, child))
            rc = find_child(list, root, NULL, child, child->string);
    return rc;
}

const struct cJSON *difference_section(const struct cJSON *twin, const char *name)
{
    if (strcmp(name, "desired") == 0 || strcmp(name, "reported") == 0)
        twin = cJSON_GetObjectItemCaseSensitive(twin, "properties");
    return cJSON_GetObjectItemCaseSensitive(twin, name);
}

int difference_find_twin(struct difference_list *list, const struct cJSON *old,
                         const struct cJSON *now)
{
    static const char *const parts[] = { "connectionState", "status", "tags", "desired",
                                         "reported" };
    int rc = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && rc == 0; i++)
        rc = difference_find(list, parts[i], difference_section(old, parts[i]),
                             difference_section(now, parts[i]));
    return rc;
}

const struct cJSON *difference_at(const struct cJSON *twin, const char *path)
{
    const cJSON *at = twin;

    for (bool first = true; at != NULL; first = false) {
        size_t length = strcspn(path, ".");
        char key[KEY_MAX];

        if (length >= sizeof key)
            return NULL;
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        at = first ? difference_section(at, key) : cJSON_GetObjectItemCaseSensitive(at, key);
        if (path[length] == '\0')
            break;
        path += length + 1;
    }
    return show_is_acknowledgement(at) ? cJSON_GetObjectItemCaseSensitive(at, "value") : at;
}
