/* Blocks of bytes and the samples in them: see samples.h.
 *
 * Happy path: the bytes are those of the last read, so only the block's time moves. Otherwise each tag
 * whose own bytes changed is decoded once for the comparison and once more whenever it is asked for.
 * Fails when: memory runs out while a block is divided; then it stays whole. */
#include "adapters/modbus/samples.h"

#include "adapters/modbus/codec.h"
#include "adapters/modbus/pdu.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES_MAX = 250 }; /* 125 registers, 2000 bits */

struct samples_block {
    uint8_t *bytes; /* owned; as on the wire, meaningful while the quality is GOOD */
    size_t length;
    enum quality quality; /* NONE, GOOD: the bytes count, BAD: the whole block was refused */
    const char *reason;
    uint64_t now_ms;
    int64_t wall_ms;
};

struct samples {
    const struct modbus_device *device;
    struct plan *plan;
    struct samples_block *blocks; /* plan->block_max */
    size_t *block_of;             /* per tag */
    size_t bad;
};

/* A block as it was before an answer, for the comparison. */
struct before {
    enum quality quality;
    const char *reason;
    uint8_t bytes[BLOCK_BYTES_MAX];
};

static size_t block_length(const struct plan_block *block)
{
    return mapping_is_bits(block->table) ? (block->count + 7u) / 8u : block->count * 2u;
}

static int init_block(struct samples *samples, size_t block)
{
    struct samples_block *b = &samples->blocks[block];
    const struct plan_block *plan = &samples->plan->blocks[block];

    b->length = block_length(plan);
    b->bytes = calloc(1, b->length);
    return b->bytes == NULL ? -ENOMEM : 0;
}

static void assign_tags(struct samples *samples, size_t block)
{
    const struct plan_block *plan = &samples->plan->blocks[block];

    for (size_t i = 0; i < plan->tag_count; i++)
        samples->block_of[plan->tags[i]] = block;
}

int samples_new(struct samples **out, const struct modbus_device *device)
{
    struct samples *s = calloc(1, sizeof *s);
    int rc;

    if (s == NULL)
        return -ENOMEM;
    s->device = device;
    rc = plan_new(&s->plan, device);
    if (rc < 0)
        goto fail;
    rc = -ENOMEM;
    s->blocks = calloc(s->plan->block_max + 1, sizeof *s->blocks);
    s->block_of = calloc(device->tag_count + 1, sizeof *s->block_of);
    if (s->blocks == NULL || s->block_of == NULL)
        goto fail;
    for (size_t i = 0; i < device->tag_count; i++)
        s->block_of[i] = SAMPLES_NO_BLOCK;
    for (size_t i = 0; i < s->plan->block_count; i++) {
        rc = init_block(s, i);
        if (rc < 0)
            goto fail;
        assign_tags(s, i);
    }
    *out = s;
    return 0;

fail:
    samples_free(s);
    return rc;
}

void samples_free(struct samples *samples)
{
    if (samples == NULL)
        return;
    for (size_t i = 0; samples->blocks != NULL && i < samples->plan->block_max; i++)
        free(samples->blocks[i].bytes);
    free(samples->blocks);
    free(samples->block_of);
    plan_free(samples->plan);
    free(samples);
}

struct plan *samples_plan(const struct samples *samples)
{
    return samples->plan;
}

size_t samples_block(const struct samples *samples, size_t tag)
{
    return samples->block_of[tag];
}

/* ---- a tag's sample out of its block ---- */

static struct sample sample_of(const struct modbus_tag *tag, uint16_t start, enum quality quality,
                               const char *reason, const uint8_t *bytes)
{
    struct sample sample = { .quality = quality };

    if (quality == QUALITY_BAD)
        sample.reason = reason;
    if (quality != QUALITY_GOOD)
        return sample;
    sample.raw_length = (uint8_t)codec_raw(tag, start, bytes, sample.raw);
    if (codec_decode(tag, sample.raw, &sample.value, &sample.reason) < 0)
        sample.quality = QUALITY_BAD;
    return sample;
}

void samples_latest(const struct samples *samples, size_t tag, struct sample *out)
{
    size_t number = samples->block_of[tag];
    const struct samples_block *b;

    *out = (struct sample){ .quality = QUALITY_NONE };
    if (number == SAMPLES_NO_BLOCK)
        return;
    b = &samples->blocks[number];
    *out = sample_of(&samples->device->tags[tag], samples->plan->blocks[number].start, b->quality,
                     b->reason, b->bytes);
    out->now_ms = b->now_ms;
    out->wall_ms = b->wall_ms;
}

