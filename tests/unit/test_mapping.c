/* The Modbus part of mapping files, loaded by config/ as the bridge loads it: what comes out of a right
 * one, and what is said about each wrong one. */
#include "adapters/modbus/mapping.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- memory that runs out ---- */

static size_t allocations_left = SIZE_MAX;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return __real_calloc(count, size);
}

/* ---- loading ---- */

static const struct config_adapter *const adapters[] = { &modbus_mapping, NULL };

struct loaded {
    struct config *config; /* NULL when there were mistakes */
    struct modbus_connection *connection;
    char *said; /* every mistake and warning, a line each */
    size_t mistakes, warnings;
};

static void write_file(char path[], const char *text)
{
    int fd = mkstemp(path);
    size_t length = strlen(text);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
    close(fd);
}

static struct loaded load(const char *text)
{
    char path[] = "/tmp/test_mapping_XXXXXX";
    struct config_errors *errors = config_errors_new();
    struct loaded loaded = { 0 };
    size_t size;
    FILE *out;

    write_file(path, text);
    config_load(&loaded.config, path, adapters, errors);
    unlink(path);
    if (loaded.config != NULL)
        assert_int_equal(mapping_read(&loaded.connection, loaded.config, 0), 0);
    out = open_memstream(&loaded.said, &size);
    config_errors_print(errors, out);
    fclose(out);
    loaded.mistakes = config_errors_count(errors);
    loaded.warnings = config_warnings_count(errors);
    config_errors_free(errors);
    return loaded;
}

static void unload(struct loaded *loaded)
{
    mapping_free(loaded->connection);
    config_free(loaded->config);
    free(loaded->said);
}

/* A mapping file whose connection, device and tags are given by their members. */
static struct loaded load_parts(const char *file, const char *connection, const char *device,
                                const char *tags)
{
    char text[4096];
    int length = snprintf(
        text, sizeof text,
        "{ \"hub\": { \"host_name\": \"h.example\", \"device_id\": \"gw\" },%s"
        "\"connections\": { \"plant\": { \"transport\": \"tcp\"%s } },"
        "\"devices\": { \"d\": { \"connection\": \"plant\"%s, \"tags\": { %s } } } }",
        file, connection, device, tags);

    assert_true(length > 0 && (size_t)length < sizeof text);
    return load(text);
}

static const char HOST[] = ", \"host\": \"plc.example\"";
static const char UNIT[] = ", \"unit_id\": 1";

/* One tag "t" with these members, everything else right. */
static struct loaded load_tag(const char *members)
{
    char tags[1024];

    snprintf(tags, sizeof tags, "\"t\": { %s }", members);
    return load_parts("", HOST, UNIT, tags);
}

/* ---- connections and devices ---- */

static void mapping_read_without_more_keys_gives_the_defaults(void **state)
{
    struct loaded l = load_tag("\"table\": \"coil\", \"address\": 3");
    const struct modbus_connection *c = l.connection;
    const struct modbus_device *d;

    (void)state;
    assert_string_equal(l.said, "");
    assert_string_equal(c->name, "plant");
    assert_int_equal(c->transport, MODBUS_TRANSPORT_TCP);
    assert_string_equal(c->host, "plc.example");
    assert_int_equal(c->port, 502);
    assert_int_equal(c->connect_timeout_ms, 3000);
    assert_int_equal(c->connect_delay_ms, 0);
    assert_int_equal(c->request_delay_ms, 0);
    assert_int_equal(c->device_count, 1);

    d = &c->devices[0];
    assert_string_equal(d->name, "d");
    assert_true(d->enabled);
    assert_int_equal(d->index, 0);
    assert_int_equal(d->unit_id, 1);
    assert_int_equal(d->response_timeout_ms, 1000);
    assert_int_equal(d->read_retries, 1);
    assert_int_equal(d->write_retries, 1);
    assert_int_equal(d->offline_after, 3);
    assert_int_equal(d->backoff_min_ms, 1000);
    assert_int_equal(d->backoff_max_ms, 30000);
    assert_int_equal(d->max_registers, 125);
    assert_int_equal(d->max_bits, 2000);
    assert_int_equal(d->max_gap, 0);
    assert_int_equal(d->tag_count, 1);
    unload(&l);
}

