/* The state file: what was stored comes back, from another process too. */
#include "test_hubsim_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct files {
    char folder[64];
    char path[96];
};

static int make_folder(void **state)
{
    static struct files files;

    snprintf(files.folder, sizeof files.folder, "/tmp/test_hubsim_registry.XXXXXX");
    if (mkdtemp(files.folder) == NULL)
        return -1;
    snprintf(files.path, sizeof files.path, "%s/state", files.folder);
    *state = &files;
    return 0;
}

static int remove_folder(void **state)
{
    struct files *files = *state;
    char path[128];

    snprintf(path, sizeof path, "%s-wal", files->path);
    unlink(path);
    unlink(files->path);
    return rmdir(files->folder);
}

static struct registry *open_file(const char *path)
{
    struct registry *registry = NULL;
    struct err err = { "" };

    assert_int_equal(registry_open(&registry, path, &err), 0);
    return registry;
}

static struct identity sample(const char *device_id, const char *module_id)
{
    struct identity identity = {
        .generation_id = INT64_C(638500000000000000),
        .etag = UINT32_MAX,
        .enabled = true,
        .status_reason = "reason",
        .status_updated = STAMP_NEVER,
        .managed_by = "IotEdge",
        .iot_edge = true,
        .authentication = "sas",
        .primary_key = "one",
        .secondary_key = "two",
        .primary_thumbprint = "three",
        .secondary_thumbprint = "four",
    };

    snprintf(identity.device_id, AUTH_ID_MAX, "%s", device_id);
    snprintf(identity.module_id, AUTH_ID_MAX, "%s", module_id);
    return identity;
}

static void registry_get_identity_gives_back_every_field(void **state)
{
    const struct identity module = sample("d'1", "m\";");
    struct registry *registry = open_file(":memory:");
    struct identity read;

    (void)state;
    assert_int_equal(registry_put_identity(registry, &module), 0);
    assert_int_equal(registry_get_identity(registry, "d'1", "m\";", &read), 0);
    assert_memory_equal(&read, &module, sizeof read);
    assert_int_equal(registry_get_identity(registry, "D'1", "m\";", &read), -ENOENT);
    registry_close(registry);
}

static void registry_delete_identity_of_a_device_takes_all_below(void **state)
{
    static const char *const modules[] = { "", "a", "b" };
    struct registry *registry = open_file(":memory:");
    const struct registry_session session = { .count = 0 };
    struct registry_session read_session;
    struct identity read;
    struct twin twin;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    for (size_t i = 0; i < 3; i++) {
        const struct identity one = sample("d", modules[i]), other = sample("d2", modules[i]);

        assert_int_equal(registry_put_identity(registry, &one), 0);
        assert_int_equal(registry_put_identity(registry, &other), 0);
        assert_int_equal(registry_put_twin(registry, "d", modules[i], &twin), 0);
        assert_int_equal(registry_put_session(registry, "d", modules[i], &session), 0);
    }
    twin_done(&twin);

    assert_int_equal(registry_delete_identity(registry, "d", "b"), 0);
    assert_int_equal(registry_get_identity(registry, "d", "b", &read), -ENOENT);
    assert_int_equal(registry_get_twin(registry, "d", "b", &twin), -ENOENT);
    assert_int_equal(registry_get_identity(registry, "d", "a", &read), 0);
    assert_int_equal(registry_delete_identity(registry, "d", "b"), -ENOENT);

    assert_int_equal(registry_delete_identity(registry, "d", ""), 0);
    assert_int_equal(registry_get_identity(registry, "d", "a", &read), -ENOENT);
    assert_int_equal(registry_get_session(registry, "d", "a", &read_session), -ENOENT);
    assert_int_equal(registry_get_identity(registry, "d2", "a", &read), 0);
    registry_close(registry);
}

static void list_id(void *data, const struct identity *identity)
{
    struct buf *list = data;

    buf_printf(list, "%s ",
               identity->module_id[0] != 0 ? identity->module_id : identity->device_id);
}

static void registry_each_lists_in_order_and_to_the_limit(void **state)
{
    static const char *const ids[][2] = {
        { "b", "" }, { "a", "" }, { "c", "" }, { "a", "z" }, { "a", "y" }
    };
    struct registry *registry = open_file(":memory:");
    struct buf list;
    int count;

    (void)state;
    buf_init(&list, 64);
    for (size_t i = 0; i < 5; i++) {
        const struct identity identity = sample(ids[i][0], ids[i][1]);

        assert_int_equal(registry_put_identity(registry, &identity), 0);
    }
    assert_int_equal(registry_each_device(registry, 2, list_id, &list), 0);
    assert_int_equal(registry_each_module(registry, "a", list_id, &list), 0);
    assert_int_equal(registry_each_module(registry, "b", list_id, &list), 0);
    assert_string_equal(buf_text(&list), "a b y z ");
    buf_done(&list);
    assert_int_equal(registry_count_modules(registry, "a", &count), 0);
    assert_int_equal(count, 2);
    registry_close(registry);
}

