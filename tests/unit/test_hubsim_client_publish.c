/* What a client says besides twin requests: telemetry, answers to methods, its will (iot-hub.md 12.3,
 * rules 10, 11, 16 to 18; 1.4; 5.1). */
#include "test_hubsim_peer.h"

#define EVENTS "devices/d/modules/m/messages/events/"

/* The messages that the hub kept: "body|name=value;$name=value;...\n" */
struct kept {
    char text[4096];
    size_t count;
};

static void note(void *data, const struct hub_message *message)
{
    struct kept *kept = data;
    size_t n = strlen(kept->text);

    n += (size_t)snprintf(kept->text + n, sizeof kept->text - n, "%s/%s %.*s|", message->device_id,
                          message->module_id, (int)(message->length < 64 ? message->length : 64),
                          (const char *)message->body);
    for (size_t i = 0; i < message->property_count; i++) {
        const struct bag_property *p = &message->properties[i];

        if (strncmp(p->name, "iothub-connection-", 18) != 0 &&
            strcmp(p->name, "iothub-enqueuedtime") != 0 &&
            strcmp(p->name, "iothub-message-source") != 0)
            n += (size_t)snprintf(kept->text + n, sizeof kept->text - n, "%s%s=%s;",
                                  p->system ? "$" : "", p->name, p->value != NULL ? p->value : "");
    }
    snprintf(kept->text + n, sizeof kept->text - n, "\n");
    kept->count++;
}

static void assert_kept(struct client_fixture *f, const char *want)
{
    struct kept kept = { "", 0 };

    hub_each_message(f->base.hub, 0, 1000, note, &kept);
    assert_string_equal(kept.text, want);
}

/* ---- telemetry ---- */

static void client_telemetry_is_kept_with_its_properties(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    publish(&peer, f, EVENTS, 0, "1");
    publish(&peer, f, "devices/d/modules/m/messages/events", 0, "2");
    publish(&peer, f, EVENTS "%24.mid=id%201&%24.ct=application%2Fjson&k%20y=v%2F1%26", 0, "3");
    publish(&peer, f, EVENTS "$.mid=4&%24.on=out1/", 0, "4");
    assert_true(heard_nothing(&peer));
    publish(&peer, f, EVENTS "a=b", 1, "5");
    assert_int_equal(heard(&peer).type, MQTT_PUBACK);
    assert_false(client_is_over(peer.client));
    assert_kept(f, "d/m 1|\n"
                   "d/m 2|\n"
                   "d/m 3|$message-id=id 1;$content-type=application/json;k y=v/1&;\n"
                   "d/m 4|$message-id=4;$output-name=out1;\n"
                   "d/m 5|a=b;\n");
    peer_close(&peer);
    assert_kept(f, "d/m 1|\n"
                   "d/m 2|\n"
                   "d/m 3|$message-id=id 1;$content-type=application/json;k y=v/1&;\n"
                   "d/m 4|$message-id=4;$output-name=out1;\n"
                   "d/m 5|a=b;\n"); /* no will */
}

struct sought {
    const char *name;
    char value[128];
};

static void find(void *data, const struct hub_message *message)
{
    struct sought *sought = data;

    for (size_t i = 0; i < message->property_count; i++) {
        const struct bag_property *p = &message->properties[i];

        if (p->system && strcmp(p->name, sought->name) == 0)
            snprintf(sought->value, sizeof sought->value, "%s", p->value);
    }
}

static void client_telemetry_gets_what_the_hub_adds(void **state)
{
    static const struct {
        const char *name, *device, *module;
    } cases[] = {
        { "iothub-connection-device-id", "d", "d" },
        { "iothub-connection-module-id", "", "m" },
        { "iothub-connection-auth-method",
          "{\"scope\":\"device\",\"type\":\"sas\",\"issuer\":\"iothub\"}",
          "{\"scope\":\"module\",\"type\":\"sas\",\"issuer\":\"iothub\"}" },
        { "iothub-enqueuedtime", "2025-12-31T23:00:00.0000000Z", "2025-12-31T23:00:00.0000000Z" },
        { "iothub-message-source", "Telemetry", "Telemetry" },
        { "dt-dataschema", "", "dtmi:com:example:Gw;1" },
    };
    struct client_fixture *f = *state;
    struct sought generation = { "iothub-connection-auth-generation-id", "" };
    char want[32];
    struct peer device, module;

    sign_in(&device, f, (struct sign_in){ .device = true, .clean = true });
    publish(&device, f, "devices/d/messages/events/%24.cdid=another", 0, "1");
    sign_in(&module, f,
            (struct sign_in){ .query = "/?api-version=2021-04-12&model-id=dtmi:com:example:Gw;1" });
    publish(&module, f, EVENTS, 0, "2");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sought of_device = { cases[i].name, "" }, of_module = { cases[i].name, "" };

        print_message("case %s\n", cases[i].name);
        hub_each_message(f->base.hub, 0, 1, find, &of_device);
        hub_each_message(f->base.hub, 1, 1, find, &of_module);
        assert_string_equal(of_device.value, cases[i].device);
        assert_string_equal(of_module.value, cases[i].module);
    }
    hub_each_message(f->base.hub, 1, 1, find, &generation);
    snprintf(want, sizeof want, "%lld", (long long)f->module.generation_id);
    assert_string_equal(generation.value, want);
    peer_close(&device);
    peer_close(&module);
}

