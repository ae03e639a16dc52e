/* What a twin may hold: its keys, its depth, its texts, its size.
 *
 * Happy path: every key and text of a patch is looked at, then the sizes of what it makes are summed.
 * Fails when: a rule is broken; the first that is gets named. */
#include "tests/sim/hubsim/twin_limits.h"

#include "tests/sim/hubsim/twin.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* ---- sizes ---- */

/* C0, DEL and C1 control characters of valid UTF-8. */
static bool is_control(const char *c)
{
    const unsigned char *u = (const unsigned char *)c;

    return u[0] < 0x20 || u[0] == 0x7f || (u[0] == 0xc2 && u[1] >= 0x80 && u[1] <= 0x9f);
}

/* Characters of a text, control characters left out (4.5, "size computation"); or its bytes. */
static size_t text_size(const char *text, enum hub_size_rule rule)
{
    size_t size = 0;

    if (rule == HUB_SIZE_BYTES)
        return strlen(text);
    for (; *text != 0; text++) {
        bool starts_character = ((unsigned char)*text & 0xc0) != 0x80;

        if (starts_character && !is_control(text))
            size++;
    }
    return size;
}

static size_t tree_size(const cJSON *item, enum hub_size_rule rule)
{
    size_t size = 0;

    if (cJSON_IsString(item))
        return text_size(item->valuestring, rule);
    if (cJSON_IsNumber(item))
        return 8;
    if (cJSON_IsBool(item))
        return 4;
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        if (cJSON_IsNull(child)) /* of a patch: it will not be there */
            continue;
        if (child->string != NULL)
            size += text_size(child->string, rule);
        size += tree_size(child, rule);
    }
    return size;
}

/* What the tree takes as it stands, about: control characters are counted, and so are the elements of
 * arrays, of which neither costs anything by the documented rule. */
static size_t tree_bytes(const cJSON *item)
{
    size_t size = 0;

    if (cJSON_IsString(item))
        return strlen(item->valuestring);
    if (cJSON_IsNumber(item))
        return 8;
    if (cJSON_IsBool(item))
        return 4;
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        if (!cJSON_IsNull(child))
            size += 1 + (child->string != NULL ? strlen(child->string) : 0) + tree_bytes(child);
    }
    return size;
}

int twin_check_size(const cJSON *properties, enum hub_size_rule rule, size_t max, struct err *err)
{
    size_t size = tree_size(properties, rule);

    if (size <= max && tree_bytes(properties) <= TWIN_BYTES_FACTOR * max)
        return 0;
    if (size <= max)
        err_set(err, "the section holds more than %zu bytes", TWIN_BYTES_FACTOR * max);
    else
        err_set(err, "the section is larger than %zu KB: %zu %s", max / 1024, size,
                rule == HUB_SIZE_BYTES ? "bytes" : "characters");
    return -EFBIG;
}

/* ---- keys, depth, texts ---- */

static int check_key(const char *key, struct err *err)
{
    if (strlen(key) > TWIN_KEY_MAX) {
        err_set(err, "the key %.40s... is longer than %d bytes", key, TWIN_KEY_MAX);
        return -EINVAL;
    }
    for (const char *c = key; *c != 0; c++) {
        if (is_control(c) || strchr(".$ ", *c) != NULL) {
            err_set(err,
                    "the key '%.80s' holds a character that keys may not hold (. $ blank, control)",
                    key);
            return -EINVAL;
        }
    }
    return 0;
}

static int check_tree(const cJSON *item, int depth, bool in_array, struct err *err);

static int check_child(const cJSON *child, int depth, bool in_array, struct err *err)
{
    int rc = child->string != NULL ? check_key(child->string, err) : 0;

    if (rc != 0)
        return rc;
    if (in_array && cJSON_IsNull(child)) {
        err_set(err, "null inside an array");
        return -EINVAL;
    }
    if (cJSON_IsString(child) && strlen(child->valuestring) > TWIN_STRING_MAX) {
        err_set(err, "a text is longer than %d bytes", TWIN_STRING_MAX);
        return -EINVAL;
    }
    if (cJSON_IsObject(child) || cJSON_IsArray(child))
        return check_tree(child, depth + 1, in_array, err);
    return 0;
}

/* `depth`: of the container `item`, the section itself being 0. `in_array`: it, or what it is in: null
 * deletes only where keys are merged. */
static int check_tree(const cJSON *item, int depth, bool in_array, struct err *err)
{
    int rc = 0;

    if (depth > TWIN_DEPTH_MAX) {
        err_set(err, "deeper than %d levels", TWIN_DEPTH_MAX);
        return -EINVAL;
    }
    for (const cJSON *child = item->child; child != NULL && rc == 0; child = child->next)
        rc = check_child(child, depth, in_array || cJSON_IsArray(item), err);
    return rc;
}

int twin_check_tree(const cJSON *section, struct err *err)
{
    return check_tree(section, 0, false, err);
}
