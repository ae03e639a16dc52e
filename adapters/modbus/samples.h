/* What the blocks of one device last held, and the samples of its tags made from it. Pure.
 *
 * A block keeps its bytes and the time of its last answer; nothing is kept per tag but the number of its
 * block. A block whose bytes did not change costs one comparison, whatever the number of its tags. */
#pragma once

#include "adapters/adapter.h"
#include "adapters/modbus/mapping.h"
#include "adapters/modbus/plan.h"

#include <stddef.h>
#include <stdint.h>

#define SAMPLES_NO_BLOCK SIZE_MAX

struct samples;

/* Told for every tag whose sample has another value, quality or reason than before, first ones included. */
typedef void samples_changed(void *context, size_t tag, const struct sample *sample);

/* Plans the reads of a device, which must outlive it. 0, -ENOMEM. */
int samples_new(struct samples **out, const struct modbus_device *device);
void samples_free(struct samples *samples); /* NULL is fine */

/* The plan; its blocks change in samples_split only. */
struct plan *samples_plan(const struct samples *samples);

/* The block that holds a tag; SAMPLES_NO_BLOCK when the tag is not read (access w). */
size_t samples_block(const struct samples *samples, size_t tag);

/* A block was read: `data` as pdu_response.data, for the whole block. */
void samples_read(struct samples *samples, size_t block, const uint8_t *data, uint64_t now_ms,
                  int64_t wall_ms, samples_changed *changed, void *context);

/* A block was answered with what is no value: its tags are bad. `reason` is a constant. */
void samples_refused(struct samples *samples, size_t block, const char *reason, uint64_t now_ms,
                     int64_t wall_ms, samples_changed *changed, void *context);

/* Divides a block in two (plan_split); both parts keep their tags' samples. 0; -ENOENT: it cannot be
 * divided; -ENOMEM. */
int samples_split(struct samples *samples, size_t block);

/* The present sample of a tag. */
void samples_latest(const struct samples *samples, size_t tag, struct sample *out);

/* Tags that are bad. */
size_t samples_bad(const struct samples *samples);
