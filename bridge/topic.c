/* The topics of a module twin.
 *
 * Happy path: prefix -> status (responses) -> "/?" -> pairs "key=value" joined by '&', percent-decoded.
 * Fails when: the prefix is not at offset 0 (somebody else's topic), a number has anything but digits,
 * an escape is broken or means NUL, a key that matters stands twice, or a limit is passed. */
#include "bridge/topic.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { STATUS_DIGITS = 3 };

#define VERSION_MAX (INT64_C(1) << 53) /* versions are JSON numbers elsewhere: exact up to here */

static const char response_prefix[] = "$iothub/twin/res/";
static const char desired_prefix[] = "$iothub/twin/PATCH/properties/desired/";
static const char get_prefix[] = "$iothub/twin/GET/";
static const char reported_prefix[] = "$iothub/twin/PATCH/properties/reported/";

/* What is still to be read. */
struct rest {
    const char *text;
    size_t length;
};

static bool take_prefix(struct rest *rest, const char *prefix)
{
    size_t length = strlen(prefix);

    if (rest->length < length || memcmp(rest->text, prefix, length) != 0)
        return false;
    rest->text += length;
    rest->length -= length;
    return true;
}

/* Everything up to `mark` or the end; the mark is dropped. */
static struct rest take_until(struct rest *rest, char mark)
{
    const char *end = rest->length == 0 ? NULL : memchr(rest->text, mark, rest->length);
    struct rest part = { rest->text, end == NULL ? rest->length : (size_t)(end - rest->text) };
    size_t taken = end == NULL ? part.length : part.length + 1;

    rest->text += taken;
    rest->length -= taken;
    return part;
}

/* Digits only, no sign, no leading zero, at most `max`. */
static bool read_number(const char *text, int64_t max, int64_t *out)
{
    size_t length = strlen(text);
    int64_t value = 0;

    if (length == 0 || length > 18 || strspn(text, "0123456789") != length ||
        (text[0] == '0' && length > 1))
        return false;
    for (const char *digit = text; *digit != 0; digit++)
        value = value * 10 + (*digit - '0');
    if (value > max)
        return false;
    *out = value;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Percent-decodes into a text. 0, -EBADMSG (broken escape, NUL), -ENOSPC. */
static int decode(struct rest part, char *out, size_t size)
{
    size_t length = 0;

    for (size_t i = 0; i < part.length; i++) {
        char c = part.text[i];

        if (c == '%') {
            int high = i + 1 < part.length ? hex_digit(part.text[i + 1]) : -1;
            int low = i + 2 < part.length ? hex_digit(part.text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -EBADMSG;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == 0)
            return -EBADMSG;
        if (length + 1 >= size)
            return -ENOSPC;
        out[length++] = c;
    }
    out[length] = 0;
    return 0;
}

/* One "key=value". Keys that mean nothing here may hold anything that decodes. */
static int read_pair(struct topic *topic, struct rest pair)
{
    struct rest key = take_until(&pair, '=');
    char name[TOPIC_MAX + 1], value[TOPIC_MAX + 1];
    int rc = decode(key, name, sizeof name);

    if (rc == 0)
        rc = decode(pair, value, sizeof value);
    if (rc != 0)
        return rc;
    if (strcmp(name, "$rid") == 0) {
        if (topic->rid[0] != 0 || value[0] == 0)
            return -EBADMSG;
        if (strlen(value) > TOPIC_RID_MAX)
            return -ENOSPC;
        memcpy(topic->rid, value, strlen(value) + 1);
    } else if (strcmp(name, "$version") == 0) {
        if (topic->version >= 0 || !read_number(value, VERSION_MAX, &topic->version))
            return -EBADMSG;
    }
    return 0;
}

static int read_properties(struct topic *topic, struct rest rest)
{
    size_t count = 0;

    if (rest.length == 0)
        return 0;
    if (!take_prefix(&rest, "?"))
        return -EBADMSG;
    while (rest.length > 0) {
        int rc;

        if (++count > TOPIC_PROPERTIES_MAX)
            return -ENOSPC;
        rc = read_pair(topic, take_until(&rest, '&'));
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_response(struct topic *topic, struct rest rest)
{
    struct rest status = take_until(&rest, '/');
    char text[STATUS_DIGITS + 1];
    int64_t number;
    int rc;

    if (status.length != STATUS_DIGITS)
        return -EBADMSG;
    memcpy(text, status.text, STATUS_DIGITS);
    text[STATUS_DIGITS] = 0;
    if (!read_number(text, 599, &number) || number < 100)
        return -EBADMSG;
    topic->status = (int)number;
    rc = read_properties(topic, rest);
    if (rc != 0)
        return rc;
    return topic->rid[0] == 0 ? -EBADMSG : 0;
}

int topic_parse(struct topic *out, const char *text, size_t length)
{
    struct topic topic = { .version = -1 };
    struct rest rest = { text, length };
    int rc;

    if (take_prefix(&rest, response_prefix))
        topic.kind = TOPIC_RESPONSE;
    else if (take_prefix(&rest, desired_prefix))
        topic.kind = TOPIC_DESIRED;
    else
        return -EPROTO;
    out->kind = topic.kind;
    if (length > TOPIC_MAX)
        return -ENOSPC;
    if (topic.kind == TOPIC_RESPONSE)
        rc = read_response(&topic, rest);
    else
        rc = read_properties(&topic, rest);
    if (topic.kind == TOPIC_DESIRED)
        topic.rid[0] = 0; /* means nothing there */
    if (rc == 0)
        *out = topic;
    return rc;
}

static int build(char *out, size_t size, const char *prefix, const char *rid)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
    size_t rid_length = strlen(rid), length = strlen(prefix) + strlen("?$rid=") + rid_length;

    if (rid_length == 0 || strspn(rid, allowed) != rid_length)
        return -EINVAL;
    if (length >= size)
        return -ENOSPC;
    snprintf(out, size, "%s?$rid=%s", prefix, rid);
    return (int)length;
}

int topic_get(char *out, size_t size, const char *rid)
{
    return build(out, size, get_prefix, rid);
}

int topic_reported(char *out, size_t size, const char *rid)
{
    return build(out, size, reported_prefix, rid);
}
