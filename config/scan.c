/* Tokens of a JSON text.
 *
 * Stricter than cJSON wherever cJSON is lax (01, line breaks in texts, \u0000, bad UTF-8, control
 * characters as white space), so that a text that passes here means the same to every reader.
 * Failure modes: the text is not JSON; the sentence says where it stopped and what was expected. */
#include "config/scan.h"

#include "config/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* cJSON reads a number through a buffer of 64 bytes and misreads longer ones. */
enum { NUMBER_BYTES_MAX = 60, WORD_MAX = 24 };

void scan_init(struct scan *scan, const char *text, size_t length)
{
    *scan = (struct scan){ .text = text, .length = length, .place = { 1, 1 } };
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        scan->at = 3;
}

int scan_peek(const struct scan *scan)
{
    return scan->at < scan->length ? (unsigned char)scan->text[scan->at] : -1;
}

void scan_step(struct scan *scan)
{
    unsigned char byte = (unsigned char)scan->text[scan->at++];

    if (byte == '\n') {
        scan->place.line++;
        scan->place.column = 1;
    } else if ((byte & 0xC0) != 0x80) { /* not a later byte of a character */
        scan->place.column++;
    }
}

static void step_over(struct scan *scan, size_t count)
{
    while (count-- > 0)
        scan_step(scan);
}

void scan_space(struct scan *scan)
{
    for (;;) {
        int byte = scan_peek(scan);

        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
            return;
        scan_step(scan);
    }
}

int scan_fail(struct scan *scan, struct scan_place place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(scan->mistake, sizeof scan->mistake, format, args);
    va_end(args);
    scan->mistake_place = place;
    return -EBADMSG;
}

int scan_expected(struct scan *scan, const char *what)
{
    int byte = scan_peek(scan);
    char one[5] = "", quoted[TEXT_QUOTED_MAX];

    if (byte < 0)
        return scan_fail(scan, scan->place, "expected %s, but the file ends here", what);
    if (byte == '/' || byte == '#')
        return scan_fail(scan, scan->place,
                         "JSON has no comments: remove it, or write it as a \"description\"");
    if (byte == '\'')
        return scan_fail(scan, scan->place, "expected %s: write double quotes, not single ones",
                         what);
    if (byte == 0)
        return scan_fail(scan, scan->place, "expected %s, not a NUL byte", what);
    memcpy(one, scan->text + scan->at, 1);
    for (size_t i = 1; i < 4 && scan->at + i < scan->length; i++) {
        if ((scan->text[scan->at + i] & 0xC0) != 0x80)
            break;
        one[i] = scan->text[scan->at + i];
    }
    return scan_fail(scan, scan->place, "expected %s, not %s", what, text_quote(quoted, one));
}

/* ---- texts ---- */

static void remark_once(struct scan_remark *remark, struct scan_place place, const char *format,
                        unsigned byte)
{
    if (remark->message[0] != 0)
        return;
    remark->place = place;
    if (byte != 0)
        snprintf(remark->message, sizeof remark->message,
                 "the byte 0x%02X is not UTF-8, save the file as UTF-8", byte);
    else
        snprintf(remark->message, sizeof remark->message, "%s", format);
}

