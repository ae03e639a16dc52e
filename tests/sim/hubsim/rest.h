/* The service REST API (reference: iot-hub.md section 7): one request in, one response out. Knows
 * no sockets; what it decides, hub.h carries out. */
#pragma once

#include "base/buf.h"
#include "tests/sim/hubsim/hub.h"

#include <stddef.h>

enum {
    REST_BODY_MAX = 256 * 1024,           /* of a request */
    REST_RESPONSE_MAX = 16 * 1024 * 1024, /* the list of 1,000 devices is the largest there is */
};

struct rest_request {
    const char *method;      /* "GET" */
    const char *path;        /* decoded, without the query */
    const char *api_version; /* the rest: NULL when absent */
    const char *top;
    const char *authorization;
    const char *if_match;
    const char *body; /* not NUL-terminated */
    size_t body_length;
};

struct rest_response {
    int status;
    const char *error_code; /* header iothub-errorcode; NULL = none. A constant */
    struct buf body;        /* JSON; empty with 204 */
};

/* An empty response; rest_response_done frees the body. */
void rest_response_init(struct rest_response *response);
void rest_response_done(struct rest_response *response);

/* Always fills in `response`. */
void rest_handle(struct hub *hub, const struct rest_request *request,
                 struct rest_response *response);

/* Makes `response` an error with the body of section 7.6, for what the server itself refuses. */
void rest_fail(const struct hub *hub, struct rest_response *response, int status,
               const char *error_code, const char *text);
