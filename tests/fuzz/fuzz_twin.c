/* A module twin whose hub holds anything at all: what others wrote into desired and into
 * reported.
 *
 * Input: what is known before (one byte of flags), the twin, {"desired": {...}, "reported":
 * {...}}. Demanded: the module takes it up, writes only what its tags allow, sends patches that
 * are JSON, and comes to rest: the same twin after another reconnect needs no patch and no
 * write. */
#include "bridge/twin.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/module_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>

enum {
    FLAG_PLANT = 1,   /* the module of two components */
    FLAG_RECORDS = 2, /* the store knows earlier orders */
    FLAG_LOST = 4,    /* the store knows nothing, not even a version */
    FLAG_BAD = 8,     /* a tag is bad */
};

enum { COMMITS = 512, DEVICES = 3, REST_MS = 3000 };

struct plant {
    struct fixture *f;
    struct value registers[DEVICES][TAG_COUNT];
    bool read[DEVICES][TAG_COUNT], write[DEVICES][TAG_COUNT]; /* asked for */
    unsigned writes;
    uintptr_t tokens[COMMITS];
    size_t token_count;
};

static const struct module_io *fixture_io;

static int plant_read(void *data, size_t device, size_t tag)
{
    struct plant *p = data;

    FUZZ_REQUIRE(device < DEVICES && tag < TAG_COUNT && tag != RELAY);
    p->read[device][tag] = true;
    return 0;
}

static int plant_write(void *data, size_t device, size_t tag, struct value value,
                       uint64_t deadline_ms)
{
    struct plant *p = data;
    const struct config_tag *t = &p->f->twin.tags[tag];

    (void)deadline_ms;
    FUZZ_REQUIRE(device < DEVICES && tag < TAG_COUNT);
    FUZZ_REQUIRE((t->access & CONFIG_WRITE) != 0 && value.type == t->type);
    FUZZ_REQUIRE(!(value_number(value) < t->min) && !(value_number(value) > t->max));
    p->registers[device][tag] = value;
    p->write[device][tag] = true;
    p->writes++;
    return 0;
}

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
    struct plant *p = data;

    FUZZ_REQUIRE(record->device != NULL && record->tag != NULL);
    FUZZ_REQUIRE(record->desired == NULL || record->detail != NULL);
    if (p->token_count == COMMITS)
        return -ENOBUFS;
    p->tokens[p->token_count++] = token;
    return 0;
}

static void plant_session_state(void *data, enum session_state state)
{
    (void)data;
    (void)state;
}

static const struct module_io plant_io = {
    .read = plant_read,
    .write = plant_write,
    .latest = plant_latest,
    .nearest = plant_nearest,
    .device_status = plant_status,
    .commit = plant_commit,
    .session_state = plant_session_state,
};

static void show(struct plant *p, size_t device, size_t tag)
{
    struct fixture *f = p->f;
    struct value value = plant_nearest(p, device, tag, p->registers[device][tag]);

    if (tag != RELAY)
        module_sample(f->module, device, tag,
                      twin_fixture_good(&f->twin, device, tag, value, f->now_ms), f->now_ms);
}

static void answer(struct plant *p, size_t device, size_t tag)
{
    struct fixture *f = p->f;
    struct write_result result = { .outcome = WRITE_DONE, .detail = "" };

    if (p->read[device][tag]) {
        p->read[device][tag] = false;
        show(p, device, tag);
        module_read_done(f->module, device, tag, 0, f->now_ms);
    }
    if (p->write[device][tag]) {
        p->write[device][tag] = false;
        show(p, device, tag);
        if (tag != RELAY)
            result.readback = f->twin.samples[device][tag];
        module_write_done(f->module, device, tag, &result, f->now_ms);
    }
}

static void first_and_last(const struct plant *p, size_t *first, size_t *last)
{
    *first = p->f->mapping == PLANT ? 1 : 0;
    *last = p->f->mapping == PLANT ? 2 : 0;
}

