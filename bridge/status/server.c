/* The HTTP server of the status page: GET and HEAD, one request per connection.
 *
 * The happy path: we accept, libwebsockets reads the request, and every writeable event sends one piece of
 * the answer, so that a reader who stalls costs one piece and not a document. Then the connection closes:
 * a page that asks once a second gains nothing from keeping it, and what a client sends behind its first
 * request (libwebsockets 4.1.6 would take it for a body, or loop on it) is never looked at.
 *
 * Failure modes: the address is taken or not of loopback (status_server_new says so); too many readers
 * (the next waits in the kernel's queue until one is done); no descriptor left (we try again in a second);
 * a reader that neither reads nor goes (closed after STALL_S); another method, a body, an unknown
 * address or argument (refused with one line).
 *
 * The listening socket is ours: libwebsockets neither says why it cannot listen nor stops at once. */
#include "bridge/status/server.h"

#include "bridge/status/listen.h"
#include "bridge/status/page.h"
#include "bridge/status/query.h"

#include <libwebsockets.h>
#include <uv.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 32,
    BACKLOG = 64,
    REQUEST_S = 10, /* for a request to arrive in full */
    STALL_S = 30,   /* between two pieces that a reader takes */
    PIECE_BYTES = 4096,
    PIECE_MAX_BYTES = 65536, /* a source that writes more at once is broken */
    RETRY_ACCEPT_MS = 1000,
    URI_MAX = 256,
    ARGUMENT_MAX = 512,
};

enum body { BODY_NONE, BODY_PAGE, BODY_DOCUMENT };

struct connection {
    struct status_server *server;
    struct connection *next, *previous;
    struct lws *wsi; /* until WSI_DESTROY, when this is freed */
    bool asked;      /* the one request has come */
    bool head_only;
    bool head_sent;
    enum body body;
    size_t page_sent;
    struct status_cursor cursor;
};

struct status_server {
    struct lws_context *lws;
    struct lws_vhost *vhost;
    uv_poll_t listener;
    uv_timer_t retry; /* after accept failed; and closes last of all */
    int fd;
    int port;
    struct status_source source;
    struct connection *connections;
    size_t connection_count;
    bool closing;
    bool listener_closed;
    void (*closed)(void *data);
    void *data;
};

/* ---- answers ---- */

static const char *phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    default:
        return "Service Unavailable";
    }
}

/* Room that libwebsockets wants before what it writes. */
static void begin_piece(struct buf *piece)
{
    static const uint8_t room[LWS_PRE];

    buf_init(piece, PIECE_MAX_BYTES);
    buf_add(piece, room, sizeof room);
}

/* `length` < 0: it ends where the connection ends. */
static void add_head(struct buf *piece, int status, const char *type, long length)
{
    buf_printf(piece, "HTTP/1.1 %d %s\r\n", status, phrase(status));
    buf_printf(piece, "Content-Type: %s; charset=utf-8\r\n", type);
    if (length >= 0)
        buf_printf(piece, "Content-Length: %ld\r\n", length);
    if (status == 405)
        buf_add_text(piece, "Allow: GET, HEAD\r\n");
    buf_printf(piece, "Content-Security-Policy: %s\r\n", status_page_policy);
    buf_add_text(piece, "X-Content-Type-Options: nosniff\r\n"
                        "Referrer-Policy: no-referrer\r\n"
                        "Cache-Control: no-store\r\n"
                        "Connection: close\r\n"
                        "\r\n");
}

/* Hands one piece to libwebsockets, which takes all of it. 0 or -EIO. */
static int write_piece(struct lws *wsi, struct buf *piece)
{
    size_t length = piece->length - LWS_PRE;
    int rc = -EIO;

    if (piece->error == 0 && lws_write(wsi, piece->bytes + LWS_PRE, length, LWS_WRITE_HTTP) >= 0)
        rc = 0;
    buf_done(piece);
    return rc;
}

/* A whole short answer. -1: libwebsockets closes once it is sent. */
static int answer(struct connection *c, int status, const char *type, const char *text)
{
    struct buf piece;

    begin_piece(&piece);
    add_head(&piece, status, type, (long)strlen(text));
    if (!c->head_only)
        buf_add_text(&piece, text);
    (void)write_piece(c->wsi, &piece);
    return -1;
}

/* `why` is text of ours, or an argument's name: nothing that JSON would have to escape. */
static int refuse(struct connection *c, int status, const char *why)
{
    char text[sizeof(struct err) + 32];

    snprintf(text, sizeof text, "{\"error\":\"%s\"}\n", why);
    return answer(c, status, "application/json", text);
}

static int answer_check(struct connection *c, bool (*check)(void *data, struct err *why))
{
    struct err why = { "" };
    bool fine = check(c->server->source.data, &why);
    char text[sizeof why + 2];

    snprintf(text, sizeof text, "%s\n", fine ? "ok" : why.msg);
    return answer(c, fine ? 200 : 503, "text/plain", text);
}

