/* Plans by table: each case lists tags, the limits of the device, and the blocks that must come out; a
 * seeded run over random devices holds the rules for what nobody thought of. */
#include "adapters/modbus/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- memory that runs out ---- */

static size_t allocations_left = SIZE_MAX;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return __real_calloc(count, size);
}

/* ---- devices and plans as data ---- */

enum { COIL = MODBUS_TABLE_COIL, INPUT = MODBUS_TABLE_INPUT, HOLDING = MODBUS_TABLE_HOLDING };

struct tag_case {
    int table;
    uint16_t address, count;
    uint32_t poll_interval_ms; /* 0 = 1000 */
    enum config_access access; /* 0 = r */
};

struct block_case {
    int table;
    uint16_t start, count;
    size_t tag_count;
};

struct plan_case {
    const char *name;
    uint16_t max_registers, max_bits, max_gap; /* 0, 0, 0 = 125, 2000, 0 */
    struct tag_case tags[8];
    size_t tag_count;
    struct block_case blocks[8];
    size_t block_count;
};

static struct modbus_tag tag_of(const struct tag_case *from)
{
    return (struct modbus_tag){
        .table = (enum modbus_table)from->table,
        .address = from->address,
        .count = from->count,
        .bit = -1,
        .access = from->access != 0 ? from->access : CONFIG_READ,
        .poll_interval_ms = from->poll_interval_ms != 0 ? from->poll_interval_ms : 1000,
    };
}

static struct modbus_device device_of(struct modbus_tag *tags, size_t count)
{
    return (struct modbus_device){
        .max_registers = 125, .max_bits = 2000, .tags = tags, .tag_count = count
    };
}

static struct plan *planned(const struct modbus_device *device)
{
    struct plan *plan = NULL;

    assert_int_equal(plan_new(&plan, device), 0);
    return plan;
}

