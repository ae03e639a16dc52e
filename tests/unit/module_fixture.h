/* One module twin between a fake hub (MQTT bytes on the session's link), a fake adapter (a table of
 * registers) and a fake store, with a fake clock. Nothing happens by itself but what fixture_settle lets
 * happen. */
#pragma once

#include "bridge/module.h"
#include "bridge/mqtt.h"
#include "twin_fixture.h"

struct cJSON;

enum { COMMITS_MAX = 256 };

struct fixture {
    struct twin_fixture twin;
    struct module *module;
    size_t mapping; /* which of the fixture's modules it is: BOILER, PLANT */
    struct env env;
    uint64_t now_ms;
    uint64_t next_ms;    /* what the last tick said */
    struct module_io io; /* a test may put its own devices and store in */
    void *io_data;

    /* the hub */
    struct mqtt_reader reader;
    bool connect_asked, closing, link;
    struct cJSON *desired, *reported; /* what it holds */
    bool refuse_patches;              /* with 429 */
    bool mute_patches;                /* no answer at all */
    unsigned patches;

    /* the device */
    enum device_state state;
    char asked[400]; /* reads and writes, in order */
    size_t asked_device, asked_tag;
    struct value written;
    uint64_t write_deadline_ms;
    int write_rc;

    /* the store */
    char stored[1000]; /* puts, in order */
    uintptr_t tokens[COMMITS_MAX];
    size_t token_count;
    bool slow_store; /* commits only when asked */
    int commit_rc;
};

int fixture_set_up(
    void **state); /* *state is a new fixture with the module BOILER, not connected */
int fixture_tear_down(void **state);

/* Makes the module, for a fixture whose module was freed. */
int fixture_start(struct fixture *f);
/* The process is gone; the store's rows are all that is left. */
void fixture_restart(struct fixture *f, const struct record *rows, size_t count);
struct record fixture_row(const char *tag, int64_t version, const char *desired, int code);

/* Everything that can happen at this moment, happens. */
void fixture_settle(struct fixture *f);
/* Time passes, then everything settles. */
void fixture_pass(struct fixture *f, uint64_t ms);
/* A module that is ready, its device online, everything of the start reported; the logs are empty. */
struct fixture *fixture_ready(void **state);

/* ---- the hub ---- */

/* The back end changes desired; a connected module hears it. */
void fixture_desire(struct fixture *f, int version, const char *fragment);
void fixture_tell_desired(struct fixture *f, int version, const char *fragment); /* not settled */
/* The tag's property in the twin is this JSON; "" = it is absent. */
void fixture_expect_reported(struct fixture *f, const char *tag, const char *json);
void fixture_merge(struct cJSON *target, const struct cJSON *patch);
/* The hub takes the next packet of the module, answering it; false when there is none. */
bool fixture_hub_step(struct fixture *f);
void fixture_lose_link(struct fixture *f);
void fixture_reconnect(struct fixture *f);

/* ---- the device ---- */

void fixture_device_becomes(struct fixture *f, enum device_state state);
void fixture_device_shows(struct fixture *f, size_t tag, struct value value);
/* The write under way ended so; WRITE_DONE reads the value back. */
void fixture_device_wrote(struct fixture *f, enum write_outcome outcome, const char *detail);

/* ---- the store ---- */

/* What was put is committed. */
void fixture_store_finish(struct fixture *f);
