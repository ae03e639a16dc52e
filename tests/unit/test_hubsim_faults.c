/* The faults of the control address: which lines are understood, and what a plan then says. */
#include "tests/sim/hubsim/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct struck { /* what the hub was asked for */
    int count;
    char identity[FAULTS_IDENTITY_MAX];
    enum faults_act act;
    uint32_t ms;
    uint8_t bytes[FAULTS_BYTES_MAX];
    size_t length;
};

static size_t on_strike(void *data, const char *identity, const struct faults_strike *strike)
{
    struct struck *struck = data;

    struck->count++;
    snprintf(struck->identity, sizeof struck->identity, "%s", identity);
    struck->act = strike->act;
    struck->ms = strike->ms;
    struck->length = strike->length;
    memcpy(struck->bytes, strike->bytes, strike->length);
    return 3;
}

static int set_up(void **state)
{
    struct faults *faults;

    if (faults_new(&faults) != 0)
        return -1;
    *state = faults;
    return 0;
}

static int tear_down(void **state)
{
    faults_free(*state);
    return 0;
}

static void run(struct faults *faults, const char *line, const char *want)
{
    char copy[1024], answer[FAULTS_ANSWER_MAX];

    snprintf(copy, sizeof copy, "%s", line);
    faults_run(faults, copy, answer);
    print_message("%s -> %s\n", line, answer);
    if (strcmp(want, "error") == 0)
        assert_memory_equal(answer, "error ", 6);
    else
        assert_string_equal(answer, want);
    assert_null(strchr(answer, '\n'));
}

static void faults_run_wrong_lines_change_nothing_and_say_what_is_right(void **state)
{
    static const char *const lines[] = {
        "",
        "d/m",
        "d/m nothing",
        "d/m refuse",
        "d/m refuse 0",
        "d/m refuse 256",
        "d/m refuse -1",
        "d/m refuse 5 0",
        "d/m refuse 5 1 1",
        "d/m refuse five",
        "d/m delay",
        "d/m delay connack",
        "d/m delay never 5",
        "d/m delay connack 600001",
        "d/m lose",
        "d/m lose 0",
        "d/m answer",
        "d/m answer 200",
        "d/m answer 600",
        "d/m answer 429 gets 1 1",
        "d/m answer 429 puts",
        "d/m version",
        "d/m version old",
        "d/m version gap",
        "d/m version gap 0",
        "d/m version ahead",
        "d/m version duplicate 1 1",
        "d/m split",
        "d/m split 0",
        "d/m merge 0",
        "d/m slow-reader",
        "d/m half-open 5",
        "d/m send",
        "d/m send 0",
        "d/m send 0g",
        "d/m send 00 00",
        "d/m text-frame 0",
        "d/m ok ok",
        "d/m drop now",
        "d/m lose 99999999999",
        "d/m drop-after",
        "d/m drop-after 0",
        "d/m clock 5",
        "* clock",
        "* clock -",
        "* clock 5 5",
        "* clock 400000000",
    };
    struct struck struck = { 0 };
    struct faults_plan *plan;
    int64_t ahead;
    uint8_t code;

    faults_on_strike(*state, on_strike, &struck);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        run(*state, lines[i], "error");
    plan = faults_plan(*state, "d/m");
    assert_false(faults_refuse(plan, &code));
    assert_false(faults_lose(plan));
    assert_int_equal(faults_status(plan, FAULTS_GET), 0);
    assert_int_equal(faults_status(plan, FAULTS_PATCH), 0);
    assert_int_equal(faults_notice(plan, &ahead), 1);
    assert_int_equal(faults_frame(plan, 77, 100), 100);
    assert_int_equal(faults_merge_ms(plan), 0);
    assert_false(faults_text_frame(plan));
    for (int i = 0; i < FAULTS_STEPS; i++)
        assert_int_equal(faults_delay_ms(plan, (enum faults_step)i), 0);
    assert_int_equal(struck.count, 0);
    assert_false(faults_drop(plan));
    assert_true(faults_clock_ms(*state) == 0);
}

static void faults_drop_is_told_with_the_last_packet(void **state)
{
    struct faults_plan *plan = faults_plan(*state, "d/m"), *other = faults_plan(*state, "d/n");

    run(*state, "d/m drop-after 2", "ok");
    assert_false(faults_drop(other));
    assert_false(faults_drop(plan));
    assert_true(faults_drop(plan));
    assert_false(faults_drop(plan));
    run(*state, "* drop-after 2", "ok"); /* counted together */
    assert_false(faults_drop(plan));
    assert_true(faults_drop(other));
}

