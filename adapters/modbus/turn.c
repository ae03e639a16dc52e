/* The fair order of the units of a line: see turn.h. Nothing here can fail. */
#include "adapters/modbus/turn.h"

uint64_t turn_wants_ms(const struct turn_unit *unit)
{
    uint64_t due;

    if (!unit->enabled || unit->schedule.count == 0)
        return UINT64_MAX;
    due = turn_is_offline(unit) ? unit_next_ms(&unit->health) : unit->schedule.next_ms;
    return due > unit->rest_ms ? due : unit->rest_ms;
}

void turn_release(struct turn_unit *units, size_t count)
{
    uint64_t others_ms = UINT64_MAX;
    bool any_held = false;

    for (size_t i = 0; i < count; i++)
        any_held = any_held || units[i].held;
    if (!any_held)
        return; /* nearly always */
    for (size_t i = 0; i < count; i++)
        if (!units[i].held && turn_wants_ms(&units[i]) < others_ms)
            others_ms = turn_wants_ms(&units[i]);
    for (size_t i = 0; i < count; i++)
        if (units[i].held_ms < others_ms)
            units[i].held = false;
}

bool turn_may_ask(const struct turn_unit *unit, uint64_t now_ms)
{
    return unit->enabled && !unit->held && unit->rest_ms <= now_ms &&
           unit_due(&unit->health, now_ms);
}

struct turn_unit *turn_wished(struct turn_unit *units, size_t count, enum schedule_wish wish,
                              uint64_t now_ms, size_t *block)
{
    for (size_t i = 0; i < count; i++) {
        size_t found = schedule_wished(&units[i].schedule, wish);

        if (found == SIZE_MAX || !turn_may_ask(&units[i], now_ms))
            continue;
        *block = found;
        return &units[i];
    }
    return NULL;
}

static bool is_due(const struct turn_unit *unit, uint64_t now_ms)
{
    return turn_may_ask(unit, now_ms) && turn_wants_ms(unit) <= now_ms;
}

/* The offline unit that was not asked for the longest time among those that are due; `unit` is one. */
static struct turn_unit *longest_unasked(struct turn_unit *units, size_t count,
                                         struct turn_unit *unit, uint64_t now_ms)
{
    for (size_t i = 0; i < count; i++)
        if (turn_is_offline(&units[i]) && units[i].asked_ms < unit->asked_ms &&
            is_due(&units[i], now_ms))
            unit = &units[i];
    return unit;
}

struct turn_unit *turn_due(struct turn_unit *units, size_t count, size_t *turn, uint64_t now_ms,
                           size_t *block)
{
    for (size_t i = 0; i < count; i++) {
        struct turn_unit *unit = &units[(*turn + i) % count];

        if (!is_due(unit, now_ms))
            continue;
        *turn = (*turn + i + 1) % count;
        if (turn_is_offline(unit))
            unit = longest_unasked(units, count, unit, now_ms);
        *block = schedule_oldest(&unit->schedule);
        return unit;
    }
    return NULL;
}
