/* MQTT 3.1.1 packets against bytes built by hand from the OASIS Standard (29 October 2014). */
#include "bridge/mqtt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

enum { READER_MAX = 1024 };

/* ---- writer ---- */

struct written {
    const char *name;
    int (*write)(struct buf *buf);
    const uint8_t *want;
    size_t length;
};

static int connect_of_the_standard(struct buf *buf)
{
    /* figure 3.6 and 3.7 without a will: user name and password, clean session, keep alive 10 s */
    struct mqtt_connect connect = { .client_id = "c",
                                    .username = "u",
                                    .password = "pw",
                                    .keepalive_s = 10,
                                    .clean_session = true };

    return mqtt_write_connect(buf, &connect);
}

static int connect_without_password(struct buf *buf)
{
    struct mqtt_connect connect = { .client_id = "d/m", .username = "u", .keepalive_s = 0x1234 };

    return mqtt_write_connect(buf, &connect);
}

static int subscribe_of_the_standard(struct buf *buf)
{
    static const char *const filters[] = { "a/b", "c/d" }; /* figure 3.23 */

    return mqtt_write_subscribe(buf, 10, filters, 2, 1);
}

static int publish_qos_0(struct buf *buf)
{
    return mqtt_write_publish(buf, "a/b", 0, 0, "{}", 2); /* figure 3.11 */
}

static int publish_qos_1(struct buf *buf)
{
    return mqtt_write_publish(buf, "a/b", 1, 10, NULL, 0);
}

static int puback(struct buf *buf)
{
    return mqtt_write_puback(buf, 0x0102);
}

static void write_of_each_packet_gives_the_standards_bytes(void **state)
{
    const struct written cases[] = {
        { "CONNECT", connect_of_the_standard,
          BYTES(0x10, 20, 0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 10, 0, 1, 'c', 0, 1, 'u', 0, 2, 'p',
                'w') },
        { "CONNECT without password", connect_without_password,
          BYTES(0x10, 18, 0, 4, 'M', 'Q', 'T', 'T', 4, 0x80, 0x12, 0x34, 0, 3, 'd', '/', 'm', 0, 1,
                'u') },
        { "SUBSCRIBE", subscribe_of_the_standard,
          BYTES(0x82, 14, 0, 10, 0, 3, 'a', '/', 'b', 1, 0, 3, 'c', '/', 'd', 1) },
        { "PUBLISH 0", publish_qos_0, BYTES(0x30, 7, 0, 3, 'a', '/', 'b', '{', '}') },
        { "PUBLISH 1", publish_qos_1, BYTES(0x32, 7, 0, 3, 'a', '/', 'b', 0, 10) },
        { "PUBACK", puback, BYTES(0x40, 2, 1, 2) },
        { "PINGREQ", mqtt_write_pingreq, BYTES(0xc0, 0) },
        { "DISCONNECT", mqtt_write_disconnect, BYTES(0xe0, 0) },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf buf;

        print_message("case %s\n", cases[i].name);
        buf_init(&buf, MQTT_PACKET_MAX);

        assert_int_equal(cases[i].write(&buf), 0);

        assert_int_equal(buf.length, cases[i].length);
        assert_memory_equal(buf.bytes, cases[i].want, buf.length);
        buf_done(&buf);
    }
}

static void write_header_of_each_size_uses_the_shortest_form(void **state)
{
    static const struct {
        size_t remaining;
        size_t length;
        uint8_t bytes[5];
    } cases[] = { /* table 2.4 */
                  { 0, 2, { 0x30, 0x00 } },
                  { 127, 2, { 0x30, 0x7f } },
                  { 128, 3, { 0x30, 0x80, 0x01 } },
                  { 16383, 3, { 0x30, 0xff, 0x7f } },
                  { 16384, 4, { 0x30, 0x80, 0x80, 0x01 } },
                  { 2097151, 4, { 0x30, 0xff, 0xff, 0x7f } },
                  { 2097152, 5, { 0x30, 0x80, 0x80, 0x80, 0x01 } },
                  { 268435455, 5, { 0x30, 0xff, 0xff, 0xff, 0x7f } }
    };
    struct buf buf;

    (void)state;
    buf_init(&buf, 64);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&buf);

        assert_int_equal(mqtt_write_header(&buf, MQTT_PUBLISH, 0, cases[i].remaining), 0);

        assert_int_equal(buf.length, cases[i].length);
        assert_memory_equal(buf.bytes, cases[i].bytes, buf.length);
    }
    assert_int_equal(mqtt_write_header(&buf, MQTT_PUBLISH, 0, 268435456), -ENOSPC);
    buf_done(&buf);
}

