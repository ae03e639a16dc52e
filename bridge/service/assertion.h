/* Signed client assertions: how an application proves to Microsoft Entra that it has the key of its
 * certificate (RFC 7523, 2.2; learn.microsoft.com, "Microsoft identity platform application
 * authentication certificate credentials"). */
#pragma once

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"

#include <stdbool.h>

enum { ASSERTION_FILE_MAX = 128 * 1024, ASSERTION_LIFETIME_S = 600 };

struct assertion {
    const char *path;      /* PEM or PKCS#12, with the certificate and its RSA key */
    const char *password;  /* of the file's key; NULL = none */
    const char *client_id; /* who asks */
    const char *audience;  /* the URL of the token endpoint */
    bool send_chain;       /* the file's certificates go along (x5c) */
};

/* Appends the assertion, a JWT signed PS256 with the certificate's x5t#S256, to `out`. 0; -ENOENT,
 * -EACCES (the file); -EINVAL with `err`: no certificate, no key that belongs to it, not RSA, a
 * password that is wrong or missing, a certificate that has ended; -ENOMEM. The file is read
 * anew each time: it may have been renewed. */
int assertion_make(struct buf *out, const struct assertion *assertion, const struct env *env,
                   struct err *err);
