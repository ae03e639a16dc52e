/* What the verbs of devices and modules share: an identity of the hub's registry is read, shown, and
 * its keys are forgotten. */
#pragma once

#include "bridge/service/verb.h"

struct cJSON;

/* "device" or "module". */
const char *identity_kind(const struct verb *verb);

/* Reads the identity that the verb names; *out is the caller's, to be freed with identity_free. The
 * exit code. */
int identity_fetch(struct verb *verb, struct cJSON **out);

/* The last answer as an identity, as identity_fetch. */
int identity_take(struct verb *verb, struct cJSON **out);

/* Reads the modules of the verb's device, an array of identities. The exit code. */
int identity_fetch_modules(struct verb *verb, struct cJSON **out);

/* Frees one, or an array of them, and overwrites its keys, those in the last answer too. */
void identity_free(struct verb *verb, struct cJSON *identity);

/* The object of its keys, "primaryKey" and "secondaryKey"; NULL when it has none. */
struct cJSON *identity_keys(const struct cJSON *identity);

/* The body of the request that creates a device, or a module of it (NULL: none), with keys of the
 * hub's making; to be freed with cJSON_free. NULL without memory. */
char *identity_new_body(const char *device, const char *module);

/* Takes the keys out of an identity. */
void identity_hide_keys(struct cJSON *identity);

/* How it signs in: "sas", "selfSigned", "certificateAuthority", "". */
const char *identity_sign_in(const struct cJSON *identity);

/* Prints an identity as the options want it: the connection string alone, JSON, or one line that
 * ends with `say` (NULL: all that is known of it) and what is asked for beside it. The exit code. */
int identity_print(const struct verb *verb, struct cJSON *identity, const char *say);

/* Prints a document as JSON. The exit code. */
int identity_print_json(const struct verb *verb, const struct cJSON *document);

/* Adds a cell: how long ago the time `key` of the identity is. */
void identity_add_age(struct show_table *table, const struct cJSON *identity, const char *key);