static void write_that_does_not_fit_appends_nothing(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(mqtt_write_pingreq(&buf), 0);

    assert_int_equal(mqtt_write_publish(&buf, "a/b", 0, 0, "{}", 2), -ENOSPC);

    assert_int_equal(buf.length, 2);
    buf_done(&buf);
}

static void write_of_an_impossible_text_is_refused(void **state)
{
    char *longest = malloc(65537);
    struct buf buf;

    (void)state;
    assert_non_null(longest);
    memset(longest, 'x', 65536);
    longest[65536] = 0;
    buf_init(&buf, MQTT_PACKET_MAX);

    assert_int_equal(mqtt_write_text(&buf, longest), -EINVAL);
    assert_int_equal(mqtt_write_publish(&buf, "a\xff", 0, 0, NULL, 0), -EINVAL);
    assert_int_equal(buf.length, 0);
    longest[65535] = 0;
    assert_int_equal(mqtt_write_text(&buf, longest), 0);
    assert_int_equal(buf.length, 65537);

    buf_done(&buf);
    free(longest);
}

/* ---- reader ---- */

struct refused {
    const char *name;
    const uint8_t *bytes;
    size_t length;
    int want;
};

static void next_on_bytes_that_are_not_mqtt_is_refused(void **state)
{
    const struct refused cases[] = {
        { "type 0", BYTES(0x00), -EBADMSG },
        { "type 15", BYTES(0xf0), -EBADMSG },
        { "CONNACK with flags", BYTES(0x21), -EBADMSG },
        { "PUBACK with flags", BYTES(0x42), -EBADMSG },
        { "PUBREL without its flags", BYTES(0x60), -EBADMSG },
        { "SUBSCRIBE without its flags", BYTES(0x80), -EBADMSG },
        { "SUBACK with flags", BYTES(0x92), -EBADMSG },
        { "UNSUBSCRIBE without its flags", BYTES(0xa0), -EBADMSG },
        { "PINGRESP with flags", BYTES(0xd8), -EBADMSG },
        { "PUBLISH of QoS 3", BYTES(0x36), -EBADMSG },
        { "duplicate PUBLISH of QoS 0", BYTES(0x38), -EBADMSG },
        { "CONNACK of 3 bytes", BYTES(0x20, 3), -EBADMSG },
        { "PUBACK of 1 byte", BYTES(0x40, 1), -EBADMSG },
        { "PINGRESP of 1 byte", BYTES(0xd0, 1), -EBADMSG },
        { "remaining length of 5 bytes", BYTES(0x30, 0x80, 0x80, 0x80, 0x80), -EBADMSG },
        { "too large, seen in the header", BYTES(0x30, 0x80, 0x08), -ENOSPC },
        { "largest that the header can say", BYTES(0x30, 0xff, 0xff, 0xff, 0x7f), -ENOSPC },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mqtt_reader reader;
        struct mqtt_packet packet;
        const uint8_t pingresp[] = { 0xd0, 0 };

        print_message("case %s\n", cases[i].name);
        mqtt_reader_init(&reader, READER_MAX);
        assert_int_equal(mqtt_reader_feed(&reader, cases[i].bytes, cases[i].length), 0);

        assert_int_equal(mqtt_reader_next(&reader, &packet), cases[i].want);

        /* it sticks, until the next connection */
        assert_int_equal(mqtt_reader_feed(&reader, pingresp, 2), cases[i].want);
        assert_int_equal(mqtt_reader_next(&reader, &packet), cases[i].want);
        mqtt_reader_reset(&reader);
        assert_int_equal(mqtt_reader_feed(&reader, pingresp, 2), 0);
        assert_int_equal(mqtt_reader_next(&reader, &packet), 0);
        assert_int_equal(packet.type, MQTT_PINGRESP);
        mqtt_reader_done(&reader);
    }
}

