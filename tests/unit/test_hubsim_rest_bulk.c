/* Bulk registry operations: each item by itself, the failures named (iot-hub.md section 7.2). */
#include "test_hubsim_rest_fixture.h"

static int bulk(struct rest_fixture *f, const char *body)
{
    return rest_call_as(f, "registryReadWrite", "POST", "/devices", body);
}

static void rest_bulk_creates_with_twins(void **state)
{
    struct rest_fixture *f = *state;

    assert_int_equal(
        bulk(f, "[{\"id\":\"d\",\"importMode\":\"create\",\"status\":\"disabled\",\"statusReason\":"
                "\"new\","
                "\"tags\":{\"site\":\"A\"}},"
                "{\"id\":\"d\",\"moduleId\":\"m\",\"importMode\":\"Create\","
                "\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":"
                "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\"secondaryKey\":\"\"}},"
                "\"properties\":{\"desired\":{\"rate\":5}}}]"),
        200);
    assert_true(cJSON_IsTrue(rest_at(f->json, "isSuccessful")));
    assert_int_equal(cJSON_GetArraySize(rest_at(f->json, "errors")), 0);
    assert_int_equal(rest_call_owner(f, "GET", "/twins/d", ""), 200);
    assert_string_equal(json_text(f->json, "status"), "disabled");
    assert_string_equal(json_text(f->json, "statusReason"), "new");
    assert_string_equal(json_text(rest_at(f->json, "tags"), "site"), "A");
    assert_int_equal(rest_call_owner(f, "GET", "/devices/d/modules/m", ""), 200);
    assert_non_null(strstr(buf_text(&f->response.body), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"));
    assert_int_equal(rest_call_owner(f, "GET", "/twins/d/modules/m", ""), 200);
    assert_true(rest_at(rest_at(rest_at(f->json, "properties"), "desired"), "rate")->valuedouble ==
                5);
}

static void rest_bulk_modes_do_what_they_say(void **state)
{
    static const struct {
        const char *item, *code; /* NULL = it succeeds */
    } cases[] = {
        { "{\"id\":\"d\",\"importMode\":\"update\",\"statusReason\":\"x\"}", "DeviceNotFound" },
        { "{\"id\":\"d\",\"importMode\":\"delete\"}", "DeviceNotFound" },
        { "{\"id\":\"d\",\"moduleId\":\"m\",\"importMode\":\"create\"}", "DeviceNotFound" },
        { "{\"id\":\"d\",\"importMode\":\"create\"}", NULL },
        { "{\"id\":\"d\",\"importMode\":\"create\"}", "DeviceAlreadyExists" },
        { "{\"id\":\"d\",\"moduleId\":\"m\",\"importMode\":\"create\"}", NULL },
        { "{\"id\":\"d\",\"moduleId\":\"m\",\"importMode\":\"create\"}",
          "ModuleAlreadyExistsOnDevice" },
        { "{\"id\":\"d\",\"importMode\":\"update\",\"statusReason\":\"x\"}", NULL },
        { "{\"id\":\"d\",\"importMode\":\"updateIfMatchETag\",\"eTag\":\"bm8=\"}",
          "PreconditionFailed" },
        { "{\"id\":\"d\",\"importMode\":\"UpdateIfMatchETag\"}", "ArgumentInvalid" },
        { "{\"id\":\"d\",\"importMode\":\"updateTwin\",\"tags\":{\"a\":1}}", NULL },
        { "{\"id\":\"d\",\"importMode\":\"updateTwinIfMatchETag\",\"twinETag\":\"AAAAAAAAAAE=\","
          "\"tags\":{\"a\":2}}",
          "PreconditionFailed" },
        { "{\"id\":\"d\",\"importMode\":\"updateTwinIfMatchETag\",\"twinETag\":\"AAAAAAAAAAI=\","
          "\"tags\":{\"a\":2}}",
          NULL },
        { "{\"id\":\"d\",\"importMode\":\"updateTwin\",\"tags\":{\"a.b\":1}}", "ArgumentInvalid" },
        { "{\"id\":\"d\",\"importMode\":\"deleteIfMatchETag\",\"eTag\":\"bm8=\"}",
          "PreconditionFailed" },
        { "{\"id\":\"d\",\"importMode\":\"deleteIfMatchETag\",\"etag\":\"bm8=\"}",
          "PreconditionFailed" },
        { "{\"id\":\"d\",\"importMode\":\"delete\"}", NULL },
        { "{\"id\":\"e\",\"importMode\":\"create\",\"tags\":{\"a.b\":1}}", "ArgumentInvalid" },
        { "{\"id\":\"e\",\"importMode\":\"create\",\"status\":\"broken\"}", "ArgumentInvalid" },
        { "{\"id\":\"e\",\"importMode\":\"delete\"}", "DeviceNotFound" }, /* nothing was left */
        { "{\"id\":\"e\"}", "ArgumentInvalid" },
        { "{\"id\":\"e\",\"importMode\":\"invent\"}", "ArgumentInvalid" },
        { "{\"importMode\":\"create\"}", "ArgumentInvalid" },
        { "{\"id\":\"a b\",\"importMode\":\"create\"}", "ArgumentInvalid" },
        { "5", "ArgumentInvalid" },
        { "null", "ArgumentInvalid" },
    };
    struct rest_fixture *f = *state;
    char body[256];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const cJSON *error;

        print_message("case %s\n", cases[i].item);
        snprintf(body, sizeof body, "[%s]", cases[i].item);
        assert_int_equal(bulk(f, body), cases[i].code == NULL ? 200 : 400);
        error = rest_at(f->json, "errors")->child;
        assert_int_equal(error == NULL, cases[i].code == NULL);
        if (error == NULL)
            continue;
        assert_string_equal(f->response.error_code, "BulkRegistryOperationFailure");
        assert_string_equal(json_text(error, "errorCode"), cases[i].code);
        assert_true(json_text(error, "errorStatus")[0] != 0);
    }
}

static void rest_bulk_does_the_good_ones_and_names_the_others(void **state)
{
    struct rest_fixture *f = *state;
    const cJSON *errors;
    struct identity identity;

    assert_int_equal(bulk(f, "[{\"id\":\"a\",\"importMode\":\"create\"},"
                             "{\"id\":\"b\",\"moduleId\":\"m\",\"importMode\":\"create\"},"
                             "{\"id\":\"c\",\"importMode\":\"create\"}]"),
                     400);
    errors = rest_at(f->json, "errors");
    assert_int_equal(cJSON_GetArraySize(errors), 1);
    assert_string_equal(json_text(errors->child, "deviceId"), "b");
    assert_string_equal(json_text(errors->child, "moduleId"), "m");
    assert_true(cJSON_IsFalse(rest_at(f->json, "isSuccessful")));
    assert_int_equal(hub_get_identity(f->base.hub, "a", "", &identity), 0);
    assert_int_equal(hub_get_identity(f->base.hub, "c", "", &identity), 0);
}

static void rest_bulk_takes_one_to_a_hundred_items(void **state)
{
    static const struct {
        int count, want;
    } cases[] = { { 0, 400 }, { 1, 200 }, { 100, 200 }, { 101, 400 } };
    struct rest_fixture *f = *state;
    struct identity identity;
    struct buf body;

    buf_init(&body, 64 * 1024);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&body);
        buf_add_byte(&body, '[');
        for (int j = 0; j < cases[i].count; j++)
            buf_printf(&body, "%s{\"id\":\"d%zu-%d\",\"importMode\":\"create\"}", j > 0 ? "," : "",
                       i, j);
        buf_add_byte(&body, ']');
        assert_int_equal(bulk(f, buf_text(&body)), cases[i].want);
        if (cases[i].want == 400)
            assert_rest_error(f, 400, "ArgumentInvalid");
    }
    buf_done(&body);
    assert_int_not_equal(hub_get_identity(f->base.hub, "d3-0", "", &identity), 0);
    bulk(f, "{\"id\":\"d\",\"importMode\":\"create\"}");
    assert_rest_error(f, 400, "ArgumentInvalid");
    bulk(f, "[");
    assert_rest_error(f, 400, "IotHubFormatError");
    rest_call_as(f, "registryRead", "POST", "/devices", "[]");
    assert_rest_error(f, 401, "IotHubUnauthorized");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REST_TEST(rest_bulk_creates_with_twins),
        REST_TEST(rest_bulk_modes_do_what_they_say),
        REST_TEST(rest_bulk_does_the_good_ones_and_names_the_others),
        REST_TEST(rest_bulk_takes_one_to_a_hundred_items),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
