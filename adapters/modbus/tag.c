/* One tag of the mapping file.
 *
 * Happy path: where it is (table and address), what it is (type, bit, byte order), what it is worth
 * (scale, offset, decimals), and whether its access and limits make sense there.
 * Fails on what the operator wrote: every mistake is told once, and a step whose basis is missing is
 * left out rather than guessed. */
#include "adapters/modbus/tag.h"

#include "adapters/modbus/codec.h"

#include <cjson/cJSON.h>

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ADDRESS_MAX = 65535,
    DECIMALS_MAX = 15, /* value_round */
};

const char *const tag_tables[] = { "coil", "discrete", "input", "holding", NULL };
const char *const tag_types[] = { "bool", "int16", "uint16", "int32", "uint32", "float32", NULL };
const char *const tag_orders[] = { "ABCD", "CDAB", "BADC", "DCBA", NULL };

struct tag_reading {
    struct reading *reading;
    size_t device, tag;
    const struct config_tag *config;
};

static const cJSON *tag_key(const struct tag_reading *t, const char *key)
{
    return config_tag_key(t->reading->config, t->device, t->tag, key);
}

static const cJSON *tag_node(const struct tag_reading *t)
{
    return config_tag_node(t->reading->config, t->device, t->tag);
}

/* Where to point for a key: at its value, or at the tag when it has none. */
static const cJSON *tag_place(const struct tag_reading *t, const char *key)
{
    const cJSON *node = tag_key(t, key);

    return node != NULL ? node : tag_node(t);
}

/* A key that is needed and not there. One of the wrong kind is there: config/ complained already. */
static void missing(const struct tag_reading *t, const char *key, const char *what_to_write)
{
    if (cJSON_GetObjectItemCaseSensitive(tag_node(t), key) == NULL)
        MISTAKE(t->reading, tag_node(t), "\"%s\" is missing, write %s", key, what_to_write);
    t->reading->failed = true;
}

/* Position of a key's text in a list, -1 when it has none. */
static int choice(const cJSON *node, const char *const *choices)
{
    const char *text = config_text(node, NULL);

    for (int i = 0; text != NULL && choices[i] != NULL; i++)
        if (strcmp(text, choices[i]) == 0)
            return i;
    return -1;
}

/* ---- addresses ---- */

static bool all_digits(const char *text, int (*is_digit)(int))
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (!is_digit((unsigned char)*text))
            return false;
    return true;
}

/* A PLC reference: the first digit is the table, the others the number, counted from 1. */
static int plc_table(char digit)
{
    switch (digit) {
    case '0':
        return MODBUS_TABLE_COIL;
    case '1':
        return MODBUS_TABLE_DISCRETE;
    case '3':
        return MODBUS_TABLE_INPUT;
    case '4':
        return MODBUS_TABLE_HOLDING;
    default:
        return -1;
    }
}

static bool read_plc_reference(const struct tag_reading *t, const cJSON *node, const char *text,
                               int *table, uint16_t *address)
{
    long number = strtol(text + 1, NULL, 10);

    if (plc_table(text[0]) < 0) {
        MISTAKE(t->reading, node,
                "\"%s\" names no table: the first digit of a PLC reference is 0 (coil), 1 "
                "(discrete), 3 (input) or 4 (holding)",
                text);
        return false;
    }
    if (number < 1 || number > ADDRESS_MAX + 1) {
        MISTAKE(t->reading, node,
                "PLC references count from 1 to 65536, write \"%c00001\" to \"%c65536\"", text[0],
                text[0]);
        return false;
    }
    *table = plc_table(text[0]);
    *address = (uint16_t)(number - 1);
    return true;
}

static bool read_number(const struct tag_reading *t, const cJSON *node, double number,
                        uint16_t *address)
{
    double base = config_number(config_device_key(t->reading->config, t->device, "address_base"),
                                0);

    if (floor(number) != number || number < base || number > ADDRESS_MAX + base) {
        MISTAKE(t->reading, node, "not an address, write a whole number from %.0f to %.0f", base,
                ADDRESS_MAX + base);
        return false;
    }
    *address = (uint16_t)(number - base);
    return true;
}

