/* What goes over a line that is connected: answers good and bad, silence, exceptions, writes. */
#include "tests/unit/line_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- answers ---- */

static void bytes_split_anywhere_give_one_answer(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[300];
    size_t length;

    pass(f, 1000);
    length = response(&f->last, frame);
    for (size_t cut = 1; cut < length; cut++) {
        unsigned sent = f->sent;

        noted(f);
        bytes(f, frame, cut);
        assert_string_equal(noted(f), "");
        bytes(f, frame + cut, length - cut);
        assert_non_null(strstr(noted(f), "ok;"));
        pass(f, 1000);
        assert_true(f->sent > sent);
        length = response(&f->last, frame);
        if (cut + 1 >= length)
            break;
    }
    assert_int_equal(unit(f, 0)->late + unit(f, 1)->late, 0);
}

static void strays_are_counted_and_dropped(void **state)
{
    static const struct {
        const char *name;
        uint16_t transaction; /* added */
        uint8_t unit_id, function;
        unsigned late1, late2;
    } cases[] = {
        { "another transaction", 1, 0, 0, 1, 0 },
        { "another unit", 0, 3, 0, 0, 1 },
        { "an unknown unit", 0, 8, 0, 1, 0 },
        { "another function", 0, 0, 7, 1, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f;
        struct request right;
        uint8_t frame[300];
        size_t length;
        void *s;

        print_message("case %s\n", cases[i].name);
        set_up(&s);
        f = s;
        tick(f);
        opened(f);
        noted(f);
        right = f->last;
        assert_int_equal(right.unit_id, 1);

        length = response(&right, frame);
        frame[1] = (uint8_t)(frame[1] + cases[i].transaction);
        frame[6] = (uint8_t)(frame[6] ^ cases[i].unit_id);
        frame[7] = (uint8_t)(frame[7] ^ cases[i].function);
        bytes(f, frame, length);

        assert_string_equal(noted(f), "");
        assert_int_equal(unit(f, 0)->late, cases[i].late1);
        assert_int_equal(unit(f, 1)->late, cases[i].late2);
        assert_int_equal(f->sent, 1);
        answer(f);
        assert_string_equal(noted(f), "unit1 online;unit1.0 ok;");
        assert_int_equal(f->closes, 0);
        tear_down(&s);
    }
}

static void late_answer_is_not_taken_for_the_next(void **state)
{
    struct fixture *f = *state;
    struct request first;
    uint8_t frame[300];

    tick(f);
    opened(f);
    noted(f);
    first = f->last;
    pass(f, 500);
    assert_int_equal(f->sent, 2);
    bytes(f, frame, response(&first, frame));

    assert_string_equal(noted(f), "");
    assert_int_equal(unit(f, 0)->late, 1);
    assert_int_equal(unit(f, 0)->timeouts, 1);
    answer(f);
    assert_string_equal(noted(f), "unit2 online;unit2.0 ok;");
}

static uint64_t microseconds;

static uint64_t now_us(void)
{
    return microseconds;
}

static void latency_is_finer_than_a_millisecond(void **state)
{
    struct fixture *f = line_fixture_new();
    double p50, p95, max;

    f->now_us = now_us;
    assert_int_equal(line_fixture_line(f, true), 0);
    *state = f;
    tick(f);
    opened(f);
    for (int i = 0; i < 6; i++) {
        microseconds += 250;
        answer(f);
    }
    unit_latency(unit(f, 0), &p50, &p95, &max);

    assert_true(p50 > 0.249 && p50 < 0.251);
    assert_true(p95 > 0.249 && max < 0.251);
    tear_down(state);
}

static void glued_answers_are_all_read(void **state)
{
    struct fixture *f = *state;
    struct request first;
    uint8_t frames[600];
    size_t length;

    tick(f);
    opened(f);
    first = f->last;
    pass(f, 500);
    noted(f);
    length = response(&first, frames);
    length += response(&f->last, frames + length);
    bytes(f, frames, length);

    assert_string_equal(noted(f), "unit2 online;unit2.0 ok;");
    assert_int_equal(unit(f, 0)->late, 1);
}

static void malformed_answer_is_tried_again_and_told(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[300];
    size_t length;

    tick(f);
    opened(f);
    noted(f);
    for (int i = 0; i < 12; i++) {
        if (f->last.unit_id == 1 && f->last.address == 0 && f->last.function == 3) {
            length = response(&f->last, frame);
            frame[8] = 7; /* byte count */
            bytes(f, frame, length);
        } else {
            answer(f);
        }
    }

    assert_non_null(strstr(noted(f), "malformed;"));
    assert_int_equal(unit(f, 0)->other, 2);
    assert_int_equal(f->closes, 0);
}

/* ---- silence ---- */

static void silent_unit_is_tried_again_after_the_reads_of_the_others(void **state)
{
    struct fixture *f = *state;

    tick(f);
    opened(f);
    noted(f);
    assert_int_equal(f->last.unit_id, 1);
    pass(f, 500);
    answer_all(f, 1);

    assert_string_equal(noted(f), "unit2 online;unit2.0 ok;unit2.1 ok;unit2.2 ok;");
    assert_int_equal(f->last.unit_id, 1);
    assert_int_equal(f->sent, 5);
    pass(f, 500);
    assert_string_equal(noted(f), "unit1.0 silent;");
}

static void silent_unit_goes_offline_and_only_probes_are_sent(void **state)
{
    struct fixture *f = *state;
    unsigned to_silent = 0;

    for (int i = 0; i < 1000; i++) {
        pass(f, 10);
        answer_all(f, 2);
    }
    assert_non_null(strstr(noted(f), "unit2 offline;"));

    /* ten more seconds: the other unit keeps its period, this one costs a probe per back-off */
    to_silent = (unsigned)unit(f, 1)->requests;
    f->sent = 0;
    for (int i = 0; i < 1000; i++) {
        pass(f, 10);
        answer_all(f, 2);
    }

    to_silent = (unsigned)unit(f, 1)->requests - to_silent;
    assert_true(to_silent >= 1 && to_silent <= 3);
    assert_true(f->sent - to_silent >= 28); /* of 30 */
    noted(f);
}

static void offline_unit_that_answers_resumes_its_whole_schedule(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 500; i++) {
        pass(f, 10);
        answer_all(f, 2);
    }
    assert_int_equal(unit(f, 1)->state, DEVICE_OFFLINE);
    noted(f);
    for (int i = 0; i < 3000 && unit(f, 1)->state == DEVICE_OFFLINE; i++) {
        if (f->last.unit_id == 2)
            f->log[0] = '\0';
        answer_all(f, 0);
        if (unit(f, 1)->state == DEVICE_OFFLINE)
            pass(f, 10);
    }

    assert_int_equal(unit(f, 1)->state, DEVICE_ONLINE);
    for (size_t i = 0; i < 3; i++) {
        char want[32];

        snprintf(want, sizeof want, "unit2.%zu ok;", i);
        assert_non_null(strstr(f->log, want));
    }
}

