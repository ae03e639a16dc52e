/* twinctl watch: follows a twin.
 *
 * Happy path: the twin is read, and read again after each interval; what differs from the reading
 * before is printed, a property on each line. It ends at Ctrl-C, after --count changes, or when
 * --until holds. Fails at once when the first reading fails. Later the hub may be away, busy or
 * unreachable: that is said once, waited for with back-off, and said when it is over; a twin that is
 * gone, or a sign-in that is no longer allowed, ends it. */
#include "base/backoff.h"
#include "base/timestamp.h"
#include "bridge/service/difference.h"
#include "bridge/service/exchange.h"
#include "bridge/service/given.h"
#include "bridge/service/show.h"
#include "bridge/service/verb.h"

#include "config/duration.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

struct watch {
    struct verb verb;
    char path[REST_PATH_MAX];
    cJSON *twin;       /* as read last; NULL before the first reading */
    char *until_path;  /* of --until; NULL: none */
    cJSON *until;      /* what it shall be; null: gone */
    uint64_t start_ms; /* monotonic */
    uint64_t away_ms;  /* since when the hub is away; 0: it is not */
    struct backoff backoff;
    long changes; /* printed */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the end by a signal ---- */

/* Nothing is left to do at that moment: every line is flushed as it is printed. */
static void on_signal_done(int signal_number)
{
    (void)signal_number;
    _exit(EX_OK);
}

/* What was waited for did not come. */
static void on_signal_missed(int signal_number)
{
    (void)signal_number;
    _exit(EX_TEMPFAIL);
}

static void catch_signals(const struct options *options)
{
    bool waits = options->until != NULL || options->count > 0;
    struct sigaction action = { .sa_handler = waits ? on_signal_missed : on_signal_done };

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* ---- --until ---- */

/* What has a value, now or later: a misspelt section would be waited for until the end of days. */
static bool is_path(const char *path)
{
    static const char *const sections[] = { "desired.", "reported.", "tags." };
    bool known = strcmp(path, "connectionState") == 0 || strcmp(path, "status") == 0;

    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        known = known || strncmp(path, sections[i], strlen(sections[i])) == 0;
    return known && strstr(path, "..") == NULL && path[strlen(path) - 1] != '.';
}

/* What it shall be: JSON, or else a text. */
static int take_value(struct watch *watch, const char *text)
{
    struct given_mistake mistake;
    int rc = given_json(&watch->until, text, strlen(text), GIVEN_AS_IT_IS, &mistake);

    if (rc == -EINVAL)
        return verb_fail(&watch->verb, EX_USAGE, "--until: the value, character %u: %s",
                         mistake.place.column, mistake.message);
    if (rc == -EBADMSG)
        watch->until = cJSON_CreateString(text);
    return watch->until != NULL ? EX_OK : verb_fail(&watch->verb, EX_SOFTWARE, "out of memory");
}

static int take_until(struct watch *watch)
{
    const char *given = watch->verb.options->until;
    const char *equals = given == NULL ? NULL : strchr(given, '=');

    if (given == NULL)
        return EX_OK;
    if (equals == NULL || equals == given)
        return verb_fail(&watch->verb, EX_USAGE,
                         "--until wants PATH=VALUE, reported.pump=true, not '%s'", given);
    watch->until_path = strndup(given, (size_t)(equals - given));
    if (watch->until_path == NULL)
        return verb_fail(&watch->verb, EX_SOFTWARE, "out of memory");
    if (!is_path(watch->until_path))
        return verb_fail(&watch->verb, EX_USAGE,
                         "--until %s: a path begins with desired., reported. or tags., or is "
                         "connectionState or status",
                         watch->until_path);
    return take_value(watch, equals + 1);
}

static bool holds(const struct watch *watch)
{
    const cJSON *value = difference_at(watch->twin, watch->until_path);

    if (cJSON_IsNull(watch->until))
        return value == NULL || cJSON_IsNull(value);
    return value != NULL && show_same(value, watch->until);
}

/* ---- printing ---- */

/* A value, and of an acknowledgement what it says. */
static void add_value(struct buf *out, const cJSON *node)
{
    if (!show_is_acknowledgement(node)) {
        show_value(out, node);
        return;
    }
    show_value(out, cJSON_GetObjectItemCaseSensitive(node, "value"));
    buf_add_text(out, " (");
    show_acknowledgement(out, node, 0);
    buf_add_text(out, ")");
}

static void print_change(struct buf *out, const struct difference *change, const char *time_text,
                         bool json)
{
    if (!json) {
        buf_printf(out, "%s ", time_text);
        show_text(out, change->path);
        buf_add_text(out, " ");
        add_value(out, change->old);
        buf_add_text(out, " -> ");
        add_value(out, change->now);
        buf_add_text(out, "\n");
        return;
    }
    buf_printf(out, "{\"time\":\"%s\",\"path\":", time_text);
    buf_add_json(out, change->path);
    if (change->old != NULL) {
        buf_add_text(out, ",\"old\":");
        show_json(out, change->old);
    }
    if (change->now != NULL) {
        buf_add_text(out, ",\"new\":");
        show_json(out, change->now);
    }
    buf_add_text(out, "}\n");
}

/* Prints what differs from the reading before. The exit code. */
static int print_changes(struct watch *watch, const cJSON *twin)
{
    const struct options *options = watch->verb.options;
    char time_text[TIMESTAMP_MAX];
    struct difference_list list = { 0 };
    struct buf text;
    int exit_code;
    int rc = difference_find_twin(&list, watch->twin, twin);

    timestamp_print(wall_ms(), time_text);
    buf_init(&text, VERB_TEXT_MAX);
    for (size_t i = 0; i < list.count; i++) {
        if (options->count > 0 && watch->changes == options->count)
            break;
        print_change(&text, &list.items[i], time_text, options->json);
        watch->changes++;
    }
    exit_code = verb_print(&watch->verb, &text, rc != 0 ? rc : text.error);
    if (exit_code == EX_OK)
        exit_code = verb_flush(&watch->verb);
    buf_done(&text);
    difference_done(&list);
    return exit_code;
}

/* ---- reading ---- */

/* How long a reading may take: what --timeout leaves, at most --request-timeout (0: as that is). */
static long seconds_left(const struct watch *watch)
{
    const struct options *options = watch->verb.options;
    uint64_t patience_ms = options->sign_in.timeout_ms == 0 ? EXCHANGE_TIMEOUT_MS
                                                            : options->sign_in.timeout_ms;
    uint64_t spent_ms = now_ms() - watch->start_ms;
    uint64_t left_ms = spent_ms < options->timeout_ms ? options->timeout_ms - spent_ms : 0;

    if (options->timeout_ms == 0 || left_ms >= patience_ms)
        return 0;
    return (long)(left_ms / 1000 + 1);
}

/* Whether it may be better later: the hub or the token service is busy or away, or something between
 * here and there answers in its place. */
static bool is_passing(const struct watch *watch, int rc)
{
    int exit_code = rc == 0 ? answer_exit(watch->verb.answer.status) : rest_exit(rc);

    return exit_code == EX_TEMPFAIL || exit_code == EX_UNAVAILABLE;
}

static void say_away(struct watch *watch, const char *why)
{
    if (watch->away_ms != 0)
        return;
    watch->away_ms = now_ms();
    verb_fail(&watch->verb, 0, "%s; trying again until it works", why);
}

static void say_back(struct watch *watch)
{
    if (watch->away_ms == 0)
        return;
    verb_fail(&watch->verb, 0, "the hub answers again, after %llu s",
              (unsigned long long)(now_ms() - watch->away_ms + 500) / 1000);
    watch->away_ms = 0;
    backoff_reset(&watch->backoff);
}

/* The answer is a twin: *out is the caller's. Otherwise `why` says what it is. */
static bool take_twin(cJSON **out, const struct rest_answer *answer, char why[ANSWER_TEXT_MAX])
{
    const char *text = buf_text(&answer->body);
    const char *end;
    char what[ANSWER_TEXT_MAX];

    if (answer_exit(answer->status) != EX_OK) {
        answer_describe(why, answer->status, answer->error_code, text, answer->body.length);
        return false;
    }
    *out = cJSON_ParseWithLengthOpts(text, answer->body.length + 1, &end, 1);
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(*out, "properties")))
        return true;
    cJSON_Delete(*out);
    *out = NULL;
    answer_mistaken(what, text, answer->body.length);
    snprintf(why, ANSWER_TEXT_MAX, "%ld, but the answer is no twin: %.300s", answer->status, what);
    return false;
}

