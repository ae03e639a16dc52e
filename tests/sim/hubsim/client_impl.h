/* The inside of a client, shared by client.c (life, sign-in, subscriptions), client_twin.c (what it
 * publishes) and client_output.c (what leaves, when, and in which frames). Nobody else includes it. */
#pragma once

#include "tests/sim/hubsim/client.h"
#include "tests/sim/hubsim/faults.h"

#include "bridge/mqtt.h"

enum { CLIENT_NAME_MAX = 2 * AUTH_ID_MAX };

enum client_state { CLIENT_NEW, CLIENT_OPEN, CLIENT_OVER };

struct client_late; /* a packet that a fault keeps back */

struct client {
    struct hub_client as_client; /* what the hub holds; client_of() finds back */
    struct hub *hub;
    void (*wake)(void *data);
    void *data;
    enum client_state state;
    bool attached;
    bool clean_session;
    struct mqtt_reader reader;
    struct buf output;
    struct registry_session session;
    uint64_t silence_ms; /* the longest one allowed */
    uint64_t silent_at;  /* when it will have lasted that long; also for CONNECT and goodbye */
    uint64_t expires_at; /* when the token ends; 0 before CONNECT */

    struct faults_plan *plan; /* NULL before CONNECT, and without faults */
    struct client_late *late; /* owned */
    size_t late_count;
    bool greeted;       /* CONNACK is in the output: nothing may stand before it */
    bool struck;        /* a fault has sent it bytes */
    bool half_open;     /* neither reads nor sends */
    uint64_t reads_at;  /* takes nothing from the network until then */
    uint64_t leaves_at; /* gathers output until then; 0 = it does not gather */
};

static inline uint64_t client_now(const struct client *client)
{
    return env_now_ms(hub_env(client->hub));
}

/* ---- client.c ---- */

/* Ended because the peer broke a rule or let a time pass. */
void client_fail(struct client *client, const char *why);

/* Ended at once, nothing more is sent. */
void client_cut(struct client *client, const char *why);

bool client_has_subscribed(const struct client *client, const char *filter);

/* ---- client_twin.c ---- */

void client_on_publish(struct client *client, const struct mqtt_packet *packet);

/* ---- client_output.c ---- */

/* Puts a packet that belongs to `step` into the output, now or when a fault lets it go. */
void client_say(struct client *client, enum faults_step step, const struct buf *packet);

/* Moves what is due into the output. The next moment to be called at; UINT64_MAX = none. */
uint64_t client_release(struct client *client, uint64_t now_ms);

/* Forgets what is kept back. */
void client_forget_late(struct client *client);
