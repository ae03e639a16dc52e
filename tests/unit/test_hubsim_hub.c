/* The hub: writes and what connected clients are told, etags, and who is dropped when. */
#include "test_hubsim_fixture.h"

#include <errno.h>

/* A client that writes down what happens to it. */
struct witness {
    struct hub_client client;
    struct hub *hub;
    char told[512];
    int64_t version;
    char dropped[128]; /* why; "" = still there */
};

static void on_desired(struct hub_client *client, int64_t version, const char *patch, size_t length)
{
    struct witness *witness = (struct witness *)client;

    witness->version = version;
    snprintf(witness->told, sizeof witness->told, "%.*s", (int)length, patch);
}

static void on_drop(struct hub_client *client, const char *why)
{
    struct witness *witness = (struct witness *)client;

    snprintf(witness->dropped, sizeof witness->dropped, "%s", why);
}

static struct witness attached(struct hub_fixture *f, const char *device_id, const char *module_id)
{
    struct witness witness = { .client = { .desired = on_desired, .drop = on_drop },
                               .hub = f->hub };

    snprintf(witness.client.device_id, AUTH_ID_MAX, "%s", device_id);
    snprintf(witness.client.module_id, AUTH_ID_MAX, "%s", module_id);
    return witness;
}

static int set_up(void **state)
{
    static struct hub_fixture f;

    fixture_open(&f);
    fixture_create(&f, "d", "");
    fixture_create(&f, "d", "m");
    fixture_create(&f, "d", "n");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    return 0;
}

static int put_identity(struct hub_fixture *f, const char *device_id, const char *module_id,
                        const char *body, const char *if_match, struct identity *out)
{
    cJSON *tree = fixture_json(body);
    struct identity ignored;
    struct err err = { "" };
    int rc = hub_put_identity(f->hub, device_id, module_id, tree, if_match,
                              out != NULL ? out : &ignored, &err);

    cJSON_Delete(tree);
    return rc;
}

static void hub_write_twin_tells_the_connected_module_only(void **state)
{
    struct hub_fixture *f = *state;
    struct witness m = attached(f, "d", "m"), n = attached(f, "d", "n"), d = attached(f, "d", "");

    hub_attach(f->hub, &m.client);
    hub_attach(f->hub, &n.client);
    hub_attach(f->hub, &d.client);

    assert_int_equal(
        fixture_write(f, "d", "m", HUB_PATCH, "{\"properties\":{\"desired\":{\"a\":1}}}", NULL), 0);
    assert_string_equal(m.told, "{\"a\":1,\"$version\":2}");
    assert_int_equal(m.version, 2);
    assert_string_equal(n.told, "");
    assert_string_equal(d.told, "");

    assert_int_equal(
        fixture_write(f, "d", "m", HUB_REPLACE, "{\"properties\":{\"desired\":{\"b\":1}}}", NULL),
        0);
    assert_string_equal(m.told, "{\"b\":1,\"a\":null,\"$version\":3}");

    m.told[0] = 0;
    assert_int_equal(fixture_write(f, "d", "m", HUB_PATCH, "{\"tags\":{\"t\":1}}", NULL), 0);
    assert_string_equal(m.told, "");
    hub_detach(f->hub, &m.client);
    hub_detach(f->hub, &n.client);
    hub_detach(f->hub, &d.client);
}

static void hub_write_twin_refused_tells_nobody_and_stores_nothing(void **state)
{
    struct hub_fixture *f = *state;
    struct witness m = attached(f, "d", "m");
    struct twin twin;

    hub_attach(f->hub, &m.client);
    assert_int_equal(
        fixture_write(f, "d", "m", HUB_PATCH, "{\"properties\":{\"desired\":{\"a.b\":1}}}", NULL),
        -EINVAL);
    assert_int_equal(fixture_write(f, "d", "m", HUB_PATCH,
                                   "{\"properties\":{\"desired\":{\"a\":1}}}", "AAAAAAAAAAc="),
                     -ESTALE);
    assert_int_equal(fixture_write(f, "d", "x", HUB_PATCH, "{}", NULL), -ENOENT);
    assert_string_equal(m.told, "");
    assert_int_equal(hub_get_twin(f->hub, "d", "m", &twin), 0);
    assert_int_equal(twin.desired.version, 1);
    twin_done(&twin);
    hub_detach(f->hub, &m.client);
}

