/* Durations as people write them: "500ms", "10s", "5m", "1h", "1d". Pure. */
#pragma once

#include <stdint.h>

enum { DURATION_TEXT_MAX = 24 };

/* Reads a whole number followed at once by its unit (ms, s, m, h, d). 0; -EINVAL when it is anything
 * else; -ERANGE over UINT32_MAX ms (49 days). */
int duration_parse(const char *text, uint32_t *out_ms);

/* Writes it in the largest unit that keeps it whole ("90s", "5m", "0s"). */
void duration_print(uint32_t duration_ms, char out[DURATION_TEXT_MAX]);
