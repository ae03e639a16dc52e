/* The modules: those that the mapping file names, then one of its own name for every device that none
 * of them holds. Failure mode: no memory. */
#include "config/source.h"

#include "config/errors.h"
#include "config/kinds.h"
#include "config/text.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MODULES_PER_DEVICE_MAX = 50 }; /* IoT Hub's limit */

/* Puts a device into a module; `node` is where that is said. */
static void join(struct config *config, size_t module, size_t device, const cJSON *node,
                 struct config_errors *errors)
{
    struct config_source *source = config->source;
    struct config_module *into = &source->modules[module];
    struct config_device *member = &source->devices[device];
    const cJSON *wish = source_member(source->device_sources[device].node, "module");
    char other[TEXT_QUOTED_MAX];

    if (member->module != CONFIG_NO_MODULE) {
        text_quote(other, source->modules[member->module].name);
        if (member->module == module)
            config_error(errors, node, "is named twice in this module, remove one");
        else
            config_error(errors, node, "is in module %s already, remove it from one of the two",
                         other);
        return;
    }
    if (cJSON_IsNull(wish)) {
        config_error(errors, node,
                     "the device says \"module\": null (line %u), remove that or this name",
                     config_errors_line(errors, wish));
        return;
    }
    member->module = module;
    source->module_devices[(size_t)(into->devices - source->module_devices) +
                           into->device_count++] = device;
}

static void join_named(struct config *config, size_t module, const cJSON *name,
                       struct config_errors *errors)
{
    const cJSON *devices = source_member(config->source->root, "devices");
    char is[KIND_TEXT_MAX];
    size_t device;

    if (keys_is_secret(name))
        return;
    if (!cJSON_IsString(name)) {
        config_error(errors, name, "is %s, write a device's name in double quotes",
                     kind_describe(name, is));
        return;
    }
    device = config_find_device(config, name->valuestring);
    if (device == SIZE_MAX)
        source_unknown_name(name, name->valuestring, "device", devices, errors);
    else
        join(config, module, device, name, errors);
}

/* "devices" may be left out when the module bears a device's name. */
static void take_devices(struct config *config, size_t module, const cJSON *node,
                         struct config_errors *errors)
{
    const cJSON *list = source_member(node, "devices");
    size_t same = config_find_device(config, node->string);
    char is[KIND_TEXT_MAX];

    if (list == NULL && same != SIZE_MAX) {
        join(config, module, same, node, errors);
    } else if (list == NULL) {
        config_error(errors, node, "\"devices\" is missing, write \"devices\": [\"NAME\", ...]");
    } else if (!cJSON_IsArray(list)) {
        if (!keys_is_secret(list))
            config_error(errors, list, "is %s, write a list: [\"NAME\", ...]",
                         kind_describe(list, is));
    } else if (list->child == NULL) {
        config_error(errors, list, "names no device, write at least one");
    } else {
        for (const cJSON *name = list->child; name != NULL; name = name->next)
            join_named(config, module, name, errors);
    }
}

/* Several devices are always components: their tags would share the names of the twin otherwise. */
static void check_components(struct config_module *module, const cJSON *wish,
                             struct config_errors *errors)
{
    module->components = config_bool(wish, module->device_count > 1);
    if (module->components || module->device_count <= 1)
        return;
    config_error(errors, wish, "a module of several devices has components, remove this");
    module->components = true;
}

static int build_module(struct config *config, size_t index, const cJSON *node,
                        struct config_errors *errors)
{
    struct config_source *source = config->source;
    const struct keys keys = { source->adapters, NULL };
    struct config_module *module = &source->modules[index];
    const char *device_id, *file;

    module->name = node->string;
    source_check_name(NAMES_HUB, node, "module", errors);
    keys_check(&keys, CONFIG_MODULE, node, errors);
    take_devices(config, index, node, errors);
    check_components(module, source_key(source, node, CONFIG_MODULE, "components"), errors);
    device_id = source_name(source_key(source, node, CONFIG_MODULE, "device_id"), NAMES_HUB,
                            errors);
    module->device_id = device_id == NULL ? config->hub.device_id : device_id;
    file = config_text(source_key(source, node, CONFIG_MODULE, "connection_string_file"), NULL);
    if (file == NULL)
        return 0;
    module->connection_string_file = source_path(source, file);
    return module->connection_string_file == NULL ? -ENOMEM : 0;
}

