/* What hubs, token services and whatever stands between answer to twinctl.
 *
 * Input: bytes that are taken for a body, for header lines, for a Retry-After and for a challenge of
 * Azure Arc. Demanded: what goes into a message is one line of printable text; a token that is
 * accepted can stand in a header line and has an end; a challenge names a file of its folder. */
#include "bridge/service/answer.h"
#include "bridge/service/applied.h"
#include "bridge/service/header.h"
#include "bridge/service/local_endpoint.h"
#include "bridge/service/retry.h"
#include "bridge/service/token.h"

#include "tests/fuzz/fuzz.h"

#include <cjson/cJSON.h>

#include <errno.h>

enum { NOW_S = 1700000000 };

static void require_line(const char *text)
{
    for (; *text != 0; text++)
        FUZZ_REQUIRE((unsigned char)*text >= ' ' && *text != 0x7F);
}

static void read_token(const char *body, size_t length)
{
    struct token token = { 0 };
    struct err err = { "" };
    int rc = token_read(&token, body, length, NOW_S, &err);

    FUZZ_REQUIRE(rc == 0 || rc == -EBADMSG);
    FUZZ_REQUIRE((rc == 0) == (token.text != NULL));
    if (rc == 0) {
        size_t count = strlen(token.text);

        FUZZ_REQUIRE(count > 0 && count <= TOKEN_MAX);
        for (size_t i = 0; i < count; i++)
            FUZZ_REQUIRE(token.text[i] > ' ' && token.text[i] <= '~');
        FUZZ_REQUIRE(token.renew_s > NOW_S && token.renew_s <= token.expires_s);
    } else {
        require_line(err.msg);
    }
    token_forget(&token);
}

static void describe(const char *body, size_t length)
{
    static const long statuses[] = { 200, 302, 400, 401, 412, 429, 503 };
    char line[ANSWER_TEXT_MAX];
    char refusal[TOKEN_REFUSAL_MAX];

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        answer_describe(line, statuses[i], "", body, length);
        require_line(line);
        token_refusal(refusal, statuses[i], body, length);
        require_line(refusal);
        require_line(token_remedy(refusal));
    }
    answer_mistaken(line, body, length);
    FUZZ_REQUIRE(line[0] != 0);
    require_line(line);
}

/* The two sides of a comparison, both the peer's; what was written is applied. */
static void compare(const char *body, size_t length)
{
    cJSON *twin = cJSON_ParseWithLengthOpts(body, length + 1, NULL, 1);

    if (cJSON_IsObject(twin)) {
        applied_replace(twin, twin);
        FUZZ_REQUIRE(applied_patch(twin, twin) || !applied_replace(twin, twin));
    }
    cJSON_Delete(twin);
}

static void read_headers(const char *bytes, size_t length)
{
    static const char *const names[] = { "Retry-After", "Date", "WWW-Authenticate", "" };
    const char *end = bytes + length;
    struct buf headers;
    char out[300];
    int64_t date_ms;

    buf_init(&headers, HEADER_BYTES_MAX);
    while (bytes < end) {
        const char *stop = memchr(bytes, '\n', (size_t)(end - bytes));
        const char *next = stop == NULL ? end : stop + 1;

        FUZZ_REQUIRE(header_line(&headers, bytes, (size_t)(next - bytes)) == 0 ||
                     headers.error == -ENOSPC);
        bytes = next;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        header_get(out, sizeof out, &headers, names[i]);
        FUZZ_REQUIRE(strpbrk(out, "\n") == NULL);
        header_date_ms(out, &date_ms);
    }
    buf_done(&headers);
}

static void read_values(const char *text)
{
    static const char folder[] = LOCAL_ENDPOINT_ARC_FOLDER;
    char path[LOCAL_ENDPOINT_PATH_MAX];
    int64_t wait_ms = retry_after_ms(text, INT64_C(1000) * NOW_S);

    FUZZ_REQUIRE(wait_ms >= -1 && wait_ms <= RETRY_AFTER_MAX_MS);
    if (local_endpoint_challenge(path, text, folder) != 0)
        return;
    FUZZ_REQUIRE(strncmp(path, folder, strlen(folder)) == 0);
    FUZZ_REQUIRE(strchr(path + strlen(folder) + 1, '/') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, 1);
    char *bytes = fuzz_copy(data, size, 0);

    read_token(text, size);
    describe(text, size);
    compare(text, size);
    read_headers(bytes, size);
    read_values(text);
    free(bytes);
    free(text);
    return 0;
}
