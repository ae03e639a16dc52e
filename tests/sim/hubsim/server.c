/* HTTPS and WebSockets with libwebsockets 4.1 on a foreign libuv loop.
 *
 * Happy path, REST: request line and headers -> body -> rest_handle -> response in HTTP_WRITEABLE.
 * Happy path, MQTT: upgrade checked -> client_new -> bytes in, output out, until one side closes.
 * Fails when: the port is taken; a request is malformed, too large, or chunked; a peer is too slow.
 *
 * What this version of the library needs, each learnt from a hang or a crash:
 * - a service buffer of 32 KB, or bodies over TLS stall (the event glue reads once only);
 * - no response inside BODY_COMPLETION, or the next pipelined request is taken for a body for ever;
 * repeats of BODY_COMPLETION are bytes behind the body: ignored, and too many end the connection;
 * - a request with a body that came in one piece behind another: its head is handed out once more, as
 * its body, and then BODY_COMPLETION without end: answered at once (503), then the connection closes;
 * - no chunked bodies (they are handed out undecoded): 411, then the connection closes;
 * - a PUT, POST or PATCH without Content-Length swallows the next request: answered, then closed;
 * - a Content-Length of 0 gives BODY callbacks for POST only;
 * - HTTP/1.1 by ALPN: with HTTP/2 on offer custom headers cannot be read;
 * - the per-request memory is zeroed at every transaction, so it only points to our own;
 * - deadlines of ours on libuv timers: its own do not fire when armed outside its callbacks. */
#include "tests/sim/hubsim/server.h"

#include "tests/sim/hubsim/address.h"
#include "tests/sim/hubsim/client.h"
#include "tests/sim/hubsim/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#define WEBSOCKET_PATH "/$iothub/websocket"

enum {
    SERVICE_BUFFER = 32 * 1024,
    HEADERS_MAX = 16 * 1024, /* of one request, all together */
    HEADER_MAX = 8 * 1024,   /* of one header value or the path */
    RESPONSE_HEADERS_MAX = 1024,
    REQUEST_S = 30,        /* between two pieces of a request */
    KEEPALIVE_S = 60,      /* between two requests */
    FRAME_MAX = 16 * 1024, /* of one WebSocket frame that we send */
};

struct server {
    uv_loop_t *loop;
    struct hub *hub;
    struct lws_context *context;
    struct lws_vhost *vhost;
    uv_timer_t timer; /* the earliest deadline of all links */
    uint64_t timer_at;
    struct link *links;
};

/* One WebSocket connection. */
struct link {
    struct server *server;
    struct lws *wsi;
    struct client *client;
    struct link *next;
    bool reads; /* as libwebsockets was told */
};

/* What libwebsockets keeps per connection: a pointer of ours, for either kind. */
struct session {
    struct exchange *exchange;
    struct link *link;
};

static struct server *server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

static uint64_t now_of(const struct server *server)
{
    return env_now_ms(hub_env(server->hub));
}

/* ---- WebSocket connections ---- */

static void on_timer(uv_timer_t *timer);

/* In a millisecond at the earliest: libuv runs a timer of 0 that its own callback starts before it looks
 * at a socket, and so for ever. */
static void schedule(struct server *server, uint64_t at_ms)
{
    uint64_t now = now_of(server);

    if (server->timer_at != 0 && server->timer_at <= at_ms)
        return;
    server->timer_at = at_ms;
    uv_update_time(server->loop);
    uv_timer_start(&server->timer, on_timer, at_ms > now ? at_ms - now : 1, 0);
}

/* Whether nothing is left to do for the link but to close it. */
static bool is_finished(const struct link *link)
{
    return client_is_over(link->client) && client_output(link->client)->length == 0;
}