static void faults_clock_is_off_by_seconds_until_it_is_right(void **state)
{
    run(*state, "* clock -90", "ok");
    assert_true(faults_clock_ms(*state) == -90000);
    run(*state, "* clock 316000000", "ok");
    assert_true(faults_clock_ms(*state) == INT64_C(316000000000));
    run(*state, "* clock 0", "ok");
    assert_true(faults_clock_ms(*state) == 0);
    run(*state, "* clock 5", "ok");
    run(*state, "* ok", "ok 0");
    assert_true(faults_clock_ms(*state) == 0);
}

static void faults_run_bytes_that_are_too_many_are_refused(void **state)
{
    char line[2 * FAULTS_BYTES_MAX + 32] = "d/m send ";

    memset(line + strlen(line), '0', 2 * FAULTS_BYTES_MAX + 2);
    run(*state, line, "error");
    line[strlen("d/m send ") + 2 * FAULTS_BYTES_MAX] = 0;
    run(*state, line, "ok 0"); /* nobody to send it to */
}

static void faults_refuse_counts_down_and_gives_the_code(void **state)
{
    struct faults_plan *plan = faults_plan(*state, "d/m");
    uint8_t code = 0;

    run(*state, "d/m refuse 255 2", "ok");
    assert_true(faults_refuse(plan, &code));
    assert_int_equal(code, 255);
    assert_true(faults_refuse(plan, &code));
    assert_false(faults_refuse(plan, &code));
    run(*state, "d/m refuse 5", "ok");
    for (int i = 0; i < 1000; i++)
        assert_true(faults_refuse(plan, &code));
    assert_false(faults_refuse(faults_plan(*state, "d/n"), &code));
    run(*state, "d/m ok", "ok 0");
    assert_false(faults_refuse(plan, &code));
}

static void faults_everybody_is_asked_behind_the_identity(void **state)
{
    struct faults_plan *one = faults_plan(*state, "d/m"), *other = faults_plan(*state, "d/n");

    run(*state, "* answer 500", "ok");
    run(*state, "d/m answer 429 patches 1", "ok");
    assert_int_equal(faults_status(one, FAULTS_PATCH), 429);
    assert_int_equal(faults_status(one, FAULTS_PATCH), 500);
    assert_int_equal(faults_status(one, FAULTS_GET), 500);
    assert_int_equal(faults_status(other, FAULTS_PATCH), 500);
    run(*state, "d/m answer 503", "ok");
    run(*state, "* ok", "ok 0");
    assert_int_equal(faults_status(one, FAULTS_PATCH), 0);
    assert_int_equal(faults_status(other, FAULTS_GET), 0);
}

static void faults_delay_and_lose_are_told_by_step(void **state)
{
    struct faults_plan *plan = faults_plan(*state, "d/m");

    run(*state, "d/m delay suback 250", "ok");
    run(*state, "* delay suback 1", "ok");
    run(*state, "* delay answers 2", "ok");
    run(*state, "d/m lose 1", "ok");
    assert_int_equal(faults_delay_ms(plan, FAULTS_CONNACK), 0);
    assert_int_equal(faults_delay_ms(plan, FAULTS_SUBACK), 250);
    assert_int_equal(faults_delay_ms(plan, FAULTS_ANSWERS), 2);
    assert_true(faults_lose(plan));
    assert_false(faults_lose(plan));
}

static void faults_notice_is_doubled_lost_or_ahead(void **state)
{
    struct faults_plan *plan = faults_plan(*state, "d/m");
    int64_t ahead = 9;

    run(*state, "d/m version duplicate 1", "ok");
    assert_int_equal(faults_notice(plan, &ahead), 2);
    assert_true(ahead == 0);
    run(*state, "d/m version gap 2", "ok");
    assert_int_equal(faults_notice(plan, &ahead), 0);
    assert_int_equal(faults_notice(plan, &ahead), 0);
    assert_int_equal(faults_notice(plan, &ahead), 1);
    run(*state, "d/m version ahead 7", "ok");
    assert_int_equal(faults_notice(plan, &ahead), 1);
    assert_true(ahead == 7);
    assert_int_equal(faults_notice(plan, &ahead), 1);
    assert_true(ahead == 0);
}

static void faults_frame_is_1_to_n_bytes_and_never_more_than_there_are(void **state)
{
    struct faults_plan *plan = faults_plan(*state, "d/m");
    bool seen[6] = { false };

    run(*state, "d/m split 5", "ok");
    for (uint32_t random = 0; random < 50; random++) {
        size_t length = faults_frame(plan, random, 100);

        assert_in_range(length, 1, 5);
        seen[length] = true;
        assert_in_range(faults_frame(plan, random, 2), 1, 2);
    }
    for (size_t i = 1; i <= 5; i++)
        assert_true(seen[i]);
    run(*state, "d/m text-frame", "ok");
    assert_true(faults_text_frame(plan));
    assert_false(faults_text_frame(plan));
    run(*state, "d/m merge 40", "ok");
    assert_int_equal(faults_merge_ms(plan), 40);
}

