/* One MQTT connection.
 *
 * Happy path: CONNECT -> signed in -> session restored -> CONNACK -> SUBSCRIBE, twin gets and
 * reported patches answered, desired changes told, until DISCONNECT. Fails when: the peer breaks a
 * rule, is silent for 1.5 times its keepalive, its token ends, another connection of the identity
 * comes, or it does not read. All end in `over`; nothing is repaired. */
#include "tests/sim/hubsim/client_impl.h"

#include "tests/sim/hubsim/mqtt_server.h"
#include "tests/sim/hubsim/topics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct client *client_of(struct hub_client *as_client)
{
    return (struct client *)((char *)as_client - offsetof(struct client, as_client));
}

/* "device/module", for people. */
static void print_name(const struct client *client, char out[CLIENT_NAME_MAX])
{
    const char *module_id = client->as_client.module_id;

    snprintf(out, CLIENT_NAME_MAX, "%s%s%s", client->as_client.device_id,
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
    if (client->state == CLIENT_OVER)
        return;
    detach(client);
    faults_count(client->plan, FAULTS_ENDED);
    client->state = CLIENT_OVER;
    client->silent_at = now_ms + CLIENT_GOODBYE_MS;
}

void client_fail(struct client *client, const char *why)
{
    char name[CLIENT_NAME_MAX];

    print_name(client, name);
    hub_note(client->hub, "%s: closed: %s", name[0] != 0 ? name : "a client without a name", why);
    end(client, client_now(client));
}

void client_cut(struct client *client, const char *why)
{
    client_fail(client, why);
    client_forget_late(client);
    buf_clear(&client->output);
}

/* ---- what others do ---- */

static void on_drop(struct hub_client *as_client, const char *why)
{
    struct client *client = client_of(as_client);

    client->attached = false; /* the hub let go already */
    client_cut(client, why);
    client->wake(client->data);
}

bool client_has_subscribed(const struct client *client, const char *filter)
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
    unsigned times;
    int64_t ahead;
    char topic[96];

    if (!client->greeted || !client_has_subscribed(client, TOPICS_DESIRED))
        return;
    times = faults_notice(client->plan, &ahead);
    if (times == 0)
        faults_count(client->plan, FAULTS_LOST);
    snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/desired/?$version=%lld",
             (long long)(version + ahead));
    for (; times > 0; times--) {
        if (mqtt_write_publish(&client->output, topic, 0, 0, patch, length) != 0)
            client_cut(client, "it does not read what it is sent");
        faults_count(client->plan, FAULTS_NOTICES);
    }
    client->wake(client->data);
}

static void on_strike(struct hub_client *as_client, const struct faults_strike *strike)
{
    struct client *client = client_of(as_client);

    switch (strike->act) {
    case FAULTS_HALF_OPEN:
        client->half_open = true;
        break;
    case FAULTS_SLOW_READER:
        client->reads_at = client_now(client) + strike->ms;
        client->silent_at = client->reads_at + client->silence_ms;
        break;
    case FAULTS_SEND:
        client->struck = true;
        buf_add(&client->output, strike->bytes, strike->length);
        break;
    case FAULTS_RECOVER:
        client->half_open = false;
        client->reads_at = 0;
        client->silent_at = client_now(client) + client->silence_ms;
        break;
    default: /* the hub's business */
        break;
    }
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
    client->as_client.strike = on_strike;
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
    client_forget_late(client);
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
    return client->state == CLIENT_OVER;
}

