/* Answers of hubs and token services without memory: each allocation fails, one after the other. */
#include "bridge/service/answer.h"
#include "bridge/service/header.h"
#include "bridge/service/token.h"

#include "tests/unit/memory_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* cJSON does not tell a text that is none from one that there was no memory for. */
static void token_read_without_memory_keeps_the_old_token(void **state)
{
    static const char body[] = "{\"access_token\":\"aa.bb\",\"expires_in\":\"3599\"}";
    static char old[] = "old";
    size_t n = 0, places = 0;
    int rc;

    (void)state;
    do {
        struct token token = { old, 1, 2 };
        struct token fresh = { 0 };
        struct err err = { "" };

        memory_fault_at(++n);
        rc = token_read(&fresh, body, strlen(body), 1000, &err);
        if (!memory_fault_over()) {
            token_forget(&fresh);
            break;
        }
        places++;
        assert_true(rc == -ENOMEM || rc == -EBADMSG);
        assert_true(err.msg[0] != '\0');
        assert_null(fresh.text);
        memory_fault_at(n);
        assert_int_equal(token_read(&token, body, strlen(body), 1000, &err), rc);
        memory_fault_over();
        assert_ptr_equal(token.text, old);
        assert_int_equal(token.expires_s, 2);
    } while (true);
    assert_int_equal(rc, 0);
    assert_true(places > 3);
}

static void answers_without_memory_still_give_a_line(void **state)
{
    static const char body[] =
        "{\"Message\":\"ErrorCode:X;why\",\"error_description\":\"A: b. c\"}";
    char line[ANSWER_TEXT_MAX];
    char refusal[TOKEN_REFUSAL_MAX];
    size_t n = 0, places = 0;
    bool failed;

    (void)state;
    do {
        memory_fault_at(++n);
        answer_describe(line, 400, "", body, strlen(body));
        token_refusal(refusal, 400, body, strlen(body));
        answer_mistaken(line, body, strlen(body));
        failed = memory_fault_over();
        places += failed;
        assert_true(line[0] != '\0' && refusal[0] != '\0');
    } while (failed);
    assert_true(places > 3);
    assert_string_equal(refusal, "A: b");
}

static void header_line_without_memory_is_refused(void **state)
{
    struct buf headers;
    char out[8];

    (void)state;
    buf_init(&headers, HEADER_BYTES_MAX);
    memory_fault_at(1);
    assert_int_equal(header_line(&headers, "a: b", 4), -ENOMEM);
    assert_true(memory_fault_over());
    assert_false(header_get(out, sizeof out, &headers, "a"));
    buf_done(&headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_read_without_memory_keeps_the_old_token),
        cmocka_unit_test(answers_without_memory_still_give_a_line),
        cmocka_unit_test(header_line_without_memory_is_refused),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
