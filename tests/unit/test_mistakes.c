/* config/config and what it is built of: every mistake of a mapping file is told, with line, column, path
 * and what to write. */
#include "config/config.h"

#include "tests/unit/fake_config_adapter.h"
#include "tests/unit/mapping_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HUB    "'hub': { 'host_name': 'h.azure-devices.net', 'device_id': 'gw' },\n"
#define LINE   "'connections': { 'a': { 'transport': 'fake' } },\n"
#define DEVICE "'devices': { 'd': { 'connection': 'a', 'tags': { 't': { 'address': 0 } } } }"

struct mistake_case {
    const char *text; /* single quotes stand for double ones */
    const char *said;
};

static void expect_mistakes(const struct mistake_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct mapping mapping;

        mapping_load(&mapping, cases[i].text, fake_adapters);
        assert_string_equal(mapping.said, cases[i].said);
        assert_int_equal(mapping.rc, -EINVAL);
        assert_null(mapping.config);
        assert_true(config_errors_count(mapping.errors) > 0);
        mapping_free(&mapping);
    }
}

static void config_load_of_a_wrong_file_says_so(void **state)
{
    static const struct mistake_case cases[] = {
        { "", "1:1: the file is empty, write an object with \"hub\", \"connections\" and "
              "\"devices\"\n" },
        { "[]", "1:1: a mapping file is an object, write { ... }\n" },
        { "{\n  'hub': {,}\n}", "2:11: expected a key in double quotes, not \",\"\n" },
        { "{}", "1:1: \"hub\" is missing, write \"hub\": { \"host_name\": "
                "\"NAME.azure-devices.net\", \"device_id\": \"gateway-01\" }\n"
                "1:1: \"connections\" is missing, write \"connections\": { \"NAME\": { "
                "\"transport\": ... } }\n"
                "1:1: \"devices\" is missing, write \"devices\": { \"NAME\": { \"connection\": ... "
                "} }\n" },
        { "{ 'hub': {}, 'connections': {}, 'devices': {} }",
          "1:3: hub: \"host_name\" is missing, write \"host_name\": \"NAME.azure-devices.net\"\n"
          "1:3: hub: \"device_id\" is missing, write \"device_id\": \"gateway-01\"\n"
          "1:14: connections: names no connection, write \"NAME\": { \"transport\": ... }\n"
          "1:33: devices: names no device, write \"NAME\": { \"connection\": ... }\n" },
        { "{ 'hub': 1, 'status': [], 'connections': null, 'devices': 'x', 'modules': true, "
          "'templates': 5 }",
          "1:10: hub: is 1, write an object { ... }\n"
          "1:23: status: is a list, write an object { ... }\n"
          "1:42: connections: is null, write an object { ... }\n"
          "1:59: devices: is \"x\", write an object { ... }\n"
          "1:75: modules: is true, write an object { ... }\n"
          "1:94: templates: is 5, write an object { ... }\n" },
    };

    (void)state;
    expect_mistakes(cases, sizeof cases / sizeof cases[0]);
}

