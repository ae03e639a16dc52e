/* A connection without memory: whatever allocation fails, nothing leaks, a call of a method ends once,
 * a message from the cloud is not lost, and the next client is served. */
#include "test_hubsim_peer.h"

#include "tests/unit/memory_fault.h"

static bool inside; /* only what the hub allocates counts */

static void on_done(void *data, int rc, int status, const char *payload, size_t length)
{
    (void)rc;
    (void)status;
    (void)payload;
    (void)length;
    ++*(int *)data;
}

/* All packets of the dialogue, made before memory runs out. */
struct dialogue {
    struct buf packets[6];
    size_t count;
};

static struct buf *next(struct dialogue *dialogue)
{
    struct buf *packet = &dialogue->packets[dialogue->count++];

    buf_init(packet, MQTT_PACKET_MAX);
    return packet;
}

static struct dialogue dialogue_of(struct client_fixture *f)
{
    static const char *const filters[] = { "$iothub/twin/res/#", "$iothub/methods/POST/#",
                                           "devices/d/messages/devicebound/#" };
    const struct sign_in as = { .device = true,
                                .keepalive_s = 60,
                                .expiry_s = FIXTURE_WALL_S + 3600,
                                .will = "devices/d/messages/events/a=b",
                                .will_body = "gone" };
    struct dialogue dialogue = { .count = 0 };

    write_sign_in(next(&dialogue), f, &as);
    mqtt_write_subscribe(next(&dialogue), 1, filters, 3, 1);
    mqtt_write_publish(next(&dialogue), "$iothub/twin/GET/?$rid=1", 1, 1, "", 0);
    mqtt_write_publish(next(&dialogue), "$iothub/twin/PATCH/properties/reported/?$rid=2", 0, 0,
                       "{\"a\":1}", 7);
    mqtt_write_publish(next(&dialogue), "devices/d/messages/events/%24.mid=1&k=v", 1, 2, "x", 1);
    mqtt_write_publish(next(&dialogue), "$iothub/methods/res/200/?$rid=1", 0, 0, "{}", 2);
    return dialogue;
}

/* The whole dialogue; how many calls are to end. */
static int live(struct client_fixture *f, struct peer *peer, const struct dialogue *dialogue,
                int *ended)
{
    const struct hub_method method = { .device_id = "d",
                                       .module_id = "",
                                       .name = "x",
                                       .payload = "1",
                                       .payload_length = 1,
                                       .response_timeout_s = 5 };
    int called;

    inside = true;
    for (size_t i = 0; i < 2; i++)
        client_receive(peer->client, dialogue->packets[i].bytes, dialogue->packets[i].length,
                       f->base.now_ms);
    called = hub_call_method(f->base.hub, &method, on_done, ended, NULL) == 0;
    for (size_t i = 2; i < dialogue->count; i++)
        client_receive(peer->client, dialogue->packets[i].bytes, dialogue->packets[i].length,
                       f->base.now_ms);
    client_tick(peer->client, f->base.now_ms + 90 * 1000); /* silent: its will */
    hub_tick(f->base.hub, f->base.now_ms + 5000);
    inside = false;
    return called;
}

static void note(void *data, const struct hub_message *message)
{
    (void)message;
    ++*(int *)data;
}

static void client_dialogue_without_memory_ends_and_the_next_is_served(void **state)
{
    bool failed = true;
    size_t n;

    for (n = 1; failed; n++) {
        const struct hub_message message = { .body = "hello", .length = 5 };
        struct dialogue dialogue;
        struct client_fixture *f;
        struct peer peer, later;
        int ended = 0, called, waiting = 0, kept = 0;

        set_up(state);
        f = *state;
        dialogue = dialogue_of(f);
        assert_int_equal(hub_send_message(f->base.hub, "d", &message, 0), 0);
        peer_open(&peer, f);

        memory_fault_at(n);
        called = live(f, &peer, &dialogue, &ended);
        failed = memory_fault_over();

        assert_int_equal(ended, called);
        assert_true(client_is_over(peer.client));
        hub_each_message(f->base.hub, 0, 10, note, &kept);
        if (!failed)
            assert_int_equal(kept, 2); /* telemetry, will */
        peer_close(&peer);
        assert_int_equal(hub_count_messages(f->base.hub, "d", &waiting), 0);
        assert_int_equal(waiting, 1);
        sign_in(&later, f, (struct sign_in){ .device = true });
        assert_int_equal(heard(&later).type, MQTT_CONNACK);
        peer_close(&later);
        for (size_t i = 0; i < dialogue.count; i++)
            buf_done(&dialogue.packets[i]);
        tear_down(state);
    }
    assert_true(n > 20); /* allocations were there to fail */
}

static void hub_send_message_without_memory_leaves_the_queue_as_it_was(void **state)
{
    static const struct bag_property properties[] = { { "a", "b", false } };
    const struct hub_message message = { .properties = properties, .property_count = 1 };
    bool failed = true;

    set_up(state);
    for (size_t n = 1; failed; n++) {
        struct client_fixture *f = *state;
        int rc, count = 0;

        assert_int_equal(hub_purge_messages(f->base.hub, "d"), 0);
        memory_fault_at(n);
        inside = true;
        rc = hub_send_message(f->base.hub, "d", &message, 0);
        inside = false;
        failed = memory_fault_over();
        assert_int_equal(rc, failed ? -ENOMEM : 0);
        assert_int_equal(hub_count_messages(f->base.hub, "d", &count), 0);
        assert_int_equal(count, failed ? 0 : 1);
    }
    tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_dialogue_without_memory_ends_and_the_next_is_served),
        cmocka_unit_test(hub_send_message_without_memory_leaves_the_queue_as_it_was),
    };

    memory_fault_init();
    memory_fault_only_while(&inside);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