bool client_reads(const struct client *client)
{
    return client->reads_at == 0;
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
    end(client, client_now(client));
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
    struct buf connack;
    bool present;

    memcpy(client->as_client.device_id, name->device_id, sizeof name->device_id);
    memcpy(client->as_client.module_id, name->module_id, sizeof name->module_id);
    client->clean_session = connect->clean_session;
    if (connect->has_will && kind_of(client, connect->will_topic, &request) != TOPICS_TELEMETRY) {
        client_fail(client, "its will is for a topic that is not its own");
        return;
    }
    if (open_session(client, &present) != 0) {
        refuse(client, connect, MQTT_SERVER_UNAVAILABLE, "its session cannot be read");
        return;
    }
    client->state = CLIENT_OPEN;
    client->silence_ms = allowed_silence_ms(connect->keepalive_s);
    client->silent_at = now_ms + client->silence_ms;
    client->expires_at = now_ms + (uint64_t)left_ms;
    client->attached = true;
    hub_attach(client->hub, &client->as_client); /* drops an older connection first (rule 4) */
    buf_init(&connack, MQTT_PACKET_MAX);
    mqtt_server_write_connack(&connack, present, MQTT_SERVER_ACCEPTED);
    client_say(client, FAULTS_CONNACK, &connack);
    buf_done(&connack);
}

/* Whether a fault has refused a client that would be let in. */
static bool refused_by_fault(struct client *client, const struct mqtt_server_connect *connect,
                             const struct auth_username *name)
{
    char text[FAULTS_IDENTITY_MAX];
    uint8_t code;

    snprintf(text, sizeof text, "%s%s%s", name->device_id, name->module_id[0] != 0 ? "/" : "",
             name->module_id);
    client->plan = faults_plan(hub_faults(client->hub), text);
    faults_count(client->plan, FAULTS_CONNECTS);
    if (!faults_refuse(client->plan, &code))
        return false;
    faults_count(client->plan, FAULTS_REFUSED);
    refuse(client, connect, (enum mqtt_server_code)code, "a fault wants it");
    return true;
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
        client_fail(client, "its CONNECT is malformed");
        return;
    }
    const struct access_credentials credentials = {
        connect.client_id.text,  connect.client_id.length, connect.username.text,
        connect.username.length, connect.password.text,    connect.password.length,
    };
    rc = access_sign_in(hub_access(client->hub), &credentials, &name, &expiry_ms, &err);
    if (rc != 0)
        refuse(client, &connect,
               rc == -EACCES ? MQTT_SERVER_NOT_AUTHORISED : MQTT_SERVER_UNAVAILABLE, err.msg);
    else if (!refused_by_fault(client, &connect, &name))
        accept(client, &connect, &name, expiry_ms - env_wall_ms(hub_env(client->hub)), now_ms);
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

/* Takes all filters over; the codes that answer them go to `codes`. False: one is not allowed. */
static bool take_filters(struct client *client, struct mqtt_server_filters *filters,
                         struct buf *codes)
{
    struct mqtt_text filter;
    uint8_t qos;

    while (mqtt_server_next_filter(filters, &filter, &qos)) {
        if (!topics_may_subscribe(filter, client->as_client.device_id, client->as_client.module_id))
            return false;
        qos = qos > 1 ? 1 : qos;
        add_filter(client, filter, qos);
        buf_add_byte(codes, qos);
    }
    return true;
}

static void on_subscribe(struct client *client, const struct mqtt_packet *packet)
{
    struct mqtt_server_filters filters;
    struct buf codes, suback;
    uint16_t packet_id;

    if (mqtt_server_parse_filters(packet, &packet_id, &filters) != 0) {
        client_fail(client, "its SUBSCRIBE is malformed");
        return;
    }
    buf_init(&codes, MQTT_PACKET_MAX);
    buf_init(&suback, MQTT_PACKET_MAX);
    if (!take_filters(client, &filters, &codes)) {
        client_fail(client, "it subscribes to a topic that the hub does not have for it");
    } else if (codes.error != 0 || save_session(client) != 0) {
        client_fail(client, "its session cannot be stored");
    } else {
        faults_count(client->plan, FAULTS_SUBSCRIBED);
        mqtt_server_write_suback(&suback, packet_id, codes.bytes, codes.length);
        client_say(client, FAULTS_SUBACK, &suback);
    }
    buf_done(&suback);
    buf_done(&codes);
}

