/* WebSockets to the hub, over libwebsockets on the shared loop.
 *
 * The happy path of one connect:
 *
 *   DOWN -> RESOLVING -> CONNECTING -TCP-> SHAKING -TLS-> UPGRADING -101-> OPEN -> ENDING -> DOWN
 *
 * Whatever goes wrong on the way leads to ENDING, and from there to DOWN with one `down` that says why:
 * the name does not resolve; TCP does not connect; TLS (trust.c knows why); the upgrade is refused with a
 * status; the peer closes; the owner closes, at any stage.
 *
 * What libwebsockets 4.1.6 demands and where it is met:
 * - Of its closing callbacks only WSI_DESTROY comes exactly once for every connection, in whatever state
 *   it dies, and only to the first protocol of the vhost: the pointer to a connection is dropped there and
 *   nowhere else.
 * - Killing a connection calls back before it returns. So nothing is killed from a callback: `turn`, an
 *   idle handle of our own, does it in the next turn of the loop, and reports `down` from there too.
 * - A connect that fails at once leaves its poll handle in the loop for ever: websocket_context.c.
 * - Its first destroy closes a descriptor twice, the second time some turns later: websocket_context.c.
 * - Its timers may not fire when armed outside its own callbacks: all deadlines are the owner's.
 * - It resolves names on the loop: we resolve on libuv's pool and hand it the numeric address. */
#include "bridge/websocket_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char PATH[] = "/$iothub/websocket";

/* A name being resolved. Outlives its websocket when that is closed meanwhile: libuv cannot cancel what
 * already runs. */
struct websocket_lookup {
    uv_getaddrinfo_t request;
    struct websocket_context *context;
    struct websocket *websocket; /* NULL: nobody waits for it any more */
};

/* ---- the queue ---- */

static void drop_queue(struct websocket *websocket)
{
    while (websocket->first != NULL) {
        struct websocket_message *message = websocket->first;

        websocket->first = message->next;
        free(message);
    }
    websocket->last = NULL;
    websocket->queued_bytes = 0;
}

/* Hands the first message to libwebsockets, which takes all of it and keeps what the socket does not
 * take now. 0 or -EIO: the connection is to be ended. */
static int write_first(struct websocket *websocket)
{
    struct websocket_message *message = websocket->first;
    int written;

    websocket->first = message->next;
    if (websocket->first == NULL)
        websocket->last = NULL;
    websocket->queued_bytes -= message->length;
    written = lws_write(websocket->wsi, message->bytes + LWS_PRE, message->length,
                        LWS_WRITE_BINARY);
    free(message);
    return written < 0 ? -EIO : 0;
}

static bool can_write_now(struct websocket *websocket)
{
    return !lws_partial_buffered(websocket->wsi) && !lws_send_pipe_choked(websocket->wsi);
}

void websocket_end(struct websocket *websocket)
{
    if (websocket->end_asked)
        return;
    websocket->end_asked = true;
    websocket_make_due(websocket);
}

/* One message per call: libwebsockets allows one write per writeable event. */
void websocket_write_next(struct websocket *websocket)
{
    if (websocket->first == NULL)
        return;
    if (write_first(websocket) != 0) {
        websocket_note(websocket, "sending to %.200s failed", websocket->host);
        websocket_end(websocket);
    } else if (websocket->first != NULL) {
        lws_callback_on_writable(websocket->wsi);
    }
}

int websocket_send(struct websocket *websocket, const uint8_t *bytes, size_t length)
{
    struct websocket_message *message;
    bool alone = websocket->first == NULL;

    if (websocket->stage != WEBSOCKET_OPEN || websocket->end_asked)
        return -ENOTCONN;
    if (length > WEBSOCKET_QUEUE_MAX - websocket->queued_bytes)
        return -ENOBUFS;
    message = malloc(sizeof *message + LWS_PRE + length);
    if (message == NULL)
        return -ENOMEM;
    message->next = NULL;
    message->length = length;
    memcpy(message->bytes + LWS_PRE, bytes, length);

    if (alone)
        websocket->first = message;
    else
        websocket->last->next = message;
    websocket->last = message;
    websocket->queued_bytes += length;
    if (alone && can_write_now(websocket))
        websocket_write_next(websocket);
    else
        lws_callback_on_writable(websocket->wsi);
    return 0;
}

