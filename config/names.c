/* Names: which are valid, and what a wrong one could be. Plain ASCII rules, whatever the locale. */
#include "config/names.h"

#include <stddef.h>
#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool may_stand(enum names_kind kind, char c)
{
    if (is_letter(c) || is_digit(c) || c == '-' || c == '_')
        return true;
    if (kind == NAMES_HOST)
        return c == '.';
    /* IoT Hub's identity registry allows "- : . + % _ # * ? ! ( ) , = @ ; $ '"; + and # are wildcards
     * of MQTT topics, / separates them. */
    return kind == NAMES_HUB && c != 0 && strchr(":.%*?!(),=@;$'", c) != NULL;
}

static bool may_start(enum names_kind kind, char c)
{
    if (kind == NAMES_TAG)
        return is_letter(c);
    if (kind == NAMES_HUB)
        return may_stand(kind, c);
    return is_letter(c) || is_digit(c);
}

static bool is_reserved(enum names_kind kind, const char *name)
{
    if (kind == NAMES_TAG)
        return strcmp(name, "health") == 0;
    /* A module's name is a file's name in the folder of credentials. */
    return kind == NAMES_HUB && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0);
}

bool names_is_valid(enum names_kind kind, const char *name)
{
    size_t length = strlen(name);

    if (!may_start(kind, name[0]) || length > (kind == NAMES_HOST ? 253 : NAMES_LENGTH_MAX))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!may_stand(kind, name[i]))
            return false;
    }
    return !is_reserved(kind, name);
}

const char *names_grammar(enum names_kind kind)
{
    switch (kind) {
    case NAMES_PLAIN:
        return "letters, digits, - and _, a letter or digit first, 128 at most";
    case NAMES_TAG:
        return "letters, digits, - and _, a letter first, 128 at most, and not \"health\"";
    case NAMES_HUB:
        return "letters, digits and - : . % _ * ? ! ( ) , = @ ; $ ', 128 at most";
    case NAMES_HOST:
        return "a host name alone, without https://, port or path";
    }
    return "";
}

const char *names_repair(enum names_kind kind, const char *name, char out[NAMES_LENGTH_MAX + 1])
{
    size_t used = 0;

    if (kind == NAMES_HOST) {
        const char *scheme = strstr(name, "://");

        name = scheme == NULL ? name : scheme + 3;
    }
    for (; *name != 0 && used < NAMES_LENGTH_MAX; name++) {
        if (kind == NAMES_HOST && !may_stand(kind, *name))
            break;
        if ((*name & 0xC0) == 0x80) /* a later byte of a character */
            continue;
        if (used == 0 && !may_start(kind, *name))
            continue;
        out[used++] = may_stand(kind, *name) ? *name : '-';
    }
    out[used] = 0;
    if (!names_is_valid(kind, out))
        out[0] = 0;
    return out;
}
