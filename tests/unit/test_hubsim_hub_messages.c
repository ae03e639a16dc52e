/* Messages inside the hub: who may have them, how many, how large, how long. */
#include "test_hubsim_fixture.h"

#include <errno.h>

static int set_up(void **state)
{
    static struct hub_fixture f;

    fixture_open(&f);
    fixture_create(&f, "d", "");
    fixture_create(&f, "e", "");
    fixture_create(&f, "d", "m");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    return 0;
}

static int send(struct hub_fixture *f, const char *device_id, const char *body, uint32_t ttl_s)
{
    const struct hub_message message = { .body = body, .length = strlen(body) };

    return hub_send_message(f->hub, device_id, &message, ttl_s);
}

static int pending(struct hub_fixture *f, const char *device_id)
{
    int count = -1;

    assert_int_equal(hub_count_messages(f->hub, device_id, &count), 0);
    return count;
}

static bool note(void *data, const struct registry_message *message)
{
    char *seen = data;
    size_t n = strlen(seen);

    snprintf(seen + n, 256 - n, "%.*s;", (int)message->body_length, (const char *)message->body);
    return true;
}

static void hub_send_message_is_for_devices_that_are_there(void **state)
{
    struct hub_fixture *f = *state;

    assert_int_equal(send(f, "d", "1", 0), 0);
    assert_int_equal(send(f, "x", "1", 0), -ENOENT);
    assert_int_equal(send(f, "d/m", "1", 0), -ENOENT);
    assert_int_equal(pending(f, "d"), 1);
    assert_int_equal(pending(f, "e"), 0);
}

static void hub_send_message_the_51st_is_refused(void **state)
{
    struct hub_fixture *f = *state;

    for (int i = 0; i < HUB_PENDING_MAX; i++)
        assert_int_equal(send(f, "d", "1", 0), 0);
    assert_int_equal(send(f, "d", "1", 0), -EMFILE);
    assert_int_equal(send(f, "e", "1", 0), 0);
    f->wall_ms += HUB_PENDING_TTL_S * INT64_C(1000); /* those that are over make room */
    assert_int_equal(send(f, "d", "1", 0), 0);
    assert_int_equal(pending(f, "d"), 1);
}

static void hub_send_message_over_64_kb_is_refused(void **state)
{
    static const struct bag_property properties[] = { { "ab", "cd", false } };
    struct hub_fixture *f = *state;
    char *body = calloc(1, HUB_PENDING_BYTES_MAX + 1);
    struct hub_message message = { .body = body, .length = HUB_PENDING_BYTES_MAX };

    assert_int_equal(hub_send_message(f->hub, "d", &message, 0), 0);
    message.length++;
    assert_int_equal(hub_send_message(f->hub, "d", &message, 0), -EFBIG);
    message.properties = properties;
    message.property_count = 1;
    message.length = HUB_PENDING_BYTES_MAX - 3;
    assert_int_equal(hub_send_message(f->hub, "d", &message, 0), -EFBIG);
    message.length--;
    assert_int_equal(hub_send_message(f->hub, "d", &message, 0), 0);
    free(body);
}

/* Every byte may need three in the topic, and MQTT's topics end at 65,535. */
static void hub_send_message_whose_properties_fit_into_no_topic_is_refused(void **state)
{
    struct hub_fixture *f = *state;
    char *value = calloc(1, 30001);
    const struct bag_property properties[] = { { "a", value, false } };
    const struct hub_message message = { .properties = properties, .property_count = 1 };

    memset(value, '/', 30000);
    assert_int_equal(hub_send_message(f->hub, "d", &message, 0), -EFBIG);
    value[20000] = 0;
    assert_int_equal(hub_send_message(f->hub, "d", &message, 0), 0);
    free(value);
}

static bool note_bag(void *data, const struct registry_message *message)
{
    snprintf(data, 256, "%s", message->bag);
    return true;
}

