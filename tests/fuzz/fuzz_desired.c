/* Desired documents and patches: read, decided, recorded, decided again.
 *
 * Input: what is known before (one byte of flags), the text of a document: for a whole one
 * {"desired": {...}, "reported": {...}} with the two halves of a get, else the fragment.
 * Demanded: every order may be written to its tag; nothing is decided twice; a document whose
 * every decision was carried out and recorded orders nothing when it comes again; merging twice
 * is merging once. */
#include "bridge/desired.h"
#include "bridge/twin.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/twin_fixture.h"

#include <cjson/cJSON.h>

#include <stdbool.h>

enum {
    FLAG_PLANT = 1,    /* the module of two components */
    FLAG_WHOLE = 2,    /* a whole document */
    FLAG_FIRST = 4,    /* the first since start */
    FLAG_APPLY = 8,    /* on_start of all tags: apply */
    FLAG_SKIP = 16,    /* on_start of all tags: skip */
    FLAG_FORBID = 32,  /* the mapping file forbids writes */
    FLAG_RECORDS = 64, /* records of another document are there */
    FLAG_LOST = 128,   /* the store knows nothing */
};

enum { DEVICES = 2, UNKNOWN_MAX = 64 };

struct house {
    struct twin_fixture twin;
    struct desired_input input;
    struct desired_record records[DEVICES][TAG_COUNT]; /* `desired` NULL = none */
    struct desired_unknown *unknown;
    size_t unknown_count;
    uintptr_t ids;
    bool seen[DEVICES][TAG_COUNT];
    bool again; /* everything was recorded before */
};

static void record_set(struct desired_record *record, const struct desired_decision *d)
{
    char *text = desired_text(d->node);
    cJSON *same;

    FUZZ_REQUIRE(text != NULL);
    same = cJSON_Parse(text);
    FUZZ_REQUIRE(cJSON_Compare(same, d->node, true));
    cJSON_Delete(same);
    free(record->desired);
    *record = (struct desired_record){ .version = d->version, .desired = text, .code = 200 };
    if (d->kind == DESIRED_REFUSE)
        record->code = d->code;
}

static void unknown_drop(struct house *h, struct desired_unknown **at)
{
    struct desired_unknown *u = *at;

    *at = u->next;
    h->unknown_count--;
    free(u->component);
    free(u->name);
    free(u->record.desired);
    free(u);
}

static struct desired_unknown **unknown_find(struct house *h, const char *component,
                                             const char *name)
{
    struct desired_unknown **at = &h->unknown;

    while (*at != NULL && (strcmp((*at)->name, name) != 0 || strcmp((*at)->component, component)))
        at = &(*at)->next;
    return at;
}

static void note_unknown(struct house *h, const struct desired_decision *d)
{
    struct desired_unknown **at = unknown_find(h, d->component, d->name);

    FUZZ_REQUIRE(d->kind != DESIRED_ORDER);
    if (d->kind == DESIRED_KEEP)
        FUZZ_REQUIRE(*at != NULL);
    if (d->kind == DESIRED_CLEAR && *at != NULL)
        unknown_drop(h, at);
    if (d->kind != DESIRED_REFUSE)
        return;
    FUZZ_REQUIRE(d->code == 404);
    /* an object may have lost the nulls in it when it was merged */
    FUZZ_REQUIRE(!h->again || h->unknown_count == UNKNOWN_MAX || cJSON_IsObject(d->node));
    if (*at == NULL && h->unknown_count < UNKNOWN_MAX) {
        struct desired_unknown *u = calloc(1, sizeof *u);

        *u = (struct desired_unknown){ .next = h->unknown,
                                       .id = ++h->ids,
                                       .component = strdup(d->component),
                                       .name = strdup(d->name) };
        h->unknown = u;
        h->unknown_count++;
        at = &h->unknown;
    }
    if (*at != NULL)
        record_set(&(*at)->record, d);
}

static void require_order(const struct house *h, const struct desired_decision *d)
{
    const struct config_tag *tag = &h->twin.tags[d->tag];
    const char *detail = NULL;
    struct value value;

    FUZZ_REQUIRE(desired_check(&h->twin.config, tag, d->node, &value, &detail) == 0);
    FUZZ_REQUIRE((tag->access & CONFIG_WRITE) != 0 && h->twin.config.writes);
    FUZZ_REQUIRE(value_equal(value, d->value));
    FUZZ_REQUIRE(value.type == tag->type);
    FUZZ_REQUIRE(!(value_number(value) < tag->min) && !(value_number(value) > tag->max));
    FUZZ_REQUIRE(!d->read_first || (tag->access & CONFIG_READ) != 0);
    FUZZ_REQUIRE(!h->again);
}

