/* Microsoft Entra ID as far as a hub's back end needs it (reference: iot-hub.md section 7.7): one
 * tenant with one application, which gets bearer tokens for a secret, for a signed assertion, or as
 * a managed identity, and the check of those tokens.
 *
 * Tenant, application, secret and the key that signs tokens are made once and kept with the state. */
#pragma once

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "tests/sim/hubsim/registry.h"

#include <stddef.h>
#include <stdint.h>

#define ENTRA_AUDIENCE "https://iothubs.azure.net"

enum {
    ENTRA_ID_MAX = 37, /* a GUID with its NUL */
    ENTRA_SECRET_MAX = 89,
    ENTRA_LIFETIME_S = 3599, /* of a token, as Entra's own */
};

struct entra;

struct entra_options {
    const struct env *env; /* what they point to outlives it */
    struct registry *registry;
    const char *const *names; /* host names under which the token endpoint is reached */
    size_t name_count;
    uint32_t lifetime_s;     /* of tokens; 0 = ENTRA_LIFETIME_S */
    const char *certificate; /* PEM: whose key signs assertions of the application; NULL = none */
    const char *federated_file; /* whose text is an assertion as it stands; NULL = none */
};

/* 0, -EIO, -ENOMEM. */
int entra_open(struct entra **out, const struct entra_options *options);
void entra_close(struct entra *entra); /* NULL is fine; wipes the secrets */

const char *entra_tenant(const struct entra *entra);
const char *entra_client_id(const struct entra *entra);
const char *entra_secret(const struct entra *entra);

/* Why there is no token, as Entra says it. */
struct entra_refusal {
    int status;        /* of HTTP */
    const char *error; /* "invalid_client" */
    int code;          /* of Entra, the number behind "AADSTS"; 0 = none */
    const char *text;
};

/* The token endpoint: `form` is the body of POST /TENANT/oauth2/v2.0/token. 0 with the response's JSON
 * appended to `out`; -EACCES with `refusal`; -EIO, -ENOMEM. */
int entra_take_form(const struct entra *entra, const char *tenant, const char *form, size_t length,
                    struct buf *out, struct entra_refusal *refusal);

/* The metadata address of a machine: a token for `resource`, as the application itself; `client_id`
 * NULL or the application's. Errors of entra_take_form. */
int entra_take_managed(const struct entra *entra, const char *resource, const char *client_id,
                       struct buf *out, struct entra_refusal *refusal);

/* Appends the JSON of a refusal. */
void entra_print_refusal(const struct entra *entra, const struct entra_refusal *refusal,
                         struct buf *out);

/* Checks a token that a back end shows to the hub. 0, or -EACCES with `err`. */
int entra_verify(const struct entra *entra, const char *token, struct err *err);
