/* The book of what was asked of one device: one read and one write of each tag, each answered once. */
#include "adapters/modbus/asked.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

enum { SEEN, LEVEL, RATE, PUMP, TAGS };

static struct modbus_tag tags[TAGS] = {
    [SEEN] = { .table = MODBUS_TABLE_HOLDING,
               .address = 1,
               .count = 1,
               .type = MODBUS_TYPE_INT16,
               .bit = -1,
               .scale = 1,
               .decimals = -1,
               .access = CONFIG_READ },
    [LEVEL] = { .table = MODBUS_TABLE_HOLDING,
                .address = 2,
                .count = 1,
                .type = MODBUS_TYPE_INT16,
                .bit = -1,
                .scale = 1,
                .decimals = -1,
                .access = CONFIG_READ_WRITE },
    [RATE] = { .table = MODBUS_TABLE_HOLDING,
               .address = 3,
               .count = 2,
               .type = MODBUS_TYPE_FLOAT32,
               .bit = -1,
               .scale = 1,
               .decimals = -1,
               .access = CONFIG_READ_WRITE },
    [PUMP] = { .table = MODBUS_TABLE_COIL,
               .address = 4,
               .count = 1,
               .type = MODBUS_TYPE_BOOL,
               .bit = -1,
               .scale = 1,
               .decimals = -1,
               .access = CONFIG_READ_WRITE },
};

static const struct modbus_device device = { .tags = tags, .tag_count = TAGS };
static const size_t block_tags[] = { SEEN, LEVEL, RATE };
static const struct plan_block block = { .tags = block_tags, .tag_count = 3 };

static void write_is_refused_for_what_cannot_be_written(void **state)
{
    static const struct {
        const char *name;
        size_t tag;
        struct value value;
        int want;
    } cases[] = {
        { "read-only", SEEN, { .type = VALUE_INT, .integer = 1 }, -EINVAL },
        { "wrong type", LEVEL, { .type = VALUE_BOOL, .boolean = true }, -EINVAL },
        { "too large", LEVEL, { .type = VALUE_INT, .integer = 40000 }, -ERANGE },
        { "no value", PUMP, { .type = VALUE_NONE }, -EINVAL },
        { "fine", LEVEL, { .type = VALUE_INT, .integer = -2 }, 0 },
        { "under way", LEVEL, { .type = VALUE_INT, .integer = 3 }, -EAGAIN },
        { "another tag", PUMP, { .type = VALUE_BOOL, .boolean = true }, 0 },
    };
    struct line_write *write = NULL;
    struct asked asked;

    (void)state;
    assert_int_equal(asked_init(&asked, &device), 0);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].name);
        assert_int_equal(asked_write(&asked, cases[i].tag, cases[i].value, &write), cases[i].want);
    }
    assert_ptr_equal(write->tag, &tags[PUMP]);
    assert_int_equal(write->raw[0], 1);
    asked_done(&asked);
}

static void write_that_ended_may_be_asked_again(void **state)
{
    struct line_write *write = NULL;
    struct asked asked;

    (void)state;
    assert_int_equal(asked_init(&asked, &device), 0);
    assert_int_equal(asked_write(&asked, LEVEL, value_int(1), &write), 0);
    assert_null(asked_verifying(&asked, LEVEL));

    asked_verify(&asked, (struct asked_write *)write);
    assert_ptr_equal(asked_verifying(&asked, LEVEL), write);
    assert_int_equal(asked.waiting, 1);
    assert_int_equal(asked_write(&asked, LEVEL, value_int(1), &write), -EAGAIN);
    asked_write_end(&asked, asked_verifying(&asked, LEVEL));

    assert_null(asked_verifying(&asked, LEVEL));
    assert_int_equal(asked.waiting, 0);
    assert_int_equal(asked_write(&asked, LEVEL, value_int(2), &write), 0);
    asked_write_end(&asked, (struct asked_write *)write);
    assert_int_equal(asked.waiting, 0);
    asked_done(&asked);
}

static void read_is_answered_once_and_by_a_later_answer(void **state)
{
    struct asked asked;

    (void)state;
    assert_int_equal(asked_init(&asked, &device), 0);

    assert_int_equal(asked_read(&asked, LEVEL), 0);
    assert_int_equal(asked_read(&asked, LEVEL), -EAGAIN);
    assert_false(asked_read_end(&asked, LEVEL));
    asked_answered(&asked, &block);
    assert_int_equal(asked_read(&asked, SEEN), 0); /* inside an event of this answer */
    assert_true(asked_read_end(&asked, LEVEL));
    assert_false(asked_read_end(&asked, LEVEL));
    assert_false(asked_read_end(&asked, SEEN));

    assert_int_equal(asked.waiting, 1);
    asked_answered(&asked, &block);
    assert_true(asked_read_end(&asked, SEEN));
    assert_int_equal(asked.waiting, 0);
    asked_done(&asked);
}

