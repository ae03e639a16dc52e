/* twinctl device and module show, list, create.
 *
 * A device and a module differ in their names and in little else, so each verb is one function for
 * both. Happy path: one request, and what it answers is printed without its keys. Fails as the hub
 * says; what exists already is refused (65) unless --if-missing. */
#include "bridge/service/identity.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <sysexits.h>

static const long LIST_MAX = 1000; /* a hub lists no more */

/* ---- show ---- */

static int show_run(const struct command *command)
{
    struct verb verb;
    cJSON *identity = NULL;
    int exit_code = verb_open(&verb, command, command->arguments[0]);

    if (exit_code == EX_OK && verb.options->json && verb.options->connection_string)
        exit_code = verb_fail(&verb, EX_USAGE,
                              "--json and --connection-string exclude each other; --json "
                              "--show-keys prints the keys");
    if (exit_code == EX_OK)
        exit_code = identity_fetch(&verb, &identity);
    if (exit_code == EX_OK)
        exit_code = identity_print(&verb, identity, NULL);
    identity_free(&verb, identity);
    verb_close(&verb);
    return exit_code;
}

int device_show_run(const struct command *command)
{
    return show_run(command);
}

int module_show_run(const struct command *command)
{
    return show_run(command);
}

/* ---- create ---- */

/* Creates it; *existed: it was there already, and *out is what is there. */
static int create(struct verb *verb, cJSON **out, bool *existed)
{
    char path[REST_PATH_MAX];
    char *body = identity_new_body(verb->device, verb->module);
    const struct rest_request request = { .method = "PUT", .path = path, .body = body };
    int exit_code = body == NULL ? verb_fail(verb, EX_SOFTWARE, "out of memory")
                                 : verb_path(verb, path, "devices");

    if (exit_code == EX_OK)
        exit_code = verb_ask(verb, &request);
    cJSON_free(body);
    if (exit_code != EX_OK)
        return exit_code;
    *existed = verb->answer.status == 409;
    if (*existed && verb->options->if_missing)
        return identity_fetch(verb, out);
    if (*existed)
        return verb_fail(verb, EX_DATAERR, "409 the %s exists already; --if-missing keeps it",
                         identity_kind(verb));
    if (verb->answer.status == 404 && verb->module != NULL)
        return verb_fail(verb, EX_NOINPUT,
                         "404 there is no device %s; make it with twinctl device create %s",
                         verb->device, verb->device);
    exit_code = verb_judge(verb);
    return exit_code == EX_OK ? identity_take(verb, out) : exit_code;
}

static int create_run(const struct command *command)
{
    struct verb verb;
    cJSON *identity = NULL;
    bool existed = false;
    int exit_code = verb_open(&verb, command, command->arguments[0]);

    if (exit_code == EX_OK)
        exit_code = create(&verb, &identity, &existed);
    if (exit_code == EX_OK)
        exit_code = identity_print(&verb, identity, existed ? "exists, kept" : "created");
    identity_free(&verb, identity);
    verb_close(&verb);
    return exit_code;
}

int device_create_run(const struct command *command)
{
    return create_run(command);
}

int module_create_run(const struct command *command)
{
    return create_run(command);
}

/* ---- list ---- */

/* Reads at most `top` devices. */
static int fetch_devices(struct verb *verb, long top, cJSON **out)
{
    char query[32];
    const struct rest_request request = {
        .method = "GET", .path = "/devices", .query = query, .repeatable = true
    };

    snprintf(query, sizeof query, "top=%ld", top);
    return verb_fetch(verb, &request, true, out);
}

static void add_identity(struct show_table *table, const cJSON *identity, bool modules)
{
    show_table_row(table, SHOW_PLAIN);
    show_table_text(table, verb_text(identity, modules ? "moduleId" : "deviceId"));
    show_table_text(table, verb_text(identity, modules ? "managedBy" : "status"));
    show_table_text(table, verb_text(identity, "connectionState"));
    identity_add_age(table, identity, "lastActivityTime");
    show_table_text(table, identity_sign_in(identity));
}

static int print_list(const struct verb *verb, const cJSON *list, bool modules)
{
    const char *const heads[] = { modules ? "MODULE" : "DEVICE", modules ? "MANAGED BY" : "STATUS",
                                  "STATE", "LAST ACTIVE", "SIGNS IN WITH" };
    struct show_table *table = show_table_new(sizeof heads / sizeof heads[0]);
    int exit_code;

    if (table == NULL)
        return verb_fail(verb, EX_SOFTWARE, "out of memory");
    if (list->child == NULL) {
        printf("no %s\n", modules ? "modules" : "devices");
        show_table_free(table);
        return EX_OK;
    }
    show_table_row(table, SHOW_HEAD);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        show_table_text(table, heads[i]);
    for (const cJSON *identity = list->child; identity != NULL; identity = identity->next)
        add_identity(table, identity, modules);
    exit_code = verb_print_table(verb, table);
    show_table_free(table);
    return exit_code;
}

/* Prints what was listed, at most as much as the options want. */
static int finish_list(struct verb *verb, cJSON *list, bool modules)
{
    int exit_code;

    while (verb->options->limit > 0 && cJSON_GetArraySize(list) > verb->options->limit)
        cJSON_DeleteItemFromArray(list, cJSON_GetArraySize(list) - 1);
    for (cJSON *identity = list->child; identity != NULL; identity = identity->next)
        identity_hide_keys(identity);
    if (verb->options->json)
        exit_code = identity_print_json(verb, list);
    else
        exit_code = print_list(verb, list, modules);
    if (!modules && cJSON_GetArraySize(list) == LIST_MAX)
        verb_fail(verb, 0,
                  "a hub lists at most %ld devices, there may be more; "
                  "twinctl query 'SELECT * FROM devices' goes through all of them",
                  LIST_MAX);
    return exit_code;
}

int device_list_run(const struct command *command)
{
    struct verb verb;
    cJSON *list = NULL;
    int exit_code = verb_open(&verb, command, NULL);
    long limit = verb.options->limit;

    if (exit_code == EX_OK)
        exit_code = fetch_devices(&verb, limit == 0 || limit > LIST_MAX ? LIST_MAX : limit, &list);
    if (exit_code == EX_OK)
        exit_code = finish_list(&verb, list, false);
    identity_free(&verb, list);
    verb_close(&verb);
    return exit_code;
}

int module_list_run(const struct command *command)
{
    struct verb verb;
    cJSON *list = NULL;
    int exit_code = verb_open(&verb, command, command->arguments[0]);

    if (exit_code == EX_OK)
        exit_code = identity_fetch_modules(&verb, &list);
    if (exit_code == EX_OK)
        exit_code = finish_list(&verb, list, true);
    identity_free(&verb, list);
    verb_close(&verb);
    return exit_code;
}
