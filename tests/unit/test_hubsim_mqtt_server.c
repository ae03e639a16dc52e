/* The server's side of MQTT. Bytes are written out by hand from the OASIS text
 * (sections 3.1, 3.2, 3.8, 3.9, 3.10, 3.11, 3.13). */
#include "tests/sim/hubsim/mqtt_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PACKET(packet_type, bytes)                                                                 \
    {                                                                                              \
        .type = (packet_type), .body = (const uint8_t *)(bytes), .length = sizeof(bytes) - 1       \
    }

static bool same(struct mqtt_text text, const char *want)
{
    return text.length == strlen(want) && memcmp(text.text, want, text.length) == 0;
}

static void mqtt_server_parse_connect_all_fields_are_found(void **state)
{
    const struct mqtt_packet packet = PACKET(
        MQTT_CONNECT, "\0\4MQTT\4\xee\0\x3c\0\3d/m\0\1w\0\2\xff\0\0\2us\0\3\1\0\2");
    struct mqtt_server_connect connect;

    (void)state;
    assert_int_equal(mqtt_server_parse_connect(&packet, &connect), 0);
    assert_true(same(connect.client_id, "d/m"));
    assert_true(same(connect.will_topic, "w"));
    assert_int_equal(connect.will_payload.length, 2);
    assert_true(same(connect.username, "us"));
    assert_int_equal(connect.password.length, 3);
    assert_int_equal(connect.keepalive_s, 60);
    assert_int_equal(connect.will_qos, 1);
    assert_true(connect.clean_session);
    assert_true(connect.has_will);
    assert_true(connect.will_retain);
}

static void mqtt_server_parse_connect_without_options_has_empty_texts(void **state)
{
    const struct mqtt_packet packet = PACKET(MQTT_CONNECT, "\0\4MQTT\4\0\0\0\0\1d");
    struct mqtt_server_connect connect;

    (void)state;
    assert_int_equal(mqtt_server_parse_connect(&packet, &connect), 0);
    assert_true(same(connect.client_id, "d"));
    assert_true(same(connect.username, ""));
    assert_true(same(connect.password, ""));
    assert_false(connect.clean_session);
    assert_false(connect.has_will);
    assert_false(connect.will_retain);
}

static void mqtt_server_parse_connect_of_another_protocol_is_told_apart(void **state)
{
    static const struct mqtt_packet cases[] = {
        PACKET(MQTT_CONNECT, "\0\6MQIsdp\3\2\0\x3c\0\1d"),
        PACKET(MQTT_CONNECT, "\0\4MQTT\5\2\0\x3c\0\0\1d"),
        PACKET(MQTT_CONNECT, "\0\4mqtt\4\2\0\x3c\0\1d"),
    };
    struct mqtt_server_connect connect;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(mqtt_server_parse_connect(&cases[i], &connect), -EPROTONOSUPPORT);
}

static void mqtt_server_parse_connect_malformed_is_refused(void **state)
{
    static const struct mqtt_packet cases[] = {
        PACKET(MQTT_CONNECT, "\0\4MQTT\4\1\0\x3c\0\1d"),           /* reserved flag */
        PACKET(MQTT_CONNECT, "\0\4MQTT\4\x1c\0\x3c\0\1d\0\0\0\0"), /* will with quality 3 */
        PACKET(MQTT_CONNECT, "\0\4MQTT\4\x08\0\x3c\0\1d"),         /* quality without will */
        PACKET(MQTT_CONNECT, "\0\4MQTT\4\x20\0\x3c\0\1d"),         /* retain without will */
        PACKET(MQTT_CONNECT, "\0\4MQTT\4\x40\0\x3c\0\1d\0\1p"),    /* password without name */
        PACKET(MQTT_CONNECT, "\0\4MQTT\4\0\0\x3c\0\1dx"),          /* bytes behind the end */
        PACKET(MQTT_CONNECT, "\0\4MQTT\4\0\0\x3c\0\2\xc3\x28"),    /* not UTF-8 */
    };
    struct mqtt_server_connect connect = { .keepalive_s = 7 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %zu\n", i);
        assert_int_equal(mqtt_server_parse_connect(&cases[i], &connect), -EBADMSG);
        assert_int_equal(connect.keepalive_s, 7);
    }
}

static void mqtt_server_parse_connect_cut_at_every_byte_is_refused(void **state)
{
    struct mqtt_packet packet = PACKET(
        MQTT_CONNECT, "\0\4MQTT\4\xee\0\x3c\0\3d/m\0\1w\0\2\xff\0\0\2us\0\3\1\0\2");
    struct mqtt_server_connect connect;
    size_t whole = packet.length;

    (void)state;
    for (packet.length = 0; packet.length < whole; packet.length++) {
        uint8_t copy[64]; /* the sanitizer sees a read beyond its part */

        assert_true(whole <= sizeof copy);
        memcpy(copy + sizeof copy - packet.length, packet.body, packet.length);
        const struct mqtt_packet cut = { .type = MQTT_CONNECT,
                                         .body = copy + sizeof copy - packet.length,
                                         .length = packet.length };
        assert_int_equal(mqtt_server_parse_connect(&cut, &connect), -EBADMSG);
    }
}

