/* Header lines: "Name: value\n" one behind the other in a buffer.
 *
 * Nothing here fails on what a peer sends: a line without a colon is kept and never found, one too
 * many is refused by the buffer's limit. */
#include "bridge/service/header.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

int header_line(struct buf *headers, const char *line, size_t length)
{
    int rc;

    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n'))
        length--;
    if (length >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        buf_clear(headers);
        return 0;
    }
    if (length == 0)
        return 0;
    rc = buf_add(headers, line, length);
    return rc == 0 ? buf_add_byte(headers, '\n') : rc;
}

/* The value behind "name:" of a line, with its blanks; NULL when the line is another's. */
static const char *value_of(const char *line, const char *end, const char *name)
{
    size_t length = strlen(name);

    if ((size_t)(end - line) <= length || line[length] != ':' ||
        strncasecmp(line, name, length) != 0)
        return NULL;
    return line + length + 1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool header_get(char *out, size_t size, const struct buf *headers, const char *name)
{
    const char *line = buf_text(headers);
    const char *end = line + headers->length;
    const char *line_end, *value;

    out[0] = '\0';
    for (; line < end; line = line_end + 1) {
        line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL)
            return false; /* its end did not fit any more */
        value = value_of(line, line_end, name);
        if (value == NULL)
            continue;
        while (value < line_end && is_blank(*value))
            value++;
        while (line_end > value && is_blank(line_end[-1]))
            line_end--;
        if ((size_t)(line_end - value) >= size ||
            memchr(value, '\0', (size_t)(line_end - value)) != NULL)
            return false;
        memcpy(out, value, (size_t)(line_end - value));
        out[line_end - value] = '\0';
        return true;
    }
    return false;
}

int header_date_ms(const char *value, int64_t *out)
{
    struct tm parts = { 0 };
    const char *end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    time_t seconds;

    if (end == NULL || *end != '\0')
        return -EBADMSG;
    seconds = timegm(&parts);
    if (seconds < 0)
        return -EBADMSG;
    *out = (int64_t)seconds * 1000;
    return 0;
}
