/* The service REST API (reference: iot-hub.md section 7), the token endpoints, and the messages
 * that devices sent: one request in, one response out, at once or later. Knows no sockets; what it
 * decides, hub.h carries out. */
#pragma once

#include "base/buf.h"
#include "tests/sim/hubsim/hub.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    REST_BODY_MAX = 256 * 1024,           /* of a request */
    REST_RESPONSE_MAX = 16 * 1024 * 1024, /* a page of it, where there are more */
    REST_CONTINUATION_MAX = 512,
};

/* What a request says besides its line and its body. */
enum rest_text {
    REST_API_VERSION, /* of the query */
    REST_TOP,
    REST_AFTER,
    REST_RESOURCE,
    REST_CLIENT_ID,
    REST_AUTHORIZATION, /* headers */
    REST_IF_MATCH,
    REST_MAX_ITEM_COUNT,
    REST_CONTINUATION,
    REST_CONTENT_TYPE,
    REST_METADATA,
    REST_HOST,
    REST_MESSAGE_ID,
    REST_CORRELATION_ID,
    REST_USER_ID,
    REST_TO,
    REST_ACK,
    REST_TTL,
    REST_PROPERTIES,
    REST_TEXT_COUNT,
};

/* Where a server finds each of them. */
struct rest_source {
    const char *name; /* "api-version=" of the query, "if-match:" of the headers */
    bool is_header;
};
extern const struct rest_source rest_sources[REST_TEXT_COUNT];

struct rest_request {
    const char *method;                 /* "GET" */
    const char *path;                   /* decoded, without the query */
    const char *texts[REST_TEXT_COUNT]; /* NULL when absent */
    const char *body;                   /* not NUL-terminated */
    size_t body_length;
    bool plain; /* it came in at the metadata address, where only tokens are to be had */
    void (*done)(void *data); /* called when a response that was not made at once is made */
    void *data;
};

struct rest_waiting;

struct rest_response {
    int status;
    const char *error_code;                   /* header iothub-errorcode; NULL = none. A constant */
    const char *item_type;                    /* header x-ms-item-type; NULL = none. A constant */
    char continuation[REST_CONTINUATION_MAX]; /* header x-ms-continuation; "" = none */
    struct buf body;                          /* JSON; empty with 204 */
    struct rest_waiting *waiting;             /* REST's own */
};

/* An empty response; rest_response_done frees the body, and forgets what was waited for: the
 * request's `done` is not called any more. */
void rest_response_init(struct rest_response *response);
void rest_response_done(struct rest_response *response);

/* True: `response` is filled in. False: it will be, and the request's `done` called then, once, not
 * from inside this call; until then `response` stays where it is, the request need not. */
bool rest_handle(struct hub *hub, const struct rest_request *request,
                 struct rest_response *response);

/* Makes `response` an error with the body of section 7.6, for what the server itself refuses. */
void rest_fail(const struct hub *hub, struct rest_response *response, int status,
               const char *error_code, const char *text);
