/* One module twin through thousands of random moments: orders, reconnects, restarts, silent and refusing
 * devices, slow stores, throttling hubs. Whatever happens, these hold:
 *
 *   - ticks are bounded: what a tick returns lies ahead, and comes true;
 *   - nothing is reported that the device never had;
 *   - nothing is written that was acknowledged with 200, and a write_once order is sent once at most;
 *   - when everything is quiet and well, the twin tells the truth.
 *
 * Deterministic: a seed is a test. Devices tell only what changed, as adapter.h says. */
#include "module_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    DEVICES = 3,
    OPERATIONS_MAX = 2 * DEVICES * TAG_COUNT,
    HISTORY_MAX = 4000,
    ROWS_MAX = 64,
    COMMITS_WAITING_MAX = 512,
    SETPOINTS_MAX = 400,
    STEPS_MAX = 30,
    ROUNDS = 60,
    SEEDS = 4,
    TICKS_PER_SECOND_MAX = 200,
};

struct operation { /* asked of a device, not answered yet */
    bool active, write;
    size_t device, tag;
    struct value value;
};

struct stored {
    char device[20], tag[20], desired[40], detail[80], value[40];
    int64_t version;
    int code;
    bool present;
};

struct commit {
    struct stored row;
    uintptr_t token;
};

struct world {
    struct fixture *f;
    uint32_t seed;
    struct value registers[DEVICES][TAG_COUNT];
    double history[DEVICES][TAG_COUNT][HISTORY_MAX];
    size_t history_count[DEVICES][TAG_COUNT];
    bool broken[DEVICES][TAG_COUNT]; /* answers with an exception */
    bool silent[DEVICES];
    struct operation operations[OPERATIONS_MAX];
    uint64_t poll_ms;
    int version;
    int starts_ordered[DEVICES], starts_sent[DEVICES];
    int desired_version[DEVICES][SETPOINTS_MAX]; /* by tenths: desired last by this version, */
    int told_version[DEVICES][SETPOINTS_MAX];    /* and told 200 last with that one */
    struct stored rows[ROWS_MAX];
    struct commit commits[COMMITS_WAITING_MAX];
    size_t commit_count;
    uint64_t second_ms;
    unsigned ticks, most_ticks;
    bool restarted;
    const char *failure; /* found inside a callback */
};

static uint32_t chance(struct world *w, uint32_t below)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 17;
    w->seed ^= w->seed << 5;
    return w->seed % below;
}

/* ---- the devices ---- */

static const struct config_module *module_of(const struct world *w)
{
    return &w->f->twin.modules[w->f->mapping];
}

static void change_register(struct world *w, size_t device, size_t tag, struct value value)
{
    size_t *count = &w->history_count[device][tag];

    w->registers[device][tag] = value;
    if (*count < HISTORY_MAX)
        w->history[device][tag][(*count)++] = value_number(value);
}

/* The device answered for this tag. */
static void take_sample(struct world *w, size_t device, size_t tag)
{
    struct fixture *f = w->f;
    struct sample before = f->twin.samples[device][tag];
    const struct sample *now;

    if (f->twin.tags[tag].access == CONFIG_WRITE)
        return;
    now = w->broken[device][tag]
              ? twin_fixture_bad(&f->twin, device, tag, "illegal data address", f->now_ms)
              : twin_fixture_good(&f->twin, device, tag, w->registers[device][tag], f->now_ms);
    if (before.quality != now->quality || !value_equal(before.value, now->value))
        module_sample(f->module, device, tag, now, f->now_ms);
}

static int start_operation(struct world *w, bool write, size_t device, size_t tag,
                           struct value value)
{
    struct operation *at = NULL;

    for (size_t i = 0; i < OPERATIONS_MAX; i++) {
        struct operation *o = &w->operations[i];

        if (!o->active)
            at = o;
        else if (o->write == write && o->device == device && o->tag == tag)
            return -EAGAIN;
    }
    if (at == NULL)
        return -EAGAIN;
    *at = (struct operation){ true, write, device, tag, value };
    return 0;
}

