/* The hub's topics as a client may use them (reference: iot-hub.md sections 3.1, 5 and 12.3). Pure.
 */
#pragma once

#include "bridge/mqtt.h"

#include <stdbool.h>
#include <stdint.h>

#define TOPICS_RESPONSES "$iothub/twin/res/#"                      /* what a client subscribes to */
#define TOPICS_DESIRED   "$iothub/twin/PATCH/properties/desired/#" /* the same */
#define TOPICS_METHODS   "$iothub/methods/POST/#"                  /* the same */

enum topics_kind {
    TOPICS_FORBIDDEN, /* the hub closes the connection */
    TOPICS_TWIN_GET,
    TOPICS_TWIN_REPORTED,
    TOPICS_METHOD_ANSWER,
    TOPICS_TELEMETRY,
};

/* What the topic says; texts point into it. */
struct topics_request {
    struct mqtt_text rid;  /* of twin requests and method answers: $rid as it stands there */
    int64_t base;          /* of reported patches: $version that it builds on; -1 = any */
    bool base_is_a_number; /* false: $version is there and is none */
    int status;            /* of method answers */
    struct mqtt_text bag;  /* of telemetry: the properties */
};

/* What a PUBLISH of this identity to `topic` is. A twin request without $rid is forbidden: there is
 * no way to answer it; so is a method's answer without $rid or with a status that is no integer. The
 * part of `out` that belongs to the kind is set. */
enum topics_kind topics_read(struct mqtt_text topic, const char *device_id, const char *module_id,
                             struct topics_request *out);

/* Whether this identity may subscribe to `filter`. The list has at most five entries per identity.
 */
bool topics_may_subscribe(struct mqtt_text filter, const char *device_id, const char *module_id);

/* "devices/D/messages/devicebound/#": what a device subscribes to for messages from the cloud. */
enum { TOPICS_DEVICEBOUND_MAX = 192 };
void topics_print_devicebound(char out[TOPICS_DEVICEBOUND_MAX], const char *device_id);

/* Whether the text is exactly `wanted`. */
bool topics_equal(struct mqtt_text text, const char *wanted);
