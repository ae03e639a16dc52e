/* Writing one reported patch: everything that is dirty and due, as a JSON merge patch.
 *
 * health.time goes with values only; a component's object carries its "__t" marker and is left out when
 * it would hold nothing else. When the text does not fit or memory is short, all of it stays dirty. */
#include "bridge/report_state.h"

#include "base/timestamp.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

struct writer {
    struct buf *out;
    bool comma; /* something stands before in the present object */
    size_t properties;
    int64_t newest_wall_ms; /* of the samples in this patch */
};

static void key(struct writer *w, const char *name)
{
    if (w->comma)
        buf_add_byte(w->out, ',');
    w->comma = true;
    buf_add_json(w->out, name);
    buf_add_byte(w->out, ':');
}

static void open_object(struct writer *w)
{
    buf_add_byte(w->out, '{');
    w->comma = false;
}

static void close_object(struct writer *w)
{
    buf_add_byte(w->out, '}');
    w->comma = true;
}

static void write_ack(struct writer *w, const struct acknowledgement *ack)
{
    key(w, "ac");
    buf_printf(w->out, "%d", ack->code);
    key(w, "av");
    buf_printf(w->out, "%lld", (long long)ack->version);
    key(w, "ad");
    buf_add_json(w->out, report_text(ack->detail));
}

static void write_value(struct writer *w, struct value value)
{
    char text[VALUE_TEXT_MAX];

    value_print(value, text);
    buf_add_text(w->out, text);
}

/* One tag's property; nothing when there is nothing to say yet. */
static void write_strange(struct writer *w, const cJSON *object);
static const cJSON *strange_of(const struct report *report, size_t device);

/* The value to put; *has_value is false when there is nothing to say. A NONE that is to be said is the
 * null that takes away what the twin must not hold. */
static struct value value_to_put(const struct report *report, struct writer *w, size_t device,
                                 size_t tag, uint64_t now_ms, bool *has_value)
{
    const struct config_tag *t = &report_device(report, device)->tags[tag];
    const struct slot *slot = report_slot(report, device, tag);
    bool forgotten = t->access == CONFIG_WRITE && (slot->unsure || slot->last.type != VALUE_NONE);
    bool unwanted = t->report == CONFIG_REPORT_NONE && !slot->ack.present;
    struct value value = { VALUE_NONE, { 0 } };

    if (slot->reason == NULL && !unwanted)
        value = report_value(report, device, tag, now_ms, &w->newest_wall_ms);
    *has_value = value.type != VALUE_NONE || slot->reason != NULL || forgotten || unwanted ||
                 (slot->foreign && !slot->ack.present);
    return value;
}

static void write_slot(struct report *report, struct writer *w, size_t device, size_t tag,
                       uint64_t now_ms)
{
    const struct config_tag *t = &report_device(report, device)->tags[tag];
    struct slot *slot = report_slot(report, device, tag);
    bool has_value;
    struct value value = value_to_put(report, w, device, tag, now_ms, &has_value);

    slot->dirty = false;
    if (has_value) {
        slot->last = value;
        slot->unsure = false;
    }
    if (value.type == VALUE_NONE && slot->reason == NULL)
        report_owe(report, device, tag);
    if (!has_value && !slot->ack.present)
        return;
    slot->flying = true;
    w->properties++;
    key(w, t->name);
    if (slot->ack.present) {
        open_object(w);
        if (has_value)
            key(w, "value");
    }
    if (has_value)
        write_value(w, value);
    if (slot->ack.present) {
        write_ack(w, &slot->ack);
        write_strange(w, cJSON_GetObjectItemCaseSensitive(strange_of(report, device), t->name));
        close_object(w);
    }
    slot->last_ms = now_ms;
}

/* A fresh sample of a property that was silent for long enough. */
static bool silence_over(const struct report *report, size_t device, size_t tag, uint64_t now_ms)
{
    const struct config_tag *t = &report_device(report, device)->tags[tag];
    const struct slot *slot = report_slot(report, device, tag);
    uint32_t silence_ms = report_silence_ms(t);
    struct sample sample;

    if (silence_ms == 0 || slot->last_ms == 0 || now_ms < slot->last_ms + silence_ms)
        return false;
    report->latest(report->data, device, tag, &sample);
    return report_fresh(&sample, t, now_ms) && sample.now_ms > slot->last_ms;
}

