/* REST: routes, permissions, If-Match.
 *
 * Happy path: path -> segments -> route -> api-version and token checked -> handler -> JSON, at once
 * or later. Fails when: there is no such route (404, 405), the caller may not (401), the hub says
 * no. */
#include "tests/sim/hubsim/rest_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct rest_source rest_sources[REST_TEXT_COUNT] = {
    [REST_API_VERSION] = { "api-version=", false },
    [REST_TOP] = { "top=", false },
    [REST_AFTER] = { "after=", false },
    [REST_RESOURCE] = { "resource=", false },
    [REST_CLIENT_ID] = { "client_id=", false },
    [REST_AUTHORIZATION] = { "authorization:", true },
    [REST_IF_MATCH] = { "if-match:", true },
    [REST_MAX_ITEM_COUNT] = { "x-ms-max-item-count:", true },
    [REST_CONTINUATION] = { "x-ms-continuation:", true },
    [REST_CONTENT_TYPE] = { "content-type:", true },
    [REST_METADATA] = { "metadata:", true },
    [REST_HOST] = { "host:", true },
    [REST_MESSAGE_ID] = { "iothub-messageid:", true },
    [REST_CORRELATION_ID] = { "iothub-correlationid:", true },
    [REST_USER_ID] = { "iothub-userid:", true },
    [REST_TO] = { "iothub-to:", true },
    [REST_ACK] = { "iothub-ack:", true },
    [REST_TTL] = { "hubsim-ttl:", true },
    [REST_PROPERTIES] = { "hubsim-properties:", true },
};

void rest_response_init(struct rest_response *response)
{
    *response = (struct rest_response){ .status = 200 };
    buf_init(&response->body, REST_RESPONSE_MAX);
}

void rest_response_done(struct rest_response *response)
{
    rest_forget(response->waiting);
    response->waiting = NULL;
    buf_done(&response->body);
}

int rest_parse_body(const struct rest_call *call, cJSON **out)
{
    return json_parse(out, call->request->body, call->request->body_length);
}

int rest_take_number(const char *text, long least, long most, long otherwise, long *out)
{
    char *end;
    long number;

    if (text == NULL) {
        *out = otherwise;
        return 0;
    }
    number = strtol(text, &end, 10);
    if (end == text || *end != 0 || number < least)
        return -EINVAL;
    *out = number < most ? number : most;
    return 0;
}

/* ---- routes ---- */

struct route {
    const char *path; /* DEVICE and MODULE stand for an id, TENANT for anything */
    const char *method;
    unsigned permissions; /* one of them is enough; 0 = everybody may */
    void (*handle)(const struct rest_call *call);
    bool unversioned; /* without an api-version, too */
    bool plain;       /* at the metadata address, and only there */
};

