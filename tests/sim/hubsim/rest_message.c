/* Messages over REST: cloud-to-device messages go in, device-to-cloud messages can be read.
 *
 * The real hub takes the former over AMQP only, and hands the latter out through Event Hubs; the two
 * addresses here are for scripts and tests. Sending: the body as it is; message-id and the like from
 * the headers iothub-messageid, iothub-correlationid, iothub-userid, iothub-to, iothub-ack and
 * content-type; properties of the application from hubsim-properties, written as in a topic
 * ("k=v&k2=v2"); hubsim-ttl is the life in seconds. Reading: ?after=NUMBER&top=COUNT, oldest first.
 * Fails when: the device is not there, its queue is full, the properties cannot be read. */
#include "tests/sim/hubsim/rest_impl.h"

#include "bridge/mqtt.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

enum {
    TOP_DEFAULT = 100,
    TOP_MAX = 1000,
    LIST_BYTES = 8 * 1024 * 1024, /* a list ends behind the message that exceeds it */
    NAMED_MAX = 6,
    TTL_MAX_S = 48 * 3600,
};

/* ---- cloud to device ---- */

static const struct {
    enum rest_text text;
    const char *name;
} named[NAMED_MAX] = {
    { REST_MESSAGE_ID, "message-id" }, { REST_CORRELATION_ID, "correlation-id" },
    { REST_USER_ID, "user-id" },       { REST_TO, "to" },
    { REST_ACK, "iothub-ack" },        { REST_CONTENT_TYPE, "content-type" },
};

static void refuse(const struct rest_call *call, int rc, const char *why)
{
    if (rc == -EMFILE)
        rest_fail(call->hub, call->response, 403, "DeviceMaximumQueueDepthExceeded",
                  "50 messages wait for the device already");
    else if (rc == -EFBIG)
        rest_fail(call->hub, call->response, 413, "MessageTooLarge",
                  "body and properties are larger than 64 KB");
    else
        rest_refuse(call, rc, rc == -EINVAL ? why : "");
}

/* The properties of the headers behind those of the application; `*count` of them. */
static struct bag_property *gather(const struct rest_call *call, const struct bag *bag,
                                   size_t *count)
{
    struct bag_property *all = calloc(bag->count + NAMED_MAX, sizeof *all);

    if (all == NULL)
        return NULL;
    *count = 0;
    for (size_t i = 0; i < NAMED_MAX; i++) {
        const char *value = call->request->texts[named[i].text];

        if (value != NULL)
            all[(*count)++] = (struct bag_property){ named[i].name, value, true };
    }
    for (size_t i = 0; i < bag->count; i++)
        all[(*count)++] = bag->properties[i];
    return all;
}

void rest_send_message(const struct rest_call *call)
{
    const char *text = call->request->texts[REST_PROPERTIES];
    struct hub_message message = { .body = call->request->body,
                                   .length = call->request->body_length };
    struct bag_property *properties = NULL;
    const char *why = "hubsim-ttl is not a number of seconds";
    struct bag bag = { 0 };
    long ttl_s;
    int rc = rest_take_number(call->request->texts[REST_TTL], 1, TTL_MAX_S, 0, &ttl_s);

    if (rc == 0 && text != NULL) {
        why = "hubsim-properties is not a list k=v&k2=v2, percent-encoded";
        rc = bag_parse(&bag, text, strlen(text));
        rc = rc == -EBADMSG ? -EINVAL : rc;
    }
    if (rc == 0) {
        properties = gather(call, &bag, &message.property_count);
        message.properties = properties;
        rc = properties != NULL
                 ? hub_send_message(call->hub, call->device_id, &message, (uint32_t)ttl_s)
                 : -ENOMEM;
    }
    if (rc == 0)
        call->response->status = 204;
    else
        refuse(call, rc, why);
    free(properties);
    bag_done(&bag);
}

/* ---- device to cloud ---- */

/* Whether a later property of the same kind has the name, too: JSON has it once. */
static bool is_repeated(const struct hub_message *message, size_t index)
{
    const struct bag_property *one = &message->properties[index];

    for (size_t i = index + 1; i < message->property_count; i++) {
        if (message->properties[i].system == one->system &&
            strcmp(message->properties[i].name, one->name) == 0)
            return true;
    }
    return false;
}

static void print_properties(struct buf *out, const struct hub_message *message, bool system)
{
    size_t start = out->length;

    buf_add_byte(out, '{');
    for (size_t i = 0; i < message->property_count; i++) {
        const struct bag_property *property = &message->properties[i];

        if (property->system != system || is_repeated(message, i))
            continue;
        if (out->length > start + 1)
            buf_add_byte(out, ',');
        json_print_text(out, property->name);
        buf_add_byte(out, ':');
        json_print_text(out, property->value);
    }
    buf_add_byte(out, '}');
}

static void print_base64(struct buf *out, const void *bytes, size_t length)
{
    uint8_t *room = buf_reserve(out, (length + 2) / 3 * 4 + 1);

    if (room != NULL)
        buf_commit(out, (size_t)EVP_EncodeBlock(room, bytes, (int)length));
}

/* "body" where it is JSON, or text; "bodyBase64" always. */
static void print_body(struct buf *out, const struct hub_message *message)
{
    const char *text = message->length > 0 ? message->body : "";
    cJSON *tree = NULL;
    bool is_json = json_parse_any(&tree, text, message->length) == 0;

    if (is_json ||
        (mqtt_utf8_valid(text, message->length) && memchr(text, 0, message->length) == NULL)) {
        char *copy = is_json ? NULL : strndup(text, message->length);

        buf_add_text(out, ",\"body\":");
        if (is_json)
            buf_add(out, text, message->length);
        else
            json_print_text(out, copy);
        free(copy);
    }
    cJSON_Delete(tree);
    buf_add_text(out, ",\"bodyBase64\":\"");
    print_base64(out, text, message->length);
    buf_add_byte(out, '"');
}

static void list_one(void *data, const struct hub_message *message)
{
    struct buf *out = data;
    char stamp[STAMP_MAX];

    if (out->length > LIST_BYTES)
        return;
    if (out->length > 1) /* behind the '[' */
        buf_add_byte(out, ',');
    stamp_print(message->enqueued_wall_ms, stamp);
    buf_printf(out, "{\"number\":%llu,\"deviceId\":", (unsigned long long)message->number);
    json_print_text(out, message->device_id);
    buf_add_text(out, ",\"moduleId\":");
    json_print_text(out, message->module_id[0] != 0 ? message->module_id : NULL);
    buf_printf(out, ",\"enqueuedTime\":\"%s\",\"systemProperties\":", stamp);
    print_properties(out, message, true);
    buf_add_text(out, ",\"properties\":");
    print_properties(out, message, false);
    print_body(out, message);
    buf_add_byte(out, '}');
}

void rest_list_messages(const struct rest_call *call)
{
    struct buf *out = &call->response->body;
    long after, top;
    int rc = rest_take_number(call->request->texts[REST_AFTER], 0, LONG_MAX, 0, &after);

    if (rc == 0)
        rc = rest_take_number(call->request->texts[REST_TOP], 1, TOP_MAX, TOP_DEFAULT, &top);
    if (rc != 0) {
        rest_refuse(call, rc, "after is not a number, or top is not one from 1");
        return;
    }
    buf_add_byte(out, '[');
    hub_each_message(call->hub, (uint64_t)after, (size_t)top, list_one, out);
    buf_add_byte(out, ']');
}
