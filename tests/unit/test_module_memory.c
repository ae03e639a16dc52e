/* One module twin without memory at one place: orders are late at worst, and no reconnect is
 * needed. None is lost, none is written twice, nothing waits for ever, and what is told is true. */
#include "module_fixture.h"

#include "tests/unit/memory_fault.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the module's code, as the fixture calls it ---- */

static bool inside; /* the code that runs is the module's, for faults of its memory alone */

#define INSIDE(statement)                                                                          \
    do {                                                                                           \
        bool before_ = inside;                                                                     \
        inside = true;                                                                             \
        statement;                                                                                 \
        inside = before_;                                                                          \
    } while (0)

uint64_t __real_module_tick(struct module *module, uint64_t now_ms);
uint64_t __wrap_module_tick(struct module *module, uint64_t now_ms);
void __real_module_sample(struct module *module, size_t device, size_t tag,
                          const struct sample *sample, uint64_t now_ms);
void __wrap_module_sample(struct module *module, size_t device, size_t tag,
                          const struct sample *sample, uint64_t now_ms);
void __real_module_read_done(struct module *module, size_t device, size_t tag, int rc,
                             uint64_t now_ms);
void __wrap_module_read_done(struct module *module, size_t device, size_t tag, int rc,
                             uint64_t now_ms);
void __real_module_write_done(struct module *module, size_t device, size_t tag,
                              const struct write_result *result, uint64_t now_ms);
void __wrap_module_write_done(struct module *module, size_t device, size_t tag,
                              const struct write_result *result, uint64_t now_ms);
void __real_module_device_state(struct module *module, size_t device, enum device_state state,
                                uint64_t now_ms);
void __wrap_module_device_state(struct module *module, size_t device, enum device_state state,
                                uint64_t now_ms);
void __real_module_committed(struct module *module, uintptr_t token, int rc, uint64_t now_ms);
void __wrap_module_committed(struct module *module, uintptr_t token, int rc, uint64_t now_ms);
void __real_session_link_up(struct session *session, uint64_t now_ms);
void __wrap_session_link_up(struct session *session, uint64_t now_ms);
void __real_session_link_bytes(struct session *session, uint64_t now_ms, const uint8_t *bytes,
                               size_t length);
void __wrap_session_link_bytes(struct session *session, uint64_t now_ms, const uint8_t *bytes,
                               size_t length);
void __real_session_link_down(struct session *session, uint64_t now_ms, const char *reason,
                              int status);
void __wrap_session_link_down(struct session *session, uint64_t now_ms, const char *reason,
                              int status);

uint64_t __wrap_module_tick(struct module *module, uint64_t now_ms)
{
    uint64_t next_ms;

    INSIDE(next_ms = __real_module_tick(module, now_ms));
    return next_ms;
}

void __wrap_module_sample(struct module *module, size_t device, size_t tag,
                          const struct sample *sample, uint64_t now_ms)
{
    INSIDE(__real_module_sample(module, device, tag, sample, now_ms));
}

void __wrap_module_read_done(struct module *module, size_t device, size_t tag, int rc,
                             uint64_t now_ms)
{
    INSIDE(__real_module_read_done(module, device, tag, rc, now_ms));
}

void __wrap_module_write_done(struct module *module, size_t device, size_t tag,
                              const struct write_result *result, uint64_t now_ms)
{
    INSIDE(__real_module_write_done(module, device, tag, result, now_ms));
}

void __wrap_module_device_state(struct module *module, size_t device, enum device_state state,
                                uint64_t now_ms)
{
    INSIDE(__real_module_device_state(module, device, state, now_ms));
}

void __wrap_module_committed(struct module *module, uintptr_t token, int rc, uint64_t now_ms)
{
    INSIDE(__real_module_committed(module, token, rc, now_ms));
}

void __wrap_session_link_up(struct session *session, uint64_t now_ms)
{
    INSIDE(__real_session_link_up(session, now_ms));
}

void __wrap_session_link_bytes(struct session *session, uint64_t now_ms, const uint8_t *bytes,
                               size_t length)
{
    INSIDE(__real_session_link_bytes(session, now_ms, bytes, length));
}

