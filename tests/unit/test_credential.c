/* Finding and reading a module's credential, in a folder of its own under /tmp. */
#include "bridge/credential.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define GOOD "HostName=h.azure-devices.net;DeviceId=gw-1;ModuleId=heating;SharedAccessKey=" KEY

enum { NOBODY = 65534 };

struct fixture {
    char root[32]; /* holds credentials/ and systemd/ */
    char credentials[64], systemd[64], own_file[64];
    struct config_module module;
    struct config config;
    struct sas_connection_string found;
    struct err err;
    bool exposed;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    strcpy(f->root, "/tmp/test_credential.XXXXXX");
    if (mkdtemp(f->root) == NULL)
        return -1;
    snprintf(f->credentials, sizeof f->credentials, "%s/credentials", f->root);
    snprintf(f->systemd, sizeof f->systemd, "%s/systemd", f->root);
    snprintf(f->own_file, sizeof f->own_file, "%s/own", f->root);
    if (mkdir(f->credentials, 0700) != 0 || mkdir(f->systemd, 0700) != 0)
        return -1;
    unsetenv("CREDENTIALS_DIRECTORY");
    f->module.name = "heating";
    f->module.device_id = "gw-1";
    f->config.hub.host_name = "h.azure-devices.net";
    f->config.hub.credentials = f->credentials;
    f->config.modules = &f->module;
    f->config.module_count = 1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = { "own", "credentials/heating", "systemd/heating",
                                         "systemd/credentials_heating" };
    char path[128];

    unsetenv("CREDENTIALS_DIRECTORY");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", f->root, files[i]);
        remove(path);
    }
    rmdir(f->credentials);
    rmdir(f->systemd);
    rmdir(f->root);
    free(f);
    return 0;
}

static void write_file(struct fixture *f, const char *name, const char *text, mode_t mode)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", f->root, name);
    remove(path); /* it may be one that cannot be written */
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int load(struct fixture *f)
{
    return credential_load(&f->config, 0, &f->found, &f->exposed, &f->err);
}

static void find_takes_the_first_that_exists_in_the_designs_order(void **state)
{
    /* the files in the order of their rank: with the lowest alone, then one better each time */
    static const char *const names[] = { "systemd/credentials_heating", "systemd/heating",
                                         "credentials/heating", "own" };
    struct fixture *f = *state;
    char path[CREDENTIAL_PATH_MAX];

    setenv("CREDENTIALS_DIRECTORY", f->systemd, 1);
    f->module.connection_string_file = f->own_file;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        write_file(f, names[i], "x", 0600);

        assert_int_equal(credential_find(&f->config, 0, path, &f->err), 0);

        assert_string_equal(path + strlen(f->root) + 1, names[i]);
    }
}

static void find_without_systemd_does_not_look_there(void **state)
{
    struct fixture *f = *state;
    char path[CREDENTIAL_PATH_MAX] = "before";

    write_file(f, "systemd/heating", GOOD, 0600);
    assert_int_equal(credential_find(&f->config, 0, path, &f->err), -ENOENT);
    setenv("CREDENTIALS_DIRECTORY", "", 1);
    assert_int_equal(credential_find(&f->config, 0, path, &f->err), -ENOENT);
    assert_string_equal(path, "before");
}

static void load_without_a_file_says_where_to_put_it(void **state)
{
    struct fixture *f = *state;
    char place[256];

    setenv("CREDENTIALS_DIRECTORY", f->systemd, 1);
    assert_int_equal(load(f), -ENOENT);

    snprintf(place, sizeof place, "into %s/heating (mode 0600)", f->credentials);
    assert_non_null(strstr(f->err.msg, "module heating"));
    assert_non_null(strstr(f->err.msg, place));
    snprintf(place, sizeof place, "not in %s/heating, %s/cred", f->systemd, f->systemd);
    assert_non_null(strstr(f->err.msg, place));
}

static void load_of_a_good_file_gives_its_fields(void **state)
{
    struct fixture *f = *state;

    f->exposed = true;
    write_file(f, "credentials/heating", GOOD ";GatewayHostName=edge\n", 0600);
    assert_int_equal(load(f), 0);

    assert_string_equal(f->found.device_id, "gw-1");
    assert_string_equal(f->found.key, KEY);
    assert_string_equal(f->found.gateway_host_name, "edge");
    assert_false(f->exposed);
}

