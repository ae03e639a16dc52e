/* What libwebsockets calls back for a connection to the hub, and the words for why one ended.
 *
 * The happy path: WSI_CREATE (TCP), APPEND_HANDSHAKE_HEADER (TLS), CLIENT_ESTABLISHED, then RECEIVE and
 * WRITEABLE. The end comes as one of three events, or none of them, and always as WSI_DESTROY: reasons
 * are collected from whichever comes, the pointer to the connection is dropped in the last only.
 *
 * A connection is never killed from here (libwebsockets would call back while it calls us): the next
 * turn of the loop does it. */
#include "bridge/websocket_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    RECEIVE_CHUNK_BYTES = 4096, /* per websocket; longer frames come in pieces */
};

void websocket_note(struct websocket *websocket, const char *format, ...)
{
    va_list args;

    if (websocket->reason.msg[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(websocket->reason.msg, sizeof websocket->reason.msg, format, args);
    va_end(args);
}

void websocket_note_stage(struct websocket *websocket)
{
    switch (websocket->stage) {
    case WEBSOCKET_RESOLVING:
        websocket_note(websocket, "no answer from DNS for %.200s", websocket->host);
        return;
    case WEBSOCKET_CONNECTING:
        websocket_note(websocket, "no answer from %.120s (%s) port %d", websocket->host,
                       websocket->address_text, websocket->port);
        return;
    case WEBSOCKET_SHAKING:
        websocket_note(websocket, "no TLS handshake with %.120s (%s) port %d", websocket->host,
                       websocket->address_text, websocket->port);
        return;
    case WEBSOCKET_UPGRADING:
        websocket_note(websocket, "no answer to the WebSocket upgrade from %.120s (%s) port %d",
                       websocket->host, websocket->address_text, websocket->port);
        return;
    default:
        websocket_note(websocket, "closed");
    }
}

void websocket_note_connect(struct websocket *websocket, int error)
{
    websocket_note(websocket, "cannot connect to %.100s (%s) port %d: %s%s", websocket->host,
                   websocket->address_text, websocket->port,
                   error != 0 ? strerror(error) : "no reason given",
                   error == ECONNREFUSED ? ": nothing listens there, check host and port" : "");
}

static void on_destroyed(struct websocket *websocket, struct lws *wsi)
{
    websocket_close_poll_handle(websocket->context, wsi);
    websocket->wsi = NULL;
    websocket->stage = WEBSOCKET_ENDING;
    websocket_make_due(websocket);
}

/* Why the connect of a socket failed, as an errno; 0 when the kernel has nothing to say. */
static int socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return 0;
    return error;
}

/* The connection ends before it was open; `detail` is libwebsockets' own word, not terminated. */
static void on_refused(struct websocket *websocket, struct lws *wsi, const char *detail,
                       size_t length)
{
    unsigned status;

    if (websocket->reason.msg[0] != '\0')
        return;
    if (websocket->stage == WEBSOCKET_CONNECTING)
        websocket_note_connect(websocket, socket_error(lws_get_socket_fd(wsi)));
    if (websocket->stage == WEBSOCKET_SHAKING)
        trust_explain(websocket->context->trust, lws_get_ssl(wsi), websocket->host,
                      &websocket->reason);
    if (websocket->stage != WEBSOCKET_UPGRADING)
        return;
    status = lws_http_client_http_response(wsi);
    if (status == 101) {
        websocket_note(websocket, "%.100s upgrades to something else than an MQTT WebSocket (%.*s)",
                       websocket->host, (int)length, detail != NULL ? detail : "");
    } else if (status != 0) {
        websocket->status = (int)status;
        websocket_note(
            websocket,
            "%.100s refused the WebSocket upgrade with HTTP status %u: is this an IoT Hub?",
            websocket->host, status);
    } else {
        websocket_note(websocket,
                       "%.120s closed the connection instead of upgrading it to a WebSocket",
                       websocket->host);
    }
}

/* The name once more, in full: libwebsockets checks only what stands before the first ':' of it, which of
 * an IPv6 address is nothing. Nothing secret was sent yet. */
static int check_name(struct websocket *websocket, struct lws *wsi)
{
    if (trust_names(lws_get_ssl(wsi), websocket->host))
        return 0;
    websocket_note(websocket,
                   "TLS: the certificate is not for %.120s: correct the host name, or have the "
                   "certificate made for it",
                   websocket->host);
    return -1;
}

static int on_received(struct websocket *websocket, struct lws *wsi, const void *bytes,
                       size_t length)
{
    if (websocket->end_asked)
        return 0;
    if (!lws_frame_is_binary(wsi)) {
        websocket_note(websocket, "%.120s sent a text frame: MQTT comes in binary frames",
                       websocket->host);
        websocket_end(websocket);
    } else if (length > 0) {
        websocket->events->bytes(websocket->owner, bytes, length);
    }
    return 0;
}

static void on_peer_close(struct websocket *websocket, const uint8_t *bytes, size_t length)
{
    if (length >= 2)
        websocket_note(websocket, "%.120s closed the WebSocket with code %u", websocket->host,
                       (unsigned)bytes[0] << 8 | bytes[1]);
    else
        websocket_note(websocket, "%.120s closed the WebSocket", websocket->host);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons event, void *user, void *in,
                    size_t length)
{
    struct websocket *websocket;

    /* Events of the vhost and of the library come with a stand-in for a connection, or none. */
    if (user == NULL)
        return 0;
    websocket = user;
    switch (event) {
    case LWS_CALLBACK_WSI_CREATE: /* TCP stands */
        websocket->stage = WEBSOCKET_SHAKING;
        return 0;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: /* TLS stands */
        websocket->stage = WEBSOCKET_UPGRADING;
        return 0;
    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
        return check_name(websocket, wsi);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        websocket->stage = WEBSOCKET_OPEN;
        websocket->was_open = true;
        if (!websocket->end_asked)
            websocket->events->up(websocket->owner);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return on_received(websocket, wsi, in, length);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (!websocket->end_asked)
            websocket_write_next(websocket);
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        on_peer_close(websocket, in, length);
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
        on_refused(websocket, wsi, in, length);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        websocket_note(websocket, "%.120s closed the connection", websocket->host);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        on_destroyed(websocket, wsi);
        return 0;
    default:
        return 0;
    }
}

const struct lws_protocols WEBSOCKET_PROTOCOLS[] = {
    { "mqtt", on_event, 0, RECEIVE_CHUNK_BYTES, 0, NULL, 0 },
    { NULL, NULL, 0, 0, 0, NULL, 0 },
};
