/* Property bags: what stands in a topic, and what it means. */
#include "tests/sim/hubsim/bag.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "name=value;$name=value;name;", a '$' before system properties: what a test can compare. */
static void describe(const struct bag *bag, char *out, size_t size)
{
    size_t length = 0;

    out[0] = 0;
    for (size_t i = 0; i < bag->count; i++) {
        const struct bag_property *p = &bag->properties[i];

        length += (size_t)snprintf(out + length, size - length, "%s%s%s%s;", p->system ? "$" : "",
                                   p->name, p->value != NULL ? "=" : "",
                                   p->value != NULL ? p->value : "");
    }
}

static void bag_parse_knows_system_properties_in_both_spellings(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { "/", "" },
        { "a=b", "a=b;" },
        { "a=b/", "a=b;" },
        { "a=b&c=d", "a=b;c=d;" },
        { "&a=b&&", "a=b;" },
        { "a", "a;" },
        { "a=", "a=;" },
        { "a&b=", "a;b=;" },
        { "a=b=c", "a=b=c;" },
        { "a=1&a=2", "a=1;a=2;" },
        { "a+b=c+d", "a+b=c+d;" },
        { "%24.mid=id%201", "$message-id=id 1;" },
        { "$.mid=x", "$message-id=x;" },
        { "%24.cid=1&%24.uid=2&%24.to=3&%24.ct=4&%24.ce=5",
          "$correlation-id=1;$user-id=2;$to=3;$content-type=4;$content-encoding=5;" },
        { "%24.sub=pump&%24.on=out1", "$dt-subject=pump;$output-name=out1;" },
        { "%24.new=1", "$$.new=1;" },
        { "%24.cdid=someone", "$$.cdid=someone;" },
        /* As azure-iot-device-mqtt 1.16 prints them. */
        { "%24.mid=id%201&%24.ct=application%2Fjson&%24.ce=utf-8&k%20y=v%2F1%26",
          "$message-id=id 1;$content-type=application/json;$content-encoding=utf-8;k y=v/1&;" },
        { "%24.on=out1&%24.mid=m/", "$output-name=out1;$message-id=m;" },
        { "%e2%82%ac=%E2%82%AC", "\xe2\x82\xac=\xe2\x82\xac;" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bag bag;
        char got[512];

        print_message("case %s\n", cases[i].text);
        assert_int_equal(bag_parse(&bag, cases[i].text, strlen(cases[i].text)), 0);
        describe(&bag, got, sizeof got);
        assert_string_equal(got, cases[i].want);
        bag_done(&bag);
    }
}

static void bag_parse_refuses_what_is_none(void **state)
{
    static const char *const cases[] = {
        "a=%", "a=%1", "a=%1g", "%zz=1", "a=%00", "a=%ff", "%c0%80=1", "=b", "a=b&=", "a=%2",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bag bag = { .count = 77 };
        char *copy = strdup(cases[i]); /* ends where the text ends: the sanitizer looks */

        print_message("case %s\n", cases[i]);
        assert_int_equal(bag_parse(&bag, copy, strlen(copy)), -EBADMSG);
        assert_int_equal(bag.count, 77);
        free(copy);
    }
}

static void bag_print_and_parse_are_inverse(void **state)
{
    static const struct bag_property properties[] = {
        { "message-id", "a b", true },  { "k&=%y", "v/1&+\xe2\x82\xac", false },
        { "nothing", NULL, false },     { "empty", "", false },
        { "content-type", "x", false }, /* an application's own, not the system's */
    };
    struct bag bag;
    struct buf buf;
    char got[256];

    (void)state;
    buf_init(&buf, 512);
    assert_int_equal(bag_print(&buf, properties, 5), 0);
    assert_string_equal(buf_text(&buf), "%24.mid=a%20b&k%26%3D%25y=v%2F1%26%2B%E2%82%AC&nothing&"
                                        "empty=&content-type=x");

    assert_int_equal(bag_parse(&bag, buf_text(&buf), buf.length), 0);
    describe(&bag, got, sizeof got);
    assert_string_equal(got, "$message-id=a b;k&=%y=v/1&+\xe2\x82\xac;nothing;empty=;"
                             "content-type=x;");
    bag_done(&bag);
    buf_done(&buf);
}

static void bag_print_over_the_maximum_is_an_error(void **state)
{
    static const struct bag_property properties[] = { { "name", "value", false } };
    struct buf buf;

    (void)state;
    buf_init(&buf, 9);
    assert_int_equal(bag_print(&buf, properties, 1), -ENOSPC);
    buf_done(&buf);
}

static void bag_size_counts_names_of_applications_and_all_values(void **state)
{
    static const struct bag_property properties[] = {
        { "message-id", "123", true },
        { "ab", "cde", false },
        { "ab", NULL, false },
    };

    (void)state;
    assert_int_equal(bag_size(properties, 0), 0);
    assert_int_equal(bag_size(properties, 1), 3);
    assert_int_equal(bag_size(properties, 3), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bag_parse_knows_system_properties_in_both_spellings),
        cmocka_unit_test(bag_parse_refuses_what_is_none),
        cmocka_unit_test(bag_print_and_parse_are_inverse),
        cmocka_unit_test(bag_print_over_the_maximum_is_an_error),
        cmocka_unit_test(bag_size_counts_names_of_applications_and_all_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
