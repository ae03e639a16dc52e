/* What was answered, kept: the record of every property that was ever desired, in memory and in the
 * store. An acknowledgement goes out when its record is committed, never before; when nothing can be
 * stored the operator is answered all the same, because an answer that is true now beats none. */
#include "bridge/module_state.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MODULE UINTPTR_MAX /* a commit that nobody waits for */

/* ---- records ---- */

static void record_clear(struct desired_record *record)
{
    free(record->desired);
    free(record->detail);
    *record = (struct desired_record){ 0 };
}

void module_record_free(struct desired_record *record)
{
    if (record == NULL)
        return;
    record_clear(record);
    free(record);
}

/* Fills a record with copies; on -ENOMEM it is as before. */
static int record_fill(struct desired_record *record, int64_t version, const char *desired,
                       int code, const char *detail)
{
    struct desired_record filled = { version, strdup(desired), code, strdup(detail) };

    if (filled.desired == NULL || filled.detail == NULL) {
        record_clear(&filled);
        return -ENOMEM;
    }
    record_clear(record);
    *record = filled;
    return 0;
}

/* The same for a tag, which may have no record yet: it never has half a one. */
static int slot_record(struct module_slot *slot, int64_t version, const char *desired, int code,
                       const char *detail)
{
    struct desired_record *record = slot->record;
    int rc;

    if (record == NULL)
        record = calloc(1, sizeof *record);
    if (record == NULL)
        return -ENOMEM;
    rc = record_fill(record, version, desired, code, detail);
    if (rc == 0)
        slot->record = record;
    else if (slot->record == NULL)
        free(record);
    return rc;
}

void module_record_version(struct module *m, int64_t version)
{
    struct record row = {
        .module = m->mapping->name,
        .device = "",
        .tag = "",
        .version = version,
        .desired = "",
        .detail = "",
        .value = "",
    };

    if (version == m->recorded_version)
        return;
    m->recorded_version = version;
    m->io->commit(m->data, &row, TOKEN_MODULE);
}

void module_acknowledge(struct module *m, size_t device, size_t tag, const struct report_ack *ack,
                        uint64_t now_ms)
{
    if (report_acknowledge(m->report, device, tag, ack, now_ms) != 0)
        m->missed = true;
}

void module_record_acknowledge(struct module *m, size_t device, size_t tag, uint64_t now_ms)
{
    const struct desired_record *r = module_slot(m, device, tag)->record;
    struct report_ack ack = { r->code, r->version, r->detail };

    module_acknowledge(m, device, tag, &ack, now_ms);
}

int module_record_put(struct module *m, size_t device, size_t tag, int64_t version,
                      const char *desired, int code, const char *detail, uint64_t now_ms)
{
    struct module_slot *slot = module_slot(m, device, tag);
    char value[VALUE_TEXT_MAX] = "";
    struct record row = {
        .module = m->mapping->name,
        .device = module_device(m, device)->name,
        .tag = module_tag(m, device, tag)->name,
        .version = version,
        .desired = desired,
        .code = code,
        .detail = detail,
        .value = value,
    };

    if (slot_record(slot, version, desired, code, detail) != 0)
        return -ENOMEM;
    if (module_tag(m, device, tag)->access == CONFIG_WRITE && slot->applied.type != VALUE_NONE)
        value_print(slot->applied, value);
    slot->commits++;
    if (m->io->commit(m->data, &row, m->first[device] + tag) != 0)
        module_committed(m, m->first[device] + tag, -EIO, now_ms);
    return 0;
}

void module_record_forget(struct module *m, size_t device, size_t tag)
{
    struct module_slot *slot = module_slot(m, device, tag);
    struct record row = {
        .module = m->mapping->name,
        .device = module_device(m, device)->name,
        .tag = module_tag(m, device, tag)->name,
    };

    module_record_free(slot->record);
    slot->record = NULL;
    m->io->commit(m->data, &row, TOKEN_MODULE);
}

/* ---- names that are no tag ---- */

struct desired_unknown *module_unknown_find(const struct module *m, const char *component,
                                            const char *name)
{
    struct desired_unknown *u = m->unknown;

    while (u != NULL && (strcmp(u->name, name) != 0 || strcmp(u->component, component) != 0))
        u = u->next;
    return u;
}

void module_unknown_drop(struct module *m, struct desired_unknown *unknown)
{
    struct desired_unknown **at = &m->unknown;

    while (*at != unknown)
        at = &(*at)->next;
    *at = unknown->next;
    m->unknown_count--;
    record_clear(&unknown->record);
    free(unknown->component);
    free(unknown->name);
    free(unknown);
}

/* The entry for a name, new when there is none; NULL without memory or over the limit. */
static struct desired_unknown *unknown_entry(struct module *m, const char *component,
                                             const char *name)
{
    struct desired_unknown *u = module_unknown_find(m, component, name);

    if (u != NULL || m->unknown_count >= REPORT_REFUSED_MAX)
        return u;
    u = calloc(1, sizeof *u);
    if (u == NULL)
        return NULL;
    u->next = m->unknown;
    m->unknown = u;
    m->unknown_count++;
    u->id = ++m->unknown_ids;
    u->component = strdup(component);
    u->name = strdup(name);
    if (u->component == NULL || u->name == NULL) {
        module_unknown_drop(m, u);
        return NULL;
    }
    return u;
}