static void hub_write_twin_with_present_etag_or_star_passes(void **state)
{
    struct hub_fixture *f = *state;
    const char *body = "{\"tags\":{\"a\":1}}";

    assert_int_equal(fixture_write(f, "d", "m", HUB_PATCH, body, "AAAAAAAAAAE="), 0);
    assert_int_equal(fixture_write(f, "d", "m", HUB_PATCH, body, "AAAAAAAAAAE="), -ESTALE);
    assert_int_equal(fixture_write(f, "d", "m", HUB_REPLACE, body, "AAAAAAAAAAI="), 0);
    assert_int_equal(fixture_write(f, "d", "m", HUB_REPLACE, body, "*"), 0);
    assert_int_equal(fixture_write(f, "d", "m", HUB_PATCH, body, NULL), 0);
}

static void hub_report_checks_its_base_version(void **state)
{
    struct hub_fixture *f = *state;
    cJSON *patch = fixture_json("{\"a\":1}");
    struct err err = { "" };
    int64_t version = 0;

    assert_int_equal(hub_report(f->hub, "d", "m", patch, -1, &version, &err), 0);
    assert_int_equal(version, 2);
    assert_int_equal(hub_report(f->hub, "d", "m", patch, 1, &version, &err), -ESTALE);
    assert_int_equal(version, 2);
    assert_int_equal(hub_report(f->hub, "d", "m", patch, 2, &version, &err), 0);
    assert_int_equal(version, 3);
    assert_int_equal(hub_report(f->hub, "d", "x", patch, -1, &version, &err), -ENOENT);
    cJSON_Delete(patch);
}

static void hub_attach_drops_the_older_of_one_identity(void **state)
{
    struct hub_fixture *f = *state;
    struct witness older = attached(f, "d", "m"), other = attached(f, "d", "n"),
                   newer = attached(f, "d", "m");

    hub_attach(f->hub, &older.client);
    hub_attach(f->hub, &other.client);
    hub_attach(f->hub, &newer.client);
    assert_string_not_equal(older.dropped, "");
    assert_string_equal(other.dropped, "");
    assert_string_equal(newer.dropped, "");
    assert_true(hub_connected(f->hub, "d", "m"));

    hub_detach(f->hub, &older.client); /* let go already: the newer one stays */
    assert_true(hub_connected(f->hub, "d", "m"));
    hub_detach(f->hub, &newer.client);
    assert_false(hub_connected(f->hub, "d", "m"));
    hub_detach(f->hub, &other.client);
}

static void hub_delete_identity_drops_its_connections(void **state)
{
    struct hub_fixture *f = *state;
    struct witness m = attached(f, "d", "m"), n = attached(f, "d", "n"), d = attached(f, "d", "");

    hub_attach(f->hub, &m.client);
    hub_attach(f->hub, &n.client);
    hub_attach(f->hub, &d.client);
    assert_int_equal(hub_delete_identity(f->hub, "d", "m", "bad"), -ESTALE);
    assert_string_equal(m.dropped, "");
    assert_int_equal(hub_delete_identity(f->hub, "d", "m", "*"), 0);
    assert_string_not_equal(m.dropped, "");
    assert_string_equal(n.dropped, "");
    assert_int_equal(hub_delete_identity(f->hub, "d", "", NULL), 0);
    assert_string_not_equal(n.dropped, "");
    assert_string_not_equal(d.dropped, "");
    assert_int_equal(hub_delete_identity(f->hub, "d", "", NULL), -ENOENT);
}

static void hub_put_identity_created_again_starts_from_one(void **state)
{
    struct hub_fixture *f = *state;
    struct identity before, after;
    struct twin twin;

    assert_int_equal(hub_get_identity(f->hub, "d", "m", &before), 0);
    assert_int_equal(
        fixture_write(f, "d", "m", HUB_PATCH, "{\"properties\":{\"desired\":{\"a\":1}}}", NULL), 0);
    assert_int_equal(hub_delete_identity(f->hub, "d", "m", NULL), 0);
    assert_int_equal(put_identity(f, "d", "m", "{}", NULL, &after), 0);
    assert_true(after.generation_id != before.generation_id);
    assert_int_equal(hub_get_twin(f->hub, "d", "m", &twin), 0);
    assert_int_equal(twin.desired.version, 1);
    assert_int_equal(twin.etag, 1);
    twin_done(&twin);
}

