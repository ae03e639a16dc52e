/* Registers to values and back, by tables of vectors. */
#include "adapters/modbus/codec.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A readable and writable holding tag at address 0; scale 0 in a vector stands for an unscaled one. */
static struct modbus_tag tag_of(enum modbus_type type, enum modbus_order order)
{
    bool wide = type == MODBUS_TYPE_INT32 || type == MODBUS_TYPE_UINT32 ||
                type == MODBUS_TYPE_FLOAT32;

    return (struct modbus_tag){
        .table = MODBUS_TABLE_HOLDING,
        .count = wide ? 2 : 1,
        .type = type,
        .order = order,
        .bit = -1,
        .scale = 1,
        .decimals = -1,
        .access = CONFIG_READ_WRITE,
    };
}

static struct modbus_tag scaled_tag(enum modbus_type type, double scale, double offset,
                                    int decimals)
{
    struct modbus_tag tag = tag_of(type, MODBUS_ORDER_ABCD);

    tag.scaled = true;
    tag.scale = scale;
    tag.offset = offset;
    tag.decimals = decimals;
    return tag;
}

static struct modbus_tag coil_tag(uint16_t address)
{
    struct modbus_tag tag = tag_of(MODBUS_TYPE_BOOL, MODBUS_ORDER_ABCD);

    tag.table = MODBUS_TABLE_COIL;
    tag.address = address;
    return tag;
}

static struct modbus_tag bit_tag(int bit)
{
    struct modbus_tag tag = tag_of(MODBUS_TYPE_BOOL, MODBUS_ORDER_ABCD);

    tag.bit = bit;
    return tag;
}

/* Decodes what must decode. */
static struct value decoded(const struct modbus_tag *tag, const uint8_t *raw)
{
    struct value value = { .type = VALUE_NONE };
    const char *reason = NULL;

    assert_int_equal(codec_decode(tag, raw, &value, &reason), 0);
    assert_null(reason);
    return value;
}

static void assert_value(struct value got, struct value want)
{
    if (value_equal(got, want))
        return;
    fail_msg("type %d value %.17g, want type %d value %.17g", got.type, value_number(got),
             want.type, value_number(want));
}

/* ---- both ways ---- */

