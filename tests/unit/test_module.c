/* One module twin between a fake hub (MQTT bytes on the session's link), a fake adapter (a table of
 * registers) and a fake store: the life of orders and acknowledgements, with a fake clock. */
#include "base/buf.h"
#include "bridge/module.h"
#include "bridge/mqtt.h"
#include "twin_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COMMITS_MAX = 64 };

struct fixture {
    struct twin_fixture twin;
    struct module *module;
    uint64_t now_ms;

    /* the hub */
    struct mqtt_reader reader;
    bool connect_asked, closing, link;
    cJSON *desired, *reported; /* what it holds */
    bool refuse_patches;       /* with 429 */
    bool mute_patches;         /* no answer at all */
    unsigned patches;

    /* the device */
    enum device_state state;
    char asked[400]; /* reads and writes, in order */
    size_t asked_device, asked_tag;
    struct value written;
    uint64_t write_deadline_ms;
    int write_rc;

    /* the store */
    char stored[1000]; /* puts, in order */
    uintptr_t tokens[COMMITS_MAX];
    size_t token_count;
    bool slow_store; /* commits only when asked */
    int commit_rc;
};

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
    (void)data;
    (void)err;
    *out = (struct session_credential){ .host_name = "hub",
                                        .dial_host = "hub",
                                        .device_id = "gw",
                                        .module_id = "boiler",
                                        .token = "SharedAccessSignature sr=x&sig=y&se=1800003600",
                                        .expiry_s = 1800003600 };
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

static void merge(cJSON *target, const cJSON *patch)
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
            merge(present, node);
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
        cJSON *patch = cJSON_ParseWithLength((const char *)publish->payload,
                                             publish->payload_length);

        assert_non_null(patch);
        merge(f->reported, patch);
        cJSON_Delete(patch);
        snprintf(topic, sizeof topic, "$iothub/twin/res/204/?$rid=%s&$version=%u", rid,
                 f->patches + 1);
        hub_publish(f, topic, "");
    }
}

