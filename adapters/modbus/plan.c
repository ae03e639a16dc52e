/* Tags -> blocks.
 *
 * Happy path: the readable tags are sorted by table, poll interval and address, then one pass grows each
 * block until the next tag belongs to another table or interval, lies behind too wide a gap, or would
 * make the block too large. The sorted indices stay; a block is a slice of them, so that dividing one
 * later only cuts its slice in two.
 * Fails only without memory, in plan_new. */
#include "adapters/modbus/plan.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t tag_end(const struct modbus_tag *tag)
{
    return (uint32_t)tag->address + tag->count;
}

static uint32_t block_end(const struct plan_block *block)
{
    return (uint32_t)block->start + block->count;
}

static int compare(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int compare_tags(const void *a, const void *b, void *all)
{
    const struct modbus_tag *tags = all;
    size_t ia = *(const size_t *)a, ib = *(const size_t *)b;
    const struct modbus_tag *ta = &tags[ia], *tb = &tags[ib];
    int order = compare(ta->table, tb->table);

    if (order == 0)
        order = compare(ta->poll_interval_ms, tb->poll_interval_ms);
    if (order == 0)
        order = compare(ta->address, tb->address);
    if (order == 0)
        order = compare(ta->count, tb->count);
    return order != 0 ? order : (ia > ib) - (ia < ib);
}

static bool fits(const struct plan *plan, const struct plan_block *block,
                 const struct modbus_tag *tag)
{
    const struct modbus_device *device = plan->device;
    uint32_t max = mapping_is_bits(tag->table) ? device->max_bits : device->max_registers;

    return tag->table == block->table && tag->poll_interval_ms == block->poll_interval_ms &&
           tag->address <= block_end(block) + device->max_gap && tag_end(tag) - block->start <= max;
}

static struct plan_block block_of(const struct modbus_tag *tag, const size_t *place)
{
    return (struct plan_block){
        .table = tag->table,
        .start = tag->address,
        .count = tag->count,
        .poll_interval_ms = tag->poll_interval_ms,
        .tags = place,
        .tag_count = 1,
    };
}

/* Lengthens a block by the tag that follows it in the order. */
static void extend(struct plan_block *block, const struct modbus_tag *tag)
{
    if (tag_end(tag) > block_end(block))
        block->count = (uint16_t)(tag_end(tag) - block->start);
    block->tag_count++;
}

static void add_tag(struct plan *plan, const size_t *place)
{
    const struct modbus_tag *tag = &plan->device->tags[*place];
    struct plan_block *next = &plan->blocks[plan->block_count];

    if (plan->block_count > 0 && fits(plan, next - 1, tag)) {
        extend(next - 1, tag);
        return;
    }
    *next = block_of(tag, place);
    plan->block_count++;
}

static void gather(struct plan *plan)
{
    const struct modbus_device *device = plan->device;

    plan->block_max = 0;
    for (size_t i = 0; i < device->tag_count; i++)
        if ((device->tags[i].access & CONFIG_READ) != 0)
            plan->tags[plan->block_max++] = i;
}

int plan_new(struct plan **out, const struct modbus_device *device)
{
    struct plan *plan;
    size_t room = device->tag_count > 0 ? device->tag_count : 1;

    plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return -ENOMEM;
    plan->device = device;
    plan->tags = calloc(room, sizeof *plan->tags);
    plan->blocks = calloc(room, sizeof *plan->blocks);
    if (plan->tags == NULL || plan->blocks == NULL) {
        plan_free(plan);
        return -ENOMEM;
    }
    gather(plan);
    qsort_r(plan->tags, plan->block_max, sizeof *plan->tags, compare_tags, device->tags);
    for (size_t i = 0; i < plan->block_max; i++)
        add_tag(plan, &plan->tags[i]);
    *out = plan;
    return 0;
}

void plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->blocks);
    free(plan->tags);
    free(plan);
}

static bool same_addresses(const struct modbus_tag *a, const struct modbus_tag *b)
{
    return a->address == b->address && a->count == b->count;
}

static size_t distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}

/* Where to cut: before the tag that lies farthest behind all tags before it (overlapping ones have a
 * negative gap), of equals before the one nearest to the middle. 0: nowhere. */
static size_t cut(const struct plan *plan, const struct plan_block *block)
{
    const struct modbus_tag *tags = plan->device->tags;
    size_t middle = block->tag_count / 2, best = 0;
    int64_t widest = 0, end = 0;

    for (size_t i = 1; i < block->tag_count; i++) {
        const struct modbus_tag *before = &tags[block->tags[i - 1]], *tag = &tags[block->tags[i]];
        int64_t gap;

        if (tag_end(before) > end)
            end = tag_end(before);
        if (same_addresses(before, tag))
            continue; /* the one cannot be refused without the other */
        gap = tag->address - end;
        if (best == 0 || gap > widest ||
            (gap == widest && distance(i, middle) < distance(best, middle))) {
            best = i;
            widest = gap;
        }
    }
    return best;
}

/* A block of the same table and interval for a slice of the sorted tags. */
static struct plan_block slice(const struct plan *plan, const size_t *places, size_t count)
{
    const struct modbus_tag *tags = plan->device->tags;
    struct plan_block block = block_of(&tags[places[0]], places);

    for (size_t i = 1; i < count; i++)
        extend(&block, &tags[places[i]]);
    return block;
}

int plan_split(struct plan *plan, size_t block, size_t *added)
{
    struct plan_block whole = plan->blocks[block];
    size_t at = cut(plan, &whole);

    if (at == 0)
        return -ENOENT;
    plan->blocks[block] = slice(plan, whole.tags, at);
    plan->blocks[plan->block_count] = slice(plan, whole.tags + at, whole.tag_count - at);
    *added = plan->block_count++;
    return 0;
}

static enum pdu_function read_function(enum modbus_table table)
{
    static const enum pdu_function functions[] = {
        [MODBUS_TABLE_COIL] = PDU_READ_COILS,
        [MODBUS_TABLE_DISCRETE] = PDU_READ_DISCRETE,
        [MODBUS_TABLE_INPUT] = PDU_READ_INPUT,
        [MODBUS_TABLE_HOLDING] = PDU_READ_HOLDING,
    };

    return functions[table];
}

int plan_read_block(struct pdu *out, const struct plan_block *block)
{
    return pdu_read(out, read_function(block->table), block->start, block->count);
}

int plan_read_tag(struct pdu *out, const struct modbus_tag *tag)
{
    return pdu_read(out, read_function(tag->table), tag->address, tag->count);
}

int plan_write_tag(struct pdu *out, const struct modbus_tag *tag, const uint8_t *raw)
{
    if (tag->table == MODBUS_TABLE_COIL)
        return pdu_write_coil(out, tag->address, raw[0] != 0);
    if (tag->table != MODBUS_TABLE_HOLDING || tag->bit >= 0)
        return -EINVAL;
    if (tag->count == 1)
        return pdu_write_register(out, tag->address, raw);
    return pdu_write_registers(out, tag->address, tag->count, raw);
}