static const uint8_t stream[] = {
    0x20, 2,    1,    0,                            /* CONNACK */
    0x90, 4,    0,    1, 0,   0x80,                 /* SUBACK */
    0x32, 0x87, 0x00, 0, 1,   't',  0, 7, 'x', 'y', /* PUBLISH, length not shortest */
    0xd0, 0,                                        /* PINGRESP */
    0x31, 3,    0,    1, 'u',                       /* PUBLISH, retained, empty */
    0x40, 2,    0,    9,                            /* PUBACK */
};

/* Takes what is there and writes it down as text. */
static void take_all(struct mqtt_reader *reader, struct buf *seen)
{
    struct mqtt_packet packet;
    int rc;

    while ((rc = mqtt_reader_next(reader, &packet)) == 0) {
        buf_printf(seen, "%d/%d/", (int)packet.type, packet.flags);
        for (size_t i = 0; i < packet.length; i++)
            buf_printf(seen, "%02x", packet.body[i]);
        buf_add_text(seen, " ");
    }
    buf_printf(seen, "%s", rc == -EAGAIN ? "" : "!");
}

static void next_with_the_stream_split_at_every_byte_gives_the_same(void **state)
{
    static const char want[] =
        "2/0/0100 9/0/00010080 3/2/00017400077879 13/0/ 3/1/000175 4/0/0009 ";

    (void)state;
    for (size_t a = 0; a <= sizeof stream; a++) {
        for (size_t b = a; b <= sizeof stream; b++) {
            struct mqtt_reader reader;
            struct buf seen;

            mqtt_reader_init(&reader, READER_MAX);
            buf_init(&seen, 4096);

            assert_int_equal(mqtt_reader_feed(&reader, stream, a), 0);
            take_all(&reader, &seen);
            assert_int_equal(mqtt_reader_feed(&reader, stream + a, b - a), 0);
            take_all(&reader, &seen);
            assert_int_equal(mqtt_reader_feed(&reader, stream + b, sizeof stream - b), 0);
            take_all(&reader, &seen);

            assert_string_equal(buf_text(&seen), want);
            buf_done(&seen);
            mqtt_reader_done(&reader);
        }
    }
}

static void next_with_single_bytes_gives_the_same(void **state)
{
    struct mqtt_reader reader;
    struct buf seen;

    (void)state;
    mqtt_reader_init(&reader, READER_MAX);
    buf_init(&seen, 4096);
    for (size_t i = 0; i < sizeof stream; i++) {
        assert_int_equal(mqtt_reader_feed(&reader, stream + i, 1), 0);
        take_all(&reader, &seen);
    }

    assert_string_equal(buf_text(&seen),
                        "2/0/0100 9/0/00010080 3/2/00017400077879 13/0/ 3/1/000175 4/0/0009 ");
    buf_done(&seen);
    mqtt_reader_done(&reader);
}

static void next_of_a_packet_of_just_the_limit_is_taken(void **state)
{
    static uint8_t bytes[READER_MAX + 1] = { 0x30, 0xfd, 0x07, 0, 1, 't' }; /* 3 + 1021 */
    struct mqtt_reader reader;
    struct mqtt_packet packet;

    (void)state;
    mqtt_reader_init(&reader, READER_MAX);
    assert_int_equal(mqtt_reader_feed(&reader, bytes, READER_MAX), 0);
    assert_int_equal(mqtt_reader_next(&reader, &packet), 0);
    assert_int_equal(packet.length, READER_MAX - 3);

    bytes[1] = 0xfe;
    assert_int_equal(mqtt_reader_feed(&reader, bytes, READER_MAX + 1), 0);
    assert_int_equal(mqtt_reader_next(&reader, &packet), -ENOSPC);
    mqtt_reader_done(&reader);
}

