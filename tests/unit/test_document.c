/* The status document: the keys that scripts rely on, written in pieces. */
#include "bridge/status/document.h"
#include "twin_fixture.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct twin_fixture twin;
    struct config_connection connection;
    struct document_source source;
    enum device_state state;
    const char *session_error, *twin_error;
    size_t pieces; /* of the last document */
    cJSON *document;
};

static void connection(const void *data, size_t index, struct adapter_connection_status *out)
{
    (void)data;
    (void)index;
    *out = (struct adapter_connection_status){ CONNECTION_WAITING, 1000,
                                               "connection refused by \"plc\"", 3, 0.12345 };
}

static void device(const void *data, size_t index, struct adapter_device_status *out)
{
    const struct fixture *f = data;

    (void)index;
    *out = (struct adapter_device_status){ .state = f->state,
                                           .since_wall_ms = 1000,
                                           .error = "",
                                           .requests = 12,
                                           .timeouts = 1,
                                           .exceptions = 2,
                                           .late = 3,
                                           .other = 4,
                                           .latency_p50_ms = 1.25,
                                           .latency_p95_ms = 2,
                                           .latency_max_ms = 30 };
}

static void module(const void *data, size_t index, struct module_status *out)
{
    const struct fixture *f = data;

    (void)index;
    *out = (struct module_status){ .session = { .state = SESSION_READY,
                                                .since_wall_ms = 2000,
                                                .error = f->session_error,
                                                .reconnects = 2,
                                                .desired_version = 7,
                                                .reported_version = -1 },
                                   .pending = 5,
                                   .patches = 6,
                                   .twin_bytes = 700,
                                   .error = f->twin_error };
}

static void latest(const void *data, size_t device_index, size_t tag, struct sample *out)
{
    const struct fixture *f = data;

    *out = f->twin.samples[device_index][tag];
}

static const char *state_error(const void *data)
{
    (void)data;
    return "disk full";
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    twin_fixture_init(&f->twin);
    f->connection = (struct config_connection){ .name = "plant", .transport = "tcp" };
    f->twin.config.connections = &f->connection;
    f->twin.config.connection_count = 1;
    f->state = DEVICE_ONLINE;
    f->session_error = f->twin_error = "";
    f->source = (struct document_source){ &f->twin.config, 1000000, 0,      f,          connection,
                                          device,          module,  latest, state_error };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    cJSON_Delete(f->document);
    free(f);
    return 0;
}

static const cJSON *document(struct fixture *f, const struct status_query *query)
{
    const struct document_now now = { 10000, 1010000, true };
    struct status_cursor cursor = { .query = *query };
    struct buf whole, piece;

    buf_init(&whole, 1 << 20);
    buf_init(&piece, 1 << 16);
    f->pieces = 0;
    for (bool more = true; more; f->pieces++) {
        buf_clear(&piece);
        more = document_next(&f->source, &now, &cursor, &piece);
        assert_int_equal(piece.error, 0);
        buf_add(&whole, piece.bytes, piece.length);
    }
    cJSON_Delete(f->document);
    f->document = cJSON_Parse(buf_text(&whole));
    buf_done(&whole);
    buf_done(&piece);
    assert_non_null(f->document);
    return f->document;
}

static const cJSON *at(const cJSON *node, const char *list, int index, const char *key)
{
    node = cJSON_GetObjectItemCaseSensitive(node, list);
    node = cJSON_GetArrayItem(node, index);
    return cJSON_GetObjectItemCaseSensitive(node, key);
}

static void expect_text(const cJSON *node, const char *text)
{
    assert_true(cJSON_IsString(node));
    assert_string_equal(node->valuestring, text);
}

static int length(const cJSON *node, const char *list)
{
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(node, list));
}

static const struct status_query everything = { .tags = true };

static void document_head_and_states(void **state)
{
    struct fixture *f = *state;
    const cJSON *d = document(f, &everything);

    expect_text(cJSON_GetObjectItemCaseSensitive(d, "name"), "gw");
    expect_text(cJSON_GetObjectItemCaseSensitive(d, "started"), "1970-01-01T00:16:40.000Z");
    expect_text(cJSON_GetObjectItemCaseSensitive(d, "state_error"), "disk full");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(d, "uptime_s")->valuedouble, 10);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(d, "ready")));
    expect_text(at(d, "connections", 0, "state"), "waiting");
    expect_text(at(d, "connections", 0, "error"), "connection refused by \"plc\"");
    assert_true(at(d, "connections", 0, "load")->valuedouble == 0.123);
    expect_text(at(d, "devices", 2, "name"), "right");
    expect_text(at(d, "devices", 2, "state"), "online");
    assert_true(cJSON_IsNull(at(d, "devices", 2, "last_ok")));
    expect_text(at(d, "modules", 1, "state"), "ready");
    assert_int_equal(at(d, "modules", 1, "desired_version")->valuedouble, 7);
    assert_true(cJSON_IsNull(at(d, "modules", 1, "reported_version")));
    assert_int_equal(length(d, "tags"), 3 * TAG_COUNT);
}

