/* Whose turn it is: which unit of a line is asked next, and for which block. Pure.
 *
 * Units take turns, one read each. A unit whose last try failed is held: it is not asked again before
 * all reads that the others had due at that moment. An offline unit is asked when its probe is due; of
 * several the one that was not asked for the longest time, as their probes are rationed together. */
#pragma once

#include "adapters/modbus/mapping.h"
#include "adapters/modbus/plan.h"
#include "adapters/modbus/schedule.h"
#include "adapters/modbus/unit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct turn_unit {
    const struct modbus_device *device;
    const struct plan *plan;
    struct schedule schedule;
    bool enabled;
    bool held;         /* its last try failed ... */
    uint64_t held_ms;  /* ... at this time */
    uint64_t rest_ms;  /* it asked for a pause: not asked before */
    uint64_t asked_ms; /* when it was asked last; 0 = never */
    uint32_t silent;   /* unanswered tries on this connection in a row */
    int64_t last_ok_wall_ms;
    struct unit health;
};

static inline bool turn_is_offline(const struct turn_unit *unit)
{
    return unit->health.state == DEVICE_OFFLINE;
}

/* When a scheduled read or a probe of a unit is due: 0 = now, UINT64_MAX = never. Holding apart. */
uint64_t turn_wants_ms(const struct turn_unit *unit);

/* Lets those held units go whose wait is over. Before every choice. */
void turn_release(struct turn_unit *units, size_t count);

/* Whether a request may go to a unit now. */
bool turn_may_ask(const struct turn_unit *unit, uint64_t now_ms);

/* The unit and block of the first read with that wish that may go now; NULL when there is none. */
struct turn_unit *turn_wished(struct turn_unit *units, size_t count, enum schedule_wish wish,
                              uint64_t now_ms, size_t *block);

/* The same for the next scheduled read or probe that is due. `*turn` is where the search starts and where
 * the next one will; at first 0. */
struct turn_unit *turn_due(struct turn_unit *units, size_t count, size_t *turn, uint64_t now_ms,
                           size_t *block);