void __wrap_session_link_down(struct session *session, uint64_t now_ms, const char *reason,
                              int status)
{
    INSIDE(__real_session_link_down(session, now_ms, reason, status));
}

/* ---- devices that do what is asked of them, once the module is left ---- */

struct plant {
    struct fixture *f;
    struct value registers[TAG_COUNT];
    bool read[TAG_COUNT], write[TAG_COUNT]; /* asked for */
    unsigned written[TAG_COUNT];
};

static int plant_read(void *data, size_t device, size_t tag)
{
    struct plant *p = data;

    (void)device;
    p->read[tag] = true;
    return 0;
}

static int plant_write(void *data, size_t device, size_t tag, struct value value,
                       uint64_t deadline_ms)
{
    struct plant *p = data;

    (void)device;
    (void)deadline_ms;
    p->registers[tag] = value;
    p->write[tag] = true;
    p->written[tag]++;
    return 0;
}

static struct module_io plant_io;
static const struct module_io *fixture_io;

static void plant_latest(const void *data, size_t device, size_t tag, struct sample *out)
{
    fixture_io->latest(((const struct plant *)data)->f, device, tag, out);
}

static struct value plant_nearest(const void *data, size_t device, size_t tag, struct value value)
{
    return fixture_io->nearest(((const struct plant *)data)->f, device, tag, value);
}

static void plant_status(const void *data, size_t device, struct adapter_device_status *out)
{
    fixture_io->device_status(((const struct plant *)data)->f, device, out);
}

static int plant_commit(void *data, const struct record *record, uintptr_t token)
{
    return fixture_io->commit(((struct plant *)data)->f, record, token);
}

static void plant_session_state(void *data, enum session_state state)
{
    fixture_io->session_state(((struct plant *)data)->f, state);
}

static struct module_io plant_io = {
    .read = plant_read,
    .write = plant_write,
    .latest = plant_latest,
    .nearest = plant_nearest,
    .device_status = plant_status,
    .commit = plant_commit,
    .session_state = plant_session_state,
};

/* What was asked is answered. */
static void plant_work(struct plant *p)
{
    struct fixture *f = p->f;

    for (size_t tag = 0; tag < TAG_COUNT; tag++) {
        struct write_result result = { .outcome = WRITE_DONE, .detail = "" };

        if ((p->read[tag] || p->write[tag]) && tag != RELAY)
            fixture_device_shows(f, tag, p->registers[tag]);
        if (p->read[tag]) {
            p->read[tag] = false;
            module_read_done(f->module, 0, tag, 0, f->now_ms);
        }
        if (p->write[tag]) {
            p->write[tag] = false;
            if (tag != RELAY)
                result.readback = f->twin.samples[0][tag];
            module_write_done(f->module, 0, tag, &result, f->now_ms);
        }
    }
}

/* ---- the test ---- */

/* Time passes, with polls that find nothing new. */
static void pass(struct plant *p, uint64_t ms)
{
    static const size_t polled[] = { TEMPERATURE, SETPOINT, PUMP, START };

    p->f->now_ms += ms;
    for (size_t i = 0; i < sizeof polled / sizeof polled[0]; i++)
        twin_fixture_good(&p->f->twin, 0, polled[i], p->registers[polled[i]], p->f->now_ms);
    fixture_settle(p->f);
    for (int i = 0; i < 3; i++) {
        plant_work(p);
        fixture_settle(p->f);
    }
}

static void day(struct plant *p)
{
    struct fixture *f = p->f;

    fixture_settle(f);
    fixture_device_becomes(f, DEVICE_ONLINE);
    p->registers[TEMPERATURE] = value_float(61.4);
    p->registers[SETPOINT] = value_float(20);
    p->registers[PUMP] = p->registers[START] = value_bool(false);
    fixture_device_shows(f, SETPOINT, p->registers[SETPOINT]);
    fixture_device_shows(f, PUMP, p->registers[PUMP]);
    fixture_device_shows(f, START, p->registers[START]);
    fixture_device_shows(f, TEMPERATURE, p->registers[TEMPERATURE]);
    pass(p, 20);
    fixture_desire(f, 2, "{\"setpoint\":21.5,\"pump\":true,\"x\":1,\"temperature\":3}");
    pass(p, 20);
    fixture_desire(f, 3, "{\"start\":true,\"relay\":4}");
    pass(p, 20);
    fixture_desire(f, 4, "{\"x\":null,\"y\":{\"z\":1},\"setpoint\":22}");
    pass(p, 20);
}

