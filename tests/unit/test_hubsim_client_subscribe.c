/* What a client may listen to (iot-hub.md 12.3, rules 5, 7 and 9; 1.4). */
#include "test_hubsim_peer.h"

#define DEVICEBOUND "devices/d/messages/devicebound/#"

static void client_subscribe_grants_what_is_asked_but_at_most_1(void **state)
{
    static const struct {
        bool device;
        const char *filter;
    } cases[] = {
        { true, "$iothub/twin/res/#" },
        { true, "$iothub/twin/PATCH/properties/desired/#" },
        { true, "$iothub/methods/POST/#" },
        { true, DEVICEBOUND },
        { false, "$iothub/twin/res/#" },
        { false, "$iothub/twin/PATCH/properties/desired/#" },
        { false, "$iothub/methods/POST/#" },
        { false, "devices/d/modules/m/#" },
        { false, "devices/d/modules/m/inputs/#" },
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer;

        print_message("case %s\n", cases[i].filter);
        sign_in(&peer, f, (struct sign_in){ .device = cases[i].device, .clean = true });
        assert_connack(&peer, false, 0);
        for (uint8_t qos = 0; qos <= 2; qos++)
            assert_int_equal(subscribe_to(&peer, f, cases[i].filter, qos), qos > 1 ? 1 : qos);
        peer_close(&peer);
    }
}

static void client_subscribe_forbidden_filters_end_the_connection(void **state)
{
    static const struct {
        bool device;
        const char *filter;
    } cases[] = {
        { true, "#" },
        { true, "+/twin/res/#" },
        { true, "$iothub/#" },
        { true, "$iothub/twin/res/+" },
        { true, "$iothub/credentials/res/#" },
        { true, "devices/d/#" },
        { true, "devices/x/messages/devicebound/#" },
        { true, "devices/d/messages/events/#" },
        { true, "devices/d/modules/m/#" },
        { false, DEVICEBOUND },
        { false, "devices/d/modules/x/#" },
        { false, "devices/d/modules/m/outputs/#" },
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer;
        struct buf packet;

        print_message("case %s\n", cases[i].filter);
        sign_in(&peer, f, (struct sign_in){ .device = cases[i].device, .clean = true });
        assert_connack(&peer, false, 0);
        buf_init(&packet, 256);
        mqtt_write_subscribe(&packet, 7, &cases[i].filter, 1, 0);
        say(&peer, f, &packet);
        assert_true(client_is_over(peer.client));
        assert_true(heard_nothing(&peer));
        peer_close(&peer);
    }
}

/* The hub with other rules: it is the fixture's from here on. */
static void open_with(struct client_fixture *f, struct hub_rules rules)
{
    struct hub_options options = fixture_options(&f->base);

    options.rules = rules;
    hub_close(f->base.hub);
    assert_int_equal(hub_open(&f->base.hub, &options), 0);
}

static void client_subscribe_forbidden_filter_is_refused_alone_where_the_rule_says_so(void **state)
{
    static const char *const filters[] = { "$iothub/twin/res/#", "#", "$iothub/methods/POST/#" };
    struct client_fixture *f = *state;
    struct mqtt_packet suback;
    struct buf packet;
    struct peer peer;

    open_with(f, (struct hub_rules){ .forbidden_filter = HUB_FORBIDDEN_SUBACK });
    connect_peer(&peer, f, true, false);
    buf_init(&packet, 256);
    mqtt_write_subscribe(&packet, 7, filters, 3, 1);
    say(&peer, f, &packet);
    suback = heard(&peer);
    assert_int_equal(suback.type, MQTT_SUBACK);
    assert_int_equal(suback.length, 5);
    assert_memory_equal(suback.body + 2, "\x01\x80\x01", 3);
    assert_false(client_is_over(peer.client));
    publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, "");
    assert_publish(&peer, "$iothub/twin/res/200/?$rid=1", NULL);
    peer_close(&peer);
}

/* A module's list has five entries: as many as a connection may have. */
static void client_subscribe_all_five_in_one_packet_are_granted_and_kept(void **state)
{
    static const char *const filters[] = {
        "$iothub/twin/res/#",           "$iothub/twin/PATCH/properties/desired/#",
        "$iothub/methods/POST/#",       "devices/d/modules/m/#",
        "devices/d/modules/m/inputs/#",
    };
    struct client_fixture *f = *state;
    struct registry_session session;
    struct buf packet;
    struct peer peer;

    connect_peer(&peer, f, false, false);
    for (int twice = 0; twice < 2; twice++) { /* again is not more */
        buf_init(&packet, 512);
        mqtt_write_subscribe(&packet, 7, filters, 5, 1);
        say(&peer, f, &packet);
        assert_int_equal(heard(&peer).length, 7);
    }
    assert_int_equal(hub_get_session(f->base.hub, "d", "m", &session), 0);
    assert_int_equal(session.count, 5);
    peer_close(&peer);
}

