/* twinctl twin get, twinctl twin update.
 *
 * Happy path of an update: the patch is put together before anything is asked, the twin is read for
 * its etag, the patch is sent with that etag, and the new twin comes back. Somebody else's change
 * in between is answered 412 and said as such (75); with --force there is no such guard. */
#include "bridge/service/patch.h"
#include "bridge/service/rest.h"
#include "bridge/service/show.h"
#include "bridge/service/verb.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

enum { PATCH_TEXT_MAX = 1024 * 1024, ETAG_MAX = 200 };

/* A call that names one twin. */
struct target {
    struct rest *rest;
    struct rest_answer answer; /* the last */
    const char *name;          /* DEVICE[/MODULE] as given */
    char path[REST_PATH_MAX];
};

/* Splits DEVICE[/MODULE] and reads the sign-in. The exit code; *target is to be ended with
 * target_done in any case. */
static int target_init(struct target *target, const struct invocation *call)
{
    const struct rest_options options = { call->connection_string_file, call->ca_file, call->port };
    const char *slash = strchr(call->arguments[0], '/');
    struct err err = { "" };
    char device[160] = "";
    int rc;

    *target = (struct target){ .name = call->arguments[0] };
    rest_answer_init(&target->answer);
    if (slash == NULL)
        rc = snprintf(device, sizeof device, "%s", target->name);
    else
        rc = snprintf(device, sizeof device, "%.*s", (int)(slash - target->name), target->name);
    if (device[0] == '\0' || rc >= (int)sizeof device ||
        (slash != NULL && (slash[1] == '\0' || strchr(slash + 1, '/') != NULL)) ||
        rest_path(target->path, "twins", device, slash == NULL ? NULL : slash + 1) != 0)
        return verb_fail(EX_USAGE, "'%s' is not DEVICE or DEVICE/MODULE", target->name);
    rc = rest_new(&target->rest, &options, &err);
    return rc == 0 ? EX_OK : verb_fail(rest_exit(rc), "%s", err.msg);
}

static void target_done(struct target *target)
{
    rest_answer_done(&target->answer);
    rest_free(target->rest);
}

static const char *etag_of(const cJSON *twin)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(twin, "etag"));
}

/* Says that somebody else changed the twin, with the etag that it has now where the hub still
 * tells. */
static int lost_etag(struct target *target, const char *text)
{
    struct err err = { "" };
    cJSON *twin = NULL;

    if (rest_call(target->rest, "GET", target->path, NULL, NULL, &target->answer, &err) == 0 &&
        answer_exit(target->answer.status) == EX_OK)
        twin = cJSON_ParseWithLength(buf_text(&target->answer.body), target->answer.body.length);
    verb_fail(0, "twin %s: %s%s%s%s", target->name, text, answer_remedy(412),
              etag_of(twin) == NULL ? "" : "; its etag is now ",
              etag_of(twin) == NULL ? "" : etag_of(twin));
    cJSON_Delete(twin);
    return answer_exit(412);
}

/* The exit code for the last answer, said to the user when it is none of success. */
static int judge(struct target *target)
{
    const struct rest_answer *answer = &target->answer;
    int exit_code = answer_exit(answer->status);
    char text[ANSWER_TEXT_MAX];

    if (exit_code == EX_OK)
        return EX_OK;
    answer_describe(text, answer->status, answer->error_code, buf_text(&answer->body),
                    answer->body.length);
    if (answer->status == 412)
        return lost_etag(target, text);
    return verb_fail(exit_code, "twin %s: %s%s", target->name, text,
                     answer->status == 404
                         ? "; check the names, or make it with twinctl provision FILE"
                         : answer_remedy(answer->status));
}

