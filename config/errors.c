/* Mistakes and warnings, kept in the order of the file.
 *
 * A template's mistake is found again for every device that uses it: what stands at the same place with
 * the same words is kept once. A mistake at an object points at its name, any other at its value.
 * Failure modes: no memory for a mistake marks the list incomplete and config_load gives up. */
#include "config/errors.h"

#include "base/buf.h"
#include "config/locate.h"
#include "config/text.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 1000, MESSAGE_MAX = 640 };

struct item {
    struct scan_place place; /* line 0: the whole file */
    bool warning;
    const char *path; /* inside `bytes` */
    const char *message;
    char bytes[];
};

struct config_errors {
    char *file; /* NULL until config_errors_file */
    const struct locate *locate;
    struct item **items; /* KEPT_MAX of them, sorted by place */
    size_t count;
    size_t mistakes, warnings; /* all that were different, kept or not */
    bool incomplete;
};

struct config_errors *config_errors_new(void)
{
    struct config_errors *errors = calloc(1, sizeof *errors);

    if (errors == NULL)
        return NULL;
    errors->items = calloc(KEPT_MAX, sizeof(struct item *));
    if (errors->items == NULL) {
        free(errors);
        return NULL;
    }
    return errors;
}

void config_errors_free(struct config_errors *errors)
{
    if (errors == NULL)
        return;
    for (size_t i = 0; i < errors->count; i++)
        free(errors->items[i]);
    free(errors->items);
    free(errors->file);
    free(errors);
}

int config_errors_file(struct config_errors *errors, const char *path)
{
    char *copy = strdup(path);

    if (copy == NULL)
        return -ENOMEM;
    free(errors->file);
    errors->file = copy;
    return 0;
}

void config_errors_locate(struct config_errors *errors, const struct locate *locate)
{
    errors->locate = locate;
}

bool config_errors_incomplete(const struct config_errors *errors)
{
    return errors->incomplete;
}

size_t config_errors_count(const struct config_errors *errors)
{
    return errors->mistakes;
}

size_t config_warnings_count(const struct config_errors *errors)
{
    return errors->warnings;
}

/* ---- adding ---- */

static int compare_places(struct scan_place a, struct scan_place b)
{
    if (a.line != b.line)
        return a.line < b.line ? -1 : 1;
    return a.column < b.column ? -1 : a.column > b.column;
}

