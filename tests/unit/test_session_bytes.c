/* What a session makes of bytes in pieces and of bad bytes, and of memory that runs out. */
#include "tests/unit/session_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <cmocka.h>

/* ---- bytes ---- */

static void bytes_that_have_no_place_end_the_connection(void **state)
{
    static const struct {
        const char *name;
        void (*go)(struct fixture *f);
        const char *bytes;
        size_t length;
    } cases[] = {
        { "no MQTT", fixture_go_connack, "HTTP/1.1 400", 12 },
        { "PUBLISH before CONNACK", fixture_go_connack, "\x30\3\0\1t", 5 },
        { "SUBACK before CONNACK", fixture_go_connack, "\x90\4\0\1\0\0", 6 },
        { "CONNACK twice", fixture_go_suback, "\x20\2\0\0", 4 },
        { "CONNECT from the hub", fixture_go_ready, "\x10\0", 2 },
        { "DISCONNECT from the hub", fixture_go_ready, "\xe0\0", 2 },
        { "PUBLISH of QoS 2", fixture_go_ready, "\x34\5\0\1t\0\1", 7 },
        { "PUBLISH with a wildcard", fixture_go_ready, "\x30\3\0\1#", 5 },
        { "packet over 258 KB", fixture_go_ready, "\x30\xff\xff\x7f", 4 },
        { "SUBACK again", fixture_go_ready, "\x90\4\0\1\0\0", 6 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = fixture_again(state);

        print_message("case %s\n", cases[i].name);
        cases[i].go(f);
        fixture_log(f);
        fixture_bytes(f, cases[i].bytes, cases[i].length);
        fixture_expect(f, "close|waiting|");
        fixture_expect_status(f, SESSION_WAITING, "module heating: ");
    }
}

/* A dialogue with everything in it. */
static void whole_dialogue(struct fixture *f)
{
    fixture_go_suback(f);
    fixture_desired(f, 5, "{\"early\":1}");
    fixture_suback(f, 0, 0);
    fixture_desired(f, 6, "{\"a\":6}");
    fixture_answer_get(f, 200, FIXTURE_TWIN);
    fixture_desired(f, 7, "{\"a\":\"\xc3\xa9\"}");
    fixture_patch(f, "{\"t\":1}");
    fixture_answer_patch(f, 204, 3, "");
    fixture_desired(f, 9, "{\"a\":9}");
    fixture_answer_get(f, 200, "{\"desired\":{\"$version\":9},\"reported\":{\"$version\":3}}");
    fixture_pingresp(f);
}

static void dialogue_split_at_every_byte_is_the_same(void **state)
{
    struct fixture *f = *state;
    char whole[4096];

    whole_dialogue(f);
    snprintf(whole, sizeof whole, "%s", fixture_log(f));
    assert_non_null(strstr(whole, "ready {\"a\":6,\"$version\":6}"));
    assert_non_null(strstr(whole, "ready {\"$version\":9}"));
    for (size_t piece = 1; piece < 64; piece++) {
        f = fixture_again(state);
        f->piece = piece;
        whole_dialogue(f);
        fixture_expect(f, whole);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void bytes_at_random_never_crash_nor_make_it_ready(void **state)
{
    static void (*const ways[])(struct fixture *) = { fixture_go_connack, fixture_go_suback,
                                                      fixture_go_getting };
    uint32_t seed = 7;

    for (size_t round = 0; round < 3000; round++) {
        struct fixture *f = fixture_again(state);
        uint8_t bytes[80];
        size_t length = 1 + next_random(&seed) % (sizeof bytes - 1);

        ways[round % 3](f);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)next_random(&seed);
        if (length > 40 && round % 2 == 0) /* a twin topic with a random rest */
            memcpy(bytes, "\x30\x4e\0\x19$iothub/twin/res/200/?$rid", 30);
        fixture_bytes(f, bytes, length);
        assert_int_not_equal(fixture_status(f).state, SESSION_READY);
    }
}

/* ---- memory ---- */

static size_t allocations_left; /* 0 = no fault; the n-th of the session from now fails */
static const struct fixture *faulty;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails_now(void)
{
    return faulty != NULL && faulty->inside && allocations_left > 0 && --allocations_left == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

static void *cjson_malloc(size_t size)
{
    return __wrap_malloc(size);
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
            fixture_answer_get(f, 200, FIXTURE_TWIN);
    }
}

/* With the n-th allocation failing; false when there are not so many. */
static bool ready_with_fault(struct fixture *f, size_t n)
{
    session_free(f->session);
    f->session = NULL;
    f->log_off = true;
    faulty = f;
    allocations_left = n;
    if (fixture_start(f) == 0)
        drive_to_ready(f);
    faulty = NULL;
    f->log_off = false;
    return allocations_left == 0;
}

static void memory_that_runs_out_at_any_place_costs_a_reconnect_at_most(void **state)
{
    cJSON_Hooks hooks = { cjson_malloc, free };
    size_t n = 1;

    cJSON_InitHooks(&hooks);
    while (ready_with_fault(fixture_again(state), n)) {
        struct fixture *f = *state;

        n++;
        if (f->session == NULL) { /* session_new said so, and left nothing */
            assert_int_equal(fixture_start(f), 0);
            continue;
        }
        assert_int_equal(fixture_status(f).state, SESSION_READY);
        fixture_log(f);
        fixture_desired(f, 6, "{\"a\":6}"); /* it knows where it stands */
        fixture_expect(f, "desired 6 {\"a\":6}|");
    }
    cJSON_InitHooks(NULL);
    print_message("%zu places\n", n - 1);
    assert_true(n > 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bytes_that_have_no_place_end_the_connection),
        TEST(dialogue_split_at_every_byte_is_the_same),
        TEST(bytes_at_random_never_crash_nor_make_it_ready),
        TEST(memory_that_runs_out_at_any_place_costs_a_reconnect_at_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
