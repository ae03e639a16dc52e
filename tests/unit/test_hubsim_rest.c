/* The service API: routes, permissions, etags, bodies, errors (iot-hub.md section 7). */
#include "test_hubsim_rest_fixture.h"

static int call(struct rest_fixture *f, const char *method, const char *path, const char *body)
{
    return rest_call_owner(f, method, path, body);
}

static int call_as(struct rest_fixture *f, const char *policy, const char *method, const char *path,
                   const char *body, const char *if_match)
{
    f->request.texts[REST_IF_MATCH] = if_match;
    return rest_call_as(f, policy, method, path, body);
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
    assert_rest_error(f, 404, "DeviceNotFound");
    call(f, "GET", "/devices/d/modules", "");
    assert_rest_error(f, 404, "DeviceNotFound");
    call(f, "PUT", "/devices/d/modules/m", "{}");
    assert_rest_error(f, 404, "DeviceNotFound");
    call(f, "GET", "/twins/d/modules/m", "");
    assert_rest_error(f, 404, "DeviceNotFound");
    assert_int_equal(call(f, "PUT", "/devices/d", "{}"), 200);
    call(f, "GET", "/twins/d/modules/m", "");
    assert_rest_error(f, 404, "ModuleNotFound");
    call(f, "PUT", "/devices/d", "{}");
    assert_rest_error(f, 409, "DeviceAlreadyExists");
    assert_int_equal(call(f, "PUT", "/devices/d/modules/m", "{}"), 200);
    call(f, "PUT", "/devices/d/modules/m", "{}");
    assert_rest_error(f, 409, "ModuleAlreadyExistsOnDevice");
    call(f, "PUT", "/devices/e", "{\"deviceId\":\"d\"}");
    assert_rest_error(f, 400, "ArgumentInvalid");
    call(f, "PUT", "/devices/e", "{");
    assert_rest_error(f, 400, "IotHubFormatError");
    call(f, "PUT", "/devices/e", "");
    assert_rest_error(f, 400, "IotHubFormatError");
    call_as(f, "iothubowner", "DELETE", "/devices/d", "", "\"bm8=\"");
    assert_rest_error(f, 412, "PreconditionFailed");
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
        assert_non_null(rest_at(f->json, members[i]));
    }
    assert_string_equal(json_text(f->json, "etag"), "AAAAAAAAAAI=");
    desired = rest_at(rest_at(f->json, "properties"), "desired");
    assert_true(rest_at(desired, "rate")->valuedouble == 5);
    assert_true(rest_at(desired, "$version")->valuedouble == 2);
    assert_true(rest_at(rest_at(rest_at(desired, "$metadata"), "rate"), "$lastUpdatedVersion")
                    ->valuedouble == 2);
    assert_int_equal(call(f, "GET", "/twins/d", ""), 200);
    assert_null(rest_at(f->json, "moduleId"));
    assert_non_null(rest_at(f->json, "capabilities"));
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
        { "\"\"", 412 }, /* an etag that nobody has matches nothing */
        { "\"AAAAAAAAAAE=\", \"AAAAAAAAAAc=\"", 412 },
        { "\"0123456789012345678901234567890123456789012345678901234567890123\"", 412 },
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
    assert_int_equal(cJSON_GetArraySize(rest_at(f->json, "tags")), 0);
    assert_null(rest_at(rest_at(rest_at(f->json, "properties"), "desired"), "a"));

    call(f, "PATCH", "/twins/d", "{\"properties\":{\"desired\":{\"a.b\":1}}}");
    assert_rest_error(f, 400, "ArgumentInvalid");
    assert_non_null(strstr(json_text(f->json, "Message"), "a.b"));
    call(f, "PATCH", "/twins/d", "{\"properties\":{\"desired\":{\"a\":4503599627370496}}}");
    assert_rest_error(f, 400, "ArgumentInvalid");
    memset(text, 'x', sizeof text - 1);
    snprintf(large, sizeof large, "{\"tags\":{\"a\":\"%s\",\"b\":\"%s\",\"c\":\"%s\"}}", text, text,
             text);
    call(f, "PATCH", "/twins/d", large);
    assert_rest_error(f, 413, "MessageTooLarge");
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
            assert_rest_error(f, 401, "IotHubUnauthorized");
    }
}