static bool play(struct fixture *f, struct plant *p, size_t n)
{
    static struct module_io own;
    struct record known = fixture_row("", 1, "", 0);
    bool failed;

    *p = (struct plant){ .f = f };
    module_free(f->module); /* never connected */
    f->module = NULL;
    own = f->io;
    fixture_io = &own;
    f->io = plant_io;
    f->io_data = p;
    assert_int_equal(fixture_start(f), 0);
    assert_int_equal(module_restore(f->module, &known), 0);
    memory_fault_only_while(&inside);
    memory_fault_at(n);
    day(p);
    failed = memory_fault_over();
    memory_fault_only_while(NULL);
    for (int i = 0; i < 9; i++) /* longer than any wait in it */
        pass(p, 9000);
    p->registers[TEMPERATURE] = value_float(62.5);
    fixture_device_shows(f, TEMPERATURE, p->registers[TEMPERATURE]);
    pass(p, 3000);
    pass(p, 20);
    return failed;
}

/* A pulse whose result found no memory for its record is told as what it then is: unknown. */
static bool code_is(const cJSON *acknowledgement, int code, bool pulse)
{
    const cJSON *ac = cJSON_GetObjectItemCaseSensitive(acknowledgement, "ac");

    return cJSON_IsNumber(ac) && (ac->valueint == code || (pulse && ac->valueint == 504));
}

static bool value_is(const cJSON *acknowledgement, const char *json)
{
    const cJSON *have = cJSON_GetObjectItemCaseSensitive(acknowledgement, "value");
    cJSON *want = cJSON_Parse(json);
    bool same = json[0] == 0 || cJSON_Compare(have, want, true);

    cJSON_Delete(want);
    return same;
}

static void expect_everything_done(const struct fixture *f, const struct plant *p)
{
    static const struct {
        const char *tag, *value; /* "" = none */
        int code;
    } want[] = {
        { "setpoint", "22", 200 }, { "pump", "true", 200 }, { "start", "true", 200 },
        { "relay", "4", 200 },     { "y", "", 404 },        { "temperature", "62.5", 403 },
    };

    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const cJSON *have = cJSON_GetObjectItemCaseSensitive(f->reported, want[i].tag);

        if (!code_is(have, want[i].code, strcmp(want[i].tag, "start") == 0) ||
            !value_is(have, want[i].value)) {
            char *text = cJSON_PrintUnformatted(have);

            fail_msg("%s: %s", want[i].tag, text == NULL ? "absent" : text);
        }
    }
    assert_null(cJSON_GetObjectItemCaseSensitive(f->reported, "x"));
    assert_int_equal(p->written[START], 1);
    assert_int_equal(p->written[TEMPERATURE], 0);
}

static void module_without_memory_does_every_order_and_a_pulse_once(void **state)
{
    static struct plant plant; /* the fixture's end needs it */
    size_t n = 1;

    while (play(*state, &plant, n)) {
        if (n % 50 == 0)
            print_message("place %zu\n", n);
        expect_everything_done(*state, &plant);
        n++;
        fixture_tear_down(state);
        assert_int_equal(fixture_set_up(state), 0);
    }
    expect_everything_done(*state, &plant);
    assert_true(n > 100);
}

static void module_new_without_memory_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    size_t n = 0;
    int rc;

    do {
        module_free(f->module);
        f->module = NULL;
        memory_fault_at(++n);
        rc = fixture_start(f);
        if (memory_fault_over()) {
            assert_int_equal(rc, -ENOMEM);
            assert_null(f->module);
        } else {
            assert_int_equal(rc, 0);
            n = 0;
        }
    } while (n > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(module_new_without_memory_leaves_nothing),
        TEST(module_without_memory_does_every_order_and_a_pulse_once),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
