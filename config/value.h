/* A typed value: what a tag holds. Plain data, passed by value, owns nothing. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

enum value_type {
    VALUE_NONE, /* no value: never read, or bad */
    VALUE_BOOL,
    VALUE_INT,   /* an unscaled integer */
    VALUE_FLOAT, /* anything else that is a number: scaled, or float32 */
};

struct value {
    enum value_type type;
    union {
        bool boolean;
        int64_t integer;
        double
            number; /* finite; the shortest decimal that the registers mean (20.1, not 20.10000038) */
    };
};

enum { VALUE_TEXT_MAX = 32 }; /* bytes that value_print needs at most, with the NUL */

struct value value_bool(bool boolean);
struct value value_int(int64_t integer);
struct value value_float(double number);

/* Same type and same value. Two VALUE_NONE are equal. */
bool value_equal(struct value a, struct value b);

/* The value as a number: false 0, true 1, none NAN. */
double value_number(struct value value);

/* Whether `now` must be reported when `last` was: |now - last| > deadband (engineering units), or
 * type or bool differ. A deadband of 0 reports every change. */
bool value_moved(struct value last, struct value now, double deadband);

/* Writes the value as the shortest JSON text that reads back the same ("true", "-12", "21.5", "1e+20";
 * VALUE_NONE: "null"); returns its length. */
size_t value_print(struct value value, char out[VALUE_TEXT_MAX]);

/* Writes a finite double the same way; returns the length. What is no integer of a twin (-2^52 to
 * 2^52 - 1, iot-hub.md section 4.5) has a point or an exponent, so that the hub takes it for a double. */
size_t value_print_number(double number, char out[VALUE_TEXT_MAX]);

/* The decimal value that a float32 means: the double whose shortest text is that of the float. */
double value_from_single(float single);

/* `number` rounded to `decimals` (0 to 15) decimal places, half away from zero, as the nearest double. */
double value_round(double number, int decimals);
