/* What leaves a client when faults are asked for: later, in other frames, doubled, not at all. */
#include "test_hubsim_peer.h"

/* One line to the control address. */
static void fault(struct client_fixture *f, const char *line, const char *want)
{
    char copy[256], answer[FAULTS_ANSWER_MAX];

    snprintf(copy, sizeof copy, "%s", line);
    faults_run(f->base.faults, copy, answer);
    assert_string_equal(answer, want);
}

static void open_peer(struct peer *peer, struct client_fixture *f)
{
    connect_peer(peer, f, false, false);
    subscribe(peer, f);
}

static void report(struct peer *peer, struct client_fixture *f, const char *rid)
{
    char topic[96];

    snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/reported/?$rid=%s", rid);
    publish(peer, f, topic, 0, "{\"a\":1}");
}

static void client_answer_kept_back_comes_at_its_time(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    open_peer(&peer, f);
    fault(f, "d/m delay answers 700", "ok");
    report(&peer, f, "1");
    assert_true(client_tick(peer.client, f->base.now_ms + 699) == f->base.now_ms + 700);
    assert_true(heard_nothing(&peer));
    publish(&peer, f, "$iothub/twin/GET/?$rid=2", 0, "");
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_int_equal(heard(&peer).type, MQTT_PINGRESP); /* only answers are late */
    f->base.now_ms += 700;
    client_tick(peer.client, f->base.now_ms);
    assert_publish(&peer, "$iothub/twin/res/204/?$rid=1&$version=2", "");
    assert_publish(&peer, "$iothub/twin/res/200/?$rid=2", NULL);
    peer_close(&peer);
}

static void client_connack_kept_back_has_nothing_before_it(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    struct buf packet;

    open_peer(&peer, f);
    peer_close(&peer);
    fault(f, "d/m delay connack 100", "ok");
    peer_open(&peer, f);
    write_connect(&packet, f, false, 60, FIXTURE_WALL_S + 3600);
    say(&peer, f, &packet);
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH,
                                   "{\"properties\":{\"desired\":{\"x\":1}}}", NULL),
                     0);
    assert_true(heard_nothing(&peer));
    client_tick(peer.client, f->base.now_ms + 100);
    assert_connack(&peer, true, 0);
    peer_close(&peer);
}

static void client_that_is_dropped_forgets_what_was_kept_back(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    open_peer(&peer, f);
    fault(f, "* delay answers 700", "ok");
    report(&peer, f, "1");
    fault(f, "d/m drop", "ok 1");
    assert_true(client_is_over(peer.client));
    client_tick(peer.client, f->base.now_ms + 1000);
    assert_true(heard_nothing(&peer));
    fault(f, "d/m drop", "ok 0");
    peer_close(&peer);
}

static void client_connect_is_refused_as_often_as_asked(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    struct buf packet;

    fault(f, "d/m refuse 3 1", "ok");
    peer_open(&peer, f);
    write_connect(&packet, f, false, 60, FIXTURE_WALL_S + 3600);
    say(&peer, f, &packet);
    assert_connack(&peer, false, 3);
    assert_true(client_is_over(peer.client));
    peer_close(&peer);
    connect_peer(&peer, f, false, false);
    fault(f, "d/m status",
          "ok connects=2 refused=1 subscribed=0 gets=0 patches=0 notices=0 pings=0 lost=0 ended=1");
    peer_close(&peer);
}

static void client_twin_request_answered_by_a_fault_is_not_carried_out(void **state)
{
    struct client_fixture *f = *state;
    struct mqtt_publish answer;
    struct mqtt_packet packet;
    struct peer peer;
    struct twin twin;

    open_peer(&peer, f);
    fault(f, "d/m answer 429 2", "ok");
    report(&peer, f, "1");
    packet = heard(&peer);
    assert_int_equal(mqtt_parse_publish(&packet, &answer), 0);
    assert_memory_equal(answer.payload, "{\"errorCode\":429001,", 20);
    publish(&peer, f, "$iothub/twin/GET/?$rid=2", 0, "");
    assert_publish(&peer, "$iothub/twin/res/429/?$rid=2", NULL);
    assert_int_equal(hub_get_twin(f->base.hub, "d", "m", &twin), 0);
    assert_true(twin.reported.version == 1);
    twin_done(&twin);
    fault(f, "d/m ok", "ok 1");
    report(&peer, f, "3");
    assert_publish(&peer, "$iothub/twin/res/204/?$rid=3&$version=2", "");
    peer_close(&peer);
}

