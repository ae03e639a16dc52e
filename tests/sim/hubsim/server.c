/* HTTPS and WebSockets with libwebsockets 4.1 on a foreign libuv loop.
 *
 * Happy path, REST: server_http.c.
 * Happy path, MQTT: upgrade checked -> client_new -> bytes in, output out, until one side closes.
 * Fails when: the port is taken; a peer is too slow, or sends text frames.
 *
 * What this version of the library needs, each learnt from a hang or a crash:
 * - a service buffer of 32 KB, or bodies over TLS stall (the event glue reads once only);
 * - HTTP/1.1 by ALPN: with HTTP/2 on offer custom headers cannot be read;
 * - deadlines of ours on libuv timers: its own do not fire when armed outside its callbacks. */
#include "tests/sim/hubsim/server_impl.h"

#include "tests/sim/hubsim/address.h"
#include "tests/sim/hubsim/client.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEBSOCKET_PATH "/$iothub/websocket"

enum {
    SERVICE_BUFFER = 32 * 1024,
    HEADERS_MAX = 16 * 1024, /* of one request, all together */
    REQUEST_S = 30,          /* between two pieces of a request */
    KEEPALIVE_S = 60,        /* between two requests */
    FRAME_MAX = 16 * 1024,   /* of one WebSocket frame that we send */
};

struct server {
    uv_loop_t *loop;
    struct hub *hub;
    struct lws_context *context;
    struct lws_vhost *vhost, *metadata_vhost;
    uv_timer_t timer; /* the earliest deadline of all links, and the hub's */
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

    uint64_t deadline;

    server->timer_at = 0;
    deadline = hub_tick(server->hub, now_of(server));
    if (deadline != 0)
        schedule(server, deadline);
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

/* The hub has a new deadline, perhaps an earlier one; it is asked for it at once, from the loop. */
static void on_hub_wake(void *data)
{
    struct server *server = data;

    schedule(server, now_of(server));
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

static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t length)
{
    if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE)
        return confirm_upgrade(wsi, in);
    return server_http_event(user, server_of(wsi)->hub, wsi, reason, in, length);
}

static int plain_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t length)
{
    if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE)
        return -1;
    return server_http_event(user, server_of(wsi)->hub, wsi, reason, in, length);
}

/* The subprotocol is compared with case; the SDK for C offers it in capitals. The first is no
 * subprotocol, and has a name that nobody can offer: a WebSocket of it would have no client. */
static const struct lws_protocols protocols[] = {
    { "(http)", http_callback, sizeof(struct session), 0, 0, NULL, 0 },
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
        .ssl_options_set = options->tls_12_only ? (long)SSL_OP_NO_TLSv1_3 : 0,
    };

    server->vhost = lws_create_vhost(server->context, &info);
    return server->vhost != NULL ? 0 : -EIO;
}

/* The metadata address: HTTP without TLS, as machines of a cloud have it, and without WebSockets. */
static int open_metadata_vhost(struct server *server, const struct server_options *options)
{
    static const struct lws_protocols plain_protocols[] = {
        { "http", plain_callback, sizeof(struct session), 0, 0, NULL, 0 },
        { NULL, NULL, 0, 0, 0, NULL, 0 },
    };
    struct lws_context_creation_info info = {
        .port = options->metadata_port,
        .iface = options->metadata_listen,
        .vhost_name = "metadata",
        .protocols = plain_protocols,
        .keepalive_timeout = KEEPALIVE_S,
    };

    server->metadata_vhost = lws_create_vhost(server->context, &info);
    return server->metadata_vhost != NULL ? 0 : -EIO;
}

static int open_vhosts(struct server *server, const struct server_options *options, struct err *err)
{
    int rc = open_vhost(server, options);

    if (rc != 0)
        err_set(err, "cannot listen on %s port %d", options->listen, options->port);
    if (rc != 0 || options->metadata_listen == NULL)
        return rc;
    rc = address_try(options->metadata_listen, options->metadata_port, err);
    if (rc == 0) {
        rc = open_metadata_vhost(server, options);
        if (rc != 0)
            err_set(err, "cannot listen on %s port %d", options->metadata_listen,
                    options->metadata_port);
    }
    return rc;
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
        rc = open_vhosts(server, options, err);
    if (rc != 0) {
        server_close(server);
        uv_run(options->loop, UV_RUN_DEFAULT);
        server_free(server);
        return rc;
    }
    hub_on_wake(server->hub, on_hub_wake, server);
    *out = server;
    return 0;
}

int server_port(const struct server *server)
{
    return lws_get_vhost_listen_port(server->vhost);
}

int server_metadata_port(const struct server *server)
{
    return lws_get_vhost_listen_port(server->metadata_vhost);
}

void server_close(struct server *server)
{
    hub_on_wake(server->hub, NULL, NULL);
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
