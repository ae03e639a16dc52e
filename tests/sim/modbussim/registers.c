/* Register maps of the units at one address. Nothing here can fail but memory: which addresses
 * there are is known from the mapping file before the first request. */
#include "tests/sim/modbussim/registers.h"

#include <errno.h>
#include <stdlib.h>

enum { TABLES = 4, UNITS = 256 };

struct registers {
    struct registers_unit units[UNITS];
};

/* First and one behind the last address of each table that the tags of a unit cover. */
struct extent {
    unsigned start[TABLES];
    unsigned end[TABLES]; /* 0 = no tag in this table */
};

static void widen(struct extent *extent, const struct modbus_device *device)
{
    for (size_t i = 0; i < device->tag_count; i++) {
        const struct modbus_tag *tag = &device->tags[i];
        unsigned end = (unsigned)tag->address + tag->count;

        if (extent->end[tag->table] == 0 || tag->address < extent->start[tag->table])
            extent->start[tag->table] = tag->address;
        if (end > extent->end[tag->table])
            extent->end[tag->table] = end;
    }
}

static unsigned width(const struct extent *extent, enum modbus_table table)
{
    return extent->end[table] - extent->start[table];
}

int registers_new(struct registers **out, const struct modbus_connection *const *connections,
                  size_t count)
{
    struct extent *extents = calloc(UNITS, sizeof *extents);
    bool present[UNITS] = { false };
    struct registers *registers = calloc(1, sizeof *registers);

    if (extents == NULL || registers == NULL)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < connections[i]->device_count; j++) {
            widen(&extents[connections[i]->devices[j].unit_id], &connections[i]->devices[j]);
            present[connections[i]->devices[j].unit_id] = true;
        }
    }
    for (size_t id = 0; id < UNITS; id++) {
        const struct extent *e = &extents[id];

        if (!present[id])
            continue;
        registers->units[id].map = modbus_mapping_new_start_address(
            e->start[MODBUS_TABLE_COIL], width(e, MODBUS_TABLE_COIL),
            e->start[MODBUS_TABLE_DISCRETE], width(e, MODBUS_TABLE_DISCRETE),
            e->start[MODBUS_TABLE_HOLDING], width(e, MODBUS_TABLE_HOLDING),
            e->start[MODBUS_TABLE_INPUT], width(e, MODBUS_TABLE_INPUT));
        if (registers->units[id].map == NULL)
            goto fail;
    }
    free(extents);
    *out = registers;
    return 0;

fail:
    free(extents);
    registers_free(registers);
    return -ENOMEM;
}

void registers_free(struct registers *registers)
{
    if (registers == NULL)
        return;
    for (size_t id = 0; id < UNITS; id++)
        modbus_mapping_free(registers->units[id].map);
    free(registers);
}

struct registers_unit *registers_unit(struct registers *registers, uint8_t unit_id)
{
    return &registers->units[unit_id];
}

/* Where a tag of the bit tables lies. */
static uint8_t *bit_of(const modbus_mapping_t *map, const struct modbus_tag *tag)
{
    if (tag->table == MODBUS_TABLE_COIL)
        return &map->tab_bits[tag->address - map->start_bits];
    return &map->tab_input_bits[tag->address - map->start_input_bits];
}

/* Where the first register of a tag of the register tables lies. */
static uint16_t *word_of(const modbus_mapping_t *map, const struct modbus_tag *tag)
{
    if (tag->table == MODBUS_TABLE_HOLDING)
        return &map->tab_registers[tag->address - map->start_registers];
    return &map->tab_input_registers[tag->address - map->start_input_registers];
}

void registers_read(const modbus_mapping_t *map, const struct modbus_tag *tag, uint8_t *raw)
{
    if (mapping_is_bits(tag->table)) {
        raw[0] = *bit_of(map, tag);
        return;
    }
    for (size_t i = 0; i < tag->count; i++) {
        raw[2 * i] = (uint8_t)(word_of(map, tag)[i] >> 8);
        raw[2 * i + 1] = (uint8_t)word_of(map, tag)[i];
    }
}

void registers_write(modbus_mapping_t *map, const struct modbus_tag *tag, const uint8_t *raw)
{
    if (mapping_is_bits(tag->table)) {
        *bit_of(map, tag) = raw[0];
        return;
    }
    for (size_t i = 0; i < tag->count; i++)
        word_of(map, tag)[i] = (uint16_t)(raw[2 * i] << 8 | raw[2 * i + 1]);
}
