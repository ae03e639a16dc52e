/* What goes over a line and what becomes of it: the other half of line.c, private to it. Pure.
 *
 * line.c owns the connection and the time; this owns the transaction in flight, the queue of writes and
 * the turns of the units. Everything here may call the owner's events, and any event may stop the line:
 * after each call line->stopped is asked. */
#pragma once

#include "adapters/modbus/framing.h"
#include "adapters/modbus/line.h"
#include "adapters/modbus/load.h"
#include "adapters/modbus/pdu.h"
#include "adapters/modbus/turn.h"
#include "base/backoff.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes without form and answers to nobody that a line bears between two good answers. */
enum { TRAFFIC_JUNK_MAX = 4096 };

struct transaction {
    bool active;
    uint16_t id;
    struct turn_unit *unit;
    size_t block;             /* of a read */
    struct line_write *write; /* NULL = a read */
    uint64_t sent_ms, deadline_ms;
    uint64_t sent_us; /* of line_open.now_us */
    struct pdu request;
};

/* What every answer touches stands first: with a thousand lines each part of it is a miss of the cache. */
struct line {
    struct line_open args;
    enum connection_state state;
    bool stopped;
    bool stream_open; /* from a successful open to line_closed */
    bool torn;        /* when the request was sent, a part of an older answer had come */
    uint16_t last_id;
    size_t junk;        /* bytes without form, or answers to nobody, since the last good answer */
    uint64_t now_us;    /* read during this event and its tick; 0 = not yet */
    uint64_t retry_ms;  /* no new connection before */
    uint64_t quiet_ms;  /* nothing is sent before: connect_delay, request_delay */
    uint64_t probes_ms; /* no device that is known to be dead is probed before */
    uint32_t failures;  /* connections failed or lost in a row, since the last answer */

    size_t unit_count;
    size_t turn;               /* of turn_due */
    struct line_write *writes; /* in order; the one in flight stays in the list */
    struct line_write **writes_end;
    struct transaction transaction;
    struct framing_reader reader;
    struct load load;

    bool was_connected;
    uint64_t reconnects;
    struct backoff backoff;
    struct err error;
    struct turn_unit units[];
};

/* Sends the next request, if there is one. Only on a connected line with no transaction, past quiet_ms. */
void traffic_send(struct line *line, uint64_t now_ms);

/* A frame came in. */
void traffic_frame(struct line *line, const struct framing_frame *frame);

/* The try in flight got no useful answer; `rc` is that of a read that is given up for it. */
void traffic_fail(struct line *line, enum unit_failure why, int rc);

/* The connection is lost under the try in flight. That is the unit's failure, unless the stream made no
 * sense before it was asked: then a read is just asked again. */
void traffic_lose(struct line *line);

/* Answers what cannot be done now: writes past their deadline, and whatever is asked of a device that is
 * offline or disabled, or without a connection. */
void traffic_drop(struct line *line, uint64_t now_ms);

/* Answers all writes. */
void traffic_cancel(struct line *line);

/* Tells a unit's state when it has changed. */
void traffic_tell_unit(struct line *line, struct turn_unit *unit, bool changed);

/* Units that were found silent are not probed before probes_ms. Others, of which nothing is known since
 * the connection was lost for long, are: the line is to be whole again at once. */
void traffic_defer_probes(struct line *line);

/* When there is something to send or to drop: UINT64_MAX = never. */
uint64_t traffic_next_ms(const struct line *line);
