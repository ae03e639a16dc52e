/* The newest device-to-cloud messages: a ring with a bound on their number and on their bytes. The
 * oldest make room. Pure. */
#pragma once

#include "tests/sim/hubsim/bag.h"

#include <stddef.h>
#include <stdint.h>

struct hub_message {
    uint64_t number;                       /* 1, 2, ... in the order of arrival */
    const char *device_id;                 /* who sent it */
    const char *module_id;                 /* "" for a device */
    int64_t enqueued_wall_ms;              /* UTC since 1970 */
    const struct bag_property *properties; /* the sender's and those that the hub adds */
    size_t property_count;
    const void *body;
    size_t length;
};

typedef void hub_visit_message(void *data, const struct hub_message *message);

struct messages;

/* An empty ring for `count_max` messages (at least 1) of `bytes_max` bytes together. 0 or -ENOMEM. */
int messages_new(struct messages **out, size_t count_max, size_t bytes_max);
void messages_free(struct messages *messages); /* NULL is fine */

/* Keeps a copy with the next number; `message->number` is not looked at. 0, -EFBIG (larger than all that
 * is kept), -ENOMEM. */
int messages_add(struct messages *messages, const struct hub_message *message);

/* Shows those with a number over `after`, oldest first, at most `limit`. What is shown is valid until
 * the visit returns; a visit adds nothing. */
void messages_each(const struct messages *messages, uint64_t after, size_t limit,
                   hub_visit_message *visit, void *data);
