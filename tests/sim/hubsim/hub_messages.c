/* Messages of both directions (reference: iot-hub.md sections 5.1 and 5.4).
 *
 * Up: a client's message gets the properties that the hub adds and is kept in the ring; it is not
 * stored. Down: a message for a device is stored in its queue, told to the client, and deleted when the
 * client has acknowledged it or its time is over. Fails when: a bag does not parse, a message is too
 * large, a queue is full, the disk fails. */
#include "tests/sim/hubsim/hub_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ADDED_MAX = 10,        /* properties that the hub adds */
    TOPIC_MAX = 64 * 1024, /* less one: MQTT's longest */
};

/* ---- device to cloud ---- */

/* What the hub knows of a message; the texts live here. */
struct stamped {
    char generation[24];
    char enqueued[STAMP_MAX];
    struct bag_property added[ADDED_MAX];
    size_t count;
};

static void add(struct stamped *stamped, const char *name, const char *value, bool system)
{
    stamped->added[stamped->count++] = (struct bag_property){ name, value, system };
}

static void stamp(struct stamped *stamped, const struct hub_client *client, int64_t wall_ms,
                  unsigned how)
{
    bool module = client->module_id[0] != 0;

    stamped->count = 0;
    snprintf(stamped->generation, sizeof stamped->generation, "%lld",
             (long long)client->generation_id);
    stamp_print(wall_ms, stamped->enqueued);
    if ((how & HUB_RETAINED) != 0)
        add(stamped, "mqtt-retain", "true", false);
    if ((how & HUB_WILL) != 0)
        add(stamped, "iothub-MessageType", "Will", false);
    add(stamped, "iothub-connection-device-id", client->device_id, true);
    if (module)
        add(stamped, "iothub-connection-module-id", client->module_id, true);
    add(stamped, "iothub-connection-auth-generation-id", stamped->generation, true);
    add(stamped, "iothub-connection-auth-method",
        module ? "{\"scope\":\"module\",\"type\":\"sas\",\"issuer\":\"iothub\"}"
               : "{\"scope\":\"device\",\"type\":\"sas\",\"issuer\":\"iothub\"}",
        true);
    add(stamped, "iothub-enqueuedtime", stamped->enqueued, true);
    add(stamped, "iothub-message-source", "Telemetry", true);
    if (client->model_id[0] != 0)
        add(stamped, "dt-dataschema", client->model_id, true);
}

static int keep(struct hub *hub, const struct hub_client *client, const struct bag *bag,
                const void *body, size_t length, unsigned how)
{
    struct hub_message message = {
        .device_id = client->device_id,
        .module_id = client->module_id,
        .enqueued_wall_ms = env_wall_ms(hub_env(hub)),
        .body = body,
        .length = length,
    };
    struct bag_property *properties = calloc(bag->count + ADDED_MAX, sizeof *properties);
    struct stamped stamped;
    int rc;

    if (properties == NULL)
        return -ENOMEM;
    stamp(&stamped, client, message.enqueued_wall_ms, how);
    if (bag->count > 0)
        memcpy(properties, bag->properties, bag->count * sizeof *properties);
    memcpy(properties + bag->count, stamped.added, stamped.count * sizeof *properties);
    message.properties = properties;
    message.property_count = bag->count + stamped.count;
    rc = messages_add(hub->messages, &message);
    free(properties);
    return rc;
}

static int read_bag(struct bag *out, struct mqtt_text text, size_t length)
{
    struct bag bag;
    int rc = bag_parse(&bag, text.text, text.length);

    if (rc != 0)
        return rc;
    if (length + bag_size(bag.properties, bag.count) > HUB_TELEMETRY_MAX) {
        bag_done(&bag);
        return -EFBIG;
    }
    *out = bag;
    return 0;
}

int hub_check_message(struct mqtt_text text, size_t length)
{
    struct bag bag;
    int rc = read_bag(&bag, text, length);

    if (rc == 0)
        bag_done(&bag);
    return rc;
}

int hub_take_message(struct hub *hub, const struct hub_client *client, struct mqtt_text text,
                     const void *body, size_t length, unsigned how)
{
    struct bag bag;
    int rc = read_bag(&bag, text, length);

    if (rc != 0)
        return rc;
    rc = keep(hub, client, &bag, body, length, how);
    bag_done(&bag);
    return rc;
}

void hub_each_message(const struct hub *hub, uint64_t after, size_t limit, hub_visit_message *visit,
                      void *data)
{
    messages_each(hub->messages, after, limit, visit, data);
}

/* ---- cloud to device ---- */

