/* Direct methods: every arrow of the drawing in hub_methods.c, and its bounds. */
#include "test_hubsim_fixture.h"

#include <errno.h>

/* A client that takes calls when it is told to. */
struct callee {
    struct hub_client client;
    bool takes;
    struct hub *again; /* says from inside that it takes calls */
    int calls;
    char rid[16], name[64], payload[64]; /* of the last call */
};

static bool on_call(struct hub_client *client, const char *rid, const struct hub_method *method)
{
    struct callee *callee = (struct callee *)client;

    if (!callee->takes)
        return false;
    callee->calls++;
    snprintf(callee->rid, sizeof callee->rid, "%s", rid);
    snprintf(callee->name, sizeof callee->name, "%s", method->name);
    snprintf(callee->payload, sizeof callee->payload, "%.*s", (int)method->payload_length,
             method->payload);
    if (callee->again != NULL)
        hub_takes_calls(callee->again, client);
    return true;
}

static void on_drop(struct hub_client *client, const char *why)
{
    (void)client;
    (void)why;
}

/* What became of a call. */
struct outcome {
    int times, rc, status;
    char payload[64];
    struct hub *again; /* calls once more from inside */
};

static void on_done(void *data, int rc, int status, const char *payload, size_t length);

static struct hub_method method_of(const char *module_id, uint32_t connect_s, uint32_t response_s)
{
    return (struct hub_method){
        .device_id = "d",
        .module_id = module_id,
        .name = "reboot",
        .payload = "{\"x\":1}",
        .payload_length = 7,
        .connect_timeout_s = connect_s,
        .response_timeout_s = response_s,
    };
}

static void on_done(void *data, int rc, int status, const char *payload, size_t length)
{
    struct outcome *outcome = data;

    outcome->times++;
    outcome->rc = rc;
    outcome->status = status;
    snprintf(outcome->payload, sizeof outcome->payload, "%.*s", (int)length, payload);
    if (outcome->again != NULL) {
        const struct hub_method method = method_of("m", 0, 30);

        (void)hub_call_method(outcome->again, &method, on_done, outcome, NULL);
    }
}

struct world {
    struct hub_fixture base;
    struct callee m;
    struct outcome outcome;
    int woken;
};

static void on_wake(void *data)
{
    ++*(int *)data;
}

static struct callee callee_of(const char *module_id)
{
    struct callee callee = { .client = { .drop = on_drop, .call = on_call }, .takes = true };

    snprintf(callee.client.device_id, AUTH_ID_MAX, "d");
    snprintf(callee.client.module_id, AUTH_ID_MAX, "%s", module_id);
    return callee;
}

static int set_up(void **state)
{
    static struct world w;

    memset(&w, 0, sizeof w);
    fixture_open(&w.base);
    fixture_create(&w.base, "d", "");
    fixture_create(&w.base, "d", "m");
    fixture_create(&w.base, "d", "n");
    hub_on_wake(w.base.hub, on_wake, &w.woken);
    w.m = callee_of("m");
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    hub_detach(w->base.hub, &w->m.client);
    fixture_close(&w->base);
    return 0;
}

static int call(struct world *w, uint32_t connect_s, uint32_t response_s, struct hub_call **out)
{
    const struct hub_method method = method_of("m", connect_s, response_s);

    return hub_call_method(w->base.hub, &method, on_done, &w->outcome, out);
}

static void answer(struct world *w, const struct callee *from, const char *rid, const char *payload)
{
    hub_answer_call(w->base.hub, &from->client, (struct mqtt_text){ rid, strlen(rid) }, 200,
                    payload, strlen(payload));
}

/* Lets time pass; the next deadline. */
static uint64_t later(struct world *w, uint64_t ms)
{
    w->base.now_ms += ms;
    return hub_tick(w->base.hub, w->base.now_ms);
}

/* ---- answered ---- */

