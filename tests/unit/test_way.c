#include "bridge/service/way.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/service_fixture.h"

#define APPLICATION                                                                                \
    { "AZURE_TENANT_ID", "t" },                                                                    \
    {                                                                                              \
        "AZURE_CLIENT_ID", "c"                                                                     \
    }
#define HUB "contoso.azure-devices.net"

struct way_case {
    const char *name;
    struct way_asked asked; /* without lookup */
    struct variable variables[VARIABLES_MAX];
    enum way want;
    const char *error; /* part of it; NULL: none is wanted */
};

static void check(const struct way_case *c)
{
    struct way_asked asked = c->asked;
    struct way_chosen chosen = { (enum way)77, "untouched" };
    struct err err = { "" };
    int rc;

    print_message("case %s\n", c->name);
    set_variables(c->variables);
    asked.lookup = lookup;
    rc = way_choose(&chosen, &asked, &err);
    if (c->error != NULL) {
        assert_int_equal(rc, -EINVAL);
        if (strstr(err.msg, c->error) == NULL)
            fail_msg("'%s' is not in '%s'", c->error, err.msg);
        assert_int_equal(chosen.way, 77);
        return;
    }
    assert_int_equal(rc, 0);
    assert_string_equal(err.msg, "");
    assert_int_equal(chosen.way, c->want);
    assert_true((chosen.hub == NULL) == (chosen.way == WAY_SAS));
}

static void way_choose_what_is_given_leads_to_a_way(void **state)
{
    static const struct way_case cases[] = {
        { "a file", { .connection_string_file = "f" }, { { NULL, NULL } }, WAY_SAS, NULL },
        { "a connection string", { 0 }, { { "IOTHUB_CONNECTION_STRING", "x" } }, WAY_SAS, NULL },
        { "a connection string before Azure's variables",
          { .mapped_hub = HUB },
          { { "IOTHUB_CONNECTION_STRING", "x" }, APPLICATION, { "AZURE_CLIENT_SECRET", "s" } },
          WAY_SAS,
          NULL },
        { "the command line before the environment",
          { .hub_name = HUB },
          { { "IOTHUB_CONNECTION_STRING", "x" }, APPLICATION, { "AZURE_CLIENT_SECRET", "s" } },
          WAY_SECRET,
          NULL },
        { "a secret before a certificate",
          { .hub_name = HUB },
          { APPLICATION,
            { "AZURE_CLIENT_CERTIFICATE_PATH", "p" },
            { "AZURE_CLIENT_SECRET", "s" },
            { "AZURE_FEDERATED_TOKEN_FILE", "f" } },
          WAY_SECRET,
          NULL },
        { "a certificate before a federated token",
          { .hub_name = HUB },
          { APPLICATION,
            { "AZURE_CLIENT_CERTIFICATE_PATH", "p" },
            { "AZURE_FEDERATED_TOKEN_FILE", "f" } },
          WAY_CERTIFICATE,
          NULL },
        { "a federated token before the machine's identity",
          { .hub_name = HUB },
          { APPLICATION, { "AZURE_FEDERATED_TOKEN_FILE", "f" }, { "IDENTITY_ENDPOINT", "h" } },
          WAY_FEDERATED,
          NULL },
        { "nothing else", { .hub_name = HUB }, { { NULL, NULL } }, WAY_MANAGED_IDENTITY, NULL },
        { "an empty variable is none",
          { .hub_name = HUB },
          { APPLICATION, { "AZURE_CLIENT_SECRET", "" } },
          WAY_MANAGED_IDENTITY,
          NULL },
        { "a mapping file's hub",
          { .mapped_hub = HUB },
          { APPLICATION, { "AZURE_CLIENT_SECRET", "s" } },
          WAY_SECRET,
          NULL },
        { "a mapping file's hub on Azure Arc",
          { .mapped_hub = HUB },
          { { "IDENTITY_ENDPOINT", "h" } },
          WAY_MANAGED_IDENTITY,
          NULL },
        { "a way by name",
          { .mapped_hub = HUB, .way = "managed-identity" },
          { { "IOTHUB_CONNECTION_STRING", "x" } },
          WAY_MANAGED_IDENTITY,
          NULL },
        { "a way by name before the order",
          { .hub_name = HUB, .way = "federated" },
          { APPLICATION, { "AZURE_CLIENT_SECRET", "s" }, { "AZURE_FEDERATED_TOKEN_FILE", "f" } },
          WAY_FEDERATED,
          NULL },
        { "sas by name",
          { .mapped_hub = HUB, .way = "sas" },
          { { "IOTHUB_CONNECTION_STRING", "x" } },
          WAY_SAS,
          NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i]);
}

