/* What the back end wants of one module: decisions of desired.c become orders, refusals, or nothing.
 * After a start, records that stand are taken up again; what was changed at the device meanwhile shows. */
#include "bridge/module_state.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

const struct report_ack module_own_value = { 203, 0, "device's own value" };

static void acknowledge_changed(struct module *m, size_t device, size_t tag, uint64_t now_ms)
{
    const struct report_ack ack = { 203, module_slot(m, device, tag)->record->version,
                                    "changed at the device" };

    module_acknowledge(m, device, tag, &ack, now_ms);
}

void module_follow_device(struct module *m, size_t device, size_t tag, const struct sample *sample,
                          uint64_t now_ms)
{
    const struct module_slot *slot = module_slot(m, device, tag);
    struct report_ack ack;
    bool same;

    if (slot->order != NULL || slot->applied.type == VALUE_NONE || slot->record == NULL ||
        slot->commits > 0 || sample->quality != QUALITY_GOOD || sample->now_ms <= slot->applied_ms)
        return;
    if (!report_acknowledged(m->report, device, tag, &ack) || slot->record->code != 200)
        return;
    same = value_equal(sample->value, slot->applied);
    if (same && ack.code == 203)
        module_record_acknowledge(m, device, tag, now_ms);
    if (!same && ack.code == 200)
        acknowledge_changed(m, device, tag, now_ms);
}

/* Whether the twin says that the value of this record was changed at the device. Believed after a start,
 * until the device is read. */
static bool twin_says_changed(const struct module *m, const struct desired_decision *d,
                              const struct desired_record *record)
{
    const cJSON *object = d->component[0] == 0 ? m->document_reported
                                               : cJSON_GetObjectItemCaseSensitive(
                                                     m->document_reported, d->component);
    const cJSON *ack = cJSON_GetObjectItemCaseSensitive(object, d->name);
    const cJSON *ac = cJSON_GetObjectItemCaseSensitive(ack, "ac");
    const cJSON *av = cJSON_GetObjectItemCaseSensitive(ack, "av");

    return record->code == 200 && cJSON_IsNumber(ac) && ac->valuedouble == 203 &&
           cJSON_IsNumber(av) && av->valuedouble == (double)record->version;
}

/* An order for another value was under way when the desired value went back to what the record says.
 * What was not sent yet is dropped; behind what is being sent the recorded value is ordered again. */
static void go_back(struct module *m, const struct desired_decision *d)
{
    const struct module_slot *slot = module_slot(m, d->device, d->tag);
    struct desired_decision again = *d;
    char *text;

    module_order_supersede(m, d->device, d->tag);
    if (slot->order == NULL || slot->order->state != ORDER_WRITING ||
        desired_check(m->config, module_tag(m, d->device, d->tag), d->node, &again.value,
                      &again.detail) != 0)
        return;
    text = desired_text(d->node);
    again.read_first = (module_tag(m, d->device, d->tag)->access & CONFIG_READ) != 0;
    if (text == NULL)
        m->missed = true;
    else
        module_order_place(m, &again, text, m->document_ms);
}

/* What an acknowledgement with this code stands for: the desired value as the device has it, or nothing. */
static struct value applied_of(const struct module *m, const struct desired_decision *d, int code)
{
    struct value value = { VALUE_NONE, { 0 } };
    const char *detail;

    if (code == 200 &&
        desired_check(m->config, module_tag(m, d->device, d->tag), d->node, &value, &detail) == 0)
        value = module_nearest(m, d->device, d->tag, value);
    return value;
}

/* The record stands: after a start, its acknowledgement and what it stood for are taken up again. */
static void keep(struct module *m, const struct desired_decision *d, uint64_t now_ms)
{
    struct module_slot *slot = module_slot(m, d->device, d->tag);
    struct sample sample;

    go_back(m, d);
    if (slot->newer != NULL || slot->commits > 0)
        return; /* its result is on the way */
    if (slot->applied.type == VALUE_NONE)
        slot->applied = applied_of(m, d, slot->record->code);
    sample = module_latest(m, d->device, d->tag);
    if (sample.quality == QUALITY_GOOD || !twin_says_changed(m, d, slot->record))
        module_record_acknowledge(m, d->device, d->tag, now_ms);
    else
        acknowledge_changed(m, d->device, d->tag, now_ms);
    module_follow_device(m, d->device, d->tag, &sample, now_ms);
}

