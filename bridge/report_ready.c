/* READY: what the hub holds against what is. The difference becomes dirty; keys that the mapping does
 * not own are gathered as nulls. */
#include "bridge/report_state.h"

#include "base/timestamp.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <string.h>

static struct value value_of_node(const cJSON *node, enum value_type type)
{
    if (node == NULL)
        return (struct value){ VALUE_NONE, { 0 } };
    if (cJSON_IsBool(node) && type == VALUE_BOOL)
        return value_bool(cJSON_IsTrue(node));
    if (cJSON_IsNumber(node) && type == VALUE_INT &&
        fabs(node->valuedouble) <= 4503599627370496.0 &&
        node->valuedouble == floor(node->valuedouble))
        return value_int((int64_t)node->valuedouble);
    if (cJSON_IsNumber(node) && type == VALUE_FLOAT)
        return value_float(node->valuedouble);
    return (struct value){ VALUE_NONE, { 0 } };
}

/* NULL also for what stands there and is no object: its members would have no names. */
static const cJSON *object_in(const cJSON *object, const char *name)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsObject(node) ? node : NULL;
}

static bool ack_matches(const struct acknowledgement *ack, const cJSON *node)
{
    const cJSON *ac = cJSON_GetObjectItemCaseSensitive(node, "ac");
    const cJSON *av = cJSON_GetObjectItemCaseSensitive(node, "av");
    const cJSON *ad = cJSON_GetObjectItemCaseSensitive(node, "ad");

    return cJSON_IsNumber(ac) && ac->valuedouble == ack->code && cJSON_IsNumber(av) &&
           av->valuedouble == (double)ack->version && cJSON_IsString(ad) &&
           strcmp(ad->valuestring, report_text(ack->detail)) == 0;
}

/* Whether the twin's node shows this tag as it is now; takes over its value as the last one put. */
static bool slot_matches(const struct report *report, size_t device, size_t tag, const cJSON *node,
                         uint64_t now_ms)
{
    const struct config_tag *t = &report_device(report, device)->tags[tag];
    struct slot *slot = report_slot(report, device, tag);
    bool object = cJSON_IsObject(node);
    const cJSON *held = slot->ack.present ? cJSON_GetObjectItemCaseSensitive(node, "value") : node;
    struct value now;

    slot->last = value_of_node(held, t->type);
    slot->foreign = !slot->ack.present && (object || cJSON_IsArray(node));
    slot->owed = slot->unsure = false;
    if (slot->ack.present ? !object || !ack_matches(&slot->ack, node) : slot->foreign)
        return false;
    if (slot->reason != NULL)
        return held == NULL;
    now = report_value(report, device, tag, now_ms, NULL);
    if (now.type == VALUE_NONE) /* nothing fresh to say */
        report_owe(report, device, tag);
    if (now.type == VALUE_NONE)
        return t->access != CONFIG_WRITE || slot->last.type == VALUE_NONE;
    return slot->last.type != VALUE_NONE && !value_moved(slot->last, now, t->deadband);
}

static bool text_is(const cJSON *object, const char *key, const char *text)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsString(node) && strcmp(node->valuestring, text) == 0;
}

static bool health_matches(const struct health *health, const cJSON *node)
{
    char since[TIMESTAMP_MAX];

    timestamp_print(health->since_wall_ms, since);
    return health->state == NULL ||
           (text_is(node, "state", health->state) && text_is(node, "since", since) &&
            text_is(node, "error", report_text(health->error)) &&
            cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(node, "bad")));
}

/* Takes over whether the twin holds a count at all. */
static bool refused_matches(struct report *report, const cJSON *health)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(health, "refused");
    double count = (double)report_refused(report);

    report->refused_shown = node != NULL;
    return node == NULL ? count == 0 : cJSON_IsNumber(node) && node->valuedouble == count;
}

static bool bad_matches(const struct slot *slot, const cJSON *bad, const char *name)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(bad, name);

    return slot->reason == NULL ? node == NULL : text_is(bad, name, slot->reason);
}

