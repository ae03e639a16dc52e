/* The known name that a mistyped one most likely means. Pure. */
#pragma once

/* Offer it every known name; `best` is then the nearest that is near enough, or NULL. */
struct near {
    const char *wanted;
    const char *best;
    unsigned distance; /* of best */
};

void near_init(struct near *near, const char *wanted);
void near_offer(struct near *near, const char *known);