static void client_telemetry_retained_is_a_property_and_not_retained(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer, later;
    struct buf packet;

    connect_peer(&peer, f, true, false);
    buf_init(&packet, 256);
    mqtt_write_publish(&packet, EVENTS "a=b", 0, 0, "1", 1);
    packet.bytes[0] |= 1; /* RETAIN, 3.3.1.3 */
    say(&peer, f, &packet);
    assert_kept(f, "d/m 1|a=b;mqtt-retain=true;\n");
    peer_close(&peer);

    connect_peer(&later, f, true, false);
    assert_int_equal(subscribe_to(&later, f, "devices/d/modules/m/#", 1), 1);
    assert_true(heard_nothing(&later));
    peer_close(&later);
}

/* The largest that is accepted and the smallest that is refused: 256 KB of body, values, and names of
 * application properties. */
static void client_telemetry_over_256_kb_ends_the_connection(void **state)
{
    static const struct {
        const char *bag;
        size_t body;
        bool accepted;
    } cases[] = {
        { "", 256 * 1024, true },
        { "", 256 * 1024 + 1, false },
        { "ab=cd", 256 * 1024 - 4, true },
        { "ab=cd", 256 * 1024 - 3, false },
        { "%24.mid=cd", 256 * 1024 - 2, true },
        { "%24.mid=cd", 256 * 1024 - 1, false },
    };
    struct client_fixture *f = *state;
    char *body = malloc(256 * 1024 + 1);

    memset(body, 'x', 256 * 1024 + 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf packet;
        struct peer peer;
        char topic[128];

        print_message("case %zu\n", i);
        connect_peer(&peer, f, true, false);
        snprintf(topic, sizeof topic, EVENTS "%s", cases[i].bag);
        buf_init(&packet, MQTT_PACKET_MAX);
        mqtt_write_publish(&packet, topic, 1, 5, body, cases[i].body);
        say(&peer, f, &packet);
        assert_int_equal(client_is_over(peer.client), !cases[i].accepted);
        if (cases[i].accepted)
            assert_int_equal(heard(&peer).type, MQTT_PUBACK);
        else
            assert_true(heard_nothing(&peer));
        peer_close(&peer);
    }
    free(body);
}

/* Rule 10, for twin topics, too; what is smaller is the twin's to refuse. */
static void client_publish_over_256_kb_to_any_topic_ends_the_connection(void **state)
{
    static const char *const topics[] = { "$iothub/twin/GET/?$rid=1",
                                          "$iothub/twin/PATCH/properties/reported/?$rid=1" };
    struct client_fixture *f = *state;
    char *body = calloc(1, 256 * 1024 + 1);

    for (size_t i = 0; i < 4; i++) {
        struct buf packet;
        struct peer peer;

        connect_peer(&peer, f, true, false);
        subscribe(&peer, f);
        buf_init(&packet, MQTT_PACKET_MAX);
        mqtt_write_publish(&packet, topics[i / 2], 0, 0, body, 256 * 1024 + i % 2);
        say(&peer, f, &packet);
        assert_int_equal(client_is_over(peer.client), i % 2);
        assert_int_equal(heard_nothing(&peer), i % 2);
        peer_close(&peer);
    }
    free(body);
}

static void client_telemetry_with_a_broken_bag_ends_the_connection(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    publish(&peer, f, EVENTS "a=%zz", 1, "1");
    assert_true(client_is_over(peer.client));
    assert_true(heard_nothing(&peer));
    assert_kept(f, "");
    peer_close(&peer);
}