static bool is_health_key(const char *key)
{
    static const char *const keys[] = { "state", "since", "time", "error", "bad", "refused" };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

/* Adds `key: null` under `into`[name], making the object when it is missing. */
static int strange_add(cJSON *into, const char *name, const char *key)
{
    cJSON *object = into;

    if (name != NULL) {
        object = cJSON_GetObjectItemCaseSensitive(into, name);
        if (object == NULL)
            object = cJSON_AddObjectToObject(into, name);
    }
    if (object == NULL || cJSON_AddNullToObject(object, key) == NULL)
        return -ENOMEM;
    return 0;
}

/* Nulls what stands in the twin's health and is not ours: keys of it, and names in `bad`. */
static int strange_health(const struct config_device *device, const cJSON *health, cJSON *into)
{
    const cJSON *bad = object_in(health, "bad");
    const cJSON *node;
    int rc = 0;

    cJSON_ArrayForEach(node, health)
    {
        if (!is_health_key(node->string))
            rc = rc != 0 ? rc : strange_add(into, "health", node->string);
    }
    cJSON_ArrayForEach(node, bad)
    {
        cJSON *mine;

        if (config_find_tag(device, node->string) != SIZE_MAX)
            continue;
        mine = cJSON_GetObjectItemCaseSensitive(into, "health");
        if (mine == NULL)
            mine = cJSON_AddObjectToObject(into, "health");
        rc = rc != 0 ? rc : strange_add(mine, "bad", node->string);
    }
    return rc;
}

/* Nulls for what stands in an acknowledgement and is not ours; says whether there was any. */
static int strange_ack(const cJSON *ack, bool has_value, cJSON *into, bool *any)
{
    static const char *const keys[] = { "ac", "av", "ad", "value" };
    size_t count = sizeof keys / sizeof keys[0] - !has_value;
    const cJSON *node;
    int rc = 0;

    if (!cJSON_IsObject(ack))
        return 0;
    cJSON_ArrayForEach(node, ack)
    {
        bool mine = false;

        for (size_t i = 0; i < count; i++)
            mine |= strcmp(node->string, keys[i]) == 0;
        if (mine)
            continue;
        *any = true;
        rc = rc != 0 ? rc : strange_add(into, ack->string, node->string);
    }
    return rc;
}

/* Compares one device with its object in the twin; nulls for strange keys go into `into`. */
static int ready_device(struct report *report, size_t device, const cJSON *object, cJSON *into,
                        uint64_t now_ms)
{
    const struct config_device *d = report_device(report, device);
    const char *component = report->module->components ? d->name : "";
    const cJSON *health = object_in(object, "health");
    const cJSON *bad = object_in(health, "bad");
    const cJSON *node;
    int rc = 0;

    for (size_t i = 0; i < d->tag_count; i++) {
        struct slot *slot = report_slot(report, device, i);

        node = cJSON_GetObjectItemCaseSensitive(object, d->tags[i].name);
        slot->dirty = d->tags[i].report == CONFIG_REPORT_NONE && !slot->ack.present
                          ? node != NULL
                          : !slot_matches(report, device, i, node, now_ms);
        if (slot->ack.present)
            rc = rc != 0 ? rc : strange_ack(node, true, into, &slot->dirty);
        if (slot->last_ms == 0 && !slot->dirty && report_silence_ms(&d->tags[i]) != 0)
            slot->last_ms = now_ms; /* max_silence counts from here */
        slot->flying = slot->bad_flying = false;
        slot->bad_dirty = !bad_matches(slot, bad, d->tags[i].name);
    }
    report->health[device].dirty = !health_matches(&report->health[device], health);
    if (device == 0 && !refused_matches(report, health))
        report->health[device].dirty = true;
    report->health[device].flying = false;
    cJSON_ArrayForEach(node, object)
    {
        const char *key = node->string;
        struct refusal *refusal;

        if (key[0] == '$' || strcmp(key, "health") == 0 || strcmp(key, "__t") == 0 ||
            config_find_tag(d, key) != SIZE_MAX)
            continue;
        refusal = report_refusal(report, component, key);
        if (refusal != NULL)
            rc = rc != 0 ? rc : strange_ack(node, false, into, &refusal->dirty);
        else
            rc = rc != 0 ? rc : strange_add(into, NULL, key);
    }
    return rc != 0 ? rc : strange_health(d, health, into);
}

static int ready_components(struct report *report, const cJSON *reported, uint64_t now_ms)
{
    const cJSON *node;
    int rc = 0;

    for (size_t i = 0; i < report->module->device_count; i++) {
        const char *name = report_device(report, i)->name;
        cJSON *into = cJSON_CreateObject();

        if (into == NULL)
            return -ENOMEM;
        if (ready_device(report, i, object_in(reported, name), into, now_ms) != 0)
            rc = -ENOMEM;
        if (into->child == NULL) {
            cJSON_Delete(into);
        } else if (!cJSON_AddItemToObject(report->strange, name, into)) {
            cJSON_Delete(into);
            rc = -ENOMEM;
        }
    }
    cJSON_ArrayForEach(node, reported)
    {
        struct refusal *refusal = report_refusal(report, "", node->string);
        bool known = node->string[0] == '$' || refusal != NULL;

        if (refusal != NULL && strange_ack(node, false, report->strange, &refusal->dirty) != 0)
            rc = -ENOMEM;

        for (size_t i = 0; i < report->module->device_count && !known; i++)
            known = strcmp(report_device(report, i)->name, node->string) == 0;
        if (!known && strange_add(report->strange, NULL, node->string) != 0)
            rc = -ENOMEM;
    }
    return rc;
}

static void ready_refusals(struct report *report, const cJSON *reported)
{
    for (struct refusal *r = report->refusals; r != NULL; r = r->next) {
        const cJSON *object = r->component[0] == 0
                                  ? reported
                                  : cJSON_GetObjectItemCaseSensitive(reported, r->component);
        const cJSON *node = cJSON_GetObjectItemCaseSensitive(object, r->name);

        r->flying = false;
        r->dirty = r->gone ? node != NULL : !cJSON_IsObject(node) || !ack_matches(&r->ack, node);
    }
}

/* Without memory the comparison may be a part of one: everything is sent. */
static void everything_dirty(struct report *report)
{
    for (size_t device = 0; device < report->module->device_count; device++) {
        const struct config_device *d = report_device(report, device);

        for (size_t i = 0; i < d->tag_count; i++) {
            struct slot *slot = report_slot(report, device, i);

            slot->dirty = d->tags[i].report != CONFIG_REPORT_NONE || slot->ack.present;
            slot->bad_dirty |= slot->reason != NULL;
            slot->flying = slot->bad_flying = false;
        }
        report->health[device].dirty = report->health[device].state != NULL;
        report->health[device].flying = false;
    }
    for (struct refusal *r = report->refusals; r != NULL; r = r->next)
        r->dirty = true;
}

static int compare(struct report *report, const cJSON *reported, uint64_t now_ms)
{
    if (report->strange == NULL)
        return -ENOMEM;
    if (report->module->components)
        return ready_components(report, reported, now_ms);
    return ready_device(report, 0, reported, report->strange, now_ms);
}

int report_ready(struct report *report, const struct cJSON *reported, uint64_t now_ms)
{
    int rc;

    cJSON_Delete(report->strange);
    report->strange_flying = false;
    report->strange = cJSON_CreateObject();
    ready_refusals(report, reported);
    report_drop_gone(report);
    rc = compare(report, reported, now_ms);
    if (rc != 0)
        everything_dirty(report);
    if (report->strange != NULL && report->strange->child == NULL) {
        cJSON_Delete(report->strange);
        report->strange = NULL;
    }
    report_wake(report, now_ms);
    return rc;
}
