/* Messages from the cloud on their way to a device (iot-hub.md 12.3, rules 5 and 8; 1.5; 5.4). */
#include "test_hubsim_peer.h"

#define DEVICEBOUND "devices/d/messages/devicebound/"
#define TO          "%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound"

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

/* Lets time pass; the client lives. */
static void pass(struct peer *peer, struct client_fixture *f, uint64_t ms)
{
    while (ms > 0) {
        uint64_t step = ms < 30000 ? ms : 30000;

        f->base.now_ms += step;
        f->base.wall_ms += (int64_t)step;
        ms -= step;
        say_bytes(peer, f, "\xc0\0", 2);
        assert_int_equal(heard(peer).type, MQTT_PINGRESP);
        client_tick(peer->client, f->base.now_ms);
    }
}

/* 5.4: the lock of a message lasts a minute. */
static void client_message_not_acknowledged_within_a_minute_comes_again(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish publish, first, second, again;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "1");
    first = heard_publish(&peer, DEVICEBOUND TO, "1");
    pass(&peer, f, 30000);
    send(f, "2");
    second = heard_publish(&peer, DEVICEBOUND TO, "2");
    pass(&peer, f, 29999);
    assert_true(heard_nothing(&peer));
    assert_true(client_tick(peer.client, f->base.now_ms) == f->base.now_ms + 1);
    pass(&peer, f, 1);
    again = heard_publish(&peer, DEVICEBOUND TO, "1");
    assert_true(again.duplicate);
    assert_int_equal(again.packet_id, first.packet_id);
    assert_true(heard_nothing(&peer)); /* the other has time */

    acknowledge(&peer, f, first.packet_id); /* the late one of the first time */
    acknowledge(&peer, f, second.packet_id);
    acknowledge(&peer, f, again.packet_id);
    assert_false(client_is_over(peer.client));
    assert_int_equal(pending(f), 0);
    send(f, "3");
    publish = heard_publish(&peer, DEVICEBOUND TO, "3");
    acknowledge(&peer, f, publish.packet_id);
    pass(&peer, f, 120000);
    assert_true(heard_nothing(&peer));
    peer_close(&peer);
}

/* What was sent again stands behind what was sent after it, until all of it is late. */
static void client_messages_that_are_late_together_come_again_in_order(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "1");
    heard_publish(&peer, DEVICEBOUND TO, "1");
    pass(&peer, f, 30000);
    send(f, "2");
    heard_publish(&peer, DEVICEBOUND TO, "2");
    pass(&peer, f, 30000);
    heard_publish(&peer, DEVICEBOUND TO, "1");
    f->base.now_ms += 61000; /* the hub was busy elsewhere */
    client_tick(peer.client, f->base.now_ms);
    heard_publish(&peer, DEVICEBOUND TO, "1");
    heard_publish(&peer, DEVICEBOUND TO, "2");
    assert_true(heard_nothing(&peer));
    peer_close(&peer);
}

static void client_message_is_dropped_when_it_was_sent_ten_times(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    send(f, "1");
    for (int i = 0; i < HUB_DELIVERIES_MAX; i++) {
        if (i < 5) { /* whether it comes again by a reconnect or by time */
            connect_device(&peer, f, false, i > 0);
            if (i == 0)
                subscribe_to(&peer, f, DEVICEBOUND "#", 1);
        } else {
            pass(&peer, f, 60000);
        }
        assert_int_equal(heard_publish(&peer, DEVICEBOUND TO, "1").duplicate, i > 0);
        if (i < 4)
            peer_close(&peer);
    }
    pass(&peer, f, 60000);
    assert_true(heard_nothing(&peer));
    assert_int_equal(pending(f), 0);
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_messages_are_not_sent_again_to_one_who_does_not_read(void **state)
{
    struct client_fixture *f = *state;
    char *filler = calloc(1, CLIENT_OUTPUT_MAX / 2);
    struct buf *output;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "1");
    heard_publish(&peer, DEVICEBOUND TO, "1");
    output = client_output(peer.client);
    assert_int_equal(buf_add(output, filler, CLIENT_OUTPUT_MAX / 2), 0);
    f->base.now_ms += 60000;
    assert_true(client_tick(peer.client, f->base.now_ms) > f->base.now_ms);
    assert_int_equal(output->length, CLIENT_OUTPUT_MAX / 2);
    buf_clear(output);
    pass(&peer, f, 60000);
    heard_publish(&peer, DEVICEBOUND TO, "1");
    peer_close(&peer);
    free(filler);
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

/* However small they are. */
static void client_messages_with_quality_0_come_all(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    char body[16];

    for (int i = 0; i < HUB_PENDING_MAX; i++) {
        snprintf(body, sizeof body, "%d", i);
        send(f, body);
    }
    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 0);
    for (int i = 0; i < HUB_PENDING_MAX; i++) {
        snprintf(body, sizeof body, "%d", i);
        client_tick(peer.client, f->base.now_ms);
        assert_int_equal(heard_publish(&peer, DEVICEBOUND TO, body).qos, 0);
    }
    assert_int_equal(pending(f), 0);
    peer_close(&peer);
}

