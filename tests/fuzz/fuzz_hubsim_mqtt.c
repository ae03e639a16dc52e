/* Clients of hubsim that are out of order.
 *
 * Input: a script: what a client, the clock, the back end and the faults do next (enum step). Demanded:
 * what the hub answers is MQTT 3.1.1 of a server, CONNACK first; a client that is over stays silent; its output
 * stays within its limit; only messages for devices want a PUBACK; every call of a method ends once;
 * every message that is kept is whole; and afterwards a good client signs in and gets the twin. */
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
    STEP_SIGN_IN, /* a good one of the device or the module, with or without a will */
    STEP_LISTEN,  /* to all that the identity may */
    STEP_CALL,    /* the back end calls a method */
    STEP_ANSWER,  /* to a method: the newest or any */
    STEP_TELEMETRY,
    STEP_SEND,   /* the back end sends a message to the device */
    STEP_SETTLE, /* the oldest message that was heard */
    STEP_LEAVE,  /* DISCONNECT */
    STEP_COUNT,
    STEP_FAULT = 0xf0, /* and all bytes behind: a line to the control address */
};

enum { STEPS_MAX = 100, CLIENTS = 2, HEARD_MAX = 64 };

struct peer {
    struct client *client;
    struct mqtt_reader reader;
    uint64_t deadline_ms;
    bool over, greeted;
    unsigned granted;          /* SUBACKs, CONNACK 0 and answers to gets seen */
    bool device;               /* what it signed in as at last */
    char rid[16];              /* of the newest method call that it heard */
    uint16_t heard[HEARD_MAX]; /* messages that want a PUBACK */
    size_t heard_count;
};

struct world {
    struct hub_fixture base;
    struct identity device, module;
    unsigned called, done; /* methods */
    struct peer peers[CLIENTS];
    size_t peer; /* who acts */
};

static void on_wake(void *data)
{
    (void)data;
}

static bool begins(struct mqtt_text text, const char *with)
{
    return text.length >= strlen(with) && memcmp(text.text, with, strlen(with)) == 0;
}

static void read_publish(struct peer *p, const struct mqtt_publish *publish)
{
    static const char call[] = "$iothub/methods/POST/";

    FUZZ_REQUIRE(publish->qos <= 1 && !publish->retain);
    FUZZ_REQUIRE(publish->qos == 1 || !publish->duplicate);
    if (publish->qos == 1) {
        FUZZ_REQUIRE(p->device && begins(publish->topic, "devices/d/messages/devicebound/"));
        for (size_t i = 0; i < p->heard_count; i++) {
            if (p->heard[i] != publish->packet_id)
                continue;
            FUZZ_REQUIRE(publish->duplicate); /* not acknowledged for a minute */
            return;
        }
        FUZZ_REQUIRE(p->heard_count < HEARD_MAX);
        p->heard[p->heard_count++] = publish->packet_id;
    }
    if (begins(publish->topic, "$iothub/twin/res/200/?"))
        p->granted++;
    if (begins(publish->topic, call)) {
        const char *rid = memmem(publish->topic.text, publish->topic.length, "/?$rid=", 7);

        FUZZ_REQUIRE(rid != NULL);
        snprintf(p->rid, sizeof p->rid, "%.*s",
                 (int)(publish->topic.text + publish->topic.length - rid - 7), rid + 7);
    }
}

