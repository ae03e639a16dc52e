/* MQTT 3.1.1 packets. Section numbers are those of the OASIS Standard of 29 October 2014.
 *
 * Happy path, reading: feed -> next, next, ... -EAGAIN -> feed. A packet is handed out as a view into
 * the buffer; `taken` moves behind it and the bytes are dropped at a later feed, so that thousands of
 * packets in one feed cost one move and not one each. What is wrong is seen at the earliest byte that
 * shows it: a packet that announces too much is refused before its body is there.
 * Fails when: the peer does not speak MQTT 3.1.1 (-EBADMSG), or too large (-ENOSPC). Both stick: there
 * is no way to find the next packet in a broken stream.
 *
 * Happy path, writing: sizes first, one reserve, then additions that cannot fail any more. */
#include "bridge/mqtt.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    TEXT_MAX = 65535,          /* 1.5.3: a length of two bytes */
    REMAINING_MAX = 268435455, /* 2.2.3: four bytes of seven bits */
    HEADER_MAX = 5,            /* 2.2: first byte and remaining length */
    KEEP_CAPACITY = 16 * 1024, /* memory that an empty reader keeps */
    ANY_LENGTH = -1,           /* of shapes[] */
    ANY_FLAGS = 0xff,          /* of shapes[] */
    CONNECT_PASSWORD = 0x40,   /* 3.1.2.3 */
    CONNECT_USERNAME = 0x80,
    CONNECT_CLEAN_SESSION = 0x02,
};

/* What section 2 and the first lines of 3.x demand of every packet of a type. */
struct shape {
    uint8_t flags; /* 2.2.2 */
    int8_t length; /* remaining length where the standard fixes it */
};

static const struct shape shapes[16] = {
    [MQTT_CONNECT] = { 0, ANY_LENGTH },
    [MQTT_CONNACK] = { 0, 2 },
    [MQTT_PUBLISH] = { ANY_FLAGS, ANY_LENGTH },
    [MQTT_PUBACK] = { 0, 2 },
    [MQTT_PUBREC] = { 0, 2 },
    [MQTT_PUBREL] = { 2, 2 },
    [MQTT_PUBCOMP] = { 0, 2 },
    [MQTT_SUBSCRIBE] = { 2, ANY_LENGTH },
    [MQTT_SUBACK] = { 0, ANY_LENGTH },
    [MQTT_UNSUBSCRIBE] = { 2, ANY_LENGTH },
    [MQTT_UNSUBACK] = { 0, 2 },
    [MQTT_PINGREQ] = { 0, 0 },
    [MQTT_PINGRESP] = { 0, 0 },
    [MQTT_DISCONNECT] = { 0, 0 },
};

/* ---- texts ---- */

