/* RFC 3339 UTC with milliseconds: 2026-11-22T10:04:31.250Z. Pure. */
#pragma once

#include <stdint.h>

enum { TIMESTAMP_MAX = 32 }; /* bytes, with the NUL */

/* Writes the moment, ms since 1970 UTC; returns `out`. */
const char *timestamp_print(int64_t wall_ms, char out[TIMESTAMP_MAX]);
