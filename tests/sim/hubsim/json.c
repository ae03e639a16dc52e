/* JSON text <-> cJSON's tree.
 *
 * Reading: one walk over the text checks what cJSON does not (UTF-8, U+0000, spelling and size of
 * numbers, a text that ends with the document), cJSON builds the tree, one walk over the tree drops
 * doubled keys. Writing never fails by itself: the buffer remembers.
 * Fails when: the peer does not send JSON; memory is out. */
#include "tests/sim/hubsim/json.h"

#include "bridge/mqtt.h"
#include "config/value.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_MIN (-4503599627370496LL) /* iot-hub device twins: -2^52 */
#define INTEGER_MAX 4503599627370495LL    /* 2^52 - 1 */

/* ---- reading ---- */

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* Checks the number at `text` (RFC 8259, section 6) and says how long it is. */
static int check_number(const char *text, size_t *length)
{
    const char *end = text;
    bool whole = true;
    size_t count;

    if (*end == '-')
        end++;
    count = digits(end);
    if (count == 0 || (count > 1 && *end == '0'))
        return -EBADMSG;
    end += count;
    if (*end == '.') {
        whole = false;
        count = digits(++end);
        if (count == 0)
            return -EBADMSG;
        end += count;
    }
    if (*end == 'e' || *end == 'E') {
        whole = false;
        end++;
        if (*end == '+' || *end == '-')
            end++;
        count = digits(end);
        if (count == 0)
            return -EBADMSG;
        end += count;
    }
    *length = (size_t)(end - text);

    if (whole) {
        long long integer;

        errno = 0;
        integer = strtoll(text, NULL, 10);
        if (errno != 0 || integer < INTEGER_MIN || integer > INTEGER_MAX)
            return -ERANGE;
    }
    return isfinite(strtod(text, NULL)) ? 0 : -EBADMSG;
}

/* Checks the escape whose backslash is at `text`; cJSON takes \uZZZZ for U+0000. */
static int check_escape(const char *text, size_t *length)
{
    if (text[1] != 'u') {
        *length = 2;
        return text[1] != 0 && strchr("\"\\/bfnrt", text[1]) != NULL ? 0 : -EBADMSG;
    }
    *length = 6;
    return strspn(text + 2, "0123456789abcdefABCDEF") >= 4 && strncmp(text + 2, "0000", 4) != 0
               ? 0
               : -EBADMSG;
}

/* Checks the string whose opening quote is at `text`, and says how long it is with both quotes. */
static int check_string(const char *text, size_t *length)
{
    const char *c = text + 1;

    while (*c != '"') {
        size_t step = 1;

        if ((unsigned char)*c < 0x20 || (*c == '\\' && check_escape(c, &step) != 0))
            return -EBADMSG;
        c += step;
    }
    *length = (size_t)(c - text) + 1;
    return 0;
}

/* Whether the character may stand outside of texts; cJSON takes every control character for a blank,
 * and skips a byte order mark. */
static bool stands_outside(char c)
{
    return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r';
}

/* What cJSON lets pass; -ERANGE only if there is nothing worse. `text` is NUL-terminated and holds no
 * other NUL. */
static int check_text(const char *text)
{
    int range = 0;

    while (*text != 0) {
        size_t length = 1;
        int rc = 0;

        if (*text == '"')
            rc = check_string(text, &length);
        else if (*text == '-' || (*text >= '0' && *text <= '9'))
            rc = check_number(text, &length);
        else if (!stands_outside(*text))
            rc = -EBADMSG;
        if (rc == -ERANGE)
            range = rc;
        else if (rc != 0)
            return rc;
        text += length;
    }
    return range;
}

struct member {
    cJSON *item;
    size_t place; /* in the object */
};

/* By name; of one name the last first. */
static int compare_members(const void *a, const void *b)
{
    const struct member *one = a, *other = b;
    int order = strcmp(one->item->string, other->item->string);

    return order != 0 ? order : one->place < other->place ? 1 : -1;
}

/* Sorted, so that a large object of an enemy costs no time. */
static int drop_doubled_members(cJSON *object)
{
    size_t count = 0;
    struct member *members;

    for (const cJSON *child = object->child; child != NULL; child = child->next)
        count++;
    if (count < 2)
        return 0;
    members = malloc(count * sizeof *members);
    if (members == NULL)
        return -ENOMEM;
    count = 0;
    for (cJSON *child = object->child; child != NULL; child = child->next, count++)
        members[count] = (struct member){ child, count };
    qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 1, kept = 0; i < count; i++) {
        if (strcmp(members[i].item->string, members[kept].item->string) == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(object, members[i].item));
        else
            kept = i;
    }
    free(members);
    return 0;
}

