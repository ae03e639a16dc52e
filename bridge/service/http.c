/* libcurl, set up so that nothing is left to its defaults that matters here.
 *
 * Happy path: HTTP/1.1 over TLS 1.2 or later, the peer's certificate and name verified, always; a
 * proxy of HTTPS_PROXY honoured unless NO_PROXY names the peer; the answer in memory, bounded. The
 * connection is kept for the next request. Fails when nobody answers in time, the answer is cut off
 * or too large, or the peer is not to be trusted: each with what a person can do about it. */
#include "bridge/service/http.h"

#include "bridge/service/header.h"

#include <curl/curl.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_MS = 15000,
    CONNECT_LOCAL_MS = 2000, /* a metadata service is next door or not there at all */
};

struct http {
    CURL *curl; /* kept, so that several requests share a connection */
    char *ca_file;
};

int http_new(struct http **out, const char *ca_file)
{
    struct http *http = calloc(1, sizeof *http);

    if (http == NULL)
        return -ENOMEM;
    http->curl = curl_easy_init();
    http->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
    if (http->curl == NULL || (ca_file != NULL && http->ca_file == NULL)) {
        http_free(http);
        return -ENOMEM;
    }
    *out = http;
    return 0;
}

void http_free(struct http *http)
{
    if (http == NULL)
        return;
    if (http->curl != NULL)
        curl_easy_cleanup(http->curl);
    free(http->ca_file);
    free(http);
}

void http_answer_init(struct http_answer *answer, size_t body_max)
{
    *answer = (struct http_answer){ 0 };
    buf_init(&answer->headers, HEADER_BYTES_MAX);
    buf_init(&answer->body, body_max);
}

void http_answer_done(struct http_answer *answer)
{
    if (answer->body.bytes != NULL)
        explicit_bzero(answer->body.bytes, answer->body.length);
    buf_done(&answer->body);
    buf_done(&answer->headers);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct http_answer *answer = data;

    return buf_add(&answer->body, bytes, size * count) == 0 ? size * count : 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *data)
{
    struct http_answer *answer = data;

    return header_line(&answer->headers, bytes, size * count) == 0 ? size * count : 0;
}

/* ---- the request's headers ---- */

/* They hold tokens: wiped before their memory goes back. */
static void free_headers(struct curl_slist *list)
{
    for (struct curl_slist *at = list; at != NULL; at = at->next)
        explicit_bzero(at->data, strlen(at->data));
    curl_slist_free_all(list);
}

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    struct curl_slist *longer = NULL;
    char *line;

    if (asprintf(&line, "%s: %s", name, value) < 0)
        return -ENOMEM;
    longer = curl_slist_append(*list, line);
    explicit_bzero(line, strlen(line));
    free(line);
    if (longer == NULL)
        return -ENOMEM;
    *list = longer;
    return 0;
}

static int make_headers(struct curl_slist **list, const struct http_request *request)
{
    int rc = 0;

    for (size_t i = 0; i < request->header_count && rc == 0; i++)
        rc = add_header(list, request->headers[i].name, request->headers[i].value);
    return rc;
}

/* ---- how to ask ---- */

static void set_trust(const struct http *http, enum http_peer peer)
{
    CURL *curl = http->curl;

    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, peer == HTTP_PEER_LOCAL ? "http" : "https");
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (peer == HTTP_PEER_LOCAL) {
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
        return;
    }
    if (http->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
    /* A hub with a CA of its own is that CA's and no other's. The sign-in service is Microsoft's,
     * unless a proxy that has its own CA stands before both. */
    if (http->ca_file != NULL && peer == HTTP_PEER_HUB)
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
}

