/* Answers that go out later, in pieces, or for ever: bytes with times on a socket. */
#pragma once

#include "tests/sim/modbussim/fault.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct delivery;

struct delivery_open {
    uv_loop_t *loop;
    int fd;                        /* borrowed until the end */
    const struct fault_wire *wire; /* copied */
    uint32_t delay_ms;             /* before the first piece */
    const bool *wait_while; /* somebody else is in the middle of an answer; NULL: nobody is */

    /* The last byte is out (`rc` 0), or the peer takes no more (-errno). The delivery is over and must not
     * be cancelled any more. */
    void (*done)(void *owner, struct delivery *delivery, int rc);
    /* Its memory is gone: once for every delivery, also a cancelled one. */
    void (*closed)(void *owner);
    void *owner;
};

/* Sends it; nothing goes out and nothing is told before this returns. 0, -ENOMEM. */
int delivery_new(struct delivery **out, const struct delivery_open *args);

/* Whether the peer is to be hung up on after it. */
bool delivery_hangs_up(const struct delivery *delivery);

/* Sends nothing more; `done` does not come. */
void delivery_cancel(struct delivery *delivery);
