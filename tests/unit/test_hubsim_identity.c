/* Identities: what a PUT may say, and the documents that come back. */
#include "test_hubsim_fixture.h"

#include <errno.h>

#define PRINT "0123456789abcdefABCDEF012345678901234567"

struct identity_fixture {
    struct hub_fixture clock; /* without a hub: only its env */
    struct identity device, module;
};

static int set_up(void **state)
{
    static struct identity_fixture f;

    f.clock = (struct hub_fixture){ .env = { fixture_now, fixture_wall, fixture_random, &f.clock },
                                    .wall_ms = FIXTURE_WALL_S * 1000 };
    identity_init(&f.device, "d", "", &f.clock.env);
    identity_init(&f.module, "d", "m", &f.clock.env);
    *state = &f;
    return 0;
}

static int apply(struct identity_fixture *f, struct identity *identity, const char *body)
{
    cJSON *tree = fixture_json(body);
    struct err err = { "" };
    int rc = identity_apply(identity, tree, &f->clock.env, &err);

    if (rc != 0)
        assert_true(err.msg[0] != 0);
    cJSON_Delete(tree);
    return rc;
}

static void identity_init_is_enabled_with_two_keys(void **state)
{
    struct identity_fixture *f = *state;

    assert_true(f->device.enabled);
    assert_string_equal(f->device.authentication, "sas");
    assert_true(auth_key_valid(f->device.primary_key));
    assert_string_not_equal(f->device.primary_key, f->device.secondary_key);
    assert_int_not_equal(f->device.generation_id, f->module.generation_id);
}

static void identity_apply_takes_what_is_said_and_keeps_the_rest(void **state)
{
    struct identity_fixture *f = *state;
    struct identity before = f->device;

    assert_int_equal(apply(f, &f->device,
                           "{\"deviceId\":\"d\",\"status\":\"disabled\",\"statusReason\":\"sold\","
                           "\"capabilities\":{\"iotEdge\":true}}"),
                     0);
    assert_false(f->device.enabled);
    assert_true(f->device.iot_edge);
    assert_string_equal(f->device.status_reason, "sold");
    assert_string_equal(f->device.status_updated, "2025-12-31T23:00:00.0000000Z");
    assert_string_equal(f->device.primary_key, before.primary_key);
    assert_int_not_equal(f->device.etag, before.etag);
    assert_true(f->device.generation_id == before.generation_id);

    assert_int_equal(apply(f, &f->module, "{\"managedBy\":\"IotEdge\",\"status\":\"disabled\"}"),
                     0);
    assert_string_equal(f->module.managed_by, "IotEdge");
    assert_true(f->module.enabled); /* modules cannot be disabled by themselves */
}

static void identity_apply_keys_are_taken_or_made(void **state)
{
    struct identity_fixture *f = *state;
    struct identity before = f->device;

    assert_int_equal(
        apply(f, &f->device,
              "{\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":"
              "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\"secondaryKey\":\"\"}}}"),
        0);
    assert_string_equal(f->device.primary_key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert_string_not_equal(f->device.secondary_key, before.secondary_key);
    assert_true(auth_key_valid(f->device.secondary_key));

    assert_int_equal(apply(f, &f->device, "{\"authentication\":{\"type\":\"sas\"}}"), 0);
    assert_string_not_equal(f->device.primary_key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
}

static void identity_apply_types_are_taken_or_guessed(void **state)
{
    static const struct {
        const char *body, *want;
    } cases[] = {
        { "{\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":\"" PRINT "\"}}}",
          "selfSigned" },
        { "{\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":{"
          "\"secondaryThumbprint\":\"" PRINT "\"}}}",
          "selfSigned" },
        { "{\"authentication\":{\"type\":\"certificateAuthority\"}}", "certificateAuthority" },
        { "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"\",\"secondaryKey\":\"\"}}}",
          "sas" },
        { "{\"authentication\":{\"type\":\"none\"}}", "none" },
        { "{\"authentication\":{}}", "none" },
        { "{\"authentication\":{\"type\":\"sas\",\"x509Thumbprint\":{\"primaryThumbprint\":null}}}",
          "sas" },
    };
    struct identity_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].body);
        assert_int_equal(apply(f, &f->device, cases[i].body), 0);
        assert_string_equal(f->device.authentication, cases[i].want);
    }
}

