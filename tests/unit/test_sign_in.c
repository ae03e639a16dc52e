/* The sign-in of one run, with a token service and a clock of the test's own (http_send is wrapped
 * by the linker). */
#include "bridge/service/sign_in.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/service_fixture.h"

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const struct variable secret[VARIABLES_MAX] = {
    { "AZURE_TENANT_ID", "t" },
    { "AZURE_CLIENT_ID", "c" },
    { "AZURE_CLIENT_SECRET", "s&=+ /" },
};

/* The world of one test: the service gives tokens "token-1", "token-2", ... of `life_s` while
 * `status` is 200. */
static struct {
    int64_t now_s;
    long status;
    int life_s;
    int asked;
    char url[256];
    char body[1024];
    char header[2][64];
} world;

int __wrap_http_send(struct http *http, const struct http_request *request,
                     struct http_answer *answer, struct err *err);

int __wrap_http_send(struct http *http, const struct http_request *request,
                     struct http_answer *answer, struct err *err)
{
    (void)http;
    (void)err;
    world.asked++;
    snprintf(world.url, sizeof world.url, "%s", request->url);
    snprintf(world.body, sizeof world.body, "%s", request->body == NULL ? "" : request->body);
    for (size_t i = 0; i < request->header_count && i < 2; i++)
        snprintf(world.header[i], sizeof world.header[i], "%s: %s", request->headers[i].name,
                 request->headers[i].value);
    buf_clear(&answer->body);
    if (world.status == 200)
        buf_printf(&answer->body, "{\"access_token\":\"token-%d\",\"expires_in\":%d}", world.asked,
                   world.life_s);
    answer->status = world.status;
    answer->outcome = RETRY_ANSWERED;
    return 0;
}

static uint64_t fake_now(void *data)
{
    (void)data;
    return (uint64_t)world.now_s * 1000;
}

static int64_t fake_wall(void *data)
{
    (void)data;
    return world.now_s * 1000;
}

static uint32_t fake_random(void *data)
{
    (void)data;
    return 0;
}

static const struct env env = { fake_now, fake_wall, fake_random, NULL };
static const struct exchange exchange = { NULL, &env, 1000, 0, false };

static struct sign_in *begin(const struct variable *from, const char *hub)
{
    const struct way_asked asked = { .hub_name = hub, .lookup = lookup };
    struct sign_in *sign_in = NULL;
    struct err err = { "" };

    memset(&world, 0, sizeof world);
    world.now_s = 1700000000;
    world.status = 200;
    world.life_s = 3600;
    set_variables(from);
    if (sign_in_new(&sign_in, &asked, &err) != 0)
        fail_msg("%s", err.msg);
    return sign_in;
}

/* The header's value now, "" and the error's code when there is none. */
static int header_now(char out[256], struct sign_in *sign_in, struct err *err)
{
    struct buf header;
    int rc;

    buf_init(&header, SIGN_IN_HEADER_MAX);
    rc = sign_in_header(&header, sign_in, &exchange, err);
    snprintf(out, 256, "%s", rc == 0 ? buf_text(&header) : "");
    buf_done(&header);
    return rc;
}

static void assert_header(struct sign_in *sign_in, const char *want)
{
    char header[256];
    struct err err = { "" };

    assert_int_equal(header_now(header, sign_in, &err), 0);
    assert_string_equal(header, want);
    assert_string_equal(err.msg, "");
}

static void sign_in_header_policy_signs_for_the_hub(void **state)
{
    static const struct variable from[VARIABLES_MAX] = {
        { "IOTHUB_CONNECTION_STRING",
          "HostName=contoso.azure-devices.net;SharedAccessKeyName=service;SharedAccessKey=" KEY },
    };
    struct sign_in *sign_in = begin(from, NULL);
    char header[256];
    struct err err = { "" };

    (void)state;
    assert_string_equal(sign_in_host(sign_in), "contoso.azure-devices.net");
    assert_int_equal(sign_in_kind(sign_in), SIGN_IN_KEY);
    assert_int_equal(header_now(header, sign_in, &err), 0);
    assert_non_null(strstr(header, "SharedAccessSignature sr=contoso.azure-devices.net&"));
    assert_non_null(strstr(header, "se=1700003600"));
    assert_non_null(strstr(header, "skn=service"));
    assert_int_equal(world.asked, 0);
    assert_false(sign_in_renew(sign_in));
    sign_in_free(sign_in);
}

static void sign_in_header_token_is_asked_for_once_and_renewed_in_time(void **state)
{
    struct sign_in *sign_in = begin(secret, "contoso");

    (void)state;
    assert_string_equal(sign_in_host(sign_in), "contoso.azure-devices.net");
    assert_int_equal(sign_in_kind(sign_in), SIGN_IN_ENTRA);
    assert_header(sign_in, "Bearer token-1");
    assert_string_equal(world.url, "https://login.microsoftonline.com/t/oauth2/v2.0/token");
    assert_string_equal(world.body, "grant_type=client_credentials&client_id=c&scope=https%3A%2F%2F"
                                    "iothubs.azure.net%2F.default&client_secret=s%26%3D%2B%20%2F");
    world.now_s += 3600 - 301;
    assert_header(sign_in, "Bearer token-1");
    world.now_s += 1;
    assert_header(sign_in, "Bearer token-2");
    assert_int_equal(world.asked, 2);
    sign_in_free(sign_in);
}

