/* The Modbus adapter between a real loop with a fake clock and a fake stream (tcp_new of this fixture) with a
 * small device at its end, for test_modbus.c. Time passes only when nothing else is left to do, and then
 * at once: uv_timer_start is wrapped.
 *
 * Three devices: "idle" on the disabled connection "spare", "boiler" with everything and "parked", which is
 * disabled, on "plant". Polls every 20 ms, 30 ms for an answer. */
#pragma once

#include "adapters/adapter.h"

#include <uv.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping;
struct stream_events;

enum { SPARE, PLANT };
enum { IDLE, BOILER, PARKED };
enum { LEVEL, RATE, STEP, HOLE, PUMP, WISH, BLIND };
enum { REGISTERS = 64, LOG = 8192, PATIENCE = 50000 };

struct fixture {
    uv_loop_t loop;
    struct env env;
    struct mapping *mapping;
    const struct config *config; /* of the mapping */
    struct adapter *adapter;
    bool close_asked, closed;
    unsigned turns; /* so far; a test that takes too many hangs */

    uint64_t now_ms; /* the fake clock, and the timer that waits for it */
    uint64_t due_ms;
    uv_timer_t *timer;
    uv_timer_cb on_timer;

    /* what the fake stream was told, and has to tell */
    const struct stream_events *events;
    void *owner;
    bool opening, open, closing;
    uint8_t request[260];
    size_t request_length;

    /* the device */
    uint16_t registers[REGISTERS];
    bool coils[8];
    bool mute, absent, stubborn; /* no answers; refuses connections; ignores writes */
    int hole;                    /* a register that is refused; -1 = none */
    unsigned reads, writes;

    /* what the owner was told */
    char log[LOG];
    size_t told;
    bool in_call, told_inside;
    size_t close_at; /* closes the adapter from inside this event; 0 = never */
};

/* For cmocka: the world alone; with the adapter of "plant" opened; connected, everything read and nothing
 * noted. The end checks that `closed` came, as the last event, and that the loop closes. */
int set_up_world(void **state);
int set_up(void **state);
int set_up_running(void **state);
int tear_down(void **state);

extern const struct adapter_events owner_events; /* they fill the log */

void open_adapter(struct fixture *f, size_t connection);

/* One turn of the loop, and of the world behind the stream. False when it takes too long, or is closed. */
bool turn(struct fixture *f);

/* Turns until `want` was told; false when it never is. */
bool until(struct fixture *f, const char *want);

/* Turns until the device has served so many more reads. */
void turns(struct fixture *f, unsigned reads);

/* Empties the log. */
void forget(struct fixture *f);

/* Calls of the owner's; an event from inside one is found by tear_down. */
int ask_write(struct fixture *f, size_t tag, struct value value);
int ask_read(struct fixture *f, size_t device, size_t tag);
void ask_close(struct fixture *f);

struct sample latest(const struct fixture *f, size_t tag);