/* The code unit behind "\u", -1 when it is none. */
static long hex4(const struct scan *scan, size_t at)
{
    long unit = 0;

    if (scan->length - scan->at < at + 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int c = (unsigned char)scan->text[scan->at + at + i];

        if (!isxdigit(c))
            return -1;
        unit = unit * 16 + (isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return unit;
}

/* Stands at a backslash. */
static int scan_escape(struct scan *scan, struct scan_remark *remark)
{
    struct scan_place place = scan->place;
    int kind = scan->length - scan->at < 2 ? -1 : (unsigned char)scan->text[scan->at + 1];
    long unit;

    if (kind > 0 && strchr("\"\\/bfnrt", kind) != NULL) {
        step_over(scan, 2);
        return 0;
    }
    if (kind != 'u')
        return scan_fail(scan, place, "this is no escape of JSON: a backslash itself is \\\\");
    unit = hex4(scan, 2);
    if (unit < 0)
        return scan_fail(scan, place, "\\u needs four hexadecimal digits, such as \\u00b0");
    if (unit == 0)
        remark_once(remark, place, "\\u0000 cannot stand in a text, remove it", 0);
    step_over(scan, 6);
    if (unit < 0xD800 || unit > 0xDFFF)
        return 0;
    if (unit < 0xDC00 && scan_peek(scan) == '\\' && scan->length - scan->at >= 6 &&
        scan->text[scan->at + 1] == 'u') {
        unit = hex4(scan, 2);
        if (unit >= 0xDC00 && unit <= 0xDFFF) {
            step_over(scan, 6);
            return 0;
        }
    }
    return scan_fail(scan, place,
                     "half of a surrogate pair, write the character itself or both halves");
}

int scan_text(struct scan *scan, struct scan_remark *remark)
{
    struct scan_place opened = scan->place;

    remark->message[0] = 0;
    scan_step(scan);
    for (;;) {
        int byte = scan_peek(scan);
        size_t length;

        if (byte == '"') {
            scan_step(scan);
            return 0;
        }
        if (byte < 0 || byte == '\n' || byte == '\r')
            return scan_fail(scan, opened, "the closing \" of this text is missing");
        if (byte < 0x20)
            return scan_fail(scan, scan->place,
                             "a control character (0x%02X) inside a text, write \\u%04x",
                             (unsigned)byte, (unsigned)byte);
        if (byte == '\\') {
            if (scan_escape(scan, remark) < 0)
                return -EBADMSG;
            continue;
        }
        length = text_utf8_length(scan->text + scan->at, scan->length - scan->at);
        if (length == 0)
            remark_once(remark, scan->place, NULL, (unsigned)byte);
        step_over(scan, length == 0 ? 1 : length);
    }
}

/* ---- numbers and words ---- */

static bool at_digit(const struct scan *scan)
{
    int byte = scan_peek(scan);

    return byte >= '0' && byte <= '9';
}

static void digits(struct scan *scan)
{
    while (at_digit(scan))
        scan_step(scan);
}

/* The run of letters, digits and the like from `from` on, for a message. */
static const char *run_from(const struct scan *scan, size_t from, char out[WORD_MAX])
{
    size_t length = 0;

    while (from + length < scan->length && length + 1 < WORD_MAX) {
        int c = (unsigned char)scan->text[from + length];

        if (!isalnum(c) && strchr("_-.+%", c) == NULL)
            break;
        if (c == 0)
            break;
        out[length++] = (char)c;
    }
    out[length] = 0;
    return out;
}

int scan_number(struct scan *scan)
{
    struct scan_place start = scan->place;
    size_t from = scan->at;
    char run[WORD_MAX];
    bool zero;

    if (scan_peek(scan) == '-')
        scan_step(scan);
    if (!at_digit(scan))
        return scan_expected(scan, "a digit after \"-\"");
    zero = scan_peek(scan) == '0';
    scan_step(scan);
    if (zero && at_digit(scan))
        return scan_fail(scan, start, "a number does not start with 0, write \"%s\" without it",
                         run_from(scan, from, run));
    digits(scan);
    if (scan_peek(scan) == '.') {
        scan_step(scan);
        if (!at_digit(scan))
            return scan_expected(scan, "a digit after the decimal point");
        digits(scan);
    }
    if (scan_peek(scan) == 'e' || scan_peek(scan) == 'E') {
        scan_step(scan);
        if (scan_peek(scan) == '+' || scan_peek(scan) == '-')
            scan_step(scan);
        if (!at_digit(scan))
            return scan_expected(scan, "a digit of the exponent");
        digits(scan);
    }
    if (isalpha(scan_peek(scan)) || scan_peek(scan) == '_' || scan_peek(scan) == '%')
        return scan_fail(scan, start, "this is no number, write it in double quotes: \"%s\"",
                         run_from(scan, from, run));
    if (scan->at - from > NUMBER_BYTES_MAX)
        return scan_fail(scan, start, "a number of more than %d characters", NUMBER_BYTES_MAX);
    return 0;
}

int scan_word(struct scan *scan)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {
        { "True", "true" },   { "TRUE", "true" },   { "yes", "true" },      { "on", "true" },
        { "False", "false" }, { "FALSE", "false" }, { "no", "false" },      { "off", "false" },
        { "None", "null" },   { "NULL", "null" },   { "Null", "null" },     { "nil", "null" },
        { "NaN", "null" },    { "nan", "null" },    { "Infinity", "null" },
    };
    char word[WORD_MAX];

    run_from(scan, scan->at, word);
    if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0 || strcmp(word, "null") == 0) {
        step_over(scan, strlen(word));
        return 0;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i].theirs) == 0)
            return scan_fail(scan, scan->place, "%s is no value of JSON, write %s", word,
                             words[i].ours);
    }
    return scan_fail(scan, scan->place, "a text needs double quotes, write \"%s\"", word);
}
