/* What the verbs of devices and modules share.
 *
 * Keys are secrets: they are shown when they are asked for, and overwritten in memory in any case.
 * Fails as the hub says. */
#include "bridge/service/identity.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

const char *identity_kind(const struct verb *verb)
{
    return verb->module == NULL ? "device" : "module";
}

/* ---- keys ---- */

struct cJSON *identity_keys(const struct cJSON *identity)
{
    return cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(identity, "authentication"), "symmetricKey");
}

/* Overwrites the keys in memory. */
static void wipe(cJSON *identity)
{
    cJSON *keys = identity_keys(identity);

    for (cJSON *key = keys == NULL ? NULL : keys->child; key != NULL; key = key->next)
        if (cJSON_IsString(key))
            explicit_bzero(key->valuestring, strlen(key->valuestring));
}

void identity_hide_keys(struct cJSON *identity)
{
    wipe(identity);
    cJSON_DeleteItemFromObjectCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(identity, "authentication"), "symmetricKey");
}

void identity_free(struct verb *verb, struct cJSON *identity)
{
    wipe(identity);
    for (cJSON *entry = cJSON_IsArray(identity) ? identity->child : NULL; entry != NULL;
         entry = entry->next)
        wipe(entry);
    cJSON_Delete(identity);
    if (verb->answer.body.bytes != NULL)
        explicit_bzero(verb->answer.body.bytes, verb->answer.body.length);
}

static int print_connection_string(const struct verb *verb, const cJSON *identity)
{
    const cJSON *authentication = cJSON_GetObjectItemCaseSensitive(identity, "authentication");
    const char *type = verb_text(authentication, "type");
    const char *key = verb_text(identity_keys(identity), "primaryKey");
    bool certificate = strcmp(type, "selfSigned") == 0 || strcmp(type, "certificateAuthority") == 0;

    if (*key == '\0' && !certificate)
        return verb_fail(verb, EX_DATAERR,
                         "the hub tells no key of it; the sign-in may not read keys");
    printf("HostName=%s;DeviceId=%s%s%s;%s%s\n", rest_host(verb->rest), verb->device,
           verb->module == NULL ? "" : ";ModuleId=", verb->module == NULL ? "" : verb->module,
           certificate ? "x509=true" : "SharedAccessKey=", certificate ? "" : key);
    return EX_OK;
}

/* ---- printing ---- */

int identity_print_json(const struct verb *verb, const struct cJSON *document)
{
    struct buf text;
    int exit_code;

    buf_init(&text, VERB_TEXT_MAX);
    show_json(&text, document);
    exit_code = verb_print(verb, &text, buf_add_text(&text, "\n"));
    buf_done(&text);
    return exit_code;
}

void identity_add_age(struct show_table *table, const struct cJSON *identity, const char *key)
{
    char age[SHOW_AGE_MAX];
    char text[SHOW_AGE_MAX + 8];

    show_age(age, verb_text(identity, key), (int64_t)time(NULL));
    snprintf(text, sizeof text, "%s%s", age,
             *age == '\0' || strcmp(age, "never") == 0 ? "" : " ago");
    show_table_text(table, text);
}

const char *identity_sign_in(const struct cJSON *identity)
{
    return verb_text(cJSON_GetObjectItemCaseSensitive(identity, "authentication"), "type");
}

static void add_fact(struct show_table *table, const char *name, const char *text)
{
    if (*text == '\0')
        return;
    show_table_row(table, SHOW_PLAIN);
    show_table_text(table, name);
    show_table_text(table, text);
}

static int print_facts(const struct verb *verb, const cJSON *identity)
{
    const cJSON *capabilities = cJSON_GetObjectItemCaseSensitive(identity, "capabilities");
    const cJSON *edge = cJSON_GetObjectItemCaseSensitive(capabilities, "iotEdge");
    struct show_table *table = show_table_new(2);
    int exit_code;

    if (table == NULL)
        return verb_fail(verb, EX_SOFTWARE, "out of memory");
    printf("%s: %s of %s\n", verb->name, identity_kind(verb), rest_host(verb->rest));
    add_fact(table, "status", verb_text(identity, "status"));
    add_fact(table, "reason", verb_text(identity, "statusReason"));
    add_fact(table, "state", verb_text(identity, "connectionState"));
    show_table_row(table, SHOW_PLAIN);
    show_table_text(table, "last active");
    identity_add_age(table, identity, "lastActivityTime");
    add_fact(table, "signs in with", identity_sign_in(identity));
    add_fact(table, "managed by", verb_text(identity, "managedBy"));
    add_fact(table, "IoT Edge", cJSON_IsTrue(edge) ? "yes" : "");
    add_fact(table, "etag", verb_text(identity, "etag"));
    add_fact(table, "generation", verb_text(identity, "generationId"));
    exit_code = verb_print_table(verb, table);
    show_table_free(table);
    return exit_code;
}

int identity_print(const struct verb *verb, struct cJSON *identity, const char *say)
{
    const struct options *options = verb->options;
    int exit_code = EX_OK;

    if (options->connection_string)
        return print_connection_string(verb, identity);
    if (options->json) {
        if (!options->show_keys)
            identity_hide_keys(identity);
        return identity_print_json(verb, identity);
    }
    if (say == NULL)
        exit_code = print_facts(verb, identity);
    else
        printf("%s: %s %s\n", verb->name, identity_kind(verb), say);
    if (exit_code == EX_OK && options->show_keys)
        exit_code = print_connection_string(verb, identity);
    return exit_code;
}

int identity_fetch(struct verb *verb, struct cJSON **out)
{
    char path[REST_PATH_MAX];
    struct rest_request request = { .method = "GET", .path = path, .repeatable = true };
    int exit_code = verb_path(verb, path, "devices");

    return exit_code == EX_OK ? verb_fetch(verb, &request, false, out) : exit_code;
}

/* Keys that are not given are generated by the hub. */
char *identity_new_body(const char *device, const char *module)
{
    cJSON *body = cJSON_CreateObject();
    cJSON *authentication = cJSON_AddObjectToObject(body, "authentication");
    char *text = NULL;

    if (cJSON_AddStringToObject(body, "deviceId", device) != NULL &&
        (module == NULL || cJSON_AddStringToObject(body, "moduleId", module) != NULL) &&
        cJSON_AddStringToObject(authentication, "type", "sas") != NULL)
        text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    return text;
}

int identity_take(struct verb *verb, struct cJSON **out)
{
    const struct buf *body = &verb->answer.body;
    const char *end;
    cJSON *identity = cJSON_ParseWithLengthOpts(buf_text(body), body->length + 1, &end, 1);

    if (cJSON_IsObject(identity)) {
        *out = identity;
        return EX_OK;
    }
    cJSON_Delete(identity);
    return verb_fail(verb, EX_UNAVAILABLE, "%ld, but the answer is none of a hub's%s",
                     verb->answer.status, answer_remedy(0));
}

int identity_fetch_modules(struct verb *verb, struct cJSON **out)
{
    char path[REST_PATH_MAX];
    char list[REST_PATH_MAX + 16];
    const struct rest_request request = { .method = "GET", .path = list, .repeatable = true };
    int exit_code = verb_path(verb, path, "devices");

    if (exit_code != EX_OK)
        return exit_code;
    snprintf(list, sizeof list, "%s/modules", path);
    return verb_fetch(verb, &request, true, out);
}
