/* The store on a real SQLite file in a folder of its own, on a real loop. */
#include "bridge/store.h"

#include <sqlite3.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    uv_loop_t loop;
    char folder[64], state[80], file[100];
    struct store *store;
    uintptr_t tokens[8]; /* committed, in order */
    size_t token_count;
    int last_rc;
    bool closed;
    char rows[1000];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->folder, "/tmp/test_store.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->state, sizeof f->state, "%s/a/state", f->folder); /* both folders are made */
    snprintf(f->file, sizeof f->file, "%s/twinbridge.db", f->state);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[200];
    int left = uv_loop_close(&f->loop);

    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    if (system(command) != 0)
        left = -1;
    free(f);
    return left;
}

static bool open_store(struct fixture *f)
{
    bool lost = false;
    struct err err = { "" };
    int rc = store_open(&f->store, &f->loop, f->state, &lost, &err);

    print_message("open: %d %s\n", rc, err.msg);
    assert_int_equal(rc, 0);
    return lost;
}

static void on_closed(void *data)
{
    struct fixture *f = data;

    f->closed = true;
}

static void close_store(struct fixture *f)
{
    f->closed = false;
    store_close(f->store, on_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->closed);
}

static void on_committed(void *owner, uintptr_t token, int rc)
{
    struct fixture *f = owner;

    f->tokens[f->token_count++] = token;
    f->last_rc = rc;
}

static void put(struct fixture *f, const char *tag, int64_t version, const char *desired,
                uintptr_t token)
{
    struct record record = { .module = "m",
                             .device = "d",
                             .tag = tag,
                             .version = version,
                             .desired = desired,
                             .code = 200,
                             .detail = "it's done",
                             .value = "" };

    assert_int_equal(store_put(f->store, &record, on_committed, f, token), 0);
}

static void each(void *data, const struct record *r)
{
    struct fixture *f = data;
    size_t used = strlen(f->rows);

    snprintf(f->rows + used, sizeof f->rows - used, "%s.%s %lld %s %d %s;", r->device, r->tag,
             (long long)r->version, r->desired, r->code, r->detail);
}

static const char *rows(struct fixture *f)
{
    f->rows[0] = 0;
    assert_int_equal(store_each(f->store, "m", each, f), 0);
    return f->rows;
}

/* As a module does: an answer that is stored brings the next order. */
static void on_committed_put_more(void *owner, uintptr_t token, int rc)
{
    struct fixture *f = owner;
    struct record record = { .module = "m",
                             .device = "d",
                             .tag = "more",
                             .version = (int64_t)token,
                             .desired = "1",
                             .detail = "",
                             .value = "" };

    f->tokens[f->token_count++] = token;
    f->last_rc = rc;
    if (token < 3)
        f->last_rc = store_put(f->store, &record, on_committed_put_more, f, token + 1);
}

static void store_put_from_inside_committed_is_committed_too(void **state)
{
    struct fixture *f = *state;

    open_store(f);
    on_committed_put_more(f, 0, 0);
    while (f->token_count < 4 && uv_run(&f->loop, UV_RUN_ONCE) != 0)
        continue;
    close_store(f);

    assert_int_equal(f->token_count, 4);
    assert_int_equal(f->last_rc, 0);
}

static void store_put_is_there_after_open_again(void **state)
{
    struct fixture *f = *state;

    assert_false(open_store(f));
    put(f, "a", 7, "21.5", 1);
    put(f, "b", 8, "true", 2);
    put(f, "a", 9, "22", 3);
    put(f, "b", 0, NULL, 4);
    close_store(f);

    assert_int_equal(f->token_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(f->tokens[i], i + 1);
    assert_int_equal(f->last_rc, 0);
    assert_false(open_store(f));
    assert_string_equal(rows(f), "d.a 9 22 200 it's done;");
    close_store(f);
}

static void store_open_folder_and_file_are_private(void **state)
{
    struct fixture *f = *state;
    struct stat info;

    open_store(f);
    assert_int_equal(stat(f->state, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(f->file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    close_store(f);
}

static void store_open_damaged_file_is_set_aside(void **state)
{
    struct fixture *f = *state;
    FILE *file;

    open_store(f);
    put(f, "a", 7, "21.5", 1);
    close_store(f);
    file = fopen(f->file, "wb");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);

    assert_true(open_store(f));
    assert_string_equal(rows(f), "");
    put(f, "a", 8, "1", 2);
    close_store(f);
    assert_int_equal(f->last_rc, 0);
}

static void store_open_where_no_folder_can_be_is_an_error_in_words(void **state)
{
    struct fixture *f = *state;
    bool lost = false;
    struct err err = { "" };
    FILE *file;

    snprintf(f->state, sizeof f->state, "%s/file", f->folder);
    file = fopen(f->state, "w");
    fclose(file);
    strcat(f->state, "/state");

    assert_true(store_open(&f->store, &f->loop, f->state, &lost, &err) < 0);
    assert_non_null(strstr(err.msg, f->state));
    assert_non_null(strstr(err.msg, "\"state\""));
}

static void store_put_while_locked_says_so_and_goes_on_by_itself(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other;

    open_store(f);
    assert_int_equal(sqlite3_open(f->file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    put(f, "a", 7, "1", 1);
    while (f->token_count == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_not_equal(f->last_rc, 0);
    assert_non_null(strstr(store_error(f->store), "cannot write"));

    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(other);
    put(f, "a", 8, "2", 2);
    while (f->token_count == 1)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->last_rc, 0);
    assert_string_equal(store_error(f->store), "");
    close_store(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(store_put_from_inside_committed_is_committed_too),
        TEST(store_put_is_there_after_open_again),
        TEST(store_open_folder_and_file_are_private),
        TEST(store_open_damaged_file_is_set_aside),
        TEST(store_open_where_no_folder_can_be_is_an_error_in_words),
        TEST(store_put_while_locked_says_so_and_goes_on_by_itself),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
