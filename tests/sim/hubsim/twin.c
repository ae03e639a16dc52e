/* Twin semantics.
 *
 * Happy path of a write: check the patch -> copy the section -> merge into the copy (properties and
 * metadata in one walk) -> measure the result -> put the copies in place, counters up.
 * Fails when: a rule of section 4.5 is broken or memory is out; the copies are dropped then and the
 * twin stands as it was. PUT is a PATCH with the difference: what is new as it is, null for what is
 * gone. */
#include "tests/sim/hubsim/twin.h"

#include "bridge/mqtt.h"
#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/stamp.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

/* ---- birth and death ---- */

static cJSON *new_metadata(const char *stamp)
{
    cJSON *metadata = cJSON_CreateObject();

    if (metadata != NULL && cJSON_AddStringToObject(metadata, "$lastUpdated", stamp) == NULL) {
        cJSON_Delete(metadata);
        return NULL;
    }
    return metadata;
}

static void section_done(struct twin_section *section)
{
    cJSON_Delete(section->properties);
    cJSON_Delete(section->metadata);
}

int twin_init(struct twin *twin)
{
    *twin = (struct twin){
        .etag = 1,
        .version = 1,
        .tags = cJSON_CreateObject(),
        .desired = { cJSON_CreateObject(), new_metadata(STAMP_NEVER), 1 },
        .reported = { cJSON_CreateObject(), new_metadata(STAMP_NEVER), 1 },
    };
    if (twin->tags != NULL && twin->desired.properties != NULL && twin->desired.metadata != NULL &&
        twin->reported.properties != NULL && twin->reported.metadata != NULL)
        return 0;
    twin_done(twin);
    return -ENOMEM;
}

void twin_done(struct twin *twin)
{
    cJSON_Delete(twin->tags);
    section_done(&twin->desired);
    section_done(&twin->reported);
    *twin = (struct twin){ 0 };
}

/* ---- what a twin may hold ---- */

/* C0, DEL and C1 control characters of valid UTF-8. */
static bool is_control(const char *c)
{
    const unsigned char *u = (const unsigned char *)c;

    return u[0] < 0x20 || u[0] == 0x7f || (u[0] == 0xc2 && u[1] >= 0x80 && u[1] <= 0x9f);
}

/* Characters of a text, control characters left out (4.5, "size computation"). */
static size_t text_size(const char *text)
{
    size_t size = 0;

    for (; *text != 0; text++) {
        bool starts_character = ((unsigned char)*text & 0xc0) != 0x80;

        if (starts_character && !is_control(text))
            size++;
    }
    return size;
}

static size_t tree_size(const cJSON *item)
{
    size_t size = 0;

    if (cJSON_IsString(item))
        return text_size(item->valuestring);
    if (cJSON_IsNumber(item))
        return 8;
    if (cJSON_IsBool(item))
        return 4;
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        if (child->string != NULL)
            size += text_size(child->string);
        size += tree_size(child);
    }
    return size;
}

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

