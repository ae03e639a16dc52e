/* How busy a line is: the share of the last ten seconds that a request was on it. Pure. */
#pragma once

#include <stdint.h>

enum { LOAD_BUCKETS = 11, LOAD_BUCKET_MS = 1000 }; /* ten whole seconds and the one under way */

struct load {
    uint64_t bucket[LOAD_BUCKETS]; /* number of the second that the place holds now */
    uint32_t busy_ms[LOAD_BUCKETS];
    uint64_t started_ms; /* of the clock; before it there was nothing to do */
};

void load_init(struct load *load, uint64_t now_ms);

/* A request was on the line from `from_ms` to `to_ms`. Only the last ten seconds of it count. */
void load_add(struct load *load, uint64_t from_ms, uint64_t to_ms);

/* 0 to 1, over the last ten seconds or since load_init if that is less. */
double load_share(const struct load *load, uint64_t now_ms);
