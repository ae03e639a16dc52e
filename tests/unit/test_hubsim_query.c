/* The query language: what is read, what it finds, what is refused and where (iot-hub.md section
 * 7.5). */
#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/query.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char document_text[] =
    "{\"deviceId\":\"dev1\",\"moduleId\":\"mod1\",\"status\":\"enabled\",\"version\":8,"
    "\"tags\":{\"site\":\"A\",\"my-key\":1,\"list\":[1,\"two\"]},"
    "\"properties\":{\"desired\":{\"rate\":5,\"$version\":3},"
    "\"reported\":{\"rate\":5.5,\"ok\":true,\"state\":\"r\\u00e9ady\",\"none\":{\"a\":1}}}}";

static cJSON *parse_json(const char *text)
{
    cJSON *tree = NULL;

    assert_int_equal(json_parse(&tree, text, strlen(text)), 0);
    return tree;
}

static struct query *read_query(const char *text)
{
    struct query *query = NULL;
    struct err err = { "" };
    int rc = query_parse(&query, text, strlen(text), &err);

    if (rc != 0)
        print_message("%s: %s\n", text, err.msg);
    assert_int_equal(rc, 0);
    return query;
}

static void query_matches_gives_the_condition_of_each_row(void **state)
{
    static const struct {
        const char *condition;
        bool want;
    } cases[] = {
        { "deviceId = 'dev1'", true },
        { "deviceId = \"dev1\"", true },
        { "deviceId = 'Dev1'", false },
        { "DeviceId = 'dev1'", false },
        { "deviceId != 'dev1'", false },
        { "deviceId <> 'dev2'", true },
        { "tags.site = 'A' AND status = 'enabled'", true },
        { "tags.site = 'B' or status = 'enabled'", true },
        { "NOT tags.site = 'B'", true },
        { "NOT (tags.site = 'A' OR tags.site = 'B')", false },
        { "tags.site = 'B' AND tags.site = 'A' OR version = 8", true },
        { "tags.site = 'B' AND (tags.site = 'A' OR version = 8)", false },
        { "version > 7 AND version >= 8 AND version < 9 AND version <= 8", true },
        { "version > 8", false },
        { "properties.reported.rate > properties.desired.rate", true },
        { "properties.desired.$version = 3", true },
        { "properties.reported.rate = 5 + 0.5", true },
        { "properties.reported.rate * 2 = 11", true },
        { "version - 2 * 3 = 2", true },
        { "(version - 2) * 3 = 18", true },
        { "version / 4 = 2 AND version % 3 = 2", true },
        { "-version = -8", true },
        { "version = 8.0e0", true },
        { "version / 0 = 1", false },
        { "tags.[[my-key]] = 1", true },
        { "[[deviceId]] = 'dev1'", true },
        { "properties.reported.ok", true },
        { "properties.reported.ok = true", true },
        { "properties.reported.ok = 1", false },
        { "properties.reported.ok != 1", true },
        { "version", false },
        { "tags.site IN ['A', 'B']", true },
        { "tags.site IN ['B']", false },
        { "tags.site IN []", false },
        { "tags.site NIN ['B', 1]", true },
        { "tags.gone IN ['A']", false },
        { "tags.gone NIN ['A']", false },
        { "'two' IN tags.list", true },
        { "'three' IN tags.list", false },
        { "IS_DEFINED(tags.site)", true },
        { "is_defined(tags.gone)", false },
        { "NOT IS_DEFINED(tags.gone)", true },
        { "tags.gone = 'A'", false },
        { "tags.gone != 'A'", false },
        { "NOT tags.gone = 'A'", false },
        { "tags.gone = 'A' OR version = 8", true },
        { "tags.gone = 'A' AND version = 9", false },
        { "tags.site.deeper = 1", false },
        { "tags.gone = undefined", false },
        { "IS_NULL(null) AND NOT IS_NULL(version)", true },
        { "null = null", true },
        { "IS_BOOL(properties.reported.ok)", true },
        { "IS_NUMBER(version) AND IS_STRING(tags.site)", true },
        { "IS_OBJECT(tags) AND IS_ARRAY(tags.list) AND NOT IS_OBJECT(tags.list)", true },
        { "IS_PRIMITIVE(version) AND NOT IS_PRIMITIVE(tags)", true },
        { "IS_PRIMITIVE(tags.gone)", false },
        { "STARTSWITH(deviceId, 'dev')", true },
        { "STARTS_WITH(deviceId, 'ev')", false },
        { "ENDSWITH(deviceId, '1') AND ENDS_WITH(deviceId, 'dev1')", true },
        { "ENDSWITH(deviceId, 'a longer one than that')", false },
        { "CONTAINS(deviceId, 'ev')", true },
        { "CONTAINS(version, '8')", false },
        { "LENGTH(properties.reported.state) = 5", true },
        { "ABS(0 - version) = 8", true },
        { "properties.reported.state = 'r\\u00e9ady'", true },
        { "'it\\'s' = \"it's\"", true },
        { "tags = tags", false }, /* only primitive values are compared */
    };
    cJSON *document = parse_json(document_text);
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query *query;

        print_message("case %s\n", cases[i].condition);
        snprintf(text, sizeof text, "SELECT * FROM devices.modules WHERE %s", cases[i].condition);
        query = read_query(text);
        assert_int_equal(query_matches(query, document), cases[i].want);
        query_free(query);
    }
    cJSON_Delete(document);
}

