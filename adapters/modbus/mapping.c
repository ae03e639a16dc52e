/* The Modbus part of the mapping file.
 *
 * Happy path: config_load calls check for every Modbus connection, which reads each device and tag into
 * the structs of mapping.h, tells every mistake with what to write instead, and completes the tags
 * (type, decimals, step, range); mapping_read later reads the same again and keeps it.
 * Fails on what the operator wrote, never by crashing: a key of the wrong kind was reported by config/
 * and counts as absent here.
 *
 * One reading serves both: a `reading` without errors is silent and only remembers that something was
 * wrong. */
#include "adapters/modbus/mapping.h"

#include "adapters/modbus/pdu.h"
#include "adapters/modbus/tag.h"
#include "config/names.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000 };

static const char *const transports[] = { "tcp", NULL };

static const struct config_key keys[] = {
    { "address_base", CONFIG_FILE, CONFIG_INTEGER, 0, 65535, NULL },

    { "host", CONFIG_CONNECTION, CONFIG_TEXT, 0, 0, NULL },
    { "port", CONFIG_CONNECTION, CONFIG_INTEGER, 1, 65535, NULL },
    { "connect_timeout", CONFIG_CONNECTION, CONFIG_DURATION, 1, HOUR_MS, NULL },
    { "connect_delay", CONFIG_CONNECTION, CONFIG_DURATION, 0, HOUR_MS, NULL },
    { "request_delay", CONFIG_CONNECTION, CONFIG_DURATION, 0, HOUR_MS, NULL },

    { "response_timeout", CONFIG_LINE, CONFIG_DURATION, 1, HOUR_MS, NULL },
    { "read_retries", CONFIG_LINE, CONFIG_INTEGER, 0, 100, NULL },
    { "write_retries", CONFIG_LINE, CONFIG_INTEGER, 0, 100, NULL },
    { "offline_after", CONFIG_LINE, CONFIG_INTEGER, 1, 1000, NULL },
    { "backoff_min", CONFIG_LINE, CONFIG_DURATION, 10, 24 * HOUR_MS, NULL },
    { "backoff_max", CONFIG_LINE, CONFIG_DURATION, 10, 24 * HOUR_MS, NULL },
    { "max_registers", CONFIG_LINE, CONFIG_INTEGER, 1, PDU_READ_REGISTERS_MAX, NULL },
    { "max_bits", CONFIG_LINE, CONFIG_INTEGER, 1, PDU_READ_BITS_MAX, NULL },
    { "max_gap", CONFIG_LINE, CONFIG_INTEGER, 0, PDU_READ_BITS_MAX, NULL },

    { "byte_order", CONFIG_ANYWHERE, CONFIG_CHOICE, 0, 0, tag_orders },

    { "table", CONFIG_TAG, CONFIG_CHOICE, 0, 0, tag_tables },
    { "address", CONFIG_TAG, CONFIG_ANY, 0, 0, NULL },
    { "type", CONFIG_TAG, CONFIG_CHOICE, 0, 0, tag_types },
    { "bit", CONFIG_TAG, CONFIG_INTEGER, 0, 15, NULL },
    { "scale", CONFIG_TAG, CONFIG_NUMBER, 0, 0, NULL },
    { "offset", CONFIG_TAG, CONFIG_NUMBER, 0, 0, NULL },
    { "decimals", CONFIG_TAG, CONFIG_INTEGER, 0, 15, NULL },
    { NULL, 0, CONFIG_ANY, 0, 0, NULL },
};

static void read_unit_id(struct reading *reading, struct modbus_device *out)
{
    const struct config_device *device = &reading->config->devices[out->index];
    const cJSON *node = config_device_node(reading->config, out->index);

    if (device->unit_id < 0 && cJSON_GetObjectItemCaseSensitive(node, "unit_id") == NULL)
        MISTAKE(
            reading, node,
            "\"unit_id\" is missing, write 0 to 255 (1 or 255 when the device has an address of "
            "its own)");
    else if (device->unit_id > UINT8_MAX)
        MISTAKE(reading, config_device_key(reading->config, out->index, "unit_id"),
                "%d is no unit id, write 0 to 255", device->unit_id);
    else
        out->unit_id = (uint8_t)(device->unit_id < 0 ? 0 : device->unit_id);
}

/* Everything of a device but its tags. */
static void read_device(struct reading *reading, size_t index, struct modbus_device *out)
{
    const struct config *config = reading->config;
    const struct config_device *device = &config->devices[index];

    *out = (struct modbus_device){
        .index = index,
        .name = device->name,
        .enabled = device->enabled,
        .tag_count = device->tag_count,
    };
#define DURATION(key, otherwise)                                                                   \
    config_duration_ms(config_device_key(config, index, key), otherwise)
#define NUMBER(key, otherwise) config_number(config_device_key(config, index, key), otherwise)
    out->response_timeout_ms = DURATION("response_timeout", 1000);
    out->backoff_min_ms = DURATION("backoff_min", 1000);
    out->backoff_max_ms = DURATION("backoff_max", 30 * 1000);
    out->read_retries = (uint32_t)NUMBER("read_retries", 1);
    out->write_retries = (uint32_t)NUMBER("write_retries", 1);
    out->offline_after = (uint32_t)NUMBER("offline_after", 3);
    out->max_registers = (uint16_t)NUMBER("max_registers", PDU_READ_REGISTERS_MAX);
    out->max_bits = (uint16_t)NUMBER("max_bits", PDU_READ_BITS_MAX);
    out->max_gap = (uint16_t)NUMBER("max_gap", 0);
#undef DURATION
#undef NUMBER
    read_unit_id(reading, out);
    if (out->backoff_min_ms > out->backoff_max_ms) {
        const cJSON *node = config_device_key(config, index, "backoff_max");

        MISTAKE(
            reading, node != NULL ? node : config_device_key(config, index, "backoff_min"),
            "\"backoff_min\" is %u ms and \"backoff_max\" %u ms, write a maximum that is larger",
            out->backoff_min_ms, out->backoff_max_ms);
    }
}

