/* The inside of the hub's door, shared by server.c (the context, MQTT over WebSockets, open and close)
 * and server_http.c (REST). Nobody else includes it. */
#pragma once

#include "tests/sim/hubsim/exchange.h"
#include "tests/sim/hubsim/server.h"

#include <libwebsockets.h>

struct link;

/* What libwebsockets keeps per connection: a pointer of ours, for either kind. */
struct session {
    struct exchange *exchange;
    struct link *link;
};

/* The events of connections that are no WebSockets, but the upgrade. As a callback of libwebsockets. */
int server_http_event(struct session *session, struct hub *hub, struct lws *wsi,
                      enum lws_callback_reasons reason, void *in, size_t length);
