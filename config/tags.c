/* The tags of a device: the template's, minus what the device sets to null, with what it says
 * otherwise, and its own behind them; then every general key resolved along the chain. Failure mode: no
 * memory. */
#include "config/source.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_INTERVAL_MS = 1000, STALE_POLLS = 3 };

/* ---- which tags there are ---- */

static size_t count_members(const cJSON *object)
{
    return object == NULL ? 0 : (size_t)cJSON_GetArraySize(object);
}

/* A tag that the device sets to null, or that is wrong (reported): it is none. */
static bool is_tag(const cJSON *node)
{
    return cJSON_IsObject(node);
}

static void add_tag(struct source_device *at, size_t *count, const cJSON *own,
                    const cJSON *from_template)
{
    const cJSON *named = own != NULL ? own : from_template;

    at->tag_nodes[*count] = (struct source_tag){ own, from_template };
    at->tags[*count].name = named->string;
    (*count)++;
}

static void report_null(const cJSON *tag, const cJSON *inherited, struct config_errors *errors)
{
    if (inherited == NULL || inherited->child == NULL)
        config_error(errors, tag,
                     "is null, which removes a tag of the device's template, but there "
                     "is none: remove this line");
    else
        source_unknown_name(tag, tag->string, "tag", inherited, errors);
}

static size_t merge_tags(struct source_device *at, const cJSON *inherited, const cJSON *own,
                         struct config_errors *errors)
{
    size_t count = 0;

    for (const cJSON *tag = source_first(inherited); tag != NULL; tag = tag->next) {
        const cJSON *override = source_member(own, tag->string);

        if (is_tag(tag) && (override == NULL || is_tag(override)))
            add_tag(at, &count, override, tag);
    }
    for (const cJSON *tag = source_first(own); tag != NULL; tag = tag->next) {
        if (source_member(inherited, tag->string) != NULL)
            continue;
        if (is_tag(tag))
            add_tag(at, &count, tag, NULL);
        else if (cJSON_IsNull(tag))
            report_null(tag, inherited, errors);
    }
    return count;
}

/* ---- what is said about them ---- */

static enum config_access access_of(const cJSON *node)
{
    const char *text = config_text(node, "r");

    if (strcmp(text, "rw") == 0)
        return CONFIG_READ_WRITE;
    return strcmp(text, "w") == 0 ? CONFIG_WRITE : CONFIG_READ;
}

static enum config_report report_of(const cJSON *node)
{
    const char *text = config_text(node, "change");

    if (strcmp(text, "always") == 0)
        return CONFIG_REPORT_ALWAYS;
    return strcmp(text, "none") == 0 ? CONFIG_REPORT_NONE : CONFIG_REPORT_CHANGE;
}

static enum config_on_start on_start_of(const cJSON *node)
{
    const char *text = config_text(node, "changed");

    if (strcmp(text, "apply") == 0)
        return CONFIG_START_APPLY;
    return strcmp(text, "skip") == 0 ? CONFIG_START_SKIP : CONFIG_START_CHANGED;
}

/* Not along the chain: a device's description is not its tags'. */
static const char *description_of(const struct config_source *source,
                                  const struct source_tag *nodes)
{
    const cJSON *node = source_key(source, nodes->own, CONFIG_TAG, "description");

    if (node == NULL)
        node = source_key(source, nodes->from_template, CONFIG_TAG, "description");
    return config_text(node, "");
}

static void resolve_tag(const struct config *config, size_t device, size_t index,
                        struct config_tag *tag)
{
#define KEY(name) config_tag_key(config, device, index, name)
    tag->unit = config_text(KEY("unit"), "");
    tag->description = description_of(config->source,
                                      &config->source->device_sources[device].tag_nodes[index]);
    tag->access = access_of(KEY("access"));
    tag->report = report_of(KEY("report"));
    tag->on_start = on_start_of(KEY("on_start"));
    tag->poll_interval_ms = config_duration_ms(KEY("poll_interval"), POLL_INTERVAL_MS);
    tag->min_interval_ms = config_duration_ms(KEY("min_interval"), 0);
    tag->max_silence_ms = config_duration_ms(KEY("max_silence"), 0);
    tag->stale_after_ms = config_duration_ms(KEY("stale_after"),
                                             STALE_POLLS * tag->poll_interval_ms);
    tag->write_deadline_ms = config_duration_ms(KEY("write_deadline"), 0);
    tag->deadband = config_number(KEY("deadband"), 0);
    tag->min = config_number(KEY("min"), NAN);
    tag->max = config_number(KEY("max"), NAN);
    tag->step = config_number(KEY("step"), 0);
    tag->write_once = config_bool(KEY("write_once"), false);
    tag->verify = config_bool(KEY("verify"), true);
#undef KEY
    tag->type = VALUE_NONE;
    tag->lowest = -INFINITY;
    tag->highest = INFINITY;
    tag->decimals = -1;
}

int build_tags(struct config *config, size_t device, struct config_errors *errors)
{
    struct config_source *source = config->source;
    struct source_device *at = &source->device_sources[device];
    const cJSON *inherited = source_member(at->template, "tags");
    const cJSON *own = source_member(at->node, "tags");
    size_t most, count;

    inherited = cJSON_IsObject(inherited) ? inherited : NULL;
    own = cJSON_IsObject(own) ? own : NULL;
    most = count_members(inherited) + count_members(own);
    at->tags = calloc(most + 1, sizeof *at->tags);
    at->tag_nodes = calloc(most + 1, sizeof *at->tag_nodes);
    if (at->tags == NULL || at->tag_nodes == NULL)
        return -ENOMEM;
    count = merge_tags(at, inherited, own, errors);
    source->devices[device].tags = at->tags;
    source->devices[device].tag_count = count;
    for (size_t i = 0; i < count; i++)
        resolve_tag(config, device, i, &at->tags[i]);

    if (count == 0 && most == 0 && source_member(at->node, "template") == NULL)
        config_error(errors, at->node, "has no tags, write \"template\" or \"tags\"");
    else if (count == 0 && most > 0)
        config_warning(errors, at->node, "all its tags are removed or wrong, none is left");
    return 0;
}