static void rest_handle_calls_without_their_right_form_are_refused(void **state)
{
    struct rest_fixture *f = *state;

    f->request.texts[REST_API_VERSION] = "";
    rest_call_with(f, NULL, "GET", "/devices", "");
    assert_rest_error(f, 400, "InvalidProtocolVersion");
    rest_call_with(f, NULL, "GET", "/devices", "");
    assert_rest_error(f, 401, "IotHubUnauthorized");
    assert_non_null(strstr(json_text(f->json, "Message"), "Authorization header is missing"));
    rest_call_with(f, "SharedAccessSignature sr=" FIXTURE_HOST "&sig=x&se=9999999999&skn=service",
                   "GET", "/devices", "");
    assert_rest_error(f, 401, "IotHubUnauthorizedAccess");
    rest_call_with(f, "Bearer x.y.z", "GET", "/devices", "");
    assert_rest_error(f, 401, "IotHubUnauthorizedAccess");
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
        { "PATCH", "/devices", 405 },
        { "GET", "/twins/d/methods", 405 },
        { "POST", "/devices/query/x", 404 },
        { "GET", "/metadata/identity/oauth2/token", 404 },
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

    for (int i = 0; i < 3; i++)
        fixture_create(&f->base, (char[2]){ (char)('a' + i), 0 }, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->request.texts[REST_TOP] = cases[i].top;
        assert_int_equal(rest_call_as(f, "registryRead", "GET", "/devices", ""), cases[i].status);
        if (cases[i].status == 200)
            assert_int_equal(cJSON_GetArraySize(f->json), cases[i].count);
    }
}

static void rest_handle_strict_if_match_refuses_etags_without_quotes(void **state)
{
    static const struct {
        const char *header;
        int want;
    } cases[] = {
        { "AAAAAAAAAAE=", 400 }, { "\"", 400 }, { "\"\"", 400 },
        { "\"*\"", 200 },        { "*", 200 },  { "", 200 },
        { NULL, 200 },
    };
    struct rest_fixture *f = *state;
    struct hub_options options = fixture_options(&f->base);

    options.rules.strict_if_match = true;
    hub_close(f->base.hub);
    assert_int_equal(hub_open(&f->base.hub, &options), 0);
    fixture_create(&f->base, "d", "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            call_as(f, "service", "PATCH", "/twins/d", "{\"tags\":{\"a\":1}}", cases[i].header),
            cases[i].want);
}

static void rest_handle_a_device_has_fifty_modules_at_most(void **state)
{
    struct rest_fixture *f = *state;
    char path[64];

    fixture_create(&f->base, "d", "");
    for (int i = 0; i < HUB_MODULES_MAX; i++) {
        snprintf(path, sizeof path, "/devices/d/modules/m%d", i);
        assert_int_equal(call(f, "PUT", path, "{}"), 200);
    }
    call(f, "PUT", "/devices/d/modules/one-more", "{}");
    assert_rest_error(f, 403, "TooManyModulesOnDevice");
    assert_int_equal(call(f, "GET", "/devices/d/modules", ""), 200);
    assert_int_equal(cJSON_GetArraySize(f->json), HUB_MODULES_MAX);
    assert_int_equal(call(f, "DELETE", "/devices/d/modules/m7", ""), 204);
    assert_int_equal(call(f, "PUT", "/devices/d/modules/one-more", "{}"), 200);
}

static void rest_handle_modules_of_the_edge_are_not_the_back_ends(void **state)
{
    struct rest_fixture *f = *state;

    fixture_create(&f->base, "d", "");
    call(f, "PUT", "/devices/d/modules/$edgeAgent", "{}");
    assert_rest_error(f, 401, "SystemModuleModifyUnauthorizedAccess");
    call(f, "DELETE", "/devices/d/modules/$edgeHub", "");
    assert_rest_error(f, 401, "SystemModuleModifyUnauthorizedAccess");
}

