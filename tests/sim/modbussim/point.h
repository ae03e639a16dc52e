/* One tag of one simulated device: its registers as a value. */
#pragma once

#include "adapters/modbus/mapping.h"
#include "config/value.h"
#include "tests/sim/modbussim/registers.h"

struct point {
    const struct config_tag *tag;
    const struct modbus_tag *modbus;
    struct registers_unit *unit;
};

/* The value that a client reads there; VALUE_NONE when the registers mean none (not a number). */
struct value point_get(const struct point *point);

/* Puts a value there, the nearest that the registers can hold by their step. 0; -ERANGE: they
 * cannot hold it; -EINVAL: of another type. */
int point_set(const struct point *point, struct value value);

/* Puts a number into a point that holds one, or 0 or 1 into one that does not; what is too large or
 * too small becomes the nearest there is. */
void point_set_number(const struct point *point, double number);

/* Reads `text` ("true", "21.5") as a value of the point's type. 0, or -EINVAL. */
int point_parse(const struct point *point, const char *text, struct value *out);
