/* Points in time as text: one conversion, no failure mode but a clock that is out of this world. */
#include "tests/sim/hubsim/stamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define YEAR_10000_MS INT64_C(253402300800000)

void stamp_print(int64_t wall_ms, char out[STAMP_MAX])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (wall_ms < 0 || wall_ms >= YEAR_10000_MS || gmtime_r(&seconds, &tm) == NULL) {
        memcpy(out, STAMP_NEVER, sizeof STAMP_NEVER);
        return;
    }
    size_t length = strftime(out, STAMP_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + length, STAMP_MAX - length, ".%03d0000Z", (int)(wall_ms % 1000));
}
