/* The reported side of one module twin. See report.h for the life of a property.
 *
 * Failure modes: no memory while a patch is written leaves everything dirty; a lost patch is merged
 * back by marking what flew dirty again, and the next patch carries the values of that moment. */
#include "bridge/report_state.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct config_device *report_device(const struct report *report, size_t device)
{
    return &report->config->devices[report->module->devices[device]];
}

struct slot *report_slot(const struct report *report, size_t device, size_t tag)
{
    assert(device < report->module->device_count);
    assert(tag < report->first[device + 1] - report->first[device]);
    return &report->slots[report->first[device] + tag];
}

void report_wake(struct report *report, uint64_t due_ms)
{
    if (report->due_ms == 0 || due_ms < report->due_ms)
        report->due_ms = due_ms;
}

uint32_t report_silence_ms(const struct config_tag *tag)
{
    return tag->report == CONFIG_REPORT_ALWAYS ? tag->poll_interval_ms : tag->max_silence_ms;
}

bool report_fresh(const struct sample *sample, const struct config_tag *tag, uint64_t now_ms)
{
    return sample->quality == QUALITY_GOOD && now_ms - sample->now_ms <= tag->stale_after_ms;
}

struct value report_value(const struct report *report, size_t device, size_t tag, uint64_t now_ms,
                          int64_t *newest_wall_ms)
{
    const struct config_tag *t = &report_device(report, device)->tags[tag];
    const struct slot *slot = report_slot(report, device, tag);
    struct sample sample;

    if (t->access == CONFIG_WRITE)
        return slot->written;
    report->latest(report->data, device, tag, &sample);
    if (slot->written.type != VALUE_NONE && sample.now_ms < slot->written_ms)
        return slot->written;
    if (!report_fresh(&sample, t, now_ms))
        return (struct value){ VALUE_NONE, { 0 } };
    if (newest_wall_ms != NULL && sample.wall_ms > *newest_wall_ms)
        *newest_wall_ms = sample.wall_ms;
    return sample.value;
}

void report_owe(const struct report *report, size_t device, size_t tag)
{
    const struct config_tag *t = &report_device(report, device)->tags[tag];
    struct slot *slot = report_slot(report, device, tag);
    struct sample sample;

    report->latest(report->data, device, tag, &sample);
    slot->owed = sample.quality == QUALITY_GOOD && t->access != CONFIG_WRITE &&
                 (slot->unsure || value_moved(slot->last, sample.value, t->deadband));
}

/* ---- building ---- */

int report_new(struct report **out, const struct config *config, size_t module,
               report_latest *latest, const void *data)
{
    const struct config_module *m = &config->modules[module];
    struct report *report = calloc(1, sizeof *report);
    size_t count = 0;

    if (report == NULL)
        return -ENOMEM;
    report->config = config;
    report->module = m;
    report->latest = latest;
    report->data = data;
    report->first = calloc(m->device_count + 1, sizeof *report->first);
    report->health = calloc(m->device_count, sizeof *report->health);
    if (report->first == NULL || report->health == NULL)
        goto fail;
    for (size_t i = 0; i < m->device_count; i++) {
        report->first[i] = count;
        count += report_device(report, i)->tag_count;
    }
    report->first[m->device_count] = count;
    report->slots = calloc(count + 1, sizeof *report->slots);
    if (report->slots == NULL)
        goto fail;
    *out = report;
    return 0;

fail:
    report_free(report);
    return -ENOMEM;
}

static void refusal_free(struct refusal *refusal)
{
    free(refusal->component);
    free(refusal->name);
    free(refusal->ack.detail);
    free(refusal);
}

void report_free(struct report *report)
{
    struct refusal *next;

    if (report == NULL)
        return;
    if (report->slots != NULL) {
        for (size_t i = 0; i < report->first[report->module->device_count]; i++)
            free(report->slots[i].ack.detail);
    }
    for (size_t i = 0; report->health != NULL && i < report->module->device_count; i++) {
        free(report->health[i].state);
        free(report->health[i].error);
    }
    for (struct refusal *r = report->refusals; r != NULL; r = next) {
        next = r->next;
        refusal_free(r);
    }
    cJSON_Delete(report->strange);
    free(report->slots);
    free(report->first);
    free(report->health);
    free(report);
}

