/* The choice of a way to sign in.
 *
 * Happy path: what the command line names wins; then IOTHUB_CONNECTION_STRING; then, for a hub that
 * --hub-name or a mapping file names, the first of Azure's variables that is set. A mapping file
 * alone does not lead to a managed identity: who forgot to sign in is told so, and not that some
 * address of a cloud that he does not run in is unreachable. */
#include "bridge/service/way.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name; /* of --sign-in */
    const char *variable;
    const char *text;
} ways[] = {
    [WAY_SAS] = { "sas", "IOTHUB_CONNECTION_STRING", "shared access policy" },
    [WAY_SECRET] = { "secret", "AZURE_CLIENT_SECRET", "client secret (AZURE_CLIENT_SECRET)" },
    [WAY_CERTIFICATE] = { "certificate", "AZURE_CLIENT_CERTIFICATE_PATH",
                          "client certificate (AZURE_CLIENT_CERTIFICATE_PATH)" },
    [WAY_FEDERATED] = { "federated", "AZURE_FEDERATED_TOKEN_FILE",
                        "federated token (AZURE_FEDERATED_TOKEN_FILE)" },
    [WAY_MANAGED_IDENTITY] = { "managed-identity", NULL, "managed identity" },
};

enum { WAY_COUNT = sizeof ways / sizeof ways[0] };

const char *way_variable(const char *(*lookup)(const char *name), const char *name)
{
    const char *value = lookup(name);

    return value == NULL || *value == '\0' ? NULL : value;
}

const char *way_text(enum way way)
{
    return ways[way].text;
}

/* The first of Azure's ways whose variable is set; a managed identity needs none. */
static enum way find_way(const struct way_asked *asked)
{
    for (enum way way = WAY_SECRET; way < WAY_MANAGED_IDENTITY; way++)
        if (way_variable(asked->lookup, ways[way].variable) != NULL)
            return way;
    return WAY_MANAGED_IDENTITY;
}

/* Whether anything says that Azure's own sign-in is meant. */
static bool has_hint(const struct way_asked *asked)
{
    return find_way(asked) != WAY_MANAGED_IDENTITY ||
           way_variable(asked->lookup, "AZURE_CLIENT_ID") != NULL ||
           way_variable(asked->lookup, "IDENTITY_ENDPOINT") != NULL ||
           way_variable(asked->lookup, "AZURE_POD_IDENTITY_AUTHORITY_HOST") != NULL;
}

/* WAY_COUNT when it is none. */
static size_t find_name(const char *name)
{
    size_t i = 0;

    while (i < WAY_COUNT && strcmp(ways[i].name, name) != 0)
        i++;
    return i;
}

bool way_known(const char *name)
{
    return find_name(name) < WAY_COUNT;
}

static int name_way(enum way *out, const char *name, struct err *err)
{
    if (way_known(name)) {
        *out = (enum way)find_name(name);
        return 0;
    }
    err_set(err, "--sign-in '%s' is none of %s", name, WAY_NAMES);
    return -EINVAL;
}

/* The way, or -EINVAL without a text when nothing names one. */
static int pick(enum way *out, const struct way_asked *asked, struct err *err)
{
    bool string = way_variable(asked->lookup, ways[WAY_SAS].variable) != NULL;

    if (asked->way != NULL)
        return name_way(out, asked->way, err);
    /* The command line counts before the environment. */
    if (asked->connection_string_file != NULL || (asked->hub_name == NULL && string))
        *out = WAY_SAS;
    else if (asked->hub_name != NULL || has_hint(asked))
        *out = find_way(asked);
    else
        return -EINVAL;
    return 0;
}

/* A name that can stand in a URL. */
static int check_hub(const char *hub, struct err *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t length = strlen(hub);

    if (length > 0 && length < 256 && strspn(hub, allowed) == length)
        return 0;
    err_set(err, "--hub-name '%.60s' is no host name; it looks like contoso.azure-devices.net",
            hub);
    return -EINVAL;
}

static int check_variables(enum way way, const struct way_asked *asked, struct err *err)
{
    const char *const names[] = { ways[way].variable, "AZURE_TENANT_ID", "AZURE_CLIENT_ID" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (way_variable(asked->lookup, names[i]) != NULL)
            continue;
        err_set(err, "sign-in with %s: %s is not set", ways[way].text, names[i]);
        return -EINVAL;
    }
    return 0;
}

static int choose_sas(const struct way_asked *asked, struct err *err)
{
    if (asked->hub_name != NULL) {
        err_set(err, "--hub-name is for signing in with Entra: a connection string names its hub; "
                     "give one of the two");
        return -EINVAL;
    }
    if (asked->connection_string_file == NULL &&
        way_variable(asked->lookup, "IOTHUB_CONNECTION_STRING") == NULL) {
        err_set(err, "--sign-in sas: give --hub-connection-string-file FILE or set "
                     "IOTHUB_CONNECTION_STRING");
        return -EINVAL;
    }
    return 0;
}

static int choose_entra(struct way_chosen *out, const struct way_asked *asked, struct err *err)
{
    out->hub = asked->hub_name != NULL ? asked->hub_name : asked->mapped_hub;
    if (asked->connection_string_file != NULL) {
        err_set(err, "--sign-in %s and --hub-connection-string-file exclude each other",
                asked->way);
        return -EINVAL;
    }
    if (out->hub == NULL) {
        err_set(err, "sign-in with %s: to which hub? give --hub-name HOST", ways[out->way].text);
        return -EINVAL;
    }
    if (check_hub(out->hub, err) != 0)
        return -EINVAL;
    return out->way == WAY_MANAGED_IDENTITY ? 0 : check_variables(out->way, asked, err);
}

int way_choose(struct way_chosen *out, const struct way_asked *asked, struct err *err)
{
    struct way_chosen chosen = { WAY_SAS, NULL };
    int rc;

    err_set(err,
            "no sign-in: give --hub-connection-string-file FILE or set "
            "IOTHUB_CONNECTION_STRING to the connection string of a policy of the hub, or give "
            "--hub-name HOST to sign in with Entra");
    rc = pick(&chosen.way, asked, err);
    if (rc == 0)
        rc = chosen.way == WAY_SAS ? choose_sas(asked, err) : choose_entra(&chosen, asked, err);
    if (rc != 0)
        return rc;
    err->msg[0] = '\0';
    *out = chosen;
    return 0;
}
