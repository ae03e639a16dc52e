/* The reported side without memory: nothing is lost, the twin is right in the end. */
#include "bridge/report.h"
#include "bridge/twin.h"

#include "tests/unit/memory_fault.h"
#include "tests/unit/twin_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static bool inside; /* the code that runs is the report's, or its owner's */

struct fixture {
    struct twin_fixture twin;
    struct report *report;
    struct buf patch;
    uint64_t now_ms;
    size_t module;
    cJSON *reported; /* what the hub holds */
};

static void latest(const void *data, size_t device, size_t tag, struct sample *out)
{
    const struct fixture *f = data;

    *out = f->twin.samples[device + (f->module == PLANT ? 1 : 0)][tag];
}

static void show(struct fixture *f, size_t tag, struct value value)
{
    size_t device = f->module == PLANT ? 1 : 0;

    report_sample(f->report, 0, tag, twin_fixture_good(&f->twin, device, tag, value, f->now_ms),
                  f->now_ms);
}

/* Memory that runs out once is tried again, as every owner of a report does with its next event. */
#define TWICE(call)                                                                                \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ == -ENOMEM)                                                                        \
            rc_ = (call);                                                                          \
        assert_int_equal(rc_, 0);                                                                  \
    } while (0)

/* One patch to the hub; false when nothing was due. */
static bool send(struct fixture *f, bool lost)
{
    cJSON *patch = NULL;
    int rc;

    f->now_ms += 100;
    rc = report_write(f->report, f->now_ms, &f->patch);
    if (rc == -ENOMEM)
        rc = report_write(f->report, f->now_ms, &f->patch);
    if (rc == -EAGAIN)
        return false;
    assert_int_equal(rc, 0);
    if (lost) {
        report_lost(f->report, f->now_ms);
        return true;
    }
    inside = false;
    assert_int_equal(twin_parse(&patch, f->patch.bytes, f->patch.length), 0);
    assert_int_equal(twin_merge(f->reported, patch), 0);
    cJSON_Delete(patch);
    inside = true;
    report_accepted(f->report);
    return true;
}

static void begin(struct fixture *f)
{
    const char *component = f->module == PLANT ? "left" : "";
    struct report_ack ack = { 200, 2, "done" }, refusal = { 404, 2, "no such tag" };

    TWICE(report_new(&f->report, &f->twin.config, f->module, latest, f));
    show(f, TEMPERATURE, value_float(61.4));
    show(f, SETPOINT, value_float(20));
    TWICE(report_acknowledge(f->report, 0, SETPOINT, &ack, f->now_ms));
    TWICE(report_refuse(f->report, component, "x", &refusal, f->now_ms));
    TWICE(report_refuse(f->report, "", "nobody", &refusal, f->now_ms));
    TWICE(report_health(f->report, 0, "online", 1000, "", f->now_ms));
}

static void go_on(struct fixture *f)
{
    const char *component = f->module == PLANT ? "left" : "";
    struct report_ack ack = { 203, 2, "changed at the device" };

    show(f, PUMP, value_bool(true));
    send(f, true);
    TWICE(report_acknowledge(f->report, 0, SETPOINT, &ack, f->now_ms));
    report_forget(f->report, component, "x", f->now_ms);
    TWICE(report_health(f->report, 0, "degraded", 2000, "slow", f->now_ms));
    send(f, false);
}

/* A reconnect to a hub that has lost the twin, and later to one that holds keys of somebody
 * else. */
static void reconnect(struct fixture *f, const char *holds, bool *strange_kept)
{
    int rc;

    inside = false;
    cJSON_Delete(f->reported);
    f->reported = cJSON_Parse(holds);
    assert_non_null(f->reported);
    inside = true;
    rc = report_ready(f->report, f->reported, f->now_ms);
    assert_true(rc == 0 || rc == -ENOMEM);
    *strange_kept = rc != 0; /* everything is sent, but what is not ours is not known */
    send(f, false);
}

