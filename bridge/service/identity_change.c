/* twinctl device and module delete, device enable and disable.
 *
 * Happy path: the identity is read, and the change is sent with the etag just read, so that it hits
 * what was looked at and nothing that was made since. Somebody else's change in between is answered
 * 412 and said as such (75). */
#include "bridge/service/identity.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* ---- bound to an etag ---- */

/* The etag that the change is bound to: the user's, or that of the identity just read. */
static int choose_etag(struct verb *verb, char etag[VERB_ETAG_MAX], cJSON **identity)
{
    const struct options *options = verb->options;
    const char *given = options->force ? "*" : options->etag;
    int exit_code;

    if (options->force && options->etag != NULL)
        return verb_fail(verb, EX_USAGE, "--etag and --force exclude each other");
    if (given != NULL && verb_take_etag(etag, given) != 0)
        return verb_fail(verb, EX_USAGE, "'%.100s' is no etag; %s show --json shows it", given,
                         identity_kind(verb));
    exit_code = identity_fetch(verb, identity);
    if (exit_code != EX_OK || given != NULL)
        return exit_code;
    if (verb_take_etag(etag, verb_text(*identity, "etag")) != 0)
        return verb_fail(verb, EX_UNAVAILABLE, "the %s has no etag%s", identity_kind(verb),
                         answer_remedy(0));
    return EX_OK;
}

/* Sends a change of the identity, bound to an etag. */
static int change(struct verb *verb, const char *method, const char *etag, const char *body)
{
    char path[REST_PATH_MAX];
    const struct rest_request request = {
        .method = method, .path = path, .etag = etag, .body = body
    };
    int exit_code = verb_path(verb, path, "devices");

    if (exit_code == EX_OK)
        exit_code = verb_ask(verb, &request);
    if (exit_code == EX_OK && verb_lost_race(verb) && !verb->answer.uncertain)
        return verb_fail(verb, EX_TEMPFAIL,
                         "412 somebody else changed the %s, or made it anew; look again, then "
                         "repeat (--force overrides)",
                         identity_kind(verb));
    return exit_code == EX_OK ? verb_judge(verb) : exit_code;
}

/* ---- delete ---- */

/* Appends the names of the modules, parted by ", " and in quotes for JSON. */
static void add_names(struct buf *out, const cJSON *modules, bool json)
{
    for (const cJSON *module = modules == NULL ? NULL : modules->child; module != NULL;
         module = module->next) {
        buf_add_text(out, module == modules->child ? "" : json ? "," : ", ");
        if (json)
            buf_add_json(out, verb_text(module, "moduleId"));
        else
            show_text(out, verb_text(module, "moduleId"));
    }
}

static int print_deleted(const struct verb *verb, const cJSON *modules)
{
    int count = cJSON_GetArraySize(modules);
    struct buf text;
    int exit_code;

    buf_init(&text, VERB_TEXT_MAX);
    if (verb->options->json) {
        buf_add_text(&text, "{\"deviceId\":");
        buf_add_json(&text, verb->device);
        buf_add_text(&text, verb->module == NULL ? ",\"modules\":[" : ",\"moduleId\":");
        if (verb->module != NULL)
            buf_add_json(&text, verb->module);
        add_names(&text, modules, true);
        buf_add_text(&text, verb->module == NULL ? "],\"result\":\"deleted\"}"
                                                 : ",\"result\":\"deleted\"}");
    } else {
        buf_printf(&text, "%s: %s deleted", verb->name, identity_kind(verb));
        if (count > 0)
            buf_printf(&text, ", and with it %d module%s: ", count, count == 1 ? "" : "s");
        add_names(&text, modules, false);
    }
    exit_code = verb_print(verb, &text, buf_add_text(&text, "\n"));
    buf_done(&text);
    return exit_code;
}

static int delete_run(const struct command *command)
{
    char etag[VERB_ETAG_MAX];
    struct verb verb;
    cJSON *identity = NULL;
    cJSON *modules = NULL;
    int exit_code = verb_open(&verb, command, command->arguments[0]);

    if (exit_code == EX_OK)
        exit_code = choose_etag(&verb, etag, &identity);
    if (exit_code == EX_OK && verb.module == NULL)
        exit_code = identity_fetch_modules(&verb, &modules);
    if (exit_code == EX_OK)
        exit_code = change(&verb, "DELETE", etag, NULL);
    if (exit_code == EX_OK)
        exit_code = print_deleted(&verb, modules);
    identity_free(&verb, modules);
    identity_free(&verb, identity);
    verb_close(&verb);
    return exit_code;
}

int device_delete_run(const struct command *command)
{
    return delete_run(command);
}

int module_delete_run(const struct command *command)
{
    return delete_run(command);
}

/* ---- enable, disable ---- */

/* Sets a text of the identity. False without memory. */
static bool set_text(cJSON *identity, const char *key, const char *text)
{
    cJSON_DeleteItemFromObjectCaseSensitive(identity, key);
    return cJSON_AddStringToObject(identity, key, text) != NULL;
}

/* Characters of a text in UTF-8. */
static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

/* The identity goes back as it was read, its keys too, with another status. */
static int set_status(struct verb *verb, cJSON *identity, const char *etag, const char *status)
{
    const char *reason = verb->options->reason == NULL ? "" : verb->options->reason;
    char *body = NULL;
    int exit_code;

    if (set_text(identity, "status", status) && set_text(identity, "statusReason", reason))
        body = cJSON_PrintUnformatted(identity);
    if (body == NULL)
        return verb_fail(verb, EX_SOFTWARE, "out of memory");
    exit_code = change(verb, "PUT", etag, body);
    explicit_bzero(body, strlen(body));
    cJSON_free(body);
    return exit_code;
}

static int status_run(const struct command *command, const char *status)
{
    char etag[VERB_ETAG_MAX];
    struct verb verb;
    cJSON *identity = NULL;
    cJSON *changed = NULL;
    int exit_code = verb_open(&verb, command, command->arguments[0]);

    if (exit_code == EX_OK && verb.options->reason != NULL &&
        count_characters(verb.options->reason) > 128)
        exit_code = verb_fail(&verb, EX_USAGE, "--reason is longer than 128 characters");
    if (exit_code == EX_OK)
        exit_code = choose_etag(&verb, etag, &identity);
    if (exit_code == EX_OK)
        exit_code = set_status(&verb, identity, etag, status);
    if (exit_code == EX_OK)
        exit_code = identity_take(&verb, &changed);
    if (exit_code == EX_OK)
        exit_code = identity_print(&verb, changed, status);
    identity_free(&verb, changed);
    identity_free(&verb, identity);
    verb_close(&verb);
    return exit_code;
}

int device_disable_run(const struct command *command)
{
    return status_run(command, "disabled");
}

int device_enable_run(const struct command *command)
{
    return status_run(command, "enabled");
}
