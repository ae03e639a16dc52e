/* The hub's topics as a client may use them (reference: iot-hub.md sections 3.1, 5 and 12.3). Pure.
 */
#pragma once

#include "bridge/mqtt.h"

#include <stdbool.h>
#include <stdint.h>

#define TOPICS_RESPONSES "$iothub/twin/res/#"                      /* what a client subscribes to */
#define TOPICS_DESIRED   "$iothub/twin/PATCH/properties/desired/#" /* the same */

enum topics_kind {
    TOPICS_FORBIDDEN, /* the hub closes the connection */
    TOPICS_TWIN_GET,
    TOPICS_TWIN_REPORTED,
    TOPICS_METHOD_ANSWER,
    TOPICS_TELEMETRY,
};

/* Of a twin request. */
struct topics_request {
    struct mqtt_text rid;  /* $rid as it stands in the topic; points into it */
    int64_t base;          /* $version that a reported patch builds on; -1 = any */
    bool base_is_a_number; /* false: $version is there and is none */
};

/* What a PUBLISH of this identity to `topic` is. A twin request without $rid is forbidden: there is
 * no way to answer it. `out` is set for twin requests. */
enum topics_kind topics_read(struct mqtt_text topic, const char *device_id, const char *module_id,
                             struct topics_request *out);

/* Whether this identity may subscribe to `filter`. The list has at most five entries per identity.
 */
bool topics_may_subscribe(struct mqtt_text filter, const char *device_id, const char *module_id);

/* Whether the text is exactly `wanted`. */
bool topics_equal(struct mqtt_text text, const char *wanted);