static void hub_call_method_answered_tells_status_and_payload_once(void **state)
{
    struct world *w = *state;

    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 30, NULL), 0);
    assert_int_equal(w->m.calls, 1);
    assert_string_equal(w->m.name, "reboot");
    assert_string_equal(w->m.payload, "{\"x\":1}");
    assert_int_equal(w->outcome.times, 0);
    assert_true(w->woken > 0);
    assert_true(later(w, 0) == w->base.now_ms + 30000);

    answer(w, &w->m, w->m.rid, "{\"done\":true}");
    assert_int_equal(w->outcome.times, 1);
    assert_int_equal(w->outcome.rc, 0);
    assert_int_equal(w->outcome.status, 200);
    assert_string_equal(w->outcome.payload, "{\"done\":true}");

    answer(w, &w->m, w->m.rid, "2"); /* twice: dropped */
    assert_int_equal(w->outcome.times, 1);
    assert_true(later(w, 60000) == 0);
    assert_int_equal(w->outcome.times, 1);
}

static void hub_answer_call_of_others_or_unknown_is_dropped(void **state)
{
    struct world *w = *state;
    struct callee n = callee_of("n");

    hub_attach(w->base.hub, &w->m.client);
    hub_attach(w->base.hub, &n.client);
    assert_int_equal(call(w, 0, 30, NULL), 0);
    answer(w, &n, w->m.rid, "1");
    answer(w, &w->m, "", "1");
    answer(w, &w->m, "ffffffff", "1");
    answer(w, &w->m, "zz", "1");
    assert_int_equal(w->outcome.times, 0);
    answer(w, &w->m, w->m.rid, "");
    assert_int_equal(w->outcome.rc, 0);
    assert_string_equal(w->outcome.payload, "");
    hub_detach(w->base.hub, &n.client);
}

/* Request ids can be guessed. */
static void hub_answer_call_that_was_not_asked_is_dropped(void **state)
{
    struct world *w = *state;

    w->m.takes = false;
    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 10, 30, NULL), 0);
    answer(w, &w->m, "1", "1");
    assert_int_equal(w->outcome.times, 0);
    w->m.takes = true;
    hub_takes_calls(w->base.hub, &w->m.client);
    assert_string_equal(w->m.rid, "1");
    answer(w, &w->m, "1", "1");
    assert_int_equal(w->outcome.times, 1);
}

static void hub_answer_call_several_under_way_are_told_apart(void **state)
{
    struct world *w = *state;
    struct outcome outcomes[3] = { { 0 } };
    const struct hub_method method = method_of("m", 0, 30);
    char rids[3][16];

    hub_attach(w->base.hub, &w->m.client);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hub_call_method(w->base.hub, &method, on_done, &outcomes[i], NULL), 0);
        memcpy(rids[i], w->m.rid, sizeof rids[i]);
    }
    answer(w, &w->m, rids[1], "1");
    answer(w, &w->m, rids[2], "2");
    answer(w, &w->m, rids[0], "0");
    assert_string_equal(outcomes[0].payload, "0");
    assert_string_equal(outcomes[1].payload, "1");
    assert_string_equal(outcomes[2].payload, "2");
}

static void hub_answer_call_not_json_is_told_as_such(void **state)
{
    struct world *w = *state;

    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 30, NULL), 0);
    answer(w, &w->m, w->m.rid, "{done}");
    assert_int_equal(w->outcome.times, 1);
    assert_int_equal(w->outcome.rc, -EBADMSG);
}

/* The range of a twin's integers is the twin's. */
static void hub_answer_call_with_integers_of_64_bits_is_json(void **state)
{
    struct world *w = *state;

    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 30, NULL), 0);
    answer(w, &w->m, w->m.rid, "{\"ns\":1732300000000000000}");
    assert_int_equal(w->outcome.rc, 0);
    assert_string_equal(w->outcome.payload, "{\"ns\":1732300000000000000}");
    assert_int_equal(call(w, 0, 30, NULL), 0);
    answer(w, &w->m, w->m.rid, "{\"ns\":1732300000000000000");
    assert_int_equal(w->outcome.rc, -EBADMSG);
}

static void hub_answer_call_from_the_next_connection_counts(void **state)
{
    struct world *w = *state;
    struct callee next = callee_of("m");

    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 30, NULL), 0);
    hub_attach(w->base.hub, &next.client);
    hub_takes_calls(w->base.hub, &next.client);
    assert_int_equal(next.calls, 0); /* it is not called twice */
    answer(w, &next, w->m.rid, "1");
    assert_int_equal(w->outcome.rc, 0);
    assert_int_equal(w->outcome.times, 1);
    hub_detach(w->base.hub, &next.client);
}