static void faults_run_strikes_open_connections(void **state)
{
    static const struct {
        const char *line;
        enum faults_act act;
        uint32_t ms;
        size_t length;
    } cases[] = {
        { "d/m drop", FAULTS_DROP, 0, 0 },
        { "d/m wipe-session", FAULTS_WIPE, 0, 0 },
        { "d/m half-open", FAULTS_HALF_OPEN, 0, 0 },
        { "d/m slow-reader 30", FAULTS_SLOW_READER, 30, 0 },
        { "d/m send 00fFA0", FAULTS_SEND, 0, 3 },
        { "d/m ok", FAULTS_RECOVER, 0, 0 },
    };
    struct struck struck = { 0 };

    faults_on_strike(*state, on_strike, &struck);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(*state, cases[i].line, "ok 3");
        assert_int_equal(struck.count, (int)i + 1);
        assert_string_equal(struck.identity, "d/m");
        assert_int_equal(struck.act, cases[i].act);
        assert_int_equal(struck.ms, cases[i].ms);
        assert_int_equal(struck.length, cases[i].length);
        if (cases[i].length > 0)
            assert_memory_equal(struck.bytes, "\x00\xff\xa0", 3);
    }
}

static void faults_run_status_counts_each_and_all(void **state)
{
    faults_count(faults_plan(*state, "d/m"), FAULTS_PATCHES);
    faults_count(faults_plan(*state, "d/m"), FAULTS_PATCHES);
    faults_count(faults_plan(*state, "d/n"), FAULTS_PATCHES);
    faults_count(faults_plan(*state, "d/n"), FAULTS_CONNECTS);
    run(*state, "d/m status",
        "ok connects=0 refused=0 subscribed=0 gets=0 patches=2 notices=0 pings=0 lost=0 ended=0");
    run(*state, "* status",
        "ok connects=1 refused=0 subscribed=0 gets=0 patches=3 notices=0 pings=0 lost=0 ended=0");
}

static void faults_without_a_plan_there_are_none(void **state)
{
    int64_t ahead;
    uint8_t code;

    (void)state;
    assert_null(faults_plan(NULL, "d/m"));
    faults_count(NULL, FAULTS_GETS);
    assert_false(faults_refuse(NULL, &code));
    assert_false(faults_lose(NULL));
    assert_false(faults_text_frame(NULL));
    assert_false(faults_drop(NULL));
    assert_true(faults_clock_ms(NULL) == 0);
    assert_int_equal(faults_status(NULL, FAULTS_GET), 0);
    assert_int_equal(faults_delay_ms(NULL, FAULTS_CONNACK), 0);
    assert_int_equal(faults_notice(NULL, &ahead), 1);
    assert_int_equal(faults_frame(NULL, 5, 7), 7);
    assert_int_equal(faults_merge_ms(NULL), 0);
    faults_free(NULL);
}

static void faults_plan_beyond_the_limit_is_none(void **state)
{
    char identity[FAULTS_IDENTITY_MAX + 8], line[64];

    for (int i = 0; i < FAULTS_PLANS_MAX / 16; i++) { /* the rest would only take its time */
        snprintf(identity, sizeof identity, "d/%d", i);
        assert_non_null(faults_plan(*state, identity));
    }
    memset(identity, 'x', sizeof identity);
    identity[FAULTS_IDENTITY_MAX] = 0;
    assert_null(faults_plan(*state, identity));
    snprintf(line, sizeof line, "d/0 status");
    run(*state, line,
        "ok connects=0 refused=0 subscribed=0 gets=0 patches=0 notices=0 pings=0 lost=0 ended=0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(faults_run_wrong_lines_change_nothing_and_say_what_is_right),
        TEST(faults_drop_is_told_with_the_last_packet),
        TEST(faults_clock_is_off_by_seconds_until_it_is_right),
        TEST(faults_run_bytes_that_are_too_many_are_refused),
        TEST(faults_refuse_counts_down_and_gives_the_code),
        TEST(faults_everybody_is_asked_behind_the_identity),
        TEST(faults_delay_and_lose_are_told_by_step),
        TEST(faults_notice_is_doubled_lost_or_ahead),
        TEST(faults_frame_is_1_to_n_bytes_and_never_more_than_there_are),
        TEST(faults_run_strikes_open_connections),
        TEST(faults_run_status_counts_each_and_all),
        TEST(faults_without_a_plan_there_are_none),
        TEST(faults_plan_beyond_the_limit_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