/* 3.3.1.1: a duplicate has quality 1. */
static void client_message_sent_again_with_quality_0_is_no_duplicate(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish publish;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "1");
    heard_publish(&peer, DEVICEBOUND TO, "1");
    unsubscribe(&peer, f, DEVICEBOUND "#");
    peer_close(&peer);
    connect_device(&peer, f, false, true);
    subscribe_to(&peer, f, DEVICEBOUND "#", 0);
    publish = heard_publish(&peer, DEVICEBOUND TO, "1");
    assert_int_equal(publish.qos, 0);
    assert_false(publish.duplicate);
    peer_close(&peer);
}

/* Identifiers come from places in the queue, which are 65,535 apart here. */
static void client_messages_on_their_way_have_different_identifiers(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish first, second;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send(f, "1");
    first = heard_publish(&peer, DEVICEBOUND TO, "1");
    f->base.wall_ms += UINT16_MAX - 1;
    send(f, "2");
    second = heard_publish(&peer, DEVICEBOUND TO, "2");
    assert_int_not_equal(first.packet_id, second.packet_id);
    acknowledge(&peer, f, first.packet_id);
    acknowledge(&peer, f, second.packet_id);
    assert_int_equal(pending(f), 0);
    peer_close(&peer);
}

static void send_for(struct client_fixture *f, const char *body, uint32_t ttl_s)
{
    const struct hub_message message = { .body = body, .length = strlen(body) };

    assert_int_equal(hub_send_message(f->base.hub, "d", &message, ttl_s), 0);
    f->base.wall_ms++;
}

static void client_message_whose_time_is_over_may_be_acknowledged(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish publish;
    struct peer peer;

    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    send_for(f, "1", 5);
    publish = heard_publish(&peer, DEVICEBOUND TO, "1");
    f->base.wall_ms += 6000;
    assert_int_equal(pending(f), 0);
    acknowledge(&peer, f, publish.packet_id);
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_messages_whose_time_is_over_make_room_for_the_next(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    for (int i = 0; i < 16; i++) /* as many as may be on their way */
        send_for(f, "short", 30);
    send_for(f, "long", 0);
    connect_device(&peer, f, false, false);
    subscribe_to(&peer, f, DEVICEBOUND "#", 1);
    for (int i = 0; i < 16; i++)
        heard_publish(&peer, DEVICEBOUND TO, "short");
    assert_true(heard_nothing(&peer));
    pass(&peer, f, 60000);
    assert_false(heard_publish(&peer, DEVICEBOUND TO, "long").duplicate);
    peer_close(&peer);
}

static void client_that_left_takes_no_more_messages(void **state)
{
    const char *filter = DEVICEBOUND "#";
    struct client_fixture *f = *state;
    char *body = calloc(1, 60001);
    uint8_t frame[16384];
    struct buf packet;
    struct peer peer;
    int waiting;
    bool text;

    memset(body, 'x', 60000);
    for (int i = 0; i < 40; i++)
        send(f, body);
    connect_device(&peer, f, false, false);
    buf_init(&packet, 256);
    mqtt_write_subscribe(&packet, 7, &filter, 1, 0);
    mqtt_write_disconnect(&packet);
    say(&peer, f, &packet);
    assert_true(client_is_over(peer.client));
    waiting = pending(f);
    assert_true(waiting > 0);
    while (client_take_frame(peer.client, f->base.now_ms, frame, sizeof frame, &text) > 0)
        client_tick(peer.client, f->base.now_ms);
    assert_int_equal(pending(f), waiting);
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
        TEST(client_message_is_delivered_with_its_properties_and_gone_when_acknowledged),
        TEST(client_messages_that_waited_come_in_order_after_the_subscription),
        TEST(client_pubacks_out_of_order_end_the_connection),
        TEST(client_puback_of_nothing_ends_the_connection),
        TEST(client_message_not_acknowledged_comes_again_after_a_reconnect),
        TEST(client_message_not_acknowledged_within_a_minute_comes_again),
        TEST(client_messages_that_are_late_together_come_again_in_order),
        TEST(client_message_is_dropped_when_it_was_sent_ten_times),
        TEST(client_messages_are_not_sent_again_to_one_who_does_not_read),
        TEST(client_message_with_quality_0_is_delivered_once),
        TEST(client_clean_session_drops_what_waits),
        TEST(client_clean_session_of_a_module_leaves_the_devices_messages),
        TEST(client_unsubscribed_gets_no_messages),
        TEST(client_messages_follow_as_acknowledgements_come),
        TEST(client_messages_wait_for_room_in_the_output),
        TEST(client_messages_with_quality_0_come_all),
        TEST(client_message_sent_again_with_quality_0_is_no_duplicate),
        TEST(client_messages_on_their_way_have_different_identifiers),
        TEST(client_message_whose_time_is_over_may_be_acknowledged),
        TEST(client_messages_whose_time_is_over_make_room_for_the_next),
        TEST(client_that_left_takes_no_more_messages),
        TEST(client_take_frame_makes_room_for_the_next_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
