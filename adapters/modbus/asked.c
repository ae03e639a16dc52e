/* Book of what was asked: see asked.h. Fails only for want of memory at asked_init. */
#include "adapters/modbus/asked.h"

#include "adapters/modbus/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum read_phase { READ_IDLE, READ_WAITING, READ_ANSWERED };

static bool is_writable(const struct modbus_tag *tag)
{
    return (tag->access & CONFIG_WRITE) != 0;
}

int asked_init(struct asked *asked, const struct modbus_device *device)
{
    size_t count = 0;

    for (size_t i = 0; i < device->tag_count; i++)
        count += is_writable(&device->tags[i]);
    *asked = (struct asked){ .device = device };
    asked->reads = calloc(device->tag_count + 1, sizeof *asked->reads);
    asked->writes = calloc(count + 1, sizeof *asked->writes);
    if (asked->reads == NULL || asked->writes == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < device->tag_count; i++)
        if (is_writable(&device->tags[i]))
            asked->writes[asked->write_count++].tag = i;
    return 0;
}

void asked_done(struct asked *asked)
{
    free(asked->reads);
    free(asked->writes);
    *asked = (struct asked){ .device = NULL };
}

static struct asked_write *find_write(const struct asked *asked, size_t tag)
{
    size_t low = 0;
    size_t high = asked->write_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (asked->writes[middle].tag == tag)
            return &asked->writes[middle];
        if (asked->writes[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int asked_read(struct asked *asked, size_t tag)
{
    if (asked->reads[tag] != READ_IDLE)
        return -EAGAIN;
    asked->reads[tag] = READ_WAITING;
    asked->waiting++;
    return 0;
}

int asked_write(struct asked *asked, size_t tag, struct value value, struct line_write **out)
{
    struct asked_write *write = find_write(asked, tag);
    uint8_t raw[CODEC_RAW_MAX] = { 0 };
    int rc;

    if (write == NULL)
        return -EINVAL;
    rc = codec_encode(&asked->device->tags[tag], value, raw);
    if (rc < 0)
        return rc;
    if (write->phase != ASKED_IDLE)
        return -EAGAIN;
    write->phase = ASKED_QUEUED;
    write->write = (struct line_write){ .tag = &asked->device->tags[tag] };
    memcpy(write->write.raw, raw, sizeof raw);
    *out = &write->write;
    return 0;
}

void asked_verify(struct asked *asked, struct asked_write *write)
{
    write->phase = ASKED_VERIFYING;
    asked->waiting++;
}

void asked_write_end(struct asked *asked, struct asked_write *write)
{
    if (write->phase == ASKED_VERIFYING)
        asked->waiting--;
    write->phase = ASKED_IDLE;
}

void asked_answered(struct asked *asked, const struct plan_block *block)
{
    for (size_t i = 0; i < block->tag_count; i++)
        if (asked->reads[block->tags[i]] == READ_WAITING)
            asked->reads[block->tags[i]] = READ_ANSWERED;
}

bool asked_read_end(struct asked *asked, size_t tag)
{
    return asked->reads[tag] == READ_ANSWERED && asked_read_cancel(asked, tag);
}

bool asked_read_cancel(struct asked *asked, size_t tag)
{
    if (asked->reads[tag] == READ_IDLE)
        return false;
    asked->reads[tag] = READ_IDLE;
    asked->waiting--;
    return true;
}

struct asked_write *asked_verifying(const struct asked *asked, size_t tag)
{
    struct asked_write *write = find_write(asked, tag);

    return write != NULL && write->phase == ASKED_VERIFYING ? write : NULL;
}

static bool reads_equal(const struct modbus_tag *tag, const uint8_t *raw,
                        const struct sample *sample)
{
    struct value wanted;
    const char *reason;

    if (sample->raw_length > 0 && memcmp(sample->raw, raw, sample->raw_length) == 0)
        return true;
    /* One value may have two patterns: 0 and -0 of a float. */
    return codec_decode(tag, raw, &wanted, &reason) == 0 && value_equal(wanted, sample->value);
}

struct write_result asked_judge(const struct asked *asked, const struct asked_write *write, int rc,
                                const struct sample *sample)
{
    const struct modbus_tag *tag = &asked->device->tags[write->tag];
    struct write_result result = { .outcome = WRITE_NO_ANSWER, .detail = "" };

    if (rc == 0) {
        result.readback = *sample;
        result.outcome = reads_equal(tag, write->write.raw, sample) ? WRITE_DONE : WRITE_DIFFERS;
        return result;
    }
    switch (rc) {
    case -ECANCELED:
        result.detail = "accepted, but twinbridge stopped before it was read back";
        break;
    case -EREMOTEIO:
        result.detail = "accepted, but the device refuses to read it back: is \"access\" \"w\"?";
        break;
    default:
        result.detail = "accepted, but it could not be read back";
        break;
    }
    return result;
}