static void load_of_a_file_that_others_can_read_says_so(void **state)
{
    static const struct {
        mode_t mode;
        bool exposed;
    } cases[] = {
        { 0600, false }, { 0400, false }, { 0620, false }, { 0640, true }, { 0604, true }
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(f, "credentials/heating", GOOD, cases[i].mode);
        assert_int_equal(load(f), 0);
        assert_int_equal(f->exposed, cases[i].exposed);
    }
}

static void load_of_somebody_elses_string_is_refused_by_name(void **state)
{
    static const struct {
        const char *text;
        const char *says[2];
    } cases[] = {
        { "HostName=other.net;DeviceId=gw-1;ModuleId=heating;SharedAccessKey=" KEY,
          { "HostName is \"other.net\"", "h.azure-devices.net" } },
        { "HostName=h.azure-devices.net;DeviceId=gw-2;ModuleId=heating;SharedAccessKey=" KEY,
          { "DeviceId is \"gw-2\"", "\"gw-1\"" } },
        { "HostName=h.azure-devices.net;DeviceId=GW-1;ModuleId=heating;SharedAccessKey=" KEY,
          { "DeviceId is \"GW-1\"", "\"gw-1\"" } },
        { "HostName=h.azure-devices.net;DeviceId=gw-1;ModuleId=cooling;SharedAccessKey=" KEY,
          { "ModuleId is \"cooling\"", "\"heating\"" } },
        { "HostName=h.azure-devices.net;DeviceId=gw-1;SharedAccessKey=" KEY,
          { "no ModuleId", "\"heating\"" } },
        { "HostName=h.azure-devices.net;SharedAccessKeyName=service;SharedAccessKey=" KEY,
          { "DeviceId is \"\"", "\"gw-1\"" } },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].says[0]);
        write_file(f, "credentials/heating", cases[i].text, 0600);
        strcpy(f->found.host_name, "before");
        f->exposed = true;

        assert_int_equal(load(f), -EINVAL);

        assert_non_null(strstr(f->err.msg, "module heating: credential /tmp/"));
        assert_non_null(strstr(f->err.msg, cases[i].says[0]));
        assert_non_null(strstr(f->err.msg, cases[i].says[1]));
        assert_null(strstr(f->err.msg, "AAECAwQ"));
        assert_string_equal(f->found.host_name, "before");
        assert_true(f->exposed);
    }
}

static void load_with_a_host_in_other_capitals_is_taken(void **state)
{
    struct fixture *f = *state;

    f->config.hub.host_name = "H.Azure-Devices.NET";
    write_file(f, "credentials/heating", GOOD, 0600);
    assert_int_equal(load(f), 0);
}

static void load_of_what_is_no_credential_says_why(void **state)
{
    struct fixture *f = *state;
    char path[128], large[6000];

    write_file(f, "credentials/heating", "", 0600);
    assert_int_equal(load(f), -EINVAL);
    assert_non_null(strstr(f->err.msg, "empty"));

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    write_file(f, "credentials/heating", large, 0600);
    assert_int_equal(load(f), -EINVAL);
    assert_non_null(strstr(f->err.msg, "too large"));

    snprintf(path, sizeof path, "%s/heating", f->credentials);
    remove(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(load(f), -EINVAL);
    assert_non_null(strstr(f->err.msg, "not a regular file"));
    rmdir(path);

    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(load(f), -EINVAL);
    assert_non_null(strstr(f->err.msg, "not a regular file"));
    remove(path);
}

static void load_of_a_file_that_may_not_be_read_says_so(void **state)
{
    struct fixture *f = *state;

    bool root = geteuid() == 0;
    int rc;

    write_file(f, "credentials/heating", GOOD, 0000);
    if (root) /* who reads everything */
        assert_int_equal(seteuid(NOBODY), 0);
    rc = load(f);
    if (root)
        assert_int_equal(seteuid(0), 0);

    assert_int_equal(rc, -EACCES);
    assert_non_null(strstr(f->err.msg, "module heating: credential"));
    assert_non_null(strstr(f->err.msg, "let the user of this program read it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(find_takes_the_first_that_exists_in_the_designs_order,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(find_without_systemd_does_not_look_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(load_without_a_file_says_where_to_put_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(load_of_a_good_file_gives_its_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(load_of_a_file_that_others_can_read_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(load_of_somebody_elses_string_is_refused_by_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(load_with_a_host_in_other_capitals_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(load_of_what_is_no_credential_says_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(load_of_a_file_that_may_not_be_read_says_so, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