static void play(struct fixture *f)
{
    bool strange_kept;

    inside = true;
    begin(f);
    send(f, false);
    go_on(f);
    reconnect(f, "{}", &strange_kept);
    reconnect(f,
              f->module == PLANT
                  ? "{\"foreign\":1,\"left\":{\"other\":2,\"temperature\":1,\"health\":{\"q\":1,"
                    "\"bad\":{\"nothing\":\"x\"}}}}"
                  : "{\"foreign\":1,\"temperature\":1,\"health\":{\"q\":1,\"bad\":{\"nothing\":"
                    "\"x\"}}}",
              &strange_kept);
    if (strange_kept) { /* the next reconnect finds them */
        TWICE(report_ready(f->report, f->reported, f->now_ms));
        send(f, false);
    }
    while (send(f, false))
        continue;
    inside = false;
}

static void drop_times(cJSON *tree)
{
    cJSON *item = tree->child, *next;

    for (; item != NULL; item = next) {
        next = item->next;
        drop_times(item);
        if (item->string != NULL && strcmp(item->string, "time") == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(tree, item));
    }
}

/* The twin after the script with the n-th allocation failing. */
static char *twin_with_fault(size_t module, size_t n, bool *failed)
{
    struct fixture f = { .now_ms = 1000, .module = module };
    char *text;

    twin_fixture_init(&f.twin);
    buf_init(&f.patch, REPORT_PATCH_MAX);
    f.reported = cJSON_CreateObject();
    memory_fault_at(n);
    play(&f);
    *failed = memory_fault_over();
    assert_int_equal(report_pending(f.report), 0);
    drop_times(f.reported);
    text = cJSON_PrintUnformatted(f.reported);
    report_free(f.report);
    buf_done(&f.patch);
    cJSON_Delete(f.reported);
    return text;
}

static void report_without_memory_has_the_twin_right_in_the_end(void **state)
{
    (void)state;
    for (size_t module = BOILER; module <= PLANT; module++) {
        bool failed;
        char *want = twin_with_fault(module, 0, &failed);
        cJSON *wanted = cJSON_Parse(want);
        size_t n = 1;

        print_message("%s\n", want);
        for (failed = true; failed; n++) {
            char *have = twin_with_fault(module, n, &failed);
            cJSON *had = cJSON_Parse(have);

            if (!cJSON_Compare(wanted, had, true))
                fail_msg("place %zu: %s", n, have);
            cJSON_Delete(had);
            free(have);
        }
        assert_true(n > 20);
        cJSON_Delete(wanted);
        free(want);
    }
}

/* A hub that lost the twin while memory was short: the contract says that everything is sent. */
static void report_ready_without_memory_sends_everything(void **state)
{
    (void)state;
    for (size_t module = BOILER; module <= PLANT; module++) {
        bool failed = true;
        char *want = NULL;

        for (size_t n = 0; failed; n++) {
            struct fixture f = { .now_ms = 1000, .module = module };
            char *have;
            bool unused;

            twin_fixture_init(&f.twin);
            buf_init(&f.patch, REPORT_PATCH_MAX);
            f.reported = cJSON_CreateObject();
            begin(&f);
            while (send(&f, false))
                continue;
            memory_fault_at(n);
            reconnect(&f, "{}", &unused);
            failed = memory_fault_over() || n == 0;
            drop_times(f.reported);
            have = cJSON_PrintUnformatted(f.reported);
            if (n == 0)
                want = strdup(have);
            assert_string_equal(have, want);
            free(have);
            report_free(f.report);
            buf_done(&f.patch);
            cJSON_Delete(f.reported);
        }
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_without_memory_has_the_twin_right_in_the_end),
        cmocka_unit_test(report_ready_without_memory_sends_everything),
    };

    memory_fault_init();
    memory_fault_only_while(&inside);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
