#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_SMALLEST = 64 };

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){ .max = max };
}

void buf_done(struct buf *buf)
{
    free(buf->bytes);
    buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
    buf->length = 0;
    buf->error = 0;
    if (buf->bytes != NULL)
        buf->bytes[0] = 0;
}

uint8_t *buf_reserve(struct buf *buf, size_t length)
{
    size_t capacity;
    uint8_t *grown;

    if (buf->error != 0)
        return NULL;
    if (length > buf->max - buf->length) {
        buf->error = -ENOSPC;
        return NULL;
    }
    if (buf->length + length + 1 <= buf->capacity)
        return buf->bytes + buf->length;

    capacity = buf->capacity < BUF_SMALLEST ? BUF_SMALLEST : buf->capacity;
    while (capacity < buf->length + length + 1)
        capacity += capacity / 2;
    if (capacity > buf->max + 1)
        capacity = buf->max + 1;
    grown = realloc(buf->bytes, capacity);
    if (grown == NULL) {
        buf->error = -ENOMEM;
        return NULL;
    }
    grown[buf->length] = 0;
    buf->bytes = grown;
    buf->capacity = capacity;
    return grown + buf->length;
}

void buf_commit(struct buf *buf, size_t length)
{
    assert(buf->length + length < buf->capacity);
    buf->length += length;
    buf->bytes[buf->length] = 0;
}

int buf_add(struct buf *buf, const void *bytes, size_t length)
{
    uint8_t *room = buf_reserve(buf, length);

    if (room == NULL)
        return buf->error;
    if (length > 0)
        memcpy(room, bytes, length);
    buf_commit(buf, length);
    return 0;
}

int buf_add_text(struct buf *buf, const char *text)
{
    return buf_add(buf, text, strlen(text));
}

int buf_add_byte(struct buf *buf, uint8_t byte)
{
    return buf_add(buf, &byte, 1);
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    uint8_t *room;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(length >= 0);
    room = buf_reserve(buf, (size_t)length);
    if (room == NULL)
        return buf->error;
    va_start(args, format);
    vsnprintf((char *)room, (size_t)length + 1, format, args);
    va_end(args);
    buf_commit(buf, (size_t)length);
    return 0;
}

int buf_add_json(struct buf *buf, const char *text)
{
    buf_add_byte(buf, '"');
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            buf_add_byte(buf, '\\');
        if (c < 0x20 || c == 0x7f)
            buf_printf(buf, "\\u%04x", c);
        else
            buf_add_byte(buf, c);
    }
    return buf_add_byte(buf, '"');
}

void buf_consume(struct buf *buf, size_t length)
{
    if (length > buf->length)
        length = buf->length;
    if (length == 0)
        return;
    buf->length -= length;
    memmove(buf->bytes, buf->bytes + length, buf->length);
    buf->bytes[buf->length] = 0;
}

const char *buf_text(const struct buf *buf)
{
    return buf->bytes == NULL ? "" : (const char *)buf->bytes;
}
