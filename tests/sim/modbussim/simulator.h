/* All simulated devices of one mapping file, and where they answer. */
#pragma once

#include "adapters/modbus/mapping.h"
#include "tests/sim/modbussim/address.h"
#include "tests/sim/modbussim/control.h"
#include "tests/sim/modbussim/motion.h"
#include "tests/sim/modbussim/point.h"
#include "tests/sim/modbussim/registers.h"
#include "tests/sim/modbussim/server.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* One connection of the mapping file; those with the same address have the same `leader`. */
struct line {
    struct modbus_connection *mapping;
    char host[256];
    uint16_t port;
    size_t leader;               /* index of the line that listens; often itself */
    struct registers *registers; /* of the leader only */
    struct server *server;       /* of the leader only */
    char address[ADDRESS_TEXT_MAX];
};

struct simulator {
    struct config *config;
    uv_loop_t loop;
    uv_timer_t step;
    uv_signal_t signals[2];
    struct line *lines;    /* one for each connection of the config */
    struct point **points; /* by device of the config, then tag */
    struct motion **motions;
    struct control *control;
    size_t client_count;
    uint64_t random;
    uint64_t stepped_ms;
};
