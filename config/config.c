/* Reading a mapping file.
 *
 * Happy path: the file is read, cJSON makes a tree, locate walks the text beside it, the tree becomes
 * structs (build.c), every adapter checks its connections, and what contradicts itself is told.
 *
 * Failure modes: the file cannot be read or is no JSON: one mistake. Anything else that is wrong: all
 * mistakes, and no config. No memory: -ENOMEM and nothing is left behind. */
#include "config/config.h"

#include "config/errors.h"
#include "config/locate.h"
#include "config/source.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 16 << 20, READ_BYTES = 64 << 10 };

/* ---- reading ---- */

/* All of the file. 0, or -errno; -ENOSPC when it is too large. */
static int read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = 0;

    if (fd < 0)
        return -errno;
    for (;;) {
        size_t room = out->max - out->length;
        uint8_t *bytes = buf_reserve(out, room < READ_BYTES ? room : READ_BYTES);
        ssize_t length;

        if (bytes == NULL) {
            rc = out->error;
            break;
        }
        length = read(fd, bytes, room < READ_BYTES ? room : READ_BYTES);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            rc = -errno;
        if (length <= 0)
            break;
        buf_commit(out, (size_t)length);
        if (out->length > FILE_BYTES_MAX) {
            rc = -ENOSPC;
            break;
        }
    }
    close(fd);
    return rc;
}

static void report_unreadable(int rc, struct config_errors *errors)
{
    if (rc == -ENOSPC)
        config_error(errors, NULL, "larger than %d MiB, which no mapping file is",
                     FILE_BYTES_MAX >> 20);
    else if (rc == -EISDIR)
        config_error(errors, NULL, "is a folder, name the mapping file itself");
    else
        config_error(errors, NULL, "cannot read: %s", strerror(-rc));
}

/* Text, tree and places. 0; -EINVAL with mistakes when there is nothing to go on with. */
static int read_source(struct config_source *source, const char *path, struct config_errors *errors)
{
    const char *end;
    int rc = read_file(path, &source->text);

    if (rc == -ENOMEM)
        return rc;
    if (rc < 0) {
        report_unreadable(rc, errors);
        return -EINVAL;
    }
    source->root = cJSON_ParseWithLengthOpts(buf_text(&source->text), source->text.length + 1, &end,
                                             true);
    rc = locate_new(&source->locate, buf_text(&source->text), source->text.length, source->root);
    if (rc < 0)
        return rc;
    config_errors_locate(errors, source->locate);
    for (size_t i = 0; i < locate_mistake_count(source->locate); i++) {
        const struct locate_mistake *mistake = locate_mistake(source->locate, i);

        config_error_place(errors, mistake->node, mistake->place, mistake->message);
    }
    if (!locate_is_json(source->locate))
        return -EINVAL;
    if (source->root == NULL)
        return -ENOMEM; /* JSON to us and none to cJSON: it had no memory */
    if (!cJSON_IsObject(source->root)) {
        config_error(errors, source->root, "a mapping file is an object, write { ... }");
        return -EINVAL;
    }
    return 0;
}

static int set_path(struct config *config, const char *path)
{
    struct config_source *source = config->source;
    const char *slash = strrchr(path, '/');
    size_t folder_length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char here[PATH_MAX] = "";
    struct buf folder;

    config->path = source_keep(source, strdup(path));
    if (config->path == NULL)
        return -ENOMEM;
    buf_init(&folder, (size_t)4 * PATH_MAX);
    if (path[0] != '/' && getcwd(here, sizeof here) != NULL)
        buf_printf(&folder, "%s/", strcmp(here, "/") == 0 ? "" : here);
    buf_add(&folder, path, folder_length);
    buf_add_text(&folder, ""); /* so that there are bytes */
    if (folder.error != 0) {
        buf_done(&folder);
        return -ENOMEM;
    }
    source->folder = (char *)folder.bytes;
    return 0;
}

static void run_adapters(struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->connection_count; i++) {
        const struct config_adapter *adapter = config->connections[i].adapter;

        if (adapter != NULL && adapter->check != NULL)
            adapter->check(config, i, errors);
    }
}

static int load(struct config *config, const char *path, struct config_errors *errors)
{
    int rc = set_path(config, path);

    if (rc == 0)
        rc = read_source(config->source, path, errors);
    if (rc == 0)
        rc = build_config(config, errors);
    if (rc < 0)
        return rc;
    run_adapters(config, errors);
    rc = build_check(config, errors);
    if (rc == 0 && config_errors_count(errors) > 0)
        rc = -EINVAL;
    return rc;
}

static struct config *config_new(const struct config_adapter *const *adapters)
{
    struct config *config = calloc(1, sizeof *config);

    if (config == NULL)
        return NULL;
    config->source = calloc(1, sizeof *config->source);
    if (config->source == NULL) {
        free(config);
        return NULL;
    }
    buf_init(&config->source->text, FILE_BYTES_MAX + 1);
    config->source->adapters = adapters;
    return config;
}

int config_load(struct config **out, const char *path, const struct config_adapter *const *adapters,
                struct config_errors *errors)
{
    struct config *config = config_new(adapters);
    int rc = config == NULL ? -ENOMEM : config_errors_file(errors, path);

    if (rc == 0)
        rc = load(config, path, errors);
    if (config_errors_incomplete(errors))
        rc = -ENOMEM;
    config_errors_locate(errors, NULL); /* it outlives the tree */
    if (rc < 0) {
        config_free(config);
        return rc;
    }
    *out = config;
    return 0;
}

static void free_source(struct config_source *source, size_t devices)
{
    for (size_t i = 0; source->device_sources != NULL && i < devices; i++) {
        free(source->device_sources[i].tags);
        free(source->device_sources[i].tag_nodes);
    }
    for (size_t i = 0; i < source->text_count; i++)
        free(source->texts[i]);
    free(source->texts);
    free(source->folder);
    free(source->connections);
    free(source->connection_nodes);
    free(source->connection_devices);
    free(source->devices);
    free(source->device_sources);
    free(source->devices_by_name);
    free(source->modules);
    free(source->module_devices);
    locate_free(source->locate);
    cJSON_Delete(source->root);
    buf_done(&source->text);
    free(source);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    free_source(config->source, config->device_count);
    free(config);
}
