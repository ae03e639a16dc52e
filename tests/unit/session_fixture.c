/* The fake outside of a session; see session_fixture.h. */
#include "tests/unit/session_fixture.h"

#include <cjson/cJSON.h>

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const state_names[] = { "waiting", "connecting", "getting",
                                           "ready",   "refused",    "stopped" };

__attribute__((format(printf, 2, 3))) static void note(struct fixture *f, const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!f->log_off) {
        buf_add_text(&f->log, text);
        buf_add_text(&f->log, "|");
    }
    if (f->on_event != NULL)
        f->on_event(f, text);
}

/* ---- clock and chance ---- */

static uint64_t now_ms(void *data)
{
    return ((struct fixture *)data)->now_ms;
}

static int64_t wall_ms(void *data)
{
    return ((struct fixture *)data)->wall_ms;
}

static uint32_t random_u32(void *data)
{
    return ((struct fixture *)data)->random;
}

/* ---- io ---- */

static int io_credential(void *data, struct session_credential *out, struct err *err)
{
    struct fixture *f = data;

    if (f->credential_rc != 0) {
        err_set(err, "%s", f->credential_error);
        return f->credential_rc;
    }
    *out = (struct session_credential){ .host_name = "hub.net",
                                        .dial_host = "edge.net",
                                        .device_id = "gw-1",
                                        .module_id = "heating",
                                        .token = "TOKEN",
                                        .expiry_s = f->wall_ms / 1000 + f->token_life_s };
    return 0;
}

static int io_connect(void *data, const char *host, int port, struct err *err)
{
    struct fixture *f = data;

    f->connects++;
    note(f, "connect %s:%d", host, port);
    if (f->link_open)
        note(f, "CONNECT OVER AN OPEN LINK");
    if (f->connect_rc != 0) {
        err_set(err, "%s", f->connect_error);
        return f->connect_rc;
    }
    f->link_open = true;
    f->closing = false;
    f->sent_length = 0;
    return 0;
}

/* What the session publishes: the topic with the request id taken out of it. */
static void note_publish(struct fixture *f, const struct mqtt_packet *packet)
{
    struct mqtt_publish publish;
    char topic[600];
    char *rid;

    if (mqtt_parse_publish(packet, &publish) != 0) {
        note(f, "BAD PUBLISH");
        return;
    }
    snprintf(topic, sizeof topic, "%.*s", (int)publish.topic.length, publish.topic.text);
    rid = strstr(topic, "?$rid=");
    if (rid != NULL) {
        snprintf(strstr(topic, "/GET/") != NULL ? f->get_rid : f->patch_rid, sizeof f->get_rid,
                 "%.63s", rid + 6);
        *rid = 0;
    }
    note(f, "PUBLISH%u %s %.*s", publish.qos, topic, (int)publish.payload_length,
         (const char *)publish.payload);
}

static void note_packet(struct fixture *f, const struct mqtt_packet *packet)
{
    static const char *const names[16] = {
        [MQTT_SUBSCRIBE] = "SUBSCRIBE", [MQTT_PINGREQ] = "PINGREQ", [MQTT_DISCONNECT] = "DISCONNECT"
    };

    if (packet->type == MQTT_PUBLISH)
        note_publish(f, packet);
    else if (packet->type == MQTT_PUBACK)
        note(f, "PUBACK %d", packet->body[0] << 8 | packet->body[1]);
    else if (packet->type == MQTT_CONNECT)
        note(f, "CONNECT");
    else
        note(f, "%s", names[packet->type] == NULL ? "UNEXPECTED" : names[packet->type]);
}

static int send_packet(struct fixture *f, const uint8_t *bytes, size_t length)
{
    struct mqtt_reader reader;
    struct mqtt_packet packet;

    if (!f->link_open || f->closing)
        note(f, "SEND WITHOUT A LINK");
    if (f->send_rc != 0)
        return f->send_rc;
    if (length <= sizeof f->sent) {
        memcpy(f->sent, bytes, length);
        f->sent_length = length;
    }
    mqtt_reader_init(&reader, MQTT_PACKET_MAX);
    if (mqtt_reader_feed(&reader, bytes, length) == 0 && mqtt_reader_next(&reader, &packet) == 0)
        note_packet(f, &packet);
    else
        note(f, "NOT A PACKET");
    mqtt_reader_done(&reader);
    return 0;
}