static void client_lost_answer_was_carried_out(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    struct twin twin;

    open_peer(&peer, f);
    fault(f, "d/m lose 1", "ok");
    report(&peer, f, "1");
    assert_true(heard_nothing(&peer));
    assert_int_equal(hub_get_twin(f->base.hub, "d", "m", &twin), 0);
    assert_true(twin.reported.version == 2);
    twin_done(&twin);
    peer_close(&peer);
}

static void client_notices_are_doubled_lost_and_ahead(void **state)
{
    static const char body[] = "{\"properties\":{\"desired\":{\"x\":1}}}";
    struct client_fixture *f = *state;
    struct peer peer;

    open_peer(&peer, f);
    fault(f, "d/m version duplicate 1", "ok");
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH, body, NULL), 0);
    assert_publish(&peer, "$iothub/twin/PATCH/properties/desired/?$version=2", NULL);
    assert_publish(&peer, "$iothub/twin/PATCH/properties/desired/?$version=2", NULL);
    fault(f, "d/m version gap 1", "ok");
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH, body, NULL), 0);
    assert_true(heard_nothing(&peer));
    fault(f, "d/m version ahead 6", "ok");
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH, body, NULL), 0);
    assert_publish(&peer, "$iothub/twin/PATCH/properties/desired/?$version=10", NULL);
    peer_close(&peer);
}

static void client_wiped_session_is_a_new_one(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    open_peer(&peer, f);
    fault(f, "d/m wipe-session", "ok 1");
    assert_true(client_is_over(peer.client));
    peer_close(&peer);
    connect_peer(&peer, f, false, false); /* false: no session present */
    peer_close(&peer);
}

/* One that is away, too: its hub forgot it meanwhile. */
static void client_session_is_wiped_of_who_is_away(void **state)
{
    struct client_fixture *f = *state;
    struct registry_session session;
    struct peer peer;

    open_peer(&peer, f);
    peer_close(&peer);
    fault(f, "d wipe-session", "ok 0");
    assert_int_equal(hub_get_session(f->base.hub, "d", "m", &session), 0);
    fault(f, "d/m wipe-session", "ok 0");
    assert_int_equal(hub_get_session(f->base.hub, "d", "m", &session), -ENOENT);
    connect_peer(&peer, f, false, false);
    peer_close(&peer);
    sign_in(&peer, f, (struct sign_in){ .device = true });
    peer_close(&peer);
    fault(f, "d wipe-session", "ok 0");
    assert_int_equal(hub_get_session(f->base.hub, "d", "", &session), -ENOENT);
}

static void client_half_open_neither_hears_nor_says_until_it_is_over(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    uint8_t frame[64];
    bool text;

    open_peer(&peer, f);
    fault(f, "d/m half-open", "ok 1");
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_true(heard_nothing(&peer));
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH,
                                   "{\"properties\":{\"desired\":{\"x\":1}}}", NULL),
                     0);
    assert_int_equal(client_take_frame(peer.client, f->base.now_ms, frame, sizeof frame, &text), 0);
    f->base.now_ms += 3600 * 1000;
    assert_true(client_tick(peer.client, f->base.now_ms) == 0);
    assert_false(client_is_over(peer.client)); /* neither for its silence nor for its token */
    peer_close(&peer);
}

static void client_slow_reader_reads_again_at_its_time(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    open_peer(&peer, f);
    assert_true(client_reads(peer.client));
    fault(f, "d/m slow-reader 200000", "ok 1");
    assert_false(client_reads(peer.client));
    assert_true(client_tick(peer.client, f->base.now_ms + 199999) == f->base.now_ms + 200000);
    assert_false(client_is_over(peer.client)); /* the silence is our own */
    client_tick(peer.client, f->base.now_ms + 200000);
    assert_true(client_reads(peer.client));
    fault(f, "d/m slow-reader 5", "ok 1");
    fault(f, "d/m ok", "ok 1");
    assert_true(client_reads(peer.client));
    peer_close(&peer);
}

