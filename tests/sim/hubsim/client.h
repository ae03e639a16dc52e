/* One MQTT connection of a device or module: a state machine without a socket and without a clock.
 * Bytes come in, bytes are left in an output buffer, time is passed in. What it decides, hub.h
 * carries out.
 *
 *     new --CONNECT accepted--> open --DISCONNECT, violation, keepalive or token over--> over
 *      \--CONNECT refused, 60 s over, violation--------------------------------------------^
 *
 * Over means: send what is left in the output, then close the connection without a word (the hub
 * has no error packets: closing is what it says). */
#pragma once

#include "base/buf.h"
#include "tests/sim/hubsim/hub.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLIENT_CONNECT_MS = 60 * 1000,     /* from the first byte to CONNECT (12.3, rule 1) */
    CLIENT_KEEPALIVE_MS = 1767 * 1000, /* the longest silence, and the rule for keepalive 0 (1.3) */
    CLIENT_GOODBYE_MS = 5 * 1000,      /* to take the rest of the output */
    CLIENT_OUTPUT_MAX = 1024 * 1024,   /* one who does not read is closed at so many bytes */
    CLIENT_PATCH_MAX = 128 * 1024,     /* of a reported patch as text */
    CLIENT_LOCK_MS = 60 * 1000, /* a message that is not acknowledged so long comes again (5.4) */
};

struct client;

/* A new connection. `wake` is called when there is output, when the connection is over, and when
 * its deadline moved, because of what others did; never from inside a function of this header. The
 * client may be freed in it. 0 or -ENOMEM. */
int client_new(struct client **out, struct hub *hub, uint64_t now_ms, void (*wake)(void *data),
               void *data);

/* The connection is gone. NULL is fine. */
void client_free(struct client *client);

/* Bytes as they came; any split is fine. After the client is over they are ignored. */
void client_receive(struct client *client, const uint8_t *bytes, size_t length, uint64_t now_ms);

/* Ends what has lasted too long. Returns the next moment to be called at, in ms; 0 = none. */
uint64_t client_tick(struct client *client, uint64_t now_ms);

/* What is to be sent. */
struct buf *client_output(struct client *client);

/* Whether something may be sent now. */
bool client_may_send(struct client *client, uint64_t now_ms);

/* Takes the next frame out of the output: its length, at most `max`; 0 = nothing may be sent now.
 * `*text`: as a text frame, which MQTT forbids (a fault). */
size_t client_take_frame(struct client *client, uint64_t now_ms, uint8_t *out, size_t max,
                         bool *text);

/* Whether bytes are to be taken from the network; changes in client_tick and before a wake. */
bool client_reads(const struct client *client);

bool client_is_over(const struct client *client);
