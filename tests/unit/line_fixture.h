/* A line between a fake stream and a fake clock, for test_line.c and test_traffic.c. The peer's part is
 * played by the tests, frame by frame.
 *
 * Two units, 1 and 2, of three blocks each: holding registers 0 to 3 (four tags), holding register 100,
 * coils 5 and 6. Polls every second, 500 ms for an answer, one retry, offline after three. */
#pragma once

#include "adapters/modbus/line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNITS = 2, TAGS = 7, WRITES = 4, START = 1000000, LOG = 4096 };
enum { MAIN_BLOCK, SIDE_BLOCK, COIL_BLOCK }; /* found by set_up */

struct request { /* as it was sent */
    uint16_t transaction;
    uint8_t unit_id, function;
    uint16_t address, count; /* of a write: what stands there */
};

struct fixture {
    struct stream stream; /* first: the fake stream is the fixture */
    struct modbus_tag tags[TAGS];
    struct modbus_device devices[UNITS];
    struct modbus_connection connection;
    struct plan *plans[UNITS];
    size_t block[3]; /* where the plan has them */
    struct env env;
    struct line *line;
    struct line_write writes[WRITES];

    uint64_t now_ms, next_ms; /* next_ms: what the last tick wanted */
    uint32_t random;
    uint64_t (*now_us)(void); /* for line_open */
    int open_rc;
    unsigned opens, closes, sent;
    bool is_open;
    struct request last; /* the last request sent */
    bool can_split;
    size_t events;
    size_t stop_at; /* line_stop from inside this event; 0 = never */
    char log[LOG];
};

/* The two units and their world, without a line yet; then line_new. NULL, -ENOMEM without memory. */
struct fixture *line_fixture_new(void);
int line_fixture_line(struct fixture *f, bool enabled);

/* For cmocka: a line that was never ticked; one that is connected and has read everything once; the end
 * of both. */
int set_up(void **state);
int set_up_running(void **state);
int tear_down(void **state);

extern const struct line_events fixture_events;

/* What was told since the last call: "connected;unit1 online;unit1.0 ok;write0 done;" ... */
const char *noted(struct fixture *f);

void tick(struct fixture *f);

/* Time passes, and every tick that the line wants is made when it wants it. */
void pass(struct fixture *f, uint64_t ms);

/* The stream tells something; a tick follows. */
void opened(struct fixture *f);
void closed(struct fixture *f, const char *why);
void bytes(struct fixture *f, const uint8_t *data, size_t length);

/* A response to `request`: zeros for a read, the echo for a write; returns its length. */
size_t response(const struct request *request, uint8_t out[300]);

/* The last request is answered, or refused. */
void answer(struct fixture *f);
void refuse(struct fixture *f, uint8_t exception);

/* Answers everything that is asked now, but for `silent` (a unit id, 0 = nobody): its request stays. */
void answer_all(struct fixture *f, uint8_t silent);

/* Queues writes[number] of value 1 with one retry, and ticks. */
void queue_write(struct fixture *f, size_t number, size_t device, size_t tag, uint64_t deadline_ms);

const struct unit *unit(const struct fixture *f, size_t device);
