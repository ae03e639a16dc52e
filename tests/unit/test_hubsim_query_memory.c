/* Queries without memory: no query, no group that is half there. */
#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/query.h"

#include "tests/unit/memory_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char text[] = "SELECT s, COUNT() AS n, AVG(v) AS a FROM devices d"
                           " WHERE d.v > 0 AND s IN ['a', 'b'] GROUP BY s";

static void query_parse_without_memory_gives_nothing(void **state)
{
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        struct query *query = NULL;
        struct err err = { "" };
        int rc;

        memory_fault_at(n);
        rc = query_parse(&query, text, sizeof text - 1, &err);
        failed = memory_fault_over();
        assert_int_equal(rc, failed ? -ENOMEM : 0);
        assert_int_equal(query == NULL, failed);
        query_free(query);
    }
}

static cJSON *document_of(int i)
{
    char json[64];
    cJSON *tree = NULL;

    snprintf(json, sizeof json, "{\"s\":\"%c\",\"v\":%d}", 'a' + i % 2, i);
    assert_int_equal(json_parse(&tree, json, strlen(json)), 0);
    return tree;
}

/* What did not fail is counted, what failed is not. */
static void query_groups_add_without_memory_counts_what_it_took(void **state)
{
    struct query *query = NULL;
    struct err err = { "" };
    bool failed = true;

    (void)state;
    assert_int_equal(query_parse(&query, text, sizeof text - 1, &err), 0);
    for (size_t n = 1; failed; n++) {
        struct query_groups *groups = NULL;
        cJSON *documents[4];
        struct buf out;
        int taken[2] = { 0, 0 };

        for (int i = 0; i < 4; i++)
            documents[i] = document_of(i + 1);
        memory_fault_at(n);
        if (query_groups_new(&groups, query) == 0) {
            for (int i = 0; i < 4; i++) {
                int rc = query_groups_add(groups, documents[i]);

                assert_true(rc == 0 || rc == -ENOMEM);
                taken[(i + 1) % 2] += rc == 0;
            }
        }
        failed = memory_fault_over();
        buf_init(&out, 4096);
        for (size_t i = 0; groups != NULL && i < query_groups_count(groups); i++) {
            char want[32];

            buf_clear(&out);
            query_groups_print(&out, groups, i);
            snprintf(want, sizeof want, "\"n\":%d,", taken[strchr(buf_text(&out), 'b') != NULL]);
            assert_non_null(strstr(buf_text(&out), want));
        }
        buf_done(&out);
        query_groups_free(groups);
        for (int i = 0; i < 4; i++)
            cJSON_Delete(documents[i]);
    }
    query_free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query_parse_without_memory_gives_nothing),
        cmocka_unit_test(query_groups_add_without_memory_counts_what_it_took),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
