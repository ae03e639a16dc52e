/* One token from one service.
 *
 * Happy path: 200 and a token document. Fails when nobody answers, when the service refuses (its
 * code and first sentence are told), and when what answers is no token service. */
#include "bridge/service/acquire.h"

#include <errno.h>
#include <stdio.h>

int acquire_judge(struct token *out, const struct http_answer *answer, int64_t now_s,
                  const char *from, struct err *err)
{
    const char *body = buf_text(&answer->body);
    char refusal[TOKEN_REFUSAL_MAX];
    struct err why = { "" };
    int rc;

    if (answer->status >= 200 && answer->status < 300) {
        rc = token_read(out, body, answer->body.length, now_s, &why);
        if (rc != 0)
            err_set(err, "%s: %ld, but %s", from, answer->status, why.msg);
        return rc == -EBADMSG ? -EHOSTUNREACH : rc;
    }
    token_refusal(refusal, answer->status, body, answer->body.length);
    /* 410: a metadata service that is being updated. */
    if (answer->status == 410 || answer->status == 429 || answer->status >= 500) {
        err_set(err, "%s: %ld %s; try again later", from, answer->status, refusal);
        return -EAGAIN;
    }
    if (answer->status < 400) {
        err_set(err, "%s: %ld %s; this is no token service: check address and proxy", from,
                answer->status, refusal);
        return -EHOSTUNREACH;
    }
    err_set(err, "%s: %ld %s%s", from, answer->status, refusal, token_remedy(refusal));
    return -EACCES;
}

int acquire_token(struct token *out, const struct exchange *exchange, struct http_request *request,
                  const char *from, struct err *err)
{
    struct http_answer answer;
    struct err why = { "" };
    int rc;

    http_answer_init(&answer, ACQUIRE_ANSWER_MAX);
    rc = exchange_send(exchange, request, &answer, NULL, &why);
    if (rc == 0)
        rc = acquire_judge(out, &answer, env_wall_ms(exchange->env) / 1000, from, err);
    else
        err_set(err, "%s: %s", from, why.msg);
    http_answer_done(&answer);
    return rc == -EMSGSIZE ? -EHOSTUNREACH : rc;
}