static void client_bytes_that_were_sent_by_a_fault_may_be_acknowledged(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    open_peer(&peer, f);
    fault(f, "d/m send 3205000178", "ok 1");
    assert_memory_equal(client_output(peer.client)->bytes, "\x32\x05\0\1x", 5);
    buf_clear(client_output(peer.client));
    say_bytes(&peer, f, "\x40\x02\0\1", 4);
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_take_frame_cuts_and_gathers(void **state)
{
    struct client_fixture *f = *state;
    uint8_t frame[64];
    struct peer peer;
    size_t pieces = 0;
    bool text = true;

    open_peer(&peer, f);
    assert_int_equal(client_take_frame(peer.client, f->base.now_ms, frame, sizeof frame, &text), 0);
    fault(f, "d/m split 3", "ok");
    report(&peer, f, "1");
    for (size_t length; client_may_send(peer.client, f->base.now_ms); pieces++) {
        length = client_take_frame(peer.client, f->base.now_ms, frame, sizeof frame, &text);
        assert_in_range(length, 1, 3);
        assert_int_equal(mqtt_reader_feed(&peer.reader, frame, length), 0);
        assert_false(text);
    }
    assert_true(pieces > 10);
    assert_publish(&peer, "$iothub/twin/res/204/?$rid=1&$version=2", "");

    fault(f, "d/m ok", "ok 1");
    fault(f, "d/m merge 50", "ok");
    fault(f, "d/m text-frame", "ok");
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_false(client_may_send(peer.client, f->base.now_ms));
    assert_true(client_tick(peer.client, f->base.now_ms) == f->base.now_ms + 50);
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_int_equal(
        client_take_frame(peer.client, f->base.now_ms + 50, frame, sizeof frame, &text), 4);
    assert_true(text);
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_false(client_may_send(peer.client, f->base.now_ms + 60)); /* gathers anew */
    peer_close(&peer);
}

static void
client_tick_output_that_waits_for_the_network_gives_no_deadline_in_the_past(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    uint64_t now_ms = f->base.now_ms + 500;

    open_peer(&peer, f);
    fault(f, "d/m merge 50", "ok");
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_false(client_may_send(peer.client, f->base.now_ms));
    assert_true(client_may_send(peer.client, now_ms)); /* but it is not taken */
    assert_true(client_tick(peer.client, now_ms) > now_ms);
    peer_close(&peer);
}

/* Signs in behind a CONNACK that is late, and does not wait for it. */
static void client_packets_before_a_late_connack_are_answered_behind_it(void **state)
{
    static const char *const filters[] = { "$iothub/twin/res/#" };
    struct client_fixture *f = *state;
    struct buf packet;
    struct peer peer;

    fault(f, "d/m delay connack 100", "ok");
    peer_open(&peer, f);
    write_connect(&packet, f, false, 60, FIXTURE_WALL_S + 3600);
    mqtt_write_subscribe(&packet, 7, filters, 1, 0);
    mqtt_write_publish(&packet, "$iothub/twin/GET/?$rid=1", 1, 9, "", 0);
    say(&peer, f, &packet);
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_true(heard_nothing(&peer));
    f->base.now_ms += 100;
    client_tick(peer.client, f->base.now_ms);
    assert_connack(&peer, false, 0);
    assert_int_equal(heard(&peer).type, MQTT_SUBACK);
    assert_int_equal(heard(&peer).type, MQTT_PUBACK);
    assert_publish(&peer, "$iothub/twin/res/200/?$rid=1", NULL);
    assert_int_equal(heard(&peer).type, MQTT_PINGRESP);
    assert_true(heard_nothing(&peer));
    peer_close(&peer);
}

/* The client has nothing to answer to before: its silence begins with the greeting. */
static void client_connack_later_than_the_keepalive_is_sent(void **state)
{
    struct client_fixture *f = *state;
    struct buf packet;
    struct peer peer;

    fault(f, "d/m delay connack 5000", "ok");
    peer_open(&peer, f);
    write_connect(&packet, f, false, 1, FIXTURE_WALL_S + 3600);
    say(&peer, f, &packet);
    assert_true(client_tick(peer.client, f->base.now_ms + 4999) == f->base.now_ms + 5000);
    f->base.now_ms += 5000;
    assert_true(client_tick(peer.client, f->base.now_ms) == f->base.now_ms + 1500);
    assert_connack(&peer, false, 0);
    client_tick(peer.client, f->base.now_ms + 1500);
    assert_true(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_violation_before_a_late_connack_ends_it_behind_that(void **state)
{
    struct client_fixture *f = *state;
    struct buf packet;
    struct peer peer;

    fault(f, "d/m delay connack 100", "ok");
    peer_open(&peer, f);
    write_connect(&packet, f, false, 60, FIXTURE_WALL_S + 3600);
    say(&peer, f, &packet);
    say_bytes(&peer, f, "\x30\x03\0\1x", 5);
    client_tick(peer.client, f->base.now_ms + 100);
    assert_true(client_is_over(peer.client));
    peer_close(&peer);
}

/* Leaves room for `left` bytes. */
static void fill_output(struct peer *peer, size_t left)
{
    struct buf *output = client_output(peer->client);
    size_t length = CLIENT_OUTPUT_MAX - left - output->length;
    char *bytes = calloc(1, length);

    assert_int_equal(buf_add(output, bytes, length), 0);
    free(bytes);
}

static void client_output_without_room_cuts_whoever_filled_it(void **state)
{
    static const char desired[] = "{\"properties\":{\"desired\":{\"x\":1}}}";
    static const char *const lines[] = { "d/m version duplicate", "d/m delay answers 700",
                                         "d/m send 00010203040506070809" };
    struct client_fixture *f = *state;

    for (size_t i = 0; i < 3; i++) {
        struct peer peer;

        print_message("case %s\n", lines[i]);
        connect_peer(&peer, f, true, false);
        subscribe(&peer, f);
        fill_output(&peer, 8);
        fault(f, lines[i], i == 2 ? "ok 1" : "ok");
        if (i == 0)
            assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH, desired, NULL), 0);
        if (i == 1)
            report(&peer, f, "1");
        f->base.now_ms += 700;
        client_tick(peer.client, f->base.now_ms);
        assert_true(client_is_over(peer.client));
        assert_int_equal(client_output(peer.client)->length, 0);
        assert_false(hub_connected(f->base.hub, "d", "m"));
        peer_close(&peer);
        fault(f, "d/m ok", "ok 0");
    }
}

static void client_kept_back_answers_count_as_output(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    struct buf body;
    char text[4001] = "";
    int asked = 0;

    memset(text, 'x', sizeof text - 1);
    buf_init(&body, 65536);
    buf_add_text(&body, "{\"properties\":{\"desired\":{");
    for (int i = 0; i < 8; i++)
        buf_printf(&body, "%s\"k%d\":\"%s\"", i > 0 ? "," : "", i, text);
    buf_add_text(&body, "}}}");
    assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH, buf_text(&body), NULL), 0);
    buf_done(&body);
    open_peer(&peer, f);
    fault(f, "d/m delay answers 700", "ok");
    while (!client_is_over(peer.client) && asked < 200) {
        publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, "");
        asked++;
    }
    assert_in_range(asked, CLIENT_OUTPUT_MAX / 33000, CLIENT_OUTPUT_MAX / 32000 + 1);
    peer_close(&peer);

    connect_peer(&peer, f, false, true); /* not all that ever was kept back */
    for (asked = 0; asked < CLIENT_OUTPUT_MAX / 20000; asked++) {
        publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, "");
        f->base.now_ms += 700;
        client_tick(peer.client, f->base.now_ms);
        assert_int_equal(heard(&peer).type, MQTT_PUBLISH);
    }
    peer_close(&peer);
}

