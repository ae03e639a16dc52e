#include "tests/sim/modbussim/motion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>

enum { TEMPERATURE, SETPOINT, PUMP, ENERGY, ALARM, BREAKER, POINTS };

/* A boiler as a mapping file describes one. */
struct fixture {
    struct registers *registers;
    struct motion *motion;
    struct point points[POINTS];
    uint64_t random;
};

static const struct config_tag config_tags[POINTS] = {
    [TEMPERATURE] = { .name = "temperature",
                      .access = CONFIG_READ,
                      .type = VALUE_FLOAT,
                      .lowest = -1e30,
                      .highest = 1e30,
                      .min = NAN,
                      .max = NAN },
    [SETPOINT] = { .name = "setpoint",
                   .access = CONFIG_READ_WRITE,
                   .type = VALUE_FLOAT,
                   .lowest = -3276.8,
                   .highest = 3276.7,
                   .min = 5,
                   .max = 35 },
    [PUMP] = { .name = "pump",
               .access = CONFIG_READ_WRITE,
               .type = VALUE_BOOL,
               .lowest = 0,
               .highest = 1,
               .min = NAN,
               .max = NAN },
    [ENERGY] = { .name = "energy",
                 .access = CONFIG_READ,
                 .type = VALUE_INT,
                 .lowest = 0,
                 .highest = 4294967295.0,
                 .min = NAN,
                 .max = NAN },
    [ALARM] = { .name = "alarm",
                .access = CONFIG_READ,
                .type = VALUE_BOOL,
                .lowest = 0,
                .highest = 1,
                .min = NAN,
                .max = NAN },
    [BREAKER] = { .name = "breaker",
                  .access = CONFIG_READ,
                  .type = VALUE_BOOL,
                  .lowest = 0,
                  .highest = 1,
                  .min = NAN,
                  .max = NAN },
};

static struct modbus_tag modbus_tags[POINTS] = {
    [TEMPERATURE] = { .table = MODBUS_TABLE_INPUT,
                      .address = 0,
                      .count = 2,
                      .type = MODBUS_TYPE_FLOAT32,
                      .order = MODBUS_ORDER_CDAB,
                      .bit = -1,
                      .scale = 1,
                      .decimals = -1 },
    [SETPOINT] = { .table = MODBUS_TABLE_HOLDING,
                   .address = 100,
                   .count = 1,
                   .type = MODBUS_TYPE_INT16,
                   .bit = -1,
                   .scaled = true,
                   .scale = 0.1,
                   .decimals = 1 },
    [PUMP] = { .table = MODBUS_TABLE_COIL,
               .address = 3,
               .count = 1,
               .type = MODBUS_TYPE_BOOL,
               .bit = -1,
               .scale = 1,
               .decimals = -1 },
    [ENERGY] = { .table = MODBUS_TABLE_INPUT,
                 .address = 4,
                 .count = 2,
                 .type = MODBUS_TYPE_UINT32,
                 .bit = -1,
                 .scale = 1,
                 .decimals = -1 },
    [ALARM] = { .table = MODBUS_TABLE_HOLDING,
                .address = 7,
                .count = 1,
                .type = MODBUS_TYPE_BOOL,
                .bit = 4,
                .scale = 1,
                .decimals = -1 },
    [BREAKER] = { .table = MODBUS_TABLE_DISCRETE,
                  .address = 0,
                  .count = 1,
                  .type = MODBUS_TYPE_BOOL,
                  .bit = -1,
                  .scale = 1,
                  .decimals = -1 },
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct modbus_device device = { .unit_id = 7, .tags = modbus_tags, .tag_count = POINTS };
    const struct modbus_connection connection = { .devices = &device, .device_count = 1 };
    const struct modbus_connection *const connections[] = { &connection };

    fixture.random = 42;
    if (registers_new(&fixture.registers, connections, 1) != 0)
        return -1;
    for (size_t i = 0; i < POINTS; i++) {
        fixture.points[i].tag = &config_tags[i];
        fixture.points[i].modbus = &modbus_tags[i];
        fixture.points[i].unit = registers_unit(fixture.registers, 7);
    }
    *state = &fixture;
    return motion_new(&fixture.motion, fixture.points, POINTS);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    motion_free(f->motion);
    registers_free(f->registers);
    return 0;
}

static double number_of(const struct fixture *f, size_t point)
{
    return value_number(point_get(&f->points[point]));
}

static void run(struct fixture *f, int seconds)
{
    for (int i = 0; i < 5 * seconds; i++)
        motion_step(f->motion, 0.2, &f->random);
}