static void feed_that_nobody_takes_is_bounded(void **state)
{
    static const uint8_t chunk[READER_MAX];
    struct mqtt_reader reader;

    (void)state;
    mqtt_reader_init(&reader, READER_MAX);
    assert_int_equal(mqtt_reader_feed(&reader, chunk, sizeof chunk), 0);
    assert_int_equal(mqtt_reader_feed(&reader, chunk, 1), 0);
    assert_int_equal(mqtt_reader_feed(&reader, chunk, 1), -ENOSPC);
    mqtt_reader_done(&reader);
}

static void next_of_many_glued_packets_costs_no_square(void **state)
{
    enum { PACKETS = 500 * 1000 };
    uint8_t *bytes = malloc(2 * (size_t)PACKETS);
    struct mqtt_reader reader;
    struct mqtt_packet packet;
    size_t taken = 0;
    clock_t start;

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < PACKETS; i++)
        memcpy(bytes + 2 * i, "\xd0", 2);
    mqtt_reader_init(&reader, READER_MAX);
    start = clock();

    assert_int_equal(mqtt_reader_feed(&reader, bytes, 2 * (size_t)PACKETS), 0);
    while (mqtt_reader_next(&reader, &packet) == 0)
        taken++;

    assert_int_equal(taken, PACKETS);
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC); /* moving the rest each time: minutes */
    assert_int_equal(mqtt_reader_feed(&reader, bytes, 0), 0);
    assert_true(reader.buf.capacity <= 16 * 1024); /* an idle reader keeps no peak */
    mqtt_reader_done(&reader);
    free(bytes);
}

/* ---- bodies ---- */

static struct mqtt_packet packet_of(enum mqtt_type type, uint8_t flags, const uint8_t *body,
                                    size_t length)
{
    return (struct mqtt_packet){ .type = type, .flags = flags, .body = body, .length = length };
}