static void read_packet(struct peer *p, const struct mqtt_packet *packet)
{
    struct mqtt_publish publish;
    bool session_present;
    const uint8_t *codes;
    uint16_t packet_id;
    uint8_t code;
    size_t count;

    FUZZ_REQUIRE(p->greeted != (packet->type == MQTT_CONNACK));
    p->greeted = true;
    switch (packet->type) {
    case MQTT_CONNACK:
        FUZZ_REQUIRE(mqtt_parse_connack(packet, &session_present, &code) == 0);
        p->granted += code == 0;
        break;
    case MQTT_PUBLISH:
        FUZZ_REQUIRE(mqtt_parse_publish(packet, &publish) == 0);
        read_publish(p, &publish);
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
    (void)hub_tick(w->base.hub, w->base.now_ms);
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

/* ---- signing in with everything ---- */

static void write_connect(struct buf *packet, const char *name, const char *token, uint8_t flags,
                          struct fuzz_script will)
{
    const uint8_t rest[] = { 4, flags, 0, 60 };
    char text[400], *bag = fuzz_copy(will.bytes, will.length, 1);
    struct buf body;

    buf_init(&body, MQTT_PACKET_MAX);
    mqtt_write_text(&body, "MQTT");
    buf_add(&body, rest, sizeof rest);
    mqtt_write_text(&body, name);
    if ((flags & 4) != 0) {
        snprintf(text, sizeof text, "devices/%s/messages/events/%s",
                 strcmp(name, "d") == 0 ? "d" : "d/modules/m", bag);
        if (mqtt_write_text(&body, text) != 0) { /* not UTF-8: the writer does not, a peer may */
            buf_add(&body, "\0\1\xff", 3);
        }
        mqtt_write_text(&body, "gone");
    }
    free(bag);
    snprintf(text, sizeof text, FIXTURE_HOST "/%s/?api-version=2021-04-12&model-id=dtmi:x;1", name);
    mqtt_write_text(&body, text);
    mqtt_write_text(&body, token);
    buf_init(packet, MQTT_PACKET_MAX);
    mqtt_write_header(packet, MQTT_CONNECT, 0, body.length);
    buf_add(packet, body.bytes, body.length);
    buf_done(&body);
}

static void sign_in(struct world *w, struct fuzz_script *script)
{
    struct peer *p = &w->peers[w->peer];
    uint8_t how = fuzz_byte(script);
    struct fuzz_script will = fuzz_take(script, (how & 4) != 0 ? fuzz_byte(script) : 0);
    uint8_t flags = (uint8_t)(0xc0 | (how & 2) | (how & 4) | ((how & 4) != 0 ? how & 0x38 : 0));
    bool device = (how & 1) != 0;
    char token[SAS_TOKEN_MAX];
    struct buf packet;

    FUZZ_REQUIRE(sas_token(token, sizeof token,
                           device ? FIXTURE_HOST "/devices/d" : FIXTURE_HOST "/devices/d/modules/m",
                           device ? w->device.primary_key : w->module.primary_key, NULL,
                           w->base.wall_ms / 1000 + 3600) == 0);
    if (p->granted == 0 && !p->over)
        p->device = device;
    write_connect(&packet, device ? "d" : "d/m", token, flags, will);
    say_packet(w, &packet);
}

static void listen_to_all(struct world *w, uint8_t qos)
{
    const char *const filters[] = { "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
                                    "$iothub/methods/POST/#",
                                    w->peers[w->peer].device ? "devices/d/messages/devicebound/#"
                                                             : "devices/d/modules/m/#" };
    struct buf packet;

    buf_init(&packet, MQTT_PACKET_MAX);
    mqtt_write_subscribe(&packet, 1, filters, 4, qos);
    say_packet(w, &packet);
}

/* ---- the back end ---- */

static void on_done(void *data, int rc, int status, const char *payload, size_t length)
{
    FUZZ_REQUIRE(rc <= 0 && (rc == 0 || (status == 0 && length == 0)));
    FUZZ_REQUIRE(payload != NULL && length <= HUB_METHOD_MAX);
    ++*(unsigned *)data;
}

static void call(struct world *w, struct fuzz_script *script)
{
    uint8_t how = fuzz_byte(script);
    struct fuzz_script text = fuzz_take(script, fuzz_byte(script));
    char *name = fuzz_copy(text.bytes, text.length, 1);
    const struct hub_method method = {
        .device_id = "d",
        .module_id = (how & 1) != 0 ? "" : "m",
        .name = (how & 2) != 0 ? name : "reboot",
        .payload = "{}",
        .payload_length = how & 2,
        .connect_timeout_s = how >> 4,
        .response_timeout_s = 5,
    };
    struct hub_call *made;
    unsigned before = w->done;

    if (hub_call_method(w->base.hub, &method, on_done, &w->done, &made) == 0) {
        FUZZ_REQUIRE(w->done == before);
        w->called++;
        if ((how & 4) != 0) {
            hub_forget_call(w->base.hub, made);
            w->called--;
        }
    }
    free(name);
    tick(w);
}

static void send_message(struct world *w, struct fuzz_script *script)
{
    struct fuzz_script name = fuzz_take(script, fuzz_byte(script) % 32);
    struct fuzz_script body = fuzz_take(script, fuzz_byte(script));
    char *text = fuzz_copy(name.bytes, name.length, 1);
    const struct bag_property property = { text, body.length % 2 != 0 ? text : NULL, false };
    const struct hub_message message = { .properties = &property,
                                         .property_count = mqtt_utf8_valid(text, strlen(text)),
                                         .body = body.bytes,
                                         .length = body.length };

    (void)hub_send_message(w->base.hub, "d", &message, 1 + (uint32_t)body.length);
    free(text);
    tick(w);
}

static void answer(struct world *w, struct fuzz_script *script)
{
    uint8_t how = fuzz_byte(script);
    struct fuzz_script body = fuzz_take(script, fuzz_byte(script));
    char topic[96];

    if ((how & 1) != 0)
        snprintf(topic, sizeof topic, "$iothub/methods/res/%d/?$rid=%x", how - 100, how >> 4);
    else
        snprintf(topic, sizeof topic, "$iothub/methods/res/200/?$rid=%s", w->peers[w->peer].rid);
    publish(w, topic, how >> 1 & 1, body);
}

static void telemetry(struct world *w, struct fuzz_script *script)
{
    uint8_t how = fuzz_byte(script);
    struct fuzz_script rest = fuzz_take(script, fuzz_byte(script));
    char *bag = fuzz_copy(rest.bytes, rest.length, 1);
    char topic[400];

    snprintf(topic, sizeof topic, "devices/d%s/messages/events/%s",
             w->peers[w->peer].device ? "" : "/modules/m", bag);
    free(bag);
    publish(w, topic, how & 1, (struct fuzz_script){ (const uint8_t *)topic, how >> 1 });
}

/* All faults that leave the stream as it is. */
static void fault(struct world *w, struct fuzz_script *script)
{
    static const char *const names[] = { "d", "d/m", "*" };
    static const char *const lines[] = {
        "ok",
        "drop",
        "drop-after 2",
        "refuse 5 1",
        "delay connack 100",
        "lose 1",
        "wipe-session",
        "half-open",
        "delay suback 7000",
        "delay answers 70000",
        "answer 429 2",
        "version gap 1",
        "version duplicate",
        "version ahead 3",
        "slow-reader 9",
        "merge 5",
        "delay connack 0",
        "clock -3000",
    };
    uint8_t how = fuzz_byte(script);
    char line[64], answer[FAULTS_ANSWER_MAX];

    snprintf(line, sizeof line, "%s %s", names[how % 3],
             lines[how / 3 % (sizeof lines / sizeof lines[0])]);
    faults_run(w->base.faults, line, answer);
    tick(w);
}

/* The oldest that was heard, so that the next may come. */
static void settle(struct world *w)
{
    struct peer *p = &w->peers[w->peer];
    struct buf packet;

    if (p->heard_count == 0)
        return;
    buf_init(&packet, 16);
    mqtt_write_puback(&packet, p->heard[0]);
    p->heard_count--;
    memmove(p->heard, p->heard + 1, p->heard_count * sizeof p->heard[0]);
    say_packet(w, &packet);
}

static void read_message(void *data, const struct hub_message *message)
{
    uint64_t *last = data;

    FUZZ_REQUIRE(message->number > *last && strcmp(message->device_id, "d") == 0);
    *last = message->number;
    for (size_t i = 0; i < message->property_count; i++) {
        const struct bag_property *p = &message->properties[i];

        FUZZ_REQUIRE(p->name[0] != 0 && mqtt_utf8_valid(p->name, strlen(p->name)));
        FUZZ_REQUIRE(p->value == NULL || mqtt_utf8_valid(p->value, strlen(p->value)));
    }
}

static void take_step(struct world *w, struct fuzz_script *script)
{
    static const char get[] = "$iothub/twin/GET/?$rid=1";
    static const char reported[] = "$iothub/twin/PATCH/properties/reported/?$rid=2";
    struct peer *p = &w->peers[w->peer];
    struct fuzz_script taken;
    uint8_t step = fuzz_byte(script);

    if (step >= STEP_FAULT) {
        fault(w, script);
        return;
    }
    switch ((enum step)(step % STEP_COUNT)) {
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
        if (p->heard_count > 0 && p->heard[0] == 1)
            settle(w);
        else
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
    case STEP_SIGN_IN:
        sign_in(w, script);
        break;
    case STEP_LISTEN:
        listen_to_all(w, fuzz_byte(script) % 3);
        break;
    case STEP_CALL:
        call(w, script);
        break;
    case STEP_ANSWER:
        answer(w, script);
        break;
    case STEP_TELEMETRY:
        telemetry(w, script);
        break;
    case STEP_SEND:
        send_message(w, script);
        break;
    case STEP_SETTLE:
        settle(w);
        break;
    case STEP_LEAVE:
        say(w, "\xe0\0", 2);
        break;
    case STEP_COUNT:
    case STEP_FAULT:
        break;
    }
}

/* Whoever comes next is served. */
static void require_service(struct world *w)
{
    char all_well[] = "* ok", answer[FAULTS_ANSWER_MAX];

    w->peer = (w->peer + 1) % CLIENTS;
    peer_close(&w->peers[w->peer]);
    peer_open(w);
    faults_run(w->base.faults, all_well, answer);
    connect_good(w);
    subscribe(w);
    publish(w, "$iothub/twin/GET/?$rid=9", 0, (struct fuzz_script){ NULL, 0 });
    FUZZ_REQUIRE(w->peers[w->peer].granted >= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    static struct world world;
    uint64_t last = 0;

    memset(&world, 0, sizeof world);
    fixture_open(&world.base);
    world.device = fixture_create(&world.base, "d", "");
    world.module = fixture_create(&world.base, "d", "m");
    peer_open(&world);
    for (int i = 0; i < STEPS_MAX && script.length > 0; i++)
        take_step(&world, &script);
    require_service(&world);
    hub_each_message(world.base.hub, 0, SIZE_MAX, read_message, &last);
    hub_tick(world.base.hub, world.base.now_ms + 60 * 1000);
    FUZZ_REQUIRE(world.done == world.called);
    for (size_t i = 0; i < CLIENTS; i++)
        peer_close(&world.peers[i]);
    fixture_close(&world.base);
    return 0;
}
