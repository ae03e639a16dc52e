/* How the values of one simulated device move. Pure: time and chance are handed in. */
#pragma once

#include "tests/sim/modbussim/point.h"

#include <stddef.h>
#include <stdint.h>

struct motion;

/* The movement of a device with these points (copied; what they point to must outlive it), and
 * their first values, which are the same at every start. What a tag plays it is told from its name,
 * type and access: tags that can be written are kept as they are, "temperature" follows "setpoint"
 * while "pump" is on and falls to the ambient temperature while it is off, counters rise, other
 * numbers wander about what their name suggests, other bools are alarms that flip rarely. 0,
 * -ENOMEM. */
int motion_new(struct motion **out, const struct point *points, size_t count);
void motion_free(struct motion *motion); /* NULL is fine */

/* Moves everything by `seconds`. `random` keeps the state of chance (not 0). */
void motion_step(struct motion *motion, double seconds, uint64_t *random);
