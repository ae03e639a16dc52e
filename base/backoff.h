/* How long to wait before the next try: min(max, min x 2^n) x U(0.5, 1). Pure. */
#pragma once

#include <stdint.h>

struct backoff {
    uint32_t min_ms;
    uint32_t max_ms;
    uint32_t failures; /* n: in a row, since the last reset */
};

/* The wait after one more failure, in ms; `random` is uniform over 32 bits. At least min_ms / 2. */
uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random);

/* It works again: the next wait starts from min_ms. */
void backoff_reset(struct backoff *backoff);
