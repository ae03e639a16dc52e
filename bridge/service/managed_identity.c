/* The token services of a machine.
 *
 * Happy path: one GET with a header that no web page can make a browser send. Azure Arc answers it
 * with 401 and the name of a file that only members of its group may read; what that file holds goes
 * back in a second GET. Plain HTTP, on this machine or its link alone, through no proxy. */
#include "bridge/service/managed_identity.h"

#include "bridge/service/acquire.h"
#include "bridge/service/header.h"
#include "bridge/service/local_endpoint.h"
#include "bridge/service/secret_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ARC_KEY_MAX = 4096 };

/* The second request of Arc: `key` is the file's content. */
static int ask_with_key(struct token *out, const struct exchange *exchange,
                        struct http_request *request, const struct buf *key, const char *from,
                        struct err *err)
{
    char authorization[ARC_KEY_MAX + 16];
    const struct http_header headers[] = { { "Metadata", "true" },
                                           { "Authorization", authorization } };
    int rc;

    snprintf(authorization, sizeof authorization, "Basic %s", buf_text(key));
    request->headers = headers;
    request->header_count = 2;
    rc = acquire_token(out, exchange, request, from, err);
    explicit_bzero(authorization, sizeof authorization);
    return rc;
}

static int answer_challenge(struct token *out, const struct exchange *exchange,
                            struct http_request *request, const struct http_answer *answer,
                            struct err *err)
{
    const char *from = local_endpoint_text(LOCAL_ENDPOINT_ARC);
    char challenge[LOCAL_ENDPOINT_PATH_MAX + 64];
    char path[LOCAL_ENDPOINT_PATH_MAX];
    struct err why = { "" };
    struct buf key;
    int rc;

    if (!header_get(challenge, sizeof challenge, &answer->headers, "WWW-Authenticate") ||
        local_endpoint_challenge(path, challenge, LOCAL_ENDPOINT_ARC_FOLDER) != 0) {
        err_set(err,
                "%s: 401 names no key file in " LOCAL_ENDPOINT_ARC_FOLDER "; check "
                "IDENTITY_ENDPOINT and the agent",
                from);
        return -EHOSTUNREACH;
    }
    buf_init(&key, ARC_KEY_MAX);
    rc = secret_file_read(&key, path, &why);
    if (rc == 0 && strcspn(buf_text(&key), "\r\n") != key.length) {
        err_set(&why, "%s: holds no key", path);
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = ask_with_key(out, exchange, request, &key, from, err);
    else
        err_set(err, "%s: %s%s", from, why.msg,
                rc == -EACCES ? "; who signs in must be in the group himds" : "");
    secret_file_wipe(&key);
    return rc;
}

/* Arc: the first GET wants to be challenged. */
static int ask_arc(struct token *out, const struct exchange *exchange, struct http_request *request,
                   struct err *err)
{
    const char *from = local_endpoint_text(LOCAL_ENDPOINT_ARC);
    struct http_answer answer;
    struct err why = { "" };
    int rc;

    http_answer_init(&answer, ACQUIRE_ANSWER_MAX);
    rc = exchange_send(exchange, request, &answer, NULL, &why);
    if (rc != 0)
        err_set(err, "%s: %s", from, why.msg);
    else if (answer.status == 401)
        rc = answer_challenge(out, exchange, request, &answer, err);
    else
        rc = acquire_judge(out, &answer, env_wall_ms(exchange->env) / 1000, from, err);
    http_answer_done(&answer);
    return rc == -EMSGSIZE ? -EHOSTUNREACH : rc;
}

int managed_identity_token(struct token *out, const struct exchange *exchange,
                           const char *(*lookup)(const char *name), struct err *err)
{
    struct http_header header = { "Metadata", "true" };
    struct http_request request = { .method = "GET",
                                    .headers = &header,
                                    .header_count = 1,
                                    .peer = HTTP_PEER_LOCAL,
                                    .kind = RETRY_METADATA };
    struct local_endpoint endpoint;
    int rc = local_endpoint_find(&endpoint, lookup, err);

    if (rc != 0)
        return rc;
    request.url = endpoint.url;
    if (endpoint.form == LOCAL_ENDPOINT_ARC)
        return ask_arc(out, exchange, &request, err);
    if (endpoint.form == LOCAL_ENDPOINT_APP_SERVICE)
        header = (struct http_header){ "X-IDENTITY-HEADER", endpoint.secret };
    return acquire_token(out, exchange, &request, local_endpoint_text(endpoint.form), err);
}
