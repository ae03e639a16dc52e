/* config/keys: where keys may stand, and what is said about a wrong one. */
#include "config/keys.h"

#include "tests/unit/fake_config_adapter.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct config_key second_keys[] = {
    { "topic", CONFIG_TAG, CONFIG_TEXT, 0, 0, NULL },
    { NULL, 0, CONFIG_ANY, 0, 0, NULL },
};
static const char *const second_transports[] = { "second", NULL };
static const struct config_adapter second_adapter = { "second", second_transports, second_keys,
                                                      NULL };
static const struct config_adapter *const two_adapters[] = { &fake_adapter, &second_adapter, NULL };

static const struct keys all = { two_adapters, NULL };
static const struct keys only_fake = { two_adapters, &fake_adapter };

/* What is said about the members of an object; "" when nothing. To be freed. */
static char *said_about(const struct keys *keys, unsigned level, const char *json)
{
    struct config_errors *errors = config_errors_new();
    cJSON *object = cJSON_Parse(json);
    size_t size, prefix = strlen("mapping file: ");
    char *said;
    FILE *stream = open_memstream(&said, &size);

    assert_non_null(object);
    keys_check(keys, level, object, errors);
    config_errors_print(errors, stream);
    fclose(stream);
    if (size > 0) {
        memmove(said, said + prefix, size - prefix);
        said[size - prefix - 1] = 0;
    }
    config_errors_free(errors);
    cJSON_Delete(object);
    return said;
}

static void keys_find_knows_the_levels_of_the_mapping_file(void **state)
{
    static const struct {
        const char *name;
        unsigned levels;
    } cases[] = {
        { "state", CONFIG_FILE },
        { "address_base", CONFIG_FILE },
        { "writes", CONFIG_FILE },
        { "host_name", CONFIG_HUB },
        { "token_lifetime", CONFIG_HUB },
        { "listen", CONFIG_STATUS },
        { "transport", CONFIG_CONNECTION },
        { "enabled", CONFIG_LINE },
        { "unit_id", CONFIG_DEVICE },
        { "module", CONFIG_DEVICE },
        { "tags", CONFIG_TEMPLATE | CONFIG_DEVICE },
        { "poll_interval", CONFIG_ANYWHERE },
        { "report", CONFIG_ANYWHERE },
        { "deadband", CONFIG_ANYWHERE },
        { "min_interval", CONFIG_ANYWHERE },
        { "max_silence", CONFIG_ANYWHERE },
        { "stale_after", CONFIG_ANYWHERE },
        { "on_start", CONFIG_ANYWHERE },
        { "access", CONFIG_TAG },
        { "write_deadline", CONFIG_TAG },
        { "components", CONFIG_MODULE },
        { "connection_string_file", CONFIG_MODULE },
        { "device_id", CONFIG_HUB | CONFIG_MODULE },
        { "devices", CONFIG_FILE | CONFIG_MODULE },
        /* the adapters' */
        { "host", CONFIG_CONNECTION },
        { "port", CONFIG_CONNECTION | CONFIG_HUB },
        { "byte_order", CONFIG_ANYWHERE },
        { "topic", CONFIG_TAG },
        { "no_such_key", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned level = CONFIG_FILE; level <= CONFIG_MODULE; level <<= 1) {
            const struct config_key *key = keys_find(&all, level, cases[i].name);

            assert_int_equal(key != NULL, (cases[i].levels & level) != 0);
        }
    }
    assert_null(keys_find(&only_fake, CONFIG_TAG, "topic"));
    assert_non_null(keys_find(&only_fake, CONFIG_TAG, "address"));
}

