/* Entra ID on the desk.
 *
 * Happy path: a form -> its tenant, application and proof are the known ones -> a token, signed with
 * a secret of ours, for the audience that the scope names. Shown to the hub, it must be signed so,
 * be for the hub's audience, and not be over. Fails when: any of that does not hold; Entra's own
 * codes say what. */
#include "tests/sim/hubsim/entra.h"

#include "tests/sim/hubsim/entra_jwt.h"
#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

enum {
    SKEW_S = 300, /* that clocks of two machines may differ by */
    FIELD_MAX = JWT_TEXT_MAX + 1,
    AUDIENCE_MAX = 256,
};

struct entra {
    struct entra_options options;
    char tenant[ENTRA_ID_MAX];
    char client_id[ENTRA_ID_MAX];
    char secret[ENTRA_SECRET_MAX];
    unsigned char key[JWT_SECRET_BYTES];
};

/* ---- what is kept ---- */

static void new_id(const struct env *env, char *out, size_t size)
{
    uint32_t a = env_random_u32(env), b = env_random_u32(env);
    uint32_t c = env_random_u32(env), d = env_random_u32(env);

    snprintf(out, size, "%08x-%04x-4%03x-%04x-%04x%08x", (unsigned)a, (unsigned)(b >> 16),
             (unsigned)(b & 0xfff), (unsigned)(0x8000 | (c >> 16 & 0x3fff)), (unsigned)(c & 0xffff),
             (unsigned)d);
}

static void new_secret(const struct env *env, char *out, size_t size)
{
    char key[AUTH_KEY_MAX];

    auth_new_key(key, env);
    for (char *c = key; *c != 0; c++) { /* as Entra's: no sign that a form or a shell would take */
        if (*c == '+' || *c == '/' || *c == '=')
            *c = '~';
    }
    snprintf(out, size, "%s", key);
}

/* The text kept under `name`, made when there is none. */
static int keep(const struct entra_options *options, const char *name,
                void (*make)(const struct env *env, char *out, size_t size), char *out, size_t size)
{
    char *text = NULL;
    int rc = registry_get_text(options->registry, name, &text);

    if (rc == 0) {
        snprintf(out, size, "%s", text);
        OPENSSL_cleanse(text, strlen(text));
        free(text);
    } else if (rc == -ENOENT) {
        make(options->env, out, size);
        rc = registry_put_text(options->registry, name, out);
    }
    return rc;
}

static int load(struct entra *entra)
{
    const struct entra_options *options = &entra->options;
    char key[ENTRA_SECRET_MAX];
    int rc = keep(options, "entra/tenant", new_id, entra->tenant, sizeof entra->tenant);

    if (rc == 0)
        rc = keep(options, "entra/client", new_id, entra->client_id, sizeof entra->client_id);
    if (rc == 0)
        rc = keep(options, "entra/secret", new_secret, entra->secret, sizeof entra->secret);
    if (rc == 0)
        rc = keep(options, "entra/key", new_secret, key, sizeof key);
    if (rc == 0 && EVP_Digest(key, strlen(key), entra->key, NULL, EVP_sha256(), NULL) != 1)
        rc = -EIO;
    OPENSSL_cleanse(key, sizeof key);
    return rc;
}

int entra_open(struct entra **out, const struct entra_options *options)
{
    struct entra *entra = calloc(1, sizeof *entra);
    int rc;

    if (entra == NULL)
        return -ENOMEM;
    entra->options = *options;
    if (options->lifetime_s == 0)
        entra->options.lifetime_s = ENTRA_LIFETIME_S;
    rc = registry_begin(options->registry);
    if (rc == 0)
        rc = registry_end(options->registry, load(entra));
    if (rc != 0) {
        entra_close(entra);
        return rc;
    }
    *out = entra;
    return 0;
}

void entra_close(struct entra *entra)
{
    if (entra == NULL)
        return;
    OPENSSL_cleanse(entra, sizeof *entra);
    free(entra);
}

const char *entra_tenant(const struct entra *entra)
{
    return entra->tenant;
}

const char *entra_client_id(const struct entra *entra)
{
    return entra->client_id;
}

const char *entra_secret(const struct entra *entra)
{
    return entra->secret;
}

/* ---- refusals ---- */

static int refuse(struct entra_refusal *refusal, int status, const char *error, int code,
                  const char *text)
{
    *refusal = (struct entra_refusal){ status, error, code, text };
    return -EACCES;
}

void entra_print_refusal(const struct entra *entra, const struct entra_refusal *refusal,
                         struct buf *out)
{
    char stamp[STAMP_MAX], trace[ENTRA_ID_MAX], description[512];

