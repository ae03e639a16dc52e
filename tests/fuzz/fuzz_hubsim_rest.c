/* Back ends of hubsim that are out of order.
 *
 * Input: requests, a line each: a method (one character), a space, If-Match or "-", a space, the
 * path; the next line is the body. Demanded: every request has a response of a service; one with
 * a body is JSON, a failure says why; what is stored can be read again. */
#include "tests/sim/hubsim/rest.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/test_hubsim_fixture.h"

enum { REQUESTS_MAX = 20 };

static char token[SAS_TOKEN_MAX];

static void require_response(const struct rest_response *response)
{
    cJSON *body = NULL;

    FUZZ_REQUIRE(response->status >= 200 && response->status <= 599 && response->status != 500);
    FUZZ_REQUIRE(response->body.error == 0);
    FUZZ_REQUIRE((response->status == 204) == (response->body.length == 0));
    if (response->body.length > 0)
        FUZZ_REQUIRE(json_parse(&body, buf_text(&response->body), response->body.length) == 0);
    if (response->status >= 400)
        FUZZ_REQUIRE(response->error_code != NULL && cJSON_IsObject(body));
    cJSON_Delete(body);
}

static int call(struct hub *hub, const char *method, const char *if_match, const char *path,
                const char *body, size_t length)
{
    const struct rest_request request = {
        .method = method,
        .path = path,
        .api_version = "2021-04-12",
        .top = if_match != NULL && if_match[0] == '"' ? if_match : NULL,
        .authorization = token,
        .if_match = if_match,
        .body = body,
        .body_length = length,
    };
    struct rest_response response;
    int status;

    rest_response_init(&response);
    rest_handle(hub, &request, &response);
    require_response(&response);
    status = response.status;
    rest_response_done(&response);
    return status;
}

/* The next line of the text; "" behind its end. */
static char *next_line(char **rest)
{
    static char none[1];
    char *line = strsep(rest, "\n");

    return line == NULL ? none : line;
}

static void one(struct hub *hub, char *head, const char *text)
{
    static const char *const methods[] = { "GET", "PUT", "PATCH", "DELETE", "POST", "HEAD" };
    static const char letters[] = "gpmdoh";
    const char *letter = head[0] == 0 ? NULL : strchr(letters, head[0]);
    const char *method = letter == NULL ? "GET" : methods[letter - letters];
    char *path = head[0] == 0 || head[1] == 0 ? head : head + 2;
    char *if_match = strsep(&path, " ");
    char *body = fuzz_copy(text, strlen(text), 0);

    if (path != NULL)
        (void)call(hub, method, strcmp(if_match, "-") == 0 ? NULL : if_match, path, body,
                   strlen(text));
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, 1), *rest = text;
    static struct hub_fixture base;

    fixture_open(&base);
    FUZZ_REQUIRE(sas_token(token, sizeof token, FIXTURE_HOST,
                           access_policy_key(hub_access(base.hub), "iothubowner"), "iothubowner",
                           FIXTURE_WALL_S + 3600) == 0);
    FUZZ_REQUIRE(call(base.hub, "PUT", NULL, "/devices/d", "{\"deviceId\":\"d\"}", 16) == 200);
    FUZZ_REQUIRE(call(base.hub, "PUT", NULL, "/devices/d/modules/m", "{}", 2) == 200);
    for (int i = 0; i < REQUESTS_MAX && rest != NULL; i++) {
        char *head = next_line(&rest);

        one(base.hub, head, next_line(&rest));
    }
    FUZZ_REQUIRE(call(base.hub, "GET", NULL, "/devices", "", 0) == 200);
    fixture_close(&base);
    free(text);
    return 0;
}