/* Asks for what the client wants now: a moment to write, a deadline, its end. */
static void attend(struct link *link)
{
    uint64_t deadline = client_tick(link->client, now_of(link->server));

    if (is_finished(link)) {
        schedule(link->server,
                 now_of(link->server)); /* not here: it may be another one's callback */
        return;
    }
    if (link->reads != client_reads(link->client)) {
        link->reads = !link->reads;
        lws_rx_flow_control(link->wsi, link->reads);
    }
    if (client_may_send(link->client, now_of(link->server)))
        lws_callback_on_writable(link->wsi);
    else /* it may gather from now on, which moves the deadline */
        deadline = client_tick(link->client, now_of(link->server));
    if (deadline != 0)
        schedule(link->server, deadline);
}

static void on_timer(uv_timer_t *timer)
{
    struct server *server = timer->data;
    struct link *link, *next;

    server->timer_at = 0;
    for (link = server->links; link != NULL; link = next) {
        next = link->next;
        client_tick(link->client, now_of(server));
        if (is_finished(link)) /* the link is gone when this returns */
            lws_set_timeout(link->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
        else
            attend(link);
    }
}

static void on_wake(void *data)
{
    attend(data);
}

static int open_link(struct session *session, struct lws *wsi)
{
    struct server *server = server_of(wsi);
    struct link *link = calloc(1, sizeof *link);

    if (link == NULL)
        return -1;
    link->server = server;
    link->wsi = wsi;
    link->reads = true;
    if (client_new(&link->client, server->hub, now_of(server), on_wake, link) != 0) {
        free(link);
        return -1;
    }
    link->next = server->links;
    server->links = link;
    session->link = link;
    attend(link);
    return 0;
}

static void close_link(struct session *session)
{
    struct link *link = session->link, **place;

    if (link == NULL)
        return;
    session->link = NULL;
    place = &link->server->links;
    while (*place != link)
        place = &(*place)->next;
    *place = link->next;
    client_free(link->client);
    free(link);
}

static int on_receive(struct link *link, struct lws *wsi, const void *bytes, size_t length)
{
    if (!lws_frame_is_binary(wsi)) {
        lws_close_reason(wsi, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, NULL, 0);
        return -1;
    }
    client_receive(link->client, bytes, length, now_of(link->server));
    if (is_finished(link))
        return -1;
    attend(link);
    return 0;
}

/* One write per WRITEABLE: back-pressure is ours, the library buffers whatever it is given. */
static int on_link_writable(struct link *link, struct lws *wsi)
{
    uint8_t frame[LWS_PRE + FRAME_MAX];
    bool text = false;
    size_t length = client_take_frame(link->client, now_of(link->server), frame + LWS_PRE,
                                      FRAME_MAX, &text);

    if (length > 0) {
        if (lws_write(wsi, frame + LWS_PRE, length, text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY) <
            (int)length)
            return -1;
        lws_callback_on_writable(wsi); /* before the end, too: it has left then */
        return 0;
    }
    return is_finished(link) ? -1 : 0;
}

static int mqtt_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t length)
{
    struct session *session = user;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        return open_link(session, wsi);
    case LWS_CALLBACK_RECEIVE:
        return session->link != NULL ? on_receive(session->link, wsi, in, length) : -1;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return session->link != NULL ? on_link_writable(session->link, wsi) : -1;
    case LWS_CALLBACK_CLOSED:
        close_link(session);
        return 0;
    default:
        return 0;
    }
}

/* ---- the upgrade ---- */

/* Whether the list "foo, mqtt" names the protocol in a spelling that we have (12.2). */
static bool offers_mqtt(const char *list)
{
    while (*list != 0) {
        size_t length = strcspn(list, ", \t");

        if (length == 4 && (memcmp(list, "mqtt", 4) == 0 || memcmp(list, "MQTT", 4) == 0))
            return true;
        list += length + (list[length] != 0);
    }
    return false;
}

