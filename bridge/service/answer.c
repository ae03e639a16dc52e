/* From an HTTP answer to words and an exit code.
 *
 * Happy path: {"Message":"ErrorCode:X;text","ExceptionMessage":"Tracking ID:..."} is shown
 * as "X: text". Also understood: a Message that is itself JSON
 * ({"errorCode":404103,"message":...}), the bare form of the device side, and everything that is
 * not JSON (a proxy's page, plain text, a body cut off), which is shown as text without its tags.
 * Nothing here fails; the worst is a line with the status alone. */
#include "bridge/service/answer.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

int answer_exit(long status)
{
    if (status >= 200 && status < 300)
        return EX_OK;
    if (status == 404)
        return EX_NOINPUT;
    if (status == 401 || status == 403)
        return EX_NOPERM;
    if (status == 408 || status == 412 || status == 429 || status >= 500)
        return EX_TEMPFAIL;
    if (status >= 400)
        return EX_DATAERR;
    return EX_UNAVAILABLE;
}

const char *answer_remedy(long status)
{
    switch (answer_exit(status)) {
    case EX_NOPERM:
        return "; check that the sign-in is this hub's, its key is right and its policy has the "
               "right";
    case EX_UNAVAILABLE:
        return "; this is no IoT Hub: check the host name and the proxy";
    case EX_TEMPFAIL:
        return status == 412
                   ? "; somebody else changed it: look again, then repeat (--force overrides)"
                   : "; try again later";
    default:
        return "";
    }
}

/* The status words that a hub or a proxy leaves out. */
static const char *status_words(long status)
{
    static const struct {
        long status;
        const char *words;
    } table[] = {
        { 400, "bad request" },
        { 401, "unauthorized" },
        { 403, "forbidden" },
        { 404, "not found" },
        { 405, "method not allowed" },
        { 407, "proxy authentication required" },
        { 408, "request timed out" },
        { 409, "exists already" },
        { 412, "etag is not the twin's any more" },
        { 413, "too large" },
        { 429, "too many requests" },
        { 500, "internal error of the hub" },
        { 502, "bad gateway" },
        { 503, "service unavailable" },
        { 504, "gateway timed out" },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].words;
    return "no reason given";
}

/* ---- text on one line ---- */

struct line {
    char *out; /* always NUL-terminated */
    size_t length, size;
    bool blank; /* one is due before the next character */
};

static void line_byte(struct line *line, char byte)
{
    if ((unsigned char)byte <= ' ' || byte == 0x7F) {
        line->blank = line->length > 0;
        return;
    }
    if (line->length + (line->blank ? 2 : 1) >= line->size)
        return;
    if (line->blank)
        line->out[line->length++] = ' ';
    line->blank = false;
    line->out[line->length++] = byte;
    line->out[line->length] = '\0';
}

static void line_text(struct line *line, const char *text)
{
    for (; *text != '\0'; text++)
        line_byte(line, *text);
}

static bool starts_with(const char *at, const char *end, const char *what)
{
    size_t length = strlen(what);

    return (size_t)(end - at) >= length && strncasecmp(at, what, length) == 0;
}

/* Where the content of an element ends that nobody wants to read, and `at` for the others. */
static const char *skip_hidden(const char *at, const char *end)
{
    static const char *const names[] = { "style", "script" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!starts_with(at + 1, end, names[i]))
            continue;
        for (at++; at < end; at++)
            if (starts_with(at, end, "</") && starts_with(at + 2, end, names[i]))
                break;
        return at;
    }
    return at;
}

/* The '>' that ends the tag, or the hidden element, that begins at `at`; `end` when there is none.
 */
static const char *skip_tag(const char *at, const char *end)
{
    at = skip_hidden(at, end);
    while (at < end && *at != '>')
        at++;
    return at;
}

