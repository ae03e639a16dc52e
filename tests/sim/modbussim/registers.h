/* The registers of all units that answer at one address: one libmodbus map per unit id, as wide as
 * the mapping file's tags reach. What lies between mapped addresses reads as 0. */
#pragma once

#include "adapters/modbus/mapping.h"
#include "tests/sim/modbussim/fault.h"

#include <modbus.h>

#include <stdint.h>

struct registers;

struct registers_unit {
    modbus_mapping_t *map; /* NULL: no such unit here */
    struct fault fault;    /* how it misbehaves now */
    uint64_t asked;        /* whole requests */
    uint64_t faulty;       /* answers that a fault spoiled, delayed or swallowed */
};

/* The units of `count` connections, whose mapping must outlive the call only. Devices with one unit
 * id share a map. 0, -ENOMEM. */
int registers_new(struct registers **out, const struct modbus_connection *const *connections,
                  size_t count);
void registers_free(struct registers *registers); /* NULL is fine */

struct registers_unit *registers_unit(struct registers *registers, uint8_t unit_id);

/* A tag's raw (as codec.h means it) in a map that was made for it. */
void registers_read(const modbus_mapping_t *map, const struct modbus_tag *tag, uint8_t *raw);
void registers_write(modbus_mapping_t *map, const struct modbus_tag *tag, const uint8_t *raw);
