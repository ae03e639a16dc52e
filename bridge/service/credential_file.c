/* Credential files.
 *
 * Happy path: a new file is written beside the place, synced, and renamed onto it; whoever reads
 * sees the old one or the new one. Fails when the folder cannot be made or written; nothing is left
 * behind then. Secrets are wiped from memory and appear in no message. */
#include "bridge/service/credential_file.h"

#include "bridge/sas.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, GATEWAY_MAX = 256 };

/* ---- the owner ---- */

/* The whole text as a number of an id; false when it is none. */
static bool read_id(const char *text, unsigned *out)
{
    unsigned long number;
    char *end;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number >= UINT_MAX)
        return false;
    *out = (unsigned)number;
    return true;
}

static int read_user(struct credential_owner *out, const char *name, struct err *err)
{
    const struct passwd *user = getpwnam(name);
    unsigned id;

    if (user == NULL && read_id(name, &id)) {
        user = getpwuid(id);
        out->user = id;
        out->group = user == NULL ? id : user->pw_gid;
        return 0;
    }
    if (user == NULL) {
        err_set(err, "there is no user '%.100s' here", name);
        return -ENOENT;
    }
    out->user = user->pw_uid;
    out->group = user->pw_gid;
    return 0;
}

static int read_group(struct credential_owner *out, const char *name, struct err *err)
{
    const struct group *group = getgrnam(name);
    unsigned id;

    if (group != NULL) {
        out->group = group->gr_gid;
        return 0;
    }
    if (!read_id(name, &id)) {
        err_set(err, "there is no group '%.100s' here", name);
        return -ENOENT;
    }
    out->group = id;
    return 0;
}

int credential_owner_read(struct credential_owner *out, const char *text, struct err *err)
{
    struct credential_owner owner = { .given = true };
    const char *colon = strchr(text, ':');
    char name[128];
    int rc;

    snprintf(name, sizeof name, "%.*s", colon == NULL ? (int)strlen(text) : (int)(colon - text),
             text);
    rc = read_user(&owner, name, err);
    if (rc == 0 && colon != NULL && colon[1] != '\0')
        rc = read_group(&owner, colon + 1, err);
    if (rc != 0)
        return rc;
    if (geteuid() != 0 && (owner.user != geteuid() || owner.group != getegid())) {
        err_set(err, "only root can give files to %.100s; run this with sudo", text);
        return -EPERM;
    }
    *out = owner;
    return 0;
}

int credential_owner_check_folder(const char *path, const struct credential_owner *owner,
                                  struct err *err)
{
    char copy[PATH_MAX];
    const char *folder;
    struct stat status;
    mode_t wanted = S_IXOTH;

    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return -ENAMETOOLONG;
    folder = dirname(copy);
    if (stat(folder, &status) != 0)
        return -errno;
    if (status.st_uid == owner->user)
        wanted = S_IXUSR;
    else if (status.st_gid == owner->group)
        wanted = S_IXGRP;
    if (owner->user == 0 || (status.st_mode & wanted) != 0)
        return 0;
    err_set(err, "%s: the owner of the files in it cannot enter it; chown it too", folder);
    return -EACCES;
}

/* ---- reading ---- */

