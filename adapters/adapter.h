/* THE SEAM: one connection with its devices, whatever bus it is. The bridge knows no more of a bus than
 * this; the Modbus adapter and the tests' fake adapter both implement it, and a second protocol is a
 * folder and a row in adapters.c.
 *
 * The adapter owns the polling schedule, the line and the present sample of every tag. It tells its
 * owner what changed, and answers what is present when asked: an unchanged block costs no work per tag.
 *
 * Contract
 * - One thread, the loop's. No call blocks. Every call but close may be made until close.
 * - Devices and tags are indices into struct config (devices over the whole file, tags in their device).
 * - Events come from the loop, never from inside a call of the owner's into the adapter.
 * - An owner may call the adapter from inside an event, close included.
 * - An absent device or peer is no error of any call: it shows in the states and is tried again for ever.
 */
#pragma once

#include "base/env.h"
#include "base/err.h"
#include "config/config.h"
#include "config/value.h"

#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct adapter; /* an adapter's struct embeds this first */

/* ---- samples ---- */

enum quality {
    QUALITY_NONE, /* never read */
    QUALITY_GOOD, /* the device answered and the value makes sense */
    QUALITY_BAD,  /* the device answered with an exception, or with what is no value */
    QUALITY_STALE, /* was good, and no fresh one came in time; made by the reader of samples, not here */
};

enum { SAMPLE_RAW_MAX = 8 };

struct sample {
    enum quality quality;
    struct value value;          /* VALUE_NONE unless good */
    uint64_t now_ms;             /* monotonic time of the answer that carried it; 0 = never */
    int64_t wall_ms;             /* the same moment, UTC since 1970; 0 = never */
    const char *reason;          /* why it is bad, a constant text; NULL when it is not */
    uint8_t raw[SAMPLE_RAW_MAX]; /* as on the wire: words high byte first; a bit is one byte */
    uint8_t raw_length;
};

/* ---- states and their counters ---- */

enum connection_state {
    CONNECTION_CONNECTING,
    CONNECTION_CONNECTED,
    CONNECTION_WAITING, /* for the next try, after a failure */
    CONNECTION_CLOSED,  /* disabled */
};

enum device_state {
    DEVICE_STARTING, /* not asked yet, or not answered yet */
    DEVICE_ONLINE,
    DEVICE_DEGRADED, /* answers, but a tag is bad or too many requests fail */
    DEVICE_OFFLINE,  /* silent */
    DEVICE_DISABLED,
};

struct adapter_connection_status {
    enum connection_state state;
    int64_t since_wall_ms;
    const char *
        error; /* why it is not connected, for a person; "" when it is. Valid until the next event */
    uint64_t reconnects;
    double load; /* share of the last ten seconds that a request was on the line, 0 to 1 */
};

struct adapter_device_status {
    enum device_state state;
    int64_t since_wall_ms;
    int64_t last_ok_wall_ms; /* of the last answer; 0 = never */
    const char *error;       /* "" when there is none. Valid until the next event */
    uint64_t requests;       /* tries counted */
    uint64_t timeouts, crc, exceptions, late, other;
    double latency_p50_ms, latency_p95_ms, latency_max_ms; /* 0 until measured */
};

/* ---- writes ---- */

enum write_outcome {
    WRITE_DONE, /* accepted, and read back equal; or not verified by wish (sample.quality NONE) */
    WRITE_DIFFERS, /* accepted, but reads back otherwise: `readback`; or, when it cannot be read back, the
                      device says that it took something else: `detail`, sample.quality NONE */
    WRITE_REFUSED, /* the device answered with an exception: `detail` names it */
    WRITE_NO_ANSWER, /* sent at least once, never answered, or never read back: the outcome is unknown */
    WRITE_NOT_SENT, /* not one byte went out (no connection, the device is offline or disabled, or the
                       deadline passed in the queue): at once, not when that is over */
};

struct write_result {
    enum write_outcome outcome;
    struct sample readback; /* quality good when it was read back */
    const char *detail; /* for a person, "" when there is nothing to add; valid during the event */
};

/* ---- events to the owner ---- */

struct adapter_events {
    /* A tag's sample is new: first ever, another value, or another quality. An unchanged one is not
     * told; adapter_ops.latest knows its time. `sample` is valid during the call. */
    void (*sample)(void *owner, size_t device, size_t tag, const struct sample *sample);

    /* The answer to read: the tag's sample is as fresh as the device allows. `rc`: 0 a sample was read
     * (good or bad), -ETIMEDOUT the device did not answer, -ENOTCONN no connection, -ECANCELED closing. */
    void (*read_done)(void *owner, size_t device, size_t tag, int rc);

    /* The answer to write. A read-back has changed the tag's sample already (and told `sample`). */
    void (*write_done)(void *owner, size_t device, size_t tag, const struct write_result *result);

    void (*connection_state)(void *owner, size_t connection, enum connection_state state);
    /* Another state, or the same with another reason (adapter_device_status.error). */
    void (*device_state)(void *owner, size_t device, enum device_state state);
};

/* ---- operations ---- */

struct adapter_open {
    struct uv_loop_s *loop;
    const struct env *env;
    const struct config *config;
    size_t connection; /* the one to open, with all its devices */
    const struct adapter_events *events;
    void *owner; /* handed to every event */
};

struct adapter_ops {
    const struct config_adapter *config; /* keys and check, before any loop */

    /* Opens the connection and starts polling. `args` is copied; what it points to must outlive the
     * adapter. 0, -ENOMEM, or -errno of the loop with `err` saying more. */
    int (*open)(struct adapter **out, const struct adapter_open *args, struct err *err);

    /* Reads a tag now, besides the schedule. read_done comes exactly once for every call that returned
     * 0. -EINVAL: the tag cannot be read (access w). -EAGAIN: one is under way for this tag. */
    int (*read)(struct adapter *adapter, size_t device, size_t tag);

    /* Writes a value in engineering units: nearest raw step, before any read of the line, with
     * write_retries and, unless the tag says otherwise, a read-back. `deadline_ms` (monotonic, 0 = none):
     * not sent after it. write_done comes exactly once for every call that returned 0. -EAGAIN: one is
     * under way for this tag. -ERANGE: the registers cannot hold it. -EINVAL: not writable, wrong type. */
    int (*write)(struct adapter *adapter, size_t device, size_t tag, struct value value,
                 uint64_t deadline_ms);

    /* The tag's present sample, good or bad or none, with the time of the last answer that carried it. */
    void (*latest)(const struct adapter *adapter, size_t device, size_t tag, struct sample *out);

    /* The value that a write of `value` would read back: rounded to the raw step. */
    struct value (*nearest)(const struct adapter *adapter, size_t device, size_t tag,
                            struct value value);

    void (*status)(const struct adapter *adapter, struct adapter_connection_status *out);
    void (*device_status)(const struct adapter *adapter, size_t device,
                          struct adapter_device_status *out);

    /* Ends everything: requests under way are answered with -ECANCELED / WRITE_NOT_SENT or
     * WRITE_NO_ANSWER, states are not told any more, `closed` comes once as the last event and the
     * adapter is freed behind it. Not called twice. */
    void (*close)(struct adapter *adapter, void (*closed)(void *owner));
};

struct adapter {
    const struct adapter_ops *ops;
};

/* All kinds of bus, NULL-terminated (adapters.c), and the same as what config_load wants. */
extern const struct adapter_ops *const adapters_all[];
extern const struct config_adapter *const adapters_config[];

/* The operations behind a connection's config; NULL when it is of no kind known here. */
const struct adapter_ops *adapters_find(const struct config_adapter *config);
