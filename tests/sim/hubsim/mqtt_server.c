/* MQTT packets of the server's side.
 *
 * Happy path: a cursor walks over the body; each field moves it. A body is right only if the last
 * field ends where the body ends. Fails when: a field reaches beyond the body, a flag is set that
 * may not be, a text is not UTF-8. */
#include "tests/sim/hubsim/mqtt_server.h"

#include <errno.h>
#include <string.h>

enum { /* 3.1.2.3: connect flags */
       FLAG_RESERVED = 0x01,
       FLAG_CLEAN_SESSION = 0x02,
       FLAG_WILL = 0x04,
       FLAG_WILL_QOS = 0x18,
       FLAG_WILL_RETAIN = 0x20,
       FLAG_PASSWORD = 0x40,
       FLAG_USERNAME = 0x80,
};

struct cursor {
    const uint8_t *bytes;
    size_t length;
};

static int take_byte(struct cursor *cursor, uint8_t *out)
{
    if (cursor->length < 1)
        return -EBADMSG;
    *out = cursor->bytes[0];
    cursor->bytes++;
    cursor->length--;
    return 0;
}

static int take_number(struct cursor *cursor, uint16_t *out)
{
    if (cursor->length < 2)
        return -EBADMSG;
    *out = (uint16_t)(cursor->bytes[0] << 8 | cursor->bytes[1]);
    cursor->bytes += 2;
    cursor->length -= 2;
    return 0;
}

/* A field with its length in front; bytes of any kind. */
static int take_field(struct cursor *cursor, struct mqtt_text *out)
{
    struct cursor rest = *cursor;
    uint16_t length;

    if (take_number(&rest, &length) != 0 || rest.length < length)
        return -EBADMSG;
    *out = (struct mqtt_text){ (const char *)rest.bytes, length };
    cursor->bytes = rest.bytes + length;
    cursor->length = rest.length - length;
    return 0;
}

static int take_text(struct cursor *cursor, struct mqtt_text *out)
{
    struct mqtt_text text;

    if (take_field(cursor, &text) != 0 || !mqtt_utf8_valid(text.text, text.length))
        return -EBADMSG;
    *out = text;
    return 0;
}

/* ---- reading ---- */

/* 3.1.2.3 to 3.1.2.9: what the flags may say together. */
static bool flags_fit(uint8_t flags)
{
    bool will = (flags & FLAG_WILL) != 0;

    if ((flags & FLAG_RESERVED) != 0 || (flags & FLAG_WILL_QOS) == FLAG_WILL_QOS)
        return false;
    if (!will && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) != 0)
        return false;
    return (flags & FLAG_USERNAME) != 0 || (flags & FLAG_PASSWORD) == 0;
}

static int take_payload(struct cursor *cursor, uint8_t flags, struct mqtt_server_connect *out)
{
    int rc = take_text(cursor, &out->client_id);

    if (rc == 0 && out->has_will) {
        rc = take_text(cursor, &out->will_topic);
        if (rc == 0)
            rc = take_field(cursor, &out->will_payload);
    }
    if (rc == 0 && (flags & FLAG_USERNAME) != 0)
        rc = take_text(cursor, &out->username);
    if (rc == 0 && (flags & FLAG_PASSWORD) != 0)
        rc = take_field(cursor, &out->password);
    return rc == 0 && cursor->length != 0 ? -EBADMSG : rc;
}

