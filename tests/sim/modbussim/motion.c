/* A small heating plant in every device.
 *
 * The temperature closes in on its goal like a room does: by (goal - temperature) / TIME_CONSTANT
 * each second, with a little noise. The goal is the set-point while the pump runs and the ambient
 * temperature while it does not, so whoever changes the set-point sees the temperature go there
 * within a minute. A number's exact state is kept beside its registers: steps smaller than a raw
 * step add up. When somebody else changed the register meanwhile, movement goes on from there. */
#include "tests/sim/modbussim/motion.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double AMBIENT = 16.0;       /* degC */
static const double TIME_CONSTANT = 15.0; /* s */
static const double ALARM_EVERY = 120.0;  /* s, on average */
static const double ALARM_LASTS = 8.0;    /* s, on average */

enum role {
    ROLE_KEPT, /* what was written stays */
    ROLE_TEMPERATURE,
    ROLE_BURNER, /* on while the temperature is below its goal */
    ROLE_COUNTER,
    ROLE_WANDERER,
    ROLE_ALARM,
};

struct mover {
    struct point point;
    enum role role;
    double exact; /* the state in engineering units */
    double base;  /* what a wanderer or an alarm returns to; how much a counter rises in a second */
    struct value reported; /* what the registers said when they were set here */
};

struct motion {
    struct mover *movers;
    size_t count;
    const struct point *setpoint; /* NULL: there is none */
    const struct point *pump;
};

/* ---- casting ---- */

/* Typical values by what a name contains. */
static const struct typical {
    const char *word;
    double value;
} typical[] = {
    { "outdoor", 9 },   { "return", 40 },    { "pressure", 1.8 }, { "voltage", 230 },
    { "current", 6 },   { "frequency", 50 }, { "power", 1400 },   { "level", 62 },
    { "humidity", 45 }, { "flow", 12 },      { "speed", 1450 },   { "co2", 600 },
};

static bool contains_any(const char *name, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasestr(name, *words) != NULL)
            return true;
    return false;
}

static bool is_setpoint(const struct config_tag *tag)
{
    static const char *const words[] = { "setpoint", "set_point", "set-point", "target", NULL };

    return (tag->access & CONFIG_WRITE) != 0 && tag->type != VALUE_BOOL &&
           contains_any(tag->name, words);
}

static bool is_pump(const struct config_tag *tag)
{
    static const char *const words[] = { "pump", "enable", "run", "switch", NULL };

    return (tag->access & CONFIG_WRITE) != 0 && tag->type == VALUE_BOOL &&
           contains_any(tag->name, words);
}

static enum role role_of(const struct config_tag *tag)
{
    static const char *const burners[] = { "burner", "flame", "heating", "running", NULL };
    static const char *const counters[] = { "count", "energy", "total", "hours", "starts", NULL };
    static const char *const others[] = { "outdoor", "return", NULL };

    if ((tag->access & CONFIG_WRITE) != 0)
        return ROLE_KEPT;
    if (tag->type == VALUE_BOOL)
        return contains_any(tag->name, burners) ? ROLE_BURNER : ROLE_ALARM;
    if (contains_any(tag->name, counters))
        return ROLE_COUNTER;
    if (strcasestr(tag->name, "temp") != NULL && !contains_any(tag->name, others))
        return ROLE_TEMPERATURE;
    return ROLE_WANDERER;
}

static double typical_of(const char *name)
{
    for (size_t i = 0; i < sizeof typical / sizeof typical[0]; i++)
        if (strcasestr(name, typical[i].word) != NULL)
            return typical[i].value;
    return 20;
}

/* `number` within what orders may say and registers can hold. */
static double within(const struct config_tag *tag, double number)
{
    number = fmin(fmax(number, tag->lowest), tag->highest);
    if (!isnan(tag->min))
        number = fmax(number, tag->min);
    if (!isnan(tag->max))
        number = fmin(number, tag->max);
    return number;
}

/* A bool that is true while all is well. */
static bool is_well(const struct config_tag *tag)
{
    static const char *const words[] = { "breaker", "ready", "online", "enabled", "healthy", NULL };

    return contains_any(tag->name, words);
}

