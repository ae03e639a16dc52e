/* Whose turn it is among the units of a line. The clock is a number. */
#include "adapters/modbus/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { UNITS = 3, BLOCKS = 2, START = 1000 };

struct fixture {
    struct modbus_device device;
    struct plan_block blocks[BLOCKS];
    struct plan plan;
    struct turn_unit units[UNITS];
    size_t turn;
};

static void set_up(struct fixture *f)
{
    *f = (struct fixture){
        .device = { .response_timeout_ms = 500,
                    .offline_after = 1,
                    .backoff_min_ms = 1000,
                    .backoff_max_ms = 1000 },
        .plan = { .block_count = BLOCKS, .block_max = BLOCKS },
    };
    f->plan.blocks = f->blocks;
    for (size_t i = 0; i < BLOCKS; i++)
        f->blocks[i].poll_interval_ms = 1000;
    for (size_t i = 0; i < UNITS; i++) {
        struct turn_unit *unit = &f->units[i];

        unit->device = &f->device;
        unit->plan = &f->plan;
        unit->enabled = true;
        unit_init(&unit->health, &f->device);
        assert_int_equal(
            schedule_init(&unit->schedule, &f->plan, i * BLOCKS, UNITS * BLOCKS, START), 0);
    }
}

static void tear_down(struct fixture *f)
{
    for (size_t i = 0; i < UNITS; i++)
        schedule_done(&f->units[i].schedule);
}

/* Number of the unit whose turn it is; its read is served at once. UNITS: none is due. */
static size_t next(struct fixture *f, uint64_t now_ms)
{
    struct turn_unit *unit;
    size_t block;

    turn_release(f->units, UNITS);
    unit = turn_due(f->units, UNITS, &f->turn, now_ms, &block);
    if (unit == NULL)
        return UNITS;
    schedule_served(&unit->schedule, block, now_ms);
    return (size_t)(unit - f->units);
}

static void due_of_many_goes_round_the_units(void **state)
{
    static const size_t want[] = { 0, 1, 2, 0, 1, 2, UNITS };
    struct fixture f;

    (void)state;
    set_up(&f);

    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_int_equal(next(&f, START), want[i]);
    tear_down(&f);
}

static void due_leaves_out_disabled_and_resting_units(void **state)
{
    static const size_t want[] = { 1, 1, UNITS };
    struct fixture f;

    (void)state;
    set_up(&f);
    f.units[0].enabled = false;
    f.units[2].rest_ms = START + 200;

    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_int_equal(next(&f, START), want[i]);
    assert_true(turn_wants_ms(&f.units[0]) == UINT64_MAX);
    assert_int_equal(turn_wants_ms(&f.units[2]), START + 200);
    assert_int_equal(next(&f, START + 200), 2);
    tear_down(&f);
}

/* What the others had due when the try failed goes first; what falls due later does not. */
static void held_unit_waits_for_the_due_reads_of_the_others(void **state)
{
    static const size_t want[] = { 1, 2, 1, 2, 0, 0, UNITS };
    struct fixture f;

    (void)state;
    set_up(&f);
    f.units[0].held = true;
    f.units[0].held_ms = START;

    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_int_equal(next(&f, START), want[i]);
    tear_down(&f);
}

static void held_unit_does_not_wait_for_reads_that_fall_due_later(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    while (next(&f, START) != UNITS)
        ;
    f.units[0].held = true;
    f.units[0].held_ms = START + 5000;
    for (size_t i = 1; i < UNITS; i++)
        for (size_t b = 0; b < BLOCKS; b++)
            schedule_served(&f.units[i].schedule, b, START + 5000);
    for (size_t i = 1; i < UNITS; i++) /* made up, and then in time again */
        for (size_t b = 0; b < BLOCKS; b++)
            schedule_served(&f.units[i].schedule, b, START + 5000);

    assert_int_equal(next(&f, START + 9000), 0);
    tear_down(&f);
}

static void held_units_among_themselves_take_turns(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < UNITS; i++) {
        f.units[i].held = true;
        f.units[i].held_ms = START + i;
    }

    assert_int_equal(next(&f, START + 10), 0);
    assert_int_equal(next(&f, START + 10), 1);
    assert_int_equal(next(&f, START + 10), 2);
    tear_down(&f);
}

static void offline_unit_gets_one_probe_when_it_is_due(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    while (next(&f, START) != UNITS)
        ;
    unit_sent(&f.units[1].health);
    unit_failed(&f.units[1].health, START, UNIT_TIMEOUT, UINT32_MAX); /* back-off 1 s */
    schedule_all(&f.units[1].schedule);

    assert_true(turn_is_offline(&f.units[1]));
    assert_false(turn_may_ask(&f.units[1], START + 100));
    assert_true(turn_wants_ms(&f.units[1]) > START + 900);
    assert_true(turn_wants_ms(&f.units[1]) <= START + 1000);
    assert_true(turn_may_ask(&f.units[1], START + 1000));
    unit_sent(&f.units[1].health);
    assert_false(turn_may_ask(&f.units[1], START + 1000));
    tear_down(&f);
}

static void offline_units_take_turns_however_the_others_are_asked(void **state)
{
    struct fixture f;
    size_t probed[UNITS] = { 0 };

    (void)state;
    set_up(&f);
    for (size_t i = 1; i < UNITS; i++) {
        unit_sent(&f.units[i].health);
        unit_failed(&f.units[i].health, START, UNIT_TIMEOUT, UINT32_MAX);
    }
    for (uint64_t now = START + 1000; now < START + 21000; now += 1000) {
        size_t unit;

        while ((unit = next(&f, now)) == 0) /* all that the other has due */
            ;
        assert_true(unit < UNITS);
        probed[unit]++;
        f.units[unit].asked_ms = now;
        for (size_t i = 1; i < UNITS; i++)
            unit_defer(&f.units[i].health, now + 1000);
    }

    assert_int_equal(probed[1], 10);
    assert_int_equal(probed[2], 10);
    tear_down(&f);
}

static void wished_finds_the_unit_that_may_be_asked(void **state)
{
    struct fixture f;
    size_t block = 99;

    (void)state;
    set_up(&f);
    schedule_wish(&f.units[0].schedule, 0, SCHEDULE_ASKED);
    schedule_wish(&f.units[2].schedule, 1, SCHEDULE_ASKED);
    f.units[0].rest_ms = START + 1;

    assert_ptr_equal(turn_wished(f.units, UNITS, SCHEDULE_ASKED, START, &block), &f.units[2]);
    assert_int_equal(block, 1);
    assert_null(turn_wished(f.units, UNITS, SCHEDULE_VERIFY, START, &block));
    assert_ptr_equal(turn_wished(f.units, UNITS, SCHEDULE_ASKED, START + 1, &block), &f.units[0]);
    assert_int_equal(block, 0);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(due_of_many_goes_round_the_units),
        cmocka_unit_test(due_leaves_out_disabled_and_resting_units),
        cmocka_unit_test(held_unit_waits_for_the_due_reads_of_the_others),
        cmocka_unit_test(held_unit_does_not_wait_for_reads_that_fall_due_later),
        cmocka_unit_test(held_units_among_themselves_take_turns),
        cmocka_unit_test(offline_unit_gets_one_probe_when_it_is_due),
        cmocka_unit_test(offline_units_take_turns_however_the_others_are_asked),
        cmocka_unit_test(wished_finds_the_unit_that_may_be_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