static int confirm_upgrade(struct lws *wsi, const char *kind)
{
    char protocols[256], *path;
    int length = 0;

    if (kind == NULL || strcmp(kind, "websocket") != 0)
        return -1;
    if (lws_http_get_uri_and_method(wsi, &path, &length) != LWSHUMETH_GET ||
        (size_t)length != strlen(WEBSOCKET_PATH) ||
        memcmp(path, WEBSOCKET_PATH, (size_t)length) != 0) {
        lws_return_http_status(wsi, HTTP_STATUS_NOT_FOUND, NULL);
        return 1;
    }
    if (lws_hdr_copy(wsi, protocols, sizeof protocols, WSI_TOKEN_PROTOCOL) <= 0 ||
        !offers_mqtt(protocols)) {
        lws_return_http_status(wsi, HTTP_STATUS_BAD_REQUEST, NULL);
        return 1;
    }
    return 0;
}

/* ---- requests ---- */

static void free_exchange(struct session *session)
{
    exchange_free(session->exchange);
    session->exchange = NULL;
}

/* A header's value, owned by the caller; NULL when it is absent or longer than HEADER_MAX. */
static char *copy_header(struct lws *wsi, enum lws_token_indexes token)
{
    int length = lws_hdr_total_length(wsi, token);
    char *value;

    if (length <= 0 || length > HEADER_MAX)
        return NULL;
    value = malloc((size_t)length + 1);
    if (value != NULL && lws_hdr_copy(wsi, value, length + 1, token) != length) {
        free(value);
        return NULL;
    }
    return value;
}

/* A parameter of the query by "name=", decoded; NULL when absent. */
static char *copy_parameter(struct lws *wsi, const char *name)
{
    char value[256];
    const char *found = lws_get_urlarg_by_name(wsi, name, value, sizeof value);

    return found != NULL ? strdup(found) : NULL;
}

struct method {
    const char *name;
    int number;
    enum lws_token_indexes token; /* of the request line */
};

static const struct method methods[] = {
    { "GET", LWSHUMETH_GET, WSI_TOKEN_GET_URI },
    { "POST", LWSHUMETH_POST, WSI_TOKEN_POST_URI },
    { "OPTIONS", LWSHUMETH_OPTIONS, WSI_TOKEN_OPTIONS_URI },
    { "PUT", LWSHUMETH_PUT, WSI_TOKEN_PUT_URI },
    { "PATCH", LWSHUMETH_PATCH, WSI_TOKEN_PATCH_URI },
    { "DELETE", LWSHUMETH_DELETE, WSI_TOKEN_DELETE_URI },
    { "HEAD", LWSHUMETH_HEAD, WSI_TOKEN_HEAD_URI },
};

/* Whether the path was cut at a raw '&' or ';': "/devices/a;b" would be "/devices/a", another
 * device. */
static bool path_is_cut(struct lws *wsi, enum lws_token_indexes token)
{
    char rest[8];

    /* Longer than `rest` it cannot be copied, empty it has no length. */
    return lws_hdr_fragment_length(wsi, token, 1) > 0 ||
           lws_hdr_copy_fragment(wsi, rest, sizeof rest, token, 1) != -1;
}

static int64_t content_length(struct lws *wsi)
{
    char text[24];

    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return -1;
    if (lws_hdr_copy(wsi, text, sizeof text, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return INT64_MAX;
    return strtoll(text, NULL, 10);
}

/* The request line and the headers. False when they cannot be had. */
static bool read_head(struct exchange *x, struct lws *wsi)
{
    const struct method *method = NULL;
    char *path;
    int length = 0;
    int number = lws_http_get_uri_and_method(wsi, &path, &length);

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (methods[i].number == number)
            method = &methods[i];
    }
    if (method == NULL)
        return false;
    x->method = method->name;
    x->path = strndup(path, (size_t)length);
    x->path_is_cut = path_is_cut(wsi, method->token);
    x->api_version = copy_parameter(wsi, "api-version=");
    x->top = copy_parameter(wsi, "top=");
    x->authorization = copy_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    x->if_match = copy_header(wsi, WSI_TOKEN_HTTP_IF_MATCH);
    x->chunked = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
    x->content_length = content_length(wsi);
    return x->path != NULL;
}

/* ---- responses ---- */

static bool add_header(struct lws *wsi, const char *name, const char *value, uint8_t **at,
                       uint8_t *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), at,
                                       end) == 0;
}

