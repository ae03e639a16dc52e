/* Blocks of bytes and the samples made of them: what is told, what is kept, what a division keeps. */
#include "adapters/modbus/samples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* ---- a device ---- */

enum { LEVEL, FLAG, RATE, WISH, PUMP, VALVE, LAMP, TAGS };

static struct modbus_tag tags[TAGS] = {
    [LEVEL] = { .table = MODBUS_TABLE_HOLDING,
                .address = 10,
                .count = 1,
                .type = MODBUS_TYPE_INT16,
                .bit = -1,
                .scale = 1,
                .decimals = -1,
                .access = CONFIG_READ,
                .poll_interval_ms = 1000 },
    [FLAG] = { .table = MODBUS_TABLE_HOLDING,
               .address = 11,
               .count = 1,
               .type = MODBUS_TYPE_BOOL,
               .bit = 4,
               .scale = 1,
               .decimals = -1,
               .access = CONFIG_READ,
               .poll_interval_ms = 1000 },
    [RATE] = { .table = MODBUS_TABLE_HOLDING,
               .address = 12,
               .count = 2,
               .type = MODBUS_TYPE_FLOAT32,
               .bit = -1,
               .scale = 1,
               .decimals = -1,
               .access = CONFIG_READ,
               .poll_interval_ms = 1000 },
    [WISH] = { .table = MODBUS_TABLE_HOLDING,
               .address = 50,
               .count = 1,
               .type = MODBUS_TYPE_INT16,
               .bit = -1,
               .scale = 1,
               .decimals = -1,
               .access = CONFIG_WRITE,
               .poll_interval_ms = 1000 },
    [PUMP] = { .table = MODBUS_TABLE_COIL,
               .address = 3,
               .count = 1,
               .type = MODBUS_TYPE_BOOL,
               .bit = -1,
               .scale = 1,
               .decimals = -1,
               .access = CONFIG_READ,
               .poll_interval_ms = 1000 },
    [VALVE] = { .table = MODBUS_TABLE_COIL,
                .address = 4,
                .count = 1,
                .type = MODBUS_TYPE_BOOL,
                .bit = -1,
                .scale = 1,
                .decimals = -1,
                .access = CONFIG_READ,
                .poll_interval_ms = 1000 },
    [LAMP] = { .table = MODBUS_TABLE_COIL,
               .address = 5,
               .count = 1,
               .type = MODBUS_TYPE_BOOL,
               .bit = -1,
               .scale = 1,
               .decimals = -1,
               .access = CONFIG_READ,
               .poll_interval_ms = 1000 },
};

static const struct modbus_device device = {
    .max_registers = 125, .max_bits = 2000, .tags = tags, .tag_count = TAGS
};

static const uint8_t first[8] = { 0, 7, 0, 0x10, 0x41, 0xA4, 0, 0 };  /* 7, true, 20.5 */
static const uint8_t second[8] = { 0, 7, 0, 0x11, 0x41, 0xA8, 0, 0 }; /* 7, true, 21 */
static const uint8_t nan_rate[8] = { 0, 7, 0, 0x10, 0x7F, 0xC0, 0, 0 };

struct fixture {
    struct samples *samples;
    size_t registers, coils; /* blocks */
    char told[256];          /* "tag quality value;" of each change */
};

static void on_changed(void *context, size_t tag, const struct sample *sample)
{
    static const char *const qualities[] = { "none", "good", "bad", "stale" };
    struct fixture *f = context;
    size_t length = strlen(f->told);
    char value[VALUE_TEXT_MAX];

    value_print(sample->value, value);
    snprintf(f->told + length, sizeof f->told - length, "%zu %s %s;", tag,
             qualities[sample->quality], value);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL || samples_new(&f->samples, &device) < 0)
        return -1;
    f->registers = samples_block(f->samples, LEVEL);
    f->coils = samples_block(f->samples, PUMP);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    samples_free(f->samples);
    free(f);
    return 0;
}

static const char *told(struct fixture *f)
{
    static char copy[sizeof f->told];

    memcpy(copy, f->told, sizeof copy);
    f->told[0] = '\0';
    return copy;
}

static void feed(struct fixture *f, const uint8_t *data, uint64_t now_ms)
{
    samples_read(f->samples, f->registers, data, now_ms, (int64_t)now_ms + 1000000, on_changed, f);
}

/* ---- tests ---- */

static void latest_before_any_read_is_none(void **state)
{
    struct fixture *f = *state;
    struct sample sample;

    samples_latest(f->samples, LEVEL, &sample);

    assert_int_equal(sample.quality, QUALITY_NONE);
    assert_int_equal(sample.now_ms, 0);
    assert_int_equal(sample.wall_ms, 0);
    assert_int_equal(samples_bad(f->samples), 0);
}

static void block_of_a_write_only_tag_is_none(void **state)
{
    struct fixture *f = *state;
    struct sample sample;

    samples_latest(f->samples, WISH, &sample);

    assert_true(samples_block(f->samples, WISH) == SAMPLES_NO_BLOCK);
    assert_int_equal(sample.quality, QUALITY_NONE);
}

static void read_first_time_tells_every_tag_of_the_block(void **state)
{
    struct fixture *f = *state;
    struct sample sample;

    feed(f, first, 100);

    assert_string_equal(told(f), "0 good 7;1 good true;2 good 20.5;");
    samples_latest(f->samples, RATE, &sample);
    assert_int_equal(sample.quality, QUALITY_GOOD);
    assert_true(sample.value.number == 20.5);
    assert_int_equal(sample.now_ms, 100);
    assert_int_equal(sample.wall_ms, 1000100);
    assert_int_equal(sample.raw_length, 4);
    assert_memory_equal(sample.raw, first + 4, 4);
}