/* The next piece of a long answer. 0 with more to come, else -1: close. */
static int send_piece(struct connection *c)
{
    const struct status_source *source = &c->server->source;
    struct buf piece;
    bool more = false;

    begin_piece(&piece);
    if (!c->head_sent && c->body == BODY_PAGE)
        add_head(&piece, 200, "text/html", (long)status_page_length);
    else if (!c->head_sent)
        add_head(&piece, 200, "application/json", -1);
    c->head_sent = true;

    if (!c->head_only && c->body == BODY_PAGE) {
        size_t left = status_page_length - c->page_sent;
        size_t now = left < PIECE_BYTES ? left : PIECE_BYTES;

        buf_add(&piece, status_page + c->page_sent, now);
        c->page_sent += now;
        more = c->page_sent < status_page_length;
    } else if (!c->head_only) {
        more = source->next(source->data, &c->cursor, &piece);
    }
    if (write_piece(c->wsi, &piece) != 0 || !more)
        return -1;
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, STALL_S);
    lws_callback_on_writable(c->wsi);
    return 0;
}

static int begin_long(struct connection *c, enum body body)
{
    c->body = body;
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, STALL_S);
    lws_callback_on_writable(c->wsi);
    return 0;
}

/* ---- requests ---- */

static int read_query(struct connection *c, struct status_query *query, struct err *err)
{
    char argument[ARGUMENT_MAX];
    int length;

    status_query_init(query);
    for (int i = 0; (length = lws_hdr_fragment_length(c->wsi, WSI_TOKEN_HTTP_URI_ARGS, i)) > 0;
         i++) {
        if (length >= ARGUMENT_MAX || lws_hdr_copy_fragment(c->wsi, argument, sizeof argument,
                                                            WSI_TOKEN_HTTP_URI_ARGS, i) < 0) {
            err_set(err, "an argument is too long");
            return -EINVAL;
        }
        if (status_query_add(query, argument, err) != 0)
            return -EINVAL;
    }
    return 0;
}

static bool has_body(struct lws *wsi)
{
    char length[24] = "";

    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return true;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) == 0)
        return false;
    return lws_hdr_copy(wsi, length, sizeof length, WSI_TOKEN_HTTP_CONTENT_LENGTH) < 0 ||
           strcmp(length, "0") != 0;
}

static int route(struct connection *c, const char *uri)
{
    struct err err;

    if (strcmp(uri, "/") == 0)
        return begin_long(c, BODY_PAGE);
    if (strcmp(uri, "/healthz") == 0)
        return answer_check(c, c->server->source.healthy);
    if (strcmp(uri, "/readyz") == 0)
        return answer_check(c, c->server->source.ready);
    if (strcmp(uri, "/api/status") != 0)
        return refuse(c, 404, "no such address; there are /, /api/status, /healthz, /readyz");
    if (read_query(c, &c->cursor.query, &err) != 0)
        return refuse(c, 400, err.msg);
    return begin_long(c, BODY_DOCUMENT);
}

static int on_request(struct connection *c)
{
    char uri[URI_MAX];
    char *text = NULL;
    int length = 0, method;

    if (c->asked)
        return -1; /* a second one behind the first */
    c->asked = true;
    method = lws_http_get_uri_and_method(c->wsi, &text, &length);
    c->head_only = method == LWSHUMETH_HEAD;
    if ((method != LWSHUMETH_GET && method != LWSHUMETH_HEAD) || has_body(c->wsi))
        return refuse(c, 405, "this server is read-only: GET and HEAD, without a body");
    if (length < 0 || length >= URI_MAX)
        return refuse(c, 404, "no such address");
    memcpy(uri, text, (size_t)length);
    uri[length] = '\0';
    return route(c, uri);
}

/* ---- connections ---- */

static void listen_again(struct status_server *server);
static void maybe_closed(struct status_server *server);