static void registry_end_with_error_takes_all_back(void **state)
{
    const struct identity device = sample("d", "");
    struct registry *registry = open_file(":memory:");
    struct identity read;

    (void)state;
    assert_int_equal(registry_begin(registry), 0);
    assert_int_equal(registry_put_identity(registry, &device), 0);
    assert_int_equal(registry_end(registry, -ENOSPC), -ENOSPC);
    assert_int_equal(registry_get_identity(registry, "d", "", &read), -ENOENT);
    assert_int_equal(registry_begin(registry), 0);
    assert_int_equal(registry_put_identity(registry, &device), 0);
    assert_int_equal(registry_end(registry, 0), 0);
    assert_int_equal(registry_get_identity(registry, "d", "", &read), 0);
    registry_close(registry);
}

static void registry_get_twin_gives_back_documents_and_counters(void **state)
{
    struct registry *registry = open_file(":memory:");
    cJSON *body = fixture_json(
        "{\"tags\":{\"t\":\"\\u00e9\"},\"properties\":{\"desired\":{\"n\":0.1}}}");
    struct twin twin, read;
    struct err err = { "" };
    struct buf want, got;
    cJSON *notice;

    (void)state;
    assert_int_equal(twin_init(&twin), 0);
    assert_int_equal(twin_patch(&twin, body, "now", &notice, &err), 0);
    assert_int_equal(registry_put_twin(registry, "d", "", &twin), 0);
    assert_int_equal(registry_get_twin(registry, "d", "", &read), 0);

    buf_init(&want, 4096);
    buf_init(&got, 4096);
    twin_print(&want, &twin);
    twin_print(&got, &read);
    assert_string_equal(buf_text(&got), buf_text(&want));
    assert_true(read.etag == twin.etag);
    buf_done(&want);
    buf_done(&got);
    cJSON_Delete(notice);
    cJSON_Delete(body);
    twin_done(&twin);
    twin_done(&read);
    registry_close(registry);
}

static void registry_get_session_gives_back_filters(void **state)
{
    const struct registry_session session = {
        .filters = { { "$iothub/twin/res/#", 1 }, { "devices/d/modules/m/#", 0 } }, .count = 2
    };
    struct registry *registry = open_file(":memory:");
    struct registry_session read;

    (void)state;
    assert_int_equal(registry_get_session(registry, "d", "m", &read), -ENOENT);
    assert_int_equal(registry_put_session(registry, "d", "m", &session), 0);
    assert_int_equal(registry_get_session(registry, "d", "m", &read), 0);
    assert_int_equal(read.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(read.filters[i].filter, session.filters[i].filter);
        assert_int_equal(read.filters[i].qos, session.filters[i].qos);
    }
    assert_int_equal(registry_delete_session(registry, "d", "m"), 0);
    assert_int_equal(registry_get_session(registry, "d", "m", &read), -ENOENT);
    registry_close(registry);
}

/* ---- the file ---- */

static void registry_open_makes_a_file_that_only_its_owner_reads(void **state)
{
    struct files *files = *state;
    struct registry *registry = open_file(files->path);
    struct stat stat_of;

    assert_int_equal(stat(files->path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600);
    registry_close(registry);
}

static void registry_open_of_an_open_state_is_busy(void **state)
{
    struct files *files = *state;
    struct registry *registry = open_file(files->path), *second = NULL;
    struct err err = { "" };

    assert_int_equal(registry_put_text(registry, "a", "b"), 0);
    assert_int_equal(registry_open(&second, files->path, &err), -EBUSY);
    assert_null(second);
    assert_non_null(strstr(err.msg, files->path));
    registry_close(registry);
    registry_close(open_file(files->path));
}

static void registry_open_of_something_else_is_refused(void **state)
{
    struct files *files = *state;
    int fd = open(files->path, O_CREAT | O_WRONLY, 0600);
    struct registry *registry = NULL;
    struct err err = { "" };

    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, "this is a text of somebody\n", 27), 27);
    close(fd);
    assert_int_equal(registry_open(&registry, files->path, &err), -EINVAL);
    assert_int_equal(registry_open(&registry, "/nowhere/at/all", &err), -ENOENT);
    assert_null(registry);
}

/* SIGKILL right behind the answer: the parent finds what the child was told is stored. */
static void registry_put_survives_sigkill(void **state)
{
    struct files *files = *state;
    struct registry *registry;
    char *text = NULL;
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct err err;

        if (registry_open(&registry, files->path, &err) == 0 &&
            registry_put_text(registry, "answered", "with success") == 0)
            raise(SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    registry = open_file(files->path);
    assert_int_equal(registry_get_text(registry, "answered", &text), 0);
    assert_string_equal(text, "with success");
    free(text);
    registry_close(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_get_identity_gives_back_every_field),
        cmocka_unit_test(registry_delete_identity_of_a_device_takes_all_below),
        cmocka_unit_test(registry_each_lists_in_order_and_to_the_limit),
        cmocka_unit_test(registry_end_with_error_takes_all_back),
        cmocka_unit_test(registry_get_twin_gives_back_documents_and_counters),
        cmocka_unit_test(registry_get_session_gives_back_filters),
        cmocka_unit_test_setup_teardown(registry_open_makes_a_file_that_only_its_owner_reads,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_of_an_open_state_is_busy, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_of_something_else_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(registry_put_survives_sigkill, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
