/* Identities over REST: devices and modules, their lists, their numbers.
 *
 * Happy path: body -> hub.h -> the document. Fails when: hub.h says no (rest_error.c). */
#include "tests/sim/hubsim/rest_impl.h"

#include <errno.h>
#include <string.h>

enum { DEVICES_MAX = 1000 }; /* of one list */

void rest_print_identity(const struct hub *hub, const struct identity *identity, struct buf *out)
{
    struct identity_state state = {
        .connected = hub_connected(hub, identity->device_id, identity->module_id),
    };

    if (identity->module_id[0] == 0)
        hub_count_messages(hub, identity->device_id, &state.queued); /* 0 where it fails */
    identity_print(out, identity, &state);
}

void rest_get_identity(const struct rest_call *call)
{
    struct identity identity;
    int rc = hub_get_identity(call->hub, call->device_id, call->module_id, &identity);

    if (rc == 0)
        rest_print_identity(call->hub, &identity, &call->response->body);
    else
        rest_refuse(call, rc, "");
}

/* $edgeAgent and $edgeHub are made and unmade by IoT Edge, not by the back end (401100). */
static bool is_system_module(const struct rest_call *call)
{
    if (strcmp(call->module_id, "$edgeAgent") != 0 && strcmp(call->module_id, "$edgeHub") != 0)
        return false;
    rest_fail(call->hub, call->response, 401, "SystemModuleModifyUnauthorizedAccess",
              "the module belongs to IoT Edge");
    return true;
}

void rest_put_identity(const struct rest_call *call)
{
    int created = hub_rules(call->hub)->created_status; /* section 14, point 11 */
    struct identity identity;
    struct err err = { "" };
    cJSON *body = NULL;
    int rc;

    if (is_system_module(call))
        return;
    rc = rest_parse_body(call, &body);
    if (rc == 0)
        rc = hub_put_identity(call->hub, call->device_id, call->module_id, body, call->if_match,
                              &identity, &err);
    if (rc == 0)
        rest_print_identity(call->hub, &identity, &call->response->body);
    else
        rest_refuse(call, rc, err.msg);
    if (rc == 0 && call->if_match == NULL && call->module_id[0] != 0 && created != 0)
        call->response->status = created;
    cJSON_Delete(body);
}

void rest_delete_identity(const struct rest_call *call)
{
    int rc;

    if (is_system_module(call))
        return;
    rc = hub_delete_identity(call->hub, call->device_id, call->module_id, call->if_match);
    if (rc == 0)
        call->response->status = 204;
    else
        rest_refuse(call, rc, "");
}

/* ---- lists ---- */

struct listing {
    const struct hub *hub;
    struct buf *out;
    const char *device_id; /* whose modules; NULL = devices */
    long left;
};

static bool list_one(void *data, const struct identity *identity)
{
    struct listing *listing = data;

    if (listing->left-- == 0 ||
        (listing->device_id != NULL && strcmp(listing->device_id, identity->device_id) != 0))
        return false;
    if (listing->out->length > 1) /* behind the '[' */
        buf_add_byte(listing->out, ',');
    rest_print_identity(listing->hub, identity, listing->out);
    return true;
}

void rest_list_devices(const struct rest_call *call)
{
    struct listing listing = { .hub = call->hub, .out = &call->response->body };
    int rc = rest_take_number(call->request->texts[REST_TOP], 1, DEVICES_MAX, DEVICES_MAX,
                              &listing.left);

    buf_add_byte(listing.out, '[');
    if (rc == 0)
        rc = hub_each(call->hub, REGISTRY_DEVICES, "", "", list_one, &listing);
    buf_add_byte(listing.out, ']');
    if (rc != 0)
        rest_refuse(call, rc, rc == -EINVAL ? "top is not a number from 1" : "");
}

void rest_list_modules(const struct rest_call *call)
{
    struct listing listing = { .hub = call->hub,
                               .out = &call->response->body,
                               .device_id = call->device_id,
                               .left = HUB_MODULES_MAX };
    struct identity device;
    int rc = hub_get_identity(call->hub, call->device_id, "", &device);

    buf_add_byte(listing.out, '[');
    if (rc == 0)
        rc = hub_each(call->hub, REGISTRY_MODULES, call->device_id, "", list_one, &listing);
    buf_add_byte(listing.out, ']');
    if (rc != 0)
        rest_refuse(call, rc, "");
}

/* ---- numbers ---- */

void rest_count_devices(const struct rest_call *call)
{
    struct hub_statistics counts;
    int rc = hub_statistics(call->hub, &counts);

    if (rc == 0)
        buf_printf(&call->response->body,
                   "{\"totalDeviceCount\":%d,\"enabledDeviceCount\":%d,\"disabledDeviceCount\":%d}",
                   counts.devices, counts.enabled, counts.disabled);
    else
        rest_refuse(call, rc, "");
}

void rest_count_connections(const struct rest_call *call)
{
    struct hub_statistics counts;
    int rc = hub_statistics(call->hub, &counts);

    if (rc == 0)
        buf_printf(&call->response->body, "{\"connectedDeviceCount\":%d}", counts.connected);
    else
        rest_refuse(call, rc, "");
}
