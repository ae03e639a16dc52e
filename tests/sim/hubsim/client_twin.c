/* Twin gets and reported patches of a client, and their answers.
 *
 * Happy path: get or reported patch -> hub.h -> the answer on $iothub/twin/res.
 * Fails when: the twin refuses the patch (a 4xx answer), or a fault wants another answer than the true
 * one, or none. */
#include "tests/sim/hubsim/client_impl.h"

#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/topics.h"

#include <errno.h>
#include <stdio.h>

/* ---- answers ---- */

/* Answers on $iothub/twin/res/STATUS/?$rid=RID[&$version=N], if the client listens there (rule 13).
 */
static void respond(struct client *client, int status, struct mqtt_text rid, int64_t version,
                    const struct buf *body)
{
    struct buf topic, packet;

    if (!client_has_subscribed(client, TOPICS_RESPONSES))
        return;
    if (faults_lose(client->plan)) {
        faults_count(client->plan, FAULTS_LOST);
        return;
    }
    buf_init(&topic, 1024);
    buf_init(&packet, CLIENT_OUTPUT_MAX);
    buf_printf(&topic, "$iothub/twin/res/%d/?$rid=%.*s", status, (int)rid.length, rid.text);
    if (version >= 0)
        buf_printf(&topic, "&$version=%lld", (long long)version);
    if (topic.error != 0) {
        client_fail(client, "its request id is too long");
    } else {
        mqtt_write_publish(&packet, buf_text(&topic), 0, 0, body->bytes, body->length);
        client_say(client, FAULTS_ANSWERS, &packet);
    }
    buf_done(&packet);
    buf_done(&topic);
}

/* The body of an error is that of section 7.6. */
static void respond_status(struct client *client, struct mqtt_text rid, int status, int code,
                           const char *why)
{
    const struct env *env = hub_env(client->hub);
    char stamp[STAMP_MAX];
    struct buf body;

    stamp_print(env_wall_ms(env), stamp);
    buf_init(&body, 4096);
    buf_printf(
        &body,
        "{\"errorCode\":%d,\"trackingId\":\"%08x%08x%08x%08x-G:0-TimeStamp:%s\",\"message\":", code,
        (unsigned)env_random_u32(env), (unsigned)env_random_u32(env), (unsigned)env_random_u32(env),
        (unsigned)env_random_u32(env), stamp);
    json_print_text(&body, why);
    buf_printf(&body, ",\"timestampUtc\":\"%s\"}", stamp);
    respond(client, status, rid, -1, &body);
    buf_done(&body);
}

/* The status and the error code for what became of a twin request. */
static void respond_error(struct client *client, struct mqtt_text rid, int rc, const char *why)
{
    if (rc == -EFBIG && hub_rules(client->hub)->mqtt_oversize_status == 413)
        respond_status(client, rid, 413, 413001, why);
    else if (rc == -EINVAL || rc == -EFBIG || rc == -EBADMSG || rc == -ERANGE)
        respond_status(client, rid, 400, 400004, why);
    else if (rc == -ESTALE)
        respond_status(client, rid, 412, 412001, why);
    else if (rc == -ENOENT)
        respond_status(client, rid, 404, client->as_client.module_id[0] != 0 ? 404010 : 404001,
                       why);
    else
        respond_status(client, rid, 500, 500001, why);
}

/* Whether a fault has answered in place of the twin. */
static bool answered_by_fault(struct client *client, struct mqtt_text rid,
                              enum faults_request request)
{
    int status;

    faults_count(client->plan, request == FAULTS_GET ? FAULTS_GETS : FAULTS_PATCHES);
    status = faults_status(client->plan, request);
    if (status != 0)
        respond_status(client, rid, status, status * 1000 + 1, "a fault wants it");
    return status != 0;
}

static void get(struct client *client, struct mqtt_text rid)
{
    struct buf body;
    struct twin twin;
    int rc = hub_get_twin(client->hub, client->as_client.device_id, client->as_client.module_id,
                          &twin);

    if (rc != 0) {
        respond_error(client, rid, rc, "the twin cannot be read");
        return;
    }
    buf_init(&body, CLIENT_OUTPUT_MAX);
    twin_print_for_module(&body, &twin);
    if (body.error == 0)
        respond(client, 200, rid, -1, &body);
    else
        respond_error(client, rid, body.error, "the twin cannot be printed");
    buf_done(&body);
    twin_done(&twin);
}

static void report(struct client *client, const struct topics_request *request,
                   const struct mqtt_publish *publish)
{
    const struct buf nothing = { 0 };
    struct err err = { "the reported properties are not JSON that a twin can hold" };
    cJSON *patch = NULL;
    int64_t version;
    int rc = request->base_is_a_number ? 0 : -EINVAL;

    if (rc == 0 && publish->payload_length > CLIENT_PATCH_MAX)
        rc = -EFBIG;
    if (rc == 0)
        rc = json_parse(&patch, (const char *)publish->payload, publish->payload_length);
    if (rc == 0)
        rc = hub_report(client->hub, client->as_client.device_id, client->as_client.module_id,
                        patch, request->base, &version, &err);
    cJSON_Delete(patch);
    if (rc == 0)
        respond(client, 204, request->rid, version, &nothing);
    else
        respond_error(client, request->rid, rc, err.msg);
}

void client_on_get(struct client *client, struct mqtt_text rid)
{
    if (!answered_by_fault(client, rid, FAULTS_GET))
        get(client, rid);
}

void client_on_reported(struct client *client, const struct topics_request *request,
                        const struct mqtt_publish *publish)
{
    if (!answered_by_fault(client, request->rid, FAULTS_PATCH))
        report(client, request, publish);
}