/* What was owed goes when a fresh sample shows that the twin still holds another value. */
static void settle_debt(struct report *report, size_t device, size_t tag, uint64_t now_ms)
{
    const struct config_tag *t = &report_device(report, device)->tags[tag];
    struct slot *slot = report_slot(report, device, tag);
    struct sample sample;

    report->latest(report->data, device, tag, &sample);
    if (!report_fresh(&sample, t, now_ms) || sample.now_ms < slot->written_ms)
        return;
    slot->owed = false;
    slot->dirty |= slot->unsure || value_moved(slot->last, sample.value, t->deadband);
}

static void write_tags(struct report *report, struct writer *w, size_t device, uint64_t now_ms)
{
    const struct config_device *d = report_device(report, device);

    for (size_t i = 0; i < d->tag_count; i++) {
        struct slot *slot = report_slot(report, device, i);
        bool held;

        if (slot->owed)
            settle_debt(report, device, i, now_ms);
        held = slot->last_ms != 0 && now_ms < slot->last_ms + d->tags[i].min_interval_ms;

        if ((slot->dirty && !held) || silence_over(report, device, i, now_ms))
            write_slot(report, w, device, i, now_ms);
    }
}

static void write_refusals(struct report *report, struct writer *w, const char *component,
                           const cJSON *strange)
{
    for (struct refusal *r = report->refusals; r != NULL; r = r->next) {
        if (!r->dirty || strcmp(r->component, component) != 0)
            continue;
        r->dirty = false;
        r->flying = true;
        w->properties++;
        key(w, r->name);
        if (r->gone) {
            buf_add_text(w->out, "null");
            continue;
        }
        open_object(w);
        write_ack(w, &r->ack);
        write_strange(w, cJSON_GetObjectItemCaseSensitive(strange, r->name));
        close_object(w);
    }
}

/* What the twin holds in a device's object and nobody owns. */
static const cJSON *strange_of(const struct report *report, size_t device)
{
    if (!report->module->components)
        return report->strange;
    return cJSON_GetObjectItemCaseSensitive(report->strange, report_device(report, device)->name);
}

/* Nulls for the keys of `object` that nobody owns; objects in it are merged where theirs is written. */
static void write_strange(struct writer *w, const cJSON *object)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, object)
    {
        if (!cJSON_IsNull(node))
            continue;
        w->properties++;
        key(w, node->string);
        buf_add_text(w->out, "null");
    }
}

static void write_bad(struct report *report, struct writer *w, size_t device, const cJSON *strange)
{
    const struct config_device *d = report_device(report, device);

    key(w, "bad");
    open_object(w);
    for (size_t i = 0; i < d->tag_count; i++) {
        struct slot *slot = report_slot(report, device, i);

        if (!slot->bad_dirty)
            continue;
        slot->bad_dirty = false;
        slot->bad_flying = true;
        key(w, d->tags[i].name);
        if (slot->reason == NULL)
            buf_add_text(w->out, "null");
        else
            buf_add_json(w->out, slot->reason);
    }
    write_strange(w, strange);
    close_object(w);
}

static bool has_bad(const struct report *report, size_t device)
{
    for (size_t i = report->first[device]; i < report->first[device + 1]; i++) {
        if (report->slots[i].bad_dirty)
            return true;
    }
    return false;
}

static void write_stamp(struct writer *w, const char *name, int64_t wall_ms)
{
    char text[TIMESTAMP_MAX];

    timestamp_print(wall_ms, text);
    key(w, name);
    buf_add_json(w->out, text);
}

/* 0 is left out; one that may stand in the twin is taken away. */
static void write_refused(struct report *report, struct writer *w)
{
    size_t count = report_refused(report);

    if (count == 0 && !report->refused_shown)
        return;
    key(w, "refused");
    if (count == 0)
        buf_add_text(w->out, "null");
    else
        buf_printf(w->out, "%zu", count);
    report->refused_shown = true;
}

