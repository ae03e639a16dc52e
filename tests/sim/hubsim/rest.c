/* REST: routes, permissions, bodies.
 *
 * Happy path: path -> segments -> route -> api-version and token checked -> handler -> JSON.
 * Fails when: there is no such route (404, 405), the caller may not (401), the hub says no. Every
 * refusal has the form that the official SDKs take apart: "ErrorCode:NAME;text" and the header
 * iothub-errorcode. */
#include "tests/sim/hubsim/rest.h"

#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MAX = 6, DEVICES_MAX = 1000 };

/* One request on its way. */
struct call {
    struct hub *hub;
    const struct rest_request *request;
    struct rest_response *response;
    const char *device_id; /* of the path; "" where the route has none */
    const char *module_id;
    const char *if_match; /* the etag without its quotes, "*", or NULL */
};

void rest_response_init(struct rest_response *response)
{
    *response = (struct rest_response){ .status = 200 };
    buf_init(&response->body, REST_RESPONSE_MAX);
}

void rest_response_done(struct rest_response *response)
{
    buf_done(&response->body);
}

/* ---- errors ---- */

void rest_fail(const struct hub *hub, struct rest_response *response, int status,
               const char *error_code, const char *text)
{
    const struct env *env = hub_env(hub);
    char message[512], stamp[STAMP_MAX];
    struct buf *body = &response->body;

    buf_clear(body);
    response->status = status;
    response->error_code = error_code;
    snprintf(message, sizeof message, "ErrorCode:%s;%s", error_code, text);
    stamp_print(env_wall_ms(env), stamp);
    buf_add_text(body, "{\"Message\":");
    json_print_text(body, message);
    buf_printf(body, ",\"ExceptionMessage\":\"Tracking ID:%08x%08x%08x%08x-G2:-TimeStamp:%s\"}",
               (unsigned)env_random_u32(env), (unsigned)env_random_u32(env),
               (unsigned)env_random_u32(env), (unsigned)env_random_u32(env), stamp);
}

static bool about_module(const struct call *call)
{
    return call->module_id[0] != 0;
}

/* A missing module and a missing device are told apart. */
static void fail_not_found(const struct call *call)
{
    struct identity device;
    bool module_missing = about_module(call) &&
                          hub_get_identity(call->hub, call->device_id, "", &device) == 0;

    if (module_missing)
        rest_fail(call->hub, call->response, 404, "ModuleNotFound", "the module is not registered");
    else
        rest_fail(call->hub, call->response, 404, "DeviceNotFound", "the device is not registered");
}

/* The response to an error of hub.h. `why` may be "". */
static void fail(const struct call *call, int rc, const char *why)
{
    static const struct {
        int rc, status;
        const char *code, *text;
    } table[] = {
        { -EINVAL, 400, "ArgumentInvalid", "the request is not valid" },
        { -EBADMSG, 400, "IotHubFormatError", "the body is not JSON" },
        { -ERANGE, 400, "ArgumentInvalid", "an integer is beyond +-2^52" },
        { -EFBIG, 413, "MessageTooLarge", "the document is too large" },
        { -ESTALE, 412, "PreconditionFailed",
          "Precondition failed: the etag is not the present one" },
        { -EMFILE, 403, "TooManyModulesOnDevice", "the device has 50 modules already" },
        { -ENODEV, 404, "DeviceNotFound", "the device is not registered" },
    };

    if (rc == -ENOENT) {
        fail_not_found(call);
        return;
    }
    if (rc == -EEXIST) {
        rest_fail(call->hub, call->response, 409,
                  about_module(call) ? "ModuleAlreadyExistsOnDevice" : "DeviceAlreadyExists",
                  "it is registered already; send If-Match to change it");
        return;
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].rc == rc) {
            rest_fail(call->hub, call->response, table[i].status, table[i].code,
                      why[0] != 0 ? why : table[i].text);
            return;
        }
    }
    rest_fail(call->hub, call->response, 500, "ServerError", "the state cannot be read or written");
}

/* ---- identities ---- */

static void print_identity(const struct call *call, const struct identity *identity)
{
    identity_print(&call->response->body, identity,
                   hub_connected(call->hub, identity->device_id, identity->module_id));
}

static void get_identity(const struct call *call)
{
    struct identity identity;
    int rc = hub_get_identity(call->hub, call->device_id, call->module_id, &identity);

    if (rc == 0)
        print_identity(call, &identity);
    else
        fail(call, rc, "");
}

static int parse_body(const struct call *call, cJSON **out)
{
    return json_parse(out, call->request->body, call->request->body_length);
}

static void put_identity(const struct call *call)
{
    struct identity identity;
    struct err err = { "" };
    cJSON *body = NULL;
    int rc = parse_body(call, &body);

    if (rc == 0)
        rc = hub_put_identity(call->hub, call->device_id, call->module_id, body, call->if_match,
                              &identity, &err);
    if (rc == 0)
        print_identity(call, &identity);
    else
        fail(call, rc, err.msg);
    cJSON_Delete(body);
}