static void clear_tag(struct module *m, const struct desired_decision *d, uint64_t now_ms)
{
    struct module_slot *slot = module_slot(m, d->device, d->tag);

    module_order_supersede(m, d->device, d->tag);
    slot->applied = (struct value){ VALUE_NONE, { 0 } };
    if (slot->record != NULL)
        module_record_forget(m, d->device, d->tag);
    report_written(m->report, d->device, d->tag, slot->applied, now_ms);
    if ((module_tag(m, d->device, d->tag)->access & CONFIG_WRITE) != 0)
        module_acknowledge(m, d->device, d->tag, &module_own_value, now_ms);
    else
        report_plain(m->report, d->device, d->tag, now_ms);
}

/* Nothing is written; a 200 is the twin's own, taken over where the store has lost the record. */
static void refuse_tag(struct module *m, const struct desired_decision *d, const char *text,
                       uint64_t now_ms)
{
    module_order_supersede(m, d->device, d->tag);
    module_slot(m, d->device, d->tag)->applied = applied_of(m, d, d->code);
    if (module_record_put(m, d->device, d->tag, d->version, text, d->code, d->detail, now_ms) != 0)
        m->missed = true;
}

/* A whole document names what was ordered before and is not finished: nothing new. */
static bool is_under_way(const struct module *m, const struct desired_decision *d, const char *text)
{
    const struct order *order = module_order_current(m, d->device, d->tag);

    return order != NULL && strcmp(order->desired, text) == 0;
}

static void on_decision(void *data, const struct desired_decision *d)
{
    struct module *m = data;
    bool unknown = d->tag == DESIRED_NO_TAG;
    char *text = d->node == NULL ? NULL : desired_text(d->node);

    if (d->node != NULL && text == NULL) {
        m->missed = true;
        return;
    }
    if (!unknown && text != NULL && m->document_reported != NULL && is_under_way(m, d, text)) {
        free(text);
        return;
    }
    if (d->kind == DESIRED_CLEAR && unknown)
        module_unknown_clear(m, d, m->document_ms);
    else if (d->kind == DESIRED_CLEAR)
        clear_tag(m, d, m->document_ms);
    else if (d->kind == DESIRED_KEEP && unknown)
        module_unknown_acknowledge(m, module_unknown_find(m, d->component, d->name),
                                   m->document_ms);
    else if (d->kind == DESIRED_KEEP)
        keep(m, d, m->document_ms);
    else if (d->kind == DESIRED_REFUSE && unknown)
        module_unknown_refuse(m, d, text, m->document_ms);
    else if (d->kind == DESIRED_REFUSE)
        refuse_tag(m, d, text, m->document_ms);
    if (d->kind == DESIRED_ORDER)
        module_order_place(m, d, text, m->document_ms);
    else
        free(text);
}

static const struct desired_record *record_of(const void *data, size_t device, size_t tag)
{
    const struct module *m = data;

    return m->slots[m->first[device] + tag].record;
}

static bool is_ordered(const void *data, size_t device, size_t tag)
{
    return module_order_current(data, device, tag) != NULL;
}

static const struct desired_unknown *unknown_of(const void *data)
{
    const struct module *m = data;

    return m->unknown;
}

static struct desired_input input_of(const struct module *m)
{
    return (struct desired_input){
        .config = m->config,
        .module = m->index,
        .first = m->first_document,
        .recorded_version = m->recorded_version,
        .record = record_of,
        .ordered = is_ordered,
        .unknown = unknown_of,
        .data = m,
    };
}

void module_desired_document(struct module *m, const struct cJSON *desired,
                             const struct cJSON *reported, uint64_t now_ms)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(desired, "$version");
    struct desired_input input = input_of(m);

    m->document_ms = now_ms;
    report_recount(m->report);
    m->document_reported = reported;
    desired_document(&input, desired, reported, on_decision, m);
    m->document_reported = NULL;
    m->first_document = false;
    if (cJSON_IsNumber(version))
        module_record_version(m, (int64_t)version->valuedouble);
}

void module_desired_patch(struct module *m, int64_t version, const struct cJSON *patch,
                          uint64_t now_ms)
{
    struct desired_input input = input_of(m);

    m->document_ms = now_ms;
    desired_patch(&input, version, patch, on_decision, m);
    module_record_version(m, version);
}
