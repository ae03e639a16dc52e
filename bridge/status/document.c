/* The status document, a section after the other, an element after the other.
 *
 * The cursor remembers section and element; a piece ends when it passes DOCUMENT_PIECE bytes. Between
 * two pieces the bridge goes on working, so that elements of one document may be of different moments:
 * each is true by itself. */
#include "bridge/status/document.h"

#include "base/timestamp.h"

#include <string.h>

enum { DOCUMENT_PIECE = 4096 };

struct writer {
    const struct document_source *source;
    const struct document_now *now;
    struct status_cursor *cursor;
    struct buf *out;
};

/* ---- members ---- */

static void name(struct buf *out, const char *before, const char *key)
{
    buf_printf(out, "%s\"%s\":", before, key);
}

static void text(struct buf *out, const char *before, const char *key, const char *value)
{
    name(out, before, key);
    buf_add_json(out, value);
}

static void stamp(struct buf *out, const char *key, int64_t wall_ms)
{
    char when[TIMESTAMP_MAX];

    name(out, ",", key);
    if (wall_ms == 0)
        buf_add_text(out, "null");
    else
        buf_add_json(out, timestamp_print(wall_ms, when));
}

static void number(struct buf *out, const char *before, const char *key, double value, int decimals)
{
    char digits[VALUE_TEXT_MAX];

    value_print_number(value_round(value, decimals), digits);
    name(out, before, key);
    buf_add_text(out, digits);
}

static void count(struct buf *out, const char *before, const char *key, uint64_t value)
{
    buf_printf(out, "%s\"%s\":%llu", before, key, (unsigned long long)value);
}

/* A version of the twin; null while it is not known. */
static void version(struct buf *out, const char *key, int64_t value)
{
    name(out, ",", key);
    if (value < 0)
        buf_add_text(out, "null");
    else
        buf_printf(out, "%lld", (long long)value);
}

/* ---- sections ---- */

static void write_head(struct writer *w)
{
    const struct document_source *s = w->source;

    text(w->out, "{", "name", s->config->name);
    text(w->out, ",", "version", TWINBRIDGE_VERSION);
    stamp(w->out, "started", s->started_wall_ms);
    count(w->out, ",", "uptime_s", (w->now->now_ms - s->started_ms) / 1000);
    buf_printf(w->out, ",\"ready\":%s", w->now->ready ? "true" : "false");
    text(w->out, ",", "state_error", s->state_error(s->data));
}

static void write_connection(struct writer *w, size_t index)
{
    static const char *const states[] = { "connecting", "connected", "waiting", "closed" };
    const struct config_connection *c = &w->source->config->connections[index];
    struct adapter_connection_status status;

    w->source->connection(w->source->data, index, &status);
    text(w->out, "{", "name", c->name);
    text(w->out, ",", "transport", c->transport);
    text(w->out, ",", "state", states[status.state]);
    stamp(w->out, "since", status.since_wall_ms);
    text(w->out, ",", "error", status.error);
    count(w->out, ",", "reconnects", status.reconnects);
    number(w->out, ",", "load", status.load, 3);
    buf_add_byte(w->out, '}');
}

static void write_device(struct writer *w, size_t index)
{
    const struct config *config = w->source->config;
    const struct config_device *d = &config->devices[index];
    struct adapter_device_status status;

    w->source->device(w->source->data, index, &status);
    text(w->out, "{", "name", d->name);
    text(w->out, ",", "connection", config->connections[d->connection].name);
    buf_printf(w->out, ",\"unit_id\":%d", d->unit_id);
    text(w->out, ",", "state", module_device_state_name(status.state));
    stamp(w->out, "since", status.since_wall_ms);
    stamp(w->out, "last_ok", status.last_ok_wall_ms);
    text(w->out, ",", "error", status.error);
    count(w->out, ",", "requests", status.requests);
    name(w->out, ",", "errors");
    count(w->out, "{", "timeout", status.timeouts);
    count(w->out, ",", "crc", status.crc);
    count(w->out, ",", "exception", status.exceptions);
    count(w->out, ",", "late", status.late);
    count(w->out, ",", "other", status.other);
    name(w->out, "},", "latency_ms");
    number(w->out, "{", "p50", status.latency_p50_ms, 1);
    number(w->out, ",", "p95", status.latency_p95_ms, 1);
    number(w->out, ",", "max", status.latency_max_ms, 1);
    buf_add_text(w->out, "}}");
}

static void write_module(struct writer *w, size_t index)
{
    static const char *const states[] = { "waiting", "connecting", "getting",
                                          "ready",   "refused",    "stopped" };
    struct module_status status;
    const struct session_status *session = &status.session;

    w->source->module(w->source->data, index, &status);
    text(w->out, "{", "name", w->source->config->modules[index].name);
    text(w->out, ",", "state", states[session->state]);
    stamp(w->out, "since", session->since_wall_ms);
    text(w->out, ",", "error", session->error[0] != 0 ? session->error : status.error);
    version(w->out, "desired_version", session->desired_version);
    version(w->out, "reported_version", session->reported_version);
    count(w->out, ",", "pending", status.pending);
    count(w->out, ",", "patches", status.patches);
    count(w->out, ",", "reconnects", session->reconnects);
    count(w->out, ",", "twin_bytes", status.twin_bytes);
    buf_add_byte(w->out, '}');
}