static void hub_answer(struct fixture *f, const struct mqtt_packet *packet)
{
    static const uint8_t connack[] = { 0x20, 2, 0, 0 };
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

static void device_becomes(struct fixture *f, enum device_state state)
{
    f->state = state;
    module_device_state(f->module, 0, state, f->now_ms);
}

static void device_shows(struct fixture *f, size_t tag, struct value value)
{
    module_sample(f->module, 0, tag, twin_fixture_good(&f->twin, 0, tag, value, f->now_ms),
                  f->now_ms);
}

static void device_wrote(struct fixture *f, enum write_outcome outcome, const char *detail)
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

static void store_finish(struct fixture *f)
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

static struct env env_of(struct fixture *f)
{
    return (struct env){ now_ms, wall_ms, random_u32, f };
}

static struct env the_env;

/* Everything that can happen at this moment, happens. */
static void settle(struct fixture *f)
{
    struct mqtt_packet packet;

    for (int i = 0; i < 50; i++) {
        module_tick(f->module, f->now_ms);
        if (!f->slow_store)
            store_finish(f);
        if (f->closing) {
            f->closing = f->link = false;
            mqtt_reader_reset(&f->reader);
            session_link_down(module_session(f->module), f->now_ms, "closed", 0);
        }
        if (f->connect_asked) {
            f->connect_asked = false;
            f->link = true;
            session_link_up(module_session(f->module), f->now_ms);
        }
        if (f->link && mqtt_reader_next(&f->reader, &packet) == 0)
            hub_answer(f, &packet);
    }
}

static void pass(struct fixture *f, uint64_t ms)
{
    f->now_ms += ms;
    settle(f);
}

static int start(struct fixture *f)
{
    static const struct session_options options = { 443, 3600000, 60000, "test/1" };

    the_env = env_of(f);
    return module_new(&f->module, &f->twin.config, BOILER, &the_env, &options, &session_io, f,
                      &module_io, f);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    twin_fixture_init(&f->twin);
    f->now_ms = 1000;
    f->desired = cJSON_Parse("{\"$version\":1}");
    f->reported = cJSON_Parse("{\"$version\":1}");
    mqtt_reader_init(&f->reader, MQTT_PACKET_MAX);
    *state = f;
    return start(f);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    module_stop(f->module, f->now_ms);
    pass(f, 1100);
    pass(f, 1100);
    assert_true(module_stopped(f->module));
    module_free(f->module);
    mqtt_reader_done(&f->reader);
    cJSON_Delete(f->desired);
    cJSON_Delete(f->reported);
    free(f);
    return 0;
}

/* A module that is ready, its device online, everything of the start reported. */
static struct fixture *ready(void **state)
{
    struct fixture *f = *state;

    settle(f);
    device_becomes(f, DEVICE_ONLINE);
    device_shows(f, SETPOINT, value_float(20));
    device_shows(f, PUMP, value_bool(false));
    device_shows(f, START, value_bool(false));
    pass(f, 20);
    f->asked[0] = f->stored[0] = 0;
    return f;
}

/* The back end changes desired; a connected module hears it. */
static void desire(struct fixture *f, int version, const char *fragment)
{
    cJSON *patch = cJSON_Parse(fragment);
    char topic[100];
    char *text;

    assert_non_null(patch);
    merge(f->desired, patch);
    cJSON_ReplaceItemInObjectCaseSensitive(f->desired, "$version", cJSON_CreateNumber(version));
    cJSON_AddNumberToObject(patch, "$version", version);
    text = cJSON_PrintUnformatted(patch);
    cJSON_Delete(patch);
    snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/desired/?$version=%d", version);
    if (f->link)
        hub_publish(f, topic, text);
    free(text);
    settle(f);
}

static void expect_reported(struct fixture *f, const char *tag, const char *json)
{
    cJSON *want = cJSON_Parse(json);
    const cJSON *have = cJSON_GetObjectItemCaseSensitive(f->reported, tag);
    char *text = have == NULL ? NULL : cJSON_PrintUnformatted(have);

    print_message("%s: %s\n", tag, text == NULL ? "absent" : text);
    assert_true(want == NULL ? have == NULL : cJSON_Compare(have, want, true));
    free(text);
    cJSON_Delete(want);
}

static void reconnect(struct fixture *f)
{
    f->link = false;
    mqtt_reader_reset(&f->reader);
    session_link_down(module_session(f->module), f->now_ms, "connection reset", 0);
    pass(f, 2000);
}

/* The process is gone; the store's rows are all that is left. */
static void restart(struct fixture *f, const struct record *rows, size_t count)
{
    f->link = f->connect_asked = false;
    mqtt_reader_reset(&f->reader);
    session_link_down(module_session(f->module), f->now_ms, "gone", 0);
    module_stop(f->module, f->now_ms);
    module_tick(f->module, f->now_ms + 5000);
    module_free(f->module);
    f->token_count = 0;
    f->asked[0] = f->stored[0] = 0;
    memset(f->twin.samples, 0, sizeof f->twin.samples);
    f->now_ms += 10000;
    assert_int_equal(start(f), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(module_restore(f->module, &rows[i]), 0);
    settle(f);
}

static struct record row(const char *tag, int64_t version, const char *desired, int code)
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

/* ---- tests ---- */

static void module_ready_reports_own_values_of_writable_tags(void **state)
{
    struct fixture *f = ready(state);

    expect_reported(f, "setpoint",
                    "{\"value\":20,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
    expect_reported(f, "temperature", "");
    device_shows(f, TEMPERATURE, value_float(61.4));
    pass(f, 20);
    expect_reported(f, "temperature", "61.4");
}

static void module_order_is_written_committed_then_acknowledged(void **state)
{
    struct fixture *f = ready(state);

    f->slow_store = true;
    desire(f, 2, "{\"setpoint\":21.5}");
    assert_string_equal(f->asked, "write:setpoint=21.5");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);
    assert_string_equal(f->stored, "$version=,2 setpoint=21.5,200");
    expect_reported(f, "setpoint",
                    "{\"value\":21.5,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
    f->slow_store = false;
    pass(f, 20);

    expect_reported(f, "setpoint", "{\"value\":21.5,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_order_between_raw_steps_is_the_nearest(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"setpoint\":21.56}");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);

    expect_reported(f, "setpoint", "{\"value\":21.6,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_refusals_leave_the_register_alone(void **state)
{
    struct fixture *f = ready(state);

    device_shows(f, TEMPERATURE, value_float(61.4));
    desire(f, 2, "{\"setpoint\":99,\"pump\":1,\"temperature\":3,\"x\":1}");
    pass(f, 20);

    assert_string_equal(f->asked, "");
    expect_reported(f, "setpoint",
                    "{\"value\":20,\"ac\":403,\"av\":2,\"ad\":\"above the maximum\"}");
    expect_reported(f, "pump",
                    "{\"value\":false,\"ac\":400,\"av\":2,\"ad\":\"wants true or false\"}");
    expect_reported(f, "temperature", "{\"value\":61.4,\"ac\":403,\"av\":2,\"ad\":\"read-only\"}");
    expect_reported(f, "x", "{\"ac\":404,\"av\":2,\"ad\":\"no such tag\"}");
    desire(f, 3, "{\"temperature\":null,\"x\":null,\"setpoint\":null}");
    pass(f, 20);
    expect_reported(f, "temperature", "61.4");
    expect_reported(f, "x", "");
    expect_reported(f, "setpoint",
                    "{\"value\":20,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
}

static void module_order_to_a_silent_device_waits_and_only_the_newest_is_written(void **state)
{
    struct fixture *f = ready(state);

    device_becomes(f, DEVICE_OFFLINE);
    desire(f, 2, "{\"setpoint\":21}");
    desire(f, 3, "{\"setpoint\":22}");
    pass(f, 20);
    assert_string_equal(f->asked, "");
    expect_reported(f, "setpoint",
                    "{\"value\":20,\"ac\":202,\"av\":3,\"ad\":\"waiting for the device\"}");
    pass(f, 10000);
    device_becomes(f, DEVICE_ONLINE);
    settle(f);
    assert_string_equal(f->asked, "write:setpoint=22");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);

    expect_reported(f, "setpoint", "{\"value\":22,\"ac\":200,\"av\":3,\"ad\":\"\"}");
}

static void module_order_slower_than_a_second_says_202_first(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"pump\":true}");
    pass(f, 999);
    expect_reported(f, "pump",
                    "{\"value\":false,\"ac\":203,\"av\":0,\"ad\":\"device's own value\"}");
    pass(f, 1);
    expect_reported(f, "pump", "{\"value\":false,\"ac\":202,\"av\":2,\"ad\":\"being written\"}");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);

    expect_reported(f, "pump", "{\"value\":true,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_order_past_its_deadline_is_504(void **state)
{
    struct fixture *f = ready(state);

    f->twin.tags[SETPOINT].write_deadline_ms = 5000;
    device_becomes(f, DEVICE_OFFLINE);
    desire(f, 2, "{\"setpoint\":21}");
    pass(f, 5000);
    expect_reported(f, "setpoint", "{\"value\":20,\"ac\":504,\"av\":2,\"ad\":\"not written\"}");
    device_becomes(f, DEVICE_ONLINE);
    pass(f, 20);

    assert_string_equal(f->asked, "");
}

static void module_order_refused_by_the_device_is_502(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"setpoint\":21}");
    device_wrote(f, WRITE_REFUSED, "illegal data value (exception 3)");
    pass(f, 20);

    expect_reported(
        f, "setpoint",
        "{\"value\":20,\"ac\":502,\"av\":2,\"ad\":\"illegal data value (exception 3)\"}");
}

static void module_order_that_reads_back_otherwise_is_500(void **state)
{
    struct fixture *f = ready(state);
    struct write_result result = { .outcome = WRITE_DIFFERS, .detail = "" };

    desire(f, 2, "{\"setpoint\":21}");
    result.readback = *twin_fixture_good(&f->twin, 0, SETPOINT, value_float(19), f->now_ms);
    module_sample(f->module, 0, SETPOINT, &result.readback, f->now_ms);
    module_write_done(f->module, 0, SETPOINT, &result, f->now_ms);
    pass(f, 20);

    expect_reported(f, "setpoint",
                    "{\"value\":19,\"ac\":500,\"av\":2,\"ad\":\"reads back as 19\"}");
}

static void module_order_without_answer_is_504_then_read_then_written_once_more(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"setpoint\":21}");
    device_wrote(f, WRITE_NO_ANSWER, "");
    pass(f, 20);
    expect_reported(f, "setpoint", "{\"value\":20,\"ac\":504,\"av\":2,\"ad\":\"no answer\"}");
    pass(f, 1000);
    assert_string_equal(f->asked, "write:setpoint=21 read:setpoint");
    twin_fixture_good(&f->twin, 0, SETPOINT, value_float(20), f->now_ms);
    module_read_done(f->module, 0, SETPOINT, 0, f->now_ms);
    settle(f);
    assert_string_equal(f->asked, "write:setpoint=21 read:setpoint write:setpoint=21");
    device_wrote(f, WRITE_NO_ANSWER, "");
    pass(f, 60000);

    assert_string_equal(f->asked, "write:setpoint=21 read:setpoint write:setpoint=21");
    expect_reported(f, "setpoint", "{\"value\":20,\"ac\":504,\"av\":2,\"ad\":\"no answer\"}");
}

static void module_order_without_answer_found_done_is_200(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"setpoint\":21}");
    device_wrote(f, WRITE_NO_ANSWER, "");
    device_becomes(f, DEVICE_OFFLINE);
    pass(f, 30000);
    assert_string_equal(f->asked, "write:setpoint=21");
    device_becomes(f, DEVICE_ONLINE);
    settle(f);
    device_shows(f, SETPOINT, value_float(21));
    module_read_done(f->module, 0, SETPOINT, 0, f->now_ms);
    pass(f, 20);

    assert_string_equal(f->asked, "write:setpoint=21 read:setpoint");
    expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_order_not_sent_waits_for_the_connection(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"setpoint\":21}");
    device_wrote(f, WRITE_NOT_SENT, "");
    pass(f, 1000);

    assert_string_equal(f->asked, "write:setpoint=21 write:setpoint=21");
}

static void module_newer_order_while_one_is_written_follows_it(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"setpoint\":21}");
    desire(f, 3, "{\"setpoint\":22}");
    desire(f, 4, "{\"setpoint\":23}");
    assert_string_equal(f->asked, "write:setpoint=21");
    device_wrote(f, WRITE_DONE, "");
    settle(f);
    assert_string_equal(f->asked, "write:setpoint=21 write:setpoint=23");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);

    expect_reported(f, "setpoint", "{\"value\":23,\"ac\":200,\"av\":4,\"ad\":\"\"}");
    assert_null(strstr(f->stored, "setpoint=21,"));
}