/* A reading after the first; *out stays NULL when the hub is away for a while. The exit code. */
static int read_again(struct watch *watch, cJSON **out)
{
    const struct rest_request request = {
        .method = "GET", .path = watch->path, .timeout_s = seconds_left(watch), .repeatable = true
    };
    struct verb *verb = &watch->verb;
    struct err err = { "out of memory" };
    char why[ANSWER_TEXT_MAX];
    int rc = rest_call(verb->rest, &request, &verb->answer, &err);

    if (rc == 0 && take_twin(out, &verb->answer, why)) {
        say_back(watch);
        return EX_OK;
    }
    if (is_passing(watch, rc) || (rc == 0 && answer_exit(verb->answer.status) == EX_OK)) {
        say_away(watch, rc == 0 ? why : err.msg);
        return EX_OK;
    }
    return rc == 0 ? verb_judge(verb) : verb_fail(verb, rest_exit(rc), "%s", err.msg);
}

static int read_twin(struct watch *watch, cJSON **out)
{
    return watch->twin == NULL ? verb_fetch_twin(&watch->verb, watch->path, out)
                               : read_again(watch, out);
}

/* ---- the loop ---- */

static double version_of(const cJSON *twin, const char *section)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(difference_section(twin, section),
                                                            "$version");

    return cJSON_IsNumber(version) ? version->valuedouble : 0;
}