/* A case is three lines: its limits, its tags, its blocks. */
/* clang-format off */
static const struct plan_case cases[] = {
    { "adjacent registers are one read", 0, 0, 0,
      { { HOLDING, 0, 1, 0, 0 }, { HOLDING, 1, 2, 0, 0 }, { HOLDING, 3, 1, 0, 0 } }, 3,
      { { HOLDING, 0, 4, 3 } }, 1 },
    { "the order of the file does not matter", 0, 0, 0,
      { { HOLDING, 3, 1, 0, 0 }, { HOLDING, 0, 1, 0, 0 }, { HOLDING, 1, 2, 0, 0 } }, 3,
      { { HOLDING, 0, 4, 3 } }, 1 },
    { "a hole is not read", 0, 0, 0,
      { { HOLDING, 0, 1, 0, 0 }, { HOLDING, 2, 1, 0, 0 } }, 2,
      { { HOLDING, 0, 1, 1 }, { HOLDING, 2, 1, 1 } }, 2 },
    { "a hole of max_gap is bridged", 0, 0, 3,
      { { HOLDING, 0, 1, 0, 0 }, { HOLDING, 4, 1, 0, 0 } }, 2,
      { { HOLDING, 0, 5, 2 } }, 1 },
    { "a hole of max_gap + 1 is not", 0, 0, 3,
      { { HOLDING, 0, 1, 0, 0 }, { HOLDING, 5, 1, 0, 0 } }, 2,
      { { HOLDING, 0, 1, 1 }, { HOLDING, 5, 1, 1 } }, 2 },
    { "tables are never mixed", 0, 0, 0,
      { { HOLDING, 0, 1, 0, 0 }, { INPUT, 1, 1, 0, 0 }, { COIL, 2, 1, 0, 0 } }, 3,
      { { COIL, 2, 1, 1 }, { INPUT, 1, 1, 1 }, { HOLDING, 0, 1, 1 } }, 3 },
    { "intervals are never mixed", 0, 0, 0,
      { { HOLDING, 0, 1, 1000, 0 }, { HOLDING, 1, 1, 5000, 0 }, { HOLDING, 2, 1, 1000, 0 } }, 3,
      { { HOLDING, 0, 1, 1 }, { HOLDING, 2, 1, 1 }, { HOLDING, 1, 1, 1 } }, 3 },
    { "max_registers ends a block", 4, 0, 0,
      { { HOLDING, 0, 2, 0, 0 }, { HOLDING, 2, 2, 0, 0 }, { HOLDING, 4, 2, 0, 0 } }, 3,
      { { HOLDING, 0, 4, 2 }, { HOLDING, 4, 2, 1 } }, 2 },
    { "a value is not split", 3, 0, 0,
      { { HOLDING, 0, 2, 0, 0 }, { HOLDING, 2, 2, 0, 0 } }, 2,
      { { HOLDING, 0, 2, 1 }, { HOLDING, 2, 2, 1 } }, 2 },
    { "max_registers 1 reads one by one", 1, 0, 0,
      { { HOLDING, 0, 1, 0, 0 }, { HOLDING, 1, 1, 0, 0 } }, 2,
      { { HOLDING, 0, 1, 1 }, { HOLDING, 1, 1, 1 } }, 2 },
    { "max_registers counts bridged ones", 4, 0, 10,
      { { HOLDING, 0, 1, 0, 0 }, { HOLDING, 3, 1, 0, 0 }, { HOLDING, 4, 1, 0, 0 } }, 3,
      { { HOLDING, 0, 4, 2 }, { HOLDING, 4, 1, 1 } }, 2 },
    { "max_bits ends a block of coils", 0, 2, 0,
      { { COIL, 0, 1, 0, 0 }, { COIL, 1, 1, 0, 0 }, { COIL, 2, 1, 0, 0 } }, 3,
      { { COIL, 0, 2, 2 }, { COIL, 2, 1, 1 } }, 2 },
    { "tags on the same register share it", 0, 0, 0,
      { { HOLDING, 7, 1, 0, 0 }, { HOLDING, 7, 1, 0, 0 }, { HOLDING, 7, 1, 0, 0 } }, 3,
      { { HOLDING, 7, 1, 3 } }, 1 },
    { "overlapping tags", 0, 0, 0,
      { { HOLDING, 1, 1, 0, 0 }, { HOLDING, 0, 2, 0, 0 }, { HOLDING, 1, 2, 0, 0 } }, 3,
      { { HOLDING, 0, 3, 3 } }, 1 },
    { "a tag inside a wider one ends nothing", 0, 0, 0,
      { { HOLDING, 0, 2, 0, 0 }, { HOLDING, 0, 1, 0, 0 }, { HOLDING, 2, 1, 0, 0 } }, 3,
      { { HOLDING, 0, 3, 3 } }, 1 },
    { "write-only tags are not read", 0, 0, 0,
      { { HOLDING, 0, 1, 0, 0 }, { HOLDING, 1, 1, 0, CONFIG_WRITE },
        { HOLDING, 2, 1, 0, CONFIG_READ_WRITE } }, 3,
      { { HOLDING, 0, 1, 1 }, { HOLDING, 2, 1, 1 } }, 2 },
    { "only write-only tags", 0, 0, 0,
      { { COIL, 0, 1, 0, CONFIG_WRITE } }, 1,
      { { 0 } }, 0 },
    { "no tags", 0, 0, 0,
      { { 0 } }, 0,
      { { 0 } }, 0 },
    { "the last address", 0, 0, 0,
      { { INPUT, 65534, 2, 0, 0 }, { INPUT, 65533, 1, 0, 0 } }, 2,
      { { INPUT, 65533, 3, 2 } }, 1 },
};
/* clang-format on */