static bool read_address_text(const struct tag_reading *t, const cJSON *node, int *table,
                              uint16_t *address)
{
    const char *text = node->valuestring;
    size_t length = strlen(text);

    if (length >= 3 && length <= 6 && strncmp(text, "0x", 2) == 0 && all_digits(text + 2, isxdigit))
        return read_number(t, node, (double)strtol(text + 2, NULL, 16), address);
    if ((length == 5 || length == 6) && all_digits(text, isdigit))
        return read_plc_reference(t, node, text, table, address);
    MISTAKE(
        t->reading, node,
        "not an address, write a protocol address (100), a hexadecimal one (\"0x0064\") or a PLC "
        "reference of 5 or 6 digits (\"40101\")");
    return false;
}

/* *table is set by a PLC reference only. */
static bool read_address(const struct tag_reading *t, int *table, uint16_t *address)
{
    const cJSON *node = tag_key(t, "address");

    if (node == NULL) {
        missing(t, "address",
                "a protocol address (\"address\": 100) or a PLC reference (\"40101\")");
        return false;
    }
    if (cJSON_IsNumber(node))
        return read_number(t, node, node->valuedouble, address);
    if (cJSON_IsString(node))
        return read_address_text(t, node, table, address);
    MISTAKE(t->reading, node, "not an address, write a number or a text such as \"40101\"");
    return false;
}

static bool read_place(const struct tag_reading *t, struct modbus_tag *out)
{
    int named = choice(tag_key(t, "table"), tag_tables), referenced = -1;
    bool found = read_address(t, &referenced, &out->address);

    if (named >= 0 && referenced >= 0 && named != referenced) {
        MISTAKE(t->reading, tag_key(t, "table"),
                "the address is one of table %s, write that or leave \"table\" out",
                tag_tables[referenced]);
        return false;
    }
    if (named < 0 && referenced < 0) {
        /* an address that could not be read might have named it */
        if (found || !cJSON_IsString(tag_key(t, "address")))
            missing(t, "table", "\"coil\", \"discrete\", \"input\" or \"holding\"");
        return false;
    }
    out->table = (enum modbus_table)(named >= 0 ? named : referenced);
    return found;
}

/* ---- types ---- */

static bool read_bit(const struct tag_reading *t, struct modbus_tag *out)
{
    const cJSON *node = tag_key(t, "bit");

    out->bit = (int)config_number(node, -1);
    if (node != NULL && mapping_is_bits(out->table)) {
        MISTAKE(t->reading, node, "a %s is one bit already, remove \"bit\"",
                tag_tables[out->table]);
        return false;
    }
    return true;
}

static bool read_bool_type(const struct tag_reading *t, int type, struct modbus_tag *out)
{
    if (type >= 0 && type != MODBUS_TYPE_BOOL) {
        MISTAKE(t->reading, tag_key(t, "type"), "a %s is a bool, write \"bool\" or remove \"type\"",
                out->bit >= 0 ? "bit of a register" : tag_tables[out->table]);
        return false;
    }
    out->type = MODBUS_TYPE_BOOL;
    return true;
}

static bool read_register_type(const struct tag_reading *t, int type, struct modbus_tag *out)
{
    if (type < 0) {
        missing(t, "type",
                "\"int16\", \"uint16\", \"int32\", \"uint32\" or \"float32\", or \"bit\": 0 to 15");
        return false;
    }
    if (type == MODBUS_TYPE_BOOL) {
        MISTAKE(t->reading, tag_key(t, "type"),
                "which of its 16 bits is the bool? Write \"bit\": 0 (least significant) to 15");
        return false;
    }
    out->type = (enum modbus_type)type;
    return true;
}

static bool is_wide(enum modbus_type type)
{
    return type == MODBUS_TYPE_INT32 || type == MODBUS_TYPE_UINT32 || type == MODBUS_TYPE_FLOAT32;
}

static bool read_type(const struct tag_reading *t, struct modbus_tag *out)
{
    int type = choice(tag_key(t, "type"), tag_types);
    bool is_bool;

    if (!read_bit(t, out))
        return false;
    is_bool = mapping_is_bits(out->table) || out->bit >= 0;
    if (!(is_bool ? read_bool_type(t, type, out) : read_register_type(t, type, out)))
        return false;
    out->count = is_wide(out->type) ? 2 : 1;
    if (out->address + out->count > ADDRESS_MAX + 1) {
        MISTAKE(t->reading, tag_key(t, "address"),
                "%s needs %d registers, the last address is 65535", tag_types[out->type],
                out->count);
        return false;
    }
    return true;
}

