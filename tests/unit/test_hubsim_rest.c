/* The service API: routes, permissions, etags, bodies, errors (iot-hub.md section 7). */
#include "test_hubsim_fixture.h"

#include "tests/sim/hubsim/rest.h"

struct rest_fixture {
    struct hub_fixture base;
    struct rest_response response;
    cJSON *json; /* of the last response; NULL when it was empty */
};

static int set_up(void **state)
{
    static struct rest_fixture f;

    memset(&f, 0, sizeof f);
    fixture_open(&f.base);
    rest_response_init(&f.response);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct rest_fixture *f = *state;

    cJSON_Delete(f->json);
    rest_response_done(&f->response);
    fixture_close(&f->base);
    return 0;
}

/* One call by a policy; the status. */
static int call_as(struct rest_fixture *f, const char *policy, const char *method, const char *path,
                   const char *body, const char *if_match)
{
    char token[SAS_TOKEN_MAX];
    const struct rest_request request = {
        .method = method,
        .path = path,
        .api_version = "2021-04-12",
        .authorization = token,
        .if_match = if_match,
        .body = body,
        .body_length = strlen(body),
    };

    assert_int_equal(sas_token(token, sizeof token, FIXTURE_HOST,
                               access_policy_key(hub_access(f->base.hub), policy), policy,
                               FIXTURE_WALL_S + 60),
                     0);
    cJSON_Delete(f->json);
    f->json = NULL;
    rest_response_done(&f->response);
    rest_response_init(&f->response);
    rest_handle(f->base.hub, &request, &f->response);
    if (f->response.body.length > 0)
        f->json = fixture_json(buf_text(&f->response.body));
    return f->response.status;
}

static int call(struct rest_fixture *f, const char *method, const char *path, const char *body)
{
    return call_as(f, "iothubowner", method, path, body, NULL);
}

static const cJSON *at(const cJSON *json, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(json, key);
}

/* Status, error code and the form that the SDKs take apart: "ErrorCode:NAME;text". */
static void assert_error(struct rest_fixture *f, int status, const char *code)
{
    char start[64];

    assert_int_equal(f->response.status, status);
    assert_string_equal(f->response.error_code, code);
    snprintf(start, sizeof start, "ErrorCode:%s;", code);
    assert_non_null(json_text(f->json, "Message"));
    assert_memory_equal(json_text(f->json, "Message"), start, strlen(start));
    assert_non_null(strstr(json_text(f->json, "ExceptionMessage"), "Tracking ID:"));
}

static void rest_handle_identities_from_creation_to_deletion(void **state)
{
    struct rest_fixture *f = *state;

    assert_int_equal(call(f, "PUT", "/devices/d", "{\"deviceId\":\"d\"}"), 200);
    assert_string_equal(json_text(f->json, "deviceId"), "d");
    assert_int_equal(call(f, "PUT", "/devices/d/modules/m", "{}"), 200);
    assert_string_equal(json_text(f->json, "moduleId"), "m");
    assert_int_equal(call(f, "GET", "/devices/d/modules/m", ""), 200);
    assert_int_equal(call(f, "GET", "/devices/d", ""), 200);
    assert_int_equal(call(f, "GET", "/devices", ""), 200);
    assert_int_equal(cJSON_GetArraySize(f->json), 1);
    assert_int_equal(call(f, "GET", "/devices/", ""), 200);
    assert_int_equal(call(f, "GET", "/devices/d/modules", ""), 200);
    assert_int_equal(cJSON_GetArraySize(f->json), 1);

    assert_int_equal(call_as(f, "iothubowner", "DELETE", "/devices/d/modules/m", "", "\"*\""), 204);
    assert_null(f->json);
    assert_null(f->response.error_code);
    assert_int_equal(call(f, "GET", "/devices/d/modules", ""), 200);
    assert_true(cJSON_IsArray(f->json)); /* an array, also when it is empty */
    assert_int_equal(cJSON_GetArraySize(f->json), 0);
    assert_int_equal(call(f, "DELETE", "/devices/d", ""), 204);
}

static void rest_handle_missing_and_present_identities_have_their_errors(void **state)
{
    struct rest_fixture *f = *state;

    call(f, "GET", "/devices/d", "");
    assert_error(f, 404, "DeviceNotFound");
    call(f, "GET", "/devices/d/modules", "");
    assert_error(f, 404, "DeviceNotFound");
    call(f, "PUT", "/devices/d/modules/m", "{}");
    assert_error(f, 404, "DeviceNotFound");
    call(f, "GET", "/twins/d/modules/m", "");
    assert_error(f, 404, "DeviceNotFound");
    assert_int_equal(call(f, "PUT", "/devices/d", "{}"), 200);
    call(f, "GET", "/twins/d/modules/m", "");
    assert_error(f, 404, "ModuleNotFound");
    call(f, "PUT", "/devices/d", "{}");
    assert_error(f, 409, "DeviceAlreadyExists");
    assert_int_equal(call(f, "PUT", "/devices/d/modules/m", "{}"), 200);
    call(f, "PUT", "/devices/d/modules/m", "{}");
    assert_error(f, 409, "ModuleAlreadyExistsOnDevice");
    call(f, "PUT", "/devices/e", "{\"deviceId\":\"d\"}");
    assert_error(f, 400, "ArgumentInvalid");
    call(f, "PUT", "/devices/e", "{");
    assert_error(f, 400, "IotHubFormatError");
    call(f, "PUT", "/devices/e", "");
    assert_error(f, 400, "IotHubFormatError");
    call_as(f, "iothubowner", "DELETE", "/devices/d", "", "\"bm8=\"");
    assert_error(f, 412, "PreconditionFailed");
}