static void config_load_of_wrong_settings_names_line_column_and_path(void **state)
{
    static const struct mistake_case cases[] = {
        { "{'hub': { 'host_name': 'https://h.net/', 'device_id': 'a/b', 'port': 0 },\n" LINE DEVICE
          "}",
          "1:24: hub.host_name: is \"https://h.net/\", but must be a host name alone, without "
          "https://, port or path: write \"h.net\"\n"
          "1:55: hub.device_id: is \"a/b\", but must be letters, digits and - : . % _ * ? ! ( ) , "
          "= @ ; $ ', 128 at most: write \"a-b\"\n"
          "1:70: hub.port: is 0, write a whole number from 1 to 65535\n" },
        { "{" HUB LINE DEVICE ",\n'writes': 'no', 'poll_intervall': '1s', 'address_base': 2 }",
          "4:11: writes: is \"no\", write \"allow\" or \"forbid\"\n"
          "4:17: poll_intervall: unknown key, did you mean \"poll_interval\"?\n"
          "4:57: address_base: is 2, write a whole number from 0 to 1\n" },
        { "{" HUB LINE DEVICE ",\n'status': { 'listen': '0.0.0.0:80' } }",
          "4:23: status.listen: is \"0.0.0.0:80\", but the status page is for this machine only: "
          "write \"127.0.0.1:8080\", or \"[::1]:8080\"\n" },
        { "{" HUB LINE DEVICE ",\n'status': { 'listen': '8080' } }",
          "4:23: status.listen: is \"8080\", but the status page is for this machine only: write "
          "\"127.0.0.1:8080\", or \"[::1]:8080\"\n" },
        { "{" HUB LINE DEVICE ",\n'state': 'a', 'state': 'b' }",
          "4:15: state: \"state\" stands here again, the first is at 4:1: remove one\n" },
    };

    (void)state;
    expect_mistakes(cases, sizeof cases / sizeof cases[0]);
}

static void config_load_of_wrong_connections_and_devices_hints_at_the_right_ones(void **state)
{
    static const struct mistake_case cases[] = {
        { "{" HUB "'connections': { 'a': { 'transport': 'udp' }, 'b c': { } },\n" DEVICE "}",
          "2:38: connections.a.transport: there is no transport \"udp\", write one of \"fake\", "
          "\"fake_serial\"\n"
          "2:47: connections[\"b c\"]: a connection's name is letters, digits, - and _, a letter "
          "or digit first, 128 at most: write \"b-c\"\n"
          "2:47: connections[\"b c\"]: \"transport\" is missing, write one of \"fake\", "
          "\"fake_serial\"\n"
          "2:47: warning: connections[\"b c\"]: no device uses this connection\n" },
        { "{" HUB "'connections': { 'plant': { 'transport': 'fake' }, 'annex': 5 },\n"
          "'devices': { 'd': { 'connection': 'plnt', 'tags': { 't': { 'address': 0 } } },\n"
          "'e': { 'connection': 'xyz', 'tags': { 't': { 'address': 0 } } },\n"
          "'f': { 'tags': { 't': { 'address': 0 } } } }}",
          "2:18: warning: connections.plant: no device uses this connection\n"
          "2:61: connections.annex: is 5, write an object { ... }\n"
          "3:35: devices.d.connection: there is no connection \"plnt\", did you mean \"plant\"?\n"
          "4:22: devices.e.connection: there is no connection \"xyz\", there are \"plant\", "
          "\"annex\"\n"
          "5:1: devices.f: \"connection\" is missing, write \"connection\": \"NAME\"\n" },
        { "{" HUB LINE "'templates': { 'boiler': { 'tags': { 't': { 'address': 0 } } } },\n"
          "'devices': { 'd': { 'connection': 'a', 'template': 'Boiler' } }}",
          "3:16: warning: templates.boiler: no device uses this template\n"
          "4:52: devices.d.template: there is no template \"Boiler\", did you mean \"boiler\"?\n" },
        { "{" HUB LINE "'devices': { 'd': { 'connection': 'a', 'slave_id': 5, 'unit_id': '5' } }}",
          "3:14: devices.d: has no tags, write \"template\" or \"tags\"\n"
          "3:40: devices.d.slave_id: unknown key, write \"unit_id\"\n"
          "3:66: devices.d.unit_id: is \"5\" in quotes, write 5 without them\n" },
    };

    (void)state;
    expect_mistakes(cases, sizeof cases / sizeof cases[0]);
}

#define TAGS(tags) "{" HUB LINE "'devices': { 'd': { 'connection': 'a', 'tags': {\n" tags "\n} } }}"

