/* Clients of hubsim that are out of order.
 *
 * Input: a script: what a client, the clock and the back end do next (enum step). Demanded: what
 * the hub answers is MQTT 3.1.1 of a server; a client that is over stays silent; its output
 * stays within its limit; and afterwards a good client signs in and gets the twin. */
#include "tests/sim/hubsim/client.h"

#include "bridge/mqtt.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/test_hubsim_fixture.h"

#include <errno.h>

enum step {
    STEP_BYTES,     /* anything */
    STEP_CONNECT,   /* a good one */
    STEP_SUBSCRIBE, /* to the twin's topics */
    STEP_GET,
    STEP_REPORT,  /* a reported patch of any text */
    STEP_PUBLISH, /* any topic and payload, any quality of service */
    STEP_ACKNOWLEDGE,
    STEP_TIME,    /* to the next deadline */
    STEP_DESIRED, /* the back end patches */
    STEP_AGAIN,   /* a new connection, the old one stays */
    STEP_COUNT,
};

enum { STEPS_MAX = 100, CLIENTS = 2 };

struct peer {
    struct client *client;
    struct mqtt_reader reader;
    uint64_t deadline_ms;
    bool over;
    unsigned granted; /* SUBACKs, CONNACK 0 and answers to gets seen */
};

struct world {
    struct hub_fixture base;
    struct identity module;
    struct peer peers[CLIENTS];
    size_t peer; /* who acts */
};

static void on_wake(void *data)
{
    (void)data;
}

static void read_packet(struct peer *p, const struct mqtt_packet *packet)
{
    struct mqtt_publish publish;
    bool session_present;
    const uint8_t *codes;
    uint16_t packet_id;
    uint8_t code;
    size_t count;

    switch (packet->type) {
    case MQTT_CONNACK:
        FUZZ_REQUIRE(mqtt_parse_connack(packet, &session_present, &code) == 0);
        p->granted += code == 0;
        break;
    case MQTT_PUBLISH:
        FUZZ_REQUIRE(mqtt_parse_publish(packet, &publish) == 0);
        if (publish.topic.length > 22 &&
            memcmp(publish.topic.text, "$iothub/twin/res/200/?", 22) == 0)
            p->granted++;
        break;
    case MQTT_PUBACK:
        FUZZ_REQUIRE(mqtt_parse_puback(packet, &packet_id) == 0);
        break;
    case MQTT_SUBACK:
        FUZZ_REQUIRE(mqtt_parse_suback(packet, &packet_id, &codes, &count) == 0);
        p->granted++;
        break;
    default:
        FUZZ_REQUIRE(packet->type == MQTT_PINGRESP || packet->type == MQTT_UNSUBACK);
        break;
    }
}

static void read_output(struct peer *p)
{
    struct buf *output = client_output(p->client);
    struct mqtt_packet packet;

    FUZZ_REQUIRE(output->length <= CLIENT_OUTPUT_MAX);
    FUZZ_REQUIRE(!p->over || output->length == 0);
    p->over = client_is_over(p->client);
    FUZZ_REQUIRE(mqtt_reader_feed(&p->reader, output->bytes, output->length) == 0);
    buf_consume(output, output->length);
    for (;;) {
        int rc = mqtt_reader_next(&p->reader, &packet);

        FUZZ_REQUIRE(rc == 0 || rc == -EAGAIN);
        if (rc != 0)
            break;
        read_packet(p, &packet);
    }
}

static void peer_open(struct world *w)
{
    struct peer *p = &w->peers[w->peer];

    if (client_new(&p->client, w->base.hub, w->base.now_ms, on_wake, p) != 0)
        abort();
    mqtt_reader_init(&p->reader, MQTT_PACKET_MAX);
}

static void peer_close(struct peer *p)
{
    client_free(p->client);
    mqtt_reader_done(&p->reader);
    *p = (struct peer){ 0 };
}

static void tick(struct world *w)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (w->peers[i].client == NULL)
            continue;
        w->peers[i].deadline_ms = client_tick(w->peers[i].client, w->base.now_ms);
        read_output(&w->peers[i]);
    }
}

static void say(struct world *w, const void *bytes, size_t length)
{
    uint8_t *copy = fuzz_copy(bytes, length, 0);

    client_receive(w->peers[w->peer].client, copy, length, w->base.now_ms);
    free(copy);
    tick(w);
}

static void say_packet(struct world *w, struct buf *packet)
{
    if (packet->error == 0)
        say(w, packet->bytes, packet->length);
    buf_done(packet);
}

