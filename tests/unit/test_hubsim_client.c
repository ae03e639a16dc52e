/* One MQTT connection: the dialogue of iot-hub.md section 13, rules of section 12.3, and every way
 * to end. */
#include "test_hubsim_peer.h"

/* ---- the happy path ---- */

static void client_dialogue_of_section_13_is_answered(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, false, false);
    subscribe(&peer, f);
    publish(&peer, f, "$iothub/twin/GET/?$rid=e418", 0, " ");
    assert_publish(&peer, "$iothub/twin/res/200/?$rid=e418",
                   "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    publish(&peer, f, "$iothub/twin/PATCH/properties/reported/?$rid=581d", 0, "{\"temp\":1}");
    assert_publish(&peer, "$iothub/twin/res/204/?$rid=581d&$version=2", "");
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH,
                                   "{\"properties\":{\"desired\":{\"a\":2}}}", NULL),
                     0);
    assert_publish(&peer, "$iothub/twin/PATCH/properties/desired/?$version=2",
                   "{\"a\":2,\"$version\":2}");
    assert_true(peer.woken > 0);
    assert_true(heard_nothing(&peer));
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_receive_split_at_every_byte_gives_the_same_answers(void **state)
{
    struct client_fixture *f = *state;
    static const char *const filters[] = { "$iothub/twin/res/#" };
    struct buf all, packet;

    buf_init(&all, 8192);
    write_connect(&packet, f, true, 60, FIXTURE_WALL_S + 3600);
    buf_add(&all, packet.bytes, packet.length);
    buf_done(&packet);
    mqtt_write_subscribe(&all, 7, filters, 1, 1);
    mqtt_write_publish(&all, "$iothub/twin/GET/?$rid=1", 1, 9, "", 0);
    mqtt_write_pingreq(&all);
    assert_int_equal(all.error, 0);

    for (size_t cut = 0; cut <= all.length; cut++) {
        struct peer peer;

        peer_open(&peer, f);
        client_receive(peer.client, all.bytes, cut, f->base.now_ms);
        client_receive(peer.client, all.bytes + cut, all.length - cut, f->base.now_ms);
        assert_connack(&peer, false, 0);
        assert_int_equal(heard(&peer).type, MQTT_SUBACK);
        assert_int_equal(heard(&peer).type, MQTT_PUBACK);
        assert_publish(&peer, "$iothub/twin/res/200/?$rid=1", NULL);
        assert_int_equal(heard(&peer).type, MQTT_PINGRESP);
        assert_true(heard_nothing(&peer));
        peer_close(&peer);
    }
    buf_done(&all);
}

/* Rule 12: empty (C), one blank (Node), an object, or anything. */
static void client_get_ignores_its_payload(void **state)
{
    static const char *const payloads[] = { "", " ", "{}", "null", "no JSON" };
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    subscribe(&peer, f);
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, payloads[i]);
        assert_publish(&peer, "$iothub/twin/res/200/?$rid=1",
                       "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    }
    peer_close(&peer);
}

/* Rule 11: whatever it is, the PUBACK comes first and once; answers stay at quality 0. */
static void client_quality_1_is_acknowledged_everywhere(void **state)
{
    static const char *const topics[] = {
        "$iothub/twin/GET/?$rid=1",
        "$iothub/twin/PATCH/properties/reported/?$rid=1",
        "$iothub/methods/res/200/?$rid=1",
        "devices/d/modules/m/messages/events/",
    };
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    subscribe(&peer, f);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        struct mqtt_packet packet;
        uint16_t packet_id;

        print_message("case %s\n", topics[i]);
        publish(&peer, f, topics[i], 1, "{}");
        packet = heard(&peer);
        assert_int_equal(packet.type, MQTT_PUBACK);
        assert_int_equal(mqtt_parse_puback(&packet, &packet_id), 0);
        assert_int_equal(packet_id, 5);
        if (i < 2)
            assert_int_equal(heard(&peer).type, MQTT_PUBLISH);
        assert_true(heard_nothing(&peer));
    }
    peer_close(&peer);
}