static void delete_identity(const struct call *call)
{
    int rc = hub_delete_identity(call->hub, call->device_id, call->module_id, call->if_match);

    if (rc == 0)
        call->response->status = 204;
    else
        fail(call, rc, "");
}

static void print_listed(void *data, const struct identity *identity)
{
    const struct call *call = data;

    if (call->response->body.length > 1) /* behind the '[' */
        buf_add_byte(&call->response->body, ',');
    print_identity(call, identity);
}

static int take_top(const char *text, int *top)
{
    char *end;
    long number;

    *top = DEVICES_MAX;
    if (text == NULL)
        return 0;
    number = strtol(text, &end, 10);
    if (end == text || *end != 0 || number < 1)
        return -EINVAL;
    if (number < DEVICES_MAX)
        *top = (int)number;
    return 0;
}

static void list_devices(const struct call *call)
{
    struct call listing = *call;
    int top;
    int rc = take_top(call->request->top, &top);

    buf_add_byte(&call->response->body, '[');
    if (rc == 0)
        rc = hub_each_device(call->hub, top, print_listed, &listing);
    buf_add_byte(&call->response->body, ']');
    if (rc != 0)
        fail(call, rc, "");
}

static void list_modules(const struct call *call)
{
    struct call listing = *call;
    struct identity device;
    int rc = hub_get_identity(call->hub, call->device_id, "", &device);

    buf_add_byte(&call->response->body, '[');
    if (rc == 0)
        rc = hub_each_module(call->hub, call->device_id, print_listed, &listing);
    buf_add_byte(&call->response->body, ']');
    if (rc != 0)
        fail(call, rc, "");
}

/* ---- twins ---- */

static void get_twin(const struct call *call)
{
    struct buf *body = &call->response->body;
    struct identity identity;
    struct twin twin;
    char etag[TWIN_ETAG_MAX];
    int rc = hub_get_identity(call->hub, call->device_id, call->module_id, &identity);

    if (rc == 0)
        rc = hub_get_twin(call->hub, call->device_id, call->module_id, &twin);
    if (rc != 0) {
        fail(call, rc, "");
        return;
    }
    twin_etag(&twin, etag);
    buf_add_byte(body, '{');
    identity_print_for_twin(body, &identity,
                            hub_connected(call->hub, identity.device_id, identity.module_id));
    buf_printf(body, "\"etag\":\"%s\",\"modelId\":\"\",", etag);
    twin_print(body, &twin);
    buf_add_byte(body, '}');
    twin_done(&twin);
}

static void write_twin(const struct call *call, enum hub_write write)
{
    struct err err = { "" };
    cJSON *body = NULL;
    int rc = parse_body(call, &body);

    if (rc == 0)
        rc = hub_write_twin(call->hub, call->device_id, call->module_id, write, body,
                            call->if_match, &err);
    cJSON_Delete(body);
    if (rc == 0)
        get_twin(call);
    else
        fail(call, rc, err.msg);
}

static void patch_twin(const struct call *call)
{
    write_twin(call, HUB_PATCH);
}

static void replace_twin(const struct call *call)
{
    write_twin(call, HUB_REPLACE);
}

/* ---- routes ---- */

struct route {
    const char *path; /* DEVICE and MODULE stand for an id */
    const char *method;
    enum auth_permission permission;
    void (*handle)(const struct call *call);
};

static const struct route routes[] = {
    { "/devices", "GET", AUTH_REGISTRY_READ, list_devices },
    { "/devices/DEVICE", "GET", AUTH_REGISTRY_READ, get_identity },
    { "/devices/DEVICE", "PUT", AUTH_REGISTRY_WRITE, put_identity },
    { "/devices/DEVICE", "DELETE", AUTH_REGISTRY_WRITE, delete_identity },
    { "/devices/DEVICE/modules", "GET", AUTH_REGISTRY_READ, list_modules },
    { "/devices/DEVICE/modules/MODULE", "GET", AUTH_REGISTRY_READ, get_identity },
    { "/devices/DEVICE/modules/MODULE", "PUT", AUTH_REGISTRY_WRITE, put_identity },
    { "/devices/DEVICE/modules/MODULE", "DELETE", AUTH_REGISTRY_WRITE, delete_identity },
    { "/twins/DEVICE", "GET", AUTH_SERVICE_CONNECT, get_twin },
    { "/twins/DEVICE", "PATCH", AUTH_SERVICE_CONNECT, patch_twin },
    { "/twins/DEVICE", "PUT", AUTH_SERVICE_CONNECT, replace_twin },
    { "/twins/DEVICE/modules/MODULE", "GET", AUTH_SERVICE_CONNECT, get_twin },
    { "/twins/DEVICE/modules/MODULE", "PATCH", AUTH_SERVICE_CONNECT, patch_twin },
    { "/twins/DEVICE/modules/MODULE", "PUT", AUTH_SERVICE_CONNECT, replace_twin },
};