static void mapping_read_with_every_key_gives_what_was_written(void **state)
{
    struct loaded l = load_parts(
        "",
        ", \"host\": \"10.0.0.9\", \"port\": 1502, \"connect_timeout\": \"5s\","
        "\"connect_delay\": \"200ms\", \"request_delay\": \"20ms\", \"max_gap\": 4,"
        "\"response_timeout\": \"250ms\", \"read_retries\": 0",
        ", \"unit_id\": 255, \"write_retries\": 3, \"offline_after\": 5, \"backoff_min\": \"2s\","
        "\"backoff_max\": \"1m\", \"max_registers\": 20, \"max_bits\": 16, \"max_gap\": 2",
        "\"t\": { \"table\": \"coil\", \"address\": 3 }");
    const struct modbus_device *d;

    (void)state;
    assert_string_equal(l.said, "");
    assert_string_equal(l.connection->host, "10.0.0.9");
    assert_int_equal(l.connection->port, 1502);
    assert_int_equal(l.connection->connect_timeout_ms, 5000);
    assert_int_equal(l.connection->connect_delay_ms, 200);
    assert_int_equal(l.connection->request_delay_ms, 20);

    d = &l.connection->devices[0];
    assert_int_equal(d->unit_id, 255);
    assert_int_equal(d->response_timeout_ms, 250); /* the connection's */
    assert_int_equal(d->read_retries, 0);
    assert_int_equal(d->write_retries, 3);
    assert_int_equal(d->offline_after, 5);
    assert_int_equal(d->backoff_min_ms, 2000);
    assert_int_equal(d->backoff_max_ms, 60000);
    assert_int_equal(d->max_registers, 20);
    assert_int_equal(d->max_bits, 16);
    assert_int_equal(d->max_gap, 2); /* the device's before the connection's */
    unload(&l);
}

static void mapping_read_of_several_connections_takes_each_its_devices(void **state)
{
    struct loaded l = load(
        "{ \"hub\": { \"host_name\": \"h.example\", \"device_id\": \"gw\" }, \"connections\": {"
        " \"a\": { \"transport\": \"tcp\", \"host\": \"a.example\" },"
        " \"b\": { \"transport\": \"tcp\", \"host\": \"b.example\" } }, \"devices\": {"
        " \"d1\": { \"connection\": \"a\", \"unit_id\": 1, \"tags\": {"
        "   \"t\": { \"table\": \"coil\", \"address\": 1 } } },"
        " \"d2\": { \"connection\": \"b\", \"unit_id\": 1, \"tags\": {"
        "   \"t\": { \"table\": \"coil\", \"address\": 2 } } },"
        " \"d3\": { \"connection\": \"a\", \"unit_id\": 3, \"enabled\": false, \"tags\": {"
        "   \"t\": { \"table\": \"coil\", \"address\": 3 } } } } }");
    struct modbus_connection *b = NULL;

    (void)state;
    assert_string_equal(l.said, "");
    assert_int_equal(l.connection->device_count, 2);
    assert_string_equal(l.connection->devices[1].name, "d3");
    assert_int_equal(l.connection->devices[1].index, 2);
    assert_false(l.connection->devices[1].enabled);

    assert_int_equal(mapping_read(&b, l.config, 1), 0);
    assert_string_equal(b->host, "b.example");
    assert_int_equal(b->device_count, 1);
    assert_string_equal(b->devices[0].name, "d2");
    assert_int_equal(b->devices[0].tags[0].address, 2);
    mapping_free(b);
    unload(&l);
}

/* ---- tags ---- */

enum { COIL = MODBUS_TABLE_COIL, DISCRETE, INPUT, HOLDING };
enum { BOOL = MODBUS_TYPE_BOOL, INT16, UINT16, INT32, UINT32, FLOAT32 };
enum { ABCD = MODBUS_ORDER_ABCD, CDAB, BADC, DCBA };

#define AT(table) "\"table\": \"" table "\", \"address\": "

