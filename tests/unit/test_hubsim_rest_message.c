/* Messages over REST: those to devices are queued, those from devices can be read. */
#include "test_hubsim_rest_fixture.h"

#include "bridge/mqtt.h"

#include <inttypes.h>

static int send(struct rest_fixture *f, const char *body)
{
    return rest_call_as(f, "service", "POST", "/devices/d/messages/deviceBound", body);
}

struct seen {
    int count;
    char bag[256], body[64];
    int64_t expiry_ms;
};

static bool on_pending(void *data, const struct registry_message *message)
{
    struct seen *seen = data;

    seen->count++;
    snprintf(seen->bag, sizeof seen->bag, "%s", message->bag);
    snprintf(seen->body, sizeof seen->body, "%.*s", (int)message->body_length,
             message->body_length > 0 ? (const char *)message->body : "");
    seen->expiry_ms = message->expiry_ms;
    return true;
}

static void rest_message_goes_to_the_queue_with_its_properties(void **state)
{
    struct rest_fixture *f = *state;
    struct seen seen = { .count = 0 };

    fixture_create(&f->base, "d", "");
    f->request.texts[REST_MESSAGE_ID] = "id 1";
    f->request.texts[REST_PROPERTIES] = "k=v%26&flag";
    f->request.texts[REST_TTL] = "60";
    assert_int_equal(send(f, "hello"), 204);
    assert_null(f->json);
    assert_int_equal(hub_each_pending(f->base.hub, "d", 0, on_pending, &seen), 0);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.body, "hello");
    assert_non_null(strstr(seen.bag, "%24.mid=id%201"));
    assert_non_null(strstr(seen.bag, "k=v%26"));
    assert_true(seen.expiry_ms == f->base.wall_ms + 60000);
    assert_int_equal(rest_call_owner(f, "GET", "/devices/d", ""), 200);
    assert_true(rest_at(f->json, "cloudToDeviceMessageCount")->valuedouble == 1);
    assert_int_equal(rest_call_owner(f, "GET", "/twins/d", ""), 200);
    assert_true(rest_at(f->json, "cloudToDeviceMessageCount")->valuedouble == 1);
}

static void rest_message_that_cannot_be_queued_says_why(void **state)
{
    struct rest_fixture *f = *state;
    char *large;

    send(f, "x");
    assert_rest_error(f, 404, "DeviceNotFound");
    fixture_create(&f->base, "d", "");
    f->request.texts[REST_PROPERTIES] = "k=%zz";
    send(f, "x");
    assert_rest_error(f, 400, "ArgumentInvalid");
    f->request.texts[REST_TTL] = "soon";
    send(f, "x");
    assert_rest_error(f, 400, "ArgumentInvalid");
    rest_call_as(f, "registryReadWrite", "POST", "/devices/d/messages/deviceBound", "x");
    assert_rest_error(f, 401, "IotHubUnauthorized");

    large = calloc(1, HUB_PENDING_BYTES_MAX + 2);
    assert_non_null(large);
    memset(large, 'x', HUB_PENDING_BYTES_MAX + 1);
    send(f, large);
    assert_rest_error(f, 413, "MessageTooLarge");
    free(large);

    for (int i = 0; i < HUB_PENDING_MAX; i++)
        assert_int_equal(send(f, "x"), 204);
    send(f, "x");
    assert_rest_error(f, 403, "DeviceMaximumQueueDepthExceeded");
}

/* ---- from devices ---- */

static void on_drop(struct hub_client *client, const char *why)
{
    (void)client;
    (void)why;
}

static void take(struct rest_fixture *f, struct hub_client *client, const char *bag,
                 const char *body, size_t length)
{
    assert_int_equal(hub_take_message(f->base.hub, client, (struct mqtt_text){ bag, strlen(bag) },
                                      body, length, HUB_TELEMETRY),
                     0);
}

