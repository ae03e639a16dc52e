/* What twinctl's verbs share: the options of the command line, the hub that they speak to, one
 * request and what its answer means. A verb is a row of the table in twinctl.c and a function. */
#pragma once

#include "base/command.h"
#include "bridge/service/rest.h"
#include "bridge/service/show_table.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

/* What the command line said beside its arguments. Texts are argv's; what is absent is 0 or NULL
 * unless twinctl.c gives it a default. */
struct options {
    struct rest_options sign_in;
    uint32_t retry_for_ms; /* what sign_in.retry_for_ms points to when it is given */
    bool json;
    bool json_lines;
    bool tags;
    bool whole;
    bool force;
    bool dry_run;
    bool if_missing;
    bool show_keys;
    bool connection_string;
    const char *etag;
    const char *owner;
    const char *reason;
    const char *until;
    long limit;
    long page_size;
    long count;
    long response_timeout_s;
    long connect_timeout_s;
    uint32_t interval_ms;
    uint32_t timeout_ms;
};

enum { VERB_ID_MAX = 160, VERB_ETAG_MAX = 200, VERB_TEXT_MAX = 16 * 1024 * 1024 };

/* One verb at work. */
struct verb {
    const struct command *command;
    const struct options *options;
    struct rest *rest;
    struct rest_answer answer;   /* the last */
    const char *name;            /* DEVICE[/MODULE] as given; NULL: the hub as a whole */
    char device[VERB_ID_MAX];    /* its parts */
    char module_id[VERB_ID_MAX]; /* "" = none */
    const char *module;          /* module_id, or NULL when none is named */
};

/* Takes the name of what the verb is about (NULL: of nothing), and reads the sign-in. The exit
 * code; *verb is to be ended with verb_close in any case. */
int verb_open(struct verb *verb, const struct command *command, const char *name);
void verb_close(struct verb *verb);

/* The same with a sign-in that is not quite the options'. */
int verb_open_with(struct verb *verb, const struct command *command, const char *name,
                   const struct rest_options *sign_in);

/* The same in two steps, for a verb that has to look at other things first. */
void verb_init(struct verb *verb, const struct command *command);
int verb_sign_in(struct verb *verb, const struct rest_options *sign_in);

/* Writes the path of the verb's device or module below "devices" or "twins". The exit code. */
int verb_path(struct verb *verb, char out[REST_PATH_MAX], const char *collection);

/* One request. EX_OK when an answer came, of whatever status, which is then in verb->answer. */
int verb_ask(struct verb *verb, const struct rest_request *request);

/* The exit code for the last answer, said to the user when it is none of success. */
int verb_judge(struct verb *verb);

/* verb_ask, verb_judge, and the answer as JSON in *out (NULL: nobody wants it), the caller's. What
 * is not a JSON object, or array when `array`, is none of a hub's. */
int verb_fetch(struct verb *verb, const struct rest_request *request, bool array,
               struct cJSON **out);

/* Reads the twin at `path`; *out is the caller's. The exit code. */
int verb_fetch_twin(struct verb *verb, const char *path, struct cJSON **out);

/* Whether a document has what every twin has. EX_OK, or the exit code after saying that it has not. */
int verb_check_twin(const struct verb *verb, const struct cJSON *twin);

/* Whether the last answer is "somebody else changed it": the etag is not its etag any more. */
bool verb_lost_race(const struct verb *verb);

/* Whether the last answer has this code, by name in its header or by number in its body. */
bool verb_has_code(const struct verb *verb, const char *name, const char *number);

/* How standard output shows things: its width and colours when it is a terminal (NO_COLOR and
 * TERM=dumb are respected). */
void verb_style(struct show_style *out);

/* Prints a text that was put together with `rc`, or says why it could not be. The exit code. */
int verb_print(const struct verb *verb, const struct buf *text, int rc);

/* Brings what was printed to its reader. The exit code, after saying that nobody took it: who prints
 * for long has nobody to go on for. */
int verb_flush(const struct verb *verb);

/* Prints a table and forgets its rows. The exit code. */
int verb_print_table(const struct verb *verb, struct show_table *table);

/* The body of the last answer on lines of its own, as it came. */
void verb_print_raw(const struct verb *verb);

/* An etag as a user or a hub wrote it, with or without quotes, as one that can stand in a header. 0
 * or -EINVAL. */
int verb_take_etag(char out[VERB_ETAG_MAX], const char *given);

/* A text of the JSON object, "" when it has none of that name. */
const char *verb_text(const struct cJSON *object, const char *key);

/* "twinctl VERB: NAME: ..." and a newline to standard error; returns `exit_code`. */
__attribute__((format(printf, 3, 4))) int verb_fail(const struct verb *verb, int exit_code,
                                                    const char *format, ...);

/* The verbs. Each prints its result to standard output and its failure, in one line, to standard
 * error, and returns the exit code of design section 6. */
int device_create_run(const struct command *command);
int device_delete_run(const struct command *command);
int device_disable_run(const struct command *command);
int device_enable_run(const struct command *command);
int device_list_run(const struct command *command);
int device_show_run(const struct command *command);
int method_run(const struct command *command);
int module_create_run(const struct command *command);
int module_delete_run(const struct command *command);
int module_list_run(const struct command *command);
int module_show_run(const struct command *command);
int provision_run(const struct command *command);
int query_run(const struct command *command);
int twin_get_run(const struct command *command);
int twin_replace_run(const struct command *command);
int twin_update_run(const struct command *command);
int watch_run(const struct command *command);
