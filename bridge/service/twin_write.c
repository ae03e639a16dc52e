/* twinctl twin update, twinctl twin replace.
 *
 * Happy path: the patch is put together before anything is asked, the twin is read for its etag,
 * the change is sent with that etag, and the new twin comes back. Somebody else's change in between
 * is answered 412: then both sides are shown, and the exit code says "try again" (75). With --force
 * there is no such guard, with --dry-run nothing is sent. */
#include "bridge/service/patch.h"
#include "bridge/service/twin_change.h"
#include "bridge/service/verb.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { PATCH_TEXT_MAX = 1024 * 1024 };

/* One call. */
struct write {
    struct verb verb;
    char path[REST_PATH_MAX];
    bool replace;
    enum patch_form form;
    cJSON *fragment;
    char *body;
    char etag[VERB_ETAG_MAX]; /* that the change is bound to */
    cJSON *base;              /* the twin as read before; NULL when it was not */
};

/* ---- the patch ---- */

/* The whole of a file ("-": standard input) into `text`. The exit code. */
static int read_document(const struct verb *verb, struct buf *text, const char *name)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    char block[8192];
    size_t count;
    int error;

    if (file == NULL)
        return verb_fail(verb, errno == ENOENT ? EX_NOINPUT : EX_NOPERM,
                         "patch %s: cannot read: %s%s", name, strerror(errno),
                         errno == ENOENT ? "; a single property is NAME=VALUE, without blanks"
                                         : "");
    while ((count = fread(block, 1, sizeof block, file)) > 0)
        if (buf_add(text, block, count) != 0)
            break;
    error = ferror(file);
    if (file != stdin)
        fclose(file);
    if (error != 0)
        return verb_fail(verb, EX_NOINPUT, "patch %s: cannot read it to its end", name);
    if (text->error != 0)
        return verb_fail(verb, EX_DATAERR, "patch %s: larger than any twin", name);
    return EX_OK;
}

static int add_document(struct write *write, const char *name)
{
    struct err err = { "out of memory" };
    struct buf text;
    int exit_code;
    int rc;

    buf_init(&text, PATCH_TEXT_MAX);
    exit_code = read_document(&write->verb, &text, name);
    if (exit_code == EX_OK) {
        rc = patch_add_document(write->fragment, buf_text(&text), text.length,
                                strcmp(name, "-") == 0 ? "standard input" : name, &err);
        if (rc != 0)
            exit_code = verb_fail(&write->verb, rc == -ENOMEM ? EX_SOFTWARE : EX_USAGE, "patch %s",
                                  err.msg);
    }
    buf_done(&text);
    return exit_code;
}

/* "a=1" is an assignment, "./a=1" and "/tmp/a=1" are files, and an object that holds a '=' is what it
 * looks like. */
static bool is_assignment(const char *argument)
{
    return strchr(argument, '=') != NULL && strchr("/.{", argument[0]) == NULL;
}

/* Lays one patch argument into the fragment. The exit code. */
static int gather_one(struct write *write, const char *argument)
{
    struct err err = { "out of memory" };
    int rc;

    if (is_assignment(argument))
        rc = patch_add_assignment(write->fragment, argument, &err);
    else if (argument[0] == '{')
        rc = patch_add_document(write->fragment, argument, strlen(argument), "argument", &err);
    else
        return add_document(write, argument);
    return rc == 0 ? EX_OK
                   : verb_fail(&write->verb, rc == -ENOMEM ? EX_SOFTWARE : EX_USAGE, "patch: %s",
                               err.msg);
}

/* Lays all patch arguments into the fragment. The exit code. */
static int gather(struct write *write)
{
    const struct command *command = write->verb.command;
    int exit_code = EX_OK;

    write->fragment = cJSON_CreateObject();
    if (write->fragment == NULL)
        return verb_fail(&write->verb, EX_SOFTWARE, "out of memory");
    for (size_t i = 1; i < command->argument_count && exit_code == EX_OK; i++)
        exit_code = gather_one(write, command->arguments[i]);
    return exit_code;
}

/* Makes the request's body of the fragment, and for a replacement of the twin as just read. */
static int make_body(struct write *write)
{
    struct err err = { "out of memory" };
    int rc;

    cJSON_free(write->body);
    write->body = NULL;
    if (write->replace)
        rc = patch_replacement(&write->body, write->fragment, write->form, write->base, &err);
    else
        rc = patch_body(&write->body, write->fragment, write->form, &err);
    return rc == 0 ? EX_OK
                   : verb_fail(&write->verb, rc == -ENOMEM ? EX_SOFTWARE : EX_USAGE, "patch: %s",
                               err.msg);
}

