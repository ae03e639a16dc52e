/* Direct methods over REST: answers that come later, and their failures (iot-hub.md section 5.3). */
#include "test_hubsim_rest_fixture.h"

#include "bridge/mqtt.h"

/* A module that takes calls and answers when the test wants it. */
struct callee {
    struct hub_client client;
    char rid[16];
    char payload[64];
    size_t payload_length;
};

static bool on_call(struct hub_client *client, const char *rid, const struct hub_method *method)
{
    struct callee *callee = (struct callee *)client;

    snprintf(callee->rid, sizeof callee->rid, "%s", rid);
    snprintf(callee->payload, sizeof callee->payload, "%s:%.*s", method->name,
             (int)method->payload_length, method->payload);
    callee->payload_length = method->payload_length;
    return true;
}

static void on_drop(struct hub_client *client, const char *why)
{
    (void)client;
    (void)why;
}

static void connect_module(struct rest_fixture *f, struct callee *callee)
{
    *callee = (struct callee){
        .client = { .device_id = "d", .module_id = "m", .call = on_call, .drop = on_drop }
    };
    callee->client.generation_id = fixture_create(&f->base, "d", "m").generation_id;
    hub_attach(f->base.hub, &callee->client);
}

static void answer(struct rest_fixture *f, const struct callee *callee, int status,
                   const char *payload)
{
    hub_answer_call(f->base.hub, &callee->client,
                    (struct mqtt_text){ callee->rid, strlen(callee->rid) }, status, payload,
                    strlen(payload));
    rest_take_json(f);
}

static int call(struct rest_fixture *f, const char *body)
{
    return rest_call_as(f, "service", "POST", "/twins/d/modules/m/methods", body);
}

static void rest_method_gives_what_the_module_answers(void **state)
{
    static const struct {
        const char *body, *called, *answer, *payload;
    } cases[] = {
        { "{\"methodName\":\"reboot\",\"payload\":{\"x\":1}}", "reboot:{\"x\":1}",
          "{\"done\":true}", "{\"done\":true}" },
        { "{\"methodName\":\"read\",\"payload\":\"\"}", "read:\"\"", "", "null" },
        { "{\"methodName\":\"read\"}", "read:", "5", "5" },
        { "{\"methodName\":\"read\",\"payload\":{\"ns\":1732300000000000001}}",
          "read:{\"ns\":1732300000000000001}", "[]", "[]" },
        { "{\"methodName\":\"read\",\"p\\u0061yload\":[1]}", "read:[1]", "[]", "[]" },
        { "{\"methodName\":\"read\",\"payload\":null}", "read:null", "[]", "[]" },
    };
    struct rest_fixture *f = *state;
    struct callee callee;
    char *printed;

    fixture_create(&f->base, "d", "");
    connect_module(f, &callee);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].body);
        assert_int_equal(call(f, cases[i].body), 0);
        assert_string_equal(callee.payload, cases[i].called);
        assert_int_equal(f->done, (int)i);
        answer(f, &callee, 207, cases[i].answer);
        assert_int_equal(f->done, (int)i + 1);
        assert_int_equal(f->response.status, 200);
        assert_true(rest_at(f->json, "status")->valuedouble == 207);
        printed = cJSON_PrintUnformatted(rest_at(f->json, "payload"));
        assert_string_equal(printed, cases[i].payload);
        cJSON_free(printed);
    }
    hub_detach(f->base.hub, &callee.client);
}

/* 7.6: Message is itself JSON. */
static void assert_method_error(struct rest_fixture *f, int status, int code)
{
    cJSON *message;

    rest_take_json(f);
    assert_int_equal(f->response.status, status);
    message = fixture_json(json_text(f->json, "Message"));
    assert_true(rest_at(message, "errorCode")->valuedouble == code);
    assert_non_null(json_text(message, "trackingId"));
    assert_non_null(json_text(message, "timestampUtc"));
    cJSON_Delete(message);
}

static void rest_method_without_a_taker_is_404103(void **state)
{
    struct rest_fixture *f = *state;

    fixture_create(&f->base, "d", "");
    fixture_create(&f->base, "d", "m");
    if (call(f, "{\"methodName\":\"x\"}") == 0)
        hub_tick(f->base.hub, f->base.now_ms);
    assert_method_error(f, 404, 404103);
    assert_string_equal(f->response.error_code, "DeviceNotOnline");

    f->done = 0;
    assert_int_equal(call(f, "{\"methodName\":\"x\",\"connectTimeoutInSeconds\":7}"), 0);
    hub_tick(f->base.hub, f->base.now_ms + 6999);
    assert_int_equal(f->done, 0);
    hub_tick(f->base.hub, f->base.now_ms + 7000);
    assert_int_equal(f->done, 1);
    assert_method_error(f, 404, 404103);
}

