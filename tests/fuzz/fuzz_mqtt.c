/* The MQTT reader and the parsers of its packets, fed with a stream.
 *
 * Input: the limit of a packet (one byte: which), where the stream is cut (two bytes), the
 * stream. Demanded: the same packets and the same end however the stream is cut; no more memory
 * than the contract says; what parses was within the body; a PUBLISH written again reads the
 * same. */
#include "bridge/mqtt.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>

/* What a reader made of a stream: one line of numbers per packet. */
struct outcome {
    uint64_t digest;
    size_t packets;
    int end;
};

static void digest(struct outcome *o, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < length; i++)
        o->digest = (o->digest ^ at[i]) * UINT64_C(1099511628211);
}

static void require_inside(const struct mqtt_packet *packet, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    FUZZ_REQUIRE(length <= packet->length);
    FUZZ_REQUIRE(length == 0 ||
                 (at >= packet->body && at + length <= packet->body + packet->length));
}

static void write_again(const struct mqtt_packet *packet, const struct mqtt_publish *publish)
{
    char *topic = fuzz_copy(publish->topic.text, publish->topic.length, 1);
    struct buf buf;

    buf_init(&buf, 2 * MQTT_PACKET_MAX);
    FUZZ_REQUIRE(mqtt_write_publish(&buf, topic, publish->qos, publish->packet_id, publish->payload,
                                    publish->payload_length) == 0);
    FUZZ_REQUIRE(buf.length > packet->length);
    FUZZ_REQUIRE(memcmp(buf.bytes + buf.length - packet->length, packet->body, packet->length) ==
                 0);
    buf_done(&buf);
    free(topic);
}

static void parse_publish(const struct mqtt_packet *packet)
{
    struct mqtt_publish publish;

    if (mqtt_parse_publish(packet, &publish) != 0)
        return;
    FUZZ_REQUIRE(publish.qos <= 2);
    FUZZ_REQUIRE((publish.packet_id != 0) == (publish.qos > 0));
    FUZZ_REQUIRE(publish.topic.length > 0);
    FUZZ_REQUIRE(mqtt_utf8_valid(publish.topic.text, publish.topic.length));
    require_inside(packet, publish.topic.text, publish.topic.length);
    require_inside(packet, publish.payload, publish.payload_length);
    write_again(packet, &publish);
}

static void parse(const struct mqtt_packet *packet)
{
    const uint8_t *codes;
    bool session_present;
    uint16_t packet_id;
    uint8_t code;
    size_t count;

    switch (packet->type) {
    case MQTT_CONNACK:
        (void)mqtt_parse_connack(packet, &session_present, &code);
        break;
    case MQTT_PUBLISH:
        parse_publish(packet);
        break;
    case MQTT_PUBACK:
        (void)mqtt_parse_puback(packet, &packet_id);
        break;
    case MQTT_SUBACK:
        if (mqtt_parse_suback(packet, &packet_id, &codes, &count) == 0)
            require_inside(packet, codes, count);
        break;
    default:
        break;
    }
}

/* One feed, and all packets that it completes. */
static int feed(struct mqtt_reader *reader, const uint8_t *bytes, size_t length, struct outcome *o)
{
    uint8_t *copy = fuzz_copy(bytes, length, 0);
    int rc = mqtt_reader_feed(reader, copy, length);

    free(copy);
    while (rc == 0) {
        struct mqtt_packet packet;

        rc = mqtt_reader_next(reader, &packet);
        if (rc != 0)
            break;
        FUZZ_REQUIRE(packet.length < reader->max);
        parse(&packet);
        o->packets++;
        digest(o, &packet.type, sizeof packet.type);
        digest(o, &packet.flags, sizeof packet.flags);
        digest(o, &packet.length, sizeof packet.length);
        digest(o, packet.body, packet.length);
    }
    FUZZ_REQUIRE(reader->buf.length <= 2 * reader->max + length);
    return rc;
}

static struct outcome read_in_pieces(const uint8_t *stream, size_t length, size_t max, size_t cut,
                                     size_t piece)
{
    struct outcome o = { .end = -EAGAIN };
    struct mqtt_reader reader;

    mqtt_reader_init(&reader, max);
    if (cut > 0)
        o.end = feed(&reader, stream, cut, &o);
    for (size_t at = cut; at < length && o.end == -EAGAIN; at += piece)
        o.end = feed(&reader, stream + at, length - at < piece ? length - at : piece, &o);
    if (o.end != -EAGAIN) { /* lost for good */
        FUZZ_REQUIRE(mqtt_reader_feed(&reader, stream, length) == o.end);
        mqtt_reader_reset(&reader);
        FUZZ_REQUIRE(mqtt_reader_feed(&reader, (const uint8_t *)"\xd0", 2) == 0);
    }
    mqtt_reader_done(&reader);
    return o;
}

static void require_same(struct outcome a, struct outcome b)
{
    FUZZ_REQUIRE(a.packets == b.packets);
    FUZZ_REQUIRE(a.digest == b.digest);
    FUZZ_REQUIRE(a.end == b.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t limits[] = { 16, 300, 4096, MQTT_PACKET_MAX };
    struct fuzz_script script = { data, size };
    size_t max = limits[fuzz_byte(&script) % 4];
    size_t cut = fuzz_word(&script);
    struct outcome whole = read_in_pieces(script.bytes, script.length, max, 0, script.length);

    cut = script.length == 0 ? 0 : cut % (script.length + 1);
    require_same(whole, read_in_pieces(script.bytes, script.length, max, cut, script.length));
    if (script.length <= 512)
        require_same(whole, read_in_pieces(script.bytes, script.length, max, 0, 1));
    return 0;
}
