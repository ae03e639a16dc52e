/* What a client is told without having asked: calls of methods (iot-hub.md 12.3, rules 8 and 16; 5.3). */
#include "test_hubsim_peer.h"

#define METHODS "$iothub/methods/POST/#"

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