static void query_parse_reads_the_parts_of_a_query(void **state)
{
    static const struct {
        const char *text;
        enum query_source source;
        bool whole, grouped;
        long top;
    } cases[] = {
        { "SELECT * FROM devices", QUERY_DEVICES, true, false, -1 },
        { "select*from devices.modules", QUERY_MODULES, true, false, -1 },
        { "  SELECT\n TOP 5 *\tFROM devices . modules ", QUERY_MODULES, true, false, 5 },
        { "SELECT deviceId FROM devices", QUERY_DEVICES, false, false, -1 },
        { "SELECT COUNT() FROM devices", QUERY_DEVICES, false, true, -1 },
        { "SELECT status FROM devices GROUP BY status", QUERY_DEVICES, false, true, -1 },
        { "SELECT * FROM devices c WHERE c.deviceId = 'a'", QUERY_DEVICES, true, false, -1 },
        { "SELECT * FROM devices AS c", QUERY_DEVICES, true, false, -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query *query = read_query(cases[i].text);

        print_message("case %s\n", cases[i].text);
        assert_int_equal(query_source(query), cases[i].source);
        assert_int_equal(query_is_whole(query), cases[i].whole);
        assert_int_equal(query_is_grouped(query), cases[i].grouped);
        assert_int_equal(query_top(query), cases[i].top);
        query_free(query);
    }
}

static void query_print_gives_the_items_that_are_defined(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "SELECT deviceId FROM devices", "{\"deviceId\":\"dev1\"}" },
        { "SELECT deviceId AS id, tags.site FROM devices", "{\"id\":\"dev1\",\"site\":\"A\"}" },
        { "SELECT tags.gone, version FROM devices", "{\"version\":8}" },
        { "SELECT tags.gone FROM devices", "{}" },
        { "SELECT properties.reported.none FROM devices", "{\"none\":{\"a\":1}}" },
        { "SELECT d.tags.site AS [[the site]] FROM devices d", "{\"the site\":\"A\"}" },
        { "SELECT tags.list FROM devices AS tags", "{}" }, /* the alias hides the member */
    };
    cJSON *document = parse_json(document_text);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query *query = read_query(cases[i].text);
        struct buf out;

        print_message("case %s\n", cases[i].text);
        buf_init(&out, 4096);
        query_print(&out, query, document);
        assert_string_equal(buf_text(&out), cases[i].want);
        buf_done(&out);
        query_free(query);
    }
    cJSON_Delete(document);
}

