#include "bridge/log.h"

#include "base/timestamp.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LOG_LINE_MAX = 1024 };

static enum log_level threshold = LEVEL_INFO;

static const char *const names[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const int priorities[] = { 3, 4, 6, 7 }; /* of sd-daemon(3) */
    char text[LOG_LINE_MAX];
    char stamp[TIMESTAMP_MAX];
    struct timespec now;
    va_list args;

    if (level > threshold)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c != 0; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' '; /* a peer's text cannot begin a line of its own */
    }
    if (getenv("JOURNAL_STREAM") != NULL) {
        fprintf(stderr, "<%d>%s\n", priorities[level], text);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    timestamp_print((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, stamp);
    fprintf(stderr, "%s %-5s %s\n", stamp, names[level], text);
}
