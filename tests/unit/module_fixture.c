/* See module_fixture.h. */
#include "module_fixture.h"

#include "base/buf.h"
#include "bridge/twin.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the clock ---- */

static uint64_t now_ms(void *data)
{
    const struct fixture *f = data;

    return f->now_ms;
}

static int64_t wall_ms(void *data)
{
    const struct fixture *f = data;

    return 1800000000000 + (int64_t)f->now_ms;
}

static uint32_t random_u32(void *data)
{
    (void)data;
    return UINT32_MAX / 2;
}

/* ---- the hub ---- */

static int hub_credential(void *data, struct session_credential *out, struct err *err)
{
    (void)err;
    *out = (struct session_credential){ .host_name = "hub",
                                        .dial_host = "hub",
                                        .device_id = "gw",
                                        .module_id = "boiler",
                                        .token = "SharedAccessSignature sr=x&sig=y&se=1800003600",
                                        .expiry_s = wall_ms(data) / 1000 + 3600 };
    return 0;
}

static int hub_connect(void *data, const char *host, int port, struct err *err)
{
    struct fixture *f = data;

    (void)host;
    (void)port;
    (void)err;
    f->connect_asked = true;
    return 0;
}

static int hub_send(void *data, const uint8_t *bytes, size_t length)
{
    struct fixture *f = data;

    return f->link ? mqtt_reader_feed(&f->reader, bytes, length) : -ENOTCONN;
}

static void hub_close(void *data)
{
    struct fixture *f = data;

    f->closing = true;
}

static void hub_say(struct fixture *f, const struct buf *packet)
{
    session_link_bytes(module_session(f->module), f->now_ms, packet->bytes, packet->length);
}

static void hub_publish(struct fixture *f, const char *topic, const char *payload)
{
    struct buf packet;

    buf_init(&packet, MQTT_PACKET_MAX);
    mqtt_write_publish(&packet, topic, 0, 0, payload, strlen(payload));
    hub_say(f, &packet);
    buf_done(&packet);
}

void fixture_merge(cJSON *target, const cJSON *patch)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, patch)
    {
        cJSON *present = cJSON_GetObjectItemCaseSensitive(target, node->string);

        if (cJSON_IsNull(node)) {
            cJSON_DeleteItemFromObjectCaseSensitive(target, node->string);
        } else if (cJSON_IsObject(node)) {
            if (!cJSON_IsObject(present)) {
                cJSON_DeleteItemFromObjectCaseSensitive(target, node->string);
                present = cJSON_AddObjectToObject(target, node->string);
            }
            fixture_merge(present, node);
        } else if (present != NULL) {
            cJSON_ReplaceItemInObjectCaseSensitive(target, node->string,
                                                   cJSON_Duplicate(node, true));
        } else {
            cJSON_AddItemToObject(target, node->string, cJSON_Duplicate(node, true));
        }
    }
}

static void hub_answer_publish(struct fixture *f, const struct mqtt_publish *publish)
{
    char topic[200];
    char rid[80] = "";
    const char *found;

    snprintf(topic, sizeof topic, "%.*s", (int)publish->topic.length, publish->topic.text);
    found = strstr(topic, "$rid=");
    assert_non_null(found);
    snprintf(rid, sizeof rid, "%s", found + 5);
    if (strncmp(topic, "$iothub/twin/GET/", 17) == 0) {
        cJSON *document = cJSON_CreateObject();
        char *text;

        cJSON_AddItemReferenceToObject(document, "desired", f->desired);
        cJSON_AddItemReferenceToObject(document, "reported", f->reported);
        text = cJSON_PrintUnformatted(document);
        snprintf(topic, sizeof topic, "$iothub/twin/res/200/?$rid=%s", rid);
        hub_publish(f, topic, text);
        free(text);
        cJSON_Delete(document);
        return;
    }
    f->patches++;
    if (f->mute_patches)
        return;
    if (f->refuse_patches) {
        snprintf(topic, sizeof topic, "$iothub/twin/res/429/?$rid=%s", rid);
        hub_publish(f, topic, "{\"errorCode\":429001,\"message\":\"slow down\"}");
        return;
    }
    {
        cJSON *patch;

        assert_int_equal(twin_parse(&patch, publish->payload, publish->payload_length), 0);
        fixture_merge(f->reported, patch);
        cJSON_Delete(patch);
        snprintf(topic, sizeof topic, "$iothub/twin/res/204/?$rid=%s&$version=%u", rid,
                 f->patches + 1);
        hub_publish(f, topic, "");
    }
}

