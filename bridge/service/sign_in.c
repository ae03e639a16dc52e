/* The sign-in of one run.
 *
 * Happy path of a policy: a signature of an hour for each request. Of Entra: one token for the
 * process, renewed in time. Fails with a line that names the way of signing in first, because the
 * variables that lead to it may have been set by somebody else. */
#include "bridge/service/sign_in.h"

#include "bridge/sas.h"
#include "bridge/service/entra.h"
#include "bridge/service/managed_identity.h"
#include "bridge/service/secret_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECTION_STRING_MAX = 4096, SAS_LIFETIME_S = 3600 };

struct sign_in {
    enum way way;
    const char *(*lookup)(const char *name);
    char hub[300];
    struct sas_connection_string policy; /* of WAY_SAS */
    struct token token;                  /* of the others */
    bool fresh;                          /* the token was asked for by the last sign_in_header */
};

/* ---- a shared access policy ---- */

/* Whether it can stand in a header line. */
static bool is_line(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static int check_policy(const struct sas_connection_string *policy, const char *source,
                        struct err *err)
{
    if (policy->host_name[0] != '[' && strchr(policy->host_name, ':') != NULL)
        err_set(err, "sign-in %s: HostName is a name without a port; give that with --port",
                source);
    else if (!is_line(policy->token))
        err_set(err, "sign-in %s: SharedAccessSignature holds a character that no token has",
                source);
    else if (policy->device_id[0] != '\0')
        err_set(err,
                "sign-in %s: this is the connection string of the device %.60s; twinctl wants one "
                "of a policy of the hub (SharedAccessKeyName=...)",
                source, policy->device_id);
    else if (policy->key[0] != '\0' && policy->key_name[0] == '\0')
        err_set(err, "sign-in %s: SharedAccessKeyName is missing: the name of the policy", source);
    else
        return 0;
    return -EINVAL;
}

static int parse_policy(struct sign_in *s, const char *text, const char *source, struct err *err)
{
    struct err why = { "" };
    int rc = sas_parse_connection_string(&s->policy, text, &why);

    if (rc != 0) {
        err_set(err, "sign-in %s: %s", source, why.msg);
        return rc;
    }
    snprintf(s->hub, sizeof s->hub, "%s", s->policy.host_name);
    return check_policy(&s->policy, source, err);
}

static int read_policy(struct sign_in *s, const char *file, struct err *err)
{
    static const char variable[] = "IOTHUB_CONNECTION_STRING";
    struct err why = { "" };
    struct buf text;
    int rc;

    if (file == NULL)
        return parse_policy(s, way_variable(s->lookup, variable), variable, err);
    buf_init(&text, CONNECTION_STRING_MAX);
    rc = secret_file_read(&text, file, &why);
    if (rc == 0)
        rc = parse_policy(s, buf_text(&text), file, err);
    else
        err_set(err, "sign-in %s", why.msg);
    secret_file_wipe(&text);
    return rc;
}

static int add_signature(struct buf *out, const struct sign_in *s, const struct exchange *exchange,
                         struct err *err)
{
    const struct sas_connection_string *policy = &s->policy;
    char token[SAS_TOKEN_MAX];
    int rc;

    if (policy->token[0] != '\0')
        return buf_add_text(out, policy->token);
    rc = sas_token(token, sizeof token, policy->host_name, policy->key, policy->key_name,
                   env_wall_ms(exchange->env) / 1000 + SAS_LIFETIME_S);
    if (rc == 0)
        rc = buf_add_text(out, token);
    else if (rc == -EINVAL)
        err_set(err, "sign-in: SharedAccessKey is not the base64 of a key");
    explicit_bzero(token, sizeof token);
    return rc;
}

/* ---- Entra ---- */

/* "contoso" is short for the hub's name in Azure's own cloud. */
static void take_hub(struct sign_in *s, const char *name)
{
    const char *rest = strchr(name, '.') == NULL && strcasecmp(name, "localhost") != 0
                           ? ".azure-devices.net"
                           : "";

    snprintf(s->hub, sizeof s->hub, "%s%s", name, rest);
}

static int ask_token(struct sign_in *s, const struct exchange *exchange, struct err *err)
{
    const struct entra entra = { s->way, s->hub, s->lookup };
    struct err why = { "" };
    int rc;

    if (s->way == WAY_MANAGED_IDENTITY)
        rc = managed_identity_token(&s->token, exchange, s->lookup, &why);
    else
        rc = entra_token(&s->token, &entra, exchange, &why);
    if (rc != 0)
        err_set(err, "sign-in with %s: %s", way_text(s->way), why.msg);
    return rc;
}

static int add_token(struct buf *out, struct sign_in *s, const struct exchange *exchange,
                     struct err *err)
{
    int64_t now_s = env_wall_ms(exchange->env) / 1000;
    int rc = 0;

    s->fresh = s->token.text == NULL || now_s >= s->token.renew_s;
    if (s->fresh)
        rc = ask_token(s, exchange, err);
    if (rc != 0 && s->token.text != NULL && now_s < s->token.expires_s)
        rc = 0;
    if (rc == 0)
        rc = buf_printf(out, "Bearer %s", s->token.text);
    return rc;
}

/* ---- both ---- */

int sign_in_new(struct sign_in **out, const struct way_asked *asked, struct err *err)
{
    struct sign_in *s = calloc(1, sizeof *s);
    struct way_chosen chosen;
    int rc;

    if (s == NULL) {
        err_set(err, "out of memory");
        return -ENOMEM;
    }
    rc = way_choose(&chosen, asked, err);
    if (rc == 0) {
        s->way = chosen.way;
        s->lookup = asked->lookup;
        if (s->way == WAY_SAS)
            rc = read_policy(s, asked->connection_string_file, err);
        else
            take_hub(s, chosen.hub);
    }
    if (rc != 0) {
        sign_in_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void sign_in_free(struct sign_in *sign_in)
{
    if (sign_in == NULL)
        return;
    sas_forget(&sign_in->policy);
    token_forget(&sign_in->token);
    free(sign_in);
}

const char *sign_in_host(const struct sign_in *sign_in)
{
    return sign_in->hub;
}

enum sign_in_kind sign_in_kind(const struct sign_in *sign_in)
{
    if (sign_in->way != WAY_SAS)
        return SIGN_IN_ENTRA;
    return sign_in->policy.token[0] != '\0' ? SIGN_IN_READY : SIGN_IN_KEY;
}

int sign_in_header(struct buf *out, struct sign_in *sign_in, const struct exchange *exchange,
                   struct err *err)
{
    int rc;

    buf_clear(out);
    err_set(err, "out of memory");
    if (sign_in->way == WAY_SAS)
        rc = add_signature(out, sign_in, exchange, err);
    else
        rc = add_token(out, sign_in, exchange, err);
    if (rc == 0)
        err->msg[0] = '\0';
    return rc == -ENOSPC ? -EINVAL : rc;
}

bool sign_in_renew(struct sign_in *sign_in)
{
    if (sign_in->way == WAY_SAS || sign_in->fresh)
        return false;
    token_forget(&sign_in->token);
    return true;
}
