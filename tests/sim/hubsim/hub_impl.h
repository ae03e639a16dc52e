/* What the files of hub.h share: the hub itself. Nobody else includes this. */
#pragma once

#include "tests/sim/hubsim/hub.h"

struct hub {
    struct hub_options options;
    struct access access;
    struct registry *registry;
    struct hub_client *clients;

    struct messages *messages; /* device-to-cloud */

    struct hub_call *calls; /* direct methods under way, oldest first */
    size_t call_count;
    uint32_t last_rid;
    bool closing; /* no more of them */

    void (*wake)(void *data); /* NULL = nobody is told */
    void *wake_data;
};

/* ---- hub.c ---- */

/* The connection of an identity, NULL when there is none. */
struct hub_client *hub_find_client(const struct hub *hub, const char *device_id,
                                   const char *module_id);

/* ---- hub_methods.c ---- */

/* Ends the calls to an identity, and below a device those to its modules; NULL = all calls. Those that
 * are made from inside stay. */
void hub_end_calls(struct hub *hub, const char *device_id, const char *module_id, int rc);
