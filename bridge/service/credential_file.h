/* A module's credential as a file: one line, readable by its owner only. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

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

/* Whom the files are for. */
struct credential_owner {
    bool given; /* false: for whoever makes them */
    uid_t user;
    gid_t group;
};

/* Reads "USER[:GROUP]", names or numbers; without a group it is the user's own. 0; -ENOENT with
 * `err` (there is no such user or group here); -EPERM with `err` (only root can give files away). */
int credential_owner_read(struct credential_owner *out, const char *text, struct err *err);

/* Whether the owner can get into the folder of the file at `path`. 0; -EACCES with `err`, or the
 * -errno of looking. */
int credential_owner_check_folder(const char *path, const struct credential_owner *owner,
                                  struct err *err);

/* What lies at `path`. 0, or -errno with `err` (it is there and cannot be read). `detail` says what
 * an OTHER one is. */
int credential_file_look(enum credential_file_state *out, const char *path,
                         const struct credential_identity *identity, struct err *detail,
                         struct err *err);

/* Writes the module's connection string with its primary key to `path`, and the GatewayHostName that
 * was there: whole or not at all, mode 0600, the owner's, in a folder that is made with mode 0700, the owner's, when it is missing. 0, or
 * -errno with `err`. */
int credential_file_write(const char *path, const struct credential_identity *identity,
                          const struct credential_owner *owner, struct err *err);

/* How a file that is right is guarded. */
enum credential_file_guard {
    CREDENTIAL_FILE_GUARDED,
    CREDENTIAL_FILE_OPEN,    /* others than owner and group can read it */
    CREDENTIAL_FILE_FOREIGN, /* it is not the given owner's, or not for him alone */
};

/* Looks at that. 0, or -errno with `err`. */
int credential_file_guard(enum credential_file_guard *out, const char *path,
                          const struct credential_owner *owner, struct err *err);

/* Makes it the owner's, mode 0600. 0, or -errno with `err`. */
int credential_file_give(const char *path, const struct credential_owner *owner, struct err *err);
