/* Twin documents.
 *
 * Happy path: one walk over the bytes checks what cJSON does not (UTF-8, depth, strings, numbers), cJSON
 * builds the tree, one walk over the tree finds doubled keys.
 * Fails when: any of these finds something; there is no partial result. The depth is known before
 * cJSON sees the text, so that nothing recurses further than TWIN_DEPTH_MAX. */
#include "bridge/twin.h"

#include "bridge/mqtt.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_MAX 9007199254740992.0 /* 2^53: exact as a double up to here */

/* ---- the text ---- */

/* The position behind a string's closing quote; NULL when it does not end, or holds a control character
 * or the escape of U+0000, which would cut it. `text` is behind the opening quote. */
static const char *skip_string(const char *text)
{
    for (; *text != '"'; text++) {
        if ((unsigned char)*text < ' ')
            return NULL;
        if (*text != '\\')
            continue;
        text++;
        if (*text == 0 || strncmp(text, "u0000", 5) == 0)
            return NULL;
    }
    return text + 1;
}

static const char *skip_digits(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits == 0 ? NULL : text + digits;
}

/* The position behind a number (RFC 8259, section 6); NULL when it is none. */
static const char *skip_number(const char *text)
{
    if (*text == '-')
        text++;
    if (*text == '0')
        text++;
    else
        text = skip_digits(text);
    if (text != NULL && *text == '.')
        text = skip_digits(text + 1);
    if (text != NULL && (*text == 'e' || *text == 'E')) {
        text++;
        text = skip_digits(*text == '+' || *text == '-' ? text + 1 : text);
    }
    if (text != NULL && *text != 0 && strchr("0123456789.eE+-", *text) != NULL)
        return NULL;
    return text;
}

/* Checks strings, numbers, white space and depth; the order of tokens is left to cJSON. */
static int check_text(const char *text)
{
    size_t depth = 0, values = 0;

    while (*text != 0) {
        if (*text == '"') {
            text = skip_string(text + 1);
        } else if (*text == '-' || (*text >= '0' && *text <= '9')) {
            text = skip_number(text);
        } else if ((unsigned char)*text < ' ' && strchr("\t\r\n", *text) == NULL) {
            text = NULL;
        } else {
            if (*text == '{' || *text == '[')
                depth++;
            if ((*text == '}' || *text == ']') && depth > 0)
                depth--;
            if (*text == ',')
                values++;
            if (depth > TWIN_DEPTH_MAX || values > TWIN_VALUES_MAX)
                return -ENOSPC;
            text++;
        }
        if (text == NULL)
            return -EBADMSG;
    }
    return 0;
}

/* ---- the tree ---- */

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

/* -EBADMSG when two members have one name. Sorted: a peer chooses how many there are. */
static int check_names(const cJSON *object)
{
    size_t count = (size_t)cJSON_GetArraySize(object), i = 0;
    const char **names;
    const cJSON *item;
    int rc = 0;

    if (count < 2)
        return 0;
    names = malloc(count * sizeof *names);
    if (names == NULL)
        return -ENOMEM;
    cJSON_ArrayForEach(item, object) names[i++] = item->string;
    qsort(names, count, sizeof *names, compare_names);
    for (i = 1; i < count && rc == 0; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            rc = -EBADMSG;
    }
    free(names);
    return rc;
}

static int check_tree(const cJSON *node)
{
    const cJSON *item;
    int rc = 0;

    if (cJSON_IsNumber(node) && !isfinite(node->valuedouble))
        return -EBADMSG;
    if (cJSON_IsObject(node))
        rc = check_names(node);
    if (!cJSON_IsObject(node) && !cJSON_IsArray(node))
        return rc;
    cJSON_ArrayForEach(item, node)
    {
        if (rc != 0)
            break;
        rc = check_tree(item);
    }
    return rc;
}

int twin_parse(cJSON **out, const void *text, size_t length)
{
    char *copy;
    cJSON *tree = NULL;
    int rc;

    if (length > TWIN_BYTES_MAX)
        return -ENOSPC;
    if (!mqtt_utf8_valid(text, length)) /* refuses a NUL too */
        return -EBADMSG;
    copy = malloc(length + 1);
    if (copy == NULL)
        return -ENOMEM;
    if (length > 0)
        memcpy(copy, text, length);
    copy[length] = 0;
    rc = check_text(copy);
    if (rc == 0) {
        tree = cJSON_ParseWithLengthOpts(copy, length + 1, NULL, true);
        rc = cJSON_IsObject(tree) ? check_tree(tree) : -EBADMSG;
    }
    free(copy);
    if (rc == 0)
        *out = tree;
    else
        cJSON_Delete(tree);
    return rc;
}

int64_t twin_version(const cJSON *section)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(section, "$version");

    if (!cJSON_IsNumber(node) || !(node->valuedouble >= 0) || node->valuedouble > VERSION_MAX ||
        floor(node->valuedouble) < node->valuedouble)
        return -1;
    return (int64_t)node->valuedouble;
}

/* Puts `value` (may be NULL), which is then the tree's, in the place of `name` or at the end. By adding
 * and detaching: cJSON 1.7.15 replaces an item by one without a name when memory runs out. */
static int put(cJSON *object, const char *name, cJSON *value)
{
    cJSON *old = cJSON_GetObjectItemCaseSensitive(object, name);

    if (value == NULL || !cJSON_AddItemToObject(object, name, value)) {
        cJSON_Delete(value);
        return -ENOMEM;
    }
    cJSON_Delete(cJSON_DetachItemViaPointer(object, old));
    return 0;
}

int twin_set_version(cJSON *section, int64_t version)
{
    return put(section, "$version", cJSON_CreateNumber((double)version));
}

void twin_strip(cJSON *object)
{
    cJSON *item = object->child, *next;

    for (; item != NULL; item = next) {
        next = item->next;
        if (item->string[0] == '$')
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
    }
}

static int merge(cJSON *target, const cJSON *patch, bool keep_dollar);

/* The value of one patched member. An object merges into an empty one where no object was, because it
 * may hold nulls that are not to be kept. */
static int merge_member(cJSON *target, const cJSON *item)
{
    cJSON *old = cJSON_GetObjectItemCaseSensitive(target, item->string);
    int rc;

    if (cJSON_IsNull(item)) {
        cJSON_Delete(cJSON_DetachItemViaPointer(target, old));
        return 0;
    }
    if (!cJSON_IsObject(item))
        return put(target, item->string, cJSON_Duplicate(item, true));
    if (!cJSON_IsObject(old)) {
        rc = put(target, item->string, cJSON_CreateObject());
        if (rc != 0)
            return rc;
        old = cJSON_GetObjectItemCaseSensitive(target, item->string);
    }
    return merge(old, item, true);
}

static int merge(cJSON *target, const cJSON *patch, bool keep_dollar)
{
    const cJSON *item;
    int rc = 0;

    cJSON_ArrayForEach(item, patch)
    {
        if (item->string[0] == '$' && !keep_dollar)
            continue;
        rc = merge_member(target, item);
        if (rc != 0)
            break;
    }
    return rc;
}

int twin_merge(cJSON *target, const cJSON *patch)
{
    return merge(target, patch, false);
}
