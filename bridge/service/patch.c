/* From arguments to a patch.
 *
 * Happy path: every assignment and document is laid into one object that starts empty; a property
 * that comes twice is a mistake, because which one was meant nobody knows. Then the object is
 * checked against what the hub takes as keys (no '.', '$', blank or control character) and put into
 * the request's form. Fails with -EINVAL and a text that names the property. */
#include "bridge/service/patch.h"

#include "config/value.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- laying in ---- */

/* Moves `node` under `key` into `into`; two objects become one. `node` is freed or moved in any
 * case. */
static int lay_in(cJSON *into, const char *key, cJSON *node, struct err *err)
{
    cJSON *present = cJSON_GetObjectItemCaseSensitive(into, key);
    int rc = 0;

    if (present == NULL) {
        if (cJSON_AddItemToObject(into, key, node))
            return 0;
        cJSON_Delete(node);
        return -ENOMEM;
    }
    if (!cJSON_IsObject(present) || !cJSON_IsObject(node)) {
        err_set(err, "the property '%s' is named twice", key);
        rc = -EINVAL;
    }
    while (rc == 0 && node->child != NULL) {
        cJSON *child = cJSON_DetachItemViaPointer(node, node->child);
        char *name = strdup(child->string);

        if (name == NULL) {
            cJSON_Delete(child);
            rc = -ENOMEM;
        } else {
            rc = lay_in(present, name, child, err);
        }
        free(name);
    }
    cJSON_Delete(node);
    return rc;
}

/* `text` as JSON, or NULL when it is none. *end is where the reading ended. */
static cJSON *parse(const char *text, size_t length, const char **end)
{
    return cJSON_ParseWithLengthOpts(text, length + 1, end, 1);
}

int patch_add_assignment(struct cJSON *fragment, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    const char *end;
    cJSON *node;
    char *path;
    int rc = 0;

    if (equals == NULL || equals == text) {
        err_set(err, "'%s' is not PROPERTY=VALUE", text);
        return -EINVAL;
    }
    path = strndup(text, (size_t)(equals - text));
    node = parse(equals + 1, strlen(equals + 1), &end);
    if (node == NULL)
        node = cJSON_CreateString(equals + 1);
    /* From the last part to the first: each is wrapped into an object of the one before. */
    while (path != NULL && node != NULL && strrchr(path, '.') != NULL) {
        char *dot = strrchr(path, '.');
        cJSON *object = cJSON_CreateObject();

        if (object == NULL || !cJSON_AddItemToObject(object, dot + 1, node)) {
            cJSON_Delete(node);
            cJSON_Delete(object);
            object = NULL;
        }
        node = object;
        *dot = '\0';
    }
    if (path == NULL || node == NULL) {
        cJSON_Delete(node);
        rc = -ENOMEM;
    } else {
        rc = lay_in(fragment, path, node, err);
    }
    free(path);
    return rc;
}

static void describe_position(struct err *err, const char *source, const char *text,
                              const char *end)
{
    size_t line = 1;
    size_t column = 1;

    for (; text < end; text++) {
        column++;
        if (*text == '\n') {
            line++;
            column = 1;
        }
    }
    err_set(err, "%s:%zu:%zu: not JSON from here on", source, line, column);
}

int patch_add_document(struct cJSON *fragment, const char *text, size_t length, const char *source,
                       struct err *err)
{
    const char *end = text;
    cJSON *root = parse(text, length, &end);
    int rc = 0;

    if (root == NULL) {
        describe_position(err, source, text, end);
        return -EINVAL;
    }
    if (!cJSON_IsObject(root)) {
        err_set(err, "%s: a patch is a JSON object, this is not one", source);
        rc = -EINVAL;
    }
    while (rc == 0 && root->child != NULL) {
        cJSON *child = cJSON_DetachItemViaPointer(root, root->child);
        char *name = strdup(child->string);

        if (name == NULL) {
            cJSON_Delete(child);
            rc = -ENOMEM;
        } else {
            rc = lay_in(fragment, name, child, err);
        }
        free(name);
    }
    cJSON_Delete(root);
    return rc;
}

/* ---- checking ---- */

/* Makes a number's text the shortest that reads back the same; cJSON's own loses the last digits.
 */
static int exact_number(cJSON *node, struct err *err)
{
    char text[VALUE_TEXT_MAX];
    char *copy;

    if (!isfinite(node->valuedouble)) {
        err_set(err, "the number of '%s' is too large", node->string == NULL ? "[]" : node->string);
        return -EINVAL;
    }
    value_print_number(node->valuedouble, text);
    copy = strdup(text);
    if (copy == NULL)
        return -ENOMEM;
    node->valuestring = copy;
    node->type = cJSON_Raw | (node->type & ~0xFF);
    return 0;
}

static int check_key(const char *key, struct err *err)
{
    if (*key == '\0') {
        err_set(err, "a property has no name; a path is a.b.c");
        return -EINVAL;
    }
    if (strlen(key) > 1024) {
        err_set(err, "the property name '%.40s...' is longer than 1024 bytes", key);
        return -EINVAL;
    }
    for (const char *at = key; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == '.' || *at == '$' || *at == 0x7F) {
            err_set(err, "'%.100s' cannot be the name of a property: no '.', '$', blanks", key);
            return -EINVAL;
        }
    }
    return 0;
}

