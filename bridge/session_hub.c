/* The talk of a session with its hub: CONNECT, SUBSCRIBE, get, patches, and what comes back (reference:
 * iot-hub.md sections 1.2, 1.6 and 3).
 *
 * Happy path: CONNECT -> CONNACK 0 -> SUBSCRIBE -> SUBACK -> get -> 200 -> ready; then desired patches
 * in order, reported patches one at a time.
 * Fails when: CONNACK refuses, SUBACK has 0x80, a packet has no place in the phase, a get is answered
 * with an error, or documents do not parse twice in a row. What is not understood but does no harm
 * (other topics, answers to requests of another connection) is ignored. */
#include "bridge/session_impl.h"

#include "bridge/sas.h"
#include "bridge/topic.h"
#include "bridge/twin.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    SUBSCRIBE_ID = 1, /* the only packet of ours that needs an id */
    FILTERS = 2,
    MESSAGE_MAX = 200, /* bytes of the hub's error message that are shown */
};

static const char api_version[] = "2021-04-12";

/* ---- saying ---- */

void session_hub_connect(struct session *s, uint64_t now_ms)
{
    const struct session_credential *c = &s->credential;
    char username[1024], client_id[300], agent[400];
    struct mqtt_connect connect = { .client_id = client_id,
                                    .username = username,
                                    .password = c->token,
                                    .keepalive_s = (uint16_t)(s->options.keepalive_ms / 1000),
                                    .clean_session = false };
    struct buf buf;
    int rc;

    if (sas_percent_encode(agent, sizeof agent, s->product_info) < 0)
        agent[0] = 0; /* too long to be sent; it is for statistics only */
    snprintf(client_id, sizeof client_id, "%s/%s", c->device_id, c->module_id);
    snprintf(username, sizeof username, "%s/%s/%s/?api-version=%s&DeviceClientType=%s",
             c->host_name, c->device_id, c->module_id, api_version, agent);
    buf_init(&buf, MQTT_PACKET_MAX);
    rc = mqtt_write_connect(&buf, &connect);
    explicit_bzero(s->credential.token, sizeof s->credential.token);
    s->phase = PHASE_CONNACK;
    s->phase_deadline_ms = now_ms + SESSION_CONNACK_MS;
    session_send(s, now_ms, &buf, rc);
    if (buf.bytes != NULL)
        explicit_bzero(buf.bytes, buf.length);
    buf_done(&buf);
}

static void subscribe(struct session *s, uint64_t now_ms)
{
    static const char *const filters[FILTERS] = { TOPIC_FILTER_RESPONSE, TOPIC_FILTER_DESIRED };
    struct buf buf;

    buf_init(&buf, MQTT_PACKET_MAX);
    s->phase = PHASE_SUBACK;
    s->phase_deadline_ms = now_ms + SESSION_SUBACK_MS;
    session_send(s, now_ms, &buf, mqtt_write_subscribe(&buf, SUBSCRIBE_ID, filters, FILTERS, 0));
    buf_done(&buf);
}

void session_hub_ping(struct session *s, uint64_t now_ms)
{
    struct buf buf;

    buf_init(&buf, MQTT_PACKET_MAX);
    s->ping_ms = now_ms;
    session_send(s, now_ms, &buf, mqtt_write_pingreq(&buf));
    buf_done(&buf);
}

static void acknowledge(struct session *s, uint64_t now_ms, uint16_t packet_id)
{
    struct buf buf;

    buf_init(&buf, MQTT_PACKET_MAX);
    session_send(s, now_ms, &buf, mqtt_write_puback(&buf, packet_id));
    buf_done(&buf);
}

static void start_request(struct session *s, struct request *request, uint64_t now_ms)
{
    *request = (struct request){ .active = true, .sent_ms = now_ms };
    snprintf(request->rid, sizeof request->rid, "%08" PRIx32 "-%" PRIu32, s->rid_run,
             ++s->rid_count);
}

