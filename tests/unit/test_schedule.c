/* Slots of blocks: phases, what is made up, what is let go. The clock is a number. */
#include "adapters/modbus/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BLOCKS = 4, START = 1003 };

struct fixture {
    struct plan_block blocks[BLOCKS + 1];
    struct plan plan;
    struct schedule schedule;
};

static void set_up(struct fixture *f, uint32_t interval_ms)
{
    *f = (struct fixture){ .plan = { .block_count = BLOCKS, .block_max = BLOCKS + 1 } };
    f->plan.blocks = f->blocks;
    for (size_t i = 0; i < BLOCKS; i++)
        f->blocks[i].poll_interval_ms = interval_ms;
    assert_int_equal(schedule_init(&f->schedule, &f->plan, 0, BLOCKS, START), 0);
}

static void serve_all(struct fixture *f, uint64_t now_ms)
{
    for (size_t i = 0; i < f->schedule.count; i++)
        schedule_served(&f->schedule, i, now_ms);
}

static void init_of_blocks_makes_all_due_at_once(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 1000);

    assert_int_equal(f.schedule.next_ms, 0);
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_int_equal(schedule_due(&f.schedule, START), i);
        schedule_served(&f.schedule, i, START);
    }
    assert_int_equal(schedule_due(&f.schedule, START), SIZE_MAX);
    schedule_done(&f.schedule);
}

static void init_of_blocks_spreads_their_slots_on_the_grain(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 1000);

    serve_all(&f, START + 1);

    for (size_t i = 0; i < BLOCKS; i++) {
        uint64_t slot = f.schedule.polls[i].slot_ms;

        assert_int_equal(slot % SCHEDULE_GRAIN_MS, 0);
        assert_true(slot > START + 1 && slot <= START + 1 + 1010);
        for (size_t j = 0; j < i; j++)
            assert_true(f.schedule.polls[j].slot_ms != slot);
    }
    schedule_done(&f.schedule);
}

static void init_of_odd_intervals_rounds_them_up_to_the_grain(void **state)
{
    static const struct {
        uint32_t interval_ms, want_ms;
    } cases[] = { { 0, 10 }, { 1, 10 }, { 10, 10 }, { 11, 20 }, { 995, 1000 }, { 1000, 1000 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;

        set_up(&f, cases[i].interval_ms);
        assert_int_equal(f.schedule.polls[0].interval_ms, cases[i].want_ms);
        schedule_done(&f.schedule);
    }
}

static void init_without_blocks_is_never_due(void **state)
{
    struct plan plan = { .block_max = 0 };
    struct schedule schedule;

    (void)state;
    assert_int_equal(schedule_init(&schedule, &plan, 0, 0, START), 0);

    assert_true(schedule.next_ms == UINT64_MAX);
    assert_int_equal(schedule_due(&schedule, UINT64_MAX - 1), SIZE_MAX);
    schedule_done(&schedule);
}

/* A poll in its slot keeps the rhythm whatever the answer took; one missed slot is made up, more are let go. */
static void served_moves_the_slot(void **state)
{
    static const struct {
        const char *name;
        bool at_once;
        uint64_t slot_ms, now_ms, want_ms;
    } cases[] = {
        { "in time", false, 2000, 2004, 3000 },
        { "slow answer", false, 2000, 2999, 3000 },
        { "answer at the next slot", false, 2000, 3000, 3000 },
        { "one slot missed is made up", false, 2000, 3400, 3000 },
        { "of many missed the newest is made up", false, 2000, 9400, 9000 },
        { "extra read before the slot", false, 2000, 1500, 2000 },
        { "at once before the slot", true, 2000, 1500, 2000 },
        { "at once after a short pause", true, 2000, 2500, 3000 },
        { "at once after a long pause stands for all", true, 2000, 9400, 10000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;

        print_message("case %s\n", cases[i].name);
        set_up(&f, 1000);
        f.schedule.polls[0].slot_ms = cases[i].slot_ms;
        f.schedule.polls[0].at_once = cases[i].at_once;

        schedule_served(&f.schedule, 0, cases[i].now_ms);

        assert_int_equal(f.schedule.polls[0].slot_ms, cases[i].want_ms);
        assert_false(f.schedule.polls[0].at_once);
        schedule_done(&f.schedule);
    }
}

static void due_of_several_gives_the_oldest_slot(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 1000);
    serve_all(&f, START);
    f.schedule.polls[0].slot_ms = 5000;
    f.schedule.polls[1].slot_ms = 4000;
    f.schedule.polls[2].slot_ms = 3000;
    f.schedule.polls[3].slot_ms = 9000;
    schedule_served(&f.schedule, 3, START); /* nothing but: find the next again */

    assert_int_equal(f.schedule.next_ms, 3000);
    assert_int_equal(schedule_due(&f.schedule, 2999), SIZE_MAX);
    assert_int_equal(schedule_due(&f.schedule, 3000), 2);
    assert_int_equal(schedule_due(&f.schedule, 6000), 2);
    schedule_done(&f.schedule);
}

static void all_makes_everything_due_again(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 1000);
    serve_all(&f, START);

    schedule_all(&f.schedule);

    assert_int_equal(f.schedule.next_ms, 0);
    assert_int_equal(schedule_due(&f.schedule, START), 0);
    schedule_done(&f.schedule);
}

