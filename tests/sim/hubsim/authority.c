/* hubsim's own authority and server certificate, kept with the state.
 *
 * Happy path: read from the state, or made and kept -> the authority's certificate as a file beside
 * it. Fails when: the state cannot be read or written, OpenSSL refuses, the folder is not ours to
 * write. */
#include "tests/sim/hubsim/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int load(struct registry *registry, const char *name, struct certificate *out)
{
    char key[64];
    int rc;

    snprintf(key, sizeof key, "%s/certificate", name);
    rc = registry_get_text(registry, key, &out->certificate);
    if (rc == 0) {
        snprintf(key, sizeof key, "%s/key", name);
        rc = registry_get_text(registry, key, &out->key);
    }
    return rc;
}

static int keep(struct registry *registry, const char *name, const struct certificate *certificate)
{
    char key[64];
    int rc = registry_begin(registry);

    if (rc != 0)
        return rc;
    snprintf(key, sizeof key, "%s/certificate", name);
    rc = registry_put_text(registry, key, certificate->certificate);
    if (rc == 0) {
        snprintf(key, sizeof key, "%s/key", name);
        rc = registry_put_text(registry, key, certificate->key);
    }
    return registry_end(registry, rc);
}

static int get_authority(struct registry *registry, int64_t now_s, struct certificate *out)
{
    int rc = load(registry, "authority", out);

    if (rc != -ENOENT)
        return rc;
    certificate_done(out);
    rc = certificate_new_authority(out, now_s);
    return rc == 0 ? keep(registry, "authority", out) : rc;
}

/* The kept one, or a new one when names were added or its end is near. */
static int get_server(struct registry *registry, const struct authority_names *names, int64_t now_s,
                      const struct certificate *authority, struct certificate *out)
{
    int rc = load(registry, "server", out);

    if (rc == 0 && certificate_serves(out, authority, names->names, names->count, now_s))
        return 0;
    if (rc != 0 && rc != -ENOENT)
        return rc;
    certificate_done(out);
    rc = certificate_issue(out, authority, names->names, names->count, now_s);
    return rc == 0 ? keep(registry, "server", out) : rc;
}

int authority_load(struct registry *registry, const struct authority_names *names, int64_t now_s,
                   struct certificate *authority, struct certificate *server)
{
    int rc = get_authority(registry, now_s, authority);

    return rc == 0 ? get_server(registry, names, now_s, authority, server) : rc;
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t length = strlen(text);
    int rc = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, length) != (ssize_t)length)
        rc = -EIO;
    close(fd);
    return rc;
}

/* Written aside first: who reads it while hubsim starts again sees a whole one. */
int authority_publish(const struct certificate *authority, const char *state, char path[PATH_MAX],
                      struct err *err)
{
    char aside[PATH_MAX], relative[PATH_MAX];
    int rc;

    if (snprintf(aside, sizeof aside, "%s.ca.pem.new", state) >= (int)sizeof aside ||
        snprintf(relative, sizeof relative, "%s.ca.pem", state) >= (int)sizeof relative) {
        err_set(err, "%.100s...: the path is too long", state);
        return -EINVAL;
    }
    rc = write_file(aside, authority->certificate);
    if (rc == 0 && rename(aside, relative) != 0)
        rc = -errno;
    if (rc == 0 && realpath(relative, path) == NULL)
        rc = -errno;
    if (rc != 0)
        err_set(err, "%.200s: %s", relative, strerror(-rc));
    return rc;
}