static void identity_apply_wrong_members_are_refused_and_nothing_taken(void **state)
{
    /* As long as a thumbprint, but no number. */
    static const char no_number[] =
        "{\"authentication\":{\"x509Thumbprint\":{\"secondaryThumbprint\":"
        "\"x123456789012345678901234567890123456789\"}}}";
    static const char *const cases[] = {
        no_number,
        "[]",
        "{\"deviceId\":\"x\"}",
        "{\"moduleId\":\"x\"}",
        "{\"status\":\"broken\"}",
        "{\"status\":1}",
        "{\"status\":\"a status longer than any\"}",
        "{\"authentication\":{\"type\":\"password\"}}",
        "{\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"short\"}}}",
        "{\"status\":\"disabled\",\"statusReason\":5}",
        "{\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":1}}}",
        "{\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":\"abc\"}}}",
    };
    struct identity_fixture *f = *state;
    struct identity before = f->device;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i]);
        assert_int_equal(apply(f, &f->device, cases[i]), -EINVAL);
        assert_memory_equal(&f->device, &before, sizeof before);
    }
}

static void identity_print_gives_the_documents_of_section_7_4(void **state)
{
    struct identity_fixture *f = *state;
    const cJSON *authentication;
    struct buf buf;
    cJSON *tree;

    f->module.etag = 76558675;
    buf_init(&buf, 8192);
    identity_print(&buf, &f->module, &(struct identity_state){ .connected = true });
    tree = fixture_json(buf_text(&buf));
    assert_string_equal(json_text(tree, "etag"), "NzY1NTg2NzU=");
    assert_string_equal(json_text(tree, "deviceId"), "d");
    assert_string_equal(json_text(tree, "moduleId"), "m");
    assert_string_equal(json_text(tree, "connectionState"), "Connected");
    assert_null(cJSON_GetObjectItemCaseSensitive(tree, "status"));
    authentication = cJSON_GetObjectItemCaseSensitive(tree, "authentication");
    assert_string_equal(
        json_text(cJSON_GetObjectItemCaseSensitive(authentication, "symmetricKey"), "primaryKey"),
        f->module.primary_key);
    cJSON_Delete(tree);

    buf_clear(&buf);
    identity_print(&buf, &f->device, &(struct identity_state){ .queued = 3 });
    tree = fixture_json(buf_text(&buf));
    assert_string_equal(json_text(tree, "status"), "enabled");
    assert_string_equal(json_text(tree, "connectionState"), "Disconnected");
    assert_string_equal(json_text(tree, "lastActivityTime"), "0001-01-01T00:00:00");
    assert_true(cJSON_GetObjectItemCaseSensitive(tree, "cloudToDeviceMessageCount")->valuedouble ==
                3);
    assert_null(cJSON_GetObjectItemCaseSensitive(tree, "moduleId"));
    cJSON_Delete(tree);
    buf_done(&buf);
}

static void identity_print_for_twin_is_part_of_an_object_and_holds_no_key(void **state)
{
    struct identity_fixture *f = *state;
    struct buf buf;
    cJSON *tree;

    snprintf(f->device.model_id, sizeof f->device.model_id, "dtmi:com:example:Gw;1");
    buf_init(&buf, 8192);
    buf_add_byte(&buf, '{');
    identity_print_for_twin(&buf, &f->device, &(struct identity_state){ .connected = true },
                            "AAAAAAAAAAc=");
    buf_add_text(&buf, "\"end\":1}");
    tree = fixture_json(buf_text(&buf));
    assert_string_equal(json_text(tree, "authenticationType"), "sas");
    assert_string_equal(json_text(tree, "etag"), "AAAAAAAAAAc=");
    assert_string_equal(json_text(tree, "modelId"), "dtmi:com:example:Gw;1");
    assert_string_equal(json_text(tree, "lastActivityTime"), "0001-01-01T00:00:00Z");
    assert_null(strstr(buf_text(&buf), f->device.primary_key));
    cJSON_Delete(tree);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(identity_init_is_enabled_with_two_keys, set_up),
        cmocka_unit_test_setup(identity_apply_takes_what_is_said_and_keeps_the_rest, set_up),
        cmocka_unit_test_setup(identity_apply_keys_are_taken_or_made, set_up),
        cmocka_unit_test_setup(identity_apply_types_are_taken_or_guessed, set_up),
        cmocka_unit_test_setup(identity_apply_wrong_members_are_refused_and_nothing_taken, set_up),
        cmocka_unit_test_setup(identity_print_gives_the_documents_of_section_7_4, set_up),
        cmocka_unit_test_setup(identity_print_for_twin_is_part_of_an_object_and_holds_no_key,
                               set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
