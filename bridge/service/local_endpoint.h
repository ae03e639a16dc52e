/* Where the machine that this runs on hands out tokens of its managed identity: which of the three
 * forms, at which address, and what Azure Arc's challenge may name. Pure.
 *
 * Sources: learn.microsoft.com, "How to use managed identities for Azure resources on an Azure VM
 * to acquire an access token", "Authenticate against Azure resources with Azure Arc-enabled
 * servers", "How to use managed identities for App Service and Azure Functions". */
#pragma once

#include "base/err.h"

#include <stddef.h>

enum local_endpoint_form {
    LOCAL_ENDPOINT_IMDS,        /* a virtual machine */
    LOCAL_ENDPOINT_ARC,         /* a machine of one's own, connected with Azure Arc */
    LOCAL_ENDPOINT_APP_SERVICE, /* App Service, Functions, Container Apps */
};

enum { LOCAL_ENDPOINT_URL_MAX = 1024, LOCAL_ENDPOINT_PATH_MAX = 512 };

struct local_endpoint {
    enum local_endpoint_form form;
    const char *source; /* the variable that the address is from; NULL: the fixed address */
    const char *secret; /* value for X-IDENTITY-HEADER of LOCAL_ENDPOINT_APP_SERVICE */
    char url[LOCAL_ENDPOINT_URL_MAX]; /* whole, with its query */
};

/* Where Azure Arc puts the files that its challenges name, on Linux. */
#define LOCAL_ENDPOINT_ARC_FOLDER "/var/opt/azcmagent/tokens"

/* Reads the environment. 0; -EINVAL with `err`: an address that is not plain HTTP to this machine
 * (127.0.0.0/8, ::1, localhost) or link-local (169.254.0.0/16, fe80::/10), for a token is sent for
 * to nobody else without TLS; a form that is not there; an identity that Arc does not have. */
int local_endpoint_find(struct local_endpoint *out, const char *(*lookup)(const char *name),
                        struct err *err);

/* The form in words: "Azure Arc". */
const char *local_endpoint_text(enum local_endpoint_form form);

/* Reads Arc's challenge "Basic realm=<folder>/<name>.key". The file must lie in `folder` itself:
 * what answers at the address may not choose any other file to be read. 0; -EBADMSG. */
int local_endpoint_challenge(char out[LOCAL_ENDPOINT_PATH_MAX], const char *challenge,
                             const char *folder);