static void rest_method_without_an_answer_is_504101(void **state)
{
    struct rest_fixture *f = *state;
    struct callee callee;

    fixture_create(&f->base, "d", "");
    connect_module(f, &callee);
    assert_int_equal(call(f, "{\"methodName\":\"x\",\"responseTimeoutInSeconds\":5}"), 0);
    hub_tick(f->base.hub, f->base.now_ms + 4999);
    assert_int_equal(f->done, 0);
    hub_tick(f->base.hub, f->base.now_ms + 5000);
    assert_int_equal(f->done, 1);
    assert_method_error(f, 504, 504101);
    answer(f, &callee, 200, "1"); /* too late: dropped */
    assert_int_equal(f->done, 1);

    assert_int_equal(call(f, "{\"methodName\":\"x\"}"), 0);
    answer(f, &callee, 200, "no json");
    assert_int_equal(f->response.status, 502);
    hub_detach(f->base.hub, &callee.client);
}

static void rest_method_whose_caller_is_gone_is_forgotten(void **state)
{
    struct rest_fixture *f = *state;
    struct callee callee;

    fixture_create(&f->base, "d", "");
    connect_module(f, &callee);
    assert_int_equal(call(f, "{\"methodName\":\"x\"}"), 0);
    rest_response_done(&f->response);
    answer(f, &callee, 200, "1");
    assert_int_equal(f->done, 0);
    rest_response_init(&f->response);
    hub_detach(f->base.hub, &callee.client);
}

static void rest_method_of_a_hub_that_closes_ends_with_503(void **state)
{
    struct rest_fixture *f = *state;
    struct hub_options options = fixture_options(&f->base);

    fixture_create(&f->base, "d", "");
    fixture_create(&f->base, "d", "m");
    assert_int_equal(call(f, "{\"methodName\":\"x\",\"connectTimeoutInSeconds\":7}"), 0);
    hub_close(f->base.hub);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->response.status, 503);
    assert_int_equal(hub_open(&f->base.hub, &options), 0);
}

static void rest_method_of_wrong_form_is_refused_at_once(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *code;
    } cases[] = {
        { "{}", 400, "ArgumentInvalid" },
        { "{\"methodName\":\"\"}", 400, "ArgumentInvalid" },
        { "{\"methodName\":\"a/b\"}", 400, "ArgumentInvalid" },
        { "{\"methodName\":5}", 400, "ArgumentInvalid" },
        { "{\"methodName\":\"x\",\"responseTimeoutInSeconds\":4}", 400, "ArgumentInvalid" },
        { "{\"methodName\":\"x\",\"responseTimeoutInSeconds\":301}", 400, "ArgumentInvalid" },
        { "{\"methodName\":\"x\",\"responseTimeoutInSeconds\":\"30\"}", 400, "ArgumentInvalid" },
        { "{\"methodName\":\"x\",\"connectTimeoutInSeconds\":-1}", 400, "ArgumentInvalid" },
        { "{\"methodName\":\"x\",\"connectTimeoutInSeconds\":301}", 400, "ArgumentInvalid" },
        { "no json", 400, "IotHubFormatError" },
        { "{\"methodName\":\"x\"}", 404, "DeviceNotFound" },
    };
    struct rest_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].body);
        assert_int_equal(call(f, cases[i].body), cases[i].status);
        assert_rest_error(f, cases[i].status, cases[i].code);
    }
    assert_int_equal(f->done, 0);
    rest_call_as(f, "registryReadWrite", "POST", "/twins/d/methods", "{}");
    assert_rest_error(f, 401, "IotHubUnauthorized");
}

static void rest_method_payload_at_its_edge(void **state)
{
    static const struct {
        size_t size;
        int want;
    } cases[] = { { HUB_METHOD_MAX, 0 }, { HUB_METHOD_MAX + 1, 413 } };
    struct rest_fixture *f = *state;
    char *body = malloc(HUB_METHOD_MAX + 128);
    struct callee callee;

    assert_non_null(body);
    fixture_create(&f->base, "d", "");
    connect_module(f, &callee);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int head = sprintf(body, "{\"methodName\":\"x\",\"payload\":\"");

        memset(body + head, 'x', cases[i].size - 2);
        memcpy(body + (size_t)head + cases[i].size - 2, "\"}", 3);
        assert_int_equal(call(f, body), cases[i].want);
    }
    assert_int_equal(callee.payload_length, HUB_METHOD_MAX);
    assert_rest_error(f, 413, "MessageTooLarge");
    free(body);
    hub_detach(f->base.hub, &callee.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REST_TEST(rest_method_gives_what_the_module_answers),
        REST_TEST(rest_method_without_a_taker_is_404103),
        REST_TEST(rest_method_without_an_answer_is_504101),
        REST_TEST(rest_method_whose_caller_is_gone_is_forgotten),
        REST_TEST(rest_method_of_a_hub_that_closes_ends_with_503),
        REST_TEST(rest_method_of_wrong_form_is_refused_at_once),
        REST_TEST(rest_method_payload_at_its_edge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
