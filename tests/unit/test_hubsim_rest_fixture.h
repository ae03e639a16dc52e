/* A hub behind its REST door: calls as a policy makes them, responses taken apart. */
#pragma once

#include "test_hubsim_fixture.h"

#include "tests/sim/hubsim/rest.h"

struct rest_fixture {
    struct hub_fixture base;
    struct rest_request request; /* what the next call says besides its line and body */
    struct rest_response response;
    cJSON *json;   /* of the last response; NULL when it was empty or is still to come */
    int done;      /* how often a response came later */
    bool answered; /* at once */
};

static inline int rest_set_up(void **state)
{
    static struct rest_fixture f;

    memset(&f, 0, sizeof f);
    fixture_open(&f.base);
    rest_response_init(&f.response);
    *state = &f;
    return 0;
}

static inline int rest_tear_down(void **state)
{
    struct rest_fixture *f = *state;

    cJSON_Delete(f->json);
    rest_response_done(&f->response);
    fixture_close(&f->base);
    return 0;
}

static inline void rest_on_done(void *data)
{
    struct rest_fixture *f = data;

    f->done++;
}

/* The response as JSON. */
static inline void rest_take_json(struct rest_fixture *f)
{
    cJSON_Delete(f->json);
    f->json = NULL;
    if (f->response.body.length > 0)
        f->json = fixture_json(buf_text(&f->response.body));
}

/* One call without or with an Authorization header; its status, 0 when the response comes later. */
static inline int rest_call_with(struct rest_fixture *f, const char *authorization,
                                 const char *method, const char *path, const char *body)
{
    struct rest_request request = f->request;

    request.method = method;
    request.path = path;
    if (request.texts[REST_API_VERSION] == NULL)
        request.texts[REST_API_VERSION] = "2021-04-12";
    request.texts[REST_AUTHORIZATION] = authorization;
    request.body = body;
    request.body_length = strlen(body);
    request.done = rest_on_done;
    request.data = f;
    rest_response_done(&f->response);
    rest_response_init(&f->response);
    f->answered = rest_handle(f->base.hub, &request, &f->response);
    f->request = (struct rest_request){ .method = NULL };
    rest_take_json(f);
    return f->answered ? f->response.status : 0;
}

/* One call by a policy. */
static inline int rest_call_as(struct rest_fixture *f, const char *policy, const char *method,
                               const char *path, const char *body)
{
    char token[SAS_TOKEN_MAX];

    assert_int_equal(sas_token(token, sizeof token, FIXTURE_HOST,
                               access_policy_key(hub_access(f->base.hub), policy), policy,
                               f->base.wall_ms / 1000 + 60),
                     0);
    return rest_call_with(f, token, method, path, body);
}

static inline int rest_call_owner(struct rest_fixture *f, const char *method, const char *path,
                                  const char *body)
{
    return rest_call_as(f, "iothubowner", method, path, body);
}

static inline const cJSON *rest_at(const cJSON *json, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(json, key);
}

/* Status, error code and the form that the SDKs take apart: "ErrorCode:NAME;text". */
static inline void assert_rest_error(struct rest_fixture *f, int status, const char *code)
{
    char start[64];

    assert_int_equal(f->response.status, status);
    assert_string_equal(f->response.error_code, code);
    snprintf(start, sizeof start, "ErrorCode:%s;", code);
    assert_non_null(json_text(f->json, "Message"));
    assert_memory_equal(json_text(f->json, "Message"), start, strlen(start));
    assert_non_null(strstr(json_text(f->json, "ExceptionMessage"), "Tracking ID:"));
}

#define REST_TEST(name) cmocka_unit_test_setup_teardown(name, rest_set_up, rest_tear_down)
