/* REST on libwebsockets 4.1.
 *
 * Happy path: request line and headers -> body -> rest_handle -> response in HTTP_WRITEABLE.
 * Fails when: a request is malformed, too large, chunked or lost its body (exchange.c says how it is
 * answered), or is none (CONNECT: closed).
 *
 * What this version of the library needs, each learnt from a hang or a crash:
 * - no response inside BODY_COMPLETION, or the next pipelined request is taken for a body for ever;
 * repeats of BODY_COMPLETION are bytes behind the body: ignored, and too many end the connection;
 * - a request with a body that came in one piece behind another: its head is handed out once more, as
 * its body, and then BODY_COMPLETION without end: answered at once (503), then the connection closes;
 * - no chunked bodies (they are handed out undecoded): 411, then the connection closes;
 * - a PUT, POST or PATCH without Content-Length swallows the next request: answered, then closed;
 * - a Content-Length of 0 gives BODY callbacks for POST only;
 * - the path is cut at a raw '&' or ';', what follows is a fragment: 400;
 * - CONNECT turns a connection into a raw socket without any deadline: refused;
 * - the per-request memory is zeroed at every transaction, so it only points to our own. */
#include "tests/sim/hubsim/server_impl.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_MAX = 8 * 1024, /* of one header value or the path */
    RESPONSE_HEADERS_MAX = 1024 + REST_CONTINUATION_MAX,
};

/* ---- requests ---- */

static void free_exchange(struct session *session)
{
    exchange_free(session->exchange);
    session->exchange = NULL;
}

/* A header's value by "name:", owned by the caller; NULL when it is absent, or lost: it is there, and
 * longer than HEADER_MAX or without memory. */
static char *copy_header(struct lws *wsi, const char *name, bool *lost)
{
    static const struct {
        const char *name;
        enum lws_token_indexes token;
    } known[] = { /* those the library has by heart cannot be had by name */
                  { "authorization:", WSI_TOKEN_HTTP_AUTHORIZATION },
                  { "if-match:", WSI_TOKEN_HTTP_IF_MATCH },
                  { "host:", WSI_TOKEN_HOST },
                  { "content-type:", WSI_TOKEN_HTTP_CONTENT_TYPE }
    };
    int name_length = (int)strlen(name), length, copied;
    int token = -1;
    char *value;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0)
            token = (int)known[i].token;
    }
    length = token >= 0 ? lws_hdr_total_length(wsi, (enum lws_token_indexes)token)
                        : lws_hdr_custom_length(wsi, name, name_length);
    if (length <= 0)
        return NULL;
    value = length <= HEADER_MAX ? malloc((size_t)length + 1) : NULL;
    if (value == NULL) {
        *lost = true;
        return NULL;
    }
    copied = token >= 0 ? lws_hdr_copy(wsi, value, length + 1, (enum lws_token_indexes)token)
                        : lws_hdr_custom_copy(wsi, value, length + 1, name, name_length);
    if (copied != length) {
        *lost = true;
        free(value);
        return NULL;
    }
    value[length] = 0;
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
    for (size_t i = 0; i < REST_TEXT_COUNT; i++)
        x->texts[i] = rest_sources[i].is_header
                          ? copy_header(wsi, rest_sources[i].name, &x->header_is_lost)
                          : copy_parameter(wsi, rest_sources[i].name);
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
    if (made && x->response.item_type != NULL)
        made = add_header(wsi, "x-ms-item-type:", x->response.item_type, &at, end);
    if (made && x->response.continuation[0] != 0)
        made = add_header(wsi, "x-ms-continuation:", x->response.continuation, &at, end);
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
    if (next == EXCHANGE_LATER) /* the hub has a deadline; the library's is over sooner */
        lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    return next == EXCHANGE_HANG_UP ? -1 : 0;
}

/* The answer to a method came, from another connection's callback or from a timer. */
static void on_ready(struct exchange *exchange)
{
    lws_callback_on_writable(exchange->owner);
}

static int on_request(struct session *session, struct hub *hub, struct lws *wsi)
{
    free_exchange(session);
    session->exchange = exchange_new();
    if (session->exchange == NULL || !read_head(session->exchange, wsi))
        return -1;
    session->exchange->plain = !lws_is_ssl(wsi);
    session->exchange->ready = on_ready;
    session->exchange->owner = wsi;
    return go_on(session, wsi, exchange_start(session->exchange, hub));
}

static int on_body(struct session *session, struct hub *hub, struct lws *wsi, const void *bytes,
                   size_t length)
{
    if (session->exchange == NULL)
        return 0;
    return go_on(session, wsi, exchange_body(session->exchange, hub, bytes, length));
}

static int on_body_end(struct session *session, struct hub *hub, struct lws *wsi)
{
    if (session->exchange == NULL)
        return 0;
    return go_on(session, wsi, exchange_body_end(session->exchange, hub));
}

static int on_response_writable(struct session *session, struct lws *wsi)
{
    if (session->exchange == NULL || !session->exchange->responded)
        return 0;
    return respond(session, wsi);
}

int server_http_event(struct session *session, struct hub *hub, struct lws *wsi,
                      enum lws_callback_reasons reason, void *in, size_t length)
{
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return on_request(session, hub, wsi);
    case LWS_CALLBACK_HTTP_BODY:
        return on_body(session, hub, wsi, in, length);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return on_body_end(session, hub, wsi);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_response_writable(session, wsi);
    case LWS_CALLBACK_RAW_SKT_BIND_PROTOCOL:
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
        return -1;
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (session != NULL)
            free_exchange(session);
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, session, in, length);
    }
}
