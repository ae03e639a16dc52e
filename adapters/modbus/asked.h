/* What the owner of the seam has asked of one device and waits for: at most one read and one write of each
 * tag. Pure.
 *
 * A read waits for the next answer that carries its tag. A write is queued on the line; when the device
 * has accepted it, it waits like a read for the answer that says whether it did what was asked. */
#pragma once

#include "adapters/adapter.h"
#include "adapters/modbus/line.h"
#include "adapters/modbus/mapping.h"
#include "adapters/modbus/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum asked_phase {
    ASKED_IDLE,
    ASKED_QUEUED,    /* the line has it */
    ASKED_VERIFYING, /* accepted, to be read back */
};

struct asked_write {
    struct line_write write; /* first: the line hands it back */
    size_t tag;
    enum asked_phase phase;
};

struct asked {
    const struct modbus_device *device;
    struct asked_write *writes; /* one per writable tag, in the order of the tags; owned */
    size_t write_count;
    uint8_t *reads; /* per tag; owned */
    size_t waiting; /* reads, and writes that are being verified */
};

/* `device` must outlive it. 0, -ENOMEM; asked_done is right after both. */
int asked_init(struct asked *asked, const struct modbus_device *device);
void asked_done(struct asked *asked); /* fine on a zeroed struct */

/* A read of a readable tag is asked for. 0, -EAGAIN: one is under way. */
int asked_read(struct asked *asked, size_t tag);

/* A write is asked for: *out is ready for line_write but for device, deadline and retries. 0; -EINVAL: not
 * writable, or the wrong type; -ERANGE: the registers cannot hold it; -EAGAIN: one is under way. */
int asked_write(struct asked *asked, size_t tag, struct value value, struct line_write **out);

/* The device accepted it; it waits to be read back. */
void asked_verify(struct asked *asked, struct asked_write *write);

/* It is answered: another may be asked for. */
void asked_write_end(struct asked *asked, struct asked_write *write);

/* An answer that carries a block begins, or ends without bringing anything: reads that are asked for from
 * here on (by an owner inside an event) wait for a later one. */
void asked_answered(struct asked *asked, const struct plan_block *block);

/* Whether a read of `tag` waited for that answer; it does no longer. */
bool asked_read_end(struct asked *asked, size_t tag);

/* Any read of `tag`, whatever it waits for; for the end of everything. */
bool asked_read_cancel(struct asked *asked, size_t tag);

/* The write of `tag` that waits to be read back; NULL when there is none. */
struct asked_write *asked_verifying(const struct asked *asked, size_t tag);

/* What became of a write: `rc` and `sample` are the end of the read of its tag. */
struct write_result asked_judge(const struct asked *asked, const struct asked_write *write, int rc,
                                const struct sample *sample);