static void split_makes_both_parts_due_with_the_same_wish(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 1000);
    serve_all(&f, START);
    schedule_wish(&f.schedule, 1, SCHEDULE_VERIFY);
    f.schedule.polls[1].tries = 1;

    schedule_split(&f.schedule, 1, BLOCKS);

    assert_int_equal(f.schedule.count, BLOCKS + 1);
    assert_int_equal(f.schedule.wishes, 2);
    assert_int_equal(f.schedule.polls[1].wish, SCHEDULE_VERIFY);
    assert_int_equal(f.schedule.polls[BLOCKS].wish, SCHEDULE_VERIFY);
    assert_int_equal(f.schedule.polls[BLOCKS].tries, 0);
    assert_int_equal(f.schedule.polls[BLOCKS].slot_ms, f.schedule.polls[1].slot_ms);
    assert_int_equal(schedule_due(&f.schedule, START), 1);
    schedule_served(&f.schedule, 1, START);
    assert_int_equal(schedule_due(&f.schedule, START), BLOCKS);
    schedule_done(&f.schedule);
}

static void wish_of_two_kinds_keeps_the_more_urgent(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, 1000);

    schedule_wish(&f.schedule, 2, SCHEDULE_VERIFY);
    schedule_wish(&f.schedule, 2, SCHEDULE_ASKED);
    schedule_wish(&f.schedule, 3, SCHEDULE_ASKED);

    assert_int_equal(f.schedule.wishes, 2);
    assert_int_equal(schedule_wished(&f.schedule, SCHEDULE_VERIFY), 2);
    assert_int_equal(schedule_wished(&f.schedule, SCHEDULE_ASKED), 3);
    schedule_served(&f.schedule, 2, START);
    assert_int_equal(f.schedule.wishes, 1);
    assert_int_equal(schedule_wished(&f.schedule, SCHEDULE_VERIFY), SIZE_MAX);
    schedule_served(&f.schedule, 3, START);
    assert_int_equal(schedule_wished(&f.schedule, SCHEDULE_ASKED), SIZE_MAX);
    schedule_done(&f.schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_of_blocks_makes_all_due_at_once),
        cmocka_unit_test(init_of_blocks_spreads_their_slots_on_the_grain),
        cmocka_unit_test(init_of_odd_intervals_rounds_them_up_to_the_grain),
        cmocka_unit_test(init_without_blocks_is_never_due),
        cmocka_unit_test(served_moves_the_slot),
        cmocka_unit_test(due_of_several_gives_the_oldest_slot),
        cmocka_unit_test(all_makes_everything_due_again),
        cmocka_unit_test(split_makes_both_parts_due_with_the_same_wish),
        cmocka_unit_test(wish_of_two_kinds_keeps_the_more_urgent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
