/* The points that no public source settles (reference: iot-hub.md section 14), each a switch with the
 * default of that list. All zero = the defaults. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A SUBSCRIBE to a filter that the hub does not have. */
enum hub_forbidden_filter {
    HUB_FORBIDDEN_CLOSE,  /* ends the connection, as the hub documents it */
    HUB_FORBIDDEN_SUBACK, /* is answered with 0x80 for this filter; the others stand */
};

/* What an accepted reported patch does to the twin as a whole. */
enum hub_report_changes {
    HUB_REPORT_VERSION, /* `version` grows, the etag stays: device traffic breaks no If-Match */
    HUB_REPORT_BOTH,    /* `version` grows, the etag changes */
    HUB_REPORT_NEITHER,
};

/* A section, tags or desired, that a PUT of a twin leaves out. */
enum hub_missing_section {
    HUB_MISSING_EMPTY, /* becomes empty */
    HUB_MISSING_KEPT,
};

/* What the size of a section is counted in. */
enum hub_size_rule {
    HUB_SIZE_CHARACTERS, /* of UTF-8, control characters left out */
    HUB_SIZE_BYTES,
};

/* A write of the back end whose desired section changes nothing, as when a whole twin is sent back for
 * its tags. */
enum hub_equal_desired {
    HUB_EQUAL_TOLD,    /* it counts: a new version, and the module is told */
    HUB_EQUAL_IGNORED, /* as if the section had not been sent */
};

struct hub_rules {
    enum hub_forbidden_filter forbidden_filter;
    enum hub_report_changes report_changes;
    enum hub_missing_section missing_section;
    enum hub_size_rule size_rule;
    enum hub_equal_desired equal_desired;
    int created_status;       /* of an identity that was made: 200 or 201; 0 = 200 */
    int mqtt_oversize_status; /* of a reported patch that makes the twin too large: 400 or 413; 0 = 400 */
    int rest_oversize_status;  /* of a twin write over REST: 413 or 400; 0 = 413 */
    uint32_t session_expiry_s; /* so long an MQTT session outlives its connection; 0 = for ever */
    bool strict_if_match;      /* an unquoted etag is answered with 400 instead of being ignored */
};
