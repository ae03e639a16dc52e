/* One MQTT connection.
 *
 * Happy path: CONNECT -> signed in -> session restored -> CONNACK -> SUBSCRIBE, twin gets and
 * reported patches answered, desired changes told, until DISCONNECT. Fails when: the peer breaks a
 * rule, is silent for 1.5 times its keepalive, its token ends, another connection of the identity
 * comes, or it does not read. All end in `over`; nothing is repaired. */
#include "tests/sim/hubsim/client.h"

#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/mqtt_server.h"
#include "tests/sim/hubsim/topics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state { NEW, OPEN, OVER };

struct client {
    struct hub_client as_client; /* what the hub holds; client_of() finds back */
    struct hub *hub;
    void (*wake)(void *data);
    void *data;
    enum state state;
    bool attached;
    bool clean_session;
    struct mqtt_reader reader;
    struct buf output;
    struct registry_session session;
    uint64_t silence_ms; /* the longest one allowed */
    uint64_t silent_at;  /* when it will have lasted that long; also for CONNECT and goodbye */
    uint64_t expires_at; /* when the token ends; 0 before CONNECT */
};

static struct client *client_of(struct hub_client *as_client)
{
    return (struct client *)((char *)as_client - offsetof(struct client, as_client));
}

/* "device/module", for people. */
static void print_name(const struct client *client, char out[2 * AUTH_ID_MAX])
{
    const char *module_id = client->as_client.module_id;

    snprintf(out, 2 * AUTH_ID_MAX, "%s%s%s", client->as_client.device_id,
             module_id[0] != 0 ? "/" : "", module_id);
}

static void detach(struct client *client)
{
    if (client->attached)
        hub_detach(client->hub, &client->as_client);
    client->attached = false;
}

/* No more is taken in; what stands in the output has a little time to leave. */
static void end(struct client *client, uint64_t now_ms)
{
    if (client->state == OVER)
        return;
    detach(client);
    client->state = OVER;
    client->silent_at = now_ms + CLIENT_GOODBYE_MS;
}

/* Ended because the peer broke a rule or let a time pass. */
static void fail(struct client *client, const char *why)
{
    char name[2 * AUTH_ID_MAX];

    print_name(client, name);
    hub_note(client->hub, "%s: closed: %s", name[0] != 0 ? name : "a client without a name", why);
    end(client, env_now_ms(hub_env(client->hub)));
}

/* Ended at once, nothing more is sent. */
static void cut(struct client *client, const char *why)
{
    fail(client, why);
    buf_clear(&client->output);
}

/* ---- what others do ---- */

static void on_drop(struct hub_client *as_client, const char *why)
{
    struct client *client = client_of(as_client);

    client->attached = false; /* the hub let go already */
    cut(client, why);
    client->wake(client->data);
}

static bool has_subscribed(const struct client *client, const char *filter)
{
    for (size_t i = 0; i < client->session.count; i++) {
        if (strcmp(client->session.filters[i].filter, filter) == 0)
            return true;
    }
    return false;
}

static void on_desired(struct hub_client *as_client, int64_t version, const char *patch,
                       size_t length)
{
    struct client *client = client_of(as_client);
    char topic[96];

    if (!has_subscribed(client, TOPICS_DESIRED))
        return;
    snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/desired/?$version=%lld",
             (long long)version);
    if (mqtt_write_publish(&client->output, topic, 0, 0, patch, length) != 0)
        cut(client, "it does not read what it is sent");
    client->wake(client->data);
}

/* ---- new and free ---- */

int client_new(struct client **out, struct hub *hub, uint64_t now_ms, void (*wake)(void *data),
               void *data)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return -ENOMEM;
    client->as_client.desired = on_desired;
    client->as_client.drop = on_drop;
    client->hub = hub;
    client->wake = wake;
    client->data = data;
    client->silent_at = now_ms + CLIENT_CONNECT_MS;
    mqtt_reader_init(&client->reader, MQTT_PACKET_MAX);
    buf_init(&client->output, CLIENT_OUTPUT_MAX);
    *out = client;
    return 0;
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    detach(client);
    mqtt_reader_done(&client->reader);
    buf_done(&client->output);
    free(client);
}

struct buf *client_output(struct client *client)
{
    return &client->output;
}

bool client_is_over(const struct client *client)
{
    return client->state == OVER;
}

/* ---- CONNECT ---- */

static uint64_t allowed_silence_ms(uint16_t keepalive_s)
{
    uint64_t silence_ms = (uint64_t)keepalive_s * 1500; /* 1.5 times, 3.1.2.10 */

    return keepalive_s == 0 || silence_ms > CLIENT_KEEPALIVE_MS ? CLIENT_KEEPALIVE_MS : silence_ms;
}