static void query_parse_of_what_is_wrong_names_the_place(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "at its end: SELECT was expected" },
        { "SELEKT * FROM devices", "at character 1, 'SELEKT': SELECT was expected" },
        { "SELECT * FORM devices", "at character 10, 'FORM': FROM was expected" },
        { "SELECT * FROM device", "at character 15, 'device': devices" },
        { "SELECT * FROM devices.jobs", "at character 23, 'jobs': devices.modules" },
        { "SELECT FROM devices", "at character 13, 'devices': FROM was expected" },
        { "SELECT TOP x * FROM devices", "at character 12, 'x': a number" },
        { "SELECT TOP 0 * FROM devices", "at character 12, '0': a number" },
        { "SELECT TOP 1.5 * FROM devices", "at character 12, '1.5': a number" },
        { "SELECT * FROM devices WHERE", "at its end: a name" },
        { "SELECT * FROM devices WHERE a =", "at its end: a name" },
        { "SELECT * FROM devices WHERE a = 'x", "at character 33, ''': the text does not end" },
        { "SELECT * FROM devices WHERE a = 'x' b", "at character 37, 'b': the query should end" },
        { "SELECT * FROM devices WHERE a ! 1", "at character 31, '!': this sign" },
        { "SELECT * FROM devices WHERE (a = 1", "at its end: ) was expected" },
        { "SELECT * FROM devices WHERE a IN ['x'", "at its end: ] was expected" },
        { "SELECT * FROM devices WHERE NOPE(a)", "at character 29, 'NOPE': there is no such" },
        { "SELECT * FROM devices WHERE IS_NULL(a, b)", "takes another number of arguments" },
        { "SELECT * FROM devices WHERE IS_NULL()", "takes another number of arguments" },
        { "SELECT * FROM devices WHERE 1.2.3 = a", "at character 29, '1.2.3': this is no number" },
        { "SELECT * FROM devices WHERE 1e999 = a", "this is no number" },
        { "SELECT * FROM devices WHERE [[a = 1", "at character 29, '[[': [[ without ]]" },
        { "SELECT * FROM devices WHERE a = '\\x'", "unknown escape" },
        { "SELECT * FROM devices WHERE a = '\\u12'", "unknown escape" },
        { "SELECT * FROM devices WHERE a = '\\ud800'", "unknown escape" },
        { "SELECT * FROM devices WHERE a = '\\u0000'", "unknown escape" },
        { "SELECT * FROM devices GROUP status", "at character 29, 'status': BY was expected" },
        { "SELECT * FROM devices GROUP BY status", "SELECT * cannot be grouped" },
        { "SELECT deviceId, COUNT() FROM devices", "deviceId is neither aggregated" },
        { "SELECT tags.a FROM devices GROUP BY tags.b", "a is neither aggregated" },
        { "SELECT COUNT(*) FROM devices", "at character 14, '*': ) was expected" },
        { "SELECT AVG() FROM devices", "at character 12, ')': a name was expected" },
        { "SELECT UPPER(deviceId) FROM devices", "at character 8, 'UPPER': there is no such" },
        { "SELECT * FROM devices AS", "at its end: a name was expected" },
        { "SELECT a AS x\xd2 FROM devices", "or no text" },
        { "SELECT a. FROM devices", "at character 16, 'devices': FROM was expected" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query *query = NULL;
        struct err err = { "" };

        assert_int_equal(query_parse(&query, cases[i].text, strlen(cases[i].text), &err), -EINVAL);
        assert_null(query);
        print_message("case %s: %s\n", cases[i].text, err.msg);
        assert_non_null(strstr(err.msg, cases[i].want));
    }
}

/* `count` times `open`, a condition, `count` times `close`. */
static char *nested(const char *open, int count, const char *close)
{
    struct buf buf;

    buf_init(&buf, 64 * 1024);
    buf_add_text(&buf, "SELECT * FROM devices WHERE ");
    for (int i = 0; i < count; i++)
        buf_add_text(&buf, open);
    buf_add_text(&buf, "a = 1");
    for (int i = 0; i < count; i++)
        buf_add_text(&buf, close);
    assert_int_equal(buf.error, 0);
    return (char *)buf.bytes;
}

static void query_parse_sizes_at_their_edge(void **state)
{
    static const struct {
        const char *open, *close;
        int count, want;
    } cases[] = {
        { "(", ")", QUERY_DEPTH_MAX - 1, 0 },
        { "(", ")", QUERY_DEPTH_MAX, -EINVAL },
        { "NOT ", "", 2 * QUERY_DEPTH_MAX - 2, 0 },
        { "NOT ", "", 2 * QUERY_DEPTH_MAX - 1, -EINVAL },
        { "(", ")", 4000, -EINVAL },
        { "a OR ", "", 200, 0 },
        { "a OR ", "", QUERY_NODES_MAX, -EINVAL },
    };
    char longest[QUERY_TEXT_MAX + 2];
    struct query *query;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = nested(cases[i].open, cases[i].count, cases[i].close);
        int rc = query_parse(&query, text, strlen(text), &err);

        print_message("case %s %d\n", cases[i].open, cases[i].count);
        assert_int_equal(rc, cases[i].want);
        if (rc == 0)
            query_free(query);
        free(text);
    }

    memset(longest, ' ', sizeof longest);
    memcpy(longest, "SELECT * FROM devices", 21);
    assert_int_equal(query_parse(&query, longest, QUERY_TEXT_MAX + 1, &err), -EINVAL);
    assert_int_equal(query_parse(&query, longest, QUERY_TEXT_MAX, &err), 0);
    query_free(query);
}

/* ---- groups ---- */

static struct query_groups *groups_of(const struct query *query, const char *documents)
{
    struct query_groups *groups;
    cJSON *all = parse_json(documents);

    assert_int_equal(query_groups_new(&groups, query), 0);
    for (const cJSON *document = all->child; document != NULL; document = document->next) {
        if (query_matches(query, document))
            assert_int_equal(query_groups_add(groups, document), 0);
    }
    cJSON_Delete(all);
    return groups;
}

