/* Requests to the hub.
 *
 * Happy path: the sign-in's header, api-version and User-Agent, one try, one answer. A passing
 * failure is tried again where that is safe; a token that the hub refuses is replaced once. Fails
 * when the sign-in cannot be used or nobody answers in time; an answer that is an error is an
 * answer. */
#include "bridge/service/rest.h"

#include "base/env.h"
#include "bridge/sas.h"
#include "bridge/service/applied.h"
#include "bridge/service/exchange.h"
#include "bridge/service/header.h"
#include "bridge/service/sign_in.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>

static const char API_VERSION[] = "2021-04-12";

struct rest {
    struct env env;
    struct sign_in *sign_in;
    struct http *http;
    struct exchange exchange;
    long port;
    int64_t clock_ahead_ms; /* this machine's clock before the last answer's, 0 = not told */
    char remedy[160];       /* rest_remedy's text */
};

/* ---- the machine's clocks ---- */

static uint64_t now_ms(void *data)
{
    struct timespec now;

    (void)data;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t wall_ms(void *data)
{
    struct timespec now;

    (void)data;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint32_t random_u32(void *data)
{
    uint32_t value = 0;

    (void)data;
    /* Up to 256 bytes come whole or, before the kernel has gathered enough, later. */
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        value = (uint32_t)now_ms(NULL);
    return value;
}

/* ---- opening ---- */

static const char *variable(const char *name)
{
    return getenv(name);
}

int rest_new(struct rest **out, const struct rest_options *options, struct err *err)
{
    const struct way_asked asked = { options->sign_in, options->connection_string_file,
                                     options->hub_name, options->mapped_hub, variable };
    struct rest *rest = calloc(1, sizeof *rest);
    int rc;

    if (rest == NULL) {
        err_set(err, "out of memory");
        return -ENOMEM;
    }
    rest->env = (struct env){ now_ms, wall_ms, random_u32, NULL };
    rest->port = options->port == 0 ? 443 : options->port;
    rc = sign_in_new(&rest->sign_in, &asked, err);
    if (rc == 0 && http_new(&rest->http, options->ca_file) != 0) {
        err_set(err, "out of memory");
        rc = -ENOMEM;
    }
    if (rc != 0) {
        rest_free(rest);
        return rc;
    }
    rest->exchange = (struct exchange){
        .http = rest->http,
        .env = &rest->env,
        .timeout_ms = options->timeout_ms == 0 ? EXCHANGE_TIMEOUT_MS : options->timeout_ms,
        .retry_for_ms = options->retry_for_ms == NULL ? EXCHANGE_RETRY_FOR_MS
                                                      : *options->retry_for_ms,
        .verbose = options->verbose,
    };
    *out = rest;
    return 0;
}

void rest_free(struct rest *rest)
{
    if (rest == NULL)
        return;
    http_free(rest->http);
    sign_in_free(rest->sign_in);
    free(rest);
}

const char *rest_host(const struct rest *rest)
{
    return sign_in_host(rest->sign_in);
}

void rest_answer_init(struct rest_answer *answer)
{
    *answer = (struct rest_answer){ 0 };
    buf_init(&answer->body, REST_BODY_MAX);
    buf_init(&answer->continuation, REST_CONTINUATION_MAX);
}

void rest_answer_done(struct rest_answer *answer)
{
    buf_done(&answer->body);
    buf_done(&answer->continuation);
}

/* ---- a request ---- */

enum { HEADERS_MAX = 6 };

struct header_list {
    struct http_header items[HEADERS_MAX];
    size_t count;
};

static void add_header(struct header_list *list, const char *name, const char *value)
{
    list->items[list->count++] = (struct http_header){ name, value };
}

static enum retry_kind kind_of(const struct rest_request *request)
{
    if (request->repeatable || strcmp(request->method, "GET") == 0 ||
        strcmp(request->method, "DELETE") == 0)
        return RETRY_REPEATABLE;
    if (strcmp(request->method, "POST") == 0)
        return RETRY_UNSENT;
    return request->etag != NULL && strcmp(request->etag, "*") != 0 ? RETRY_REPEATABLE
                                                                    : RETRY_REFUSED;
}

/* Whether doing it twice leaves no trace, so that nobody needs to know. */
static bool is_read(const struct rest_request *request)
{
    return strcmp(request->method, "GET") == 0 ||
           (strcmp(request->method, "POST") == 0 && request->repeatable);
}

/* Sends with the Authorization header's value at hand. */
static int send_signed(struct rest *rest, const struct rest_request *request,
                       const char *authorization, struct http_answer *answer, bool *uncertain,
                       struct err *err)
{
    struct header_list headers = { .count = 0 };
    struct http_request http = { .method = request->method,
                                 .headers = headers.items,
                                 .body = request->body,
                                 .peer = HTTP_PEER_HUB,
                                 .kind = kind_of(request),
                                 .alone = !is_read(request),
                                 .timeout_ms = (uint32_t)request->timeout_s * 1000 };
    char url[REST_PATH_MAX + 512];
    char quoted[256];
    char page_size[24];

    snprintf(url, sizeof url, "https://%s:%ld%s?api-version=%s%s%s", rest_host(rest), rest->port,
             request->path, API_VERSION, request->query == NULL ? "" : "&",
             request->query == NULL ? "" : request->query);
    add_header(&headers, "Authorization", authorization);
    add_header(&headers, "Accept", "application/json");
    if (request->body != NULL)
        add_header(&headers, "Content-Type", "application/json; charset=utf-8");
    /* Without its quotes an etag is ignored by the hub, and the write goes through. */
    snprintf(quoted, sizeof quoted, "\"%s\"", request->etag == NULL ? "" : request->etag);
    if (request->etag != NULL)
        add_header(&headers, "If-Match", quoted);
    snprintf(page_size, sizeof page_size, "%ld", request->page_size);
    if (request->page_size > 0)
        add_header(&headers, "x-ms-max-item-count", page_size);
    if (request->continuation != NULL)
        add_header(&headers, "x-ms-continuation", request->continuation);
    http.url = url;
    http.header_count = headers.count;
    return exchange_send(&rest->exchange, &http, answer, uncertain, err);
}

/* Signs and sends; a token of Entra that the hub refuses is replaced once: a 401 does nothing. */
static int send_request(struct rest *rest, const struct rest_request *request,
                        struct http_answer *answer, bool *uncertain, struct err *err)
{
    struct err why = { "" };
    struct buf authorization;
    int rc;

    buf_init(&authorization, SIGN_IN_HEADER_MAX);
    if (buf_reserve(&authorization, SIGN_IN_HEADER_MAX) == NULL) {
        err_set(err, "out of memory");
        return -ENOMEM;
    }
    do {
        rc = sign_in_header(&authorization, rest->sign_in, &rest->exchange, err);
        if (rc != 0)
            break;
        rc = send_signed(rest, request, buf_text(&authorization), answer, uncertain, &why);
        if (rc == -EMSGSIZE && request->page_size > 1)
            err_set(&why, "the answer is too large; ask for fewer rows at a time with --page-size");
        if (rc != 0)
            err_set(err, "hub %s:%ld: %s", rest_host(rest), rest->port, why.msg);
    } while (rc == 0 && answer->status == 401 && sign_in_renew(rest->sign_in));
    explicit_bzero(authorization.bytes, authorization.capacity);
    buf_done(&authorization);
    return rc;
}

/* The page to go on with. One that does not fit is an error: without it the answer would pass for
 * the last page. 0, -ENOSPC, -ENOMEM. */
static int take_continuation(struct rest_answer *out, const struct http_answer *answer)
{
    size_t size = answer->headers.length + 1;
    char *value = malloc(size);
    int rc = value == NULL ? -ENOMEM : 0;

    buf_clear(&out->continuation);
    if (rc == 0 && header_get(value, size, &answer->headers, "x-ms-continuation"))
        rc = buf_add_text(&out->continuation, value);
    free(value);
    return rc;
}

/* What of the answer the caller may want; its body changes hands. */
static int take_answer(struct rest *rest, struct rest_answer *out, struct http_answer *answer)
{
    char date[64];
    int64_t theirs_ms;
    struct buf body = out->body;

    out->status = answer->status;
    header_get(out->error_code, sizeof out->error_code, &answer->headers, "iothub-errorcode");
    header_get(out->content_type, sizeof out->content_type, &answer->headers, "Content-Type");
    rest->clock_ahead_ms = 0;
    if (header_get(date, sizeof date, &answer->headers, "Date") &&
        header_date_ms(date, &theirs_ms) == 0)
        rest->clock_ahead_ms = env_wall_ms(&rest->env) - theirs_ms;
    out->body = answer->body;
    answer->body = body;
    return take_continuation(out, answer);
}

static int call_once(struct rest *rest, const struct rest_request *request, struct rest_answer *out,
                     struct err *err)
{
    struct http_answer answer;
    int rc;

    http_answer_init(&answer, REST_BODY_MAX);
    out->status = 0;
    out->uncertain = false;
    rc = send_request(rest, request, &answer, &out->uncertain, err);
    if (rc == 0) {
        rc = take_answer(rest, out, &answer);
        if (rc != 0)
            err_set(err, rc == -ENOMEM ? "out of memory"
                                       : "the hub's x-ms-continuation is longer than any");
    }
    http_answer_done(&answer);
    return rc == -EMSGSIZE || rc == -ENOSPC ? -EHOSTUNREACH : rc;
}

/* ---- a write whose first answer was lost ---- */

/* Whether the twin, as `answer` has it, is what `request` would make of it. */
static bool is_applied(const struct rest_request *request, const struct rest_answer *answer)
{
    cJSON *wanted = cJSON_Parse(request->body);
    cJSON *twin = cJSON_ParseWithLengthOpts(buf_text(&answer->body), answer->body.length + 1, NULL,
                                            1);
    bool applied = strcmp(request->method, "PUT") == 0 ? applied_replace(twin, wanted)
                                                       : applied_patch(twin, wanted);

    cJSON_Delete(twin);
    cJSON_Delete(wanted);
    return applied;
}

/* The etag is not the twin's any more, and an earlier try of our own may be the reason: the twin is
 * read, and when it is what was to be written, it is the answer. Otherwise the refusal stands. */
static void look_again(struct rest *rest, const struct rest_request *request,
                       struct rest_answer *out)
{
    const struct rest_request read = { .method = "GET", .path = request->path };
    struct rest_answer answer;
    struct rest_answer refusal;
    struct err err;

    rest_answer_init(&answer);
    if (call_once(rest, &read, &answer, &err) == 0 && answer.status == 200 &&
        is_applied(request, &answer)) {
        refusal = *out;
        *out = answer;
        answer = refusal;
    }
    rest_answer_done(&answer);
}

int rest_call(struct rest *rest, const struct rest_request *request, struct rest_answer *out,
              struct err *err)
{
    int rc = call_once(rest, request, out, err);

    if (rc != 0 || !out->uncertain)
        return rc;
    if (out->status == 412 && request->body != NULL && strncmp(request->path, "/twins/", 7) == 0)
        look_again(rest, request, out);
    /* Deleted by the try whose answer was lost. */
    if (out->status == 404 && strcmp(request->method, "DELETE") == 0)
        out->status = 204;
    return 0;
}

/* ---- what to do about it ---- */

/* Five minutes is what hubs and token services put up with. */
bool rest_clock_is_wrong(const struct rest *rest)
{
    return llabs(rest->clock_ahead_ms) > 5 * 60 * 1000;
}

static const char *remedy_of_sign_in(struct rest *rest, long status)
{
    if (rest_clock_is_wrong(rest)) {
        snprintf(rest->remedy, sizeof rest->remedy,
                 "; the clock of this machine is %lld min %s the hub's: set it",
                 llabs(rest->clock_ahead_ms) / 60000,
                 rest->clock_ahead_ms > 0 ? "before" : "behind");
        return rest->remedy;
    }
    switch (sign_in_kind(rest->sign_in)) {
    case SIGN_IN_ENTRA:
        return "; who signs in needs a role on this hub: IoT Hub Data Contributor, or Registry or "
               "Twin Contributor";
    case SIGN_IN_READY:
        return "; check that the SharedAccessSignature is this hub's and has not ended";
    case SIGN_IN_KEY:
        break;
    }
    return answer_remedy(status);
}

const char *rest_remedy(struct rest *rest, const struct rest_answer *answer)
{
    if (answer->status == 401 || answer->status == 403)
        return remedy_of_sign_in(rest, answer->status);
    if (answer->uncertain && (answer->status == 409 || answer->status == 412))
        return "; an earlier try, whose answer was lost, may have done it: look again";
    return answer_remedy(answer->status);
}

int rest_exit(int rc)
{
    switch (rc) {
    case 0:
        return EX_OK;
    case -ENOENT:
        return EX_NOINPUT;
    case -EACCES:
        return EX_NOPERM;
    case -EINVAL:
        return EX_CONFIG;
    case -EAGAIN:
        return EX_TEMPFAIL;
    case -ENOMEM:
        return EX_SOFTWARE;
    default:
        return EX_UNAVAILABLE;
    }
}

/* One id as a segment of a path. */
static int encode_id(char *out, size_t size, const char *id)
{
    if (*id == '\0' || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return -EINVAL;
    return sas_percent_encode(out, size, id) < 0 ? -ENOSPC : 0;
}

int rest_path(char out[REST_PATH_MAX], const char *collection, const char *device,
              const char *module)
{
    char encoded[2][400] = { "", "" };
    int rc = encode_id(encoded[0], sizeof encoded[0], device);

    if (rc == 0 && module != NULL)
        rc = encode_id(encoded[1], sizeof encoded[1], module);
    if (rc != 0)
        return rc;
    snprintf(out, REST_PATH_MAX, "/%s/%s%s%s", collection, encoded[0],
             module == NULL ? "" : "/modules/", encoded[1]);
    return 0;
}
