/* The health of a device: every arrow of the picture in unit.c, the probes of an offline one, and what is
 * counted. Time is a number here. */
#include "adapters/modbus/unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LATEST UINT32_MAX /* chance that gives the longest wait of a back-off */

static const struct modbus_device device = {
    .name = "boiler-7",
    .response_timeout_ms = 1000,
    .offline_after = 3,
    .backoff_min_ms = 1000,
    .backoff_max_ms = 4000,
};

static struct unit new_unit(void)
{
    struct unit unit;

    unit_init(&unit, &device);
    return unit;
}

static bool answer(struct unit *unit)
{
    unit_sent(unit);
    return unit_answered(unit, 5000);
}

static bool refuse(struct unit *unit)
{
    unit_sent(unit);
    return unit_refused(unit, 5000);
}

static bool time_out(struct unit *unit, uint64_t now_ms)
{
    unit_sent(unit);
    return unit_failed(unit, now_ms, UNIT_TIMEOUT, LATEST);
}

static struct unit online_unit(void)
{
    struct unit unit = new_unit();

    answer(&unit);
    return unit;
}

/* Silent at now 0: the first probe is due at 1000. */
static struct unit offline_unit(void)
{
    struct unit unit = online_unit();

    for (uint32_t i = 0; i < device.offline_after; i++)
        time_out(&unit, 0);
    return unit;
}

/* ---- the arrows ---- */

static void unit_init_is_starting_and_may_be_asked(void **state)
{
    struct unit unit = new_unit();

    (void)state;
    assert_int_equal(unit.state, DEVICE_STARTING);
    assert_true(unit_due(&unit, 0));
    assert_int_equal(unit_next_ms(&unit), 0);
    assert_int_equal(unit_timeout_ms(&unit), 1000);
    assert_string_equal(unit.error, "");
}

static void unit_answered_starting_is_online(void **state)
{
    struct unit unit = new_unit();

    (void)state;
    assert_true(answer(&unit));
    assert_int_equal(unit.state, DEVICE_ONLINE);
    assert_false(answer(&unit));
    assert_string_equal(unit.error, "");
}

static void unit_refused_starting_is_online(void **state)
{
    struct unit unit = new_unit();

    (void)state;
    assert_true(refuse(&unit));
    assert_int_equal(unit.state, DEVICE_ONLINE);
}

static void unit_answered_starting_with_a_bad_tag_is_degraded(void **state)
{
    struct unit unit = new_unit();

    (void)state;
    assert_false(unit_bad_tags(&unit, 1));
    assert_int_equal(unit.state, DEVICE_STARTING);
    assert_true(answer(&unit));
    assert_int_equal(unit.state, DEVICE_DEGRADED);
}

static void unit_failed_offline_after_times_is_offline(void **state)
{
    static const struct {
        bool answered_before;
        enum device_state before;
    } cases[] = { { false, DEVICE_STARTING }, { true, DEVICE_ONLINE } };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct unit unit = cases[i].answered_before ? online_unit() : new_unit();

        assert_false(time_out(&unit, 0));
        assert_false(time_out(&unit, 0));
        assert_int_equal(unit.state, cases[i].before);
        assert_true(time_out(&unit, 0));
        assert_int_equal(unit.state, DEVICE_OFFLINE);
        assert_string_equal(unit.error, "no answer (3 requests in a row)");
    }
}

static void unit_failed_with_answers_between_stays_online(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    for (int i = 0; i < 2; i++) {
        time_out(&unit, 0);
        time_out(&unit, 0);
        answer(&unit);
    }
    assert_int_equal(unit.state, DEVICE_ONLINE);
    time_out(&unit, 0);
    refuse(&unit); /* an exception is an answer too */
    assert_int_equal(unit.unanswered, 0);
}

static void unit_failed_absent_counts_as_silence(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    for (uint32_t i = 0; i < device.offline_after; i++) {
        unit_sent(&unit);
        unit_failed(&unit, 0, UNIT_ABSENT, LATEST);
    }
    assert_int_equal(unit.state, DEVICE_OFFLINE);
    assert_non_null(strstr(unit.error, "gateway"));
    assert_int_equal(unit.exceptions, 3);
    assert_int_equal(unit.timeouts, 0);
}

static void unit_answered_offline_is_online_with_a_clean_record(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    for (uint64_t probe = 0; probe < 20; probe++)
        time_out(&unit, 1000 + probe * 5000);
    assert_int_equal(unit.state, DEVICE_OFFLINE);
    assert_true(answer(&unit));
    assert_int_equal(unit.state, DEVICE_ONLINE);
    assert_string_equal(unit.error, "");
    assert_true(unit_due(&unit, 0));
    assert_int_equal(unit_next_ms(&unit), 0);
}