/* ---- connecting ---- */

/* Why a connect failed that failed at once (no route, no descriptor left): it does so again. */
static int dial_error(const struct sockaddr_storage *address)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? errno : 0;

    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
        errno != EINPROGRESS)
        error = errno;
    if (fd >= 0)
        close(fd);
    return error;
}

static void dial(struct websocket *websocket)
{
    /* No pings of its own: they would be a deadline of its own too. */
    static const lws_retry_bo_t never_ping;
    struct lws_client_connect_info info = { 0 };
    char host_header[WEBSOCKET_HOST_MAX + 8];

    snprintf(host_header, sizeof host_header,
             websocket->port == 443 || strchr(websocket->host, ':') != NULL ? "%s" : "%s:%d",
             websocket->host, websocket->port);
    info.context = websocket->context->lws;
    info.vhost = websocket->context->vhost;
    info.address = websocket->address_text;
    info.port = websocket->port;
    info.ssl_connection = LCCSCF_USE_SSL | LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
    info.path = PATH;
    info.host = host_header;
    info.protocol = WEBSOCKET_PROTOCOLS[0].name;
    info.local_protocol_name = WEBSOCKET_PROTOCOLS[0].name;
    info.alpn = "http/1.1";
    info.ietf_version_or_minus_one = -1;
    info.retry_and_idle_policy = &never_ping;
    info.userdata = websocket;
    info.pwsi = &websocket->wsi;

    websocket->stage = WEBSOCKET_CONNECTING;
    if (lws_client_connect_via_info(&info) != NULL)
        return;
    /* At once, and without a word: WSI_DESTROY may have come or not. */
    websocket_note_connect(websocket, dial_error(&websocket->address));
    websocket->wsi = NULL;
    websocket->stage = WEBSOCKET_ENDING;
    websocket_make_due(websocket);
}

/* The next of the addresses: another one after each failure. */
static void choose_address(struct websocket *websocket, const struct addrinfo *found)
{
    const struct addrinfo *chosen = found;
    unsigned count = 0;

    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
        count++;
    for (unsigned skip = websocket->rotation % count; skip > 0; skip--)
        chosen = chosen->ai_next;
    memcpy(&websocket->address, chosen->ai_addr, chosen->ai_addrlen);
    if (chosen->ai_family == AF_INET6) {
        struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)&websocket->address;

        ip6->sin6_port = htons((uint16_t)websocket->port);
        uv_ip6_name(ip6, websocket->address_text, sizeof websocket->address_text);
    } else {
        struct sockaddr_in *ip4 = (struct sockaddr_in *)&websocket->address;

        ip4->sin_port = htons((uint16_t)websocket->port);
        uv_ip4_name(ip4, websocket->address_text, sizeof websocket->address_text);
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct websocket_lookup *lookup = request->data;
    struct websocket *websocket = lookup->websocket;

    if (websocket != NULL) {
        websocket->lookup = NULL;
        if (status == 0 && found != NULL) {
            choose_address(websocket, found);
            dial(websocket);
        } else {
            websocket_note(
                websocket,
                "%.120s does not resolve (%s): check the host name and this machine's DNS",
                websocket->host, status != 0 ? uv_strerror(status) : "no address");
            websocket->stage = WEBSOCKET_ENDING;
            websocket_make_due(websocket);
        }
    }
    uv_freeaddrinfo(found);
    websocket_lookup_over(lookup->context);
    free(lookup);
}

static int resolve(struct websocket *websocket)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct websocket_context *context = websocket->context;
    struct websocket_lookup *lookup = calloc(1, sizeof *lookup);
    int rc;

    if (lookup == NULL)
        return -ENOMEM;
    lookup->request.data = lookup;
    lookup->context = context;
    lookup->websocket = websocket;
    rc = uv_getaddrinfo(context->loop, &lookup->request, on_resolved, websocket->host, NULL,
                        &hints);
    if (rc != 0) {
        free(lookup);
        return rc;
    }
    websocket_lookup_begins(context);
    websocket->lookup = lookup;
    return 0;
}

