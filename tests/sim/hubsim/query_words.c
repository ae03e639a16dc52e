/* A query as words: names, names in double brackets, texts in quotes, numbers, signs.
 *
 * Happy path: query_advance finds the next word and its kind. Fails when: a text or a bracket does
 * not end, a number is none, a sign is unknown. The reader then stands at the end of the text, so
 * that every loop over words stops. */
#include "tests/sim/hubsim/query_words.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void stop(struct query_reader *r, int rc)
{
    r->rc = rc;
    r->kind = QUERY_WORD_END;
    r->word = r->end;
    r->length = 0;
}

void query_wrong(struct query_reader *r, const char *what)
{
    int length = r->length < 40 ? (int)r->length : 40;

    if (r->rc != 0)
        return;
    if (r->word >= r->end)
        err_set(r->err, "the query is wrong at its end: %s", what);
    else
        err_set(r->err, "the query is wrong at character %zu, '%.*s': %s",
                (size_t)(r->word - r->text) + 1, length, r->word, what);
    stop(r, -EINVAL);
}

static bool is_name(char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';

    return letter || (unsigned char)c >= 0x80 || (!first && c >= '0' && c <= '9');
}

/* A text in quotes: to the same quote that no backslash escapes. */
static void take_string(struct query_reader *r)
{
    const char *at = r->word + 1;

    while (at < r->end && *at != r->word[0])
        at += *at == '\\' && at + 1 < r->end ? 2 : 1;
    r->length = (size_t)(at - r->word) + 1;
    if (at >= r->end) {
        r->length = 1;
        query_wrong(r, "the text does not end");
    }
}

static void take_number(struct query_reader *r)
{
    char copy[64], *end;
    size_t length = strspn(r->word, "0123456789.");

    if (length < (size_t)(r->end - r->word) && (r->word[length] | 0x20) == 'e') {
        length++;
        length += r->word[length] == '+' || r->word[length] == '-';
        length += strspn(r->word + length, "0123456789");
    }
    r->length = length;
    if (length >= sizeof copy) {
        query_wrong(r, "the number is too long");
        return;
    }
    memcpy(copy, r->word, length);
    copy[length] = 0;
    r->number = strtod(copy, &end);
    if (*end != 0 || !isfinite(r->number))
        query_wrong(r, "this is no number");
}

static void take_sign(struct query_reader *r)
{
    static const char *const two[] = { "<=", ">=", "!=", "<>" };

    r->length = 1;
    for (size_t i = 0; i < sizeof two / sizeof two[0]; i++) {
        if (strncmp(r->word, two[i], 2) == 0)
            r->length = 2;
    }
    if (strchr(",.()[]=<>+-*/%", r->word[0]) == NULL && r->length == 1)
        query_wrong(r, "this sign has no meaning here");
}

/* A name in double brackets. Lists may nest, too: "[[" is a name only where one may stand. */
static void take_escaped(struct query_reader *r)
{
    const char *close = strstr(r->word, "]]");

    r->length = 2;
    if (close == NULL) {
        query_wrong(r, "[[ without ]]");
        return;
    }
    r->length = (size_t)(close - r->word) + 2;
}

/* The text is NUL-terminated at its end. */
void query_advance(struct query_reader *r)
{
    if (r->rc != 0)
        return;
    r->word += r->length;
    while (r->word < r->end && strchr(" \t\r\n", r->word[0]) != NULL)
        r->word++;
    r->length = 0;
    if (r->word >= r->end) {
        r->kind = QUERY_WORD_END;
    } else if (is_name(r->word[0], true)) {
        r->kind = QUERY_WORD_NAME;
        while (is_name(r->word[r->length], false))
            r->length++;
    } else if (r->word[0] == '\'' || r->word[0] == '"') {
        r->kind = QUERY_WORD_STRING;
        take_string(r);
    } else if (r->word[0] >= '0' && r->word[0] <= '9') {
        r->kind = QUERY_WORD_NUMBER;
        take_number(r);
    } else if (strncmp(r->word, "[[", 2) == 0) {
        r->kind = QUERY_WORD_ESCAPED;
        take_escaped(r);
    } else {
        r->kind = QUERY_WORD_SIGN;
        take_sign(r);
    }
}

bool query_is_word(const struct query_reader *r, const char *word)
{
    return r->kind == QUERY_WORD_NAME && r->length == strlen(word) &&
           strncasecmp(r->word, word, r->length) == 0;
}

bool query_is_sign(const struct query_reader *r, const char *sign)
{
    return r->kind == QUERY_WORD_SIGN && r->length == strlen(sign) &&
           memcmp(r->word, sign, r->length) == 0;
}

bool query_skip_word(struct query_reader *r, const char *word)
{
    bool there = query_is_word(r, word);

    if (there)
        query_advance(r);
    return there;
}

bool query_skip_sign(struct query_reader *r, const char *sign)
{
    bool there = query_is_sign(r, sign);

    if (there)
        query_advance(r);
    return there;
}

void query_expect_sign(struct query_reader *r, const char *sign)
{
    char what[32];

    if (query_skip_sign(r, sign))
        return;
    snprintf(what, sizeof what, "%s was expected", sign);
    query_wrong(r, what);
}

bool query_is_call(const struct query_reader *r)
{
    const char *next = r->word + r->length;

    while (next < r->end && strchr(" \t\r\n", *next) != NULL)
        next++;
    return r->kind == QUERY_WORD_NAME && next < r->end && *next == '(';
}

/* ---- texts ---- */

const char *query_keep(struct query_reader *r, const char *text, size_t length)
{
    char *copy = r->query->texts + r->query->texts_length;

    memcpy(copy, text, length);
    copy[length] = 0;
    r->query->texts_length += length + 1;
    return copy;
}

static int hex_number(const char *text, const char *end)
{
    int number = 0;

    if (end - text < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *found = memchr(digits, text[i], sizeof digits - 1);

        if (found == NULL)
            return -1;
        number = number * 16 + (int)(found - digits) % 16;
    }
    return number;
}

/* UTF-8 of a character of the basic plane; how many bytes. Surrogates and NUL: 0. */
static size_t put_character(char *out, int c)
{
    if (c <= 0 || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3f));
    out[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

const char *query_keep_string(struct query_reader *r)
{
    const char *at = r->word + 1, *end = r->word + r->length - 1;
    char *copy = r->query->texts + r->query->texts_length;
    size_t length = 0;

    while (at < end) {
        size_t taken = 1, made = 1;

        copy[length] = *at;
        if (*at == '\\' && at + 1 < end) {
            taken = 2;
            copy[length] = at[1];
            if (at[1] == 'u') {
                made = put_character(copy + length, hex_number(at + 2, end));
                taken = 6;
            } else if (strchr("\\'\"", at[1]) == NULL) {
                made = 0;
            }
        }
        if (made == 0) {
            query_wrong(r, "the text holds an unknown escape");
            return "";
        }
        length += made;
        at += taken;
    }
    copy[length] = 0;
    r->query->texts_length += length + 1;
    return copy;
}
