/* config/config and what it is built of: a mapping file becomes structs; what adapters ask of it. */
#include "config/config.h"

#include "tests/unit/fake_config_adapter.h"
#include "tests/unit/mapping_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HUB    "'hub': { 'host_name': 'h.azure-devices.net', 'device_id': 'gw' },\n"
#define LINE   "'connections': { 'a': { 'transport': 'fake' } },\n"
#define DEVICE "'devices': { 'd': { 'connection': 'a', 'tags': { 't': { 'address': 0 } } } }"

static const char whole[] =
    "{\n"
    "'hub': { 'host_name': 'h.azure-devices.net', 'device_id': 'gw', 'port': 8443,\n"
    "  'credentials': 'secrets', 'ca_file': '/etc/ca.pem', 'token_lifetime': '10m',\n"
    "  'keepalive': '30s' },\n"
    "'status': { 'listen': '[::1]:0' },\n"
    "'state': 'var/state', 'writes': 'forbid', 'poll_interval': '7s', 'deadband': 0.5,\n"
    "'connections': {\n"
    "  'plant': { 'transport': 'fake', 'host': 'plc', 'report': 'none' },\n"
    "  'annex': { 'transport': 'fake_serial', 'enabled': false, 'poll_interval': '6s' } },\n"
    "'templates': { 'boiler': { 'poll_interval': '5s', 'min_interval': '2s', 'tags': {\n"
    "  'temperature': { 'address': 1, 'unit': 'degC', 'poll_interval': '4s', 'scale': 0.10 },\n"
    "  'setpoint': { 'address': 2, 'access': 'rw', 'min': 5, 'max': 35, 'step': 0.5,\n"
    "    'description': 'wanted', 'verify': false, 'write_deadline': '1m' },\n"
    "  'pump': { 'address': 3, 'access': 'w', 'write_once': true, 'on_start': 'skip' } } } },\n"
    "'devices': {\n"
    "  'b1': { 'connection': 'plant', 'unit_id': 7, 'template': 'boiler', 'description': 'left' "
    "},\n"
    "  'b2': { 'connection': 'annex', 'template': 'boiler', 'poll_interval': '3s', 'tags': {\n"
    "    'setpoint': { 'max': 30, 'on_start': 'apply' }, 'pump': null,\n"
    "    'extra': { 'address': 9, 'report': 'change', 'max_silence': '1h' } } },\n"
    "  'b3': { 'connection': 'plant', 'tags': { 'only': { 'address': 1 } }, 'module': null },\n"
    "  'b4': { 'connection': 'plant', 'enabled': false, 'tags': { 'only': { 'address': 1 } } }\n"
    "},\n"
    "'modules': {\n"
    "  'heating': { 'devices': ['b2', 'b1'], 'components': true },\n"
    "  'b4': { 'device_id': 'other', 'connection_string_file': 'keys/b4' } }\n"
    "}\n";

static void config_load_of_a_whole_mapping_fills_hub_and_status(void **state)
{
    struct mapping mapping;
    char want[128];

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);

    assert_string_equal(mapping.said, "");
    assert_int_equal(mapping.rc, 0);
    assert_string_equal(mapping.config->path, mapping.path);
    assert_string_equal(mapping.config->name, "gw");
    assert_string_equal(mapping.config->hub.host_name, "h.azure-devices.net");
    assert_string_equal(mapping.config->hub.device_id, "gw");
    assert_int_equal(mapping.config->hub.port, 8443);
    assert_int_equal(mapping.config->hub.token_lifetime_ms, 600000);
    assert_int_equal(mapping.config->hub.keepalive_ms, 30000);
    assert_string_equal(mapping.config->hub.ca_file, "/etc/ca.pem");
    snprintf(want, sizeof want, "%s/secrets", mapping.folder);
    assert_string_equal(mapping.config->hub.credentials, want);
    snprintf(want, sizeof want, "%s/var/state", mapping.folder);
    assert_string_equal(mapping.config->state, want);
    assert_string_equal(mapping.config->status_listen, "[::1]:0");
    assert_false(mapping.config->writes);
    mapping_free(&mapping);
}