static void module_write_once_is_committed_before_it_is_sent(void **state)
{
    struct fixture *f = ready(state);

    f->slow_store = true;
    desire(f, 2, "{\"start\":true}");
    assert_string_equal(f->asked, "");
    assert_non_null(strstr(f->stored, "start=true,0"));
    f->slow_store = false;
    pass(f, 20);
    assert_string_equal(f->asked, "write:start=true");
    device_wrote(f, WRITE_NO_ANSWER, "");
    pass(f, 60000);

    assert_string_equal(f->asked, "write:start=true");
    expect_reported(
        f, "start",
        "{\"value\":false,\"ac\":504,\"av\":2,\"ad\":\"interrupted, outcome unknown\"}");
}

static void module_restart_after_an_acknowledgement_writes_nothing(void **state)
{
    struct fixture *f = ready(state);
    const struct record rows[] = { row("", 2, "", 0), row("setpoint", 2, "21", 200) };

    desire(f, 2, "{\"setpoint\":21}");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);
    restart(f, rows, 2);
    device_becomes(f, DEVICE_ONLINE);
    device_shows(f, SETPOINT, value_float(21));
    pass(f, 60000);

    assert_string_equal(f->asked, "");
    expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_restart_before_the_record_reads_first(void **state)
{
    struct fixture *f = ready(state);
    const struct record rows[] = { row("", 1, "", 0) };

    desire(f, 2, "{\"setpoint\":21}");
    restart(f, rows, 1);
    device_becomes(f, DEVICE_ONLINE);
    settle(f);
    assert_string_equal(f->asked, "read:setpoint");
    device_shows(f, SETPOINT, value_float(21));
    module_read_done(f->module, 0, SETPOINT, 0, f->now_ms);
    pass(f, 20);

    assert_string_equal(f->asked, "read:setpoint");
    expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_restart_with_write_once_under_way_says_interrupted(void **state)
{
    struct fixture *f = ready(state);
    const struct record rows[] = { row("", 2, "", 0), row("start", 2, "true", 0) };

    desire(f, 2, "{\"start\":true}");
    restart(f, rows, 2);
    device_becomes(f, DEVICE_ONLINE);
    device_shows(f, START, value_bool(false));
    pass(f, 60000);

    assert_string_equal(f->asked, "");
    expect_reported(
        f, "start",
        "{\"value\":false,\"ac\":504,\"av\":2,\"ad\":\"interrupted, outcome unknown\"}");
}

static void module_reconnect_applies_what_was_desired_meanwhile_once(void **state)
{
    struct fixture *f = ready(state);

    f->link = false;
    desire(f, 2, "{\"setpoint\":21}");
    desire(f, 3, "{\"setpoint\":22}");
    f->link = true;
    reconnect(f);
    assert_string_equal(f->asked, "read:setpoint");
    module_read_done(f->module, 0, SETPOINT, 0, f->now_ms);
    settle(f);
    assert_string_equal(f->asked, "read:setpoint write:setpoint=22");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);
    expect_reported(f, "setpoint", "{\"value\":22,\"ac\":200,\"av\":3,\"ad\":\"\"}");
    reconnect(f);

    assert_string_equal(f->asked, "read:setpoint write:setpoint=22");
    expect_reported(f, "setpoint", "{\"value\":22,\"ac\":200,\"av\":3,\"ad\":\"\"}");
}

