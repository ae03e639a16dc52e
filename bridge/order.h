/* One order on its way to a device: the life of a desired value between the decision to write it and its
 * final acknowledgement. Part of module.c's work, kept apart because it is the part that must never
 * write twice. No I/O: asks through struct module_io of its module.
 *
 *              .--- device silent, not sent ---.
 *              v                               |
 *   new --> WAITING --read first--> READING --differs--> (INTENT) --> WRITING --> done
 *              |                       | equal: done                     |
 *              | write_deadline: done 504                      no answer | 504 told
 *              v                                                         v
 *            done                    done <--equal or 2nd time-- RECHECK (reads at the next contact,
 *                                                                        writes once more)
 *
 * INTENT: a write_once order is committed before it is sent, and after that only ever finished. */
#pragma once

#include "config/value.h"

#include <stdbool.h>
#include <stdint.h>

enum order_state {
    ORDER_WAITING, /* for the device, or for its turn */
    ORDER_READING, /* asked for the present value */
    ORDER_INTENT,  /* committing that it will be sent */
    ORDER_WRITING,
    ORDER_RECHECK, /* sent, no answer: 504 was told, the device will be read when it answers */
};

enum { ORDER_PENDING_MS = 1000, ORDER_RECHECK_MS = 1000 };

struct order {
    struct order *next; /* active orders of the module */
    size_t device;      /* position in the module */
    size_t tag;
    enum order_state state;
    struct value value;
    int64_t version; /* av */
    char *desired;   /* owned: JSON text, for the record */
    uint64_t arrived_ms;
    uint64_t deadline_ms; /* of writing; 0 = none */
    uint64_t recheck_ms;  /* not before */
    bool read_first;
    bool pending_told; /* 202 */
    bool recheck;      /* it was sent once without an answer */
    bool superseded; /* a newer order, a refusal or a clearing came while it was out: say nothing */
    bool intent;     /* committed that it will be sent */
};