/* ---- what changes ---- */

/* The earliest moment the slot may go: min_interval after the last time. */
static uint64_t slot_due(const struct slot *slot, const struct config_tag *tag, uint64_t now_ms)
{
    uint64_t due = now_ms + REPORT_GATHER_MS;

    if (slot->last_ms != 0 && slot->last_ms + tag->min_interval_ms > due)
        due = slot->last_ms + tag->min_interval_ms;
    return due;
}

static void slot_dirty(struct report *report, struct slot *slot, const struct config_tag *tag,
                       uint64_t now_ms)
{
    slot->dirty = true;
    report_wake(report, slot_due(slot, tag, now_ms));
}

void report_sample(struct report *report, size_t device, size_t tag, const struct sample *sample,
                   uint64_t now_ms)
{
    const struct config_tag *t = &report_device(report, device)->tags[tag];
    struct slot *slot = report_slot(report, device, tag);
    const char *reason = sample->quality == QUALITY_BAD ? sample->reason : NULL;
    bool worth = slot->reason != reason || value_moved(slot->last, sample->value, t->deadband);

    if (t->report == CONFIG_REPORT_NONE && !slot->ack.present)
        return;
    if (slot->reason != reason) {
        slot->reason = reason;
        slot->bad_dirty = true;
    }
    if (worth)
        slot_dirty(report, slot, t, now_ms);
    else if (report_silence_ms(t) != 0)
        report_wake(report, slot->last_ms + report_silence_ms(t));
}

static int set_text(char **text, const char *now)
{
    char *copy = NULL;

    if (*now != 0) {
        copy = strdup(now);
        if (copy == NULL)
            return -ENOMEM;
    }
    free(*text);
    *text = copy;
    return 0;
}

static bool ack_same(const struct acknowledgement *ack, const struct report_ack *now)
{
    return ack->present && ack->code == now->code && ack->version == now->version &&
           strcmp(report_text(ack->detail), now->detail) == 0;
}

static int ack_set(struct acknowledgement *ack, const struct report_ack *now)
{
    int rc = set_text(&ack->detail, now->detail);

    if (rc != 0)
        return rc;
    ack->present = true;
    ack->code = now->code;
    ack->version = now->version;
    return 0;
}

int report_acknowledge(struct report *report, size_t device, size_t tag,
                       const struct report_ack *ack, uint64_t now_ms)
{
    struct slot *slot = report_slot(report, device, tag);
    int rc;

    if (ack_same(&slot->ack, ack))
        return 0;
    if (!slot->ack.present) /* the object takes the plain value's place in the twin */
        slot->last = (struct value){ VALUE_NONE, { 0 } };
    rc = ack_set(&slot->ack, ack);
    if (rc != 0)
        return rc;
    slot->dirty = true;
    slot->last_ms = 0; /* an answer to an operator does not wait for min_interval */
    report_wake(report, now_ms);
    return 0;
}

void report_written(struct report *report, size_t device, size_t tag, struct value value,
                    uint64_t now_ms)
{
    struct slot *slot = report_slot(report, device, tag);

    slot->written = value;
    slot->written_ms = now_ms;
    if (report_device(report, device)->tags[tag].access == CONFIG_WRITE)
        slot->dirty |= !value_equal(slot->last, value);
    else
        slot->owed |= value.type != VALUE_NONE;
    report_wake(report, now_ms + REPORT_GATHER_MS);
}

void report_plain(struct report *report, size_t device, size_t tag, uint64_t now_ms)
{
    struct slot *slot = report_slot(report, device, tag);

    if (!slot->ack.present)
        return;
    free(slot->ack.detail);
    slot->ack = (struct acknowledgement){ .present = false };
    slot->dirty = slot->foreign = true;
    report_wake(report, now_ms);
}

bool report_acknowledged(const struct report *report, size_t device, size_t tag,
                         struct report_ack *out)
{
    const struct slot *slot = report_slot(report, device, tag);

