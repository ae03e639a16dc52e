/* Texts by their hash, the newest SAID_MAX of them. Nothing fails; two texts of one hash would cost a line
 * of the log its level. */
#include "bridge/said.h"

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a, 64 bits: offset basis and prime */

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash != 0 ? hash : 1;
}

bool said_is_news(struct said *said, const char *text)
{
    uint64_t hash = hash_of(text);

    for (size_t i = 0; i < SAID_MAX; i++)
        if (said->texts[i] == hash)
            return false;
    said->texts[said->next] = hash;
    said->next = (said->next + 1) % SAID_MAX;
    return true;
}

void said_forget(struct said *said)
{
    *said = (struct said){ { 0 }, 0 };
}
