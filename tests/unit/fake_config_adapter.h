/* An adapter's part of a mapping file, for tests of config/: a few keys, two transports, and a check that
 * asks for an address and tells each tag's type. */
#pragma once

#include "config/config.h"

#include <stddef.h>

static const char *const fake_transports[] = { "fake", "fake_serial", NULL };
static const char *const fake_types[] = { "int16", "float32", "bool", NULL };

static const struct config_key fake_keys[] = {
    { "address_base", CONFIG_FILE, CONFIG_INTEGER, 0, 1, NULL },
    { "host", CONFIG_CONNECTION, CONFIG_TEXT, 0, 0, NULL },
    { "port", CONFIG_CONNECTION, CONFIG_INTEGER, 1, 65535, NULL },
    { "response_timeout", CONFIG_LINE, CONFIG_DURATION, 10, 60000, NULL },
    { "byte_order", CONFIG_ANYWHERE, CONFIG_TEXT, 0, 0, NULL },
    { "address", CONFIG_TAG, CONFIG_ANY, 0, 0, NULL },
    { "type", CONFIG_TAG, CONFIG_CHOICE, 0, 0, fake_types },
    { "scale", CONFIG_TAG, CONFIG_NUMBER, 0, 0, NULL },
    { NULL, 0, CONFIG_ANY, 0, 0, NULL },
};

static void fake_check(struct config *config, size_t connection, struct config_errors *errors)
{
    const struct config_connection *line = &config->connections[connection];

    for (size_t i = 0; i < line->device_count; i++) {
        size_t device = line->devices[i];

        for (size_t tag = 0; tag < config->devices[device].tag_count; tag++) {
            if (config_tag_key(config, device, tag, "address") == NULL)
                config_error(errors, config_tag_node(config, device, tag),
                             "\"address\" is missing, write \"address\": 0");
            config_tag_edit(config, device, tag)->type = VALUE_FLOAT;
        }
    }
}

static const struct config_adapter fake_adapter = { "fake", fake_transports, fake_keys,
                                                    fake_check };
static const struct config_adapter *const fake_adapters[] = { &fake_adapter, NULL };
