/* Points in time as the hub writes them. Pure. */
#pragma once

#include <stdint.h>

enum { STAMP_MAX = 32 }; /* bytes with the NUL */

#define STAMP_NEVER "0001-01-01T00:00:00Z" /* .NET's DateTime.MinValue: it never happened */

/* "2024-05-01T10:00:00.1234567Z": UTC with the seven digits of the real hub. Times outside the
 * years 1970 to 9999 become STAMP_NEVER. */
void stamp_print(int64_t wall_ms, char out[STAMP_MAX]);
