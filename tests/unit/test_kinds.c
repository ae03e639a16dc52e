/* config/kinds: does a node fit its key, and what is said when not. */
#include "config/kinds.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const choices[] = { "r", "rw", "w", NULL };

static const struct config_key boolean = { "k", CONFIG_TAG, CONFIG_BOOL, 0, 0, NULL };
static const struct config_key port = { "k", CONFIG_TAG, CONFIG_INTEGER, 1, 65535, NULL };
static const struct config_key any_integer = { "k", CONFIG_TAG, CONFIG_INTEGER, 0, 0, NULL };
static const struct config_key number = { "k", CONFIG_TAG, CONFIG_NUMBER, 0, 0, NULL };
static const struct config_key deadband = { "k", CONFIG_TAG, CONFIG_NUMBER, 0, INFINITY, NULL };
static const struct config_key text = { "k", CONFIG_TAG, CONFIG_TEXT, 0, 0, NULL };
static const struct config_key duration = { "k", CONFIG_TAG, CONFIG_DURATION, 10, 86400000, NULL };
static const struct config_key any_duration = { "k", CONFIG_TAG, CONFIG_DURATION, 0, 0, NULL };
static const struct config_key never = { "k", CONFIG_TAG, CONFIG_NEVER, 1000, 60000, NULL };
static const struct config_key choice = { "k", CONFIG_TAG, CONFIG_CHOICE, 0, 0, choices };
static const struct config_key any = { "k", CONFIG_TAG, CONFIG_ANY, 0, 0, NULL };

/* What is said about a value; "" when it fits. To be freed. */
static char *said_about(const struct config_key *key, const char *json)
{
    struct config_errors *errors = config_errors_new();
    cJSON *node = cJSON_Parse(json);
    size_t size;
    char *said;
    FILE *stream = open_memstream(&said, &size);
    const char *prefix = "mapping file: ";

    assert_non_null(node);
    kind_check(key, node, errors);
    config_errors_print(errors, stream);
    fclose(stream);
    assert_int_equal(config_errors_count(errors), size > 0);
    if (size > 0) {
        memmove(said, said + strlen(prefix), size - strlen(prefix));
        said[size - strlen(prefix) - 1] = 0;
    }
    config_errors_free(errors);
    cJSON_Delete(node);
    return said;
}

static bool fits(const struct config_key *key, const char *json)
{
    cJSON *node = cJSON_Parse(json);
    bool result = kind_fits(key, node);

    cJSON_Delete(node);
    return result;
}

static void kind_fits_takes_what_the_key_wants(void **state)
{
    const struct {
        const struct config_key *key;
        const char *json;
    } cases[] = {
        { &boolean, "true" },    { &boolean, "false" },       { &port, "1" },
        { &port, "65535" },      { &port, "502.0" },          { &any_integer, "-7" },
        { &any_integer, "1e6" }, { &number, "-0.5" },         { &deadband, "0" },
        { &deadband, "1e300" },  { &text, "\"x\"" },          { &duration, "\"10ms\"" },
        { &duration, "\"1d\"" }, { &any_duration, "\"0s\"" }, { &never, "\"never\"" },
        { &never, "\"60s\"" },   { &choice, "\"rw\"" },       { &any, "null" },
        { &any, "{}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *said = said_about(cases[i].key, cases[i].json);

        assert_true(fits(cases[i].key, cases[i].json));
        assert_string_equal(said, "");
        free(said);
    }
}

static void kind_check_of_a_misfit_says_what_it_is_and_what_to_write(void **state)
{
    const struct {
        const struct config_key *key;
        const char *json, *said;
    } cases[] = {
        { &boolean, "1", "is 1, write true or false" },
        { &boolean, "\"true\"", "is \"true\" in quotes, write true without them" },
        { &boolean, "\"yes\"", "is \"yes\", write true or false" },
        { &boolean, "null", "is null, write true or false" },
        { &port, "0", "is 0, write a whole number from 1 to 65535" },
        { &port, "65536", "is 65536, write a whole number from 1 to 65535" },
        { &port, "502.5", "is 502.5, write a whole number from 1 to 65535" },
        { &port, "\"502\"", "is \"502\" in quotes, write 502 without them" },
        { &port, "\"70000\"", "is \"70000\", write a whole number from 1 to 65535" },
        { &port, "\"\"", "is \"\", write a whole number from 1 to 65535" },
        { &port, "true", "is true, write a whole number from 1 to 65535" },
        { &any_integer, "1e300", "is 1e+300, write a whole number" },
        { &number, "1e999", "is too large a number, write a number" },
        { &number, "\"0.1\"", "is \"0.1\" in quotes, write 0.1 without them" },
        { &number, "[1]", "is a list, write a number" },
        { &deadband, "-0.1", "is -0.1, write a number of 0 or more" },
        { &text, "\"\"", "is \"\", write a text that is not empty" },
        { &text, "{}", "is an object, write a text that is not empty" },
        { &duration, "500", "is 500 without a unit, write \"500ms\" or \"500s\"" },
        { &duration, "\"500\"",
          "is \"500\", write a whole number with its unit, from \"10ms\" to \"1d\"" },
        { &duration, "\"1ms\"",
          "is \"1ms\", write a whole number with its unit, from \"10ms\" to \"1d\"" },
        { &duration, "\"never\"",
          "is \"never\", write a whole number with its unit, from \"10ms\" to \"1d\"" },
        { &duration, "-1", "is -1, write a whole number with its unit, from \"10ms\" to \"1d\"" },
        { &any_duration, "\"1h30m\"",
          "is \"1h30m\", write a whole number with its unit, such as \"500ms\", \"10s\", \"5m\", "
          "\"1h\"" },
        { &never, "\"0s\"",
          "is \"0s\", write a whole number with its unit, from \"1s\" to \"1m\", or \"never\"" },
        { &choice, "\"RW\"", "is \"RW\", write \"r\", \"rw\" or \"w\"" },
        { &choice, "3", "is 3, write \"r\", \"rw\" or \"w\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *said = said_about(cases[i].key, cases[i].json);

        assert_false(fits(cases[i].key, cases[i].json));
        assert_string_equal(said, cases[i].said);
        free(said);
    }
}

static void kind_fits_never_takes_a_secret_and_kind_check_leaves_it_to_others(void **state)
{
    const char *secret = "\"HostName=h;DeviceId=d;SharedAccessKey=QUJD\"";
    char *said = said_about(&choice, secret);

    (void)state;
    assert_false(fits(&text, secret));
    assert_false(fits(&any, secret));
    assert_string_equal(said, "");
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kind_fits_takes_what_the_key_wants),
        cmocka_unit_test(kind_check_of_a_misfit_says_what_it_is_and_what_to_write),
        cmocka_unit_test(kind_fits_never_takes_a_secret_and_kind_check_leaves_it_to_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
