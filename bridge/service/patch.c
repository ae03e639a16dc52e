/* From arguments to a patch.
 *
 * Happy path: every assignment and document is read strictly (given.h) and laid into one object that
 * starts empty; a property that comes twice is a mistake, because which one was meant nobody knows.
 * Then the object is checked against what the hub takes as keys (no '.', '$', blank or control character) and put into
 * the request's form. Fails with -EINVAL and a text that names the property. */
#include "bridge/service/patch.h"

#include "bridge/service/given.h"

#include "config/value.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- laying in ---- */

static int lay_in(cJSON *into, const char *key, cJSON *node, struct err *err);

/* Moves all members of `from` into `into`. */
static int lay_members(cJSON *into, cJSON *from, struct err *err)
{
    int rc = 0;

    while (rc == 0 && from->child != NULL) {
        cJSON *child = cJSON_DetachItemViaPointer(from, from->child);
        char *name = strdup(child->string);

        if (name == NULL) {
            cJSON_Delete(child);
            return -ENOMEM;
        }
        rc = lay_in(into, name, child, err);
        free(name);
    }
    return rc;
}

/* Moves `node` under `key` into `into`; two objects become one. `node` is freed or moved in any
 * case. */
static int lay_in(cJSON *into, const char *key, cJSON *node, struct err *err)
{
    cJSON *present = cJSON_GetObjectItemCaseSensitive(into, key);
    int rc;

    if (present == NULL) {
        if (cJSON_AddItemToObject(into, key, node))
            return 0;
        cJSON_Delete(node);
        return -ENOMEM;
    }
    if (cJSON_IsObject(present) && cJSON_IsObject(node)) {
        rc = lay_members(present, node, err);
    } else {
        err_set(err, "the property '%.100s' is named twice", key);
        rc = -EINVAL;
    }
    cJSON_Delete(node);
    return rc;
}

/* The value behind the '=' of an assignment: JSON, or else the text as it is. */
static int read_value(cJSON **out, const char *text, struct err *err, int name_length,
                      const char *name)
{
    struct given_mistake mistake;
    int rc = given_json(out, text, strlen(text), GIVEN_FOR_TWIN, &mistake);

    if (rc == -EINVAL)
        err_set(err, "the value of '%.*s', character %u: %s", name_length < 100 ? name_length : 100,
                name, mistake.place.column, mistake.message);
    if (rc != -EBADMSG)
        return rc;
    *out = cJSON_CreateString(text);
    return *out == NULL ? -ENOMEM : 0;
}