static void unit_refused_offline_is_online(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    assert_true(refuse(&unit));
    assert_int_equal(unit.state, DEVICE_ONLINE);
}

static void unit_answered_offline_with_a_bad_tag_is_degraded(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    assert_false(unit_bad_tags(&unit, 2));
    assert_true(answer(&unit));
    assert_int_equal(unit.state, DEVICE_DEGRADED);
    assert_string_equal(unit.error, "2 tags are bad");
}

static void unit_bad_tags_degrades_until_none_is_left(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    assert_true(unit_bad_tags(&unit, 2));
    assert_int_equal(unit.state, DEVICE_DEGRADED);
    assert_true(unit_bad_tags(&unit, 1)); /* the reason is another: that is told too */
    assert_int_equal(unit.state, DEVICE_DEGRADED);
    assert_string_equal(unit.error, "1 tag is bad");
    assert_false(unit_bad_tags(&unit, 1));
    assert_true(unit_bad_tags(&unit, 0));
    assert_int_equal(unit.state, DEVICE_ONLINE);
    assert_string_equal(unit.error, "");
}

static void unit_bad_tags_gone_while_requests_fail_tells_the_other_reason(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    assert_true(unit_bad_tags(&unit, 1));
    for (int i = 0; i < 6; i++)
        assert_false(refuse(&unit));
    assert_string_equal(unit.error, "1 tag is bad");
    assert_true(unit_bad_tags(&unit, 0));
    assert_int_equal(unit.state, DEVICE_DEGRADED);
    assert_string_equal(unit.error, "over 10 % of the last 50 requests failed");
}

static void unit_failed_over_a_tenth_of_50_degrades_until_under_2_percent(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    for (int i = 0; i < 5; i++) { /* 5 of 50 is not over 10 % */
        assert_false(refuse(&unit));
        assert_false(answer(&unit));
    }
    assert_int_equal(unit.state, DEVICE_ONLINE);
    assert_true(refuse(&unit));
    assert_int_equal(unit.state, DEVICE_DEGRADED);
    assert_string_equal(unit.error, "over 10 % of the last 50 requests failed");
    assert_false(refuse(&unit)); /* one more is nothing new */

    for (int i = 0; i < 49; i++) /* the sixth is still one of the last 50: 2 % */
        assert_false(answer(&unit));
    assert_int_equal(unit.state, DEVICE_DEGRADED);
    assert_true(answer(&unit));
    assert_int_equal(unit.state, DEVICE_ONLINE);
}

static void unit_failed_degraded_goes_offline(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    unit_bad_tags(&unit, 1);
    time_out(&unit, 0);
    time_out(&unit, 0);
    assert_int_equal(unit.state, DEVICE_DEGRADED);
    assert_true(time_out(&unit, 0));
    assert_int_equal(unit.state, DEVICE_OFFLINE);
}

static void unit_bad_tags_leaves_an_offline_device_offline(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    assert_false(unit_bad_tags(&unit, 3));
    assert_false(unit_bad_tags(&unit, 0));
    assert_int_equal(unit.state, DEVICE_OFFLINE);
}

static void unit_unreachable_is_offline_from_every_state(void **state)
{
    struct unit units[3];

    (void)state;
    units[0] = new_unit();
    units[1] = online_unit();
    units[2] = online_unit();
    unit_bad_tags(&units[2], 1);
    for (size_t i = 0; i < 3; i++) {
        assert_true(unit_unreachable(&units[i], "connection refused"));
        assert_int_equal(units[i].state, DEVICE_OFFLINE);
        assert_string_equal(units[i].error, "connection refused");
        assert_false(unit_unreachable(&units[i], "no route to host"));
        assert_string_equal(units[i].error, "no route to host");
    }
}

static void unit_reachable_probes_an_offline_device_at_once(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    unit_unreachable(&unit, "connection refused");
    unit_reachable(&unit, 500);
    assert_int_equal(unit.state, DEVICE_OFFLINE);
    assert_true(unit_due(&unit, 500));
    assert_int_equal(unit_timeout_ms(&unit), 1000); /* what answers now may be slower than before */

    time_out(&unit, 1500);
    assert_string_equal(unit.error, "no answer (1 request in a row)");
    assert_int_equal(unit_next_ms(&unit), 1500 + 1000); /* the back-off began anew */
}

static void unit_reachable_changes_nothing_for_a_device_that_answers(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    unit_reachable(&unit, 500);
    assert_int_equal(unit.state, DEVICE_ONLINE);
    assert_int_equal(unit_next_ms(&unit), 0);
}

/* ---- probes ---- */