static void config_load_of_a_whole_mapping_fills_connections_and_devices(void **state)
{
    struct mapping mapping;
    const struct config *config;

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);
    config = mapping.config;

    assert_int_equal(config->connection_count, 2);
    assert_string_equal(config->connections[0].name, "plant");
    assert_string_equal(config->connections[0].transport, "fake");
    assert_ptr_equal(config->connections[0].adapter, &fake_adapter);
    assert_true(config->connections[0].enabled);
    assert_false(config->connections[1].enabled);
    assert_int_equal(config->connections[0].device_count, 3);
    assert_int_equal(config->connections[0].devices[0], 0);
    assert_int_equal(config->connections[0].devices[1], 2);
    assert_int_equal(config->connections[0].devices[2], 3);
    assert_int_equal(config->connections[1].device_count, 1);
    assert_int_equal(config->connections[1].devices[0], 1);

    assert_int_equal(config->device_count, 4);
    assert_string_equal(config->devices[0].name, "b1");
    assert_string_equal(config->devices[0].description, "left");
    assert_int_equal(config->devices[0].unit_id, 7);
    assert_int_equal(config->devices[1].unit_id, -1);
    assert_true(config->devices[0].enabled);
    assert_false(config->devices[1].enabled); /* its connection is not */
    assert_false(config->devices[3].enabled);
    mapping_free(&mapping);
}

static void config_load_merges_a_devices_tags_over_the_templates(void **state)
{
    struct mapping mapping;
    const struct config_device *b1, *b2;

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);
    b1 = &mapping.config->devices[0];
    b2 = &mapping.config->devices[1];

    assert_int_equal(b1->tag_count, 3);
    assert_int_equal(b2->tag_count, 3);
    assert_string_equal(b2->tags[0].name, "temperature");
    assert_string_equal(b2->tags[1].name, "setpoint");
    assert_string_equal(b2->tags[2].name, "extra");
    assert_int_equal(config_find_tag(b2, "pump"), SIZE_MAX);
    assert_int_equal(config_find_tag(b2, "extra"), 2);
    assert_true(b1->tags[1].max == 35);
    assert_true(b2->tags[1].max == 30);
    assert_true(b2->tags[1].min == 5);
    assert_int_equal(b2->tags[1].access, CONFIG_READ_WRITE);
    assert_int_equal(b1->tags[1].on_start, CONFIG_START_CHANGED);
    assert_int_equal(b2->tags[1].on_start, CONFIG_START_APPLY);
    mapping_free(&mapping);
}

static void config_load_resolves_tag_device_template_connection_file(void **state)
{
    static const struct {
        size_t device;
        const char *tag;
        uint32_t poll_interval_ms;
        enum config_report report;
    } cases[] = {
        { 0, "temperature", 4000, CONFIG_REPORT_NONE }, /* tag; connection */
        { 0, "setpoint", 5000, CONFIG_REPORT_NONE },    /* template */
        { 1, "temperature", 4000, CONFIG_REPORT_CHANGE },
        { 1, "setpoint", 3000, CONFIG_REPORT_CHANGE }, /* device; default */
        { 1, "extra", 3000, CONFIG_REPORT_CHANGE },
        { 2, "only", 7000, CONFIG_REPORT_NONE }, /* file */
    };
    struct mapping mapping;

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct config_device *device = &mapping.config->devices[cases[i].device];
        const struct config_tag *tag = &device->tags[config_find_tag(device, cases[i].tag)];

        assert_int_equal(tag->poll_interval_ms, cases[i].poll_interval_ms);
        assert_int_equal(tag->stale_after_ms, 3 * cases[i].poll_interval_ms);
        assert_int_equal(tag->report, cases[i].report);
        assert_true(tag->deadband == 0.5);
    }
    mapping_free(&mapping);
}