static void plan_new_gives_the_blocks_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct plan_case *c = &cases[i];
        struct modbus_tag tags[8];
        struct modbus_device device = device_of(tags, c->tag_count);
        struct plan *plan;

        print_message("case %s\n", c->name);
        for (size_t t = 0; t < c->tag_count; t++)
            tags[t] = tag_of(&c->tags[t]);
        device.max_registers = c->max_registers != 0 ? c->max_registers : 125;
        device.max_bits = c->max_bits != 0 ? c->max_bits : 2000;
        device.max_gap = c->max_gap;

        plan = planned(&device);

        assert_int_equal(plan->block_count, c->block_count);
        for (size_t b = 0; b < c->block_count; b++) {
            assert_int_equal(plan->blocks[b].table, c->blocks[b].table);
            assert_int_equal(plan->blocks[b].start, c->blocks[b].start);
            assert_int_equal(plan->blocks[b].count, c->blocks[b].count);
            assert_int_equal(plan->blocks[b].tag_count, c->blocks[b].tag_count);
        }
        plan_free(plan);
    }
}

static void plan_new_125_registers_are_one_read_and_the_126th_another(void **state)
{
    struct modbus_tag tags[126];
    struct modbus_device device = device_of(tags, COUNT(tags));
    struct plan *plan;

    (void)state;
    for (size_t i = 0; i < COUNT(tags); i++)
        tags[i] = tag_of(&(struct tag_case){ HOLDING, (uint16_t)i, 1, 0, 0 });
    plan = planned(&device);
    assert_int_equal(plan->block_count, 2);
    assert_int_equal(plan->blocks[0].count, 125);
    assert_int_equal(plan->blocks[1].start, 125);
    plan_free(plan);
}

/* ---- the rules, over random devices ---- */