static void absent_behind_a_gateway_counts_as_silent_but_keeps_the_connection(void **state)
{
    struct fixture *f = *state;
    unsigned sent = 0;

    for (int i = 0; i < 3000; i++) {
        pass(f, 10);
        while (sent != f->sent) {
            sent = f->sent;
            refuse(f, 11);
        }
    }

    assert_int_equal(f->closes, 0);
    assert_int_equal(unit(f, 0)->state, DEVICE_OFFLINE);
    assert_int_equal(unit(f, 1)->state, DEVICE_OFFLINE);
    assert_non_null(strstr(noted(f), "unit1 offline;"));
}

/* ---- exceptions of a read ---- */

static void refused_block_is_divided_until_the_guilty_tag_is_alone(void **state)
{
    struct fixture *f = *state;
    unsigned requests = 0;
    const char *log;

    noted(f);
    f->now_ms += 1000; /* all of unit 1's and unit 2's blocks are due */
    tick(f);
    while (requests != f->sent) {
        requests = f->sent;
        if (f->last.unit_id == 1 && f->last.function == 3 && f->last.address <= 2 &&
            f->last.address + f->last.count > 2)
            refuse(f, 2);
        else
            answer(f);
    }

    log = noted(f);
    assert_non_null(strstr(log, "refused;"));
    assert_null(strstr(strstr(log, "refused;") + 1, "refused;"));
    assert_int_equal(f->plans[0]->block_count, 5);
    for (size_t i = 0; i < f->plans[0]->block_count; i++)
        if (f->plans[0]->blocks[i].start == 2)
            assert_int_equal(f->plans[0]->blocks[i].count, 1);
    assert_true(f->sent <= 6 + 4);
}

static void refused_block_that_cannot_be_divided_is_told(void **state)
{
    static const uint8_t codes[] = { 1, 2, 3, 4 };

    (void)state;
    for (size_t i = 0; i < sizeof codes; i++) {
        struct fixture *f;
        void *s;

        set_up(&s);
        f = s;
        f->can_split = false;
        tick(f);
        opened(f);
        noted(f);
        refuse(f, codes[i]);

        assert_string_equal(noted(f), "unit1 online;unit1.0 refused;");
        assert_int_equal(unit(f, 0)->exceptions, 1);
        tear_down(&s);
    }
}