static void config_load_fills_what_is_said_about_a_tag(void **state)
{
    struct mapping mapping;
    const struct config_tag *temperature, *setpoint, *pump, *extra;

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);
    temperature = &mapping.config->devices[0].tags[0];
    setpoint = &mapping.config->devices[0].tags[1];
    pump = &mapping.config->devices[0].tags[2];
    extra = &mapping.config->devices[1].tags[2];

    assert_string_equal(temperature->unit, "degC");
    assert_string_equal(temperature->description, ""); /* the device's is not its */
    assert_int_equal(temperature->access, CONFIG_READ);
    assert_true(isnan(temperature->min) && isnan(temperature->max));
    assert_true(temperature->verify);
    assert_int_equal(temperature->type, VALUE_FLOAT); /* set by the adapter */
    assert_string_equal(setpoint->description, "wanted");
    assert_true(setpoint->step == 0.5);
    assert_false(setpoint->verify);
    assert_int_equal(setpoint->write_deadline_ms, 60000);
    assert_int_equal(setpoint->min_interval_ms, 2000);
    assert_int_equal(pump->access, CONFIG_WRITE);
    assert_true(pump->write_once);
    assert_int_equal(pump->on_start, CONFIG_START_SKIP);
    assert_int_equal(extra->max_silence_ms, 3600000);
    assert_int_equal(temperature->max_silence_ms, 0);
    mapping_free(&mapping);
}

static void config_load_gives_each_device_its_module(void **state)
{
    struct mapping mapping;
    const struct config *config;
    char file[128];

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);
    config = mapping.config;

    assert_int_equal(config->module_count, 2);
    assert_string_equal(config->modules[0].name, "heating");
    assert_string_equal(config->modules[0].device_id, "gw");
    assert_null(config->modules[0].connection_string_file);
    assert_true(config->modules[0].components);
    assert_int_equal(config->modules[0].device_count, 2);
    assert_int_equal(config->modules[0].devices[0], 1);
    assert_int_equal(config->modules[0].devices[1], 0);
    assert_string_equal(config->modules[1].name, "b4");
    assert_string_equal(config->modules[1].device_id, "other");
    snprintf(file, sizeof file, "%s/keys/b4", mapping.folder);
    assert_string_equal(config->modules[1].connection_string_file, file);
    assert_int_equal(config->modules[1].device_count, 1);
    assert_int_equal(config->modules[1].devices[0], 3);
    assert_int_equal(config->devices[0].module, 0);
    assert_int_equal(config->devices[1].module, 0);
    assert_int_equal(config->devices[2].module, CONFIG_NO_MODULE);
    assert_int_equal(config->devices[3].module, 1);
    mapping_free(&mapping);
}

static void config_load_of_the_least_mapping_takes_the_defaults(void **state)
{
    struct mapping mapping;
    const struct config_tag *tag;

    (void)state;
    unsetenv("STATE_DIRECTORY");
    mapping_load(&mapping, "{" HUB LINE DEVICE "}", fake_adapters);

    assert_string_equal(mapping.said, "");
    assert_int_equal(mapping.config->hub.port, 443);
    assert_string_equal(mapping.config->hub.credentials, "/etc/twinbridge/credentials");
    assert_string_equal(mapping.config->hub.ca_file, "/etc/ssl/certs/ca-certificates.crt");
    assert_int_equal(mapping.config->hub.token_lifetime_ms, 3600000);
    assert_int_equal(mapping.config->hub.keepalive_ms, 60000);
    assert_string_equal(mapping.config->state, "/var/lib/twinbridge");
    assert_string_equal(mapping.config->status_listen, "127.0.0.1:8080");
    assert_true(mapping.config->writes);
    assert_int_equal(mapping.config->module_count, 1);
    assert_string_equal(mapping.config->modules[0].name, "d");
    assert_false(mapping.config->modules[0].components);
    tag = &mapping.config->devices[0].tags[0];
    assert_int_equal(tag->poll_interval_ms, 1000);
    assert_int_equal(tag->stale_after_ms, 3000);
    assert_int_equal(tag->min_interval_ms, 0);
    assert_int_equal(tag->write_deadline_ms, 0);
    assert_true(tag->deadband == 0);
    assert_true(tag->step == 0);
    assert_false(tag->write_once);
    assert_int_equal(tag->report, CONFIG_REPORT_CHANGE);
    assert_int_equal(tag->on_start, CONFIG_START_CHANGED);
    mapping_free(&mapping);
}

static void config_load_takes_the_state_folder_of_systemd(void **state)
{
    struct mapping mapping;

    (void)state;
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    mapping_load(&mapping, "{" HUB LINE DEVICE "}", fake_adapters);
    unsetenv("STATE_DIRECTORY");

    assert_string_equal(mapping.config->state, "/var/lib/one");
    mapping_free(&mapping);
}