static uint32_t lcg(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static uint16_t below(uint32_t *seed, uint32_t limit)
{
    return (uint16_t)(lcg(seed) % limit);
}

/* Every readable tag is in exactly one block, wholly, in one that may hold it. */
static void assert_rules(const struct plan *plan)
{
    const struct modbus_device *device = plan->device;
    unsigned *seen = calloc(device->tag_count + 1, sizeof *seen);

    assert_true(plan->block_count <= plan->block_max);
    for (size_t b = 0; b < plan->block_count; b++) {
        const struct plan_block *block = &plan->blocks[b];
        uint32_t end = (uint32_t)block->start + block->count, last_end = 0;
        bool bits = mapping_is_bits(block->table);

        assert_true(block->tag_count >= 1);
        assert_true(end <= 65536);
        assert_true(block->count <= (bits ? device->max_bits : device->max_registers));
        assert_int_equal(device->tags[block->tags[0]].address, block->start);
        for (size_t i = 0; i < block->tag_count; i++) {
            const struct modbus_tag *tag = &device->tags[block->tags[i]];
            uint32_t tag_end = (uint32_t)tag->address + tag->count;

            seen[block->tags[i]]++;
            assert_int_equal(tag->table, block->table);
            assert_int_equal(tag->poll_interval_ms, block->poll_interval_ms);
            assert_true(tag->address >= block->start && tag_end <= end);
            if (i > 0)
                assert_true(tag->address <= last_end + device->max_gap);
            last_end = tag_end > last_end ? tag_end : last_end;
        }
        assert_int_equal(last_end, end); /* ends on a mapped address */
    }
    for (size_t i = 0; i < device->tag_count; i++)
        assert_int_equal(seen[i], (device->tags[i].access & CONFIG_READ) != 0 ? 1 : 0);
    free(seen);
}

static void randomise(struct modbus_device *device, uint32_t *seed)
{
    static const enum config_access accesses[] = { CONFIG_READ, CONFIG_READ, CONFIG_READ_WRITE,
                                                   CONFIG_WRITE };

    device->max_registers = (uint16_t)(2 + below(seed, 124));
    device->max_bits = (uint16_t)(1 + below(seed, 2000));
    device->max_gap = below(seed, 8);
    for (size_t i = 0; i < device->tag_count; i++) {
        int table = below(seed, 4);

        device->tags[i] = tag_of(&(struct tag_case){
            .table = table,
            .address = below(seed, 300),
            .count = (uint16_t)(mapping_is_bits((enum modbus_table)table) ? 1 : 1 + below(seed, 2)),
            .poll_interval_ms = below(seed, 2) == 0 ? 1000 : 5000,
            .access = accesses[below(seed, 4)],
        });
    }
}

static void plan_new_random_devices_keep_the_rules(void **state)
{
    struct modbus_tag tags[200];
    uint32_t seed = 1;

    (void)state;
    for (size_t run = 0; run < 500; run++) {
        struct modbus_device device = device_of(tags, below(&seed, COUNT(tags)));
        struct plan *plan;

        randomise(&device, &seed);
        plan = planned(&device);
        assert_rules(plan);
        plan_free(plan);
    }
}

/* ---- dividing ---- */

static void plan_split_cuts_at_the_widest_gap(void **state)
{
    struct modbus_tag tags[] = {
        tag_of(&(struct tag_case){ HOLDING, 0, 1, 0, 0 }),
        tag_of(&(struct tag_case){ HOLDING, 5, 1, 0, 0 }),
        tag_of(&(struct tag_case){ HOLDING, 6, 1, 0, 0 }),
        tag_of(&(struct tag_case){ HOLDING, 8, 2, 0, 0 }),
    };
    struct modbus_device device = device_of(tags, COUNT(tags));
    struct plan *plan;
    size_t added = 0;

    (void)state;
    device.max_gap = 10;
    plan = planned(&device);
    assert_int_equal(plan->block_count, 1);

    assert_int_equal(plan_split(plan, 0, &added), 0);

    assert_int_equal(added, 1);
    assert_int_equal(plan->block_count, 2);
    assert_int_equal(plan->blocks[0].start, 0);
    assert_int_equal(plan->blocks[0].count, 1);
    assert_int_equal(plan->blocks[1].start, 5);
    assert_int_equal(plan->blocks[1].count, 5);
    assert_int_equal(plan->blocks[1].tag_count, 3);
    plan_free(plan);
}

static void plan_split_without_gaps_cuts_in_the_middle_and_moves_no_other_block(void **state)
{
    struct modbus_tag tags[6];
    struct modbus_device device = device_of(tags, COUNT(tags));
    struct plan *plan;
    size_t added = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(tags); i++)
        tags[i] = tag_of(&(struct tag_case){ i < 4 ? INPUT : HOLDING, (uint16_t)i, 1, 0, 0 });
    plan = planned(&device);
    assert_int_equal(plan->block_count, 2);

    assert_int_equal(plan_split(plan, 0, &added), 0);

    assert_int_equal(added, 2);
    assert_int_equal(plan->blocks[0].start, 0);
    assert_int_equal(plan->blocks[0].count, 2);
    assert_int_equal(plan->blocks[1].table, HOLDING);
    assert_int_equal(plan->blocks[1].start, 4);
    assert_int_equal(plan->blocks[2].start, 2);
    assert_int_equal(plan->blocks[2].count, 2);
    plan_free(plan);
}

static void plan_split_does_not_part_tags_on_the_same_addresses(void **state)
{
    struct modbus_tag tags[] = {
        tag_of(&(struct tag_case){ HOLDING, 0, 1, 0, 0 }),
        tag_of(&(struct tag_case){ HOLDING, 1, 1, 0, 0 }),
        tag_of(&(struct tag_case){ HOLDING, 1, 1, 0, 0 }),
        tag_of(&(struct tag_case){ HOLDING, 1, 1, 0, 0 }),
    };
    struct modbus_device device = device_of(tags, COUNT(tags));
    struct plan *plan = planned(&device);
    size_t added = 77;

    (void)state;
    assert_int_equal(plan_split(plan, 0, &added), 0);
    assert_int_equal(plan->blocks[0].tag_count, 1);
    assert_int_equal(plan->blocks[added].tag_count, 3);

    added = 77;
    assert_int_equal(plan_split(plan, 0, &added), -ENOENT);
    assert_int_equal(plan_split(plan, 1, &added), -ENOENT);
    assert_int_equal(added, 77);
    assert_int_equal(plan->block_count, 2);
    plan_free(plan);
}

