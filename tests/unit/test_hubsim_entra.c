/* Entra on the desk: who gets a token for what, and what the hub says to it (iot-hub.md section
 * 7.7). */
#include "test_hubsim_rest_fixture.h"

#include "test_hubsim_jwt_fixture.h"

#include "tests/sim/hubsim/entra.h"
#include "tests/sim/hubsim/entra_jwt.h"

#include <errno.h>
#include <unistd.h>

#define SCOPE "&scope=https%3A%2F%2Fiothubs.azure.net%2F.default&grant_type=client_credentials"
#define ASSERTION                                                                                  \
    "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"      \
    "&client_assertion="

struct entra_fixture {
    struct rest_fixture rest;
    struct entra *entra;
    char federated[64]; /* a file */
    char path[96];      /* of the token endpoint */
};

static int set_up(void **state)
{
    static struct entra_fixture f;
    static const char *const names[] = { FIXTURE_HOST, "localhost", "::1" };
    struct hub_options options;
    void *rest;
    int fd;

    rest_set_up(&rest);
    f.rest = *(struct rest_fixture *)rest;
    f.rest.base.env.data = &f.rest.base;
    snprintf(f.federated, sizeof f.federated, "/tmp/test_hubsim_entra.XXXXXX");
    fd = mkstemp(f.federated);
    if (fd < 0 || write(fd, "federated.token.text\n", 21) != 21)
        return -1;
    close(fd);
    const struct entra_options entra = {
        .env = &f.rest.base.env,
        .registry = f.rest.base.registry,
        .names = names,
        .name_count = 3,
        .lifetime_s = 600,
        .certificate = JWT_CERTIFICATE,
        .federated_file = f.federated,
    };
    assert_int_equal(entra_open(&f.entra, &entra), 0);
    options = fixture_options(&f.rest.base);
    options.access.entra = f.entra;
    hub_close(f.rest.base.hub);
    assert_int_equal(hub_open(&f.rest.base.hub, &options), 0);
    snprintf(f.path, sizeof f.path, "/%s/oauth2/v2.0/token", entra_tenant(f.entra));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct entra_fixture *f = *state;
    void *rest = &f->rest;

    rest_tear_down(&rest);
    entra_close(f->entra);
    unlink(f->federated);
    return 0;
}

static int post(struct entra_fixture *f, const char *form)
{
    f->rest.request.texts[REST_API_VERSION] = "";
    return rest_call_with(&f->rest, NULL, "POST", f->path, form);
}

/* The form of the application with this proof. */
static int ask(struct entra_fixture *f, const char *proof)
{
    char form[4096];

    snprintf(form, sizeof form, "client_id=%s%s%s", entra_client_id(f->entra), SCOPE, proof);
    return post(f, form);
}

static int use(struct entra_fixture *f, const char *token)
{
    char authorization[2048];

    snprintf(authorization, sizeof authorization, "Bearer %s", token);
    return rest_call_with(&f->rest, authorization, "GET", "/devices", "");
}

static void assert_refused(struct entra_fixture *f, int status, const char *error, int code)
{
    char start[32];

    assert_int_equal(f->rest.response.status, status);
    assert_null(f->rest.response.error_code);
    assert_string_equal(json_text(f->rest.json, "error"), error);
    snprintf(start, sizeof start, "AADSTS%d:", code);
    assert_memory_equal(json_text(f->rest.json, "error_description"), start, strlen(start));
    assert_null(rest_at(f->rest.json, "access_token"));
}

static void secret_proof(const struct entra_fixture *f, char out[160])
{
    snprintf(out, 160, "&client_secret=%s", entra_secret(f->entra));
}

static void entra_token_for_the_secret_opens_the_hub_until_it_ends(void **state)
{
    struct entra_fixture *f = *state;
    char proof[160], token[1024];

    secret_proof(f, proof);
    assert_int_equal(ask(f, proof), 200);
    assert_string_equal(json_text(f->rest.json, "token_type"), "Bearer");
    assert_true(rest_at(f->rest.json, "expires_in")->valuedouble == 600);
    snprintf(token, sizeof token, "%s", json_text(f->rest.json, "access_token"));

    assert_int_equal(use(f, token), 200);
    f->rest.base.wall_ms += 599 * 1000;
    assert_int_equal(use(f, token), 200);
    f->rest.base.wall_ms += 1000;
    assert_int_equal(use(f, token), 401);
    assert_rest_error(&f->rest, 401, "IotHubUnauthorizedAccess");
    assert_non_null(strstr(json_text(f->rest.json, "Message"), "expired"));
}

