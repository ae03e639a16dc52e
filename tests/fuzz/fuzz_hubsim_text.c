/* Texts that clients of hubsim send: JSON, user names, tokens, topics, queries, lines of its control
 * address; and addresses of its command line.
 *
 * Input: the text. Demanded: JSON printed reads the same; names and tokens are terminated; a
 * topic's request id lies in the topic; a query gives rows that are JSON, and says why where it is
 * none. */
#include "tests/sim/hubsim/address.h"
#include "tests/sim/hubsim/auth.h"
#include "tests/sim/hubsim/entra_jwt.h"
#include "tests/sim/hubsim/faults.h"
#include "tests/sim/hubsim/json.h"
#include "tests/sim/hubsim/query.h"
#include "tests/sim/hubsim/topics.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>

#define TERMINATED(field) (memchr((field), 0, sizeof(field)) != NULL)

static void print_again(const char *text, size_t length)
{
    cJSON *tree = NULL, *again = NULL;
    struct buf buf;
    int rc = json_parse(&tree, text, length);

    FUZZ_REQUIRE(rc == 0 || rc == -EBADMSG || rc == -ERANGE);
    FUZZ_REQUIRE((rc == 0) == (tree != NULL));
    if (rc != 0)
        return;
    buf_init(&buf, 1024 * 1024);
    json_print(&buf, tree);
    FUZZ_REQUIRE(buf.error == 0);
    FUZZ_REQUIRE(json_parse(&again, buf_text(&buf), buf.length) == 0);
    FUZZ_REQUIRE(cJSON_Compare(tree, again, true));
    cJSON_Delete(tree);
    cJSON_Delete(again);
    buf_done(&buf);
}

static void sign_in(const char *text, size_t length)
{
    struct auth_username name;
    struct auth_token token;

    if (auth_parse_username(&name, text, length) == 0)
        FUZZ_REQUIRE(TERMINATED(name.device_id) && TERMINATED(name.module_id) &&
                     TERMINATED(name.api_version) && TERMINATED(name.model_id));
    if (auth_parse_token(&token, text, length) == 0) {
        FUZZ_REQUIRE(TERMINATED(token.signed_text) && TERMINATED(token.host));
        FUZZ_REQUIRE(TERMINATED(token.path) && TERMINATED(token.signature));
        FUZZ_REQUIRE(TERMINATED(token.key_name));
        FUZZ_REQUIRE(auth_covers(&token, token.path));
        (void)auth_signed_by(&token, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    }
}

static void read_topic(const char *text, size_t length)
{
    struct mqtt_text topic = { text, length };
    struct topics_request request = { .rid = { NULL, 0 } };
    enum topics_kind kind = topics_read(topic, "d", "m", &request);

    if (kind != TOPICS_TWIN_GET && kind != TOPICS_TWIN_REPORTED)
        return;
    FUZZ_REQUIRE(request.rid.text >= text);
    FUZZ_REQUIRE(request.rid.text + request.rid.length <= text + length);
    FUZZ_REQUIRE(request.base >= -1);
    FUZZ_REQUIRE(!topics_may_subscribe(topic, "d", "m"));
}

/* Every line has an answer of one line. */
static void command(char *text)
{
    struct faults *faults;
    char *line;

    if (faults_new(&faults) != 0)
        abort();
    while ((line = strsep(&text, "\n")) != NULL) {
        char answer[FAULTS_ANSWER_MAX];

        memset(answer, 'x', sizeof answer);
        faults_run(faults, line, answer);
        FUZZ_REQUIRE(TERMINATED(answer) && strchr(answer, '\n') == NULL);
        FUZZ_REQUIRE(strncmp(answer, "ok", 2) == 0 || strncmp(answer, "error ", 6) == 0);
    }
    faults_free(faults);
}

static void require_rows(const struct buf *rows)
{
    cJSON *tree = NULL;

    FUZZ_REQUIRE(rows->error == 0);
    FUZZ_REQUIRE(json_parse(&tree, buf_text(rows), rows->length) == 0 && cJSON_IsArray(tree));
    cJSON_Delete(tree);
}

/* The rows of a query over two documents. */
static void ask(const struct query *query, const cJSON *documents)
{
    struct query_groups *groups;
    struct buf rows;

    buf_init(&rows, 1024 * 1024);
    FUZZ_REQUIRE(query_groups_new(&groups, query) == 0);
    buf_add_byte(&rows, '[');
    for (const cJSON *document = documents->child; document != NULL; document = document->next) {
        if (!query_matches(query, document))
            continue;
        if (query_is_grouped(query))
            FUZZ_REQUIRE(query_groups_add(groups, document) == 0);
        else if (rows.length > 1)
            buf_add_byte(&rows, ',');
        if (!query_is_grouped(query))
            query_print(&rows, query, document);
    }
    for (size_t i = 0; query_is_grouped(query) && i < query_groups_count(groups); i++) {
        if (i > 0)
            buf_add_byte(&rows, ',');
        query_groups_print(&rows, groups, i);
    }
    buf_add_byte(&rows, ']');
    require_rows(&rows);
    query_groups_free(groups);
    buf_done(&rows);
}

static void run_query(const char *text, size_t length)
{
    static const char documents_text[] = "[{\"deviceId\":\"d\",\"tags\":{\"a\":1,\"b\":[1,\"x\"],"
                                         "\"c\":true,\"d\":{}},\"version\":8},"
                                         "{\"deviceId\":\"e\",\"tags\":{\"a\":\"x\",\"b\":null}}]";
    struct err err = { "" };
    struct query *query = NULL;
    cJSON *documents = NULL;
    int rc = query_parse(&query, text, length, &err);

    FUZZ_REQUIRE(rc == 0 || (rc == -EINVAL && err.msg[0] != 0 && query == NULL));
    if (rc != 0)
        return;
    FUZZ_REQUIRE(json_parse(&documents, documents_text, sizeof documents_text - 1) == 0);
    ask(query, documents);
    cJSON_Delete(documents);
    query_free(query);
}

static void read_jwt(const char *text, size_t length)
{
    static const unsigned char secret[JWT_SECRET_BYTES] = "s";
    struct jwt jwt;

    if (jwt_parse(&jwt, text, length) != 0)
        return;
    FUZZ_REQUIRE(jwt.signed_length < length && jwt.signature_length <= sizeof jwt.signature);
    (void)jwt_signed_with_secret(&jwt, text, secret);
    jwt_done(&jwt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, 0);

    print_again(text, size);
    sign_in(text, size);
    read_topic(text, size);
    run_query(text, size);
    read_jwt(text, size);
    free(text);
    text = fuzz_copy(data, size, 1);
    (void)address_is_literal(text);
    command(text);
    free(text);
    return 0;
}
