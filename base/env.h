/* Clock and chance, passed in: what decides never asks the machine. Tests pass a fake one. */
#pragma once

#include <stdint.h>

struct env {
    uint64_t (*now_ms)(void *data);     /* monotonic; the origin means nothing */
    int64_t (*wall_ms)(void *data);     /* UTC since 1970; only for tokens and stamps */
    uint32_t (*random_u32)(void *data); /* uniform over all 32 bits */
    void *data;                         /* handed to the three; not owned */
};

static inline uint64_t env_now_ms(const struct env *env)
{
    return env->now_ms(env->data);
}

static inline int64_t env_wall_ms(const struct env *env)
{
    return env->wall_ms(env->data);
}

static inline uint32_t env_random_u32(const struct env *env)
{
    return env->random_u32(env->data);
}
