/* Tokens of Microsoft Entra for an application that proves who it is with a secret, a certificate
 * or a federated token (OAuth 2.0 client credentials; reference: iot-hub.md section 7.7). */
#pragma once

#include "base/err.h"
#include "bridge/service/exchange.h"
#include "bridge/service/token.h"
#include "bridge/service/way.h"

struct entra {
    enum way way;                            /* WAY_SECRET, WAY_CERTIFICATE, WAY_FEDERATED */
    const char *hub;                         /* its cloud decides where Entra is */
    const char *(*lookup)(const char *name); /* getenv */
};

/* Asks for a token. The environment, the certificate and the federated token are read anew each
 * time. Errors of acquire_token, and -ENOENT, -EACCES (a file), -EINVAL (a variable that cannot be
 * right); `err` never holds a secret. */
int entra_token(struct token *out, const struct entra *entra, const struct exchange *exchange,
                struct err *err);

/* Writes "https://HOST/TENANT/oauth2/v2.0/token" and the host for messages. AZURE_AUTHORITY_HOST
 * is a host name or an https address; where it is not set, the hub's cloud decides. Pure. 0, or
 * -EINVAL with `err`. */
enum { ENTRA_URL_MAX = 512, ENTRA_HOST_MAX = 256 };
int entra_address(char url[ENTRA_URL_MAX], char host[ENTRA_HOST_MAX], const struct entra *entra,
                  struct err *err);