/* Rule 15: who is away is told nothing later; the document has it. */
static void client_desired_of_the_time_away_is_not_sent_later(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, false, false);
    subscribe(&peer, f);
    peer_close(&peer);
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH,
                                   "{\"properties\":{\"desired\":{\"a\":2}}}", NULL),
                     0);
    connect_peer(&peer, f, false, true);
    assert_true(heard_nothing(&peer));
    publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, "");
    assert_publish(&peer, "$iothub/twin/res/200/?$rid=1",
                   "{\"desired\":{\"a\":2,\"$version\":2},\"reported\":{\"$version\":1}}");
    peer_close(&peer);
}

static void client_refused_twin_requests_are_answered_with_status_and_reason(void **state)
{
    static const struct {
        const char *query, *payload, *want;
    } cases[] = {
        { "$rid=1", "{\"$version\":1}", "400/?$rid=1" },
        { "$rid=1", "{", "400/?$rid=1" },
        { "$rid=1", "", "400/?$rid=1" },
        { "$rid=1", "[]", "400/?$rid=1" },
        { "$rid=1", "{\"a\":4503599627370496}", "400/?$rid=1" },
        { "$rid=1&$version=7", "{}", "412/?$rid=1" },
        { "$rid=1&$version=x", "{}", "400/?$rid=1" },
    };
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    subscribe(&peer, f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char topic[128], want[128];

        print_message("case %s %s\n", cases[i].query, cases[i].payload);
        snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/reported/?%s", cases[i].query);
        snprintf(want, sizeof want, "$iothub/twin/res/%s", cases[i].want);
        publish(&peer, f, topic, 0, cases[i].payload);
        assert_publish(&peer, want, NULL);
    }
    peer_close(&peer);
}

static void client_unsubscribed_hears_no_answers_and_no_patches(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    publish(&peer, f, "$iothub/twin/PATCH/properties/reported/?$rid=1", 0, "{\"a\":1}");
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH,
                                   "{\"properties\":{\"desired\":{\"a\":2}}}", NULL),
                     0);
    assert_true(heard_nothing(&peer));

    subscribe(&peer, f);
    say_bytes(&peer, f, "\xa2\x16\0\1\0\x12$iothub/twin/res/#", 24);
    assert_int_equal(heard(&peer).type, MQTT_UNSUBACK);
    publish(&peer, f, "$iothub/twin/GET/?$rid=2", 0, "");
    assert_true(heard_nothing(&peer));
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_subscribe_grants_at_most_quality_1(void **state)
{
    struct client_fixture *f = *state;
    static const char *const filters[] = { "devices/d/modules/m/#" };
    struct buf packet;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct mqtt_packet suback;

        buf_init(&packet, 256);
        mqtt_write_subscribe(&packet, 7, filters, 1, qos);
        say(&peer, f, &packet);
        suback = heard(&peer);
        assert_int_equal(suback.type, MQTT_SUBACK);
        assert_int_equal(suback.body[2], qos > 1 ? 1 : qos);
    }
    peer_close(&peer);
}

/* ---- sessions ---- */

static void client_persisted_session_needs_no_new_subscription(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, false, false);
    subscribe(&peer, f);
    say_bytes(&peer, f, "\xe0\0", 2);
    assert_true(client_is_over(peer.client));
    peer_close(&peer);

    connect_peer(&peer, f, false, true);
    publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, "");
    assert_publish(&peer, "$iothub/twin/res/200/?$rid=1", NULL);
    peer_close(&peer);

    connect_peer(&peer, f, true, false); /* clean: wipes it */
    publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, "");
    assert_true(heard_nothing(&peer));
    peer_close(&peer);
    connect_peer(&peer, f, false, false);
    peer_close(&peer);
}

static void client_newer_connection_ends_the_older_without_a_word(void **state)
{
    struct client_fixture *f = *state;
    struct peer older, newer;

    connect_peer(&older, f, false, false);
    older.woken = 0;
    connect_peer(&newer, f, false, true);
    assert_true(client_is_over(older.client));
    assert_int_equal(client_output(older.client)->length, 0);
    assert_true(older.woken > 0);
    assert_false(client_is_over(newer.client));
    peer_close(&older);
    assert_true(hub_connected(f->base.hub, "d", "m"));
    peer_close(&newer);
    assert_false(hub_connected(f->base.hub, "d", "m"));
}