static void on_destroyed(struct connection *c)
{
    struct status_server *server = c->server;

    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        server->connections = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    server->connection_count--;
    free(c);
    if (server->closing)
        maybe_closed(server);
    else
        listen_again(server);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons event, void *user, void *in,
                    size_t length)
{
    struct connection *c;

    (void)user;
    (void)in;
    (void)length;
    switch (event) {
    case LWS_CALLBACK_HTTP:
        c = lws_get_opaque_user_data(wsi);
        return c != NULL ? on_request(c) : -1;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        c = lws_get_opaque_user_data(wsi);
        return c != NULL && c->body != BODY_NONE ? send_piece(c) : 0;
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return -1; /* no body was let in, and nothing is upgraded */
    case LWS_CALLBACK_RAW_SKT_BIND_PROTOCOL:
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
        return -1; /* CONNECT makes a raw socket of a connection, for ever */
    case LWS_CALLBACK_WSI_DESTROY:
        c = lws_get_opaque_user_data(wsi);
        if (c != NULL)
            on_destroyed(c);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols PROTOCOLS[] = {
    { "http", on_event, 0, 0, 0, NULL, 0 },
    { NULL, NULL, 0, 0, 0, NULL, 0 },
};

/* Takes over `fd`. */
static void adopt(struct status_server *server, int fd)
{
    struct connection *c = calloc(1, sizeof *c);

    if (c == NULL) {
        close(fd);
        return;
    }
    c->wsi = lws_adopt_socket_vhost(server->vhost, fd);
    if (c->wsi == NULL) {
        free(c); /* the descriptor is closed already */
        return;
    }
    lws_set_opaque_user_data(c->wsi, c);
    c->server = server;
    c->next = server->connections;
    if (c->next != NULL)
        c->next->previous = c;
    server->connections = c;
    server->connection_count++;
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_ESTABLISH_WITH_SERVER, REQUEST_S);
    /* Its timers are armed in its own turns only: give it one. */
    lws_cancel_service(server->lws);
}

/* ---- the listening socket ---- */

static void on_retry(uv_timer_t *retry)
{
    listen_again(uv_handle_get_data((uv_handle_t *)retry));
}

static void on_listener(uv_poll_t *listener, int status, int events)
{
    struct status_server *server = uv_handle_get_data((uv_handle_t *)listener);

    (void)events;
    while (status == 0 && server->connection_count < CONNECTIONS_MAX) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            adopt(server, fd);
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR && errno != ECONNABORTED)
            status = -errno;
    }
    /* Full, or no descriptor left: the poll would go on reporting who waits. */
    uv_poll_stop(listener);
    if (status != 0)
        uv_timer_start(&server->retry, on_retry, RETRY_ACCEPT_MS, 0);
}

static void listen_again(struct status_server *server)
{
    if (server->connection_count < CONNECTIONS_MAX)
        uv_poll_start(&server->listener, UV_READABLE, on_listener);
}

/* A listening socket on `address`. The descriptor or -errno. */
static int open_listener(const struct sockaddr_storage *address)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, rc;

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    rc = -errno;
    close(fd);
    return rc;
}

static int port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
    } address = { 0 };
    socklen_t size = sizeof address;

    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.ip6.sin6_port : address.ip4.sin_port);
}

/* ---- opening and closing ---- */

static int make_vhost(struct status_server *server)
{
    struct lws_context_creation_info info = { 0 };

    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.vhost_name = "status";
    info.protocols = PROTOCOLS;
    info.alpn = "http/1.1";
    server->vhost = lws_create_vhost(server->lws, &info);
    return server->vhost != NULL ? 0 : -ENOMEM;
}

int status_server_new(struct status_server **out, struct lws_context *lws, struct uv_loop_s *loop,
                      const char *listen_at, const struct status_source *source, struct err *err)
{
    struct sockaddr_storage address;
    struct status_server *server;
    int rc = status_listen_parse(listen_at, &address, err);

    if (rc != 0)
        return rc;
    server = calloc(1, sizeof *server);
    if (server == NULL) {
        err_set(err, "out of memory");
        return -ENOMEM;
    }
    server->lws = lws;
    server->source = *source;
    server->fd = open_listener(&address);
    rc = server->fd < 0 ? server->fd : make_vhost(server);
    if (rc != 0) {
        err_set(err, "status.listen %.100s: %s%s", listen_at, strerror(-rc),
                rc == -EADDRINUSE ? ": is another twinbridge running? Else choose another port"
                                  : "");
        if (server->fd >= 0)
            close(server->fd);
        free(server);
        return rc;
    }
    server->port = port_of(server->fd);
    uv_poll_init(loop, &server->listener, server->fd);
    uv_handle_set_data((uv_handle_t *)&server->listener, server);
    uv_timer_init(loop, &server->retry);
    uv_handle_set_data((uv_handle_t *)&server->retry, server);
    listen_again(server);
    *out = server;
    return 0;
}

int status_server_port(const struct status_server *server)
{
    return server->port;
}

/* In a turn of its own, when libwebsockets has let go of the last connection: only then does it free the
 * vhost at once. */
static void on_retry_closed(uv_handle_t *handle)
{
    struct status_server *server = uv_handle_get_data(handle);
    void (*closed)(void *data) = server->closed;
    void *data = server->data;

    lws_vhost_destroy(server->vhost);
    free(server);
    closed(data);
}

static void maybe_closed(struct status_server *server)
{
    if (server->listener_closed && server->connection_count == 0)
        uv_close((uv_handle_t *)&server->retry, on_retry_closed);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct status_server *server = uv_handle_get_data(handle);

    close(server->fd);
    server->listener_closed = true;
    maybe_closed(server);
}

void status_server_close(struct status_server *server, void (*closed)(void *data), void *data)
{
    struct connection *next;

    server->closing = true;
    server->closed = closed;
    server->data = data;
    uv_close((uv_handle_t *)&server->listener, on_listener_closed);
    for (struct connection *c = server->connections; c != NULL; c = next) {
        next = c->next; /* killing may call back, and free, at once */
        /* What libwebsockets still holds it would wait for; after this its next write fails. */
        if (lws_partial_buffered(c->wsi))
            shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    }
}
