/* What an identity may publish and subscribe to. */
#include "tests/sim/hubsim/topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct mqtt_text text_of(const char *text)
{
    return (struct mqtt_text){ text, strlen(text) };
}

static void topics_read_knows_the_topics_of_an_identity_only(void **state)
{
    static const struct {
        const char *topic, *module_id;
        enum topics_kind want;
    } cases[] = {
        { "$iothub/twin/GET/?$rid=1", "", TOPICS_TWIN_GET },
        { "$iothub/twin/GET/?$rid=", "m", TOPICS_TWIN_GET },
        { "$iothub/twin/GET/?rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/twin/GET/", "m", TOPICS_FORBIDDEN },
        { "$iothub/twin/GET?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$IoTHub/twin/GET/?$rid=1", "m", TOPICS_FORBIDDEN },
        { "x$iothub/twin/GET/?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/twin/PATCH/properties/reported/?$rid=1", "m", TOPICS_TWIN_REPORTED },
        { "$iothub/twin/PATCH/properties/desired/?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/res/200/?$rid=1", "m", TOPICS_METHOD_ANSWER },
        { "$iothub/methods/res/200/?rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/res/200/", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/res/200?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/res//?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/res/-/?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/res/2x/?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/res/2147483648/?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/res/00000000200/?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/methods/POST/x/?$rid=1", "m", TOPICS_FORBIDDEN },
        { "$iothub/credentials/POST/issueCertificate/?$rid=1", "", TOPICS_FORBIDDEN },
        { "devices/d/messages/devicebound/", "", TOPICS_FORBIDDEN },
        { "devices/d/messages/events/", "", TOPICS_TELEMETRY },
        { "devices/d/messages/events/%24.ct=x&a=b", "", TOPICS_TELEMETRY },
        { "devices/d/messages/events", "", TOPICS_TELEMETRY },
        { "devices/d/messages/eventsx", "", TOPICS_FORBIDDEN },
        { "devices/d/messages/events/", "m", TOPICS_FORBIDDEN },
        { "devices/d/modules/m/messages/events/", "m", TOPICS_TELEMETRY },
        { "devices/d/modules/m/messages/events/", "", TOPICS_FORBIDDEN },
        { "devices/d/modules/mm/messages/events/", "m", TOPICS_FORBIDDEN },
        { "devices/dd/messages/events/", "", TOPICS_FORBIDDEN },
        { "", "m", TOPICS_FORBIDDEN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topics_request request;

        print_message("case %s\n", cases[i].topic);
        assert_int_equal(topics_read(text_of(cases[i].topic), "d", cases[i].module_id, &request),
                         cases[i].want);
    }
}

static void topics_read_takes_rid_and_version_by_key(void **state)
{
    static const struct {
        const char *query, *rid;
        int64_t base;
        bool number;
    } cases[] = {
        { "$rid=a-1", "a-1", -1, true },
        { "$version=7&$rid=a", "a", 7, true },
        { "$rid=a&$version=0", "a", 0, true },
        { "x=1&$rid=%20b&y", "%20b", -1, true },
        { "$rid=a&$version=", "a", -1, false },
        { "$rid=a&$version=-1", "a", -1, false },
        { "$rid=a&$version=1x", "a", -1, false },
        { "$rid=a&$version=9999999999999999999", "a", -1, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topics_request request;
        char topic[128];

        print_message("case %s\n", cases[i].query);
        snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/reported/?%s", cases[i].query);
        assert_int_equal(topics_read(text_of(topic), "d", "m", &request), TOPICS_TWIN_REPORTED);
        assert_true(topics_equal(request.rid, cases[i].rid));
        assert_int_equal(request.base_is_a_number, cases[i].number);
        if (cases[i].number)
            assert_int_equal(request.base, cases[i].base);
    }
}

static void topics_read_method_answer_takes_status_and_rid(void **state)
{
    static const struct {
        const char *topic, *rid;
        int status;
    } cases[] = {
        { "$iothub/methods/res/200/?$rid=1a", "1a", 200 },
        { "$iothub/methods/res/0/?x=y&$rid=", "", 0 },
        { "$iothub/methods/res/-1/?$rid=1&$rid=2", "1", -1 },
        { "$iothub/methods/res/2147483647/?$rid=%31", "%31", 2147483647 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topics_request request;

        print_message("case %s\n", cases[i].topic);
        assert_int_equal(topics_read(text_of(cases[i].topic), "d", "m", &request),
                         TOPICS_METHOD_ANSWER);
        assert_true(topics_equal(request.rid, cases[i].rid));
        assert_int_equal(request.status, cases[i].status);
    }
}

static void topics_read_telemetry_takes_the_bag(void **state)
{
    static const struct {
        const char *topic, *bag;
    } cases[] = {
        { "devices/d/messages/events", "" },
        { "devices/d/messages/events/", "" },
        { "devices/d/messages/events/a=b&c=d/", "a=b&c=d/" },
        { "devices/d/messages/events/a/b", "a/b" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topics_request request;

        print_message("case %s\n", cases[i].topic);
        assert_int_equal(topics_read(text_of(cases[i].topic), "d", "", &request), TOPICS_TELEMETRY);
        assert_true(topics_equal(request.bag, cases[i].bag));
    }
}

static void topics_print_devicebound_is_a_filter_that_the_device_may_have(void **state)
{
    char filter[TOPICS_DEVICEBOUND_MAX], id[129] = "";

    (void)state;
    memset(id, 'x', sizeof id - 1); /* the longest there is */
    topics_print_devicebound(filter, id);
    assert_true(topics_may_subscribe(text_of(filter), id, ""));
}

static void topics_may_subscribe_allows_the_list_of_rule_7(void **state)
{
    static const struct {
        const char *filter;
        bool device, module;
    } cases[] = {
        { "$iothub/twin/res/#", true, true },
        { "$iothub/twin/PATCH/properties/desired/#", true, true },
        { "$iothub/methods/POST/#", true, true },
        { "devices/d/messages/devicebound/#", true, false },
        { "devices/d/modules/m/#", false, true },
        { "devices/d/modules/m/inputs/#", false, true },
        { "devices/d/modules/x/#", false, false },
        { "devices/x/messages/devicebound/#", false, false },
        { "devices/d/#", false, false },
        { "#", false, false },
        { "$iothub/#", false, false },
        { "$iothub/twin/res", false, false },
        { "$iothub/twin/res/#/", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].filter);
        assert_int_equal(topics_may_subscribe(text_of(cases[i].filter), "d", ""), cases[i].device);
        assert_int_equal(topics_may_subscribe(text_of(cases[i].filter), "d", "m"), cases[i].module);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_read_knows_the_topics_of_an_identity_only),
        cmocka_unit_test(topics_read_takes_rid_and_version_by_key),
        cmocka_unit_test(topics_read_method_answer_takes_status_and_rid),
        cmocka_unit_test(topics_read_telemetry_takes_the_bag),
        cmocka_unit_test(topics_print_devicebound_is_a_filter_that_the_device_may_have),
        cmocka_unit_test(topics_may_subscribe_allows_the_list_of_rule_7),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
