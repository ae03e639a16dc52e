/* Desired patches in the order of their $version, around a get (reference: iot-hub.md section 3.5, steps
 * 3 to 6). Pure.
 *
 * While a get is awaited, patches are held. The answer is the full state at some version V; held
 * patches above V are merged into it in order. A patch that neither the answer nor the held ones explain
 * (a gap, or one that did not fit) means: get again. A get is the hub's last word on every patch that
 * was seen before it was sent, so that a wrong version cannot cause gets without end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

enum {
    INBOX_PATCHES_MAX = 16,
    INBOX_BYTES_MAX = 128 * 1024, /* of the held patches' texts */
};

struct inbox {
    int64_t version; /* of the desired section as the owner knows it; -1 = unknown */
    int64_t seen;    /* highest version of the patches since the last get was sent; -1 = none */
    struct inbox_patch {
        int64_t version;
        struct cJSON *patch; /* owned */
        size_t bytes;
    } patches[INBOX_PATCHES_MAX];
    size_t count;
    size_t bytes;
};

enum inbox_order {
    INBOX_NEXT,  /* version + 1: apply it */
    INBOX_OLD,   /* known already: ignore it */
    INBOX_AHEAD, /* something is missing before it: get */
};

/* Empty, nothing known. */
void inbox_init(struct inbox *inbox);

/* Drops the held patches. Safe on a zeroed struct; the inbox is then as after init. */
void inbox_done(struct inbox *inbox);

/* Where a patch stands when no get is awaited. INBOX_NEXT counts as applied. */
enum inbox_order inbox_take(struct inbox *inbox, int64_t version);

/* Holds a patch until the get is answered; takes it over. One that does not fit is dropped, which the
 * next inbox_merge notices. */
void inbox_hold(struct inbox *inbox, int64_t version, struct cJSON *patch, size_t bytes);

/* A patch came that could not be read: the next inbox_merge notices. */
void inbox_missed(struct inbox *inbox);

/* A get goes out now. */
void inbox_asked(struct inbox *inbox);

/* The get's answer: `desired` is of `version`; merges what is held into it, sets its $version, and drops
 * the held ones. 0: complete. -EAGAIN: patches are missing, get again. -ENOMEM. */
int inbox_merge(struct inbox *inbox, struct cJSON *desired, int64_t version);
