/* Asking a token service for a token: one exchange, judged. */
#pragma once

#include "base/err.h"
#include "bridge/service/exchange.h"
#include "bridge/service/token.h"

enum { ACQUIRE_ANSWER_MAX = 64 * 1024 };

/* Sends `request` and reads the token of its answer into `out`, which is replaced. `from` names the
 * service in messages. 0; -EACCES (refused), -EAGAIN (429, 5xx: later), -EHOSTUNREACH (not there,
 * or something else is), -EINVAL, -ENOMEM, with `err`. */
int acquire_token(struct token *out, const struct exchange *exchange, struct http_request *request,
                  const char *from, struct err *err);

/* The same of an answer that came at `now_s`. */
int acquire_judge(struct token *out, const struct http_answer *answer, int64_t now_s,
                  const char *from, struct err *err);