/* A name, an IPv4 or an IPv6 address; with two colons it is not meant to be HOST:PORT. */
static bool is_host(const char *text)
{
    const char *end = text + strspn(text, "0123456789abcdefABCDEF:.");

    return names_is_valid(NAMES_HOST, text) ||
           (strchr(text, ':') != strrchr(text, ':') && (*end == '\0' || *end == '%'));
}

static void check_host(struct reading *reading, const cJSON *node, const cJSON *connection)
{
    const char *host = config_text(node, NULL);
    char repaired[NAMES_LENGTH_MAX + 1];

    if (host == NULL) {
        /* one of the wrong kind is there: config/ complained already */
        if (cJSON_GetObjectItemCaseSensitive(connection, "host") == NULL)
            MISTAKE(reading, connection,
                    "\"host\" is missing, write a name or address (\"192.0.2.10\")");
    } else if (!is_host(host)) {
        names_repair(NAMES_HOST, host, repaired);
        MISTAKE(
            reading, node,
            "is \"%s\", but must be a name or address alone, the port is a key of its own: write "
            "\"%s\"",
            host, repaired[0] != '\0' ? repaired : "192.0.2.10");
    }
}

static void read_connection(struct reading *reading, size_t index, struct modbus_connection *out)
{
    const struct config *config = reading->config;
    const struct config_connection *connection = &config->connections[index];
    const cJSON *node = config_connection_node(config, index);

    *out = (struct modbus_connection){
        .index = index,
        .name = connection->name,
        .transport = MODBUS_TRANSPORT_TCP,
        .device_count = connection->device_count,
    };
#define KEY(key) config_connection_key(config, index, key)
    out->host = config_text(KEY("host"), NULL);
    out->port = (uint16_t)config_number(KEY("port"), 502);
    out->connect_timeout_ms = config_duration_ms(KEY("connect_timeout"), 3000);
    out->connect_delay_ms = config_duration_ms(KEY("connect_delay"), 0);
    out->request_delay_ms = config_duration_ms(KEY("request_delay"), 0);
    check_host(reading, KEY("host"), node);
#undef KEY
}

/* ---- the check ---- */

static void check_tags(struct config *config, struct reading *reading,
                       const struct modbus_device *device)
{
    struct modbus_tag tag;

    for (size_t i = 0; i < device->tag_count; i++)
        if (tag_read(reading, device, i, &tag))
            tag_complete(config_tag_edit(config, device->index, i), &tag);
}

/* Two devices may be parts of one unit, but more often a unit_id was copied with the line above. */
static void check_twice(struct reading *reading, const struct modbus_device *device,
                        const char *owners[UINT8_MAX + 1])
{
    const char **owner = &owners[device->unit_id];

    if (reading->config->devices[device->index].unit_id < 0)
        return;
    if (*owner != NULL)
        WARNING(reading, config_device_key(reading->config, device->index, "unit_id"),
                "the same unit as device %s on the same connection", *owner);
    else
        *owner = device->name;
}

static void check(struct config *config, size_t connection, struct config_errors *errors)
{
    struct reading reading = { .config = config, .errors = errors };
    struct modbus_connection line;
    struct modbus_device device;
    const char *owners[UINT8_MAX + 1] = { NULL };

    read_connection(&reading, connection, &line);
    for (size_t i = 0; i < line.device_count; i++) {
        read_device(&reading, config->connections[connection].devices[i], &device);
        check_twice(&reading, &device, owners);
        check_tags(config, &reading, &device);
    }
}

const struct config_adapter modbus_mapping = {
    .name = "modbus",
    .transports = transports,
    .keys = keys,
    .check = check,
};

/* ---- afterwards ---- */

static int keep_tags(struct reading *reading, struct modbus_device *device)
{
    device->tags = calloc(device->tag_count > 0 ? device->tag_count : 1, sizeof *device->tags);
    if (device->tags == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < device->tag_count; i++)
        if (!tag_read(reading, device, i, &device->tags[i]))
            return -EINVAL;
    return 0;
}

static int keep_devices(struct reading *reading, struct modbus_connection *line)
{
    const size_t *indices = reading->config->connections[line->index].devices;
    int rc = 0;

    line->devices = calloc(line->device_count > 0 ? line->device_count : 1, sizeof *line->devices);
    if (line->devices == NULL)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < line->device_count; i++) {
        read_device(reading, indices[i], &line->devices[i]);
        rc = keep_tags(reading, &line->devices[i]);
    }
    return rc;
}

int mapping_read(struct modbus_connection **out, const struct config *config, size_t connection)
{
    struct reading reading = { .config = config };
    struct modbus_connection *line;
    int rc;

    if (config->connections[connection].adapter != &modbus_mapping)
        return -EINVAL;
    line = calloc(1, sizeof *line);
    if (line == NULL)
        return -ENOMEM;
    read_connection(&reading, connection, line);
    rc = keep_devices(&reading, line);
    if (rc == 0 && reading.failed)
        rc = -EINVAL;
    if (rc != 0) {
        mapping_free(line);
        return rc;
    }
    *out = line;
    return 0;
}

void mapping_free(struct modbus_connection *connection)
{
    if (connection == NULL)
        return;
    for (size_t i = 0; connection->devices != NULL && i < connection->device_count; i++)
        free(connection->devices[i].tags);
    free(connection->devices);
    free(connection);
}