static const struct {
    const char *name;
    enum modbus_type type;
    enum modbus_order order;
    uint8_t raw[4];
    struct value value;
} unscaled[] = {
#define INT(number)                                                                                \
    {                                                                                              \
        .type = VALUE_INT, .integer = (number)                                                     \
    }
#define FLOAT(value_)                                                                              \
    {                                                                                              \
        .type = VALUE_FLOAT, .number = (value_)                                                    \
    }
    { "int16 0", MODBUS_TYPE_INT16, MODBUS_ORDER_ABCD, { 0x00, 0x00 }, INT(0) },
    { "int16 555", MODBUS_TYPE_INT16, MODBUS_ORDER_ABCD, { 0x02, 0x2B }, INT(555) },
    { "int16 -1", MODBUS_TYPE_INT16, MODBUS_ORDER_ABCD, { 0xFF, 0xFF }, INT(-1) },
    { "int16 lowest", MODBUS_TYPE_INT16, MODBUS_ORDER_ABCD, { 0x80, 0x00 }, INT(-32768) },
    { "int16 highest", MODBUS_TYPE_INT16, MODBUS_ORDER_ABCD, { 0x7F, 0xFF }, INT(32767) },
    { "int16 has one order", MODBUS_TYPE_INT16, MODBUS_ORDER_DCBA, { 0x02, 0x2B }, INT(555) },
    { "uint16 highest", MODBUS_TYPE_UINT16, MODBUS_ORDER_ABCD, { 0xFF, 0xFF }, INT(65535) },
    { "uint16 has one order", MODBUS_TYPE_UINT16, MODBUS_ORDER_BADC, { 0x12, 0x34 }, INT(0x1234) },
    { "int32 ABCD", MODBUS_TYPE_INT32, MODBUS_ORDER_ABCD, { 1, 2, 3, 4 }, INT(0x01020304) },
    { "int32 CDAB", MODBUS_TYPE_INT32, MODBUS_ORDER_CDAB, { 3, 4, 1, 2 }, INT(0x01020304) },
    { "int32 BADC", MODBUS_TYPE_INT32, MODBUS_ORDER_BADC, { 2, 1, 4, 3 }, INT(0x01020304) },
    { "int32 DCBA", MODBUS_TYPE_INT32, MODBUS_ORDER_DCBA, { 4, 3, 2, 1 }, INT(0x01020304) },
    { "int32 -2", MODBUS_TYPE_INT32, MODBUS_ORDER_CDAB, { 0xFF, 0xFE, 0xFF, 0xFF }, INT(-2) },
    { "int32 lowest", MODBUS_TYPE_INT32, MODBUS_ORDER_ABCD, { 0x80, 0, 0, 0 }, INT(INT32_MIN) },
    { "uint32 highest",
      MODBUS_TYPE_UINT32,
      MODBUS_ORDER_ABCD,
      { 0xFF, 0xFF, 0xFF, 0xFF },
      INT(UINT32_MAX) },
    { "uint32 DCBA", MODBUS_TYPE_UINT32, MODBUS_ORDER_DCBA, { 1, 0, 0, 0x80 }, INT(0x80000001) },
    { "float32 ABCD", MODBUS_TYPE_FLOAT32, MODBUS_ORDER_ABCD, { 0x41, 0xA4, 0, 0 }, FLOAT(20.5) },
    { "float32 CDAB", MODBUS_TYPE_FLOAT32, MODBUS_ORDER_CDAB, { 0, 0, 0x41, 0xA4 }, FLOAT(20.5) },
    { "float32 BADC", MODBUS_TYPE_FLOAT32, MODBUS_ORDER_BADC, { 0xA4, 0x41, 0, 0 }, FLOAT(20.5) },
    { "float32 DCBA", MODBUS_TYPE_FLOAT32, MODBUS_ORDER_DCBA, { 0, 0, 0xA4, 0x41 }, FLOAT(20.5) },
    { "float32 is what it shows",
      MODBUS_TYPE_FLOAT32,
      MODBUS_ORDER_ABCD,
      { 0x41, 0xA0, 0xCC, 0xCD },
      FLOAT(20.1) },
    { "float32 largest",
      MODBUS_TYPE_FLOAT32,
      MODBUS_ORDER_ABCD,
      { 0x7F, 0x7F, 0xFF, 0xFF },
      FLOAT(3.4028235e38) },
    { "float32 smallest", MODBUS_TYPE_FLOAT32, MODBUS_ORDER_ABCD, { 0, 0, 0, 1 }, FLOAT(1e-45) },
    { "float32 negative", MODBUS_TYPE_FLOAT32, MODBUS_ORDER_ABCD, { 0xBF, 0x80, 0, 0 }, FLOAT(-1) },
};

static void codec_decode_unscaled_registers_give_their_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(unscaled); i++) {
        struct modbus_tag tag = tag_of(unscaled[i].type, unscaled[i].order);

        print_message("case %s\n", unscaled[i].name);
        assert_value(decoded(&tag, unscaled[i].raw), unscaled[i].value);
    }
}

static void codec_encode_unscaled_value_gives_its_registers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(unscaled); i++) {
        struct modbus_tag tag = tag_of(unscaled[i].type, unscaled[i].order);
        uint8_t raw[CODEC_RAW_MAX] = { 0 };

        print_message("case %s\n", unscaled[i].name);
        assert_int_equal(codec_encode(&tag, unscaled[i].value, raw), 0);
        assert_memory_equal(raw, unscaled[i].raw, codec_raw_length(&tag));
    }
}

static const struct {
    const char *name;
    enum modbus_type type;
    double scale, offset;
    int decimals;
    uint8_t raw[4];
    double value;
} scaled[] = {
    { "a tenth", MODBUS_TYPE_INT16, 0.1, 0, 1, { 0x00, 0xD7 }, 21.5 },
    { "0.1 x 3 is 0.3", MODBUS_TYPE_INT16, 0.1, 0, 1, { 0x00, 0x03 }, 0.3 },
    { "a hundredth, negative", MODBUS_TYPE_INT16, 0.01, 0, 2, { 0xFF, 0xFF }, -0.01 },
    { "offset", MODBUS_TYPE_UINT16, 0.1, -40, 1, { 0x02, 0x6D }, 22.1 },
    { "offset alone", MODBUS_TYPE_UINT16, 1, -273.15, 2, { 0x01, 0x25 }, 19.85 },
    { "negative scale", MODBUS_TYPE_INT16, -0.5, 0, 1, { 0x00, 0x03 }, -1.5 },
    { "times ten", MODBUS_TYPE_UINT16, 10, 0, 0, { 0xFF, 0xFF }, 655350 },
    { "uint32 thousandths",
      MODBUS_TYPE_UINT32,
      0.001,
      0,
      3,
      { 0xFF, 0xFF, 0xFF, 0xFF },
      4294967.295 },
    { "not rounded", MODBUS_TYPE_INT16, 0.25, 0, -1, { 0x00, 0x01 }, 0.25 },
    { "float32 scaled", MODBUS_TYPE_FLOAT32, 0.1, 0, 2, { 0x41, 0xA0, 0xCC, 0xCD }, 2.01 },
};