/* ---- time-outs ---- */

static void hub_call_method_nobody_there_ends_at_the_connect_timeout(void **state)
{
    static const uint32_t timeouts_s[] = { 0, 10 };
    struct world *w = *state;

    for (size_t i = 0; i < 2; i++) {
        w->outcome.times = 0;
        w->woken = 0;
        assert_int_equal(call(w, timeouts_s[i], 30, NULL), 0);
        assert_int_equal(w->outcome.times, 0); /* never from inside */
        assert_int_equal(w->woken, 1);
        if (timeouts_s[i] > 0) {
            assert_true(later(w, timeouts_s[i] * 1000 - 1) == w->base.now_ms + 1);
            assert_int_equal(w->outcome.times, 0);
            later(w, 1);
        } else {
            assert_true(later(w, 0) == 0);
        }
        assert_int_equal(w->outcome.times, 1);
        assert_int_equal(w->outcome.rc, -ENOTCONN);
    }
}

static void hub_tick_says_the_earliest_deadline(void **state)
{
    static const uint32_t connect_s[] = { 10, 2, 5 };
    struct world *w = *state;

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(call(w, connect_s[i], 30, NULL), 0);
    assert_true(later(w, 0) == w->base.now_ms + 2000);
    assert_true(later(w, 2000) == w->base.now_ms + 3000);
    assert_int_equal(w->outcome.times, 1);
    later(w, 8000);
    assert_int_equal(w->outcome.times, 3);
}

static void hub_call_method_connected_but_not_subscribed_counts_as_absent(void **state)
{
    struct world *w = *state;

    w->m.takes = false;
    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 30, NULL), 0);
    later(w, 0);
    assert_int_equal(w->outcome.rc, -ENOTCONN);
}

static void hub_takes_calls_within_the_connect_timeout_gets_what_waits_in_order(void **state)
{
    struct world *w = *state;
    struct outcome second = { 0 };
    struct hub_method method = method_of("m", 20, 5);

    assert_int_equal(call(w, 10, 5, NULL), 0);
    method.name = "second";
    assert_int_equal(hub_call_method(w->base.hub, &method, on_done, &second, NULL), 0);
    later(w, 9000);
    hub_attach(w->base.hub, &w->m.client);
    w->woken = 0;
    hub_takes_calls(w->base.hub, &w->m.client);
    assert_int_equal(w->m.calls, 2);
    assert_string_equal(w->m.name, "second");
    assert_true(w->woken > 0);

    assert_true(later(w, 0) == w->base.now_ms + 5000); /* from now on, not from the call on */
    answer(w, &w->m, w->m.rid, "2");
    assert_int_equal(second.rc, 0);
    assert_int_equal(second.times, 1);
    later(w, 5000);
    assert_int_equal(w->outcome.rc, -ETIMEDOUT);
    assert_int_equal(w->outcome.times, 1);
}

static void
hub_call_method_silence_ends_at_the_response_timeout_and_late_answers_are_dropped(void **state)
{
    struct world *w = *state;

    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 5, NULL), 0);
    later(w, 4999);
    assert_int_equal(w->outcome.times, 0);
    assert_true(later(w, 1) == 0);
    assert_int_equal(w->outcome.rc, -ETIMEDOUT);
    answer(w, &w->m, w->m.rid, "1");
    assert_int_equal(w->outcome.times, 1);
}

static void hub_call_method_the_client_goes_before_it_answers_is_a_timeout(void **state)
{
    struct world *w = *state;

    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 5, NULL), 0);
    hub_detach(w->base.hub, &w->m.client);
    later(w, 4999);
    assert_int_equal(w->outcome.times, 0);
    later(w, 1);
    assert_int_equal(w->outcome.rc, -ETIMEDOUT);
}

/* ---- other ends ---- */

static void hub_forget_call_is_never_told(void **state)
{
    struct world *w = *state;
    struct hub_call *waiting, *asked;

    assert_int_equal(call(w, 10, 5, &waiting), 0);
    hub_forget_call(w->base.hub, waiting);
    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 5, &asked), 0);
    hub_forget_call(w->base.hub, asked);
    answer(w, &w->m, w->m.rid, "1");
    assert_true(later(w, 100000) == 0);
    assert_int_equal(w->outcome.times, 0);
}

