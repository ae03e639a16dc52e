/* How a simulated unit misbehaves: what was ordered on the control address, and what it makes of a good
 * answer. Pure: bytes in, bytes and times out; chance is handed in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_SILENT, /* takes requests and answers none */
    FAULT_SLOW,   /* takes its time, and the connection waits for it as behind a serial gateway */
    FAULT_LATE,   /* answers after a time, those that are asked meanwhile go before */
    FAULT_EXCEPTION, /* answers with an exception, to everything or to what touches one address */
    FAULT_HANGUP,    /* closes the connection when it is asked */
    /* What libmodbus would never send, FAULT_WIRE_FIRST to FAULT_WIRE_LAST. */
    FAULT_SHORT,            /* a PDU without its last byte, in a header that says so */
    FAULT_LONG,             /* a PDU with a byte too many, in a header that says so */
    FAULT_CUT,              /* the last bytes never come, the header counts them */
    FAULT_GLUED,            /* an answer to somebody else before the right one, in one piece */
    FAULT_SPLIT,            /* in pieces of chance */
    FAULT_DRIBBLE,          /* byte by byte */
    FAULT_DUPLICATE,        /* twice */
    FAULT_FOREIGN_ID,       /* another transaction's */
    FAULT_FOREIGN_UNIT,     /* another unit's */
    FAULT_FOREIGN_FUNCTION, /* another function's */
    FAULT_GARBAGE,          /* bytes of chance instead of it */
    FAULT_CLOSE_AT,         /* so many bytes of it, then the connection is closed */
    FAULT_FLOOD,            /* bytes without form, for ever */
    FAULT_STORM,            /* whole answers to nobody, for ever */
    FAULT_ANY,              /* one of the wire faults by chance, each time another */
};

enum {
    FAULT_WIRE_FIRST = FAULT_SHORT,
    FAULT_WIRE_LAST = FAULT_STORM,
    FAULT_FRAME_MAX = 260,                 /* a Modbus/TCP frame */
    FAULT_BYTES_MAX = 2 * FAULT_FRAME_MAX, /* what goes out for one answer, or again and again */
};

struct fault {
    enum fault_kind kind;
    uint32_t delay_ms; /* slow, late */
    uint8_t exception;
    int address;      /* of the exception; -1 = every address */
    uint32_t at;      /* close-at: bytes that still go out */
    uint32_t times;   /* answers that it is for; 0 = no end */
    uint32_t percent; /* share of the answers, 1 to 100 */
};

/* Reads "silent", "slow 2s", "late 2s", "exception 2 100", "hangup", "wire KIND", "wire close-at 5", "ok"
 * in `count` words, all but the exception with a number of times or a share behind ("3", "30%"), the
 * exception with a share. 0; -EINVAL, *out untouched. */
int fault_parse(struct fault *out, char *const *words, size_t count);

/* What the next answer suffers: never FAULT_ANY. Counts the times down; after the last the fault is
 * FAULT_NONE. `random` keeps the state of chance (not 0). */
enum fault_kind fault_next(struct fault *fault, uint64_t *random);

/* Uniform below `bound` (not 0). */
uint32_t fault_chance(uint64_t *random, uint32_t bound);

/* What goes out instead of an answer, piece by piece. */
struct fault_wire {
    uint8_t bytes[FAULT_BYTES_MAX];
    size_t length;
    size_t piece;      /* bytes that go out at a time */
    uint32_t pause_ms; /* between them */
    bool endless;      /* from the start again, until the peer hangs up */
    bool hang_up;      /* after the last byte */
};

/* Makes of a whole good answer (a frame with at least 8 bytes) what a wire fault (`kind` between
 * FAULT_WIRE_FIRST and FAULT_WIRE_LAST) sends; FAULT_NONE and the others: the answer as it is. What an
 * answer to somebody else carries is all ones: a value that no register of a test has. `at` is for
 * FAULT_CLOSE_AT. */
void fault_wire(struct fault_wire *out, enum fault_kind kind, uint32_t at, const uint8_t *answer,
                size_t length, uint64_t *random);