static void plan_split_overlapping_tags_parts_the_narrow_from_the_wide(void **state)
{
    struct modbus_tag tags[] = {
        tag_of(&(struct tag_case){ HOLDING, 0, 2, 0, 0 }),
        tag_of(&(struct tag_case){ HOLDING, 0, 1, 0, 0 }),
    };
    struct modbus_device device = device_of(tags, COUNT(tags));
    struct plan *plan = planned(&device);
    size_t added = 0;

    (void)state;
    assert_int_equal(plan_split(plan, 0, &added), 0);
    assert_int_equal(plan->blocks[0].count, 1);
    assert_int_equal(plan->blocks[added].count, 2);
    plan_free(plan);
}

/* A device that refuses every read that touches `hole`. */
static bool refused(const struct plan_block *block, uint16_t hole)
{
    return hole >= block->start && hole < block->start + block->count;
}

/* Asks, divides and asks again as a line does; returns how many requests it took. */
static size_t isolate(struct plan *plan, size_t block, uint16_t hole)
{
    size_t requests = 1, added;

    if (!refused(&plan->blocks[block], hole) || plan_split(plan, block, &added) != 0)
        return requests;
    requests += isolate(plan, block, hole);
    requests += isolate(plan, added, hole);
    return requests;
}

static void plan_split_again_and_again_leaves_only_the_refused_tag_without_value(void **state)
{
    struct modbus_tag tags[100];
    struct modbus_device device = device_of(tags, COUNT(tags));

    (void)state;
    for (size_t i = 0; i < COUNT(tags); i++)
        tags[i] = tag_of(&(struct tag_case){ HOLDING, (uint16_t)i, 1, 0, 0 });
    for (uint16_t hole = 0; hole < COUNT(tags); hole++) {
        struct plan *plan = planned(&device);
        size_t without_value = 0;

        assert_true(isolate(plan, 0, hole) <= 1 + 2 * 7); /* log2 100 < 7 */

        assert_rules(plan);
        for (size_t b = 0; b < plan->block_count; b++)
            if (refused(&plan->blocks[b], hole))
                without_value += plan->blocks[b].tag_count;
        assert_int_equal(without_value, 1);
        plan_free(plan);
    }
}

static void plan_split_random_plans_to_the_end_keeps_the_rules(void **state)
{
    struct modbus_tag tags[60];
    uint32_t seed = 7;

    (void)state;
    for (size_t run = 0; run < 100; run++) {
        struct modbus_device device = device_of(tags, below(&seed, COUNT(tags)));
        struct plan *plan;
        size_t added;

        randomise(&device, &seed);
        plan = planned(&device);
        for (size_t b = 0; b < plan->block_count; b++)
            while (plan_split(plan, b, &added) == 0)
                assert_int_equal(added, plan->block_count - 1);
        assert_rules(plan);
        plan_free(plan);
    }
}

/* ---- requests ---- */