static int io_read(void *data, size_t device, size_t tag)
{
    return start_operation(data, false, device, tag, (struct value){ VALUE_NONE, { 0 } });
}

static size_t tenths(struct value value)
{
    return (size_t)lround(value_number(value) * 10);
}

static int io_write(void *data, size_t device, size_t tag, struct value value, uint64_t deadline_ms)
{
    struct world *w = data;

    (void)deadline_ms;
    if (tag == SETPOINT && w->told_version[device][tenths(value)] != 0 &&
        w->told_version[device][tenths(value)] >= w->desired_version[device][tenths(value)])
        w->failure = "a setpoint was written again after its 200";
    return start_operation(w, true, device, tag, value);
}

static void io_latest(const void *data, size_t device, size_t tag, struct sample *out)
{
    const struct world *w = data;

    *out = w->f->twin.samples[device][tag];
}

static struct value io_nearest(const void *data, size_t device, size_t tag, struct value value)
{
    const struct world *w = data;

    (void)device;
    return w->f->twin.tags[tag].raw_step == 0 ? value : value_float(value_round(value.number, 1));
}

static void io_device_status(const void *data, size_t device, struct adapter_device_status *out)
{
    const struct world *w = data;

    *out = (struct adapter_device_status){
        .state = w->silent[device] ? DEVICE_OFFLINE : DEVICE_ONLINE,
        .since_wall_ms = 1000,
        .error = w->silent[device] ? "no answer" : "",
    };
}

static void set_silent(struct world *w, size_t device, bool silent)
{
    if (w->silent[device] == silent)
        return;
    w->silent[device] = silent;
    module_device_state(w->f->module, device, silent ? DEVICE_OFFLINE : DEVICE_ONLINE,
                        w->f->now_ms);
}

static void end_write(struct world *w, const struct operation *o, uint32_t luck)
{
    struct write_result result = { .outcome = WRITE_DONE, .detail = "" };
    struct value written = io_nearest(w, o->device, o->tag, o->value);

    if (w->silent[o->device]) {
        result.outcome = luck % 2 == 0 ? WRITE_NOT_SENT : WRITE_NO_ANSWER;
        if (luck % 4 == 3) /* it arrived all the same */
            change_register(w, o->device, o->tag, written);
    } else if (luck == 0 || w->broken[o->device][o->tag]) {
        result.outcome = WRITE_REFUSED;
        result.detail = "illegal data address";
    } else {
        if (luck == 1)
            result.outcome = WRITE_DIFFERS;
        else
            change_register(w, o->device, o->tag, written);
        take_sample(w, o->device, o->tag);
        result.readback = w->f->twin.samples[o->device][o->tag];
    }
    w->starts_sent[o->device] += o->tag == START && result.outcome != WRITE_NOT_SENT;
    module_write_done(w->f->module, o->device, o->tag, &result, w->f->now_ms);
}

static void end_operation(struct world *w, struct operation *o, uint32_t luck)
{
    struct operation ended = *o;

    o->active = false;
    if (ended.write) {
        end_write(w, &ended, luck);
    } else {
        if (!w->silent[ended.device])
            take_sample(w, ended.device, ended.tag);
        module_read_done(w->f->module, ended.device, ended.tag,
                         w->silent[ended.device] ? -ETIMEDOUT : 0, w->f->now_ms);
    }
}

static void end_operations(struct world *w, uint32_t one_in, uint32_t lucks)
{
    for (size_t i = 0; i < OPERATIONS_MAX; i++) {
        if (w->operations[i].active && chance(w, one_in) == 0)
            end_operation(w, &w->operations[i], lucks == 0 ? 3 : chance(w, lucks));
    }
}

static void poll_devices(struct world *w)
{
    if (w->f->now_ms < w->poll_ms)
        return;
    w->poll_ms = w->f->now_ms + 1000;
    for (size_t i = 0; i < module_of(w)->device_count; i++) {
        size_t device = module_of(w)->devices[i];

        for (size_t tag = 0; tag < TAG_COUNT && !w->silent[device]; tag++)
            take_sample(w, device, tag);
    }
}

/* ---- the store: rows that were committed survive a restart ---- */