/* Checks the keys and makes the numbers exact, all the way down. */
static int finish(cJSON *node, struct err *err)
{
    int rc = 0;

    if (cJSON_IsNumber(node))
        return exact_number(node, err);
    for (cJSON *child = node->child; child != NULL && rc == 0; child = child->next) {
        if (cJSON_IsObject(node))
            rc = check_key(child->string, err);
        if (rc == 0)
            rc = finish(child, err);
    }
    return rc;
}

/* ---- the request's form ---- */

/* Of a twin as the hub shows it, what can be changed is taken and these are passed over. */
static bool is_twin_key(const char *key)
{
    static const char *const keys[] = {
        "deviceId",
        "moduleId",
        "etag",
        "deviceEtag",
        "status",
        "statusReason",
        "version",
        "statusUpdateTime",
        "connectionState",
        "modelId",
        "lastActivityTime",
        "cloudToDeviceMessageCount",
        "capabilities",
        "authenticationType",
        "x509Thumbprint",
        "deviceScope",
        "parentScopes",
        "configurations",
        "tags",
        "properties",
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static int check_whole(const cJSON *twin, struct err *err)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(twin, "properties");

    for (const cJSON *child = twin->child; child != NULL; child = child->next) {
        if (!is_twin_key(child->string)) {
            err_set(err,
                    "'%.100s' is no part of a twin; --whole wants {\"tags\": ..., "
                    "\"properties\": {\"desired\": ...}}",
                    child->string);
            return -EINVAL;
        }
    }
    for (const cJSON *child = properties == NULL ? NULL : properties->child; child != NULL;
         child = child->next) {
        if (strcmp(child->string, "desired") != 0 && strcmp(child->string, "reported") != 0) {
            err_set(err, "'%.100s' is no part of a twin's properties: only desired can be changed",
                    child->string);
            return -EINVAL;
        }
    }
    return 0;
}

/* Takes the hub's own entries off a section; *out is NULL when there is no such section. */
static int take_section(cJSON **out, const cJSON *section, const char *name, bool whole,
                        struct err *err)
{
    cJSON *copy;
    int rc;

    *out = NULL;
    if (section == NULL)
        return 0;
    if (!cJSON_IsObject(section)) {
        err_set(err, "%s is not a JSON object", name);
        return -EINVAL;
    }
    copy = cJSON_Duplicate(section, 1);
    if (copy == NULL)
        return -ENOMEM;
    if (whole) {
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "$metadata");
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "$version");
    }
    rc = finish(copy, err);
    if (rc != 0)
        cJSON_Delete(copy);
    else
        *out = copy;
    return rc;
}

/* A twin given where a fragment belongs would be stored as a property "properties". */
static bool looks_whole(const cJSON *fragment)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(fragment, "properties");

    return cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(properties, "desired"));
}

static int print_body(char **out, cJSON *tags, cJSON *desired)
{
    cJSON *body = cJSON_CreateObject();
    cJSON *properties = desired == NULL ? NULL : cJSON_CreateObject();
    char *text = NULL;

    if (tags != NULL && !cJSON_AddItemToObject(body, "tags", tags))
        cJSON_Delete(tags);
    if (desired != NULL && !cJSON_AddItemToObject(properties, "desired", desired))
        cJSON_Delete(desired);
    if (desired != NULL && !cJSON_AddItemToObject(body, "properties", properties))
        cJSON_Delete(properties);
    if (cJSON_GetArraySize(body) == (tags != NULL) + (desired != NULL))
        text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    if (text == NULL)
        return -ENOMEM;
    *out = text;
    return 0;
}

int patch_body(char **out, const struct cJSON *fragment, enum patch_form form, struct err *err)
{
    const cJSON *tags_part = form == PATCH_TAGS ? fragment : NULL;
    const cJSON *desired_part = form == PATCH_DESIRED ? fragment : NULL;
    cJSON *desired = NULL;
    cJSON *tags = NULL;
    int rc = 0;

    if (form == PATCH_WHOLE) {
        rc = check_whole(fragment, err);
        tags_part = cJSON_GetObjectItemCaseSensitive(fragment, "tags");
        desired_part = cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(fragment, "properties"), "desired");
    } else if (looks_whole(fragment)) {
        err_set(err, "this is a whole twin, not a fragment of it: add --whole");
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = take_section(&tags, tags_part, "tags", form == PATCH_WHOLE, err);
    if (rc == 0)
        rc = take_section(&desired, desired_part, "properties.desired", form == PATCH_WHOLE, err);
    if (rc == 0 && cJSON_GetArraySize(tags) + cJSON_GetArraySize(desired) == 0) {
        err_set(err, "the patch changes nothing");
        rc = -EINVAL;
    }
    if (rc != 0) {
        cJSON_Delete(tags);
        cJSON_Delete(desired);
        return rc;
    }
    return print_body(out, tags, desired);
}
