/* Looking things up in a mapping file: keys along the resolution order, values, names.
 *
 * A key is looked for in the nodes of a chain, nearest first: device.tags.X, template.tags.X, device,
 * template, connection, file. A node counts only when the key may stand at its level and is of the
 * right kind; everything else was reported when the file was read. Nothing here fails. */
#include "config/config.h"

#include "config/duration.h"
#include "config/kinds.h"
#include "config/locate.h"
#include "config/source.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <string.h>

/* ---- nodes ---- */

const struct cJSON *source_member(const struct cJSON *object, const char *name)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

const struct cJSON *source_first(const struct cJSON *object)
{
    return object == NULL ? NULL : object->child;
}

const struct cJSON *source_key(const struct config_source *source, const struct cJSON *object,
                               unsigned level, const char *name)
{
    const struct keys keys = { source->adapters, NULL };
    const cJSON *node = source_member(object, name);
    const struct config_key *key = node == NULL ? NULL : keys_find(&keys, level, name);

    if (key == NULL || keys_is_secret(node) || !kind_fits(key, node))
        return NULL;
    return node;
}

const struct cJSON *config_tag_node(const struct config *config, size_t device, size_t tag)
{
    const struct source_tag *nodes;

    assert(device < config->device_count && tag < config->devices[device].tag_count);
    nodes = &config->source->device_sources[device].tag_nodes[tag];
    return nodes->own != NULL ? nodes->own : nodes->from_template;
}

const struct cJSON *config_device_node(const struct config *config, size_t device)
{
    assert(device < config->device_count);
    return config->source->device_sources[device].node;
}

const struct cJSON *config_connection_node(const struct config *config, size_t connection)
{
    assert(connection < config->connection_count);
    return config->source->connection_nodes[connection];
}

/* ---- keys along the chain ---- */

const struct cJSON *config_connection_key(const struct config *config, size_t connection,
                                          const char *key)
{
    const struct config_source *source = config->source;
    const cJSON *node = NULL;

    if (connection < config->connection_count) /* a device's may be unknown */
        node = source_key(source, source->connection_nodes[connection], CONFIG_CONNECTION, key);
    if (node == NULL)
        node = source_key(source, source->root, CONFIG_FILE, key);
    return node;
}

const struct cJSON *config_device_key(const struct config *config, size_t device, const char *key)
{
    const struct config_source *source = config->source;
    const struct source_device *at = &source->device_sources[device];
    const cJSON *node = source_key(source, at->node, CONFIG_DEVICE, key);

    if (node == NULL)
        node = source_key(source, at->template, CONFIG_TEMPLATE, key);
    if (node == NULL)
        node = config_connection_key(config, config->devices[device].connection, key);
    return node;
}

const struct cJSON *config_tag_key(const struct config *config, size_t device, size_t tag,
                                   const char *key)
{
    const struct config_source *source = config->source;
    const struct source_tag *at = &source->device_sources[device].tag_nodes[tag];
    const cJSON *node = source_key(source, at->own, CONFIG_TAG, key);

    if (node == NULL)
        node = source_key(source, at->from_template, CONFIG_TAG, key);
    if (node == NULL)
        node = config_device_key(config, device, key);
    return node;
}

/* ---- values ---- */

double config_number(const struct cJSON *node, double otherwise)
{
    return cJSON_IsNumber(node) ? node->valuedouble : otherwise;
}

bool config_bool(const struct cJSON *node, bool otherwise)
{
    return cJSON_IsBool(node) ? cJSON_IsTrue(node) : otherwise;
}

const char *config_text(const struct cJSON *node, const char *otherwise)
{
    return cJSON_IsString(node) ? node->valuestring : otherwise;
}

uint32_t config_duration_ms(const struct cJSON *node, uint32_t otherwise)
{
    const char *text = config_text(node, NULL);
    uint32_t ms;

    if (text == NULL)
        return otherwise;
    if (strcmp(text, "never") == 0)
        return 0;
    return duration_parse(text, &ms) == 0 ? ms : otherwise;
}

bool config_number_text(const struct config *config, const struct cJSON *node, char *out,
                        size_t size)
{
    const char *text;
    size_t length;

    if (!cJSON_IsNumber(node))
        return false;
    text = locate_text(config->source->locate, node, &length);
    if (text == NULL || length >= size)
        return false;
    memcpy(out, text, length);
    out[length] = 0;
    return true;
}

struct config_tag *config_tag_edit(struct config *config, size_t device, size_t tag)
{
    assert(device < config->device_count && tag < config->devices[device].tag_count);
    return &config->source->device_sources[device].tags[tag];
}

/* ---- names ---- */

size_t config_find_device(const struct config *config, const char *name)
{
    const size_t *order = config->source->devices_by_name;
    size_t low = 0, high = config->device_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int sign = strcmp(config->devices[order[middle]].name, name);

        if (sign == 0)
            return order[middle];
        if (sign < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

size_t config_find_tag(const struct config_device *device, const char *name)
{
    for (size_t i = 0; i < device->tag_count; i++) {
        if (strcmp(device->tags[i].name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}