static void busy_device_rests_and_is_asked_again(void **state)
{
    struct fixture *f = *state;

    tick(f);
    opened(f);
    noted(f);
    refuse(f, 6);
    answer_all(f, 1);
    assert_string_equal(noted(f), "unit1 online;unit2 online;unit2.0 ok;unit2.1 ok;unit2.2 ok;");
    assert_int_equal(f->next_ms, START + 200);
    pass(f, 200);
    assert_int_equal(f->last.unit_id, 1);
    refuse(f, 6);
    assert_string_equal(noted(f), "unit1.0 busy;");
    pass(f, 200);
    answer_all(f, 0);
    assert_string_equal(noted(f), "unit1.1 ok;unit1.2 ok;");
}

/* ---- writes ---- */

static void write_overtakes_reads_and_its_read_back_overtakes_all(void **state)
{
    struct fixture *f = *state;

    f->now_ms += 1000;
    tick(f); /* a read is out, others are due */
    noted(f);
    queue_write(f, 0, 1, 4, 0);
    queue_write(f, 1, 0, 0, 0);
    queue_write(f, 2, 0, 5, 0);
    answer(f);
    assert_int_equal(f->last.function, 6);
    assert_int_equal(f->last.unit_id, 2);
    assert_int_equal(f->last.address, 100);
    noted(f);
    line_bytes(f->line,
               (const uint8_t[12]){ (uint8_t)(f->last.transaction >> 8),
                                    (uint8_t)f->last.transaction, 0, 0, 0, 6, 2, 6, 0, 100, 0, 1 },
               12);
    assert_string_equal(noted(f), "write0 done;");
    line_read(f->line, 1, f->block[SIDE_BLOCK], SCHEDULE_VERIFY);
    line_read(f->line, 1, f->block[COIL_BLOCK], SCHEDULE_ASKED);
    tick(f);

    assert_int_equal(f->last.function, 3);
    assert_int_equal(f->last.address, 100);
    answer(f);
    assert_int_equal(f->last.function, 6); /* the next write, in order */
    assert_int_equal(f->last.unit_id, 1);
    answer(f);
    assert_int_equal(f->last.function, 5);
    assert_int_equal(f->last.count, 0xFF00);
    answer(f);
    assert_int_equal(f->last.function, 1); /* the read that was asked for */
    assert_int_equal(f->last.unit_id, 2);
    noted(f);
}

static void write_without_answer_is_tried_again_and_then_unknown(void **state)
{
    struct fixture *f = *state;

    queue_write(f, 0, 0, 4, 0);
    assert_int_equal(f->sent, 1);
    pass(f, 500);
    answer_all(f, 1);
    assert_int_equal(f->last.function, 6);
    assert_null(strstr(noted(f), "write0"));
    pass(f, 500);

    assert_string_equal(noted(f), "write0 no answer: the device did not answer;");
}

static void write_to_a_silent_unit_leaves_the_others_their_reads(void **state)
{
    struct fixture *f = *state;

    queue_write(f, 0, 0, 4, 0);
    f->now_ms += 499; /* one tick: what falls due meanwhile, falls due behind the write */
    f->now_ms += 1;
    tick(f);

    while (f->last.unit_id == 2) {
        assert_int_equal(f->last.function == 3 || f->last.function == 1, 1);
        answer(f);
    }
    assert_int_equal(f->last.function, 6);
    assert_int_equal(f->last.unit_id, 1);
    noted(f);
}

static void write_that_must_not_be_repeated_is_sent_once(void **state)
{
    struct fixture *f = *state;

    queue_write(f, 0, 0, 4, 0);
    f->writes[0].retries = 0;
    pass(f, 500);

    assert_string_equal(noted(f), "write0 no answer: the device did not answer;");
}

static void write_is_refused_by_an_exception(void **state)
{
    struct fixture *f = *state;

    queue_write(f, 0, 0, 4, 0);
    refuse(f, 3);

    assert_non_null(strstr(noted(f), "write0 refused: illegal data value (exception 3);"));
}

static void write_answered_with_another_value_is_told(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[300];
    size_t length;

    queue_write(f, 0, 0, 4, 0);
    assert_int_equal(f->last.function, 6);
    length = response(&f->last, frame);
    frame[length - 1] ^= 1;
    noted(f);
    bytes(f, frame, length);

    assert_non_null(strstr(noted(f), "write0 differs: the device answered with another value;"));
    assert_int_equal(unit(f, 0)->timeouts + unit(f, 0)->late + unit(f, 0)->other, 0);
}

static void write_to_a_busy_device_is_tried_again(void **state)
{
    struct fixture *f = *state;

    queue_write(f, 0, 0, 4, 0);
    refuse(f, 6);
    assert_int_equal(f->sent, 1);
    noted(f);
    pass(f, 200);
    answer_all(f, 1);
    assert_int_equal(f->last.function, 6);
    answer(f);

    assert_non_null(strstr(noted(f), "write0 done;"));
}