/* `depth`: of the container `item`, the section itself being 0. */
static int check_tree(const cJSON *item, int depth, struct err *err)
{
    bool in_array = cJSON_IsArray(item);

    if (depth > TWIN_DEPTH_MAX) {
        err_set(err, "deeper than %d levels", TWIN_DEPTH_MAX);
        return -EINVAL;
    }
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        int rc = child->string != NULL ? check_key(child->string, err) : 0;

        if (rc == 0 && in_array && cJSON_IsNull(child)) {
            err_set(err, "null inside an array");
            rc = -EINVAL;
        }
        if (rc == 0 && cJSON_IsString(child) && strlen(child->valuestring) > TWIN_STRING_MAX) {
            err_set(err, "a text is longer than %d bytes", TWIN_STRING_MAX);
            rc = -EINVAL;
        }
        if (rc == 0 && (cJSON_IsObject(child) || cJSON_IsArray(child)))
            rc = check_tree(child, depth + 1, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- merging ---- */

static cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* Puts `item` (owned from here on) under `key`, in the old one's place if there is one. After
 * -ENOMEM the object is good for deletion only. */
static int put(cJSON *object, const char *key, cJSON *item)
{
    if (item == NULL)
        return -ENOMEM;
    if (member(object, key) != NULL) {
        /* cJSON 1.7.15 reports success when it had no memory for the name. */
        if (cJSON_ReplaceItemInObjectCaseSensitive(object, key, item))
            return item->string != NULL ? 0 : -ENOMEM;
    } else if (cJSON_AddItemToObject(object, key, item)) {
        return 0;
    }
    cJSON_Delete(item);
    return -ENOMEM;
}

struct stamping {
    const char *time;
    int64_t version; /* of desired; 0 = the section has no $lastUpdatedVersion */
};

static int stamp_node(cJSON *metadata, const struct stamping *stamping)
{
    int rc = put(metadata, "$lastUpdated", cJSON_CreateString(stamping->time));

    if (rc == 0 && stamping->version != 0)
        rc = put(metadata, "$lastUpdatedVersion", cJSON_CreateNumber((double)stamping->version));
    return rc;
}

/* The object under `key`, made when there is none. */
static cJSON *descend(cJSON *object, const char *key)
{
    if (!cJSON_IsObject(member(object, key)) && put(object, key, cJSON_CreateObject()) != 0)
        return NULL;
    return member(object, key);
}

/* Merges `patch` into `properties` and notes it in `metadata` (NULL: tags keep none). */
static int merge(cJSON *properties, cJSON *metadata, const cJSON *patch,
                 const struct stamping *stamping)
{
    int rc = metadata != NULL ? stamp_node(metadata, stamping) : 0;

    for (const cJSON *item = patch->child; item != NULL && rc == 0; item = item->next) {
        const char *key = item->string;

        if (cJSON_IsNull(item)) {
            cJSON_DeleteItemFromObjectCaseSensitive(properties, key);
            cJSON_DeleteItemFromObjectCaseSensitive(metadata, key);
        } else if (cJSON_IsObject(item)) {
            bool fresh = !cJSON_IsObject(member(properties, key));
            cJSON *below = descend(properties, key);
            cJSON *noted = NULL;

            if (fresh)
                cJSON_DeleteItemFromObjectCaseSensitive(metadata, key);
            if (metadata != NULL)
                noted = descend(metadata, key);
            rc = below == NULL || (metadata != NULL && noted == NULL)
                     ? -ENOMEM
                     : merge(below, noted, item, stamping);
        } else {
            rc = put(properties, key, cJSON_Duplicate(item, true));
            if (rc == 0 && metadata != NULL) {
                rc = put(metadata, key, cJSON_CreateObject());
                if (rc == 0)
                    rc = stamp_node(member(metadata, key), stamping);
            }
        }
    }
    return rc;
}

/* Whether merging `patch` does more than delete what is not there. */
static bool says_something(const cJSON *properties, const cJSON *patch)
{
    for (const cJSON *item = patch->child; item != NULL; item = item->next) {
        const cJSON *present = member(properties, item->string);

        if (cJSON_IsObject(item) && cJSON_IsObject(present)) {
            if (says_something(present, item))
                return true;
        } else if (!cJSON_IsNull(item) || present != NULL) {
            return true;
        }
    }
    return false;
}

/* The patch that makes `after` of `before`: all of `after`, and null for what is gone. */
static int difference(cJSON **out, const cJSON *before, const cJSON *after)
{
    cJSON *patch = cJSON_CreateObject();
    int rc = patch != NULL ? 0 : -ENOMEM;

    for (const cJSON *item = after->child; item != NULL && rc == 0; item = item->next) {
        cJSON *value = NULL;

        if (cJSON_IsNull(item))
            continue; /* the second walk sees whether it was there */
        if (cJSON_IsObject(item))
            rc = difference(&value, member(before, item->string), item);
        else
            value = cJSON_Duplicate(item, true);
        if (rc == 0)
            rc = put(patch, item->string, value);
    }
    for (const cJSON *item = cJSON_IsObject(before) ? before->child : NULL; item != NULL && rc == 0;
         item = item->next) {
        const cJSON *kept = member(after, item->string);

        if (kept == NULL || cJSON_IsNull(kept))
            rc = put(patch, item->string, cJSON_CreateNull());
    }
    if (rc != 0) {
        cJSON_Delete(patch);
        return rc;
    }
    *out = patch;
    return 0;
}

/* ---- writes ---- */

/* Copies `section`, merges `patch` into the copy and measures it. */
static int merged_copy(struct twin_section *out, const struct twin_section *section,
                       const cJSON *patch, const struct stamping *stamping, size_t max,
                       struct err *err)
{
    struct twin_section copy = {
        .properties = cJSON_Duplicate(section->properties, true),
        .metadata = section->metadata != NULL ? cJSON_Duplicate(section->metadata, true) : NULL,
        .version = section->version + 1,
    };
    int rc = check_tree(patch, 0, err);

    if (rc == 0 &&
        (copy.properties == NULL || (section->metadata != NULL && copy.metadata == NULL)))
        rc = -ENOMEM;
    if (rc == 0)
        rc = merge(copy.properties, copy.metadata, patch, stamping);
    if (rc == 0 && tree_size(copy.properties) > max) {
        err_set(err, "larger than %zu KB", max / 1024);
        rc = -EFBIG;
    }
    if (rc != 0) {
        section_done(&copy);
        return rc;
    }
    *out = copy;
    return 0;
}

/* One section of the back end's body: 0 and an object, or NULL when it is absent or null. What the
 * hub adds when it hands a twin out is dropped again. */
static int take_section(cJSON **out, cJSON *parent, const char *name, struct err *err)
{
    cJSON *section = member(parent, name);

    if (section == NULL || cJSON_IsNull(section)) {
        *out = NULL;
        return 0;
    }
    if (!cJSON_IsObject(section)) {
        err_set(err, "%s is not an object", name);
        return -EINVAL;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(section, "$metadata");
    cJSON_DeleteItemFromObjectCaseSensitive(section, "$version");
    *out = section;
    return 0;
}

/* Replaces `*section` by the difference to what stands in the twin. `made` is what the caller
 * deletes. */
static int as_difference(cJSON **section, cJSON **made, const cJSON *present)
{
    cJSON *empty = cJSON_CreateObject();
    int rc = -ENOMEM;

    if (empty != NULL)
        rc = difference(made, present, *section != NULL ? *section : empty);
    if (rc == 0)
        *section = *made;
    cJSON_Delete(empty);
    return rc;
}

static int apply(struct twin *twin, const cJSON *tags, const cJSON *desired, const char *stamp,
                 cJSON **notice, struct err *err)
{
    const struct twin_section old_tags = { .properties = twin->tags };
    const struct stamping stamping = { stamp, twin->desired.version + 1 };
    struct twin_section new_tags = { 0 }, new_desired = { 0 };
    cJSON *told = NULL;
    int rc = 0;

    if (tags != NULL)
        rc = merged_copy(&new_tags, &old_tags, tags, &stamping, TWIN_TAGS_MAX, err);
    if (rc == 0 && desired != NULL)
        rc = merged_copy(&new_desired, &twin->desired, desired, &stamping, TWIN_PROPERTIES_MAX,
                         err);
    if (rc == 0 && desired != NULL && says_something(twin->desired.properties, desired)) {
        told = cJSON_Duplicate(desired, true);
        rc = told != NULL ? 0 : -ENOMEM;
    }
    if (rc != 0) {
        section_done(&new_tags);
        section_done(&new_desired);
        return rc;
    }

    if (tags != NULL) {
        cJSON_Delete(twin->tags);
        twin->tags = new_tags.properties;
    }
    if (desired != NULL) {
        section_done(&twin->desired);
        twin->desired = new_desired;
    }
    if (tags != NULL || desired != NULL) {
        twin->etag++;
        twin->version++;
    }
    *notice = told;
    return 0;
}

static int take_sections(cJSON *body, cJSON **tags, cJSON **desired, struct err *err)
{
    cJSON *properties = member(body, "properties");
    int rc;

    if (!cJSON_IsObject(body) ||
        (properties != NULL && !cJSON_IsNull(properties) && !cJSON_IsObject(properties))) {
        err_set(err, "%s is not an object", properties != NULL ? "properties" : "the twin");
        return -EINVAL;
    }
    rc = take_section(tags, body, "tags", err);
    return rc == 0 ? take_section(desired, properties, "desired", err) : rc;
}

int twin_patch(struct twin *twin, cJSON *body, const char *stamp, cJSON **notice, struct err *err)
{
    cJSON *tags, *desired;
    int rc = take_sections(body, &tags, &desired, err);

    return rc == 0 ? apply(twin, tags, desired, stamp, notice, err) : rc;
}

int twin_replace(struct twin *twin, cJSON *body, const char *stamp, cJSON **notice, struct err *err)
{
    cJSON *tags, *desired, *tags_made = NULL, *desired_made = NULL;
    int rc = take_sections(body, &tags, &desired, err);

    /* Checked before the difference drops what is null, so that a PUT is refused like a PATCH. */
    if (rc == 0 && tags != NULL)
        rc = check_tree(tags, 0, err);
    if (rc == 0 && desired != NULL)
        rc = check_tree(desired, 0, err);
    if (rc == 0)
        rc = as_difference(&tags, &tags_made, twin->tags);
    if (rc == 0)
        rc = as_difference(&desired, &desired_made, twin->desired.properties);
    if (rc == 0)
        rc = apply(twin, tags, desired, stamp, notice, err);
    cJSON_Delete(tags_made);
    cJSON_Delete(desired_made);
    return rc;
}

int twin_report(struct twin *twin, const cJSON *patch, const char *stamp, struct err *err)
{
    const struct stamping stamping = { stamp, 0 };
    struct twin_section merged;
    int rc;

    if (!cJSON_IsObject(patch)) {
        err_set(err, "the reported properties are not an object");
        return -EINVAL;
    }
    rc = merged_copy(&merged, &twin->reported, patch, &stamping, TWIN_PROPERTIES_MAX, err);
    if (rc != 0)
        return rc;
    section_done(&twin->reported);
    twin->reported = merged;
    twin->version++;
    return 0;
}

/* ---- as text ---- */

void twin_etag(const struct twin *twin, char out[TWIN_ETAG_MAX])
{
    unsigned char bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(twin->etag >> (56 - 8 * i));
    EVP_EncodeBlock((unsigned char *)out, bytes, sizeof bytes);
}

/* `object` without its closing brace, and the comma that a further member needs. */
static void print_open(struct buf *buf, const cJSON *object)
{
    json_print(buf, object);
    if (buf->error != 0)
        return;
    buf->length--;
    if (object->child != NULL)
        buf_add_byte(buf, ',');
}

void twin_print_versioned(struct buf *buf, const cJSON *properties, int64_t version)
{
    print_open(buf, properties);
    buf_printf(buf, "\"$version\":%lld}", (long long)version);
}

static void print_section(struct buf *buf, const struct twin_section *section)
{
    print_open(buf, section->properties);
    buf_add_text(buf, "\"$metadata\":");
    json_print(buf, section->metadata);
    buf_printf(buf, ",\"$version\":%lld}", (long long)section->version);
}

void twin_print(struct buf *buf, const struct twin *twin)
{
    buf_printf(buf, "\"version\":%lld,\"tags\":", (long long)twin->version);
    json_print(buf, twin->tags);
    buf_add_text(buf, ",\"properties\":{\"desired\":");
    print_section(buf, &twin->desired);
    buf_add_text(buf, ",\"reported\":");
    print_section(buf, &twin->reported);
    buf_add_byte(buf, '}');
}

void twin_print_for_module(struct buf *buf, const struct twin *twin)
{
    buf_add_text(buf, "{\"desired\":");
    twin_print_versioned(buf, twin->desired.properties, twin->desired.version);
    buf_add_text(buf, ",\"reported\":");
    twin_print_versioned(buf, twin->reported.properties, twin->reported.version);
    buf_add_byte(buf, '}');
}
