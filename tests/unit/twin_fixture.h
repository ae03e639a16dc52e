/* A gateway on the desk of the unit tests: one flat module "boiler", one module "plant" of two components,
 * their tags and a table of present samples, all plain data. */
#pragma once

#include "adapters/adapter.h"
#include "config/config.h"

#include <math.h>
#include <string.h>

enum { TEMPERATURE, SETPOINT, PUMP, ENERGY, START, RELAY, QUIET, TAG_COUNT };
enum { BOILER, PLANT, MODULE_COUNT };

#define TWIN_TAG(tag_name, tag_type, tag_access)                                                   \
    {                                                                                              \
        .name = tag_name, .unit = "", .description = "", .access = tag_access, .type = tag_type,   \
        .poll_interval_ms = 1000, .stale_after_ms = 3000, .min = NAN, .max = NAN, .lowest = -1e9,  \
        .highest = 1e9, .decimals = -1, .verify = true                                             \
    }

struct twin_fixture {
    struct config_tag tags[TAG_COUNT];
    struct config_device devices[3];
    size_t boiler_devices[1], plant_devices[2];
    struct config_module modules[MODULE_COUNT];
    struct config config;
    struct sample samples[3][TAG_COUNT];
};

static inline void twin_fixture_init(struct twin_fixture *f)
{
    static const struct config_tag tags[TAG_COUNT] = {
        [TEMPERATURE] = TWIN_TAG("temperature", VALUE_FLOAT, CONFIG_READ),
        [SETPOINT] = TWIN_TAG("setpoint", VALUE_FLOAT, CONFIG_READ_WRITE),
        [PUMP] = TWIN_TAG("pump", VALUE_BOOL, CONFIG_READ_WRITE),
        [ENERGY] = TWIN_TAG("energy", VALUE_INT, CONFIG_READ),
        [START] = TWIN_TAG("start", VALUE_BOOL, CONFIG_READ_WRITE),
        [RELAY] = TWIN_TAG("relay", VALUE_INT, CONFIG_WRITE),
        [QUIET] = TWIN_TAG("quiet", VALUE_INT, CONFIG_READ),
    };

    memset(f, 0, sizeof *f);
    memcpy(f->tags, tags, sizeof tags);
    f->tags[TEMPERATURE].deadband = 0.2;
    f->tags[SETPOINT].min = 5;
    f->tags[SETPOINT].max = 35;
    f->tags[SETPOINT].raw_step = 0.1;
    f->tags[ENERGY].min_interval_ms = 10000;
    f->tags[START].write_once = true;
    f->tags[QUIET].report = CONFIG_REPORT_NONE;
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = { "boiler", "left", "right" };

        f->devices[i] = (struct config_device){ .name = names[i],
                                                .description = "",
                                                .enabled = true,
                                                .module = i == 0 ? BOILER : PLANT,
                                                .tags = f->tags,
                                                .tag_count = TAG_COUNT };
    }
    f->boiler_devices[0] = 0;
    f->plant_devices[0] = 1;
    f->plant_devices[1] = 2;
    f->modules[BOILER] =
        (struct config_module){ "boiler", "gw", NULL, false, f->boiler_devices, 1 };
    f->modules[PLANT] = (struct config_module){ "plant", "gw", NULL, true, f->plant_devices, 2 };
    f->config = (struct config){ .path = "test",
                                 .name = "gw",
                                 .writes = true,
                                 .devices = f->devices,
                                 .device_count = 3,
                                 .modules = f->modules,
                                 .module_count = MODULE_COUNT };
}

/* The device shows this value from `now_ms` on. */
static inline const struct sample *twin_fixture_good(struct twin_fixture *f, size_t device,
                                                     size_t tag, struct value value,
                                                     uint64_t now_ms)
{
    f->samples[device][tag] = (struct sample){ .quality = QUALITY_GOOD,
                                               .value = value,
                                               .now_ms = now_ms,
                                               .wall_ms = 1000000 + (int64_t)now_ms };
    return &f->samples[device][tag];
}

static inline const struct sample *twin_fixture_bad(struct twin_fixture *f, size_t device,
                                                    size_t tag, const char *reason, uint64_t now_ms)
{
    f->samples[device][tag] = (struct sample){ .quality = QUALITY_BAD,
                                               .reason = reason,
                                               .now_ms = now_ms,
                                               .wall_ms = 1000000 + (int64_t)now_ms };
    return &f->samples[device][tag];
}
