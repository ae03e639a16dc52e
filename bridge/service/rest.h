/* The service side of a hub over HTTPS: sign-in and single requests (reference: iot-hub.md section
 * 7). The only user of libcurl. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "bridge/service/answer.h"

#include <stddef.h>

struct rest;

struct rest_options {
    const char *connection_string_file; /* NULL: the variable IOTHUB_CONNECTION_STRING */
    const char *ca_file;                /* NULL: the system's bundle */
    int port;                           /* 0: 443 */
};

enum { REST_BODY_MAX = 8 * 1024 * 1024 };

struct rest_answer {
    long status;
    char error_code[64]; /* header iothub-errorcode, "" when absent */
    struct buf body;     /* as sent, whatever it is */
};

/* Reads the sign-in; does not connect. 0; -ENOENT, -EACCES (file), -EINVAL (no sign-in, or not the
 * connection string of a policy), -ENOMEM; with `err`, which never holds a secret. */
int rest_new(struct rest **out, const struct rest_options *options, struct err *err);
void rest_free(struct rest *rest); /* NULL is fine; wipes the key */

/* The hub that the sign-in is for. */
const char *rest_host(const struct rest *rest);

/* One request and its answer, of whatever status. `path` begins with '/' and is percent-encoded;
 * `etag` (NULL = none) goes quoted into If-Match; `body` is JSON (NULL = none). `out` is the
 * caller's to begin with rest_answer_init and to end with rest_answer_done. 0; otherwise nothing
 * that counts as an answer came, and `err` says why: -EHOSTUNREACH, -EINVAL (the CA file cannot be
 * used), -ENOMEM. */
int rest_call(struct rest *rest, const char *method, const char *path, const char *etag,
              const char *body, struct rest_answer *out, struct err *err);

void rest_answer_init(struct rest_answer *answer);
void rest_answer_done(struct rest_answer *answer);

/* The exit code for an error of rest_new or rest_call. */
int rest_exit(int rc);

/* Writes "/devices/D[/modules/M]" or "/twins/D[/modules/M]" with encoded ids. 0, -ENOSPC. */
enum { REST_PATH_MAX = 1024 };
int rest_path(char out[REST_PATH_MAX], const char *collection, const char *device,
              const char *module);
