/* Topics: prefixes compared with case, from the start, and a query behind the last slash.
 *
 * Happy path: a prefix is cut off, what remains is the query; the query is searched by key, never
 * by position. Fails when: nothing fits: the topic is not for this identity. */
#include "tests/sim/hubsim/topics.h"

#include <stdio.h>
#include <string.h>

bool topics_equal(struct mqtt_text text, const char *wanted)
{
    return text.length == strlen(wanted) && memcmp(text.text, wanted, text.length) == 0;
}

/* Cuts `prefix` off the front of `text`. */
static bool skip(struct mqtt_text *text, const char *prefix)
{
    size_t length = strlen(prefix);

    if (text->length < length || memcmp(text->text, prefix, length) != 0)
        return false;
    text->text += length;
    text->length -= length;
    return true;
}

/* "devices/D" or "devices/D/modules/M". */
static bool skip_identity(struct mqtt_text *text, const char *device_id, const char *module_id)
{
    return skip(text, "devices/") && skip(text, device_id) &&
           (module_id[0] == 0 || (skip(text, "/modules/") && skip(text, module_id)));
}

/* The value of `key` in "k=v&k=v", as it stands there. */
static bool find_value(struct mqtt_text query, const char *key, struct mqtt_text *out)
{
    while (query.length > 0) {
        const char *end = memchr(query.text, '&', query.length);
        struct mqtt_text field = { query.text,
                                   end != NULL ? (size_t)(end - query.text) : query.length };
        size_t step = field.length + (end != NULL);

        if (skip(&field, key) && skip(&field, "=")) {
            *out = field;
            return true;
        }
        query.text += step;
        query.length -= step;
    }
    return false;
}

/* A version: decimal digits, at most 18 of them. */
static bool read_version(struct mqtt_text text, int64_t *out)
{
    int64_t version = 0;

    if (text.length == 0 || text.length > 18)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.text[i] < '0' || text.text[i] > '9')
            return false;
        version = version * 10 + (text.text[i] - '0');
    }
    *out = version;
    return true;
}

static bool read_request(struct mqtt_text query, struct topics_request *out)
{
    struct topics_request request = { .base = -1, .base_is_a_number = true };
    struct mqtt_text version;

    if (!find_value(query, "$rid", &request.rid))
        return false;
    if (find_value(query, "$version", &version))
        request.base_is_a_number = read_version(version, &request.base);
    *out = request;
    return true;
}

/* An integer that fits: sign, one to ten digits. */
static bool read_status(struct mqtt_text *text, int *out)
{
    bool negative = skip(text, "-");
    int64_t status = 0;
    size_t digits = 0;

    while (digits < text->length && digits < 10 && text->text[digits] >= '0' &&
           text->text[digits] <= '9')
        status = status * 10 + (text->text[digits++] - '0');
    if (digits == 0 || status > INT32_MAX)
        return false;
    text->text += digits;
    text->length -= digits;
    *out = (int)(negative ? -status : status);
    return true;
}

/* "200/?$rid=1" */
static bool read_answer(struct mqtt_text rest, struct topics_request *out)
{
    struct topics_request request;
    int status;

    if (!read_status(&rest, &status) || !skip(&rest, "/?") || !read_request(rest, &request))
        return false;
    *out = request;
    out->status = status;
    return true;
}

enum topics_kind topics_read(struct mqtt_text topic, const char *device_id, const char *module_id,
                             struct topics_request *out)
{
    if (skip(&topic, "$iothub/twin/GET/?"))
        return read_request(topic, out) ? TOPICS_TWIN_GET : TOPICS_FORBIDDEN;
    if (skip(&topic, "$iothub/twin/PATCH/properties/reported/?"))
        return read_request(topic, out) ? TOPICS_TWIN_REPORTED : TOPICS_FORBIDDEN;
    if (skip(&topic, "$iothub/methods/res/"))
        return read_answer(topic, out) ? TOPICS_METHOD_ANSWER : TOPICS_FORBIDDEN;
    if (!skip_identity(&topic, device_id, module_id) || !skip(&topic, "/messages/events") ||
        (topic.length > 0 && !skip(&topic, "/")))
        return TOPICS_FORBIDDEN;
    out->bag = topic;
    return TOPICS_TELEMETRY;
}

bool topics_may_subscribe(struct mqtt_text filter, const char *device_id, const char *module_id)
{
    if (topics_equal(filter, TOPICS_RESPONSES) || topics_equal(filter, TOPICS_DESIRED) ||
        topics_equal(filter, TOPICS_METHODS))
        return true;
    if (!skip_identity(&filter, device_id, module_id))
        return false;
    if (module_id[0] == 0)
        return topics_equal(filter, "/messages/devicebound/#");
    return topics_equal(filter, "/#") || topics_equal(filter, "/inputs/#");
}

void topics_print_devicebound(char out[TOPICS_DEVICEBOUND_MAX], const char *device_id)
{
    snprintf(out, TOPICS_DEVICEBOUND_MAX, "devices/%s/messages/devicebound/#", device_id);
}