void session_hub_get(struct session *s, uint64_t now_ms)
{
    char topic[TOPIC_MAX];
    struct buf buf;

    s->get_at_ms = 0;
    start_request(s, &s->get, now_ms);
    inbox_asked(&s->inbox);
    topic_get(topic, sizeof topic, s->get.rid);
    buf_init(&buf, MQTT_PACKET_MAX);
    session_send(s, now_ms, &buf, mqtt_write_publish(&buf, topic, 0, 0, NULL, 0));
    buf_done(&buf);
}

int session_hub_patch(struct session *s, uint64_t now_ms, const char *json, size_t length)
{
    struct request request;
    char topic[TOPIC_MAX];
    struct buf buf;
    int rc = -ENOTCONN;

    if (length > TWIN_BYTES_MAX)
        return -ENOSPC;
    start_request(s, &request, now_ms);
    topic_reported(topic, sizeof topic, request.rid);
    buf_init(&buf, MQTT_PACKET_MAX);
    if (session_send(s, now_ms, &buf, mqtt_write_publish(&buf, topic, 0, 0, json, length))) {
        s->patch = request; /* only now: what was not sent is not reported as lost */
        rc = 0;
    }
    buf_done(&buf);
    return rc;
}

/* ---- the get ---- */

void session_hub_get_again(struct session *s, uint64_t now_ms)
{
    s->phase = PHASE_GET;
    s->get_at_ms = now_ms;
    session_set(s, SESSION_GETTING, NULL);
    if (!s->patch.active)
        session_hub_get(s, now_ms);
    session_tell(s);
}

/* What was sent cannot be read. A get repairs one; another in a row ends the connection. */
static void bad_document(struct session *s, uint64_t now_ms, const char *what)
{
    if (++s->bad_documents > 1)
        session_fail(s, now_ms, FAILURE_RETRY,
                     "the hub sent %s that is no twin JSON, twice in a row: look at the twin with "
                     "\"twinctl twin get\"",
                     what);
    else if (s->phase == PHASE_READY ||
             (s->phase == PHASE_GET && !s->get.active && s->get_at_ms == 0))
        session_hub_get_again(s, now_ms);
    else if (s->get.active)
        inbox_missed(&s->inbox);
}

static void be_ready(struct session *s, uint64_t now_ms, const cJSON *desired,
                     const cJSON *reported)
{
    s->phase = PHASE_READY;
    s->ready_ms = now_ms;
    s->bad_documents = 0;
    s->desired_version = s->inbox.version;
    s->reported_version = twin_version(reported);
    backoff_reset(&s->throttled);
    session_set(s, SESSION_READY, "");
    s->events->ready(s->owner, desired, reported);
    session_tell(s);
}

static void on_twin(struct session *s, uint64_t now_ms, const struct mqtt_publish *publish)
{
    cJSON *twin = NULL, *desired, *reported;
    int64_t version;
    int rc = twin_parse(&twin, publish->payload, publish->payload_length);

    desired = cJSON_GetObjectItemCaseSensitive(twin, "desired");
    reported = cJSON_GetObjectItemCaseSensitive(twin, "reported");
    version = twin_version(desired);
    if (rc != 0 || !cJSON_IsObject(desired) || !cJSON_IsObject(reported) || version < 0) {
        bad_document(s, now_ms, "an answer to the twin get");
    } else {
        rc = inbox_merge(&s->inbox, desired, version);
        if (rc == -EAGAIN)
            session_hub_get_again(s, now_ms);
        else if (rc != 0)
            session_fail(s, now_ms, FAILURE_RETRY, "out of memory");
        else
            be_ready(s, now_ms, desired, reported);
    }
    cJSON_Delete(twin);
}

