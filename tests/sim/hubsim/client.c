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
    client->state = CLIENT_OVER;
    client_publish_will(client);
    detach(client);
    faults_count(client->plan, FAULTS_ENDED);
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
    client_wake(client);
}

/* Whether its CONNACK is kept back, by a fault: nothing may stand before it (3.2), so nothing is done. */
static bool awaits_greeting(const struct client *client)
{
    return client->state == CLIENT_OPEN && !client->greeted;
}

/* Silence is counted anew from `now_ms`; while the client waits for us it is not counted. */
static void count_silence(struct client *client, uint64_t now_ms)
{
    client->silent_at = awaits_greeting(client) ? UINT64_MAX : now_ms + client->silence_ms;
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
        count_silence(client, client->reads_at);
        break;
    case FAULTS_SEND:
        client->struck = true;
        buf_add(&client->output, strike->bytes, strike->length);
        break;
    case FAULTS_RECOVER:
        client->half_open = false;
        client->reads_at = 0;
        count_silence(client, client_now(client));
        break;
    default: /* the hub's business */
        break;
    }
    client_wake(client);
}

/* ---- new and free ---- */

int client_new(struct client **out, struct hub *hub, uint64_t now_ms, void (*wake)(void *data),
               void *data)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return -ENOMEM;
    client->as_client.desired = client_on_desired;
    client->as_client.call = client_on_call;
    client->as_client.message = client_on_message;
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
    client_publish_will(client); /* the connection went without a DISCONNECT */
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

/* The session that was kept, or a new one (rule 5). A clean one begins without messages, too. */
static int open_session(struct client *client, bool *present)
{
    const struct hub_client *who = &client->as_client;
    int rc;

    *present = false;
    if (client->clean_session) {
        rc = hub_delete_session(client->hub, who->device_id, who->module_id);
        if (rc == 0 && who->module_id[0] == 0)
            rc = hub_purge_messages(client->hub, who->device_id);
        return rc;
    }
    rc = hub_get_session(client->hub, who->device_id, who->module_id, &client->session);
    if (rc == -ENOENT)
        return hub_put_session(client->hub, who->device_id, who->module_id, &client->session);
    *present = rc == 0;
    return rc;
}

static void greet(struct client *client, bool present)
{
    struct buf connack;

    buf_init(&connack, MQTT_PACKET_MAX);
    mqtt_server_write_connack(&connack, present, MQTT_SERVER_ACCEPTED);
    client_say(client, FAULTS_CONNACK, &connack);
    buf_done(&connack);
    client_ready(client);
}

/* Who it is, for the hub. */
static int introduce(struct client *client, const struct auth_username *name)
{
    struct hub_client *who = &client->as_client;
    struct identity identity;
    int rc = hub_get_identity(client->hub, name->device_id, name->module_id, &identity);

    if (rc != 0)
        return rc;
    memcpy(who->device_id, name->device_id, sizeof name->device_id);
    memcpy(who->module_id, name->module_id, sizeof name->module_id);
    memcpy(who->model_id, name->model_id, sizeof name->model_id);
    who->generation_id = identity.generation_id;
    return 0;
}

static void accept(struct client *client, const struct mqtt_server_connect *connect,
                   const struct auth_username *name, int64_t left_ms, uint64_t now_ms)
{
    const char *why;
    bool present;

    client->clean_session = connect->clean_session;
    if (introduce(client, name) != 0) {
        refuse(client, connect, MQTT_SERVER_UNAVAILABLE, "its identity cannot be read");
        return;
    }
    why = client_take_will(client, connect);
    if (why != NULL) {
        client_fail(client, why);
        return;
    }
    if (open_session(client, &present) != 0) {
        client_forget_will(client);
        refuse(client, connect, MQTT_SERVER_UNAVAILABLE, "its session cannot be read");
        return;
    }
    client->state = CLIENT_OPEN;
    client->silence_ms = allowed_silence_ms(connect->keepalive_s);
    client->expires_at = now_ms + (uint64_t)left_ms;
    client->attached = true;
    hub_attach(client->hub, &client->as_client); /* drops an older connection first (rule 4) */
    greet(client, present);
    if (client->state == CLIENT_OPEN)
        count_silence(client, now_ms);
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
        client_on_subscribe(client, packet);
        break;
    case MQTT_UNSUBSCRIBE:
        client_on_unsubscribe(client, packet);
        break;
    case MQTT_PUBLISH:
        client_on_publish(client, packet);
        break;
    case MQTT_PINGREQ:
        faults_count(client->plan, FAULTS_PINGS);
        mqtt_server_write_pingresp(&client->output);
        break;
    case MQTT_DISCONNECT:
        client_forget_will(client);
        end(client, now_ms);
        break;
    case MQTT_PUBACK:
        client_on_puback(client, packet);
        break;
    default: /* the hub sends nothing that these could answer */
        client_fail(client, "a packet that a client has no reason to send");
    }
}

/* Ends one whose output is full, or for which there was no memory. */
static void check_output(struct client *client)
{
    if (client->output.error != 0 && client->state != CLIENT_OVER)
        client_cut(client, "it does not read what it is sent");
}

/* All packets that are there. */
static void take_packets(struct client *client, uint64_t now_ms)
{
    struct mqtt_packet packet;
    int rc = 0;

    while (client->state != CLIENT_OVER && !awaits_greeting(client)) {
        rc = mqtt_reader_next(&client->reader, &packet);
        if (rc != 0)
            break;
        if (client->state == CLIENT_OPEN)
            count_silence(client, now_ms);
        on_packet(client, &packet, now_ms);
        check_output(client);
        if (faults_drop(client->plan) && client->state != CLIENT_OVER)
            client_cut(client, "a fault wants it");
    }
    if (rc != 0 && rc != -EAGAIN)
        client_fail(client,
                    rc == -ENOSPC ? "a packet larger than 256 KB" : "what it sends is not MQTT");
}

void client_receive(struct client *client, const uint8_t *bytes, size_t length, uint64_t now_ms)
{
    if (client->state == CLIENT_OVER || client->half_open)
        return;
    client->inside = true;
    if (mqtt_reader_feed(&client->reader, bytes, length) == 0)
        take_packets(client, now_ms);
    else
        client_fail(client, "it sends more than can be kept");
    client->inside = false;
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

/* Lets go what was kept back; after a greeting that was, the client is ready only now. */
static uint64_t release(struct client *client, uint64_t now_ms)
{
    bool greeted = client->greeted;
    uint64_t next = client_release(client, now_ms);

    if (client->greeted && !greeted && client->state == CLIENT_OPEN) {
        count_silence(client, now_ms);
        client_ready(client);
        take_packets(client, now_ms);
    } else if (client->more_messages) {
        client_push_messages(client);
    }
    check_output(client);
    return next;
}

static uint64_t tick(struct client *client, uint64_t now_ms)
{
    uint64_t next = release(client, now_ms);

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
    if (client->state == CLIENT_OPEN)
        next = earlier(next, client_repeat_messages(client, now_ms));
    if (client->state == CLIENT_OVER)
        return 0;
    if (client->state == CLIENT_OPEN)
        next = earlier(next, client->expires_at);
    next = earlier(next, client->reads_at);
    if (client->output.length > 0 && client->leaves_at > now_ms)
        next = earlier(next, client->leaves_at);
    return earlier(next, client->silent_at);
}

uint64_t client_tick(struct client *client, uint64_t now_ms)
{
    uint64_t next;

    client->inside = true;
    next = tick(client, now_ms);
    client->inside = false;
    return next;
}
