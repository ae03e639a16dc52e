/* Back ends of hubsim that are out of order.
 *
 * Input: requests, a line each: a method (one character; a capital comes in at the metadata address), a
 * space, a text for all headers and parameters or "-", a space, the path ("@" is the token endpoint);
 * the next line is the body. A module takes calls and answers every other one. Demanded: every request
 * has a response of a service, at once or once later; one with a body is JSON, a failure says why; what
 * is stored can be read again. */
#include "tests/sim/hubsim/entra.h"
#include "tests/sim/hubsim/rest.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/test_hubsim_fixture.h"

#include <ctype.h>

enum { REQUESTS_MAX = 20, LATEST_MS = 601 * 1000 };

struct desk {
    struct hub_fixture base;
    struct entra *entra;
    struct hub_client module; /* d/m */
    char rid[32];             /* of the call it has, "" = none */
    unsigned calls;
    int done; /* responses that came later */
    char token[SAS_TOKEN_MAX];
    char token_path[96];
};

static struct desk desk;

/* ---- the module ---- */

static bool on_call(struct hub_client *client, const char *rid, const struct hub_method *method)
{
    (void)client;
    FUZZ_REQUIRE(method->payload_length <= HUB_METHOD_MAX);
    snprintf(desk.rid, sizeof desk.rid, "%s", rid);
    desk.calls++;
    return true;
}

static void on_desired(struct hub_client *client, int64_t version, const char *patch, size_t length)
{
    cJSON *tree = NULL;

    (void)client;
    FUZZ_REQUIRE(version > 1);
    FUZZ_REQUIRE(json_parse(&tree, patch, length) == 0);
    cJSON_Delete(tree);
}

static void on_drop(struct hub_client *client, const char *why)
{
    (void)client;
    (void)why;
}

/* ---- requests ---- */

static void require_response(const struct rest_response *response, bool token)
{
    cJSON *body = NULL;

    FUZZ_REQUIRE(response->status >= 200 && response->status <= 599 && response->status != 500);
    FUZZ_REQUIRE(response->body.error == 0);
    FUZZ_REQUIRE((response->status == 204) == (response->body.length == 0));
    FUZZ_REQUIRE(memchr(response->continuation, 0, sizeof response->continuation) != NULL);
    if (response->body.length > 0)
        FUZZ_REQUIRE(json_parse(&body, buf_text(&response->body), response->body.length) == 0);
    if (response->status >= 400)
        FUZZ_REQUIRE((token || response->error_code != NULL) && cJSON_IsObject(body));
    cJSON_Delete(body);
}

static void on_done(void *data)
{
    (void)data;
    desk.done++;
}

/* Waits for a response that comes later: the module answers every other call with `answer`. */
static void wait_for(struct rest_response *response, const char *answer, size_t length)
{
    struct mqtt_text rid = { desk.rid, strlen(desk.rid) };

    FUZZ_REQUIRE(response->waiting != NULL && desk.done == 0);
    if (desk.calls % 2 == 1 && rid.length > 0)
        hub_answer_call(desk.base.hub, &desk.module, rid, (int)length, answer, length);
    desk.base.now_ms += LATEST_MS;
    while (desk.done == 0 && hub_tick(desk.base.hub, desk.base.now_ms) != 0)
        desk.base.now_ms += LATEST_MS;
    FUZZ_REQUIRE(desk.done == 1 && response->waiting == NULL);
}

static int call(const struct rest_request *request)
{
    struct rest_request whole = *request;
    struct rest_response response;
    int status;

    whole.done = on_done;
    desk.done = 0;
    desk.rid[0] = 0;
    rest_response_init(&response);
    if (!rest_handle(desk.base.hub, &whole, &response))
        wait_for(&response, request->body, request->body_length);
    require_response(&response, strstr(request->path, "/token") != NULL);
    status = response.status;
    rest_response_done(&response);
    return status;
}