static void hub_delete_identity_ends_its_calls(void **state)
{
    struct world *w = *state;
    struct outcome other = { 0 };
    const struct hub_method n = method_of("n", 10, 5);

    assert_int_equal(call(w, 10, 5, NULL), 0);
    assert_int_equal(hub_call_method(w->base.hub, &n, on_done, &other, NULL), 0);
    assert_int_equal(hub_delete_identity(w->base.hub, "d", "m", NULL), 0);
    assert_int_equal(w->outcome.rc, -ENOENT);
    assert_int_equal(other.times, 0);
    assert_int_equal(hub_delete_identity(w->base.hub, "d", "", NULL), 0); /* with its modules */
    assert_int_equal(other.rc, -ENOENT);
    assert_int_equal(other.times, 1);
}

static void hub_close_ends_all_calls(void **state)
{
    struct world *w = *state;
    struct hub_options options = fixture_options(&w->base);
    const struct hub_method method = method_of("m", 10, 5);
    struct outcome outcome = { 0 };
    struct hub *hub;

    assert_int_equal(hub_open(&hub, &options), 0);
    assert_int_equal(hub_call_method(hub, &method, on_done, &outcome, NULL), 0);
    hub_close(hub);
    assert_int_equal(outcome.times, 1);
    assert_int_equal(outcome.rc, -ECANCELED);
}

/* A caller that does not give up ends neither the deletion nor the hub. */
static void hub_close_ends_once_whoever_calls_again_from_inside(void **state)
{
    struct world *w = *state;
    struct hub_options options = fixture_options(&w->base);
    const struct hub_method method = method_of("m", 10, 5);
    struct outcome outcome = { 0 };
    struct hub *hub;

    assert_int_equal(hub_open(&hub, &options), 0);
    outcome.again = hub;
    assert_int_equal(hub_call_method(hub, &method, on_done, &outcome, NULL), 0);
    hub_close(hub);
    assert_int_equal(outcome.times, 1);
    assert_int_equal(outcome.rc, -ECANCELED);
}

/* Makes the module anew from inside and calls it. */
struct reviver {
    struct world *w;
    int times;
};

static void on_revive(void *data, int rc, int status, const char *payload, size_t length)
{
    struct reviver *reviver = data;
    const struct hub_method method = method_of("m", 0, 5);

    (void)rc;
    (void)status;
    (void)payload;
    (void)length;
    if (++reviver->times > 2)
        return;
    if (reviver->times == 1)
        fixture_create(&reviver->w->base, "d", "m");
    (void)hub_call_method(reviver->w->base.hub, &method, on_revive, reviver, NULL);
}

static void hub_delete_identity_leaves_calls_that_are_made_from_inside(void **state)
{
    struct world *w = *state;
    struct reviver reviver = { w, 0 };
    const struct hub_method method = method_of("m", 10, 5);

    assert_int_equal(hub_call_method(w->base.hub, &method, on_revive, &reviver, NULL), 0);
    assert_int_equal(hub_delete_identity(w->base.hub, "d", "m", NULL), 0);
    assert_int_equal(reviver.times, 1);
    later(w, 0);
    assert_int_equal(reviver.times, 2);
    later(w, 0);
    assert_int_equal(reviver.times, 3);
}

static void hub_tick_calls_made_from_inside_wait_for_the_next(void **state)
{
    struct world *w = *state;

    w->outcome.again = w->base.hub;
    assert_int_equal(call(w, 0, 5, NULL), 0);
    assert_true(later(w, 0) == w->base.now_ms);
    assert_int_equal(w->outcome.times, 1);
    assert_true(later(w, 0) == w->base.now_ms);
    assert_int_equal(w->outcome.times, 2);
    w->outcome.again = NULL;
}

static void hub_takes_calls_from_inside_a_call_does_not_call_twice(void **state)
{
    struct world *w = *state;

    w->m.again = w->base.hub;
    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 0, 5, NULL), 0);
    assert_int_equal(w->m.calls, 1);
    hub_detach(w->base.hub, &w->m.client);
    assert_int_equal(call(w, 10, 5, NULL), 0);
    hub_attach(w->base.hub, &w->m.client);
    hub_takes_calls(w->base.hub, &w->m.client);
    assert_int_equal(w->m.calls, 2);
}

