/* Slots of the blocks of one device: see schedule.h. Cannot fail after schedule_init. */
#include "adapters/modbus/schedule.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static uint64_t grain_up(uint64_t ms)
{
    return (ms + SCHEDULE_GRAIN_MS - 1) / SCHEDULE_GRAIN_MS * SCHEDULE_GRAIN_MS;
}

static uint64_t due_ms(const struct schedule_poll *poll)
{
    return poll->at_once ? 0 : poll->slot_ms;
}

static void find_next(struct schedule *schedule)
{
    schedule->next_ms = UINT64_MAX;
    for (size_t i = 0; i < schedule->count; i++) {
        uint64_t due = due_ms(&schedule->polls[i]);

        if (due < schedule->next_ms) {
            schedule->next_ms = due;
            schedule->oldest = i;
        }
    }
}

int schedule_init(struct schedule *schedule, const struct plan *plan, size_t first, size_t total,
                  uint64_t now_ms)
{
    struct schedule_poll *polls = calloc(plan->block_max + 1, sizeof *polls);

    if (polls == NULL)
        return -ENOMEM;
    *schedule =
        (struct schedule){ .polls = polls, .count = plan->block_count, .max = plan->block_max };
    for (size_t i = 0; i < plan->block_count; i++) {
        uint32_t interval = (uint32_t)grain_up(plan->blocks[i].poll_interval_ms);

        polls[i].interval_ms = interval > 0 ? interval : SCHEDULE_GRAIN_MS;
        polls[i].slot_ms = grain_up(now_ms + polls[i].interval_ms * (uint64_t)(first + i) / total);
    }
    schedule_all(schedule);
    return 0;
}

void schedule_done(struct schedule *schedule)
{
    free(schedule->polls);
    *schedule = (struct schedule){ .next_ms = UINT64_MAX };
}

void schedule_all(struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->count; i++)
        schedule->polls[i].at_once = true;
    find_next(schedule);
}

void schedule_split(struct schedule *schedule, size_t poll, size_t added)
{
    assert(added == schedule->count && added < schedule->max);
    schedule->polls[poll].at_once = true;
    schedule->polls[poll].tries = 0;
    schedule->polls[added] = schedule->polls[poll];
    schedule->count++;
    if (schedule->polls[added].wish != SCHEDULE_NO_WISH)
        schedule->wishes++;
    find_next(schedule);
}

void schedule_wish(struct schedule *schedule, size_t poll, enum schedule_wish wish)
{
    struct schedule_poll *p = &schedule->polls[poll];

    if (p->wish == SCHEDULE_NO_WISH)
        schedule->wishes++;
    if (wish > p->wish)
        p->wish = wish;
}

size_t schedule_oldest(const struct schedule *schedule)
{
    return schedule->oldest;
}

size_t schedule_due(const struct schedule *schedule, uint64_t now_ms)
{
    return schedule->next_ms <= now_ms ? schedule_oldest(schedule) : SIZE_MAX;
}

size_t schedule_wished(const struct schedule *schedule, enum schedule_wish wish)
{
    if (schedule->wishes == 0)
        return SIZE_MAX;
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->polls[i].wish == wish)
            return i;
    return SIZE_MAX;
}

void schedule_served(struct schedule *schedule, size_t poll, uint64_t now_ms)
{
    struct schedule_poll *p = &schedule->polls[poll];

    if (p->wish != SCHEDULE_NO_WISH)
        schedule->wishes--;
    p->wish = SCHEDULE_NO_WISH;
    p->tries = 0;

    if (p->slot_ms <= now_ms) {
        p->slot_ms += p->interval_ms;
        /* The newest slot that was missed meanwhile is made up, unless nothing was being missed: a read
         * at once after a long silence is what the slots before it stood for. */
        if (p->slot_ms <= now_ms)
            p->slot_ms += (now_ms - p->slot_ms) / p->interval_ms * p->interval_ms;
        if (p->slot_ms <= now_ms && p->at_once)
            p->slot_ms += p->interval_ms;
    }
    p->at_once = false;
    find_next(schedule);
}
