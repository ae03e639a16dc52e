/* What the hub says to a client without being asked: desired properties, method calls,
 * cloud-to-device messages.
 *
 * Happy path: the client has been greeted and listens -> PUBLISH into the output. Messages of a device
 * stay in its queue until they are acknowledged, in the order in which they were sent; some are on
 * their way at a time, the next follow when acknowledgements or room in the output come; what is not
 * acknowledged within a minute is sent again, and dropped after HUB_DELIVERIES_MAX times. Fails when: the
 * client does not read (it is cut), or acknowledges out of order (the connection ends). */
#include "tests/sim/hubsim/client_impl.h"

#include "tests/sim/hubsim/topics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void client_wake(struct client *client)
{
    if (!client->inside)
        client->wake(client->data);
}

static bool listens(const struct client *client, const char *filter)
{
    return client->state == CLIENT_OPEN && client->greeted && client_has_subscribed(client, filter);
}

/* ---- desired properties ---- */

void client_on_desired(struct hub_client *as_client, int64_t version, const char *patch,
                       size_t length)
{
    struct client *client = client_of(as_client);
    unsigned times;
    int64_t ahead;
    char topic[96];

    if (!listens(client, TOPICS_DESIRED))
        return;
    times = faults_notice(client->plan, &ahead);
    if (times == 0)
        faults_count(client->plan, FAULTS_LOST);
    snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/desired/?$version=%lld",
             (long long)version + ahead);
    for (; times > 0 && client->state == CLIENT_OPEN; times--) {
        if (mqtt_write_publish(&client->output, topic, 0, 0, patch, length) == 0)
            faults_count(client->plan, FAULTS_NOTICES);
        else
            client_cut(client, "it does not read what it is sent");
    }
    client_wake(client);
}

/* ---- direct methods ---- */

bool client_on_call(struct hub_client *as_client, const char *rid, const struct hub_method *method)
{
    struct client *client = client_of(as_client);
    struct buf topic;
    int rc;

    if (!listens(client, TOPICS_METHODS))
        return false;
    buf_init(&topic, 1024);
    rc = buf_printf(&topic, "$iothub/methods/POST/%s/?$rid=%s", method->name, rid);
    if (rc == 0)
        rc = mqtt_write_publish(&client->output, buf_text(&topic), 0, 0, method->payload,
                                method->payload_length);
    buf_done(&topic);
    if (rc != 0)
        client_cut(client, "it does not read what it is sent");
    client_wake(client);
    return rc == 0;
}

/* ---- cloud-to-device messages ---- */

static bool is_unacknowledged(const struct client *client, uint16_t packet_id)
{
    for (size_t i = 0; i < client->window_count; i++) {
        if (client->window[i].packet_id == packet_id)
            return true;
    }
    return false;
}

/* The same message gets the same identifier again after a reconnect (MQTT 4.4). */
static uint16_t packet_id_of(const struct client *client, int64_t sequence)
{
    uint16_t packet_id = (uint16_t)(sequence % UINT16_MAX + 1);

    while (is_unacknowledged(client, packet_id))
        packet_id = (uint16_t)(packet_id % UINT16_MAX + 1);
    return packet_id;
}

/* One round through the queue: what is sent, then what became of it. */
struct round {
    struct client *client;
    uint8_t qos;
    const struct client_sent *again; /* what is to be sent once more; NULL = what is new */
    size_t again_count;
    int64_t sent[CLIENT_WINDOW];
    size_t count;
    int error;
};

static int write_message(struct client *client, const struct registry_message *message,
                         uint16_t packet_id, uint8_t qos)
{
    size_t start = client->output.length;
    struct buf topic;
    int rc;

    buf_init(&topic, UINT16_MAX);
    rc = buf_printf(&topic, "devices/%s/messages/devicebound/%s", client->as_client.device_id,
                    message->bag);
    if (rc == 0)
        rc = mqtt_write_publish(&client->output, buf_text(&topic), qos, packet_id, message->body,
                                message->body_length);
    if (rc == 0 && qos > 0 && message->deliveries > 0)
        client->output.bytes[start] |= 0x08; /* DUP, 3.3.1.1 */
    buf_done(&topic);
    return rc;
}

/* Whether one more may be sent: acknowledgements are owed for few, and the output has room. */
static bool has_room(const struct client *client)
{
    return client->window_count < CLIENT_WINDOW && client->output.length < CLIENT_OUTPUT_MAX / 4;
}

/* Writes it into the output, and into the window if it is to be acknowledged. */
static bool write_of_round(struct round *round, const struct registry_message *message,
                           uint16_t packet_id)
{
    struct client *client = round->client;

    round->error = write_message(client, message, packet_id, round->qos);
    if (round->error != 0)
        return false;
    if (round->qos > 0)
        client->window[client->window_count++] = (struct client_sent){ packet_id, message->sequence,
                                                                       client_now(client) };
    round->sent[round->count++] = message->sequence;
    return true;
}

static bool send_message(void *data, const struct registry_message *message)
{
    struct round *round = data;
    struct client *client = round->client;

    if (!has_room(client) || round->count == CLIENT_WINDOW) {
        client->more_messages = true;
        return false;
    }
    client->pushed = message->sequence;
    return write_of_round(round, message,
                          round->qos > 0 ? packet_id_of(client, message->sequence) : 0);
}