static void hub_answer(struct fixture *f, const struct mqtt_packet *packet)
{
    static const uint8_t connack[] = { 0x20, 2, 0, 0 }, pingresp[] = { 0xd0, 0 };
    struct buf answer;
    struct mqtt_publish publish;

    buf_init(&answer, 100);
    if (packet->type == MQTT_CONNECT) {
        buf_add(&answer, connack, sizeof connack);
        hub_say(f, &answer);
    } else if (packet->type == MQTT_SUBSCRIBE) {
        const uint8_t suback[] = { 0x90, 4, packet->body[0], packet->body[1], 0, 0 };

        buf_add(&answer, suback, sizeof suback);
        hub_say(f, &answer);
    } else if (packet->type == MQTT_PINGREQ) {
        buf_add(&answer, pingresp, sizeof pingresp);
        hub_say(f, &answer);
    } else if (packet->type == MQTT_PUBLISH) {
        assert_int_equal(mqtt_parse_publish(packet, &publish), 0);
        hub_answer_publish(f, &publish);
    }
    buf_done(&answer);
}

static const struct session_io session_io = { hub_credential, hub_connect, hub_send, hub_close };

/* ---- the device ---- */

static void note(char *text, size_t size, const char *what)
{
    size_t used = strlen(text);

    snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", what);
}

static int device_read(void *data, size_t device, size_t tag)
{
    struct fixture *f = data;
    char what[64];

    snprintf(what, sizeof what, "read:%s", f->twin.tags[tag].name);
    note(f->asked, sizeof f->asked, what);
    f->asked_device = device;
    f->asked_tag = tag;
    return 0;
}

static int device_write(void *data, size_t device, size_t tag, struct value value,
                        uint64_t deadline_ms)
{
    struct fixture *f = data;
    char text[VALUE_TEXT_MAX];
    char what[100];

    value_print(value, text);
    snprintf(what, sizeof what, "write:%s=%s", f->twin.tags[tag].name, text);
    note(f->asked, sizeof f->asked, what);
    f->asked_device = device;
    f->asked_tag = tag;
    f->written = value;
    f->write_deadline_ms = deadline_ms;
    return f->write_rc;
}

static void device_latest(const void *data, size_t device, size_t tag, struct sample *out)
{
    const struct fixture *f = data;

    *out = f->twin.samples[device][tag];
}

static struct value device_nearest(const void *data, size_t device, size_t tag, struct value value)
{
    const struct fixture *f = data;

    (void)device;
    if (f->twin.tags[tag].raw_step == 0)
        return value;
    return value_float(value_round(value.number, 1));
}

static void device_status(const void *data, size_t device, struct adapter_device_status *out)
{
    const struct fixture *f = data;

    (void)device;
    *out = (struct adapter_device_status){ .state = f->state, .error = "" };
}

void fixture_device_becomes(struct fixture *f, enum device_state state)
{
    f->state = state;
    module_device_state(f->module, 0, state, f->now_ms);
}

void fixture_device_shows(struct fixture *f, size_t tag, struct value value)
{
    module_sample(f->module, 0, tag, twin_fixture_good(&f->twin, 0, tag, value, f->now_ms),
                  f->now_ms);
}

void fixture_device_wrote(struct fixture *f, enum write_outcome outcome, const char *detail)
{
    struct write_result result = { .outcome = outcome, .detail = detail };

    if (outcome == WRITE_DONE) {
        struct value value = device_nearest(f, 0, f->asked_tag, f->written);

        result.readback = *twin_fixture_good(&f->twin, 0, f->asked_tag, value, f->now_ms);
        module_sample(f->module, 0, f->asked_tag, &result.readback, f->now_ms);
    }
    module_write_done(f->module, f->asked_device, f->asked_tag, &result, f->now_ms);
}

/* ---- the store ---- */

static int store_commit(void *data, const struct record *record, uintptr_t token)
{
    struct fixture *f = data;
    char what[200];

    snprintf(what, sizeof what, "%s=%s,%d", record->tag[0] != 0 ? record->tag : "$version",
             record->desired == NULL ? "forgotten"
             : record->tag[0] != 0   ? record->desired
                                     : "",
             record->tag[0] != 0 ? record->code : (int)record->version);
    note(f->stored, sizeof f->stored, what);
    if (f->commit_rc != 0)
        return f->commit_rc;
    f->tokens[f->token_count++] = token;
    return 0;
}

void fixture_store_finish(struct fixture *f)
{
    for (size_t i = 0; i < f->token_count; i++)
        module_committed(f->module, f->tokens[i], 0, f->now_ms);
    f->token_count = 0;
}

static void session_state(void *data, enum session_state state)
{
    (void)data;
    (void)state;
}

static const struct module_io module_io = {
    .read = device_read,
    .write = device_write,
    .latest = device_latest,
    .nearest = device_nearest,
    .device_status = device_status,
    .commit = store_commit,
    .session_state = session_state,
};

/* ---- running ---- */