static void parse_connack_of_each_answer_gives_its_code(void **state)
{
    const struct {
        uint8_t body[2];
        int rc;
    } cases[] = {
        { { 0, 0 }, 0 },        { { 1, 0 }, 0 },        { { 0, 5 }, 0 },
        { { 2, 0 }, -EBADMSG }, { { 0, 6 }, -EBADMSG }, { { 1, 5 }, -EBADMSG }, /* 3.2.2-4 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mqtt_packet packet = packet_of(MQTT_CONNACK, 0, cases[i].body, 2);
        bool present = true;
        uint8_t code = 99;

        assert_int_equal(mqtt_parse_connack(&packet, &present, &code), cases[i].rc);
        assert_int_equal(code, cases[i].rc == 0 ? cases[i].body[1] : 99);
        assert_int_equal(present, cases[i].rc == 0 ? cases[i].body[0] : 1);
    }
}

static void parse_publish_gives_topic_id_and_payload(void **state)
{
    static const uint8_t body[] = { 0, 3, 'a', '/', 'b', 0, 10, 'p' };
    struct mqtt_packet packet = packet_of(MQTT_PUBLISH, 0x0b, body, sizeof body);
    struct mqtt_publish publish;

    (void)state;
    assert_int_equal(mqtt_parse_publish(&packet, &publish), 0);

    assert_int_equal(publish.topic.length, 3);
    assert_memory_equal(publish.topic.text, "a/b", 3);
    assert_int_equal(publish.qos, 1);
    assert_true(publish.duplicate && publish.retain);
    assert_int_equal(publish.packet_id, 10);
    assert_int_equal(publish.payload_length, 1);
    assert_int_equal(publish.payload[0], 'p');

    packet.flags = 0; /* the same bytes with QoS 0: no id, more payload */
    assert_int_equal(mqtt_parse_publish(&packet, &publish), 0);
    assert_int_equal(publish.packet_id, 0);
    assert_int_equal(publish.payload_length, 3);
}

static void parse_publish_of_a_bad_body_is_refused(void **state)
{
    const struct {
        const char *name;
        const uint8_t *body;
        size_t length;
        uint8_t flags;
    } cases[] = {
        { "empty", (const uint8_t *)"", 0, 0 },
        { "half a length", BYTES(0), 0 },
        { "no topic", BYTES(0, 0), 0 },
        { "topic longer than the packet", BYTES(0, 3, 'a', 'b'), 0 },
        { "wildcard #", BYTES(0, 3, 'a', '/', '#'), 0 },
        { "wildcard +", BYTES(0, 3, '+', '/', 'a'), 0 },
        { "U+0000", BYTES(0, 3, 'a', 0, 'b'), 0 },
        { "bare continuation byte", BYTES(0, 1, 0x80), 0 },
        { "overlong slash", BYTES(0, 2, 0xc0, 0xaf), 0 },
        { "overlong of three", BYTES(0, 3, 0xe0, 0x80, 0xaf), 0 },
        { "overlong of four", BYTES(0, 4, 0xf0, 0x80, 0x80, 0xaf), 0 },
        { "surrogate", BYTES(0, 3, 0xed, 0xa0, 0x80), 0 },
        { "beyond U+10FFFF", BYTES(0, 4, 0xf4, 0x90, 0x80, 0x80), 0 },
        { "byte F5", BYTES(0, 4, 0xf5, 0x80, 0x80, 0x80), 0 },
        { "cut character", BYTES(0, 2, 0xe2, 0x82), 0 },
        { "bad second byte", BYTES(0, 3, 0xe2, 0x28, 0xa1), 0 },
        { "bad third byte", BYTES(0, 3, 0xe2, 0x82, 0x28), 0 },
        { "QoS 1 without id", BYTES(0, 1, 'a'), 2 },
        { "QoS 1 with half an id", BYTES(0, 1, 'a', 1), 2 },
        { "QoS 1 with id 0", BYTES(0, 1, 'a', 0, 0), 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mqtt_packet packet = packet_of(MQTT_PUBLISH, cases[i].flags, cases[i].body,
                                              cases[i].length);
        struct mqtt_publish publish = { .packet_id = 77 };

        print_message("case %s\n", cases[i].name);
        assert_int_equal(mqtt_parse_publish(&packet, &publish), -EBADMSG);
        assert_int_equal(publish.packet_id, 77);
    }
}

static void parse_publish_with_a_topic_of_every_character_length_is_taken(void **state)
{
    /* U+0041 U+007FF U+20AC U+1F600, and the edges U+E000 U+10FFFF */
    static const uint8_t body[] = { 0,    17,   'A',  0xdf, 0xbf, 0xe2, 0x82, 0xac, 0xf0, 0x9f,
                                    0x98, 0x80, 0xee, 0x80, 0x80, 0xf4, 0x8f, 0xbf, 0xbf };
    struct mqtt_packet packet = packet_of(MQTT_PUBLISH, 0, body, sizeof body);
    struct mqtt_publish publish;

    (void)state;
    assert_int_equal(mqtt_parse_publish(&packet, &publish), 0);
    assert_int_equal(publish.topic.length, 17);
}

static void parse_suback_takes_the_standards_codes_only(void **state)
{
    const struct refused cases[] = {
        { "one of each", BYTES(0, 1, 0, 1, 2, 0x80), 0 },
        { "code 3", BYTES(0, 1, 3), -EBADMSG },
        { "code 0x81", BYTES(0, 1, 0, 0x81), -EBADMSG },
        { "no code", BYTES(0, 1), -EBADMSG },
        { "id 0", BYTES(0, 0, 0), -EBADMSG },
        { "half an id", BYTES(1), -EBADMSG },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mqtt_packet packet = packet_of(MQTT_SUBACK, 0, cases[i].bytes, cases[i].length);
        const uint8_t *codes = NULL;
        uint16_t id = 0;
        size_t count = 0;

        print_message("case %s\n", cases[i].name);
        assert_int_equal(mqtt_parse_suback(&packet, &id, &codes, &count), cases[i].want);
        assert_int_equal(count, cases[i].want == 0 ? 4 : 0);
        assert_int_equal(id, cases[i].want == 0 ? 1 : 0);
    }
}

static void parse_puback_with_id_0_is_refused(void **state)
{
    static const uint8_t zero[] = { 0, 0 }, good[] = { 0x12, 0x34 };
    struct mqtt_packet packet = packet_of(MQTT_PUBACK, 0, zero, 2);
    uint16_t id = 7;

    (void)state;
    assert_int_equal(mqtt_parse_puback(&packet, &id), -EBADMSG);
    assert_int_equal(id, 7);
    packet.body = good;
    assert_int_equal(mqtt_parse_puback(&packet, &id), 0);
    assert_int_equal(id, 0x1234);
    packet.type = MQTT_SUBACK;
    assert_int_equal(mqtt_parse_puback(&packet, &id), -EBADMSG);
}

/* A small generator of our own, so that a failure can be repeated. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void next_and_parse_of_random_bytes_never_read_outside(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (size_t round = 0; round < 20000; round++) {
        struct mqtt_reader reader;
        struct mqtt_packet packet;
        struct mqtt_publish publish;
        uint8_t *bytes = malloc(64); /* of its own, for the sanitizer */
        size_t length = next_random(&seed) % 64;
        const uint8_t *codes;
        uint16_t id;
        size_t count;

        assert_non_null(bytes);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)next_random(&seed);
        if (length > 1 && round % 2 == 0) { /* often enough a whole packet */
            bytes[0] = (uint8_t)(0x30 | (bytes[0] & 2));
            bytes[1] = (uint8_t)(length - 2);
        }
        mqtt_reader_init(&reader, READER_MAX);
        mqtt_reader_feed(&reader, bytes, length);
        while (mqtt_reader_next(&reader, &packet) == 0) {
            if (mqtt_parse_publish(&packet, &publish) == 0)
                assert_true(publish.payload + publish.payload_length ==
                            packet.body + packet.length);
            mqtt_parse_suback(&packet, &id, &codes, &count);
        }
        mqtt_reader_done(&reader);
        free(bytes);
    }
}

