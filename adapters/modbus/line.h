/* One connection: what goes over it, when, and what becomes of it. A state machine without sockets and
 * timers: it is fed with what the stream tells and with ticks, and drives the stream.
 *
 * One transaction is in flight. Writes go before all scheduled reads, and the read-back of a write
 * before anything else. Reads are served one unit after the other; a unit that let a try go unanswered
 * is not asked again before every read of the other units that was due by then. An offline unit is
 * only probed.
 *
 * The line knows blocks by number and hands their bytes up unseen; what they mean is its owner's.
 * Devices are positions in modbus_connection.devices. Every event may call back into the line. */
#pragma once

#include "adapters/adapter.h"
#include "adapters/modbus/codec.h"
#include "adapters/modbus/mapping.h"
#include "adapters/modbus/plan.h"
#include "adapters/modbus/schedule.h"
#include "adapters/modbus/stream.h"
#include "adapters/modbus/unit.h"
#include "base/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line;

/* The end of a block's read. */
struct line_answer {
    int rc; /* 0: `data` holds the block. -EREMOTEIO: refused with `exception`. -EBADMSG: answered with
               what is no Modbus. -EBUSY: the device is busy, -ETIMEDOUT: no answer after all tries,
               -ENOTCONN: no connection; these three leave what was known as it was */
    uint8_t exception;
    const uint8_t *data; /* as pdu_response.data; valid during the event */
    size_t length;
};

/* A write in the queue. The caller owns it and keeps it from line_write to `written`. */
struct line_write {
    size_t device;
    const struct modbus_tag *tag;
    uint8_t raw[CODEC_RAW_MAX];
    uint64_t deadline_ms; /* not sent after it; 0 = none */
    uint32_t retries;     /* tries after the first that went unanswered */

    uint32_t tries; /* the line's own from here */
    struct line_write *next;
};

struct line_events {
    void (*connection_state)(void *owner, enum connection_state state);
    void (*device_state)(void *owner, size_t device, enum device_state state);

    /* A block was read, or could not be. */
    void (*answer)(void *owner, size_t device, size_t block, const struct line_answer *answer);

    /* The device refused a block of which it may accept a part (exceptions 2 and 3). True: the owner has
     * divided it, the new part is the plan's last block, and the line asks both at once. False: it
     * cannot be divided; `answer` follows. */
    bool (*split)(void *owner, size_t device, size_t block);

    /* Exactly once for every line_write. Nothing was read back yet; WRITE_DIFFERS: the device accepted
     * it, but named another value in its answer. */
    void (*written)(void *owner, struct line_write *write, enum write_outcome outcome,
                    const char *detail);
};

struct line_open {
    const struct modbus_connection *connection;
    struct plan *const *plans;                 /* one per device */
    bool enabled;                              /* false: nothing is ever opened */
    struct stream *stream;                     /* not owned */
    const struct stream_events *stream_events; /* what the owner hears and feeds to the line ... */
    const struct env *env;
    uint64_t (*now_us)(void); /* monotonic, for latencies alone; NULL = the milliseconds of env */
    const struct line_events *events;
    void *owner; /* ... both with this */
};

/* A line that opens its stream at the first tick. What `args` points to must outlive it (`args` itself
 * need not). 0, -ENOMEM. */
int line_new(struct line **out, const struct line_open *args);
void line_free(struct line *line); /* NULL is fine; only while its stream is not open */

/* Does what is due, and says when it wants the next tick: monotonic ms, 0 = never. Call it after every
 * other call too. */
uint64_t line_tick(struct line *line, uint64_t now_ms);

/* What the stream told. */
void line_opened(struct line *line);
void line_bytes(struct line *line, const uint8_t *bytes, size_t length);
void line_closed(struct line *line, int rc, const char *why);

/* Wishes a block read ahead of the schedule; `answer` tells the end. */
void line_read(struct line *line, size_t device, size_t block, enum schedule_wish wish);

/* Queues a write. It is refused later, not here, when there is no connection, or the device is offline
 * or disabled. */
void line_write(struct line *line, struct line_write *write);

/* How many tags of a device are bad now. */
void line_bad_tags(struct line *line, size_t device, size_t count);

/* Gives up what is on the line and closes the stream; no events any more but those of line_cancel. */
void line_stop(struct line *line);

/* After line_stop: answers every write that is queued. */
void line_cancel(struct line *line);

bool line_stream_open(const struct line *line); /* line_closed is still to come */

enum connection_state line_state(const struct line *line);
const char *line_error(const struct line *line);   /* why it is not connected; "" when it is */
uint64_t line_reconnects(const struct line *line); /* times that it was connected again */
double line_load(const struct line *line, uint64_t now_ms);

/* Health of one device. `state` says nothing of a disabled one. */
const struct unit *line_unit(const struct line *line, size_t device);
int64_t line_last_ok_wall_ms(const struct line *line, size_t device); /* 0 = never */