    stamp_print(env_wall_ms(entra->options.env), stamp);
    new_id(entra->options.env, trace, sizeof trace);
    if (refusal->code != 0)
        snprintf(description, sizeof description, "AADSTS%d: %s Trace ID: %s Timestamp: %s",
                 refusal->code, refusal->text, trace, stamp);
    else
        snprintf(description, sizeof description, "%s", refusal->text);
    buf_printf(out, "{\"error\":\"%s\",\"error_description\":", refusal->error);
    json_print_text(out, description);
    if (refusal->code != 0)
        buf_printf(out, ",\"error_codes\":[%d],\"timestamp\":\"%s\",\"trace_id\":\"%s\"",
                   refusal->code, stamp, trace);
    buf_add_byte(out, '}');
}

/* ---- tokens ---- */

static int64_t now_s(const struct entra *entra)
{
    return env_wall_ms(entra->options.env) / 1000;
}

static int print_token(const struct entra *entra, const char *audience, struct buf *out)
{
    int64_t now = now_s(entra), end = now + entra->options.lifetime_s;
    struct buf claims;
    int rc;

    buf_init(&claims, 2048);
    buf_add_text(&claims, "{\"aud\":");
    json_print_text(&claims, audience);
    buf_printf(&claims,
               ",\"iss\":\"https://sts.windows.net/%s/\",\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld,"
               "\"appid\":\"%s\",\"idtyp\":\"app\",\"tid\":\"%s\",\"uti\":\"%08x%08x\"}",
               entra->tenant, (long long)now, (long long)now, (long long)end, entra->client_id,
               entra->tenant, (unsigned)env_random_u32(entra->options.env),
               (unsigned)env_random_u32(entra->options.env));
    rc = claims.error != 0 ? claims.error : jwt_print(out, buf_text(&claims), entra->key);
    buf_done(&claims);
    return rc;
}

/* "https://sts.windows.net/TENANT/", as Entra's tokens of version 1.0 have it. */
static bool is_our_issuer(const struct entra *entra, const char *issuer)
{
    char ours[96];

    snprintf(ours, sizeof ours, "https://sts.windows.net/%s/", entra->tenant);
    return issuer != NULL && strcmp(issuer, ours) == 0;
}

int entra_verify(const struct entra *entra, const char *token, struct err *err)
{
    const char *audience;
    struct jwt jwt;
    int rc = jwt_parse(&jwt, token, strlen(token));

    if (rc != 0) {
        err_set(err, "the bearer token is not a JSON web token");
        return rc == -ENOMEM ? rc : -EACCES;
    }
    audience = jwt_text(jwt.claims, "aud");
    rc = -EACCES;
    if (!jwt_signed_with_secret(&jwt, token, entra->key) ||
        !is_our_issuer(entra, jwt_text(jwt.claims, "iss")))
        err_set(err, "the bearer token is not of this tenant");
    else if (audience == NULL || strcmp(audience, ENTRA_AUDIENCE) != 0)
        err_set(err, "the bearer token is for %.100s, not for " ENTRA_AUDIENCE,
                audience != NULL ? audience : "nobody");
    else if (jwt_number(jwt.claims, "exp", 0) <= (double)now_s(entra))
        err_set(err, "the bearer token has expired");
    else if (jwt_number(jwt.claims, "nbf", 0) - SKEW_S > (double)now_s(entra))
        err_set(err, "the bearer token is not valid yet");
    else
        rc = 0;
    jwt_done(&jwt);
    return rc;
}

/* ---- forms ---- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = memchr(digits, c, sizeof digits - 1);

    return found != NULL ? (int)(found - digits) % 16 : -1;
}

/* Undoes %XX and '+'. False: malformed, or no room. */
static bool decode(char *out, size_t size, const char *text, size_t length)
{
    size_t made = 0;

    for (size_t i = 0; i < length; i++) {
        char c = text[i] == '+' ? ' ' : text[i];

        if (c == '%') {
            int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == 0 || made + 1 >= size)
            return false;
        out[made++] = c;
    }
    out[made] = 0;
    return true;
}

struct form {
    const char *text;
    size_t length;
};

/* A field by its name, decoded; "" when it is absent or malformed. */
static void take_field(const struct form *form, const char *name, char *out, size_t size)
{
    const char *at = form->text, *end = form->text + form->length;
    size_t wanted = strlen(name);

    out[0] = 0;
    while (at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        size_t length = (size_t)((next != NULL ? next : end) - at);

        if (length > wanted && memcmp(at, name, wanted) == 0 && at[wanted] == '=') {
            if (!decode(out, size, at + wanted + 1, length - wanted - 1))
                out[0] = 0;
            return;
        }
        at += length + 1;
    }
}

