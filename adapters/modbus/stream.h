/* Bytes on the loop: the seam between a line, which decides, and a transport, which does. A stream is
 * one path to a peer that is opened, dies, and is opened again. tcp.c is one; tests have a fake.
 *
 * Contract
 * - open is allowed only while nothing is open: before the first open and after `closed`.
 * - After an open that returned 0 come: at most one `opened`, then any number of `bytes`, and in the end
 *   exactly one `closed`, also when opening failed. Nothing comes after it until the next open.
 * - No event comes from inside a call of the owner's into the stream; the owner may call the stream from
 *   inside an event (open and free in `closed` too).
 * - After close no event comes but `closed`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct stream;

/* The longest single write: one Modbus frame of any transport. */
enum { STREAM_WRITE_MAX = 260 };

struct stream_events {
    void (*opened)(void *owner);

    /* Bytes as they arrived, cut anywhere; valid during the call. */
    void (*bytes)(void *owner, const uint8_t *bytes, size_t length);

    /* `rc`: 0 after the owner's close, else the -errno that ended it; `why` says it to a person with the
     * peer's name and the remedy ("" after the owner's close); valid during the call. */
    void (*closed)(void *owner, int rc, const char *why);
};

struct stream_ops {
    /* Starts opening. 0, or -errno (-ENOMEM, -EMFILE ...) and no event will come. */
    int (*open)(struct stream *stream, const struct stream_events *events, void *owner);

    /* Sends up to STREAM_WRITE_MAX bytes, copied where they cannot go out at once. Only between `opened`
     * and `closed` or close. A peer that takes nothing more shows as `closed`. */
    void (*write)(struct stream *stream, const uint8_t *bytes, size_t length);

    /* Ends it; does nothing when nothing is open or it is closing already. */
    void (*close)(struct stream *stream);

    /* Only while nothing is open. NULL is not fine: use stream_free. */
    void (*free)(struct stream *stream);
};

struct stream { /* a transport's struct embeds this first */
    const struct stream_ops *ops;
    char peer[272]; /* "10.0.0.5:502", "[::1]:502": for messages */
};

static inline void stream_free(struct stream *stream)
{
    if (stream != NULL)
        stream->ops->free(stream);
}

/* A stream to host:port over TCP. `host` is a name or a numeric address of either family and must
 * outlive the stream. Every address of a name is tried in the resolver's order, each for at most
 * `connect_timeout_ms`. The resolver's own time is not limited: it cannot be stopped, and an answer that
 * comes late is as good as another. 0 or -ENOMEM. */
int tcp_new(struct stream **out, struct uv_loop_s *loop, const char *host, int port,
            uint32_t connect_timeout_ms);