static void hub_put_identity_create_and_update_are_told_apart(void **state)
{
    struct hub_fixture *f = *state;
    struct identity identity;
    char etag[IDENTITY_ETAG_MAX];

    assert_int_equal(put_identity(f, "d", "m", "{}", NULL, NULL), -EEXIST);
    assert_int_equal(put_identity(f, "d", "x", "{}", "*", NULL), -ENOENT);
    assert_int_equal(put_identity(f, "x", "m", "{}", NULL, NULL), -ENODEV);
    assert_int_equal(put_identity(f, "d", "m", "{\"managedBy\":5}", "*", NULL), -EINVAL);

    assert_int_equal(hub_get_identity(f->hub, "d", "m", &identity), 0);
    identity_etag(&identity, etag);
    assert_int_equal(put_identity(f, "d", "m", "{\"managedBy\":\"x\"}", etag, &identity), 0);
    assert_string_equal(identity.managed_by, "x");
    assert_int_equal(put_identity(f, "d", "m", "{}", etag, NULL), -ESTALE);
}

static void hub_put_identity_the_51st_module_is_refused(void **state)
{
    struct hub_fixture *f = *state;
    char id[8];

    for (int i = 2; i < HUB_MODULES_MAX; i++) {
        snprintf(id, sizeof id, "m%d", i);
        fixture_create(f, "d", id);
    }
    assert_int_equal(put_identity(f, "d", "more", "{}", NULL, NULL), -EMFILE);
    assert_int_equal(hub_delete_identity(f->hub, "d", "m", NULL), 0);
    assert_int_equal(put_identity(f, "d", "more", "{}", NULL, NULL), 0);
}

static void hub_put_identity_drops_when_keys_change_or_the_device_is_disabled(void **state)
{
    struct identity identity;
    char body[256];
    struct hub_fixture *f = *state;
    struct witness m = attached(f, "d", "m"), n = attached(f, "d", "n");

    hub_attach(f->hub, &m.client);
    hub_attach(f->hub, &n.client);
    assert_int_equal(put_identity(f, "d", "m", "{\"managedBy\":\"x\"}", "*", NULL), 0);
    assert_string_equal(m.dropped, "");
    assert_int_equal(put_identity(f, "d", "m",
                                  "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"\"}}}",
                                  "*", NULL),
                     0);
    assert_string_not_equal(m.dropped, "");
    assert_string_equal(n.dropped, "");

    assert_int_equal(hub_get_identity(f->hub, "d", "m", &identity), 0);
    snprintf(body, sizeof body,
             "{\"authentication\":{\"symmetricKey\":"
             "{\"primaryKey\":\"%s\",\"secondaryKey\":\"AAECAwQFBgcICQoLDA0ODw==\"}}}",
             identity.primary_key);
    for (int i = 0; i < 2; i++) { /* another secondary key; another way to sign in */
        m.dropped[0] = 0;
        hub_attach(f->hub, &m.client);
        assert_int_equal(put_identity(f, "d", "m", body, "*", NULL), 0);
        assert_string_not_equal(m.dropped, "");
        snprintf(body, sizeof body, "{\"authentication\":{\"type\":\"certificateAuthority\"}}");
    }
    assert_int_equal(put_identity(f, "d", "", "{\"status\":\"disabled\"}", "*", NULL), 0);
    assert_string_not_equal(n.dropped, "");
}

/* ---- the open points ---- */