static void refuse(struct client *client, const struct mqtt_server_connect *connect,
                   enum mqtt_server_code code, const char *why)
{
    int shown = connect->client_id.length < 260 ? (int)connect->client_id.length : 260;

    hub_note(client->hub, "%.*s: refused (%d): %s", shown, connect->client_id.text, (int)code, why);
    mqtt_server_write_connack(&client->output, false, code);
    end(client, env_now_ms(hub_env(client->hub)));
}

/* The session that was kept, or a new one (rule 5). */
static int open_session(struct client *client, bool *present)
{
    const struct hub_client *who = &client->as_client;
    int rc;

    *present = false;
    client->session.count = 0;
    if (client->clean_session)
        return hub_delete_session(client->hub, who->device_id, who->module_id);
    rc = hub_get_session(client->hub, who->device_id, who->module_id, &client->session);
    if (rc == -ENOENT)
        return hub_put_session(client->hub, who->device_id, who->module_id, &client->session);
    *present = rc == 0;
    return rc;
}

static enum topics_kind kind_of(const struct client *client, struct mqtt_text topic,
                                struct topics_request *out)
{
    return topics_read(topic, client->as_client.device_id, client->as_client.module_id, out);
}

static void accept(struct client *client, const struct mqtt_server_connect *connect,
                   const struct auth_username *name, int64_t left_ms, uint64_t now_ms)
{
    struct topics_request request;
    bool present;

    memcpy(client->as_client.device_id, name->device_id, sizeof name->device_id);
    memcpy(client->as_client.module_id, name->module_id, sizeof name->module_id);
    client->clean_session = connect->clean_session;
    if (connect->has_will && kind_of(client, connect->will_topic, &request) != TOPICS_TELEMETRY) {
        fail(client, "its will is for a topic that is not its own");
        return;
    }
    if (open_session(client, &present) != 0) {
        refuse(client, connect, MQTT_SERVER_UNAVAILABLE, "its session cannot be read");
        return;
    }
    client->state = OPEN;
    client->silence_ms = allowed_silence_ms(connect->keepalive_s);
    client->silent_at = now_ms + client->silence_ms;
    client->expires_at = now_ms + (uint64_t)left_ms;
    client->attached = true;
    hub_attach(client->hub, &client->as_client); /* drops an older connection first (rule 4) */
    mqtt_server_write_connack(&client->output, present, MQTT_SERVER_ACCEPTED);
}

