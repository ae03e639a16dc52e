/* What leaves a client: when, and cut into which frames. Without faults everything leaves at once, as
 * much in a frame as fits.
 *
 * Happy path of a fault: a packet is kept back (client_late) and released by the tick; output is
 * gathered for a while, or cut into pieces; a half-open client keeps everything for ever. Fails when:
 * memory is out or too much is kept back; the client is cut then. */
#include "tests/sim/hubsim/client_impl.h"

#include <stdlib.h>
#include <string.h>

enum { LATE_MAX = 256 }; /* packets of one client that are kept back */

struct client_late {
    struct client_late *next;
    uint64_t due_at;
    bool greets; /* CONNACK */
    size_t length;
    uint8_t bytes[];
};

/* ---- keeping back ---- */

static bool keep_back(struct client *client, const struct buf *packet, uint64_t due_at, bool greets)
{
    struct client_late *late, **end = &client->late;

    if (client->late_count == LATE_MAX ||
        client->late_bytes + client->output.length + packet->length > CLIENT_OUTPUT_MAX)
        return false;
    late = malloc(sizeof *late + packet->length);
    if (late == NULL)
        return false;
    late->next = NULL;
    late->due_at = due_at;
    late->greets = greets;
    late->length = packet->length;
    memcpy(late->bytes, packet->bytes, packet->length);
    while (*end != NULL)
        end = &(*end)->next;
    *end = late;
    client->late_count++;
    client->late_bytes += packet->length;
    return true;
}

void client_say(struct client *client, enum faults_step step, const struct buf *packet)
{
    uint32_t delay_ms = faults_delay_ms(client->plan, step);

    if (packet->error != 0 || packet->length == 0) {
        client_cut(client, "out of memory");
    } else if (delay_ms == 0) {
        buf_add(&client->output, packet->bytes, packet->length);
        client->greeted |= step == FAULTS_CONNACK;
    } else if (!keep_back(client, packet, client_now(client) + delay_ms, step == FAULTS_CONNACK)) {
        client_cut(client, "too much is kept back");
    }
}

uint64_t client_release(struct client *client, uint64_t now_ms)
{
    struct client_late **link = &client->late;
    uint64_t next = UINT64_MAX;

    while (*link != NULL) {
        struct client_late *late = *link;

        if (late->due_at > now_ms) {
            next = late->due_at < next ? late->due_at : next;
            link = &late->next;
            continue;
        }
        buf_add(&client->output, late->bytes, late->length);
        client->greeted |= late->greets;
        *link = late->next;
        client->late_count--;
        client->late_bytes -= late->length;
        free(late);
    }
    return next;
}

void client_forget_late(struct client *client)
{
    while (client->late != NULL) {
        struct client_late *late = client->late;

        client->late = late->next;
        free(late);
    }
    client->late_count = 0;
    client->late_bytes = 0;
}

/* ---- frames ---- */

bool client_may_send(struct client *client, uint64_t now_ms)
{
    uint32_t merge_ms = faults_merge_ms(client->plan);

    if (client->half_open || client->output.length == 0)
        return false;
    if (merge_ms == 0 || client->state == CLIENT_OVER)
        return true;
    if (client->leaves_at == 0)
        client->leaves_at = now_ms + merge_ms;
    return now_ms >= client->leaves_at;
}

size_t client_take_frame(struct client *client, uint64_t now_ms, uint8_t *out, size_t max,
                         bool *text)
{
    size_t length = client->output.length < max ? client->output.length : max;

    if (!client_may_send(client, now_ms))
        return 0;
    length = faults_frame(client->plan, env_random_u32(hub_env(client->hub)), length);
    memcpy(out, client->output.bytes, length);
    buf_consume(&client->output, length);
    if (client->output.length == 0)
        client->leaves_at = 0;
    if (client->more_messages) /* there may be room now */
        client_push_messages(client);
    *text = faults_text_frame(client->plan);
    return length;
}