/* "https://iothubs.azure.net/.default" -> the audience before it. */
static int take_scope(const struct form *form, char audience[AUDIENCE_MAX],
                      struct entra_refusal *refusal)
{
    static const char suffix[] = "/.default";
    size_t length;

    take_field(form, "scope", audience, AUDIENCE_MAX);
    length = strlen(audience);
    if (length < sizeof suffix || strcmp(audience + length - sizeof suffix + 1, suffix) != 0)
        return refuse(
            refusal, 400, "invalid_scope", 1002012,
            "The provided value for scope is not valid. Client credential flows must have "
            "a scope value with /.default suffixed to the resource identifier.");
    audience[length - sizeof suffix + 1] = 0;
    return 0;
}

/* ---- proofs ---- */

static bool same(const char *a, const char *b)
{
    size_t length = strlen(a);

    return strlen(b) == length && CRYPTO_memcmp(a, b, length) == 0;
}

/* Whether the assertion is what stands in the federated token file now. */
static bool is_federated(const struct entra *entra, const char *assertion)
{
    FILE *file = entra->options.federated_file != NULL ? fopen(entra->options.federated_file, "re")
                                                       : NULL;
    char *text = file != NULL ? malloc(FIELD_MAX) : NULL;
    size_t length;
    bool same_text = false;

    if (text != NULL) {
        length = fread(text, 1, FIELD_MAX - 1, file);
        while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
            length--;
        text[length] = 0;
        same_text = length > 0 && same(text, assertion);
    }
    free(text);
    if (file != NULL)
        fclose(file);
    return same_text;
}

/* https://HOST[:PORT]/TENANT/oauth2/v2.0/token under one of our names. */
static bool is_our_endpoint(const struct entra *entra, const char *url)
{
    char host[AUTH_NAME_MAX], path[96];
    size_t length;

    if (url == NULL || strncmp(url, "https://", 8) != 0)
        return false;
    url += 8;
    length = strcspn(url, "/");
    snprintf(path, sizeof path, "/%s/oauth2/v2.0/token", entra->tenant);
    if (length >= sizeof host || strcmp(url + length, path) != 0)
        return false;
    memcpy(host, url, length);
    host[length] = 0;
    if (host[0] == '[' && strchr(host, ']') != NULL) {
        *strchr(host, ']') = 0;
        memmove(host, host + 1, strlen(host));
    } else {
        host[strcspn(host, ":")] = 0;
    }
    for (size_t i = 0; i < entra->options.name_count; i++) {
        if (auth_same_host(host, entra->options.names[i]))
            return true;
    }
    return false;
}

/* What the claims of a signed assertion must say. */
static int check_claims(const struct entra *entra, const cJSON *claims,
                        struct entra_refusal *refusal)
{
    const char *issuer = jwt_text(claims, "iss"), *subject = jwt_text(claims, "sub");
    double now = (double)now_s(entra);

    if (issuer == NULL || subject == NULL || strcmp(issuer, entra->client_id) != 0 ||
        strcmp(subject, entra->client_id) != 0)
        return refuse(refusal, 401, "invalid_client", 700021,
                      "Client assertion: iss and sub must both be the application's id.");
    if (!is_our_endpoint(entra, jwt_text(claims, "aud")))
        return refuse(refusal, 401, "invalid_client", 700211,
                      "Client assertion: aud must be the address of the token endpoint.");
    if (jwt_number(claims, "exp", 0) + SKEW_S <= now)
        return refuse(refusal, 401, "invalid_client", 700024,
                      "Client assertion is not within its valid time range: it has expired.");
    if (jwt_number(claims, "nbf", 0) - SKEW_S > now)
        return refuse(refusal, 401, "invalid_client", 700024,
                      "Client assertion is not within its valid time range: it is not yet valid.");
    return 0;
}

static int check_signed(const struct entra *entra, const char *assertion,
                        struct entra_refusal *refusal)
{
    const char *certificate = entra->options.certificate;
    struct jwt jwt;
    int rc = jwt_parse(&jwt, assertion, strlen(assertion));