static double first_value(const struct mover *mover)
{
    const struct config_tag *tag = mover->point.tag;

    switch (mover->role) {
    case ROLE_KEPT:
        if (tag->type == VALUE_BOOL)
            return is_pump(tag) ? 1 : 0;
        return within(tag, is_setpoint(tag) ? 21 : 0);
    case ROLE_TEMPERATURE:
        return within(tag, 18);
    case ROLE_COUNTER:
        return within(tag, 1000);
    case ROLE_WANDERER:
        return within(tag, typical_of(tag->name));
    case ROLE_ALARM:
        return is_well(tag) ? 1 : 0;
    default:
        return 0;
    }
}

/* A sensor shows hundredths, however fine its register is. */
static double shown(double number)
{
    return value_round(number, 2);
}

static void place(struct mover *mover, double number)
{
    mover->exact = number;
    point_set_number(&mover->point, shown(number));
    mover->reported = point_get(&mover->point);
}

int motion_new(struct motion **out, const struct point *points, size_t count)
{
    struct motion *motion = calloc(1, sizeof *motion);

    if (motion == NULL)
        return -ENOMEM;
    motion->count = count;
    motion->movers = calloc(count == 0 ? 1 : count, sizeof *motion->movers);
    if (motion->movers == NULL) {
        motion_free(motion);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        struct mover *mover = &motion->movers[i];

        mover->point = points[i];
        mover->role = role_of(points[i].tag);
        if (motion->setpoint == NULL && is_setpoint(points[i].tag))
            motion->setpoint = &mover->point;
        if (motion->pump == NULL && is_pump(points[i].tag))
            motion->pump = &mover->point;
        place(mover, first_value(mover));
        mover->base = mover->role == ROLE_COUNTER ? 0.5 + 0.25 * (double)(i % 4) : mover->exact;
    }
    *out = motion;
    return 0;
}

void motion_free(struct motion *motion)
{
    if (motion == NULL)
        return;
    free(motion->movers);
    free(motion);
}

/* ---- moving ---- */

/* Uniform over 0 to 1. xorshift64*: chance enough for values that nobody bets on. */
static double uniform(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (double)((*random * 2685821657736338717ULL) >> 11) / 9007199254740992.0;
}

static double goal_of(const struct motion *motion)
{
    struct value setpoint;

    if (motion->pump != NULL && value_number(point_get(motion->pump)) == 0)
        return AMBIENT;
    if (motion->setpoint == NULL)
        return 20;
    setpoint = point_get(motion->setpoint);
    return setpoint.type == VALUE_NONE ? AMBIENT : value_number(setpoint);
}

/* The first temperature of the device; its goal when it has none. */
static double temperature_of(const struct motion *motion, double goal)
{
    for (size_t i = 0; i < motion->count; i++)
        if (motion->movers[i].role == ROLE_TEMPERATURE)
            return motion->movers[i].exact;
    return goal;
}

static double next_alarm(const struct mover *mover, double seconds, double chance)
{
    double mean = mover->exact == mover->base ? ALARM_EVERY : ALARM_LASTS;

    return chance < seconds / mean ? 1 - mover->exact : mover->exact;
}

static double next_count(const struct mover *mover, double seconds, double chance)
{
    double count = mover->exact + mover->base * seconds * 2 * chance;

    return count > mover->point.tag->highest ? 0 : count; /* as counters do */
}

static double next_value(const struct motion *motion, const struct mover *mover, double seconds,
                         double chance)
{
    double goal = goal_of(motion);
    double noise = (chance - 0.5) * sqrt(seconds);

    switch (mover->role) {
    case ROLE_TEMPERATURE:
        return mover->exact + (goal - mover->exact) * fmin(1, seconds / TIME_CONSTANT) +
               0.15 * noise;
    case ROLE_BURNER:
        return temperature_of(motion, goal) < goal - 0.3 ? 1 : 0;
    case ROLE_COUNTER:
        return next_count(mover, seconds, chance);
    case ROLE_WANDERER:
        return mover->exact + (mover->base - mover->exact) * fmin(1, seconds / 60) +
               0.02 * mover->base * noise;
    default:
        return next_alarm(mover, seconds, chance);
    }
}

void motion_step(struct motion *motion, double seconds, uint64_t *random)
{
    for (size_t i = 0; i < motion->count; i++) {
        struct mover *mover = &motion->movers[i];
        double chance = uniform(random);
        struct value now;

        if (mover->role == ROLE_KEPT)
            continue;
        now = point_get(&mover->point);
        if (!value_equal(now, mover->reported) && now.type != VALUE_NONE)
            mover->exact = value_number(now);
        place(mover, next_value(motion, mover, seconds, chance));
    }
}
