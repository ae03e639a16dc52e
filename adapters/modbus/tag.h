/* One tag of the mapping file: its Modbus keys read and checked. Private to mapping.c, whose other half
 * it is. Pure. */
#pragma once

#include "adapters/modbus/mapping.h"

#include <stdbool.h>
#include <stddef.h>

/* One way through the mapping file; it serves the check and, silently, the keeping of what was checked. */
struct reading {
    const struct config *config;
    struct config_errors *errors; /* NULL: silent */
    bool failed;                  /* there was a mistake */
};

/* A mistake, unless the reading is silent. A macro, so that the format is checked where it stands. */
#define MISTAKE(reading, node, ...)                                                                \
    do {                                                                                           \
        (reading)->failed = true;                                                                  \
        if ((reading)->errors != NULL)                                                             \
            config_error((reading)->errors, (node), __VA_ARGS__);                                  \
    } while (0)

#define WARNING(reading, node, ...)                                                                \
    do {                                                                                           \
        if ((reading)->errors != NULL)                                                             \
            config_warning((reading)->errors, (node), __VA_ARGS__);                                \
    } while (0)

/* The choices of "table", "type" and "byte_order", in the order of the enums; NULL-terminated. */
extern const char *const tag_tables[];
extern const char *const tag_types[];
extern const char *const tag_orders[];

/* Reads tag `index` of config->devices[device->index], telling every mistake. `device` has its index and
 * limits, its tags are not looked at. False: there is nothing to go on with, *out is untouched. True:
 * *out is set, though reading->failed may be. */
bool tag_read(struct reading *reading, const struct modbus_device *device, size_t index,
              struct modbus_tag *out);

/* Sets what the bridge must know of the tag: type, decimals, raw_step, lowest, highest. */
void tag_complete(struct config_tag *out, const struct modbus_tag *tag);