static int list(struct rest_fixture *f, const char *after, const char *top)
{
    f->request.texts[REST_AFTER] = after;
    f->request.texts[REST_TOP] = top;
    return rest_call_as(f, "service", "GET", "/hubsim/messages", "");
}

static void rest_messages_are_listed_behind_a_number(void **state)
{
    static const struct {
        const char *after, *top;
        int status, count, first;
    } cases[] = {
        { NULL, NULL, 200, 3, 1 }, { "0", NULL, 200, 3, 1 }, { "1", NULL, 200, 2, 2 },
        { "1", "1", 200, 1, 2 },   { "3", NULL, 200, 0, 0 }, { "99", NULL, 200, 0, 0 },
        { "x", NULL, 400, 0, 0 },  { NULL, "0", 400, 0, 0 }, { "-1", NULL, 400, 0, 0 },
    };
    struct hub_client module = { .device_id = "d", .module_id = "m", .drop = on_drop };
    struct rest_fixture *f = *state;

    fixture_create(&f->base, "d", "");
    module.generation_id = fixture_create(&f->base, "d", "m").generation_id;
    for (int i = 0; i < 3; i++)
        take(f, &module, "", "{}", 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s %s\n", cases[i].after, cases[i].top);
        assert_int_equal(list(f, cases[i].after, cases[i].top), cases[i].status);
        if (cases[i].status != 200)
            continue;
        assert_int_equal(cJSON_GetArraySize(f->json), cases[i].count);
        if (cases[i].count > 0)
            assert_true(rest_at(f->json->child, "number")->valuedouble == cases[i].first);
    }
    rest_call_as(f, "device", "GET", "/hubsim/messages", "");
    assert_rest_error(f, 401, "IotHubUnauthorized");
}

static void rest_messages_show_bodies_as_what_they_are(void **state)
{
    static const struct {
        const char *body;
        size_t length;
        const char *shown, *base64; /* shown NULL: only as base64 */
    } cases[] = {
        { "{\"a\":[1,2]}", 11, "{\"a\":[1,2]}", "eyJhIjpbMSwyXX0=" },
        { "plain \"text\"", 12, "\"plain \\\"text\\\"\"", "cGxhaW4gInRleHQi" },
        { "", 0, "\"\"", "" },
        { "\xff\xfe", 2, NULL, "//4=" },
        { "a\0b", 3, NULL, "YQBi" },
    };
    struct hub_client device = { .device_id = "d", .drop = on_drop };
    struct rest_fixture *f = *state;

    device.generation_id = fixture_create(&f->base, "d", "").generation_id;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char after[24];
        const cJSON *shown;
        char *printed;

        print_message("case %zu\n", i);
        take(f, &device, "%24.ct=text&k=1&k=2&n", cases[i].body, cases[i].length);
        snprintf(after, sizeof after, "%zu", i);
        assert_int_equal(list(f, after, NULL), 200);
        shown = rest_at(f->json->child, "body");
        assert_int_equal(shown == NULL, cases[i].shown == NULL);
        if (shown != NULL) {
            printed = cJSON_PrintUnformatted(shown);
            assert_string_equal(printed, cases[i].shown);
            cJSON_free(printed);
        }
        assert_string_equal(json_text(f->json->child, "bodyBase64"), cases[i].base64);
        assert_string_equal(json_text(f->json->child, "deviceId"), "d");
        assert_true(cJSON_IsNull(rest_at(f->json->child, "moduleId")));
        assert_string_equal(json_text(rest_at(f->json->child, "properties"), "k"), "2");
        assert_true(cJSON_IsNull(rest_at(rest_at(f->json->child, "properties"), "n")));
        assert_string_equal(json_text(rest_at(f->json->child, "systemProperties"), "content-type"),
                            "text");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REST_TEST(rest_message_goes_to_the_queue_with_its_properties),
        REST_TEST(rest_message_that_cannot_be_queued_says_why),
        REST_TEST(rest_messages_are_listed_behind_a_number),
        REST_TEST(rest_messages_show_bodies_as_what_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