/* ---- refusals ---- */

static void hub_call_method_refused_is_never_told(void **state)
{
    static char name[514];
    struct world *w = *state;
    static const char *const names[] = { "", "a/b", "a+b", "#", "a\nb", "\x7f", "\xff", name };
    char *payload = calloc(1, HUB_METHOD_MAX + 1);
    struct hub_method method = method_of("m", 0, 5);

    memset(name, 'x', sizeof name - 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        method.name = names[i];
        assert_int_equal(hub_call_method(w->base.hub, &method, on_done, &w->outcome, NULL),
                         -EINVAL);
    }
    method = method_of("x", 0, 5);
    assert_int_equal(hub_call_method(w->base.hub, &method, on_done, &w->outcome, NULL), -ENOENT);

    memset(payload, ' ', HUB_METHOD_MAX);
    payload[0] = '1';
    method = method_of("m", 0, 5);
    method.payload = payload;
    method.payload_length = HUB_METHOD_MAX + 1;
    assert_int_equal(hub_call_method(w->base.hub, &method, on_done, &w->outcome, NULL), -EFBIG);
    assert_int_equal(w->woken, 0);
    method.payload_length = HUB_METHOD_MAX;
    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(hub_call_method(w->base.hub, &method, on_done, &w->outcome, NULL), 0);
    assert_int_equal(w->m.calls, 1);
    free(payload);
    later(w, 5000);
    assert_int_equal(w->outcome.times, 1);
}

static void hub_call_method_one_more_than_may_be_under_way_is_refused(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < HUB_CALLS_MAX; i++)
        assert_int_equal(call(w, 10, 5, NULL), 0);
    assert_int_equal(call(w, 10, 5, NULL), -EMFILE);
    later(w, 10000);
    assert_int_equal(w->outcome.times, HUB_CALLS_MAX);
    assert_int_equal(call(w, 10, 5, NULL), 0);
}

static void hub_call_method_component_and_device_are_called_by_name(void **state)
{
    struct world *w = *state;
    struct callee device = callee_of("");
    struct hub_method method = method_of("", 0, 5);

    method.name = "pump*start";
    method.payload_length = 0;
    hub_attach(w->base.hub, &device.client);
    hub_attach(w->base.hub, &w->m.client);
    assert_int_equal(hub_call_method(w->base.hub, &method, on_done, &w->outcome, NULL), 0);
    assert_int_equal(w->m.calls, 0);
    assert_string_equal(device.name, "pump*start");
    assert_string_equal(device.payload, "");
    hub_detach(w->base.hub, &device.client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hub_call_method_answered_tells_status_and_payload_once),
        TEST(hub_answer_call_of_others_or_unknown_is_dropped),
        TEST(hub_answer_call_that_was_not_asked_is_dropped),
        TEST(hub_answer_call_several_under_way_are_told_apart),
        TEST(hub_answer_call_not_json_is_told_as_such),
        TEST(hub_answer_call_with_integers_of_64_bits_is_json),
        TEST(hub_answer_call_from_the_next_connection_counts),
        TEST(hub_call_method_nobody_there_ends_at_the_connect_timeout),
        TEST(hub_tick_says_the_earliest_deadline),
        TEST(hub_call_method_connected_but_not_subscribed_counts_as_absent),
        TEST(hub_takes_calls_within_the_connect_timeout_gets_what_waits_in_order),
        TEST(hub_call_method_silence_ends_at_the_response_timeout_and_late_answers_are_dropped),
        TEST(hub_call_method_the_client_goes_before_it_answers_is_a_timeout),
        TEST(hub_forget_call_is_never_told),
        TEST(hub_delete_identity_ends_its_calls),
        TEST(hub_close_ends_all_calls),
        TEST(hub_close_ends_once_whoever_calls_again_from_inside),
        TEST(hub_delete_identity_leaves_calls_that_are_made_from_inside),
        TEST(hub_tick_calls_made_from_inside_wait_for_the_next),
        TEST(hub_takes_calls_from_inside_a_call_does_not_call_twice),
        TEST(hub_call_method_refused_is_never_told),
        TEST(hub_call_method_one_more_than_may_be_under_way_is_refused),
        TEST(hub_call_method_component_and_device_are_called_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