static void client_unsubscribe_is_kept_with_the_session(void **state)
{
    struct client_fixture *f = *state;
    struct registry_session session;
    struct peer peer;

    connect_peer(&peer, f, false, false);
    subscribe(&peer, f);
    unsubscribe(&peer, f, "$iothub/twin/res/#");
    unsubscribe(&peer, f, "never/heard/of");
    peer_close(&peer);
    assert_int_equal(hub_get_session(f->base.hub, "d", "m", &session), 0);
    assert_int_equal(session.count, 1);
    assert_string_equal(session.filters[0].filter, "$iothub/twin/PATCH/properties/desired/#");
}

static void client_clean_session_leaves_nothing_behind(void **state)
{
    struct client_fixture *f = *state;
    struct registry_session session;
    struct peer peer;

    connect_peer(&peer, f, true, false);
    subscribe(&peer, f);
    unsubscribe(&peer, f, "$iothub/twin/res/#");
    peer_close(&peer);
    assert_int_equal(hub_get_session(f->base.hub, "d", "m", &session), -ENOENT);
}

/* SDKs subscribe to the same again at every connection: a write to the disk that changes nothing. What
 * was taken away behind the client's back stays away. */
static void client_subscribe_to_the_same_again_writes_nothing(void **state)
{
    struct client_fixture *f = *state;
    struct registry_session session;
    struct peer peer;

    connect_peer(&peer, f, false, false);
    subscribe(&peer, f);
    assert_int_equal(hub_delete_session(f->base.hub, "d", "m"), 0);
    subscribe(&peer, f);
    unsubscribe(&peer, f, "never/heard/of");
    assert_int_equal(hub_get_session(f->base.hub, "d", "m", &session), -ENOENT);
    assert_int_equal(subscribe_to(&peer, f, "$iothub/twin/res/#", 1), 1); /* another quality */
    assert_int_equal(hub_get_session(f->base.hub, "d", "m", &session), 0);
    assert_int_equal(session.count, 2);
    assert_int_equal(session.filters[0].qos, 1);
    peer_close(&peer);
}

/* ---- how long a session is kept ---- */

static void client_session_is_kept_as_long_as_the_rule_says(void **state)
{
    static const struct {
        uint32_t expiry_s, away_s;
        bool want_present;
    } cases[] = {
        { 0, 100 * 24 * 3600, true },
        { 100, 99, true },
        { 100, 100, false },
    };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sign_in as = { .expiry_s = FIXTURE_WALL_S + 1000 * 24 * 3600 };
        struct peer peer;

        print_message("case %zu\n", i);
        open_with(f, (struct hub_rules){ .session_expiry_s = cases[i].expiry_s });
        sign_in(&peer, f, as);
        heard(&peer);
        f->base.wall_ms += 500 * 1000; /* being there counts, however long ago it came */
        peer_close(&peer);
        f->base.wall_ms += cases[i].away_s * INT64_C(1000);
        sign_in(&peer, f, as);
        assert_connack(&peer, cases[i].want_present, 0);
        peer_close(&peer);
    }
}

static void client_session_taken_over_from_a_connection_that_lasts_is_not_old(void **state)
{
    struct client_fixture *f = *state;
    struct peer older, newer;

    open_with(f, (struct hub_rules){ .session_expiry_s = 100 });
    connect_peer(&older, f, false, false);
    f->base.wall_ms += 500 * 1000;
    sign_in(&newer, f, (struct sign_in){ 0 });
    assert_connack(&newer, true, 0);
    peer_close(&older);
    peer_close(&newer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(client_subscribe_grants_what_is_asked_but_at_most_1),
        TEST(client_subscribe_forbidden_filters_end_the_connection),
        TEST(client_subscribe_forbidden_filter_is_refused_alone_where_the_rule_says_so),
        TEST(client_subscribe_all_five_in_one_packet_are_granted_and_kept),
        TEST(client_unsubscribe_is_kept_with_the_session),
        TEST(client_clean_session_leaves_nothing_behind),
        TEST(client_subscribe_to_the_same_again_writes_nothing),
        TEST(client_session_is_kept_as_long_as_the_rule_says),
        TEST(client_session_taken_over_from_a_connection_that_lasts_is_not_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
