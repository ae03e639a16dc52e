/* Deciding desired properties. See desired.h; the table of design section 8 is decide_tag and
 * desired_check, top to bottom.
 *
 *   patch:     null -> CLEAR; unknown 404, read-only 403, wrong type 400, out of range 403 -> REFUSE;
 *              else ORDER, written without a question
 *   document:  no longer there -> CLEAR; as recorded -> KEEP (a sent but unrecorded write_once: 504);
 *              else as above, but read first */
#include "bridge/desired.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pass { /* one document or patch */
    const struct desired_input *input;
    bool whole;
    int64_t version;
    const cJSON *reported; /* the object that holds the device's properties; NULL with patches */
    desired_emit *emit;
    void *data;
};

static const struct config_device *device_at(const struct desired_input *input, size_t device)
{
    const struct config_module *module = &input->config->modules[input->module];

    return &input->config->devices[module->devices[device]];
}

/* ---- one value against its tag ---- */

static bool on_step(const struct config_tag *tag, double number)
{
    double base = isnan(tag->min) ? 0 : tag->min;
    double steps;

    if (tag->step == 0)
        return true;
    steps = (number - base) / tag->step;
    return fabs(steps - round(steps)) < 1e-6;
}

/* 400 unless the JSON type is the tag's. */
static int check_type(const struct config_tag *tag, const cJSON *node, const char **detail)
{
    if (tag->type == VALUE_BOOL) {
        *detail = "wants true or false";
        return cJSON_IsBool(node) ? 0 : 400;
    }
    *detail = "wants a number";
    if (!cJSON_IsNumber(node) || !isfinite(node->valuedouble))
        return 400;
    *detail = "wants a whole number";
    if (tag->type == VALUE_INT && node->valuedouble != floor(node->valuedouble))
        return 400;
    return 0;
}

/* 403 unless the number is within what the operator and the registers allow. Half a raw step beyond
 * what the registers hold still rounds to a value they hold. */
static int check_range(const struct config_tag *tag, double number, const char **detail)
{
    double slack = tag->raw_step / 2;

    *detail = "below the minimum";
    if (number < tag->min) /* false for NAN: no limit */
        return 403;
    *detail = "above the maximum";
    if (number > tag->max)
        return 403;
    *detail = "not on a step";
    if (!on_step(tag, number))
        return 403;
    *detail = "more than the register can hold";
    if (number < tag->lowest - slack || number > tag->highest + slack)
        return 403;
    return 0;
}

int desired_check(const struct config *config, const struct config_tag *tag,
                  const struct cJSON *node, struct value *out, const char **detail)
{
    const char *why = "read-only";
    int code = 403;

    if ((tag->access & CONFIG_WRITE) != 0) {
        why = "writes are forbidden by the mapping file";
        code = config->writes ? 0 : 403;
    }
    if (code == 0)
        code = check_type(tag, node, &why);
    if (code == 0 && tag->type != VALUE_BOOL)
        code = check_range(tag, node->valuedouble, &why);
    if (code != 0) {
        *detail = why;
        return code;
    }
    if (tag->type == VALUE_BOOL)
        *out = value_bool(cJSON_IsTrue(node));
    else if (tag->type == VALUE_INT)
        *out = value_int((int64_t)node->valuedouble);
    else
        *out = value_float(node->valuedouble);
    return 0;
}

char *desired_text(const struct cJSON *node)
{
    char text[VALUE_TEXT_MAX];

    if (!cJSON_IsNumber(node) || !isfinite(node->valuedouble))
        return cJSON_PrintUnformatted(node);
    value_print_number(node->valuedouble, text);
    return strdup(text);
}

/* Whether the node is what desired_text once made this of. What can be an order is compared without memory:
 * for want of it a pulse would be sent again. */
static bool same_as_text(const cJSON *node, const char *text)
{
    char number[VALUE_TEXT_MAX];
    cJSON *recorded;
    bool same;

    if (cJSON_IsBool(node))
        return strcmp(text, cJSON_IsTrue(node) ? "true" : "false") == 0;
    if (cJSON_IsNumber(node) && isfinite(node->valuedouble)) {
        value_print_number(node->valuedouble, number);
        return strcmp(text, number) == 0;
    }
    recorded = cJSON_Parse(text);
    same = recorded != NULL && cJSON_Compare(node, recorded, true);
    cJSON_Delete(recorded);
    return same;
}

/* ---- one property ---- */

static void refuse(const struct pass *pass, struct desired_decision *d, int code,
                   const char *detail)
{
    d->kind = DESIRED_REFUSE;
    d->code = code;
    d->detail = detail;
    pass->emit(pass->data, d);
}