static void module_change_at_the_device_is_told_as_such(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"setpoint\":21}");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);
    device_shows(f, SETPOINT, value_float(18));
    pass(f, 20);
    expect_reported(f, "setpoint",
                    "{\"value\":18,\"ac\":203,\"av\":2,\"ad\":\"changed at the device\"}");
    device_shows(f, SETPOINT, value_float(21));
    pass(f, 20);

    expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_write_only_tag_shows_what_was_written(void **state)
{
    struct fixture *f = ready(state);

    desire(f, 2, "{\"relay\":4}");
    {
        struct write_result result = { .outcome = WRITE_DONE, .detail = "" };

        module_write_done(f->module, 0, RELAY, &result, f->now_ms);
    }
    pass(f, 20);

    expect_reported(f, "relay", "{\"value\":4,\"ac\":200,\"av\":2,\"ad\":\"not readable\"}");
}

static void module_store_that_fails_does_not_hold_the_answer(void **state)
{
    struct fixture *f = ready(state);

    f->commit_rc = -EIO;
    desire(f, 2, "{\"setpoint\":21}");
    device_wrote(f, WRITE_DONE, "");
    pass(f, 20);

    expect_reported(f, "setpoint", "{\"value\":21,\"ac\":200,\"av\":2,\"ad\":\"\"}");
}

