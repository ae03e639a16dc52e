/* Queries over REST: pages, their tokens, what is shown (iot-hub.md sections 7.5 and 12.4). */
#include "test_hubsim_rest_fixture.h"

/* Seven modules on two devices, each with its number in the tags. */
static void make_modules(struct rest_fixture *f)
{
    fixture_create(&f->base, "a", "");
    fixture_create(&f->base, "b", "");
    for (int i = 0; i < 7; i++) {
        char name[2] = { (char)('s' + i), 0 }, body[64];
        const char *device = i < 3 ? "a" : "b";

        fixture_create(&f->base, device, name);
        snprintf(body, sizeof body, "{\"tags\":{\"number\":%d,\"even\":%s}}", i,
                 i % 2 == 0 ? "true" : "false");
        assert_int_equal(fixture_write(&f->base, device, name, HUB_PATCH, body, NULL), 0);
    }
}

/* One page; the status. */
static int query(struct rest_fixture *f, const char *text, const char *most, const char *token)
{
    char body[512];

    snprintf(body, sizeof body, "{\"query\":\"%s\"}", text);
    f->request.texts[REST_MAX_ITEM_COUNT] = most;
    f->request.texts[REST_CONTINUATION] = token;
    return rest_call_as(f, "service", "POST", "/devices/query", body);
}

/* All pages: module ids (or the member "n") with a '|' behind each page. */
static void read_pages(struct rest_fixture *f, const char *text, const char *most, char *out,
                       size_t size)
{
    char token[REST_CONTINUATION_MAX] = "";
    size_t length = 0;

    do {
        assert_int_equal(query(f, text, most, token[0] != 0 ? token : NULL), 200);
        for (const cJSON *row = f->json->child; row != NULL; row = row->next) {
            const char *id = json_text(row, "moduleId");
            const cJSON *n = rest_at(row, "n");

            length += (size_t)snprintf(out + length, size - length, "%s%.0f", id != NULL ? id : "",
                                       n != NULL ? n->valuedouble : 0.0);
        }
        length += (size_t)snprintf(out + length, size - length, "|");
        snprintf(token, sizeof token, "%s", f->response.continuation);
        assert_true(length < size);
    } while (token[0] != 0);
}

static void rest_query_pages_hold_every_match_once(void **state)
{
    static const struct {
        const char *text, *most, *want;
    } cases[] = {
        { "SELECT * FROM devices.modules", NULL, "s0t0u0v0w0x0y0|" },
        { "SELECT * FROM devices.modules", "7", "s0t0u0v0w0x0y0|" },
        { "SELECT * FROM devices.modules", "3", "s0t0u0|v0w0x0|y0|" },
        { "SELECT * FROM devices.modules", "1", "s0|t0|u0|v0|w0|x0|y0|" },
        { "SELECT * FROM devices.modules", "9999", "s0t0u0v0w0x0y0|" },
        { "SELECT * FROM devices.modules WHERE tags.even", "2", "s0u0|w0y0|" },
        { "SELECT * FROM devices.modules WHERE tags.even = false", "2", "t0v0|x0|" },
        { "SELECT * FROM devices.modules WHERE deviceId = 'b'", "4", "v0w0x0y0|" },
        { "SELECT * FROM devices.modules WHERE deviceId = 'z'", "4", "|" },
        { "SELECT TOP 4 * FROM devices.modules", "3", "s0t0u0|v0|" },
        { "SELECT TOP 3 * FROM devices.modules", "3", "s0t0u0|" },
        { "SELECT TOP 2 * FROM devices.modules", "3", "s0t0|" },
        { "SELECT TOP 99 * FROM devices.modules", "4", "s0t0u0v0|w0x0y0|" },
        { "SELECT moduleId, tags.number AS n FROM devices.modules WHERE tags.number > 4", "1",
          "x5|y6|" },
        { "SELECT COUNT() AS n FROM devices.modules", NULL, "7|" },
        { "SELECT deviceId, COUNT() AS n FROM devices.modules GROUP BY deviceId", "1", "3|4|" },
        { "SELECT tags.number, COUNT() AS n FROM devices.modules GROUP BY tags.number", "3",
          "111|111|1|" },
        { "SELECT COUNT() AS n FROM devices", NULL, "2|" },
    };
    struct rest_fixture *f = *state;
    char pages[256];

    make_modules(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s by %s\n", cases[i].text, cases[i].most);
        read_pages(f, cases[i].text, cases[i].most, pages, sizeof pages);
        assert_string_equal(pages, cases[i].want);
    }
}

