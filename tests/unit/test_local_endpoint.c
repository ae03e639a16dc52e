#include "bridge/service/local_endpoint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/service_fixture.h"

#define FOLDER LOCAL_ENDPOINT_ARC_FOLDER

static void local_endpoint_find_variables_give_form_and_address(void **state)
{
    static const struct {
        const char *name;
        struct variable variables[VARIABLES_MAX];
        enum local_endpoint_form form;
        const char *url;
        const char *secret;
    } cases[] = {
        { "a virtual machine",
          { { NULL, NULL } },
          LOCAL_ENDPOINT_IMDS,
          "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
          "&resource=https%3A%2F%2Fiothubs.azure.net",
          NULL },
        { "one of several identities",
          { { "AZURE_CLIENT_ID", "a&b" } },
          LOCAL_ENDPOINT_IMDS,
          "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
          "&resource=https%3A%2F%2Fiothubs.azure.net&client_id=a%26b",
          NULL },
        { "moved",
          { { "AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:7/" } },
          LOCAL_ENDPOINT_IMDS,
          "http://127.0.0.1:7/metadata/identity/oauth2/token?api-version=2018-02-01"
          "&resource=https%3A%2F%2Fiothubs.azure.net",
          NULL },
        { "App Service",
          { { "IDENTITY_ENDPOINT", "http://169.254.129.5:8081/msi/token" },
            { "IDENTITY_HEADER", "h" } },
          LOCAL_ENDPOINT_APP_SERVICE,
          "http://169.254.129.5:8081/msi/token?api-version=2019-08-01"
          "&resource=https%3A%2F%2Fiothubs.azure.net",
          "h" },
        { "Azure Arc",
          { { "IDENTITY_ENDPOINT", "http://localhost:40342/metadata/identity/oauth2/token" },
            { "IMDS_ENDPOINT", "http://localhost:40342" } },
          LOCAL_ENDPOINT_ARC,
          "http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01"
          "&resource=https%3A%2F%2Fiothubs.azure.net",
          NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct local_endpoint endpoint;
        struct err err = { "" };

        print_message("case %s\n", cases[i].name);
        set_variables(cases[i].variables);
        assert_int_equal(local_endpoint_find(&endpoint, lookup, &err), 0);
        assert_int_equal(endpoint.form, cases[i].form);
        assert_string_equal(endpoint.url, cases[i].url);
        if (cases[i].secret != NULL)
            assert_string_equal(endpoint.secret, cases[i].secret);
    }
}

static void local_endpoint_find_variables_that_do_not_fit_are_named(void **state)
{
    static const struct {
        struct variable variables[VARIABLES_MAX];
        const char *error;
    } cases[] = {
        { { { "IDENTITY_ENDPOINT", "http://localhost/" } }, "neither IDENTITY_HEADER" },
        { { { "IDENTITY_ENDPOINT", "https://localhost/" },
            { "IDENTITY_HEADER", "h" },
            { "IDENTITY_SERVER_THUMBPRINT", "t" } },
          "Service Fabric" },
        { { { "IDENTITY_ENDPOINT", "http://localhost/" },
            { "IMDS_ENDPOINT", "x" },
            { "AZURE_CLIENT_ID", "c" } },
          "only the machine's own identity" },
        { { { "AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://10.0.0.1" } },
          "AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://10.0.0.1' is not http:// to this machine" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct local_endpoint endpoint;
        struct err err = { "" };

        print_message("case %s\n", cases[i].error);
        set_variables(cases[i].variables);
        assert_int_equal(local_endpoint_find(&endpoint, lookup, &err), -EINVAL);
        assert_non_null(strstr(err.msg, cases[i].error));
    }
}

static void local_endpoint_find_address_must_stay_on_the_machine(void **state)
{
    static const struct {
        const char *address;
        bool local;
    } cases[] = {
        { "http://127.0.0.1", true },
        { "http://127.255.0.9:80", true },
        { "HTTP://LocalHost:1/x", true },
        { "http://[::1]:80", true },
        { "http://[fe80::1]", true },
        { "http://169.254.0.1", true },
        { "http://[::ffff:127.0.0.1]", false },
        { "http://[::1", false },
        { "http://[::1]x", false },
        { "http://169.255.0.1", false },
        { "http://128.0.0.1", false },
        { "http://127.1", false },
        { "http://2130706433", false },
        { "http://localhost.example", false },
        { "http://127.0.0.1.example", false },
        { "http://127.0.0.1@example.com", false },
        { "http://example.com#127.0.0.1", false },
        { "http://127.0.0.1:80@example.com", false },
        { "http://127.0.0.1:80x", false },
        { "http://127.0.0.1/\r\nX: y", false },
        { "http://127.0.0.1?x", false },
        { "http://", false },
        { "https://127.0.0.1", false },
        { "127.0.0.1", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct variable moved[VARIABLES_MAX] = { { "AZURE_POD_IDENTITY_AUTHORITY_HOST",
                                                         cases[i].address } };
        struct local_endpoint endpoint;
        struct err err = { "" };

        print_message("case %s\n", cases[i].address);
        set_variables(moved);
        assert_int_equal(local_endpoint_find(&endpoint, lookup, &err),
                         cases[i].local ? 0 : -EINVAL);
    }
}

static void local_endpoint_challenge_names_only_keys_of_the_folder(void **state)
{
    static const struct {
        const char *challenge;
        const char *want; /* NULL = refused */
    } cases[] = {
        { "Basic realm=" FOLDER "/a.key", FOLDER "/a.key" },
        { "basic realm=\"" FOLDER "/a-b_1.key\"", FOLDER "/a-b_1.key" },
        { "Basic realm=" FOLDER "/../../../etc/a.key", NULL },
        { "Basic realm=" FOLDER "/sub/a.key", NULL },
        { "Basic realm=" FOLDER "/..key", NULL },
        { "Basic realm=" FOLDER "/.key", NULL },
        { "Basic realm=" FOLDER "/a.key.txt", NULL },
        { "Basic realm=" FOLDER "/a", NULL },
        { "Basic realm=" FOLDER "/", NULL },
        { "Basic realm=" FOLDER, NULL },
        { "Basic realm=" FOLDER "x/a.key", NULL },
        { "Basic realm=/etc/a.key", NULL },
        { "Basic realm=a.key", NULL },
        { "Basic realm=", NULL },
        { "Basic realm=\"", NULL },
        { "Bearer realm=" FOLDER "/a.key", NULL },
        { "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[LOCAL_ENDPOINT_PATH_MAX] = "untouched";

        print_message("case %s\n", cases[i].challenge);
        assert_int_equal(local_endpoint_challenge(out, cases[i].challenge, FOLDER),
                         cases[i].want == NULL ? -EBADMSG : 0);
        assert_string_equal(out, cases[i].want == NULL ? "untouched" : cases[i].want);
    }
}

static void local_endpoint_challenge_cut_at_every_byte_is_refused(void **state)
{
    static const char challenge[] = "Basic realm=" FOLDER "/a.key";
    char out[LOCAL_ENDPOINT_PATH_MAX];

    (void)state;
    for (size_t length = 0; length < strlen(challenge); length++) {
        char *exact = strndup(challenge, length);

        assert_non_null(exact);
        assert_int_equal(local_endpoint_challenge(out, exact, FOLDER), -EBADMSG);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_endpoint_find_variables_give_form_and_address),
        cmocka_unit_test(local_endpoint_find_variables_that_do_not_fit_are_named),
        cmocka_unit_test(local_endpoint_find_address_must_stay_on_the_machine),
        cmocka_unit_test(local_endpoint_challenge_names_only_keys_of_the_folder),
        cmocka_unit_test(local_endpoint_challenge_cut_at_every_byte_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
