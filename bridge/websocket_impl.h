/* The inside of the link to the hub, shared by websocket.c (one websocket: connect, send, end),
 * websocket_event.c (what libwebsockets calls back, and why a connection ended) and websocket_context.c
 * (the library's context, the turn of the loop, the teardown). Nobody else includes it. */
#pragma once

#include "bridge/trust.h"
#include "bridge/websocket.h"

#include <libwebsockets.h>
#include <uv.h>

enum {
    WEBSOCKET_HOST_MAX = 255,
    WEBSOCKET_LIBRARY_HANDLES_MAX = 4,
};

struct websocket_context {
    uv_loop_t *loop;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    struct trust *trust;
    uv_idle_t turn; /* runs while somebody is due */
    struct websocket *first_due, *last_due;
    size_t websockets; /* that exist */
    size_t lookups;    /* not yet over */
    uv_handle_t
        *library[WEBSOCKET_LIBRARY_HANDLES_MAX]; /* libwebsockets' own, watched while closing */
    size_t library_count;
    int wake_fd; /* of libwebsockets' event pipe */
    bool closing;
    void (*closed)(void *data);
    void *data;
};

enum websocket_stage {
    WEBSOCKET_DOWN,
    WEBSOCKET_RESOLVING,
    WEBSOCKET_CONNECTING,
    WEBSOCKET_SHAKING,   /* TCP stands, TLS not yet */
    WEBSOCKET_UPGRADING, /* TLS stands */
    WEBSOCKET_OPEN,
    WEBSOCKET_ENDING, /* nothing left but to say so */
};

/* One queued message; libwebsockets wants LWS_PRE bytes before the payload and masks it in place. */
struct websocket_message {
    struct websocket_message *next;
    size_t length;
    uint8_t bytes[]; /* LWS_PRE, then the payload */
};

struct websocket_lookup;

struct websocket {
    struct websocket_context *context;
    const struct websocket_events *events;
    void *owner;
    enum websocket_stage stage;
    bool end_asked; /* by the owner or by us: to be killed, no more events but `down` */
    bool killed;    /* libwebsockets was told */
    bool is_due;
    struct websocket *next_due;
    struct lws *wsi; /* from connect to WSI_DESTROY */
    struct websocket_lookup *lookup;
    struct websocket_message *first, *last;
    size_t queued_bytes;
    int port;
    int status;        /* of a refused upgrade */
    bool was_open;     /* this connect succeeded */
    unsigned rotation; /* which of the resolved addresses is tried next */
    char host[WEBSOCKET_HOST_MAX + 1];
    struct sockaddr_storage address;
    char address_text[INET6_ADDRSTRLEN];
    struct err reason; /* the first one counts */
};

/* websocket_event.c */

/* The first protocol, which is told of every connection's end; terminated by an empty one. */
extern const struct lws_protocols WEBSOCKET_PROTOCOLS[];

/* Says why the connection ends, unless that was said already. */
__attribute__((format(printf, 2, 3))) void websocket_note(struct websocket *websocket,
                                                          const char *format, ...);

/* The same for a connect that failed with `error`, an errno; 0 = unknown. */
void websocket_note_connect(struct websocket *websocket, int error);

/* How far it came, for the one who closes because it took too long. */
void websocket_note_stage(struct websocket *websocket);

/* websocket.c */

/* Ends the connection in the next turn of the loop. */
void websocket_end(struct websocket *websocket);

/* Writes the first message of the queue, when there is one. */
void websocket_write_next(struct websocket *websocket);

/* Does what is due for one websocket, `down` included: it may be freed afterwards. */
void websocket_advance(struct websocket *websocket);

/* websocket_context.c */

/* websocket_advance is called in the next turn of the loop, outside of every callback. */
void websocket_make_due(struct websocket *websocket);

/* A name lookup began or is over; the context's end waits for the last. */
void websocket_lookup_begins(struct websocket_context *context);
void websocket_lookup_over(struct websocket_context *context);

/* Closes the poll handle that libwebsockets left behind for this connection, if it did. */
void websocket_close_poll_handle(struct websocket_context *context, struct lws *wsi);
