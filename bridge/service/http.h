/* One HTTP exchange, once. The only user of libcurl besides the program's main.
 *
 * It knows three kinds of peers, for they are to be trusted in different ways; it knows nothing of
 * hubs, tokens or repetition. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "bridge/service/retry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;

enum http_peer {
    HTTP_PEER_HUB,     /* HTTPS; certificate of the system's bundle, or of --ca-file alone */
    HTTP_PEER_SIGN_IN, /* HTTPS; certificate of the system's bundle or of --ca-file */
    HTTP_PEER_LOCAL,   /* plain HTTP on this machine, never through a proxy */
};

struct http_header {
    const char *name, *value;
};

struct http_request {
    const char *method;
    const char *url;
    const struct http_header *headers;
    size_t header_count;
    const char *body; /* NULL = none */
    enum http_peer peer;
    enum retry_kind kind;
    bool alone; /* on a connection of its own: on one that died while it was idle libcurl repeats a
                   request by itself, and nobody is told */
    uint32_t timeout_ms; /* for the whole of the answer */
};

struct http_answer {
    long status;        /* 0 while none came */
    struct buf headers; /* see header.h */
    struct buf body;
    enum retry_outcome outcome;
};

/* `ca_file` may be NULL; it is copied. 0 or -ENOMEM. */
int http_new(struct http **out, const char *ca_file);
void http_free(struct http *http); /* NULL is fine */

void http_answer_init(struct http_answer *answer, size_t body_max);
void http_answer_done(struct http_answer *answer); /* wipes the body */

/* Sends and waits. 0: an answer came, whole or with a status of 400 and above (a refusal that is
 * cut off is a refusal). Otherwise `err` says why and what to do: -EHOSTUNREACH (no connection, no
 * answer in time, cut off, not to be trusted), -EINVAL (the CA file cannot be used), -EMSGSIZE (the
 * answer is larger than its maximum), -ENOMEM. answer->outcome is set in every case. Redirects are
 * not followed: a token goes to the one it is for and to nobody else. */
int http_send(struct http *http, const struct http_request *request, struct http_answer *answer,
              struct err *err);