static void config_load_of_a_path_without_a_folder_is_relative_to_here(void **state)
{
    struct config_errors *errors = config_errors_new();
    struct config *config = NULL;
    struct mapping mapping;
    char here[256], want[128];

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(mapping.folder), 0);

    assert_int_equal(config_load(&config, "mapping.json", fake_adapters, errors), 0);

    assert_int_equal(chdir(here), 0);
    snprintf(want, sizeof want, "%s/secrets", mapping.folder);
    assert_string_equal(config->hub.credentials, want);
    assert_string_equal(config->path, "mapping.json");
    config_free(config);
    config_errors_free(errors);
    mapping_free(&mapping);
}

static void config_load_cut_at_every_byte_never_succeeds(void **state)
{
    (void)state;
    for (size_t length = 0; length + 2 < sizeof whole; length += length < 40 ? 1 : 7) {
        char *text = strndup(whole, length);
        struct mapping mapping;

        mapping_load(&mapping, text, fake_adapters);
        assert_int_equal(mapping.rc, -EINVAL);
        assert_true(config_errors_count(mapping.errors) > 0);
        mapping_free(&mapping);
        free(text);
    }
}

/* Every value of a good mapping replaced by something else: told or taken, never a crash. */
static void config_load_with_any_value_replaced_never_crashes(void **state)
{
    static const char *const others[] = { "null", "0",  "-1.5e300",          "''",  "'x'", "[]",
                                          "[[]]", "{}", "{'a':{'tags':{}}}", "true" };

    (void)state;
    for (const char *at = strchr(whole, ':'); at != NULL; at = strchr(at + 1, ':')) {
        /* a colon inside a text is found too: the file is then no JSON, which is as good */
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            size_t before = (size_t)(at - whole) + 1;
            size_t value = strcspn(at + 1, ",}\n");
            char *text;
            struct mapping mapping;

            assert_true(
                asprintf(&text, "%.*s %s%s", (int)before, whole, others[i], at + 1 + value) > 0);
            mapping_load(&mapping, text, fake_adapters);
            assert_int_equal(mapping.rc == 0, config_errors_count(mapping.errors) == 0);
            mapping_free(&mapping);
            free(text);
        }
    }
}

/* ---- what adapters ask ---- */

static void config_tag_key_walks_the_whole_chain(void **state)
{
    struct mapping mapping;
    const struct config *config;

    (void)state;
    mapping_load(
        &mapping,
        "{" HUB "'address_base': 1, 'byte_order': 'file',\n"
        "'connections': { 'a': { 'transport': 'fake', 'byte_order': 'line', 'host': 'x',\n"
        "  'response_timeout': '2s' }, 'b': { 'transport': 'fake' } },\n"
        "'templates': { 'p': { 'byte_order': 'template', 'tags': {\n"
        "  't': { 'address': 1, 'byte_order': 'tag' }, 'u': { 'address': 2 } } },\n"
        "  'q': { 'tags': { 'u': { 'address': 3 } } } },\n"
        "'devices': {\n"
        "  'd0': { 'connection': 'a', 'template': 'p', 'tags': { 't': { 'byte_order': 'own' "
        "} } },\n"
        "  'd1': { 'connection': 'a', 'template': 'p', 'byte_order': 'device' },\n"
        "  'd2': { 'connection': 'a', 'template': 'q', 'response_timeout': '3s' },\n"
        "  'd3': { 'connection': 'b', 'template': 'q' } } }",
        fake_adapters);
    config = mapping.config;
    assert_string_equal(mapping.said, "");

#define ORDER(device, tag) config_text(config_tag_key(config, device, tag, "byte_order"), "none")
    assert_string_equal(ORDER(0, 0), "own");
    assert_string_equal(ORDER(0, 1), "template");
    assert_string_equal(ORDER(1, 0), "tag");
    assert_string_equal(ORDER(1, 1), "device");
    assert_string_equal(ORDER(2, 0), "line");
    assert_string_equal(ORDER(3, 0), "file");
#undef ORDER
    assert_true(config_number(config_tag_key(config, 0, 0, "address"), -1) == 1);
    assert_true(config_number(config_tag_key(config, 3, 0, "address_base"), 0) == 1);
    assert_int_equal(config_duration_ms(config_device_key(config, 1, "response_timeout"), 9), 2000);
    assert_int_equal(config_duration_ms(config_device_key(config, 2, "response_timeout"), 9), 3000);
    assert_int_equal(config_duration_ms(config_device_key(config, 3, "response_timeout"), 9), 9);
    assert_string_equal(config_text(config_connection_key(config, 0, "host"), ""), "x");
    assert_null(config_connection_key(config, 1, "host"));
    assert_null(config_tag_key(config, 0, 0, "no_such_key"));
    assert_non_null(config_tag_node(config, 0, 0));
    assert_string_equal(config_device_node(config, 2)->string, "d2");
    assert_string_equal(config_connection_node(config, 1)->string, "b");
    mapping_free(&mapping);
}

