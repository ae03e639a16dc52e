/* The header lines of an HTTP answer, kept as they come. Pure. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEADER_BYTES_MAX = 64 * 1024 };

/* Takes a line, with or without its end: a header is kept, a status line forgets those of the
 * answer before (100, or one that was repeated). `headers` begins as buf_init(&headers,
 * HEADER_BYTES_MAX). 0, -ENOSPC, -ENOMEM. */
int header_line(struct buf *headers, const char *line, size_t length);

/* The value of the first header `name` (any case), without the blanks around it, as a text. True;
 * false when there is none, or none that fits: `out` is "" then. */
bool header_get(char *out, size_t size, const struct buf *headers, const char *name);

/* Reads "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), ms since 1970. 0 or -EBADMSG. */
int header_date_ms(const char *value, int64_t *out);