bool fixture_hub_step(struct fixture *f)
{
    struct mqtt_packet packet;

    if (f->closing) {
        f->closing = false;
        fixture_lose_link(f);
    }
    if (f->connect_asked) {
        f->connect_asked = false;
        f->link = true;
        session_link_up(module_session(f->module), f->now_ms);
    }
    if (!f->link || mqtt_reader_next(&f->reader, &packet) != 0)
        return false;
    hub_answer(f, &packet);
    return true;
}

void fixture_settle(struct fixture *f)
{
    for (int i = 0; i < 50; i++) {
        f->next_ms = module_tick(f->module, f->now_ms);
        if (!f->slow_store)
            fixture_store_finish(f);
        fixture_hub_step(f);
    }
}

void fixture_pass(struct fixture *f, uint64_t ms)
{
    f->now_ms += ms;
    fixture_settle(f);
}

int fixture_start(struct fixture *f)
{
    static const struct session_options options = { 443, 3600000, 60000, "test/1" };

    f->env = (struct env){ now_ms, wall_ms, random_u32, f };
    return module_new(&f->module, &f->twin.config, f->mapping, &f->env, &options, &session_io, f,
                      &f->io, f->io_data);
}

int fixture_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    twin_fixture_init(&f->twin);
    f->now_ms = 1000;
    f->desired = cJSON_Parse("{\"$version\":1}");
    f->reported = cJSON_Parse("{\"$version\":1}");
    f->io = module_io;
    f->io_data = f;
    mqtt_reader_init(&f->reader, MQTT_PACKET_MAX);
    *state = f;
    return fixture_start(f);
}

int fixture_tear_down(void **state)
{
    struct fixture *f = *state;

    module_stop(f->module, f->now_ms);
    fixture_pass(f, 1100);
    fixture_pass(f, 1100);
    assert_true(module_stopped(f->module));
    module_free(f->module);
    mqtt_reader_done(&f->reader);
    cJSON_Delete(f->desired);
    cJSON_Delete(f->reported);
    free(f);
    return 0;
}

struct fixture *fixture_ready(void **state)
{
    struct fixture *f = *state;

    fixture_settle(f);
    fixture_device_becomes(f, DEVICE_ONLINE);
    fixture_device_shows(f, SETPOINT, value_float(20));
    fixture_device_shows(f, PUMP, value_bool(false));
    fixture_device_shows(f, START, value_bool(false));
    fixture_pass(f, 20);
    f->asked[0] = f->stored[0] = 0;
    return f;
}

void fixture_tell_desired(struct fixture *f, int version, const char *fragment)
{
    cJSON *patch = cJSON_Parse(fragment);
    char topic[100];
    char *text;

    assert_non_null(patch);
    fixture_merge(f->desired, patch);
    cJSON_ReplaceItemInObjectCaseSensitive(f->desired, "$version", cJSON_CreateNumber(version));
    cJSON_AddNumberToObject(patch, "$version", version);
    text = cJSON_PrintUnformatted(patch);
    cJSON_Delete(patch);
    snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/desired/?$version=%d", version);
    if (f->link)
        hub_publish(f, topic, text);
    free(text);
}

void fixture_desire(struct fixture *f, int version, const char *fragment)
{
    fixture_tell_desired(f, version, fragment);
    fixture_settle(f);
}

void fixture_expect_reported(struct fixture *f, const char *tag, const char *json)
{
    cJSON *want = cJSON_Parse(json);
    const cJSON *have = cJSON_GetObjectItemCaseSensitive(f->reported, tag);
    char *text = have == NULL ? NULL : cJSON_PrintUnformatted(have);

    print_message("%s: %s\n", tag, text == NULL ? "absent" : text);
    assert_true(want == NULL ? have == NULL : cJSON_Compare(have, want, true));
    free(text);
    cJSON_Delete(want);
}

void fixture_lose_link(struct fixture *f)
{
    f->link = f->connect_asked = false;
    mqtt_reader_reset(&f->reader);
    session_link_down(module_session(f->module), f->now_ms, "connection reset", 0);
}

void fixture_reconnect(struct fixture *f)
{
    fixture_lose_link(f);
    fixture_pass(f, 2000);
}

void fixture_restart(struct fixture *f, const struct record *rows, size_t count)
{
    fixture_lose_link(f);
    module_stop(f->module, f->now_ms);
    module_tick(f->module, f->now_ms + 5000);
    module_free(f->module);
    f->token_count = 0;
    f->asked[0] = f->stored[0] = 0;
    memset(f->twin.samples, 0, sizeof f->twin.samples);
    f->now_ms += 10000;
    assert_int_equal(fixture_start(f), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(module_restore(f->module, &rows[i]), 0);
    fixture_settle(f);
}

struct record fixture_row(const char *tag, int64_t version, const char *desired, int code)
{
    return (struct record){ .module = "boiler",
                            .device = tag[0] == 0 ? "" : "boiler",
                            .tag = tag,
                            .version = version,
                            .desired = desired,
                            .code = code,
                            .detail = "",
                            .value = "" };
}
