/* What a client publishes: twin requests, telemetry, answers to methods; and its will.
 *
 * Happy path: the topic says what it is -> hub.h -> PUBACK, if one is wanted. Fails when: the topic is
 * not one of the identity's, the quality of service is 2, or a message or its properties are none: the
 * connection ends, MQTT 3.1.1 has no other error. */
#include "tests/sim/hubsim/client_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *explain(int rc)
{
    switch (rc) {
    case -EBADMSG:
        return "the properties in the topic are not k=v&k=v, percent-encoded";
    case -EFBIG:
        return "a message larger than 256 KB";
    default:
        return "its message cannot be kept";
    }
}

static void on_telemetry(struct client *client, struct mqtt_text bag,
                         const struct mqtt_publish *publish)
{
    int rc = hub_take_message(client->hub, &client->as_client, bag, publish->payload,
                              publish->payload_length,
                              publish->retain ? HUB_RETAINED : HUB_TELEMETRY);

    if (rc != 0)
        client_fail(client, explain(rc));
    else if (publish->qos == 1) /* it is accepted only now */
        mqtt_write_puback(&client->output, publish->packet_id);
}

static void on_answer(struct client *client, const struct topics_request *request,
                      const struct mqtt_publish *publish)
{
    if (publish->payload_length > HUB_METHOD_MAX) {
        client_fail(client, "the answer of a method larger than 128 KB");
        return;
    }
    if (publish->qos == 1)
        mqtt_write_puback(&client->output, publish->packet_id);
    hub_answer_call(client->hub, &client->as_client, request->rid, request->status,
                    publish->payload, publish->payload_length);
}

static void on_twin(struct client *client, enum topics_kind kind,
                    const struct topics_request *request, const struct mqtt_publish *publish)
{
    if (publish->qos == 1)
        mqtt_write_puback(&client->output, publish->packet_id);
    if (kind == TOPICS_TWIN_GET)
        client_on_get(client, request->rid);
    else
        client_on_reported(client, request, publish);
}

void client_on_publish(struct client *client, const struct mqtt_packet *packet)
{
    const struct hub_client *who = &client->as_client;
    struct topics_request request;
    struct mqtt_publish publish;
    enum topics_kind kind;

    if (mqtt_parse_publish(packet, &publish) != 0) {
        client_fail(client, "its PUBLISH is malformed");
        return;
    }
    if (publish.qos > 1) {
        client_fail(client, "it publishes with quality of service 2");
        return;
    }
    if (publish.payload_length > HUB_TELEMETRY_MAX) { /* rule 10 */
        client_fail(client, explain(-EFBIG));
        return;
    }
    kind = topics_read(publish.topic, who->device_id, who->module_id, &request);
    switch (kind) {
    case TOPICS_FORBIDDEN:
        client_fail(client, "it publishes to a topic that the hub does not have for it");
        break;
    case TOPICS_TELEMETRY:
        on_telemetry(client, request.bag, &publish);
        break;
    case TOPICS_METHOD_ANSWER:
        on_answer(client, &request, &publish);
        break;
    case TOPICS_TWIN_GET:
    case TOPICS_TWIN_REPORTED:
        on_twin(client, kind, &request, &publish);
        break;
    }
}

/* ---- the will ---- */

struct client_will {
    bool retained;
    size_t bag_length, length;
    uint8_t bytes[]; /* bag, body */
};

static const char *check_will(const struct client *client,
                              const struct mqtt_server_connect *connect,
                              struct topics_request *request)
{
    const struct hub_client *who = &client->as_client;
    int rc;

    if (topics_read(connect->will_topic, who->device_id, who->module_id, request) !=
        TOPICS_TELEMETRY)
        return "its will is for a topic that is not its own";
    if (connect->will_qos > 1)
        return "its will has quality of service 2";
    rc = hub_check_message(request->bag, connect->will_payload.length);
    return rc != 0 ? explain(rc) : NULL;
}

const char *client_take_will(struct client *client, const struct mqtt_server_connect *connect)
{
    struct topics_request request;
    struct client_will *will;
    const char *why;

    if (!connect->has_will)
        return NULL;
    why = check_will(client, connect, &request);
    if (why != NULL)
        return why;
    will = malloc(sizeof *will + request.bag.length + connect->will_payload.length);
    if (will == NULL)
        return explain(-ENOMEM);
    will->retained = connect->will_retain;
    will->bag_length = request.bag.length;
    will->length = connect->will_payload.length;
    memcpy(will->bytes, request.bag.text, will->bag_length);
    memcpy(will->bytes + will->bag_length, connect->will_payload.text, will->length);
    client->will = will;
    return NULL;
}

void client_forget_will(struct client *client)
{
    free(client->will);
    client->will = NULL;
}

void client_publish_will(struct client *client)
{
    const struct client_will *will = client->will;

    if (will == NULL)
        return;
    if (hub_take_message(client->hub, &client->as_client,
                         (struct mqtt_text){ (const char *)will->bytes, will->bag_length },
                         will->bytes + will->bag_length, will->length,
                         HUB_WILL | (will->retained ? HUB_RETAINED : HUB_TELEMETRY)) != 0)
        hub_note(client->hub, "%s: its will cannot be kept", client->as_client.device_id);
    client_forget_will(client);
}
