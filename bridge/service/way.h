/* Which way of signing in is meant, from the command line and the environment. Pure.
 *
 * The environment's names and their order are those of Azure's own DefaultAzureCredential:
 * a client secret, a client certificate, a federated token, a managed identity. Unlike it, a
 * variable that is set in vain is an error that names the missing one. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

enum way {
    WAY_SAS,              /* the connection string of a policy */
    WAY_SECRET,           /* AZURE_CLIENT_SECRET */
    WAY_CERTIFICATE,      /* AZURE_CLIENT_CERTIFICATE_PATH */
    WAY_FEDERATED,        /* AZURE_FEDERATED_TOKEN_FILE */
    WAY_MANAGED_IDENTITY, /* of the machine that this runs on */
};

/* What was asked for; texts may be NULL. */
struct way_asked {
    const char *way;                         /* --sign-in: one of WAY_NAMES */
    const char *connection_string_file;      /* --hub-connection-string-file */
    const char *hub_name;                    /* --hub-name */
    const char *mapped_hub;                  /* host_name of a mapping file */
    const char *(*lookup)(const char *name); /* getenv; "" counts as not set */
};

struct way_chosen {
    enum way way;
    const char *hub; /* its host name; NULL with WAY_SAS: the connection string names it */
};

/* The names of --sign-in, in the order of enum way. */
#define WAY_NAMES "sas|secret|certificate|federated|managed-identity"

/* Whether it is one of them. */
bool way_known(const char *name);

/* 0, or -EINVAL with `err`: what is missing, what excludes what, and what to give. */
int way_choose(struct way_chosen *out, const struct way_asked *asked, struct err *err);

/* The variable's value; NULL when it is not set or empty. */
const char *way_variable(const char *(*lookup)(const char *name), const char *name);

/* The way in words, with the variable that it comes from: "client secret (AZURE_CLIENT_SECRET)". */
const char *way_text(enum way way);
