/* What every builder of a mapping file needs: sections, names, what is missing, paths. */
#include "config/source.h"

#include "config/errors.h"
#include "config/kinds.h"
#include "base/near.h"
#include "config/text.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

const char *source_keep(struct config_source *source, char *text)
{
    char **grown;

    if (text == NULL)
        return NULL;
    grown = realloc(source->texts, (source->text_count + 1) * sizeof *grown);
    if (grown == NULL) {
        free(text);
        return NULL;
    }
    source->texts = grown;
    source->texts[source->text_count++] = text;
    return text;
}

const char *source_path(struct config_source *source, const char *path)
{
    size_t folder = path[0] == '/' ? 0 : strlen(source->folder);
    size_t length = strlen(path);
    char *whole = malloc(folder + length + 1);

    if (whole == NULL)
        return NULL;
    memcpy(whole, source->folder, folder);
    memcpy(whole + folder, path, length + 1);
    return source_keep(source, whole);
}

const struct cJSON *source_section(const struct config_source *source, const char *name,
                                   struct config_errors *errors)
{
    const cJSON *section = source_member(source->root, name);
    char is[KIND_TEXT_MAX];

    if (section == NULL || cJSON_IsObject(section))
        return section;
    if (!keys_is_secret(section))
        config_error(errors, section, "is %s, write an object { ... }", kind_describe(section, is));
    return NULL;
}

size_t source_count_objects(const struct cJSON *section, struct config_errors *errors)
{
    size_t count = 0;
    char is[KIND_TEXT_MAX];

    for (const cJSON *node = source_first(section); node != NULL; node = node->next) {
        if (cJSON_IsObject(node))
            count++;
        else if (!keys_is_secret(node))
            config_error(errors, node, "is %s, write an object { ... }", kind_describe(node, is));
    }
    return count;
}

void source_unknown_name(const struct cJSON *node, const char *name, const char *what,
                         const struct cJSON *section, struct config_errors *errors)
{
    char quoted[TEXT_QUOTED_MAX], known[TEXT_QUOTED_MAX], list[3 * TEXT_QUOTED_MAX] = "";
    size_t count = 0, used = 0;
    struct near near;

    near_init(&near, name);
    for (const cJSON *at = source_first(section); at != NULL; at = at->next) {
        near_offer(&near, at->string);
        if (count++ < 6 && used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
                                     text_quote(known, at->string));
    }
    text_quote(quoted, name);
    if (near.best != NULL)
        config_error(errors, node, "there is no %s %s, did you mean %s?", what, quoted,
                     text_quote(known, near.best));
    else if (count > 0)
        config_error(errors, node, "there is no %s %s, there are %s%s", what, quoted, list,
                     count > 6 ? ", ..." : "");
    else
        config_error(errors, node, "there is no %s %s: add it to the file's \"%ss\"", what, quoted,
                     what);
}

void source_check_name(enum names_kind kind, const struct cJSON *node, const char *what,
                       struct config_errors *errors)
{
    char repaired[NAMES_LENGTH_MAX + 1];

    if (names_is_valid(kind, node->string))
        return;
    if (kind == NAMES_TAG && strcmp(node->string, "health") == 0)
        config_error_key(errors, node, "\"health\" is the twin's own, give the tag another name");
    else if (names_repair(kind, node->string, repaired)[0] != 0)
        config_error_key(errors, node, "a %s's name is %s: write \"%s\"", what, names_grammar(kind),
                         repaired);
    else
        config_error_key(errors, node, "a %s's name is %s", what, names_grammar(kind));
}

const char *source_name(const struct cJSON *node, enum names_kind kind,
                        struct config_errors *errors)
{
    const char *name = config_text(node, NULL);
    char quoted[TEXT_QUOTED_MAX], repaired[NAMES_LENGTH_MAX + 1];

    if (name == NULL || names_is_valid(kind, name))
        return name;
    if (names_repair(kind, name, repaired)[0] != 0)
        config_error(errors, node, "is %s, but must be %s: write \"%s\"", text_quote(quoted, name),
                     names_grammar(kind), repaired);
    else
        config_error(errors, node, "is %s, but must be %s", text_quote(quoted, name),
                     names_grammar(kind));
    return NULL;
}

void source_require(const struct cJSON *object, const char *key, const char *example,
                    struct config_errors *errors)
{
    if (source_member(object, key) == NULL)
        config_error(errors, object, "\"%s\" is missing, write \"%s\": %s", key, key, example);
}
