/* Twins over REST: get, update, replace.
 *
 * Happy path: If-Match, body -> hub.h -> the whole new document. Fails when: hub.h says no
 * (rest_error.c). */
#include "tests/sim/hubsim/rest_impl.h"

#include <errno.h>

int rest_print_twin(const struct hub *hub, const struct identity *identity, struct buf *out)
{
    struct identity_state state = {
        .connected = hub_connected(hub, identity->device_id, identity->module_id),
    };
    char etag[TWIN_ETAG_MAX];
    struct twin twin;
    int rc = hub_get_twin(hub, identity->device_id, identity->module_id, &twin);

    if (rc != 0)
        return rc;
    if (identity->module_id[0] == 0)
        hub_count_messages(hub, identity->device_id, &state.queued); /* 0 where it fails */
    twin_etag(&twin, etag);
    buf_add_byte(out, '{');
    identity_print_for_twin(out, identity, &state, etag);
    twin_print(out, &twin);
    buf_add_byte(out, '}');
    twin_done(&twin);
    return 0;
}

void rest_get_twin(const struct rest_call *call)
{
    struct identity identity;
    int rc = hub_get_identity(call->hub, call->device_id, call->module_id, &identity);

    if (rc == 0)
        rc = rest_print_twin(call->hub, &identity, &call->response->body);
    if (rc != 0)
        rest_refuse(call, rc, "");
}

/* A twin that is too large has the status that the operator chose (section 14, point 5). */
static void refuse_write(const struct rest_call *call, int rc, const char *why)
{
    int status = hub_rules(call->hub)->rest_oversize_status;

    if (rc == -EFBIG && status == 400)
        rest_fail(call->hub, call->response, status, "ArgumentInvalid", why);
    else
        rest_refuse(call, rc, why);
}

static void write_twin(const struct rest_call *call, enum hub_write write)
{
    struct err err = { "" };
    cJSON *body = NULL;
    int rc = rest_parse_body(call, &body);

    if (rc == 0)
        rc = hub_write_twin(call->hub, call->device_id, call->module_id, write, body,
                            call->if_match, &err);
    cJSON_Delete(body);
    if (rc == 0)
        rest_get_twin(call);
    else
        refuse_write(call, rc, err.msg);
}

void rest_patch_twin(const struct rest_call *call)
{
    write_twin(call, HUB_PATCH);
}

void rest_replace_twin(const struct rest_call *call)
{
    write_twin(call, HUB_REPLACE);
}