/* Fills its record. -ENOMEM: as before, and an entry that never had one is gone. */
static int unknown_fill(struct module *m, struct desired_unknown *u, int64_t version,
                        const char *desired, int code, const char *detail)
{
    int rc = record_fill(&u->record, version, desired, code, detail);

    if (rc != 0 && u->record.desired == NULL)
        module_unknown_drop(m, u);
    return rc;
}

void module_unknown_acknowledge(struct module *m, const struct desired_unknown *u, uint64_t now_ms)
{
    struct report_ack ack = { u->record.code, u->record.version, u->record.detail };

    if (report_refuse(m->report, u->component, u->name, &ack, now_ms) != 0)
        m->missed = true;
}

void module_unknown_refuse(struct module *m, const struct desired_decision *d, const char *text,
                           uint64_t now_ms)
{
    struct desired_unknown *u = unknown_entry(m, d->component, d->name);
    struct record row = {
        .module = m->mapping->name,
        .device = d->component,
        .tag = d->name,
        .version = d->version,
        .desired = text,
        .code = d->code,
        .detail = d->detail,
        .value = "",
    };

    if (u == NULL || unknown_fill(m, u, d->version, text, d->code, d->detail) != 0) {
        m->missed |= m->unknown_count < REPORT_REFUSED_MAX;
        report_refuse_more(m->report, now_ms); /* what is not kept could not be taken back */
        return;
    }
    if (m->io->commit(m->data, &row, m->first[m->mapping->device_count] + u->id) != 0)
        module_unknown_acknowledge(m, u, now_ms);
}

void module_unknown_clear(struct module *m, const struct desired_decision *d, uint64_t now_ms)
{
    struct desired_unknown *u = module_unknown_find(m, d->component, d->name);
    struct record row = { .module = m->mapping->name, .device = d->component, .tag = d->name };

    report_forget(m->report, d->component, d->name, now_ms);
    m->io->commit(m->data, &row, TOKEN_MODULE);
    if (u != NULL)
        module_unknown_drop(m, u);
}

/* ---- from the store ---- */

/* All commits of a tag are through; `rc` of the last is shown by the store, and the answer goes out all
 * the same. Not when a newer order said already that it waits: that is the truth by now. */
static void tag_committed(struct module *m, size_t device, size_t tag, int rc, uint64_t now_ms)
{
    const struct module_slot *slot = module_slot(m, device, tag);
    struct sample sample = module_latest(m, device, tag);
    const struct order *current;

    module_order_stored(m, device, tag, rc, now_ms);
    if (slot->commits > 0 || slot->record == NULL || slot->record->code == 0)
        return;
    current = module_order_current(m, device, tag);
    if (current != NULL && current->pending_told && current->version != slot->record->version)
        return;
    module_record_acknowledge(m, device, tag, now_ms);
    module_follow_device(m, device, tag, &sample, now_ms);
}

void module_committed(struct module *m, uintptr_t token, int rc, uint64_t now_ms)
{
    struct desired_unknown *u = m->unknown;
    size_t device = 0;

    if (token == TOKEN_MODULE)
        return;
    if (token >= m->first[m->mapping->device_count]) {
        while (u != NULL && u->id != token - m->first[m->mapping->device_count])
            u = u->next;
        if (u != NULL)
            module_unknown_acknowledge(m, u, now_ms);
        return;
    }
    while (token >= m->first[device + 1])
        device++;
    if (--m->slots[token].commits == 0)
        tag_committed(m, device, token - m->first[device], rc, now_ms);
}

static int restore_unknown(struct module *m, const struct record *record)
{
    struct desired_unknown *u = unknown_entry(m, record->device, record->tag);

    if (u == NULL)
        return m->unknown_count >= REPORT_REFUSED_MAX ? 0 : -ENOMEM;
    return unknown_fill(m, u, record->version, record->desired, record->code, record->detail);
}

static int restore_tag(struct module *m, size_t device, size_t tag, const struct record *record)
{
    struct module_slot *slot = module_slot(m, device, tag);
    cJSON *value = cJSON_Parse(record->value);

    if (cJSON_IsBool(value))
        report_written(m->report, device, tag, value_bool(cJSON_IsTrue(value)), 0);
    else if (cJSON_IsNumber(value) && module_tag(m, device, tag)->type == VALUE_INT)
        report_written(m->report, device, tag, value_int((int64_t)value->valuedouble), 0);
    else if (cJSON_IsNumber(value))
        report_written(m->report, device, tag, value_float(value->valuedouble), 0);
    cJSON_Delete(value);
    return slot_record(slot, record->version, record->desired, record->code, record->detail);
}

int module_restore(struct module *m, const struct record *record)
{
    if (record->device[0] == 0 && record->tag[0] == 0) {
        m->recorded_version = record->version;
        return 0;
    }
    for (size_t i = 0; i < m->mapping->device_count; i++) {
        size_t tag;

        if (strcmp(module_device(m, i)->name, record->device) != 0)
            continue;
        tag = config_find_tag(module_device(m, i), record->tag);
        if (tag != SIZE_MAX)
            return restore_tag(m, i, tag, record);
    }
    return restore_unknown(m, record);
}