static void entra_keeps_its_ids_and_secret(void **state)
{
    struct entra_fixture *f = *state;
    const struct entra_options options = { .env = &f->rest.base.env,
                                           .registry = f->rest.base.registry };
    struct entra *again;
    char proof[160];

    assert_int_equal(strlen(entra_tenant(f->entra)), 36);
    assert_string_not_equal(entra_tenant(f->entra), entra_client_id(f->entra));
    assert_int_equal(entra_open(&again, &options), 0);
    assert_string_equal(entra_tenant(again), entra_tenant(f->entra));
    assert_string_equal(entra_client_id(again), entra_client_id(f->entra));
    assert_string_equal(entra_secret(again), entra_secret(f->entra));
    secret_proof(f, proof);
    assert_int_equal(ask(f, proof), 200);
    { /* a token of before is good afterwards */
        struct err err = { "" };

        assert_int_equal(entra_verify(again, json_text(f->rest.json, "access_token"), &err), 0);
    }
    entra_close(again);
}

static void entra_forms_that_prove_nothing_are_refused(void **state)
{
    struct entra_fixture *f = *state;
    char form[512], path[96];

    ask(f, "&client_secret=wrong");
    assert_refused(f, 401, "invalid_client", 7000215);
    ask(f, "");
    assert_refused(f, 401, "invalid_client", 7000216);
    ask(f, "&client_secret=%zz");
    assert_refused(f, 401, "invalid_client", 7000216);
    ask(f, ASSERTION "no.token");
    assert_refused(f, 401, "invalid_client", 50027);
    ask(f, "&client_assertion=x");
    assert_refused(f, 401, "invalid_client", 7000216);

    post(f, "");
    assert_refused(f, 400, "unsupported_grant_type", 70003);
    post(f, "grant_type=password&client_id=x");
    assert_refused(f, 400, "unsupported_grant_type", 70003);
    post(f, "grant_type=client_credentials&client_id=somebody");
    assert_refused(f, 400, "unauthorized_client", 700016);
    snprintf(form, sizeof form,
             "grant_type=client_credentials&client_id=%s&client_secret=%s&scope=x",
             entra_client_id(f->entra), entra_secret(f->entra));
    post(f, form);
    assert_refused(f, 400, "invalid_scope", 1002012);

    memcpy(path, f->path, sizeof path);
    memcpy(f->path, "/common", 7);
    post(f, form);
    assert_int_equal(f->rest.response.status, 400);
    memcpy(f->path, path, sizeof path);
}

static void entra_token_for_somebody_else_does_not_open_the_hub(void **state)
{
    struct entra_fixture *f = *state;
    char form[512], token[1024];

    snprintf(form, sizeof form,
             "grant_type=client_credentials&client_id=%s&client_secret=%s"
             "&scope=https%%3A%%2F%%2Fgraph.microsoft.com%%2F.default",
             entra_client_id(f->entra), entra_secret(f->entra));
    assert_int_equal(post(f, form), 200);
    snprintf(token, sizeof token, "%s", json_text(f->rest.json, "access_token"));
    assert_int_equal(use(f, token), 401);
    assert_non_null(strstr(json_text(f->rest.json, "Message"), "graph.microsoft.com"));

    token[strlen(token) / 2] ^= 1;
    assert_int_equal(use(f, token), 401);
    assert_int_equal(use(f, "x"), 401);
    assert_int_equal(use(f, ""), 401);
}

/* Signed with the tenant's own secret, and wrong all the same; or right, and not signed so. */
static void entra_verify_reads_every_claim(void **state)
{
#define ISSUER   "\"iss\":\"https://sts.windows.net/%1$s/\""
#define AUDIENCE "\"aud\":\"https://iothubs.azure.net\""
    static const struct {
        const char *claims; /* %1$s: the tenant, %2$lld: now, %3$lld: its end */
        bool good;
    } cases[] = {
        { "{" ISSUER "," AUDIENCE ",\"exp\":%3$lld,\"nbf\":%2$lld}", true },
        { "{" ISSUER "," AUDIENCE ",\"exp\":%3$lld,\"x\":%2$lld}", true },
        { "{" AUDIENCE ",\"exp\":%3$lld,\"nbf\":%2$lld,\"x\":\"%1$s\"}", false },
        { "{\"iss\":\"https://sts.windows.net/x/\"," AUDIENCE
          ",\"exp\":%3$lld,\"nbf\":%2$lld,\"x\":\"%1$s\"}",
          false },
        { "{" ISSUER ",\"exp\":%3$lld,\"nbf\":%2$lld}", false },
        { "{" ISSUER ",\"aud\":[\"https://iothubs.azure.net\"],\"exp\":%3$lld,\"nbf\":%2$lld}",
          false },
        { "{" ISSUER "," AUDIENCE ",\"exp\":%2$lld,\"nbf\":%2$lld,\"x\":%3$lld}", false },
        { "{" ISSUER "," AUDIENCE ",\"exp\":\"%3$lld\",\"nbf\":%2$lld}", false },
        { "{" ISSUER "," AUDIENCE ",\"nbf\":%2$lld,\"x\":%3$lld}", false },
        { "{" ISSUER "," AUDIENCE ",\"exp\":%3$lld,\"nbf\":%3$lld,\"x\":%2$lld}", false },
    };
    struct entra_fixture *f = *state;
    const long long now = f->rest.base.wall_ms / 1000;
    unsigned char secret[JWT_SECRET_BYTES], other[JWT_SECRET_BYTES] = { 0 };
    char *key = NULL, claims[512];
    struct err err = { "" };
    struct buf token;

    assert_int_equal(registry_get_text(f->rest.base.registry, "entra/key", &key), 0);
    assert_int_equal(EVP_Digest(key, strlen(key), secret, NULL, EVP_sha256(), NULL), 1);
    free(key);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(claims, sizeof claims, cases[i].claims, entra_tenant(f->entra), now, now + 3599);
#pragma GCC diagnostic pop
        print_message("case %s\n", claims);
        buf_init(&token, 2048);
        assert_int_equal(jwt_print(&token, claims, secret), 0);
        assert_int_equal(entra_verify(f->entra, buf_text(&token), &err),
                         cases[i].good ? 0 : -EACCES);
        buf_clear(&token);
        assert_int_equal(jwt_print(&token, claims, other), 0);
        assert_int_equal(entra_verify(f->entra, buf_text(&token), &err), -EACCES);
        buf_done(&token);
    }