static void config_load_of_wrong_tags_names_the_key(void **state)
{
    static const struct mistake_case cases[] = {
        { TAGS("'t': { }"),
          "4:1: devices.d.tags.t: \"address\" is missing, write \"address\": 0\n" },
        { TAGS("'t': { 'address': 0, 'uint': 'x', 'unit_id': 5 }"),
          "4:22: devices.d.tags.t.uint: unknown key, did you mean \"unit\"?\n"
          "4:35: devices.d.tags.t.unit_id: stands in a tag, but belongs to a device: move it\n" },
        { TAGS("'health': { 'address': 0 }, '1st': { 'address': 0 }"),
          "4:1: devices.d.tags.health: \"health\" is the twin's own, give the tag another name\n"
          "4:29: devices.d.tags.1st: a tag's name is letters, digits, - and _, a letter first, 128 "
          "at most, and not \"health\": write \"st\"\n" },
        { TAGS("'t': { 'address': 0, 'access': 'rw', 'min': 5, 'max': 3 }"),
          "4:55: devices.d.tags.t.max: \"min\" 5 is above \"max\" 3, so nothing could be written: "
          "swap or correct them\n" },
        { TAGS("'t': { 'address': 0, 'access': 'rw', 'step': 0 }"),
          "4:46: devices.d.tags.t.step: is 0, write a number above 0\n" },
        { TAGS("'t': { 'address': 0, 'min': 1, 'max': 2, 'write_once': true }"),
          "4:22: devices.d.tags.t.min: is about writing, but the tag is read-only: write "
          "\"access\": \"rw\", or remove it\n"
          "4:32: devices.d.tags.t.max: is about writing, but the tag is read-only: write "
          "\"access\": \"rw\", or remove it\n"
          "4:42: devices.d.tags.t.write_once: is about writing, but the tag is read-only: write "
          "\"access\": \"rw\", or remove it\n" },
        { TAGS("'t': { 'address': 0, 'poll_interval': '10s', 'stale_after': '5s' }"),
          "4:61: devices.d.tags.t.stale_after: is \"5s\", shorter than the poll_interval \"10s\": "
          "every value would be stale before the next; write 3 polls or more\n" },
        { TAGS("'t': { 'address': 0, 'min_interval': '10s', 'max_silence': '5s' }"),
          "4:60: devices.d.tags.t.max_silence: \"max_silence\" \"5s\" is shorter than "
          "\"min_interval\" \"10s\": make it longer\n" },
        { TAGS("'t': { 'address': 0 }, 'u': null, 'v': 5, 't': { 'address': 1 }"),
          "4:29: devices.d.tags.u: is null, which removes a tag of the device's template, but "
          "there is none: remove this line\n"
          "4:40: devices.d.tags.v: is 5, write an object { ... }\n"
          "4:43: devices.d.tags.t: \"t\" stands here again, the first is at 4:1: remove one\n" },
    };

    (void)state;
    expect_mistakes(cases, sizeof cases / sizeof cases[0]);
}

#define TEMPLATE(template, devices)                                                                \
    "{" HUB LINE "'templates': { 'b': {\n" template "\n} },\n'devices': {\n" devices "\n}}"

static void config_load_tells_a_templates_mistake_once_and_where_it_stands(void **state)
{
    static const struct mistake_case cases[] = {
        { TEMPLATE("'tags': { 't': { 'type': 'word' } }",
                   "'d': { 'connection': 'a', 'template': 'b' },\n"
                   "'e': { 'connection': 'a', 'template': 'b' }"),
          "4:11: templates.b.tags.t: \"address\" is missing, write \"address\": 0\n"
          "4:26: templates.b.tags.t.type: is \"word\", write \"int16\", \"float32\" or "
          "\"bool\"\n" },
        { TEMPLATE("'tags': { 't': { 'address': 0, 'access': 'rw', 'min': 5, 'max': 35 } }",
                   "'d': { 'connection': 'a', 'template': 'b', 'tags': { 't': { 'max': 3 } } },\n"
                   "'e': { 'connection': 'a', 'template': 'b', 'tags': { 't': { 'min': 50 } } }"),
          "7:68: devices.d.tags.t.max: \"min\" 5 is above \"max\" 3, so nothing could be written: "
          "swap or correct them\n"
          "8:68: devices.e.tags.t.min: \"min\" 50 is above \"max\" 35, so nothing could be "
          "written: swap or correct them\n" },
        { TEMPLATE("'tags': { 't': null }", "'d': { 'connection': 'a', 'template': 'b' }"),
          "4:16: templates.b.tags.t: is null, which removes a tag in a device only: remove it\n"
          "7:1: warning: devices.d: all its tags are removed or wrong, none is left\n" },
        { TEMPLATE("'tags': { 'pump': { 'address': 0 } }",
                   "'d': { 'connection': 'a', 'template': 'b', 'tags': { 'pmup': null } }"),
          "7:62: devices.d.tags.pmup: there is no tag \"pmup\", did you mean \"pump\"?\n" },
    };

    (void)state;
    expect_mistakes(cases, sizeof cases / sizeof cases[0]);
}

