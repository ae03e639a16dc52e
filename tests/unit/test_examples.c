/* config/examples: every mapping file that ships is loaded with the real adapters, without a mistake and
 * without a warning; and every hint at another product's key leads to a key that exists. */
#include "adapters/adapter.h"
#include "config/keys.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void load(const char *path, struct config **out)
{
    struct config_errors *errors = config_errors_new();
    int rc;

    assert_non_null(errors);
    rc = config_load(out, path, adapters_config, errors);
    config_errors_print(errors, stderr);
    assert_int_equal(config_errors_count(errors), 0);
    assert_int_equal(config_warnings_count(errors), 0);
    assert_int_equal(rc, 0);
    config_errors_free(errors);
}

static void every_example_loads_without_a_warning(void **state)
{
    DIR *folder = opendir(EXAMPLES);
    const struct dirent *entry;
    size_t count = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        size_t length = strlen(entry->d_name);
        struct config *config = NULL;
        char path[1024];

        if (length < 5 || strcmp(entry->d_name + length - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", EXAMPLES, entry->d_name);
        load(path, &config);
        config_free(config);
        count++;
    }
    closedir(folder);
    assert_true(count >= 1);
}

static void demo_holds_what_the_demo_shows(void **state)
{
    static const char *const types[] = { "temperature", "setpoint", "pump", "alarm" };
    static const enum value_type want[] = { VALUE_FLOAT, VALUE_FLOAT, VALUE_BOOL, VALUE_BOOL };
    const struct config_device *boiler;
    struct config *config = NULL;

    (void)state;
    load(EXAMPLES "/demo.json", &config);

    assert_int_equal(config->connection_count, 2);
    assert_int_equal(config->device_count, 4);
    assert_int_equal(config->module_count, 3);
    assert_string_equal(config->modules[0].name, "heating");
    assert_int_equal(config->modules[0].device_count, 2);
    assert_string_equal(config->hub.host_name, "localhost");
    assert_string_equal(config->hub.credentials, EXAMPLES "/credentials");
    assert_string_equal(config->hub.ca_file, EXAMPLES "/ca.pem");
    assert_string_equal(config->state, EXAMPLES "/state");
    boiler = &config->devices[config_find_device(config, "boiler-8")];
    assert_int_equal(boiler->unit_id, 8);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t tag = config_find_tag(boiler, types[i]);

        assert_true(tag < boiler->tag_count);
        assert_int_equal(boiler->tags[tag].type, want[i]);
    }
    assert_true(boiler->tags[config_find_tag(boiler, "setpoint")].max == 30);
    assert_true(boiler->tags[config_find_tag(boiler, "setpoint")].raw_step == 0.1);
    config_free(config);
}

static void every_spelling_leads_to_a_key_that_exists(void **state)
{
    const struct keys keys = { adapters_config, NULL };

    (void)state;
    for (const struct keys_spelling *s = keys_spellings; s->theirs != NULL; s++) {
        if (keys_find(&keys, ~0u, s->ours) == NULL)
            print_error("\"%s\" is hinted at \"%s\", which is no key\n", s->theirs, s->ours);
        assert_non_null(keys_find(&keys, ~0u, s->ours));
    }
}

static void no_key_of_an_adapter_is_a_general_one_of_its_level(void **state)
{
    (void)state;
    for (size_t i = 0; adapters_config[i] != NULL; i++) {
        for (const struct config_key *own = adapters_config[i]->keys; own->name != NULL; own++) {
            for (const struct config_key *key = keys_general; key->name != NULL; key++)
                assert_false(strcmp(own->name, key->name) == 0 && (own->levels & key->levels) != 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_loads_without_a_warning),
        cmocka_unit_test(demo_holds_what_the_demo_shows),
        cmocka_unit_test(every_spelling_leads_to_a_key_that_exists),
        cmocka_unit_test(no_key_of_an_adapter_is_a_general_one_of_its_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