#undef ISSUER
#undef AUDIENCE
}

static void entra_federated_token_is_what_the_file_holds_now(void **state)
{
    struct entra_fixture *f = *state;
    FILE *file;

    assert_int_equal(ask(f, ASSERTION "federated.token.text"), 200);
    assert_int_equal(ask(f, ASSERTION "federated.token.tex"), 401);
    file = fopen(f->federated, "we");
    assert_non_null(file);
    fputs("another.token.text", file);
    fclose(file);
    assert_int_equal(ask(f, ASSERTION "federated.token.text"), 401);
    assert_int_equal(ask(f, ASSERTION "another.token.text"), 200);
    assert_int_equal(truncate(f->federated, 0), 0);
    assert_int_equal(ask(f, ASSERTION), 401);
}

static void entra_assertion_must_be_of_the_application_and_in_time(void **state)
{
    static const struct {
        const char *audience, *issuer, *subject; /* NULL = the right one */
        int from_s, to_s;                        /* around now */
        bool named;
        int code; /* 0 = a token */
    } cases[] = {
        { NULL, NULL, NULL, -10, 60, true, 0 },
        { NULL, NULL, NULL, 299, 600, true, 0 }, /* clocks differ */
        { NULL, NULL, NULL, 301, 600, true, 700024 },
        { NULL, NULL, NULL, -600, -299, true, 0 },
        { NULL, NULL, NULL, -600, -300, true, 700024 },
        { NULL, NULL, NULL, -10, 60, false, 700027 },
        { NULL, "x", NULL, -10, 60, true, 700021 },
        { NULL, NULL, "x", -10, 60, true, 700021 },
        { "https://login.microsoftonline.com/x/oauth2/v2.0/token", NULL, NULL, -10, 60, true,
          700211 },
        { "https://localhost/x/oauth2/v2.0/token", NULL, NULL, -10, 60, true, 700211 },
        { "", NULL, NULL, -10, 60, true, 700211 },
    };
    struct entra_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char claims[512], audience[160], proof[2048];
        int64_t now = f->rest.base.wall_ms / 1000;
        struct buf token;

        print_message("case %zu\n", i);
        snprintf(audience, sizeof audience, "https://%s%s",
                 i == 0 ? "[::1]:8443" : "LOCALHOST:8443", f->path);
        snprintf(claims, sizeof claims,
                 "{\"aud\":\"%s\",\"iss\":\"%s\",\"sub\":\"%s\",\"nbf\":%lld,\"exp\":%lld}",
                 cases[i].audience != NULL ? cases[i].audience : audience,
                 cases[i].issuer != NULL ? cases[i].issuer : entra_client_id(f->entra),
                 cases[i].subject != NULL ? cases[i].subject : entra_client_id(f->entra),
                 (long long)now + cases[i].from_s, (long long)now + cases[i].to_s);
        buf_init(&token, 4096);
        fixture_sign(&token,
                     cases[i].named ? "{\"alg\":\"PS256\",\"x5t#S256\":\"" JWT_THUMBPRINT_SHA256
                                      "\"}"
                                    : "{\"alg\":\"PS256\"}",
                     claims, JWT_KEY, true);
        snprintf(proof, sizeof proof, "%s%s", ASSERTION, buf_text(&token));
        buf_done(&token);
        assert_int_equal(ask(f, proof), cases[i].code == 0 ? 200 : 401);
        if (cases[i].code != 0)
            assert_refused(f, 401, "invalid_client", cases[i].code);
    }
}