static void codec_decode_scaled_registers_give_a_rounded_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(scaled); i++) {
        struct modbus_tag tag = scaled_tag(scaled[i].type, scaled[i].scale, scaled[i].offset,
                                           scaled[i].decimals);

        print_message("case %s\n", scaled[i].name);
        assert_value(decoded(&tag, scaled[i].raw), value_float(scaled[i].value));
    }
}

static void codec_encode_scaled_value_gives_its_registers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(scaled); i++) {
        struct modbus_tag tag = scaled_tag(scaled[i].type, scaled[i].scale, scaled[i].offset,
                                           scaled[i].decimals);
        uint8_t raw[CODEC_RAW_MAX] = { 0 };

        print_message("case %s\n", scaled[i].name);
        assert_int_equal(codec_encode(&tag, value_float(scaled[i].value), raw), 0);
        assert_memory_equal(raw, scaled[i].raw, codec_raw_length(&tag));
    }
}

static void codec_encode_of_every_decoded_int16_gives_the_same_registers(void **state)
{
    static const double scales[] = { 0.1, 0.01, 0.001, -0.1, 0.3, 7, 1e-6 };

    (void)state;
    for (size_t s = 0; s < COUNT(scales); s++) {
        struct modbus_tag tag = scaled_tag(MODBUS_TYPE_INT16, scales[s], 0, 6);

        for (unsigned word = 0; word <= UINT16_MAX; word++) {
            const uint8_t raw[] = { (uint8_t)(word >> 8), (uint8_t)word };
            uint8_t again[CODEC_RAW_MAX];

            assert_int_equal(codec_encode(&tag, decoded(&tag, raw), again), 0);
            assert_memory_equal(again, raw, sizeof raw);
        }
    }
}

/* ---- what decoding refuses, and bits ---- */

static void codec_decode_float_that_is_no_number_is_bad_with_a_reason(void **state)
{
    static const struct {
        uint8_t raw[4];
        const char *reason;
    } cases[] = {
        { { 0x7F, 0xC0, 0x00, 0x00 }, "not a number" },
        { { 0xFF, 0xFF, 0xFF, 0xFF }, "not a number" },
        { { 0x7F, 0x80, 0x00, 0x01 }, "not a number" }, /* signalling */
        { { 0x7F, 0x80, 0x00, 0x00 }, "infinite" },
        { { 0xFF, 0x80, 0x00, 0x00 }, "infinite" },
    };
    struct modbus_tag tag = tag_of(MODBUS_TYPE_FLOAT32, MODBUS_ORDER_ABCD);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct value value = value_int(42);
        const char *reason = NULL;

        assert_int_equal(codec_decode(&tag, cases[i].raw, &value, &reason), -EBADMSG);
        assert_string_equal(reason, cases[i].reason);
        assert_value(value, value_int(42));
    }
}

static void codec_decode_float_beyond_a_double_once_scaled_is_bad(void **state)
{
    struct modbus_tag tag = scaled_tag(MODBUS_TYPE_FLOAT32, 1e300, 0, -1);
    struct value value;
    const char *reason = NULL;

    (void)state;
    assert_int_equal(codec_decode(&tag, (const uint8_t[]){ 0x7F, 0x7F, 0, 0 }, &value, &reason),
                     -EBADMSG);
    assert_string_equal(reason, "too large once scaled");
}

static void codec_decode_bit_counts_from_the_least_significant(void **state)
{
    static const uint8_t raw[] = { 0x80, 0x05 };

    (void)state;
    for (int bit = 0; bit < 16; bit++) {
        struct modbus_tag tag = bit_tag(bit);

        assert_value(decoded(&tag, raw), value_bool(bit == 0 || bit == 2 || bit == 15));
    }
}

static void codec_decode_coil_gives_a_bool(void **state)
{
    struct modbus_tag tag = coil_tag(0);

    (void)state;
    assert_value(decoded(&tag, (const uint8_t[]){ 1 }), value_bool(true));
    assert_value(decoded(&tag, (const uint8_t[]){ 0 }), value_bool(false));
}