enum quality document_quality(const struct sample *sample, const struct config_tag *tag,
                              enum device_state state, uint64_t now_ms)
{
    bool silent = state == DEVICE_OFFLINE || state == DEVICE_DISABLED;

    if (sample->quality == QUALITY_GOOD &&
        (silent || now_ms - sample->now_ms > tag->stale_after_ms))
        return QUALITY_STALE;
    return sample->quality;
}

static void write_raw(struct buf *out, const struct sample *sample)
{
    name(out, ",", "raw");
    buf_add_byte(out, '"');
    for (size_t i = 0; i < sample->raw_length; i++)
        buf_printf(out, "%s%02X", i > 0 && i % 2 == 0 ? " " : "", sample->raw[i]);
    buf_add_byte(out, '"');
}

static void write_tag(struct writer *w, size_t device, size_t tag, enum device_state state)
{
    static const char *const qualities[] = { "none", "good", "bad", "stale" };
    static const char *const accesses[] = { "", "r", "w", "rw" };
    const struct config_device *d = &w->source->config->devices[device];
    const struct config_tag *t = &d->tags[tag];
    char value[VALUE_TEXT_MAX];
    struct sample sample;

    w->source->latest(w->source->data, device, tag, &sample);
    value_print(sample.value, value);
    text(w->out, w->cursor->comma ? ",{" : "{", "device", d->name);
    text(w->out, ",", "tag", t->name);
    name(w->out, ",", "value");
    buf_add_text(w->out, value);
    text(w->out, ",", "quality", qualities[document_quality(&sample, t, state, w->now->now_ms)]);
    if (sample.reason != NULL)
        text(w->out, ",", "reason", sample.reason);
    stamp(w->out, "sampled", sample.wall_ms);
    write_raw(w->out, &sample);
    text(w->out, ",", "unit", t->unit);
    text(w->out, ",", "access", accesses[t->access]);
    buf_add_byte(w->out, '}');
    w->cursor->comma = true;
}

static bool device_wanted(const struct status_query *query, const struct config_device *device)
{
    return query->device[0] == 0 || strcmp(query->device, device->name) == 0;
}

static bool tag_wanted(const struct status_query *query, const struct config_device *device,
                       const struct config_tag *tag)
{
    return query->search[0] == 0 || strcasestr(device->name, query->search) != NULL ||
           strcasestr(tag->name, query->search) != NULL;
}

/* Tags from where the cursor stands, until the piece is full; false when there are no more. */
static bool write_tags(struct writer *w)
{
    const struct config *config = w->source->config;
    struct status_cursor *c = w->cursor;
    const struct status_query *q = &c->query;

    for (; c->device < config->device_count; c->device++, c->index = 0) {
        const struct config_device *d = &config->devices[c->device];
        struct adapter_device_status status;

        if (!device_wanted(q, d))
            continue;
        w->source->device(w->source->data, c->device, &status);
        for (; c->index < d->tag_count; c->index++) {
            if (w->out->length > DOCUMENT_PIECE || w->out->error != 0)
                return true;
            if (!tag_wanted(q, d, &d->tags[c->index]))
                continue;
            c->found++;
            if (c->found > q->offset && (q->limit == 0 || c->found <= q->offset + q->limit))
                write_tag(w, c->device, c->index, status.state);
        }
    }
    return false;
}

/* One list of the document; false when it is finished. */
static bool write_list(struct writer *w, size_t length, bool devices,
                       void (*element)(struct writer *w, size_t index))
{
    struct status_cursor *c = w->cursor;

    for (; c->index < length; c->index++) {
        if (w->out->length > DOCUMENT_PIECE || w->out->error != 0)
            return true;
        if (devices && !device_wanted(&c->query, &w->source->config->devices[c->index]))
            continue;
        if (c->comma)
            buf_add_byte(w->out, ',');
        element(w, c->index);
        c->comma = true;
    }
    return false;
}

enum { HEAD, CONNECTIONS, DEVICES, MODULES, TAGS, END };

static bool write_section(struct writer *w)
{
    const struct config *config = w->source->config;

    switch (w->cursor->section) {
    case HEAD:
        write_head(w);
        return false;
    case CONNECTIONS:
        return write_list(w, config->connection_count, false, write_connection);
    case DEVICES:
        return write_list(w, config->device_count, true, write_device);
    case MODULES:
        return write_list(w, config->module_count, false, write_module);
    default:
        return w->cursor->query.tags && write_tags(w);
    }
}

bool document_next(const struct document_source *source, const struct document_now *now,
                   struct status_cursor *cursor, struct buf *out)
{
    static const char *const opens[] = {
        [CONNECTIONS] = ",\"connections\":[",
        [DEVICES] = "],\"devices\":[",
        [MODULES] = "],\"modules\":[",
        [TAGS] = "],\"tags\":[",
    };
    struct writer w = { source, now, cursor, out };

    while (cursor->section < END) {
        if (write_section(&w))
            return true;
        cursor->section++;
        cursor->index = cursor->device = 0;
        cursor->comma = false;
        if (cursor->section < END)
            buf_add_text(out, opens[cursor->section]);
    }
    buf_printf(out, "],\"tags_found\":%zu}\n", cursor->found);
    return false;
}
