/* The tree of a mapping file becomes structs: connections, templates, devices.
 *
 * Every object is checked where it stands (keys, kinds, names), then what is good in it is taken. A
 * part that is wrong is reported and left at its default, so that one run tells everything. Failure
 * mode: no memory. */
#include "config/source.h"

#include "config/kinds.h"
#include "config/text.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- connections ---- */

static const struct config_adapter *adapter_of(const struct config_source *source,
                                               const char *transport)
{
    for (size_t i = 0; source->adapters[i] != NULL; i++) {
        for (size_t j = 0; source->adapters[i]->transports[j] != NULL; j++) {
            if (strcmp(source->adapters[i]->transports[j], transport) == 0)
                return source->adapters[i];
        }
    }
    return NULL;
}

static void list_transports(const struct config_source *source, char *out, size_t size)
{
    size_t used = 0;

    out[0] = 0;
    for (size_t i = 0; source->adapters[i] != NULL; i++) {
        for (size_t j = 0; source->adapters[i]->transports[j] != NULL && used < size; j++)
            used += (size_t)snprintf(out + used, size - used, "%s\"%s\"", used == 0 ? "" : ", ",
                                     source->adapters[i]->transports[j]);
    }
}

static void build_connection(struct config *config, size_t index, const cJSON *node,
                             struct config_errors *errors)
{
    struct config_source *source = config->source;
    struct config_connection *connection = &source->connections[index];
    const cJSON *transport = source_key(source, node, CONFIG_CONNECTION, "transport");
    char known[TEXT_QUOTED_MAX], quoted[TEXT_QUOTED_MAX];
    struct keys keys = { source->adapters, NULL };

    source->connection_nodes[index] = node;
    connection->name = node->string;
    connection->transport = config_text(transport, "");
    connection->adapter = adapter_of(source, connection->transport);
    connection->enabled = config_bool(config_connection_key(config, index, "enabled"), true);
    keys.only = connection->adapter;
    source_check_name(NAMES_PLAIN, node, "connection", errors);
    keys_check(&keys, CONFIG_CONNECTION, node, errors);
    list_transports(source, known, sizeof known);
    if (source_member(node, "transport") == NULL)
        config_error(errors, node, "\"transport\" is missing, write one of %s", known);
    else if (transport != NULL && connection->adapter == NULL)
        config_error(errors, transport, "there is no transport %s, write one of %s",
                     text_quote(quoted, connection->transport), known);
}

static int build_connections(struct config *config, struct config_errors *errors)
{
    struct config_source *source = config->source;
    const cJSON *section = source_section(source, "connections", errors);
    size_t count = source_count_objects(section, errors), index = 0;

    if (source_member(source->root, "connections") == NULL)
        config_error(errors, source->root,
                     "\"connections\" is missing, write \"connections\": "
                     "{ \"NAME\": { \"transport\": ... } }");
    else if (section != NULL && section->child == NULL)
        config_error(errors, section,
                     "names no connection, write \"NAME\": "
                     "{ \"transport\": ... }");
    source->connections = calloc(count + 1, sizeof *source->connections);
    source->connection_nodes = calloc(count + 1, sizeof(const cJSON *));
    if (source->connections == NULL || source->connection_nodes == NULL)
        return -ENOMEM;
    config->connections = source->connections;
    config->connection_count = count;
    for (const cJSON *node = source_first(section); node != NULL; node = node->next) {
        if (cJSON_IsObject(node))
            build_connection(config, index++, node, errors);
    }
    return 0;
}

/* Gives every connection the list of its devices. */
static int build_lines(struct config *config, struct config_errors *errors)
{
    struct config_source *source = config->source;
    size_t used = 0;

    source->connection_devices = calloc(config->device_count + 1, sizeof(size_t));
    if (source->connection_devices == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->device_count; i++) {
        if (config->devices[i].connection != SIZE_MAX)
            source->connections[config->devices[i].connection].device_count++;
    }
    for (size_t i = 0; i < config->connection_count; i++) {
        source->connections[i].devices = source->connection_devices + used;
        used += source->connections[i].device_count;
        if (source->connections[i].device_count == 0)
            config_warning(errors, source->connection_nodes[i], "no device uses this connection");
        source->connections[i].device_count = 0;
    }
    for (size_t i = 0; i < config->device_count; i++) {
        struct config_connection *line;

        if (config->devices[i].connection == SIZE_MAX)
            continue;
        line = &source->connections[config->devices[i].connection];
        source->connection_devices[(size_t)(line->devices - source->connection_devices) +
                                   line->device_count++] = i;
    }
    return 0;
}

/* ---- templates and devices ---- */

/* The object "tags" of a template or a device; `nulls`: a tag may be null. */
static void check_tags(const struct config_source *source, const cJSON *owner,
                       const struct config_adapter *adapter, bool nulls,
                       struct config_errors *errors)
{
    const struct keys keys = { source->adapters, adapter };
    const cJSON *tags = source_member(owner, "tags");
    char is[KIND_TEXT_MAX];

    if (tags == NULL || keys_is_secret(tags))
        return;
    if (!cJSON_IsObject(tags)) {
        config_error(errors, tags, "is %s, write an object { ... }", kind_describe(tags, is));
        return;
    }
    for (const cJSON *tag = tags->child; tag != NULL; tag = tag->next) {
        if (keys_is_secret(tag))
            continue;
        source_check_name(NAMES_TAG, tag, "tag", errors);
        if (cJSON_IsObject(tag))
            keys_check(&keys, CONFIG_TAG, tag, errors);
        else if (!nulls && cJSON_IsNull(tag))
            config_error(errors, tag, "is null, which removes a tag in a device only: remove it");
        else if (!cJSON_IsNull(tag))
            config_error(errors, tag, "is %s, write an object { ... }", kind_describe(tag, is));
    }
}