static int io_commit(void *data, const struct record *r, uintptr_t token)
{
    struct world *w = data;
    struct commit *c = &w->commits[w->commit_count];

    if (w->commit_count == COMMITS_WAITING_MAX)
        return -ENOBUFS;
    *c = (struct commit){ .token = token };
    c->row.present = r->desired != NULL;
    snprintf(c->row.device, sizeof c->row.device, "%s", r->device);
    snprintf(c->row.tag, sizeof c->row.tag, "%s", r->tag);
    if (c->row.present) {
        snprintf(c->row.desired, sizeof c->row.desired, "%s", r->desired);
        snprintf(c->row.detail, sizeof c->row.detail, "%s", r->detail);
        snprintf(c->row.value, sizeof c->row.value, "%s", r->value);
        c->row.version = r->version;
        c->row.code = r->code;
    }
    w->commit_count++;
    return 0;
}

static void store_row(struct world *w, const struct stored *row)
{
    struct stored *at = NULL;

    for (size_t i = 0; i < ROWS_MAX; i++) {
        struct stored *r = &w->rows[i];

        if (r->present && strcmp(r->device, row->device) == 0 && strcmp(r->tag, row->tag) == 0) {
            at = r;
            break;
        }
        if (!r->present && at == NULL)
            at = r;
    }
    if (at == NULL)
        w->failure = "the test's store is too small";
    else
        *at = *row;
}

static void commit_all(struct world *w)
{
    struct commit done[COMMITS_WAITING_MAX];
    size_t count = w->commit_count;

    memcpy(done, w->commits, count * sizeof done[0]);
    w->commit_count = 0;
    for (size_t i = 0; i < count; i++)
        store_row(w, &done[i].row);
    for (size_t i = 0; i < count; i++)
        module_committed(w->f->module, done[i].token, 0, w->f->now_ms);
}

static void io_session_state(void *data, enum session_state state)
{
    (void)data;
    (void)state;
}

/* ---- the twin ---- */

static const cJSON *twin_object(const struct world *w, size_t device)
{
    if (!module_of(w)->components)
        return w->f->reported;
    return cJSON_GetObjectItemCaseSensitive(w->f->reported, w->f->twin.devices[device].name);
}

static const cJSON *value_of(const cJSON *property)
{
    return cJSON_IsObject(property) ? cJSON_GetObjectItemCaseSensitive(property, "value")
                                    : property;
}

static double number_of(const cJSON *node)
{
    return cJSON_IsBool(node) ? cJSON_IsTrue(node) : cJSON_IsNumber(node) ? node->valuedouble : NAN;
}

static bool had(const struct world *w, size_t device, size_t tag, double number)
{
    for (size_t i = w->history_count[device][tag]; i > 0; i--) {
        if (w->history[device][tag][i - 1] == number)
            return true;
    }
    return false;
}

static void check_twin(struct world *w)
{
    for (size_t i = 0; i < module_of(w)->device_count; i++) {
        size_t device = module_of(w)->devices[i];

        for (size_t tag = 0; tag < TAG_COUNT; tag++) {
            const cJSON *p = cJSON_GetObjectItemCaseSensitive(twin_object(w, device),
                                                              w->f->twin.tags[tag].name);
            double number = number_of(value_of(p));

            if (!isnan(number) && !had(w, device, tag, number) && tag != QUIET) {
                print_message("%s reported as %g\n", w->f->twin.tags[tag].name, number);
                w->failure = "a value was reported that the device never had";
            }
            if (tag == SETPOINT && !isnan(number) &&
                number_of(cJSON_GetObjectItemCaseSensitive(p, "ac")) == 200)
                w->told_version[device][tenths(value_float(number))] = (int)number_of(
                    cJSON_GetObjectItemCaseSensitive(p, "av"));
        }
    }
}

/* ---- the back end ---- */

static bool is_ready(const struct world *w)
{
    struct module_status status;

    module_status(w->f->module, &status);
    return w->f->link && status.session.state == SESSION_READY;
}

