/* The rules of repetition.
 *
 * Happy path: the first try is answered and nothing here is asked. Otherwise the wait is what
 * Retry-After says, with a little chance so that many clients do not come back together, or
 * min(16 s, 1 s x 2^n) x U(0.5, 1), until the budget is spent. */
#include "bridge/service/retry.h"

#include "bridge/service/header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MIN_MS = 1000, WAIT_MAX_MS = 16000 };

void retry_begin(struct retry *retry, uint64_t now_ms, uint32_t budget_ms)
{
    *retry = (struct retry){
        .backoff = { .min_ms = WAIT_MIN_MS, .max_ms = WAIT_MAX_MS },
        .until_ms = now_ms + budget_ms,
    };
}

/* 501 and 505 say that it will never work. */
static bool is_passing(long status)
{
    return status >= 500 && status <= 599 && status != 501 && status != 505;
}

static bool may_repeat_answered(enum retry_kind kind, long status)
{
    switch (kind) {
    case RETRY_REPEATABLE:
        return status == 429 || is_passing(status);
    case RETRY_REFUSED:
        return status == 429;
    case RETRY_METADATA: /* while it is being updated: 404, or 410 for up to 70 s */
        return status == 404 || status == 410 || status == 429 || is_passing(status);
    case RETRY_UNSENT:
        break;
    }
    return false;
}

static bool may_repeat(const struct retry *retry, enum retry_kind kind,
                       const struct retry_try *tried)
{
    switch (tried->outcome) {
    case RETRY_ANSWERED:
        return may_repeat_answered(kind, tried->status);
    case RETRY_NOBODY: /* a machine without a metadata service is no Azure machine: no waiting */
        return kind != RETRY_METADATA && retry->nobody <= RETRY_NOBODY_MAX;
    case RETRY_LOST:
        return kind == RETRY_REPEATABLE || kind == RETRY_METADATA;
    case RETRY_HOPELESS:
        break;
    }
    return false;
}

bool retry_again(struct retry *retry, enum retry_kind kind, const struct retry_try *tried,
                 const struct env *env, uint32_t *wait_ms)
{
    uint64_t now_ms = env_now_ms(env);
    uint64_t left_ms = retry->until_ms > now_ms ? retry->until_ms - now_ms : 0;
    uint64_t wait;

    if (tried->outcome == RETRY_LOST ||
        (tried->outcome == RETRY_ANSWERED && is_passing(tried->status)))
        retry->uncertain = true;
    retry->nobody = tried->outcome == RETRY_NOBODY ? retry->nobody + 1 : 0;
    if (!may_repeat(retry, kind, tried))
        return false;
    wait = backoff_next_ms(&retry->backoff, env_random_u32(env));
    if (tried->after_ms >= 0) {
        wait = (uint64_t)tried->after_ms;
        if (wait > left_ms)
            return false;
        wait += wait / 8 * env_random_u32(env) / UINT32_MAX;
    }
    if (left_ms == 0)
        return false;
    *wait_ms = (uint32_t)(wait < left_ms ? wait : left_ms);
    return true;
}

int64_t retry_after_ms(const char *value, int64_t wall_ms)
{
    size_t digits = strspn(value, "0123456789");
    int64_t ms;

    if (digits > 0 && value[digits] == '\0') {
        ms = digits > 9 ? RETRY_AFTER_MAX_MS : strtoll(value, NULL, 10) * 1000;
    } else {
        if (header_date_ms(value, &ms) != 0)
            return -1;
        ms = ms > wall_ms ? ms - wall_ms : 0;
    }
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}