static void config_load_lets_a_device_take_the_right_to_write_away(void **state)
{
    struct mapping mapping;

    (void)state;
    mapping_load(&mapping,
                 TEMPLATE("'tags': { 't': { 'address': 0, 'access': 'rw', 'min': 5, 'max': 35 } }",
                          "'d': { 'connection': 'a', 'template': 'b', "
                          "'tags': { 't': { 'access': 'r' } } }"),
                 fake_adapters);

    assert_string_equal(mapping.said, "");
    assert_int_equal(mapping.config->devices[0].tags[0].access, CONFIG_READ);
    mapping_free(&mapping);
}

#define THREE                                                                                      \
    "{" HUB LINE "'devices': {\n"                                                                  \
    "'one': { 'connection': 'a', 'tags': { 't': { 'address': 0 } } },\n"                           \
    "'two': { 'connection': 'a', 'tags': { 't': { 'address': 0 } } },\n"                           \
    "'three': { 'connection': 'a', 'tags': { 't': { 'address': 0 } }, 'module': null } },\n"

static void config_load_of_wrong_modules_says_which_device_belongs_where(void **state)
{
    static const struct mistake_case cases[] = {
        { THREE "'modules': { 'm': { 'devices': ['one', 'tow'] } } }",
          "7:40: modules.m.devices[1]: there is no device \"tow\", did you mean \"two\"?\n" },
        { THREE "'modules': { 'm': { 'devices': ['one'] }, 'n': { 'devices': ['two', 'one'] } } }",
          "7:69: modules.n.devices[1]: is in module \"m\" already, remove it from one of the "
          "two\n" },
        { THREE "'modules': { 'm': { 'devices': ['one', 'one'] } } }",
          "7:40: modules.m.devices[1]: is named twice in this module, remove one\n" },
        { THREE "'modules': { 'm': { 'devices': ['three'] } } }",
          "7:33: modules.m.devices[0]: the device says \"module\": null (line 6), remove that or "
          "this name\n" },
        { THREE "'modules': { 'm': { 'devices': [] }, 'n': { }, 'o': { 'devices': 'two' },\n"
                "'p': { 'devices': [5] } } }",
          "7:32: modules.m.devices: names no device, write at least one\n"
          "7:38: modules.n: \"devices\" is missing, write \"devices\": [\"NAME\", ...]\n"
          "7:66: modules.o.devices: is \"two\", write a list: [\"NAME\", ...]\n"
          "8:20: modules.p.devices[0]: is 5, write a device's name in double quotes\n" },
        { THREE "'modules': { 'one': { 'devices': ['two'] } } }",
          "7:14: modules.one: device \"one\" has a module of this name: add the device to "
          "\"devices\" here, or name this module otherwise\n" },
        { THREE "'modules': { 'a/b': { 'devices': ['two'] }, 'm': { 'devices': ['one'], "
                "'device_id': 'x#y' } } }",
          "7:14: modules[\"a/b\"]: a module's name is letters, digits and - : . % _ * ? ! ( ) , = "
          "@ ; $ ', 128 at most: write \"a-b\"\n"
          "7:85: modules.m.device_id: is \"x#y\", but must be letters, digits and - : . % _ * ? ! "
          "( ) , = @ ; $ ', 128 at most: write \"x-y\"\n" },
        { "{" HUB LINE "'devices': { 'd': { 'connection': 'a', 'module': 'm',\n"
          "'tags': { 't': { 'address': 0 } } } } }",
          "3:50: devices.d.module: is \"m\", write null for none; which devices a module holds "
          "stands in the file's \"modules\"\n" },
    };

    (void)state;
    expect_mistakes(cases, sizeof cases / sizeof cases[0]);
}

