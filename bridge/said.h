/* What was said of one trouble already, so that the same again is no news. A trouble may have several texts
 * that take turns: a hub of three addresses of which none answers has three. Pure; knows no log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAID_MAX = 8 }; /* texts that are remembered; after more of them the oldest is news again */

struct said {
    uint64_t texts[SAID_MAX]; /* their FNV-1a; 0 = none */
    size_t next;
};

/* Whether `text` is news, and remembers it. */
bool said_is_news(struct said *said, const char *text);

/* The trouble is over: whatever comes is news. */
void said_forget(struct said *said);
