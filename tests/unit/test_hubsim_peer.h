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
    struct identity module;
};

static inline int set_up(void **state)
{
    static struct client_fixture f;

    fixture_open(&f.base);
    fixture_create(&f.base, "d", "");
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

static inline void write_connect(struct buf *packet, struct client_fixture *f, bool clean,
                                 uint16_t keepalive_s, int64_t expiry_s)
{
    char token[SAS_TOKEN_MAX];
    const struct mqtt_connect connect = {
        .client_id = "d/m",
        .username = FIXTURE_HOST "/d/m" USERNAME,
        .password = token,
        .keepalive_s = keepalive_s,
        .clean_session = clean,
    };

    assert_int_equal(sas_token(token, sizeof token, FIXTURE_HOST "/devices/d/modules/m",
                               f->module.primary_key, "", expiry_s),
                     0);
    buf_init(packet, 4096);
    mqtt_write_connect(packet, &connect);
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

static inline void publish(struct peer *peer, struct client_fixture *f, const char *topic,
                           uint8_t qos, const char *payload)
{
    struct buf packet;

    buf_init(&packet, 4096);
    mqtt_write_publish(&packet, topic, qos, qos > 0 ? 5 : 0, payload, strlen(payload));
    say(peer, f, &packet);
}
