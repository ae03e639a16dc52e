/* What a client is told without having asked: calls of methods and messages from the cloud (iot-hub.md
 * 12.3, rules 5, 8 and 16; 1.5; 5.3; 5.4). */
#include "test_hubsim_peer.h"

#define DEVICEBOUND "devices/d/messages/devicebound/"
#define TO          "%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound"
#define METHODS     "$iothub/methods/POST/#"

/* ---- methods ---- */

/* Static in the tests: a call may outlive them. */
struct outcome {
    int times, rc, status;
    char payload[64];
};

static void on_done(void *data, int rc, int status, const char *payload, size_t length)
{
    struct outcome *outcome = data;

    outcome->times++;
    outcome->rc = rc;
    outcome->status = status;
    snprintf(outcome->payload, sizeof outcome->payload, "%.*s", (int)length, payload);
}

static void call(struct client_fixture *f, uint32_t connect_timeout_s, struct outcome *outcome)
{
    const struct hub_method method = {
        .device_id = "d",
        .module_id = "m",
        .name = "reboot",
        .payload = "{\"x\":1}",
        .payload_length = 7,
        .connect_timeout_s = connect_timeout_s,
        .response_timeout_s = 5,
    };

    *outcome = (struct outcome){ 0 };
    assert_int_equal(hub_call_method(f->base.hub, &method, on_done, outcome, NULL), 0);
}

/* As in section 13. */
static void client_method_is_called_and_answered(void **state)
{
    struct client_fixture *f = *state;
    static struct outcome outcome;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    assert_int_equal(subscribe_to(&peer, f, METHODS, 1), 1);
    peer.woken = 0;
    call(f, 0, &outcome);
    assert_int_equal(peer.woken, 1);
    assert_int_equal(heard_publish(&peer, "$iothub/methods/POST/reboot/?$rid=1", "{\"x\":1}").qos,
                     0);
    publish(&peer, f, "$iothub/methods/res/200/?$rid=1", 0, "{\"done\":true}");
    assert_int_equal(outcome.times, 1);
    assert_int_equal(outcome.rc, 0);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.payload, "{\"done\":true}");
    assert_true(heard_nothing(&peer));

    publish(&peer, f, "$iothub/methods/res/200/?$rid=1", 1, "late"); /* dropped, and acknowledged */
    assert_int_equal(heard(&peer).type, MQTT_PUBACK);
    assert_int_equal(outcome.times, 1);
    peer_close(&peer);
}

static void client_method_status_is_the_applications_own(void **state)
{
    static const struct {
        const char *topic;
        int want;
    } cases[] = {
        { "$iothub/methods/res/0/?$rid=%d", 0 },
        { "$iothub/methods/res/-7/?$rid=%d", -7 },
        { "$iothub/methods/res/2147483647/?$rid=%d", INT32_MAX },
        { "$iothub/methods/res/404/?a=b&$rid=%d", 404 },
    };
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    subscribe_to(&peer, f, METHODS, 0);
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++) {
        static struct outcome outcome;
        char topic[96], rid[16];
        const char *percent = strstr(cases[i].topic, "%d");

        call(f, 0, &outcome);
        snprintf(rid, sizeof rid, "%x", i + 1);
        snprintf(topic, sizeof topic, "%.*s%s", (int)(percent - cases[i].topic), cases[i].topic,
                 rid);
        publish(&peer, f, topic, 0, "");
        assert_int_equal(outcome.times, 1);
        assert_int_equal(outcome.status, cases[i].want);
        assert_string_equal(outcome.payload, "");
    }
    peer_close(&peer);
}

static void client_subscribing_within_the_connect_timeout_is_called(void **state)
{
    struct client_fixture *f = *state;
    static struct outcome outcome;
    struct peer peer;

    call(f, 10, &outcome);
    connect_peer(&peer, f, false, false);
    assert_true(heard_nothing(&peer));
    subscribe(&peer, f);
    assert_true(heard_nothing(&peer)); /* to something else */
    assert_int_equal(subscribe_to(&peer, f, METHODS, 0), 0);
    heard_publish(&peer, "$iothub/methods/POST/reboot/?$rid=1", "{\"x\":1}");
    peer_close(&peer);

    call(f, 10, &outcome); /* and one whose session is still there, when it connects */
    connect_peer(&peer, f, false, true);
    heard_publish(&peer, "$iothub/methods/POST/reboot/?$rid=2", "{\"x\":1}");
    unsubscribe(&peer, f, METHODS);
    call(f, 0, &outcome);
    assert_true(heard_nothing(&peer));
    hub_tick(f->base.hub, f->base.now_ms);
    assert_int_equal(outcome.rc, -ENOTCONN);
    peer_close(&peer);
}