/* Time passes; polls find nothing new; what was asked is answered. */
static void pass(struct plant *p, uint64_t ms)
{
    struct fixture *f = p->f;
    size_t first, last;

    first_and_last(p, &first, &last);
    f->now_ms += ms;
    for (size_t device = first; device <= last; device++) {
        for (size_t tag = 0; tag < TAG_COUNT; tag++) {
            if (f->twin.samples[device][tag].quality == QUALITY_GOOD)
                f->twin.samples[device][tag].now_ms = f->now_ms;
        }
    }
    for (int i = 0; i < 3; i++) {
        fixture_settle(f);
        for (size_t k = 0; k < p->token_count; k++)
            module_committed(f->module, p->tokens[k], 0, f->now_ms);
        p->token_count = 0;
        for (size_t device = first; device <= last; device++) {
            for (size_t tag = 0; tag < TAG_COUNT; tag++)
                answer(p, device, tag);
        }
    }
    fixture_settle(f);
}

static void start(struct plant *p, uint8_t flags)
{
    struct fixture *f = p->f;
    static char relay[] = "4", pulse[] = "true";
    struct record known[] = { fixture_row("", 3, "", 0), fixture_row("relay", 3, relay, 200),
                              fixture_row("start", 3, pulse, 200),
                              fixture_row("x", 3, relay, 404) };
    size_t count = (flags & FLAG_LOST) != 0 ? 0 : (flags & FLAG_RECORDS) != 0 ? 4 : 1;

    module_free(f->module); /* never connected */
    f->module = NULL;
    f->mapping = (flags & FLAG_PLANT) != 0 ? PLANT : BOILER;
    f->io = plant_io;
    f->io_data = p;
    if (fixture_start(f) != 0)
        abort();
    for (size_t i = 0; i < count; i++)
        FUZZ_REQUIRE(module_restore(f->module, &known[i]) == 0);
}

static void devices_come(struct plant *p, uint8_t flags)
{
    struct fixture *f = p->f;
    size_t first, last;

    first_and_last(p, &first, &last);
    f->state = DEVICE_ONLINE;
    for (size_t device = first; device <= last; device++) {
        module_device_state(f->module, device, DEVICE_ONLINE, f->now_ms);
        for (size_t tag = 0; tag < TAG_COUNT; tag++) {
            p->registers[device][tag] = f->twin.tags[tag].type == VALUE_BOOL  ? value_bool(false)
                                        : f->twin.tags[tag].type == VALUE_INT ? value_int(7)
                                                                              : value_float(20);
            show(p, device, tag);
        }
        if ((flags & FLAG_BAD) != 0)
            module_sample(f->module, device, ENERGY,
                          twin_fixture_bad(&f->twin, device, ENERGY, "not a number", f->now_ms),
                          f->now_ms);
    }
}

/* A section of the input with a version, or an empty one. */
static cJSON *section(cJSON *tree, const char *name)
{
    cJSON *section = cJSON_DetachItemFromObjectCaseSensitive(tree, name);

    if (!cJSON_IsObject(section)) {
        cJSON_Delete(section);
        section = cJSON_CreateObject();
    }
    if (twin_version(section) < 0)
        twin_set_version(section, 4);
    return section;
}

static void play(struct plant *p)
{
    struct fixture *f = p->f;
    unsigned patches, writes;

    for (int i = 0; i < 4; i++)
        pass(p, REST_MS);
    patches = f->patches;
    writes = p->writes;
    fixture_lose_link(f);
    for (int i = 0; i < 4; i++)
        pass(p, REST_MS);
    FUZZ_REQUIRE(p->writes == writes);
    FUZZ_REQUIRE(f->patches == patches);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    uint8_t flags = fuzz_byte(&script);
    static struct module_io own;
    struct plant plant = { .f = NULL };
    cJSON *tree = NULL;
    void *state = NULL;

    if (twin_parse(&tree, script.bytes, script.length) != 0)
        return 0;
    if (fixture_set_up(&state) != 0)
        abort();
    plant.f = state;
    own = plant.f->io;
    fixture_io = &own;
    cJSON_Delete(plant.f->desired);
    cJSON_Delete(plant.f->reported);
    plant.f->desired = section(tree, "desired");
    plant.f->reported = section(tree, "reported");
    cJSON_Delete(tree);
    start(&plant, flags);
    fixture_settle(plant.f);
    devices_come(&plant, flags);
    play(&plant);
    fixture_tear_down(&state);
    return 0;
}