int websocket_connect(struct websocket *websocket, const char *host, int port, struct err *err)
{
    int rc;

    if (websocket->stage != WEBSOCKET_DOWN) {
        err_set(err, "still connected");
        return -EBUSY;
    }
    if (host[0] == '\0' || strlen(host) > WEBSOCKET_HOST_MAX || port < 1 || port > UINT16_MAX) {
        err_set(err, "cannot connect to \"%.120s\" port %d: not a host name and port", host, port);
        return -EINVAL;
    }
    rc = trust_refresh(websocket->context->trust, err);
    if (rc != 0)
        return rc;

    snprintf(websocket->host, sizeof websocket->host, "%s", host);
    websocket->port = port;
    websocket->status = 0;
    websocket->reason.msg[0] = '\0';
    websocket->end_asked = false;
    websocket->killed = false;
    websocket->was_open = false;
    rc = resolve(websocket);
    if (rc != 0) {
        err_set(err, "cannot resolve %.120s: %s", host, uv_strerror(rc));
        return rc;
    }
    websocket->stage = WEBSOCKET_RESOLVING;
    return 0;
}

/* ---- ending ---- */

static void let_go_of_lookup(struct websocket *websocket)
{
    struct websocket_lookup *lookup = websocket->lookup;

    if (lookup == NULL)
        return;
    websocket->lookup = NULL;
    lookup->websocket = NULL;
    uv_cancel((uv_req_t *)&lookup->request); /* fails when it runs; its end then means nothing */
}

/* Sends what the socket takes now, then ends the connection. May call on_destroyed before it returns. */
static void kill_connection(struct websocket *websocket)
{
    struct lws *wsi = websocket->wsi;

    websocket->killed = true;
    if (websocket->stage == WEBSOCKET_OPEN)
        while (websocket->first != NULL && can_write_now(websocket))
            if (write_first(websocket) != 0)
                break;
    /* What libwebsockets still holds it would wait for; after this its next write fails at once. */
    if (lws_partial_buffered(wsi))
        shutdown(lws_get_socket_fd(wsi), SHUT_WR);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void report_down(struct websocket *websocket)
{
    drop_queue(websocket);
    websocket_note_stage(websocket);
    websocket->stage = WEBSOCKET_DOWN;
    if (!websocket->was_open)
        websocket->rotation++;
    websocket->events->down(websocket->owner, websocket->reason.msg, websocket->status);
}

/* What is due for one websocket; it may be freed afterwards. */
void websocket_advance(struct websocket *websocket)
{
    if (websocket->end_asked) {
        websocket_note_stage(websocket);
        let_go_of_lookup(websocket);
        if (websocket->wsi != NULL && !websocket->killed)
            kill_connection(websocket);
        else if (websocket->wsi == NULL)
            websocket->stage = WEBSOCKET_ENDING;
    }
    if (websocket->stage == WEBSOCKET_ENDING && websocket->wsi == NULL && !websocket->is_due)
        report_down(websocket);
}

void websocket_close(struct websocket *websocket)
{
    if (websocket->stage != WEBSOCKET_DOWN)
        websocket_end(websocket);
}

/* ---- making and freeing ---- */

int websocket_new(struct websocket **out, struct websocket_context *context,
                  const struct websocket_events *events, void *owner)
{
    struct websocket *websocket = calloc(1, sizeof *websocket);

    if (websocket == NULL)
        return -ENOMEM;
    websocket->context = context;
    websocket->events = events;
    websocket->owner = owner;
    context->websockets++;
    *out = websocket;
    return 0;
}

void websocket_free(struct websocket *websocket)
{
    if (websocket == NULL)
        return;
    assert(websocket->stage == WEBSOCKET_DOWN && !websocket->is_due);
    websocket->context->websockets--;
    free(websocket);
}