static void client_method_waits_for_a_connack_that_is_kept_back(void **state)
{
    struct client_fixture *f = *state;
    char line[] = "d/m delay connack 100", answer[FAULTS_ANSWER_MAX];
    static struct outcome outcome;
    struct peer peer;

    connect_peer(&peer, f, false, false);
    subscribe_to(&peer, f, METHODS, 0);
    peer_close(&peer);
    faults_run(f->base.faults, line, answer);
    sign_in(&peer, f, (struct sign_in){ 0 });
    call(f, 10, &outcome);
    assert_true(heard_nothing(&peer));
    f->base.now_ms += 100;
    client_tick(peer.client, f->base.now_ms);
    assert_connack(&peer, true, 0);
    heard_publish(&peer, "$iothub/methods/POST/reboot/?$rid=1", "{\"x\":1}");
    peer_close(&peer);
}

static void client_method_answer_over_128_kb_ends_the_connection(void **state)
{
    struct client_fixture *f = *state;
    char *body = malloc(HUB_METHOD_MAX + 1);

    memset(body, ' ', HUB_METHOD_MAX + 1);
    body[0] = '1';
    for (size_t over = 0; over < 2; over++) {
        static struct outcome outcome;
        struct buf packet;
        struct peer peer;
        char topic[64];

        connect_peer(&peer, f, true, false);
        subscribe_to(&peer, f, METHODS, 0);
        call(f, 0, &outcome);
        snprintf(topic, sizeof topic, "$iothub/methods/res/200/?$rid=%zx", over + 1);
        buf_init(&packet, MQTT_PACKET_MAX);
        mqtt_write_publish(&packet, topic, 0, 0, body, HUB_METHOD_MAX + over);
        say(&peer, f, &packet);
        assert_int_equal(client_is_over(peer.client), over);
        assert_int_equal(outcome.times, 1 - over);
        peer_close(&peer);
    }
    hub_tick(f->base.hub, f->base.now_ms + 5000);
    free(body);
}

static void client_that_does_not_read_its_calls_is_cut(void **state)
{
    struct client_fixture *f = *state;
    char *payload = calloc(1, HUB_METHOD_MAX);
    struct hub_method method = { .device_id = "d",
                                 .module_id = "m",
                                 .name = "x",
                                 .payload = payload,
                                 .payload_length = HUB_METHOD_MAX,
                                 .response_timeout_s = 5 };
    static struct outcome outcome;
    struct peer peer;

    outcome = (struct outcome){ 0 };
    connect_peer(&peer, f, true, false);
    subscribe_to(&peer, f, METHODS, 0);
    for (int i = 0; i < CLIENT_OUTPUT_MAX / HUB_METHOD_MAX; i++)
        assert_int_equal(hub_call_method(f->base.hub, &method, on_done, &outcome, NULL), 0);
    assert_true(client_is_over(peer.client));
    assert_int_equal(client_output(peer.client)->length, 0);
    peer_close(&peer);
    free(payload);
    hub_tick(f->base.hub, f->base.now_ms + 5000);
    assert_int_equal(outcome.times, CLIENT_OUTPUT_MAX / HUB_METHOD_MAX);
}

/* ---- messages from the cloud ---- */

static void send(struct client_fixture *f, const char *body)
{
    const struct hub_message message = { .body = body, .length = strlen(body) };

    assert_int_equal(hub_send_message(f->base.hub, "d", &message, 0), 0);
    f->base.wall_ms++;
}

static void acknowledge(struct peer *peer, struct client_fixture *f, uint16_t packet_id)
{
    struct buf packet;

    buf_init(&packet, 16);
    mqtt_write_puback(&packet, packet_id);
    say(peer, f, &packet);
}

static void connect_device(struct peer *peer, struct client_fixture *f, bool clean, bool present)
{
    sign_in(peer, f, (struct sign_in){ .device = true, .clean = clean });
    assert_connack(peer, present, 0);
}

static int pending(struct client_fixture *f)
{
    int count = -1;

    assert_int_equal(hub_count_messages(f->base.hub, "d", &count), 0);
    return count;
}

