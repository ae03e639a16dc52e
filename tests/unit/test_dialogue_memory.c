/* A whole dialogue with the hub without memory at one place: it costs a reconnect at most, and
 * no desired change is lost. */
#include "tests/unit/session_fixture.h"

#include "tests/unit/memory_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the hub holds in the end. */
#define LAST_TWIN                                                                                  \
    "{\"desired\":{\"a\":9,\"b\":{\"c\":1},\"$version\":9},\"reported\":{\"$version\":3}}"

static size_t told; /* the version that the owner was told last */

static void on_event(struct fixture *f, const char *what)
{
    (void)f;
    if (strncmp(what, "desired ", 8) == 0)
        told = strtoul(what + 8, NULL, 10);
    if (strncmp(what, "ready ", 6) == 0 && strstr(what, "\"$version\":9") != NULL)
        told = 9;
}

/* Plays the hub until the session is ready, over as many connections as it takes. */
static void drive_to_ready(struct fixture *f)
{
    for (int step = 0; step < 200 && fixture_status(f).state != SESSION_READY; step++) {
        if (f->link_open && f->closing)
            fixture_down(f, "closed", 0);
        else if (!f->link_open)
            fixture_to_deadline(f);
        else if (f->sent_length == 0)
            fixture_up(f);
        else if (f->sent[0] >> 4 == MQTT_CONNECT)
            fixture_connack(f, 0);
        else if (f->sent[0] >> 4 == MQTT_SUBSCRIBE)
            fixture_suback(f, 0, 0);
        else
            fixture_answer_get(f, 200, LAST_TWIN);
    }
    assert_int_equal(fixture_status(f).state, SESSION_READY);
}

/* Everything that a session does; each part only while the session is where it belongs. */
static void dialogue(struct fixture *f)
{
    fixture_go_suback(f);
    fixture_desired(f, 6, "{\"a\":6}"); /* held, and merged into the get */
    fixture_suback(f, 0, 0);
    fixture_desired(f, 7, "{\"b\":{\"c\":1}}");
    if (fixture_status(f).state == SESSION_GETTING)
        fixture_answer_get(f, 200, FIXTURE_TWIN);
    if (fixture_status(f).state != SESSION_READY)
        return;
    fixture_patch(f, "{\"t\":1}");
    if (f->link_open && !f->closing)
        fixture_answer_patch(f, 400, -1, "{\"message\":\"no\"}");
    if (f->link_open && !f->closing)
        fixture_desired(f, 9, "{\"a\":9}"); /* a gap: get again */
    if (fixture_status(f).state == SESSION_GETTING)
        fixture_answer_get(f, 200, LAST_TWIN);
}

static bool play(struct fixture *f, size_t n)
{
    bool failed;

    told = 0;
    f->log_off = true;
    f->on_event = on_event;
    memory_fault_only_while(&f->inside);
    memory_fault_at(n);
    dialogue(f);
    failed = memory_fault_over();
    memory_fault_only_while(NULL);
    drive_to_ready(f);
    return failed;
}

static void dialogue_without_memory_ends_ready_with_everything_told(void **state)
{
    size_t n = 1;

    while (play(*state, n)) {
        struct fixture *f = *state;

        assert_int_equal(told, 9);
        assert_int_equal(fixture_status(f).desired_version, 9);
        n++;
        fixture_again(state);
    }
    assert_int_equal(told, 9);
    assert_true(n > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dialogue_without_memory_ends_ready_with_everything_told,
                                        fixture_set_up, fixture_tear_down),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
