/* The inside of a client, shared by client.c (life, sign-in), client_subscribe.c (what it listens to),
 * client_publish.c and client_twin.c (what it says), client_push.c (what it is told) and client_output.c
 * (what leaves, when, and in which frames). Nobody else includes it. */
#pragma once

#include "tests/sim/hubsim/client.h"
#include "tests/sim/hubsim/faults.h"
#include "tests/sim/hubsim/mqtt_server.h"
#include "tests/sim/hubsim/topics.h"

#include "bridge/mqtt.h"

enum {
    CLIENT_NAME_MAX = 2 * AUTH_ID_MAX,
    CLIENT_WINDOW = 16, /* cloud-to-device messages that are sent and not acknowledged */
};

enum client_state { CLIENT_NEW, CLIENT_OPEN, CLIENT_OVER };

struct client_late; /* a packet that a fault keeps back */
struct client_will;

struct client_sent {
    uint16_t packet_id;
    int64_t sequence; /* in the queue */
    uint64_t sent_at;
};

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
    bool inside;         /* the caller of client_receive or client_tick looks at it next: no wake */
    struct client_will *will; /* owned; NULL = none, or it left with DISCONNECT */

    struct client_sent window[CLIENT_WINDOW]; /* in the order in which they were sent */
    size_t window_count;
    int64_t pushed;     /* the newest that was sent on this connection */
    bool more_messages; /* some wait for room */
    bool repeated;      /* some were sent twice on this connection: so may be their PUBACKs */

    struct faults_plan *plan; /* NULL before CONNECT, and without faults */
    struct client_late *late; /* owned */
    size_t late_count, late_bytes;
    bool greeted;       /* CONNACK is in the output: nothing may stand before it */
    bool struck;        /* a fault has sent it bytes */
    bool half_open;     /* neither reads nor sends */
    uint64_t reads_at;  /* takes nothing from the network until then */
    uint64_t leaves_at; /* gathers output until then; 0 = it does not gather */
};

static inline struct client *client_of(struct hub_client *as_client)
{
    return (struct client *)((char *)as_client - offsetof(struct client, as_client));
}

static inline uint64_t client_now(const struct client *client)
{
    return env_now_ms(hub_env(client->hub));
}

/* ---- client.c ---- */

/* Ended because the peer broke a rule or let a time pass. */
void client_fail(struct client *client, const char *why);

/* Ended at once, nothing more is sent. */
void client_cut(struct client *client, const char *why);

/* ---- client_subscribe.c ---- */

bool client_has_subscribed(const struct client *client, const char *filter);

/* The quality of service that was granted; -1 = not subscribed. */
int client_qos(const struct client *client, const char *filter);

void client_on_subscribe(struct client *client, const struct mqtt_packet *packet);
void client_on_unsubscribe(struct client *client, const struct mqtt_packet *packet);

/* ---- client_publish.c ---- */

void client_on_publish(struct client *client, const struct mqtt_packet *packet);

/* Keeps the will of a CONNECT, if it has one. NULL, or why it may not be. */
const char *client_take_will(struct client *client, const struct mqtt_server_connect *connect);
void client_forget_will(struct client *client);
/* At an end without DISCONNECT; nothing if there is no will. */
void client_publish_will(struct client *client);

/* ---- client_twin.c ---- */

void client_on_get(struct client *client, struct mqtt_text rid);
void client_on_reported(struct client *client, const struct topics_request *request,
                        const struct mqtt_publish *publish);

/* ---- client_push.c ---- */

/* Tells the owner, unless it called us. */
void client_wake(struct client *client);

/* Greeted, or subscribed to more: what waited for it is sent. */
void client_ready(struct client *client);

/* Messages of the queue for which there is room. */
void client_push_messages(struct client *client);
/* Sends again what was not acknowledged in time. The next moment to be called at; 0 = none. */
uint64_t client_repeat_messages(struct client *client, uint64_t now_ms);
void client_on_puback(struct client *client, const struct mqtt_packet *packet);

/* The hub's, of struct hub_client. */
void client_on_desired(struct hub_client *as_client, int64_t version, const char *patch,
                       size_t length);
bool client_on_call(struct hub_client *as_client, const char *rid, const struct hub_method *method);
void client_on_message(struct hub_client *as_client);

/* ---- client_output.c ---- */

/* Puts a packet that belongs to `step` into the output, now or when a fault lets it go. */
void client_say(struct client *client, enum faults_step step, const struct buf *packet);

/* Moves what is due into the output. The next moment to be called at; UINT64_MAX = none. */
uint64_t client_release(struct client *client, uint64_t now_ms);

/* Forgets what is kept back. */
void client_forget_late(struct client *client);