/* `count` devices, each with a module of its own; the last `elsewhere` of them on another hub device. */
static void load_many(struct mapping *mapping, int count, int elsewhere)
{
    size_t size;
    char *text;
    FILE *stream = open_memstream(&text, &size);

    fprintf(stream, "{" HUB LINE "'devices': {\n");
    for (int i = 0; i < count; i++)
        fprintf(stream, "%s'd%d': { 'connection': 'a', 'tags': { 't': { 'address': 0 } } }",
                i == 0 ? "" : ",\n", i);
    fprintf(stream, "},\n'modules': {");
    for (int i = count - elsewhere; i < count; i++)
        fprintf(stream, "%s'd%d': { 'device_id': 'other' }", i == count - elsewhere ? "" : ", ", i);
    fprintf(stream, "}}");
    fclose(stream);
    mapping_load(mapping, text, fake_adapters);
    free(text);
}

static void config_load_of_more_than_50_modules_on_a_hub_device_is_refused(void **state)
{
    struct mapping mapping;

    (void)state;
    load_many(&mapping, 50, 0);
    assert_string_equal(mapping.said, "");
    mapping_free(&mapping);

    load_many(&mapping, 51, 0);
    assert_string_equal(mapping.said,
                        "55:1: modules: 51 modules on hub device \"gw\", IoT Hub allows 50: put "
                        "several devices into one module, or give some modules another "
                        "\"device_id\"\n");
    mapping_free(&mapping);

    load_many(&mapping, 100, 50);
    assert_string_equal(mapping.said, "");
    assert_int_equal(mapping.config->module_count, 100);
    mapping_free(&mapping);
}

