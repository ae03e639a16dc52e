/* What stands behind struct config: the text, its tree, and which node every part came from. Private to
 * config/. Built up by the files named below, read by the look-ups of config.c. */
#pragma once

#include "base/buf.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/names.h"

#include <stdbool.h>
#include <stddef.h>

struct cJSON;
struct locate;

struct source_tag {
    const struct cJSON *own; /* in the device's tags; NULL when the template's is taken as it is */
    const struct cJSON *from_template; /* NULL when the template has no such tag */
};

struct source_device {
    const struct cJSON *node;
    const struct cJSON *template; /* NULL: none, or unknown */
    struct config_tag *tags;      /* the same array as config_device.tags */
    struct source_tag *tag_nodes;
};

struct config_source {
    struct buf text;
    struct cJSON *root;
    struct locate *locate;
    const struct config_adapter *const *adapters;

    /* The arrays behind struct config, and beside each the nodes its parts came from. */
    struct config_connection *connections;
    const struct cJSON **connection_nodes;
    size_t *connection_devices; /* indices of devices, connection after connection */
    struct config_device *devices;
    struct source_device *device_sources;
    size_t *devices_by_name; /* indices of devices, sorted by name */
    struct config_module *modules;
    size_t *module_devices; /* indices of devices, module after module */

    char *folder; /* of the mapping file: absolute, ends in "/" */
    char **texts; /* made here, such as resolved paths */
    size_t text_count;
};

/* Fill `config` from the tree, in this order. What is wrong goes to `errors` and the rest is filled as
 * well as can be. 0, -ENOMEM. */
int build_config(struct config *config, struct config_errors *errors); /* calls all of them */
int build_file(struct config *config, struct config_errors *errors);
int build_hub(struct config *config, struct config_errors *errors);
void build_status(struct config *config, struct config_errors *errors);
int build_tags(struct config *config, size_t device, struct config_errors *errors);
int build_modules(struct config *config, struct config_errors *errors);

/* What only the whole can tell, after the adapters' checks: limits that contradict each other, and what
 * "report: always" costs (checks.c). */
int build_check(struct config *config, struct config_errors *errors);

/* ---- small things that all of them need ---- */

/* The member `name` of an object, NULL when it has none (or `object` is no object). */
const struct cJSON *source_member(const struct cJSON *object, const char *name);

/* Its first member or element, NULL when there is none (or no object). */
const struct cJSON *source_first(const struct cJSON *object);

/* source_member, as it may stand at `level`: NULL too when it is of the wrong kind (reported elsewhere). */
const struct cJSON *source_key(const struct config_source *source, const struct cJSON *object,
                               unsigned level, const char *name);

/* The member `name` of the file as an object; NULL when absent or (reported) something else. */
const struct cJSON *source_section(const struct config_source *source, const char *name,
                                   struct config_errors *errors);

/* How many members of an object are objects themselves: what is anything else is reported, "is 5, write
 * an object { ... }", and left out. */
size_t source_count_objects(const struct cJSON *section, struct config_errors *errors);

/* Reports that `name`, said at `node`, is none of the members of `section` ("connections"). */
void source_unknown_name(const struct cJSON *node, const char *name, const char *what,
                         const struct cJSON *section, struct config_errors *errors);

/* Reports that `object` has no `key`, with an example of its value. */
void source_require(const struct cJSON *object, const char *key, const char *example,
                    struct config_errors *errors);

/* Reports a key that is no name of its kind; `what` is named ("device"). */
void source_check_name(enum names_kind kind, const struct cJSON *node, const char *what,
                       struct config_errors *errors);

/* A name that is a value; NULL when it is absent, or no name of its kind (reported). */
const char *source_name(const struct cJSON *node, enum names_kind kind,
                        struct config_errors *errors);

/* Keeps a text until config_free; NULL without memory. */
const char *source_keep(struct config_source *source, char *text);

/* A path of the mapping file, absolute: what is relative is relative to the file. NULL without memory. */
const char *source_path(struct config_source *source, const char *path);