static void read_order(const struct tag_reading *t, struct modbus_tag *out)
{
    const cJSON *node = tag_key(t, "byte_order");
    int order = choice(node, tag_orders);

    out->order = order < 0 ? MODBUS_ORDER_ABCD : (enum modbus_order)order;
    /* from a device it is meant for its other tags */
    if (!is_wide(out->type) && node != NULL &&
        cJSON_GetObjectItemCaseSensitive(tag_node(t), "byte_order") == node)
        WARNING(t->reading, node, "means nothing for %s: it orders the bytes of 32 bits, remove it",
                tag_types[out->type]);
}

/* ---- numbers ---- */

/* Decimal places of a number as it stands in the file: "0.10" 2, "5e-3" 3, "1e3" 0. */
static int text_decimals(const char *text)
{
    const char *point = strchr(text, '.');
    const char *exponent = strpbrk(text, "eE");
    long places = 0;

    if (point != NULL)
        places = (long)strspn(point + 1, "0123456789");
    if (exponent != NULL)
        places -= strtol(exponent + 1, NULL, 10);
    if (places < 0)
        return 0;
    return places > DECIMALS_MAX ? DECIMALS_MAX + 1 : (int)places;
}

static int key_decimals(const struct tag_reading *t, const char *key)
{
    char text[64];
    const cJSON *node = tag_key(t, key);

    if (node == NULL)
        return 0;
    if (!config_number_text(t->reading->config, node, text, sizeof text))
        return DECIMALS_MAX + 1; /* too long a number to be meant as so many decimals */
    return text_decimals(text);
}

/* The decimals that all raw values need once scaled; -1 when that is more than a double can round to. */
static int scaled_decimals(const struct tag_reading *t)
{
    int scale = key_decimals(t, "scale"), offset = key_decimals(t, "offset");
    int decimals = scale > offset ? scale : offset;

    return decimals > DECIMALS_MAX ? -1 : decimals;
}

static void read_decimals(const struct tag_reading *t, struct modbus_tag *out)
{
    const cJSON *node = tag_key(t, "decimals");

    out->decimals = out->scaled ? scaled_decimals(t) : -1;
    if (node != NULL && !out->scaled && out->type != MODBUS_TYPE_FLOAT32)
        WARNING(t->reading, node, "means nothing for an integer without scale, remove it");
    else if (node != NULL)
        out->decimals = (int)config_number(node, -1);
}

/* A float32 has more to say than the decimals of its scale. */
static void check_rounding(const struct tag_reading *t, const struct modbus_tag *tag)
{
    if (tag->type == MODBUS_TYPE_FLOAT32 && tag->decimals == 0 && tag_key(t, "decimals") == NULL)
        WARNING(t->reading, tag_place(t, "scale"),
                "the value will be rounded to whole numbers, as \"scale\" and \"offset\" have no "
                "decimals; write \"decimals\" for more");
}

static bool read_scale(const struct tag_reading *t, struct modbus_tag *out)
{
    out->scale = config_number(tag_key(t, "scale"), 1);
    out->offset = config_number(tag_key(t, "offset"), 0);
    out->scaled = out->scale != 1 || out->offset != 0;
    if (out->scale == 0) {
        MISTAKE(t->reading, tag_place(t, "scale"),
                "every value would be the offset, write what one raw unit is worth (0.1)");
        return false;
    }
    read_decimals(t, out);
    return true;
}

/* Keys that count are mistakes on a bool: the operator thinks of another register. */
static bool refuse_numbers(const struct tag_reading *t)
{
    static const char *const numeric[] = { "scale", "offset", "decimals", "min", "max", "step" };
    bool fine = true;

    for (size_t i = 0; i < sizeof numeric / sizeof numeric[0]; i++) {
        const cJSON *node = tag_key(t, numeric[i]);

        if (node == NULL)
            continue;
        MISTAKE(t->reading, node, "means nothing for a bool, remove it");
        fine = false;
    }
    return fine;
}

/* What the registers can hold, in engineering units. */
static void range_of(const struct modbus_tag *tag, double *lowest, double *highest)
{
    const struct {
        double lowest, highest;
    } raw[] = {
        [MODBUS_TYPE_BOOL] = { 0, 1 },
        [MODBUS_TYPE_INT16] = { INT16_MIN, INT16_MAX },
        [MODBUS_TYPE_UINT16] = { 0, UINT16_MAX },
        [MODBUS_TYPE_INT32] = { INT32_MIN, INT32_MAX },
        [MODBUS_TYPE_UINT32] = { 0, UINT32_MAX },
        [MODBUS_TYPE_FLOAT32] = { value_from_single(-FLT_MAX), value_from_single(FLT_MAX) },
    };
    double low = codec_engineering(tag, raw[tag->type].lowest);
    double high = codec_engineering(tag, raw[tag->type].highest);

    *lowest = low < high ? low : high;
    *highest = low < high ? high : low;
}