/* The code and version of an acknowledgement in the twin; false when it is none. */
static bool read_ack(const cJSON *ack, int *code, int64_t *version)
{
    const cJSON *ac = cJSON_GetObjectItemCaseSensitive(ack, "ac");
    const cJSON *av = cJSON_GetObjectItemCaseSensitive(ack, "av");

    if (!cJSON_IsNumber(ac) || !(ac->valuedouble >= 100 && ac->valuedouble <= 999) ||
        !cJSON_IsNumber(av) || !(av->valuedouble >= 0 && av->valuedouble <= 9007199254740992.0))
        return false;
    *code = (int)ac->valuedouble;
    *version = (int64_t)av->valuedouble;
    return true;
}

/* A write_once tag whose record is lost: the acknowledgement in the twin is the record. True when that
 * settled it. Its value is what was desired only in a 200; in the device's own value, av 0, nothing was
 * desired yet. Any other was answered, and its value is the device's: no reason to send again. */
static bool settle_from_reported(const struct pass *pass, struct desired_decision *d)
{
    const cJSON *ack = cJSON_GetObjectItemCaseSensitive(pass->reported, d->name);
    const cJSON *ad = cJSON_GetObjectItemCaseSensitive(ack, "ad");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(ack, "value");
    int64_t version;
    int code;

    if (!read_ack(ack, &code, &version)) {
        refuse(pass, d, 203, "state lost, not sent");
        return true;
    }
    if (code == 202) {
        refuse(pass, d, 504, "interrupted, outcome unknown");
        return true;
    }
    if ((code == 200 || version == 0) && version != pass->version &&
        !cJSON_Compare(value, d->node, true))
        return false;
    d->version = version;
    refuse(pass, d, code, cJSON_IsString(ad) ? ad->valuestring : "");
    return true;
}

/* What a whole document says of a property beyond a patch: true when it needs no order. */
static bool settle_from_record(const struct pass *pass, const struct config_tag *tag,
                               const struct desired_record *record, struct desired_decision *d)
{
    const struct desired_input *input = pass->input;
    bool same = record != NULL && same_as_text(d->node, record->desired);
    bool recreated = input->recorded_version > pass->version;

    if (same && record->code == 0) {
        d->version = record->version;
        refuse(pass, d, 504, "interrupted, outcome unknown");
        return true;
    }
    if (input->first && tag->on_start == CONFIG_START_APPLY && !tag->write_once)
        return false;
    if (same && (!recreated || tag->write_once)) {
        d->kind = DESIRED_KEEP;
        d->version = record->version;
        pass->emit(pass->data, d);
        return true;
    }
    if (input->first && tag->on_start == CONFIG_START_SKIP) {
        refuse(pass, d, 203, "skipped at start");
        return true;
    }
    if (tag->write_once && record == NULL && input->recorded_version < 0)
        return settle_from_reported(pass, d);
    return false;
}

static void decide_tag(const struct pass *pass, size_t device, size_t tag, const char *component,
                       const cJSON *node)
{
    const struct desired_input *input = pass->input;
    const struct config_tag *t = &device_at(input, device)->tags[tag];
    const struct desired_record *record = input->record(input->data, device, tag);
    struct desired_decision d = {
        .device = device,
        .tag = tag,
        .component = component,
        .name = t->name,
        .node = node,
        .version = pass->version,
        .detail = "",
    };
    bool apply = pass->whole && input->first && t->on_start == CONFIG_START_APPLY;

    if (node == NULL || cJSON_IsNull(node)) {
        d.kind = DESIRED_CLEAR;
        d.node = NULL;
        if (!pass->whole || record != NULL || input->ordered(input->data, device, tag))
            pass->emit(pass->data, &d);
        return;
    }
    if (pass->whole && settle_from_record(pass, t, record, &d))
        return;
    d.code = desired_check(input->config, t, node, &d.value, &d.detail);
    if (d.code != 0) {
        refuse(pass, &d, d.code, d.detail);
        return;
    }
    d.kind = DESIRED_ORDER;
    d.detail = "";
    d.read_first = pass->whole && !apply && !t->write_once && (t->access & CONFIG_READ) != 0;
    pass->emit(pass->data, &d);
}

static const struct desired_unknown *find_unknown(const struct desired_input *input,
                                                  const char *component, const char *name)
{
    const struct desired_unknown *u = input->unknown(input->data);

    while (u != NULL && (strcmp(u->name, name) != 0 || strcmp(u->component, component) != 0))
        u = u->next;
    return u;
}

static void decide_unknown(const struct pass *pass, size_t device, const char *component,
                           const cJSON *node, const char *name, const char *detail)
{
    const struct desired_unknown *known = find_unknown(pass->input, component, name);
    struct desired_decision d = {
        .device = device,
        .tag = DESIRED_NO_TAG,
        .component = component,
        .name = name,
        .node = node,
        .version = pass->version,
        .detail = "",
    };

    if (node == NULL || cJSON_IsNull(node)) {
        d.kind = DESIRED_CLEAR;
        d.node = NULL;
        if (known != NULL)
            pass->emit(pass->data, &d);
        return;
    }
    if (pass->whole && known != NULL && same_as_text(node, known->record.desired)) {
        d.kind = DESIRED_KEEP;
        d.version = known->record.version;
        pass->emit(pass->data, &d);
        return;
    }
    refuse(pass, &d, 404, detail);
}