    if (slot->ack.present)
        *out = (struct report_ack){ slot->ack.code, slot->ack.version,
                                    report_text(slot->ack.detail) };
    return slot->ack.present;
}

struct refusal *report_refusal(const struct report *report, const char *component, const char *name)
{
    struct refusal *r = report->refusals;

    while (r != NULL && (strcmp(r->name, name) != 0 || strcmp(r->component, component) != 0))
        r = r->next;
    return r;
}

static struct refusal *refusal_add(struct report *report, const char *component, const char *name)
{
    struct refusal *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->component = strdup(component);
    r->name = strdup(name);
    if (r->component == NULL || r->name == NULL) {
        refusal_free(r);
        return NULL;
    }
    r->next = report->refusals;
    report->refusals = r;
    report->refusal_count++;
    return r;
}

/* The health that stands in the twin under this name; NULL when it is another one. */
static struct health *health_at(const struct report *report, const char *component,
                                const char *name)
{
    if (strcmp(name, "health") != 0)
        return NULL;
    for (size_t i = 0; i < report->module->device_count; i++) {
        if (strcmp(report->module->components ? report_device(report, i)->name : "", component) ==
            0)
            return &report->health[i];
    }
    return NULL;
}

size_t report_refused(const struct report *report)
{
    size_t count = report->refused_more;

    for (size_t i = 0; i < report->module->device_count; i++)
        count += report->health[i].named;
    return count;
}

static void tell_refused(struct report *report, uint64_t now_ms)
{
    report->health[0].dirty = true;
    report_wake(report, now_ms);
}

void report_recount(struct report *report)
{
    report->refused_more = 0;
}

void report_refuse_more(struct report *report, uint64_t now_ms)
{
    report->refused_more++;
    tell_refused(report, now_ms);
}

/* The name is ours from now on: the null that was to take it away does not go, a patch names it once. */
static void own(struct report *report, const char *component, const char *name)
{
    cJSON *object = component[0] == 0
                        ? report->strange
                        : cJSON_GetObjectItemCaseSensitive(report->strange, component);
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (cJSON_IsNull(item))
        cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
}

int report_refuse(struct report *report, const char *component, const char *name,
                  const struct report_ack *ack, uint64_t now_ms)
{
    struct refusal *r = report_refusal(report, component, name);
    struct health *health = health_at(report, component, name);
    int rc;

    if (health != NULL) {
        health->named = true;
        tell_refused(report, now_ms);
        return 0;
    }
    if (r == NULL && report->refusal_count >= REPORT_REFUSED_MAX) {
        report_refuse_more(report, now_ms);
        return 0;
    }
    if (r != NULL && ack_same(&r->ack, ack) && !r->gone)
        return 0;
    if (r == NULL)
        r = refusal_add(report, component, name);
    if (r == NULL)
        return -ENOMEM;
    rc = ack_set(&r->ack, ack);
    if (rc != 0)
        return rc;
    r->gone = false;
    r->dirty = true;
    own(report, component, name);
    report_wake(report, now_ms);
    return 0;
}

void report_forget(struct report *report, const char *component, const char *name, uint64_t now_ms)
{
    struct refusal *r = report_refusal(report, component, name);
    struct health *health = health_at(report, component, name);

    if (health != NULL) {
        health->named = false;
        tell_refused(report, now_ms);
    }
    if (r == NULL || r->gone)
        return;
    r->gone = true;
    r->dirty = true;
    report_wake(report, now_ms);
}

int report_health(struct report *report, size_t device, const char *state, int64_t since_wall_ms,
                  const char *error, uint64_t now_ms)
{
    struct health *health = &report->health[device];
    int rc;

    if (health->state != NULL && strcmp(health->state, state) == 0 &&
        strcmp(report_text(health->error), error) == 0 && health->since_wall_ms == since_wall_ms)
        return 0;
    health->dirty = true; /* also when memory is short: half told is told again */
    report_wake(report, now_ms + REPORT_GATHER_MS);
    rc = set_text(&health->state, state);
    if (rc == 0)
        rc = set_text(&health->error, error);
    health->since_wall_ms = since_wall_ms;
    return rc;
}

