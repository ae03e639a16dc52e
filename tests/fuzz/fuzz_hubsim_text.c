/* Texts that clients of hubsim send: JSON, user names, tokens, topics, lines of its control
 * address; and addresses of its command line.
 *
 * Input: the text. Demanded: JSON printed reads the same; names and tokens are terminated; a
 * topic's request id lies in the topic. */
#include "tests/sim/hubsim/address.h"
#include "tests/sim/hubsim/auth.h"
#include "tests/sim/hubsim/faults.h"
#include "tests/sim/hubsim/json.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, 0);

    print_again(text, size);
    sign_in(text, size);
    read_topic(text, size);
    free(text);
    text = fuzz_copy(data, size, 1);
    (void)address_is_literal(text);
    command(text);
    free(text);
    return 0;
}