/* ---- memory ---- */

static bool no_memory;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    return no_memory ? NULL : __real_realloc(old, size);
}

static void feed_and_write_without_memory_say_so(void **state)
{
    struct mqtt_reader reader;
    struct mqtt_packet packet;
    struct buf buf;

    (void)state;
    mqtt_reader_init(&reader, READER_MAX);
    buf_init(&buf, READER_MAX);
    no_memory = true;
    assert_int_equal(mqtt_reader_feed(&reader, stream, sizeof stream), -ENOMEM);
    assert_int_equal(connect_of_the_standard(&buf), -ENOMEM);
    no_memory = false;

    assert_int_equal(mqtt_reader_next(&reader, &packet), -ENOMEM); /* bytes are lost: it sticks */
    assert_int_equal(buf.length, 0);
    buf_done(&buf);
    mqtt_reader_done(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_of_each_packet_gives_the_standards_bytes),
        cmocka_unit_test(write_header_of_each_size_uses_the_shortest_form),
        cmocka_unit_test(write_that_does_not_fit_appends_nothing),
        cmocka_unit_test(write_of_an_impossible_text_is_refused),
        cmocka_unit_test(next_on_bytes_that_are_not_mqtt_is_refused),
        cmocka_unit_test(next_with_the_stream_split_at_every_byte_gives_the_same),
        cmocka_unit_test(next_with_single_bytes_gives_the_same),
        cmocka_unit_test(next_of_a_packet_of_just_the_limit_is_taken),
        cmocka_unit_test(feed_that_nobody_takes_is_bounded),
        cmocka_unit_test(next_of_many_glued_packets_costs_no_square),
        cmocka_unit_test(parse_connack_of_each_answer_gives_its_code),
        cmocka_unit_test(parse_publish_gives_topic_id_and_payload),
        cmocka_unit_test(parse_publish_of_a_bad_body_is_refused),
        cmocka_unit_test(parse_publish_with_a_topic_of_every_character_length_is_taken),
        cmocka_unit_test(parse_suback_takes_the_standards_codes_only),
        cmocka_unit_test(parse_puback_with_id_0_is_refused),
        cmocka_unit_test(next_and_parse_of_random_bytes_never_read_outside),
        cmocka_unit_test(feed_and_write_without_memory_say_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
