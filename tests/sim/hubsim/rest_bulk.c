/* Bulk registry operations: POST /devices (reference: iot-hub.md section 7.2).
 *
 * Happy path: an array of at most 100 items, each done by itself, in order. Fails when: the body is
 * no such array (400, nothing is done), or items fail: 400 with one entry in "errors" for each of
 * them; the others are done. */
#include "tests/sim/hubsim/rest_impl.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { ITEMS_MAX = 100 };

enum operation { CREATE, UPDATE, DELETE, UPDATE_TWIN };

struct mode {
    const char *name;
    enum operation operation;
    bool if_match; /* only if the item's etag is the present one */
};

/* The SDKs spell them with different capitals. */
static const struct mode modes[] = {
    { "create", CREATE, false },
    { "update", UPDATE, false },
    { "updateIfMatchETag", UPDATE, true },
    { "delete", DELETE, false },
    { "deleteIfMatchETag", DELETE, true },
    { "updateTwin", UPDATE_TWIN, false },
    { "updateTwinIfMatchETag", UPDATE_TWIN, true },
};

/* One item, as far as it was understood. */
struct item {
    cJSON *json;
    const char *device_id, *module_id;
    const struct mode *mode;
    const char *etag; /* that must be the present one; "*" = any */
};

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* ---- what an item says ---- */

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcasecmp(modes[i].name, name) == 0)
            return &modes[i];
    }
    return NULL;
}

static int read_item(struct item *item, cJSON *json, struct err *err)
{
    const char *mode = json_text(json, "importMode"), *id = json_text(json, "id");
    const char *module_id = json_text(json, "moduleId"), *etag;

    *item = (struct item){ .json = json, .device_id = "", .module_id = "", .etag = "*" };
    if (id == NULL || !auth_id_valid(id) || (module_id != NULL && !auth_id_valid(module_id))) {
        err_set(err, "id, or moduleId, is missing or no id");
        return -EINVAL;
    }
    item->device_id = id;
    item->module_id = module_id != NULL ? module_id : "";
    item->mode = mode != NULL ? find_mode(mode) : NULL;
    if (item->mode == NULL) {
        err_set(err, "importMode is none of create, update, updateIfMatchETag, delete, "
                     "deleteIfMatchETag, updateTwin, updateTwinIfMatchETag");
        return -EINVAL;
    }
    if (!item->mode->if_match)
        return 0;
    etag = json_text(json, item->mode->operation == UPDATE_TWIN ? "twinETag" : "eTag");
    if (etag == NULL && item->mode->operation != UPDATE_TWIN)
        etag = json_text(json, "etag"); /* the SDK for Node sends a device as it got it */
    if (etag == NULL) {
        err_set(err, "the etag that must match is missing");
        return -EINVAL;
    }
    item->etag = etag;
    return 0;
}

/* ---- what it does ---- */

/* Hands the item's tags and desired properties to the twin, if it has any. */
static int write_twin(struct hub *hub, const struct item *item, const char *if_match,
                      struct err *err)
{
    if (member(item->json, "tags") == NULL && member(item->json, "properties") == NULL)
        return 0;
    return hub_write_twin(hub, item->device_id, item->module_id, HUB_PATCH, item->json, if_match,
                          err);
}

static int put_identity(struct hub *hub, const struct item *item, const char *if_match,
                        struct err *err)
{
    struct identity identity;

    return hub_put_identity(hub, item->device_id, item->module_id, item->json, if_match, &identity,
                            err);
}

/* An identity whose twin is refused is not there afterwards. */
static int create(struct hub *hub, const struct item *item, struct err *err)
{
    int rc = put_identity(hub, item, NULL, err);

    if (rc != 0)
        return rc;
    rc = write_twin(hub, item, "*", err);
    if (rc != 0)
        hub_delete_identity(hub, item->device_id, item->module_id, "*");
    return rc;
}

static int run_item(struct hub *hub, const struct item *item, struct err *err)
{
    switch (item->mode->operation) {
    case CREATE:
        return create(hub, item, err);
    case UPDATE:
        return put_identity(hub, item, item->etag, err);
    case DELETE:
        return hub_delete_identity(hub, item->device_id, item->module_id, item->etag);
    case UPDATE_TWIN:
        break;
    }
    return write_twin(hub, item, item->etag, err);
}

/* ---- the answer ---- */

static void print_failure(const struct rest_call *call, const struct item *item, int rc,
                          const char *why, struct buf *out)
{
    struct rest_error error;

    rest_error_of(call->hub, item->device_id, item->module_id, rc, &error);
    if (out->length > 0)
        buf_add_byte(out, ',');
    buf_add_text(out, "{\"deviceId\":");
    json_print_text(out, item->device_id);
    if (item->module_id[0] != 0) {
        buf_add_text(out, ",\"moduleId\":");
        json_print_text(out, item->module_id);
    }
    buf_printf(out, ",\"errorCode\":\"%s\",\"errorStatus\":", error.code);
    json_print_text(out, why[0] != 0 && error.status != 500 ? why : error.text);
    buf_add_byte(out, '}');
}

static void run_items(const struct rest_call *call, cJSON *body, struct buf *errors)
{
    for (cJSON *json = body->child; json != NULL; json = json->next) {
        struct err err = { "" };
        struct item item;
        int rc = read_item(&item, json, &err);

        if (rc == 0)
            rc = run_item(call->hub, &item, &err);
        if (rc != 0)
            print_failure(call, &item, rc, err.msg, errors);
    }
}

void rest_bulk(const struct rest_call *call)
{
    struct rest_response *response = call->response;
    struct buf errors;
    cJSON *body = NULL;
    int rc = rest_parse_body(call, &body);
    int count = cJSON_GetArraySize(body);

    if (rc == 0 && (!cJSON_IsArray(body) || count < 1 || count > ITEMS_MAX))
        rc = -EINVAL;
    if (rc != 0) {
        rest_refuse(call, rc, rc == -EINVAL ? "the body is no array of 1 to 100 items" : "");
        cJSON_Delete(body);
        return;
    }
    buf_init(&errors, REST_RESPONSE_MAX);
    run_items(call, body, &errors);
    if (errors.length > 0) {
        response->status = 400;
        response->error_code = "BulkRegistryOperationFailure";
    }
    buf_printf(&response->body, "{\"isSuccessful\":%s,\"errors\":[",
               errors.length > 0 ? "false" : "true");
    buf_add(&response->body, buf_text(&errors), errors.length);
    buf_add_text(&response->body, "],\"warnings\":[]}");
    if (errors.error != 0)
        response->body.error = errors.error;
    buf_done(&errors);
    cJSON_Delete(body);
}
