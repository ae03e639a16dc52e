/* The ring of messages: order, both bounds, and that it keeps copies. */
#include "tests/sim/hubsim/messages.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    char bodies[256]; /* "number:body;" */
};

static void note(void *data, const struct hub_message *message)
{
    struct seen *seen = data;
    size_t length = strlen(seen->bodies);

    snprintf(seen->bodies + length, sizeof seen->bodies - length, "%llu:%.*s;",
             (unsigned long long)message->number, (int)message->length,
             (const char *)message->body);
}

static void assert_kept(const struct messages *messages, uint64_t after, size_t limit,
                        const char *want)
{
    struct seen seen = { "" };

    messages_each(messages, after, limit, note, &seen);
    assert_string_equal(seen.bodies, want);
}

static int add(struct messages *messages, const char *body)
{
    const struct hub_message message = {
        .device_id = "d", .module_id = "", .body = body, .length = strlen(body)
    };

    return messages_add(messages, &message);
}

static void messages_each_shows_the_oldest_first_behind_a_number(void **state)
{
    struct messages *messages;

    (void)state;
    assert_int_equal(messages_new(&messages, 10, 100000), 0);
    assert_kept(messages, 0, 10, "");
    assert_int_equal(add(messages, "a"), 0);
    assert_int_equal(add(messages, ""), 0);
    assert_int_equal(add(messages, "c"), 0);
    assert_kept(messages, 0, 10, "1:a;2:;3:c;");
    assert_kept(messages, 1, 10, "2:;3:c;");
    assert_kept(messages, 1, 1, "2:;");
    assert_kept(messages, 0, 0, "");
    assert_kept(messages, 3, 10, "");
    assert_kept(messages, UINT64_MAX, 10, "");
    messages_free(messages);
}

static void messages_add_over_the_count_forgets_the_oldest(void **state)
{
    struct messages *messages;

    (void)state;
    assert_int_equal(messages_new(&messages, 2, 100000), 0);
    assert_int_equal(add(messages, "a"), 0);
    assert_int_equal(add(messages, "b"), 0);
    assert_kept(messages, 0, 10, "1:a;2:b;");
    assert_int_equal(add(messages, "c"), 0);
    assert_kept(messages, 0, 10, "2:b;3:c;");
    messages_free(messages);
}

static void note_number(void *data, const struct hub_message *message)
{
    *(uint64_t *)data = message->number;
}

static uint64_t oldest(const struct messages *messages)
{
    uint64_t number = 0;

    messages_each(messages, 0, 1, note_number, &number);
    return number;
}

static void messages_add_over_the_bytes_forgets_as_many_as_needed(void **state)
{
    char large[1001] = "", huge[5001] = "";
    struct messages *messages;

    (void)state;
    memset(large, 'x', sizeof large - 1);
    memset(huge, 'y', sizeof huge - 1);
    assert_int_equal(messages_new(&messages, 100, 3000), 0);
    assert_int_equal(add(messages, "a"), 0);
    assert_int_equal(add(messages, "b"), 0);
    assert_int_equal(add(messages, large), 0);
    assert_int_equal(add(messages, large), 0);
    assert_int_equal(add(messages, "e"), 0);
    assert_int_equal(oldest(messages), 1);
    assert_kept(messages, 4, 10, "5:e;");

    assert_int_equal(add(messages, large), 0);
    assert_int_equal(oldest(messages), 4); /* 3, and those before it, made room */
    assert_int_equal(add(messages, huge), -EFBIG);
    assert_int_equal(oldest(messages), 4); /* what cannot be kept takes nobody's place */
    messages_free(messages);
}

static void messages_add_in_place_of_all_others_keeps_it(void **state)
{
    char large[2001] = "";
    struct messages *messages;

    (void)state;
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(messages_new(&messages, 100, 2500), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(add(messages, large), 0);
        assert_int_equal(oldest(messages), i);
    }
    assert_int_equal(add(messages, "b"), 0);
    assert_kept(messages, 3, 10, "4:b;");
    messages_free(messages);
}

static void check_copy(void *data, const struct hub_message *message)
{
    int *right = data;

    *right = strcmp(message->device_id, "dev") == 0 && strcmp(message->module_id, "mod") == 0 &&
             message->enqueued_wall_ms == 42 && message->property_count == 2 &&
             strcmp(message->properties[0].name, "message-id") == 0 &&
             strcmp(message->properties[0].value, "7") == 0 && message->properties[0].system &&
             strcmp(message->properties[1].name, "flag") == 0 &&
             message->properties[1].value == NULL && !message->properties[1].system &&
             message->length == 3 && memcmp(message->body, "a\0b", 3) == 0;
}

static void messages_add_keeps_a_copy_of_everything(void **state)
{
    char device[] = "dev", module[] = "mod", name[] = "message-id", value[] = "7", flag[] = "flag";
    char body[3] = { 'a', 0, 'b' };
    struct bag_property properties[] = { { name, value, true }, { flag, NULL, false } };
    const struct hub_message message = {
        .number = 99,
        .device_id = device,
        .module_id = module,
        .enqueued_wall_ms = 42,
        .properties = properties,
        .property_count = 2,
        .body = body,
        .length = sizeof body,
    };
    struct messages *messages;
    int right = 0;

    (void)state;
    assert_int_equal(messages_new(&messages, 2, 100000), 0);
    assert_int_equal(messages_add(messages, &message), 0);
    device[0] = module[0] = name[0] = value[0] = flag[0] = body[0] = '!';
    properties[1].value = "!";

    messages_each(messages, 0, 1, check_copy, &right);
    assert_int_equal(right, 1);
    assert_kept(messages, 1, 1, ""); /* the number is the ring's own: 1 */
    messages_free(messages);
}

static void messages_free_of_nothing_does_nothing(void **state)
{
    (void)state;
    messages_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_each_shows_the_oldest_first_behind_a_number),
        cmocka_unit_test(messages_add_over_the_count_forgets_the_oldest),
        cmocka_unit_test(messages_add_over_the_bytes_forgets_as_many_as_needed),
        cmocka_unit_test(messages_add_in_place_of_all_others_keeps_it),
        cmocka_unit_test(messages_add_keeps_a_copy_of_everything),
        cmocka_unit_test(messages_free_of_nothing_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
