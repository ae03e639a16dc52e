/* The mapping file as immutable structs: what the operator told us, resolved and validated.
 *
 * config_load reads the file and lists every mistake with file:line:column and JSON path. It knows
 * connections, devices, tags and modules; what a register is, only the adapters know: each lends a
 * table of its keys and a check (struct config_adapter). A value resolves
 *     device.tags.X > template.tags.X > device > template > connection > file,
 * and the config_*_key functions walk that chain for an adapter's own keys.
 *
 * Everything is owned by struct config and valid until config_free; nothing changes after config_load
 * returned. Indices of connections, devices and modules are positions in the arrays here, tags are
 * numbered within their device. Durations are in milliseconds. */
#pragma once

#include "base/err.h"
#include "config/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct cJSON;
struct config;
struct config_errors;

/* ---- the keys of the mapping file ---- */

enum config_level { /* where a key may stand; a set of bits */
                    CONFIG_FILE = 1,
                    CONFIG_HUB = 2,
                    CONFIG_STATUS = 4,
                    CONFIG_CONNECTION = 8,
                    CONFIG_TEMPLATE = 16,
                    CONFIG_DEVICE = 32,
                    CONFIG_TAG = 64,
                    CONFIG_MODULE = 128,
                    /* "anywhere down to the tag" and "connection or device", which a template may hold too */
                    CONFIG_ANYWHERE = CONFIG_FILE | CONFIG_CONNECTION | CONFIG_TEMPLATE |
                                      CONFIG_DEVICE | CONFIG_TAG,
                    CONFIG_LINE = CONFIG_CONNECTION | CONFIG_TEMPLATE | CONFIG_DEVICE,
};

enum config_kind {
    CONFIG_BOOL,
    CONFIG_INTEGER,  /* a whole number within min..max */
    CONFIG_NUMBER,   /* finite, within min..max */
    CONFIG_TEXT,     /* a text that is not empty */
    CONFIG_DURATION, /* "500ms", "10s", "5m", "1h", "1d" within min..max ms; 0 also as "0s" */
    CONFIG_NEVER,    /* a duration or "never" (0) */
    CONFIG_CHOICE,   /* one of `choices` */
    CONFIG_ANY,      /* the owner of the key looks for himself (objects, lists, addresses) */
};

struct config_key {
    const char *name; /* NULL ends a table */
    unsigned levels;  /* of enum config_level */
    enum config_kind kind;
    double min, max;            /* integers, numbers, durations (ms); both 0 = no limit */
    const char *const *choices; /* CONFIG_CHOICE: NULL-terminated */
};

/* What one kind of bus adds to the mapping file. Constant data of an adapter. */
struct config_adapter {
    const char *name;
    const char *const *transports; /* values of "transport" that belong to it; NULL-terminated */
    const struct config_key *keys; /* its own keys; none of the general ones */

    /* Called once per connection after the general part was read: validates the adapter's keys of
     * that connection, its devices and their tags, reports every mistake to `errors`, and sets `type`,
     * `decimals`, `raw_step`, `lowest` and `highest` of every tag. The only moment a config changes. */
    void (*check)(struct config *config, size_t connection, struct config_errors *errors);
};

/* ---- what was said ---- */

enum config_access { CONFIG_READ = 1, CONFIG_WRITE = 2, CONFIG_READ_WRITE = 3 };
enum config_report { CONFIG_REPORT_CHANGE, CONFIG_REPORT_ALWAYS, CONFIG_REPORT_NONE };
enum config_on_start { CONFIG_START_CHANGED, CONFIG_START_APPLY, CONFIG_START_SKIP };

struct config_tag {
    const char *name;
    const char *unit;        /* "" when not given */
    const char *description; /* "" when not given */
    enum config_access access;
    enum config_report report;
    enum config_on_start on_start;
    uint32_t poll_interval_ms;
    uint32_t min_interval_ms;   /* 0 = none */
    uint32_t max_silence_ms;    /* 0 = never */
    uint32_t stale_after_ms;    /* without a fresh sample it is stale; default 3 polls */
    uint32_t write_deadline_ms; /* 0 = none: an order waits as long as it takes */
    double deadband;
    double min, max; /* of an order; NAN = no limit */
    double step;     /* 0 = none; counted from min, or from 0 */
    bool write_once;
    bool verify;

    /* set by the adapter's check */
    enum value_type type;
    double lowest, highest; /* what the registers can hold, engineering units */
    double raw_step; /* engineering units of one raw unit; 0 = not in steps (float32, bool) */
    int decimals;    /* of a scaled value; -1 = not rounded */
};

struct config_device {
    const char *name;
    const char *description; /* "" when not given */
    size_t connection;
    int unit_id; /* -1 when not given: the adapter says whether that is a mistake */
    bool enabled;
    size_t module; /* index, or CONFIG_NO_MODULE */
    const struct config_tag *tags;
    size_t tag_count;
};