static void unit_due_offline_is_one_probe_at_a_time_backing_off(void **state)
{
    static const uint64_t waits_ms[] = { 1000, 2000, 4000, 4000, 4000 };
    struct unit unit = offline_unit();
    uint64_t now_ms = 0;

    (void)state;
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        assert_int_equal(unit_next_ms(&unit), now_ms + waits_ms[i]);
        assert_false(unit_due(&unit, now_ms + waits_ms[i] - 1));
        now_ms += waits_ms[i];
        assert_true(unit_due(&unit, now_ms));

        unit_sent(&unit);
        assert_false(unit_due(&unit, now_ms + 100000));
        assert_true(unit_next_ms(&unit) == UINT64_MAX);
        now_ms += 50;
        assert_false(unit_failed(&unit, now_ms, UNIT_TIMEOUT, LATEST));
    }
}

static void unit_failed_chance_halves_the_wait_at_most(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    for (uint32_t i = 0; i < device.offline_after; i++) {
        unit_sent(&unit);
        unit_failed(&unit, 100, UNIT_TIMEOUT, 0);
    }
    assert_int_equal(unit_next_ms(&unit), 100 + 500);
}

static void unit_answered_offline_starts_the_next_back_off_anew(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    time_out(&unit, 1000);
    time_out(&unit, 3000);
    answer(&unit);
    for (uint32_t i = 0; i < device.offline_after; i++)
        time_out(&unit, 10000);
    assert_int_equal(unit_next_ms(&unit), 10000 + 1000);
}

static void unit_timeout_of_a_probe_follows_the_measured_latency(void **state)
{
    static const struct {
        uint32_t latency_us;
        uint32_t want_ms;
    } cases[] = { { 500, 50 }, { 12000, 50 }, { 20000, 80 }, { 249000, 996 }, { 800000, 1000 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct unit unit = new_unit();

        for (int n = 0; n < 10; n++) {
            unit_sent(&unit);
            unit_answered(&unit, cases[i].latency_us);
        }
        assert_int_equal(unit_timeout_ms(&unit), 1000);
        for (uint32_t n = 0; n < device.offline_after; n++)
            time_out(&unit, 0);
        assert_int_equal(unit_timeout_ms(&unit), cases[i].want_ms);
    }
}

static void unit_timeout_of_a_device_that_never_answered_is_the_full_one(void **state)
{
    struct unit unit = new_unit();

    (void)state;
    for (uint32_t n = 0; n < device.offline_after; n++)
        time_out(&unit, 0);
    assert_int_equal(unit.state, DEVICE_OFFLINE);
    assert_int_equal(unit_timeout_ms(&unit), 1000);
}

static void unit_late_after_a_hurried_probe_asks_again_at_once_and_patiently(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    time_out(&unit, 1000);
    assert_false(unit_due(&unit, 1200));

    unit_late(&unit, 1200);

    assert_int_equal(unit.late, 1);
    assert_int_equal(unit.state, DEVICE_OFFLINE);
    assert_true(unit_due(&unit, 1200));
    assert_int_equal(unit_timeout_ms(&unit), 1000);
    assert_true(answer(&unit));
    assert_int_equal(unit.state, DEVICE_ONLINE);
}

static void unit_late_after_a_patient_probe_does_not_hurry(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    time_out(&unit, 1000);
    unit_late(&unit, 1200);
    time_out(&unit, 2200); /* patient, and too slow even so */
    unit_late(&unit, 2300);
    assert_int_equal(unit.late, 2);
    assert_false(unit_due(&unit, 2300));
    assert_int_equal(unit_timeout_ms(&unit), 50);
}

static void unit_late_online_is_only_counted(void **state)
{
    struct unit unit = online_unit();

    (void)state;
    unit_late(&unit, 10);
    assert_int_equal(unit.late, 1);
    assert_int_equal(unit.state, DEVICE_ONLINE);
}

static void unit_dropped_probe_leaves_it_due(void **state)
{
    struct unit unit = offline_unit();

    (void)state;
    unit_sent(&unit);
    unit_dropped(&unit);
    assert_true(unit_due(&unit, 1000));
    assert_int_equal(unit.timeouts, 3);
}

/* ---- counters ---- */

static void unit_counters_go_by_cause(void **state)
{
    static const enum unit_failure causes[] = { UNIT_TIMEOUT, UNIT_ABSENT, UNIT_CRC,  UNIT_CRC,
                                                UNIT_OTHER,   UNIT_OTHER,  UNIT_OTHER };
    struct unit unit = new_unit();

    (void)state;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        unit_sent(&unit);
        unit_failed(&unit, 0, causes[i], 0);
    }
    refuse(&unit);
    answer(&unit);
    assert_int_equal(unit.requests, 9);
    assert_int_equal(unit.timeouts, 1);
    assert_int_equal(unit.exceptions, 2);
    assert_int_equal(unit.crc, 2);
    assert_int_equal(unit.other, 3);
    assert_int_equal(unit.late, 0);
}