static void rest_handle_twin_document_is_whole(void **state)
{
    static const char *const members[] = {
        "deviceId",
        "moduleId",
        "etag",
        "deviceEtag",
        "status",
        "statusUpdateTime",
        "connectionState",
        "lastActivityTime",
        "cloudToDeviceMessageCount",
        "authenticationType",
        "x509Thumbprint",
        "modelId",
        "version",
        "tags",
        "properties",
    };
    struct rest_fixture *f = *state;
    const cJSON *desired;

    fixture_create(&f->base, "d", "");
    fixture_create(&f->base, "d", "m");
    assert_int_equal(call(f, "PATCH", "/twins/d/modules/m",
                          "{\"tags\":{\"site\":\"A\"},\"properties\":{\"desired\":{\"rate\":5}}}"),
                     200);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        print_message("member %s\n", members[i]);
        assert_non_null(at(f->json, members[i]));
    }
    assert_string_equal(json_text(f->json, "etag"), "AAAAAAAAAAI=");
    desired = at(at(f->json, "properties"), "desired");
    assert_true(at(desired, "rate")->valuedouble == 5);
    assert_true(at(desired, "$version")->valuedouble == 2);
    assert_true(at(at(at(desired, "$metadata"), "rate"), "$lastUpdatedVersion")->valuedouble == 2);
    assert_int_equal(call(f, "GET", "/twins/d", ""), 200);
    assert_null(at(f->json, "moduleId"));
    assert_non_null(at(f->json, "capabilities"));
}

static void rest_handle_if_match_is_read_as_the_hub_does(void **state)
{
    static const struct {
        const char *header;
        int want;
    } cases[] = {
        { "\"AAAAAAAAAAE=\"", 200 },
        { "\"AAAAAAAAAAc=\"", 412 },
        { "\"*\"", 200 },
        { "*", 200 },
        { "AAAAAAAAAAc=", 200 }, /* without quotes: as if absent (7.3) */
        { "\"", 200 },
        { "", 200 },
    };
    struct rest_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[2] = { (char)('a' + i), 0 }, path[32];

        print_message("case %s\n", cases[i].header);
        fixture_create(&f->base, id, "");
        snprintf(path, sizeof path, "/twins/%s", id);
        assert_int_equal(
            call_as(f, "service", "PATCH", path, "{\"tags\":{\"a\":1}}", cases[i].header),
            cases[i].want);
    }
}

static void rest_handle_put_replaces_and_refusals_name_their_rule(void **state)
{
    struct rest_fixture *f = *state;
    char text[4001] = "", large[16000];

    fixture_create(&f->base, "d", "");
    assert_int_equal(
        call(f, "PATCH", "/twins/d", "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"a\":1}}}"),
        200);
    assert_int_equal(call(f, "PUT", "/twins/d", "{\"properties\":{\"desired\":{\"b\":1}}}"), 200);
    assert_int_equal(cJSON_GetArraySize(at(f->json, "tags")), 0);
    assert_null(at(at(at(f->json, "properties"), "desired"), "a"));

    call(f, "PATCH", "/twins/d", "{\"properties\":{\"desired\":{\"a.b\":1}}}");
    assert_error(f, 400, "ArgumentInvalid");
    assert_non_null(strstr(json_text(f->json, "Message"), "a.b"));
    call(f, "PATCH", "/twins/d", "{\"properties\":{\"desired\":{\"a\":4503599627370496}}}");
    assert_error(f, 400, "ArgumentInvalid");
    memset(text, 'x', sizeof text - 1);
    snprintf(large, sizeof large, "{\"tags\":{\"a\":\"%s\",\"b\":\"%s\",\"c\":\"%s\"}}", text, text,
             text);
    call(f, "PATCH", "/twins/d", large);
    assert_error(f, 413, "MessageTooLarge");
}

