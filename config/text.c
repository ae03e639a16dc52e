/* Texts of the operator in messages. A message goes to terminals, logs and status pages: it stays on
 * one line, is UTF-8, and never repeats a secret. Nothing here fails. */
#include "config/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_BYTES = 48 }; /* of a long text */

size_t text_utf8_length(const char *at, size_t left)
{
    unsigned char lead = (unsigned char)at[0];
    size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t point;
    static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 }; /* by length */

    if (length == 1)
        return 1;
    if (lead < 0xC2 || lead > 0xF4 || left < length)
        return 0;
    point = lead & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | ((unsigned char)at[i] & 0x3Fu);
    }
    if (point < lowest[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    return length;
}

/* Writes one character that may not be shown as it is, `length` as text_utf8_length has it; returns the
 * bytes written. */
static size_t escape(char out[8], const char *at, size_t length)
{
    unsigned char byte = (unsigned char)at[0];

    if (byte == '"' || byte == '\\')
        return (size_t)snprintf(out, 8, "\\%c", byte);
    if (byte == '\n' || byte == '\t' || byte == '\r')
        return (size_t)snprintf(out, 8, "\\%c", byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r');
    if (length == 2) /* C1 control characters, which terminals obey */
        return (size_t)snprintf(out, 8, "\\u%04x",
                                (byte & 0x1Fu) << 6 | ((unsigned char)at[1] & 0x3Fu));
    return (size_t)snprintf(out, 8, "\\x%02x", byte);
}

static bool is_plain(const char *at, size_t length)
{
    unsigned char byte = (unsigned char)at[0];

    if (length == 1)
        return byte >= 0x20 && byte != 0x7F && byte != '"' && byte != '\\';
    return length > 1 && !(byte == 0xC2 && (unsigned char)at[1] < 0xA0);
}

const char *text_quote(char out[TEXT_QUOTED_MAX], const char *text)
{
    size_t left = strlen(text), used = 0;

    if (text_is_secret(text)) {
        snprintf(out, TEXT_QUOTED_MAX, "(a secret)");
        return out;
    }
    out[used++] = '"';
    while (left > 0 && used < SHOWN_BYTES) {
        size_t length = text_utf8_length(text, left);

        if (is_plain(text, length)) {
            memcpy(out + used, text, length);
            used += length;
        } else {
            used += escape(out + used, text, length);
            length = length == 0 ? 1 : length;
        }
        text += length;
        left -= length;
    }
    snprintf(out + used, TEXT_QUOTED_MAX - used, "%s", left > 0 ? "...\"" : "\"");
    return out;
}

bool text_is_secret(const char *text)
{
    return strncasecmp(text, "HostName=", 9) == 0 ||
           strncasecmp(text, "SharedAccessSignature ", 22) == 0 ||
           strcasestr(text, "SharedAccessKey=") != NULL;
}