static int call_simple(const char *method, const char *path, const char *body)
{
    const struct rest_request request = {
        .method = method,
        .path = path,
        .texts = { [REST_API_VERSION] = "2021-04-12", [REST_AUTHORIZATION] = desk.token },
        .body = body,
        .body_length = strlen(body),
    };

    return call(&request);
}

/* The next line of the text; "" behind its end. */
static char *next_line(char **rest)
{
    static char none[1];
    char *line = strsep(rest, "\n");

    return line == NULL ? none : line;
}

static void one(char *head, const char *text)
{
    static const char *const methods[] = { "GET", "PUT", "PATCH", "DELETE", "POST", "HEAD" };
    static const char letters[] = "gpmdoh";
    const char *letter = head[0] == 0 ? NULL : strchr(letters, tolower((unsigned char)head[0]));
    char *path = head[0] == 0 || head[1] == 0 ? head : head + 2;
    char *field = strsep(&path, " ");
    char *body = fuzz_copy(text, strlen(text), 0);
    struct rest_request request = {
        .method = letter == NULL ? "GET" : methods[letter - letters],
        .path = path != NULL && strcmp(path, "@") == 0 ? desk.token_path : path,
        .plain = isupper((unsigned char)head[0]) != 0,
        .body = body,
        .body_length = strlen(text),
    };

    for (size_t i = 0; i < REST_TEXT_COUNT && strcmp(field, "-") != 0; i++)
        request.texts[i] = field;
    request.texts[REST_API_VERSION] = "2021-04-12";
    request.texts[REST_AUTHORIZATION] = desk.token;
    request.texts[REST_METADATA] = "true";
    if (path != NULL)
        (void)call(&request);
    free(body);
}

static void open_desk(void)
{
    static const char *const names[] = { FIXTURE_HOST };
    struct hub_options options;
    struct identity identity;

    memset(&desk, 0, sizeof desk);
    fixture_open(&desk.base);
    const struct entra_options entra = {
        .env = &desk.base.env, .registry = desk.base.registry, .names = names, .name_count = 1
    };
    FUZZ_REQUIRE(entra_open(&desk.entra, &entra) == 0);
    options = fixture_options(&desk.base);
    options.access.entra = desk.entra;
    hub_close(desk.base.hub);
    FUZZ_REQUIRE(hub_open(&desk.base.hub, &options) == 0);
    snprintf(desk.token_path, sizeof desk.token_path, "/%s/oauth2/v2.0/token",
             entra_tenant(desk.entra));
    FUZZ_REQUIRE(sas_token(desk.token, sizeof desk.token, FIXTURE_HOST,
                           access_policy_key(hub_access(desk.base.hub), "iothubowner"),
                           "iothubowner", FIXTURE_WALL_S + 3600) == 0);
    FUZZ_REQUIRE(call_simple("PUT", "/devices/d", "{\"deviceId\":\"d\"}") == 200);
    FUZZ_REQUIRE(call_simple("PUT", "/devices/d/modules/m", "{}") == 200);
    FUZZ_REQUIRE(hub_get_identity(desk.base.hub, "d", "m", &identity) == 0);
    desk.module = (struct hub_client){
        .device_id = "d",
        .module_id = "m",
        .generation_id = identity.generation_id,
        .desired = on_desired,
        .drop = on_drop,
        .call = on_call,
    };
    hub_attach(desk.base.hub, &desk.module);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, 1), *rest = text;

    open_desk();
    for (int i = 0; i < REQUESTS_MAX && rest != NULL; i++) {
        char *head = next_line(&rest);

        one(head, next_line(&rest));
    }
    FUZZ_REQUIRE(call_simple("GET", "/devices", "") == 200);
    FUZZ_REQUIRE(call_simple("POST", "/devices/query",
                             "{\"query\":\"SELECT * FROM devices.modules\"}") == 200);
    hub_detach(desk.base.hub, &desk.module);
    fixture_close(&desk.base);
    entra_close(desk.entra);
    free(text);
    return 0;
}