/* Any body as text: what stands between '<' and '>' is left out when it is a page. */
static void line_page(struct line *line, const char *body, size_t length)
{
    const char *end = body + length;
    const char *at = body;
    bool page;

    while (at < end && (unsigned char)*at <= ' ')
        at++;
    page = at < end && *at == '<';
    for (; at < end; at++) {
        if (page && *at == '<') {
            at = skip_tag(at, end);
            line->blank = line->length > 0;
            if (at == end)
                return;
        } else {
            line_byte(line, *at);
        }
    }
}

/* ---- the hub's JSON ---- */

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text == NULL || *text == '\0' ? NULL : text;
}

/* "ErrorCode:X;text" without the prefix; the code is shown unless the header said it already. */
static void line_message(struct line *line, const char *message, bool code_known)
{
    const char *semicolon = strchr(message, ';');

    if (strncmp(message, "ErrorCode:", 10) == 0 && semicolon != NULL) {
        if (!code_known) {
            line->blank = true;
            for (const char *at = message + 10; at < semicolon; at++)
                line_byte(line, *at);
            line_text(line, ":");
        }
        message = semicolon + 1;
    }
    line->blank = true;
    line_text(line, message);
}

/* False when the body is no JSON object of the hub's. */
static bool line_json(struct line *line, const char *body, size_t length, bool code_known)
{
    cJSON *root = cJSON_ParseWithLength(body, length);
    const char *message = text_of(root, "Message");
    cJSON *inner = message == NULL ? NULL : cJSON_Parse(message);

    if (message == NULL)
        message = text_of(root, "message");
    if (cJSON_IsObject(inner) && text_of(inner, "message") != NULL)
        message = text_of(inner, "message");
    if (message != NULL)
        line_message(line, message, code_known);
    if (message != NULL && text_of(root, "ExceptionMessage") != NULL &&
        strncmp(text_of(root, "ExceptionMessage"), "Tracking ID:", 12) == 0) {
        line_text(line, " (");
        line_text(line, text_of(root, "ExceptionMessage"));
        line_text(line, ")");
    }
    cJSON_Delete(inner);
    cJSON_Delete(root);
    return message != NULL;
}

void answer_describe(char out[ANSWER_TEXT_MAX], long status, const char *error_code,
                     const char *body, size_t length)
{
    struct line line = { .out = out, .size = ANSWER_TEXT_MAX };
    bool code_known = *error_code != '\0';
    size_t before;
    char number[24];

    out[0] = '\0';
    snprintf(number, sizeof number, "%ld ", status);
    line_text(&line, number);
    if (code_known) {
        line_text(&line, error_code);
        line_text(&line, ":");
        line.blank = true;
    }
    before = line.length;
    if (length > 0 && !line_json(&line, body, length, code_known))
        line_page(&line, body, length);
    if (line.length == before)
        line_text(&line, status_words(status));
}

/* ---- what is no document ---- */

static const char *kind_of(const char *body, size_t length)
{
    const char *end = body + length;
    const char *at = body;
    cJSON *root;

    while (at < end && (unsigned char)*at <= ' ')
        at++;
    if (at == end)
        return "empty";
    if (*at == '<')
        return "a web page";
    root = cJSON_ParseWithLengthOpts(body, length + 1, NULL, 1);
    cJSON_Delete(root);
    if (root != NULL)
        return "JSON of another kind";
    return *at == '{' || *at == '[' ? "JSON that is cut off" : "text";
}

void answer_mistaken(char out[ANSWER_TEXT_MAX], const char *body, size_t length)
{
    const char *kind = kind_of(body, length);
    char text[100] = "";
    struct line line = { .out = text, .size = sizeof text };

    if (strcmp(kind, "a web page") == 0 || strcmp(kind, "text") == 0)
        line_page(&line, body, length);
    if (text[0] == '\0')
        snprintf(out, ANSWER_TEXT_MAX, "%s", kind);
    else
        snprintf(out, ANSWER_TEXT_MAX, "%s (%s)", kind, text);
}