/* With the identifier that it had. */
static bool send_again(void *data, const struct registry_message *message)
{
    struct round *round = data;

    for (size_t i = 0; i < round->again_count; i++) {
        if (round->again[i].sequence == message->sequence)
            return write_of_round(round, message, round->again[i].packet_id);
    }
    return round->count < round->again_count;
}

/* Unacknowledged ones are duplicates from now on; those that nobody acknowledges have arrived. */
static int settle_round(const struct round *round)
{
    const struct hub_client *who = &round->client->as_client;
    int rc = round->error;

    for (size_t i = 0; rc == 0 && i < round->count; i++)
        rc = round->qos > 0
                 ? hub_mark_message(round->client->hub, who->device_id, round->sent[i])
                 : hub_settle_message(round->client->hub, who->device_id, round->sent[i]);
    return rc;
}

void client_push_messages(struct client *client)
{
    char filter[TOPICS_DEVICEBOUND_MAX];
    struct round round = { .client = client };
    int rc;

    topics_print_devicebound(filter, client->as_client.device_id);
    if (client->as_client.module_id[0] != 0 || !listens(client, filter) || !has_room(client))
        return;
    round.qos = (uint8_t)client_qos(client, filter);
    client->more_messages = false;
    rc = hub_each_pending(client->hub, client->as_client.device_id, client->pushed, send_message,
                          &round);
    if (rc == 0)
        rc = settle_round(&round);
    if (rc != 0)
        client_cut(client, "its messages cannot be read or sent");
}

/* How many were sent too long ago: they are the first of the window. */
static size_t count_overdue(const struct client *client, uint64_t now_ms)
{
    size_t count = 0;

    while (count < client->window_count && client->window[count].sent_at + CLIENT_LOCK_MS <= now_ms)
        count++;
    return count;
}

/* Sends the first of the window again, behind the others and in the order of the queue. */
static void repeat(struct client *client, size_t count)
{
    struct client_sent again[CLIENT_WINDOW];
    struct round round = { .client = client, .qos = 1, .again = again, .again_count = count };
    int64_t first = INT64_MAX;
    int rc;

    memcpy(again, client->window, count * sizeof *again);
    for (size_t i = 0; i < count; i++)
        first = again[i].sequence < first ? again[i].sequence : first;
    client->window_count -= count;
    memmove(client->window, client->window + count, client->window_count * sizeof *again);
    client->repeated = true;
    rc = hub_each_pending(client->hub, client->as_client.device_id, first - 1, send_again, &round);
    if (rc == 0)
        rc = settle_round(&round);
    if (rc != 0)
        client_cut(client, "its messages cannot be read or sent");
    else
        client_push_messages(client); /* some may be gone, their time over */
}

/* One who does not read is given more time and not more to read. */
uint64_t client_repeat_messages(struct client *client, uint64_t now_ms)
{
    size_t count = count_overdue(client, now_ms);

    if (count > 0 && client->output.length < CLIENT_OUTPUT_MAX / 4) {
        repeat(client, count);
    } else {
        for (size_t i = 0; i < count; i++)
            client->window[i].sent_at = now_ms;
    }
    return client->window_count > 0 ? client->window[0].sent_at + CLIENT_LOCK_MS : 0;
}

void client_on_message(struct hub_client *as_client)
{
    struct client *client = client_of(as_client);

    client_push_messages(client);
    client_wake(client);
}

/* Whether a PUBACK that is not the next one due may come: a fault may have asked for it, or it is for
 * what was sent twice. */
static bool may_be_out_of_order(const struct client *client)
{
    return client->struck || client->repeated;
}

/* The message arrived, and leaves the window. */
static void settle(struct client *client, size_t place)
{
    int rc = hub_settle_message(client->hub, client->as_client.device_id,
                                client->window[place].sequence);

    if (rc != 0 && rc != -ENOENT) { /* absent: its time was over meanwhile */
        client_fail(client, "its messages cannot be changed");
        return;
    }
    client->window_count--;
    memmove(client->window + place, client->window + place + 1,
            (client->window_count - place) * sizeof client->window[0]);
    client_push_messages(client);
}

void client_on_puback(struct client *client, const struct mqtt_packet *packet)
{
    size_t place = 0;
    uint16_t packet_id;
    bool known;

    if (mqtt_parse_puback(packet, &packet_id) != 0) {
        client_fail(client, "its PUBACK is malformed");
        return;
    }
    while (place < client->window_count && client->window[place].packet_id != packet_id)
        place++;
    known = place < client->window_count;
    if ((!known || place > 0) && !may_be_out_of_order(client)) /* 1.5 */
        client_fail(client, client->window_count == 0 ? "a PUBACK of nothing"
                                                      : "its PUBACKs are out of order");
    else if (known)
        settle(client, place);
}

void client_ready(struct client *client)
{
    if (listens(client, TOPICS_METHODS))
        hub_takes_calls(client->hub, &client->as_client);
    client_push_messages(client);
}