static void check_limits(const struct tag_reading *t, double lowest, double highest)
{
    char low[VALUE_TEXT_MAX], high[VALUE_TEXT_MAX];
    double min = t->config->min, max = t->config->max;

    value_print_number(lowest, low);
    value_print_number(highest, high);
    if (min > highest || max < lowest)
        MISTAKE(t->reading, tag_place(t, min > highest ? "min" : "max"),
                "no value that the registers can hold is allowed, they hold %s to %s", low, high);
    else if (min < lowest)
        WARNING(t->reading, tag_place(t, "min"), "the registers hold %s to %s only", low, high);
    else if (max > highest)
        WARNING(t->reading, tag_place(t, "max"), "the registers hold %s to %s only", low, high);
}

static bool check_range(const struct tag_reading *t, const struct modbus_tag *tag)
{
    double lowest, highest;

    range_of(tag, &lowest, &highest);
    if (!isfinite(lowest) || !isfinite(highest)) {
        MISTAKE(t->reading, tag_place(t, "scale"),
                "too large: the highest raw value times this is no number any more");
        return false;
    }
    check_limits(t, lowest, highest);
    return true;
}

static bool read_numbers(const struct tag_reading *t, struct modbus_tag *out)
{
    out->scale = 1;
    out->decimals = -1;
    if (out->type == MODBUS_TYPE_BOOL)
        return refuse_numbers(t);
    if (!read_scale(t, out) || !check_range(t, out))
        return false;
    check_rounding(t, out);
    return true;
}

/* ---- the whole tag ---- */

static void check_access(const struct tag_reading *t, const struct modbus_tag *tag)
{
    if ((tag->access & CONFIG_WRITE) == 0)
        return;
    if (tag->table == MODBUS_TABLE_DISCRETE || tag->table == MODBUS_TABLE_INPUT)
        MISTAKE(t->reading, tag_place(t, "access"),
                "table %s cannot be written, write \"access\": \"r\" or \"table\": \"%s\"",
                tag_tables[tag->table], tag->table == MODBUS_TABLE_DISCRETE ? "coil" : "holding");
    else if (tag->bit >= 0)
        MISTAKE(t->reading, tag_place(t, "access"),
                "a bit of a register cannot be written; map the whole register, without \"bit\"");
}

static void check_fits(const struct tag_reading *t, const struct modbus_tag *tag,
                       const struct modbus_device *device)
{
    if (!mapping_is_bits(tag->table) && tag->count > device->max_registers)
        MISTAKE(t->reading, tag_place(t, "type"),
                "%s is %d registers, but \"max_registers\" allows %d in a request",
                tag_types[tag->type], tag->count, device->max_registers);
}

bool tag_read(struct reading *reading, const struct modbus_device *device, size_t index,
              struct modbus_tag *out)
{
    struct tag_reading t = {
        .reading = reading,
        .device = device->index,
        .tag = index,
        .config = &reading->config->devices[device->index].tags[index],
    };
    struct modbus_tag tag = {
        .bit = -1,
        .access = t.config->access,
        .verify = t.config->verify,
        .poll_interval_ms = t.config->poll_interval_ms,
    };

    if (!read_place(&t, &tag) || !read_type(&t, &tag))
        return false;
    read_order(&t, &tag);
    check_access(&t, &tag);
    check_fits(&t, &tag, device);
    if (!read_numbers(&t, &tag))
        return false;
    *out = tag;
    return true;
}

static enum value_type value_type_of(const struct modbus_tag *tag)
{
    if (tag->type == MODBUS_TYPE_BOOL)
        return VALUE_BOOL;
    return tag->scaled || tag->type == MODBUS_TYPE_FLOAT32 ? VALUE_FLOAT : VALUE_INT;
}

void tag_complete(struct config_tag *out, const struct modbus_tag *tag)
{
    bool in_steps = tag->type != MODBUS_TYPE_BOOL && tag->type != MODBUS_TYPE_FLOAT32;

    out->type = value_type_of(tag);
    out->decimals = tag->decimals;
    out->raw_step = in_steps ? fabs(tag->scale) : 0;
    range_of(tag, &out->lowest, &out->highest);
}