static void write_state(struct report *report, struct writer *w, size_t device)
{
    struct health *health = &report->health[device];

    health->dirty = false;
    health->flying = true;
    w->properties++;
    key(w, "state");
    buf_add_json(w->out, health->state);
    write_stamp(w, "since", health->since_wall_ms);
    key(w, "error");
    buf_add_json(w->out, report_text(health->error));
    if (device == 0)
        write_refused(report, w);
}

static void write_health(struct report *report, struct writer *w, size_t device,
                         const cJSON *strange)
{
    struct health *health = &report->health[device];
    bool bad = has_bad(report, device);
    bool whole = health->dirty && health->state != NULL;

    if (!whole && !bad && strange == NULL && w->newest_wall_ms == 0)
        return;
    key(w, "health");
    open_object(w);
    if (whole)
        write_state(report, w, device);
    if (w->newest_wall_ms != 0)
        write_stamp(w, "time", w->newest_wall_ms);
    if (bad || whole || strange != NULL)
        write_bad(report, w, device, cJSON_GetObjectItemCaseSensitive(strange, "bad"));
    write_strange(w, strange);
    close_object(w);
}

/* Everything of one device, inside its object. */
static void write_device(struct report *report, struct writer *w, size_t device, uint64_t now_ms)
{
    const char *component = report->module->components ? report_device(report, device)->name : "";
    const cJSON *strange = strange_of(report, device);

    w->newest_wall_ms = 0;
    write_tags(report, w, device, now_ms);
    write_refusals(report, w, component, strange);
    write_strange(w, strange);
    write_health(report, w, device, cJSON_GetObjectItemCaseSensitive(strange, "health"));
}

static void write_components(struct report *report, struct writer *w, uint64_t now_ms)
{
    for (size_t i = 0; i < report->module->device_count; i++) {
        size_t mark = w->out->length;
        bool comma = w->comma;
        size_t body;

        key(w, report_device(report, i)->name);
        open_object(w);
        key(w, "__t");
        buf_add_json(w->out, "c");
        body = w->out->length;
        write_device(report, w, i, now_ms);
        if (w->out->error == 0 && w->out->length == body) { /* nothing to say: unwrite the frame */
            w->out->length = mark;
            w->out->bytes[mark] = 0;
            w->comma = comma;
            continue;
        }
        close_object(w);
    }
    write_refusals(report, w, "", report->strange);
    write_strange(w, report->strange);
}

/* When a slot that stays silent should be looked at: when its time is over, then at every poll, for it
 * goes only with a fresh sample. */
static uint64_t silence_due(const struct slot *slot, const struct config_tag *tag, uint64_t now_ms)
{
    uint64_t due = slot->last_ms + report_silence_ms(tag);

    return due > now_ms ? due : now_ms + tag->poll_interval_ms;
}

/* When the next slot may go, after a patch was written. */
static bool is_silent(const struct health *health)
{
    return health->state != NULL &&
           (strcmp(health->state, "offline") == 0 || strcmp(health->state, "disabled") == 0);
}

static void find_due(struct report *report, uint64_t now_ms)
{
    report->due_ms = 0;
    for (size_t device = 0; device < report->module->device_count; device++) {
        const struct config_device *d = report_device(report, device);

        for (size_t i = 0; i < d->tag_count; i++) {
            const struct slot *slot = report_slot(report, device, i);

            if (slot->dirty)
                report_wake(report, slot->last_ms + d->tags[i].min_interval_ms);
            else if (slot->owed && !is_silent(&report->health[device]))
                report_wake(report, now_ms + d->tags[i].poll_interval_ms);
            else if (report_silence_ms(&d->tags[i]) != 0 && slot->last_ms != 0)
                report_wake(report, silence_due(slot, &d->tags[i], now_ms));
        }
    }
}

int report_write(struct report *report, uint64_t now_ms, struct buf *out)
{
    struct writer w = { .out = out };
    int rc;

    buf_clear(out);
    open_object(&w);
    if (report->module->components)
        write_components(report, &w, now_ms);
    else
        write_device(report, &w, 0, now_ms);
    close_object(&w);
    if (out->error != 0) {
        rc = out->error;
        report_lost(report, now_ms);
        return rc;
    }
    report->strange_flying = report->strange != NULL;
    find_due(report, now_ms);
    return out->length > 2 ? 0 : -EAGAIN;
}