static int write_head(const struct exchange *x, struct lws *wsi)
{
    uint8_t head[LWS_PRE + RESPONSE_HEADERS_MAX];
    uint8_t *start = head + LWS_PRE, *at = start, *end = head + sizeof head - 1;
    unsigned int status = (unsigned int)x->response.status;
    bool made;

    if (status == HTTP_STATUS_NO_CONTENT)
        made = lws_add_http_header_status(wsi, status, &at, end) == 0;
    else
        made = lws_add_http_common_headers(wsi, status, "application/json; charset=utf-8",
                                           x->response.body.length, &at, end) == 0;
    if (made && x->response.error_code != NULL)
        made = add_header(wsi, "iothub-errorcode:", x->response.error_code, &at, end);
    if (made && x->close)
        made = add_header(wsi, "connection:", "close", &at, end);
    return made && lws_finalize_write_http_header(wsi, start, &at, end) == 0 ? 0 : -1;
}

static int write_body(const struct exchange *x, struct lws *wsi)
{
    size_t length = x->response.body.length;
    uint8_t *bytes;
    int written;

    if (length == 0 || strcmp(x->method, "HEAD") == 0)
        return 0;
    bytes = malloc(LWS_PRE + length);
    if (bytes == NULL)
        return -1;
    memcpy(bytes + LWS_PRE, x->response.body.bytes, length);
    written = lws_write(wsi, bytes + LWS_PRE, length, LWS_WRITE_HTTP_FINAL);
    free(bytes);
    return written == (int)length ? 0 : -1;
}

static int respond(struct session *session, struct lws *wsi)
{
    struct exchange *x = session->exchange;
    bool close = x->close;

    if (write_head(x, wsi) != 0 || write_body(x, wsi) != 0)
        return -1;
    free_exchange(session); /* the session's memory is zeroed by the next call */
    return close || lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

/* What libwebsockets is to return for what comes next. A response waits for HTTP_WRITEABLE, but for
 * one that ends the connection now. */
static int go_on(struct session *session, struct lws *wsi, enum exchange_next next)
{
    if (next == EXCHANGE_RESPOND_NOW)
        return respond(session, wsi);
    if (next == EXCHANGE_RESPOND)
        lws_callback_on_writable(wsi);
    return next == EXCHANGE_HANG_UP ? -1 : 0;
}

static int on_request(struct session *session, struct lws *wsi)
{
    free_exchange(session);
    session->exchange = exchange_new();
    if (session->exchange == NULL || !read_head(session->exchange, wsi))
        return -1;
    return go_on(session, wsi, exchange_start(session->exchange, server_of(wsi)->hub));
}

static int on_body(struct session *session, struct lws *wsi, const void *bytes, size_t length)
{
    if (session->exchange == NULL)
        return 0;
    return go_on(session, wsi,
                 exchange_body(session->exchange, server_of(wsi)->hub, bytes, length));
}

static int on_body_end(struct session *session, struct lws *wsi)
{
    if (session->exchange == NULL)
        return 0;
    return go_on(session, wsi, exchange_body_end(session->exchange, server_of(wsi)->hub));
}

static int on_response_writable(struct session *session, struct lws *wsi)
{
    if (session->exchange == NULL || !session->exchange->responded)
        return 0;
    return respond(session, wsi);
}

static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t length)
{
    struct session *session = user;

    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return confirm_upgrade(wsi, in);
    case LWS_CALLBACK_HTTP:
        return on_request(session, wsi);
    case LWS_CALLBACK_HTTP_BODY:
        return on_body(session, wsi, in, length);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return on_body_end(session, wsi);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_response_writable(session, wsi);
    case LWS_CALLBACK_RAW_SKT_BIND_PROTOCOL: /* CONNECT: no HTTP from here on, to libwebsockets */
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
        return -1;
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (session != NULL)
            free_exchange(session);
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, length);
    }
}

