/* MQTT 3.1.1 from the server's side: what a client says first and asks for, and what it is
 * answered. Packets come cut by mqtt_reader (bridge/mqtt.h); section numbers are those of the OASIS
 * Standard of 29 October 2014. Pure. */
#pragma once

#include "base/buf.h"
#include "bridge/mqtt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mqtt_server_code { /* 3.2.2.3 */
                        MQTT_SERVER_ACCEPTED = 0,
                        MQTT_SERVER_WRONG_PROTOCOL = 1,
                        MQTT_SERVER_UNAVAILABLE = 3,
                        MQTT_SERVER_NOT_AUTHORISED = 5,
};

/* A CONNECT packet; texts and payload point into the packet. Absent parts are empty. */
struct mqtt_server_connect {
    struct mqtt_text client_id;
    struct mqtt_text username;
    struct mqtt_text password;
    struct mqtt_text will_topic;
    struct mqtt_text will_payload;
    uint16_t keepalive_s; /* 0 = off */
    uint8_t will_qos;
    bool has_will, will_retain, clean_session;
};

/* 3.1. 0, -EBADMSG (close without an answer), -EPROTONOSUPPORT (another version of the protocol:
 * answer MQTT_SERVER_WRONG_PROTOCOL, then close). */
int mqtt_server_parse_connect(const struct mqtt_packet *packet, struct mqtt_server_connect *out);

/* The filters of a SUBSCRIBE (3.8) or UNSUBSCRIBE (3.10) that are still to be read. */
struct mqtt_server_filters {
    const uint8_t *bytes;
    size_t length;
    bool with_qos; /* a byte of quality of service behind each filter */
};

/* Checks the whole packet: at least one filter, all well-formed. 0 or -EBADMSG. */
int mqtt_server_parse_filters(const struct mqtt_packet *packet, uint16_t *packet_id,
                              struct mqtt_server_filters *out);

/* The next filter; false behind the last. `qos` is 0 with UNSUBSCRIBE. */
bool mqtt_server_next_filter(struct mqtt_server_filters *filters, struct mqtt_text *filter,
                             uint8_t *qos);

/* Each appends one packet: 0 or buf's errors. */
int mqtt_server_write_connack(struct buf *buf, bool session_present, enum mqtt_server_code code);
int mqtt_server_write_suback(struct buf *buf, uint16_t packet_id, const uint8_t *codes,
                             size_t count);
int mqtt_server_write_unsuback(struct buf *buf, uint16_t packet_id);
int mqtt_server_write_pingresp(struct buf *buf);
