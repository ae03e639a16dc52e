/* The service side of a hub over HTTPS: signed requests, repeated where that is safe (reference:
 * iot-hub.md section 7). */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "bridge/service/answer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rest;

struct rest_options {
    const char *connection_string_file; /* NULL: the variable IOTHUB_CONNECTION_STRING */
    const char *ca_file;                /* NULL: the system's bundle */
    long port;                          /* 0: 443 */
    const char *hub_name;   /* --hub-name: sign in with Entra; NULL: the connection string's */
    const char *mapped_hub; /* a mapping file's hub, for an Entra sign-in that names none */
    const char *sign_in;    /* --sign-in: one of WAY_NAMES (way.h); NULL: what is there */
    uint32_t timeout_ms;    /* --request-timeout, of one answer; 0: 60 s */
    const uint32_t *retry_for_ms; /* --retry-for, 0 = one try; NULL: 30 s */
    bool verbose;                 /* says on standard error what it tries */
};

/* A page of a hundred of the largest twins, most of them $metadata, is about 45 MiB. */
enum { REST_BODY_MAX = 64 * 1024 * 1024, REST_CONTINUATION_MAX = 8 * 1024 };

/* What to ask. `path` begins with '/' and is percent-encoded; what is 0 or NULL is left out. */
struct rest_request {
    const char *method;
    const char *path;
    const char *query;        /* "top=100": behind api-version */
    const char *etag;         /* goes quoted into If-Match */
    const char *body;         /* JSON */
    const char *continuation; /* x-ms-continuation: the page to go on with */
    long page_size;           /* x-ms-max-item-count */
    long timeout_s;           /* for the whole of an answer; 0: as in the options */
    /* Asking twice does what asking once does. Known without being said of a GET and of a DELETE,
     * and of a write bound to an etag other than "*": when that was done by a try whose answer was
     * lost, the next one is refused (412), and on a twin that is found out by reading it. */
    bool repeatable;
};

struct rest_answer {
    long status;
    char error_code[64];     /* header iothub-errorcode, "" when absent */
    char content_type[64];   /* header Content-Type, "" when absent */
    struct buf body;         /* as sent, whatever it is */
    struct buf continuation; /* header x-ms-continuation; empty on the last page */
    bool uncertain;          /* an earlier try may have been done although no answer said so */
};

/* Reads the sign-in; does not connect. 0; -ENOENT, -EACCES (file), -EINVAL (no sign-in, or one that
 * cannot be right), -ENOMEM; with `err`, which never holds a secret. */
int rest_new(struct rest **out, const struct rest_options *options, struct err *err);
void rest_free(struct rest *rest); /* NULL is fine; wipes keys and tokens */

/* The hub that the sign-in is for. */
const char *rest_host(const struct rest *rest);

/* One request and its answer, of whatever status, the last of several tries where it may be
 * repeated (retry.h). `out` is the caller's to begin with rest_answer_init and to end with
 * rest_answer_done. 0; otherwise nothing that counts as an answer came, and `err` says why:
 * -EHOSTUNREACH, -EAGAIN and -EACCES (the sign-in), -EINVAL and -ENOENT (the CA file or the sign-in
 * cannot be used), -ENOMEM. */
int rest_call(struct rest *rest, const struct rest_request *request, struct rest_answer *out,
              struct err *err);

void rest_answer_init(struct rest_answer *answer);
void rest_answer_done(struct rest_answer *answer);

/* What to do about the answer, for the end of its line: "; ..." or "". It is answer_remedy, but for
 * a 401 or 403 it knows how the request was signed and whether this machine's clock is the hub's,
 * and for a refusal that an earlier try may be the cause of. Valid until the next call. */
const char *rest_remedy(struct rest *rest, const struct rest_answer *answer);

/* Whether this machine's clock was so far from the last answer's that no sign-in is valid. */
bool rest_clock_is_wrong(const struct rest *rest);

/* The exit code for an error of rest_new or rest_call. */
int rest_exit(int rc);

/* Writes "/devices/D[/modules/M]" or "/twins/D[/modules/M]" with encoded ids. 0; -ENOSPC; -EINVAL for
 * "", "." and "..", encoded or not: servers take them for another address, and DELETE of a module
 * ".." would be that of its device. */
enum { REST_PATH_MAX = 1024 };
int rest_path(char out[REST_PATH_MAX], const char *collection, const char *device,
              const char *module);
