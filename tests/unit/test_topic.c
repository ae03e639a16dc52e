/* The twin topics (iot-hub.md section 3.1). */
#include "bridge/topic.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* From memory that ends with the text, so that the sanitizer sees one byte too far. */
static int parse(struct topic *out, const char *text, size_t length)
{
    char *copy = malloc(length + (length == 0));
    int rc;

    assert_non_null(copy);
    memcpy(copy, text, length);
    rc = topic_parse(out, copy, length);
    free(copy);
    return rc;
}

static void parse_of_a_response_gives_status_rid_and_version(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *rid;
        int64_t version;
    } cases[] = {
        { "$iothub/twin/res/200/?$rid=e418", 200, "e418", -1 },
        { "$iothub/twin/res/204/?$rid=581d&$version=2", 204, "581d", 2 },
        { "$iothub/twin/res/204/?$version=2&$rid=581d", 204, "581d", 2 }, /* by key, not place */
        { "$iothub/twin/res/204/?x=y&$rid=1&$version=0&z", 204, "1", 0 },
        { "$iothub/twin/res/429/?%24rid=a%2Db%20c&%24version=9007199254740992", 429, "a-b c",
          INT64_C(9007199254740992) },
        { "$iothub/twin/res/200/?$rid=a=b", 200, "a=b", -1 }, /* split at the first '=' */
        { "$iothub/twin/res/200/?$rid=1&", 200, "1", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topic topic;

        print_message("case %s\n", cases[i].text);
        assert_int_equal(parse(&topic, cases[i].text, strlen(cases[i].text)), 0);
        assert_int_equal(topic.kind, TOPIC_RESPONSE);
        assert_int_equal(topic.status, cases[i].status);
        assert_string_equal(topic.rid, cases[i].rid);
        assert_true(topic.version == cases[i].version);
    }
}

