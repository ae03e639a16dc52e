/* Durations: a whole number and a unit, nothing else. No fractions and no compounds ("1h30m"): one
 * way to write a thing, and the message can always name it. */
#include "config/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct unit {
    const char *name;
    uint32_t ms;
} units[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

int duration_parse(const char *text, uint32_t *out_ms)
{
    uint64_t number = 0;
    const char *unit = text;

    for (; *unit >= '0' && *unit <= '9'; unit++) {
        if (number <= UINT32_MAX)
            number = number * 10 + (uint64_t)(*unit - '0');
    }
    if (unit == text)
        return -EINVAL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (number * units[i].ms > UINT32_MAX)
            return -ERANGE;
        *out_ms = (uint32_t)number * units[i].ms;
        return 0;
    }
    return -EINVAL;
}

void duration_print(uint32_t duration_ms, char out[DURATION_TEXT_MAX])
{
    size_t i = 0;

    if (duration_ms == 0)
        i = 3; /* "0s" */
    while (duration_ms % units[i].ms != 0)
        i++;
    snprintf(out, DURATION_TEXT_MAX, "%" PRIu32 "%s", duration_ms / units[i].ms, units[i].name);
}
