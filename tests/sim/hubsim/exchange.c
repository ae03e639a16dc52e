/* One HTTP exchange.
 *
 * Happy path: head -> (body, in pieces) -> rest_handle -> response, at once or when it is ready.
 * Fails when: the body is chunked (411: libwebsockets 4.1 hands chunks out undecoded), too large
 * (413, after it was read and let go, so that the answer is not lost in a reset), the path was cut
 * (400), or the body is lost (503): of a request with a body that comes in one piece behind another,
 * libwebsockets 4.1.6 reads the head twice, the second time as the body, and never gets further. */
#include "tests/sim/hubsim/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct exchange *exchange_new(void)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    if (exchange == NULL)
        return NULL;
    exchange->content_length = -1;
    buf_init(&exchange->body, REST_BODY_MAX);
    rest_response_init(&exchange->response);
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    free(exchange->path);
    for (size_t i = 0; i < REST_TEXT_COUNT; i++)
        free(exchange->texts[i]);
    buf_done(&exchange->body);
    rest_response_done(&exchange->response);
    free(exchange);
}

static void on_done(void *data)
{
    struct exchange *exchange = data;

    exchange->responded = true;
    exchange->ready(exchange);
}

static enum exchange_next handle(struct exchange *exchange, struct hub *hub)
{
    struct rest_request request = {
        .method = exchange->method,
        .path = exchange->path,
        .body = buf_text(&exchange->body),
        .body_length = exchange->body.length,
        .plain = exchange->plain,
        .done = on_done,
        .data = exchange,
    };

    for (size_t i = 0; i < REST_TEXT_COUNT; i++)
        request.texts[i] = exchange->texts[i];
    exchange->handled = true;
    exchange->responded = rest_handle(hub, &request, &exchange->response);
    return exchange->responded ? EXCHANGE_RESPOND : EXCHANGE_LATER;
}

static void refuse(struct exchange *exchange, const struct hub *hub, int status, const char *code,
                   const char *text)
{
    rest_fail(hub, &exchange->response, status, code, text);
    exchange->responded = true;
}

static bool takes_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

enum exchange_next exchange_start(struct exchange *exchange, struct hub *hub)
{
    /* libwebsockets says that an empty body is complete for POST only. */
    bool body_follows = exchange->content_length > 0 ||
                        (exchange->content_length == 0 && strcmp(exchange->method, "POST") == 0);

    /* Without a length it takes the next request for the body. */
    if (exchange->content_length < 0 && takes_body(exchange->method))
        exchange->close = true;

    if (exchange->chunked) {
        exchange->close = true;
        refuse(exchange, hub, 411, "InvalidOperation", "send Content-Length instead of chunks");
        return EXCHANGE_RESPOND;
    }
    if (exchange->content_length > REST_BODY_MAX)
        refuse(exchange, hub, 413, "MessageTooLarge", "the body is larger than 256 KB");
    else if (exchange->path_is_cut)
        refuse(exchange, hub, 400, "ArgumentInvalid", "& and ; in a path must be percent-encoded");
    else if (exchange->header_is_lost) /* without its If-Match a write would be another one */
        refuse(exchange, hub, 400, "ArgumentInvalid", "a header is longer than 8 KB");
    if (body_follows)
        return EXCHANGE_WAIT;
    if (exchange->responded)
        return EXCHANGE_RESPOND;
    return exchange->handled ? EXCHANGE_LATER : handle(exchange, hub);
}

/* Messages to devices are the only bodies that may begin as a request line does. */
static bool takes_raw_body(const struct exchange *exchange)
{
    static const char end[] = "/messages/deviceBound";
    size_t length = strlen(exchange->path);

    return length >= sizeof end - 1 && strcmp(exchange->path + length - (sizeof end - 1), end) == 0;
}

/* Whether the body begins as the request line did: with the method, of which a short body may hold a
 * part only (no JSON text and no form begins with a capital), or, where bodies are free, with all of
 * "POST /". */
static bool is_head_again(const struct exchange *exchange, const char *bytes, size_t length)
{
    char line[16];
    size_t wanted = (size_t)snprintf(line, sizeof line, "%s /", exchange->method);

    if (exchange->body_begun || length == 0)
        return false;
    if (takes_raw_body(exchange))
        return length >= wanted && memcmp(bytes, line, wanted) == 0;
    wanted -= 2;
    return memcmp(bytes, line, length < wanted ? length : wanted) == 0;
}

enum exchange_next exchange_body(struct exchange *exchange, struct hub *hub, const void *bytes,
                                 size_t length)
{
    if (is_head_again(exchange, bytes, length)) {
        exchange->close = true;
        if (!exchange->responded)
            refuse(exchange, hub, 503, "ServiceUnavailable",
                   "not done: a request with a body came behind another one in one piece; send it "
                   "again");
        return EXCHANGE_RESPOND_NOW;
    }
    exchange->body_begun = true;
    if (!exchange->responded && !exchange->handled && buf_add(&exchange->body, bytes, length) != 0)
        return EXCHANGE_HANG_UP;
    return EXCHANGE_WAIT;
}

enum exchange_next exchange_body_end(struct exchange *exchange, struct hub *hub)
{
    if (++exchange->completions > EXCHANGE_COMPLETIONS_MAX)
        return EXCHANGE_HANG_UP;
    if (exchange->responded)
        return EXCHANGE_RESPOND;
    return exchange->handled ? EXCHANGE_LATER : handle(exchange, hub);
}
