/* Tags -> blocks: which reads cover all tags of one device with the fewest requests. Pure.
 *
 * A block is one read of one table for tags of one poll interval. It starts and ends on mapped
 * addresses, never splits a value, keeps max_registers / max_bits, and bridges at most max_gap unmapped
 * addresses between neighbours. Tags may overlap. Every readable tag is in exactly one block; tags with
 * access w are in none. */
#pragma once

#include "adapters/modbus/mapping.h"
#include "adapters/modbus/pdu.h"

#include <stddef.h>
#include <stdint.h>

struct plan_block {
    enum modbus_table table;
    uint16_t start; /* protocol address */
    uint16_t count; /* registers or bits */
    uint32_t poll_interval_ms;
    const size_t *tags; /* indices into the device's tags, by address; owned by the plan */
    size_t tag_count;   /* at least 1 */
};

struct plan {
    const struct modbus_device *device;
    struct plan_block *blocks;
    size_t block_count;
    size_t block_max; /* there will never be more blocks than this: the number of readable tags */
    size_t *tags;
};

/* Plans all readable tags of a device, which must outlive the plan. 0, -ENOMEM. */
int plan_new(struct plan **out, const struct modbus_device *device);
void plan_free(struct plan *plan); /* NULL is fine */

/* Divides a block that the device refused (exception 2 or 3), so that one bad address does not cost its
 * neighbours their values: at the widest unmapped gap, without one in the middle. blocks[block] keeps
 * the lower part under its index, *added is the index of the upper part, a new last block; no other
 * index changes. Asking both parts again at once, and dividing what is refused again, isolates the bad
 * tag within one cycle (about 2 x log2 n requests). 0; -ENOENT: its tags all cover the same addresses,
 * so there is nothing to divide and they are bad. Never allocates. */
int plan_split(struct plan *plan, size_t block, size_t *added);

/* The request that reads a block, or the addresses of one tag. 0, or -EINVAL as pdu_read. */
int plan_read_block(struct pdu *out, const struct plan_block *block);
int plan_read_tag(struct pdu *out, const struct modbus_tag *tag);

/* The request that writes a tag's raw (codec_encode): function 5 for a coil, 6 for one register, 16 for
 * several. -EINVAL: a table or a bit that cannot be written. */
int plan_write_tag(struct pdu *out, const struct modbus_tag *tag, const uint8_t *raw);
