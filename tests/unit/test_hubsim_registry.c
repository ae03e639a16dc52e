/* The state file: what was stored comes back, from another process too. */
#include "test_hubsim_fixture.h"

#include <sqlite3.h>

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
        .model_id = "dtmi:five;1",
        .last_activity = "six",
        .connection_updated = "seven",
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

struct list {
    struct buf text;
    int left;
};

static bool list_id(void *data, const struct identity *identity)
{
    struct list *list = data;

    buf_printf(&list->text, "%s%s%s ", identity->device_id, identity->module_id[0] != 0 ? "/" : "",
               identity->module_id);
    return --list->left > 0;
}

static void registry_each_lists_in_order_from_a_place_until_it_is_enough(void **state)
{
    static const char *const ids[][2] = { { "b", "" },  { "a", "" },  { "c", "" },
                                          { "a", "z" }, { "a", "y" }, { "b", "x" } };
    static const struct {
        enum registry_kind kind;
        const char *device_id, *module_id;
        int limit;
        const char *want;
    } cases[] = {
        { REGISTRY_DEVICES, "", "", 2, "a b " },
        { REGISTRY_DEVICES, "", "", 9, "a b c " },
        { REGISTRY_DEVICES, "a", "", 9, "b c " },
        { REGISTRY_DEVICES, "c", "", 9, "" },
        { REGISTRY_MODULES, "", "", 9, "a/y a/z b/x " },
        { REGISTRY_MODULES, "a", "", 9, "a/y a/z b/x " },
        { REGISTRY_MODULES, "a", "y", 1, "a/z " },
        { REGISTRY_MODULES, "b", "", 9, "b/x " },
    };
    struct registry *registry = open_file(":memory:");
    struct registry_counts counts;
    int count;

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct identity identity = sample(ids[i][0], ids[i][1]);

        identity.enabled = i != 0;
        assert_int_equal(registry_put_identity(registry, &identity), 0);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct list list = { .left = cases[i].limit };

        buf_init(&list.text, 256);
        assert_int_equal(registry_each(registry, cases[i].kind, cases[i].device_id,
                                       cases[i].module_id, list_id, &list),
                         0);
        assert_string_equal(buf_text(&list.text), cases[i].want);
        buf_done(&list.text);
    }
    assert_int_equal(registry_count_modules(registry, "a", &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(registry_count(registry, &counts), 0);
    assert_int_equal(counts.devices, 3);
    assert_int_equal(counts.enabled_devices, 2);
    assert_int_equal(counts.modules, 3);
    registry_close(registry);
}

static void registry_note_connection_keeps_a_model_that_is_not_said_again(void **state)
{
    const struct identity device = sample("d", "");
    struct registry *registry = open_file(":memory:");
    struct identity read;

    (void)state;
    assert_int_equal(registry_put_identity(registry, &device), 0);
    assert_int_equal(registry_note_connection(registry, "d", "", "dtmi:new;1", "now"), 0);
    assert_int_equal(registry_note_connection(registry, "d", "", NULL, "later"), 0);
    assert_int_equal(registry_note_connection(registry, "gone", "", NULL, "later"), 0);
    assert_int_equal(registry_get_identity(registry, "d", "", &read), 0);
    assert_string_equal(read.model_id, "dtmi:new;1");
    assert_string_equal(read.last_activity, "later");
    assert_string_equal(read.connection_updated, "later");
    registry_close(registry);
}

static bool list_message(void *data, const struct registry_message *message)
{
    struct list *list = data;

    buf_printf(&list->text, "%s=%.*s/%d ", message->bag, (int)message->body_length,
               (const char *)message->body, message->deliveries);
    return --list->left > 0;
}

static void registry_messages_are_a_queue_that_is_marked_and_shortened(void **state)
{
    const struct registry_message one = {
        .bag = "a", .body = "x\0y", .body_length = 3, .enqueued_ms = 1000, .expiry_ms = 2000
    };
    const struct registry_message two = { .bag = "b", .enqueued_ms = 500 };
    struct registry *registry = open_file(":memory:");
    struct list list = { .left = 9 };
    int64_t first, second, third;
    int count;

    (void)state;
    assert_int_equal(registry_put_message(registry, "d", &one, &first), 0);
    assert_int_equal(registry_put_message(registry, "d", &two, &second), 0);
    assert_int_equal(registry_put_message(registry, "e", &two, &third), 0);
    assert_true(second > first);
    assert_int_equal(registry_count_messages(registry, "d", &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(registry_mark_message(registry, "d", second), 0);

    buf_init(&list.text, 256);
    assert_int_equal(registry_each_message(registry, "d", first, list_message, &list), 0);
    assert_string_equal(buf_text(&list.text), "b=/1 ");
    buf_done(&list.text);

    assert_int_equal(registry_delete_message(registry, "d", first), 0);
    assert_int_equal(registry_delete_message(registry, "d", first), -ENOENT);
    assert_int_equal(registry_mark_message(registry, "d", first), -ENOENT);
    assert_int_equal(registry_delete_message(registry, "d", second), 0);
    assert_int_equal(registry_count_messages(registry, "d", &count), 0);
    assert_int_equal(count, 0);
    /* An emptied queue does not give a number again that somebody may still hold. */
    assert_int_equal(registry_put_message(registry, "d", &one, &third), 0);
    assert_true(third >= first);
    registry_close(registry);
}

static void registry_delete_identity_takes_the_queue_of_a_device(void **state)
{
    const struct identity device = sample("d", ""), module = sample("d", "m");
    const struct registry_message message = { .bag = "", .enqueued_ms = 1 };
    struct registry *registry = open_file(":memory:");
    int64_t sequence;
    int count;

    (void)state;
    assert_int_equal(registry_put_identity(registry, &device), 0);
    assert_int_equal(registry_put_identity(registry, &module), 0);
    assert_int_equal(registry_put_message(registry, "d", &message, &sequence), 0);
    assert_int_equal(registry_delete_identity(registry, "d", "m"), 0);
    assert_int_equal(registry_count_messages(registry, "d", &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(registry_delete_identity(registry, "d", ""), 0);
    assert_int_equal(registry_count_messages(registry, "d", &count), 0);
    assert_int_equal(count, 0);
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
    assert_int_equal(
        twin_patch(&twin, body, &(struct twin_context){ .stamp = "now" }, &notice, &err), 0);
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

/* The state of the first version: what its hubsim made. */
static const char first_schema[] =
    "PRAGMA application_id = 1752523379;" /* "hubs" */
    "CREATE TABLE identity(device_id TEXT NOT NULL, module_id TEXT NOT NULL,"
    " generation_id INTEGER NOT NULL, etag INTEGER NOT NULL, enabled INTEGER NOT NULL,"
    " status_reason TEXT NOT NULL, status_updated TEXT NOT NULL, managed_by TEXT NOT NULL,"
    " iot_edge INTEGER NOT NULL, authentication TEXT NOT NULL, primary_key TEXT NOT NULL,"
    " secondary_key TEXT NOT NULL, primary_thumbprint TEXT NOT NULL,"
    " secondary_thumbprint TEXT NOT NULL, PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE twin(device_id TEXT NOT NULL, module_id TEXT NOT NULL, etag INTEGER NOT NULL,"
    " version INTEGER NOT NULL, tags TEXT NOT NULL, desired TEXT NOT NULL,"
    " desired_metadata TEXT NOT NULL, desired_version INTEGER NOT NULL, reported TEXT NOT NULL,"
    " reported_metadata TEXT NOT NULL, reported_version INTEGER NOT NULL,"
    " PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE session(device_id TEXT NOT NULL, module_id TEXT NOT NULL,"
    " filters TEXT NOT NULL, PRIMARY KEY(device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE text(name TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;"
    "INSERT INTO identity VALUES('d', '', 1, 2, 1, '', '', '', 0, 'sas', 'k', 'l', '', '');"
    "PRAGMA user_version = 1;";

static void make_database(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void registry_open_of_an_older_state_brings_it_up_to_date(void **state)
{
    struct files *files = *state;
    const struct registry_message message = { .bag = "", .enqueued_ms = 1 };
    struct registry *registry;
    struct identity read;
    int64_t sequence;

    make_database(files->path, first_schema);
    for (int i = 0; i < 2; i++) { /* and then it stays as it is */
        registry = open_file(files->path);
        assert_int_equal(registry_get_identity(registry, "d", "", &read), 0);
        assert_string_equal(read.primary_key, "k");
        assert_string_equal(read.last_activity, STAMP_NEVER);
        assert_int_equal(registry_put_message(registry, "d", &message, &sequence), 0);
        registry_close(registry);
    }
}

static void registry_open_of_a_newer_state_is_refused(void **state)
{
    struct files *files = *state;
    struct registry *registry;
    struct err err = { "" };

    make_database(files->path, "PRAGMA application_id = 1752523379; PRAGMA user_version = 3;"
                               "CREATE TABLE identity(device_id TEXT);");
    assert_int_equal(registry_open(&registry, files->path, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "not a state of this hubsim"));
}

/* What another program marked as its own, or what claims to be ours and is not. */
static void registry_open_of_a_foreign_database_leaves_it_alone(void **state)
{
    static const char *const databases[] = {
        "PRAGMA user_version = 2;",
        "PRAGMA application_id = 77;",
        "CREATE TABLE somebody(a TEXT);",
        "PRAGMA application_id = 1752523379; PRAGMA user_version = -5;",
        "PRAGMA application_id = 1752523379;",
    };
    struct files *files = *state;
    struct registry *registry = NULL;
    struct err err = { "" };

    for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++) {
        print_message("case %s\n", databases[i]);
        unlink(files->path);
        make_database(files->path, databases[i]);
        assert_int_equal(registry_open(&registry, files->path, &err), -EINVAL);
        assert_int_equal(registry_open_present(&registry, files->path, &err), -EINVAL);
        assert_null(registry);
    }
}

static void registry_open_of_a_damaged_state_is_refused(void **state)
{
    static const char zeros[4000];
    struct files *files = *state;
    struct registry *registry = NULL;
    struct err err = { "" };
    int fd;

    registry_close(open_file(files->path));
    fd = open(files->path, O_WRONLY);
    assert_int_equal(pwrite(fd, zeros, sizeof zeros, 100), sizeof zeros); /* sqlite_master */
    close(fd);
    assert_int_equal(registry_open(&registry, files->path, &err), -EINVAL);
    assert_non_null(strstr(err.msg, files->path));
    assert_null(registry);
}

static void registry_open_present_makes_nothing(void **state)
{
    struct files *files = *state;
    struct registry *registry;
    struct err err = { "" };
    int fd;

    assert_int_equal(registry_open_present(&registry, files->path, &err), -ENOENT);
    assert_int_not_equal(access(files->path, F_OK), 0);
    fd = open(files->path, O_CREAT | O_RDONLY, 0600);
    assert_int_equal(registry_open_present(&registry, files->path, &err), -EINVAL);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    close(fd);
    assert_int_equal(registry_open_present(&registry, files->folder, &err), -EISDIR);
    registry_close(open_file(files->path));
    assert_int_equal(registry_open_present(&registry, files->path, &err), 0);
    registry_close(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_get_identity_gives_back_every_field),
        cmocka_unit_test(registry_delete_identity_of_a_device_takes_all_below),
        cmocka_unit_test(registry_each_lists_in_order_from_a_place_until_it_is_enough),
        cmocka_unit_test(registry_note_connection_keeps_a_model_that_is_not_said_again),
        cmocka_unit_test(registry_messages_are_a_queue_that_is_marked_and_shortened),
        cmocka_unit_test(registry_delete_identity_takes_the_queue_of_a_device),
        cmocka_unit_test(registry_end_with_error_takes_all_back),
        cmocka_unit_test(registry_get_twin_gives_back_documents_and_counters),
        cmocka_unit_test(registry_get_session_gives_back_filters),
        cmocka_unit_test_setup_teardown(registry_open_makes_a_file_that_only_its_owner_reads,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_of_an_open_state_is_busy, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_of_something_else_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_of_an_older_state_brings_it_up_to_date,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_of_a_newer_state_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_of_a_foreign_database_leaves_it_alone,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_of_a_damaged_state_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(registry_open_present_makes_nothing, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(registry_put_survives_sigkill, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