/* Cuts the next segment off `path`: "/a/b" -> "a", "/b". False at its end; a slash there is none.
 */
static bool next_segment(const char **path, const char **segment, size_t *length)
{
    if (**path != '/' || (*path)[1] == 0)
        return false;
    *segment = *path + 1;
    *length = strcspn(*segment, "/");
    *path = *segment + *length;
    return true;
}

static bool segment_is(const char *segment, size_t length, const char *wanted)
{
    return strlen(wanted) == length && memcmp(segment, wanted, length) == 0;
}

struct ids {
    char device_id[AUTH_ID_MAX];
    char module_id[AUTH_ID_MAX];
    bool valid;
};

static void take_id(char out[AUTH_ID_MAX], const char *segment, size_t length, bool *valid)
{
    if (length >= AUTH_ID_MAX) {
        *valid = false;
        return;
    }
    memcpy(out, segment, length);
    out[length] = 0;
    if (!auth_id_valid(out))
        *valid = false;
}

/* Whether `path` has the form of `pattern`; the ids in it go to `ids`. */
static bool match(const char *pattern, const char *path, struct ids *ids)
{
    const char *wanted, *given;
    size_t wanted_length, given_length;

    *ids = (struct ids){ .valid = true };
    while (next_segment(&pattern, &wanted, &wanted_length)) {
        if (!next_segment(&path, &given, &given_length))
            return false;
        if (segment_is(wanted, wanted_length, "DEVICE"))
            take_id(ids->device_id, given, given_length, &ids->valid);
        else if (segment_is(wanted, wanted_length, "MODULE"))
            take_id(ids->module_id, given, given_length, &ids->valid);
        else if (wanted_length != given_length || memcmp(wanted, given, given_length) != 0)
            return false;
    }
    return !next_segment(&path, &given, &given_length);
}

/* The route, or NULL after the response was made. */
static const struct route *find_route(const struct hub *hub, const struct rest_request *request,
                                      struct rest_response *response, struct ids *ids)
{
    bool path_known = false;

    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!match(routes[i].path, request->path, ids))
            continue;
        if (strcmp(routes[i].method, request->method) == 0)
            return &routes[i];
        path_known = true;
    }
    if (path_known)
        rest_fail(hub, response, 405, "InvalidOperation", "the method is not for this address");
    else
        rest_fail(hub, response, 404, "InvalidOperation", "there is nothing at this address");
    return NULL;
}

/* "\"etag\"" -> etag; * and "*" stay *; an etag without quotes counts as none, as in the real hub
 * (7.3). */
static const char *take_if_match(const char *header, char *out, size_t size)
{
    size_t length = header != NULL ? strlen(header) : 0;

    if (length == 1 && header[0] == '*')
        return "*";
    if (length < 3 || length - 2 >= size || header[0] != '"' || header[length - 1] != '"')
        return NULL;
    memcpy(out, header + 1, length - 2);
    out[length - 2] = 0;
    return out;
}

static bool authorized(const struct hub *hub, const struct rest_request *request,
                       struct rest_response *response, enum auth_permission permission)
{
    struct err err = { "" };
    int rc = access_authorize(hub_access(hub), request->authorization, request->path, permission,
                              &err);

    if (rc == 0)
        return true;
    hub_note(hub, "%s %s: refused: %s", request->method, request->path, err.msg);
    rest_fail(hub, response, 401, rc == -EACCES ? "IotHubUnauthorizedAccess" : "IotHubUnauthorized",
              err.msg);
    return false;
}

void rest_handle(struct hub *hub, const struct rest_request *request,
                 struct rest_response *response)
{
    char etag[64];
    struct ids ids;
    const struct route *route = find_route(hub, request, response, &ids);

    if (route == NULL)
        return;
    if (request->api_version == NULL || request->api_version[0] == 0) {
        rest_fail(hub, response, 400, "InvalidProtocolVersion", "the query has no api-version");
        return;
    }
    if (!authorized(hub, request, response, route->permission))
        return;
    if (!ids.valid) {
        rest_fail(hub, response, 400, "ArgumentInvalid",
                  "an id is not 1 to 128 characters of A-Z a-z 0-9 and -:.+%_#*?!(),=@;$'");
        return;
    }
    const struct call call = {
        hub,           request,       response,
        ids.device_id, ids.module_id, take_if_match(request->if_match, etag, sizeof etag),
    };
    route->handle(&call);
    if (response->body.error != 0)
        rest_fail(hub, response, 500, "ServerError", "out of memory");
}
