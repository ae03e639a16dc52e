/* The keys: the table of the general ones, finding, and the sentence for a key that is wrong.
 *
 * A wrong key is, in this order: another product's spelling or another case of a key that may stand
 * here; a key that belongs to another level; a slip of one that may stand here; a spelling or slip of
 * one that belongs elsewhere; or unknown, and then the keys that may stand here are listed. */
#include "config/keys.h"

#include "config/errors.h"
#include "config/kinds.h"
#include "base/near.h"
#include "config/text.h"

#include <cjson/cJSON.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HOUR = 3600000, DAY = 24 * HOUR, FOLDED_MAX = 40, LIST_MAX = 400 };

static const char *const report_choices[] = { "change", "always", "none", NULL };
static const char *const on_start_choices[] = { "changed", "apply", "skip", NULL };
static const char *const access_choices[] = { "r", "rw", "w", NULL };
static const char *const writes_choices[] = { "allow", "forbid", NULL };

/* clang-format off */
const struct config_key keys_general[] = {
    { "hub",         CONFIG_FILE, CONFIG_ANY, 0, 0, NULL },
    { "status",      CONFIG_FILE, CONFIG_ANY, 0, 0, NULL },
    { "connections", CONFIG_FILE, CONFIG_ANY, 0, 0, NULL },
    { "templates",   CONFIG_FILE, CONFIG_ANY, 0, 0, NULL },
    { "devices",     CONFIG_FILE, CONFIG_ANY, 0, 0, NULL },
    { "modules",     CONFIG_FILE, CONFIG_ANY, 0, 0, NULL },
    { "state",       CONFIG_FILE, CONFIG_TEXT, 0, 0, NULL },
    { "writes",      CONFIG_FILE, CONFIG_CHOICE, 0, 0, writes_choices },

    { "host_name",      CONFIG_HUB, CONFIG_TEXT, 0, 0, NULL },
    { "device_id",      CONFIG_HUB, CONFIG_TEXT, 0, 0, NULL },
    { "port",           CONFIG_HUB, CONFIG_INTEGER, 1, 65535, NULL },
    { "credentials",    CONFIG_HUB, CONFIG_TEXT, 0, 0, NULL },
    { "ca_file",        CONFIG_HUB, CONFIG_TEXT, 0, 0, NULL },
    { "token_lifetime", CONFIG_HUB, CONFIG_DURATION, 5000, 30.0 * DAY, NULL },
    /* the hub drops after 1.5 times the interval, counted up to 1767 s */
    { "keepalive",      CONFIG_HUB, CONFIG_DURATION, 1000, 1177000, NULL },

    { "listen", CONFIG_STATUS, CONFIG_TEXT, 0, 0, NULL },

    { "transport", CONFIG_CONNECTION, CONFIG_TEXT, 0, 0, NULL },
    { "enabled",   CONFIG_LINE, CONFIG_BOOL, 0, 0, NULL },

    { "connection",  CONFIG_DEVICE, CONFIG_TEXT, 0, 0, NULL },
    { "unit_id",     CONFIG_DEVICE, CONFIG_INTEGER, 0, 65535, NULL },
    { "template",    CONFIG_DEVICE, CONFIG_TEXT, 0, 0, NULL },
    { "module",      CONFIG_DEVICE, CONFIG_ANY, 0, 0, NULL },
    { "tags",        CONFIG_TEMPLATE | CONFIG_DEVICE, CONFIG_ANY, 0, 0, NULL },
    { "description", CONFIG_DEVICE | CONFIG_TAG, CONFIG_ANY, 0, 0, NULL },

    { "poll_interval", CONFIG_ANYWHERE, CONFIG_DURATION, 10, DAY, NULL },
    { "report",        CONFIG_ANYWHERE, CONFIG_CHOICE, 0, 0, report_choices },
    { "deadband",      CONFIG_ANYWHERE, CONFIG_NUMBER, 0, INFINITY, NULL },
    { "min_interval",  CONFIG_ANYWHERE, CONFIG_DURATION, 0, DAY, NULL },
    { "max_silence",   CONFIG_ANYWHERE, CONFIG_NEVER, 1000, 30.0 * DAY, NULL },
    { "stale_after",   CONFIG_ANYWHERE, CONFIG_DURATION, 10, 30.0 * DAY, NULL },
    { "on_start",      CONFIG_ANYWHERE, CONFIG_CHOICE, 0, 0, on_start_choices },

    { "unit",           CONFIG_TAG, CONFIG_ANY, 0, 0, NULL },
    { "access",         CONFIG_TAG, CONFIG_CHOICE, 0, 0, access_choices },
    { "min",            CONFIG_TAG, CONFIG_NUMBER, 0, 0, NULL },
    { "max",            CONFIG_TAG, CONFIG_NUMBER, 0, 0, NULL },
    { "step",           CONFIG_TAG, CONFIG_NUMBER, 0, 0, NULL },
    { "verify",         CONFIG_TAG, CONFIG_BOOL, 0, 0, NULL },
    { "write_once",     CONFIG_TAG, CONFIG_BOOL, 0, 0, NULL },
    { "write_deadline", CONFIG_TAG, CONFIG_NEVER, 100, 30.0 * DAY, NULL },

    { "devices",                CONFIG_MODULE, CONFIG_ANY, 0, 0, NULL },
    { "device_id",              CONFIG_MODULE, CONFIG_TEXT, 0, 0, NULL },
    { "connection_string_file", CONFIG_MODULE, CONFIG_TEXT, 0, 0, NULL },
    { "components",             CONFIG_MODULE, CONFIG_BOOL, 0, 0, NULL },
    { NULL, 0, CONFIG_ANY, 0, 0, NULL },
};
/* clang-format on */

