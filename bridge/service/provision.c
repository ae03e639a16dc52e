/* twinctl provision: what a mapping file needs on the hub, and the credentials it needs here.
 *
 * Happy path: for every hub device of the mapping file: see that it is there, and read its modules
 * in one request; then for every module: create it when it is missing, and see that its credential
 * file holds one of its keys. Each step says in a line what it did. A module whose file is somebody
 * else's is left alone and the others go on; when the hub cannot be reached or does not allow it,
 * the rest would fail the same way and is not tried. Whatever was done before a failure is found
 * done by the next run. */
#include "adapters/adapter.h"
#include "bridge/service/credential_file.h"
#include "bridge/service/identity.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

struct provision {
    struct verb verb;
    struct config *config;
    struct credential_owner owner;
    cJSON *present; /* the modules of the device at hand, with their keys */
    cJSON *report;  /* with --json: what was done */
};

/* Says one thing that was done, as a line or as an entry of the report. */
static void tell(struct provision *p, const char *kind, const char *name, const char *what,
                 const char *file)
{
    cJSON *entry;

    if (p->report == NULL) {
        printf("%s %s: %s%s%s\n", kind, name, what, file == NULL ? "" : ": ",
               file == NULL ? "" : file);
        return;
    }
    entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, kind, name);
    cJSON_AddStringToObject(entry, "result", what);
    if (file != NULL)
        cJSON_AddStringToObject(entry, "file", file);
    if (!cJSON_AddItemToArray(p->report, entry))
        cJSON_Delete(entry);
}

/* ---- identities on the hub ---- */

static void forget_modules(struct provision *p)
{
    identity_free(&p->verb, p->present);
    p->present = NULL;
}

static int refused(const struct provision *p, const char *kind, const char *name)
{
    const struct rest_answer *answer = &p->verb.answer;
    char text[ANSWER_TEXT_MAX];

    answer_describe(text, answer->status, answer->error_code, buf_text(&answer->body),
                    answer->body.length);
    return verb_fail(
        &p->verb, answer_exit(answer->status), "%s %s: %s%s", kind, name, text,
        answer_exit(answer->status) == EX_NOPERM && !rest_clock_is_wrong(p->verb.rest)
            ? "; provision wants Entra's role IoT Hub Registry Contributor, or a policy "
              "with registry read and write (iothubowner)"
            : rest_remedy(p->verb.rest, answer));
}

/* One request about an identity, or about the modules of a device. The exit code when nothing came;
 * else EX_OK, and the verb's answer says what. */
static int ask(struct provision *p, const struct rest_request *request, const char *kind,
               const char *name)
{
    struct err err = { "out of memory" };
    int rc = rest_call(p->verb.rest, request, &p->verb.answer, &err);

    return rc == 0 ? EX_OK : verb_fail(&p->verb, rest_exit(rc), "%s %s: %s", kind, name, err.msg);
}

static int get(struct provision *p, const char *path, const char *kind, const char *name)
{
    return ask(p, &(struct rest_request){ .method = "GET", .path = path, .repeatable = true }, kind,
               name);
}

/* The last answer as JSON, its keys wiped from the answer; NULL when it is no JSON. */
static cJSON *take_answer(struct provision *p)
{
    struct buf *body = &p->verb.answer.body;
    const char *end;
    cJSON *out = cJSON_ParseWithLengthOpts(buf_text(body), body->length + 1, &end, 1);

    if (body->bytes != NULL)
        explicit_bzero(body->bytes, body->length);
    return out;
}

/* Creates what is missing. The exit code; the verb's answer is then its identity. */
static int create(struct provision *p, const char *path, const char *device, const char *module)
{
    const char *kind = module == NULL ? "device" : "module";
    const char *name = module == NULL ? device : module;
    char *body = identity_new_body(device, module);
    int exit_code;

    if (body == NULL)
        return verb_fail(&p->verb, EX_SOFTWARE, "out of memory");
    exit_code = ask(
        p,
        &(struct rest_request){ .method = "PUT", .path = path, .body = body, .repeatable = true },
        kind, name);
    cJSON_free(body);
    /* Created by somebody else in this moment, or by a try whose answer was lost: as good. */
    if (exit_code == EX_OK && p->verb.answer.status == 409)
        exit_code = get(p, path, kind, name);
    if (exit_code != EX_OK)
        return exit_code;
    if (answer_exit(p->verb.answer.status) != EX_OK)
        return refused(p, kind, name);
    tell(p, kind, name, "created", NULL);
    return EX_OK;
}