static void parse_of_a_desired_patch_gives_the_version(void **state)
{
    static const struct {
        const char *text;
        int64_t version;
    } cases[] = {
        { "$iothub/twin/PATCH/properties/desired/?$version=4", 4 },
        { "$iothub/twin/PATCH/properties/desired/?a=b&$version=17", 17 },
        { "$iothub/twin/PATCH/properties/desired/", -1 }, /* the body tells it */
        { "$iothub/twin/PATCH/properties/desired/?", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topic topic;

        print_message("case %s\n", cases[i].text);
        assert_int_equal(parse(&topic, cases[i].text, strlen(cases[i].text)), 0);
        assert_int_equal(topic.kind, TOPIC_DESIRED);
        assert_int_equal(topic.status, 0);
        assert_string_equal(topic.rid, "");
        assert_true(topic.version == cases[i].version);
    }
}

static void parse_of_other_topics_is_not_ours(void **state)
{
    static const char *const cases[] = {
        "",
        "$iothub/twin/res",
        "$iothub/twin/RES/200/?$rid=1",
        "$IoTHub/twin/res/200/?$rid=1",
        "x$iothub/twin/res/200/?$rid=1", /* anchored at the start */
        "/$iothub/twin/res/200/?$rid=1",
        "$iothub/methods/POST/reboot/?$rid=7",
        "$iothub/twin/PATCH/properties/reported/?$rid=7",
        "$iothub/twin/PATCH/properties/desired", /* the slash is part of the contract */
        "devices/d/modules/m/inputs/x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topic topic = { .status = 7 };

        print_message("case %s\n", cases[i]);
        assert_int_equal(parse(&topic, cases[i], strlen(cases[i])), -EPROTO);
        assert_int_equal(topic.status, 7);
    }
}

static void parse_of_a_desired_topic_with_a_request_id_gives_none(void **state)
{
    static const char text[] = "$iothub/twin/PATCH/properties/desired/?$rid=7&$version=3";
    struct topic topic;

    (void)state;
    assert_int_equal(parse(&topic, text, strlen(text)), 0);
    assert_int_equal(topic.kind, TOPIC_DESIRED);
    assert_int_equal(topic.version, 3);
    assert_string_equal(topic.rid, "");
}

static void parse_of_a_malformed_topic_is_refused(void **state)
{
    static const struct {
        const char *text;
        enum topic_kind kind;
    } cases[] = {
        { "$iothub/twin/res/", TOPIC_RESPONSE },
        { "$iothub/twin/res/200", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/?", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/x?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/200?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/20/?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/2000/?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/+20/?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/2 0/?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/099/?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/600/?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/2e0/?$rid=1", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/?$version=1", TOPIC_RESPONSE }, /* no rid */
        { "$iothub/twin/res/200/?$rid=", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/?$rid", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/?$rid=1&$rid=2", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/?$rid=%", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/?$rid=%4", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/?$rid=%4g", TOPIC_RESPONSE },
        { "$iothub/twin/res/200/?$rid=a%00b", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version=", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version=-1", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version=+1", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version=01", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version=1.0", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version= 1", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version=9007199254740993", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version=18446744073709551617", TOPIC_RESPONSE },
        { "$iothub/twin/res/204/?$rid=1&$version=1&$version=1", TOPIC_RESPONSE },
        { "$iothub/twin/PATCH/properties/desired/x", TOPIC_DESIRED },
        { "$iothub/twin/PATCH/properties/desired/?$version=x", TOPIC_DESIRED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topic topic = { .kind = (enum topic_kind)99, .status = 7 };

        print_message("case %s\n", cases[i].text);
        assert_int_equal(parse(&topic, cases[i].text, strlen(cases[i].text)), -EBADMSG);
        assert_int_equal(topic.kind, cases[i].kind);
        assert_int_equal(topic.status, 7);
    }
}

static void parse_over_the_limits_is_refused(void **state)
{
    char text[TOPIC_MAX + 2];
    struct topic topic;
    size_t length;

    (void)state;
    /* a request id of 64 characters, and one more */
    length = (size_t)snprintf(text, sizeof text, "$iothub/twin/res/200/?$rid=%064d", 0);
    assert_int_equal(parse(&topic, text, length), 0);
    assert_int_equal(strlen(topic.rid), TOPIC_RID_MAX);
    length = (size_t)snprintf(text, sizeof text, "$iothub/twin/res/200/?$rid=%065d", 0);
    assert_int_equal(parse(&topic, text, length), -ENOSPC);

    /* 16 pairs, and one more */
    length = (size_t)snprintf(text, sizeof text, "$iothub/twin/res/200/?$rid=1");
    for (int i = 1; i < TOPIC_PROPERTIES_MAX; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "&a=b");
    assert_int_equal(parse(&topic, text, length), 0);
    length += (size_t)snprintf(text + length, sizeof text - length, "&a=b");
    assert_int_equal(parse(&topic, text, length), -ENOSPC);

    /* 512 bytes, and one more */
    length = (size_t)snprintf(text, sizeof text, "$iothub/twin/res/200/?$rid=1&x=");
    memset(text + length, 'y', sizeof text - length);
    assert_int_equal(parse(&topic, text, TOPIC_MAX), 0);
    assert_int_equal(parse(&topic, text, TOPIC_MAX + 1), -ENOSPC);
}

static void parse_of_a_topic_cut_at_every_byte_never_gives_a_wrong_value(void **state)
{
    static const char whole[] = "$iothub/twin/res/204/?$rid=581d&$version=25";
    size_t length = strlen(whole);

    (void)state;
    for (size_t i = 0; i < length; i++) {
        struct topic topic;

        if (parse(&topic, whole, i) != 0)
            continue;
        /* what is whole up to the cut may stand, what is cut may not be guessed */
        assert_int_equal(topic.status, 204);
        assert_memory_equal(topic.rid, "581d", strlen(topic.rid));
        assert_true(topic.version == -1 || topic.version == 2);
    }
}

static void build_gives_the_documented_topics(void **state)
{
    char out[TOPIC_MAX];

    (void)state;
    assert_int_equal(topic_get(out, sizeof out, "a1-B2"), 28);
    assert_string_equal(out, "$iothub/twin/GET/?$rid=a1-B2");
    assert_true(topic_reported(out, sizeof out, "581d") > 0);
    assert_string_equal(out, "$iothub/twin/PATCH/properties/reported/?$rid=581d");
}

static void build_with_a_bad_rid_or_no_room_writes_nothing(void **state)
{
    char out[TOPIC_MAX] = "before";

    (void)state;
    assert_int_equal(topic_get(out, sizeof out, ""), -EINVAL);
    assert_int_equal(topic_get(out, sizeof out, "a&b"), -EINVAL);
    assert_int_equal(topic_get(out, sizeof out, "a b"), -EINVAL);
    assert_int_equal(topic_get(out, 24, "1"), -ENOSPC);
    assert_string_equal(out, "before");
    assert_int_equal(topic_get(out, 25, "1"), 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_of_a_response_gives_status_rid_and_version),
        cmocka_unit_test(parse_of_a_desired_patch_gives_the_version),
        cmocka_unit_test(parse_of_other_topics_is_not_ours),
        cmocka_unit_test(parse_of_a_desired_topic_with_a_request_id_gives_none),
        cmocka_unit_test(parse_of_a_malformed_topic_is_refused),
        cmocka_unit_test(parse_over_the_limits_is_refused),
        cmocka_unit_test(parse_of_a_topic_cut_at_every_byte_never_gives_a_wrong_value),
        cmocka_unit_test(build_gives_the_documented_topics),
        cmocka_unit_test(build_with_a_bad_rid_or_no_room_writes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
