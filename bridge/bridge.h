/* The running gateway: owns the connections, the modules, the store and the status server on one loop,
 * and carries what they say to each other. Decides nothing about twins (module.c) or buses (adapters). */
#pragma once

#include "base/err.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;
struct bridge;

enum { BRIDGE_STOP_MS = 2000 }; /* a stop takes no longer */

/* Opens everything on `loop` and starts; borrows `config`. Absent devices, hub, credentials or state
 * folder are no error: they are said, shown and tried again. 0, -ENOMEM, or -errno with `err` (status
 * address in use, no event-loop plugin). On failure whatever was opened is closed: run the loop once
 * more until it returns. */
int bridge_start(struct bridge **out, struct uv_loop_s *loop, const struct config *config,
                 struct err *err);

/* Says goodbye to the hub, then closes everything: the loop then runs out of handles. `stopped` comes
 * once; the bridge is freed behind it. A second call does nothing. */
void bridge_stop(struct bridge *bridge, void (*stopped)(void *data), void *data);

/* What holds a stop up, for the line that says so; "" when nothing does. */
const char *bridge_waits_for(const struct bridge *bridge);
