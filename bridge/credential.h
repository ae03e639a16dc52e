/* A module's credential: which file holds it, what it says, whether it is for this module. Reads one
 * small file at a time, before every connect; never logs a secret. */
#pragma once

#include "base/err.h"
#include "bridge/sas.h"
#include "config/config.h"

enum { CREDENTIAL_PATH_MAX = 4096 };

/* The first that exists of design section 7: connection_string_file; <credentials>/<module>;
 * $CREDENTIALS_DIRECTORY/<module> or /credentials_<module>. 0; -ENOENT with `err` naming the module, the
 * files looked for and what to do. */
int credential_find(const struct config *config, size_t module, char path[CREDENTIAL_PATH_MAX],
                    struct err *err);

/* Finds and reads it. 0; -ENOENT; -EACCES; -EINVAL (not a connection string, or HostName, DeviceId or
 * ModuleId are another's: `err` names the file and both values). A file that others can read sets
 * *exposed. */
int credential_load(const struct config *config, size_t module, struct sas_connection_string *out,
                    bool *exposed, struct err *err);
