/* What only the whole of a mapping file tells: limits that contradict each other, settings for writing on
 * a tag that is not written, and what "report: always" costs. Failure mode: no memory. */
#include "config/source.h"

#include "config/duration.h"
#include "config/errors.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_MS = 86400000 };

struct tag_at {
    const struct config *config;
    size_t device, tag;
    struct config_errors *errors;
};

static const cJSON *key_of(const struct tag_at *at, const char *name)
{
    return config_tag_key(at->config, at->device, at->tag, name);
}

/* ---- limits ---- */

/* Of two keys that contradict each other the one that the device itself says; else the second. */
static const cJSON *nearer(const struct tag_at *at, const char *first, const char *second)
{
    const cJSON *own = at->config->source->device_sources[at->device].tag_nodes[at->tag].own;

    if (source_member(own, second) == NULL && source_member(own, first) != NULL)
        return key_of(at, first);
    return key_of(at, second);
}

static void check_range(const struct tag_at *at, const struct config_tag *tag)
{
    char min[VALUE_TEXT_MAX], max[VALUE_TEXT_MAX];

    if (key_of(at, "step") != NULL && tag->step <= 0) {
        value_print_number(tag->step, min);
        config_error(at->errors, key_of(at, "step"), "is %s, write a number above 0", min);
    }
    if (!isfinite(tag->min) || !isfinite(tag->max) || tag->min <= tag->max)
        return;
    value_print_number(tag->min, min);
    value_print_number(tag->max, max);
    config_error(
        at->errors, nearer(at, "min", "max"),
        "\"min\" %s is above \"max\" %s, so nothing could be written: swap or correct them", min,
        max);
}

static void check_times(const struct tag_at *at, const struct config_tag *tag)
{
    char one[DURATION_TEXT_MAX], other[DURATION_TEXT_MAX];

    if (tag->stale_after_ms < tag->poll_interval_ms) {
        duration_print(tag->stale_after_ms, one);
        duration_print(tag->poll_interval_ms, other);
        config_error(at->errors, key_of(at, "stale_after"),
                     "is \"%s\", shorter than the poll_interval \"%s\": every value would be stale "
                     "before the next; write 3 polls or more",
                     one, other);
    }
    if (tag->max_silence_ms != 0 && tag->max_silence_ms < tag->min_interval_ms) {
        duration_print(tag->max_silence_ms, one);
        duration_print(tag->min_interval_ms, other);
        config_error(
            at->errors, nearer(at, "min_interval", "max_silence"),
            "\"max_silence\" \"%s\" is shorter than \"min_interval\" \"%s\": make it longer", one,
            other);
    }
}

/* A key about writing beside an access that does not write. One that the template says stands, when it
 * is the device that takes the right to write away. */
static void check_access(const struct tag_at *at, const struct config_tag *tag)
{
    static const char *const keys[] = { "min",        "max",    "step",
                                        "write_once", "verify", "write_deadline" };
    const struct source_tag *nodes =
        &at->config->source->device_sources[at->device].tag_nodes[at->tag];
    bool taken_away = source_member(nodes->own, "access") != NULL;

    if ((tag->access & CONFIG_WRITE) != 0)
        return;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const cJSON *node = source_member(nodes->own, keys[i]);

        if (node == NULL && !taken_away)
            node = source_member(nodes->from_template, keys[i]);
        if (node != NULL)
            config_error_key(
                at->errors, node,
                "is about writing, but the tag is read-only: write \"access\": \"rw\", "
                "or remove it");
    }
}

/* ---- report: always ---- */

/* What one "always" of the file makes: it may stand far above the tags that it decides. */
struct always {
    const cJSON *node;
    size_t tags;
    double per_day; /* twin operations: the tags of a device that come together share one */
    size_t device;  /* the last one counted, and its fastest tag */
    double device_per_day;
};

struct always_list {
    struct always *items;
    size_t count, capacity;
};

static struct always *always_find(struct always_list *list, const cJSON *node)
{
    for (size_t i = list->count; i-- > 0;) {
        if (list->items[i].node == node)
            return &list->items[i];
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct always *grown = realloc(list->items, capacity * sizeof *grown);

        if (grown == NULL)
            return NULL;
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count] = (struct always){ .node = node, .device = SIZE_MAX };
    return &list->items[list->count++];
}

static void warn_always(const struct always *always, struct config_errors *errors)
{
    config_warning(
        errors, always->node,
        "sends %zu tag%s at every poll, about %.0f twin operations a day (an S1 unit of IoT "
        "Hub has 400000 messages): write \"change\", or a longer \"min_interval\"",
        always->tags, always->tags == 1 ? "" : "s", always->per_day);
}

static int count_always(struct always_list *list, const struct tag_at *at,
                        const struct config_tag *tag)
{
    const struct source_tag *nodes =
        &at->config->source->device_sources[at->device].tag_nodes[at->tag];
    uint32_t every = tag->poll_interval_ms > tag->min_interval_ms ? tag->poll_interval_ms
                                                                  : tag->min_interval_ms;
    double per_day = (double)DAY_MS / every;
    struct always *always;

    if (tag->report != CONFIG_REPORT_ALWAYS || (tag->access & CONFIG_READ) == 0)
        return 0;
    if (source_member(nodes->own, "report") != NULL) { /* it decides this tag alone */
        warn_always(&(struct always){ key_of(at, "report"), 1, per_day, 0, 0 }, at->errors);
        return 0;
    }
    always = always_find(list, key_of(at, "report"));
    if (always == NULL)
        return -ENOMEM;
    if (always->device != at->device) {
        always->device = at->device;
        always->device_per_day = 0;
    }
    if (per_day > always->device_per_day) {
        always->per_day += per_day - always->device_per_day;
        always->device_per_day = per_day;
    }
    always->tags++;
    return 0;
}

int build_check(struct config *config, struct config_errors *errors)
{
    struct always_list list = { 0 };
    int rc = 0;

    for (size_t i = 0; i < config->device_count && rc == 0; i++) {
        for (size_t j = 0; j < config->devices[i].tag_count && rc == 0; j++) {
            const struct config_tag *tag = &config->devices[i].tags[j];
            const struct tag_at at = { config, i, j, errors };

            check_range(&at, tag);
            check_times(&at, tag);
            check_access(&at, tag);
            rc = count_always(&list, &at, tag);
        }
    }
    for (size_t i = 0; i < list.count; i++)
        warn_always(&list.items[i], errors);
    free(list.items);
    return rc;
}
