/* What twinctl's verbs share.
 *
 * Happy path: the name is taken apart, the sign-in is read, each request gives an answer, and an
 * answer of success goes back to the verb. Everything else ends here in one line on standard error
 * that says what, where and what to do, and in the exit code for it. */
#include "bridge/service/verb.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

int verb_fail(const struct verb *verb, int exit_code, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fflush(stdout); /* in a log of both, what was done stands before what failed then */
    return command_fail(verb->command, exit_code, "%s%s%s", verb->name == NULL ? "" : verb->name,
                        verb->name == NULL ? "" : ": ", text);
}

/* ---- beginning and end ---- */

void verb_init(struct verb *verb, const struct command *command)
{
    *verb = (struct verb){ .command = command, .options = command->options };
    rest_answer_init(&verb->answer);
}

int verb_sign_in(struct verb *verb, const struct rest_options *sign_in)
{
    struct err err = { "out of memory" };
    int rc = rest_new(&verb->rest, sign_in, &err);

    return rc == 0 ? EX_OK : command_fail(verb->command, rest_exit(rc), "%s", err.msg);
}

/* Whether it can stand in a message. What else is no id is for the hub to say. */
static bool is_plain(const char *name)
{
    for (; *name != '\0'; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7F)
            return false;
    return true;
}

/* Whether the verb's table says that it is about devices and modules, or about one of them. */
static int take_name(struct verb *verb, const char *name)
{
    const char *wanted = verb->command->verb->arguments;
    const char *slash = strchr(name, '/');
    size_t length = slash == NULL ? strlen(name) : (size_t)(slash - name);

    if (!is_plain(name))
        return command_fail(verb->command, EX_USAGE, "an id of a hub holds no control characters");
    if (slash != NULL && slash[1] == '\0')
        return command_fail(verb->command, EX_USAGE,
                            "'%s' names no module; a shell takes a $ for its own: "
                            "write '%.*s/$edgeHub' in single quotes",
                            name, (int)length, name);
    if (length == 0 || length >= sizeof verb->device ||
        (slash != NULL &&
         (strchr(slash + 1, '/') != NULL || strlen(slash + 1) >= sizeof verb->module_id)) ||
        (slash == NULL && strncmp(wanted, "DEVICE/MODULE", 13) == 0) ||
        (slash != NULL && strchr(wanted, '/') == NULL))
        return command_fail(verb->command, EX_USAGE, "'%s' is not %.*s; see %s %s --help", name,
                            (int)strcspn(wanted, " "), wanted, verb->command->program->name,
                            verb->command->verb->name);
    verb->name = name;
    snprintf(verb->device, sizeof verb->device, "%.*s", (int)length, name);
    if (slash == NULL)
        return EX_OK;
    snprintf(verb->module_id, sizeof verb->module_id, "%s", slash + 1);
    verb->module = verb->module_id;
    return EX_OK;
}

int verb_open_with(struct verb *verb, const struct command *command, const char *name,
                   const struct rest_options *sign_in)
{
    int exit_code = EX_OK;

    verb_init(verb, command);
    if (name != NULL)
        exit_code = take_name(verb, name);
    return exit_code == EX_OK ? verb_sign_in(verb, sign_in) : exit_code;
}

int verb_open(struct verb *verb, const struct command *command, const char *name)
{
    const struct options *options = command->options;

    return verb_open_with(verb, command, name, &options->sign_in);
}

void verb_close(struct verb *verb)
{
    rest_answer_done(&verb->answer);
    rest_free(verb->rest);
}

int verb_path(struct verb *verb, char out[REST_PATH_MAX], const char *collection)
{
    int rc = rest_path(out, collection, verb->device, verb->module);

    if (rc == 0)
        return EX_OK;
    return verb_fail(verb, EX_USAGE,
                     rc == -EINVAL ? "'.' and '..' cannot be asked for: an address has another "
                                     "meaning for them"
                                   : "the name is longer than any of a hub");
}

/* ---- requests ---- */

int verb_ask(struct verb *verb, const struct rest_request *request)
{
    struct err err = { "out of memory" };
    int rc = rest_call(verb->rest, request, &verb->answer, &err);

    return rc == 0 ? EX_OK : verb_fail(verb, rest_exit(rc), "%s", err.msg);
}

/* The codes stand as "ErrorCode:DeviceNotOnline;...", as "errorCode":404103, or as the latter in a
 * text of JSON, with its quotes escaped. */
bool verb_has_code(const struct verb *verb, const char *name, const char *number)
{
    const char *at = buf_text(&verb->answer.body);

    if (strcmp(verb->answer.error_code, name) == 0)
        return true;
    while ((at = strstr(at, "rrorCode")) != NULL) {
        at += strlen("rrorCode");
        at += strspn(at, "\\\": ");
        if (strncmp(at, name, strlen(name)) == 0 || strncmp(at, number, strlen(number)) == 0)
            return true;
    }
    return false;
}