static void note(void *data, const struct desired_decision *d)
{
    struct house *h = data;
    struct desired_record *record;

    FUZZ_REQUIRE(d->name != NULL && d->component != NULL);
    FUZZ_REQUIRE((d->kind == DESIRED_CLEAR) == (d->node == NULL));
    if (d->tag == DESIRED_NO_TAG) {
        note_unknown(h, d);
        return;
    }
    FUZZ_REQUIRE(d->device < h->twin.modules[h->input.module].device_count && d->tag < TAG_COUNT);
    FUZZ_REQUIRE(!h->seen[d->device][d->tag]);
    h->seen[d->device][d->tag] = true;
    record = &h->records[d->device][d->tag];
    if (d->kind == DESIRED_ORDER)
        require_order(h, d);
    if (d->kind == DESIRED_REFUSE)
        FUZZ_REQUIRE(d->detail != NULL);
    if (d->kind == DESIRED_KEEP) {
        FUZZ_REQUIRE(record->desired != NULL);
    } else if (d->kind == DESIRED_CLEAR) {
        free(record->desired);
        record->desired = NULL;
    } else {
        record_set(record, d);
    }
}

static const struct desired_record *record_of(const void *data, size_t device, size_t tag)
{
    const struct desired_record *record = &((const struct house *)data)->records[device][tag];

    return record->desired == NULL ? NULL : record;
}

static bool never_ordered(const void *data, size_t device, size_t tag)
{
    (void)data;
    (void)device;
    (void)tag;
    return false;
}

static const struct desired_unknown *unknown_of(const void *data)
{
    return ((const struct house *)data)->unknown;
}

static void house_init(struct house *h, uint8_t flags)
{
    memset(h, 0, sizeof *h);
    twin_fixture_init(&h->twin);
    h->twin.config.writes = (flags & FLAG_FORBID) == 0;
    for (size_t i = 0; i < TAG_COUNT; i++) {
        h->twin.tags[i].on_start = (flags & FLAG_APPLY) != 0  ? CONFIG_START_APPLY
                                   : (flags & FLAG_SKIP) != 0 ? CONFIG_START_SKIP
                                                              : CONFIG_START_CHANGED;
        if ((flags & FLAG_RECORDS) != 0)
            h->records[0][i] =
                (struct desired_record){ .version = 2, .desired = strdup("21"), .code = 200 };
    }
    h->input = (struct desired_input){ .config = &h->twin.config,
                                       .module = (flags & FLAG_PLANT) != 0 ? PLANT : BOILER,
                                       .first = (flags & FLAG_FIRST) != 0,
                                       .recorded_version = (flags & FLAG_LOST) != 0 ? -1 : 3,
                                       .record = record_of,
                                       .ordered = never_ordered,
                                       .unknown = unknown_of,
                                       .data = h };
}

static void house_done(struct house *h)
{
    while (h->unknown != NULL)
        unknown_drop(h, &h->unknown);
    for (size_t i = 0; i < DEVICES; i++) {
        for (size_t k = 0; k < TAG_COUNT; k++)
            free(h->records[i][k].desired);
    }
}

/* The document, then the same document as a reconnect brings it. */
static void whole(struct house *h, const cJSON *tree)
{
    const cJSON *desired = cJSON_GetObjectItemCaseSensitive(tree, "desired");
    const cJSON *reported = cJSON_GetObjectItemCaseSensitive(tree, "reported");

    if (!cJSON_IsObject(desired) || twin_version(desired) < 0)
        return; /* the session asks again */
    desired_document(&h->input, desired, reported, note, h);
    h->input.first = false;
    h->input.recorded_version = twin_version(desired);
    h->again = true;
    memset(h->seen, 0, sizeof h->seen);
    desired_document(&h->input, desired, reported, note, h);
}

static void fragment(struct house *h, cJSON *tree)
{
    cJSON *once = cJSON_CreateObject();

    twin_strip(tree);
    desired_patch(&h->input, 7, tree, note, h);
    FUZZ_REQUIRE(twin_merge(once, tree) == 0 && twin_set_version(once, 7) == 0);
    h->input.first = false;
    h->input.recorded_version = 7;
    h->again = true;
    memset(h->seen, 0, sizeof h->seen);
    desired_document(&h->input, once, NULL, note, h);
    cJSON_Delete(once);
}

static void merge_twice(const cJSON *tree)
{
    cJSON *once = cJSON_Parse(
        "{\"setpoint\":{\"a\":1},\"x\":{\"y\":{\"z\":[1,{}]}},\"pump\":null}");
    cJSON *twice;

    FUZZ_REQUIRE(twin_merge(once, tree) == 0);
    twice = cJSON_Duplicate(once, true);
    FUZZ_REQUIRE(twin_merge(twice, tree) == 0);
    FUZZ_REQUIRE(cJSON_Compare(once, twice, true));
    cJSON_Delete(once);
    cJSON_Delete(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    uint8_t flags = fuzz_byte(&script);
    char *text = fuzz_copy(script.bytes, script.length, 0);
    struct house house;
    cJSON *tree = NULL;
    int rc = twin_parse(&tree, text, script.length);

    free(text);
    FUZZ_REQUIRE((rc == 0) == (tree != NULL));
    if (rc != 0)
        return 0;
    merge_twice(tree);
    house_init(&house, flags);
    if ((flags & FLAG_WHOLE) != 0)
        whole(&house, tree);
    else
        fragment(&house, tree);
    house_done(&house);
    cJSON_Delete(tree);
    return 0;
}
