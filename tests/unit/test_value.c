/* config/value: equality, deadband, and the shortest decimal texts. */
#include "config/value.h"

#include <cjson/cJSON.h>

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct value none = { .type = VALUE_NONE };

static void value_print_gives_the_shortest_json_text(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        { 0, "0" },
        { -0.0, "0" },
        { 1, "1" },
        { -12, "-12" },
        { 21.5, "21.5" },
        { 0.1, "0.1" },
        { 0.30000000000000004, "0.30000000000000004" }, /* cJSON prints 0.3 */
        { 0.1 + 0.7, "0.7999999999999999" },
        { 1000000, "1000000" },
        { 4503599627370495, "4503599627370495" },
        { -4503599627370496, "-4503599627370496" },
        { 1e15, "1000000000000000" },
        { 1e20, "1e+20" },
        { -1e20, "-1e+20" },
        { 1e300, "1e+300" },
        { 0.0001, "0.0001" },
        { 1e-7, "1e-07" },
        { 5e-324, "5e-324" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 3.141592653589793, "3.141592653589793" },
        { 123456.789, "123456.789" },
    };
    char out[VALUE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = value_print(value_float(cases[i].number), out);

        assert_string_equal(out, cases[i].text);
        assert_int_equal(length, strlen(out));
    }
}

/* Such a number as an integer made the hub refuse the whole patch, again and again. */
static void value_print_of_a_whole_number_beyond_the_twins_integers_has_an_exponent(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        { 4503599627370496, "4.503599627370496e+15" },
        { -4503599627370497, "-4.503599627370497e+15" },
        { 5123456700000000, "5.1234567e+15" },
        { 9007199254740992, "9.007199254740992e+15" },
        { 12035234627612346, "1.2035234627612346e+16" },
        { 99999999999999984, "9.999999999999998e+16" },
        { 4503599627370495.5, "4503599627370495.5" },
    };
    char out[VALUE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(value_print(value_float(cases[i].number), out), strlen(cases[i].text));
        assert_string_equal(out, cases[i].text);
        assert_true(strtod(out, NULL) == cases[i].number);
    }
}

static void value_print_of_the_other_types_is_json(void **state)
{
    static const struct {
        struct value value;
        const char *text;
    } cases[] = {
        { { .type = VALUE_NONE }, "null" },
        { { .type = VALUE_BOOL, .boolean = true }, "true" },
        { { .type = VALUE_BOOL, .boolean = false }, "false" },
        { { .type = VALUE_INT, .integer = 0 }, "0" },
        { { .type = VALUE_INT, .integer = -32768 }, "-32768" },
        { { .type = VALUE_INT, .integer = INT64_MIN }, "-9223372036854775808" },
    };
    char out[VALUE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(value_print(cases[i].value, out), strlen(cases[i].text));
        assert_string_equal(out, cases[i].text);
    }
}

/* Numbers of every magnitude, from a generator with a fixed seed. */
static double next_number(uint64_t *seed)
{
    double number;

    do {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        memcpy(&number, seed, sizeof number);
    } while (!isfinite(number));
    return number;
}

static void value_print_of_any_double_reads_back_the_same(void **state)
{
    uint64_t seed = 1;
    char out[VALUE_TEXT_MAX];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double number = next_number(&seed);
        cJSON *read;

        value_print_number(number, out);
        read = cJSON_Parse(out);

        assert_non_null(read);
        assert_true(cJSON_IsNumber(read));
        assert_true(read->valuedouble == number);
        cJSON_Delete(read);
    }
}

static void value_print_under_a_locale_with_a_comma_keeps_the_point(void **state)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8",
                                         "ps_AF.UTF-8" };
    const char *set = NULL;
    char out[VALUE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && set == NULL; i++)
        set = setlocale(LC_ALL, names[i]);
    if (set == NULL)
        skip(); /* no such locale is installed */

    value_print_number(-1234.5, out);
    setlocale(LC_ALL, "C");

    assert_string_equal(out, "-1234.5");
}

static void value_from_single_gives_the_decimal_that_was_meant(void **state)
{
    static const struct {
        float single;
        const char *text;
    } cases[] = {
        { 20.1f, "20.1" },
        { 0.1f, "0.1" },
        { 20.5f, "20.5" },
        { -3.4028235e38f, "-3.4028235e+38" },
        { 1.17549435e-38f, "1.1754944e-38" },
        { 1e-45f, "1e-45" },
        { 16777216.0f, "16777216" },
        { 0.333333343f, "0.33333334" },
        { 0.0f, "0" },
        { 7.0f, "7" },
    };
    char out[VALUE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double number = value_from_single(cases[i].single);

        value_print_number(number, out);
        assert_string_equal(out, cases[i].text);
        assert_true((float)number == cases[i].single);
    }
}

static void value_from_single_of_any_float_is_that_float_again(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        float single;

        seed = seed * 1664525u + 1013904223u;
        memcpy(&single, &seed, sizeof single);
        if (!isfinite(single))
            continue;
        assert_true((float)value_from_single(single) == single);
    }
}