    if (rc == -ENOMEM)
        return rc;
    if (rc != 0)
        return refuse(refusal, 401, "invalid_client", 50027,
                      "Client assertion is not a JSON web token.");
    if (certificate == NULL || !jwt_names_certificate(&jwt, certificate))
        rc = refuse(
            refusal, 401, "invalid_client", 700027,
            "The certificate with the identifier used to sign the client assertion (x5t) is "
            "not registered on the application.");
    else if (!jwt_signed_with_certificate(&jwt, assertion, certificate))
        rc = refuse(refusal, 401, "invalid_client", 700027,
                    "Client assertion failed signature validation (RS256 and PS256 are known).");
    else
        rc = check_claims(entra, jwt.claims, refusal);
    jwt_done(&jwt);
    return rc;
}

/* The secret, or an assertion. `text` is room for either. */
static int check_proof(const struct entra *entra, const struct form *form, char *text,
                       struct entra_refusal *refusal)
{
    take_field(form, "client_secret", text, FIELD_MAX);
    if (text[0] != 0) {
        if (same(text, entra->secret))
            return 0;
        return refuse(refusal, 401, "invalid_client", 7000215, "Invalid client secret provided.");
    }
    take_field(form, "client_assertion_type", text, FIELD_MAX);
    if (strcmp(text, ASSERTION_TYPE) != 0)
        return refuse(refusal, 401, "invalid_client", 7000216,
                      "'client_assertion', 'client_secret' or 'request' is required for the "
                      "'client_credentials' grant type.");
    take_field(form, "client_assertion", text, FIELD_MAX);
    return is_federated(entra, text) ? 0 : check_signed(entra, text, refusal);
}

/* ---- the endpoints ---- */

static int check_form(const struct entra *entra, const char *tenant, const struct form *form,
                      char *text, struct entra_refusal *refusal)
{
    if (strcmp(tenant, entra->tenant) != 0)
        return refuse(refusal, 400, "invalid_request", 90002, "Tenant not found.");
    take_field(form, "grant_type", text, FIELD_MAX);
    if (strcmp(text, "client_credentials") != 0)
        return refuse(refusal, 400, "unsupported_grant_type", 70003,
                      "The app requested an unsupported grant type.");
    take_field(form, "client_id", text, FIELD_MAX);
    if (strcmp(text, entra->client_id) != 0)
        return refuse(refusal, 400, "unauthorized_client", 700016,
                      "Application was not found in the directory.");
    return check_proof(entra, form, text, refusal);
}

int entra_take_form(const struct entra *entra, const char *tenant, const char *form_text,
                    size_t length, struct buf *out, struct entra_refusal *refusal)
{
    const struct form form = { form_text, length };
    char audience[AUDIENCE_MAX], *text = malloc(FIELD_MAX);
    int rc = -ENOMEM;

    if (text != NULL)
        rc = check_form(entra, tenant, &form, text, refusal);
    free(text);
    if (rc == 0)
        rc = take_scope(&form, audience, refusal);
    if (rc != 0)
        return rc;
    buf_printf(out,
               "{\"token_type\":\"Bearer\",\"expires_in\":%u,\"ext_expires_in\":%u,"
               "\"access_token\":\"",
               (unsigned)entra->options.lifetime_s, (unsigned)entra->options.lifetime_s);
    rc = print_token(entra, audience, out);
    buf_add_text(out, "\"}");
    return rc;
}

int entra_take_managed(const struct entra *entra, const char *resource, const char *client_id,
                       struct buf *out, struct entra_refusal *refusal)
{
    char audience[AUDIENCE_MAX];
    long long now = now_s(entra);
    size_t length = resource != NULL ? strlen(resource) : 0;
    int rc;

    if (length == 0 || length >= sizeof audience)
        return refuse(refusal, 400, "invalid_request", 0, "The resource is missing or too long.");
    if (client_id != NULL && strcmp(client_id, entra->client_id) != 0)
        return refuse(refusal, 400, "invalid_request", 0, "Identity not found");
    memcpy(audience, resource, length + 1);
    if (audience[length - 1] == '/')
        audience[length - 1] = 0;
    buf_printf(out,
               "{\"client_id\":\"%s\",\"expires_in\":\"%u\",\"ext_expires_in\":\"%u\","
               "\"expires_on\":\"%lld\",\"not_before\":\"%lld\",\"token_type\":\"Bearer\","
               "\"resource\":",
               entra->client_id, (unsigned)entra->options.lifetime_s,
               (unsigned)entra->options.lifetime_s, now + entra->options.lifetime_s, now);
    json_print_text(out, resource);
    buf_add_text(out, ",\"access_token\":\"");
    rc = print_token(entra, audience, out);
    buf_add_text(out, "\"}");
    return rc;
}
