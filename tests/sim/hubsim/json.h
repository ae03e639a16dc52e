/* JSON text as the hub takes and gives it: cJSON's tree between a strict reader and an exact
 * writer. cJSON alone accepts broken UTF-8 and U+0000, keeps doubled keys, and prints 15 digits.
 * Pure. */
#pragma once

#include "base/buf.h"

#include <cjson/cJSON.h>

#include <stddef.h>

/* The whole text as a tree that the caller deletes. Of doubled keys the last one stays.
 * 0, -EBADMSG (not JSON by RFC 8259, U+0000 in a text, a number without a double; or cJSON had no
 * memory), -ERANGE (JSON, but with an integer beyond +-2^52: twins have none), -ENOMEM. */
int json_parse(cJSON **out, const char *text, size_t length);

/* The same with integers of any size, for what is no twin: they become the nearest double, and are no
 * -ERANGE. */
int json_parse_any(cJSON **out, const char *text, size_t length);

/* The value of a member as it stands in `text`, a NUL-terminated text that json_parse_any has read: its
 * numbers have all their digits. Of doubled keys the last one. NULL when the text is no object, or
 * has no such key, or writes it with escapes. */
const char *json_member_text(const char *text, const char *key, size_t *length);

/* Appends `item` as compact text; every number as the shortest text that reads back the same.
 * `item` NULL prints null. The buffer's error sticks. */
void json_print(struct buf *buf, const cJSON *item);

/* Appends `text` as a JSON string, quotes included; what is not UTF-8 in it, as a text that was cut is at
 * its end, becomes U+FFFD. NULL prints null. */
void json_print_text(struct buf *buf, const char *text);

/* The member as a text, or NULL when it is absent or no text. */
const char *json_text(const cJSON *object, const char *key);
