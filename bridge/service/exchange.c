/* The loop of tries.
 *
 * Happy path: one try. A failure that retry.h calls passing is waited for, visibly on a terminal,
 * and tried again. What is given back in the end is the last try's answer or error. */
#include "bridge/service/exchange.h"

#include "bridge/service/header.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void say_tried(const struct exchange *exchange, const struct http_request *request,
                      const struct http_answer *answer, const struct err *why)
{
    if (!exchange->verbose)
        return;
    if (why->msg[0] != '\0')
        fprintf(stderr, "twinctl: %s %s: %s\n", request->method, request->url, why->msg);
    else
        fprintf(stderr, "twinctl: %s %s: %ld\n", request->method, request->url, answer->status);
}

static void say_waiting(const struct exchange *exchange, const struct http_answer *answer,
                        uint32_t wait_ms)
{
    char status[24] = "no answer";

    if (!exchange->verbose && isatty(STDERR_FILENO) == 0)
        return;
    if (answer->outcome == RETRY_ANSWERED)
        snprintf(status, sizeof status, "%ld", answer->status);
    fprintf(stderr, "twinctl: %s, trying again in %.1f s\n", status, wait_ms / 1000.0);
}

/* 0, or -EINTR when a signal came that does not end the program. */
static int wait_for(uint32_t ms)
{
    const struct timespec span = { ms / 1000, (long)(ms % 1000) * 1000000 };

    return clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL) == 0 ? 0 : -EINTR;
}

static struct retry_try look_back(const struct exchange *exchange, const struct http_answer *answer)
{
    struct retry_try tried = { answer->outcome, answer->status, -1 };
    char value[64];

    if (answer->outcome == RETRY_ANSWERED &&
        header_get(value, sizeof value, &answer->headers, "Retry-After"))
        tried.after_ms = retry_after_ms(value, env_wall_ms(exchange->env));
    return tried;
}

int exchange_send(const struct exchange *exchange, struct http_request *request,
                  struct http_answer *answer, bool *uncertain, struct err *err)
{
    struct retry retry;
    struct retry_try tried;
    struct err why;
    uint32_t wait_ms;
    int rc;

    if (request->timeout_ms == 0)
        request->timeout_ms = exchange->timeout_ms;
    retry_begin(&retry, env_now_ms(exchange->env), exchange->retry_for_ms);
    for (;;) {
        if (uncertain != NULL)
            *uncertain = *uncertain || retry.uncertain;
        why.msg[0] = '\0';
        rc = http_send(exchange->http, request, answer, &why);
        say_tried(exchange, request, answer, &why);
        tried = look_back(exchange, answer);
        if (!retry_again(&retry, request->kind, &tried, exchange->env, &wait_ms))
            break;
        say_waiting(exchange, answer, wait_ms);
        if (wait_for(wait_ms) != 0)
            break;
    }
    if (rc != 0)
        *err = why;
    return rc;
}