static void rest_handle_permissions_of_the_policies_are_kept(void **state)
{
    static const struct {
        const char *policy, *method, *path;
        int want;
    } cases[] = {
        { "registryRead", "GET", "/devices", 200 },
        { "registryRead", "PUT", "/devices/e", 401 },
        { "registryRead", "GET", "/twins/d", 401 },
        { "registryReadWrite", "GET", "/devices/d", 200 },
        { "registryReadWrite", "PUT", "/devices/e", 200 },
        { "registryReadWrite", "PATCH", "/twins/d", 401 },
        { "service", "GET", "/twins/d", 200 },
        { "service", "PATCH", "/twins/d", 200 },
        { "service", "GET", "/devices/d", 401 },
        { "service", "DELETE", "/devices/d", 401 },
        { "device", "GET", "/devices/d", 401 },
        { "device", "GET", "/twins/d", 401 },
        { "iothubowner", "DELETE", "/devices/d", 204 },
    };
    struct rest_fixture *f = *state;

    fixture_create(&f->base, "d", "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s %s %s\n", cases[i].policy, cases[i].method, cases[i].path);
        assert_int_equal(call_as(f, cases[i].policy, cases[i].method, cases[i].path, "{}", NULL),
                         cases[i].want);
        if (cases[i].want == 401)
            assert_error(f, 401, "IotHubUnauthorized");
    }
}

static void rest_handle_calls_without_their_right_form_are_refused(void **state)
{
    struct rest_fixture *f = *state;
    struct rest_request request = { .method = "GET", .path = "/devices", .body = "" };

    rest_handle(f->base.hub, &request, &f->response);
    f->json = fixture_json(buf_text(&f->response.body));
    assert_error(f, 400, "InvalidProtocolVersion");
    cJSON_Delete(f->json);

    request.api_version = "2021-04-12";
    rest_handle(f->base.hub, &request, &f->response);
    f->json = fixture_json(buf_text(&f->response.body));
    assert_error(f, 401, "IotHubUnauthorized");
    cJSON_Delete(f->json);

    request.authorization = "SharedAccessSignature sr=" FIXTURE_HOST
                            "&sig=x&se=9999999999&skn=service";
    rest_handle(f->base.hub, &request, &f->response);
    f->json = fixture_json(buf_text(&f->response.body));
    assert_error(f, 401, "IotHubUnauthorizedAccess");
}

static void rest_handle_paths_that_are_not_there_are_told_apart(void **state)
{
    static const struct {
        const char *method, *path;
        int want;
    } cases[] = {
        { "GET", "/", 404 },
        { "GET", "", 404 },
        { "GET", "/device", 404 },
        { "GET", "/devices/d/module", 404 },
        { "GET", "/devices/d/modules/m/x", 404 },
        { "GET", "/twins", 404 },
        { "GET", "/twins/d/modules", 404 },
        { "POST", "/devices", 405 },
        { "PATCH", "/devices/d", 405 },
        { "DELETE", "/twins/d", 405 },
        { "GET", "/devices/a b", 400 },
        { "GET", "/devices/a\"b", 400 },
        { "GET", "/devices/DEVICE/modules/a&b", 400 },
    };
    struct rest_fixture *f = *state;
    char path[256] = "/devices/";

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s %s\n", cases[i].method, cases[i].path);
        assert_int_equal(call(f, cases[i].method, cases[i].path, ""), cases[i].want);
    }
    memset(path + strlen(path), 'x', 129);
    assert_int_equal(call(f, "PUT", path, "{}"), 400);
    path[strlen(path) - 1] = 0;
    assert_int_equal(call(f, "PUT", path, "{}"), 200);
}

static void rest_handle_list_of_devices_honours_top(void **state)
{
    static const struct {
        const char *top;
        int status, count;
    } cases[] = { { NULL, 200, 3 }, { "2", 200, 2 }, { "5000", 200, 3 }, { "0", 400, 0 },
                  { "-1", 400, 0 }, { "x", 400, 0 }, { "2x", 400, 0 },   { "", 400, 0 } };
    struct rest_fixture *f = *state;
    char token[SAS_TOKEN_MAX];

    for (int i = 0; i < 3; i++)
        fixture_create(&f->base, (char[2]){ (char)('a' + i), 0 }, "");
    sas_token(token, sizeof token, FIXTURE_HOST,
              access_policy_key(hub_access(f->base.hub), "registryRead"), "registryRead",
              FIXTURE_WALL_S + 60);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct rest_request request = { .method = "GET",
                                              .path = "/devices",
                                              .api_version = "1",
                                              .top = cases[i].top,
                                              .authorization = token,
                                              .body = "" };

        cJSON_Delete(f->json);
        rest_response_done(&f->response);
        rest_response_init(&f->response);
        rest_handle(f->base.hub, &request, &f->response);
        f->json = fixture_json(buf_text(&f->response.body));
        assert_int_equal(f->response.status, cases[i].status);
        if (cases[i].status == 200)
            assert_int_equal(cJSON_GetArraySize(f->json), cases[i].count);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rest_handle_identities_from_creation_to_deletion),
        TEST(rest_handle_missing_and_present_identities_have_their_errors),
        TEST(rest_handle_twin_document_is_whole),
        TEST(rest_handle_if_match_is_read_as_the_hub_does),
        TEST(rest_handle_put_replaces_and_refusals_name_their_rule),
        TEST(rest_handle_permissions_of_the_policies_are_kept),
        TEST(rest_handle_calls_without_their_right_form_are_refused),
        TEST(rest_handle_paths_that_are_not_there_are_told_apart),
        TEST(rest_handle_list_of_devices_honours_top),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