static void connect_good(struct world *w)
{
    char token[SAS_TOKEN_MAX];
    const struct mqtt_connect connect = {
        .client_id = "d/m",
        .username = FIXTURE_HOST "/d/m/?api-version=2021-04-12",
        .password = token,
        .keepalive_s = 60,
    };
    struct buf packet;

    FUZZ_REQUIRE(sas_token(token, sizeof token, FIXTURE_HOST "/devices/d/modules/m",
                           w->module.primary_key, NULL, w->base.wall_ms / 1000 + 3600) == 0);
    buf_init(&packet, MQTT_PACKET_MAX);
    mqtt_write_connect(&packet, &connect);
    say_packet(w, &packet);
}

static void subscribe(struct world *w)
{
    static const char *const filters[] = { "$iothub/twin/res/#",
                                           "$iothub/twin/PATCH/properties/desired/#" };
    struct buf packet;

    buf_init(&packet, MQTT_PACKET_MAX);
    mqtt_write_subscribe(&packet, 1, filters, 2, 1);
    say_packet(w, &packet);
}

static void publish(struct world *w, const char *topic, uint8_t qos, struct fuzz_script body)
{
    struct buf packet;

    buf_init(&packet, MQTT_PACKET_MAX);
    mqtt_write_publish(&packet, topic, qos, qos == 0 ? 0 : 7, body.bytes, body.length);
    say_packet(w, &packet);
}

static void any_publish(struct world *w, struct fuzz_script *script)
{
    static const char *const starts[] = { "", "$iothub/twin/", "devices/d/modules/m/", "$iothub/" };
    uint8_t how = fuzz_byte(script);
    struct fuzz_script rest = fuzz_take(script, fuzz_byte(script));
    struct fuzz_script body = fuzz_take(script, fuzz_byte(script));
    char *end = fuzz_copy(rest.bytes, rest.length, 1);
    char topic[400];

    snprintf(topic, sizeof topic, "%s%s", starts[how % 4], end);
    free(end);
    publish(w, topic, how / 4 % 3, body);
}

static void desired(struct world *w, struct fuzz_script *script)
{
    struct fuzz_script body = fuzz_take(script, fuzz_byte(script));
    struct err err = { "" };
    cJSON *tree = NULL;

    if (json_parse(&tree, (const char *)body.bytes, body.length) != 0)
        return;
    (void)hub_write_twin(w->base.hub, "d", "m", body.length % 2 == 0 ? HUB_PATCH : HUB_REPLACE,
                         tree, NULL, &err);
    cJSON_Delete(tree);
    tick(w);
}

static void take_step(struct world *w, struct fuzz_script *script)
{
    static const char get[] = "$iothub/twin/GET/?$rid=1";
    static const char reported[] = "$iothub/twin/PATCH/properties/reported/?$rid=2";
    struct peer *p = &w->peers[w->peer];
    struct fuzz_script taken;

    switch ((enum step)(fuzz_byte(script) % STEP_COUNT)) {
    case STEP_BYTES:
        taken = fuzz_take(script, fuzz_byte(script));
        say(w, taken.bytes, taken.length);
        break;
    case STEP_CONNECT:
        connect_good(w);
        break;
    case STEP_SUBSCRIBE:
        subscribe(w);
        break;
    case STEP_GET:
        publish(w, get, 0, (struct fuzz_script){ NULL, 0 });
        break;
    case STEP_REPORT:
        publish(w, reported, 0, fuzz_take(script, fuzz_byte(script)));
        break;
    case STEP_PUBLISH:
        any_publish(w, script);
        break;
    case STEP_ACKNOWLEDGE:
        say(w, "\x40\x02\x00\x01", 4);
        break;
    case STEP_TIME:
        if (p->deadline_ms > w->base.now_ms) {
            w->base.wall_ms += (int64_t)(p->deadline_ms - w->base.now_ms);
            w->base.now_ms = p->deadline_ms;
        }
        tick(w);
        break;
    case STEP_DESIRED:
        desired(w, script);
        break;
    case STEP_AGAIN:
        w->peer = (w->peer + 1) % CLIENTS;
        peer_close(&w->peers[w->peer]);
        peer_open(w);
        break;
    case STEP_COUNT:
        break;
    }
}

/* Whoever comes next is served. */
static void require_service(struct world *w)
{
    w->peer = (w->peer + 1) % CLIENTS;
    peer_close(&w->peers[w->peer]);
    peer_open(w);
    connect_good(w);
    subscribe(w);
    publish(w, "$iothub/twin/GET/?$rid=9", 0, (struct fuzz_script){ NULL, 0 });
    FUZZ_REQUIRE(w->peers[w->peer].granted >= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    static struct world world;

    memset(&world, 0, sizeof world);
    fixture_open(&world.base);
    fixture_create(&world.base, "d", "");
    world.module = fixture_create(&world.base, "d", "m");
    peer_open(&world);
    for (int i = 0; i < STEPS_MAX && script.length > 0; i++)
        take_step(&world, &script);
    require_service(&world);
    for (size_t i = 0; i < CLIENTS; i++)
        peer_close(&world.peers[i]);
    fixture_close(&world.base);
    return 0;
}