static void hub_send_message_goes_where_the_sender_says_or_to_the_device(void **state)
{
    static const struct bag_property to = { "to", "/elsewhere", true };
    const struct hub_message with = { .properties = &to, .property_count = 1 };
    struct hub_fixture *f = *state;
    char bag[256] = "";

    assert_int_equal(hub_send_message(f->hub, "d", &with, 0), 0);
    assert_int_equal(send(f, "e", "1", 0), 0);
    assert_int_equal(hub_each_pending(f->hub, "d", 0, note_bag, bag), 0);
    assert_string_equal(bag, "%24.to=%2Felsewhere");
    assert_int_equal(hub_each_pending(f->hub, "e", 0, note_bag, bag), 0);
    assert_string_equal(bag, "%24.to=%2Fdevices%2Fe%2Fmessages%2Fdevicebound");
}

static void hub_each_pending_shows_what_is_still_good(void **state)
{
    struct hub_fixture *f = *state;
    char seen[256] = "";

    assert_int_equal(send(f, "d", "short", 5), 0);
    assert_int_equal(send(f, "d", "hour", 0), 0);
    assert_int_equal(send(f, "d", "day", 24 * 3600), 0);
    f->wall_ms += 4999;
    assert_int_equal(hub_each_pending(f->hub, "d", 0, note, seen), 0);
    assert_string_equal(seen, "short;hour;day;");
    f->wall_ms += 1;
    seen[0] = 0;
    assert_int_equal(hub_each_pending(f->hub, "d", 0, note, seen), 0);
    assert_string_equal(seen, "hour;day;");
    f->wall_ms += 3595 * 1000;
    assert_int_equal(pending(f, "d"), 1);
}

static void hub_purge_messages_leaves_those_of_others(void **state)
{
    struct hub_fixture *f = *state;

    for (int i = 0; i < HUB_PENDING_MAX; i++)
        assert_int_equal(send(f, "d", "1", 0), 0);
    assert_int_equal(send(f, "e", "1", 0), 0);
    assert_int_equal(hub_purge_messages(f->hub, "d"), 0);
    assert_int_equal(pending(f, "d"), 0);
    assert_int_equal(pending(f, "e"), 1);
}

static void hub_delete_identity_takes_its_messages_along(void **state)
{
    struct hub_fixture *f = *state;

    assert_int_equal(send(f, "d", "1", 0), 0);
    assert_int_equal(hub_delete_identity(f->hub, "d", "m", NULL), 0); /* a module's are none */
    assert_int_equal(pending(f, "d"), 1);
    assert_int_equal(hub_delete_identity(f->hub, "d", "", NULL), 0);
    fixture_create(f, "d", "");
    assert_int_equal(pending(f, "d"), 0);
}

static void count(void *data, const struct hub_message *message)
{
    (void)message;
    ++*(size_t *)data;
}

static void hub_take_message_keeps_the_newest(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_client client = { .device_id = "d" };
    size_t kept = 0, behind = 0;

    for (int i = 0; i < HUB_MESSAGES_MAX + 5; i++)
        assert_int_equal(
            hub_take_message(f->hub, &client, (struct mqtt_text){ "", 0 }, "x", 1, HUB_TELEMETRY),
            0);
    hub_each_message(f->hub, 0, SIZE_MAX, count, &kept);
    hub_each_message(f->hub, HUB_MESSAGES_MAX, SIZE_MAX, count, &behind);
    assert_int_equal(kept, HUB_MESSAGES_MAX);
    assert_int_equal(behind, 5);
}

static void hub_check_message_says_what_taking_would(void **state)
{
    static const struct {
        const char *bag;
        size_t length;
        int want;
    } cases[] = {
        { "a=b", 0, 0 },
        { "a=b", HUB_TELEMETRY_MAX - 2, 0 },
        { "a=b", HUB_TELEMETRY_MAX - 1, -EFBIG },
        { "a=%", 0, -EBADMSG },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(hub_check_message((struct mqtt_text){ cases[i].bag, strlen(cases[i].bag) },
                                           cases[i].length),
                         cases[i].want);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hub_send_message_is_for_devices_that_are_there),
        TEST(hub_send_message_the_51st_is_refused),
        TEST(hub_send_message_over_64_kb_is_refused),
        TEST(hub_send_message_whose_properties_fit_into_no_topic_is_refused),
        TEST(hub_send_message_goes_where_the_sender_says_or_to_the_device),
        TEST(hub_each_pending_shows_what_is_still_good),
        TEST(hub_purge_messages_leaves_those_of_others),
        TEST(hub_delete_identity_takes_its_messages_along),
        TEST(hub_take_message_keeps_the_newest),
        TEST(hub_check_message_says_what_taking_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