/* An owner that lets go of a connection as soon as it hears of it. */
static void free_peer(void *data)
{
    struct peer *peer = data;

    client_free(peer->client);
    peer->client = NULL;
}

static void on_call_done(void *data, int rc, int status, const char *payload, size_t length)
{
    (void)rc;
    (void)status;
    (void)payload;
    (void)length;
    ++*(int *)data;
}

static void client_may_be_freed_when_it_wakes(void **state)
{
    const struct hub_message message = { .body = "x", .length = 1 };
    const struct hub_method method = {
        .device_id = "d", .module_id = "", .name = "x", .response_timeout_s = 5
    };
    static const char *const filters[] = { "$iothub/twin/PATCH/properties/desired/#",
                                           "$iothub/methods/POST/#",
                                           "devices/d/messages/devicebound/#" };
    struct client_fixture *f = *state;
    char answer[FAULTS_ANSWER_MAX];
    int ended = 0;

    for (int i = 0; i < 6; i++) {
        char line[] = "d send 00";
        struct peer peer = { 0 }, newer;
        struct buf packet;

        print_message("case %d\n", i);
        assert_int_equal(client_new(&peer.client, f->base.hub, f->base.now_ms, free_peer, &peer),
                         0);
        write_sign_in(&packet, f,
                      &(struct sign_in){ .device = true,
                                         .keepalive_s = 60,
                                         .expiry_s = FIXTURE_WALL_S + 3600,
                                         .will = "devices/d/messages/events/",
                                         .will_body = "gone" });
        mqtt_write_subscribe(&packet, 1, filters, 3, 1);
        say(&peer, f, &packet);
        assert_non_null(peer.client); /* it does not wake who speaks to it */
        if (i == 0)
            assert_int_equal(fixture_write(&f->base, "d", "", HUB_PATCH,
                                           "{\"properties\":{\"desired\":{\"x\":1}}}", NULL),
                             0);
        else if (i == 1)
            assert_int_equal(hub_call_method(f->base.hub, &method, on_call_done, &ended, NULL), 0);
        else if (i == 2)
            assert_int_equal(hub_send_message(f->base.hub, "d", &message, 0), 0);
        else if (i == 3)
            faults_run(f->base.faults, line, answer);
        else if (i == 4)
            sign_in(&newer, f, (struct sign_in){ .device = true });
        else
            assert_int_equal(hub_delete_identity(f->base.hub, "d", "", NULL), 0);
        assert_null(peer.client);
        if (i == 4)
            peer_close(&newer);
    }
    hub_tick(f->base.hub, f->base.now_ms + 5000);
    assert_int_equal(ended, 1);
}

/* ---- refusals ---- */

static void client_connect_refused_gets_its_code_and_the_end(void **state)
{
    static const struct {
        const char *client_id, *username, *password;
        uint8_t want;
    } cases[] = {
        { "d/m", FIXTURE_HOST "/d/m" USERNAME, NULL, 5 },
        { "d/m", FIXTURE_HOST "/d/m" USERNAME, "SharedAccessSignature sr=x&sig=y&se=1", 5 },
        { "d/m", "no user name", "x", 5 },
        { "d/none", FIXTURE_HOST "/d/none" USERNAME, "x", 5 },
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct mqtt_connect connect = { .client_id = cases[i].client_id,
                                              .username = cases[i].username,
                                              .password = cases[i].password };
        struct buf packet;
        struct peer peer;

        peer_open(&peer, f);
        buf_init(&packet, 1024);
        mqtt_write_connect(&packet, &connect);
        say(&peer, f, &packet);
        assert_true(client_is_over(peer.client));
        assert_connack(&peer, false, cases[i].want);
        peer_close(&peer);
    }
    assert_non_null(strstr(f->base.notes, "d/m: refused (5): "));
}

