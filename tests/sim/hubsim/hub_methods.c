/* Direct methods: from a call of the back end to the client's answer (reference: iot-hub.md section
 * 5.3).
 *
 *     waiting --a client takes calls--> asked --answer--> done 0
 *        \--connect time-out--> done -ENOTCONN  \--response time-out--> done -ETIMEDOUT
 *
 * Both time-outs are deadlines that hub_tick looks at; a call that nobody can take now and that does
 * not want to wait is one whose deadline is now. A client that goes away before it answered leaves the
 * call as it is: it may come back and answer, or the time-out tells. */
#include "tests/sim/hubsim/hub_impl.h"

#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 512 };

struct hub_call {
    struct hub_call *next;
    hub_method_done *done;
    void *data;
    uint32_t rid;
    bool asked;
    uint64_t ends_at;
    uint32_t response_timeout_s;
    size_t payload_length;
    char device_id[AUTH_ID_MAX];
    char module_id[AUTH_ID_MAX];
    char texts[]; /* name, NUL, payload */
};

static void wake(const struct hub *hub)
{
    if (hub->wake != NULL)
        hub->wake(hub->wake_data);
}

/* The call is out of the list when `done` runs, which may change the list. */
static struct hub_call *unlink_call(struct hub *hub, struct hub_call **link)
{
    struct hub_call *call = *link;

    *link = call->next;
    hub->call_count--;
    return call;
}

static void end_call(struct hub *hub, struct hub_call **link, int rc)
{
    struct hub_call *call = unlink_call(hub, link);
    hub_method_done *done = call->done;
    void *data = call->data;

    free(call);
    done(data, rc, 0, "", 0);
}

/* ---- calling ---- */

/* The name becomes a part of a topic. */
static bool is_name(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > NAME_MAX_BYTES || !mqtt_utf8_valid(name, length))
        return false;
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    }
    return strpbrk(name, "/+#") == NULL;
}

static int check(const struct hub *hub, const struct hub_method *method)
{
    struct identity identity;

    if (hub->closing)
        return -ECANCELED;
    if (!is_name(method->name))
        return -EINVAL;
    if (method->payload_length > HUB_METHOD_MAX)
        return -EFBIG;
    if (hub->call_count >= HUB_CALLS_MAX)
        return -EMFILE;
    return registry_get_identity(hub->registry, method->device_id, method->module_id, &identity);
}

static struct hub_call *new_call(const struct hub_method *method)
{
    size_t name_size = strlen(method->name) + 1;
    struct hub_call *call = calloc(1, sizeof *call + name_size + method->payload_length);

    if (call == NULL)
        return NULL;
    snprintf(call->device_id, sizeof call->device_id, "%s", method->device_id);
    snprintf(call->module_id, sizeof call->module_id, "%s", method->module_id);
    memcpy(call->texts, method->name, name_size);
    if (method->payload_length > 0)
        memcpy(call->texts + name_size, method->payload, method->payload_length);
    call->payload_length = method->payload_length;
    call->response_timeout_s = method->response_timeout_s;
    return call;
}

/* Hands the call to the client, if it takes calls. */
static void ask(struct hub *hub, struct hub_call *call, struct hub_client *client)
{
    const struct hub_method method = {
        .device_id = call->device_id,
        .module_id = call->module_id,
        .name = call->texts,
        .payload = call->texts + strlen(call->texts) + 1,
        .payload_length = call->payload_length,
    };
    char rid[16];

    snprintf(rid, sizeof rid, "%x", (unsigned)call->rid);
    call->asked = true; /* before, so that nobody whom the client tells asks once more */
    if (client->call == NULL || !client->call(client, rid, &method)) {
        call->asked = false;
        return;
    }
    call->ends_at = env_now_ms(hub_env(hub)) + call->response_timeout_s * UINT64_C(1000);
}

int hub_call_method(struct hub *hub, const struct hub_method *method, hub_method_done *done,
                    void *data, struct hub_call **out)
{
    struct hub_call *call, **end = &hub->calls;
    struct hub_client *client;
    int rc = check(hub, method);

    if (rc != 0)
        return rc;
    call = new_call(method);
    if (call == NULL)
        return -ENOMEM;
    call->done = done;
    call->data = data;
    call->rid = ++hub->last_rid;
    call->ends_at = env_now_ms(hub_env(hub)) + method->connect_timeout_s * UINT64_C(1000);
    while (*end != NULL)
        end = &(*end)->next;
    *end = call;
    hub->call_count++;
    if (out != NULL)
        *out = call;
    client = hub_find_client(hub, call->device_id, call->module_id);
    if (client != NULL)
        ask(hub, call, client);
    wake(hub);
    return 0;
}

