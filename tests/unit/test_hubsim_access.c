/* Sign-in and authorisation: who is let in, and the reason why not. */
#include "test_hubsim_fixture.h"

#include <errno.h>

struct access_fixture {
    struct hub_fixture base;
    struct identity device, module;
};

static int set_up(void **state)
{
    static struct access_fixture f;

    fixture_open(&f.base);
    f.device = fixture_create(&f.base, "dev1", "");
    f.module = fixture_create(&f.base, "dev1", "mod.1");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct access_fixture *f = *state;

    fixture_close(&f->base);
    return 0;
}

static int sign_in(struct access_fixture *f, const char *client_id, const char *username,
                   const char *password, int64_t *expiry_ms)
{
    const struct access_credentials credentials = {
        client_id, strlen(client_id), username, strlen(username), password, strlen(password),
    };
    struct auth_username name = { .host = "untouched" };
    struct err err = { "" };
    int rc = access_sign_in(hub_access(f->base.hub), &credentials, &name, expiry_ms, &err);

    assert_int_equal(rc == 0, err.msg[0] == 0);
    assert_int_equal(rc != 0, strcmp(name.host, "untouched") == 0);
    if (rc != 0)
        print_message("%s\n", err.msg);
    return rc;
}

#define MODULE_NAME     FIXTURE_HOST "/dev1/mod.1/?api-version=2021-04-12"
#define MODULE_RESOURCE FIXTURE_HOST "/devices/dev1/modules/mod.1"

static void access_sign_in_with_either_key_gives_the_end_of_the_token(void **state)
{
    struct access_fixture *f = *state;
    const char *const keys[] = { f->module.primary_key, f->module.secondary_key };
    char token[SAS_TOKEN_MAX];
    int64_t expiry_ms;

    for (size_t i = 0; i < 2; i++) {
        expiry_ms = 0;
        assert_int_equal(
            sas_token(token, sizeof token, MODULE_RESOURCE, keys[i], "", FIXTURE_WALL_S + 60), 0);
        assert_int_equal(sign_in(f, "dev1/mod.1", MODULE_NAME, token, &expiry_ms), 0);
        assert_true(expiry_ms == (FIXTURE_WALL_S + 60) * 1000);
    }
}

static void access_sign_in_wrong_names_are_refused(void **state)
{
    static const struct {
        const char *client_id, *username;
    } cases[] = {
        { "dev1", MODULE_NAME },
        { "dev1/mod.1x", MODULE_NAME },
        { "DEV1/mod.1", MODULE_NAME },
        { "", MODULE_NAME },
        { "dev1/mod.1", "other.net/dev1/mod.1/?api-version=1" },
        { "dev1/mod.1", FIXTURE_HOST "/dev1/mod.1" },
        { "dev1/none", FIXTURE_HOST "/dev1/none/?api-version=1" },
        { "dev2", FIXTURE_HOST "/dev2/?api-version=1" },
    };
    struct access_fixture *f = *state;
    char token[SAS_TOKEN_MAX];
    int64_t expiry_ms;

    /* Signed with a policy that may speak for every device: the names alone decide. */
    assert_int_equal(sas_token(token, sizeof token, FIXTURE_HOST,
                               access_policy_key(hub_access(f->base.hub), "device"), "device",
                               FIXTURE_WALL_S + 60),
                     0);
    assert_int_equal(sign_in(f, "dev1/mod.1", MODULE_NAME, token, &expiry_ms), 0);
    assert_int_equal(sign_in(f, "dev1", "LOCALHOST/dev1/?api-version=1", token, &expiry_ms), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(sign_in(f, cases[i].client_id, cases[i].username, token, &expiry_ms),
                         -EACCES);
}

static void access_sign_in_wrong_tokens_are_refused(void **state)
{
    struct access_fixture *f = *state;
    const struct access *access = hub_access(f->base.hub);
    const struct {
        const char *resource, *key, *key_name;
        int64_t expiry_s;
        int want;
    } cases[] = {
        { MODULE_RESOURCE, f->module.primary_key, "", FIXTURE_WALL_S + 1, 0 },
        { MODULE_RESOURCE, f->module.primary_key, "", FIXTURE_WALL_S, -EACCES },
        { MODULE_RESOURCE, f->device.primary_key, "", FIXTURE_WALL_S + 60, -EACCES },
        { FIXTURE_HOST "/devices/dev1", f->module.primary_key, "", FIXTURE_WALL_S + 60, 0 },
        { FIXTURE_HOST "/devices/dev1/modules/mod", f->module.primary_key, "", FIXTURE_WALL_S + 60,
          -EACCES },
        { "other.net/devices/dev1/modules/mod.1", f->module.primary_key, "", FIXTURE_WALL_S + 60,
          -EACCES },
        { MODULE_RESOURCE, f->module.primary_key, "device", FIXTURE_WALL_S + 60, -EACCES },
        { MODULE_RESOURCE, f->module.primary_key, "nobody", FIXTURE_WALL_S + 60, -EACCES },
        { FIXTURE_HOST, access_policy_key(access, "iothubowner"), "iothubowner",
          FIXTURE_WALL_S + 60, 0 },
        { FIXTURE_HOST, access_policy_key(access, "service"), "service", FIXTURE_WALL_S + 60,
          -EACCES },
    };
    char token[SAS_TOKEN_MAX];
    int64_t expiry_ms;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %zu\n", i);
        assert_int_equal(sas_token(token, sizeof token, cases[i].resource, cases[i].key,
                                   cases[i].key_name, cases[i].expiry_s),
                         0);
        assert_int_equal(sign_in(f, "dev1/mod.1", MODULE_NAME, token, &expiry_ms), cases[i].want);
    }
    assert_int_equal(sign_in(f, "dev1/mod.1", MODULE_NAME, "", &expiry_ms), -EACCES);
}

