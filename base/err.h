/* The text for a person that goes with an error code: one line that says what, where and what to do.
 * Made at the edges; the code itself is 0 or -errno. */
#pragma once

#include <stdarg.h>
#include <stdio.h>

struct err {
    char msg[256]; /* NUL-terminated, cut when too long; "" = nothing to say */
};

__attribute__((format(printf, 2, 3))) static inline void err_set(struct err *err,
                                                                 const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
}