/* Where an item of this place goes: behind all of the same place. */
static size_t slot_of(const struct config_errors *errors, struct scan_place place)
{
    size_t low = 0, high = errors->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_places(errors->items[middle]->place, place) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_known(const struct config_errors *errors, size_t slot, struct scan_place place,
                     const char *message)
{
    while (slot > 0 && compare_places(errors->items[slot - 1]->place, place) == 0) {
        slot--;
        if (strcmp(errors->items[slot]->message, message) == 0)
            return true;
    }
    return false;
}

static struct item *item_new(const char *path, const char *message)
{
    size_t path_size = strlen(path) + 1, message_size = strlen(message) + 1;
    struct item *item = malloc(sizeof *item + path_size + message_size);

    if (item == NULL)
        return NULL;
    memcpy(item->bytes, path, path_size);
    memcpy(item->bytes + path_size, message, message_size);
    item->path = item->bytes;
    item->message = item->bytes + path_size;
    return item;
}

static void add(struct config_errors *errors, bool warning, const cJSON *node,
                struct scan_place place, const char *message)
{
    size_t slot = slot_of(errors, place);
    char path[LOCATE_PATH_MAX] = "";
    struct item *item;

    if (is_known(errors, slot, place, message))
        return;
    *(warning ? &errors->warnings : &errors->mistakes) += 1;
    if (errors->count == KEPT_MAX)
        return;
    if (errors->locate != NULL && node != NULL)
        locate_path(errors->locate, node, path);
    item = item_new(path, message);
    if (item == NULL) {
        errors->incomplete = true;
        return;
    }
    item->warning = warning;
    item->place = place;
    memmove(errors->items + slot + 1, errors->items + slot,
            (errors->count - slot) * sizeof(struct item *));
    errors->items[slot] = item;
    errors->count++;
}

static struct scan_place place_of(const struct config_errors *errors, const cJSON *node, bool key)
{
    struct locate_node where;

    if (node == NULL || errors->locate == NULL || !locate_find(errors->locate, node, &where))
        return (struct scan_place){ 0, 0 };
    return (key || cJSON_IsObject(node)) && where.key.line != 0 ? where.key : where.value;
}

__attribute__((format(printf, 5, 0))) static void add_formatted(struct config_errors *errors,
                                                                bool warning, const cJSON *node,
                                                                bool key, const char *format,
                                                                va_list args)
{
    char message[MESSAGE_MAX];

    vsnprintf(message, sizeof message, format, args);
    add(errors, warning, node, place_of(errors, node, key), message);
}

void config_error(struct config_errors *errors, const struct cJSON *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_formatted(errors, false, node, false, format, args);
    va_end(args);
}

void config_error_key(struct config_errors *errors, const struct cJSON *node, const char *format,
                      ...)
{
    va_list args;

    va_start(args, format);
    add_formatted(errors, false, node, true, format, args);
    va_end(args);
}

void config_warning(struct config_errors *errors, const struct cJSON *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_formatted(errors, true, node, false, format, args);
    va_end(args);
}

void config_error_place(struct config_errors *errors, const struct cJSON *node,
                        struct scan_place place, const char *message)
{
    add(errors, false, node, place, message);
}

uint32_t config_errors_line(const struct config_errors *errors, const struct cJSON *node)
{
    return place_of(errors, node, true).line;
}

/* ---- telling ---- */

static const char *file_of(const struct config_errors *errors)
{
    return errors->file == NULL ? "mapping file" : errors->file;
}

void config_errors_print(const struct config_errors *errors, FILE *out)
{
    size_t all = errors->mistakes + errors->warnings;

    for (size_t i = 0; i < errors->count; i++) {
        const struct item *item = errors->items[i];

        fprintf(out, "%s:", file_of(errors));
        if (item->place.line != 0)
            fprintf(out, "%u:%u:", item->place.line, item->place.column);
        fprintf(out, " %s%s%s%s\n", item->warning ? "warning: " : "", item->path,
                item->path[0] != 0 ? ": " : "", item->message);
    }
    if (all > errors->count)
        fprintf(out, "%s: and %zu more\n", file_of(errors), all - errors->count);
}

/* A JSON text in quotes. What is not UTF-8 (only a file's name can be) becomes "?". */
static void add_json_text(struct buf *out, const char *text)
{
    size_t left = strlen(text);

    buf_add_byte(out, '"');
    while (left > 0) {
        size_t length = text_utf8_length(text, left);
        unsigned char byte = (unsigned char)*text;

        if (length == 0)
            buf_add_byte(out, '?');
        else if (byte == '"' || byte == '\\')
            buf_printf(out, "\\%c", byte);
        else if (byte < 0x20)
            buf_printf(out, "\\u%04x", byte);
        else
            buf_add(out, text, length);
        length = length == 0 ? 1 : length;
        text += length;
        left -= length;
    }
    buf_add_byte(out, '"');
}

static void add_json_item(struct buf *out, const char *file, const struct item *item)
{
    buf_add_text(out, "{\"file\":");
    add_json_text(out, file);
    if (item->place.line != 0)
        buf_printf(out, ",\"line\":%u,\"column\":%u", item->place.line, item->place.column);
    else
        buf_add_text(out, ",\"line\":null,\"column\":null");
    buf_add_text(out, ",\"path\":");
    add_json_text(out, item->path);
    buf_printf(out, ",\"severity\":\"%s\",\"message\":", item->warning ? "warning" : "error");
    add_json_text(out, item->message);
    buf_add_byte(out, '}');
}

char *config_errors_json(const struct config_errors *errors)
{
    struct buf out;

    buf_init(&out, (size_t)16 << 20);
    buf_add_byte(&out, '[');
    for (size_t i = 0; i < errors->count; i++) {
        if (i > 0)
            buf_add_byte(&out, ',');
        add_json_item(&out, file_of(errors), errors->items[i]);
    }
    buf_add_byte(&out, ']');
    if (out.error != 0) {
        buf_done(&out);
        return NULL;
    }
    return (char *)out.bytes;
}