/* ---- finding ---- */

static const struct config_key *find_in(const struct config_key *table, unsigned level,
                                        const char *name)
{
    for (; table->name != NULL; table++) {
        if ((table->levels & level) != 0 && strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

/* The tables one after another: 0 the general one, then the adapters'. NULL behind the last. */
static const struct config_key *table_at(const struct keys *keys, size_t index)
{
    if (index == 0)
        return keys_general;
    if (keys->only != NULL)
        return index == 1 ? keys->only->keys : NULL;
    return keys->adapters[index - 1] == NULL ? NULL : keys->adapters[index - 1]->keys;
}

const struct config_key *keys_find(const struct keys *keys, unsigned level, const char *name)
{
    const struct config_key *table;

    for (size_t i = 0; (table = table_at(keys, i)) != NULL; i++) {
        const struct config_key *key = find_in(table, level, name);

        if (key != NULL)
            return key;
    }
    return NULL;
}

/* All levels where `name` may stand. */
static unsigned levels_of(const struct keys *keys, const char *name)
{
    const struct config_key *table;
    unsigned levels = 0;

    for (size_t i = 0; (table = table_at(keys, i)) != NULL; i++) {
        for (; table->name != NULL; table++) {
            if (strcmp(table->name, name) == 0)
                levels |= table->levels;
        }
    }
    return levels;
}

/* ---- what a wrong key should have been ---- */

/* Lower case, without what separates words: pollInterval and poll-interval are poll_interval. */
static const char *fold(const char *name, char out[FOLDED_MAX])
{
    size_t used = 0;

    for (; *name != 0 && used + 1 < FOLDED_MAX; name++) {
        if (isalnum((unsigned char)*name))
            out[used++] = (char)tolower((unsigned char)*name);
    }
    out[used] = 0;
    return out;
}

/* Another way to write a key that may stand at one of `levels`; NULL. */
static const char *spelling_of(const struct keys *keys, unsigned levels, const char *name)
{
    const struct config_key *table;
    char wanted[FOLDED_MAX], known[FOLDED_MAX];

    if (fold(name, wanted)[0] == 0)
        return NULL;
    for (size_t i = 0; (table = table_at(keys, i)) != NULL; i++) {
        for (; table->name != NULL; table++) {
            if ((table->levels & levels) != 0 && strcmp(fold(table->name, known), wanted) == 0)
                return table->name;
        }
    }
    for (const struct keys_spelling *s = keys_spellings; s->theirs != NULL; s++) {
        if (strcmp(s->theirs, wanted) == 0 && (levels_of(keys, s->ours) & levels) != 0)
            return s->ours;
    }
    return NULL;
}

static const char *slip_of(const struct keys *keys, unsigned levels, const char *name)
{
    const struct config_key *table;
    struct near near;

    near_init(&near, name);
    for (size_t i = 0; (table = table_at(keys, i)) != NULL; i++) {
        for (; table->name != NULL; table++) {
            if ((table->levels & levels) != 0)
                near_offer(&near, table->name);
        }
    }
    return near.best;
}

/* ---- sentences ---- */

static const struct level_name {
    unsigned level;
    const char *name;
} level_names[] = {
    { CONFIG_FILE, "the file" },       { CONFIG_HUB, "\"hub\"" },
    { CONFIG_STATUS, "\"status\"" },   { CONFIG_CONNECTION, "a connection" },
    { CONFIG_TEMPLATE, "a template" }, { CONFIG_DEVICE, "a device" },
    { CONFIG_TAG, "a tag" },           { CONFIG_MODULE, "a module" },
};

enum { LEVELS = sizeof level_names / sizeof level_names[0], LEVELS_TEXT_MAX = 128 };

/* "a connection or a device" */
static const char *name_levels(unsigned levels, char out[LEVELS_TEXT_MAX])
{
    size_t used = 0;

    out[0] = 0;
    for (size_t i = 0; i < LEVELS; i++) {
        if ((levels & level_names[i].level) == 0)
            continue;
        levels &= ~level_names[i].level;
        used += (size_t)snprintf(out + used, LEVELS_TEXT_MAX - used, "%s%s",
                                 used == 0     ? ""
                                 : levels == 0 ? " or "
                                               : ", ",
                                 level_names[i].name);
    }
    return out;
}

/* The keys of a level, without those that may stand anywhere. */
static const char *list_keys(const struct keys *keys, unsigned level, char out[LIST_MAX])
{
    const struct config_key *table;
    size_t used = 0;

    out[0] = 0;
    for (size_t i = 0; (table = table_at(keys, i)) != NULL; i++) {
        for (; table->name != NULL && used < LIST_MAX; table++) {
            if ((table->levels & level) != 0 && table->levels != CONFIG_ANYWHERE)
                used += (size_t)snprintf(out + used, LIST_MAX - used, "%s%s", used == 0 ? "" : ", ",
                                         table->name);
        }
    }
    return out;
}

static void report_unknown(const struct keys *keys, unsigned level, const cJSON *node,
                           struct config_errors *errors)
{
    const struct keys all = { keys->adapters, NULL };
    char levels[LEVELS_TEXT_MAX], here[LEVELS_TEXT_MAX], list[LIST_MAX];
    const char *meant;

    name_levels(level, here);
    if ((meant = spelling_of(keys, level, node->string)) != NULL)
        config_error_key(errors, node, "unknown key, write \"%s\"", meant);
    else if (keys->only != NULL && keys_find(&all, level, node->string) != NULL)
        config_error_key(errors, node, "is no key of this transport, remove it");
    else if (levels_of(&all, node->string) != 0)
        config_error_key(errors, node, "stands in %s, but belongs to %s: move it", here,
                         name_levels(levels_of(&all, node->string), levels));
    else if ((meant = slip_of(keys, level, node->string)) != NULL)
        config_error_key(errors, node, "unknown key, did you mean \"%s\"?", meant);
    else if ((meant = spelling_of(&all, ~0u, node->string)) != NULL ||
             (meant = slip_of(&all, ~0u, node->string)) != NULL)
        config_error_key(errors, node, "unknown key, did you mean \"%s\", which belongs to %s?",
                         meant, name_levels(levels_of(&all, meant), levels));
    else
        config_error_key(errors, node, "unknown key, remove it; the keys of %s are %s", here,
                         list_keys(keys, level, list));
}

/* What may be any text, an empty one too. */
static bool is_free_text(const char *name)
{
    return strcmp(name, "unit") == 0 || strcmp(name, "description") == 0;
}

void keys_check(const struct keys *keys, unsigned level, const struct cJSON *object,
                struct config_errors *errors)
{
    for (const cJSON *node = object->child; node != NULL; node = node->next) {
        const struct config_key *key = keys_find(keys, level, node->string);

        if (keys_is_secret(node))
            continue;
        if (key == NULL)
            report_unknown(keys, level, node, errors);
        else if (is_free_text(node->string) && !cJSON_IsString(node))
            config_error(errors, node, "is no text, write one in double quotes");
        else
            kind_check(key, node, errors);
    }
}

/* ---- secrets ---- */

bool keys_is_secret(const struct cJSON *node)
{
    static const char *const names[] = {
        "connectionstring",
        "primaryconnectionstring",
        "secondaryconnectionstring",
        "sharedaccesskey",
        "sharedaccesssignature",
        "primarykey",
        "secondarykey",
        "symmetrickey",
        "accesskey",
        "devicekey",
        "modulekey",
        "password",
        "passwd",
        "passphrase",
        "secret",
        "sastoken",
        "sas",
        "token",
        "apikey",
    };
    char folded[FOLDED_MAX];

    if (!cJSON_IsString(node))
        return false;
    if (text_is_secret(node->valuestring))
        return true;
    if (node->string == NULL)
        return false;
    fold(node->string, folded);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(folded, names[i]) == 0)
            return true;
    }
    return false;
}

void keys_check_secrets(const struct cJSON *root, struct config_errors *errors)
{
    for (const cJSON *node = root->child; node != NULL; node = node->next) {
        if (keys_is_secret(node))
            config_error_key(
                errors, node,
                "a secret must not stand in the mapping file: write it as the one line "
                "of the file MODULE in the folder \"credentials\" of \"hub\", or of a "
                "file that the module names with \"connection_string_file\"");
        else
            keys_check_secrets(node, errors);
    }
}