static void way_choose_what_is_missing_is_named(void **state)
{
    static const struct way_case cases[] = {
        { "nothing", { 0 }, { { NULL, NULL } }, WAY_SAS, "no sign-in: give --hub-connection" },
        { "nothing but a mapping file",
          { .mapped_hub = HUB },
          { { NULL, NULL } },
          WAY_SAS,
          "no sign-in: give --hub-connection" },
        { "no hub",
          { 0 },
          { APPLICATION, { "AZURE_CLIENT_SECRET", "s" } },
          WAY_SAS,
          "client secret (AZURE_CLIENT_SECRET): to which hub? give --hub-name" },
        { "no tenant",
          { .hub_name = HUB },
          { { "AZURE_CLIENT_ID", "c" }, { "AZURE_CLIENT_SECRET", "s" } },
          WAY_SAS,
          "AZURE_TENANT_ID is not set" },
        { "no client",
          { .hub_name = HUB },
          { { "AZURE_TENANT_ID", "t" }, { "AZURE_CLIENT_CERTIFICATE_PATH", "s" } },
          WAY_SAS,
          "AZURE_CLIENT_ID is not set" },
        { "no secret",
          { .hub_name = HUB, .way = "secret" },
          { APPLICATION },
          WAY_SAS,
          "AZURE_CLIENT_SECRET is not set" },
        { "no connection string",
          { .way = "sas" },
          { APPLICATION },
          WAY_SAS,
          "set IOTHUB_CONNECTION_STRING" },
        { "a way that is none",
          { .hub_name = HUB, .way = "SAS" },
          { { NULL, NULL } },
          WAY_SAS,
          "'SAS' is none of sas|secret|certificate|federated|managed-identity" },
        { "both",
          { .hub_name = HUB, .connection_string_file = "f" },
          { { NULL, NULL } },
          WAY_SAS,
          "give one of the two" },
        { "both, with a way",
          { .hub_name = HUB, .connection_string_file = "f", .way = "secret" },
          { APPLICATION, { "AZURE_CLIENT_SECRET", "s" } },
          WAY_SAS,
          "--sign-in secret and --hub-connection-string-file exclude each other" },
        { "no host name",
          { .hub_name = "https://" HUB },
          { APPLICATION, { "AZURE_CLIENT_SECRET", "s" } },
          WAY_SAS,
          "is no host name" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i]);
}

static void way_known_takes_the_names_of_the_option(void **state)
{
    (void)state;
    assert_true(way_known("sas") && way_known("managed-identity"));
    assert_false(way_known("") || way_known("sas|secret") || way_known("Secret"));
}

static void way_text_names_the_variable(void **state)
{
    (void)state;
    assert_non_null(strstr(way_text(WAY_SECRET), "AZURE_CLIENT_SECRET"));
    assert_non_null(strstr(way_text(WAY_CERTIFICATE), "AZURE_CLIENT_CERTIFICATE_PATH"));
    assert_non_null(strstr(way_text(WAY_FEDERATED), "AZURE_FEDERATED_TOKEN_FILE"));
    assert_string_equal(way_text(WAY_MANAGED_IDENTITY), "managed identity");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(way_choose_what_is_given_leads_to_a_way),
        cmocka_unit_test(way_choose_what_is_missing_is_named),
        cmocka_unit_test(way_known_takes_the_names_of_the_option),
        cmocka_unit_test(way_text_names_the_variable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