static void document_module_error_is_the_link_s_before_the_twin_s(void **state)
{
    struct fixture *f = *state;

    f->twin_error = "throttled";
    expect_text(at(document(f, &everything), "modules", 0, "error"), "throttled");
    f->session_error = "hub unreachable";
    expect_text(at(document(f, &everything), "modules", 0, "error"), "hub unreachable");
}

static void document_tag_shows_value_raw_and_quality(void **state)
{
    struct fixture *f = *state;
    struct sample *sample = &f->twin.samples[0][TEMPERATURE];
    const cJSON *d;

    twin_fixture_good(&f->twin, 0, TEMPERATURE, value_float(20.5), 9000);
    memcpy(sample->raw, (const uint8_t[]){ 0x41, 0xA4, 0, 0 }, 4);
    sample->raw_length = 4;
    twin_fixture_bad(&f->twin, 0, PUMP, "illegal data address (exception 2)", 9000);
    twin_fixture_good(&f->twin, 0, ENERGY, value_int(7), 6000); /* more than 3 polls ago */
    d = document(f, &everything);

    expect_text(at(d, "tags", TEMPERATURE, "raw"), "41A4 0000");
    expect_text(at(d, "tags", TEMPERATURE, "quality"), "good");
    assert_true(at(d, "tags", TEMPERATURE, "value")->valuedouble == 20.5);
    expect_text(at(d, "tags", PUMP, "quality"), "bad");
    expect_text(at(d, "tags", PUMP, "reason"), "illegal data address (exception 2)");
    assert_true(cJSON_IsNull(at(d, "tags", PUMP, "value")));
    expect_text(at(d, "tags", ENERGY, "quality"), "stale");
    expect_text(at(d, "tags", SETPOINT, "quality"), "none");
    assert_true(cJSON_IsNull(at(d, "tags", SETPOINT, "sampled")));
    f->state = DEVICE_OFFLINE;
    expect_text(at(document(f, &everything), "tags", TEMPERATURE, "quality"), "stale");
}

static void document_query_chooses(void **state)
{
    struct fixture *f = *state;
    struct status_query query = { .tags = false };
    const cJSON *d = document(f, &query);

    assert_int_equal(length(d, "tags"), 0);
    assert_int_equal(length(d, "devices"), 3);
    query = (struct status_query){ .tags = true, .device = "left" };
    d = document(f, &query);
    assert_int_equal(length(d, "tags"), TAG_COUNT);
    assert_int_equal(length(d, "devices"), 1);
    query = (struct status_query){ .tags = true, .search = "PUMP" };
    assert_int_equal(length(document(f, &query), "tags"), 3);
    query = (struct status_query){ .tags = true, .offset = 2, .limit = 3 };
    d = document(f, &query);
    assert_int_equal(length(d, "tags"), 3);
    expect_text(at(d, "tags", 0, "tag"), "pump");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(d, "tags_found")->valuedouble, 3 * TAG_COUNT);
}

static void document_many_tags_come_in_pieces(void **state)
{
    struct fixture *f = *state;
    struct config_device devices[60];

    for (size_t i = 0; i < 60; i++)
        devices[i] = f->twin.devices[i % 3];
    f->twin.config.devices = devices;
    f->twin.config.device_count = 3; /* samples exist for three only */
    document(f, &everything);

    assert_true(f->pieces >= 1);
    for (size_t i = 3; i < 60; i++)
        devices[i].tag_count = 0;
    f->twin.config.device_count = 60;
    document(f, &everything);
    assert_true(f->pieces > 3);
    assert_int_equal(length(f->document, "devices"), 60);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(document_head_and_states),
        TEST(document_module_error_is_the_link_s_before_the_twin_s),
        TEST(document_tag_shows_value_raw_and_quality),
        TEST(document_query_chooses),
        TEST(document_many_tags_come_in_pieces),
    };

    return cmocka_run_group_tests_name("document", tests, NULL, NULL);
}
