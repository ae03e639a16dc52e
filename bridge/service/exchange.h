/* An HTTP exchange that is tried until it is done, or cannot be: http.h with the rules of retry.h
 * and real waiting. */
#pragma once

#include "base/env.h"
#include "base/err.h"
#include "bridge/service/http.h"
#include "bridge/service/retry.h"

#include <stdbool.h>
#include <stdint.h>

enum { EXCHANGE_TIMEOUT_MS = 60000, EXCHANGE_RETRY_FOR_MS = 30000 };

struct exchange {
    struct http *http;     /* not owned */
    const struct env *env; /* not owned */
    uint32_t timeout_ms;   /* of one answer, where the request says nothing */
    uint32_t retry_for_ms; /* no try begins later; 0 = one try */
    bool verbose; /* every try is told on standard error; a wait is, on a terminal, always */
};

/* Sends until an answer came that is not to be repeated, the budget is spent, or a signal ends a
 * wait. As http_send; *uncertain (may be NULL) becomes true when an earlier try may have been done
 * although no answer said so, and is not touched otherwise. */
int exchange_send(const struct exchange *exchange, struct http_request *request,
                  struct http_answer *answer, bool *uncertain, struct err *err);
