/* Values in and out of registers. The meaning of registers is the mapping file's, read with the
 * same codec as the bridge's; what answers on the wire is libmodbus. */
#include "tests/sim/modbussim/point.h"

#include "adapters/modbus/codec.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct value point_get(const struct point *point)
{
    uint8_t raw[CODEC_RAW_MAX] = { 0 };
    struct value value = { .type = VALUE_NONE };
    const char *reason;

    registers_read(point->unit->map, point->modbus, raw);
    if (codec_decode(point->modbus, raw, &value, &reason) != 0)
        return (struct value){ .type = VALUE_NONE };
    return value;
}

/* A single bit of a register: the other fifteen stay. */
static int set_bit(const struct point *point, struct value value)
{
    uint8_t raw[CODEC_RAW_MAX] = { 0 };
    unsigned word;

    if (value.type != VALUE_BOOL)
        return -EINVAL;
    registers_read(point->unit->map, point->modbus, raw);
    word = (unsigned)raw[0] << 8 | raw[1];
    word &= ~(1U << point->modbus->bit);
    word |= (unsigned)value.boolean << point->modbus->bit;
    raw[0] = (uint8_t)(word >> 8);
    raw[1] = (uint8_t)word;
    registers_write(point->unit->map, point->modbus, raw);
    return 0;
}

int point_set(const struct point *point, struct value value)
{
    uint8_t raw[CODEC_RAW_MAX] = { 0 };
    int rc;

    if (point->modbus->bit >= 0)
        return set_bit(point, value);
    rc = codec_encode(point->modbus, value, raw);
    if (rc != 0)
        return rc;
    registers_write(point->unit->map, point->modbus, raw);
    return 0;
}

void point_set_number(const struct point *point, double number)
{
    switch (point->tag->type) {
    case VALUE_BOOL:
        point_set(point, value_bool(number != 0));
        break;
    case VALUE_INT:
        number = fmin(fmax(number, point->tag->lowest), point->tag->highest);
        point_set(point, value_int(llround(number)));
        break;
    default:
        number = fmin(fmax(number, point->tag->lowest), point->tag->highest);
        point_set(point, value_float(number));
        break;
    }
}

int point_parse(const struct point *point, const char *text, struct value *out)
{
    char *end;
    double number;

    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        if (point->tag->type != VALUE_BOOL)
            return -EINVAL;
        *out = value_bool(text[0] == 't');
        return 0;
    }
    number = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !isfinite(number) || point->tag->type == VALUE_BOOL)
        return -EINVAL;
    if (point->tag->type == VALUE_INT) {
        if (number != floor(number) || fabs(number) > 4294967295.0)
            return -EINVAL;
        *out = value_int((int64_t)number);
    } else {
        *out = value_float(number);
    }
    return 0;
}
