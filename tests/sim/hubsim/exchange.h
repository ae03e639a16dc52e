/* One HTTP exchange between its first header and its response: what has come, what is still to
 * come, and when to answer. Knows no sockets; rest.h makes the responses, some of them later. */
#pragma once

#include "base/buf.h"
#include "tests/sim/hubsim/hub.h"
#include "tests/sim/hubsim/rest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXCHANGE_COMPLETIONS_MAX = 8 };

struct exchange {
    /* The head, set by the server before exchange_start. Texts are owned; NULL = absent. */
    const char *method; /* a constant */
    char *path;
    char *texts[REST_TEXT_COUNT];
    int64_t content_length; /* -1 = the header is absent */
    bool chunked;
    bool path_is_cut;    /* a raw & or ; in the path: what follows it is lost */
    bool header_is_lost; /* one that REST reads is longer than the server takes */
    bool plain;          /* it came in at the metadata address */
    void (*ready)(struct exchange *exchange); /* the response that was waited for is there */
    void *owner;                              /* for `ready` */

    /* The answer. */
    struct rest_response response;
    bool close; /* the connection cannot carry another request */

    struct buf body;
    bool body_begun;
    bool handled; /* REST has it; its response may come later */
    bool responded;
    int completions;
};

enum exchange_next {
    EXCHANGE_WAIT,        /* for more of the body */
    EXCHANGE_LATER,       /* for `ready` */
    EXCHANGE_RESPOND,     /* send `response`, now or as soon as it may be written */
    EXCHANGE_RESPOND_NOW, /* send `response` before anything else comes, then close */
    EXCHANGE_HANG_UP,
};

/* An exchange with an empty head. NULL when memory is out. */
struct exchange *exchange_new(void);
/* NULL is fine. A response that is waited for is forgotten. */
void exchange_free(struct exchange *exchange);

/* The head is complete. */
enum exchange_next exchange_start(struct exchange *exchange, struct hub *hub);

/* A piece of the body, or of what comes behind it; or the head once more, where libwebsockets takes it
 * for the body: that is answered 503, nothing of the request is carried out. */
enum exchange_next exchange_body(struct exchange *exchange, struct hub *hub, const void *bytes,
                                 size_t length);

/* The body is complete; may be said again when bytes follow it, but not without end. */
enum exchange_next exchange_body_end(struct exchange *exchange, struct hub *hub);