static void value_equal_wants_type_and_value(void **state)
{
    (void)state;
    assert_true(value_equal(none, none));
    assert_true(value_equal(value_bool(true), value_bool(true)));
    assert_true(value_equal(value_int(5), value_int(5)));
    assert_true(value_equal(value_float(5.5), value_float(5.5)));
    assert_true(value_equal(value_float(0.0), value_float(-0.0)));
    assert_false(value_equal(value_bool(true), value_bool(false)));
    assert_false(value_equal(value_int(1), value_bool(true)));
    assert_false(value_equal(value_int(5), value_float(5)));
    assert_false(value_equal(value_int(INT64_MAX), value_int(INT64_MAX - 1)));
    assert_false(value_equal(none, value_int(0)));
}

static void value_number_is_the_value_as_a_double(void **state)
{
    (void)state;
    assert_true(isnan(value_number(none)));
    assert_true(value_number(value_bool(true)) == 1);
    assert_true(value_number(value_bool(false)) == 0);
    assert_true(value_number(value_int(-7)) == -7);
    assert_true(value_number(value_float(2.5)) == 2.5);
}

static void value_moved_only_beyond_the_deadband(void **state)
{
    static const struct {
        double last, now, deadband;
        bool moved;
    } cases[] = {
        { 20, 20, 0, false },       { 20, 20.1, 0, true },         { 20, 20.1, 0.2, false },
        { 20, 20.2, 0.2, false },   { 20, 20.3, 0.2, true },       { 20, 19.7, 0.2, true },
        { 2.0, 2.2, 0.2, false }, /* 0.2000000000000002 apart as doubles */
        { 1e6, 1e6 + 5, 5, false }, { 1e6, 1e6 + 5.001, 5, true }, { 0, 1e-9, 0, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            value_moved(value_float(cases[i].last), value_float(cases[i].now), cases[i].deadband),
            cases[i].moved);
}

static void value_moved_of_another_type_or_bool_ignores_the_deadband(void **state)
{
    (void)state;
    assert_true(value_moved(value_bool(false), value_bool(true), 100));
    assert_false(value_moved(value_bool(true), value_bool(true), 0));
    assert_true(value_moved(none, value_int(0), 100));
    assert_true(value_moved(value_int(0), none, 100));
    assert_false(value_moved(none, none, 0));
    assert_true(value_moved(value_int(1), value_float(1), 100));
    assert_false(value_moved(value_int(10), value_int(12), 2));
    assert_true(value_moved(value_int(10), value_int(13), 2));
}

static void value_round_goes_half_away_from_zero(void **state)
{
    static const struct {
        double number;
        int decimals;
        double want;
    } cases[] = {
        { 0.5, 0, 1 },
        { -0.5, 0, -1 },
        { 2.5, 0, 3 },
        { 0.125, 2, 0.13 },
        { -0.125, 2, -0.13 },
        { 21.449999, 1, 21.4 },
        { 215 * 0.1, 1, 21.5 },
        { 3 * 0.1, 1, 0.3 },
        { 1.005, 2, 1.0 },  /* is 1.00499... */
        { 1.115, 2, 1.11 }, /* is 1.11499..., times 100 it is 111.5 as a double */
        { 1e300, 15, 1e300 },
        { 123456789.125, 2, 123456789.13 },
        { 0, 3, 0 },
        { 1.0000000000000002, 15, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(value_round(cases[i].number, cases[i].decimals) == cases[i].want);
}

static void value_round_of_every_scaled_int16_prints_its_decimals(void **state)
{
    char out[VALUE_TEXT_MAX], want[VALUE_TEXT_MAX];

    (void)state;
    for (int raw = -32768; raw <= 32767; raw++) {
        value_print_number(value_round(raw * 0.1, 1), out);
        if (raw % 10 == 0)
            snprintf(want, sizeof want, "%d", raw / 10);
        else
            snprintf(want, sizeof want, "%s%d.%d", raw < 0 ? "-" : "", abs(raw) / 10,
                     abs(raw) % 10);
        assert_string_equal(out, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_print_gives_the_shortest_json_text),
        cmocka_unit_test(value_print_of_a_whole_number_beyond_the_twins_integers_has_an_exponent),
        cmocka_unit_test(value_print_of_the_other_types_is_json),
        cmocka_unit_test(value_print_of_any_double_reads_back_the_same),
        cmocka_unit_test(value_print_under_a_locale_with_a_comma_keeps_the_point),
        cmocka_unit_test(value_from_single_gives_the_decimal_that_was_meant),
        cmocka_unit_test(value_from_single_of_any_float_is_that_float_again),
        cmocka_unit_test(value_equal_wants_type_and_value),
        cmocka_unit_test(value_number_is_the_value_as_a_double),
        cmocka_unit_test(value_moved_only_beyond_the_deadband),
        cmocka_unit_test(value_moved_of_another_type_or_bool_ignores_the_deadband),
        cmocka_unit_test(value_round_goes_half_away_from_zero),
        cmocka_unit_test(value_round_of_every_scaled_int16_prints_its_decimals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
