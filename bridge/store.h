/* What must survive a crash: per tag the last order of the desired document and its result. One SQLite
 * file, WAL, synchronous FULL, never on the loop thread: one job at a time in libuv's pool, in order.
 *
 *   store_put --> queue --> job (one transaction for all that waits) --> committed, in order
 *
 * While a job runs, further puts gather for the next one. A database that is damaged or cannot be
 * written does not stop anything: it is set aside (damaged) or shown (full), puts are answered with the
 * error, and the next put tries again. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct store;

enum { STORE_QUEUE_MAX = 10000 }; /* puts that wait; more are refused */

/* The last order for one property. */
struct record {
    const char *module;
    const char *device; /* "" for a name at the top that is no tag */
    const char
        *tag; /* "" with device "": the row of the module, whose `version` is the highest seen */
    int64_t version;     /* av */
    const char *desired; /* the value as ordered, JSON text; NULL = forget the row */
    int code;            /* ac; 0 = meant to be sent, outcome not known (write_once) */
    const char *detail;  /* ad */
    const char *value;   /* what was written, JSON text, of tags that cannot be read; "" = none */
};

/* Opens or makes `<folder>/twinbridge.db` (folder too, 0700). Blocks: call it before the loop runs.
 * 0 with *out also when the old file was damaged: it is renamed and *lost is set. -errno with `err`:
 * the folder cannot be used; the bridge then runs without. */
int store_open(struct store **out, struct uv_loop_s *loop, const char *folder, bool *lost,
               struct err *err);

/* Every row of a module, before the loop runs. `each` must not keep the texts. 0 or -EIO. */
int store_each(struct store *store, const char *module,
               void (*each)(void *data, const struct record *record), void *data);

/* Queues a row, copied. 0: `committed` follows once, from the loop, in the order of the puts, `rc` 0 or
 * -EIO / -ENOSPC. -ENOBUFS when the queue is full, -ENOMEM. */
int store_put(struct store *store, const struct record *record,
              void (*committed)(void *owner, uintptr_t token, int rc), void *owner,
              uintptr_t token);

/* Why nothing can be stored; "" when all is well. */
const char *store_error(const struct store *store);

/* Writes what is queued, then `closed` once from the loop (not from inside); freed behind it. */
void store_close(struct store *store, void (*closed)(void *data), void *data);
