/* Direct methods over REST: the one call whose answer comes later (reference: iot-hub.md section
 * 5.3).
 *
 * Happy path: body -> hub_call_method -> the client's status and payload -> response, and whoever
 * waits for it is told. Fails when: nobody takes the call (404103), nobody answers (504101), the
 * client's answer is no JSON (502). Who no longer waits forgets the call. */
#include "tests/sim/hubsim/rest_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { /* seconds (5.3) */
       RESPONSE_LEAST = 5,
       RESPONSE_DEFAULT = 30,
       TIMEOUT_MOST = 300,
       NAME_MAX_BYTES = 128,
};

struct rest_waiting {
    struct hub *hub;
    struct hub_call *call; /* NULL when it is over */
    struct rest_response *response;
    void (*done)(void *data);
    void *data;
};

void rest_forget(struct rest_waiting *waiting)
{
    if (waiting == NULL)
        return;
    if (waiting->call != NULL)
        hub_forget_call(waiting->hub, waiting->call);
    free(waiting);
}

/* ---- the answer ---- */

static void print_result(const struct rest_call *call, int status, const char *payload,
                         size_t length)
{
    struct buf *body = &call->response->body;

    buf_printf(body, "{\"status\":%d,\"payload\":", status);
    if (length > 0)
        buf_add(body, payload, length);
    else
        buf_add_text(body, "null");
    buf_add_byte(body, '}');
}

static void print_failure(const struct rest_call *call, int rc)
{
    switch (rc) {
    case -ENOTCONN:
        rest_fail_method(call, 404, "DeviceNotOnline", 404103,
                         "The operation failed because the requested device is not online or has "
                         "not registered the direct method callback.");
        break;
    case -ETIMEDOUT:
        rest_fail_method(call, 504, "GatewayTimeout", 504101,
                         "Timed out waiting for the response from device.");
        break;
    case -EBADMSG:
        rest_fail_method(call, 502, "InvalidResponse", 502001,
                         "The device answered with a payload that is not JSON.");
        break;
    case -ECANCELED:
        rest_fail(call->hub, call->response, 503, "ServiceUnavailable", "the hub is stopping");
        break;
    case -ENOENT:
        rest_fail(call->hub, call->response, 404, "DeviceNotFound", "the identity was deleted");
        break;
    default:
        rest_fail(call->hub, call->response, 500, "ServerError", "out of memory");
    }
}

static void on_done(void *data, int rc, int status, const char *payload, size_t length)
{
    struct rest_waiting *waiting = data;
    const struct rest_call call = { .hub = waiting->hub, .response = waiting->response };
    void (*done)(void *data) = waiting->done;
    void *who = waiting->data;

    waiting->call = NULL;
    waiting->response->waiting = NULL;
    if (rc == 0)
        print_result(&call, status, payload, length);
    else
        print_failure(&call, rc);
    if (call.response->body.error != 0)
        rest_fail(call.hub, call.response, 500, "ServerError", "out of memory");
    free(waiting);
    done(who); /* the response may be gone now */
}

/* ---- the call ---- */

/* A time-out in seconds, 0 to 300; the least one for a response is 5. */
static int take_timeout(const cJSON *body, const char *name, uint32_t least, uint32_t otherwise,
                        uint32_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);

    if (item == NULL || cJSON_IsNull(item)) {
        *out = otherwise;
        return 0;
    }
    if (!cJSON_IsNumber(item) || item->valuedouble < least || item->valuedouble > TIMEOUT_MOST)
        return -EINVAL;
    *out = (uint32_t)item->valuedouble;
    return 0;
}

/* The payload, digit for digit: what is no twin may hold larger integers than a double does. */
static void take_payload(const cJSON *body, const char *text, struct buf *payload)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, "payload");
    size_t length = 0;
    const char *found = json_member_text(text, "payload", &length);

    if (found != NULL)
        buf_add(payload, found, length);
    else if (item != NULL) /* its key is written with escapes */
        json_print(payload, item);
}

/* The method of the body; `payload` gets its payload as text. `why` names what is wrong. */
static int take_method(const cJSON *body, const char *text, struct hub_method *method,
                       struct buf *payload, const char **why)
{
    const char *name = json_text(body, "methodName");

    *why = "methodName is not a text of 1 to 128 bytes without / + # ?";
    if (name == NULL || name[0] == 0 || strlen(name) > NAME_MAX_BYTES || strpbrk(name, "/+#?"))
        return -EINVAL;
    method->name = name;
    *why = "responseTimeoutInSeconds is not 5 to 300";
    if (take_timeout(body, "responseTimeoutInSeconds", RESPONSE_LEAST, RESPONSE_DEFAULT,
                     &method->response_timeout_s) != 0)
        return -EINVAL;
    *why = "connectTimeoutInSeconds is not 0 to 300";
    if (take_timeout(body, "connectTimeoutInSeconds", 0, 0, &method->connect_timeout_s) != 0)
        return -EINVAL;
    take_payload(body, text, payload);
    method->payload = buf_text(payload);
    method->payload_length = payload->length;
    return payload->error;
}

static void refuse(const struct rest_call *call, int rc, const char *why)
{
    if (rc == -EMFILE)
        rest_fail(call->hub, call->response, 429, "ThrottlingException",
                  "too many methods are under way");
    else if (rc == -EFBIG || rc == -ENOSPC)
        rest_fail(call->hub, call->response, 413, "MessageTooLarge",
                  "the payload is larger than 128 KB");
    else
        rest_refuse(call, rc, rc == -EINVAL ? why : "");
}

static int start(const struct rest_call *call, const struct hub_method *method)
{
    struct rest_waiting *waiting = calloc(1, sizeof *waiting);
    int rc;

    if (waiting == NULL)
        return -ENOMEM;
    *waiting = (struct rest_waiting){
        .hub = call->hub,
        .response = call->response,
        .done = call->request->done,
        .data = call->request->data,
    };
    rc = hub_call_method(call->hub, method, on_done, waiting, &waiting->call);
    if (rc == 0)
        call->response->waiting = waiting;
    else
        free(waiting);
    return rc;
}

void rest_call_method(const struct rest_call *call)
{
    struct hub_method method = { .device_id = call->device_id, .module_id = call->module_id };
    const char *why = "";
    const struct rest_request *request = call->request;
    char *text = strndup(request->body, request->body_length);
    struct buf payload;
    cJSON *body = NULL;
    int rc = text != NULL ? json_parse_any(&body, request->body, request->body_length) : -ENOMEM;

    buf_init(&payload, HUB_METHOD_MAX);
    if (rc == 0)
        rc = take_method(body, text, &method, &payload, &why);
    if (rc == 0)
        rc = start(call, &method);
    if (rc != 0)
        refuse(call, rc, why);
    buf_done(&payload);
    cJSON_Delete(body);
    free(text);
}
