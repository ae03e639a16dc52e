/* Registers <-> values.
 *
 * Happy path up: codec_raw cuts a tag's bytes out of a response, codec_decode puts them in order, reads
 * the type, scales and rounds. Down: codec_encode does the same backwards to the nearest raw step.
 * Fails when a float32 is no number (up), or when the value does not fit the type or the registers
 * (down). A raw number is a double on the way: it holds every type here without loss. */
#include "adapters/modbus/codec.h"
#include "adapters/modbus/pdu.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* What an integer type's registers can hold. */
struct integer_range {
    double lowest, highest;
};

static struct integer_range integer_range(enum modbus_type type)
{
    switch (type) {
    case MODBUS_TYPE_INT16:
        return (struct integer_range){ INT16_MIN, INT16_MAX };
    case MODBUS_TYPE_UINT16:
        return (struct integer_range){ 0, UINT16_MAX };
    case MODBUS_TYPE_INT32:
        return (struct integer_range){ INT32_MIN, INT32_MAX };
    default:
        return (struct integer_range){ 0, UINT32_MAX };
    }
}

size_t codec_raw_length(const struct modbus_tag *tag)
{
    return mapping_is_bits(tag->table) ? 1 : (size_t)tag->count * 2;
}

size_t codec_raw(const struct modbus_tag *tag, uint16_t start, const uint8_t *data,
                 uint8_t out[CODEC_RAW_MAX])
{
    size_t index = (size_t)(tag->address - start);

    assert(tag->address >= start);
    if (mapping_is_bits(tag->table))
        out[0] = pdu_bit(data, index);
    else
        memcpy(out, data + index * 2, codec_raw_length(tag));
    return codec_raw_length(tag);
}

/* Which byte of the registers is the n-th most significant one; the same table serves both ways, since
 * each order is its own inverse. */
static size_t place(enum modbus_order order, size_t n)
{
    static const uint8_t places[][4] = {
        [MODBUS_ORDER_ABCD] = { 0, 1, 2, 3 },
        [MODBUS_ORDER_CDAB] = { 2, 3, 0, 1 },
        [MODBUS_ORDER_BADC] = { 1, 0, 3, 2 },
        [MODBUS_ORDER_DCBA] = { 3, 2, 1, 0 },
    };

    return places[order][n];
}

static uint32_t load(const struct modbus_tag *tag, const uint8_t *raw)
{
    uint32_t bits = 0;

    if (tag->count == 1)
        return (uint32_t)raw[0] << 8 | raw[1];
    for (size_t i = 0; i < 4; i++)
        bits = bits << 8 | raw[place(tag->order, i)];
    return bits;
}

static void store(const struct modbus_tag *tag, uint32_t bits, uint8_t *raw)
{
    if (tag->count == 1) {
        raw[0] = (uint8_t)(bits >> 8);
        raw[1] = (uint8_t)bits;
        return;
    }
    for (size_t i = 0; i < 4; i++)
        raw[place(tag->order, i)] = (uint8_t)(bits >> (24 - 8 * i));
}

static float single_of(uint32_t bits)
{
    float single;

    memcpy(&single, &bits, sizeof single);
    return single;
}

static uint32_t bits_of(float single)
{
    uint32_t bits;

    memcpy(&bits, &single, sizeof bits);
    return bits;
}

double codec_engineering(const struct modbus_tag *tag, double raw)
{
    double number = tag->scaled ? raw * tag->scale + tag->offset : raw;

    return tag->decimals >= 0 ? value_round(number, tag->decimals) : number;
}

static int decode_float(const struct modbus_tag *tag, float single, struct value *out,
                        const char **reason)
{
    double number;

    if (isnan(single)) {
        *reason = "not a number";
        return -EBADMSG;
    }
    if (isinf(single)) {
        *reason = "infinite";
        return -EBADMSG;
    }
    number = codec_engineering(tag, value_from_single(single));
    if (!isfinite(number)) {
        *reason = "too large once scaled";
        return -EBADMSG;
    }
    *out = value_float(number);
    return 0;
}

static struct value decode_integer(const struct modbus_tag *tag, int64_t raw)
{
    return tag->scaled ? value_float(codec_engineering(tag, (double)raw)) : value_int(raw);
}

static bool decode_bool(const struct modbus_tag *tag, const uint8_t *raw)
{
    return tag->bit < 0 ? raw[0] != 0 : (load(tag, raw) >> tag->bit & 1) != 0;
}

int codec_decode(const struct modbus_tag *tag, const uint8_t *raw, struct value *out,
                 const char **reason)
{
    switch (tag->type) {
    case MODBUS_TYPE_BOOL:
        *out = value_bool(decode_bool(tag, raw));
        return 0;
    case MODBUS_TYPE_INT16:
        *out = decode_integer(tag, (int16_t)load(tag, raw));
        return 0;
    case MODBUS_TYPE_INT32:
        *out = decode_integer(tag, (int32_t)load(tag, raw));
        return 0;
    case MODBUS_TYPE_UINT16:
    case MODBUS_TYPE_UINT32:
        *out = decode_integer(tag, load(tag, raw));
        return 0;
    case MODBUS_TYPE_FLOAT32:
        break;
    }
    return decode_float(tag, single_of(load(tag, raw)), out, reason);
}

static int encode_bool(const struct modbus_tag *tag, struct value value, uint8_t *raw)
{
    if (value.type != VALUE_BOOL || tag->bit >= 0)
        return -EINVAL;
    raw[0] = value.boolean;
    return 0;
}

static int encode_float(const struct modbus_tag *tag, double number, uint8_t *raw)
{
    float single;

    /* the shortest decimal that means FLT_MAX, 3.4028235e38, lies a little above it */
    if (fabs(number) > value_from_single(FLT_MAX))
        return -ERANGE;
    if (fabs(number) > (double)FLT_MAX)
        single = number > 0 ? FLT_MAX : -FLT_MAX;
    else
        single = (float)number;
    store(tag, bits_of(single), raw);
    return 0;
}

static int encode_integer(const struct modbus_tag *tag, double number, uint8_t *raw)
{
    struct integer_range range = integer_range(tag->type);
    double step = round(number);

    if (!tag->scaled && step != number)
        return -EINVAL;
    if (step < range.lowest || step > range.highest)
        return -ERANGE;
    store(tag, (uint32_t)(int64_t)step, raw);
    return 0;
}

int codec_encode(const struct modbus_tag *tag, struct value value, uint8_t raw[CODEC_RAW_MAX])
{
    double number;

    if (tag->type == MODBUS_TYPE_BOOL)
        return encode_bool(tag, value, raw);
    if (value.type != VALUE_INT && value.type != VALUE_FLOAT)
        return -EINVAL;
    number = value_number(value);
    if (tag->scaled)
        number = (number - tag->offset) / tag->scale;
    if (isnan(number))
        return -EINVAL;
    return tag->type == MODBUS_TYPE_FLOAT32 ? encode_float(tag, number, raw)
                                            : encode_integer(tag, number, raw);
}

struct value codec_nearest(const struct modbus_tag *tag, struct value value)
{
    uint8_t raw[CODEC_RAW_MAX];
    struct value nearest;
    const char *reason;

    if (codec_encode(tag, value, raw) != 0 || codec_decode(tag, raw, &nearest, &reason) != 0)
        return value;
    return nearest;
}
