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
#include "tests/sim/hubsim/twin_limits.h"

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
    enum hub_size_rule size_rule;
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
    int rc = twin_check_tree(patch, err);

    if (rc == 0 &&
        (copy.properties == NULL || (section->metadata != NULL && copy.metadata == NULL)))
        rc = -ENOMEM;
    if (rc == 0) /* what is too large by itself is not worth the merging */
        rc = twin_check_size(patch, stamping->size_rule, max, err);
    if (rc == 0)
        rc = merge(copy.properties, copy.metadata, patch, stamping);
    if (rc == 0)
        rc = twin_check_size(copy.properties, stamping->size_rule, max, err);
    if (rc != 0) {
        section_done(&copy);
        return rc;
    }
    *out = copy;
    return 0;
}

/* The back end's body; NULL where it says nothing. */
struct sections {
    cJSON *tags, *desired;
};

static const struct hub_rules *rules_of(const struct twin_context *context)
{
    static const struct hub_rules defaults = { 0 };

    return context->rules != NULL ? context->rules : &defaults;
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

/* What a write of the back end makes of a twin, before it is put in place. */
struct change {
    struct twin_section tags, desired; /* properties NULL = the section stays */
    cJSON *told;
};

static void change_done(struct change *change)
{
    section_done(&change->tags);
    section_done(&change->desired);
    cJSON_Delete(change->told);
}

/* Under the rule that says so, a desired section that changes nothing was not sent. */
static void drop_equal(struct change *change, const struct twin *twin,
                       const struct hub_rules *rules)
{
    if (rules->equal_desired != HUB_EQUAL_IGNORED || change->desired.properties == NULL ||
        !cJSON_Compare(change->desired.properties, twin->desired.properties, true))
        return;
    section_done(&change->desired);
    change->desired = (struct twin_section){ 0 };
}

static int prepare(struct change *change, const struct twin *twin, const struct sections *sections,
                   const struct twin_context *context, struct err *err)
{
    const cJSON *tags = sections->tags, *desired = sections->desired;
    const struct twin_section old_tags = { .properties = twin->tags };
    const struct hub_rules *rules = rules_of(context);
    const struct stamping stamping = { context->stamp, twin->desired.version + 1,
                                       rules->size_rule };
    int rc = 0;

    if (tags != NULL)
        rc = merged_copy(&change->tags, &old_tags, tags, &stamping, TWIN_TAGS_MAX, err);
    if (rc == 0 && desired != NULL)
        rc = merged_copy(&change->desired, &twin->desired, desired, &stamping, TWIN_PROPERTIES_MAX,
                         err);
    if (rc == 0)
        drop_equal(change, twin, rules);
    if (rc == 0 && change->desired.properties != NULL &&
        says_something(twin->desired.properties, desired)) {
        change->told = cJSON_Duplicate(desired, true);
        rc = change->told != NULL ? 0 : -ENOMEM;
    }
    return rc;
}

static int apply(struct twin *twin, const struct sections *sections,
                 const struct twin_context *context, cJSON **notice, struct err *err)
{
    struct change change = { .told = NULL };
    int rc = prepare(&change, twin, sections, context, err);

    if (rc != 0) {
        change_done(&change);
        return rc;
    }
    if (change.tags.properties != NULL) {
        cJSON_Delete(twin->tags);
        twin->tags = change.tags.properties;
    }
    if (change.desired.properties != NULL) {
        section_done(&twin->desired);
        twin->desired = change.desired;
    }
    if (change.tags.properties != NULL || change.desired.properties != NULL) {
        twin->etag++;
        twin->version++;
    }
    *notice = change.told;
    return 0;
}

static int take_sections(cJSON *body, struct sections *out, struct err *err)
{
    cJSON *properties = member(body, "properties");
    int rc;

    if (!cJSON_IsObject(body) ||
        (properties != NULL && !cJSON_IsNull(properties) && !cJSON_IsObject(properties))) {
        err_set(err, "%s is not an object", properties != NULL ? "properties" : "the twin");
        return -EINVAL;
    }
    rc = take_section(&out->tags, body, "tags", err);
    return rc == 0 ? take_section(&out->desired, properties, "desired", err) : rc;
}

int twin_patch(struct twin *twin, cJSON *body, const struct twin_context *context, cJSON **notice,
               struct err *err)
{
    struct sections sections;
    int rc = take_sections(body, &sections, err);

    return rc == 0 ? apply(twin, &sections, context, notice, err) : rc;
}

int twin_replace(struct twin *twin, cJSON *body, const struct twin_context *context, cJSON **notice,
                 struct err *err)
{
    bool keep = rules_of(context)->missing_section == HUB_MISSING_KEPT;
    struct sections sections;
    cJSON *tags = NULL, *desired = NULL;
    int rc = take_sections(body, &sections, err);

    /* Checked before the difference drops what is null, so that a PUT is refused like a PATCH. */
    if (rc == 0 && sections.tags != NULL)
        rc = twin_check_tree(sections.tags, err);
    if (rc == 0 && sections.desired != NULL)
        rc = twin_check_tree(sections.desired, err);
    if (rc == 0 && (sections.tags != NULL || !keep))
        rc = as_difference(&sections.tags, &tags, twin->tags);
    if (rc == 0 && (sections.desired != NULL || !keep))
        rc = as_difference(&sections.desired, &desired, twin->desired.properties);
    if (rc == 0)
        rc = apply(twin, &sections, context, notice, err);
    cJSON_Delete(tags);
    cJSON_Delete(desired);
    return rc;
}

int twin_report(struct twin *twin, const cJSON *patch, const struct twin_context *context,
                struct err *err)
{
    const struct hub_rules *rules = rules_of(context);
    const struct stamping stamping = { context->stamp, 0, rules->size_rule };
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
    twin->version += rules->report_changes != HUB_REPORT_NEITHER;
    twin->etag += rules->report_changes == HUB_REPORT_BOTH;
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
