/* The state as JSON.
 *
 * Happy path: identity by identity, each printed and let go, so that a large state needs no memory.
 * Fails when: the state cannot be read, or the output is closed or full. */
#include "tests/sim/hubsim/dump.h"

#include "tests/sim/hubsim/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

struct dump {
    struct registry *registry;
    FILE *out;
    struct buf buf; /* of the identity at hand */
    bool keys;
    bool first;
    int rc;
};

static int flush(struct dump *dump)
{
    int rc = dump->buf.error;

    if (rc == 0 && fwrite(buf_text(&dump->buf), 1, dump->buf.length, dump->out) != dump->buf.length)
        rc = -EIO;
    buf_clear(&dump->buf);
    return rc;
}

/* ---- one identity ---- */

static int print_twin(struct dump *dump, const struct identity *identity)
{
    char etag[TWIN_ETAG_MAX];
    struct twin twin;
    int rc = registry_get_twin(dump->registry, identity->device_id, identity->module_id, &twin);

    if (rc != 0)
        return rc;
    twin_etag(&twin, etag);
    buf_printf(&dump->buf, ",\"twin\":{\"etag\":\"%s\",", etag);
    twin_print(&dump->buf, &twin);
    buf_add_byte(&dump->buf, '}');
    twin_done(&twin);
    return 0;
}

static int print_session(struct dump *dump, const struct identity *identity)
{
    struct registry_session session;
    int rc = registry_get_session(dump->registry, identity->device_id, identity->module_id,
                                  &session);

    buf_add_text(&dump->buf, ",\"session\":");
    if (rc != 0) {
        buf_add_text(&dump->buf, "null");
        return rc == -ENOENT ? 0 : rc;
    }
    buf_add_byte(&dump->buf, '[');
    for (size_t i = 0; i < session.count; i++) {
        buf_add_text(&dump->buf, i > 0 ? ",{\"filter\":" : "{\"filter\":");
        json_print_text(&dump->buf, session.filters[i].filter);
        buf_printf(&dump->buf, ",\"qos\":%d}", session.filters[i].qos);
    }
    buf_add_byte(&dump->buf, ']');
    return 0;
}

static bool print_message(void *data, const struct registry_message *message)
{
    struct dump *dump = data;
    struct buf *buf = &dump->buf;
    char enqueued[STAMP_MAX], expiry[STAMP_MAX];
    uint8_t *room;

    stamp_print(message->enqueued_ms, enqueued);
    stamp_print(message->expiry_ms, expiry);
    if (buf->length > 0 && buf->bytes[buf->length - 1] == '}')
        buf_add_byte(buf, ',');
    buf_printf(buf,
               "{\"sequence\":%lld,\"enqueuedTime\":\"%s\",\"expiryTime\":%s%s%s,"
               "\"deliveries\":%d,\"properties\":",
               (long long)message->sequence, enqueued, message->expiry_ms != 0 ? "\"" : "",
               message->expiry_ms != 0 ? expiry : "null", message->expiry_ms != 0 ? "\"" : "",
               message->deliveries);
    json_print_text(buf, message->bag);
    buf_add_text(buf, ",\"bodyBase64\":\"");
    room = buf_reserve(buf, (message->body_length + 2) / 3 * 4 + 1);
    if (room != NULL)
        buf_commit(buf, (size_t)EVP_EncodeBlock(room, message->body, (int)message->body_length));
    buf_add_text(buf, "\"}");
    return buf->error == 0;
}

static int print_queue(struct dump *dump, const struct identity *identity)
{
    int rc;

    if (identity->module_id[0] != 0)
        return 0;
    buf_add_text(&dump->buf, ",\"queue\":[");
    rc = registry_each_message(dump->registry, identity->device_id, 0, print_message, dump);
    buf_add_byte(&dump->buf, ']');
    return rc;
}

static bool print_identity(void *data, const struct identity *identity)
{
    struct identity_state state = { .connected = false };
    struct dump *dump = data;
    struct identity shown = *identity;

    if (!dump->keys)
        shown.primary_key[0] = shown.secondary_key[0] = 0;
    buf_add_text(&dump->buf, dump->first ? "\n" : ",\n");
    dump->first = false;
    dump->rc = registry_count_messages(dump->registry, identity->device_id, &state.queued);
    if (identity->module_id[0] != 0)
        state.queued = 0;
    buf_add_text(&dump->buf, "{\"identity\":");
    identity_print(&dump->buf, &shown, &state);
    if (dump->rc == 0)
        dump->rc = print_twin(dump, identity);
    if (dump->rc == 0)
        dump->rc = print_session(dump, identity);
    if (dump->rc == 0)
        dump->rc = print_queue(dump, identity);
    buf_add_byte(&dump->buf, '}');
    if (dump->rc == 0)
        dump->rc = flush(dump);
    return dump->rc == 0;
}

/* ---- the whole ---- */

static int print_list(struct dump *dump, const char *name, enum registry_kind kind)
{
    int rc;

    dump->first = true;
    buf_printf(&dump->buf, "\"%s\":[", name);
    rc = registry_each(dump->registry, kind, "", "", print_identity, dump);
    if (rc == 0)
        rc = dump->rc;
    buf_add_text(&dump->buf, "],\n");
    return rc == 0 ? flush(dump) : rc;
}

static int print_key(struct dump *dump, const char *policy, const char *which)
{
    char name[64], *text = NULL;
    int rc;

    snprintf(name, sizeof name, "policy/%s/%s", policy, which);
    rc = registry_get_text(dump->registry, name, &text);
    if (rc != 0 && rc != -ENOENT)
        return rc;
    buf_printf(&dump->buf, ",\"%sKey\":", which);
    json_print_text(&dump->buf, rc != 0 || !dump->keys ? "" : text);
    free(text);
    return 0;
}

static int print_policies(struct dump *dump)
{
    int rc = 0;

    buf_add_text(&dump->buf, "\"policies\":[");
    for (size_t i = 0; i < AUTH_POLICY_COUNT && rc == 0; i++) {
        buf_printf(&dump->buf, "%s\n{\"name\":\"%s\"", i > 0 ? "," : "", auth_policies[i].name);
        rc = print_key(dump, auth_policies[i].name, "primary");
        if (rc == 0)
            rc = print_key(dump, auth_policies[i].name, "secondary");
        buf_add_byte(&dump->buf, '}');
    }
    buf_add_text(&dump->buf, "]}\n");
    return rc == 0 ? flush(dump) : rc;
}

int dump_print(struct registry *registry, bool keys, FILE *out)
{
    struct dump dump = { .registry = registry, .out = out, .keys = keys };
    int rc;

    buf_init(&dump.buf, SIZE_MAX / 4); /* what was measured when it was accepted */
    buf_add_byte(&dump.buf, '{');
    rc = print_list(&dump, "devices", REGISTRY_DEVICES);
    if (rc == 0)
        rc = print_list(&dump, "modules", REGISTRY_MODULES);
    if (rc == 0)
        rc = print_policies(&dump);
    if (rc == 0 && fflush(out) != 0)
        rc = -EIO;
    buf_done(&dump.buf);
    return rc;
}