static void codec_raw_cuts_a_tag_out_of_a_block(void **state)
{
    static const uint8_t words[] = { 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64 };
    static const uint8_t bits[] = { 0xCD, 0x6B, 0x05 };
    struct modbus_tag narrow = tag_of(MODBUS_TYPE_UINT16, MODBUS_ORDER_ABCD);
    struct modbus_tag wide = tag_of(MODBUS_TYPE_UINT32, MODBUS_ORDER_ABCD);
    struct modbus_tag coil = coil_tag(19 + 8);
    uint8_t raw[CODEC_RAW_MAX];

    (void)state;
    narrow.address = 107;
    assert_int_equal(codec_raw(&narrow, 107, words, raw), 2);
    assert_memory_equal(raw, words, 2);

    wide.address = 108;
    assert_int_equal(codec_raw(&wide, 107, words, raw), 4);
    assert_memory_equal(raw, words + 2, 4);

    assert_int_equal(codec_raw(&coil, 19, bits, raw), 1);
    assert_int_equal(raw[0], 1); /* lowest bit of 0x6B */
    coil.address += 2;
    assert_int_equal(codec_raw(&coil, 19, bits, raw), 1);
    assert_int_equal(raw[0], 0);
}

/* ---- what encoding refuses ---- */

static void codec_encode_between_steps_takes_the_nearest(void **state)
{
    static const struct {
        double value, want;
    } cases[] = {
        { 21.54, 21.5 }, { 21.56, 21.6 }, { 21.46, 21.5 }, { -21.56, -21.6 },
        { 0.04, 0 },     { 0.06, 0.1 },   { 21, 21 },
    };
    struct modbus_tag tag = scaled_tag(MODBUS_TYPE_INT16, 0.1, 0, 1);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_value(codec_nearest(&tag, value_float(cases[i].value)), value_float(cases[i].want));
}

static void codec_encode_half_a_step_goes_away_from_zero(void **state)
{
    struct modbus_tag tag = scaled_tag(MODBUS_TYPE_INT16, 0.5, 0, 1);

    (void)state;
    assert_value(codec_nearest(&tag, value_float(0.25)), value_float(0.5));
    assert_value(codec_nearest(&tag, value_float(-0.25)), value_float(-0.5));
}