static void config_load_of_a_secret_says_where_to_put_it_and_never_shows_it(void **state)
{
    static const struct mistake_case cases[] = {
        { "{'hub': { 'host_name': 'HostName=h;DeviceId=d;SharedAccessKey=QUJD', 'device_id': 'gw', "
          "'connection_string': 'QUJD' },\n" LINE DEVICE "}",
          "1:11: hub.host_name: " },
        { "{" HUB LINE "'devices': { 'd': { 'connection': 'HostName=QUJD', 'tags': { 't': { "
          "'address': 0 } }, 'template': 'SharedAccessSignature QUJD' } } }",
          "3:21: devices.d.connection: " },
        { "{" HUB LINE DEVICE ",\n'modules': { 'm': { 'devices': ['HostName=QUJD'], "
          "'SharedAccessKey': 'QUJD' } } }",
          "4:33: modules.m.devices[0]: " },
        { "{" HUB LINE DEVICE ",\n'x': { 'y': [ { 'HostName=QUJD': 'DeviceId=d;SharedAccessKey="
          "QUJD' } ] } }",
          "4:1: x: " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mapping mapping;

        mapping_load(&mapping, cases[i].text, fake_adapters);

        assert_int_equal(mapping.rc, -EINVAL);
        assert_null(strstr(mapping.said, "QUJD"));
        assert_non_null(strstr(mapping.said, "a secret must not stand in the mapping file"));
        assert_non_null(strstr(mapping.said, "\"connection_string_file\""));
        assert_non_null(strstr(mapping.said, cases[i].said));
        mapping_free(&mapping);
    }
}

static void config_load_of_report_always_warns_with_its_operations(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        { TAGS("'t': { 'address': 0, 'report': 'always' }, 'u': { 'address': 1 }"),
          "4:32: warning: devices.d.tags.t.report: sends 1 tag at every poll, about 86400 twin "
          "operations a day (an S1 unit of IoT Hub has 400000 messages): write \"change\", or a "
          "longer \"min_interval\"\n" },
        /* tags of a device that come together share an operation */
        { TEMPLATE("'report': 'always', 'min_interval': '10s', 'tags': { 't': { 'address': 0 }, "
                   "'u': { 'address': 1, 'poll_interval': '1m' }, 'v': { 'address': 2, 'access': "
                   "'w' } }",
                   "'d': { 'connection': 'a', 'template': 'b' },\n"
                   "'e': { 'connection': 'a', 'template': 'b' }"),
          "4:11: warning: templates.b.report: sends 4 tags at every poll, about 17280 twin "
          "operations a day (an S1 unit of IoT Hub has 400000 messages): write \"change\", or a "
          "longer \"min_interval\"\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mapping mapping;

        mapping_load(&mapping, cases[i].text, fake_adapters);

        assert_string_equal(mapping.said, cases[i].said);
        assert_int_equal(mapping.rc, 0);
        assert_int_equal(config_errors_count(mapping.errors), 0);
        assert_int_equal(config_warnings_count(mapping.errors), 1);
        mapping_free(&mapping);
    }
}

static void config_load_of_a_file_that_cannot_be_read_says_why(void **state)
{
    struct config_errors *errors = config_errors_new();
    struct config *config = NULL;
    char *json;

    (void)state;
    assert_int_equal(config_load(&config, "/no/such/file.json", fake_adapters, errors), -EINVAL);
    assert_null(config);
    json = config_errors_json(errors);
    assert_string_equal(json, "[{\"file\":\"/no/such/file.json\",\"line\":null,\"column\":null,"
                              "\"path\":\"\",\"severity\":\"error\",\"message\":\"cannot read: No "
                              "such file or directory\"}]");
    free(json);
    config_errors_free(errors);

    errors = config_errors_new();
    assert_int_equal(config_load(&config, "/tmp", fake_adapters, errors), -EINVAL);
    json = config_errors_json(errors);
    assert_non_null(strstr(json, "\"is a folder, name the mapping file itself\""));
    free(json);
    config_errors_free(errors);
}

static void config_load_of_a_file_beyond_16_mib_is_refused(void **state)
{
    const size_t size = ((size_t)16 << 20) + 1;
    char *text = malloc(size);
    struct mapping mapping;

    (void)state;
    memset(text, ' ', size);
    mapping_load_bytes(&mapping, text, size, fake_adapters);
    assert_string_equal(mapping.said, " larger than 16 MiB, which no mapping file is\n");
    mapping_free(&mapping);
    free(text);
}

static void config_load_of_thousands_of_mistakes_keeps_a_thousand_and_counts_the_rest(void **state)
{
    size_t size;
    char *text;
    FILE *stream = open_memstream(&text, &size);
    struct mapping mapping;

    (void)state;
    fprintf(stream, "{" HUB LINE DEVICE);
    for (int i = 0; i < 2500; i++)
        fprintf(stream, ",\n'nonsense%d': %d", i, i);
    fprintf(stream, "}");
    fclose(stream);
    mapping_load(&mapping, text, fake_adapters);

    assert_int_equal(config_errors_count(mapping.errors), 2500);
    assert_int_equal(mapping_lines(&mapping), 1001);
    assert_non_null(strstr(mapping.said, " and 1500 more\n"));
    mapping_free(&mapping);
    free(text);
}

/* An adapter that asks for everything, also in a mapping full of mistakes. */
static void asking_check(struct config *config, size_t connection, struct config_errors *errors)
{
    const struct config_connection *line = &config->connections[connection];

    config_error(errors, config_connection_node(config, connection), "seen");
    for (size_t i = 0; i < line->device_count; i++) {
        const cJSON *node = config_device_key(config, line->devices[i], "response_timeout");

        config_warning(errors, node, "timeout %s", config_text(node, "absent"));
    }
    config_warning(errors, NULL, "whole");
}

static void config_load_asks_the_adapter_even_beside_other_mistakes(void **state)
{
    static const struct config_adapter asking = { "asking", fake_transports, fake_keys,
                                                  asking_check };
    static const struct config_adapter *const adapters[] = { &asking, NULL };
    struct mapping mapping;

    (void)state;
    mapping_load(&mapping,
                 "{" HUB
                 "'connections': { 'a': { 'transport': 'fake', 'response_timeout': '1s' },\n"
                 "  'b': { 'transport': 'none' } },\n"
                 "'devices': { 'd': { 'connection': 'a', 'response_timeout': 5,\n"
                 "  'tags': { 't': { } } } } }",
                 adapters);

    assert_string_equal(mapping.said,
                        " warning: whole\n"
                        "2:18: connections.a: seen\n"
                        "2:66: warning: connections.a.response_timeout: timeout 1s\n"
                        "3:3: warning: connections.b: no device uses this connection\n"
                        "3:23: connections.b.transport: there is no transport \"none\", write one "
                        "of \"fake\", \"fake_serial\"\n"
                        "4:60: devices.d.response_timeout: is 5 without a unit, write \"5ms\" or "
                        "\"5s\"\n");
    mapping_free(&mapping);
}

static void config_errors_json_is_json_whatever_the_file_holds(void **state)
{
    static const char text[] = "{\"a\\u001b\\\"\\\\\xFF\": 1, \"b\xC3\xA9\": \"\xC3\"}";
    struct mapping mapping;
    const cJSON *item;
    cJSON *list;
    char *json;

    (void)state;
    mapping_load_bytes(&mapping, text, sizeof text - 1, fake_adapters);
    json = config_errors_json(mapping.errors);
    list = cJSON_Parse(json);

    assert_true(cJSON_IsArray(list));
    assert_int_equal(cJSON_GetArraySize(list), config_errors_count(mapping.errors));
    cJSON_ArrayForEach(item, list)
    {
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(item, "file")->valuestring,
                            mapping.path);
        assert_true(cJSON_GetObjectItemCaseSensitive(item, "line")->valuedouble == 1);
        assert_true(cJSON_GetObjectItemCaseSensitive(item, "column")->valuedouble >= 1);
        assert_true(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(item, "path")));
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(item, "severity")->valuestring,
                            "error");
        assert_true(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(item, "message")));
    }
    for (const char *at = json; *at != 0; at++)
        assert_true((unsigned char)*at >= 0x20);
    cJSON_Delete(list);
    free(json);
    mapping_free(&mapping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_load_of_a_wrong_file_says_so),
        cmocka_unit_test(config_load_of_wrong_settings_names_line_column_and_path),
        cmocka_unit_test(config_load_of_wrong_connections_and_devices_hints_at_the_right_ones),
        cmocka_unit_test(config_load_of_wrong_tags_names_the_key),
        cmocka_unit_test(config_load_tells_a_templates_mistake_once_and_where_it_stands),
        cmocka_unit_test(config_load_lets_a_device_take_the_right_to_write_away),
        cmocka_unit_test(config_load_of_wrong_modules_says_which_device_belongs_where),
        cmocka_unit_test(config_load_of_more_than_50_modules_on_a_hub_device_is_refused),
        cmocka_unit_test(config_load_of_a_secret_says_where_to_put_it_and_never_shows_it),
        cmocka_unit_test(config_load_of_report_always_warns_with_its_operations),
        cmocka_unit_test(config_load_of_a_file_that_cannot_be_read_says_why),
        cmocka_unit_test(config_load_of_a_file_beyond_16_mib_is_refused),
        cmocka_unit_test(config_load_of_thousands_of_mistakes_keeps_a_thousand_and_counts_the_rest),
        cmocka_unit_test(config_load_asks_the_adapter_even_beside_other_mistakes),
        cmocka_unit_test(config_errors_json_is_json_whatever_the_file_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
