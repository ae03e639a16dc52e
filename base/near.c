/* Near matches: edit distance with swapped neighbours (optimal string alignment), without case; at
 * most a third of the name may be wrong, and no more than three letters. */
#include "base/near.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, DISTANCE_MAX = 3 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* More than `limit` as soon as that is certain. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length,
                         unsigned limit)
{
    unsigned rows[3][NAME_MAX_BYTES + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2], *swap;

    for (unsigned j = 0; j <= b_length; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned lowest = row[0] = (unsigned)i;

        for (size_t j = 1; j <= b_length; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                row[j] = least(row[j], before[j - 2] + 1);
            lowest = least(lowest, row[j]);
        }
        if (lowest > limit)
            return lowest;
        swap = before;
        before = above;
        above = row;
        row = swap;
    }
    return above[b_length];
}

void near_init(struct near *near, const char *wanted)
{
    unsigned allowed = (unsigned)least((unsigned)(strlen(wanted) + 2) / 3, DISTANCE_MAX);

    *near = (struct near){ .wanted = wanted, .distance = allowed + 1 };
}

void near_offer(struct near *near, const char *known)
{
    size_t wanted_length = strlen(near->wanted), length = strlen(known);
    size_t apart = wanted_length > length ? wanted_length - length : length - wanted_length;
    unsigned far;

    if (wanted_length > NAME_MAX_BYTES || length > NAME_MAX_BYTES || apart >= near->distance)
        return;
    far = distance(near->wanted, wanted_length, known, length, near->distance);
    if (far >= near->distance)
        return;
    near->best = known;
    near->distance = far;
}