static void codec_encode_refuses_what_does_not_fit(void **state)
{
    static const struct {
        const char *name;
        enum modbus_type type;
        double scale; /* 0 = not scaled */
        struct value value;
        int want;
    } cases[] = {
        { "int16 + 1", MODBUS_TYPE_INT16, 0, INT(32768), -ERANGE },
        { "int16 - 1", MODBUS_TYPE_INT16, 0, INT(-32769), -ERANGE },
        { "uint16 + 1", MODBUS_TYPE_UINT16, 0, INT(65536), -ERANGE },
        { "uint16 negative", MODBUS_TYPE_UINT16, 0, INT(-1), -ERANGE },
        { "int32 + 1", MODBUS_TYPE_INT32, 0, INT(INT64_C(2147483648)), -ERANGE },
        { "uint32 + 1", MODBUS_TYPE_UINT32, 0, INT(INT64_C(4294967296)), -ERANGE },
        { "largest int64", MODBUS_TYPE_UINT32, 0, INT(INT64_MAX), -ERANGE },
        { "int16 scaled", MODBUS_TYPE_INT16, 0.1, FLOAT(3276.75), -ERANGE },
        { "huge", MODBUS_TYPE_INT16, 0.1, FLOAT(1e300), -ERANGE },
        { "overflowing", MODBUS_TYPE_INT16, 1e-300, FLOAT(1e300), -ERANGE },
        { "float32 + 1", MODBUS_TYPE_FLOAT32, 0, FLOAT(3.5e38), -ERANGE },
        { "fraction", MODBUS_TYPE_INT16, 0, FLOAT(20.5), -EINVAL },
        { "fraction of uint32", MODBUS_TYPE_UINT32, 0, FLOAT(0.5), -EINVAL },
        { "bool for int", MODBUS_TYPE_INT16, 0, { .type = VALUE_BOOL, .boolean = true }, -EINVAL },
        { "bool for float", MODBUS_TYPE_FLOAT32, 0, { .type = VALUE_BOOL }, -EINVAL },
        { "nothing", MODBUS_TYPE_INT16, 0, { .type = VALUE_NONE }, -EINVAL },
        { "nan", MODBUS_TYPE_FLOAT32, 0, FLOAT((double)NAN), -EINVAL },
        { "int for coil", MODBUS_TYPE_BOOL, 0, INT(1), -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct modbus_tag tag = cases[i].scale != 0
                                    ? scaled_tag(cases[i].type, cases[i].scale, 0, 1)
                                    : tag_of(cases[i].type, MODBUS_ORDER_ABCD);
        uint8_t raw[CODEC_RAW_MAX] = { 0xA5, 0xA5, 0xA5, 0xA5 };

        print_message("case %s\n", cases[i].name);
        assert_int_equal(codec_encode(&tag, cases[i].value, raw), cases[i].want);
        assert_memory_equal(raw, ((uint8_t[]){ 0xA5, 0xA5, 0xA5, 0xA5 }), 4);
    }
}

static void codec_encode_bit_of_a_register_is_refused(void **state)
{
    struct modbus_tag tag = bit_tag(3);
    uint8_t raw[CODEC_RAW_MAX];

    (void)state;
    assert_int_equal(codec_encode(&tag, value_bool(true), raw), -EINVAL);
}

static void codec_encode_number_without_fraction_fits_an_integer(void **state)
{
    struct modbus_tag tag = tag_of(MODBUS_TYPE_INT16, MODBUS_ORDER_ABCD);
    uint8_t raw[CODEC_RAW_MAX];

    (void)state;
    assert_int_equal(codec_encode(&tag, value_float(21.0), raw), 0);
    assert_memory_equal(raw, ((uint8_t[]){ 0x00, 0x15 }), 2);
}

static void codec_encode_coil_gives_one_byte(void **state)
{
    struct modbus_tag tag = coil_tag(0);
    uint8_t raw[CODEC_RAW_MAX];

    (void)state;
    assert_int_equal(codec_raw_length(&tag), 1);
    assert_int_equal(codec_encode(&tag, value_bool(true), raw), 0);
    assert_int_equal(raw[0], 1);
    assert_int_equal(codec_encode(&tag, value_bool(false), raw), 0);
    assert_int_equal(raw[0], 0);
}

static void codec_nearest_value_that_does_not_fit_is_itself(void **state)
{
    struct modbus_tag tag = tag_of(MODBUS_TYPE_INT16, MODBUS_ORDER_ABCD);

    (void)state;
    assert_value(codec_nearest(&tag, value_int(70000)), value_int(70000));
    assert_value(codec_nearest(&tag, value_bool(true)), value_bool(true));
}

static void codec_nearest_float32_is_what_the_registers_show(void **state)
{
    struct modbus_tag tag = tag_of(MODBUS_TYPE_FLOAT32, MODBUS_ORDER_ABCD);

    (void)state;
    assert_value(codec_nearest(&tag, value_float(20.1)), value_float(20.1));
    assert_value(codec_nearest(&tag, value_float(20.123456789)), value_float(20.123457));
    assert_value(codec_nearest(&tag, value_int(3)), value_float(3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codec_decode_unscaled_registers_give_their_value),
        cmocka_unit_test(codec_encode_unscaled_value_gives_its_registers),
        cmocka_unit_test(codec_decode_scaled_registers_give_a_rounded_number),
        cmocka_unit_test(codec_encode_scaled_value_gives_its_registers),
        cmocka_unit_test(codec_encode_of_every_decoded_int16_gives_the_same_registers),
        cmocka_unit_test(codec_decode_float_that_is_no_number_is_bad_with_a_reason),
        cmocka_unit_test(codec_decode_float_beyond_a_double_once_scaled_is_bad),
        cmocka_unit_test(codec_decode_bit_counts_from_the_least_significant),
        cmocka_unit_test(codec_decode_coil_gives_a_bool),
        cmocka_unit_test(codec_raw_cuts_a_tag_out_of_a_block),
        cmocka_unit_test(codec_encode_between_steps_takes_the_nearest),
        cmocka_unit_test(codec_encode_half_a_step_goes_away_from_zero),
        cmocka_unit_test(codec_encode_refuses_what_does_not_fit),
        cmocka_unit_test(codec_encode_bit_of_a_register_is_refused),
        cmocka_unit_test(codec_encode_number_without_fraction_fits_an_integer),
        cmocka_unit_test(codec_encode_coil_gives_one_byte),
        cmocka_unit_test(codec_nearest_value_that_does_not_fit_is_itself),
        cmocka_unit_test(codec_nearest_float32_is_what_the_registers_show),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