static void module_throttled_hub_is_asked_at_most_every_ten_seconds(void **state)
{
    struct fixture *f = ready(state);
    unsigned before = f->patches;

    f->refuse_patches = true;
    for (int second = 0; second < 60; second++) {
        device_shows(f, TEMPERATURE, value_float(20 + second));
        pass(f, 1000);
    }
    assert_in_range(f->patches - before, 2, 6);
    f->refuse_patches = false;
    for (int second = 0; second < 61; second++) {
        device_shows(f, TEMPERATURE, value_float(80));
        pass(f, 1000);
    }

    expect_reported(f, "temperature", "80");
}

static void module_patch_lost_with_the_link_is_sent_again(void **state)
{
    struct fixture *f = ready(state);

    f->mute_patches = true;
    device_shows(f, TEMPERATURE, value_float(42));
    pass(f, 20);
    f->mute_patches = false;
    twin_fixture_good(&f->twin, 0, TEMPERATURE, value_float(42), f->now_ms + 2000);
    reconnect(f);
    pass(f, 20);

    expect_reported(f, "temperature", "42");
}

static void module_stop_says_stopped(void **state)
{
    struct fixture *f = ready(state);
    const cJSON *health;

    module_stop(f->module, f->now_ms);
    pass(f, 20);

    health = cJSON_GetObjectItemCaseSensitive(f->reported, "health");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(health, "state")->valuestring, "stopped");
    assert_true(module_stopped(f->module));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(module_ready_reports_own_values_of_writable_tags),
        TEST(module_order_is_written_committed_then_acknowledged),
        TEST(module_order_between_raw_steps_is_the_nearest),
        TEST(module_refusals_leave_the_register_alone),
        TEST(module_order_to_a_silent_device_waits_and_only_the_newest_is_written),
        TEST(module_order_slower_than_a_second_says_202_first),
        TEST(module_order_past_its_deadline_is_504),
        TEST(module_order_refused_by_the_device_is_502),
        TEST(module_order_that_reads_back_otherwise_is_500),
        TEST(module_order_without_answer_is_504_then_read_then_written_once_more),
        TEST(module_order_without_answer_found_done_is_200),
        TEST(module_order_not_sent_waits_for_the_connection),
        TEST(module_newer_order_while_one_is_written_follows_it),
        TEST(module_write_once_is_committed_before_it_is_sent),
        TEST(module_restart_after_an_acknowledgement_writes_nothing),
        TEST(module_restart_before_the_record_reads_first),
        TEST(module_restart_with_write_once_under_way_says_interrupted),
        TEST(module_reconnect_applies_what_was_desired_meanwhile_once),
        TEST(module_change_at_the_device_is_told_as_such),
        TEST(module_write_only_tag_shows_what_was_written),
        TEST(module_store_that_fails_does_not_hold_the_answer),
        TEST(module_throttled_hub_is_asked_at_most_every_ten_seconds),
        TEST(module_patch_lost_with_the_link_is_sent_again),
        TEST(module_stop_says_stopped),
    };

    return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