/* The hub's "message" of an error body, else its beginning, in printable ASCII. */
static void error_message(const struct mqtt_publish *publish, char out[MESSAGE_MAX + 1])
{
    const char *text = (const char *)publish->payload;
    size_t length = publish->payload_length;
    cJSON *body = NULL;

    if (twin_parse(&body, publish->payload, publish->payload_length) == 0) {
        const cJSON *message = cJSON_GetObjectItemCaseSensitive(body, "message");

        if (cJSON_IsString(message)) {
            text = message->valuestring;
            length = strlen(text);
        }
    }
    if (length > MESSAGE_MAX)
        length = MESSAGE_MAX;
    for (size_t i = 0; i < length; i++)
        out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : ' ';
    out[length] = 0;
    cJSON_Delete(body);
}

static void on_get_answer(struct session *s, uint64_t now_ms, int status,
                          const struct mqtt_publish *publish)
{
    char message[MESSAGE_MAX + 1];

    s->get.active = false;
    if (status == 200) {
        on_twin(s, now_ms, publish);
        return;
    }
    if (status == 429) {
        char text[SESSION_ERROR_MAX];

        s->get_at_ms = now_ms + backoff_next_ms(&s->throttled, env_random_u32(s->env));
        snprintf(text, sizeof text,
                 "module %s: the hub throttles twin reads (429): trying again, nothing to do",
                 s->name);
        session_set(s, SESSION_GETTING, text);
        session_tell(s);
        return;
    }
    error_message(publish, message);
    session_fail(s, now_ms, FAILURE_RETRY, "the hub answered the twin get with %d%s%s", status,
                 message[0] == 0 ? "" : ": ", message);
}

/* ---- patches ---- */

static void on_patch_answer(struct session *s, uint64_t now_ms, const struct topic *topic,
                            const struct mqtt_publish *publish)
{
    char message[MESSAGE_MAX + 1] = "";

    s->patch.active = false;
    if (topic->version >= 0)
        s->reported_version = topic->version;
    if (topic->status < 200 || topic->status > 299)
        error_message(publish, message);
    /* before the owner is told: it must not send another one then */
    if (!session_renew_if_due(s, now_ms) && s->phase == PHASE_GET && !s->get.active &&
        s->get_at_ms != 0 && now_ms >= s->get_at_ms)
        session_hub_get(s, now_ms);
    s->events->patched(s->owner, topic->status, topic->version, message);
    session_tell(s);
}

static void on_desired(struct session *s, uint64_t now_ms, int64_t version,
                       const struct mqtt_publish *publish)
{
    enum inbox_order order;
    cJSON *patch;

    if (twin_parse(&patch, publish->payload, publish->payload_length) != 0) {
        bad_document(s, now_ms, "a desired patch");
        return;
    }
    if (version < 0) /* the topic tells it, normally */
        version = twin_version(patch);
    if (version < 0) {
        cJSON_Delete(patch);
        bad_document(s, now_ms, "a desired patch without $version");
        return;
    }
    if (s->phase != PHASE_READY) {
        inbox_hold(&s->inbox, version, patch, publish->payload_length);
        return;
    }
    order = inbox_take(&s->inbox, version);
    if (order == INBOX_AHEAD) {
        inbox_hold(&s->inbox, version, patch, publish->payload_length);
        session_hub_get_again(s, now_ms);
        return;
    }
    if (order == INBOX_NEXT) {
        s->desired_version = version;
        twin_strip(patch);
        s->events->desired(s->owner, version, patch);
    }
    cJSON_Delete(patch);
}

/* ---- packets ---- */

