/* Whether and when a request is tried again. Pure.
 *
 * What may be repeated depends on what is known of the try: one that reached nobody may always be
 * repeated; one that was refused for its rate (429) was not done; after a 5xx or a lost answer it
 * may have been done, and only what does no more when it is done twice goes out again. */
#pragma once

#include "base/backoff.h"
#include "base/env.h"

#include <stdbool.h>
#include <stdint.h>

/* What asking twice would do. */
enum retry_kind {
    RETRY_REPEATABLE, /* no more than asking once: a read, or a write bound to an etag */
    RETRY_REFUSED,    /* more: repeated only when it was surely not done */
    RETRY_UNSENT,     /* something happens each time (a method): repeated only when unsent */
    RETRY_METADATA,   /* a token of the local metadata service, which also says 404 and 410 */
};

/* What became of a try. */
enum retry_outcome {
    RETRY_ANSWERED, /* with a status */
    RETRY_NOBODY,   /* there was no connection: nobody has seen the request */
    RETRY_LOST,     /* sent, and no whole answer came */
    RETRY_HOPELESS, /* the next try would fail in the same way */
};

struct retry_try {
    enum retry_outcome outcome;
    long status;      /* of RETRY_ANSWERED */
    int64_t after_ms; /* what Retry-After asks for; -1 = nothing */
};

enum {
    RETRY_NOBODY_MAX = 2, /* repetitions when nobody is there: a wrong name stays wrong */
    RETRY_AFTER_MAX_MS = 5 * 60 * 1000, /* the most that a Retry-After is believed */
};

struct retry {
    struct backoff backoff;
    uint64_t until_ms; /* no try begins later */
    uint32_t nobody;   /* tries that reached nobody, in a row */
    bool uncertain;    /* a try without a clear answer may have been done */
};

/* Begins with a first try now; others begin within `budget_ms` (0 = none). */
void retry_begin(struct retry *retry, uint64_t now_ms, uint32_t budget_ms);

/* Takes note of a try that is over. True: wait *wait_ms, then try again. False: that was the last
 * one; *wait_ms is untouched. A Retry-After that ends behind the budget is not waited for. */
bool retry_again(struct retry *retry, enum retry_kind kind, const struct retry_try *tried,
                 const struct env *env, uint32_t *wait_ms);

/* Reads the value of a Retry-After header (RFC 9110, 10.2.3): seconds, or a date that is compared
 * with `wall_ms`. 0 to RETRY_AFTER_MAX_MS; -1 when it is neither. */
int64_t retry_after_ms(const char *value, int64_t wall_ms);
