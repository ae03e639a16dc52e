/* Where every node of a cJSON tree stands in its text, and what cJSON lets pass that no mapping file
 * may hold: duplicate keys, bad UTF-8, \u0000, laxities of syntax. Pure.
 *
 * The text is walked once, in step with the tree. Lines and columns as in scan.h. */
#pragma once

#include "config/scan.h"

#include <stdbool.h>
#include <stddef.h>

struct cJSON;
struct locate;

enum {
    LOCATE_DEPTH_MAX = 32,     /* levels of objects and lists; a mapping file needs 6 */
    LOCATE_MISTAKES_MAX = 200, /* kept; what follows is not looked for */
    LOCATE_PATH_MAX = 512,
};

struct locate_node {
    struct scan_place key;   /* the key's opening quote; line 0 in a list and at the root */
    struct scan_place value; /* its first character */
    size_t offset, length;   /* of the value in the text, bytes */
};

struct locate_mistake {
    const struct cJSON *node; /* NULL when the text is not JSON */
    struct scan_place place;
    char message[SCAN_MESSAGE_MAX];
};

/* Walks `text` (which must outlive it) in step with `root`, the tree that cJSON made of it, or NULL
 * when cJSON made none. 0, or -ENOMEM. What is wrong with the text is in the mistakes. */
int locate_new(struct locate **out, const char *text, size_t length, const struct cJSON *root);
void locate_free(struct locate *locate); /* NULL is fine */

/* Whether the text is JSON to its end; if not, the last mistake says why and the tree is worthless. */
bool locate_is_json(const struct locate *locate);

size_t locate_mistake_count(const struct locate *locate);
const struct locate_mistake *locate_mistake(const struct locate *locate, size_t index);

/* Where a node stands; false when it is none of the tree. */
bool locate_find(const struct locate *locate, const struct cJSON *node, struct locate_node *out);

/* Writes the path of a node: "devices.boiler-7.tags.setpoint.max", "modules.heating.devices[1]", "" for
 * the root. Keys with other characters than letters, digits, - and _ are quoted. */
void locate_path(const struct locate *locate, const struct cJSON *node, char out[LOCATE_PATH_MAX]);

/* The bytes of a value as they stand in the text; not terminated. NULL when the node is not known. */
const char *locate_text(const struct locate *locate, const struct cJSON *node, size_t *length);