/* ---- the hub's answer ---- */

void report_drop_gone(struct report *report)
{
    struct refusal **at = &report->refusals;

    while (*at != NULL) {
        struct refusal *r = *at;

        if (r->gone && !r->dirty) {
            *at = r->next;
            refusal_free(r);
            report->refusal_count--;
        } else {
            at = &r->next;
        }
    }
}

static void slot_accepted(struct slot *slot)
{
    if (slot->flying && !slot->dirty)
        slot->foreign = false;
    slot->flying = slot->bad_flying = false;
}

void report_accepted(struct report *report)
{
    for (size_t i = 0; i < report->first[report->module->device_count]; i++)
        slot_accepted(&report->slots[i]);
    for (size_t i = 0; i < report->module->device_count; i++)
        report->health[i].flying = false;
    for (struct refusal *r = report->refusals; r != NULL; r = r->next)
        r->flying = false;
    report_drop_gone(report);
    if (report->strange_flying) {
        cJSON_Delete(report->strange);
        report->strange = NULL;
        report->strange_flying = false;
    }
}

void report_lost(struct report *report, uint64_t now_ms)
{
    for (size_t i = 0; i < report->first[report->module->device_count]; i++) {
        struct slot *slot = &report->slots[i];

        if (slot->flying) {
            slot->dirty = slot->unsure = true;
            slot->last_ms = 0;
        }
        slot->bad_dirty |= slot->bad_flying;
        slot->flying = slot->bad_flying = false;
    }
    for (size_t i = 0; i < report->module->device_count; i++) {
        report->health[i].dirty |= report->health[i].flying;
        report->health[i].flying = false;
    }
    for (struct refusal *r = report->refusals; r != NULL; r = r->next) {
        r->dirty |= r->flying;
        r->flying = false;
    }
    report->strange_flying = false;
    report_wake(report, now_ms);
}

uint64_t report_due(const struct report *report)
{
    return report->due_ms;
}

size_t report_pending(const struct report *report)
{
    size_t count = 0;

    for (size_t i = 0; i < report->first[report->module->device_count]; i++)
        count += report->slots[i].dirty || report->slots[i].flying;
    for (size_t i = 0; i < report->module->device_count; i++)
        count += report->health[i].dirty || report->health[i].flying;
    for (const struct refusal *r = report->refusals; r != NULL; r = r->next)
        count += r->dirty || r->flying;
    return count;
}

static size_t ack_bytes(const struct acknowledgement *ack)
{
    return strlen("acavad") + 8 + 8 + strlen(report_text(ack->detail));
}

static size_t slot_bytes(const struct slot *slot, const char *name)
{
    size_t bytes = strlen(name);

    if (slot->last.type == VALUE_NONE && !slot->ack.present && slot->reason == NULL)
        return 0;
    if (slot->last.type != VALUE_NONE)
        bytes += slot->last.type == VALUE_BOOL ? 4 : 8;
    if (slot->reason != NULL)
        bytes += strlen(name) + strlen(slot->reason);
    return bytes + (slot->ack.present ? strlen("value") + ack_bytes(&slot->ack) : 0);
}

size_t report_bytes(const struct report *report)
{
    size_t bytes = 0;

    for (size_t i = 0; i < report->module->device_count; i++) {
        const struct config_device *d = report_device(report, i);
        const struct health *h = &report->health[i];

        if (report->module->components)
            bytes += strlen(d->name) + strlen("__tc");
        for (size_t k = 0; k < d->tag_count; k++)
            bytes += slot_bytes(&report->slots[report->first[i] + k], d->tags[k].name);
        bytes += strlen("healthstatesincetimeerrorbad") + 2 * strlen("2026-11-22T10:00:00.000Z") +
                 strlen(report_text(h->state)) + strlen(report_text(h->error));
    }
    for (const struct refusal *r = report->refusals; r != NULL; r = r->next)
        bytes += strlen(r->name) + ack_bytes(&r->ack);
    return bytes;
}
