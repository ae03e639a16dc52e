/* What a client listens to.
 *
 * Happy path: SUBSCRIBE -> every filter is on the identity's list -> session stored -> SUBACK -> what
 * waited for it is sent. Fails when: a filter is not on the list (the connection ends, or the filter
 * alone is refused, as the rule says), or the session cannot be stored. */
#include "tests/sim/hubsim/client_impl.h"

#include "tests/sim/hubsim/mqtt_server.h"
#include "tests/sim/hubsim/topics.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static size_t find_filter(const struct client *client, struct mqtt_text filter)
{
    size_t i = 0;

    while (i < client->session.count && !topics_equal(filter, client->session.filters[i].filter))
        i++;
    return i;
}

int client_qos(const struct client *client, const char *filter)
{
    const struct mqtt_text text = { filter, strlen(filter) };
    size_t i = find_filter(client, text);

    return i < client->session.count ? client->session.filters[i].qos : -1;
}

bool client_has_subscribed(const struct client *client, const char *filter)
{
    return client_qos(client, filter) >= 0;
}

/* Clients subscribe to the same again whenever they connect: what is stored already is not written. */
static int save_session(struct client *client, bool changed)
{
    const struct hub_client *who = &client->as_client;

    return client->clean_session || !changed
               ? 0
               : hub_put_session(client->hub, who->device_id, who->module_id, &client->session);
}

/* Adds the filter or sets its new quality of service; whether that changes something. The allow list is
 * not longer than the session. */
static bool add_filter(struct client *client, struct mqtt_text filter, uint8_t qos)
{
    size_t i = find_filter(client, filter);

    assert(i < REGISTRY_FILTERS_MAX);
    if (i < client->session.count && client->session.filters[i].qos == qos)
        return false;
    snprintf(client->session.filters[i].filter, sizeof client->session.filters[i].filter, "%.*s",
             (int)filter.length, filter.text);
    client->session.filters[i].qos = qos;
    if (i == client->session.count)
        client->session.count++;
    return true;
}

/* Takes all filters over; the codes that answer them go to `codes`. False: one is not allowed, and the
 * connection ends for it (point 8 of section 14). `*changed`: the session is another one now. */
static bool take_filters(struct client *client, struct mqtt_server_filters *filters,
                         struct buf *codes, bool *changed)
{
    struct mqtt_text filter;
    uint8_t qos;

    while (mqtt_server_next_filter(filters, &filter, &qos)) {
        if (!topics_may_subscribe(filter, client->as_client.device_id,
                                  client->as_client.module_id)) {
            if (hub_rules(client->hub)->forbidden_filter == HUB_FORBIDDEN_CLOSE)
                return false;
            buf_add_byte(codes, 0x80);
            continue;
        }
        qos = qos > 1 ? 1 : qos;
        *changed |= add_filter(client, filter, qos);
        buf_add_byte(codes, qos);
    }
    return true;
}

void client_on_subscribe(struct client *client, const struct mqtt_packet *packet)
{
    struct mqtt_server_filters filters;
    struct buf codes, suback;
    bool changed = false;
    uint16_t packet_id;

    if (mqtt_server_parse_filters(packet, &packet_id, &filters) != 0) {
        client_fail(client, "its SUBSCRIBE is malformed");
        return;
    }
    buf_init(&codes, MQTT_PACKET_MAX);
    buf_init(&suback, MQTT_PACKET_MAX);
    if (!take_filters(client, &filters, &codes, &changed)) {
        client_fail(client, "it subscribes to a topic that the hub does not have for it");
    } else if (codes.error != 0 || save_session(client, changed) != 0) {
        client_fail(client, "its session cannot be stored");
    } else {
        faults_count(client->plan, FAULTS_SUBSCRIBED);
        mqtt_server_write_suback(&suback, packet_id, codes.bytes, codes.length);
        client_say(client, FAULTS_SUBACK, &suback);
        client_ready(client);
    }
    buf_done(&suback);
    buf_done(&codes);
}

void client_on_unsubscribe(struct client *client, const struct mqtt_packet *packet)
{
    struct mqtt_server_filters filters;
    struct mqtt_text filter;
    bool changed = false;
    uint16_t packet_id;
    uint8_t qos;

    if (mqtt_server_parse_filters(packet, &packet_id, &filters) != 0) {
        client_fail(client, "its UNSUBSCRIBE is malformed");
        return;
    }
    while (mqtt_server_next_filter(&filters, &filter, &qos)) {
        size_t i = find_filter(client, filter);

        if (i == client->session.count)
            continue;
        client->session.filters[i] = client->session.filters[--client->session.count];
        changed = true;
    }
    if (save_session(client, changed) != 0)
        client_fail(client, "its session cannot be stored");
    else
        mqtt_server_write_unsuback(&client->output, packet_id);
}
