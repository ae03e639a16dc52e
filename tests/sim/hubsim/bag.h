/* Property bags: what stands behind the last slash of a message's topic (reference: iot-hub.md section
 * 5.1), "%24.mid=id%201&k=v". Pure.
 *
 * A name that starts with '$' on the wire is a system property; here it carries the long name of the
 * service side ("message-id" for "$.mid"), or stays as it is when it is not one of the list. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct bag_property {
    const char *name;
    const char *value; /* NULL: the name stood there without '=' */
    bool system;
};

struct bag {
    struct bag_property *properties; /* owned, as are the texts */
    size_t count;
    char *texts;
};

/* Reads a bag: percent-decoded, a slash at its end is dropped, empty fields are skipped, names may
 * repeat. 0, -EBADMSG (a bad escape, an empty name, bytes that are not UTF-8), -ENOMEM. `out` is ended
 * with bag_done. */
int bag_parse(struct bag *out, const char *text, size_t length);

/* Safe on a zeroed struct. */
void bag_done(struct bag *bag);

/* Appends properties as a bag, names and values percent-encoded, system ones with their short names. 0
 * or buf's errors. */
int bag_print(struct buf *buf, const struct bag_property *properties, size_t count);

/* Bytes that count for a message's size: application names and values, system values. */
size_t bag_size(const struct bag_property *properties, size_t count);