static void check_templates(struct config_source *source, const cJSON *templates,
                            const cJSON *devices, struct config_errors *errors)
{
    const struct keys keys = { source->adapters, NULL };

    source_count_objects(templates, errors);
    for (const cJSON *node = source_first(templates); node != NULL; node = node->next) {
        bool used = false;

        if (!cJSON_IsObject(node))
            continue;
        source_check_name(NAMES_PLAIN, node, "template", errors);
        keys_check(&keys, CONFIG_TEMPLATE, node, errors);
        check_tags(source, node, NULL, false, errors);
        source_require(node, "tags", "{ ... }", errors);
        for (const cJSON *at = source_first(devices); at != NULL && !used; at = at->next)
            used = strcmp(config_text(source_member(at, "template"), ""), node->string) == 0;
        if (!used)
            config_warning(errors, node, "no device uses this template");
    }
}

static size_t find_connection(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->connection_count; i++) {
        if (strcmp(config->connections[i].name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* Who the device belongs to; what is not known stays SIZE_MAX and NULL. */
static void resolve_device(struct config *config, size_t index, const cJSON *templates,
                           struct config_errors *errors)
{
    struct config_source *source = config->source;
    struct source_device *at = &source->device_sources[index];
    const cJSON *connection = source_key(source, at->node, CONFIG_DEVICE, "connection");
    const cJSON *template = source_key(source, at->node, CONFIG_DEVICE, "template");
    size_t found = SIZE_MAX;

    if (connection != NULL) {
        found = find_connection(config, connection->valuestring);
        if (found == SIZE_MAX)
            source_unknown_name(connection, connection->valuestring, "connection",
                                source_member(source->root, "connections"), errors);
    }
    source->devices[index].connection = found;
    if (template == NULL)
        return;
    at->template = source_member(templates, template->valuestring);
    if (at->template == NULL)
        source_unknown_name(template, template->valuestring, "template", templates, errors);
    if (!cJSON_IsObject(at->template))
        at->template = NULL;
}

static int build_device(struct config *config, size_t index, const cJSON *templates,
                        struct config_errors *errors)
{
    struct config_source *source = config->source;
    const cJSON *node = source->device_sources[index].node;
    struct config_device *device = &source->devices[index];
    struct keys keys = { source->adapters, NULL };

    resolve_device(config, index, templates, errors);
    if (device->connection != SIZE_MAX)
        keys.only = config->connections[device->connection].adapter;
    source_check_name(NAMES_PLAIN, node, "device", errors);
    keys_check(&keys, CONFIG_DEVICE, node, errors);
    source_require(node, "connection", "\"NAME\"", errors);
    check_tags(source, node, keys.only, true, errors);

    device->description = config_text(source_key(source, node, CONFIG_DEVICE, "description"), "");
    device->unit_id = (int)config_number(source_key(source, node, CONFIG_DEVICE, "unit_id"), -1);
    device->enabled = config_bool(config_device_key(config, index, "enabled"), true);
    device->module = CONFIG_NO_MODULE;
    return build_tags(config, index, errors);
}

static int by_device_name(const void *a, const void *b, void *data)
{
    const struct config_device *devices = data;

    return strcmp(devices[*(const size_t *)a].name, devices[*(const size_t *)b].name);
}

static int allocate_devices(struct config *config, size_t count)
{
    struct config_source *source = config->source;

    source->devices = calloc(count + 1, sizeof *source->devices);
    source->device_sources = calloc(count + 1, sizeof *source->device_sources);
    source->devices_by_name = calloc(count + 1, sizeof *source->devices_by_name);
    if (source->devices == NULL || source->device_sources == NULL ||
        source->devices_by_name == NULL)
        return -ENOMEM;
    config->devices = source->devices;
    config->device_count = count;
    return 0;
}

static int build_devices(struct config *config, struct config_errors *errors)
{
    struct config_source *source = config->source;
    const cJSON *section = source_section(source, "devices", errors);
    const cJSON *templates = source_section(source, "templates", errors);
    size_t count = source_count_objects(section, errors), index = 0;
    int rc = allocate_devices(config, count);

    if (source_member(source->root, "devices") == NULL)
        config_error(errors, source->root,
                     "\"devices\" is missing, write \"devices\": "
                     "{ \"NAME\": { \"connection\": ... } }");
    else if (section != NULL && section->child == NULL)
        config_error(errors, section,
                     "names no device, write \"NAME\": "
                     "{ \"connection\": ... }");
    check_templates(source, templates, section, errors);
    for (const cJSON *node = source_first(section); node != NULL && rc == 0; node = node->next) {
        if (!cJSON_IsObject(node))
            continue;
        source->device_sources[index].node = node;
        source->devices[index].name = node->string;
        source->devices_by_name[index] = index;
        rc = build_device(config, index++, templates, errors);
    }
    if (rc == 0)
        qsort_r(source->devices_by_name, count, sizeof(size_t), by_device_name, source->devices);
    return rc;
}

int build_config(struct config *config, struct config_errors *errors)
{
    int rc;

    keys_check_secrets(config->source->root, errors);
    rc = build_file(config, errors);
    if (rc == 0)
        rc = build_hub(config, errors);
    if (rc == 0)
        build_status(config, errors);
    if (rc == 0)
        rc = build_connections(config, errors);
    if (rc == 0)
        rc = build_devices(config, errors);
    if (rc == 0)
        rc = build_lines(config, errors);
    if (rc == 0)
        rc = build_modules(config, errors);
    return rc;
}