static void motion_setpoint_raised_temperature_follows(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(point_set(&f->points[SETPOINT], value_float(30)), 0);
    run(f, 90);

    assert_true(fabs(number_of(f, TEMPERATURE) - 30) < 1);
    assert_true(number_of(f, SETPOINT) == 30);
}

static void motion_pump_off_temperature_falls(void **state)
{
    struct fixture *f = *state;

    run(f, 90);
    assert_true(fabs(number_of(f, TEMPERATURE) - 21) < 1);
    assert_int_equal(point_set(&f->points[PUMP], value_bool(false)), 0);
    run(f, 90);

    assert_true(fabs(number_of(f, TEMPERATURE) - 16) < 1);
    assert_true(number_of(f, PUMP) == 0);
}

static void motion_register_set_from_outside_goes_on_from_there(void **state)
{
    struct fixture *f = *state;

    run(f, 1);
    assert_int_equal(point_set(&f->points[TEMPERATURE], value_float(80)), 0);
    run(f, 1);

    assert_true(number_of(f, TEMPERATURE) > 70);
    assert_true(number_of(f, TEMPERATURE) < 80);
}

static void motion_counter_rises_in_steps_smaller_than_one(void **state)
{
    struct fixture *f = *state;
    double before = number_of(f, ENERGY);
    double last = before;

    for (int i = 0; i < 60; i++) {
        run(f, 1);
        assert_true(number_of(f, ENERGY) >= last);
        last = number_of(f, ENERGY);
    }

    assert_true(last > before + 10);
    assert_true(last < before + 300);
}

static void motion_alarms_flip_rarely_and_come_back(void **state)
{
    struct fixture *f = *state;
    int alarmed = 0;
    int broken = 0;

    assert_true(number_of(f, ALARM) == 0);
    assert_true(number_of(f, BREAKER) == 1);
    for (int i = 0; i < 3600; i++) {
        run(f, 1);
        alarmed += number_of(f, ALARM) == 1;
        broken += number_of(f, BREAKER) == 0;
    }

    assert_in_range(alarmed, 1, 1200);
    assert_in_range(broken, 1, 1200);
}

static void motion_neighbour_bits_of_an_alarm_stay(void **state)
{
    struct fixture *f = *state;
    modbus_mapping_t *map = f->points[ALARM].unit->map;

    map->tab_registers[7 - map->start_registers] = 0xFFEF;
    assert_int_equal(point_set(&f->points[ALARM], value_bool(true)), 0);
    assert_int_equal(map->tab_registers[7 - map->start_registers], 0xFFFF);
    assert_int_equal(point_set(&f->points[ALARM], value_bool(false)), 0);
    assert_int_equal(map->tab_registers[7 - map->start_registers], 0xFFEF);
}

static void point_parse_text_gives_the_type_of_the_tag(void **state)
{
    static const struct {
        size_t point;
        const char *text;
        int want;
    } cases[] = {
        { SETPOINT, "21.5", 0 },   { SETPOINT, "-3", 0 },       { SETPOINT, "true", -EINVAL },
        { SETPOINT, "", -EINVAL }, { SETPOINT, "5x", -EINVAL }, { SETPOINT, "nan", -EINVAL },
        { ENERGY, "7", 0 },        { ENERGY, "7.5", -EINVAL },  { ENERGY, "1e12", -EINVAL },
        { PUMP, "true", 0 },       { PUMP, "false", 0 },        { PUMP, "1", -EINVAL },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct value value = { .type = VALUE_NONE };

        print_message("case %s\n", cases[i].text);
        assert_int_equal(point_parse(&f->points[cases[i].point], cases[i].text, &value),
                         cases[i].want);
        assert_int_equal(value.type,
                         cases[i].want == 0 ? config_tags[cases[i].point].type : VALUE_NONE);
    }
}

static void point_set_beyond_the_registers_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(point_set(&f->points[SETPOINT], value_float(4000)), -ERANGE);
    assert_true(number_of(f, SETPOINT) == 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(motion_setpoint_raised_temperature_follows, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(motion_pump_off_temperature_falls, setup, teardown),
        cmocka_unit_test_setup_teardown(motion_register_set_from_outside_goes_on_from_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(motion_counter_rises_in_steps_smaller_than_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(motion_alarms_flip_rarely_and_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(motion_neighbour_bits_of_an_alarm_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(point_parse_text_gives_the_type_of_the_tag, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(point_set_beyond_the_registers_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