static void access_sign_in_grace_is_added_to_the_end(void **state)
{
    struct access_fixture *f = *state;
    struct access_options options = fixture_options(&f->base).access;
    const struct access_credentials credentials = { "dev1/mod.1",        10,   MODULE_NAME,
                                                    strlen(MODULE_NAME), NULL, 0 };
    struct access_credentials with_token = credentials;
    struct auth_username name;
    struct access patient;
    struct err err = { "" };
    char token[SAS_TOKEN_MAX];
    int64_t expiry_ms;

    options.expiry_grace_s = 300;
    assert_int_equal(access_open(&patient, &options), 0);
    assert_int_equal(sas_token(token, sizeof token, MODULE_RESOURCE, f->module.primary_key, "",
                               FIXTURE_WALL_S - 299),
                     0);
    with_token.password = token;
    with_token.password_length = strlen(token);
    assert_int_equal(access_sign_in(&patient, &with_token, &name, &expiry_ms, &err), 0);
    assert_true(expiry_ms == (FIXTURE_WALL_S + 1) * 1000);
    f->base.wall_ms += 1000;
    assert_int_equal(access_sign_in(&patient, &with_token, &name, &expiry_ms, &err), -EACCES);
    access_close(&patient);
}

static void access_sign_in_disabled_device_keeps_its_modules_out(void **state)
{
    struct access_fixture *f = *state;
    cJSON *body = fixture_json("{\"status\":\"disabled\"}");
    struct identity identity;
    struct err err = { "" };
    char token[SAS_TOKEN_MAX];
    int64_t expiry_ms;

    assert_int_equal(sas_token(token, sizeof token, MODULE_RESOURCE, f->module.primary_key, "",
                               FIXTURE_WALL_S + 60),
                     0);
    assert_int_equal(hub_put_identity(f->base.hub, "dev1", "", body, "*", &identity, &err), 0);
    assert_int_equal(sign_in(f, "dev1/mod.1", MODULE_NAME, token, &expiry_ms), -EPERM);
    cJSON_Delete(body);
}

static void access_sign_in_with_key_of_a_certificate_identity_is_refused(void **state)
{
    struct access_fixture *f = *state;
    cJSON *body = fixture_json("{\"authentication\":{\"type\":\"selfSigned\"}}");
    struct identity identity;
    struct err err = { "" };
    char token[SAS_TOKEN_MAX];
    int64_t expiry_ms;

    assert_int_equal(hub_put_identity(f->base.hub, "dev1", "mod.1", body, "*", &identity, &err), 0);
    assert_int_equal(sas_token(token, sizeof token, MODULE_RESOURCE, identity.primary_key, "",
                               FIXTURE_WALL_S + 60),
                     0);
    assert_int_equal(sign_in(f, "dev1/mod.1", MODULE_NAME, token, &expiry_ms), -EACCES);
    cJSON_Delete(body);
}