/* Whoever knocks may not write lines of his own into the operator's terminal. */
static void client_connect_refused_is_noted_in_one_line(void **state)
{
    static const struct mqtt_connect connect = { .client_id = "x\n\x1b[2Jd/m: refused",
                                                 .username = "u",
                                                 .password = "p" };
    struct client_fixture *f = *state;
    struct buf packet;
    struct peer peer;

    peer_open(&peer, f);
    buf_init(&packet, 1024);
    mqtt_write_connect(&packet, &connect);
    say(&peer, f, &packet);
    assert_memory_equal(f->base.notes, "x??[2Jd/m: refused: refused (5): ", 33);
    assert_ptr_equal(strchr(f->base.notes, '\n'), strrchr(f->base.notes, '\n'));
    peer_close(&peer);
}

static void client_connect_disabled_device_gets_code_3(void **state)
{
    struct client_fixture *f = *state;
    cJSON *body = fixture_json("{\"status\":\"disabled\"}");
    struct identity identity;
    struct err err = { "" };
    struct buf packet;
    struct peer peer;

    assert_int_equal(hub_put_identity(f->base.hub, "d", "", body, "*", &identity, &err), 0);
    cJSON_Delete(body);
    peer_open(&peer, f);
    write_connect(&packet, f, true, 60, FIXTURE_WALL_S + 60);
    say(&peer, f, &packet);
    assert_connack(&peer, false, 3);
    peer_close(&peer);
}

static void client_connect_of_mqtt_3_gets_code_1(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    peer_open(&peer, f);
    say_bytes(&peer, f, "\x10\x0f\0\6MQIsdp\3\2\0\x3c\0\1d", 17);
    assert_true(client_is_over(peer.client));
    assert_connack(&peer, false, 1);
    peer_close(&peer);
}

static void client_violations_end_the_connection(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t length;
    } cases[] = {
        { "second CONNECT", "\x10\x0d\0\4MQTT\4\2\0\x3c\0\1d", 15 },
        { "quality 2",
          "\x34\x1f\0\x1b"
          "devices/d/messages/events/x"
          "\0\1",
          33 },
        { "another's telemetry",
          "\x30\x1d\0\x1b"
          "devices/x/messages/events/x",
          31 },
        { "free topic", "\x30\x03\0\1x", 5 },
        { "free filter", "\x82\x06\0\1\0\1#\0", 8 },
        { "no filter", "\x82\x02\0\1", 4 },
        { "twin get without $rid", "\x30\x14\0\x12$iothub/twin/GET/?", 22 },
        { "CONNACK", "\x20\x02\0\0", 4 },
        { "PUBACK for nothing", "\x40\x02\0\1", 4 },
        { "PUBREL", "\x62\x02\0\1", 4 },
        { "unknown type", "\xf0\0", 2 },
        { "length of five bytes", "\x30\xff\xff\xff\xff\x01", 6 },
        { "over 256 KB", "\x30\xff\xff\xff\x7f", 5 },
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer;

        print_message("case %s\n", cases[i].name);
        connect_peer(&peer, f, true, false);
        say_bytes(&peer, f, cases[i].bytes, cases[i].length);
        assert_true(client_is_over(peer.client));
        assert_false(hub_connected(f->base.hub, "d", "m"));
        assert_true(heard_nothing(&peer));
        publish(&peer, f, "$iothub/twin/PATCH/properties/reported/?$rid=1", 0, "{\"late\":1}");
        peer_close(&peer);
    }
    struct twin twin; /* what came behind a violation was not heard */

    assert_int_equal(hub_get_twin(f->base.hub, "d", "m", &twin), 0);
    assert_int_equal(twin.reported.version, 1);
    twin_done(&twin);
}

static void client_first_packet_other_than_connect_ends_it(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    peer_open(&peer, f);
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_true(client_is_over(peer.client));
    assert_true(heard_nothing(&peer));
    peer_close(&peer);
}

static void client_that_does_not_read_is_cut(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    char text[4001] = "", body[8192];
    int asked = 0;

    memset(text, 'x', sizeof text - 1);
    snprintf(body, sizeof body, "{\"properties\":{\"desired\":{\"k\":\"%s\"}}}", text);
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH, body, NULL), 0);
    connect_peer(&peer, f, true, false);
    subscribe(&peer, f);
    while (!client_is_over(peer.client) && asked < 1000) {
        publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, "");
        asked++;
    }
    assert_in_range(asked, CLIENT_OUTPUT_MAX / 4200, CLIENT_OUTPUT_MAX / 4000);
    assert_int_equal(client_output(peer.client)->length, 0);
    peer_close(&peer);
}

