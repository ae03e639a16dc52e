/* What the files of rest.h share: a call on its way, and the ways to refuse it. Nobody else includes
 * this. */
#pragma once

#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/rest.h"

/* One request on its way: its route is known, the caller may. */
struct rest_call {
    struct hub *hub;
    const struct rest_request *request;
    struct rest_response *response;
    const char *device_id; /* of the path; "" where the route has none */
    const char *module_id;
    const char *if_match; /* the etag without its quotes, "*", or NULL */
};

/* The response to an error of hub.h. `why` may be "". */
void rest_refuse(const struct rest_call *call, int rc, const char *why);

/* The name and the text of an error of hub.h for an identity, and its status. */
struct rest_error {
    int status;
    const char *code, *text;
};
void rest_error_of(const struct hub *hub, const char *device_id, const char *module_id, int rc,
                   struct rest_error *out);

/* The form in which methods fail (7.6): Message is itself JSON. `number` is the code, 404103. */
void rest_fail_method(const struct rest_call *call, int status, const char *code, int number,
                      const char *text);

/* The body as JSON that the caller deletes: 0, or errors of json_parse. */
int rest_parse_body(const struct rest_call *call, cJSON **out);

/* A number from `least` on; absent: `otherwise`, too large: `most`. -EINVAL. */
int rest_take_number(const char *text, long least, long most, long otherwise, long *out);

/* A twin's or identity's document as the service has it. */
int rest_print_twin(const struct hub *hub, const struct identity *identity, struct buf *out);
void rest_print_identity(const struct hub *hub, const struct identity *identity, struct buf *out);

/* What became of a method: fills in `response` and tells who waits. */
void rest_forget(struct rest_waiting *waiting);

/* ---- the routes ---- */

void rest_get_identity(const struct rest_call *call);
void rest_put_identity(const struct rest_call *call);
void rest_delete_identity(const struct rest_call *call);
void rest_list_devices(const struct rest_call *call);
void rest_list_modules(const struct rest_call *call);
void rest_bulk(const struct rest_call *call);
void rest_count_devices(const struct rest_call *call);
void rest_count_connections(const struct rest_call *call);

void rest_get_twin(const struct rest_call *call);
void rest_patch_twin(const struct rest_call *call);
void rest_replace_twin(const struct rest_call *call);
void rest_query(const struct rest_call *call);
void rest_call_method(const struct rest_call *call);

void rest_send_message(const struct rest_call *call);
void rest_list_messages(const struct rest_call *call);

/* `device_id` is the tenant. */
void rest_get_token(const struct rest_call *call);
void rest_get_openid(const struct rest_call *call);
void rest_get_managed_token(const struct rest_call *call);