static void client_is_dropped_behind_as_many_packets_as_asked(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;
    struct twin twin;

    open_peer(&peer, f);
    fault(f, "d/m drop-after 2", "ok");
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_int_equal(heard(&peer).type, MQTT_PINGRESP);
    report(&peer, f, "1"); /* carried out, not answered */
    assert_true(client_is_over(peer.client));
    assert_true(heard_nothing(&peer));
    peer_close(&peer);
    assert_int_equal(hub_get_twin(f->base.hub, "d", "m", &twin), 0);
    assert_true(twin.reported.version == 2);
    twin_done(&twin);
    connect_peer(&peer, f, false, true); /* once */
    say_bytes(&peer, f, "\xc0\0\xc0\0\xc0\0", 6);
    assert_false(client_is_over(peer.client));
    peer_close(&peer);
}

static void client_goodbye_is_not_gathered(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    open_peer(&peer, f);
    fault(f, "d/m merge 50", "ok");
    say_bytes(&peer, f, "\xc0\0", 2);
    assert_false(client_may_send(peer.client, f->base.now_ms));
    say_bytes(&peer, f, "\xe0\0", 2);
    assert_true(client_may_send(peer.client, f->base.now_ms));
    peer_close(&peer);
}

static void client_counts_what_status_shows(void **state)
{
    struct client_fixture *f = *state;
    struct peer peer;

    open_peer(&peer, f);
    say_bytes(&peer, f, "\xc0\0", 2);
    fault(f, "d/m lose 1", "ok");
    publish(&peer, f, "$iothub/twin/GET/?$rid=1", 0, "");
    report(&peer, f, "2");
    fault(f, "d/m version gap 1", "ok");
    for (int i = 0; i < 3; i++)
        assert_int_equal(fixture_write(&f->base, "d", "m", HUB_PATCH,
                                       "{\"properties\":{\"desired\":{\"x\":1}}}", NULL),
                         0);
    say_bytes(&peer, f, "\xe0\0", 2);
    peer_close(&peer);
    fault(f, "d/m status",
          "ok connects=1 refused=0 subscribed=1 gets=1 patches=1 notices=2 pings=1 lost=2 ended=1");
}