static void sign_in_header_old_token_is_used_to_its_end(void **state)
{
    struct sign_in *sign_in = begin(secret, "localhost");
    char header[256];
    struct err err = { "" };

    (void)state;
    assert_header(sign_in, "Bearer token-1");
    world.status = 503;
    world.now_s += 3600 - 1;
    assert_header(sign_in, "Bearer token-1");
    world.now_s += 1;
    assert_int_equal(header_now(header, sign_in, &err), -EAGAIN);
    assert_non_null(strstr(err.msg, "client secret (AZURE_CLIENT_SECRET)"));
    assert_null(strstr(err.msg, "s&=+"));
    world.status = 401;
    assert_int_equal(header_now(header, sign_in, &err), -EACCES);
    world.status = 200;
    assert_header(sign_in, "Bearer token-5");
    sign_in_free(sign_in);
}

static void sign_in_renew_only_a_token_that_was_there_before(void **state)
{
    struct sign_in *sign_in = begin(secret, "localhost");

    (void)state;
    assert_header(sign_in, "Bearer token-1");
    assert_false(sign_in_renew(sign_in));
    assert_header(sign_in, "Bearer token-1");
    assert_true(sign_in_renew(sign_in));
    assert_header(sign_in, "Bearer token-2");
    sign_in_free(sign_in);
}

static void sign_in_header_managed_identity_asks_the_machine(void **state)
{
    static const struct variable from[VARIABLES_MAX] = { { NULL, NULL } };
    static const struct variable app[VARIABLES_MAX] = {
        { "IDENTITY_ENDPOINT", "http://127.0.0.1:7/x" },
        { "IDENTITY_HEADER", "proof" },
    };
    struct sign_in *sign_in = begin(from, "localhost");

    (void)state;
    assert_header(sign_in, "Bearer token-1");
    assert_string_equal(world.header[0], "Metadata: true");
    assert_non_null(strstr(world.url, "http://169.254.169.254/metadata/identity/oauth2/token?"));
    sign_in_free(sign_in);

    sign_in = begin(app, "localhost");
    assert_header(sign_in, "Bearer token-1");
    assert_string_equal(world.header[0], "X-IDENTITY-HEADER: proof");
    sign_in_free(sign_in);
}

static void sign_in_new_without_a_sign_in_leaves_nothing(void **state)
{
    static const struct variable nothing[VARIABLES_MAX] = { { NULL, NULL } };
    const struct way_asked asked = { .lookup = lookup };
    const struct way_asked no_file = { .connection_string_file = "/nowhere/x", .lookup = lookup };
    struct sign_in *sign_in = NULL;
    struct err err = { "" };

    (void)state;
    set_variables(nothing);
    assert_int_equal(sign_in_new(&sign_in, &asked, &err), -EINVAL);
    assert_int_equal(sign_in_new(&sign_in, &no_file, &err), -ENOENT);
    assert_null(sign_in);
    sign_in_free(NULL);
}

static void sign_in_new_policy_that_cannot_be_sent_is_refused(void **state)
{
    static const struct {
        const char *string, *message;
    } cases[] = {
        { "HostName=localhost:8443;SharedAccessKeyName=s;SharedAccessKey=" KEY, "--port" },
        { "HostName=localhost;SharedAccessSignature=sr=x\rX-Evil: 1&se=1", "no token has" },
        { "HostName=localhost;SharedAccessSignature=sr=\xc3\xa4&se=1", "no token has" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct variable from[VARIABLES_MAX] = { { "IOTHUB_CONNECTION_STRING",
                                                        cases[i].string } };
        const struct way_asked asked = { .lookup = lookup };
        struct sign_in *sign_in = NULL;
        struct err err = { "" };

        set_variables(from);
        assert_int_equal(sign_in_new(&sign_in, &asked, &err), -EINVAL);
        assert_null(sign_in);
        assert_non_null(strstr(err.msg, cases[i].message));
        assert_null(strstr(err.msg, "Evil"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sign_in_header_policy_signs_for_the_hub),
        cmocka_unit_test(sign_in_header_token_is_asked_for_once_and_renewed_in_time),
        cmocka_unit_test(sign_in_header_old_token_is_used_to_its_end),
        cmocka_unit_test(sign_in_renew_only_a_token_that_was_there_before),
        cmocka_unit_test(sign_in_header_managed_identity_asks_the_machine),
        cmocka_unit_test(sign_in_new_without_a_sign_in_leaves_nothing),
        cmocka_unit_test(sign_in_new_policy_that_cannot_be_sent_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