int patch_add_assignment(struct cJSON *fragment, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    cJSON *node;
    char *path;
    int rc;

    if (equals == NULL || equals == text) {
        err_set(err, "'%s' is not PROPERTY=VALUE", text);
        return -EINVAL;
    }
    rc = read_value(&node, equals + 1, err, (int)(equals - text), text);
    if (rc != 0)
        return rc;
    path = strndup(text, (size_t)(equals - text));
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

int patch_add_document(struct cJSON *fragment, const char *text, size_t length, const char *source,
                       struct err *err)
{
    struct given_mistake mistake;
    cJSON *root = NULL;
    int rc;

    if (strspn(text, " \t\r\n") == length) {
        err_set(err, "%s: empty; a patch is a JSON object", source);
        return -EINVAL;
    }
    rc = given_json(&root, text, length, GIVEN_FOR_TWIN, &mistake);
    if (rc == -ENOMEM)
        return rc;
    if (rc != 0) {
        err_set(err, "%s:%u:%u: %s", source, mistake.place.line, mistake.place.column,
                mistake.message);
        return -EINVAL;
    }
    if (!cJSON_IsObject(root)) {
        err_set(err, "%s: a patch is a JSON object, this is not one", source);
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = lay_members(fragment, root, err);
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

/* Moves `part` (NULL = none) into `into`; it is freed when that fails. */
static bool attach(cJSON *into, const char *key, cJSON *part)
{
    if (part == NULL || cJSON_AddItemToObject(into, key, part))
        return true;
    cJSON_Delete(part);
    return false;
}

/* Takes both sections (NULL = none) in any case. */
static int print_body(char **out, cJSON *tags, cJSON *desired)
{
    cJSON *body = cJSON_CreateObject();
    cJSON *properties = desired == NULL ? NULL : cJSON_CreateObject();
    bool whole = attach(body, "tags", tags);
    char *text = NULL;

    whole = attach(properties, "desired", desired) && whole;
    whole = attach(body, "properties", properties) && whole;
    if (whole && body != NULL) /* half a replacement would remove the other half */
        text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    if (text == NULL)
        return -ENOMEM;
    *out = text;
    return 0;
}

/* What a fragment says of a section; NULL = nothing. */
static const cJSON *part_of(const cJSON *fragment, enum patch_form form, enum patch_form section)
{
    if (form != PATCH_WHOLE)
        return form == section ? fragment : NULL;
    if (section == PATCH_DESIRED)
        fragment = cJSON_GetObjectItemCaseSensitive(fragment, "properties");
    return cJSON_GetObjectItemCaseSensitive(fragment,
                                            section == PATCH_DESIRED ? "desired" : "tags");
}

static int check_form(const cJSON *fragment, enum patch_form form, struct err *err)
{
    if (form == PATCH_WHOLE)
        return check_whole(fragment, err);
    if (!looks_whole(fragment))
        return 0;
    err_set(err, "this is a whole twin, not a fragment of it: add --whole");
    return -EINVAL;
}

int patch_body(char **out, const struct cJSON *fragment, enum patch_form form, struct err *err)
{
    bool whole = form == PATCH_WHOLE;
    cJSON *desired = NULL;
    cJSON *tags = NULL;
    int rc = check_form(fragment, form, err);

    if (rc == 0)
        rc = take_section(&tags, part_of(fragment, form, PATCH_TAGS), "tags", whole, err);
    if (rc == 0)
        rc = take_section(&desired, part_of(fragment, form, PATCH_DESIRED), "properties.desired",
                          whole, err);
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

/* ---- replacing ---- */

/* The path of a null in it, or NULL; a replacement has none. */
static const char *find_null(const cJSON *node)
{
    const char *found = NULL;

    for (const cJSON *child = node == NULL ? NULL : node->child; child != NULL && found == NULL;
         child = child->next)
        found = cJSON_IsNull(child) && child->string != NULL ? child->string : find_null(child);
    return found;
}

/* A section of a replacement: the fragment's, or else the twin's. */
static int replace_section(cJSON **out, const cJSON *given, const cJSON *present, const char *name,
                           struct err *err)
{
    const char *null = find_null(given);
    int rc;

    if (null != NULL) {
        err_set(err, "'%.100s' is null: a replacement leaves out what is to go", null);
        return -EINVAL;
    }
    rc = take_section(out, given == NULL ? present : given, name, true, err);
    if (rc == 0 && *out == NULL) {
        *out = cJSON_CreateObject();
        rc = *out == NULL ? -ENOMEM : 0;
    }
    return rc;
}

int patch_replacement(char **out, const struct cJSON *fragment, enum patch_form form,
                      const struct cJSON *twin, struct err *err)
{
    const cJSON *tags_part = part_of(fragment, form, PATCH_TAGS);
    const cJSON *desired_part = part_of(fragment, form, PATCH_DESIRED);
    cJSON *desired = NULL;
    cJSON *tags = NULL;
    int rc = check_form(fragment, form, err);

    if (rc == 0 && tags_part == NULL && desired_part == NULL) {
        err_set(err, "it has neither tags nor properties.desired: nothing to replace");
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = replace_section(&tags, tags_part, part_of(twin, PATCH_WHOLE, PATCH_TAGS), "tags", err);
    if (rc == 0)
        rc = replace_section(&desired, desired_part, part_of(twin, PATCH_WHOLE, PATCH_DESIRED),
                             "properties.desired", err);
    if (rc != 0) {
        cJSON_Delete(tags);
        cJSON_Delete(desired);
        return rc;
    }
    return print_body(out, tags, desired);
}

/* ---- foretelling ---- */

/* A hub sends no key twice; what sends one is not to keep the second half of it. */
static void drop_member(cJSON *section, const char *key)
{
    while (cJSON_GetObjectItemCaseSensitive(section, key) != NULL)
        cJSON_DeleteItemFromObjectCaseSensitive(section, key);
}

static int merge_child(cJSON *section, const cJSON *change)
{
    cJSON *present = cJSON_GetObjectItemCaseSensitive(section, change->string);
    cJSON *fresh;

    if (cJSON_IsNull(change)) {
        drop_member(section, change->string);
        return 0;
    }
    if (cJSON_IsObject(change) && cJSON_IsObject(present))
        return patch_merge(present, change);
    fresh = cJSON_IsObject(change) ? cJSON_CreateObject() : cJSON_Duplicate(change, 1);
    if (fresh == NULL)
        return -ENOMEM;
    drop_member(section, change->string);
    if (!cJSON_AddItemToObject(section, change->string, fresh)) {
        cJSON_Delete(fresh);
        return -ENOMEM;
    }
    return cJSON_IsObject(change) ? patch_merge(fresh, change) : 0;
}

int patch_merge(struct cJSON *section, const struct cJSON *patch)
{
    int rc = 0;

    for (const cJSON *change = patch->child; change != NULL && rc == 0; change = change->next)
        rc = merge_child(section, change);
    return rc;
}
