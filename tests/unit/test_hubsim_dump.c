/* hubsim --dump: all of the state as JSON. */
#include "test_hubsim_fixture.h"

#include "tests/sim/hubsim/dump.h"

#include <errno.h>

static int set_up(void **state)
{
    static struct hub_fixture f;

    fixture_open(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    return 0;
}

static cJSON *dump(struct hub_fixture *f, bool keys)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    cJSON *tree;

    assert_non_null(out);
    assert_int_equal(dump_print(f->registry, keys, out), 0);
    fclose(out);
    tree = fixture_json(text);
    free(text);
    return tree;
}

static const cJSON *at(const cJSON *json, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(json, key);
}

static void dump_of_an_empty_state_has_the_policies(void **state)
{
    struct hub_fixture *f = *state;
    cJSON *tree = dump(f, false);

    assert_int_equal(cJSON_GetArraySize(at(tree, "devices")), 0);
    assert_int_equal(cJSON_GetArraySize(at(tree, "modules")), 0);
    assert_int_equal(cJSON_GetArraySize(at(tree, "policies")), AUTH_POLICY_COUNT);
    assert_string_equal(json_text(at(tree, "policies")->child, "primaryKey"), "");
    cJSON_Delete(tree);
}

static void dump_holds_twins_sessions_and_queues(void **state)
{
    const struct registry_session session = { .filters = { { "$iothub/twin/res/#", 1 } },
                                              .count = 1 };
    const struct registry_message messages[] = {
        { .bag = "k=v", .body = "one", .body_length = 3, .enqueued_ms = 1000, .expiry_ms = 2000 },
        { .bag = "", .enqueued_ms = 1500 },
    };
    struct hub_fixture *f = *state;
    const cJSON *device, *module, *queue;
    int64_t sequence;
    cJSON *tree;

    fixture_create(f, "a", "");
    fixture_create(f, "b", "");
    fixture_create(f, "a", "m");
    assert_int_equal(fixture_write(f, "a", "m", HUB_PATCH, "{\"tags\":{\"site\":\"A\"}}", NULL), 0);
    assert_int_equal(registry_put_session(f->registry, "a", "m", &session), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(registry_put_message(f->registry, "a", &messages[i], &sequence), 0);
    tree = dump(f, false);

    assert_int_equal(cJSON_GetArraySize(at(tree, "devices")), 2);
    device = at(tree, "devices")->child;
    assert_string_equal(json_text(at(device, "identity"), "deviceId"), "a");
    assert_true(at(at(device, "identity"), "cloudToDeviceMessageCount")->valuedouble == 2);
    assert_true(cJSON_IsNull(at(device, "session")));
    queue = at(device, "queue");
    assert_int_equal(cJSON_GetArraySize(queue), 2);
    assert_string_equal(json_text(queue->child, "properties"), "k=v");
    assert_string_equal(json_text(queue->child, "bodyBase64"), "b25l");
    assert_string_equal(json_text(queue->child, "expiryTime"), "1970-01-01T00:00:02.0000000Z");
    assert_true(cJSON_IsNull(at(queue->child->next, "expiryTime")));
    assert_int_equal(cJSON_GetArraySize(at(at(tree, "devices")->child->next, "queue")), 0);

    module = at(tree, "modules")->child;
    assert_string_equal(json_text(at(at(module, "twin"), "tags"), "site"), "A");
    assert_string_equal(json_text(at(module, "session")->child, "filter"), "$iothub/twin/res/#");
    assert_null(at(module, "queue"));
    cJSON_Delete(tree);
}

static void dump_shows_keys_only_when_it_is_told_to(void **state)
{
    struct hub_fixture *f = *state;
    struct identity identity = fixture_create(f, "a", "");

    for (int keys = 0; keys < 2; keys++) {
        cJSON *tree = dump(f, keys);
        const cJSON *authentication = at(at(at(tree, "devices")->child, "identity"),
                                         "authentication");

        assert_string_equal(json_text(at(authentication, "symmetricKey"), "primaryKey"),
                            keys ? identity.primary_key : "");
        assert_string_equal(json_text(at(authentication, "symmetricKey"), "secondaryKey"),
                            keys ? identity.secondary_key : "");
        assert_string_equal(json_text(at(tree, "policies")->child, "primaryKey"),
                            keys ? access_policy_key(hub_access(f->hub), "iothubowner") : "");
        cJSON_Delete(tree);
    }
}

static void dump_to_a_full_disk_says_so(void **state)
{
    struct hub_fixture *f = *state;
    FILE *full = fopen("/dev/full", "we");

    assert_non_null(full);
    assert_int_equal(dump_print(f->registry, false, full), -EIO);
    fclose(full);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(dump_of_an_empty_state_has_the_policies),
        TEST(dump_holds_twins_sessions_and_queues),
        TEST(dump_shows_keys_only_when_it_is_told_to),
        TEST(dump_to_a_full_disk_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
