/* Readers that need no memory at all: what comes in cannot make them fail for want of it. */
#include "adapters/modbus/codec.h"
#include "adapters/modbus/framing.h"
#include "adapters/modbus/pdu.h"
#include "bridge/mqtt.h"
#include "bridge/sas.h"
#include "bridge/status/listen.h"
#include "bridge/status/query.h"
#include "bridge/topic.h"

#include "tests/unit/memory_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void frame_is_read_without_memory(void **state)
{
    static const uint8_t stream[] = { 0, 1, 0, 0, 0, 5, 1, 3, 2, 0x41, 0xa4 };
    static const struct modbus_tag tag = {
        .table = MODBUS_TABLE_HOLDING, .count = 1, .type = MODBUS_TYPE_INT16, .bit = -1
    };
    const uint8_t *bytes = stream;
    size_t length = sizeof stream;
    struct framing_reader reader;
    struct framing_frame frame;
    struct pdu request;
    struct pdu_response response;
    struct value value;
    const char *reason;

    (void)state;
    memory_fault_at(1);
    framing_reader_init(&reader);
    assert_int_equal(framing_next(&reader, &bytes, &length, &frame), 0);
    assert_int_equal(pdu_read(&request, PDU_READ_HOLDING, 0, 1), 0);
    assert_int_equal(pdu_parse(&response, &request, frame.pdu, frame.length), 0);
    assert_int_equal(codec_decode(&tag, response.data, &value, &reason), 0);
    assert_false(memory_fault_over());
    assert_int_equal(value.integer, 0x41a4);
}

static void topic_is_read_without_memory(void **state)
{
    static const char text[] = "$iothub/twin/res/204/?$rid=a%20b&$version=7";
    struct topic topic;
    char out[TOPIC_MAX];

    (void)state;
    memory_fault_at(1);
    assert_int_equal(topic_parse(&topic, text, sizeof text - 1), 0);
    assert_true(topic_get(out, sizeof out, "abc") > 0);
    assert_false(memory_fault_over());
    assert_string_equal(topic.rid, "a b");
}

static void publish_is_parsed_without_memory(void **state)
{
    static const uint8_t body[] = { 0, 1, 't', 'x' };
    const struct mqtt_packet packet = { MQTT_PUBLISH, 0, body, sizeof body };
    struct mqtt_publish publish;

    (void)state;
    memory_fault_at(1);
    assert_int_equal(mqtt_parse_publish(&packet, &publish), 0);
    assert_false(memory_fault_over());
    assert_int_equal(publish.payload_length, 1);
}

static void connection_string_is_read_without_memory(void **state)
{
    struct sas_connection_string string;
    struct err err = { "" };

    (void)state;
    memory_fault_at(1);
    assert_int_equal(
        sas_parse_connection_string(
            &string,
            "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==", &err),
        0);
    assert_false(memory_fault_over());
    assert_string_equal(string.module_id, "m");
    sas_forget(&string);
}

static void status_arguments_are_read_without_memory(void **state)
{
    struct sockaddr_storage address;
    struct status_query query;
    struct err err = { "" };

    (void)state;
    memory_fault_at(1);
    status_query_init(&query);
    assert_int_equal(status_query_add(&query, "device=boiler", &err), 0);
    assert_int_equal(status_listen_parse("[::1]:8080", &address, &err), 0);
    assert_false(memory_fault_over());
    assert_string_equal(query.device, "boiler");
}

static void mqtt_reader_without_memory_says_so_and_starts_again(void **state)
{
    static const uint8_t stream[] = { 0x30, 5, 0, 1, 't', 'x', 'y', 0xd0, 0 };
    size_t n = 0;

    (void)state;
    do {
        struct mqtt_reader reader;
        struct mqtt_packet packet;
        size_t packets = 0;
        int rc = 0;

        mqtt_reader_init(&reader, 1024);
        memory_fault_at(++n);
        for (size_t i = 0; i < sizeof stream && rc == 0; i++) {
            rc = mqtt_reader_feed(&reader, &stream[i], 1);
            if (rc == 0 && mqtt_reader_next(&reader, &packet) == 0)
                packets++;
        }
        if (!memory_fault_over()) {
            n = 0;
            assert_int_equal(packets, 2);
        } else {
            assert_int_equal(rc, -ENOMEM);
            mqtt_reader_reset(&reader);
            assert_int_equal(mqtt_reader_feed(&reader, stream, sizeof stream), 0);
            assert_int_equal(mqtt_reader_next(&reader, &packet), 0);
            assert_int_equal(packet.length, 5);
        }
        mqtt_reader_done(&reader);
    } while (n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_is_read_without_memory),
        cmocka_unit_test(topic_is_read_without_memory),
        cmocka_unit_test(publish_is_parsed_without_memory),
        cmocka_unit_test(connection_string_is_read_without_memory),
        cmocka_unit_test(status_arguments_are_read_without_memory),
        cmocka_unit_test(mqtt_reader_without_memory_says_so_and_starts_again),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
