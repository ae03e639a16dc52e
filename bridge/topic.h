/* The topics of a module twin (reference: iot-hub.md section 3.1): builds what a module publishes and
 * reads what the hub publishes. Pure. A topic is compared from its first character on, with capitals as
 * they are; the property list behind '?' is read by key, in any order, unknown keys ignored. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TOPIC_FILTER_RESPONSE "$iothub/twin/res/#"
#define TOPIC_FILTER_DESIRED  "$iothub/twin/PATCH/properties/desired/#"

enum {
    TOPIC_MAX = 512,           /* a longer one is not one of these */
    TOPIC_RID_MAX = 64,        /* characters of a request id, decoded */
    TOPIC_PROPERTIES_MAX = 16, /* pairs behind '?' */
};

enum topic_kind {
    TOPIC_RESPONSE, /* $iothub/twin/res/{status}/?$rid={rid}[&$version={version}] */
    TOPIC_DESIRED,  /* $iothub/twin/PATCH/properties/desired/?$version={version} */
};

struct topic {
    enum topic_kind kind;
    int status;                  /* of a response, 100 to 599; else 0 */
    char rid[TOPIC_RID_MAX + 1]; /* of a response, percent-decoded; else "" */
    int64_t version;             /* 0 to 2^53; -1 when the topic does not tell */
};

/* Reads a topic that is `length` bytes long. 0; -EPROTO: none of these topics; -EBADMSG: one of them, but
 * malformed; -ENOSPC: one of them, but over the limits. In the last two cases `kind` is set, and nothing
 * else; otherwise a failure leaves `out` untouched. */
int topic_parse(struct topic *out, const char *text, size_t length);

/* Writes the topic of a twin get, or of a reported patch; `rid` of A-Z a-z 0-9 '-' only. Returns the
 * length, -EINVAL (another character in `rid`, or none), -ENOSPC. */
int topic_get(char *out, size_t size, const char *rid);
int topic_reported(char *out, size_t size, const char *rid);