static void client_message_is_delivered_with_its_properties_and_gone_when_acknowledged(void **state)
{
    static const struct bag_property properties[] = { { "message-id", "1 2", true },
                                                      { "a", "b/", false },
                                                      { "nothing", NULL, false },
                                                      { "empty", "", false } };
    const struct hub_message message = {
        .properties = properties, .property_count = 4, .body = "hello", .length = 5
    };
    struct client_fixture *f = *state;
    struct mqtt_publish publish;
    struct peer peer;

    connect_device(&peer, f, false, false);
    assert_int_equal(subscribe_to(&peer, f, DEVICEBOUND "#", 1), 1);
    peer.woken = 0;
    assert_int_equal(hub_send_message(f->base.hub, "d", &message, 0), 0);
    assert_int_equal(peer.woken, 1);
    publish = heard_publish(&peer, DEVICEBOUND "%24.mid=1%202&a=b%2F&nothing&empty=&" TO, "hello");
    assert_int_equal(publish.qos, 1);
    assert_false(publish.duplicate);
    assert_int_equal(pending(f), 1);
    acknowledge(&peer, f, publish.packet_id);
    assert_int_equal(pending(f), 0);
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_messages_that_waited_come_in_order_after_the_subscription(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish first, second;
    struct peer peer;

    send(f, "1");
    send(f, "2");
    connect_device(&peer, f, false, false);
    assert_true(heard_nothing(&peer));
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    first = heard_publish(&peer, DEVICEBOUND TO, "1");
    second = heard_publish(&peer, DEVICEBOUND TO, "2");
    assert_int_not_equal(first.packet_id, second.packet_id);
    acknowledge(&peer, f, first.packet_id);
    acknowledge(&peer, f, second.packet_id);
    assert_false(client_is_over(peer.client));
    assert_int_equal(pending(f), 0);
    assert_true(heard_nothing(&peer));
    peer_close(&peer);
}

static void client_pubacks_out_of_order_end_the_connection(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish first, second;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "1");
    send(f, "2");
    first = heard_publish(&peer, DEVICEBOUND TO, "1");
    second = heard_publish(&peer, DEVICEBOUND TO, "2");
    assert_int_not_equal(first.packet_id, second.packet_id);
    acknowledge(&peer, f, second.packet_id);
    assert_true(client_is_over(peer.client));
    assert_int_equal(pending(f), 2);
    peer_close(&peer);
}

static void client_puback_of_nothing_ends_the_connection(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish publish;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "1");
    publish = heard_publish(&peer, DEVICEBOUND TO, "1");
    acknowledge(&peer, f, publish.packet_id);
    assert_false(client_is_over(peer.client));
    acknowledge(&peer, f, publish.packet_id); /* twice */
    assert_true(client_is_over(peer.client));
    peer_close(&peer);
}

/* MQTT 4.4: what was not acknowledged is sent again with DUP and the identifier it had. */
static void client_message_not_acknowledged_comes_again_after_a_reconnect(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish first, again;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "1");
    send(f, "2");
    first = heard_publish(&peer, DEVICEBOUND TO, "1");
    heard_publish(&peer, DEVICEBOUND TO, "2");
    peer_close(&peer);
    send(f, "3");

    connect_device(&peer, f, false, true); /* no new subscription: the session has it */
    again = heard_publish(&peer, DEVICEBOUND TO, "1");
    assert_true(again.duplicate);
    assert_int_equal(again.packet_id, first.packet_id);
    assert_true(heard_publish(&peer, DEVICEBOUND TO, "2").duplicate);
    assert_false(heard_publish(&peer, DEVICEBOUND TO, "3").duplicate);
    acknowledge(&peer, f, again.packet_id);
    assert_int_equal(pending(f), 2);
    peer_close(&peer);
}

static void client_message_with_quality_0_is_delivered_once(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_device(&peer, f, false, false);
    assert_int_equal(subscribe_to(&peer, f, DEVICEBOUND "#", 0), 0);
    send(f, "1");
    assert_int_equal(heard_publish(&peer, DEVICEBOUND TO, "1").qos, 0);
    assert_int_equal(pending(f), 0);
    peer_close(&peer);
    connect_device(&peer, f, false, true);
    assert_true(heard_nothing(&peer));
    peer_close(&peer);
}

