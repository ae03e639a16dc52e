/* Registers <-> values: types, byte orders, scale, offset, bits. Pure.
 *
 * `raw` is always a tag's own bytes as on the wire: its registers in the order of their addresses, each
 * high byte first (2 bytes per register), or one byte 0 or 1 for a coil or discrete input. A bit of a
 * register has the whole register as raw. */
#pragma once

#include "adapters/modbus/mapping.h"
#include "config/value.h"

#include <stddef.h>
#include <stdint.h>

enum { CODEC_RAW_MAX = 8 };

/* Bytes of a tag's raw: 1, 2 or 4. */
size_t codec_raw_length(const struct modbus_tag *tag);

/* Copies a tag's raw out of the data of a read that began at address `start` and covers the tag: words,
 * or packed bits. Returns its length. */
size_t codec_raw(const struct modbus_tag *tag, uint16_t start, const uint8_t *data,
                 uint8_t out[CODEC_RAW_MAX]);

/* The value that the registers mean. 0; -EBADMSG: they mean none, and *reason (a constant) says why
 * ("not a number", "infinite"). Outputs that do not belong to the result are untouched. */
int codec_decode(const struct modbus_tag *tag, const uint8_t *raw, struct value *out,
                 const char **reason);

/* The raw of the nearest raw step to `value` (half away from zero). 0; -ERANGE: the registers cannot
 * hold it; -EINVAL: wrong type (a number for a bool, a bool for a number, a fraction for an unscaled
 * integer, no value), or a bit of a register, which has no raw of its own. `raw` is untouched then. */
int codec_encode(const struct modbus_tag *tag, struct value value, uint8_t raw[CODEC_RAW_MAX]);

/* The value that reads back after `value` was written; `value` itself when it cannot be encoded. */
struct value codec_nearest(const struct modbus_tag *tag, struct value value);

/* Engineering value of a raw number: scaled and rounded as a tag's values are. For range limits. */
double codec_engineering(const struct modbus_tag *tag, double raw);
