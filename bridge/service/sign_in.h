/* Who we are to the hub: a shared access policy's key, or tokens of Microsoft Entra in one of the
 * ways of way.h. Gives the Authorization header of a request; never prints a secret. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "bridge/service/exchange.h"
#include "bridge/service/way.h"

#include <stdbool.h>

struct sign_in;

/* Finds the way and reads what it needs; asks nobody. 0; -ENOENT, -EACCES (the file of the
 * connection string), -EINVAL (no sign-in, or one that cannot be right), -ENOMEM; with `err`. */
int sign_in_new(struct sign_in **out, const struct way_asked *asked, struct err *err);
void sign_in_free(struct sign_in *sign_in); /* NULL is fine; wipes key and token */

/* The host name of the hub it is for. */
const char *sign_in_host(const struct sign_in *sign_in);

enum sign_in_kind {
    SIGN_IN_KEY,   /* signs each request with the key of a policy */
    SIGN_IN_READY, /* a signature that was made elsewhere, as it is */
    SIGN_IN_ENTRA, /* tokens that end and are renewed */
};
enum sign_in_kind sign_in_kind(const struct sign_in *sign_in);

enum { SIGN_IN_HEADER_MAX = 20 * 1024 };

/* Replaces the content of `out` with the header's value. With Entra that is the token at hand, or a
 * new one that is asked for over `exchange`: before the first request, and a while before the end
 * of the one at hand, which goes on being used if there is no other and it has not ended. 0;
 * otherwise `err` says the way, where it came from and what happened: -EACCES (refused), -EAGAIN
 * (later), -EHOSTUNREACH, -EINVAL, -ENOENT (a file), -ENOMEM. */
int sign_in_header(struct buf *out, struct sign_in *sign_in, const struct exchange *exchange,
                   struct err *err);

/* Throws the token at hand away, after the hub refused it. True when there may be a better one: it
 * was not asked for just now. */
bool sign_in_renew(struct sign_in *sign_in);