/* Reads the modules of a device. *there: the device exists. */
static int list_modules(struct provision *p, const char *device, bool *there)
{
    char path[REST_PATH_MAX];
    char list[REST_PATH_MAX + 16];
    int exit_code;

    forget_modules(p);
    if (rest_path(path, "devices", device, NULL) != 0)
        return verb_fail(&p->verb, EX_CONFIG, "device %s: the name is too long", device);
    snprintf(list, sizeof list, "%s/modules", path);
    exit_code = get(p, path, "device", device);
    if (exit_code != EX_OK)
        return exit_code;
    *there = p->verb.answer.status != 404;
    if (!*there)
        return EX_OK;
    if (answer_exit(p->verb.answer.status) != EX_OK)
        return refused(p, "device", device);
    identity_free(&p->verb, take_answer(p)); /* its keys are nobody's business here */
    exit_code = get(p, list, "device", device);
    if (exit_code != EX_OK)
        return exit_code;
    if (answer_exit(p->verb.answer.status) != EX_OK)
        return refused(p, "device", device);
    p->present = take_answer(p);
    return cJSON_IsArray(p->present)
               ? EX_OK
               : verb_fail(&p->verb, EX_UNAVAILABLE,
                           "device %s: the list of its modules is none of a hub's%s", device,
                           answer_remedy(0));
}

static int ensure_device(struct provision *p, const char *device)
{
    char path[REST_PATH_MAX];
    bool there = false;
    int exit_code = list_modules(p, device, &there);

    if (exit_code != EX_OK)
        return exit_code;
    if (there) {
        tell(p, "device", device, "exists", NULL);
        return EX_OK;
    }
    if (p->verb.options->dry_run) {
        tell(p, "device", device, "would be created", NULL);
        return EX_OK;
    }
    rest_path(path, "devices", device, NULL);
    exit_code = create(p, path, device, NULL);
    if (exit_code == EX_OK)
        identity_free(&p->verb, take_answer(p));
    return exit_code;
}

static cJSON *find_module(const struct provision *p, const char *name)
{
    for (cJSON *module = p->present == NULL ? NULL : p->present->child; module != NULL;
         module = module->next)
        if (strcmp(verb_text(module, "moduleId"), name) == 0)
            return module;
    return NULL;
}

/* Sees that the module is there; *out is then its identity, which `present` owns; NULL when a dry
 * run would have created it. The exit code. */
static int ensure_module(struct provision *p, const struct config_module *module, cJSON **out)
{
    char path[REST_PATH_MAX];
    int exit_code;

    *out = find_module(p, module->name);
    if (*out != NULL) {
        tell(p, "module", module->name, "exists", NULL);
        return EX_OK;
    }
    if (p->verb.options->dry_run) {
        tell(p, "module", module->name, "would be created", NULL);
        return EX_OK;
    }
    if (rest_path(path, "devices", module->device_id, module->name) != 0)
        return verb_fail(&p->verb, EX_CONFIG, "module %s: the name is too long", module->name);
    exit_code = create(p, path, module->device_id, module->name);
    if (exit_code != EX_OK)
        return exit_code;
    if (p->present == NULL)
        p->present = cJSON_CreateArray();
    *out = take_answer(p);
    if (*out == NULL || !cJSON_AddItemToArray(p->present, *out)) {
        cJSON_Delete(*out);
        return verb_fail(&p->verb, EX_UNAVAILABLE,
                         "module %s: created, but the answer is none of a hub's; repeat it",
                         module->name);
    }
    return EX_OK;
}

/* ---- credentials here ---- */