static int managed(struct entra_fixture *f, const char *metadata, const char *resource,
                   const char *client_id)
{
    f->rest.request.plain = true;
    f->rest.request.texts[REST_METADATA] = metadata;
    f->rest.request.texts[REST_RESOURCE] = resource;
    f->rest.request.texts[REST_CLIENT_ID] = client_id;
    return rest_call_with(&f->rest, NULL, "GET", "/metadata/identity/oauth2/token", "");
}

static void entra_managed_identity_gets_a_token_in_the_form_of_a_machine(void **state)
{
    struct entra_fixture *f = *state;
    char token[1024];

    assert_int_equal(managed(f, "true", ENTRA_AUDIENCE, NULL), 200);
    assert_string_equal(json_text(f->rest.json, "expires_in"), "600");
    assert_string_equal(json_text(f->rest.json, "expires_on"), "1767222600");
    assert_string_equal(json_text(f->rest.json, "token_type"), "Bearer");
    snprintf(token, sizeof token, "%s", json_text(f->rest.json, "access_token"));
    assert_int_equal(use(f, token), 200);
    assert_int_equal(managed(f, "True", ENTRA_AUDIENCE "/", entra_client_id(f->entra)), 200);
    snprintf(token, sizeof token, "%s", json_text(f->rest.json, "access_token"));
    assert_int_equal(use(f, token), 200);

    assert_int_equal(managed(f, NULL, ENTRA_AUDIENCE, NULL), 400);
    assert_string_equal(json_text(f->rest.json, "error"), "invalid_request");
    assert_int_equal(managed(f, "false", ENTRA_AUDIENCE, NULL), 400);
    assert_int_equal(managed(f, "true", NULL, NULL), 400);
    assert_int_equal(managed(f, "true", "", NULL), 400);
    assert_int_equal(managed(f, "true", ENTRA_AUDIENCE, "somebody"), 400);
}

static void entra_metadata_address_has_nothing_else(void **state)
{
    struct entra_fixture *f = *state;

    f->rest.request.plain = true;
    assert_int_equal(rest_call_owner(&f->rest, "GET", "/devices", ""), 404);
    f->rest.request.plain = true;
    assert_int_equal(rest_call_with(&f->rest, NULL, "POST", f->path, ""), 404);
    assert_int_equal(rest_call_with(&f->rest, NULL, "GET", "/metadata/identity/oauth2/token", ""),
                     404);
}

static int discover(struct entra_fixture *f, const char *tenant, const char *host)
{
    char path[128];

    snprintf(path, sizeof path, "/%s/v2.0/.well-known/openid-configuration", tenant);
    f->rest.request.texts[REST_HOST] = host;
    return rest_call_with(&f->rest, NULL, "GET", path, "");
}

static void entra_discovery_names_the_endpoint_at_the_address_that_was_asked(void **state)
{
    struct entra_fixture *f = *state;
    const char *tenant = entra_tenant(f->entra);
    char wanted[128];

    assert_int_equal(discover(f, tenant, "localhost:8443"), 200);
    snprintf(wanted, sizeof wanted, "https://localhost:8443/%s/oauth2/v2.0/token", tenant);
    assert_string_equal(json_text(f->rest.json, "token_endpoint"), wanted);
    snprintf(wanted, sizeof wanted, "https://localhost:8443/%s/v2.0", tenant);
    assert_string_equal(json_text(f->rest.json, "issuer"), wanted);
    assert_non_null(json_text(f->rest.json, "authorization_endpoint"));
    assert_non_null(json_text(f->rest.json, "jwks_uri"));

    assert_int_equal(discover(f, "another", "localhost:8443"), 400);
    assert_refused(f, 400, "invalid_tenant", 90002);
    assert_int_equal(discover(f, tenant, NULL), 400);
    assert_int_equal(discover(f, tenant, "a\"b\\c"), 200); /* still JSON */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entra_token_for_the_secret_opens_the_hub_until_it_ends),
        TEST(entra_keeps_its_ids_and_secret),
        TEST(entra_forms_that_prove_nothing_are_refused),
        TEST(entra_token_for_somebody_else_does_not_open_the_hub),
        TEST(entra_verify_reads_every_claim),
        TEST(entra_federated_token_is_what_the_file_holds_now),
        TEST(entra_assertion_must_be_of_the_application_and_in_time),
        TEST(entra_managed_identity_gets_a_token_in_the_form_of_a_machine),
        TEST(entra_metadata_address_has_nothing_else),
        TEST(entra_discovery_names_the_endpoint_at_the_address_that_was_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