static void client_publish_to_what_is_not_its_own_ends_the_connection(void **state)
{
    static const struct {
        bool device;
        const char *topic;
    } cases[] = {
        { false, "devices/d/messages/events/" },
        { false, "devices/d/modules/x/messages/events/" },
        { false, "devices/x/modules/m/messages/events/" },
        { true, "devices/d/modules/m/messages/events/" },
        { true, "devices/x/messages/events/" },
        { true, "devices/d/messages/devicebound/" },
        { true, "$iothub/methods/POST/reboot/?$rid=1" },
        { true, "$iothub/methods/res/200/" },
        { true, "$iothub/methods/res/200/?rid=1" },
        { true, "$iothub/methods/res/ok/?$rid=1" },
        { true, "$iothub/methods/res/2147483648/?$rid=1" },
        { true, "$iothub/credentials/POST/issueCertificate/?$rid=1" },
        { true, "$iothub/twin/PATCH/properties/desired/?$rid=1" },
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer;

        print_message("case %s\n", cases[i].topic);
        sign_in(&peer, f, (struct sign_in){ .device = cases[i].device, .clean = true });
        assert_connack(&peer, false, 0);
        publish(&peer, f, cases[i].topic, 0, "1");
        assert_true(client_is_over(peer.client));
        assert_true(heard_nothing(&peer));
        peer_close(&peer);
    }
    assert_kept(f, "");
}

/* ---- the will ---- */

enum end { BY_DISCONNECT, BY_CLOSE, BY_SILENCE, BY_EXPIRY, BY_EVICTION, BY_VIOLATION, BY_DELETION };

static void end(struct peer *peer, struct client_fixture *f, enum end how)
{
    struct peer newer;

    switch (how) {
    case BY_DISCONNECT:
        say_bytes(peer, f, "\xe0\0", 2);
        break;
    case BY_CLOSE:
        break;
    case BY_SILENCE:
        client_tick(peer->client, f->base.now_ms + 90 * 1000);
        assert_kept(f, "d/m gone|a=b;iothub-MessageType=Will;\n"); /* before TCP has ended */
        break;
    case BY_EXPIRY:
        client_tick(peer->client, f->base.now_ms + 60 * 1000);
        break;
    case BY_EVICTION:
        sign_in(&newer, f, (struct sign_in){ .clean = true });
        peer_close(&newer);
        break;
    case BY_VIOLATION:
        publish(peer, f, "free/topic", 0, "");
        break;
    case BY_DELETION:
        assert_int_equal(hub_delete_identity(f->base.hub, "d", "m", NULL), 0);
        break;
    }
    peer_close(peer);
}

static void client_will_is_sent_unless_the_end_is_a_disconnect(void **state)
{
    static const char will[] = "d/m gone|a=b;iothub-MessageType=Will;\n";
    static const struct {
        const char *name;
        enum end how;
        const char *want;
    } cases[] = {
        { "DISCONNECT", BY_DISCONNECT, "" }, { "close", BY_CLOSE, will },
        { "silence", BY_SILENCE, will },     { "token over", BY_EXPIRY, will },
        { "eviction", BY_EVICTION, will },   { "violation", BY_VIOLATION, will },
        { "deletion", BY_DELETION, will },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct client_fixture *f;
        struct peer peer;

        print_message("case %s\n", cases[i].name);
        tear_down(state); /* each with a hub of its own */
        set_up(state);
        f = *state;
        sign_in(&peer, f,
                (struct sign_in){
                    .clean = true,
                    .expiry_s = FIXTURE_WALL_S + (cases[i].how == BY_EXPIRY ? 60 : 3600),
                    .will = EVENTS "a=b",
                    .will_body = "gone",
                });
        assert_connack(&peer, false, 0);
        assert_kept(f, "");
        end(&peer, f, cases[i].how);
        assert_kept(f, cases[i].want);
    }
}

static void client_will_retained_is_a_property(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    sign_in(&peer, f,
            (struct sign_in){ .device = true,
                              .will = "devices/d/messages/events/",
                              .will_body = "gone",
                              .will_flags = 0x28 });
    assert_connack(&peer, false, 0);
    peer_close(&peer);
    assert_kept(f, "d/ gone|mqtt-retain=true;iothub-MessageType=Will;\n");
}