static void config_number_text_is_the_number_as_written(void **state)
{
    struct mapping mapping;
    const struct cJSON *scale;
    char out[8];

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);
    scale = config_tag_key(mapping.config, 0, 0, "scale");

    assert_true(config_number_text(mapping.config, scale, out, sizeof out));
    assert_string_equal(out, "0.10");
    assert_false(config_number_text(mapping.config, scale, out, 4));
    assert_false(config_number_text(mapping.config, NULL, out, sizeof out));
    assert_false(
        config_number_text(mapping.config, config_device_node(mapping.config, 0), out, sizeof out));
    mapping_free(&mapping);
}

static void config_find_device_finds_each_by_name(void **state)
{
    static const char *const names[] = { "b1", "b2", "b3", "b4", "b", "b5", "", "B1", "plant" };
    static const char *const jumbled[] = { "zeta", "alpha", "mu", "Beta", "9", "a-b", "a_b" };
    struct mapping mapping;
    char text[1024] = "{" HUB LINE "'devices': {";

    (void)state;
    mapping_load(&mapping, whole, fake_adapters);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(config_find_device(mapping.config, names[i]), i < 4 ? i : SIZE_MAX);
    assert_int_equal(config_find_tag(&mapping.config->devices[0], "pump"), 2);
    assert_int_equal(config_find_tag(&mapping.config->devices[0], "Pump"), SIZE_MAX);
    mapping_free(&mapping);

    for (size_t i = 0; i < sizeof jumbled / sizeof jumbled[0]; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "%s'%s': { 'connection': 'a', 'tags': { 't': { 'address': 0 } } }",
                 i == 0 ? "" : ",", jumbled[i]);
    snprintf(text + strlen(text), sizeof text - strlen(text), "} }");
    mapping_load(&mapping, text, fake_adapters);
    assert_string_equal(mapping.said, "");
    for (size_t i = 0; i < sizeof jumbled / sizeof jumbled[0]; i++)
        assert_int_equal(config_find_device(mapping.config, jumbled[i]), i);
    mapping_free(&mapping);
}

static void config_free_and_config_errors_free_take_null(void **state)
{
    (void)state;
    config_free(NULL);
    config_errors_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_load_of_a_whole_mapping_fills_hub_and_status),
        cmocka_unit_test(config_load_of_a_whole_mapping_fills_connections_and_devices),
        cmocka_unit_test(config_load_merges_a_devices_tags_over_the_templates),
        cmocka_unit_test(config_load_resolves_tag_device_template_connection_file),
        cmocka_unit_test(config_load_fills_what_is_said_about_a_tag),
        cmocka_unit_test(config_load_gives_each_device_its_module),
        cmocka_unit_test(config_load_of_the_least_mapping_takes_the_defaults),
        cmocka_unit_test(config_load_takes_the_state_folder_of_systemd),
        cmocka_unit_test(config_load_of_a_path_without_a_folder_is_relative_to_here),
        cmocka_unit_test(config_load_cut_at_every_byte_never_succeeds),
        cmocka_unit_test(config_load_with_any_value_replaced_never_crashes),
        cmocka_unit_test(config_tag_key_walks_the_whole_chain),
        cmocka_unit_test(config_number_text_is_the_number_as_written),
        cmocka_unit_test(config_find_device_finds_each_by_name),
        cmocka_unit_test(config_free_and_config_errors_free_take_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