static void on_unsubscribe(struct client *client, const struct mqtt_packet *packet)
{
    struct mqtt_server_filters filters;
    struct mqtt_text filter;
    uint16_t packet_id;
    uint8_t qos;

    if (mqtt_server_parse_filters(packet, &packet_id, &filters) != 0) {
        client_fail(client, "its UNSUBSCRIBE is malformed");
        return;
    }
    while (mqtt_server_next_filter(&filters, &filter, &qos)) {
        size_t i = find_filter(client, filter);

        if (i < client->session.count)
            client->session.filters[i] = client->session.filters[--client->session.count];
    }
    if (save_session(client) != 0)
        client_fail(client, "its session cannot be stored");
    else
        mqtt_server_write_unsuback(&client->output, packet_id);
}

/* ---- all packets ---- */

static void on_packet(struct client *client, const struct mqtt_packet *packet, uint64_t now_ms)
{
    if ((client->state == CLIENT_NEW) != (packet->type == MQTT_CONNECT)) {
        client_fail(client, client->state == CLIENT_NEW ? "its first packet is not CONNECT"
                                                        : "a second CONNECT");
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
        client_on_publish(client, packet);
        break;
    case MQTT_PINGREQ:
        faults_count(client->plan, FAULTS_PINGS);
        mqtt_server_write_pingresp(&client->output);
        break;
    case MQTT_DISCONNECT:
        end(client, now_ms);
        break;
    case MQTT_PUBACK:
        if (!client->struck) /* else a fault may have asked for it */
            client_fail(client, "a PUBACK of nothing");
        break;
    default: /* the hub sends nothing that these could answer */
        client_fail(client, "a packet that a client has no reason to send");
    }
}

void client_receive(struct client *client, const uint8_t *bytes, size_t length, uint64_t now_ms)
{
    struct mqtt_packet packet;
    int rc;

    if (client->state == CLIENT_OVER || client->half_open)
        return;
    rc = mqtt_reader_feed(&client->reader, bytes, length);
    while (rc == 0 && client->state != CLIENT_OVER) {
        rc = mqtt_reader_next(&client->reader, &packet);
        if (rc != 0)
            break;
        if (client->state == CLIENT_OPEN)
            client->silent_at = now_ms + client->silence_ms;
        on_packet(client, &packet, now_ms);
        if (client->output.error != 0)
            client_cut(client, "it does not read what it is sent");
    }
    if (rc != 0 && rc != -EAGAIN)
        client_fail(client,
                    rc == -ENOSPC ? "a packet larger than 256 KB" : "what it sends is not MQTT");
}

/* Ends one who has been there or silent for too long. */
static void judge(struct client *client, uint64_t now_ms)
{
    if (client->state == CLIENT_OPEN && now_ms >= client->expires_at)
        client_cut(client, "its token has expired");
    else if (now_ms >= client->silent_at)
        client_cut(client, client->state == CLIENT_NEW ? "no CONNECT within 60 s"
                                                       : "silent for 1.5 times its keepalive");
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return other != 0 && other < one ? other : one;
}

uint64_t client_tick(struct client *client, uint64_t now_ms)
{
    uint64_t next = client_release(client, now_ms);

    if (client->state == CLIENT_OVER) {
        if (now_ms >= client->silent_at)
            buf_clear(&client->output);
        return client->output.length > 0 ? client->silent_at : 0;
    }
    if (client->half_open) /* nobody judges who is not there */
        return 0;
    if (now_ms >= client->reads_at)
        client->reads_at = 0;
    judge(client, now_ms);
    if (client->state == CLIENT_OVER)
        return 0;
    if (client->state == CLIENT_OPEN)
        next = earlier(next, client->expires_at);
    next = earlier(next, client->reads_at);
    if (client->output.length > 0 && client->leaves_at > now_ms)
        next = earlier(next, client->leaves_at);
    return earlier(next, client->silent_at);
}