static void keys_check_of_a_wrong_key_says_what_it_should_have_been(void **state)
{
    static const struct {
        unsigned level;
        const char *json, *said;
    } cases[] = {
        /* other products, and other cases */
        { CONFIG_DEVICE, "{\"slave_id\": 1}", "unknown key, write \"unit_id\"" },
        { CONFIG_DEVICE, "{\"slaveId\": 1}", "unknown key, write \"unit_id\"" },
        { CONFIG_DEVICE, "{\"UnitId\": 1}", "unknown key, write \"unit_id\"" },
        { CONFIG_DEVICE, "{\"unit\": 1}", "unknown key, write \"unit_id\"" },
        { CONFIG_DEVICE, "{\"HwId\": 1}", "unknown key, write \"unit_id\"" },
        { CONFIG_DEVICE, "{\"registers\": {}}", "unknown key, write \"tags\"" },
        { CONFIG_DEVICE, "{\"profile\": \"x\"}", "unknown key, write \"template\"" },
        { CONFIG_TAG, "{\"register\": 1}", "unknown key, write \"address\"" },
        { CONFIG_TAG, "{\"StartAddress\": 1}", "unknown key, write \"address\"" },
        { CONFIG_TAG, "{\"data_type\": \"x\"}", "unknown key, write \"type\"" },
        { CONFIG_TAG, "{\"multiplier\": 1}", "unknown key, write \"scale\"" },
        { CONFIG_TAG, "{\"wordOrder\": 1}", "unknown key, write \"byte_order\"" },
        { CONFIG_TAG, "{\"maximum\": 1}", "unknown key, write \"max\"" },
        { CONFIG_CONNECTION, "{\"ip\": \"x\"}", "unknown key, write \"host\"" },
        { CONFIG_CONNECTION, "{\"hostname\": \"x\"}", "unknown key, write \"host\"" },
        { CONFIG_CONNECTION, "{\"timeout\": 1}", "unknown key, write \"response_timeout\"" },
        { CONFIG_HUB, "{\"hostname\": \"x\"}", "unknown key, write \"host_name\"" },
        { CONFIG_HUB, "{\"host\": \"x\"}", "unknown key, write \"host_name\"" },
        { CONFIG_TEMPLATE, "{\"scan_rate\": 1}", "unknown key, write \"poll_interval\"" },
        { CONFIG_TEMPLATE, "{\"interval\": 1}", "unknown key, write \"poll_interval\"" },
        { CONFIG_TEMPLATE, "{\"pollPeriod\": 1}", "unknown key, write \"poll_interval\"" },
        { CONFIG_TEMPLATE, "{\"poll-interval\": 1}", "unknown key, write \"poll_interval\"" },
        { CONFIG_FILE, "{\"slaves\": {}}", "unknown key, write \"devices\"" },
        { CONFIG_MODULE, "{\"device\": {}}", "unknown key, write \"devices\"" },
        { CONFIG_STATUS, "{\"port\": 80}", "unknown key, write \"listen\"" },
        /* at the wrong level */
        { CONFIG_TAG, "{\"unit_id\": 1}", "stands in a tag, but belongs to a device: move it" },
        { CONFIG_DEVICE, "{\"host\": 1}",
          "stands in a device, but belongs to a connection: move it" },
        { CONFIG_FILE, "{\"enabled\": true}",
          "stands in the file, but belongs to a connection, a template or a device: move it" },
        { CONFIG_CONNECTION, "{\"listen\": 1}",
          "stands in a connection, but belongs to \"status\": move it" },
        /* slips */
        { CONFIG_TAG, "{\"adress\": 1}", "unknown key, did you mean \"address\"?" },
        { CONFIG_TAG, "{\"acces\": 1}", "unknown key, did you mean \"access\"?" },
        { CONFIG_FILE, "{\"conections\": 1}", "unknown key, did you mean \"connections\"?" },
        { CONFIG_TAG, "{\"poll_intervall\": 1}", "unknown key, did you mean \"poll_interval\"?" },
        { CONFIG_TAG, "{\"slave_id\": 1}",
          "unknown key, did you mean \"unit_id\", which belongs to a device?" },
        { CONFIG_TAG, "{\"transprot\": 1}",
          "unknown key, did you mean \"transport\", which belongs to a connection?" },
        /* nothing like it */
        { CONFIG_STATUS, "{\"frobnicate\": 1}",
          "unknown key, remove it; the keys of \"status\" are listen" },
        { CONFIG_MODULE, "{\"frobnicate\": 1}",
          "unknown key, remove it; the keys of a module are devices, device_id, "
          "connection_string_file, components" },
        { CONFIG_STATUS, "{\"\": 1}", "unknown key, remove it; the keys of \"status\" are listen" },
        { CONFIG_STATUS, "{\"$$\": 1}",
          "unknown key, remove it; the keys of \"status\" are listen" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *said = said_about(&all, cases[i].level, cases[i].json);

        assert_string_equal(said, cases[i].said);
        free(said);
    }
}

static void keys_check_of_another_adapters_key_says_so(void **state)
{
    char *said = said_about(&only_fake, CONFIG_TAG, "{\"topic\": \"x\"}");

    (void)state;
    assert_string_equal(said, "is no key of this transport, remove it");
    free(said);
}

static void keys_check_of_right_keys_is_silent(void **state)
{
    static const struct {
        unsigned level;
        const char *json;
    } cases[] = {
        { CONFIG_TAG, "{\"address\": 5, \"type\": \"int16\", \"unit\": \"\", \"access\": \"rw\", "
                      "\"description\": \"\", \"poll_interval\": \"1s\", \"byte_order\": \"x\"}" },
        { CONFIG_DEVICE, "{\"connection\": \"a\", \"unit_id\": 0, \"module\": null, "
                         "\"enabled\": false, \"deadband\": 0.5}" },
        { CONFIG_FILE, "{\"state\": \"x\", \"address_base\": 1, \"writes\": \"forbid\"}" },
        { CONFIG_HUB, "{}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *said = said_about(&all, cases[i].level, cases[i].json);

        assert_string_equal(said, "");
        free(said);
    }
}

static void keys_check_of_a_text_that_is_none_says_so(void **state)
{
    char *said = said_about(&all, CONFIG_TAG, "{\"unit\": 5}");

    (void)state;
    assert_string_equal(said, "is no text, write one in double quotes");
    free(said);
}

static void keys_is_secret_by_key_or_by_value(void **state)
{
    static const struct {
        const char *json;
        bool secret;
    } cases[] = {
        { "{\"connection_string\": \"x\"}", true },
        { "{\"connectionString\": \"x\"}", true },
        { "{\"SharedAccessKey\": \"x\"}", true },
        { "{\"shared_access_key\": \"x\"}", true },
        { "{\"password\": \"x\"}", true },
        { "{\"primary_key\": \"x\"}", true },
        { "{\"state\": \"HostName=h;DeviceId=d;SharedAccessKey=k\"}", true },
        { "{\"state\": \"SharedAccessSignature sr=h&sig=x\"}", true },
        { "{\"connection_string_file\": \"x\"}", false },
        { "{\"password\": {}}", false }, /* a tag may be called so */
        { "{\"host\": \"x\"}", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *object = cJSON_Parse(cases[i].json);
        struct config_errors *errors = config_errors_new();

        assert_int_equal(keys_is_secret(object->child), cases[i].secret);
        keys_check_secrets(object, errors);
        assert_int_equal(config_errors_count(errors), cases[i].secret);
        config_errors_free(errors);
        cJSON_Delete(object);
    }
}

static void keys_check_says_nothing_of_a_secret_twice(void **state)
{
    char *said = said_about(&all, CONFIG_HUB, "{\"password\": \"x\", \"port\": \"HostName=h\"}");

    (void)state;
    assert_string_equal(said, "");
    free(said);
}

static void keys_spellings_are_folded_and_lead_to_names_of_ours(void **state)
{
    (void)state;
    for (const struct keys_spelling *s = keys_spellings; s->theirs != NULL; s++) {
        for (const char *at = s->theirs; *at != 0; at++)
            assert_true((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9'));
        assert_true(strcmp(s->theirs, s->ours) != 0);
        for (const struct keys_spelling *other = keys_spellings; other != s; other++)
            assert_false(strcmp(other->theirs, s->theirs) == 0 &&
                         strcmp(other->ours, s->ours) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_find_knows_the_levels_of_the_mapping_file),
        cmocka_unit_test(keys_check_of_a_wrong_key_says_what_it_should_have_been),
        cmocka_unit_test(keys_check_of_another_adapters_key_says_so),
        cmocka_unit_test(keys_check_of_right_keys_is_silent),
        cmocka_unit_test(keys_check_of_a_text_that_is_none_says_so),
        cmocka_unit_test(keys_is_secret_by_key_or_by_value),
        cmocka_unit_test(keys_check_says_nothing_of_a_secret_twice),
        cmocka_unit_test(keys_spellings_are_folded_and_lead_to_names_of_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