#define CONFIG_NO_MODULE SIZE_MAX

struct config_connection {
    const char *name;
    const char *transport;
    bool enabled;
    const struct config_adapter *adapter;
    const size_t *devices; /* indices of its devices, in the order of the file */
    size_t device_count;
};

struct config_module {
    const char *name;
    const char *device_id;              /* modules.NAME.device_id, else the hub's */
    const char *connection_string_file; /* absolute, or NULL: the rules of design section 7 */
    bool components; /* devices are Plug and Play components in the twin; always with several */
    const size_t *devices;
    size_t device_count; /* at least 1 */
};

struct config_hub {
    const char *host_name;
    const char *device_id;
    int port;
    const char *credentials; /* folder */
    const char *ca_file;     /* default: the system's bundle */
    uint32_t token_lifetime_ms;
    uint32_t keepalive_ms;
};

struct config {
    const char *path;  /* as given to config_load */
    const char *name;  /* of the gateway: the hub's device_id */
    const char *state; /* folder for durable state, absolute or relative to the working folder */
    bool writes;       /* false: "writes": "forbid" */
    struct config_hub hub;
    const char *status_listen; /* "ADDR:PORT" */
    const struct config_connection *connections;
    size_t connection_count;
    const struct config_device *devices;
    size_t device_count;
    const struct config_module *modules;
    size_t module_count;
    struct config_source *source; /* texts, trees and positions; private to config/ */
};

/* ---- reading it ---- */

/* Reads `path` with the adapters' help (NULL-terminated array). 0: *out is the caller's, and `errors`
 * may hold warnings. -EINVAL: `errors` holds every mistake, *out is untouched. -ENOMEM. A file that
 * cannot be read is a mistake too ("cannot read: No such file or directory"). */
int config_load(struct config **out, const char *path, const struct config_adapter *const *adapters,
                struct config_errors *errors);
void config_free(struct config *config); /* NULL is fine */

/* ---- mistakes ---- */

struct config_errors *config_errors_new(void); /* NULL without memory */
void config_errors_free(struct config_errors *errors);
size_t config_errors_count(const struct config_errors *errors);   /* mistakes */
size_t config_warnings_count(const struct config_errors *errors); /* warnings */

/* Prints all, in the order of the file, a line each:
 * "FILE:LINE:COLUMN: [warning: ]PATH: text, what to write". */
void config_errors_print(const struct config_errors *errors, FILE *out);

/* All as a JSON array of {"file","line","column","path","severity","message"}; a text to be freed. */
char *config_errors_json(const struct config_errors *errors);

/* A mistake or a warning at `node`, a node of the mapping file's tree (NULL: at the whole file). For
 * adapters' checks. At most 1,000 are kept; the rest is counted. */
__attribute__((format(printf, 3, 4))) void
config_error(struct config_errors *errors, const struct cJSON *node, const char *format, ...);
__attribute__((format(printf, 3, 4))) void
config_warning(struct config_errors *errors, const struct cJSON *node, const char *format, ...);

/* ---- keys of the adapters ---- */

/* The node that decides `key` for a tag, a device or a connection: the nearest of the resolution order
 * that names it; NULL when none does. A node of the wrong kind was reported already and counts as
 * absent. */
const struct cJSON *config_tag_key(const struct config *config, size_t device, size_t tag,
                                   const char *key);
const struct cJSON *config_device_key(const struct config *config, size_t device, const char *key);
const struct cJSON *config_connection_key(const struct config *config, size_t connection,
                                          const char *key);

/* The node of the tag, device or connection itself, for messages about what is missing there. */
const struct cJSON *config_tag_node(const struct config *config, size_t device, size_t tag);
const struct cJSON *config_device_node(const struct config *config, size_t device);
const struct cJSON *config_connection_node(const struct config *config, size_t connection);

/* A node as a C value; `otherwise` when it is NULL. */
double config_number(const struct cJSON *node, double otherwise);
bool config_bool(const struct cJSON *node, bool otherwise);
const char *config_text(const struct cJSON *node, const char *otherwise);
uint32_t config_duration_ms(const struct cJSON *node, uint32_t otherwise);

/* The text of a number as it stands in the mapping file ("0.10"), for counting its decimals; false
 * when the node is not a number of the file or `size` is too small. */
bool config_number_text(const struct config *config, const struct cJSON *node, char *out,
                        size_t size);

/* The tag to be completed by an adapter's check. */
struct config_tag *config_tag_edit(struct config *config, size_t device, size_t tag);

/* ---- finding by name ---- */

/* Index of a device, or of a tag in it; SIZE_MAX when there is none. */
size_t config_find_device(const struct config *config, const char *name);
size_t config_find_tag(const struct config_device *device, const char *name);