/* The subprotocol is compared with case; the SDK for C offers it in capitals. */
static const struct lws_protocols protocols[] = {
    { "http", http_callback, sizeof(struct session), 0, 0, NULL, 0 },
    { "mqtt", mqtt_callback, sizeof(struct session), SERVICE_BUFFER, 0, NULL, 0 },
    { "MQTT", mqtt_callback, sizeof(struct session), SERVICE_BUFFER, 0, NULL, 0 },
    { NULL, NULL, 0, 0, 0, NULL, 0 },
};

/* Silence is judged by MQTT's keepalive (client.h), not by pings of the WebSocket. */
static const lws_retry_bo_t no_pings = {
    .secs_since_valid_ping = UINT16_MAX - 1,
    .secs_since_valid_hangup = UINT16_MAX,
};

/* ---- open and close ---- */

/* The library's errors, without its line end. It has one log for the process and no pointer of
 * ours. */
static void on_log(int level, const char *line)
{
    (void)level;
    fprintf(stderr, "hubsim: libwebsockets: %.*s\n", (int)strcspn(line, "\n"), line);
}

static int open_context(struct server *server, const struct server_options *options)
{
    void *loops[1] = { options->loop };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .foreign_loops = loops,
        .pt_serv_buf_size = SERVICE_BUFFER,
        .max_http_header_data = HEADERS_MAX,
        .fd_limit_per_thread = options->descriptors_max,
        .timeout_secs = REQUEST_S, /* of the context: a vhost's is not looked at */
        .user = server,
    };

    lws_set_log_level(LLL_ERR, on_log);
    server->context = lws_create_context(&info);
    return server->context != NULL ? 0 : -EIO;
}

static int open_vhost(struct server *server, const struct server_options *options)
{
    const struct certificate *certificate = options->certificate;
    struct lws_context_creation_info info = {
        .port = options->port,
        .iface = options->listen,
        .protocols = protocols,
        .alpn = "http/1.1",
        .keepalive_timeout = KEEPALIVE_S,
        .retry_and_idle_policy = &no_pings,
        .server_ssl_cert_mem = certificate->certificate,
        .server_ssl_cert_mem_len = (unsigned int)strlen(certificate->certificate),
        .server_ssl_private_key_mem = certificate->key,
        .server_ssl_private_key_mem_len = (unsigned int)strlen(certificate->key),
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
    };

    server->vhost = lws_create_vhost(server->context, &info);
    return server->vhost != NULL ? 0 : -EIO;
}

int server_open(struct server **out, const struct server_options *options, struct err *err)
{
    struct server *server;
    int rc = address_try(options->listen, options->port, err);

    if (rc != 0)
        return rc;
    server = calloc(1, sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->loop = options->loop;
    server->hub = options->hub;
    uv_timer_init(options->loop, &server->timer);
    server->timer.data = server;
    rc = open_context(server, options);
    if (rc != 0)
        err_set(err,
                "libwebsockets cannot start; is the package libwebsockets-evlib-uv installed?");
    else
        rc = open_vhost(server, options);
    if (rc != 0) {
        if (server->context != NULL)
            err_set(err, "cannot listen on %s port %d", options->listen, options->port);
        server_close(server);
        uv_run(options->loop, UV_RUN_DEFAULT);
        server_free(server);
        return rc;
    }
    *out = server;
    return 0;
}

int server_port(const struct server *server)
{
    return lws_get_vhost_listen_port(server->vhost);
}

void server_close(struct server *server)
{
    uv_close((uv_handle_t *)&server->timer, NULL);
    if (server->context != NULL)
        lws_context_destroy(server->context); /* first of two: closes, the loop does the rest */
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    if (server->context != NULL)
        lws_context_destroy(server->context); /* second of two: frees */
    assert(server->links == NULL);
    free(server);
}