static int io_send(void *data, const uint8_t *bytes, size_t length)
{
    struct fixture *f = data;
    bool inside = f->inside;
    int rc;

    f->inside = false;
    rc = send_packet(f, bytes, length);
    f->inside = inside;
    return rc;
}

static void io_close(void *data)
{
    struct fixture *f = data;

    note(f, f->closing || !f->link_open ? "CLOSE WITHOUT A LINK" : "close");
    f->closing = true;
}

static const struct session_io io = { io_credential, io_connect, io_send, io_close };

/* ---- events ---- */

/* A tree as text, freed by the caller. */
static char *print(struct fixture *f, const cJSON *tree)
{
    bool inside = f->inside;
    char *text;

    f->inside = false;
    text = cJSON_PrintUnformatted(tree);
    f->inside = inside;
    if (text == NULL)
        abort();
    return text;
}

static void on_ready(void *owner, const cJSON *desired, const cJSON *reported)
{
    char *left = print(owner, desired), *right = print(owner, reported);

    note(owner, "ready %s %s", left, right);
    cJSON_free(left);
    cJSON_free(right);
}

static void on_desired(void *owner, int64_t version, const cJSON *patch)
{
    char *text = print(owner, patch);

    note(owner, "desired %" PRId64 " %s", version, text);
    cJSON_free(text);
}

static void on_patched(void *owner, int status, int64_t version, const char *message)
{
    struct fixture *f = owner;

    snprintf(f->patched_text, sizeof f->patched_text, "%s", message);
    note(f, "patched %d %" PRId64, status, version);
}

static void on_state(void *owner, enum session_state state)
{
    note(owner, "%s", state_names[state]);
}

static const struct session_events events = { on_ready, on_desired, on_patched, on_state };

/* ---- life ---- */

int fixture_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    f->env = (struct env){ now_ms, wall_ms, random_u32, f };
    f->now_ms = 1000;
    f->wall_ms = FIXTURE_WALL_S * 1000;
    f->token_life_s = 3600;
    f->options = (struct session_options){ .port = 443,
                                           .token_lifetime_ms = 3600 * 1000,
                                           .keepalive_ms = 60 * 1000,
                                           .product_info = "twinbridge/0.1.0 (x; y)" };
    buf_init(&f->log, 1024 * 1024);
    *state = f;
    return fixture_start(f);
}

int fixture_start(struct fixture *f)
{
    int rc;

    f->inside = true;
    rc = session_new(&f->session, "heating", &f->options, &f->env, &io, f, &events, f);
    f->inside = false;
    return rc;
}

int fixture_tear_down(void **state)
{
    struct fixture *f = *state;

    f->on_event = NULL;
    if (f->session != NULL && f->link_open) {
        session_stop(f->session, f->now_ms);
        session_link_down(f->session, f->now_ms, "", 0);
    }
    session_free(f->session);
    buf_done(&f->log);
    free(f);
    return 0;
}

const char *fixture_log(struct fixture *f)
{
    static char text[1024 * 1024 + 1];

    snprintf(text, sizeof text, "%s", buf_text(&f->log));
    buf_clear(&f->log);
    return text;
}

struct fixture *fixture_again(void **state)
{
    fixture_tear_down(state);
    assert_int_equal(fixture_set_up(state), 0);
    return *state;
}

void fixture_expect(struct fixture *f, const char *want)
{
    assert_string_equal(fixture_log(f), want);
}

