/* The state of a hub as JSON, for people and scripts: hubsim --dump. */
#pragma once

#include "tests/sim/hubsim/registry.h"

#include <stdbool.h>
#include <stdio.h>

/* Prints everything that the registry holds: {"devices":[...],"modules":[...],"policies":[...]}, each
 * identity with its twin, its MQTT session (null = none) and its queue of cloud-to-device messages.
 * Keys only with `keys`, otherwise they are "". 0, -EIO (the state, or `out`), -ENOMEM. */
int dump_print(struct registry *registry, bool keys, FILE *out);