/* A request on the twin; *twin is the document that came, the caller's. The exit code. */
static int request(struct target *target, const char *method, const char *etag, const char *body,
                   cJSON **twin)
{
    struct err err = { "" };
    int rc = rest_call(target->rest, method, target->path, etag, body, &target->answer, &err);
    cJSON *root;

    if (rc != 0)
        return verb_fail(rest_exit(rc), "twin %s: %s", target->name, err.msg);
    rc = judge(target);
    if (rc != EX_OK)
        return rc;
    root = cJSON_ParseWithLength(buf_text(&target->answer.body), target->answer.body.length);
    if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "properties"))) {
        cJSON_Delete(root);
        return verb_fail(EX_UNAVAILABLE, "twin %s: %ld, but the answer is no twin%s", target->name,
                         target->answer.status, answer_remedy(0));
    }
    *twin = root;
    return EX_OK;
}

/* The hub's document as it came, on lines of its own. */
static void print_raw(const struct target *target)
{
    fwrite(buf_text(&target->answer.body), 1, target->answer.body.length, stdout);
    putchar('\n');
}

int twin_get_run(const struct invocation *call)
{
    struct target target;
    cJSON *twin = NULL;
    struct buf text;
    int exit_code = target_init(&target, call);

    buf_init(&text, REST_BODY_MAX);
    if (exit_code == EX_OK)
        exit_code = request(&target, "GET", NULL, NULL, &twin);
    if (exit_code == EX_OK && call->json) {
        print_raw(&target);
    } else if (exit_code == EX_OK) {
        if (show_twin(&text, twin, target.name, (int64_t)time(NULL)) == 0)
            fputs(buf_text(&text), stdout);
        else
            exit_code = verb_fail(EX_SOFTWARE, "twin %s: too large to show; --json prints it",
                                  target.name);
    }
    buf_done(&text);
    cJSON_Delete(twin);
    target_done(&target);
    return exit_code;
}

/* ---- update ---- */

/* The whole of a file ("-": standard input) into `text`. The exit code. */
static int read_document(struct buf *text, const char *name)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    char block[8192];
    size_t count;
    int error;

    if (file == NULL)
        return verb_fail(errno == ENOENT ? EX_NOINPUT : EX_NOPERM, "patch %s: cannot read: %s%s",
                         name, strerror(errno),
                         errno == ENOENT ? "; a single property is NAME=VALUE" : "");
    while ((count = fread(block, 1, sizeof block, file)) > 0)
        if (buf_add(text, block, count) != 0)
            break;
    error = ferror(file);
    if (file != stdin)
        fclose(file);
    if (error != 0)
        return verb_fail(EX_NOINPUT, "patch %s: cannot read it to its end", name);
    if (text->error != 0)
        return verb_fail(EX_DATAERR, "patch %s: larger than any twin", name);
    return EX_OK;
}

static int add_document(cJSON *fragment, const char *name)
{
    struct err err = { "out of memory" };
    struct buf text;
    int exit_code;
    int rc;

    buf_init(&text, PATCH_TEXT_MAX);
    exit_code = read_document(&text, name);
    if (exit_code == EX_OK) {
        rc = patch_add_document(fragment, buf_text(&text), text.length,
                                strcmp(name, "-") == 0 ? "standard input" : name, &err);
        if (rc != 0)
            exit_code = verb_fail(rc == -ENOMEM ? EX_SOFTWARE : EX_USAGE, "patch %s", err.msg);
    }
    buf_done(&text);
    return exit_code;
}

/* "a=1" is an assignment, "./a=1" and "/tmp/a=1" are files. */
static bool is_assignment(const char *argument)
{
    return strchr(argument, '=') != NULL && argument[0] != '/' && argument[0] != '.';
}

/* Lays all patch arguments into `fragment`. The exit code. */
static int gather(cJSON *fragment, const struct invocation *call)
{
    struct err err = { "out of memory" };
    int exit_code = EX_OK;

    for (size_t i = 1; i < call->argument_count && exit_code == EX_OK; i++) {
        int rc;

        if (!is_assignment(call->arguments[i])) {
            exit_code = add_document(fragment, call->arguments[i]);
            continue;
        }
        rc = patch_add_assignment(fragment, call->arguments[i], &err);
        if (rc != 0)
            exit_code = verb_fail(rc == -ENOMEM ? EX_SOFTWARE : EX_USAGE, "patch: %s", err.msg);
    }
    return exit_code;
}

