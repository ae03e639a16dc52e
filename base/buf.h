/* A growable run of bytes with a maximum: every buffer that a peer can fill is one of these.
 *
 * The first failure sticks: later additions do nothing and return the same error, so that a document
 * is written with one check at its end (buf_error). Always NUL-terminated behind `length` while
 * `bytes` is not NULL. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *bytes; /* owned; NULL while nothing was added */
    size_t length;
    size_t capacity;
    size_t max; /* most bytes it may ever hold */
    int error;  /* 0, -ENOMEM or -ENOSPC; cleared by buf_clear only */
};

/* An empty buffer that grows up to `max` bytes. Never fails, allocates nothing. */
void buf_init(struct buf *buf, size_t max);

/* Frees the bytes; the buffer is then as after buf_init. Safe on a zeroed struct. */
void buf_done(struct buf *buf);

/* Forgets content and error, keeps the memory. */
void buf_clear(struct buf *buf);

/* Appends a copy of `length` bytes. 0, -ENOSPC over `max`, -ENOMEM; the content is untouched then. */
int buf_add(struct buf *buf, const void *bytes, size_t length);

/* Appends a text without its NUL. Errors of buf_add. */
int buf_add_text(struct buf *buf, const char *text);

/* Appends one byte. Errors of buf_add. */
int buf_add_byte(struct buf *buf, uint8_t byte);

/* Appends formatted text. Errors of buf_add. */
__attribute__((format(printf, 2, 3))) int buf_printf(struct buf *buf, const char *format, ...);

/* Appends a text as a JSON string, quotes included; control characters escaped. Errors of buf_add. */
int buf_add_json(struct buf *buf, const char *text);

/* Makes room for `length` more bytes and returns where they start; buf_commit then says how many
 * were written. NULL when there is no room (the error sticks). */
uint8_t *buf_reserve(struct buf *buf, size_t length);
void buf_commit(struct buf *buf, size_t length);

/* Drops `length` bytes (at most all) from the front. */
void buf_consume(struct buf *buf, size_t length);

/* The content as a text, never NULL: "" while empty. Valid until the next change. */
const char *buf_text(const struct buf *buf);
