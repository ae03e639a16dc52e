/* JSON that a person gave, in a file or as an argument, read as strictly as a hub reads it. Pure.
 *
 * cJSON alone would make 7 of 007, cut a text at \u0000, take the first of two properties of one
 * name, and round an integer that has more digits than a double: what was written would not be what
 * was meant. */
#pragma once

#include "config/scan.h"

#include <stddef.h>

struct cJSON;

enum given_purpose {
    GIVEN_FOR_TWIN, /* its integers are those that a twin holds (iot-hub.md section 4.5) */
    GIVEN_AS_IT_IS, /* its text goes out, or it is only compared */
};

struct given_mistake {
    struct scan_place place;
    char message[SCAN_MESSAGE_MAX];
};

/* Reads `text` of `length` bytes (a NUL must follow them); *out is the caller's. 0; -EBADMSG with
 * `mistake`: it is no JSON, so that it may be a text; -EINVAL with `mistake`: it is meant to be JSON
 * and has a mistake; -ENOMEM. */
int given_json(struct cJSON **out, const char *text, size_t length, enum given_purpose purpose,
               struct given_mistake *mistake);
