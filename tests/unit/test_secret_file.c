#include "bridge/service/secret_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX = 16 };

/* A file of its own with this content; its path is in `path`. */
static void write_file(char path[64], const char *content)
{
    int fd;

    strcpy(path, "/tmp/test_secret_file_XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void secret_file_read_size_decides(void **state)
{
    static const struct {
        const char *content;
        int want;
    } cases[] = {
        { "", 0 },
        { "short", 0 },
        { "0123456789abcdef", 0 },
        { "0123456789abcdef0", -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = { "" };
        char path[64];
        struct buf out;

        print_message("case '%s'\n", cases[i].content);
        write_file(path, cases[i].content);
        buf_init(&out, MAX);
        assert_int_equal(secret_file_read(&out, path, &err), cases[i].want);
        unlink(path);
        if (cases[i].want == 0)
            assert_string_equal(buf_text(&out), cases[i].content);
        else
            assert_non_null(strstr(err.msg, "larger than 16 bytes"));
        secret_file_wipe(&out);
        assert_null(out.bytes);
    }
}

static void secret_file_read_what_is_no_file_is_named(void **state)
{
    static const struct {
        const char *path;
        int want;
    } cases[] = {
        { "/nowhere/at/all", -ENOENT },
        { "/tmp", -EINVAL },
        { "", -ENOENT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = { "" };
        struct buf out;

        buf_init(&out, MAX);
        assert_int_equal(secret_file_read(&out, cases[i].path, &err), cases[i].want);
        assert_non_null(strstr(err.msg, "cannot read: "));
        assert_int_equal(strncmp(err.msg, cases[i].path, strlen(cases[i].path)), 0);
        secret_file_wipe(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_file_read_size_decides),
        cmocka_unit_test(secret_file_read_what_is_no_file_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