bool verb_lost_race(const struct verb *verb)
{
    return verb->answer.status == 412 ||
           (verb->answer.status == 400 && verb_has_code(verb, "EtagDoesNotMatch", "400023"));
}

/* What to do about an answer, where it depends on what was asked about. */
static const char *remedy(const struct verb *verb, char *out, size_t size)
{
    if (verb->answer.status != 404 || verb->name == NULL)
        return rest_remedy(verb->rest, &verb->answer);
    if (verb->module != NULL && !verb_has_code(verb, "DeviceNotFound", "404001"))
        snprintf(out, size, "; check the names: twinctl module list %s shows them", verb->device);
    else
        snprintf(out, size, "; check the name: twinctl device list shows them");
    return out;
}

int verb_judge(struct verb *verb)
{
    const struct rest_answer *answer = &verb->answer;
    int exit_code = answer_exit(answer->status);
    char text[ANSWER_TEXT_MAX];
    char more[VERB_ID_MAX + 80];

    if (exit_code == EX_OK)
        return EX_OK;
    answer_describe(text, answer->status, answer->error_code, buf_text(&answer->body),
                    answer->body.length);
    return verb_fail(verb, exit_code, "%s%s", text, remedy(verb, more, sizeof more));
}

int verb_fetch(struct verb *verb, const struct rest_request *request, bool array,
               struct cJSON **out)
{
    const struct buf *body = &verb->answer.body;
    int exit_code = verb_ask(verb, request);
    char text[ANSWER_TEXT_MAX];
    const char *end;
    cJSON *root;

    if (exit_code == EX_OK)
        exit_code = verb_judge(verb);
    if (exit_code != EX_OK || out == NULL)
        return exit_code;
    root = cJSON_ParseWithLengthOpts(buf_text(body), body->length + 1, &end, 1);
    if (root != NULL && (array ? cJSON_IsArray(root) : cJSON_IsObject(root))) {
        *out = root;
        return EX_OK;
    }
    cJSON_Delete(root);
    answer_mistaken(text, buf_text(body), body->length);
    return verb_fail(verb, EX_UNAVAILABLE, "%ld, but the answer is none of a hub's: %s%s",
                     verb->answer.status, text, answer_remedy(0));
}

int verb_check_twin(const struct verb *verb, const struct cJSON *twin)
{
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(twin, "properties")))
        return EX_OK;
    return verb_fail(verb, EX_UNAVAILABLE, "%ld, but the answer is no twin%s", verb->answer.status,
                     answer_remedy(0));
}

int verb_fetch_twin(struct verb *verb, const char *path, struct cJSON **out)
{
    const struct rest_request request = { .method = "GET", .path = path, .repeatable = true };
    cJSON *twin = NULL;
    int exit_code = verb_fetch(verb, &request, false, &twin);

    if (exit_code == EX_OK)
        exit_code = verb_check_twin(verb, twin);
    if (exit_code == EX_OK)
        *out = twin;
    else
        cJSON_Delete(twin);
    return exit_code;
}

/* ---- printing ---- */

void verb_style(struct show_style *out)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    struct winsize size;

    *out = (struct show_style){ 0 };
    if (!isatty(STDOUT_FILENO))
        return;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        out->width = size.ws_col;
    out->colour = (no_colour == NULL || *no_colour == '\0') && terminal != NULL &&
                  strcmp(terminal, "dumb") != 0;
}

int verb_print(const struct verb *verb, const struct buf *text, int rc)
{
    if (rc != 0)
        return verb_fail(verb, EX_SOFTWARE, "%s",
                         rc == -ENOSPC ? "too large to show; --json prints it" : "out of memory");
    fputs(buf_text(text), stdout);
    return EX_OK;
}

int verb_flush(const struct verb *verb)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EX_OK;
    return verb_fail(verb, EX_SOFTWARE, "cannot write to standard output");
}

int verb_print_table(const struct verb *verb, struct show_table *table)
{
    struct show_style style;
    struct buf text;
    int exit_code;
    int rc;

    verb_style(&style);
    buf_init(&text, VERB_TEXT_MAX);
    rc = table == NULL ? -ENOMEM : show_table_print(table, &text, &style);
    exit_code = verb_print(verb, &text, rc);
    buf_done(&text);
    if (table != NULL)
        show_table_clear(table);
    return exit_code;
}

/* ---- small things ---- */

void verb_print_raw(const struct verb *verb)
{
    fwrite(buf_text(&verb->answer.body), 1, verb->answer.body.length, stdout);
    putchar('\n');
}

int verb_take_etag(char out[VERB_ETAG_MAX], const char *given)
{
    size_t length = strlen(given);

    if (length >= 2 && given[0] == '"' && given[length - 1] == '"') {
        given++;
        length -= 2;
    }
    if (length == 0 || length >= VERB_ETAG_MAX)
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        if (given[i] <= ' ' || given[i] > '~' || given[i] == '"' || given[i] == '\\')
            return -EINVAL;
    memmove(out, given, length);
    out[length] = '\0';
    return 0;
}

const char *verb_text(const struct cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text == NULL ? "" : text;
}
