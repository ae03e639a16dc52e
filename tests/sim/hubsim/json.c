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

/* Checks the string whose opening quote is at `text`, and says how long it is with both quotes. */
static int check_string(const char *text, size_t *length)
{
    const char *c = text + 1;

    for (; *c != '"'; c++) {
        if ((unsigned char)*c < 0x20)
            return -EBADMSG;
        if (*c != '\\')
            continue;
        if (strncmp(c, "\\u0000", 6) == 0)
            return -EBADMSG;
        if (*++c == 0)
            return -EBADMSG;
    }
    *length = (size_t)(c - text) + 1;
    return 0;
}

/* What cJSON lets pass. `text` is NUL-terminated and holds no other NUL. */
static int check_text(const char *text)
{
    while (*text != 0) {
        size_t length = 1;
        int rc = 0;

        if (*text == '"')
            rc = check_string(text, &length);
        else if (*text == '-' || (*text >= '0' && *text <= '9'))
            rc = check_number(text, &length);
        if (rc != 0)
            return rc;
        text += length;
    }
    return 0;
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

int json_parse(cJSON **out, const char *text, size_t length)
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
    if (rc == 0) {
        tree = cJSON_ParseWithLengthOpts(copy, length + 1, &end, 1);
        rc = tree != NULL ? drop_doubled_keys(tree) : -EBADMSG;
        if (rc == 0)
            *out = tree;
        else
            cJSON_Delete(tree);
    }
    free(copy);
    return rc;
}

/* ---- writing ---- */

void json_print_text(struct buf *buf, const char *text)
{
    if (text == NULL) {
        buf_add_text(buf, "null");
        return;
    }
    buf_add_byte(buf, '"');
    while (*text != 0) {
        size_t plain = 0;

        while ((unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\')
            plain++;
        buf_add(buf, text, plain);
        text += plain;
        if (*text == '"' || *text == '\\')
            buf_printf(buf, "\\%c", *text++);
        else if (*text != 0)
            buf_printf(buf, "\\u%04x", (unsigned)*text++);
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