static void write_without_a_connection_is_not_sent(void **state)
{
    struct fixture *f = *state;

    tick(f);
    queue_write(f, 0, 0, 4, 0);
    assert_string_equal(noted(f), "write0 not sent: not connected yet;");
    closed(f, "connection refused");
    noted(f);
    queue_write(f, 1, 0, 4, 0);

    assert_string_equal(noted(f), "write1 not sent: connection refused;");
    assert_int_equal(f->sent, 0);
}

static void write_in_flight_when_the_connection_breaks_is_unknown(void **state)
{
    struct fixture *f = *state;

    queue_write(f, 0, 0, 4, 0);
    queue_write(f, 1, 0, 0, 0);
    closed(f, "the peer closed");

    assert_string_equal(noted(f), "waiting;write0 no answer: the peer closed;"
                                  "write1 not sent: the peer closed;");
}

static void write_to_an_offline_device_is_not_sent(void **state)
{
    struct fixture *f = *state;
    unsigned sent;

    for (int i = 0; i < 600; i++) {
        pass(f, 10);
        answer_all(f, 2);
    }
    assert_int_equal(unit(f, 1)->state, DEVICE_OFFLINE);
    noted(f);
    sent = f->sent;
    queue_write(f, 0, 1, 4, 0);

    assert_non_null(strstr(noted(f), "write0 not sent: no answer ("));
    assert_int_equal(f->sent, sent);
}

static void write_past_its_deadline_is_not_sent(void **state)
{
    struct fixture *f = *state;

    f->now_ms += 1000;
    tick(f); /* a read is out and stays unanswered */
    queue_write(f, 0, 0, 4, f->now_ms + 100);
    assert_int_equal(f->next_ms, f->now_ms + 100);
    pass(f, 100);

    assert_string_equal(noted(f), "write0 not sent: its deadline has passed;");
}

/* ---- reads that were asked for ---- */

static void read_asked_goes_before_what_is_scheduled(void **state)
{
    struct fixture *f = *state;

    line_read(f->line, 1, f->block[SIDE_BLOCK], SCHEDULE_ASKED);
    tick(f);

    assert_int_equal(f->last.unit_id, 2);
    assert_int_equal(f->last.address, 100);
    answer(f);
    assert_int_equal(f->sent, 1);
    noted(f);
}

static void read_asked_without_a_connection_is_answered(void **state)
{
    struct fixture *f = *state;

    tick(f);
    line_read(f->line, 1, 0, SCHEDULE_ASKED);
    tick(f);

    assert_string_equal(noted(f), "unit2.0 unconnected;");
}

static void read_asked_of_an_offline_device_is_answered(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 600; i++) {
        pass(f, 10);
        answer_all(f, 2);
    }
    noted(f);
    line_read(f->line, 1, 0, SCHEDULE_ASKED);
    tick(f);

    assert_string_equal(noted(f), "unit2.0 silent;");
}

#define FRESH(test)   cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, set_up_running, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(bytes_split_anywhere_give_one_answer),
        cmocka_unit_test(strays_are_counted_and_dropped),
        FRESH(late_answer_is_not_taken_for_the_next),
        cmocka_unit_test(latency_is_finer_than_a_millisecond),
        FRESH(glued_answers_are_all_read),
        FRESH(malformed_answer_is_tried_again_and_told),
        FRESH(silent_unit_is_tried_again_after_the_reads_of_the_others),
        RUNNING(silent_unit_goes_offline_and_only_probes_are_sent),
        RUNNING(offline_unit_that_answers_resumes_its_whole_schedule),
        RUNNING(absent_behind_a_gateway_counts_as_silent_but_keeps_the_connection),
        RUNNING(refused_block_is_divided_until_the_guilty_tag_is_alone),
        cmocka_unit_test(refused_block_that_cannot_be_divided_is_told),
        FRESH(busy_device_rests_and_is_asked_again),
        RUNNING(write_overtakes_reads_and_its_read_back_overtakes_all),
        RUNNING(write_without_answer_is_tried_again_and_then_unknown),
        RUNNING(write_to_a_silent_unit_leaves_the_others_their_reads),
        RUNNING(write_that_must_not_be_repeated_is_sent_once),
        RUNNING(write_is_refused_by_an_exception),
        RUNNING(write_answered_with_another_value_is_told),
        RUNNING(write_to_a_busy_device_is_tried_again),
        FRESH(write_without_a_connection_is_not_sent),
        RUNNING(write_in_flight_when_the_connection_breaks_is_unknown),
        RUNNING(write_to_an_offline_device_is_not_sent),
        RUNNING(write_past_its_deadline_is_not_sent),
        RUNNING(read_asked_goes_before_what_is_scheduled),
        FRESH(read_asked_without_a_connection_is_answered),
        RUNNING(read_asked_of_an_offline_device_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
