/* Typed values: comparing them, and the shortest decimal text for them.
 *
 * Texts are made with printf's %g at 15, 16 and 17 digits and the first that reads back as the same
 * double wins. printf and strtod follow the locale's decimal point, so what is not a character of a JSON
 * number is replaced by "." afterwards. Nothing here fails. */
#include "config/value.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers up to here are all doubles of their own. */
static const double WHOLE_MAX = 9007199254740992.0; /* 2^53 */

/* The integers of a twin. A larger number needs an exponent: without one the hub takes it for an integer
 * and refuses the whole patch. */
static const double INTEGER_MIN = -4503599627370496.0; /* -2^52 */
static const double INTEGER_MAX = 4503599627370495.0;  /* 2^52 - 1 */

struct value value_bool(bool boolean)
{
    return (struct value){ .type = VALUE_BOOL, .boolean = boolean };
}

struct value value_int(int64_t integer)
{
    return (struct value){ .type = VALUE_INT, .integer = integer };
}

struct value value_float(double number)
{
    return (struct value){ .type = VALUE_FLOAT, .number = number };
}

bool value_equal(struct value a, struct value b)
{
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case VALUE_NONE:
        return true;
    case VALUE_BOOL:
        return a.boolean == b.boolean;
    case VALUE_INT:
        return a.integer == b.integer;
    case VALUE_FLOAT:
        return a.number == b.number;
    }
    return false;
}

double value_number(struct value value)
{
    switch (value.type) {
    case VALUE_NONE:
        return NAN;
    case VALUE_BOOL:
        return value.boolean ? 1 : 0;
    case VALUE_INT:
        return (double)value.integer;
    case VALUE_FLOAT:
        return value.number;
    }
    return NAN;
}

bool value_moved(struct value last, struct value now, double deadband)
{
    double a, b, noise;

    if (last.type != now.type || last.type == VALUE_NONE || last.type == VALUE_BOOL ||
        deadband <= 0)
        return !value_equal(last, now);

    /* 2.2 - 2.0 is 0.2 and a little: decimal values exactly a deadband apart have not moved more. */
    a = value_number(last);
    b = value_number(now);
    noise = 2 * DBL_EPSILON * fmax(fabs(a), fabs(b));
    return fabs(b - a) > deadband + noise;
}

/* Makes the locale's decimal point, of whatever length, a ".". */
static size_t plain_point(char *text)
{
    size_t length = 0;

    for (const char *from = text; *from != 0; from++) {
        if (strchr("0123456789+-e", *from) != NULL)
            text[length++] = *from;
        else if (length > 0 && text[length - 1] != '.')
            text[length++] = '.';
    }
    text[length] = 0;
    return length;
}

/* The shortest text with an exponent. */
static void print_exponent(double number, char out[VALUE_TEXT_MAX])
{
    for (int decimals = 0; decimals < 17; decimals++) {
        snprintf(out, VALUE_TEXT_MAX, "%.*e", decimals, number);
        if (strtod(out, NULL) == number)
            break;
    }
}

size_t value_print_number(double number, char out[VALUE_TEXT_MAX])
{
    assert(isfinite(number));
    if (number == 0) /* no "-0" */
        return (size_t)snprintf(out, VALUE_TEXT_MAX, "0");
    if (number >= INTEGER_MIN && number <= INTEGER_MAX && number == trunc(number))
        return (size_t)snprintf(out, VALUE_TEXT_MAX, "%.0f", number);
    /* Up to 15 digits survive a double, so 15 show the shortest; a subnormal has fewer. */
    for (int digits = isnormal(number) ? 15 : 1; digits <= 17; digits++) {
        snprintf(out, VALUE_TEXT_MAX, "%.*g", digits, number);
        if (strtod(out, NULL) == number)
            break;
    }
    if (number == trunc(number) && strchr(out, 'e') == NULL)
        print_exponent(number, out);
    return plain_point(out);
}

size_t value_print(struct value value, char out[VALUE_TEXT_MAX])
{
    switch (value.type) {
    case VALUE_NONE:
        break;
    case VALUE_BOOL:
        return (size_t)snprintf(out, VALUE_TEXT_MAX, "%s", value.boolean ? "true" : "false");
    case VALUE_INT:
        return (size_t)snprintf(out, VALUE_TEXT_MAX, "%" PRId64, value.integer);
    case VALUE_FLOAT:
        return value_print_number(value.number, out);
    }
    return (size_t)snprintf(out, VALUE_TEXT_MAX, "null");
}

double value_from_single(float single)
{
    char text[VALUE_TEXT_MAX];

    if (!isfinite(single) || (fabsf(single) <= 0x1p24F && single == truncf(single)))
        return (double)single;
    /* 9 digits always read back the same (binary32 has 24 bits); a subnormal may need but one. */
    for (int digits = isnormal(single) ? 6 : 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)single);
        if (strtof(text, NULL) == single)
            break;
    }
    return strtod(text, NULL);
}

double value_round(double number, int decimals)
{
    static const double powers[] = { 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
    double product, whole;

    assert(decimals >= 0 && decimals <= 15);
    product = number * powers[decimals];
    if (!isfinite(product) || fabs(product) >= WHOLE_MAX)
        return number; /* it has no digits behind the last place asked for */

    /* The product is rounded itself: one that lands on a half may have been just below it. The exact
     * error of the product decides, so that 1.005 (which is 1.00499...) is 1.00 to two places. */
    whole = round(product);
    if (fabs(product - trunc(product)) == 0.5 &&
        fma(number, powers[decimals], -product) * product < 0)
        whole = trunc(product);
    return whole / powers[decimals];
}