int mqtt_server_parse_connect(const struct mqtt_packet *packet, struct mqtt_server_connect *out)
{
    struct cursor cursor = { packet->body, packet->length };
    struct mqtt_server_connect connect = { .client_id = { "", 0 },
                                           .username = { "", 0 },
                                           .password = { "", 0 },
                                           .will_topic = { "", 0 },
                                           .will_payload = { "", 0 } };
    struct mqtt_text name;
    uint8_t level, flags;

    if (take_text(&cursor, &name) != 0 || take_byte(&cursor, &level) != 0)
        return -EBADMSG;
    if (name.length != 4 || memcmp(name.text, "MQTT", 4) != 0 || level != 4)
        return -EPROTONOSUPPORT;
    if (take_byte(&cursor, &flags) != 0 || !flags_fit(flags) ||
        take_number(&cursor, &connect.keepalive_s) != 0)
        return -EBADMSG;
    connect.clean_session = (flags & FLAG_CLEAN_SESSION) != 0;
    connect.has_will = (flags & FLAG_WILL) != 0;
    connect.will_retain = (flags & FLAG_WILL_RETAIN) != 0;
    connect.will_qos = (uint8_t)((flags & FLAG_WILL_QOS) >> 3);
    if (take_payload(&cursor, flags, &connect) != 0)
        return -EBADMSG;
    *out = connect;
    return 0;
}

static int take_filter(struct cursor *cursor, bool with_qos, struct mqtt_text *filter, uint8_t *qos)
{
    uint8_t requested = 0;
    int rc = take_text(cursor, filter);

    if (rc == 0 && filter->length == 0) /* 4.7.3 */
        rc = -EBADMSG;
    if (rc == 0 && with_qos)
        rc = take_byte(cursor, &requested);
    if (rc != 0 || requested > 2)
        return -EBADMSG;
    *qos = requested;
    return 0;
}

int mqtt_server_parse_filters(const struct mqtt_packet *packet, uint16_t *packet_id,
                              struct mqtt_server_filters *out)
{
    struct cursor cursor = { packet->body, packet->length }, all;
    bool with_qos = packet->type == MQTT_SUBSCRIBE;
    struct mqtt_text filter;
    uint16_t id;
    uint8_t qos;

    if (take_number(&cursor, &id) != 0 || id == 0 || cursor.length == 0)
        return -EBADMSG;
    all = cursor;
    while (cursor.length > 0) {
        if (take_filter(&cursor, with_qos, &filter, &qos) != 0)
            return -EBADMSG;
    }
    *packet_id = id;
    *out = (struct mqtt_server_filters){ all.bytes, all.length, with_qos };
    return 0;
}

bool mqtt_server_next_filter(struct mqtt_server_filters *filters, struct mqtt_text *filter,
                             uint8_t *qos)
{
    struct cursor cursor = { filters->bytes, filters->length };

    if (cursor.length == 0 || take_filter(&cursor, filters->with_qos, filter, qos) != 0)
        return false;
    filters->bytes = cursor.bytes;
    filters->length = cursor.length;
    return true;
}

/* ---- writing ---- */

int mqtt_server_write_connack(struct buf *buf, bool session_present, enum mqtt_server_code code)
{
    const uint8_t body[2] = { session_present, (uint8_t)code };
    int rc = mqtt_write_header(buf, MQTT_CONNACK, 0, sizeof body);

    return rc == 0 ? buf_add(buf, body, sizeof body) : rc;
}

static int write_acknowledgement(struct buf *buf, enum mqtt_type type, uint16_t packet_id,
                                 const uint8_t *codes, size_t count)
{
    const uint8_t id[2] = { (uint8_t)(packet_id >> 8), (uint8_t)packet_id };
    int rc = mqtt_write_header(buf, type, 0, sizeof id + count);

    if (rc == 0)
        rc = buf_add(buf, id, sizeof id);
    return rc == 0 ? buf_add(buf, codes, count) : rc;
}

int mqtt_server_write_suback(struct buf *buf, uint16_t packet_id, const uint8_t *codes,
                             size_t count)
{
    return write_acknowledgement(buf, MQTT_SUBACK, packet_id, codes, count);
}

int mqtt_server_write_unsuback(struct buf *buf, uint16_t packet_id)
{
    return write_acknowledgement(buf, MQTT_UNSUBACK, packet_id, NULL, 0);
}

int mqtt_server_write_pingresp(struct buf *buf)
{
    return mqtt_write_header(buf, MQTT_PINGRESP, 0, 0);
}