/* ---- time ---- */

static void client_tick_silence_and_expiry_end_it_at_their_time(void **state)
{
    static const struct {
        uint16_t keepalive_s;
        int64_t expires_in_s;
        uint64_t want_ms;
    } cases[] = {
        { 60, 3600, 90 * 1000 },       { 1, 3600, 1500 },     { 0, 36000, 1767 * 1000 },
        { 65535, 36000, 1767 * 1000 }, { 60, 10, 10 * 1000 },
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf packet;
        struct peer peer;
        uint64_t at = f->base.now_ms + cases[i].want_ms;

        print_message("case %zu\n", i);
        peer_open(&peer, f);
        write_connect(&packet, f, true, cases[i].keepalive_s,
                      FIXTURE_WALL_S + cases[i].expires_in_s);
        say(&peer, f, &packet);
        assert_true(client_tick(peer.client, f->base.now_ms) == at);
        client_tick(peer.client, at - 1);
        assert_false(client_is_over(peer.client));
        assert_true(client_tick(peer.client, at) == 0);
        assert_true(client_is_over(peer.client));
        assert_int_equal(client_output(peer.client)->length, 0); /* without a packet */
        peer_close(&peer);
    }
}

static void client_tick_every_packet_moves_the_silence(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    f->base.now_ms += 80 * 1000;
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_int_equal(heard(&peer).type, MQTT_PINGRESP);
    assert_true(client_tick(peer.client, f->base.now_ms) == f->base.now_ms + 90 * 1000);
    peer_close(&peer);
}

static void client_tick_without_connect_ends_after_60_s(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    peer_open(&peer, f);
    assert_true(client_tick(peer.client, f->base.now_ms) == f->base.now_ms + 60 * 1000);
    client_tick(peer.client, f->base.now_ms + 60 * 1000);
    assert_true(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_tick_unread_goodbye_is_dropped_after_5_s(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    peer_open(&peer, f);
    say_bytes(&peer, f, "\x10\x0f\0\6MQIsdp\3\2\0\x3c\0\1d", 17);
    assert_true(client_tick(peer.client, f->base.now_ms) == f->base.now_ms + CLIENT_GOODBYE_MS);
    assert_true(client_output(peer.client)->length > 0);
    client_tick(peer.client, f->base.now_ms + CLIENT_GOODBYE_MS);
    assert_int_equal(client_output(peer.client)->length, 0);
    peer_close(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(client_dialogue_of_section_13_is_answered),
        TEST(client_receive_split_at_every_byte_gives_the_same_answers),
        TEST(client_get_ignores_its_payload),
        TEST(client_quality_1_is_acknowledged_everywhere),
        TEST(client_desired_of_the_time_away_is_not_sent_later),
        TEST(client_refused_twin_requests_are_answered_with_status_and_reason),
        TEST(client_unsubscribed_hears_no_answers_and_no_patches),
        TEST(client_subscribe_grants_at_most_quality_1),
        TEST(client_persisted_session_needs_no_new_subscription),
        TEST(client_newer_connection_ends_the_older_without_a_word),
        TEST(client_may_be_freed_when_it_wakes),
        TEST(client_connect_refused_gets_its_code_and_the_end),
        TEST(client_connect_refused_is_noted_in_one_line),
        TEST(client_connect_disabled_device_gets_code_3),
        TEST(client_connect_of_mqtt_3_gets_code_1),
        TEST(client_violations_end_the_connection),
        TEST(client_first_packet_other_than_connect_ends_it),
        TEST(client_that_does_not_read_is_cut),
        TEST(client_tick_silence_and_expiry_end_it_at_their_time),
        TEST(client_tick_every_packet_moves_the_silence),
        TEST(client_tick_without_connect_ends_after_60_s),
        TEST(client_tick_unread_goodbye_is_dropped_after_5_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