static void client_will_of_others_or_broken_ends_the_connection(void **state)
{
    static const struct {
        const char *topic;
        uint8_t flags;
    } cases[] = {
        { "devices/d/messages/events/", 0 },
        { "devices/d/modules/x/messages/events/", 0 },
        { "$iothub/twin/GET/?$rid=1", 0 },
        { "free", 0 },
        { EVENTS "a=%", 0 },
        { EVENTS, 0x10 }, /* quality of service 2 */
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer;

        print_message("case %s\n", cases[i].topic);
        sign_in(&peer, f,
                (struct sign_in){
                    .will = cases[i].topic, .will_body = "gone", .will_flags = cases[i].flags });
        assert_true(client_is_over(peer.client));
        assert_true(heard_nothing(&peer));
        assert_false(hub_connected(f->base.hub, "d", "m"));
        peer_close(&peer);
    }
    assert_kept(f, "");
}

static void client_will_of_one_who_is_not_let_in_is_not_sent(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    sign_in(
        &peer, f,
        (struct sign_in){ .expiry_s = FIXTURE_WALL_S - 1, .will = EVENTS, .will_body = "gone" });
    assert_connack(&peer, false, 5);
    peer_close(&peer);
    assert_kept(f, "");
}

/* ---- what is announced ---- */

static void client_model_id_is_kept_raw_or_escaped(void **state)
{
    static const struct {
        const char *query, *want;
    } cases[] = {
        { "/?api-version=2021-04-12&model-id=dtmi:com:example:Gw;1", "dtmi:com:example:Gw;1" },
        { "/?model-id=dtmi%3acom%3Aexample%3aGw%3B2&api-version=2020-09-30",
          "dtmi:com:example:Gw;2" },
        { "/?api-version=2021-04-12&model-id=a&model-id=b&new=1", "a" },
        { "/?api-version=2021-04-12", "" },
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct identity identity;
        struct peer peer;

        print_message("case %s\n", cases[i].query);
        sign_in(&peer, f, (struct sign_in){ .clean = true, .query = cases[i].query });
        assert_connack(&peer, false, 0);
        peer_close(&peer);
        assert_int_equal(hub_get_identity(f->base.hub, "d", "m", &identity), 0);
        assert_string_equal(identity.model_id, cases[i].want);
    }
}

/* ---- twin requests that are too large ---- */

static void client_report_too_large_is_answered_as_the_rule_says(void **state)
{
    static const struct {
        int rule, want;
    } cases[] = { { 0, 400 }, { 400, 400 }, { 413, 413 } };
    struct client_fixture *f = *state;
    struct buf patch;
    char text[4001] = "";

    memset(text, 'x', sizeof text - 1);
    buf_init(&patch, 64 * 1024);
    for (int i = 0; i < 9; i++)
        buf_printf(&patch, "%c\"k%d\":\"%s\"", i == 0 ? '{' : ',', i, text);
    buf_add_byte(&patch, '}');
    assert_int_equal(patch.error, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hub_options options = fixture_options(&f->base);
        char want[64];
        struct buf packet;
        struct peer peer;

        options.rules.mqtt_oversize_status = cases[i].rule;
        hub_close(f->base.hub);
        assert_int_equal(hub_open(&f->base.hub, &options), 0);
        connect_peer(&peer, f, true, false);
        subscribe(&peer, f);
        buf_init(&packet, 65536);
        mqtt_write_publish(&packet, "$iothub/twin/PATCH/properties/reported/?$rid=1", 0, 0,
                           patch.bytes, patch.length);
        say(&peer, f, &packet);
        snprintf(want, sizeof want, "$iothub/twin/res/%d/?$rid=1", cases[i].want);
        assert_publish(&peer, want, NULL);
        peer_close(&peer);
    }
    buf_done(&patch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(client_telemetry_is_kept_with_its_properties),
        TEST(client_telemetry_gets_what_the_hub_adds),
        TEST(client_telemetry_retained_is_a_property_and_not_retained),
        TEST(client_telemetry_over_256_kb_ends_the_connection),
        TEST(client_publish_over_256_kb_to_any_topic_ends_the_connection),
        TEST(client_telemetry_with_a_broken_bag_ends_the_connection),
        TEST(client_publish_to_what_is_not_its_own_ends_the_connection),
        TEST(client_will_is_sent_unless_the_end_is_a_disconnect),
        TEST(client_will_retained_is_a_property),
        TEST(client_will_of_others_or_broken_ends_the_connection),
        TEST(client_will_of_one_who_is_not_let_in_is_not_sent),
        TEST(client_model_id_is_kept_raw_or_escaped),
        TEST(client_report_too_large_is_answered_as_the_rule_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