static void desire(struct world *w)
{
    static const char *const names[] = { "setpoint", "setpoint", "setpoint", "pump",
                                         "start",    "relay",    "x",        "temperature" };
    const char *name = names[chance(w, 8)];
    size_t device = module_of(w)->devices[chance(w, (uint32_t)module_of(w)->device_count)];
    size_t setpoint = 50 + chance(w, 310); /* some are above the maximum */
    char value[40] = "null", fragment[80], text[120];
    bool link = w->f->link;

    if (chance(w, 6) != 0) {
        if (name[0] == 's' && name[1] == 'e')
            snprintf(value, sizeof value, "%zu.%zu", setpoint / 10, setpoint % 10);
        else if (name[0] == 'r')
            snprintf(value, sizeof value, "%u", chance(w, 1000));
        else
            snprintf(value, sizeof value, "%s", chance(w, 3) == 0 ? "false" : "true");
        if (strcmp(name, "start") == 0)
            w->starts_ordered[device]++;
    }
    snprintf(fragment, sizeof fragment, "{\"%s\":%s}", name, value);
    snprintf(text, sizeof text, "{\"%s\":%s}", w->f->twin.devices[device].name, fragment);
    w->f->link = is_ready(w);
    fixture_tell_desired(w->f, ++w->version, module_of(w)->components ? text : fragment);
    w->f->link = link;
    if (name[0] == 's' && name[1] == 'e')
        w->desired_version[device][setpoint] = w->version;
}

/* ---- chance ---- */

/* The process dies, and starts on what was stored. */
static void restart(struct world *w)
{
    struct record rows[ROWS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < ROWS_MAX; i++) {
        const struct stored *r = &w->rows[i];

        if (r->present)
            rows[count++] = (struct record){ "random",   r->device, r->tag,    r->version,
                                             r->desired, r->code,   r->detail, r->value };
    }
    w->restarted = true;
    w->commit_count = 0;
    memset(w->operations, 0, sizeof w->operations);
    fixture_restart(w->f, rows, count);
    for (size_t i = 0; i < module_of(w)->device_count; i++)
        module_device_state(w->f->module, module_of(w)->devices[i], DEVICE_STARTING, w->f->now_ms);
    for (size_t i = 0; i < module_of(w)->device_count; i++) {
        size_t device = module_of(w)->devices[i];

        module_device_state(w->f->module, device,
                            w->silent[device] ? DEVICE_OFFLINE : DEVICE_ONLINE, w->f->now_ms);
    }
}

static void change_something(struct world *w)
{
    size_t device = module_of(w)->devices[chance(w, (uint32_t)module_of(w)->device_count)];
    size_t tag = chance(w, TAG_COUNT);
    struct value value = value_bool(chance(w, 2) == 0);

    if (tag == RELAY)
        return; /* nobody changes what cannot be read */
    if (w->f->twin.tags[tag].type == VALUE_INT)
        value = value_int(chance(w, 1000));
    else if (w->f->twin.tags[tag].type == VALUE_FLOAT)
        value = value_float(value_round(5 + chance(w, 300) / 10.0, 1));
    change_register(w, device, tag, value);
}

static void put_junk(struct world *w)
{
    static const char *const junk[] = {
        "{\"health\":[1],\"left\":[{}],\"setpoint\":{\"value\":[],\"x\":1}}",
        "{\"old\":{\"a\":1},\"right\":7,\"temperature\":{\"ac\":1},\"pump\":\"on\"}",
        "{\"left\":{\"health\":{\"bad\":[1]},\"pump\":{\"ac\":{},\"y\":null}},\"quiet\":1}",
    };
    cJSON *patch = cJSON_Parse(junk[chance(w, 3)]);

    fixture_merge(w->f->reported, patch);
    cJSON_Delete(patch);
}

