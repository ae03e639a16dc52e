#include "bridge/service/entra.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/service_fixture.h"

static void entra_address_cloud_or_variable_decides(void **state)
{
    static const struct {
        const char *hub;
        const char *authority; /* NULL = not set */
        const char *tenant;
        const char *want;  /* NULL = refused */
        const char *error; /* part of it */
    } cases[] = {
        { "h.azure-devices.net", NULL, "t-1",
          "https://login.microsoftonline.com/t-1/oauth2/v2.0/token", NULL },
        { "H.Azure-Devices.CN", NULL, "t", "https://login.chinacloudapi.cn/t/oauth2/v2.0/token",
          NULL },
        { "h.azure-devices.us", NULL, "t", "https://login.microsoftonline.us/t/oauth2/v2.0/token",
          NULL },
        { "localhost", NULL, "contoso.com",
          "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token", NULL },
        { "h.azure-devices.cn", "https://login.example/", "t",
          "https://login.example/t/oauth2/v2.0/token", NULL },
        { "h", "login.example", "t", "https://login.example/t/oauth2/v2.0/token", NULL },
        { "h", "HTTPS://localhost:8443//", "t", "https://localhost:8443/t/oauth2/v2.0/token",
          NULL },
        { "h", "http://login.example", "t", NULL, "AZURE_AUTHORITY_HOST 'http://login.example'" },
        { "h", "https://u@login.example", "t", NULL, "AZURE_AUTHORITY_HOST" },
        { "h", "https://login.example/x", "t", NULL, "AZURE_AUTHORITY_HOST" },
        { "h", "https://", "t", NULL, "AZURE_AUTHORITY_HOST" },
        { "h", NULL, "a/b", NULL, "AZURE_TENANT_ID 'a/b'" },
        { "h", NULL, "a?b", NULL, "AZURE_TENANT_ID" },
        { "h", NULL, "", NULL, "AZURE_TENANT_ID" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct entra entra = { WAY_SECRET, cases[i].hub, lookup };
        const struct variable from[VARIABLES_MAX] = {
            { "AZURE_TENANT_ID", cases[i].tenant },
            { cases[i].authority == NULL ? NULL : "AZURE_AUTHORITY_HOST", cases[i].authority },
        };
        char url[ENTRA_URL_MAX] = "", host[ENTRA_HOST_MAX] = "";
        struct err err = { "" };

        print_message("case %zu\n", i);
        set_variables(from);
        assert_int_equal(entra_address(url, host, &entra, &err),
                         cases[i].want == NULL ? -EINVAL : 0);
        assert_string_equal(url, cases[i].want == NULL ? "" : cases[i].want);
        if (cases[i].want == NULL)
            assert_non_null(strstr(err.msg, cases[i].error));
        else
            assert_non_null(strstr(url, host));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entra_address_cloud_or_variable_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