static void rest_handle_lists_only_the_modules_of_the_device(void **state)
{
    static const char *const ids[][2] = { { "a", "" },  { "a", "x" }, { "b", "" },
                                          { "b", "y" }, { "b", "z" }, { "c", "" } };
    struct rest_fixture *f = *state;

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        fixture_create(&f->base, ids[i][0], ids[i][1]);
    assert_int_equal(call(f, "GET", "/devices/b/modules", ""), 200);
    assert_int_equal(cJSON_GetArraySize(f->json), 2);
    assert_string_equal(json_text(cJSON_GetArrayItem(f->json, 0), "moduleId"), "y");
    assert_int_equal(call(f, "GET", "/devices/c/modules", ""), 200);
    assert_int_equal(cJSON_GetArraySize(f->json), 0);
}

static void rest_handle_statistics_count_devices(void **state)
{
    struct rest_fixture *f = *state;

    fixture_create(&f->base, "a", "");
    fixture_create(&f->base, "a", "m");
    assert_int_equal(call(f, "PUT", "/devices/b", "{\"status\":\"disabled\"}"), 200);
    assert_int_equal(rest_call_as(f, "registryRead", "GET", "/statistics/devices", ""), 200);
    assert_true(rest_at(f->json, "totalDeviceCount")->valuedouble == 2);
    assert_true(rest_at(f->json, "enabledDeviceCount")->valuedouble == 1);
    assert_true(rest_at(f->json, "disabledDeviceCount")->valuedouble == 1);
    assert_int_equal(rest_call_as(f, "service", "GET", "/statistics/service", ""), 200);
    assert_true(rest_at(f->json, "connectedDeviceCount")->valuedouble == 0);
}

static void rest_handle_oversize_and_creation_follow_the_rules(void **state)
{
    struct rest_fixture *f = *state;
    struct hub_options options = fixture_options(&f->base);
    char large[16000], text[4001] = "";

    options.rules.rest_oversize_status = 400;
    options.rules.created_status = 201;
    hub_close(f->base.hub);
    assert_int_equal(hub_open(&f->base.hub, &options), 0);
    fixture_create(&f->base, "d", "");
    memset(text, 'x', sizeof text - 1);
    snprintf(large, sizeof large, "{\"tags\":{\"a\":\"%s\",\"b\":\"%s\",\"c\":\"%s\"}}", text, text,
             text);
    call(f, "PATCH", "/twins/d", large);
    assert_rest_error(f, 400, "ArgumentInvalid");
    assert_int_equal(call(f, "PUT", "/devices/d/modules/m", "{}"), 201);
    assert_int_equal(call_as(f, "iothubowner", "PUT", "/devices/d/modules/m", "{}", "\"*\""), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REST_TEST(rest_handle_identities_from_creation_to_deletion),
        REST_TEST(rest_handle_missing_and_present_identities_have_their_errors),
        REST_TEST(rest_handle_twin_document_is_whole),
        REST_TEST(rest_handle_if_match_is_read_as_the_hub_does),
        REST_TEST(rest_handle_put_replaces_and_refusals_name_their_rule),
        REST_TEST(rest_handle_permissions_of_the_policies_are_kept),
        REST_TEST(rest_handle_calls_without_their_right_form_are_refused),
        REST_TEST(rest_handle_paths_that_are_not_there_are_told_apart),
        REST_TEST(rest_handle_list_of_devices_honours_top),
        REST_TEST(rest_handle_strict_if_match_refuses_etags_without_quotes),
        REST_TEST(rest_handle_a_device_has_fifty_modules_at_most),
        REST_TEST(rest_handle_modules_of_the_edge_are_not_the_back_ends),
        REST_TEST(rest_handle_lists_only_the_modules_of_the_device),
        REST_TEST(rest_handle_statistics_count_devices),
        REST_TEST(rest_handle_oversize_and_creation_follow_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