static int read_line(const char *path, char out[LINE_MAX_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count;

    if (fd < 0)
        return -errno;
    count = read(fd, out, LINE_MAX_BYTES - 1); /* a regular file is read in one go */
    if (count < 0) {
        count = -errno;
        close(fd);
        return (int)count;
    }
    close(fd);
    out[count] = '\0';
    return 0;
}

static bool is_key_of(const struct credential_identity *identity, const char *key)
{
    return *key != '\0' &&
           (strcmp(key, identity->keys[0]) == 0 || strcmp(key, identity->keys[1]) == 0);
}

/* What the parsed line is to the module; `detail` says whose it is otherwise. */
static enum credential_file_state compare(const struct sas_connection_string *found,
                                          const struct credential_identity *identity,
                                          struct err *detail)
{
    if (strcasecmp(found->host_name, identity->host_name) != 0 ||
        strcmp(found->device_id, identity->device_id) != 0 ||
        strcmp(found->module_id, identity->module_id) != 0) {
        err_set(detail, "it is for %s%s%s on %s", found->device_id,
                found->module_id[0] == '\0' ? "" : "/", found->module_id, found->host_name);
        return CREDENTIAL_FILE_OTHER;
    }
    return is_key_of(identity, found->key) ? CREDENTIAL_FILE_RIGHT : CREDENTIAL_FILE_OLD;
}

int credential_file_look(enum credential_file_state *out, const char *path,
                         const struct credential_identity *identity, struct err *detail,
                         struct err *err)
{
    struct sas_connection_string found;
    char line[LINE_MAX_BYTES];
    int rc = read_line(path, line);

    if (rc == -ENOENT) {
        *out = CREDENTIAL_FILE_ABSENT;
        return 0;
    }
    if (rc != 0) {
        err_set(err, "%s: cannot read: %s", path, strerror(-rc));
        return rc;
    }
    if (sas_parse_connection_string(&found, line, detail) != 0) {
        *out = CREDENTIAL_FILE_OTHER;
    } else {
        *out = compare(&found, identity, detail);
        sas_forget(&found);
    }
    explicit_bzero(line, sizeof line);
    return 0;
}

/* ---- writing ---- */

/* Makes what is missing above a folder. */
static int make_above(const char *path)
{
    char above[PATH_MAX];
    int rc;

    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        rc = snprintf(above, sizeof above, "%.*s", (int)(slash - path), path);
        if (rc >= (int)sizeof above)
            return -ENAMETOOLONG;
        if (mkdir(above, 0755) != 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

/* Makes the folder when it is missing, for its owner alone, and what is missing above it. */
static int make_folder(const char *path, const struct credential_owner *owner)
{
    int rc = mkdir(path, 0700) == 0 ? 0 : -errno;

    if (rc == -EEXIST)
        return 0;
    if (rc == -ENOENT) {
        rc = make_above(path);
        if (rc == 0 && mkdir(path, 0700) != 0)
            rc = -errno;
    }
    if (rc == 0 && owner->given && lchown(path, owner->user, owner->group) != 0)
        rc = -errno;
    return rc;
}

static int write_all(int fd, const char *text)
{
    size_t length = strlen(text);

    while (length > 0) {
        ssize_t count = write(fd, text, length);

        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0) {
            text += count;
            length -= (size_t)count;
        }
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/* A new file in `folder` with `line`, renamed onto `path`. 0 or -errno. */
static int make_file(const char *folder, const char *path, const char *line,
                     const struct credential_owner *owner)
{
    char fresh[PATH_MAX];
    int fd;
    int rc;

    if (snprintf(fresh, sizeof fresh, "%s/.new-XXXXXX", folder) >= (int)sizeof fresh)
        return -ENAMETOOLONG;
    fd = mkostemp(fresh, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return -errno;
    rc = owner->given && fchown(fd, owner->user, owner->group) != 0 ? -errno : 0;
    if (rc == 0)
        rc = write_all(fd, line);
    if (close(fd) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(fresh, path) != 0)
        rc = -errno;
    if (rc != 0) {
        unlink(fresh);
        return rc;
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd); /* the name survives a power cut too, where the file system can promise that */
        close(fd);
    }
    return 0;
}

/* The same, and no Ctrl-C in between leaves a secret under a name that nobody looks at. UNTESTED: a
 * signal would have to come within these few system calls. */
static int replace_file(const char *folder, const char *path, const char *line,
                        const struct credential_owner *owner)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    rc = make_file(folder, path, line, owner);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* The gateway that the file at `path` leads over, "" without one: it belongs to the place, not to the
 * key, and stays. */
static void read_gateway(const char *path, char out[GATEWAY_MAX])
{
    struct sas_connection_string found;
    char line[LINE_MAX_BYTES];
    struct err ignored;

    out[0] = '\0';
    if (read_line(path, line) == 0 && sas_parse_connection_string(&found, line, &ignored) == 0) {
        snprintf(out, GATEWAY_MAX, "%s", found.gateway_host_name);
        sas_forget(&found);
    }
    explicit_bzero(line, sizeof line);
}

int credential_file_write(const char *path, const struct credential_identity *identity,
                          const struct credential_owner *owner, struct err *err)
{
    char line[LINE_MAX_BYTES];
    char gateway[GATEWAY_MAX];
    char *copy = strdup(path);
    const char *folder;
    int rc;

    if (copy == NULL) {
        err_set(err, "out of memory");
        return -ENOMEM;
    }
    folder = dirname(copy);
    rc = make_folder(folder, owner);
    if (rc == 0) {
        read_gateway(path, gateway);
        snprintf(line, sizeof line,
                 "HostName=%s;%s%s%sDeviceId=%s;ModuleId=%s;SharedAccessKey=%s\n",
                 identity->host_name, gateway[0] == '\0' ? "" : "GatewayHostName=", gateway,
                 gateway[0] == '\0' ? "" : ";", identity->device_id, identity->module_id,
                 identity->keys[0]);
        rc = replace_file(folder, path, line, owner);
        explicit_bzero(line, sizeof line);
    }
    if (rc != 0)
        err_set(err, "%s: cannot write: %s", path, strerror(-rc));
    free(copy);
    return rc;
}

/* ---- guarding ---- */

int credential_file_guard(enum credential_file_guard *out, const char *path,
                          const struct credential_owner *owner, struct err *err)
{
    struct stat status;

    if (stat(path, &status) != 0) {
        err_set(err, "%s: cannot look at it: %s", path, strerror(errno));
        return -errno;
    }
    if (owner->given && (status.st_uid != owner->user || status.st_gid != owner->group ||
                         (status.st_mode & 077) != 0))
        *out = CREDENTIAL_FILE_FOREIGN;
    else
        *out = (status.st_mode & 007) != 0 ? CREDENTIAL_FILE_OPEN : CREDENTIAL_FILE_GUARDED;
    return 0;
}

int credential_file_give(const char *path, const struct credential_owner *owner, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int rc = fd < 0 ? -errno : 0;

    if (rc == 0 && (fchmod(fd, 0600) != 0 || fchown(fd, owner->user, owner->group) != 0))
        rc = -errno;
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        err_set(err, "%s: cannot give it to its owner: %s", path, strerror(-rc));
    return rc;
}
