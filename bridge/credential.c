/* A module's credential.
 *
 * Happy path: the first file that exists (config's connection_string_file, the credentials folder,
 * systemd's credentials folder) is read whole, parsed, and compared with whom it is to speak for.
 * Fails when: no file exists, it cannot be read, it is not one connection string, or it is somebody
 * else's. Every message names the module and the file, says what to do, and shows no secret. A folder
 * that may not be searched counts as "exists": the trouble is shown instead of a wrong "missing". */
#include "bridge/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CANDIDATES_MAX = 4,
    FILE_MAX = 4096, /* bytes; a connection string with a token stays below */
};

struct candidates {
    char paths[CANDIDATES_MAX][CREDENTIAL_PATH_MAX];
    size_t count;
};

/* A path that does not fit cannot name a file, so it is no candidate. */
__attribute__((format(printf, 2, 3))) static void add_candidate(struct candidates *candidates,
                                                                const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(candidates->paths[candidates->count], CREDENTIAL_PATH_MAX, format, args);
    va_end(args);
    if (length > 0 && length < CREDENTIAL_PATH_MAX)
        candidates->count++;
}

/* Design section 7, "A module's credential". */
static void list_candidates(const struct config *config, const struct config_module *module,
                            struct candidates *out)
{
    const char *systemd = getenv("CREDENTIALS_DIRECTORY");

    out->count = 0;
    if (module->connection_string_file != NULL)
        add_candidate(out, "%s", module->connection_string_file);
    if (config->hub.credentials != NULL)
        add_candidate(out, "%s/%s", config->hub.credentials, module->name);
    if (systemd != NULL && systemd[0] != 0) {
        add_candidate(out, "%s/%s", systemd, module->name);
        add_candidate(out, "%s/credentials_%s", systemd, module->name);
    }
}

/* The remedy first: a message is cut at its end. */
static void explain_missing(const struct config_module *module, const struct candidates *candidates,
                            struct err *err)
{
    char also[sizeof err->msg] = "";
    size_t length = 0;

    for (size_t i = 1; i < candidates->count && length < sizeof also; i++)
        length += (size_t)snprintf(also + length, sizeof also - length, "%s%s",
                                   i == 1 ? "; not in " : ", ", candidates->paths[i]);
    err_set(err, "module %s: no credential: write its connection string into %s (mode 0600)%s",
            module->name, candidates->count == 0 ? "hub.credentials" : candidates->paths[0], also);
}

int credential_find(const struct config *config, size_t module, char path[CREDENTIAL_PATH_MAX],
                    struct err *err)
{
    struct candidates *candidates = malloc(sizeof *candidates);
    struct stat status;
    int rc = -ENOENT;

    if (candidates == NULL) {
        err_set(err, "module %s: out of memory", config->modules[module].name);
        return -ENOMEM;
    }
    list_candidates(config, &config->modules[module], candidates);
    for (size_t i = 0; i < candidates->count && rc != 0; i++) {
        if (stat(candidates->paths[i], &status) == 0 || (errno != ENOENT && errno != ENOTDIR)) {
            memcpy(path, candidates->paths[i], CREDENTIAL_PATH_MAX);
            rc = 0;
        }
    }
    if (rc != 0)
        explain_missing(&config->modules[module], candidates, err);
    free(candidates);
    return rc;
}

/* Reads at most `size` - 1 bytes and ends them with NUL. Returns the number, or -errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
    size_t length = 0;

    while (length < size - 1) {
        ssize_t got = read(fd, text + length, size - 1 - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    text[length] = 0;
    return (ssize_t)length;
}

/* The text of a regular file into `text`; `err` without the file's name. */
static int read_file(const char *path, char text[FILE_MAX], bool *exposed, struct err *err)
{
    struct stat status;
    ssize_t length;
    int rc = 0;
    /* a FIFO must not hold the loop */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        rc = -errno;
        err_set(err, "%s%s", strerror(-rc),
                rc == -EACCES ? ": let the user of this program read it" : "");
        return rc;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        err_set(err, "not a regular file");
        close(fd);
        return -EINVAL;
    }
    length = read_all(fd, text, FILE_MAX);
    close(fd);
    if (length < 0) {
        rc = (int)length;
        err_set(err, "%s", strerror(-rc));
    } else if (length == FILE_MAX - 1 || memchr(text, 0, (size_t)length) != NULL) {
        rc = -EINVAL;
        err_set(err, "too large or not a text: it wants one line with a connection string");
    } else {
        *exposed = (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
    }
    return rc;
}

/* Somebody else's string would report as somebody else. Host names have no case, ids have. */
static int check_owner(const struct config *config, const struct config_module *module,
                       const struct sas_connection_string *string, struct err *err)
{
    if (strcasecmp(string->host_name, config->hub.host_name) != 0)
        err_set(err, "HostName is \"%s\", the mapping file says \"%s\"", string->host_name,
                config->hub.host_name);
    else if (strcmp(string->device_id, module->device_id) != 0)
        err_set(err, "DeviceId is \"%s\", the mapping file says \"%s\"", string->device_id,
                module->device_id);
    else if (string->module_id[0] == 0)
        err_set(err, "it has no ModuleId: it is the device's string, take that of module \"%s\"",
                module->name);
    else if (strcmp(string->module_id, module->name) != 0)
        err_set(err, "ModuleId is \"%s\", it is to be \"%s\"", string->module_id, module->name);
    else
        return 0;
    return -EINVAL;
}

static int load_file(const struct config *config, const struct config_module *module,
                     const char *path, struct sas_connection_string *out, bool *exposed,
                     struct err *err)
{
    struct sas_connection_string string;
    char text[FILE_MAX];
    bool readable = false;
    int rc = read_file(path, text, &readable, err);

    if (rc == 0)
        rc = sas_parse_connection_string(&string, text, err);
    explicit_bzero(text, sizeof text);
    if (rc != 0)
        return rc;
    rc = check_owner(config, module, &string, err);
    if (rc == 0) {
        *out = string;
        *exposed = readable;
    }
    sas_forget(&string);
    return rc;
}

int credential_load(const struct config *config, size_t module, struct sas_connection_string *out,
                    bool *exposed, struct err *err)
{
    const struct config_module *owner = &config->modules[module];
    char path[CREDENTIAL_PATH_MAX];
    struct err why = { "" };
    int rc = credential_find(config, module, path, err);

    if (rc != 0)
        return rc;
    rc = load_file(config, owner, path, out, exposed, &why);
    if (rc != 0) /* the path may be long; the reason must survive */
        err_set(err, "module %s: credential %.*s%s: %s", owner->name, 90, path,
                strlen(path) > 90 ? "..." : "", why.msg);
    return rc;
}
