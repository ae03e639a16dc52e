/* When the blocks of one device are due. Pure.
 *
 * Every block has its slots: one per poll interval, on a grain of 10 ms that all connections of the
 * process share, so that few wake-ups serve many of them. Phases are spread over the interval, so that
 * neither a start nor a second is a burst; the first read of everything does not wait for its slot. A
 * slot missed by less than an interval is made up once, older ones are let go. */
#pragma once

#include "adapters/modbus/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCHEDULE_GRAIN_MS = 10 };

/* Why a block is to be read ahead of its slot, the more urgent the greater. */
enum schedule_wish { SCHEDULE_NO_WISH, SCHEDULE_ASKED, SCHEDULE_VERIFY };

struct schedule_poll {
    uint64_t slot_ms;     /* the next slot; in the past: missed so far */
    uint32_t interval_ms; /* a multiple of the grain */
    bool at_once;         /* due whatever the slot says */
    uint32_t tries;       /* unanswered so far; of the user */
    enum schedule_wish wish;
};

struct schedule {
    struct schedule_poll *polls; /* same indices as the plan's blocks; owned */
    size_t count, max;
    uint64_t next_ms; /* when the first of them is due: 0 = at once, UINT64_MAX = there is none */
    size_t oldest;    /* which one that is */
    size_t wishes;    /* polls that have one */
};

/* One poll per block of `plan`, everything due at once. The blocks are number `first`, `first` + 1 ... of
 * `total` on their line: that is where in the interval their slots lie. 0, -ENOMEM. */
int schedule_init(struct schedule *schedule, const struct plan *plan, size_t first, size_t total,
                  uint64_t now_ms);
void schedule_done(struct schedule *schedule); /* fine on a zeroed struct */

/* Everything is due at once (a connection stands, a device answers again). */
void schedule_all(struct schedule *schedule);

/* plan_split has divided `poll`: the part `added`, which must be the next index, gets its slots and
 * wish, and both are due at once. */
void schedule_split(struct schedule *schedule, size_t poll, size_t added);

/* Wishes a read ahead of the slot; the more urgent wish stays. */
void schedule_wish(struct schedule *schedule, size_t poll, enum schedule_wish wish);

/* The poll that has waited longest and is due; SIZE_MAX when none is. */
size_t schedule_due(const struct schedule *schedule, uint64_t now_ms);

/* The poll with the oldest slot, due or not: what a silent device is asked as a probe. At least one poll. */
size_t schedule_oldest(const struct schedule *schedule);

/* The first poll with that wish; SIZE_MAX when none has it. */
size_t schedule_wished(const struct schedule *schedule, enum schedule_wish wish);

/* A read ended, with an answer or given up: forgets tries and wish, and the slot moves on. */
void schedule_served(struct schedule *schedule, size_t poll, uint64_t now_ms);