/* The request's body and, from a whole twin, the etag it was read with. The exit code. */
static int make_body(char **body, char etag[ETAG_MAX], const struct invocation *call)
{
    enum patch_form form = call->whole ? PATCH_WHOLE : call->tags ? PATCH_TAGS : PATCH_DESIRED;
    struct err err = { "out of memory" };
    cJSON *fragment = cJSON_CreateObject();
    int exit_code;
    int rc;

    if (fragment == NULL)
        return verb_fail(EX_SOFTWARE, "%s", err.msg);
    exit_code = gather(fragment, call);
    if (exit_code == EX_OK) {
        rc = patch_body(body, fragment, form, &err);
        if (rc != 0)
            exit_code = verb_fail(rc == -ENOMEM ? EX_SOFTWARE : EX_USAGE, "patch: %s", err.msg);
        else if (call->whole && etag_of(fragment) != NULL)
            snprintf(etag, ETAG_MAX, "%s", etag_of(fragment));
    }
    cJSON_Delete(fragment);
    return exit_code;
}

/* An etag as the user wrote it, without quotes, as one that can stand in a header. */
static int take_etag(char etag[ETAG_MAX], const char *given)
{
    size_t length = strlen(given);

    if (length >= 2 && given[0] == '"' && given[length - 1] == '"') {
        given++;
        length -= 2;
    }
    if (length == 0 || length >= ETAG_MAX || strcspn(given, "\"\\\r\n\t ") < length)
        return verb_fail(EX_USAGE, "--etag '%s' is no etag; twin get shows it", given);
    memcpy(etag, given, length);
    etag[length] = '\0';
    return EX_OK;
}

/* Which etag the update is bound to: the user's, the file's, or that of the twin now. */
static int choose_etag(char etag[ETAG_MAX], struct target *target, const struct invocation *call)
{
    cJSON *twin = NULL;
    int exit_code;

    if (call->force) {
        snprintf(etag, ETAG_MAX, "*");
        return EX_OK;
    }
    if (call->etag != NULL)
        return take_etag(etag, call->etag);
    if (etag[0] != '\0')
        return take_etag(etag, strdupa(etag));
    exit_code = request(target, "GET", NULL, NULL, &twin);
    if (exit_code == EX_OK)
        exit_code = take_etag(etag, etag_of(twin) == NULL ? "" : etag_of(twin));
    cJSON_Delete(twin);
    return exit_code;
}

static void print_updated(const struct target *target, const cJSON *twin, bool tags)
{
    const cJSON *desired = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(twin, "properties"), "desired");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(desired, "$version");

    printf("%s: %s updated, desired version %.0f, etag %s\n", target->name, tags ? "tags" : "twin",
           cJSON_IsNumber(version) ? version->valuedouble : 0,
           etag_of(twin) == NULL ? "-" : etag_of(twin));
}

int twin_update_run(const struct invocation *call)
{
    struct target target;
    char etag[ETAG_MAX] = "";
    cJSON *twin = NULL;
    char *body = NULL;
    int exit_code;

    if (call->tags && call->whole)
        return verb_fail(EX_USAGE, "--tags and --whole exclude each other");
    if (call->force && call->etag != NULL)
        return verb_fail(EX_USAGE, "--etag and --force exclude each other");
    exit_code = target_init(&target, call);
    if (exit_code == EX_OK)
        exit_code = make_body(&body, etag, call);
    if (exit_code == EX_OK)
        exit_code = choose_etag(etag, &target, call);
    if (exit_code == EX_OK)
        exit_code = request(&target, "PATCH", etag, body, &twin);
    if (exit_code == EX_OK && call->json)
        print_raw(&target);
    else if (exit_code == EX_OK)
        print_updated(&target, twin, call->tags);
    cJSON_Delete(twin);
    cJSON_free(body);
    target_done(&target);
    return exit_code;
}