void fixture_expect_status(const struct fixture *f, enum session_state state, const char *error)
{
    struct session_status status = fixture_status(f);

    assert_int_equal(status.state, state);
    if (error[0] == 0)
        assert_string_equal(status.error, "");
    else if (strstr(status.error, error) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", status.error, error);
}

/* ---- time ---- */

void fixture_tick(struct fixture *f)
{
    f->inside = true;
    f->deadline_ms = session_tick(f->session, f->now_ms);
    f->inside = false;
}

void fixture_advance(struct fixture *f, uint64_t ms)
{
    f->now_ms += ms;
    f->wall_ms += (int64_t)ms;
    fixture_tick(f);
}

void fixture_to_deadline(struct fixture *f)
{
    fixture_advance(f, f->deadline_ms > f->now_ms ? f->deadline_ms - f->now_ms : 0);
}

/* ---- the link and the hub ---- */

void fixture_up(struct fixture *f)
{
    f->inside = true;
    session_link_up(f->session, f->now_ms);
    fixture_tick(f);
}

void fixture_down(struct fixture *f, const char *reason, int status)
{
    f->link_open = false;
    f->closing = false;
    f->inside = true;
    session_link_down(f->session, f->now_ms, reason, status);
    fixture_tick(f);
}

void fixture_bytes(struct fixture *f, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    size_t piece = f->piece == 0 ? length : f->piece;

    for (size_t at = 0; at < length; at += piece) {
        size_t part = length - at < piece ? length - at : piece;
        uint8_t *copy = malloc(part); /* of its own, for the sanitizer */

        if (copy == NULL)
            abort();
        memcpy(copy, from + at, part);
        f->inside = true;
        session_link_bytes(f->session, f->now_ms, copy, part);
        f->inside = false;
        free(copy);
    }
    fixture_tick(f);
}

void fixture_connack(struct fixture *f, uint8_t code)
{
    const uint8_t bytes[] = { 0x20, 2, 0, code };

    fixture_bytes(f, bytes, sizeof bytes);
}

void fixture_suback(struct fixture *f, uint8_t first, uint8_t second)
{
    const uint8_t bytes[] = { 0x90, 4, 0, 1, first, second };

    fixture_bytes(f, bytes, sizeof bytes);
}

void fixture_pingresp(struct fixture *f)
{
    fixture_bytes(f, "\xd0", 2);
}

void fixture_publish(struct fixture *f, uint8_t qos, uint16_t id, const char *topic,
                     const char *payload)
{
    struct buf buf;

    buf_init(&buf, 2 * MQTT_PACKET_MAX);
    if (mqtt_write_publish(&buf, topic, qos, id, payload, strlen(payload)) != 0)
        abort();
    fixture_bytes(f, buf.bytes, buf.length);
    buf_done(&buf);
}

void fixture_answer_get(struct fixture *f, int status, const char *body)
{
    char topic[200];

    snprintf(topic, sizeof topic, "$iothub/twin/res/%d/?$rid=%s", status, f->get_rid);
    fixture_publish(f, 0, 0, topic, body);
}

void fixture_answer_patch(struct fixture *f, int status, int64_t version, const char *body)
{
    char topic[200], told[40] = "";

    if (version >= 0)
        snprintf(told, sizeof told, "&$version=%" PRId64, version);
    snprintf(topic, sizeof topic, "$iothub/twin/res/%d/?$rid=%s%s", status, f->patch_rid, told);
    fixture_publish(f, 0, 0, topic, body);
}

void fixture_desired(struct fixture *f, int64_t version, const char *body)
{
    char topic[200];

    snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/desired/?$version=%" PRId64,
             version);
    fixture_publish(f, 0, 0, topic, body);
}

/* ---- ways ---- */

void fixture_go_connack(struct fixture *f)
{
    fixture_tick(f);
    fixture_up(f);
}

void fixture_go_suback(struct fixture *f)
{
    fixture_go_connack(f);
    fixture_connack(f, 0);
}

void fixture_go_getting(struct fixture *f)
{
    fixture_go_suback(f);
    fixture_suback(f, 0, 0);
}

void fixture_go_ready(struct fixture *f)
{
    fixture_go_getting(f);
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_log(f);
}

int fixture_patch(struct fixture *f, const char *json)
{
    int rc = session_patch(f->session, f->now_ms, json, strlen(json));

    fixture_tick(f);
    return rc;
}

struct session_status fixture_status(const struct fixture *f)
{
    struct session_status status;

    session_status(f->session, &status);
    return status;
}
