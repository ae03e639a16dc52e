/* Tokens of the managed identity of the machine that this runs on (local_endpoint.h). */
#pragma once

#include "base/err.h"
#include "bridge/service/exchange.h"
#include "bridge/service/token.h"

/* Asks for a token, with Azure Arc after proving that its key file may be read here. Errors of
 * acquire_token, and -EINVAL when the environment's addresses cannot be used. */
int managed_identity_token(struct token *out, const struct exchange *exchange,
                           const char *(*lookup)(const char *name), struct err *err);
