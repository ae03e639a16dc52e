/* MQTT 3.1.1 packets (OASIS Standard, 29 October 2014): a writer for what a client says and an
 * incremental reader for what either side says. Pure: bytes in, bytes out.
 *
 * The reader only cuts the stream into packets and checks what section 2 demands of every packet
 * (known type, reserved flags, remaining length of at most four bytes and within the limit); the
 * mqtt_parse_* functions then read one body each. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mqtt_type { /* 2.2.1 */
                 MQTT_CONNECT = 1,
                 MQTT_CONNACK = 2,
                 MQTT_PUBLISH = 3,
                 MQTT_PUBACK = 4,
                 MQTT_PUBREC = 5,
                 MQTT_PUBREL = 6,
                 MQTT_PUBCOMP = 7,
                 MQTT_SUBSCRIBE = 8,
                 MQTT_SUBACK = 9,
                 MQTT_UNSUBSCRIBE = 10,
                 MQTT_UNSUBACK = 11,
                 MQTT_PINGREQ = 12,
                 MQTT_PINGRESP = 13,
                 MQTT_DISCONNECT = 14,
};

enum { MQTT_PACKET_MAX = 256 * 1024 + 2048 }; /* the hub's largest message plus its topic */

/* ---- reading ---- */

struct mqtt_packet {
    enum mqtt_type type;
    uint8_t flags;       /* low four bits of the first byte */
    const uint8_t *body; /* of the reader; valid until the next call on it */
    size_t length;
};

struct mqtt_reader {
    struct buf buf;
    size_t max;   /* bytes of one packet, header included */
    size_t taken; /* bytes at the front that were handed out already */
    int error;    /* sticky: after bad bytes the stream is lost */
};

/* A reader that refuses packets of more than `max` bytes (header included). It never holds more than
 * twice `max` bytes and one feed, if mqtt_reader_next is called until -EAGAIN after each feed. */
void mqtt_reader_init(struct mqtt_reader *reader, size_t max);
void mqtt_reader_done(struct mqtt_reader *reader);
void mqtt_reader_reset(struct mqtt_reader *reader); /* for a new connection */

/* Adds bytes as they came; any split is fine. 0, -ENOMEM, -ENOSPC (over `max` bytes stand unread
 * already), or the sticky error. */
int mqtt_reader_feed(struct mqtt_reader *reader, const uint8_t *bytes, size_t length);

/* The next whole packet. 0, -EAGAIN (feed more), -EBADMSG (not MQTT 3.1.1), -ENOSPC (larger than max). */
int mqtt_reader_next(struct mqtt_reader *reader, struct mqtt_packet *out);

/* A length-prefixed UTF-8 string (1.5.3) or binary field, not NUL-terminated, inside a packet's body. */
struct mqtt_text {
    const char *text;
    size_t length;
};

struct mqtt_publish {
    struct mqtt_text topic;
    uint16_t packet_id; /* 0 with QoS 0 */
    uint8_t qos;
    bool retain, duplicate;
    const uint8_t *payload;
    size_t payload_length;
};

/* Each: 0, -EBADMSG when the body breaks the standard. Outputs are untouched then. */
int mqtt_parse_connack(const struct mqtt_packet *packet, bool *session_present, uint8_t *code);
int mqtt_parse_publish(const struct mqtt_packet *packet, struct mqtt_publish *out);
int mqtt_parse_puback(const struct mqtt_packet *packet, uint16_t *packet_id);
/* `codes` points into the body: one byte per filter, 0x80 = refused. */
int mqtt_parse_suback(const struct mqtt_packet *packet, uint16_t *packet_id, const uint8_t **codes,
                      size_t *count);

/* Well-formed UTF-8 as 1.5.3 wants it: no surrogates, no overlong forms, no U+0000. */
bool mqtt_utf8_valid(const void *text, size_t length);

/* ---- writing: each appends one whole packet; 0 or buf's errors (also -ENOSPC over 268,435,455),
 * -EINVAL for a text over 65,535 bytes or not UTF-8. Nothing is appended on failure. ---- */

struct mqtt_connect {
    const char *client_id;
    const char *username;
    const char *password; /* NULL = none */
    uint16_t keepalive_s;
    bool clean_session;
};

int mqtt_write_connect(struct buf *buf, const struct mqtt_connect *connect);
int mqtt_write_subscribe(struct buf *buf, uint16_t packet_id, const char *const *filters,
                         size_t filter_count, uint8_t qos);
int mqtt_write_publish(struct buf *buf, const char *topic, uint8_t qos, uint16_t packet_id,
                       const void *payload, size_t payload_length);
int mqtt_write_puback(struct buf *buf, uint16_t packet_id);
int mqtt_write_pingreq(struct buf *buf);
int mqtt_write_disconnect(struct buf *buf);

/* First byte and remaining length, for writers of other packets (hubsim's side). */
int mqtt_write_header(struct buf *buf, enum mqtt_type type, uint8_t flags, size_t remaining_length);
/* A length-prefixed text. */
int mqtt_write_text(struct buf *buf, const char *text);
