/* The settings of a mapping file that are no connection, device or module: file, hub, status. A wrong
 * one is reported and left at its default. Failure mode: no memory. */
#include "config/source.h"

#include "config/text.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HUB_PORT = 443, TOKEN_LIFETIME_MS = 3600000, KEEPALIVE_MS = 60000 };

static const char *default_state(struct config_source *source)
{
    const char *state = getenv("STATE_DIRECTORY"); /* systemd: the first of a list with colons */
    size_t length = state == NULL ? 0 : strcspn(state, ":");

    if (length == 0)
        return "/var/lib/twinbridge";
    return source_keep(source, strndup(state, length));
}

/* A path of the mapping file, or its default; -ENOMEM. */
static int take_path(struct config_source *source, const cJSON *node, const char *otherwise,
                     const char **out)
{
    const char *path = config_text(node, NULL);

    *out = path == NULL ? otherwise : source_path(source, path);
    return path != NULL && *out == NULL ? -ENOMEM : 0;
}

int build_file(struct config *config, struct config_errors *errors)
{
    struct config_source *source = config->source;
    const struct keys keys = { source->adapters, NULL };
    const cJSON *root = source->root, *state = source_key(source, root, CONFIG_FILE, "state");

    keys_check(&keys, CONFIG_FILE, root, errors);
    config->writes = strcmp(config_text(source_key(source, root, CONFIG_FILE, "writes"), "allow"),
                            "forbid") != 0;
    if (state != NULL)
        return take_path(source, state, NULL, &config->state);
    config->state = default_state(source);
    return config->state == NULL ? -ENOMEM : 0;
}

int build_hub(struct config *config, struct config_errors *errors)
{
    struct config_source *source = config->source;
    const struct keys keys = { source->adapters, NULL };
    const cJSON *node = source_section(source, "hub", errors);
    struct config_hub *hub = &config->hub;
    int rc;

    *hub = (struct config_hub){ .host_name = "", .device_id = "" };
    if (node != NULL) {
        keys_check(&keys, CONFIG_HUB, node, errors);
        source_require(node, "host_name", "\"NAME.azure-devices.net\"", errors);
        source_require(node, "device_id", "\"gateway-01\"", errors);
        hub->host_name = source_name(source_key(source, node, CONFIG_HUB, "host_name"), NAMES_HOST,
                                     errors);
        hub->device_id = source_name(source_key(source, node, CONFIG_HUB, "device_id"), NAMES_HUB,
                                     errors);
    } else if (source_member(source->root, "hub") == NULL) {
        config_error(errors, source->root,
                     "\"hub\" is missing, write \"hub\": { \"host_name\": "
                     "\"NAME.azure-devices.net\", \"device_id\": \"gateway-01\" }");
    }
    hub->host_name = hub->host_name == NULL ? "" : hub->host_name;
    hub->device_id = hub->device_id == NULL ? "" : hub->device_id;
    hub->port = (int)config_number(source_key(source, node, CONFIG_HUB, "port"), HUB_PORT);
    hub->token_lifetime_ms = config_duration_ms(
        source_key(source, node, CONFIG_HUB, "token_lifetime"), TOKEN_LIFETIME_MS);
    hub->keepalive_ms = config_duration_ms(source_key(source, node, CONFIG_HUB, "keepalive"),
                                           KEEPALIVE_MS);
    config->name = hub->device_id;
    rc = take_path(source, source_key(source, node, CONFIG_HUB, "credentials"),
                   "/etc/twinbridge/credentials", &hub->credentials);
    if (rc == 0)
        rc = take_path(source, source_key(source, node, CONFIG_HUB, "ca_file"),
                       "/etc/ssl/certs/ca-certificates.crt", &hub->ca_file);
    return rc;
}

/* "ADDR:PORT" on this machine's own addresses. */
static bool is_loopback(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    char address[64], *end;
    struct in_addr v4;
    size_t length = colon == NULL ? 0 : (size_t)(colon - listen);
    long port;

    if (length == 0 || length >= sizeof address || colon[1] < '0' || colon[1] > '9')
        return false;
    port = strtol(colon + 1, &end, 10);
    if (*end != 0 || port < 0 || port > 65535)
        return false;
    memcpy(address, listen, length);
    address[length] = 0;
    if (strcmp(address, "localhost") == 0 || strcmp(address, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, address, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

void build_status(struct config *config, struct config_errors *errors)
{
    struct config_source *source = config->source;
    const struct keys keys = { source->adapters, NULL };
    const cJSON *node = source_section(source, "status", errors), *listen;
    char quoted[TEXT_QUOTED_MAX];

    config->status_listen = "127.0.0.1:8080";
    if (node == NULL)
        return;
    keys_check(&keys, CONFIG_STATUS, node, errors);
    listen = source_key(source, node, CONFIG_STATUS, "listen");
    if (listen == NULL)
        return;
    if (is_loopback(listen->valuestring))
        config->status_listen = listen->valuestring;
    else
        config_error(errors, listen,
                     "is %s, but the status page is for this machine only: write "
                     "\"127.0.0.1:8080\", or \"[::1]:8080\"",
                     text_quote(quoted, listen->valuestring));
}