/* The first reading is what the next are compared with. */
static void say_start(const struct watch *watch)
{
    char interval[DURATION_TEXT_MAX];

    duration_print(watch->verb.options->interval_ms, interval);
    fprintf(stderr, "%s: watching every %s from desired version %.0f, reported version %.0f\n",
            watch->verb.name, interval, version_of(watch->twin, "desired"),
            version_of(watch->twin, "reported"));
}

/* One look. *ended: there is nothing more to wait for. The exit code. */
static int look(struct watch *watch, bool *ended)
{
    const struct options *options = watch->verb.options;
    cJSON *twin = NULL;
    int exit_code = read_twin(watch, &twin);
    bool first = watch->twin == NULL;

    if (exit_code != EX_OK || twin == NULL) {
        cJSON_Delete(twin);
        return exit_code;
    }
    if (!first)
        exit_code = print_changes(watch, twin);
    cJSON_Delete(watch->twin);
    watch->twin = twin;
    if (first)
        say_start(watch);
    *ended = (watch->until != NULL && holds(watch)) ||
             (options->count > 0 && watch->changes >= options->count);
    return exit_code;
}

static int give_up(const struct watch *watch)
{
    char timeout[DURATION_TEXT_MAX];
    struct buf value;
    int exit_code;

    duration_print(watch->verb.options->timeout_ms, timeout);
    if (watch->until == NULL)
        return verb_fail(&watch->verb, EX_TEMPFAIL, "--timeout %s is over", timeout);
    buf_init(&value, 256);
    show_value(&value, difference_at(watch->twin, watch->until_path));
    exit_code = verb_fail(&watch->verb, EX_TEMPFAIL, "--timeout %s is over, %s is %s", timeout,
                          watch->until_path, buf_text(&value));
    buf_done(&value);
    return exit_code;
}

/* Waits until the next look is due. False when --timeout is over. */
static bool wait_for_next(struct watch *watch)
{
    const struct options *options = watch->verb.options;
    uint64_t wait_ms = options->interval_ms;
    uint64_t spent_ms = now_ms() - watch->start_ms;
    uint32_t random = 0;
    struct timespec wait;

    if (watch->away_ms != 0) {
        if (getrandom(&random, sizeof random, 0) != sizeof random)
            random = 0; /* the shortest wait */
        wait_ms = backoff_next_ms(&watch->backoff, random);
        if (wait_ms < options->interval_ms)
            wait_ms = options->interval_ms;
    }
    if (options->timeout_ms > 0 && spent_ms >= options->timeout_ms)
        return false;
    if (options->timeout_ms > 0 && spent_ms + wait_ms > options->timeout_ms)
        wait_ms = options->timeout_ms - spent_ms; /* and a last look */
    wait.tv_sec = (time_t)(wait_ms / 1000);
    wait.tv_nsec = (long)(wait_ms % 1000) * 1000000;
    nanosleep(&wait, NULL);
    return true;
}

static int run(struct watch *watch)
{
    bool ended = false;
    int exit_code = look(watch, &ended);

    while (exit_code == EX_OK && !ended) {
        if (!wait_for_next(watch))
            return give_up(watch);
        exit_code = look(watch, &ended);
    }
    return exit_code;
}

int watch_run(const struct command *command)
{
    static const uint32_t no_retry_ms = 0;
    const struct options *options = command->options;
    struct rest_options sign_in = options->sign_in;
    struct watch watch = { .start_ms = now_ms(), .backoff = { .min_ms = 1000, .max_ms = 60000 } };
    int exit_code;

    /* What the hub is too busy for is waited for here, where it is said. */
    if (sign_in.retry_for_ms == NULL)
        sign_in.retry_for_ms = &no_retry_ms;
    exit_code = verb_open_with(&watch.verb, command, command->arguments[0], &sign_in);
    if (exit_code == EX_OK)
        exit_code = take_until(&watch);
    if (exit_code == EX_OK)
        exit_code = verb_path(&watch.verb, watch.path, "twins");
    if (exit_code == EX_OK) {
        catch_signals(options);
        exit_code = run(&watch);
    }
    cJSON_Delete(watch.twin);
    cJSON_Delete(watch.until);
    free(watch.until_path);
    verb_close(&watch.verb);
    return exit_code;
}