/* ---- documents ---- */

static bool reserved(const char *key)
{
    return key[0] == '$' || strcmp(key, "__t") == 0;
}

/* The properties of one device; `object` is NULL when the document does not name its component. */
static void decide_device(const struct pass *pass, size_t device, const char *component,
                          const cJSON *object)
{
    const struct config_device *d = device_at(pass->input, device);
    const cJSON *node;

    if (pass->whole) {
        for (size_t i = 0; i < d->tag_count; i++) {
            node = cJSON_GetObjectItemCaseSensitive(object, d->tags[i].name);
            if (node == NULL)
                decide_tag(pass, device, i, component, NULL);
        }
    }
    cJSON_ArrayForEach(node, object)
    {
        size_t tag = config_find_tag(d, node->string);

        if (reserved(node->string))
            continue;
        if (tag != SIZE_MAX)
            decide_tag(pass, device, tag, component, node);
        else
            decide_unknown(pass, device, component, node, node->string, "no such tag");
    }
}

/* A whole component taken away: all its properties are, the refused ones too. */
static void clear_device(const struct pass *pass, size_t device, const char *component)
{
    const struct desired_input *input = pass->input;
    const struct config_device *d = device_at(input, device);
    const struct desired_unknown *next;

    for (size_t i = 0; i < d->tag_count; i++) {
        if (input->record(input->data, device, i) != NULL || input->ordered(input->data, device, i))
            decide_tag(pass, device, i, component, NULL);
    }
    for (const struct desired_unknown *u = input->unknown(input->data); u != NULL; u = next) {
        next = u->next; /* the owner may drop it when it hears CLEAR */
        if (strcmp(u->component, component) == 0)
            decide_unknown(pass, device, component, NULL, u->name, "");
    }
}

static void decide_components(struct pass *pass, const cJSON *document, const cJSON *reported)
{
    const struct config_module *module = &pass->input->config->modules[pass->input->module];
    const cJSON *node;

    for (size_t i = 0; i < module->device_count; i++) {
        const char *name = device_at(pass->input, i)->name;

        node = cJSON_GetObjectItemCaseSensitive(document, name);
        pass->reported = cJSON_GetObjectItemCaseSensitive(reported, name);
        if (!pass->whole && node != NULL && !cJSON_IsObject(node))
            clear_device(pass, i, name); /* null, or something else that holds no property */
        else if (pass->whole || node != NULL)
            decide_device(pass, i, name, cJSON_IsObject(node) ? node : NULL);
    }
    cJSON_ArrayForEach(node, document)
    {
        bool known = reserved(node->string);

        for (size_t i = 0; i < module->device_count && !known; i++)
            known = strcmp(device_at(pass->input, i)->name, node->string) == 0;
        if (!known)
            decide_unknown(pass, DESIRED_NO_TAG, "", node, node->string, "no such device");
    }
}

/* Names refused before that the document does not hold any more. */
static void clear_unknown(const struct pass *pass, const cJSON *document)
{
    const struct desired_input *input = pass->input;
    const struct desired_unknown *next;

    for (const struct desired_unknown *u = input->unknown(input->data); u != NULL; u = next) {
        const cJSON *object = u->component[0] == 0
                                  ? document
                                  : cJSON_GetObjectItemCaseSensitive(document, u->component);

        next = u->next; /* the owner may drop it when it hears CLEAR */
        if (cJSON_GetObjectItemCaseSensitive(object, u->name) == NULL)
            decide_unknown(pass, DESIRED_NO_TAG, u->component, NULL, u->name, "");
    }
}

static void decide(struct pass *pass, const cJSON *document, const cJSON *reported)
{
    if (pass->whole)
        clear_unknown(pass, document); /* first: the refusals to come need the room */
    if (pass->input->config->modules[pass->input->module].components) {
        decide_components(pass, document, reported);
    } else {
        pass->reported = reported;
        decide_device(pass, 0, "", document);
    }
}

void desired_patch(const struct desired_input *input, int64_t version, const struct cJSON *patch,
                   desired_emit *emit, void *data)
{
    struct pass pass = { .input = input, .version = version, .emit = emit, .data = data };

    decide(&pass, patch, NULL);
}

void desired_document(const struct desired_input *input, const struct cJSON *desired,
                      const struct cJSON *reported, desired_emit *emit, void *data)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(desired, "$version");
    struct pass pass = {
        .input = input,
        .whole = true,
        .version = cJSON_IsNumber(version) ? (int64_t)version->valuedouble : 0,
        .emit = emit,
        .data = data,
    };

    decide(&pass, desired, reported);
}