void hub_forget_call(struct hub *hub, struct hub_call *call)
{
    struct hub_call **link = &hub->calls;

    while (*link != NULL && *link != call)
        link = &(*link)->next;
    if (*link != NULL)
        free(unlink_call(hub, link));
}

static bool is_for(const struct hub_call *call, const struct hub_client *client)
{
    return strcmp(call->device_id, client->device_id) == 0 &&
           strcmp(call->module_id, client->module_id) == 0;
}

void hub_takes_calls(struct hub *hub, struct hub_client *client)
{
    bool moved = false;

    for (struct hub_call *call = hub->calls; call != NULL; call = call->next) {
        if (call->asked || !is_for(call, client))
            continue;
        ask(hub, call, client);
        moved = true;
    }
    if (moved)
        wake(hub);
}

/* ---- ending ---- */

/* 0 for JSON and for nothing, -EBADMSG, -ENOMEM. */
static int check_json(const void *payload, size_t length)
{
    cJSON *tree = NULL;
    int rc = length > 0 ? json_parse(&tree, payload, length) : 0;

    cJSON_Delete(tree);
    return rc == -ERANGE ? 0 : rc; /* the range of twins does not bind methods */
}

static struct hub_call **find_asked(struct hub *hub, const struct hub_client *client,
                                    struct mqtt_text rid)
{
    struct hub_call **link;
    char wanted[16];

    for (link = &hub->calls; *link != NULL; link = &(*link)->next) {
        size_t length = (size_t)snprintf(wanted, sizeof wanted, "%x", (unsigned)(*link)->rid);

        if ((*link)->asked && is_for(*link, client) && rid.length == length &&
            memcmp(rid.text, wanted, length) == 0)
            break;
    }
    return link;
}

void hub_answer_call(struct hub *hub, const struct hub_client *client, struct mqtt_text rid,
                     int status, const void *payload, size_t length)
{
    struct hub_call **link = find_asked(hub, client, rid);
    struct hub_call *call;
    int rc;

    if (*link == NULL)
        return;
    rc = check_json(payload, length);
    if (rc != 0) {
        end_call(hub, link, rc);
        return;
    }
    call = unlink_call(hub, link);
    call->done(call->data, 0, status, payload, length);
    free(call);
}

/* The oldest call that is over and not newer than `last`. */
static struct hub_call **find_over(struct hub *hub, uint64_t now_ms, uint32_t last)
{
    struct hub_call **link = &hub->calls;

    while (*link != NULL && ((*link)->ends_at > now_ms || (*link)->rid > last))
        link = &(*link)->next;
    return link;
}

uint64_t hub_tick(struct hub *hub, uint64_t now_ms)
{
    const uint32_t last = hub->last_rid; /* what `done` calls anew waits for the next tick */
    struct hub_call **link;
    uint64_t next = 0;

    while (link = find_over(hub, now_ms, last), *link != NULL)
        end_call(hub, link, (*link)->asked ? -ETIMEDOUT : -ENOTCONN);
    for (const struct hub_call *call = hub->calls; call != NULL; call = call->next) {
        if (next == 0 || call->ends_at < next)
            next = call->ends_at;
    }
    return next;
}

void hub_on_wake(struct hub *hub, void (*told)(void *data), void *data)
{
    hub->wake = told;
    hub->wake_data = data;
}

static bool is_below(const struct hub_call *call, const char *device_id, const char *module_id)
{
    return device_id == NULL || (strcmp(call->device_id, device_id) == 0 &&
                                 (module_id[0] == 0 || strcmp(call->module_id, module_id) == 0));
}

/* The oldest such call that is not newer than `last`. */
static struct hub_call **find_below(struct hub *hub, const char *device_id, const char *module_id,
                                    uint32_t last)
{
    struct hub_call **link = &hub->calls;

    while (*link != NULL && ((*link)->rid > last || !is_below(*link, device_id, module_id)))
        link = &(*link)->next;
    return link;
}

void hub_end_calls(struct hub *hub, const char *device_id, const char *module_id, int rc)
{
    const uint32_t last = hub->last_rid; /* what `done` calls anew is another matter */
    struct hub_call **link;

    while (link = find_below(hub, device_id, module_id, last), *link != NULL)
        end_call(hub, link, rc);
}
