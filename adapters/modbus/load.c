/* A ring of seconds: see load.h. */
#include "adapters/modbus/load.h"

#include <string.h>

/* What the ring covers: the second under way and ten whole ones. */
static uint64_t window_ms(uint64_t now_ms)
{
    return now_ms % LOAD_BUCKET_MS + (LOAD_BUCKETS - 1) * LOAD_BUCKET_MS;
}

void load_init(struct load *load, uint64_t now_ms)
{
    memset(load, 0, sizeof *load);
    load->started_ms = now_ms;
}

static void add_within(struct load *load, uint64_t second, uint32_t busy_ms)
{
    size_t place = second % LOAD_BUCKETS;

    if (load->bucket[place] != second) {
        load->bucket[place] = second;
        load->busy_ms[place] = 0;
    }
    load->busy_ms[place] += busy_ms;
}

void load_add(struct load *load, uint64_t from_ms, uint64_t to_ms)
{
    uint64_t window = window_ms(to_ms);

    if (to_ms > window && from_ms < to_ms - window)
        from_ms = to_ms - window; /* the ring holds no more */
    while (from_ms < to_ms) {
        uint64_t second = from_ms / LOAD_BUCKET_MS;
        uint64_t end = (second + 1) * LOAD_BUCKET_MS;

        if (end > to_ms)
            end = to_ms;
        add_within(load, second, (uint32_t)(end - from_ms));
        from_ms = end;
    }
}

double load_share(const struct load *load, uint64_t now_ms)
{
    uint64_t now_second = now_ms / LOAD_BUCKET_MS;
    uint64_t window = window_ms(now_ms);
    uint64_t busy = 0;

    for (size_t i = 0; i < LOAD_BUCKETS; i++)
        if (load->bucket[i] + LOAD_BUCKETS > now_second)
            busy += load->busy_ms[i];
    if (now_ms - load->started_ms < window)
        window = now_ms - load->started_ms;
    if (window == 0)
        return 0;
    return busy < window ? (double)busy / (double)window : 1;
}
