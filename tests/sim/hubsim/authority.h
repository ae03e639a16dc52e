/* hubsim's own certificate authority and the certificate that it serves with, kept with the state: a
 * client that trusts hubsim once goes on to do so. */
#pragma once

#include "base/err.h"
#include "tests/sim/hubsim/certificate.h"
#include "tests/sim/hubsim/registry.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct authority_names { /* under which hubsim is reached */
    const char *const *names;
    size_t count;
};

/* The kept ones, or new ones: the server's also when names were added or its end is near. Both zeroed
 * before, ended with certificate_done also after a failure: -EIO, -ENOMEM. */
int authority_load(struct registry *registry, const struct authority_names *names, int64_t now_s,
                   struct certificate *authority, struct certificate *server);

/* Puts the authority's certificate beside the state, STATE.ca.pem, for clients to trust; `path` is
 * where. 0, or with `err`: -EINVAL (the path is too long), -errno. */
int authority_publish(const struct certificate *authority, const char *state, char path[PATH_MAX],
                      struct err *err);