static const struct {
    const char *members;
    int table;
    uint16_t address, count;
    int type, order;
    int bit;
} places[] = {
    { AT("coil") "3", COIL, 3, 1, BOOL, ABCD, -1 },
    { AT("discrete") "65535, \"type\": \"bool\"", DISCRETE, 65535, 1, BOOL, ABCD, -1 },
    { AT("input") "0, \"type\": \"int16\"", INPUT, 0, 1, INT16, ABCD, -1 },
    { AT("holding") "65535, \"type\": \"uint16\"", HOLDING, 65535, 1, UINT16, ABCD, -1 },
    { "\"address\": \"465535\", \"type\": \"int32\", \"byte_order\": \"CDAB\"", HOLDING, 65534, 2,
      INT32, CDAB, -1 },
    { AT("input") "7, \"type\": \"uint32\", \"byte_order\": \"BADC\"", INPUT, 7, 2, UINT32, BADC,
      -1 },
    { AT("input") "7, \"type\": \"float32\", \"byte_order\": \"DCBA\"", INPUT, 7, 2, FLOAT32, DCBA,
      -1 },
    { AT("holding") "7, \"bit\": 0", HOLDING, 7, 1, BOOL, ABCD, 0 },
    { AT("input") "7, \"bit\": 15, \"type\": \"bool\"", INPUT, 7, 1, BOOL, ABCD, 15 },
    { AT("holding") "\"0x0064\", \"type\": \"int16\"", HOLDING, 100, 1, INT16, ABCD, -1 },
    { AT("holding") "\"0xfFfF\", \"type\": \"int16\"", HOLDING, 65535, 1, INT16, ABCD, -1 },
    { "\"address\": \"40101\", \"type\": \"int16\"", HOLDING, 100, 1, INT16, ABCD, -1 },
    { "\"address\": \"400101\", \"type\": \"int16\"", HOLDING, 100, 1, INT16, ABCD, -1 },
    { "\"address\": \"465536\", \"type\": \"int16\"", HOLDING, 65535, 1, INT16, ABCD, -1 },
    { "\"address\": \"30001\", \"type\": \"int16\"", INPUT, 0, 1, INT16, ABCD, -1 },
    { "\"address\": \"00001\"", COIL, 0, 1, BOOL, ABCD, -1 },
    { "\"address\": \"10017\", \"table\": \"discrete\"", DISCRETE, 16, 1, BOOL, ABCD, -1 },
};

static void mapping_read_tag_is_where_its_address_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        struct loaded l = load_tag(places[i].members);
        const struct modbus_tag *tag;

        print_message("case %s\n", places[i].members);
        assert_string_equal(l.said, "");
        tag = &l.connection->devices[0].tags[0];
        assert_int_equal(tag->table, places[i].table);
        assert_int_equal(tag->address, places[i].address);
        assert_int_equal(tag->count, places[i].count);
        assert_int_equal(tag->type, places[i].type);
        assert_int_equal(tag->order, places[i].order);
        assert_int_equal(tag->bit, places[i].bit);
        unload(&l);
    }
}

static void mapping_read_address_base_shifts_numbers_but_no_plc_references(void **state)
{
    struct loaded l = load_parts(
        "\"address_base\": 1,", HOST, UNIT,
        "\"a\": { \"table\": \"holding\", \"address\": 1, \"type\": \"int16\" },"
        "\"b\": { \"table\": \"holding\", \"address\": 65536, \"type\": \"int16\" },"
        "\"c\": { \"table\": \"holding\", \"address\": \"0x0064\", \"type\": \"int16\" },"
        "\"d\": { \"address\": \"40101\", \"type\": \"int16\" }");
    const struct modbus_tag *tags;

    (void)state;
    assert_string_equal(l.said, "");
    tags = l.connection->devices[0].tags;
    assert_int_equal(tags[0].address, 0);
    assert_int_equal(tags[1].address, 65535);
    assert_int_equal(tags[2].address, 99);
    assert_int_equal(tags[3].address, 100);
    unload(&l);
}

static void mapping_read_tag_has_access_verify_and_interval(void **state)
{
    struct loaded l = load_tag(AT("coil") "3, \"access\": \"w\","
                                          "\"verify\": false, \"poll_interval\": \"250ms\"");
    const struct modbus_tag *tag = &l.connection->devices[0].tags[0];

    (void)state;
    assert_string_equal(l.said, "");
    assert_int_equal(tag->access, CONFIG_WRITE);
    assert_false(tag->verify);
    assert_int_equal(tag->poll_interval_ms, 250);
    unload(&l);
}