static void query_groups_sum_what_belongs_together(void **state)
{
    static const char documents[] = "[{\"s\":\"a\",\"n\":1,\"t\":{\"u\":1}},{\"s\":\"b\",\"n\":2},"
                                    "{\"s\":\"a\",\"n\":5},{\"n\":3},{\"s\":null,\"n\":\"x\"}]";
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "SELECT COUNT() AS n FROM devices", "{\"n\":5}" },
        { "SELECT COUNT() AS n FROM devices WHERE s = 'z'", "{\"n\":0}" },
        { "SELECT SUM(n) AS s, AVG(n) AS a, MIN(n) AS l, MAX(n) AS m, COUNT() FROM devices",
          "{\"s\":11,\"a\":2.75,\"l\":1,\"m\":5,\"$5\":5}" },
        { "SELECT AVG(gone), COUNT() AS n FROM devices", "{\"n\":5}" },
        { "SELECT s, COUNT() AS n FROM devices GROUP BY s",
          "{\"s\":\"a\",\"n\":2},{\"s\":\"b\",\"n\":1},{\"n\":1},{\"s\":null,\"n\":1}" },
        { "SELECT SUM(n) AS sum, s AS name FROM devices WHERE IS_STRING(s) GROUP BY s",
          "{\"sum\":6,\"name\":\"a\"},{\"sum\":2,\"name\":\"b\"}" },
        { "SELECT t, COUNT() AS n FROM devices WHERE IS_STRING(s) GROUP BY t, s",
          "{\"t\":{\"u\":1},\"n\":1},{\"n\":1},{\"n\":1}" },
        { "SELECT COUNT() AS n FROM devices WHERE s = 'z' GROUP BY s", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query *query = read_query(cases[i].text);
        struct query_groups *groups = groups_of(query, documents);
        struct buf out;

        print_message("case %s\n", cases[i].text);
        buf_init(&out, 4096);
        for (size_t j = 0; j < query_groups_count(groups); j++) {
            if (j > 0)
                buf_add_byte(&out, ',');
            query_groups_print(&out, groups, j);
        }
        assert_string_equal(buf_text(&out), cases[i].want);
        buf_done(&out);
        query_groups_free(groups);
        query_free(query);
    }
}

/* The same path may stand in GROUP BY many times. */
static void query_groups_add_keeps_so_many_bytes(void **state)
{
    enum { VALUE = 64 * 1024, PATHS = 16 };
    struct query_groups *groups;
    struct query *query;
    char *text = malloc(VALUE + 64);
    int i, rc = 0;

    (void)state;
    query = read_query("SELECT COUNT() AS c FROM devices GROUP BY n, n, n, n, n, n, n, n,"
                       " n, n, n, n, n, n, n, n");
    assert_non_null(text);
    assert_int_equal(query_groups_new(&groups, query), 0);
    for (i = 0; i < QUERY_GROUPS_MAX && rc == 0; i++) {
        int head = sprintf(text, "{\"n\":\"%d", i);
        cJSON *document;

        memset(text + head, 'x', VALUE);
        memcpy(text + head + VALUE, "\"}", 3);
        document = parse_json(text);
        rc = query_groups_add(groups, document);
        cJSON_Delete(document);
    }
    assert_int_equal(rc, -EMFILE);
    assert_int_equal(i, QUERY_GROUPS_BYTES_MAX / (VALUE * PATHS)); /* and the rest of each key */
    query_groups_free(groups);
    query_free(query);
    free(text);
}

static void query_groups_add_has_an_end(void **state)
{
    struct query *query = read_query("SELECT n, COUNT() AS c FROM devices GROUP BY n");
    struct query_groups *groups;

    (void)state;
    assert_int_equal(query_groups_new(&groups, query), 0);
    for (int i = 0; i <= QUERY_GROUPS_MAX; i++) {
        char text[32];
        cJSON *document;

        snprintf(text, sizeof text, "{\"n\":%d}", i);
        document = parse_json(text);
        assert_int_equal(query_groups_add(groups, document), i < QUERY_GROUPS_MAX ? 0 : -EMFILE);
        cJSON_Delete(document);
    }
    assert_int_equal(query_groups_count(groups), QUERY_GROUPS_MAX);
    query_groups_free(groups);
    query_free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query_matches_gives_the_condition_of_each_row),
        cmocka_unit_test(query_parse_reads_the_parts_of_a_query),
        cmocka_unit_test(query_print_gives_the_items_that_are_defined),
        cmocka_unit_test(query_parse_of_what_is_wrong_names_the_place),
        cmocka_unit_test(query_parse_sizes_at_their_edge),
        cmocka_unit_test(query_groups_sum_what_belongs_together),
        cmocka_unit_test(query_groups_add_has_an_end),
        cmocka_unit_test(query_groups_add_keeps_so_many_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