static void something_happens(struct world *w)
{
    size_t device = module_of(w)->devices[chance(w, (uint32_t)module_of(w)->device_count)];
    uint32_t event = chance(w, 100);

    if (event < 30)
        desire(w);
    else if (event < 60)
        change_something(w);
    else if (event < 68)
        set_silent(w, device, !w->silent[device]);
    else if (event < 72)
        w->broken[device][chance(w, TAG_COUNT)] ^= 1;
    else if (event < 76)
        w->f->refuse_patches = !w->f->refuse_patches && chance(w, 3) == 0;
    else if (event < 79)
        w->f->mute_patches = !w->f->mute_patches && chance(w, 3) == 0;
    else if (event < 82 && w->f->link)
        fixture_lose_link(w->f);
    else if (event < 83 && !w->f->link)
        put_junk(w);
    else if (event < 84)
        restart(w);
    else
        end_operations(w, 2, 8);
}

/* ---- time ---- */

/* Ticks until there is nothing to do now; counts them. */
static void tick(struct world *w)
{
    struct fixture *f = w->f;

    do {
        f->next_ms = module_tick(f->module, f->now_ms);
        w->ticks++;
        if (w->ticks > w->most_ticks)
            w->most_ticks = w->ticks;
    } while (f->next_ms != 0 && f->next_ms <= f->now_ms && w->ticks <= TICKS_PER_SECOND_MAX);
}

static void run(struct world *w, uint64_t ms)
{
    uint64_t end_ms = w->f->now_ms + ms;

    while (w->f->now_ms < end_ms && w->ticks <= TICKS_PER_SECOND_MAX) {
        uint64_t next_ms = w->f->next_ms;

        if (next_ms == 0 || next_ms > end_ms)
            next_ms = end_ms;
        if (next_ms > w->poll_ms && w->poll_ms > w->f->now_ms)
            next_ms = w->poll_ms;
        if (next_ms > w->f->now_ms)
            w->f->now_ms = next_ms;
        if (w->f->now_ms >= w->second_ms) {
            w->second_ms = w->f->now_ms + 1000;
            w->ticks = 0;
        }
        poll_devices(w);
        tick(w);
        while (fixture_hub_step(w->f)) {
            tick(w);
            check_twin(w);
        }
    }
}

static void expect_well(const struct world *w)
{
    assert_in_range(w->most_ticks, 0, TICKS_PER_SECOND_MAX);
    if (w->failure != NULL)
        fail_msg("%s", w->failure);
}

/* ---- when all is quiet ---- */

static void all_is_well(struct world *w)
{
    w->f->refuse_patches = w->f->mute_patches = false;
    memset(w->broken, 0, sizeof w->broken);
    for (size_t i = 0; i < module_of(w)->device_count; i++)
        set_silent(w, module_of(w)->devices[i], false);
    for (int second = 0, quiet = 0; second < 900 && quiet < 12; second++) {
        struct module_status status;

        end_operations(w, 1, 0);
        commit_all(w);
        tick(w);
        run(w, 1000);
        module_status(w->f->module, &status);
        quiet = is_ready(w) && status.pending == 0 ? quiet + 1 : 0;
    }
}

static void expect_true_value(const struct world *w, size_t device, size_t tag,
                              const cJSON *property)
{
    const struct config_tag *t = &w->f->twin.tags[tag];
    double number = number_of(value_of(property));

    if (t->report == CONFIG_REPORT_NONE)
        return;
    if (t->access == CONFIG_WRITE && (isnan(number) || w->restarted))
        return; /* nobody knows; a crash may come between a write and its record */
    assert_true(fabs(number - value_number(w->registers[device][tag])) <=
                t->deadband + 1e-9); /* false for NAN */
}

static void expect_true_answer(const struct world *w, size_t device, size_t tag,
                               const cJSON *property)
{
    const cJSON *desired = module_of(w)->components
                               ? cJSON_GetObjectItemCaseSensitive(w->f->desired,
                                                                  w->f->twin.devices[device].name)
                               : w->f->desired;
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(desired, w->f->twin.tags[tag].name);
    double code = number_of(cJSON_GetObjectItemCaseSensitive(property, "ac"));
    double version = number_of(cJSON_GetObjectItemCaseSensitive(property, "av"));
    const char *detail;
    bool writable = (w->f->twin.tags[tag].access & CONFIG_WRITE) != 0;

    assert_int_equal(cJSON_IsObject(property), writable || wanted != NULL);
    if (wanted == NULL && writable)
        assert_true(code == 203 && version == 0);
    if (wanted == NULL)
        return;
    detail = cJSON_GetObjectItemCaseSensitive(property, "ad")->valuestring;
    assert_true(version > 0 && version <= w->version);
    assert_true(code == 200 || code == 203 || code == 403 || code == 500 || code == 502 ||
                code == 504);
    if (code == 200)
        assert_true(number_of(value_of(property)) == number_of(wanted));
    if (code == 203 && strcmp(detail, "changed at the device") == 0)
        assert_true(number_of(value_of(property)) != number_of(wanted));
    else
        assert_true(code != 203 || strcmp(detail, "state lost, not sent") == 0);
}