static void set_options(const struct http *http, const struct http_request *request,
                        struct curl_slist *headers, struct http_answer *answer)
{
    CURL *curl = http->curl;

    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "twinctl/" TWINBRIDGE_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     request->peer == HTTP_PEER_LOCAL ? (long)CONNECT_LOCAL_MS : (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's are not the peer's */
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, request->alone ? 1L : 0L);
    if (request->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(request->body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    set_trust(http, request->peer);
}

/* ---- what went wrong ---- */

struct failure {
    const char *why;
    const char *remedy;
    enum retry_outcome outcome;
    int rc;
};

/* Whether the connection was complete, so that the peer may have seen the request. */
static bool was_sent(CURL *curl)
{
    curl_off_t microseconds = 0;

    curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &microseconds);
    return microseconds > 0;
}

static void judge_proxy(struct failure *f, long status)
{
    f->outcome = status >= 500 ? RETRY_NOBODY : RETRY_HOPELESS;
    switch (status) {
    case 407:
        f->why = "407, the proxy of HTTPS_PROXY wants a user and a password, or others";
        f->remedy = "; HTTPS_PROXY names this proxy, as http://user:password@host:port";
        break;
    case 403:
        f->why = "403, the proxy of HTTPS_PROXY does not let through to this host and port";
        f->remedy = "; ask for it, or name the host in NO_PROXY";
        break;
    default:
        f->remedy = "; HTTPS_PROXY names this proxy, NO_PROXY the hosts without one";
        break;
    }
}

static void judge_sent(struct failure *f, CURLcode code, const struct http_request *request)
{
    f->outcome = RETRY_LOST;
    if (code == CURLE_OPERATION_TIMEDOUT)
        f->why = "no whole answer in time (--request-timeout)";
    f->remedy = request->kind == RETRY_REPEATABLE || request->kind == RETRY_METADATA
                    ? "; try again later"
                    : "; whether it was done is not known, look before repeating";
}

static void judge(struct failure *f, CURLcode code, CURL *curl, const struct http_request *request)
{
    long proxy_status = 0;

    curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    f->rc = -EHOSTUNREACH;
    f->outcome = RETRY_HOPELESS;
    f->remedy = "";
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        f->rc = -ENOMEM;
        return;
    case CURLE_SSL_CACERT_BADFILE:
        f->rc = -EINVAL;
        f->remedy = "; --ca-file (in a mapping file hub.ca_file) must name a PEM file";
        return;
    case CURLE_PEER_FAILED_VERIFICATION:
        f->remedy = strstr(f->why, "not yet valid") != NULL
                        ? "; check the clock of this machine"
                        : "; give its CA with --ca-file, and its right host name";
        return;
    case CURLE_WRITE_ERROR: /* on_body, on_header: no room */
        f->rc = -EMSGSIZE;
        f->why = "the answer is too large";
        f->remedy = "; this is not what should answer here: check host name and proxy";
        return;
    default:
        break;
    }
    if (proxy_status >= 300)
        judge_proxy(f, proxy_status);
    else if (was_sent(curl))
        judge_sent(f, code, request);
    else {
        f->outcome = RETRY_NOBODY;
        f->remedy = request->peer == HTTP_PEER_LOCAL
                        ? ""
                        : "; check host name, --port, network and HTTPS_PROXY";
    }
}

int http_send(struct http *http, const struct http_request *request, struct http_answer *answer,
              struct err *err)
{
    struct curl_slist *headers = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    struct failure failure = { 0 };
    CURLcode code = CURLE_OUT_OF_MEMORY;

    answer->status = 0;
    buf_clear(&answer->headers);
    buf_clear(&answer->body);
    if (make_headers(&headers, request) == 0) {
        set_options(http, request, headers, answer);
        curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, detail);
        code = curl_easy_perform(http->curl);
        curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
        curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    }
    free_headers(headers);
    answer->outcome = RETRY_ANSWERED;
    if (code == CURLE_OK || answer->status >= 400)
        return 0;
    failure.why = *detail == '\0' ? curl_easy_strerror(code) : detail;
    judge(&failure, code, http->curl, request);
    answer->outcome = failure.outcome;
    err_set(err, "%s%s", failure.why, failure.remedy);
    return failure.rc;
}
