/* The token endpoints over REST: Entra's own, where libraries learn of it, and that of a machine's
 * metadata address.
 *
 * Happy path: form or query -> entra.h -> a token. Fails when: hubsim was started without Entra
 * (404), or the proof does not hold: Entra's form of an error, not the hub's. */
#include "tests/sim/hubsim/rest_impl.h"

#include "tests/sim/hubsim/entra.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct entra *entra_of(const struct rest_call *call)
{
    const struct entra *entra = hub_access(call->hub)->options.entra;

    if (entra == NULL)
        rest_fail(call->hub, call->response, 404, "InvalidOperation",
                  "hubsim was started without --entra");
    return entra;
}

static void answer(const struct rest_call *call, const struct entra *entra, int rc,
                   const struct entra_refusal *refusal)
{
    if (rc == 0)
        return;
    buf_clear(&call->response->body);
    if (rc != -EACCES) {
        rest_refuse(call, rc, "");
        return;
    }
    hub_note(call->hub, "no token: %s", refusal->text);
    call->response->status = refusal->status;
    entra_print_refusal(entra, refusal, &call->response->body);
}

void rest_get_token(const struct rest_call *call)
{
    const struct entra *entra = entra_of(call);
    struct entra_refusal refusal;
    int rc;

    if (entra == NULL)
        return;
    rc = entra_take_form(entra, call->device_id, call->request->body, call->request->body_length,
                         &call->response->body, &refusal);
    answer(call, entra, rc, &refusal);
}

/* Microsoft's identity libraries ask an authority that they do not know where its endpoints are
 * (OpenID Connect Discovery 1.0, section 4), and want these four; only the first is there. */
void rest_get_openid(const struct rest_call *call)
{
    static const struct {
        const char *name, *path;
    } entries[] = { { "token_endpoint", "/oauth2/v2.0/token" },
                    { "authorization_endpoint", "/oauth2/v2.0/authorize" },
                    { "issuer", "/v2.0" },
                    { "jwks_uri", "/discovery/v2.0/keys" } };
    static const struct entra_refusal no_tenant = { 400, "invalid_tenant", 90002,
                                                    "The tenant does not exist." };
    const char *host = call->request->texts[REST_HOST];
    const struct entra *entra = entra_of(call);
    struct buf *body = &call->response->body;
    char url[AUTH_NAME_MAX + 128];

    if (entra == NULL)
        return;
    if (host == NULL || strcmp(call->device_id, entra_tenant(entra)) != 0) {
        answer(call, entra, -EACCES, &no_tenant);
        return;
    }
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        snprintf(url, sizeof url, "https://%.*s/%s%s", AUTH_NAME_MAX, host, call->device_id,
                 entries[i].path);
        buf_printf(body, "%s\"%s\":", i == 0 ? "{" : ",", entries[i].name);
        json_print_text(body, url);
    }
    buf_add_byte(body, '}');
}

void rest_get_managed_token(const struct rest_call *call)
{
    static const struct entra_refusal no_header = { 400, "invalid_request", 0,
                                                    "Required metadata header not specified" };
    const char *metadata = call->request->texts[REST_METADATA];
    const struct entra *entra = entra_of(call);
    struct entra_refusal refusal = no_header;
    int rc = -EACCES;

    if (entra == NULL)
        return;
    if (metadata != NULL && strcasecmp(metadata, "true") == 0)
        rc = entra_take_managed(entra, call->request->texts[REST_RESOURCE],
                                call->request->texts[REST_CLIENT_ID], &call->response->body,
                                &refusal);
    answer(call, entra, rc, &refusal);
}