static void mapping_read_byte_order_comes_from_the_nearest_level(void **state)
{
    struct loaded l = load_parts(
        "", ", \"host\": \"plc.example\", \"byte_order\": \"CDAB\"", UNIT,
        "\"a\": { \"table\": \"input\", \"address\": 1, \"type\": \"float32\" },"
        "\"b\": { \"table\": \"input\", \"address\": 3, \"type\": \"float32\","
        "         \"byte_order\": \"DCBA\" },"
        "\"c\": { \"table\": \"input\", \"address\": 5, \"type\": \"int16\" }");

    (void)state;
    assert_string_equal(l.said, ""); /* c inherits what is meant for others: no warning */
    assert_int_equal(l.connection->devices[0].tags[0].order, MODBUS_ORDER_CDAB);
    assert_int_equal(l.connection->devices[0].tags[1].order, MODBUS_ORDER_DCBA);
    unload(&l);
}

/* ---- what the bridge is told of a tag ---- */

#define REG "\"address\": \"40001\", \"type\": "

static void check_sets_type_decimals_step_and_range(void **state)
{
    static const struct {
        const char *members;
        enum value_type type;
        int decimals;
        double raw_step, lowest, highest;
    } cases[] = {
        { AT("coil") "1", VALUE_BOOL, -1, 0, 0, 1 },
        { REG "\"int16\"", VALUE_INT, -1, 1, -32768, 32767 },
        { REG "\"uint16\"", VALUE_INT, -1, 1, 0, 65535 },
        { REG "\"int32\"", VALUE_INT, -1, 1, INT32_MIN, INT32_MAX },
        { REG "\"uint32\"", VALUE_INT, -1, 1, 0, UINT32_MAX },
        { REG "\"float32\"", VALUE_FLOAT, -1, 0, -3.4028235e38, 3.4028235e38 },
        { REG "\"float32\", \"decimals\": 2", VALUE_FLOAT, 2, 0, -3.4028235e38, 3.4028235e38 },
        { REG "\"int16\", \"scale\": 1, \"offset\": 0", VALUE_INT, -1, 1, -32768, 32767 },
        { REG "\"int16\", \"scale\": 0.1", VALUE_FLOAT, 1, 0.1, -3276.8, 3276.7 },
        { REG "\"int16\", \"scale\": 0.10", VALUE_FLOAT, 2, 0.1, -3276.8, 3276.7 },
        { REG "\"uint16\", \"scale\": 1e-3", VALUE_FLOAT, 3, 1e-3, 0, 65.535 },
        { REG "\"uint16\", \"scale\": 2.5E-1", VALUE_FLOAT, 2, 0.25, 0, 16383.75 },
        { REG "\"uint16\", \"scale\": 1.25e1", VALUE_FLOAT, 1, 12.5, 0, 819187.5 },
        { REG "\"uint16\", \"scale\": 10", VALUE_FLOAT, 0, 10, 0, 655350 },
        { REG "\"uint16\", \"scale\": -1", VALUE_FLOAT, 0, 1, -65535, 0 },
        { REG "\"uint16\", \"offset\": -273.15", VALUE_FLOAT, 2, 1, -273.15, 65261.85 },
        { REG "\"uint16\", \"scale\": 0.01, \"offset\": 0.5", VALUE_FLOAT, 2, 0.01, 0.5, 655.85 },
        { REG "\"uint16\", \"scale\": 0.01, \"decimals\": 0", VALUE_FLOAT, 0, 0.01, 0, 655 },
        { REG "\"uint16\", \"scale\": 1e-20", VALUE_FLOAT, -1, 1e-20, 0, 65535 * 1e-20 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct loaded l = load_tag(cases[i].members);
        const struct config_tag *tag;

        print_message("case %s\n", cases[i].members);
        assert_string_equal(l.said, "");
        tag = &l.config->devices[0].tags[0];
        assert_int_equal(tag->type, cases[i].type);
        assert_int_equal(tag->decimals, cases[i].decimals);
        assert_true(tag->raw_step == cases[i].raw_step);
        assert_true(tag->lowest == cases[i].lowest);
        assert_true(tag->highest == cases[i].highest);
        unload(&l);
    }
}

/* ---- mistakes and warnings ---- */

/* `said` must stand in the one line that is printed. */
static void assert_said(const struct loaded *l, const char *said)
{
    if (strstr(l->said, said) == NULL || strchr(l->said, '\n') != l->said + strlen(l->said) - 1)
        fail_msg("%s\nis not what is said in one line:\n%s", said, l->said);
}

static void assert_mistake(struct loaded l, const char *said)
{
    assert_null(l.config);
    assert_said(&l, said);
    assert_int_equal(l.mistakes, 1);
    unload(&l);
}

static void assert_warning(struct loaded l, const char *said)
{
    assert_non_null(l.config);
    assert_said(&l, said);
    assert_int_equal(l.warnings, 1);
    unload(&l);
}

#define T        "devices.d.tags.t"
#define REGISTER AT("holding") "7, \"type\": "

static void check_wrong_tag_is_one_mistake_with_a_remedy(void **state)
{
    static const struct {
        const char *members, *said;
    } cases[] = {
        { "\"address\": 7, \"type\": \"int16\"", T ": \"table\" is missing, write \"coil\"" },
        { "\"table\": \"holding\", \"type\": \"int16\"", T ": \"address\" is missing" },
        { AT("holding") "7", T ": \"type\" is missing, write \"int16\"" },
        { AT("holding") "-1, \"type\": \"int16\"", T ".address: not an address" },
        { AT("holding") "65536, \"type\": \"int16\"", "from 0 to 65535" },
        { AT("holding") "1.5, \"type\": \"int16\"", "whole number" },
        { AT("holding") "1e300, \"type\": \"int16\"", "whole number" },
        { AT("holding") "\"\", \"type\": \"int16\"", "not an address" },
        { AT("holding") "\"7\", \"type\": \"int16\"", "not an address" },
        { AT("holding") "\"0x\", \"type\": \"int16\"", "not an address" },
        { AT("holding") "\"0x10000\", \"type\": \"int16\"", "not an address" },
        { AT("holding") "\"0x00g0\", \"type\": \"int16\"", "not an address" },
        { AT("holding") "true, \"type\": \"int16\"", "not an address" },
        { AT("holding") "[1], \"type\": \"int16\"", "not an address" },
        { "\"address\": \"4-100\", \"type\": \"int16\"", "not an address" },
        { "\"address\": \"20001\", \"type\": \"int16\"", "names no table" },
        { "\"address\": \"40000\", \"type\": \"int16\"", "count from 1" },
        { "\"address\": \"465537\", \"type\": \"int16\"", "count from 1" },
        { "\"address\": \"30001\", \"table\": \"holding\", \"type\": \"int16\"",
          T ".table: the address is one of table input" },
        { AT("coil") "7, \"type\": \"int16\"", T ".type: a coil is a bool" },
        { AT("discrete") "7, \"type\": \"float32\"", "a discrete is a bool" },
        { AT("coil") "7, \"bit\": 1", T ".bit: a coil is one bit already" },
        { REGISTER "\"uint16\", \"bit\": 1", T ".type: a bit of a register is a bool" },
        { REGISTER "\"bool\"", T ".type: which of its 16 bits" },
        { AT("holding") "65535, \"type\": \"int32\"", "needs 2 registers" },
        { AT("input") "\"0xFFFF\", \"type\": \"float32\"", "needs 2 registers" },
        { REGISTER "\"int16\", \"scale\": 0", T ".scale: every value would be the offset" },
        { REGISTER "\"float32\", \"scale\": 1e300", T ".scale: too large" },
        { AT("coil") "7, \"scale\": 2", T ".scale: means nothing for a bool" },
        { REGISTER "\"bool\", \"bit\": 3, \"decimals\": 2",
          T ".decimals: means nothing for a bool" },
        { AT("coil") "7, \"access\": \"rw\", \"max\": 1", T ".max: means nothing for a bool" },
        { REGISTER "\"uint16\", \"access\": \"rw\", \"max\": -1",
          T ".max: no value that the registers can hold" },
        { REGISTER "\"int16\", \"scale\": 0.1, \"access\": \"rw\", \"min\": 3277",
          "they hold -3276.8 to 3276.7" },
        { AT("input") "7, \"type\": \"int16\", \"access\": \"rw\"",
          T ".access: table input cannot be written" },
        { AT("discrete") "7, \"access\": \"w\"", "\"table\": \"coil\"" },
        { AT("holding") "7, \"bit\": 1, \"access\": \"rw\"",
          T ".access: a bit of a register cannot be written" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("case %s\n", cases[i].members);
        assert_mistake(load_tag(cases[i].members), cases[i].said);
    }
}

static void check_key_of_the_wrong_kind_is_not_called_missing_too(void **state)
{
    static const char *const cases[] = {
        "\"table\": 4, \"address\": 7, \"type\": \"int16\"",
        AT("holdings") "7, \"type\": \"int16\"",
        AT("holding") "7, \"type\": 16",
        AT("holding") "7, \"type\": \"int17\"",
        AT("holding") "7, \"type\": \"int16\", \"scale\": \"0.1\"",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("case %s\n", cases[i]);
        assert_mistake(load_tag(cases[i]), "");
    }
}

static void check_dubious_tag_is_one_warning(void **state)
{
    static const struct {
        const char *members, *said;
    } cases[] = {
        { REGISTER "\"int16\", \"byte_order\": \"CDAB\"",
          T ".byte_order: means nothing for int16" },
        { REGISTER "\"int16\", \"decimals\": 1", T ".decimals: means nothing for an integer" },
        { REGISTER "\"uint16\", \"access\": \"rw\", \"min\": -5",
          T ".min: the registers hold 0 to 65535 only" },
        { REGISTER "\"int16\", \"access\": \"rw\", \"max\": 40000",
          T ".max: the registers hold -32768 to 32767 only" },
        { REGISTER "\"float32\", \"scale\": 1000", T ".scale: the value will be rounded" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("case %s\n", cases[i].members);
        assert_warning(load_tag(cases[i].members), cases[i].said);
    }
}

static void check_takes_names_and_addresses_for_a_host(void **state)
{
    static const char *const hosts[] = { "plc.example", "plc_7",        "192.0.2.7",       "::1",
                                         "2001:db8::7", "fe80::1%eth0", "::ffff:192.0.2.7" };

    (void)state;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        char connection[100];
        struct loaded l;

        print_message("case %s\n", hosts[i]);
        snprintf(connection, sizeof connection, ", \"host\": \"%s\"", hosts[i]);
        l = load_parts("", connection, UNIT, "\"t\": { \"table\": \"coil\", \"address\": 3 }");
        assert_string_equal(l.connection->host, hosts[i]);
        unload(&l);
    }
}

static void check_wrong_line_is_one_mistake_with_a_remedy(void **state)
{
    static const char tag[] = "\"t\": { \"table\": \"coil\", \"address\": 3 }";
    static const char wide[] =
        "\"t\": { \"table\": \"input\", \"address\": 3, \"type\": \"float32\" }";
    static const struct {
        const char *connection, *device, *tags, *said;
    } cases[] = {
        { "", UNIT, tag, "connections.plant: \"host\" is missing, write" },
        { ", \"host\": \"plc.example:502\"", UNIT, tag, "write \"plc.example\"" },
        { ", \"host\": \"tcp://192.0.2.7/\"", UNIT, tag, "write \"192.0.2.7\"" },
        { ", \"host\": \"[::1]\"", UNIT, tag, "connections.plant.host: is \"[::1]\", but must be" },
        { ", \"host\": \" \"", UNIT, tag, "connections.plant.host: is \" \", but must be" },
        { HOST, "", tag, "devices.d: \"unit_id\" is missing, write 0 to 255" },
        { HOST, ", \"unit_id\": 256", tag, "255" },
        { HOST, ", \"unit_id\": 1, \"max_registers\": 1", wide, "float32 is 2 registers" },
        { HOST, ", \"unit_id\": 1, \"max_registers\": 126", tag, "125" },
        { HOST, ", \"unit_id\": 1, \"max_bits\": 2001", tag, "2000" },
        { HOST, ", \"unit_id\": 1, \"offline_after\": 0", tag, "offline_after" },
        { HOST, ", \"unit_id\": 1, \"backoff_min\": \"1m\"", tag, "\"backoff_min\" is 60000 ms" },
        { ", \"host\": \"h\", \"port\": 0", UNIT, tag, "port" },
        { ", \"host\": \"h\", \"port\": 65536", UNIT, tag, "port" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("case %s%s\n", cases[i].connection, cases[i].device);
        assert_mistake(load_parts("", cases[i].connection, cases[i].device, cases[i].tags),
                       cases[i].said);
    }
}

static void check_transport_of_another_version_names_tcp(void **state)
{
    struct loaded l = load(
        "{ \"hub\": { \"host_name\": \"h.example\", \"device_id\": \"gw\" }, \"connections\": {"
        " \"line1\": { \"transport\": \"rtu\" } }, \"devices\": {"
        " \"d\": { \"connection\": \"line1\", \"unit_id\": 1, \"tags\": {"
        "   \"t\": { \"table\": \"coil\", \"address\": 1 } } } } }");

    (void)state;
    assert_null(l.config);
    assert_non_null(strstr(l.said, "connections.line1.transport"));
    assert_non_null(strstr(l.said, "tcp"));
    unload(&l);
}

static void check_same_unit_twice_is_a_warning(void **state)
{
    (void)state;
    assert_warning(
        load(
            "{ \"hub\": { \"host_name\": \"h.example\", \"device_id\": \"gw\" }, \"connections\": {"
            " \"a\": { \"transport\": \"tcp\", \"host\": \"a.example\" } }, \"devices\": {"
            " \"d1\": { \"connection\": \"a\", \"unit_id\": 7, \"tags\": {"
            "   \"t\": { \"table\": \"coil\", \"address\": 1 } } },"
            " \"d2\": { \"connection\": \"a\", \"unit_id\": 7, \"tags\": {"
            "   \"t\": { \"table\": \"coil\", \"address\": 2 } } } } }"),
        "devices.d2.unit_id: the same unit as device d1");
}

static void check_several_wrong_tags_are_all_told(void **state)
{
    struct loaded l = load_parts("", HOST, UNIT,
                                 "\"a\": { \"table\": \"coil\" }, \"b\": { \"address\": 1 },"
                                 "\"c\": { \"table\": \"input\", \"address\": 1 }, \"d\": {}");

    (void)state;
    assert_null(l.config);
    assert_int_equal(l.mistakes, 5); /* d has neither address nor table */
    unload(&l);
}

/* ---- without memory ---- */

static void mapping_read_without_memory_fails_and_leaks_nothing(void **state)
{
    struct loaded l = load_tag(AT("coil") "3");
    struct modbus_connection *connection = NULL;
    size_t n;
    int rc = -ENOMEM;

    (void)state;
    for (n = 0; rc != 0; n++) {
        assert_null(connection);
        allocations_left = n;
        rc = mapping_read(&connection, l.config, 0);
        allocations_left = SIZE_MAX;
        assert_true(rc == 0 || rc == -ENOMEM);
    }
    assert_true(n > 1);
    mapping_free(connection);
    mapping_free(NULL);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapping_read_without_more_keys_gives_the_defaults),
        cmocka_unit_test(mapping_read_with_every_key_gives_what_was_written),
        cmocka_unit_test(mapping_read_of_several_connections_takes_each_its_devices),
        cmocka_unit_test(mapping_read_tag_is_where_its_address_says),
        cmocka_unit_test(mapping_read_address_base_shifts_numbers_but_no_plc_references),
        cmocka_unit_test(mapping_read_tag_has_access_verify_and_interval),
        cmocka_unit_test(mapping_read_byte_order_comes_from_the_nearest_level),
        cmocka_unit_test(check_sets_type_decimals_step_and_range),
        cmocka_unit_test(check_wrong_tag_is_one_mistake_with_a_remedy),
        cmocka_unit_test(check_key_of_the_wrong_kind_is_not_called_missing_too),
        cmocka_unit_test(check_dubious_tag_is_one_warning),
        cmocka_unit_test(check_takes_names_and_addresses_for_a_host),
        cmocka_unit_test(check_wrong_line_is_one_mistake_with_a_remedy),
        cmocka_unit_test(check_transport_of_another_version_names_tcp),
        cmocka_unit_test(check_same_unit_twice_is_a_warning),
        cmocka_unit_test(check_several_wrong_tags_are_all_told),
        cmocka_unit_test(mapping_read_without_memory_fails_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