static void on_connect(struct client *client, const struct mqtt_packet *packet, uint64_t now_ms)
{
    struct mqtt_server_connect connect = { .client_id = { "a client", 8 } };
    struct auth_username name;
    struct err err = { "" };
    int64_t expiry_ms;
    int rc = mqtt_server_parse_connect(packet, &connect);

    if (rc == -EPROTONOSUPPORT) {
        refuse(client, &connect, MQTT_SERVER_WRONG_PROTOCOL, "not MQTT 3.1.1");
        return;
    }
    if (rc != 0) {
        fail(client, "its CONNECT is malformed");
        return;
    }
    const struct access_credentials credentials = {
        connect.client_id.text,  connect.client_id.length, connect.username.text,
        connect.username.length, connect.password.text,    connect.password.length,
    };
    rc = access_sign_in(hub_access(client->hub), &credentials, &name, &expiry_ms, &err);
    if (rc == 0)
        accept(client, &connect, &name, expiry_ms - env_wall_ms(hub_env(client->hub)), now_ms);
    else
        refuse(client, &connect,
               rc == -EACCES ? MQTT_SERVER_NOT_AUTHORISED : MQTT_SERVER_UNAVAILABLE, err.msg);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static size_t find_filter(const struct client *client, struct mqtt_text filter)
{
    size_t i = 0;

    while (i < client->session.count && !topics_equal(filter, client->session.filters[i].filter))
        i++;
    return i;
}

static int save_session(struct client *client)
{
    const struct hub_client *who = &client->as_client;

    return client->clean_session
               ? 0
               : hub_put_session(client->hub, who->device_id, who->module_id, &client->session);
}

/* Adds the filter or sets its new quality of service. The allow list is shorter than the session.
 */
static void add_filter(struct client *client, struct mqtt_text filter, uint8_t qos)
{
    size_t i = find_filter(client, filter);

    if (i == REGISTRY_FILTERS_MAX)
        return;
    snprintf(client->session.filters[i].filter, sizeof client->session.filters[i].filter, "%.*s",
             (int)filter.length, filter.text);
    client->session.filters[i].qos = qos;
    if (i == client->session.count)
        client->session.count++;
}

static void on_subscribe(struct client *client, const struct mqtt_packet *packet)
{
    struct mqtt_server_filters filters;
    struct mqtt_text filter;
    struct buf codes;
    uint16_t packet_id;
    uint8_t qos;

    if (mqtt_server_parse_filters(packet, &packet_id, &filters) != 0) {
        fail(client, "its SUBSCRIBE is malformed");
        return;
    }
    buf_init(&codes, MQTT_PACKET_MAX);
    while (mqtt_server_next_filter(&filters, &filter, &qos)) {
        if (!topics_may_subscribe(filter, client->as_client.device_id,
                                  client->as_client.module_id)) {
            fail(client, "it subscribes to a topic that the hub does not have for it");
            buf_done(&codes);
            return;
        }
        qos = qos > 1 ? 1 : qos;
        add_filter(client, filter, qos);
        buf_add_byte(&codes, qos);
    }
    if (codes.error != 0 || save_session(client) != 0)
        fail(client, "its session cannot be stored");
    else
        mqtt_server_write_suback(&client->output, packet_id, codes.bytes, codes.length);
    buf_done(&codes);
}

static void on_unsubscribe(struct client *client, const struct mqtt_packet *packet)
{
    struct mqtt_server_filters filters;
    struct mqtt_text filter;
    uint16_t packet_id;
    uint8_t qos;

    if (mqtt_server_parse_filters(packet, &packet_id, &filters) != 0) {
        fail(client, "its UNSUBSCRIBE is malformed");
        return;
    }
    while (mqtt_server_next_filter(&filters, &filter, &qos)) {
        size_t i = find_filter(client, filter);

        if (i < client->session.count)
            client->session.filters[i] = client->session.filters[--client->session.count];
    }
    if (save_session(client) != 0)
        fail(client, "its session cannot be stored");
    else
        mqtt_server_write_unsuback(&client->output, packet_id);
}

/* ---- PUBLISH ---- */

/* Answers on $iothub/twin/res/STATUS/?$rid=RID[&$version=N], if the client listens there (rule 13).
 */
static void respond(struct client *client, int status, struct mqtt_text rid, int64_t version,
                    const struct buf *body)
{
    struct buf topic;

    if (!has_subscribed(client, TOPICS_RESPONSES))
        return;
    buf_init(&topic, 1024);
    buf_printf(&topic, "$iothub/twin/res/%d/?$rid=%.*s", status, (int)rid.length, rid.text);
    if (version >= 0)
        buf_printf(&topic, "&$version=%lld", (long long)version);
    if (topic.error != 0)
        fail(client, "its request id is too long");
    else
        mqtt_write_publish(&client->output, buf_text(&topic), 0, 0, body->bytes, body->length);
    buf_done(&topic);
}

/* The status and the error code of section 7.6 for what became of a twin request. */
static void respond_error(struct client *client, struct mqtt_text rid, int rc, const char *why)
{
    const struct env *env = hub_env(client->hub);
    char stamp[STAMP_MAX];
    struct buf body;
    int status = 500, code = 500001;

    if (rc == -EINVAL || rc == -EFBIG || rc == -EBADMSG || rc == -ERANGE) {
        status = 400;
        code = 400004;
    } else if (rc == -ESTALE) {
        status = 412;
        code = 412001;
    } else if (rc == -ENOENT) {
        status = 404;
        code = client->as_client.module_id[0] != 0 ? 404010 : 404001;
    }
    stamp_print(env_wall_ms(env), stamp);
    buf_init(&body, 4096);
    buf_printf(
        &body,
        "{\"errorCode\":%d,\"trackingId\":\"%08x%08x%08x%08x-G:0-TimeStamp:%s\",\"message\":", code,
        (unsigned)env_random_u32(env), (unsigned)env_random_u32(env), (unsigned)env_random_u32(env),
        (unsigned)env_random_u32(env), stamp);
    json_print_text(&body, why);
    buf_printf(&body, ",\"timestampUtc\":\"%s\"}", stamp);
    respond(client, status, rid, -1, &body);
    buf_done(&body);
}

static void on_get(struct client *client, struct mqtt_text rid)
{
    struct buf body;
    struct twin twin;
    int rc = hub_get_twin(client->hub, client->as_client.device_id, client->as_client.module_id,
                          &twin);

    if (rc != 0) {
        respond_error(client, rid, rc, "the twin cannot be read");
        return;
    }
    buf_init(&body, CLIENT_OUTPUT_MAX);
    twin_print_for_module(&body, &twin);
    if (body.error == 0)
        respond(client, 200, rid, -1, &body);
    else
        respond_error(client, rid, body.error, "the twin cannot be printed");
    buf_done(&body);
    twin_done(&twin);
}

static void on_reported(struct client *client, const struct topics_request *request,
                        const struct mqtt_publish *publish)
{
    const struct buf nothing = { 0 };
    struct err err = { "the reported properties are not JSON that a twin can hold" };
    cJSON *patch = NULL;
    int64_t version;
    int rc = request->base_is_a_number ? 0 : -EINVAL;

    if (rc == 0 && publish->payload_length > CLIENT_PATCH_MAX)
        rc = -EFBIG;
    if (rc == 0)
        rc = json_parse(&patch, (const char *)publish->payload, publish->payload_length);
    if (rc == 0)
        rc = hub_report(client->hub, client->as_client.device_id, client->as_client.module_id,
                        patch, request->base, &version, &err);
    cJSON_Delete(patch);
    if (rc == 0)
        respond(client, 204, request->rid, version, &nothing);
    else
        respond_error(client, request->rid, rc, err.msg);
}

static void on_publish(struct client *client, const struct mqtt_packet *packet)
{
    struct topics_request request;
    struct mqtt_publish publish;
    enum topics_kind kind;

    if (mqtt_parse_publish(packet, &publish) != 0) {
        fail(client, "its PUBLISH is malformed");
        return;
    }
    if (publish.qos > 1) {
        fail(client, "it publishes with quality of service 2");
        return;
    }
    kind = kind_of(client, publish.topic, &request);
    if (kind == TOPICS_FORBIDDEN) {
        fail(client, "it publishes to a topic that the hub does not have for it");
        return;
    }
    if (publish.qos == 1)
        mqtt_write_puback(&client->output, publish.packet_id);
    /* Telemetry and late answers to methods are taken and let go: nobody reads them here. */
    if (kind == TOPICS_TWIN_GET)
        on_get(client, request.rid);
    else if (kind == TOPICS_TWIN_REPORTED)
        on_reported(client, &request, &publish);
}

/* ---- all packets ---- */

static void on_packet(struct client *client, const struct mqtt_packet *packet, uint64_t now_ms)
{
    if ((client->state == NEW) != (packet->type == MQTT_CONNECT)) {
        fail(client, client->state == NEW ? "its first packet is not CONNECT" : "a second CONNECT");
        return;
    }
    switch (packet->type) {
    case MQTT_CONNECT:
        on_connect(client, packet, now_ms);
        break;
    case MQTT_SUBSCRIBE:
        on_subscribe(client, packet);
        break;
    case MQTT_UNSUBSCRIBE:
        on_unsubscribe(client, packet);
        break;
    case MQTT_PUBLISH:
        on_publish(client, packet);
        break;
    case MQTT_PINGREQ:
        mqtt_server_write_pingresp(&client->output);
        break;
    case MQTT_DISCONNECT:
        end(client, now_ms);
        break;
    default: /* the hub sends nothing that these could answer */
        fail(client, "a packet that a client has no reason to send");
    }
}

void client_receive(struct client *client, const uint8_t *bytes, size_t length, uint64_t now_ms)
{
    struct mqtt_packet packet;
    int rc;

    if (client->state == OVER)
        return;
    rc = mqtt_reader_feed(&client->reader, bytes, length);
    while (rc == 0 && client->state != OVER) {
        rc = mqtt_reader_next(&client->reader, &packet);
        if (rc != 0)
            break;
        if (client->state == OPEN)
            client->silent_at = now_ms + client->silence_ms;
        on_packet(client, &packet, now_ms);
        if (client->output.error != 0)
            cut(client, "it does not read what it is sent");
    }
    if (rc != 0 && rc != -EAGAIN)
        fail(client, rc == -ENOSPC ? "a packet larger than 256 KB" : "what it sends is not MQTT");
}

uint64_t client_tick(struct client *client, uint64_t now_ms)
{
    if (client->state == OVER) {
        if (now_ms >= client->silent_at)
            buf_clear(&client->output);
        return client->output.length > 0 ? client->silent_at : 0;
    }
    if (client->state == OPEN && now_ms >= client->expires_at)
        cut(client, "its token has expired");
    else if (now_ms >= client->silent_at)
        cut(client,
            client->state == NEW ? "no CONNECT within 60 s" : "silent for 1.5 times its keepalive");
    if (client->state == OVER)
        return 0;
    if (client->state == OPEN && client->expires_at < client->silent_at)
        return client->expires_at;
    return client->silent_at;
}
