/* Where the token endpoint is: one host for each of Microsoft's clouds. Pure. */
#include "bridge/service/entra.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);

    return length >= strlen(end) && strcasecmp(text + length - strlen(end), end) == 0;
}

static const char *authority_of(const char *hub)
{
    if (ends_with(hub, ".azure-devices.cn"))
        return "login.chinacloudapi.cn";
    if (ends_with(hub, ".azure-devices.us"))
        return "login.microsoftonline.us";
    return "login.microsoftonline.com";
}

/* Letters, digits and `others`. */
static bool is_of(const char *text, size_t length, const char *others)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(others, c) != NULL)))
            return false;
    }
    return length > 0;
}

int entra_address(char url[ENTRA_URL_MAX], char host[ENTRA_HOST_MAX], const struct entra *entra,
                  struct err *err)
{
    const char *given = way_variable(entra->lookup, "AZURE_AUTHORITY_HOST");
    const char *tenant = way_variable(entra->lookup, "AZURE_TENANT_ID");
    const char *authority = given == NULL ? authority_of(entra->hub) : given;
    size_t length;

    if (strncasecmp(authority, "https://", 8) == 0)
        authority += 8;
    length = strlen(authority);
    while (length > 0 && authority[length - 1] == '/')
        length--;
    if (length >= ENTRA_HOST_MAX || !is_of(authority, length, ".-:[]")) {
        err_set(err, "AZURE_AUTHORITY_HOST '%.80s' is no https:// address", given);
        return -EINVAL;
    }
    if (tenant == NULL || strlen(tenant) > 200 || !is_of(tenant, strlen(tenant), ".-")) {
        err_set(err, "AZURE_TENANT_ID '%.80s' is no tenant's ID or domain",
                tenant == NULL ? "" : tenant);
        return -EINVAL;
    }
    snprintf(host, ENTRA_HOST_MAX, "%.*s", (int)length, authority);
    snprintf(url, ENTRA_URL_MAX, "https://%s/%s/oauth2/v2.0/token", host, tenant);
    return 0;
}
