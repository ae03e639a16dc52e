#include "base/timestamp.h"

#include <stdio.h>
#include <time.h>

const char *timestamp_print(int64_t wall_ms, char out[TIMESTAMP_MAX])
{
    int64_t ms = ((wall_ms % 1000) + 1000) % 1000;
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm utc;
    char date[24];

    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        date[0] = 0;
    snprintf(out, TIMESTAMP_MAX, "%s.%03dZ", date, (int)ms);
    return out;
}