static void read_of_the_same_bytes_moves_only_the_time(void **state)
{
    struct fixture *f = *state;
    struct sample sample;

    feed(f, first, 100);
    told(f);
    feed(f, first, 200);

    assert_string_equal(told(f), "");
    samples_latest(f->samples, LEVEL, &sample);
    assert_int_equal(sample.now_ms, 200);
    assert_int_equal(sample.wall_ms, 1000200);
}

/* The register of the flag changes in another bit: its value does not. */
static void read_of_other_bytes_tells_only_tags_with_another_value(void **state)
{
    struct fixture *f = *state;

    feed(f, first, 100);
    told(f);
    feed(f, second, 200);

    assert_string_equal(told(f), "2 good 21;");
}

static void read_of_no_value_is_bad_and_counted(void **state)
{
    struct fixture *f = *state;
    struct sample sample;

    feed(f, first, 100);
    told(f);
    feed(f, nan_rate, 200);

    assert_string_equal(told(f), "2 bad null;");
    assert_int_equal(samples_bad(f->samples), 1);
    samples_latest(f->samples, RATE, &sample);
    assert_non_null(sample.reason);
    assert_memory_equal(sample.raw, nan_rate + 4, 4);
    feed(f, first, 300);
    assert_string_equal(told(f), "2 good 20.5;");
    assert_int_equal(samples_bad(f->samples), 0);
}

static void refused_makes_all_tags_of_the_block_bad_once(void **state)
{
    struct fixture *f = *state;
    struct sample sample;

    feed(f, first, 100);
    told(f);
    samples_refused(f->samples, f->registers, "why", 200, 7, on_changed, f);

    assert_string_equal(told(f), "0 bad null;1 bad null;2 bad null;");
    assert_int_equal(samples_bad(f->samples), 3);
    samples_latest(f->samples, LEVEL, &sample);
    assert_string_equal(sample.reason, "why");
    assert_int_equal(sample.now_ms, 200);
    assert_int_equal(sample.raw_length, 0);

    samples_refused(f->samples, f->registers, "why", 300, 8, on_changed, f);
    assert_string_equal(told(f), "");
    samples_refused(f->samples, f->registers, "else", 400, 9, on_changed, f);
    assert_string_equal(told(f), "0 bad null;1 bad null;2 bad null;");
    assert_int_equal(samples_bad(f->samples), 3);

    feed(f, first, 500);
    assert_string_equal(told(f), "0 good 7;1 good true;2 good 20.5;");
    assert_int_equal(samples_bad(f->samples), 0);
}

static void split_keeps_the_samples_of_both_parts(void **state)
{
    struct fixture *f = *state;
    const uint8_t coils = 0x05; /* on, off, on */
    struct sample sample;

    feed(f, first, 100);
    samples_read(f->samples, f->coils, &coils, 100, 100, on_changed, f);
    told(f);

    while (samples_split(f->samples, samples_block(f->samples, LEVEL)) == 0)
        ;
    while (samples_split(f->samples, samples_block(f->samples, RATE)) == 0)
        ;
    while (samples_split(f->samples, samples_block(f->samples, PUMP)) == 0)
        ;
    while (samples_split(f->samples, samples_block(f->samples, LAMP)) == 0)
        ;

    assert_int_equal(samples_plan(f->samples)->block_count, 6);
    samples_latest(f->samples, RATE, &sample);
    assert_true(sample.value.number == 20.5);
    assert_int_equal(sample.now_ms, 100);
    samples_latest(f->samples, FLAG, &sample);
    assert_true(sample.value.boolean);
    for (size_t tag = PUMP; tag <= LAMP; tag++) {
        samples_latest(f->samples, tag, &sample);
        assert_int_equal(sample.quality, QUALITY_GOOD);
        assert_int_equal(sample.value.boolean, tag != VALVE);
    }

    /* and an answer to a part is compared with what it held */
    samples_read(f->samples, samples_block(f->samples, RATE), second + 4, 200, 200, on_changed, f);
    assert_string_equal(told(f), "2 good 21;");
    samples_read(f->samples, samples_block(f->samples, LAMP), (const uint8_t[]){ 1 }, 200, 200,
                 on_changed, f);
    assert_string_equal(told(f), "");
}

static void split_of_one_tag_is_refused(void **state)
{
    struct fixture *f = *state;
    int rc = 0;

    while (rc == 0)
        rc = samples_split(f->samples, samples_block(f->samples, LEVEL));

    assert_int_equal(rc, -ENOENT);
}

static void new_and_split_without_memory_fail_cleanly(void **state)
{
    struct samples *samples = NULL;
    int rc = -ENOMEM;

    (void)state;
    for (size_t n = 0; rc == -ENOMEM; n++) {
        allocations_left = n;
        rc = samples_new(&samples, &device);
        allocations_left = SIZE_MAX;
        assert_true(rc == 0 || samples == NULL);
    }
    assert_int_equal(rc, 0);

    allocations_left = 0;
    rc = samples_split(samples, samples_block(samples, LEVEL));
    allocations_left = SIZE_MAX;

    assert_int_equal(rc, -ENOMEM);
    assert_int_equal(samples_plan(samples)->block_count, 2);
    samples_free(samples);
    samples_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(latest_before_any_read_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(block_of_a_write_only_tag_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_first_time_tells_every_tag_of_the_block, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(read_of_the_same_bytes_moves_only_the_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(read_of_other_bytes_tells_only_tags_with_another_value,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_of_no_value_is_bad_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_makes_all_tags_of_the_block_bad_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(split_keeps_the_samples_of_both_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(split_of_one_tag_is_refused, set_up, tear_down),
        cmocka_unit_test(new_and_split_without_memory_fail_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