/* ---- the etag ---- */

/* Whether both sections are given, so that nothing has to be filled in. */
static bool is_complete(const struct write *write)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(write->fragment, "properties");

    return !write->replace || (write->form == PATCH_WHOLE &&
                               cJSON_GetObjectItemCaseSensitive(write->fragment, "tags") != NULL &&
                               cJSON_GetObjectItemCaseSensitive(properties, "desired") != NULL);
}

/* Which etag the change is bound to: the user's, the file's, or that of the twin now, which is read
 * where it is needed. */
static int choose_etag(struct write *write)
{
    const struct options *options = write->verb.options;
    const char *given = options->force ? "*" : options->etag;
    int exit_code = EX_OK;

    if (given == NULL && write->form == PATCH_WHOLE && *verb_text(write->fragment, "etag") != '\0')
        given = verb_text(write->fragment, "etag");
    if (given != NULL && verb_take_etag(write->etag, given) != 0)
        return verb_fail(&write->verb, EX_USAGE, "'%.100s' is no etag; twin get shows it", given);
    if (given == NULL || options->dry_run || !is_complete(write))
        exit_code = verb_fetch_twin(&write->verb, write->path, &write->base);
    if (exit_code != EX_OK || given != NULL)
        return exit_code;
    if (verb_take_etag(write->etag, verb_text(write->base, "etag")) != 0)
        return verb_fail(&write->verb, EX_UNAVAILABLE, "the twin has no etag%s", answer_remedy(0));
    return EX_OK;
}

/* ---- what is said ---- */

/* Whether the twin as read before is the one that the change is bound to; --etag may mean an older
 * one. */
static bool is_bound_to_base(const struct write *write)
{
    char etag[VERB_ETAG_MAX];

    return verb_take_etag(etag, verb_text(write->base, "etag")) == 0 &&
           strcmp(etag, write->etag) == 0;
}

static struct twin_change change_of(const struct write *write, const cJSON *body, const cJSON *now)
{
    return (struct twin_change){ .body = body,
                                 .replace = write->replace,
                                 .base = is_bound_to_base(write) ? write->base : NULL,
                                 .now = now };
}

/* Shows what would be done. */
static int show_plan(const struct write *write, const cJSON *body)
{
    const struct twin_change change = change_of(write, body, write->base);
    bool json = write->verb.options->json;
    struct show_table *table = json ? NULL : show_table_new(4);
    size_t count = 0;
    struct buf text;
    int exit_code;
    int rc = !json && table == NULL ? -ENOMEM : 0;

    buf_init(&text, VERB_TEXT_MAX);
    if (rc == 0)
        rc = twin_change_plan(&change, &text, table, &count);
    if (rc == 0 && !json)
        printf("%s: would change %zu %s%s\n", write->verb.name, count,
               count == 1 ? "property" : "properties",
               count == 0 ? ", and the module would be told all the same" : "");
    exit_code = verb_print(&write->verb, &text, rc);
    if (exit_code == EX_OK && table != NULL && count > 0)
        exit_code = verb_print_table(&write->verb, table);
    show_table_free(table);
    buf_done(&text);
    return exit_code;
}

static int show_sides(const struct write *write, const cJSON *body, const cJSON *now)
{
    const struct twin_change change = change_of(write, body, now);
    bool json = write->verb.options->json;
    struct show_table *table = json ? NULL : show_table_new(change.base == NULL ? 3 : 4);
    struct buf text;
    int exit_code;
    int rc = !json && table == NULL ? -ENOMEM : 0;

    buf_init(&text, VERB_TEXT_MAX);
    if (rc == 0)
        rc = twin_change_sides(&change, &text, table);
    exit_code = verb_print(&write->verb, &text, rc);
    if (exit_code == EX_OK && table != NULL)
        exit_code = verb_print_table(&write->verb, table);
    show_table_free(table);
    buf_done(&text);
    return exit_code;
}

/* A dry run of what would be refused: it is bound to an etag that is not the twin's. */
static int show_refusal(const struct write *write, const cJSON *body)
{
    verb_fail(&write->verb, 0,
              "would be refused: its etag is %s, not %s; somebody else changed it: look again",
              verb_text(write->base, "etag"), write->etag);
    show_sides(write, body, write->base);
    return EX_TEMPFAIL;
}

