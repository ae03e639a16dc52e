/* How REST refuses: the forms of section 7.6, and the codes of what hub.h returns.
 *
 * Every refusal has the form that the official SDKs take apart, "ErrorCode:NAME;text" and the
 * header iothub-errorcode; methods have one of their own. */
#include "tests/sim/hubsim/rest_impl.h"

#include <errno.h>
#include <stdio.h>

/* `message`: the text of the member Message, not yet quoted. */
static void print_error(const struct hub *hub, struct rest_response *response, const char *message)
{
    const struct env *env = hub_env(hub);
    struct buf *body = &response->body;
    char stamp[STAMP_MAX];

    stamp_print(env_wall_ms(env), stamp);
    buf_clear(body);
    response->item_type = NULL;
    response->continuation[0] = 0;
    buf_add_text(body, "{\"Message\":");
    json_print_text(body, message);
    buf_printf(body, ",\"ExceptionMessage\":\"Tracking ID:%08x%08x%08x%08x-G2:-TimeStamp:%s\"}",
               (unsigned)env_random_u32(env), (unsigned)env_random_u32(env),
               (unsigned)env_random_u32(env), (unsigned)env_random_u32(env), stamp);
}

void rest_fail(const struct hub *hub, struct rest_response *response, int status,
               const char *error_code, const char *text)
{
    char message[512];

    response->status = status;
    response->error_code = error_code;
    snprintf(message, sizeof message, "ErrorCode:%s;%s", error_code, text);
    print_error(hub, response, message);
}

void rest_fail_method(const struct rest_call *call, int status, const char *code, int number,
                      const char *text)
{
    const struct env *env = hub_env(call->hub);
    char stamp[STAMP_MAX];
    struct buf message;

    stamp_print(env_wall_ms(env), stamp);
    buf_init(&message, 1024);
    buf_printf(&message, "{\"errorCode\":%d,\"trackingId\":\"%08x%08x%08x%08x-G:0-TimeStamp:%s\",",
               number, (unsigned)env_random_u32(env), (unsigned)env_random_u32(env),
               (unsigned)env_random_u32(env), (unsigned)env_random_u32(env), stamp);
    buf_add_text(&message, "\"message\":");
    json_print_text(&message, text);
    buf_printf(&message, ",\"timestampUtc\":\"%s\"}", stamp);
    call->response->status = status;
    call->response->error_code = code;
    print_error(call->hub, call->response, buf_text(&message));
    buf_done(&message);
}

/* A missing module and a missing device are told apart. */
static struct rest_error not_found(const struct hub *hub, const char *device_id,
                                   const char *module_id)
{
    struct identity device;

    if (module_id[0] != 0 && hub_get_identity(hub, device_id, "", &device) == 0)
        return (struct rest_error){ 404, "ModuleNotFound", "the module is not registered" };
    return (struct rest_error){ 404, "DeviceNotFound", "the device is not registered" };
}

void rest_error_of(const struct hub *hub, const char *device_id, const char *module_id, int rc,
                   struct rest_error *out)
{
    static const struct {
        int rc;
        struct rest_error error;
    } table[] = {
        { -EINVAL, { 400, "ArgumentInvalid", "the request is not valid" } },
        { -EBADMSG, { 400, "IotHubFormatError", "the body is not JSON" } },
        { -ERANGE, { 400, "ArgumentInvalid", "an integer is beyond +-2^52" } },
        { -EFBIG, { 413, "MessageTooLarge", "the document is too large" } },
        { -ESTALE,
          { 412, "PreconditionFailed", "Precondition failed: the etag is not the present one" } },
        { -EMFILE, { 403, "TooManyModulesOnDevice", "the device has 50 modules already" } },
        { -ENODEV, { 404, "DeviceNotFound", "the device is not registered" } },
    };

    if (rc == -ENOENT) {
        *out = not_found(hub, device_id, module_id);
        return;
    }
    if (rc == -EEXIST) {
        *out = (struct rest_error){ 409,
                                    module_id[0] != 0 ? "ModuleAlreadyExistsOnDevice"
                                                      : "DeviceAlreadyExists",
                                    "it is registered already; send If-Match to change it" };
        return;
    }
    *out = (struct rest_error){ 500, "ServerError", "the state cannot be read or written" };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].rc == rc)
            *out = table[i].error;
    }
}

void rest_refuse(const struct rest_call *call, int rc, const char *why)
{
    struct rest_error error;

    rest_error_of(call->hub, call->device_id, call->module_id, rc, &error);
    rest_fail(call->hub, call->response, error.status, error.code,
              why[0] != 0 && error.status != 500 ? why : error.text);
}