static int drop_doubled_keys(cJSON *item)
{
    int rc = cJSON_IsObject(item) ? drop_doubled_members(item) : 0;

    for (cJSON *child = item->child; child != NULL && rc == 0; child = child->next)
        rc = drop_doubled_keys(child);
    return rc;
}

static int parse(cJSON **out, const char *text, size_t length, bool any_integer)
{
    const char *end = NULL;
    cJSON *tree;
    char *copy;
    int rc;

    if (!mqtt_utf8_valid(text, length))
        return -EBADMSG;
    copy = strndup(text, length);
    if (copy == NULL)
        return -ENOMEM;
    rc = check_text(copy);
    if (rc == -ERANGE && any_integer)
        rc = 0;
    if (rc == 0 || rc == -ERANGE) {
        tree = cJSON_ParseWithLengthOpts(copy, length + 1, &end, 1);
        if (tree == NULL)
            rc = -EBADMSG;
        else if (rc == 0)
            rc = drop_doubled_keys(tree);
        if (rc == 0)
            *out = tree;
        else
            cJSON_Delete(tree);
    }
    free(copy);
    return rc;
}

int json_parse(cJSON **out, const char *text, size_t length)
{
    return parse(out, text, length, false);
}

int json_parse_any(cJSON **out, const char *text, size_t length)
{
    return parse(out, text, length, true);
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\n\r");
}

/* What stands behind the value at `text`. */
static const char *skip_value(const char *text)
{
    size_t depth = 0;

    do {
        size_t length = 1;

        if (*text == '"')
            check_string(text, &length);
        else if (*text == '{' || *text == '[')
            depth++;
        else if (*text == '}' || *text == ']')
            depth--;
        else if (depth == 0)
            length = strcspn(text, ",]} \t\n\r");
        text += length;
    } while (depth > 0);
    return text;
}

const char *json_member_text(const char *text, const char *key, size_t *length)
{
    const char *found = NULL;
    size_t wanted = strlen(key);

    text = skip_blanks(text);
    if (*text != '{')
        return NULL;
    text = skip_blanks(text + 1);
    while (*text == '"') {
        const char *name = text + 1, *end = skip_value(text);
        bool is_wanted = (size_t)(end - name) == wanted + 1 && memcmp(name, key, wanted) == 0;

        text = skip_blanks(skip_blanks(end) + 1); /* the colon */
        end = skip_value(text);
        if (is_wanted) {
            found = text;
            *length = (size_t)(end - text);
        }
        text = skip_blanks(end);
        text = skip_blanks(text + (*text == ',')); /* or the closing brace */
    }
    return found;
}

/* ---- writing ---- */

/* How many bytes of the text stand in a JSON string as they are. */
static size_t plain_length(const char *text)
{
    size_t length = 0;

    for (;;) {
        unsigned char c = (unsigned char)text[length];
        size_t step = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

        if (c < 0x20 || c == '"' || c == '\\' ||
            (step > 1 &&
             (strnlen(text + length, step) < step || !mqtt_utf8_valid(text + length, step))))
            return length;
        length += step;
    }
}

void json_print_text(struct buf *buf, const char *text)
{
    if (text == NULL) {
        buf_add_text(buf, "null");
        return;
    }
    buf_add_byte(buf, '"');
    while (*text != 0) {
        size_t plain = plain_length(text);

        buf_add(buf, text, plain);
        text += plain;
        if (*text == '"' || *text == '\\') {
            buf_printf(buf, "\\%c", *text++);
        } else if (*text != 0) {
            unsigned char c = (unsigned char)*text++;

            buf_printf(buf, "\\u%04x", c < 0x80 ? c : 0xfffdu);
        }
    }
    buf_add_byte(buf, '"');
}

static void print_children(struct buf *buf, const cJSON *item)
{
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        if (cJSON_IsObject(item)) {
            json_print_text(buf, child->string);
            buf_add_byte(buf, ':');
        }
        json_print(buf, child);
        if (child->next != NULL)
            buf_add_byte(buf, ',');
    }
}

void json_print(struct buf *buf, const cJSON *item)
{
    char number[VALUE_TEXT_MAX];

    if (cJSON_IsObject(item)) {
        buf_add_byte(buf, '{');
        print_children(buf, item);
        buf_add_byte(buf, '}');
    } else if (cJSON_IsArray(item)) {
        buf_add_byte(buf, '[');
        print_children(buf, item);
        buf_add_byte(buf, ']');
    } else if (cJSON_IsString(item)) {
        json_print_text(buf, item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        value_print_number(item->valuedouble, number);
        buf_add_text(buf, number);
    } else if (cJSON_IsBool(item)) {
        buf_add_text(buf, cJSON_IsTrue(item) ? "true" : "false");
    } else {
        buf_add_text(buf, "null");
    }
}

const char *json_text(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}