static void client_clean_session_drops_what_waits(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    send(f, "1");
    connect_device(&peer, f, true, false);
    assert_int_equal(pending(f), 0);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "2");
    heard_publish(&peer, DEVICEBOUND TO, "2");
    peer_close(&peer);
    assert_int_equal(pending(f), 1);
}

static void client_clean_session_of_a_module_leaves_the_devices_messages(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    send(f, "1");
    connect_peer(&peer, f, true, false);
    subscribe_to(&peer, f, "devices/d/modules/m/#", 1);
    assert_true(heard_nothing(&peer)); /* modules have none */
    peer_close(&peer);
    assert_int_equal(pending(f), 1);
}

static void client_unsubscribed_gets_no_messages(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    unsubscribe(&peer, f, DEVICEBOUND "#");
    send(f, "1");
    assert_true(heard_nothing(&peer));
    assert_int_equal(pending(f), 1);
    peer_close(&peer);
}

/* 50 wait; 16 may be on their way. */
static void client_messages_follow_as_acknowledgements_come(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish publish;
    struct peer peer;
    char body[16];

    for (int i = 0; i < HUB_PENDING_MAX; i++) {
        snprintf(body, sizeof body, "%d", i);
        send(f, body);
    }
    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    for (int i = 0; i < HUB_PENDING_MAX; i++) {
        int sent = 0;

        snprintf(body, sizeof body, "%d", i);
        publish = heard_publish(&peer, DEVICEBOUND TO, body);
        assert_false(publish.duplicate);
        acknowledge(&peer, f, publish.packet_id);
        sent = pending(f);
        assert_int_equal(sent, HUB_PENDING_MAX - 1 - i);
    }
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_messages_wait_for_room_in_the_output(void **state)
{
    struct client_fixture *f = *state;
    char *body = malloc(60001);
    struct peer peer;
    int heard_count = 0;

    memset(body, 'x', 60000);
    body[60000] = 0;
    for (int i = 0; i < 40; i++)
        send(f, body);
    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 0);
    assert_in_range(client_output(peer.client)->length, 0, CLIENT_OUTPUT_MAX / 2);
    for (int rounds = 0; heard_count < 40 && rounds < 100; rounds++) {
        while (!heard_nothing(&peer))
            ;
        heard_count = 40 - pending(f);
        client_tick(peer.client, f->base.now_ms);
    }
    assert_int_equal(heard_count, 40);
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
    free(body);
}

/* The same, as the server takes it. */
static void client_take_frame_makes_room_for_the_next_messages(void **state)
{
    struct client_fixture *f = *state;
    char *body = malloc(60001);
    const char *filter = DEVICEBOUND "#";
    uint8_t frame[16384];
    struct buf packet;
    struct peer peer;
    bool text;

    memset(body, 'x', 60000);
    body[60000] = 0;
    for (int i = 0; i < 40; i++)
        send(f, body);
    connect_device(&peer, f, false, false);
    buf_init(&packet, 256);
    mqtt_write_subscribe(&packet, 7, &filter, 1, 0);
    say(&peer, f, &packet);
    assert_true(pending(f) > 0);
    while (client_take_frame(peer.client, f->base.now_ms, frame, sizeof frame, &text) > 0)
        ;
    assert_int_equal(pending(f), 0);
    peer_close(&peer);
    free(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(client_method_is_called_and_answered),
        TEST(client_method_status_is_the_applications_own),
        TEST(client_subscribing_within_the_connect_timeout_is_called),
        TEST(client_method_waits_for_a_connack_that_is_kept_back),
        TEST(client_method_answer_over_128_kb_ends_the_connection),
        TEST(client_that_does_not_read_its_calls_is_cut),
        TEST(client_message_is_delivered_with_its_properties_and_gone_when_acknowledged),
        TEST(client_messages_that_waited_come_in_order_after_the_subscription),
        TEST(client_pubacks_out_of_order_end_the_connection),
        TEST(client_puback_of_nothing_ends_the_connection),
        TEST(client_message_not_acknowledged_comes_again_after_a_reconnect),
        TEST(client_message_with_quality_0_is_delivered_once),
        TEST(client_clean_session_drops_what_waits),
        TEST(client_clean_session_of_a_module_leaves_the_devices_messages),
        TEST(client_unsubscribed_gets_no_messages),
        TEST(client_messages_follow_as_acknowledgements_come),
        TEST(client_messages_wait_for_room_in_the_output),
        TEST(client_take_frame_makes_room_for_the_next_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