/* The places of messages in a queue: all of them, or those that are over. */
struct places {
    int64_t now_ms; /* UTC */
    bool all;
    int64_t sequences[HUB_PENDING_MAX];
    size_t count;
};

static bool note_place(void *data, const struct registry_message *message)
{
    struct places *places = data;

    if (places->all || message->deliveries >= HUB_DELIVERIES_MAX ||
        (message->expiry_ms != 0 && message->expiry_ms <= places->now_ms))
        places->sequences[places->count++] = message->sequence;
    return places->count < HUB_PENDING_MAX;
}

static int drop_messages(const struct hub *hub, const char *device_id, bool all)
{
    struct places places = { .now_ms = env_wall_ms(hub_env(hub)), .all = all };
    int rc = registry_each_message(hub->registry, device_id, 0, note_place, &places);

    if (rc != 0 || places.count == 0)
        return rc;
    rc = registry_begin(hub->registry);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < places.count; i++)
        rc = registry_delete_message(hub->registry, device_id, places.sequences[i]);
    return registry_end(hub->registry, rc);
}

static bool has_property(const struct hub_message *message, const char *name)
{
    for (size_t i = 0; i < message->property_count; i++) {
        if (message->properties[i].system && strcmp(message->properties[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The bag as it will stand in the topic. The hub says where the message goes, if the sender did not. */
static int print_bag(struct buf *bag, const char *device_id, const struct hub_message *message)
{
    char to[AUTH_ID_MAX + 64];
    const struct bag_property property = { "to", to, true };

    snprintf(to, sizeof to, "/devices/%s/messages/devicebound", device_id);
    bag_print(bag, message->properties, message->property_count);
    if (!has_property(message, "to")) {
        if (bag->length > 0)
            buf_add_byte(bag, '&');
        bag_print(bag, &property, 1);
    }
    return bag->error == -ENOSPC ? -EFBIG : bag->error;
}

static int check_queue(const struct hub *hub, const char *device_id,
                       const struct hub_message *message)
{
    struct identity identity;
    int count;
    int rc = registry_get_identity(hub->registry, device_id, "", &identity);

    if (rc == 0 && message->length + bag_size(message->properties, message->property_count) >
                       HUB_PENDING_BYTES_MAX)
        rc = -EFBIG;
    if (rc == 0)
        rc = hub_count_messages(hub, device_id, &count);
    return rc == 0 && count >= HUB_PENDING_MAX ? -EMFILE : rc;
}

static int store(struct hub *hub, const char *device_id, const struct hub_message *message,
                 uint32_t ttl_s)
{
    struct registry_message stored = {
        .body = message->body,
        .body_length = message->length,
        .enqueued_ms = env_wall_ms(hub_env(hub)),
    };
    struct buf bag;
    int64_t sequence;
    int rc;

    buf_init(&bag, TOPIC_MAX - 1 - AUTH_ID_MAX - 64);
    rc = print_bag(&bag, device_id, message);
    if (rc == 0) {
        stored.bag = buf_text(&bag);
        stored.expiry_ms = stored.enqueued_ms +
                           INT64_C(1000) * (ttl_s != 0 ? ttl_s : HUB_PENDING_TTL_S);
        rc = registry_put_message(hub->registry, device_id, &stored, &sequence);
    }
    buf_done(&bag);
    return rc;
}

int hub_send_message(struct hub *hub, const char *device_id, const struct hub_message *message,
                     uint32_t ttl_s)
{
    struct hub_client *client;
    int rc = check_queue(hub, device_id, message);

    if (rc == 0)
        rc = store(hub, device_id, message, ttl_s);
    if (rc != 0)
        return rc;
    client = hub_find_client(hub, device_id, "");
    if (client != NULL && client->message != NULL)
        client->message(client);
    return 0;
}

int hub_count_messages(const struct hub *hub, const char *device_id, int *out)
{
    int rc = drop_messages(hub, device_id, false);

    return rc == 0 ? registry_count_messages(hub->registry, device_id, out) : rc;
}

int hub_each_pending(struct hub *hub, const char *device_id, int64_t after,
                     registry_visit_message *visit, void *data)
{
    int rc = drop_messages(hub, device_id, false);

    return rc == 0 ? registry_each_message(hub->registry, device_id, after, visit, data) : rc;
}

int hub_mark_message(struct hub *hub, const char *device_id, int64_t sequence)
{
    return registry_mark_message(hub->registry, device_id, sequence);
}

int hub_settle_message(struct hub *hub, const char *device_id, int64_t sequence)
{
    return registry_delete_message(hub->registry, device_id, sequence);
}

int hub_purge_messages(struct hub *hub, const char *device_id)
{
    return drop_messages(hub, device_id, true);
}
