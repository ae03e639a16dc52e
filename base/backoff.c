#include "base/backoff.h"

uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random)
{
    uint64_t full = backoff->min_ms;

    for (uint32_t i = 0; i < backoff->failures && full < backoff->max_ms; i++)
        full *= 2;
    if (full > backoff->max_ms)
        full = backoff->max_ms;
    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    return (uint32_t)(full / 2 + (full - full / 2) * random / UINT32_MAX);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
}