static void mqtt_server_next_filter_walks_through_all(void **state)
{
    const struct mqtt_packet subscribe = PACKET(MQTT_SUBSCRIBE, "\0\x0a\0\3a/b\1\0\1#\2");
    const struct mqtt_packet unsubscribe = PACKET(MQTT_UNSUBSCRIBE, "\1\0\0\3a/b\0\1#");
    struct mqtt_server_filters filters;
    struct mqtt_text filter;
    uint16_t id;
    uint8_t qos;

    (void)state;
    assert_int_equal(mqtt_server_parse_filters(&subscribe, &id, &filters), 0);
    assert_int_equal(id, 10);
    assert_true(mqtt_server_next_filter(&filters, &filter, &qos));
    assert_true(same(filter, "a/b"));
    assert_int_equal(qos, 1);
    assert_true(mqtt_server_next_filter(&filters, &filter, &qos));
    assert_true(same(filter, "#"));
    assert_int_equal(qos, 2);
    assert_false(mqtt_server_next_filter(&filters, &filter, &qos));

    assert_int_equal(mqtt_server_parse_filters(&unsubscribe, &id, &filters), 0);
    assert_int_equal(id, 256);
    assert_true(mqtt_server_next_filter(&filters, &filter, &qos));
    assert_int_equal(qos, 0);
    assert_true(mqtt_server_next_filter(&filters, &filter, &qos));
    assert_false(mqtt_server_next_filter(&filters, &filter, &qos));
}

static void mqtt_server_parse_filters_malformed_is_refused(void **state)
{
    static const struct mqtt_packet cases[] = {
        PACKET(MQTT_SUBSCRIBE, ""),
        PACKET(MQTT_SUBSCRIBE, "\0\1"),             /* no filter: 3.8.3 */
        PACKET(MQTT_SUBSCRIBE, "\0\0\0\1a\0"),      /* packet id 0 */
        PACKET(MQTT_SUBSCRIBE, "\0\1\0\0\0"),       /* empty filter */
        PACKET(MQTT_SUBSCRIBE, "\0\1\0\1a\3"),      /* quality 3 */
        PACKET(MQTT_SUBSCRIBE, "\0\1\0\1a"),        /* no quality */
        PACKET(MQTT_SUBSCRIBE, "\0\1\0\1a\0\0\2b"), /* a second one that is cut */
        PACKET(MQTT_UNSUBSCRIBE, "\0\1\0\1a\0"),    /* a byte too many */
    };
    struct mqtt_server_filters filters;
    uint16_t id = 99;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %zu\n", i);
        assert_int_equal(mqtt_server_parse_filters(&cases[i], &id, &filters), -EBADMSG);
        assert_int_equal(id, 99);
    }
}

static void mqtt_server_write_gives_the_bytes_of_the_standard(void **state)
{
    static const uint8_t codes[] = { 0, 1, 0x80 };
    static const uint8_t want[] = {
        0x20, 2, 0,    5,                /* CONNACK: refused, not authorised */
        0x20, 2, 1,    0,                /* CONNACK: accepted, session present */
        0x90, 5, 0x12, 0x34, 0, 1, 0x80, /* SUBACK */
        0xb0, 2, 0,    9,                /* UNSUBACK */
        0xd0, 0,                         /* PINGRESP */
    };
    struct buf buf;

    (void)state;
    buf_init(&buf, 64);
    assert_int_equal(mqtt_server_write_connack(&buf, false, MQTT_SERVER_NOT_AUTHORISED), 0);
    assert_int_equal(mqtt_server_write_connack(&buf, true, MQTT_SERVER_ACCEPTED), 0);
    assert_int_equal(mqtt_server_write_suback(&buf, 0x1234, codes, sizeof codes), 0);
    assert_int_equal(mqtt_server_write_unsuback(&buf, 9), 0);
    assert_int_equal(mqtt_server_write_pingresp(&buf), 0);
    assert_int_equal(buf.length, sizeof want);
    assert_memory_equal(buf.bytes, want, sizeof want);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mqtt_server_parse_connect_all_fields_are_found),
        cmocka_unit_test(mqtt_server_parse_connect_without_options_has_empty_texts),
        cmocka_unit_test(mqtt_server_parse_connect_of_another_protocol_is_told_apart),
        cmocka_unit_test(mqtt_server_parse_connect_malformed_is_refused),
        cmocka_unit_test(mqtt_server_parse_connect_cut_at_every_byte_is_refused),
        cmocka_unit_test(mqtt_server_next_filter_walks_through_all),
        cmocka_unit_test(mqtt_server_parse_filters_malformed_is_refused),
        cmocka_unit_test(mqtt_server_write_gives_the_bytes_of_the_standard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