static void access_authorize_policies_have_the_permissions_of_section_2_4(void **state)
{
    static const struct {
        const char *policy;
        unsigned permissions;
    } cases[] = {
        { "iothubowner", 15 },
        { "service", AUTH_SERVICE_CONNECT },
        { "device", AUTH_DEVICE_CONNECT },
        { "registryRead", AUTH_REGISTRY_READ },
        { "registryReadWrite", AUTH_REGISTRY_READ | AUTH_REGISTRY_WRITE },
    };
    struct access_fixture *f = *state;
    const struct access *access = hub_access(f->base.hub);
    char token[SAS_TOKEN_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sas_token(token, sizeof token, FIXTURE_HOST,
                                   access_policy_key(access, cases[i].policy), cases[i].policy,
                                   FIXTURE_WALL_S + 60),
                         0);
        for (unsigned permission = 1; permission <= 8; permission *= 2) {
            struct err err = { "" };
            int want = (cases[i].permissions & permission) != 0 ? 0 : -EPERM;

            print_message("case %s %u\n", cases[i].policy, permission);
            assert_int_equal(
                access_authorize(access, token, "/devices", (enum auth_permission)permission, &err),
                want);
        }
    }
}

static void access_authorize_without_a_policy_token_is_refused(void **state)
{
    struct access_fixture *f = *state;
    const struct access *access = hub_access(f->base.hub);
    const char *key = access_policy_key(access, "service");
    char token[SAS_TOKEN_MAX];
    struct err err = { "" };

    assert_int_equal(access_authorize(access, NULL, "/twins/d", AUTH_SERVICE_CONNECT, &err),
                     -EINVAL);
    assert_int_equal(access_authorize(access, "", "/twins/d", AUTH_SERVICE_CONNECT, &err), -EINVAL);
    assert_int_equal(access_authorize(access, "Bearer x", "/twins/d", AUTH_SERVICE_CONNECT, &err),
                     -EACCES);
    sas_token(token, sizeof token, FIXTURE_HOST, key, "", FIXTURE_WALL_S + 60);
    assert_int_equal(access_authorize(access, token, "/twins/d", AUTH_SERVICE_CONNECT, &err),
                     -EACCES);
    sas_token(token, sizeof token, FIXTURE_HOST "/twins/d", key, "service", FIXTURE_WALL_S + 60);
    assert_int_equal(
        access_authorize(access, token, "/twins/d/modules/m", AUTH_SERVICE_CONNECT, &err), 0);
    assert_int_equal(access_authorize(access, token, "/twins/d2", AUTH_SERVICE_CONNECT, &err),
                     -EACCES);
    sas_token(token, sizeof token, FIXTURE_HOST, key, "service", FIXTURE_WALL_S);
    assert_int_equal(access_authorize(access, token, "/twins/d", AUTH_SERVICE_CONNECT, &err),
                     -EACCES);
}

static void access_open_again_finds_the_same_keys(void **state)
{
    struct access_fixture *f = *state;
    const struct access_options options = fixture_options(&f->base).access;
    struct access again;

    assert_int_equal(access_open(&again, &options), 0);
    for (size_t i = 0; i < AUTH_POLICY_COUNT; i++) {
        const char *name = auth_policies[i].name;

        assert_string_equal(access_policy_key(&again, name),
                            access_policy_key(hub_access(f->base.hub), name));
    }
    assert_null(access_policy_key(&again, "nobody"));
    access_close(&again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(access_sign_in_with_either_key_gives_the_end_of_the_token),
        TEST(access_sign_in_wrong_names_are_refused),
        TEST(access_sign_in_wrong_tokens_are_refused),
        TEST(access_sign_in_grace_is_added_to_the_end),
        TEST(access_sign_in_disabled_device_keeps_its_modules_out),
        TEST(access_sign_in_with_key_of_a_certificate_identity_is_refused),
        TEST(access_authorize_policies_have_the_permissions_of_section_2_4),
        TEST(access_authorize_without_a_policy_token_is_refused),
        TEST(access_open_again_finds_the_same_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
