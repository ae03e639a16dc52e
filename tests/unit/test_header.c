#include "bridge/service/header.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void feed(struct buf *headers, const char *const *lines)
{
    buf_init(headers, HEADER_BYTES_MAX);
    for (; *lines != NULL; lines++)
        assert_int_equal(header_line(headers, *lines, strlen(*lines)), 0);
}

static void header_get_name_in_any_case_gives_its_value(void **state)
{
    static const char *const lines[] = { "HTTP/1.1 429 Too Many\r\n",
                                         "Retry-After:  7 \t\r\n",
                                         "X-Retry-After: 8\r\n",
                                         "retry-after: 9\r\n",
                                         "iothub-errorcode:ThrottlingException\r\n",
                                         "empty:\r\n",
                                         "no colon here\r\n",
                                         "colons: a:b:c",
                                         "\r\n",
                                         NULL };
    static const struct {
        const char *name;
        const char *want; /* NULL = absent */
    } cases[] = {
        { "RETRY-AFTER", "7" },
        { "x-retry-after", "8" },
        { "iothub-errorcode", "ThrottlingException" },
        { "empty", "" },
        { "colons", "a:b:c" },
        { "no colon here", NULL },
        { "Retry", NULL },
        { "Date", NULL },
    };
    struct buf headers;

    (void)state;
    feed(&headers, lines);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64] = "x";

        print_message("case %s\n", cases[i].name);
        assert_int_equal(header_get(out, sizeof out, &headers, cases[i].name),
                         cases[i].want != NULL);
        assert_string_equal(out, cases[i].want == NULL ? "" : cases[i].want);
    }
    buf_done(&headers);
}

static void header_line_status_line_forgets_the_answer_before(void **state)
{
    static const char *const lines[] = { "HTTP/1.1 100 Continue\r\n", "Date: then\r\n", "\r\n",
                                         "HTTP/1.1 200 OK\r\n",       "Server: x\r\n",  NULL };
    struct buf headers;
    char out[16];

    (void)state;
    feed(&headers, lines);

    assert_false(header_get(out, sizeof out, &headers, "Date"));
    assert_true(header_get(out, sizeof out, &headers, "Server"));
    buf_done(&headers);
}

static void header_get_value_that_does_not_fit_is_absent(void **state)
{
    static const char *const lines[] = { "a: 12345\r\n", NULL };
    struct buf headers;
    char out[6];

    (void)state;
    feed(&headers, lines);
    assert_true(header_get(out, 6, &headers, "a"));
    assert_string_equal(out, "12345");
    assert_false(header_get(out, 5, &headers, "a"));
    assert_string_equal(out, "");
    buf_done(&headers);
}

static void header_get_value_with_a_nul_is_absent(void **state)
{
    struct buf headers;
    char out[16];

    (void)state;
    buf_init(&headers, HEADER_BYTES_MAX);
    assert_int_equal(header_line(&headers, "a: b\0c", 6), 0);
    assert_false(header_get(out, sizeof out, &headers, "a"));
    buf_done(&headers);
}

static void header_line_too_many_are_refused(void **state)
{
    char line[1024];
    struct buf headers;
    int rc = 0;

    (void)state;
    memset(line, 'x', sizeof line);
    buf_init(&headers, HEADER_BYTES_MAX);
    for (int i = 0; i < 100 && rc == 0; i++)
        rc = header_line(&headers, line, sizeof line);

    assert_int_equal(rc, -ENOSPC);
    assert_true(headers.length <= HEADER_BYTES_MAX);
    assert_false(header_get(line, sizeof line, &headers, "a"));
    buf_done(&headers);
}

static void header_get_lines_cut_at_every_byte_read_nothing_behind(void **state)
{
    static const char line[] = "Retry-After: 17";

    (void)state;
    for (size_t length = 0; length < sizeof line; length++) {
        char *exact = malloc(length + 1); /* so that a read behind its end is seen */
        char out[16];
        struct buf headers;

        assert_non_null(exact);
        memcpy(exact, line, length);
        buf_init(&headers, HEADER_BYTES_MAX);
        assert_int_equal(header_line(&headers, exact, length), 0);
        free(exact);
        assert_int_equal(header_get(out, sizeof out, &headers, "Retry-After"), length >= 12);
        if (length > 13)
            assert_int_equal(strncmp(out, "17", length - 13), 0);
        buf_done(&headers);
    }
}

static void header_date_ms_reads_the_one_form_that_is_sent(void **state)
{
    static const struct {
        const char *value;
        int64_t want_ms; /* -1 = refused */
    } cases[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", INT64_C(784111777000) },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
        { "Mon, 29 Feb 2044 23:59:59 GMT", INT64_C(2340403199000) },
        { "Sun, 06 Nov 1994 08:49:37", -1 },
        { "Sun, 06 Nov 1994 08:49:37 GMT+1", -1 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", -1 },
        { "784111777", -1 },
        { "", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t out = -7;

        print_message("case '%s'\n", cases[i].value);
        assert_int_equal(header_date_ms(cases[i].value, &out), cases[i].want_ms < 0 ? -EBADMSG : 0);
        assert_int_equal(out, cases[i].want_ms < 0 ? -7 : cases[i].want_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_get_name_in_any_case_gives_its_value),
        cmocka_unit_test(header_line_status_line_forgets_the_answer_before),
        cmocka_unit_test(header_get_value_that_does_not_fit_is_absent),
        cmocka_unit_test(header_get_value_with_a_nul_is_absent),
        cmocka_unit_test(header_line_too_many_are_refused),
        cmocka_unit_test(header_get_lines_cut_at_every_byte_read_nothing_behind),
        cmocka_unit_test(header_date_ms_reads_the_one_form_that_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
