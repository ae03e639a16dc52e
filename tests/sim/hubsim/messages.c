/* The ring of device-to-cloud messages.
 *
 * Happy path: a message is copied into one block of memory (the struct, its properties, its texts, its
 * body) and hung behind the newest; the oldest are freed until both bounds hold. Fails when: there is
 * no memory, or one message is larger than the whole ring may be; what was kept stays then. */
#include "tests/sim/hubsim/messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    struct kept *next; /* newer */
    size_t bytes;      /* of the block */
    struct hub_message message;
    struct bag_property properties[]; /* texts and body behind them */
};

struct messages {
    size_t count_max, bytes_max;
    size_t count, bytes;
    uint64_t last_number;
    struct kept *oldest, **end;
};

int messages_new(struct messages **out, size_t count_max, size_t bytes_max)
{
    struct messages *messages = calloc(1, sizeof *messages);

    if (messages == NULL)
        return -ENOMEM;
    messages->count_max = count_max;
    messages->bytes_max = bytes_max;
    messages->end = &messages->oldest;
    *out = messages;
    return 0;
}

static void forget_oldest(struct messages *messages)
{
    struct kept *kept = messages->oldest;

    messages->oldest = kept->next;
    if (messages->oldest == NULL)
        messages->end = &messages->oldest;
    messages->count--;
    messages->bytes -= kept->bytes;
    free(kept);
}

void messages_free(struct messages *messages)
{
    if (messages == NULL)
        return;
    while (messages->oldest != NULL)
        forget_oldest(messages);
    free(messages);
}

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static size_t block_size(const struct hub_message *message)
{
    size_t size = sizeof(struct kept) + message->property_count * sizeof(struct bag_property);

    size += text_size(message->device_id) + text_size(message->module_id) + message->length;
    for (size_t i = 0; i < message->property_count; i++)
        size += text_size(message->properties[i].name) + text_size(message->properties[i].value);
    return size;
}

static const char *copy_text(char **to, const char *text)
{
    size_t size = text_size(text);

    if (text == NULL)
        return NULL;
    memcpy(*to, text, size);
    *to += size;
    return *to - size;
}

static void copy(struct kept *kept, const struct hub_message *message)
{
    char *to = (char *)&kept->properties[message->property_count];

    kept->message = *message;
    kept->message.device_id = copy_text(&to, message->device_id);
    kept->message.module_id = copy_text(&to, message->module_id);
    for (size_t i = 0; i < message->property_count; i++) {
        kept->properties[i] = message->properties[i];
        kept->properties[i].name = copy_text(&to, message->properties[i].name);
        kept->properties[i].value = copy_text(&to, message->properties[i].value);
    }
    kept->message.properties = kept->properties;
    if (message->length > 0)
        memcpy(to, message->body, message->length);
    kept->message.body = to;
}

int messages_add(struct messages *messages, const struct hub_message *message)
{
    size_t bytes = block_size(message);
    struct kept *kept;

    if (bytes > messages->bytes_max)
        return -EFBIG;
    kept = malloc(bytes);
    if (kept == NULL)
        return -ENOMEM;
    kept->next = NULL;
    kept->bytes = bytes;
    copy(kept, message);
    kept->message.number = ++messages->last_number;
    while (messages->count == messages->count_max || messages->bytes + bytes > messages->bytes_max)
        forget_oldest(messages);
    *messages->end = kept;
    messages->end = &kept->next;
    messages->count++;
    messages->bytes += bytes;
    return 0;
}

void messages_each(const struct messages *messages, uint64_t after, size_t limit,
                   hub_visit_message *visit, void *data)
{
    for (const struct kept *kept = messages->oldest; kept != NULL && limit > 0; kept = kept->next) {
        if (kept->message.number <= after)
            continue;
        visit(data, &kept->message);
        limit--;
    }
}
