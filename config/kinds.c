/* Kinds of values: does a node fit, and if not, the sentence that says what to write.
 *
 * The usual slips have sentences of their own: a number or a bool in quotes, a duration without its
 * unit. Everything else is "is WHAT, write WHAT IS WANTED". */
#include "config/kinds.h"

#include "config/duration.h"
#include "config/text.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_limits(const struct config_key *key)
{
    return key->min != 0 || key->max != 0;
}

static bool within(const struct config_key *key, double number)
{
    return isfinite(number) && (!has_limits(key) || (number >= key->min && number <= key->max));
}

static bool is_whole(double number)
{
    return fabs(number) <= 9007199254740992.0 && number == trunc(number);
}

static bool duration_fits(const struct config_key *key, const char *text)
{
    uint32_t ms;

    if (key->kind == CONFIG_NEVER && strcmp(text, "never") == 0)
        return true;
    return duration_parse(text, &ms) == 0 && within(key, ms);
}

static bool choice_fits(const struct config_key *key, const char *text)
{
    for (size_t i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(key->choices[i], text) == 0)
            return true;
    }
    return false;
}

static bool is_secret(const cJSON *node)
{
    return cJSON_IsString(node) && text_is_secret(node->valuestring);
}

bool kind_fits(const struct config_key *key, const struct cJSON *node)
{
    if (is_secret(node))
        return false;
    switch (key->kind) {
    case CONFIG_BOOL:
        return cJSON_IsBool(node);
    case CONFIG_INTEGER:
        return cJSON_IsNumber(node) && is_whole(node->valuedouble) &&
               within(key, node->valuedouble);
    case CONFIG_NUMBER:
        return cJSON_IsNumber(node) && within(key, node->valuedouble);
    case CONFIG_TEXT:
        return cJSON_IsString(node) && node->valuestring[0] != 0;
    case CONFIG_DURATION:
    case CONFIG_NEVER:
        return cJSON_IsString(node) && duration_fits(key, node->valuestring);
    case CONFIG_CHOICE:
        return cJSON_IsString(node) && choice_fits(key, node->valuestring);
    case CONFIG_ANY:
        return true;
    }
    return false;
}

/* ---- sentences ---- */

const char *kind_describe(const struct cJSON *node, char out[KIND_TEXT_MAX])
{
    char number[VALUE_TEXT_MAX], quoted[TEXT_QUOTED_MAX];

    if (cJSON_IsString(node))
        snprintf(out, KIND_TEXT_MAX, "%s", text_quote(quoted, node->valuestring));
    else if (cJSON_IsBool(node))
        snprintf(out, KIND_TEXT_MAX, "%s", cJSON_IsTrue(node) ? "true" : "false");
    else if (cJSON_IsNull(node))
        snprintf(out, KIND_TEXT_MAX, "null");
    else if (cJSON_IsObject(node))
        snprintf(out, KIND_TEXT_MAX, "an object");
    else if (cJSON_IsArray(node))
        snprintf(out, KIND_TEXT_MAX, "a list");
    else if (!isfinite(node->valuedouble))
        snprintf(out, KIND_TEXT_MAX, "too large a number");
    else {
        value_print_number(node->valuedouble, number);
        snprintf(out, KIND_TEXT_MAX, "%s", number);
    }
    return out;
}

static void number_expected(const struct config_key *key, char *out)
{
    const char *what = key->kind == CONFIG_INTEGER ? "a whole number" : "a number";
    char min[VALUE_TEXT_MAX], max[VALUE_TEXT_MAX];

    if (!has_limits(key)) {
        snprintf(out, KIND_TEXT_MAX, "%s", what);
        return;
    }
    value_print_number(key->min, min);
    if (isfinite(key->max)) {
        value_print_number(key->max, max);
        snprintf(out, KIND_TEXT_MAX, "%s from %s to %s", what, min, max);
    } else {
        snprintf(out, KIND_TEXT_MAX, "%s of %s or more", what, min);
    }
}

static void duration_expected(const struct config_key *key, char *out)
{
    const char *never = key->kind == CONFIG_NEVER ? ", or \"never\"" : "";
    char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];

    if (!has_limits(key)) {
        snprintf(out, KIND_TEXT_MAX,
                 "a whole number with its unit, such as \"500ms\", \"10s\", \"5m\", \"1h\"%s",
                 never);
        return;
    }
    duration_print((uint32_t)key->min, min);
    duration_print((uint32_t)key->max, max);
    snprintf(out, KIND_TEXT_MAX, "a whole number with its unit, from \"%s\" to \"%s\"%s", min, max,
             never);
}

static void choice_expected(const struct config_key *key, char *out)
{
    size_t used = 0;

    for (size_t i = 0; key->choices[i] != NULL && used < KIND_TEXT_MAX; i++) {
        const char *between = i == 0 ? "" : key->choices[i + 1] == NULL ? " or " : ", ";

        used += (size_t)snprintf(out + used, KIND_TEXT_MAX - used, "%s\"%s\"", between,
                                 key->choices[i]);
    }
}

static void expected(const struct config_key *key, char out[KIND_TEXT_MAX])
{
    out[0] = 0;
    switch (key->kind) {
    case CONFIG_BOOL:
        snprintf(out, KIND_TEXT_MAX, "true or false");
        break;
    case CONFIG_INTEGER:
    case CONFIG_NUMBER:
        number_expected(key, out);
        break;
    case CONFIG_TEXT:
        snprintf(out, KIND_TEXT_MAX, "a text that is not empty");
        break;
    case CONFIG_DURATION:
    case CONFIG_NEVER:
        duration_expected(key, out);
        break;
    case CONFIG_CHOICE:
        choice_expected(key, out);
        break;
    case CONFIG_ANY:
        break;
    }
}

/* The whole of `text` as a number. */
static bool reads_as_number(const char *text, double *out)
{
    char *end;

    if (text[0] == 0 || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    *out = strtod(text, &end);
    return *end == 0 && isfinite(*out);
}

/* A value that would be right without its quotes; writes it as it should be. */
static bool is_quoted_value(const struct config_key *key, const char *text, char *out)
{
    double number;

    if (key->kind == CONFIG_BOOL) {
        snprintf(out, KIND_TEXT_MAX, "%s", text);
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    }
    if ((key->kind != CONFIG_INTEGER && key->kind != CONFIG_NUMBER) ||
        !reads_as_number(text, &number) || !within(key, number))
        return false;
    if (key->kind == CONFIG_INTEGER && !is_whole(number))
        return false;
    value_print_number(number, out);
    return true;
}

static bool is_bare_duration(const struct config_key *key, const cJSON *node)
{
    return (key->kind == CONFIG_DURATION || key->kind == CONFIG_NEVER) && cJSON_IsNumber(node) &&
           is_whole(node->valuedouble) && node->valuedouble >= 0 && node->valuedouble < 1e9;
}

void kind_check(const struct config_key *key, const struct cJSON *node,
                struct config_errors *errors)
{
    char is[KIND_TEXT_MAX], want[KIND_TEXT_MAX];

    if (is_secret(node) || kind_fits(key, node))
        return;
    kind_describe(node, is);
    if (cJSON_IsString(node) && is_quoted_value(key, node->valuestring, want)) {
        config_error(errors, node, "is %s in quotes, write %s without them", is, want);
    } else if (is_bare_duration(key, node)) {
        config_error(errors, node, "is %s without a unit, write \"%sms\" or \"%ss\"", is, is, is);
    } else {
        expected(key, want);
        config_error(errors, node, "is %s, write %s", is, want);
    }
}