static void plan_read_block_uses_the_function_of_its_table(void **state)
{
    static const struct {
        enum modbus_table table;
        uint8_t want[5];
    } tables[] = {
        { MODBUS_TABLE_COIL, { 1, 0, 10, 0, 3 } },
        { MODBUS_TABLE_DISCRETE, { 2, 0, 10, 0, 3 } },
        { MODBUS_TABLE_INPUT, { 4, 0, 10, 0, 3 } },
        { MODBUS_TABLE_HOLDING, { 3, 0, 10, 0, 3 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(tables); i++) {
        const struct plan_block block = { .table = tables[i].table, .start = 10, .count = 3 };
        struct pdu pdu;

        assert_int_equal(plan_read_block(&pdu, &block), 0);
        assert_int_equal(pdu.length, 5);
        assert_memory_equal(pdu.bytes, tables[i].want, 5);
    }
}

static void plan_read_tag_reads_its_addresses_only(void **state)
{
    struct modbus_tag tag = tag_of(&(struct tag_case){ INPUT, 0x0102, 2, 0, 0 });
    struct pdu pdu;

    (void)state;
    assert_int_equal(plan_read_tag(&pdu, &tag), 0);
    assert_memory_equal(pdu.bytes, ((uint8_t[]){ 4, 1, 2, 0, 2 }), 5);
}

static void plan_write_tag_uses_the_smallest_function(void **state)
{
    static const uint8_t raw[] = { 0x01, 0x02, 0x03, 0x04 };
    struct modbus_tag coil = tag_of(&(struct tag_case){ COIL, 3, 1, 0, 0 });
    struct modbus_tag one = tag_of(&(struct tag_case){ HOLDING, 3, 1, 0, 0 });
    struct modbus_tag two = tag_of(&(struct tag_case){ HOLDING, 3, 2, 0, 0 });
    struct pdu pdu;

    (void)state;
    assert_int_equal(plan_write_tag(&pdu, &coil, raw), 0);
    assert_int_equal(pdu.length, 5);
    assert_memory_equal(pdu.bytes, ((uint8_t[]){ 5, 0, 3, 0xFF, 0 }), 5);
    assert_int_equal(plan_write_tag(&pdu, &one, raw), 0);
    assert_int_equal(pdu.length, 5);
    assert_memory_equal(pdu.bytes, ((uint8_t[]){ 6, 0, 3, 1, 2 }), 5);
    assert_int_equal(plan_write_tag(&pdu, &two, raw), 0);
    assert_int_equal(pdu.length, 10);
    assert_memory_equal(pdu.bytes, ((uint8_t[]){ 16, 0, 3, 0, 2, 4, 1, 2, 3, 4 }), 10);
}

static void plan_write_tag_that_cannot_be_written_is_refused(void **state)
{
    static const uint8_t raw[4];
    struct modbus_tag input = tag_of(&(struct tag_case){ INPUT, 3, 1, 0, 0 });
    struct modbus_tag bit = tag_of(&(struct tag_case){ HOLDING, 3, 1, 0, 0 });
    struct pdu pdu;

    (void)state;
    bit.bit = 4;
    assert_int_equal(plan_write_tag(&pdu, &input, raw), -EINVAL);
    assert_int_equal(plan_write_tag(&pdu, &bit, raw), -EINVAL);
}

static void plan_new_without_memory_fails_and_leaks_nothing(void **state)
{
    struct modbus_tag tags[] = { tag_of(&(struct tag_case){ HOLDING, 0, 1, 0, 0 }) };
    struct modbus_device device = device_of(tags, COUNT(tags));
    struct plan *const untouched = (struct plan *)&device;
    struct plan *plan = untouched;
    size_t n;
    int rc = -ENOMEM;

    (void)state;
    for (n = 0; rc != 0; n++) {
        assert_ptr_equal(plan, untouched);
        allocations_left = n;
        rc = plan_new(&plan, &device);
        allocations_left = SIZE_MAX;
        assert_true(rc == 0 || rc == -ENOMEM);
    }
    assert_true(n > 1);
    plan_free(plan);
    plan_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_new_gives_the_blocks_of_the_table),
        cmocka_unit_test(plan_new_125_registers_are_one_read_and_the_126th_another),
        cmocka_unit_test(plan_new_random_devices_keep_the_rules),
        cmocka_unit_test(plan_split_cuts_at_the_widest_gap),
        cmocka_unit_test(plan_split_without_gaps_cuts_in_the_middle_and_moves_no_other_block),
        cmocka_unit_test(plan_split_does_not_part_tags_on_the_same_addresses),
        cmocka_unit_test(plan_split_overlapping_tags_parts_the_narrow_from_the_wide),
        cmocka_unit_test(plan_split_again_and_again_leaves_only_the_refused_tag_without_value),
        cmocka_unit_test(plan_split_random_plans_to_the_end_keeps_the_rules),
        cmocka_unit_test(plan_read_block_uses_the_function_of_its_table),
        cmocka_unit_test(plan_read_tag_reads_its_addresses_only),
        cmocka_unit_test(plan_write_tag_uses_the_smallest_function),
        cmocka_unit_test(plan_write_tag_that_cannot_be_written_is_refused),
        cmocka_unit_test(plan_new_without_memory_fails_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