static void read_cancel_ends_what_waits(void **state)
{
    struct asked asked;

    (void)state;
    assert_int_equal(asked_init(&asked, &device), 0);
    assert_int_equal(asked_read(&asked, LEVEL), 0);

    assert_true(asked_read_cancel(&asked, LEVEL));
    assert_false(asked_read_cancel(&asked, LEVEL));
    assert_false(asked_read_cancel(&asked, SEEN));
    assert_int_equal(asked.waiting, 0);
    asked_done(&asked);
}

static void judge_compares_with_what_was_written(void **state)
{
    static const struct {
        const char *name;
        size_t tag;
        struct value written;
        int rc;
        struct sample sample;
        enum write_outcome want;
    } cases[] = {
        { "equal",
          LEVEL,
          { .type = VALUE_INT, .integer = 5 },
          0,
          { .quality = QUALITY_GOOD,
            .value = { .type = VALUE_INT, .integer = 5 },
            .raw = { 0, 5 },
            .raw_length = 2 },
          WRITE_DONE },
        { "different",
          LEVEL,
          { .type = VALUE_INT, .integer = 5 },
          0,
          { .quality = QUALITY_GOOD,
            .value = { .type = VALUE_INT, .integer = 6 },
            .raw = { 0, 6 },
            .raw_length = 2 },
          WRITE_DIFFERS },
        { "zero and minus zero",
          RATE,
          { .type = VALUE_FLOAT, .number = 0.0 },
          0,
          { .quality = QUALITY_GOOD,
            .value = { .type = VALUE_FLOAT, .number = -0.0 },
            .raw = { 0x80, 0, 0, 0 },
            .raw_length = 4 },
          WRITE_DONE },
        { "reads back as no number",
          RATE,
          { .type = VALUE_FLOAT, .number = 1.0 },
          0,
          { .quality = QUALITY_BAD, .raw = { 0x7F, 0xC0, 0, 0 }, .raw_length = 4 },
          WRITE_DIFFERS },
        { "coil",
          PUMP,
          { .type = VALUE_BOOL, .boolean = true },
          0,
          { .quality = QUALITY_GOOD,
            .value = { .type = VALUE_BOOL, .boolean = true },
            .raw = { 1 },
            .raw_length = 1 },
          WRITE_DONE },
        { "no answer",
          LEVEL,
          { .type = VALUE_INT, .integer = 5 },
          -ETIMEDOUT,
          { .quality = QUALITY_GOOD, .raw = { 0, 5 }, .raw_length = 2 },
          WRITE_NO_ANSWER },
        { "refused",
          LEVEL,
          { .type = VALUE_INT, .integer = 5 },
          -EREMOTEIO,
          { .quality = QUALITY_BAD },
          WRITE_NO_ANSWER },
        { "closing",
          LEVEL,
          { .type = VALUE_INT, .integer = 5 },
          -ECANCELED,
          { .quality = QUALITY_GOOD, .raw = { 0, 5 }, .raw_length = 2 },
          WRITE_NO_ANSWER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line_write *write = NULL;
        struct write_result result;
        struct asked asked;

        print_message("case %s\n", cases[i].name);
        assert_int_equal(asked_init(&asked, &device), 0);
        assert_int_equal(asked_write(&asked, cases[i].tag, cases[i].written, &write), 0);
        asked_verify(&asked, (struct asked_write *)write);

        result = asked_judge(&asked, (struct asked_write *)write, cases[i].rc, &cases[i].sample);

        assert_int_equal(result.outcome, cases[i].want);
        assert_int_equal(result.detail[0] == '\0', cases[i].rc == 0);
        assert_int_equal(result.readback.quality,
                         cases[i].rc == 0 ? cases[i].sample.quality : QUALITY_NONE);
        asked_done(&asked);
    }
}

static void init_without_memory_fails_cleanly(void **state)
{
    struct asked asked = { .device = NULL };

    (void)state;
    for (size_t n = 0; n < 2; n++) {
        allocations_left = n;
        assert_int_equal(asked_init(&asked, &device), -ENOMEM);
        allocations_left = SIZE_MAX;
        asked_done(&asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_is_refused_for_what_cannot_be_written),
        cmocka_unit_test(write_that_ended_may_be_asked_again),
        cmocka_unit_test(read_is_answered_once_and_by_a_later_answer),
        cmocka_unit_test(read_cancel_ends_what_waits),
        cmocka_unit_test(judge_compares_with_what_was_written),
        cmocka_unit_test(init_without_memory_fails_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