static void rest_query_goes_on_behind_a_module_that_was_deleted(void **state)
{
    struct rest_fixture *f = *state;
    char token[REST_CONTINUATION_MAX];

    make_modules(f);
    assert_int_equal(query(f, "SELECT * FROM devices.modules", "3", NULL), 200);
    memcpy(token, f->response.continuation, sizeof token);
    assert_int_equal(hub_delete_identity(f->base.hub, "a", "u", NULL), 0);
    assert_int_equal(hub_delete_identity(f->base.hub, "b", "v", NULL), 0);
    assert_int_equal(query(f, "SELECT * FROM devices.modules", "3", token), 200);
    assert_string_equal(json_text(cJSON_GetArrayItem(f->json, 0), "moduleId"), "w");
}

static void rest_query_gives_the_document_that_a_get_gives(void **state)
{
    struct rest_fixture *f = *state;
    cJSON *row;

    make_modules(f);
    assert_int_equal(query(f, "SELECT * FROM devices.modules WHERE moduleId = 'v'", NULL, NULL),
                     200);
    assert_string_equal(f->response.item_type, "twin");
    row = cJSON_DetachItemFromArray(f->json, 0);
    assert_int_equal(rest_call_owner(f, "GET", "/twins/b/modules/v", ""), 200);
    assert_null(f->response.item_type);
    assert_true(cJSON_Compare(row, f->json, true));
    cJSON_Delete(row);
    assert_int_equal(query(f, "SELECT deviceId FROM devices", NULL, NULL), 200);
    assert_string_equal(f->response.item_type, "raw");
}

static void rest_query_of_what_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *body, *most, *token, *why;
    } cases[] = {
        { "{}", NULL, NULL, "query" },
        { "{\"query\":5}", NULL, NULL, "query" },
        { "[]", NULL, NULL, "query" },
        { "{\"query\":\"SELECT * FORM devices\"}", NULL, NULL, "character 10" },
        { "{\"query\":\"SELECT * FROM devices\"}", "0", NULL, "x-ms-max-item-count" },
        { "{\"query\":\"SELECT * FROM devices\"}", "x", NULL, "x-ms-max-item-count" },
        { "{\"query\":\"SELECT * FROM devices\"}", NULL, "x", "x-ms-continuation" },
        { "{\"query\":\"SELECT * FROM devices\"}", NULL, "AAAA", "x-ms-continuation" },
        { "{\"query\":\"SELECT * FROM devices\"}", NULL,
          "MDAwMDAwMDAvMC9hLw==", "x-ms-continuation" }, /* "00000000/0/a/": of another query */
    };
    struct rest_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].body);
        f->request.texts[REST_MAX_ITEM_COUNT] = cases[i].most;
        f->request.texts[REST_CONTINUATION] = cases[i].token;
        rest_call_as(f, "service", "POST", "/devices/query", cases[i].body);
        assert_rest_error(f, 400, "ArgumentInvalid");
        assert_non_null(strstr(json_text(f->json, "Message"), cases[i].why));
    }
    rest_call_as(f, "registryRead", "POST", "/devices/query", "{\"query\":\"\"}");
    assert_rest_error(f, 401, "IotHubUnauthorized");
}

static void rest_query_token_belongs_to_its_query(void **state)
{
    struct rest_fixture *f = *state;
    char token[REST_CONTINUATION_MAX];

    make_modules(f);
    assert_int_equal(query(f, "SELECT * FROM devices.modules", "1", NULL), 200);
    memcpy(token, f->response.continuation, sizeof token);
    assert_int_equal(query(f, "SELECT * FROM devices.modules WHERE tags.even", "1", token), 400);
    assert_int_equal(query(f, "SELECT * FROM devices.modules", "1", token), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REST_TEST(rest_query_pages_hold_every_match_once),
        REST_TEST(rest_query_goes_on_behind_a_module_that_was_deleted),
        REST_TEST(rest_query_gives_the_document_that_a_get_gives),
        REST_TEST(rest_query_of_what_is_wrong_is_refused),
        REST_TEST(rest_query_token_belongs_to_its_query),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
