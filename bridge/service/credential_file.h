/* A module's credential as a file: one line, readable by its owner only. */
#pragma once

#include "base/err.h"

enum credential_file_state {
    CREDENTIAL_FILE_ABSENT,
    CREDENTIAL_FILE_RIGHT, /* holds one of the module's keys */
    CREDENTIAL_FILE_OLD,   /* of this module, with a key that is none of its keys any more */
    CREDENTIAL_FILE_OTHER, /* of another hub, device or module, or nothing of the kind */
};

struct credential_identity {
    const char *host_name;
    const char *device_id;
    const char *module_id;
    const char *keys[2]; /* primary and secondary; "" = none */
};

/* What lies at `path`. 0, or -errno with `err` (it is there and cannot be read). `detail` says what
 * an OTHER one is. */
int credential_file_look(enum credential_file_state *out, const char *path,
                         const struct credential_identity *identity, struct err *detail,
                         struct err *err);

/* Writes the module's connection string with its primary key to `path`: whole or not at all, mode
 * 0600, in a folder that is made with mode 0700 when it is missing. 0, or -errno with `err`. */
int credential_file_write(const char *path, const struct credential_identity *identity,
                          struct err *err);