static void client_named_by_a_fault_is_no_other(void **state)
{
    static const char *const others[] = { "d", "d:m", "d/", "d/n", "d/m/", "e/m" };
    struct client_fixture *f = *state;
    char line[32];
    struct peer peer;

    open_peer(&peer, f);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(line, sizeof line, "%s drop", others[i]);
        fault(f, line, "ok 0");
    }
    fault(f, "* wipe-session", "ok 1");
    peer_close(&peer);
    connect_peer(&peer, f, false, false); /* it was wiped */
    peer_close(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(client_answer_kept_back_comes_at_its_time),
        TEST(client_connack_kept_back_has_nothing_before_it),
        TEST(client_that_is_dropped_forgets_what_was_kept_back),
        TEST(client_connect_is_refused_as_often_as_asked),
        TEST(client_twin_request_answered_by_a_fault_is_not_carried_out),
        TEST(client_lost_answer_was_carried_out),
        TEST(client_notices_are_doubled_lost_and_ahead),
        TEST(client_wiped_session_is_a_new_one),
        TEST(client_session_is_wiped_of_who_is_away),
        TEST(client_half_open_neither_hears_nor_says_until_it_is_over),
        TEST(client_slow_reader_reads_again_at_its_time),
        TEST(client_bytes_that_were_sent_by_a_fault_may_be_acknowledged),
        TEST(client_take_frame_cuts_and_gathers),
        TEST(client_tick_output_that_waits_for_the_network_gives_no_deadline_in_the_past),
        TEST(client_packets_before_a_late_connack_are_answered_behind_it),
        TEST(client_connack_later_than_the_keepalive_is_sent),
        TEST(client_violation_before_a_late_connack_ends_it_behind_that),
        TEST(client_output_without_room_cuts_whoever_filled_it),
        TEST(client_kept_back_answers_count_as_output),
        TEST(client_is_dropped_behind_as_many_packets_as_asked),
        TEST(client_goodbye_is_not_gathered),
        TEST(client_counts_what_status_shows),
        TEST(client_named_by_a_fault_is_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