static void expect_truth(const struct world *w)
{
    for (size_t i = 0; i < module_of(w)->device_count; i++) {
        size_t device = module_of(w)->devices[i];
        const cJSON *object = twin_object(w, device);
        const cJSON *health = cJSON_GetObjectItemCaseSensitive(object, "health");
        char *text = cJSON_PrintUnformatted(object);

        print_message("%s: %s\n", w->f->twin.devices[device].name, text);
        free(text);
        for (size_t tag = 0; tag < TAG_COUNT; tag++) {
            const cJSON *p = cJSON_GetObjectItemCaseSensitive(object, w->f->twin.tags[tag].name);

            print_message("  %s\n", w->f->twin.tags[tag].name);
            expect_true_value(w, device, tag, p);
            expect_true_answer(w, device, tag, p);
        }
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(health, "state")->valuestring,
                            "online");
        assert_null(cJSON_GetObjectItemCaseSensitive(health, "bad")->child);
        assert_in_range(w->starts_sent[device], 0, w->starts_ordered[device]);
    }
    assert_null(cJSON_GetObjectItemCaseSensitive(w->f->reported, "old"));
}

/* ---- tests ---- */

static void set_up_world(struct world *w, struct fixture *f, size_t mapping, uint32_t seed)
{
    *w = (struct world){ .f = f, .seed = seed, .version = 1 };
    module_free(f->module);
    f->mapping = mapping;
    f->slow_store = true; /* it is here */
    f->io = (struct module_io){ io_read,          io_write,  io_latest,       io_nearest,
                                io_device_status, io_commit, io_session_state };
    f->io_data = w;
    f->twin.tags[TEMPERATURE].max_silence_ms = 5000;
    f->twin.tags[SETPOINT].write_deadline_ms = 30000;
    assert_int_equal(fixture_start(f), 0);
    for (size_t device = 0; device < DEVICES; device++) {
        for (size_t tag = 0; tag < TAG_COUNT; tag++) {
            struct value zero[] = { [VALUE_BOOL] = value_bool(false),
                                    [VALUE_INT] = value_int(0),
                                    [VALUE_FLOAT] = value_float(20) };

            change_register(w, device, tag, zero[f->twin.tags[tag].type]);
        }
        w->silent[device] = true;
    }
}

static void live_a_moment(struct world *w)
{
    something_happens(w);
    if (chance(w, 3) == 0)
        commit_all(w);
    tick(w);
    run(w, chance(w, 20) == 0 ? chance(w, 120000) : chance(w, 1500));
}

static void live(size_t mapping, uint32_t seed)
{
    struct world *w = malloc(sizeof *w);
    void *fixture;

    print_message("seed %u\n", seed);
    assert_non_null(w);
    assert_int_equal(fixture_set_up(&fixture), 0);
    set_up_world(w, fixture, mapping, seed);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t steps = chance(w, STEPS_MAX);

        for (uint32_t step = 0; step < steps && w->failure == NULL; step++)
            live_a_moment(w);
        expect_well(w);
        all_is_well(w);
        expect_well(w);
        expect_truth(w);
    }
    assert_int_equal(fixture_tear_down(&fixture), 0);
    free(w);
}

static void module_with_one_device_stays_true(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        live(BOILER, seed);
}

static void module_with_components_stays_true(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        live(PLANT, 1000 + seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_with_one_device_stays_true),
        cmocka_unit_test(module_with_components_stays_true),
    };

    return cmocka_run_group_tests_name("module_random", tests, NULL, NULL);
}
