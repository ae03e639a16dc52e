/* A module's side of an MQTT connection to a hub in memory: what it says, and what it heard. */
#pragma once

#include "test_hubsim_fixture.h"

#include "bridge/mqtt.h"
#include "tests/sim/hubsim/client.h"

#include <errno.h>

#define USERNAME "/?api-version=2021-04-12"

struct peer { /* one side of a connection: what the hub sent, taken apart */
    struct client *client;
    struct mqtt_reader reader;
    int woken;
};

struct client_fixture {
    struct hub_fixture base;
    struct identity device; /* d */
    struct identity module; /* d/m */
};

static inline int set_up(void **state)
{
    static struct client_fixture f;

    fixture_open(&f.base);
    f.device = fixture_create(&f.base, "d", "");
    f.module = fixture_create(&f.base, "d", "m");
    *state = &f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct client_fixture *f = *state;

    fixture_close(&f->base);
    return 0;
}

static inline void on_wake(void *data)
{
    ((struct peer *)data)->woken++;
}

static inline void peer_open(struct peer *peer, struct client_fixture *f)
{
    *peer = (struct peer){ 0 };
    assert_int_equal(client_new(&peer->client, f->base.hub, f->base.now_ms, on_wake, peer), 0);
    mqtt_reader_init(&peer->reader, MQTT_PACKET_MAX);
}

static inline void peer_close(struct peer *peer)
{
    client_free(peer->client);
    mqtt_reader_done(&peer->reader);
}

static inline void say(struct peer *peer, struct client_fixture *f, struct buf *packet)
{
    assert_int_equal(packet->error, 0);
    client_receive(peer->client, packet->bytes, packet->length, f->base.now_ms);
    buf_done(packet);
}

static inline void say_bytes(struct peer *peer, struct client_fixture *f, const char *bytes,
                             size_t length)
{
    client_receive(peer->client, (const uint8_t *)bytes, length, f->base.now_ms);
}

/* A CONNECT with what only some tests need. */
struct sign_in {
    bool device; /* as d, not as d/m */
    bool clean;
    uint16_t keepalive_s;
    int64_t expiry_s;      /* of the token */
    const char *query;     /* of the user name; NULL = the plain one */
    const char *will;      /* its topic; NULL = no will */
    const char *will_body; /* with it */
    uint8_t will_flags;    /* quality of service and retain, as in the flags of CONNECT */
};

static inline void write_sign_in(struct buf *packet, struct client_fixture *f,
                                 const struct sign_in *as)
{
    const char *name = as->device ? "d" : "d/m";
    char username[512], token[SAS_TOKEN_MAX];
    uint8_t flags = (uint8_t)(0xc0 | (as->clean ? 2 : 0) | (as->will != NULL ? 4 : 0) |
                              as->will_flags);
    const uint8_t rest[] = { 4, flags, (uint8_t)(as->keepalive_s >> 8), (uint8_t)as->keepalive_s };
    struct buf body;

    snprintf(username, sizeof username, FIXTURE_HOST "/%s%s", name,
             as->query != NULL ? as->query : USERNAME);
    assert_int_equal(
        sas_token(token, sizeof token,
                  as->device ? FIXTURE_HOST "/devices/d" : FIXTURE_HOST "/devices/d/modules/m",
                  as->device ? f->device.primary_key : f->module.primary_key, "", as->expiry_s),
        0);
    buf_init(&body, MQTT_PACKET_MAX);
    mqtt_write_text(&body, "MQTT");
    buf_add(&body, rest, sizeof rest);
    mqtt_write_text(&body, name);
    if (as->will != NULL) {
        mqtt_write_text(&body, as->will);
        mqtt_write_text(&body, as->will_body);
    }
    mqtt_write_text(&body, username);
    mqtt_write_text(&body, token);
    assert_int_equal(body.error, 0);
    buf_init(packet, MQTT_PACKET_MAX);
    mqtt_write_header(packet, MQTT_CONNECT, 0, body.length);
    buf_add(packet, body.bytes, body.length);
    buf_done(&body);
}

static inline void write_connect(struct buf *packet, struct client_fixture *f, bool clean,
                                 uint16_t keepalive_s, int64_t expiry_s)
{
    const struct sign_in as = { .clean = clean, .keepalive_s = keepalive_s, .expiry_s = expiry_s };

    write_sign_in(packet, f, &as);
}

/* The next packet that the hub sent; fails the test when there is none. */
static inline struct mqtt_packet heard(struct peer *peer)
{
    struct buf *output = client_output(peer->client);
    struct mqtt_packet packet = { 0 };
    int rc;

    if (output->length > 0) {
        assert_int_equal(mqtt_reader_feed(&peer->reader, output->bytes, output->length), 0);
        buf_consume(output, output->length);
    }
    rc = mqtt_reader_next(&peer->reader, &packet);
    assert_int_equal(rc, 0);
    return packet;
}

