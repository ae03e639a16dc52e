/* Values and texts for a person.
 *
 * What a twin holds was written by others: every byte that could move a cursor, change a colour or
 * turn the direction of writing is written out. Fails only for want of memory or room. */
#include "bridge/service/show_value.h"

#include "config/value.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- JSON ---- */

static int add_number(struct buf *out, double number)
{
    char text[VALUE_TEXT_MAX];

    if (!isfinite(number))
        return buf_add_text(out, "null");
    value_print_number(number, text);
    return buf_add_text(out, text);
}

int show_json(struct buf *out, const struct cJSON *node)
{
    bool object = cJSON_IsObject(node);

    if (cJSON_IsNumber(node))
        return add_number(out, node->valuedouble);
    if (cJSON_IsString(node))
        return buf_add_json(out, node->valuestring);
    if (!object && !cJSON_IsArray(node))
        return buf_add_text(out,
                            cJSON_IsBool(node) ? (cJSON_IsTrue(node) ? "true" : "false") : "null");
    buf_add_text(out, object ? "{" : "[");
    for (const cJSON *child = node->child; child != NULL; child = child->next) {
        if (child != node->child)
            buf_add_text(out, ",");
        if (object) {
            buf_add_json(out, child->string);
            buf_add_text(out, ":");
        }
        show_json(out, child);
    }
    return buf_add_text(out, object ? "}" : "]");
}

/* ---- UTF-8 ---- */

/* The character at `text`, moving it over the character; -1 and one byte for what is none. */
static int32_t next_character(const unsigned char **text)
{
    static const struct {
        unsigned char mask, lead;
        int more;
        int32_t least;
    } forms[] = {
        { 0x80, 0x00, 0, 0 },
        { 0xE0, 0xC0, 1, 0x80 },
        { 0xF0, 0xE0, 2, 0x800 },
        { 0xF8, 0xF0, 3, 0x10000 },
    };
    const unsigned char *at = *text;

    *text = at + 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        int32_t character = *at & (unsigned char)~forms[i].mask;

        if ((*at & forms[i].mask) != forms[i].lead)
            continue;
        for (int j = 1; j <= forms[i].more; j++) {
            if ((at[j] & 0xC0) != 0x80)
                return -1;
            character = character << 6 | (at[j] & 0x3F);
        }
        if (character < forms[i].least || character > 0x10FFFF ||
            (character >= 0xD800 && character <= 0xDFFF))
            return -1;
        *text = at + 1 + forms[i].more;
        return character;
    }
    return -1;
}

struct range {
    int32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, int32_t character)
{
    for (size_t i = 0; i < count; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

/* Characters that nobody sees, or that change how others are seen. */
static bool is_treacherous(int32_t character)
{
    static const struct range ranges[] = {
        { 0x00, 0x1F },     { 0x7F, 0x9F },       { 0xAD, 0xAD },     { 0x61C, 0x61C },
        { 0x200B, 0x200F }, { 0x2028, 0x202E },   { 0x2060, 0x206F }, { 0xFEFF, 0xFEFF },
        { 0xFFF9, 0xFFFB }, { 0xE0000, 0xE0FFF },
    };

    return is_in(ranges, sizeof ranges / sizeof ranges[0], character);
}

static size_t columns_of(int32_t character)
{
    static const struct range marks[] = {
        { 0x300, 0x36F },   { 0x483, 0x489 },   { 0x591, 0x5BD },   { 0x610, 0x61A },
        { 0x64B, 0x65F },   { 0x900, 0x902 },   { 0x93C, 0x93C },   { 0x941, 0x948 },
        { 0xE31, 0xE31 },   { 0xE34, 0xE3A },   { 0xE47, 0xE4E },   { 0x1AB0, 0x1AFF },
        { 0x1DC0, 0x1DFF }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F }, { 0xFE20, 0xFE2F },
    };
    static const struct range wide[] = {
        { 0x1100, 0x115F },   { 0x231A, 0x231B },   { 0x2E80, 0x303E },   { 0x3041, 0x33FF },
        { 0x3400, 0x4DBF },   { 0x4E00, 0x9FFF },   { 0xA000, 0xA4CF },   { 0xAC00, 0xD7A3 },
        { 0xF900, 0xFAFF },   { 0xFE30, 0xFE4F },   { 0xFF00, 0xFF60 },   { 0xFFE0, 0xFFE6 },
        { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F900, 0x1F9FF }, { 0x20000, 0x3FFFD },
    };

    if (is_in(marks, sizeof marks / sizeof marks[0], character))
        return 0;
    return is_in(wide, sizeof wide / sizeof wide[0], character) ? 2 : 1;
}

size_t show_width(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t width = 0;

    while (*at != '\0')
        width += columns_of(next_character(&at));
    return width;
}

size_t show_cut(const char *text, size_t columns)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t width = 0;

    if (show_width(text) <= columns)
        return strlen(text);
    for (;;) {
        const unsigned char *before = at;

        width += columns_of(next_character(&at));
        if (width + 1 > columns) /* the "…" takes one */
            return (size_t)(before - (const unsigned char *)text);
    }
}

int show_text(struct buf *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        const unsigned char *before = at;
        int32_t character = next_character(&at);

        if (character < 0)
            buf_printf(out, "\\x%02x", *before);
        else if (character == '\n')
            buf_add_text(out, "\\n");
        else if (character == '\t')
            buf_add_text(out, "\\t");
        else if (is_treacherous(character))
            buf_printf(out, "\\u%04x", (unsigned)character);
        else
            buf_add(out, before, (size_t)(at - before));
    }
    return out->error;
}

int show_value(struct buf *out, const struct cJSON *node)
{
    struct buf json;
    int rc;

    if (node == NULL)
        return buf_add_text(out, "-");
    buf_init(&json, out->max);
    rc = show_json(&json, node);
    if (rc == 0)
        rc = show_text(out, buf_text(&json));
    buf_done(&json);
    return rc;
}

/* ---- ages ---- */

void show_age(char out[SHOW_AGE_MAX], const char *time_text, int64_t now_s)
{
    struct tm tm = { 0 };
    const char *rest = time_text == NULL ? NULL : strptime(time_text, "%Y-%m-%dT%H:%M:%S", &tm);
    long long age;

    out[0] = '\0';
    if (rest == NULL)
        return;
    if (tm.tm_year + 1900 <= 1) {
        snprintf(out, SHOW_AGE_MAX, "never");
        return;
    }
    age = (long long)(now_s - (int64_t)timegm(&tm));
    if (age < 0)
        age = 0; /* the clocks of hub and reader differ a little */
    if (age < 120)
        snprintf(out, SHOW_AGE_MAX, "%lld s", age);
    else if (age < 2 * 3600)
        snprintf(out, SHOW_AGE_MAX, "%lld min", age / 60);
    else if (age < 2 * 86400)
        snprintf(out, SHOW_AGE_MAX, "%lld h", age / 3600);
    else
        snprintf(out, SHOW_AGE_MAX, "%lld d", age / 86400);
}