/* Bytes of the UTF-8 character at `s`, 0 when it is none (Unicode 15, table 3-7: well-formed). */
static size_t character_length(const uint8_t *s, size_t left)
{
    uint8_t lowest = 0x80, highest = 0xbf;
    size_t length;

    if (s[0] < 0x80)
        return s[0] == 0 ? 0 : 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        length = 2;
    else if ((s[0] & 0xf0) == 0xe0)
        length = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (length > left)
        return 0;

    if (s[0] == 0xe0)
        lowest = 0xa0; /* shorter forms exist */
    else if (s[0] == 0xed)
        highest = 0x9f; /* surrogates */
    else if (s[0] == 0xf0)
        lowest = 0x90;
    else if (s[0] == 0xf4)
        highest = 0x8f; /* beyond U+10FFFF */
    if (s[1] < lowest || s[1] > highest)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

bool mqtt_utf8_valid(const void *text, size_t length)
{
    const uint8_t *s = text;

    for (size_t i = 0, step; i < length; i += step) {
        step = character_length(s + i, length - i);
        if (step == 0)
            return false;
    }
    return true;
}

/* ---- reading: packets ---- */

void mqtt_reader_init(struct mqtt_reader *reader, size_t max)
{
    *reader = (struct mqtt_reader){ .max = max };
    buf_init(&reader->buf, SIZE_MAX / 4); /* feed bounds it */
}

void mqtt_reader_done(struct mqtt_reader *reader)
{
    buf_done(&reader->buf);
}

void mqtt_reader_reset(struct mqtt_reader *reader)
{
    buf_done(&reader->buf);
    reader->taken = 0;
    reader->error = 0;
}

/* Drops what was handed out, at a price that is at most that of the bytes that came. */
static void drop_taken(struct mqtt_reader *reader)
{
    if (reader->taken == reader->buf.length) {
        if (reader->buf.capacity > KEEP_CAPACITY)
            buf_done(&reader->buf);
        else
            buf_clear(&reader->buf);
        reader->taken = 0;
    } else if (reader->taken >= reader->buf.length - reader->taken) {
        buf_consume(&reader->buf, reader->taken);
        reader->taken = 0;
    }
}

int mqtt_reader_feed(struct mqtt_reader *reader, const uint8_t *bytes, size_t length)
{
    if (reader->error != 0)
        return reader->error;
    drop_taken(reader);
    if (reader->buf.length - reader->taken > reader->max)
        reader->error = -ENOSPC;
    else
        reader->error = buf_add(&reader->buf, bytes, length);
    return reader->error;
}

/* 2.2.1, 2.2.2: type and flags. */
static bool first_byte_valid(uint8_t byte)
{
    uint8_t type = byte >> 4, flags = byte & 0x0f, qos = (flags >> 1) & 3;

    if (type < MQTT_CONNECT || type > MQTT_DISCONNECT)
        return false;
    if (type == MQTT_PUBLISH) /* 3.3.1.1, 3.3.1.2: no QoS 3, no duplicate of QoS 0 */
        return qos != 3 && !(qos == 0 && (flags & 8) != 0);
    return flags == shapes[type].flags;
}

/* 2.2.3: the remaining length behind the first byte. 0, -EAGAIN, -EBADMSG (a fifth byte). */
static int read_remaining(const uint8_t *bytes, size_t length, size_t *remaining, size_t *header)
{
    size_t value = 0;

    for (size_t i = 1; i < HEADER_MAX; i++) {
        if (i >= length)
            return -EAGAIN;
        value |= (size_t)(bytes[i] & 0x7f) << (7 * (i - 1));
        if ((bytes[i] & 0x80) == 0) {
            *remaining = value;
            *header = i + 1;
            return 0;
        }
    }
    return -EBADMSG;
}

static int cut_packet(struct mqtt_reader *reader, struct mqtt_packet *out)
{
    const uint8_t *bytes = reader->buf.bytes + reader->taken;
    size_t left = reader->buf.length - reader->taken;
    size_t remaining, header;
    uint8_t type;
    int rc;

    if (left == 0)
        return -EAGAIN;
    if (!first_byte_valid(bytes[0]))
        return -EBADMSG;
    rc = read_remaining(bytes, left, &remaining, &header);
    if (rc != 0)
        return rc;
    type = bytes[0] >> 4;
    if (shapes[type].length != ANY_LENGTH && remaining != (size_t)shapes[type].length)
        return -EBADMSG;
    if (remaining > reader->max || header + remaining > reader->max)
        return -ENOSPC;
    if (left < header + remaining)
        return -EAGAIN;

    out->type = (enum mqtt_type)type;
    out->flags = bytes[0] & 0x0f;
    out->body = bytes + header;
    out->length = remaining;
    reader->taken += header + remaining;
    return 0;
}

int mqtt_reader_next(struct mqtt_reader *reader, struct mqtt_packet *out)
{
    int rc;

    if (reader->error != 0)
        return reader->error;
    rc = cut_packet(reader, out);
    if (rc != 0 && rc != -EAGAIN)
        reader->error = rc;
    return rc;
}

/* ---- reading: bodies ---- */

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

int mqtt_parse_connack(const struct mqtt_packet *packet, bool *session_present, uint8_t *code)
{
    /* 3.2.2: one bit of flags, codes 0 to 5, no session with a refusal */
    if (packet->type != MQTT_CONNACK || packet->length != 2)
        return -EBADMSG;
    if (packet->body[0] > 1 || packet->body[1] > 5)
        return -EBADMSG;
    if (packet->body[0] == 1 && packet->body[1] != 0)
        return -EBADMSG;
    *session_present = packet->body[0] == 1;
    *code = packet->body[1];
    return 0;
}

/* 3.3.2.1, 4.7.3: at least one character, no wildcards. */
static bool topic_name_valid(const char *text, size_t length)
{
    return length > 0 && memchr(text, '#', length) == NULL && memchr(text, '+', length) == NULL &&
           mqtt_utf8_valid(text, length);
}

int mqtt_parse_publish(const struct mqtt_packet *packet, struct mqtt_publish *out)
{
    struct mqtt_publish publish = { .qos = (packet->flags >> 1) & 3,
                                    .retain = (packet->flags & 1) != 0,
                                    .duplicate = (packet->flags & 8) != 0 };
    size_t at = 2;

    if (packet->type != MQTT_PUBLISH || packet->length < at)
        return -EBADMSG;
    publish.topic.length = read_u16(packet->body);
    publish.topic.text = (const char *)packet->body + at;
    if (publish.topic.length > packet->length - at ||
        !topic_name_valid(publish.topic.text, publish.topic.length))
        return -EBADMSG;
    at += publish.topic.length;
    if (publish.qos > 0) {
        if (packet->length - at < 2)
            return -EBADMSG;
        publish.packet_id = read_u16(packet->body + at);
        if (publish.packet_id == 0) /* 2.3.1 */
            return -EBADMSG;
        at += 2;
    }
    publish.payload = packet->body + at;
    publish.payload_length = packet->length - at;
    *out = publish;
    return 0;
}

int mqtt_parse_puback(const struct mqtt_packet *packet, uint16_t *packet_id)
{
    if (packet->type != MQTT_PUBACK || packet->length != 2 || read_u16(packet->body) == 0)
        return -EBADMSG;
    *packet_id = read_u16(packet->body);
    return 0;
}

int mqtt_parse_suback(const struct mqtt_packet *packet, uint16_t *packet_id, const uint8_t **codes,
                      size_t *count)
{
    if (packet->type != MQTT_SUBACK || packet->length < 3 || read_u16(packet->body) == 0)
        return -EBADMSG;
    for (size_t i = 2; i < packet->length; i++) { /* 3.9.3 */
        if (packet->body[i] > 2 && packet->body[i] != 0x80)
            return -EBADMSG;
    }
    *packet_id = read_u16(packet->body);
    *codes = packet->body + 2;
    *count = packet->length - 2;
    return 0;
}

/* ---- writing ---- */

static size_t header_length(size_t remaining)
{
    size_t length = 2;

    for (remaining >>= 7; remaining > 0; remaining >>= 7)
        length++;
    return length;
}

/* Room for a whole packet, so that nothing is added of one that does not fit. */
static int reserve_packet(struct buf *buf, size_t remaining)
{
    if (remaining > REMAINING_MAX)
        return -ENOSPC;
    return buf_reserve(buf, header_length(remaining) + remaining) == NULL ? buf->error : 0;
}

static int check_text(const char *text, size_t *total)
{
    size_t length = strlen(text);

    if (length > TEXT_MAX || !mqtt_utf8_valid(text, length))
        return -EINVAL;
    *total += 2 + length;
    return 0;
}

static int add_u16(struct buf *buf, uint16_t number)
{
    uint8_t bytes[2] = { (uint8_t)(number >> 8), (uint8_t)number };

    return buf_add(buf, bytes, sizeof bytes);
}

int mqtt_write_header(struct buf *buf, enum mqtt_type type, uint8_t flags, size_t remaining_length)
{
    uint8_t bytes[HEADER_MAX] = { (uint8_t)((unsigned)type << 4 | (flags & 0x0f)) };
    size_t count = 1;

    if (remaining_length > REMAINING_MAX)
        return -ENOSPC;
    do {
        bytes[count] = remaining_length & 0x7f;
        remaining_length >>= 7;
        if (remaining_length > 0)
            bytes[count] |= 0x80;
        count++;
    } while (remaining_length > 0);
    return buf_add(buf, bytes, count);
}

int mqtt_write_text(struct buf *buf, const char *text)
{
    size_t total = 0;
    int rc = check_text(text, &total);

    if (rc != 0)
        return rc;
    if (buf_reserve(buf, total) == NULL)
        return buf->error;
    add_u16(buf, (uint16_t)(total - 2));
    return buf_add(buf, text, total - 2);
}

int mqtt_write_connect(struct buf *buf, const struct mqtt_connect *connect)
{
    static const uint8_t protocol[] = { 0, 4, 'M', 'Q', 'T', 'T', 4 }; /* 3.1.2.1, 3.1.2.2 */
    const char *texts[] = { connect->client_id, connect->username, connect->password };
    uint8_t flags = connect->clean_session ? CONNECT_CLEAN_SESSION : 0;
    size_t remaining = sizeof protocol + 1 + 2;
    int rc;

    assert(connect->client_id != NULL);
    assert(connect->username != NULL || connect->password == NULL); /* 3.1.2.9 */
    for (size_t i = 0; i < 3; i++) {
        rc = texts[i] == NULL ? 0 : check_text(texts[i], &remaining);
        if (rc != 0)
            return rc;
    }
    rc = reserve_packet(buf, remaining);
    if (rc != 0)
        return rc;
    if (connect->username != NULL)
        flags |= CONNECT_USERNAME;
    if (connect->password != NULL)
        flags |= CONNECT_PASSWORD;

    mqtt_write_header(buf, MQTT_CONNECT, 0, remaining);
    buf_add(buf, protocol, sizeof protocol);
    buf_add_byte(buf, flags);
    add_u16(buf, connect->keepalive_s);
    for (size_t i = 0; i < 3; i++) { /* 3.1.3: in this order */
        if (texts[i] != NULL)
            mqtt_write_text(buf, texts[i]);
    }
    return buf->error;
}

int mqtt_write_subscribe(struct buf *buf, uint16_t packet_id, const char *const *filters,
                         size_t filter_count, uint8_t qos)
{
    size_t remaining = 2 + filter_count;
    int rc;

    assert(packet_id != 0 && filter_count > 0 && qos <= 2); /* 2.3.1, 3.8.3 */
    for (size_t i = 0; i < filter_count; i++) {
        rc = check_text(filters[i], &remaining);
        if (rc != 0)
            return rc;
    }
    rc = reserve_packet(buf, remaining);
    if (rc != 0)
        return rc;

    mqtt_write_header(buf, MQTT_SUBSCRIBE, shapes[MQTT_SUBSCRIBE].flags, remaining);
    add_u16(buf, packet_id);
    for (size_t i = 0; i < filter_count; i++) {
        mqtt_write_text(buf, filters[i]);
        buf_add_byte(buf, qos);
    }
    return buf->error;
}

int mqtt_write_publish(struct buf *buf, const char *topic, uint8_t qos, uint16_t packet_id,
                       const void *payload, size_t payload_length)
{
    size_t remaining = qos > 0 ? 2 : 0;
    int rc = check_text(topic, &remaining);

    assert(qos <= 2 && (qos == 0 || packet_id != 0));
    if (rc != 0)
        return rc;
    if (payload_length > REMAINING_MAX)
        return -ENOSPC;
    remaining += payload_length;
    rc = reserve_packet(buf, remaining);
    if (rc != 0)
        return rc;

    mqtt_write_header(buf, MQTT_PUBLISH, (uint8_t)(qos << 1), remaining);
    mqtt_write_text(buf, topic);
    if (qos > 0)
        add_u16(buf, packet_id);
    return buf_add(buf, payload, payload_length);
}

int mqtt_write_puback(struct buf *buf, uint16_t packet_id)
{
    int rc = reserve_packet(buf, 2);

    assert(packet_id != 0);
    if (rc != 0)
        return rc;
    mqtt_write_header(buf, MQTT_PUBACK, 0, 2);
    return add_u16(buf, packet_id);
}

int mqtt_write_pingreq(struct buf *buf)
{
    return mqtt_write_header(buf, MQTT_PINGREQ, 0, 0);
}

int mqtt_write_disconnect(struct buf *buf)
{
    return mqtt_write_header(buf, MQTT_DISCONNECT, 0, 0);
}
