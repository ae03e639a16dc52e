/* What the mapping file says about one Modbus connection: the Modbus keys, their check, and the result
 * as plain structs that the rest of this folder works with. Pure: reads struct config only.
 *
 * Names start with mapping_ and MODBUS_TABLE_, MODBUS_TYPE_, MODBUS_ORDER_: libmodbus owns
 * modbus_mapping_new and modbus_mapping_free, and a program may link both. */
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Modbus Application Protocol V1.1b3, section 4.3: the four tables of a device. */
enum modbus_table {
    MODBUS_TABLE_COIL,     /* one bit, read and write */
    MODBUS_TABLE_DISCRETE, /* one bit, read */
    MODBUS_TABLE_INPUT,    /* 16 bits, read */
    MODBUS_TABLE_HOLDING,  /* 16 bits, read and write */
};

enum modbus_type {
    MODBUS_TYPE_BOOL, /* a coil, a discrete input, or one bit of a register */
    MODBUS_TYPE_INT16,
    MODBUS_TYPE_UINT16,
    MODBUS_TYPE_INT32,
    MODBUS_TYPE_UINT32,
    MODBUS_TYPE_FLOAT32,
};

/* How the four bytes of a 32-bit value lie in its two registers, A the most significant. A single
 * register is always high byte first, whatever the order says. */
enum modbus_order { MODBUS_ORDER_ABCD, MODBUS_ORDER_CDAB, MODBUS_ORDER_BADC, MODBUS_ORDER_DCBA };

struct modbus_tag {
    enum modbus_table table;
    uint16_t address; /* protocol address: of the first register, or of the bit */
    uint16_t
        count; /* addresses it covers: registers (1 or 2), or 1 coil; address + count <= 65536 */
    enum modbus_type type;
    enum modbus_order order;
    int bit;      /* 0 (least significant) to 15 of its register; -1 = not a bit of a register */
    bool scaled;  /* scale or offset is not neutral */
    double scale; /* value = raw x scale + offset; never 0 */
    double offset;
    int decimals; /* 0 to 15 that the value is rounded to; -1 = not rounded */
    enum config_access access;
    bool verify; /* read back after a write */
    uint32_t poll_interval_ms;
};

struct modbus_device {
    size_t index; /* in config->devices */
    const char *name;
    bool enabled;
    uint8_t unit_id; /* 0 and 255 are fine on TCP */
    uint32_t response_timeout_ms;
    uint32_t read_retries;  /* tries after the first */
    uint32_t write_retries; /* tries after the first */
    uint32_t offline_after; /* unanswered requests in a row, tries included; at least 1 */
    uint32_t backoff_min_ms;
    uint32_t backoff_max_ms; /* at least backoff_min_ms */
    uint16_t max_registers;  /* of one read, 1 to 125 */
    uint16_t max_bits;       /* of one read, 1 to 2000 */
    uint16_t max_gap;        /* unmapped addresses that a read may bridge */
    struct modbus_tag *tags; /* same indices as config_device.tags */
    size_t tag_count;
};

enum modbus_transport { MODBUS_TRANSPORT_TCP };

struct modbus_connection {
    size_t index; /* in config->connections */
    const char *name;
    enum modbus_transport transport;
    const char *host; /* name or address literal */
    uint16_t port;
    uint32_t connect_timeout_ms;
    uint32_t connect_delay_ms;     /* silence after the connection stands */
    uint32_t request_delay_ms;     /* silence between an answer and the next request */
    struct modbus_device *devices; /* same order as config_connection.devices */
    size_t device_count;
};

/* Keys ("host", "table", "address", "byte_order", ...) and check, for config_load. */
extern const struct config_adapter modbus_mapping;

/* Reads the Modbus part of config->connections[connection] after config_load succeeded with
 * modbus_mapping among its adapters. 0: *out is the caller's; its texts belong to `config`, which must
 * outlive it. -ENOMEM. -EINVAL: the connection is not Modbus, or its check had found mistakes. */
int mapping_read(struct modbus_connection **out, const struct config *config, size_t connection);
void mapping_free(struct modbus_connection *connection); /* NULL is fine */

/* Whether a table holds single bits (coil, discrete) rather than registers. */
static inline bool mapping_is_bits(enum modbus_table table)
{
    return table == MODBUS_TABLE_COIL || table == MODBUS_TABLE_DISCRETE;
}