/* Where the bridge will look first. 0 or -ENAMETOOLONG. */
static int credential_path(char out[PATH_MAX], const struct config *config,
                           const struct config_module *module)
{
    int length;

    if (module->connection_string_file != NULL)
        length = snprintf(out, PATH_MAX, "%s", module->connection_string_file);
    else
        length = snprintf(out, PATH_MAX, "%s/%s", config->hub.credentials, module->name);
    return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Says when the owner of the files cannot get at them for the folder that they are in. */
static void check_folder(struct provision *p)
{
    struct err err = { "" };
    char path[PATH_MAX];

    if (p->owner.given && p->config->module_count > 0 &&
        credential_path(path, p->config, &p->config->modules[0]) == 0 &&
        credential_owner_check_folder(path, &p->owner, &err) != 0)
        verb_fail(&p->verb, 0, "warning: %s", err.msg);
}

/* A file that holds the right key: sees that it is its owner's. The exit code. */
static int ensure_guard(struct provision *p, const char *module, const char *path)
{
    enum credential_file_guard guard;
    struct err err = { "" };
    int rc = credential_file_guard(&guard, path, &p->owner, &err);

    if (rc == 0 && guard == CREDENTIAL_FILE_FOREIGN && !p->verb.options->dry_run)
        rc = credential_file_give(path, &p->owner, &err);
    if (rc != 0)
        return verb_fail(&p->verb, EX_NOPERM, "module %s: %s", module, err.msg);
    if (guard == CREDENTIAL_FILE_OPEN)
        verb_fail(&p->verb, 0, "module %s: warning: everybody can read %s; chmod 600 it", module,
                  path);
    if (guard != CREDENTIAL_FILE_FOREIGN)
        tell(p, "module", module, "credential is right", path);
    else
        tell(p, "module", module,
             p->verb.options->dry_run ? "credential would be given to its owner"
                                      : "credential given to its owner",
             path);
    return EX_OK;
}

/* Sees that the file holds the module's key. The exit code. */
static int ensure_file(struct provision *p, const char *module, const char *path,
                       const struct credential_identity *identity)
{
    enum credential_file_state state;
    struct err detail = { "" };
    struct err err = { "" };

    if (credential_file_look(&state, path, identity, &detail, &err) != 0)
        return verb_fail(&p->verb, EX_NOPERM, "module %s: %s", module, err.msg);
    if (state == CREDENTIAL_FILE_RIGHT)
        return ensure_guard(p, module, path);
    if (state == CREDENTIAL_FILE_OTHER)
        return verb_fail(&p->verb, EX_CONFIG,
                         "module %s: %s is left alone: %s; move it away to have a new one written",
                         module, path, detail.msg);
    if (p->verb.options->dry_run) {
        tell(p, "module", module,
             state == CREDENTIAL_FILE_OLD ? "credential would be renewed"
                                          : "credential would be written",
             path);
        return EX_OK;
    }
    if (credential_file_write(path, identity, &p->owner, &err) != 0)
        return verb_fail(&p->verb, EX_NOPERM,
                         "module %s: %s; check the folder's owner, or hub.credentials", module,
                         err.msg);
    tell(p, "module", module,
         state == CREDENTIAL_FILE_OLD ? "credential renewed" : "credential written", path);
    return EX_OK;
}

static int ensure_credential(struct provision *p, const struct config_module *module,
                             const cJSON *identity)
{
    struct credential_identity wanted = {
        p->config->hub.host_name, module->device_id, module->name, { "", "" }
    };
    char path[PATH_MAX];

    if (credential_path(path, p->config, module) != 0)
        return verb_fail(&p->verb, EX_CONFIG, "module %s: the path of its credential is too long",
                         module->name);
    if (identity == NULL) {
        tell(p, "module", module->name, "credential would be written", path);
        return EX_OK;
    }
    wanted.keys[0] = verb_text(identity_keys(identity), "primaryKey");
    wanted.keys[1] = verb_text(identity_keys(identity), "secondaryKey");
    if (wanted.keys[0][0] == '\0')
        return verb_fail(&p->verb, EX_DATAERR,
                         "module %s: the hub tells no key; it signs in with a certificate, or the "
                         "policy may not read keys",
                         module->name);
    return ensure_file(p, module->name, path, &wanted);
}

/* ---- the whole file ---- */

/* Whether the rest would fail the same way. */
static bool is_hopeless(int exit_code)
{
    return exit_code == EX_UNAVAILABLE || exit_code == EX_NOPERM || exit_code == EX_TEMPFAIL ||
           exit_code == EX_SOFTWARE;
}

static bool device_is_done(const struct config *config, size_t module)
{
    for (size_t i = 0; i < module; i++)
        if (strcmp(config->modules[i].device_id, config->modules[module].device_id) == 0)
            return true;
    return false;
}

/* A device and its modules; the worst exit code. */
static int provision_device(struct provision *p, const char *device)
{
    int worst = ensure_device(p, device);

    if (worst != EX_OK)
        return worst;
    for (size_t i = 0; i < p->config->module_count && !is_hopeless(worst); i++) {
        const struct config_module *module = &p->config->modules[i];
        cJSON *identity = NULL;
        int exit_code;

        if (strcmp(module->device_id, device) != 0)
            continue;
        exit_code = ensure_module(p, module, &identity);
        if (exit_code == EX_OK)
            exit_code = ensure_credential(p, module, identity);
        if (exit_code != EX_OK)
            worst = exit_code;
    }
    return worst;
}

static int provision_all(struct provision *p)
{
    int worst = EX_OK;

    for (size_t i = 0; i < p->config->module_count && !is_hopeless(worst); i++) {
        int exit_code = EX_OK;

        if (!device_is_done(p->config, i))
            exit_code = provision_device(p, p->config->modules[i].device_id);
        if (exit_code != EX_OK)
            worst = exit_code;
    }
    return worst;
}

static int load_mapping(struct provision *p)
{
    const char *path = p->verb.command->arguments[0];
    struct config_errors *errors;
    int rc;

    if (access(path, R_OK) != 0)
        return verb_fail(&p->verb, errno == ENOENT ? EX_NOINPUT : EX_NOPERM,
                         "%s: cannot read the mapping file: %s", path, strerror(errno));
    errors = config_errors_new();
    rc = errors == NULL ? -ENOMEM : config_load(&p->config, path, adapters_config, errors);

    if (errors != NULL)
        config_errors_print(errors, stderr);
    config_errors_free(errors);
    if (rc == -EINVAL)
        return verb_fail(&p->verb, EX_CONFIG, "%s: the mapping file has the mistakes above", path);
    return rc == 0 ? EX_OK : verb_fail(&p->verb, EX_SOFTWARE, "%s: %s", path, strerror(-rc));
}

static int take_owner(struct provision *p)
{
    const char *given = p->verb.options->owner;
    struct err err = { "" };
    int rc = given == NULL ? 0 : credential_owner_read(&p->owner, given, &err);

    if (rc == 0)
        return EX_OK;
    return verb_fail(&p->verb, rc == -EPERM ? EX_NOPERM : EX_USAGE, "--owner: %s", err.msg);
}

/* Signs in to the mapping file's hub: its port and CA count where the command line names none. */
static int sign_in(struct provision *p)
{
    const struct config_hub *hub = &p->config->hub;
    struct rest_options options = p->verb.options->sign_in;
    int exit_code;

    options.mapped_hub = hub->host_name;
    if (options.ca_file == NULL)
        options.ca_file = hub->ca_file;
    if (options.port == 0)
        options.port = hub->port;
    exit_code = verb_sign_in(&p->verb, &options);
    if (exit_code == EX_OK && strcasecmp(rest_host(p->verb.rest), hub->host_name) != 0)
        exit_code = verb_fail(&p->verb, EX_CONFIG,
                              "%s: hub.host_name is %s, but the sign-in is for %s", p->config->path,
                              hub->host_name, rest_host(p->verb.rest));
    return exit_code;
}

static void print_report(cJSON *report)
{
    char *text = cJSON_PrintUnformatted(report);

    puts(text == NULL ? "[]" : text);
    cJSON_free(text);
}

int provision_run(const struct command *command)
{
    struct provision p = { .config = NULL };
    int exit_code;

    verb_init(&p.verb, command);
    if (p.verb.options->json)
        p.report = cJSON_CreateArray();
    exit_code = take_owner(&p);
    if (exit_code == EX_OK)
        exit_code = load_mapping(&p);
    if (exit_code == EX_OK)
        exit_code = sign_in(&p);
    if (exit_code == EX_OK)
        exit_code = provision_all(&p);
    if (exit_code == EX_OK && !p.verb.options->dry_run)
        check_folder(&p);
    if (p.report != NULL)
        print_report(p.report);
    cJSON_Delete(p.report);
    forget_modules(&p);
    config_free(p.config);
    verb_close(&p.verb);
    return exit_code;
}