static void on_connack(struct session *s, uint64_t now_ms, const struct mqtt_packet *packet)
{
    bool session_present;
    uint8_t code;

    if (s->phase != PHASE_CONNACK || mqtt_parse_connack(packet, &session_present, &code) != 0) {
        session_fail(s, now_ms, FAILURE_RETRY, "the hub broke MQTT 3.1.1 (CONNACK)");
    } else if (code == 4 || code == 5) {
        session_fail(s, now_ms, FAILURE_REFUSED,
                     "the hub refused the credential (CONNACK %u): check key, module and clock; "
                     "the module must exist in the hub, with the key of its credential file",
                     code);
    } else if (code == 3) { /* iot-hub.md section 1.6 */
        session_fail(s, now_ms, FAILURE_RETRY,
                     "the hub is unavailable, or the device is disabled (CONNACK 3): enable the "
                     "device if it is");
    } else if (code != 0) {
        session_fail(s, now_ms, FAILURE_REFUSED,
                     "the hub refused the %s (CONNACK %u): check that hub.host_name is an IoT Hub",
                     code == 1 ? "protocol MQTT 3.1.1" : "client id", code);
    } else {
        if (s->connected_once && !s->planned)
            s->reconnects++;
        s->connected_once = true;
        s->planned = false;
        s->connack_ms = now_ms;
        subscribe(s, now_ms);
    }
}

static void on_suback(struct session *s, uint64_t now_ms, const struct mqtt_packet *packet)
{
    const uint8_t *codes;
    uint16_t packet_id;
    size_t count;

    if (s->phase != PHASE_SUBACK || mqtt_parse_suback(packet, &packet_id, &codes, &count) != 0 ||
        packet_id != SUBSCRIBE_ID || count != FILTERS) {
        session_fail(s, now_ms, FAILURE_RETRY, "the hub broke MQTT 3.1.1 (SUBACK)");
    } else if (codes[0] == 0x80 || codes[1] == 0x80) {
        session_fail(
            s, now_ms, FAILURE_RETRY,
            "the hub refused the twin subscription: twins need a hub of the standard tier");
    } else {
        s->phase_deadline_ms = 0;
        session_hub_get_again(s, now_ms);
    }
}

static void on_publish(struct session *s, uint64_t now_ms, const struct mqtt_packet *packet)
{
    struct mqtt_publish publish;
    struct topic topic;
    int rc;

    if (s->phase == PHASE_CONNACK || mqtt_parse_publish(packet, &publish) != 0 ||
        publish.qos > 1) { /* nothing was subscribed with QoS 2 */
        session_fail(s, now_ms, FAILURE_RETRY, "the hub broke MQTT 3.1.1 (PUBLISH)");
        return;
    }
    if (publish.qos == 1) { /* at once: the hub wants them in the order of the messages */
        acknowledge(s, now_ms, publish.packet_id);
        if (s->phase == PHASE_IDLE)
            return;
    }
    rc = topic_parse(&topic, publish.topic.text, publish.topic.length);
    if (rc == -EPROTO)
        return; /* left over from another client's subscription (iot-hub.md section 3.5, 12) */
    if (rc != 0 && topic.kind == TOPIC_DESIRED)
        bad_document(s, now_ms, "a desired patch with a topic");
    else if (rc == 0 && topic.kind == TOPIC_DESIRED)
        on_desired(s, now_ms, topic.version, &publish);
    else if (rc == 0 && s->get.active && strcmp(topic.rid, s->get.rid) == 0)
        on_get_answer(s, now_ms, topic.status, &publish);
    else if (rc == 0 && s->patch.active && strcmp(topic.rid, s->patch.rid) == 0)
        on_patch_answer(s, now_ms, &topic, &publish);
}

void session_hub_packet(struct session *s, uint64_t now_ms, const struct mqtt_packet *packet)
{
    s->heard_ms = now_ms;
    switch (packet->type) {
    case MQTT_CONNACK:
        on_connack(s, now_ms, packet);
        break;
    case MQTT_SUBACK:
        on_suback(s, now_ms, packet);
        break;
    case MQTT_PUBLISH:
        on_publish(s, now_ms, packet);
        break;
    case MQTT_PINGRESP:
        s->ping_ms = 0;
        break;
    case MQTT_PUBACK: /* of a publish in a persisted session; ours need none */
    case MQTT_UNSUBACK:
        break;
    default:
        session_fail(s, now_ms, FAILURE_RETRY,
                     "the hub sent MQTT packet type %d, which no server sends", packet->type);
        break;
    }
}