static inline bool heard_nothing(struct peer *peer)
{
    struct buf *output = client_output(peer->client);
    struct mqtt_packet packet;

    if (output->length > 0) {
        assert_int_equal(mqtt_reader_feed(&peer->reader, output->bytes, output->length), 0);
        buf_consume(output, output->length);
    }
    return mqtt_reader_next(&peer->reader, &packet) == -EAGAIN;
}

static inline void assert_connack(struct peer *peer, bool want_present, uint8_t want_code)
{
    const struct mqtt_packet packet = heard(peer);
    bool present;
    uint8_t code;

    assert_int_equal(mqtt_parse_connack(&packet, &present, &code), 0);
    assert_int_equal(code, want_code);
    assert_int_equal(present, want_present);
}

static inline void assert_publish(struct peer *peer, const char *want_topic,
                                  const char *want_payload)
{
    const struct mqtt_packet packet = heard(peer);
    struct mqtt_publish publish;
    char topic[256], payload[1024];

    assert_int_equal(mqtt_parse_publish(&packet, &publish), 0);
    snprintf(topic, sizeof topic, "%.*s", (int)publish.topic.length, publish.topic.text);
    snprintf(payload, sizeof payload, "%.*s", (int)publish.payload_length,
             (const char *)publish.payload);
    assert_string_equal(topic, want_topic);
    if (want_payload != NULL)
        assert_string_equal(payload, want_payload);
    assert_int_equal(publish.qos, 0);
}

/* Opens the connection and signs in; what the hub answers is still to be heard. */
static inline void sign_in(struct peer *peer, struct client_fixture *f, struct sign_in as)
{
    struct buf packet;

    if (as.keepalive_s == 0)
        as.keepalive_s = 60;
    if (as.expiry_s == 0)
        as.expiry_s = FIXTURE_WALL_S + 3600;
    peer_open(peer, f);
    write_sign_in(&packet, f, &as);
    say(peer, f, &packet);
}

static inline void connect_peer(struct peer *peer, struct client_fixture *f, bool clean,
                                bool want_present)
{
    struct buf packet;

    peer_open(peer, f);
    write_connect(&packet, f, clean, 60, FIXTURE_WALL_S + 3600);
    say(peer, f, &packet);
    assert_connack(peer, want_present, 0);
}

static inline void subscribe(struct peer *peer, struct client_fixture *f)
{
    static const char *const filters[] = { "$iothub/twin/res/#",
                                           "$iothub/twin/PATCH/properties/desired/#" };
    struct buf packet;

    buf_init(&packet, 4096);
    mqtt_write_subscribe(&packet, 7, filters, 2, 0);
    say(peer, f, &packet);
    assert_int_equal(heard(peer).type, MQTT_SUBACK);
}

/* One filter; the code of the SUBACK. */
static inline uint8_t subscribe_to(struct peer *peer, struct client_fixture *f, const char *filter,
                                   uint8_t qos)
{
    struct mqtt_packet suback;
    struct buf packet;

    buf_init(&packet, 4096);
    mqtt_write_subscribe(&packet, 7, &filter, 1, qos);
    say(peer, f, &packet);
    suback = heard(peer);
    assert_int_equal(suback.type, MQTT_SUBACK);
    assert_int_equal(suback.length, 3);
    return suback.body[2];
}

static inline void unsubscribe(struct peer *peer, struct client_fixture *f, const char *filter)
{
    struct buf packet;

    buf_init(&packet, 4096);
    mqtt_write_header(&packet, MQTT_UNSUBSCRIBE, 2, 4 + strlen(filter));
    buf_add(&packet, "\0\7", 2);
    mqtt_write_text(&packet, filter);
    say(peer, f, &packet);
    assert_int_equal(heard(peer).type, MQTT_UNSUBACK);
}

/* The next packet, which must be a PUBLISH to `topic` with `payload`. */
static inline struct mqtt_publish heard_publish(struct peer *peer, const char *topic,
                                                const char *payload)
{
    const struct mqtt_packet packet = heard(peer);
    struct mqtt_publish publish;
    char text[1024];

    assert_int_equal(mqtt_parse_publish(&packet, &publish), 0);
    snprintf(text, sizeof text, "%.*s", (int)publish.topic.length, publish.topic.text);
    assert_string_equal(text, topic);
    snprintf(text, sizeof text, "%.*s", (int)publish.payload_length, (const char *)publish.payload);
    assert_string_equal(text, payload);
    return publish;
}

static inline void publish(struct peer *peer, struct client_fixture *f, const char *topic,
                           uint8_t qos, const char *payload)
{
    struct buf packet;

    buf_init(&packet, 4096);
    mqtt_write_publish(&packet, topic, qos, qos > 0 ? 5 : 0, payload, strlen(payload));
    say(peer, f, &packet);
}