static void assert_latency(const struct unit *unit, double p50, double p95, double max)
{
    double got50, got95, got_max;

    unit_latency(unit, &got50, &got95, &got_max);
    assert_true(got50 == p50);
    assert_true(got95 == p95);
    assert_true(got_max == max);
}

static void unit_latency_before_the_first_answer_is_0(void **state)
{
    struct unit unit = new_unit();

    (void)state;
    assert_latency(&unit, 0, 0, 0);
}

static void unit_latency_is_the_nearest_rank_of_the_last_64(void **state)
{
    struct unit unit = new_unit();

    (void)state;
    unit_answered(&unit, 7500);
    assert_latency(&unit, 7.5, 7.5, 7.5);

    for (uint32_t ms = 100; ms >= 1; ms--) /* the last 64 are 64 ms to 1 ms */
        unit_answered(&unit, ms * 1000);
    assert_latency(&unit, 32, 61, 100);
}

static void defer_moves_only_the_probe_of_an_offline_unit(void **state)
{
    struct modbus_device impatient = { .response_timeout_ms = 500,
                                       .offline_after = 1,
                                       .backoff_min_ms = 1000,
                                       .backoff_max_ms = 1000 };
    struct unit unit;

    (void)state;
    unit_init(&unit, &impatient);
    unit_defer(&unit, 9000);
    unit_hope(&unit, 0);
    assert_true(unit_due(&unit, 100));

    unit_sent(&unit);
    unit_failed(&unit, 100, UNIT_TIMEOUT, UINT32_MAX);
    assert_true(unit_next_ms(&unit) > 1000 && unit_next_ms(&unit) <= 1100);
    unit_defer(&unit, 5000);
    assert_int_equal(unit_next_ms(&unit), 5000);
    unit_defer(&unit, 4000); /* never sooner */
    assert_int_equal(unit_next_ms(&unit), 5000);
    unit_hope(&unit, 6000); /* never later */
    assert_int_equal(unit_next_ms(&unit), 5000);
    unit_hope(&unit, 3000);
    assert_int_equal(unit_next_ms(&unit), 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unit_init_is_starting_and_may_be_asked),
        cmocka_unit_test(unit_answered_starting_is_online),
        cmocka_unit_test(unit_refused_starting_is_online),
        cmocka_unit_test(unit_answered_starting_with_a_bad_tag_is_degraded),
        cmocka_unit_test(unit_failed_offline_after_times_is_offline),
        cmocka_unit_test(unit_failed_with_answers_between_stays_online),
        cmocka_unit_test(unit_failed_absent_counts_as_silence),
        cmocka_unit_test(unit_answered_offline_is_online_with_a_clean_record),
        cmocka_unit_test(unit_refused_offline_is_online),
        cmocka_unit_test(unit_answered_offline_with_a_bad_tag_is_degraded),
        cmocka_unit_test(unit_bad_tags_degrades_until_none_is_left),
        cmocka_unit_test(unit_bad_tags_gone_while_requests_fail_tells_the_other_reason),
        cmocka_unit_test(unit_failed_over_a_tenth_of_50_degrades_until_under_2_percent),
        cmocka_unit_test(unit_failed_degraded_goes_offline),
        cmocka_unit_test(unit_bad_tags_leaves_an_offline_device_offline),
        cmocka_unit_test(unit_unreachable_is_offline_from_every_state),
        cmocka_unit_test(unit_reachable_probes_an_offline_device_at_once),
        cmocka_unit_test(unit_reachable_changes_nothing_for_a_device_that_answers),
        cmocka_unit_test(unit_due_offline_is_one_probe_at_a_time_backing_off),
        cmocka_unit_test(unit_failed_chance_halves_the_wait_at_most),
        cmocka_unit_test(unit_answered_offline_starts_the_next_back_off_anew),
        cmocka_unit_test(unit_timeout_of_a_probe_follows_the_measured_latency),
        cmocka_unit_test(unit_timeout_of_a_device_that_never_answered_is_the_full_one),
        cmocka_unit_test(unit_late_after_a_hurried_probe_asks_again_at_once_and_patiently),
        cmocka_unit_test(unit_late_after_a_patient_probe_does_not_hurry),
        cmocka_unit_test(unit_late_online_is_only_counted),
        cmocka_unit_test(unit_dropped_probe_leaves_it_due),
        cmocka_unit_test(unit_counters_go_by_cause),
        cmocka_unit_test(unit_latency_before_the_first_answer_is_0),
        cmocka_unit_test(unit_latency_is_the_nearest_rank_of_the_last_64),
        cmocka_unit_test(defer_moves_only_the_probe_of_an_offline_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