size_t samples_bad(const struct samples *samples)
{
    return samples->bad;
}

/* ---- a block was answered ---- */

static bool same(const struct sample *a, const struct sample *b)
{
    return a->quality == b->quality && value_equal(a->value, b->value) &&
           (a->reason == b->reason ||
            (a->reason != NULL && b->reason != NULL && strcmp(a->reason, b->reason) == 0));
}

/* The block holds its new content already, so that who is told may ask for it. All bad tags are counted
 * before the first is told, for the same reason. */
static void tell_changes(struct samples *samples, size_t block, const struct before *before,
                         samples_changed *changed, void *context)
{
    const struct plan_block *plan = &samples->plan->blocks[block];

    for (size_t i = 0; i < plan->tag_count; i++) {
        const struct modbus_tag *tag = &samples->device->tags[plan->tags[i]];
        struct sample old, now;

        old = sample_of(tag, plan->start, before->quality, before->reason, before->bytes);
        samples_latest(samples, plan->tags[i], &now);
        samples->bad -= old.quality == QUALITY_BAD;
        samples->bad += now.quality == QUALITY_BAD;
    }
    for (size_t i = 0; i < plan->tag_count; i++) {
        const struct modbus_tag *tag = &samples->device->tags[plan->tags[i]];
        struct sample old, now;

        old = sample_of(tag, plan->start, before->quality, before->reason, before->bytes);
        samples_latest(samples, plan->tags[i], &now);
        if (!same(&old, &now))
            changed(context, plan->tags[i], &now);
    }
}

static struct before remember(const struct samples_block *b)
{
    struct before before = { .quality = b->quality, .reason = b->reason };

    memcpy(before.bytes, b->bytes, b->length);
    return before;
}

void samples_read(struct samples *samples, size_t block, const uint8_t *data, uint64_t now_ms,
                  int64_t wall_ms, samples_changed *changed, void *context)
{
    struct samples_block *b = &samples->blocks[block];
    struct before before;

    b->now_ms = now_ms;
    b->wall_ms = wall_ms;
    if (b->quality == QUALITY_GOOD && memcmp(b->bytes, data, b->length) == 0)
        return;
    before = remember(b);
    memcpy(b->bytes, data, b->length);
    b->quality = QUALITY_GOOD;
    b->reason = NULL;
    tell_changes(samples, block, &before, changed, context);
}

void samples_refused(struct samples *samples, size_t block, const char *reason, uint64_t now_ms,
                     int64_t wall_ms, samples_changed *changed, void *context)
{
    struct samples_block *b = &samples->blocks[block];
    struct before before;

    b->now_ms = now_ms;
    b->wall_ms = wall_ms;
    if (b->quality == QUALITY_BAD && strcmp(b->reason, reason) == 0)
        return;
    before = remember(b);
    b->quality = QUALITY_BAD;
    b->reason = reason;
    tell_changes(samples, block, &before, changed, context);
}

/* ---- dividing ---- */

static void copy_part(const struct plan_block *from, const uint8_t *whole,
                      const struct plan_block *part, uint8_t *out)
{
    size_t skip = (size_t)part->start - from->start;

    if (!mapping_is_bits(part->table)) {
        memcpy(out, whole + skip * 2, part->count * 2u);
        return;
    }
    for (size_t i = 0; i < part->count; i++)
        if (pdu_bit(whole, skip + i))
            out[i / 8] |= (uint8_t)(1u << i % 8);
}

int samples_split(struct samples *samples, size_t block)
{
    struct samples_block *lower = &samples->blocks[block];
    struct samples_block *upper;
    struct plan_block whole = samples->plan->blocks[block];
    uint8_t *bytes = calloc(1, lower->length); /* as much as the part can need */
    size_t added;
    int rc;

    if (bytes == NULL)
        return -ENOMEM;
    rc = plan_split(samples->plan, block, &added);
    if (rc < 0) {
        free(bytes);
        return rc;
    }
    upper = &samples->blocks[added];
    *upper = *lower;
    upper->bytes = bytes;
    upper->length = block_length(&samples->plan->blocks[added]);
    copy_part(&whole, lower->bytes, &samples->plan->blocks[added], bytes);
    lower->length = block_length(&samples->plan->blocks[block]);
    assign_tags(samples, added);
    return 0;
}