/* Says that somebody else changed the twin, and shows both sides where the hub still tells. */
static int lost_race(struct write *write, const cJSON *body)
{
    const struct rest_request request = { .method = "GET",
                                          .path = write->path,
                                          .repeatable = true };
    struct verb *verb = &write->verb;
    const char *remedy = verb->answer.uncertain ? rest_remedy(verb->rest, &verb->answer)
                                                : answer_remedy(412);
    struct err err = { "" };
    char text[ANSWER_TEXT_MAX];
    char etag[VERB_ETAG_MAX] = "";
    cJSON *now = NULL;

    answer_describe(text, verb->answer.status, verb->answer.error_code,
                    buf_text(&verb->answer.body), verb->answer.body.length);
    if (rest_call(verb->rest, &request, &verb->answer, &err) == 0 &&
        answer_exit(verb->answer.status) == EX_OK)
        now = cJSON_ParseWithLength(buf_text(&verb->answer.body), verb->answer.body.length);
    verb_fail(verb, 0, "%s%s%s%s", text, remedy,
              verb_take_etag(etag, verb_text(now, "etag")) != 0 ? "" : "; its etag is now ", etag);
    if (now != NULL)
        show_sides(write, body, now);
    cJSON_Delete(now);
    return EX_TEMPFAIL;
}

static void print_done(const struct write *write, const cJSON *twin)
{
    const cJSON *desired = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(twin, "properties"), "desired");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(desired, "$version");
    char etag[VERB_ETAG_MAX] = "-";

    verb_take_etag(etag, verb_text(twin, "etag"));
    printf("%s: %s %s, desired version %.0f, etag %s\n", write->verb.name,
           write->form == PATCH_TAGS ? "tags" : "twin", write->replace ? "replaced" : "updated",
           cJSON_IsNumber(version) ? version->valuedouble : 0, etag);
}

/* ---- the whole ---- */

static int send(struct write *write, const cJSON *body)
{
    const struct rest_request request = { .method = write->replace ? "PUT" : "PATCH",
                                          .path = write->path,
                                          .etag = write->etag,
                                          .body = write->body };
    struct verb *verb = &write->verb;
    const char *end;
    cJSON *twin;
    int exit_code = verb_ask(verb, &request);

    if (exit_code == EX_OK && verb_lost_race(verb))
        return lost_race(write, body);
    if (exit_code == EX_OK)
        exit_code = verb_judge(verb);
    if (exit_code != EX_OK)
        return exit_code;
    twin = cJSON_ParseWithLengthOpts(buf_text(&verb->answer.body), verb->answer.body.length + 1,
                                     &end, 1);
    exit_code = verb_check_twin(verb, twin);
    if (exit_code == EX_OK && verb->options->json)
        verb_print_raw(verb);
    else if (exit_code == EX_OK)
        print_done(write, twin);
    cJSON_Delete(twin);
    return exit_code;
}

/* The change is whole: do it, or show what it would do. */
static int carry_out(struct write *write)
{
    cJSON *body = cJSON_Parse(write->body);
    int exit_code;

    if (body == NULL)
        return verb_fail(&write->verb, EX_SOFTWARE, "out of memory");
    if (!write->verb.options->dry_run)
        exit_code = send(write, body);
    else if (strcmp(write->etag, "*") == 0 || is_bound_to_base(write))
        exit_code = show_plan(write, body);
    else
        exit_code = show_refusal(write, body);
    cJSON_Delete(body);
    return exit_code;
}

static int run(const struct command *command, bool replace)
{
    const struct options *options = command->options;
    struct write write = { .replace = replace };
    int exit_code;

    if (options->tags && options->whole)
        return command_fail(command, EX_USAGE, "--tags and --whole exclude each other");
    if (options->force && options->etag != NULL)
        return command_fail(command, EX_USAGE, "--etag and --force exclude each other");
    write.form = options->whole ? PATCH_WHOLE : options->tags ? PATCH_TAGS : PATCH_DESIRED;
    exit_code = verb_open(&write.verb, command, command->arguments[0]);
    if (exit_code == EX_OK)
        exit_code = verb_path(&write.verb, write.path, "twins");
    if (exit_code == EX_OK)
        exit_code = gather(&write);
    if (exit_code == EX_OK)
        exit_code = make_body(&write); /* what is wrong with it is said before anybody is asked */
    if (exit_code == EX_OK)
        exit_code = choose_etag(&write);
    if (exit_code == EX_OK && !is_complete(&write))
        exit_code = make_body(&write);
    if (exit_code == EX_OK)
        exit_code = carry_out(&write);
    cJSON_Delete(write.base);
    cJSON_Delete(write.fragment);
    cJSON_free(write.body);
    verb_close(&write.verb);
    return exit_code;
}

int twin_update_run(const struct command *command)
{
    return run(command, false);
}

int twin_replace_run(const struct command *command)
{
    return run(command, true);
}
