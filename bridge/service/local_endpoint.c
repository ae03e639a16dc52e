/* The three forms of a managed identity's token service.
 *
 * Happy path: IDENTITY_ENDPOINT with IDENTITY_HEADER is App Service, with IMDS_ENDPOINT it is Arc,
 * and without it the metadata service at its fixed link-local address, which
 * AZURE_POD_IDENTITY_AUTHORITY_HOST moves. Fails when an address leads off this machine. */
#include "bridge/service/local_endpoint.h"

#include "bridge/sas.h"
#include "bridge/service/way.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define RESOURCE "resource=https%3A%2F%2Fiothubs.azure.net"

static bool is_local_v4(const char *host)
{
    struct in_addr address;
    uint32_t bits;

    if (inet_pton(AF_INET, host, &address) != 1)
        return false;
    bits = ntohl(address.s_addr);
    return bits >> 24 == 127 || bits >> 16 == (169 << 8 | 254);
}

static bool is_local_v6(const char *host)
{
    struct in6_addr address;

    return inet_pton(AF_INET6, host, &address) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_LINKLOCAL(&address));
}

/* Cuts the host out of "http://HOST[:PORT][/...]". False when that is not its form. */
static bool host_of(char host[64], const char *url)
{
    const char *start = url + strlen("http://");
    size_t length;
    size_t rest;

    if (strncasecmp(url, "http://", strlen("http://")) != 0)
        return false;
    if (*start == '[') {
        length = strcspn(++start, "]");
        rest = length + 1;
        if (start[length] == '\0')
            return false;
    } else {
        length = rest = strcspn(start, ":/");
    }
    if (length == 0 || length >= 64 || strcspn(start, "@?#\\% \t\r\n") < strlen(start))
        return false;
    if (start[rest] == ':')
        rest += 1 + strspn(start + rest + 1, "0123456789");
    if (start[rest] != '\0' && start[rest] != '/')
        return false;
    memcpy(host, start, length);
    host[length] = '\0';
    return true;
}

static bool is_local(const char *url)
{
    char host[64];

    return host_of(host, url) &&
           (strcasecmp(host, "localhost") == 0 || is_local_v4(host) || is_local_v6(host));
}

const char *local_endpoint_text(enum local_endpoint_form form)
{
    static const char *const texts[] = {
        [LOCAL_ENDPOINT_IMDS] = "metadata service",
        [LOCAL_ENDPOINT_ARC] = "Azure Arc",
        [LOCAL_ENDPOINT_APP_SERVICE] = "App Service",
    };

    return texts[form];
}

/* Writes the whole URL. 0 or -EINVAL. */
static int make_url(struct local_endpoint *endpoint, const char *address, const char *client_id,
                    struct err *err)
{
    static const char *const forms[] = {
        [LOCAL_ENDPOINT_IMDS] = "/metadata/identity/oauth2/token?api-version=2018-02-01&" RESOURCE,
        [LOCAL_ENDPOINT_ARC] = "?api-version=2020-06-01&" RESOURCE,
        [LOCAL_ENDPOINT_APP_SERVICE] = "?api-version=2019-08-01&" RESOURCE,
    };
    size_t length = strlen(address);
    char encoded[200] = "";
    int written;

    while (endpoint->form == LOCAL_ENDPOINT_IMDS && length > 0 && address[length - 1] == '/')
        length--;
    if (client_id != NULL && sas_percent_encode(encoded, sizeof encoded, client_id) < 0) {
        err_set(err, "AZURE_CLIENT_ID is too long to be one");
        return -EINVAL;
    }
    written = snprintf(endpoint->url, sizeof endpoint->url, "%.*s%s%s%s", (int)length, address,
                       forms[endpoint->form], client_id == NULL ? "" : "&client_id=", encoded);
    if (written < (int)sizeof endpoint->url)
        return 0;
    err_set(err, "%s is too long to be an address", endpoint->source);
    return -EINVAL;
}

/* Form and address, from the variables of the machine. */
static int find_form(struct local_endpoint *out, const char **address,
                     const char *(*lookup)(const char *name), struct err *err)
{
    const char *identity = way_variable(lookup, "IDENTITY_ENDPOINT");

    out->form = LOCAL_ENDPOINT_IMDS;
    out->source = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
    *address = way_variable(lookup, out->source);
    if (*address == NULL) {
        out->source = NULL;
        *address = "http://169.254.169.254";
    }
    out->secret = way_variable(lookup, "IDENTITY_HEADER");
    if (identity == NULL)
        return 0;
    if (out->secret != NULL && way_variable(lookup, "IDENTITY_SERVER_THUMBPRINT") != NULL) {
        err_set(err,
                "managed identities of Service Fabric are not supported; sign in with a client "
                "certificate or secret");
        return -EINVAL;
    }
    if (out->secret == NULL && way_variable(lookup, "IMDS_ENDPOINT") == NULL) {
        err_set(err, "IDENTITY_ENDPOINT is set, but neither IDENTITY_HEADER (App Service) nor "
                     "IMDS_ENDPOINT (Azure Arc)");
        return -EINVAL;
    }
    out->form = out->secret != NULL ? LOCAL_ENDPOINT_APP_SERVICE : LOCAL_ENDPOINT_ARC;
    out->source = "IDENTITY_ENDPOINT";
    *address = identity;
    return 0;
}

int local_endpoint_find(struct local_endpoint *out, const char *(*lookup)(const char *name),
                        struct err *err)
{
    const char *client_id = way_variable(lookup, "AZURE_CLIENT_ID");
    struct local_endpoint found = { 0 };
    const char *address = NULL;
    int rc = find_form(&found, &address, lookup, err);

    if (rc != 0)
        return rc;
    if (!is_local(address)) {
        err_set(err, "%s: '%.80s' is not http:// to this machine or a link-local address",
                found.source, address);
        return -EINVAL;
    }
    if (found.form == LOCAL_ENDPOINT_ARC && client_id != NULL) {
        err_set(err, "AZURE_CLIENT_ID is set, but Azure Arc has only the machine's own identity; "
                     "unset it");
        return -EINVAL;
    }
    rc = make_url(&found, address, client_id, err);
    if (rc == 0)
        *out = found;
    return rc;
}

int local_endpoint_challenge(char out[LOCAL_ENDPOINT_PATH_MAX], const char *challenge,
                             const char *folder)
{
    static const char prefix[] = "Basic realm=";
    size_t folder_length = strlen(folder);
    const char *path = challenge + strlen(prefix);
    const char *name;
    size_t length;

    if (strncasecmp(challenge, prefix, strlen(prefix)) != 0)
        return -EBADMSG;
    length = strlen(path);
    if (length >= 2 && path[0] == '"' && path[length - 1] == '"') {
        path++;
        length -= 2;
    }
    if (length >= LOCAL_ENDPOINT_PATH_MAX || length <= folder_length + 1 ||
        strncmp(path, folder, folder_length) != 0 || path[folder_length] != '/')
        return -EBADMSG;
    name = path + folder_length + 1;
    length -= folder_length + 1;
    if (length <= strlen(".key") || memchr(name, '/', length) != NULL || name[0] == '.' ||
        memcmp(name + length - strlen(".key"), ".key", strlen(".key")) != 0)
        return -EBADMSG;
    snprintf(out, LOCAL_ENDPOINT_PATH_MAX, "%s/%.*s", folder, (int)length, name);
    return 0;
}