static void hub_report_changes_version_and_etag_as_the_rule_says(void **state)
{
    static const struct {
        enum hub_report_changes rule;
        const char *want_etag;
        int64_t want_version;
    } cases[] = {
        { HUB_REPORT_VERSION, "AAAAAAAAAAE=", 2 },
        { HUB_REPORT_BOTH, "AAAAAAAAAAI=", 3 },
        { HUB_REPORT_NEITHER, "AAAAAAAAAAI=", 3 },
    };
    struct hub_fixture *f = *state;
    cJSON *patch = fixture_json("{\"a\":1}");

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hub_options options = fixture_options(f);
        char etag[TWIN_ETAG_MAX];
        struct err err = { "" };
        struct twin twin;
        int64_t version;

        print_message("case %zu\n", i);
        options.rules.report_changes = cases[i].rule;
        hub_close(f->hub);
        assert_int_equal(hub_open(&f->hub, &options), 0);
        assert_int_equal(hub_report(f->hub, "d", "m", patch, -1, &version, &err), 0);
        assert_int_equal(hub_get_twin(f->hub, "d", "m", &twin), 0);
        twin_etag(&twin, etag);
        assert_string_equal(etag, cases[i].want_etag);
        assert_int_equal(twin.version, cases[i].want_version);
        assert_int_equal(twin.reported.version, 2 + (int)i); /* in any case */
        twin_done(&twin);
    }
    cJSON_Delete(patch);
}

/* ---- what is known of connections ---- */

static void hub_attach_and_detach_note_the_moment_and_the_model(void **state)
{
    struct hub_fixture *f = *state;
    struct witness m = attached(f, "d", "m");
    struct identity before, during, after;

    assert_int_equal(hub_get_identity(f->hub, "d", "m", &before), 0);
    assert_string_equal(before.connection_updated, STAMP_NEVER);
    assert_string_equal(before.model_id, "");

    snprintf(m.client.model_id, sizeof m.client.model_id, "dtmi:x;1");
    hub_attach(f->hub, &m.client);
    assert_int_equal(hub_get_identity(f->hub, "d", "m", &during), 0);
    assert_string_equal(during.connection_updated, "2025-12-31T23:00:00.0000000Z");
    assert_string_equal(during.model_id, "dtmi:x;1");

    f->wall_ms += 1500;
    hub_detach(f->hub, &m.client);
    hub_detach(f->hub, &m.client); /* twice: nothing */
    assert_int_equal(hub_get_identity(f->hub, "d", "m", &after), 0);
    assert_string_equal(after.connection_updated, "2025-12-31T23:00:01.5000000Z");
    assert_string_equal(after.model_id, "dtmi:x;1");
    assert_int_equal(after.etag, before.etag); /* nobody's If-Match breaks */
}

static void hub_statistics_counts_devices_not_modules(void **state)
{
    struct hub_fixture *f = *state;
    struct witness m = attached(f, "d", "m"), d = attached(f, "d", ""), e = attached(f, "e", "");
    struct hub_statistics statistics;

    fixture_create(f, "e", "");
    fixture_create(f, "x", "");
    assert_int_equal(put_identity(f, "x", "", "{\"status\":\"disabled\"}", "*", NULL), 0);
    hub_attach(f->hub, &m.client);
    hub_attach(f->hub, &d.client);
    hub_attach(f->hub, &e.client);
    assert_int_equal(hub_statistics(f->hub, &statistics), 0);
    assert_int_equal(statistics.devices, 3);
    assert_int_equal(statistics.enabled, 2);
    assert_int_equal(statistics.disabled, 1);
    assert_int_equal(statistics.connected, 2);
    hub_detach(f->hub, &m.client);
    hub_detach(f->hub, &d.client);
    hub_detach(f->hub, &e.client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hub_write_twin_tells_the_connected_module_only),
        TEST(hub_write_twin_refused_tells_nobody_and_stores_nothing),
        TEST(hub_write_twin_with_present_etag_or_star_passes),
        TEST(hub_report_checks_its_base_version),
        TEST(hub_attach_drops_the_older_of_one_identity),
        TEST(hub_delete_identity_drops_its_connections),
        TEST(hub_put_identity_created_again_starts_from_one),
        TEST(hub_put_identity_create_and_update_are_told_apart),
        TEST(hub_put_identity_the_51st_module_is_refused),
        TEST(hub_report_changes_version_and_etag_as_the_rule_says),
        TEST(hub_attach_and_detach_note_the_moment_and_the_model),
        TEST(hub_statistics_counts_devices_not_modules),
        TEST(hub_put_identity_drops_when_keys_change_or_the_device_is_disabled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
