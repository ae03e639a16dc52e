/* Property bags.
 *
 * Happy path: the text is cut at '&', a field at its first '=', both halves are percent-decoded into
 * one block of texts; short names of system properties are replaced by long ones, and back when a bag
 * is printed. Fails when: an escape is none, a name is empty, a text is not UTF-8. */
#include "tests/sim/hubsim/bag.h"

#include "bridge/mqtt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* $.cdid and $.cmid, who sent it, are not among them: the hub knows, whatever the sender says. */
static const struct {
    const char *wire, *name;
} system_names[] = {
    { "$.mid", "message-id" },
    { "$.cid", "correlation-id" },
    { "$.uid", "user-id" },
    { "$.to", "to" },
    { "$.ct", "content-type" },
    { "$.ce", "content-encoding" },
    { "$.exp", "absolute-expiry-time" },
    { "$.ctime", "iothub-creation-time-utc" },
    { "$.on", "output-name" },
    { "$.sub", "dt-subject" },
    { "$.ifid", "iothub-interface-id" },
    { "$.diagid", "diagnostic-id" },
    { "$.diagctx", "diagnostic-context" },
};

enum { SYSTEM_NAMES = sizeof system_names / sizeof system_names[0] };

static const char *long_name(const char *wire)
{
    for (size_t i = 0; i < SYSTEM_NAMES; i++) {
        if (strcmp(system_names[i].wire, wire) == 0)
            return system_names[i].name;
    }
    return wire;
}

static const char *wire_name(const char *name)
{
    for (size_t i = 0; i < SYSTEM_NAMES; i++) {
        if (strcmp(system_names[i].name, name) == 0)
            return system_names[i].wire;
    }
    return name;
}

/* ---- reading ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes `text` to `*to`, which moves behind the NUL. RFC 2396: a '+' is a plus. */
static int decode(char **to, const char *text, size_t length, const char **out)
{
    char *begin = *to, *end = begin;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c == '%') {
            int high = length - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = length - i > 2 ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -EBADMSG;
            c = (char)(high * 16 + low);
            i += 2;
        }
        *end++ = c;
    }
    if (!mqtt_utf8_valid(begin, (size_t)(end - begin)))
        return -EBADMSG;
    *end = 0;
    *to = end + 1;
    *out = begin;
    return 0;
}

static int parse_field(struct bag *bag, char **to, const char *field, size_t length)
{
    const char *equals = memchr(field, '=', length);
    size_t name_length = equals != NULL ? (size_t)(equals - field) : length;
    struct bag_property property = { 0 };
    int rc = decode(to, field, name_length, &property.name);

    if (rc == 0 && property.name[0] == 0)
        rc = -EBADMSG;
    if (rc == 0 && equals != NULL)
        rc = decode(to, equals + 1, length - name_length - 1, &property.value);
    if (rc != 0)
        return rc;
    property.system = property.name[0] == '$';
    if (property.system)
        property.name = long_name(property.name);
    bag->properties[bag->count++] = property;
    return 0;
}

static size_t count_fields(const char *text, size_t length)
{
    size_t count = 1;

    for (size_t i = 0; i < length; i++)
        count += text[i] == '&';
    return count;
}

int bag_parse(struct bag *out, const char *text, size_t length)
{
    struct bag bag = { 0 };
    int rc = 0;
    char *to;

    if (length > 0 && text[length - 1] == '/')
        length--;
    bag.properties = calloc(count_fields(text, length), sizeof *bag.properties);
    /* '=' and '&' make room for the NULs, but for the last. */
    bag.texts = malloc(length + 1);
    if (bag.properties == NULL || bag.texts == NULL)
        rc = -ENOMEM;
    to = bag.texts;
    while (rc == 0 && length > 0) {
        const char *end = memchr(text, '&', length);
        size_t field = end != NULL ? (size_t)(end - text) : length;

        if (field > 0)
            rc = parse_field(&bag, &to, text, field);
        field += end != NULL;
        text += field;
        length -= field;
    }
    if (rc != 0) {
        bag_done(&bag);
        return rc;
    }
    *out = bag;
    return 0;
}

void bag_done(struct bag *bag)
{
    free(bag->properties);
    free(bag->texts);
    *bag = (struct bag){ 0 };
}

/* ---- writing ---- */

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("-._~", c) != NULL);
}

static void encode(struct buf *buf, const char *text)
{
    for (; *text != 0; text++) {
        if (is_unreserved(*text))
            buf_add_byte(buf, (uint8_t)*text);
        else
            buf_printf(buf, "%%%02X", (unsigned char)*text);
    }
}

int bag_print(struct buf *buf, const struct bag_property *properties, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct bag_property *p = &properties[i];

        if (i > 0)
            buf_add_byte(buf, '&');
        encode(buf, p->system ? wire_name(p->name) : p->name);
        if (p->value != NULL) {
            buf_add_byte(buf, '=');
            encode(buf, p->value);
        }
    }
    return buf->error;
}

size_t bag_size(const struct bag_property *properties, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += properties[i].system ? 0 : strlen(properties[i].name);
        size += properties[i].value != NULL ? strlen(properties[i].value) : 0;
    }
    return size;
}
