/* A hub on a state in memory, with a clock and a chance that tests set. */
#pragma once

#include "bridge/sas.h"
#include "tests/sim/hubsim/hub.h"
#include "tests/sim/hubsim/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURE_HOST "emu.azure-devices.net"
#define FIXTURE_WALL_S                                                                             \
    INT64_C(1767222000) /* an hour before the tokens of iot-hub.md section 13 end */

struct hub_fixture {
    struct env env;
    uint64_t now_ms;
    int64_t wall_ms;
    uint32_t random;
    struct registry *registry;
    struct faults *faults;
    struct hub *hub;
    char notes[4096]; /* what the operator was told, a line each */
};

static inline uint64_t fixture_now(void *data)
{
    return ((struct hub_fixture *)data)->now_ms;
}

static inline int64_t fixture_wall(void *data)
{
    return ((struct hub_fixture *)data)->wall_ms;
}

static inline uint32_t fixture_random(void *data)
{
    struct hub_fixture *fixture = data;

    fixture->random = fixture->random * 1664525u + 1013904223u;
    return fixture->random;
}

static inline void fixture_note(void *data, const char *text)
{
    struct hub_fixture *fixture = data;
    size_t length = strlen(fixture->notes);

    snprintf(fixture->notes + length, sizeof fixture->notes - length, "%s\n", text);
}

static inline struct hub_options fixture_options(struct hub_fixture *fixture)
{
    static const char *const names[] = { FIXTURE_HOST, "localhost" };

    return (struct hub_options){
        .access = { .env = &fixture->env,
                    .registry = fixture->registry,
                    .names = names,
                    .name_count = 2 },
        .faults = fixture->faults,
        .note = fixture_note,
        .note_data = fixture,
    };
}

static inline void fixture_open(struct hub_fixture *fixture)
{
    struct hub_options options;
    struct err err = { "" };

    *fixture = (struct hub_fixture){
        .env = { fixture_now, fixture_wall, fixture_random, fixture },
        .now_ms = 1000000,
        .wall_ms = FIXTURE_WALL_S * 1000,
    };
    assert_int_equal(registry_open(&fixture->registry, ":memory:", &err), 0);
    assert_int_equal(faults_new(&fixture->faults), 0);
    options = fixture_options(fixture);
    assert_int_equal(hub_open(&fixture->hub, &options), 0);
}

static inline void fixture_close(struct hub_fixture *fixture)
{
    hub_close(fixture->hub);
    faults_free(fixture->faults);
    registry_close(fixture->registry);
}

static inline cJSON *fixture_json(const char *text)
{
    cJSON *tree = NULL;

    assert_int_equal(json_parse(&tree, text, strlen(text)), 0);
    return tree;
}

/* Makes a device, or a module of a device that is there. */
static inline struct identity fixture_create(struct hub_fixture *fixture, const char *device_id,
                                             const char *module_id)
{
    cJSON *body = fixture_json("{}");
    struct identity identity;
    struct err err = { "" };

    assert_int_equal(
        hub_put_identity(fixture->hub, device_id, module_id, body, NULL, &identity, &err), 0);
    cJSON_Delete(body);
    return identity;
}

/* One write of the back end; the result of hub_write_twin. */
static inline int fixture_write(struct hub_fixture *fixture, const char *device_id,
                                const char *module_id, enum hub_write write, const char *body,
                                const char *if_match)
{
    cJSON *tree = fixture_json(body);
    struct err err = { "" };
    int rc = hub_write_twin(fixture->hub, device_id, module_id, write, tree, if_match, &err);

    cJSON_Delete(tree);
    return rc;
}