static const struct route routes[] = {
    { "/devices", "GET", AUTH_REGISTRY_READ, rest_list_devices, false, false },
    { "/devices", "POST", AUTH_REGISTRY_WRITE, rest_bulk, false, false },
    { "/devices/query", "POST", AUTH_SERVICE_CONNECT, rest_query, false, false },
    { "/devices/DEVICE", "GET", AUTH_REGISTRY_READ, rest_get_identity, false, false },
    { "/devices/DEVICE", "PUT", AUTH_REGISTRY_WRITE, rest_put_identity, false, false },
    { "/devices/DEVICE", "DELETE", AUTH_REGISTRY_WRITE, rest_delete_identity, false, false },
    { "/devices/DEVICE/modules", "GET", AUTH_REGISTRY_READ, rest_list_modules, false, false },
    { "/devices/DEVICE/modules/MODULE", "GET", AUTH_REGISTRY_READ, rest_get_identity, false,
      false },
    { "/devices/DEVICE/modules/MODULE", "PUT", AUTH_REGISTRY_WRITE, rest_put_identity, false,
      false },
    { "/devices/DEVICE/modules/MODULE", "DELETE", AUTH_REGISTRY_WRITE, rest_delete_identity, false,
      false },
    { "/devices/DEVICE/messages/deviceBound", "POST", AUTH_SERVICE_CONNECT, rest_send_message,
      false, false },
    { "/twins/DEVICE", "GET", AUTH_SERVICE_CONNECT, rest_get_twin, false, false },
    { "/twins/DEVICE", "PATCH", AUTH_SERVICE_CONNECT, rest_patch_twin, false, false },
    { "/twins/DEVICE", "PUT", AUTH_SERVICE_CONNECT, rest_replace_twin, false, false },
    { "/twins/DEVICE/methods", "POST", AUTH_SERVICE_CONNECT, rest_call_method, false, false },
    { "/twins/DEVICE/modules/MODULE", "GET", AUTH_SERVICE_CONNECT, rest_get_twin, false, false },
    { "/twins/DEVICE/modules/MODULE", "PATCH", AUTH_SERVICE_CONNECT, rest_patch_twin, false,
      false },
    { "/twins/DEVICE/modules/MODULE", "PUT", AUTH_SERVICE_CONNECT, rest_replace_twin, false,
      false },
    { "/twins/DEVICE/modules/MODULE/methods", "POST", AUTH_SERVICE_CONNECT, rest_call_method, false,
      false },
    { "/statistics/devices", "GET", AUTH_REGISTRY_READ, rest_count_devices, false, false },
    { "/statistics/service", "GET", AUTH_REGISTRY_READ | AUTH_SERVICE_CONNECT,
      rest_count_connections, false, false },
    { "/hubsim/messages", "GET", AUTH_SERVICE_CONNECT, rest_list_messages, true, false },
    { "/TENANT/oauth2/v2.0/token", "POST", 0, rest_get_token, true, false },
    { "/TENANT/v2.0/.well-known/openid-configuration", "GET", 0, rest_get_openid, true, false },
    { "/metadata/identity/oauth2/token", "GET", 0, rest_get_managed_token, true, true },
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
    char device_id[AUTH_ID_MAX]; /* or the tenant */
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
        if (segment_is(wanted, wanted_length, "DEVICE") ||
            segment_is(wanted, wanted_length, "TENANT"))
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
        if (routes[i].plain != request->plain || !match(routes[i].path, request->path, ids))
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

/* ---- the caller ---- */

/* "\"etag\"" -> etag; * and "*" stay *; an etag without quotes counts as none, as in the real hub
 * (7.3), or is -EINVAL under the strict rule. */
static int take_if_match(const struct hub *hub, const char *header, char *out, size_t size,
                         const char **etag)
{
    const bool strict = hub_rules(hub)->strict_if_match;
    size_t length = header != NULL ? strlen(header) : 0;

    *etag = NULL;
    if (length == 0)
        return 0;
    if (length == 1 && header[0] == '*') {
        *etag = "*";
        return 0;
    }
    if (length < 2 || header[0] != '"' || header[length - 1] != '"')
        return strict ? -EINVAL : 0;
    if (length == 2 && strict)
        return -EINVAL;
    length -= 2;
    if (length >= size) /* nobody's etag: it must match nothing, not everything */
        length = 0;
    memcpy(out, header + 1, length);
    out[length] = 0;
    *etag = out;
    return 0;
}

static bool authorized(const struct hub *hub, const struct rest_request *request,
                       struct rest_response *response, unsigned permissions)
{
    struct err err = { "" };
    int rc;

    if (permissions == 0)
        return true;
    rc = access_authorize(hub_access(hub), request->texts[REST_AUTHORIZATION], request->path,
                          permissions, &err);
    if (rc == 0)
        return true;
    hub_note(hub, "%s %s: refused: %s", request->method, request->path, err.msg);
    if (rc == -ENOMEM)
        rest_fail(hub, response, 500, "ServerError", "out of memory");
    else
        rest_fail(hub, response, 401,
                  rc == -EACCES ? "IotHubUnauthorizedAccess" : "IotHubUnauthorized", err.msg);
    return false;
}

static bool versioned(const struct hub *hub, const struct rest_request *request,
                      struct rest_response *response, const struct route *route)
{
    const char *version = request->texts[REST_API_VERSION];

    if (route->unversioned || (version != NULL && version[0] != 0))
        return true;
    rest_fail(hub, response, 400, "InvalidProtocolVersion", "the query has no api-version");
    return false;
}

bool rest_handle(struct hub *hub, const struct rest_request *request,
                 struct rest_response *response)
{
    char etag[64];
    const char *if_match;
    struct ids ids;
    const struct route *route = find_route(hub, request, response, &ids);

    if (route == NULL || !versioned(hub, request, response, route) ||
        !authorized(hub, request, response, route->permissions))
        return true;
    if (!ids.valid) {
        rest_fail(hub, response, 400, "ArgumentInvalid",
                  "an id is not 1 to 128 characters of A-Z a-z 0-9 and -:.+%_#*?!(),=@;$'");
        return true;
    }
    if (take_if_match(hub, request->texts[REST_IF_MATCH], etag, sizeof etag, &if_match) != 0) {
        rest_fail(hub, response, 400, "ArgumentInvalid",
                  "If-Match is not an etag in double quotes; without them the hub ignores it");
        return true;
    }
    const struct rest_call call = {
        hub, request, response, ids.device_id, ids.module_id, if_match,
    };
    route->handle(&call);
    if (response->waiting != NULL)
        return false;
    if (response->body.error == -ENOSPC)
        rest_fail(hub, response, 413, "MessageTooLarge",
                  "the response is too large; ask for fewer at once");
    else if (response->body.error != 0)
        rest_fail(hub, response, 500, "ServerError", "out of memory");
    return true;
}