/* "module" in a device may only be null. */
static bool wants_module(const struct config *config, size_t device, struct config_errors *errors)
{
    const cJSON *wish = source_member(config->source->device_sources[device].node, "module");
    char is[KIND_TEXT_MAX];

    if (wish != NULL && !cJSON_IsNull(wish) && !keys_is_secret(wish))
        config_error(errors, wish,
                     "is %s, write null for none; which devices a module holds stands in the "
                     "file's \"modules\"",
                     kind_describe(wish, is));
    return !cJSON_IsNull(wish);
}

/* A module of the device's own name, unless another has that name. */
static void add_own_module(struct config *config, size_t device, const cJSON *section,
                           struct config_errors *errors)
{
    struct config_source *source = config->source;
    const char *name = source->devices[device].name;
    const cJSON *other = source_member(section, name);
    char quoted[TEXT_QUOTED_MAX];
    size_t module = config->module_count;

    if (other != NULL) {
        if (cJSON_IsObject(other))
            config_error(errors, other,
                         "device %s has a module of this name: add the device to \"devices\" here, "
                         "or name this module otherwise",
                         text_quote(quoted, name));
        return;
    }
    source->modules[module].name = name;
    source->modules[module].device_id = config->hub.device_id;
    source->modules[module].devices =
        source->module_devices +
        (module == 0 ? 0
                     : (size_t)(source->modules[module - 1].devices - source->module_devices) +
                           source->modules[module - 1].device_count);
    source->modules[module].device_count = 0;
    config->module_count++;
    join(config, module, device, NULL, errors);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int count_per_device(const struct config *config, struct config_errors *errors)
{
    const char **ids = calloc(config->module_count + 1, sizeof *ids);
    const cJSON *root = config->source->root;
    const cJSON *section = source_member(root, "modules");
    char quoted[TEXT_QUOTED_MAX];
    size_t first = 0;

    if (ids == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->module_count; i++)
        ids[i] = config->modules[i].device_id;
    qsort(ids, config->module_count, sizeof *ids, compare_texts);
    for (size_t i = 1; i <= config->module_count; i++) {
        if (i < config->module_count && strcmp(ids[i], ids[first]) == 0)
            continue;
        if (i - first > MODULES_PER_DEVICE_MAX)
            config_error_key(errors, section != NULL ? section : source_member(root, "devices"),
                             "%zu modules on hub device %s, IoT Hub allows %d: put several devices "
                             "into one module, or give some modules another \"device_id\"",
                             i - first, text_quote(quoted, ids[first]), MODULES_PER_DEVICE_MAX);
        first = i;
    }
    free(ids);
    return 0;
}

static int build_named(struct config *config, const cJSON *section, struct config_errors *errors)
{
    struct config_source *source = config->source;
    size_t used = 0;
    int rc = 0;

    for (const cJSON *node = source_first(section); node != NULL && rc == 0; node = node->next) {
        size_t index = config->module_count;

        if (!cJSON_IsObject(node))
            continue;
        source->modules[index].devices = source->module_devices + used;
        config->module_count++;
        rc = build_module(config, index, node, errors);
        used += source->modules[index].device_count;
    }
    return rc;
}

int build_modules(struct config *config, struct config_errors *errors)
{
    struct config_source *source = config->source;
    const cJSON *section = source_section(source, "modules", errors);
    size_t named = source_count_objects(section, errors);
    int rc;

    source->modules = calloc(named + config->device_count + 1, sizeof *source->modules);
    source->module_devices = calloc(config->device_count + 1, sizeof *source->module_devices);
    if (source->modules == NULL || source->module_devices == NULL)
        return -ENOMEM;
    config->modules = source->modules;
    rc = build_named(config, section, errors);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < config->device_count; i++) {
        if (wants_module(config, i, errors) && config->devices[i].module == CONFIG_NO_MODULE)
            add_own_module(config, i, section, errors);
    }
    return count_per_device(config, errors);
}
