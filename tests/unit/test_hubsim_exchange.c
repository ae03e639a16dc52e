/* One HTTP exchange: when it answers, and what it refuses before REST sees it. */
#include "test_hubsim_fixture.h"

#include "tests/sim/hubsim/exchange.h"

static int set_up(void **state)
{
    static struct hub_fixture f;

    fixture_open(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_close(*state);
    return 0;
}

static struct exchange *start_of(const char *method, const char *path, int64_t content_length)
{
    struct exchange *exchange = exchange_new();

    assert_non_null(exchange);
    exchange->method = method;
    exchange->path = strdup(path);
    exchange->texts[REST_API_VERSION] = strdup("2021-04-12");
    exchange->content_length = content_length;
    return exchange;
}

static void exchange_start_says_whether_a_body_follows(void **state)
{
    static const struct {
        const char *method;
        int64_t length;
        enum exchange_next want;
        bool close;
    } cases[] = {
        { "GET", -1, EXCHANGE_RESPOND, false },    { "GET", 0, EXCHANGE_RESPOND, false },
        { "DELETE", -1, EXCHANGE_RESPOND, false }, { "DELETE", 5, EXCHANGE_WAIT, false },
        { "PUT", 5, EXCHANGE_WAIT, false },        { "PUT", 0, EXCHANGE_RESPOND, false },
        { "PUT", -1, EXCHANGE_RESPOND, true },     { "PATCH", -1, EXCHANGE_RESPOND, true },
        { "POST", -1, EXCHANGE_RESPOND, true },    { "POST", 0, EXCHANGE_WAIT, false },
    };
    struct hub_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct exchange *exchange = start_of(cases[i].method, "/devices/d", cases[i].length);

        print_message("case %s %d\n", cases[i].method, (int)cases[i].length);
        assert_int_equal(exchange_start(exchange, f->hub), cases[i].want);
        assert_int_equal(exchange->close, cases[i].close);
        exchange_free(exchange);
    }
}

static void exchange_body_in_pieces_is_one_body(void **state)
{
    struct hub_fixture *f = *state;
    struct exchange *exchange = start_of("PUT", "/devices/d", 15);
    char token[SAS_TOKEN_MAX];

    assert_int_equal(sas_token(token, sizeof token, FIXTURE_HOST,
                               access_policy_key(hub_access(f->hub), "registryReadWrite"),
                               "registryReadWrite", FIXTURE_WALL_S + 60),
                     0);
    exchange->texts[REST_AUTHORIZATION] = strdup(token);
    assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_WAIT);
    assert_int_equal(exchange_body(exchange, f->hub, "{\"devic", 7), EXCHANGE_WAIT);
    assert_int_equal(exchange_body(exchange, f->hub, "eId\":\"d\"}", 9), EXCHANGE_WAIT);
    assert_int_equal(exchange_body_end(exchange, f->hub), EXCHANGE_RESPOND);
    assert_int_equal(exchange->response.status, 200);

    /* Bytes behind the body change nothing, and cannot go on for ever. */
    assert_int_equal(exchange_body(exchange, f->hub, "GET ", 4), EXCHANGE_WAIT);
    for (int i = 1; i < EXCHANGE_COMPLETIONS_MAX; i++)
        assert_int_equal(exchange_body_end(exchange, f->hub), EXCHANGE_RESPOND);
    assert_int_equal(exchange_body_end(exchange, f->hub), EXCHANGE_HANG_UP);
    assert_int_equal(exchange->response.status, 200);
    exchange_free(exchange);
}

static void exchange_start_chunked_is_refused_at_once(void **state)
{
    struct hub_fixture *f = *state;
    struct exchange *exchange = start_of("PUT", "/devices/d", -1);

    exchange->chunked = true;
    assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_RESPOND);
    assert_int_equal(exchange->response.status, 411);
    assert_true(exchange->close);
    exchange_free(exchange);
}

static void exchange_start_too_large_is_answered_behind_the_body(void **state)
{
    struct hub_fixture *f = *state;
    struct exchange *exchange = start_of("PATCH", "/twins/d", REST_BODY_MAX + 1);
    char piece[1024] = "";

    assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_WAIT);
    for (int i = 0; i < 300; i++)
        assert_int_equal(exchange_body(exchange, f->hub, piece, sizeof piece), EXCHANGE_WAIT);
    assert_int_equal(exchange->body.length, 0);
    assert_int_equal(exchange_body_end(exchange, f->hub), EXCHANGE_RESPOND);
    assert_int_equal(exchange->response.status, 413);
    exchange_free(exchange);
}

static void exchange_start_cut_path_touches_nothing(void **state)
{
    struct hub_fixture *f = *state;
    struct exchange *exchange = start_of("DELETE", "/devices/d", -1);
    struct identity identity;

    fixture_create(f, "d", "");
    exchange->path_is_cut = true;
    assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_RESPOND);
    assert_int_equal(exchange->response.status, 400);
    assert_int_equal(hub_get_identity(f->hub, "d", "", &identity), 0);
    exchange_free(exchange);
}

static void exchange_start_without_a_header_that_was_sent_touches_nothing(void **state)
{
    struct hub_fixture *f = *state;
    struct exchange *exchange = start_of("DELETE", "/devices/d", -1);
    struct identity identity;

    fixture_create(f, "d", "");
    exchange->header_is_lost = true;
    assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_RESPOND);
    assert_int_equal(exchange->response.status, 400);
    assert_int_equal(hub_get_identity(f->hub, "d", "", &identity), 0);
    exchange_free(exchange);
}

static void exchange_body_longer_than_announced_hangs_up(void **state)
{
    struct hub_fixture *f = *state;
    struct exchange *exchange = start_of("PATCH", "/twins/d", 10);
    char piece[1024] = "";
    enum exchange_next next = EXCHANGE_WAIT;

    assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_WAIT);
    for (int i = 0; i < 300 && next == EXCHANGE_WAIT; i++)
        next = exchange_body(exchange, f->hub, piece, sizeof piece);
    assert_int_equal(next, EXCHANGE_HANG_UP);
    exchange_free(exchange);
}

static void exchange_body_that_is_the_head_again_is_answered_and_not_done(void **state)
{
    static const struct {
        const char *method, *path, *body;
        bool again;
    } cases[] = {
        { "PATCH", "/twins/d", "PATCH /twins/d?api-version=2021-04-12 HTTP/1.1", true },
        { "PUT", "/devices/d", "P", true },
        { "DELETE", "/devices/d", "DELETE /devi", true },
        { "PATCH", "/twins/d", "{\"tags\":{}}", false },
        { "PATCH", "/twins/d", "PUT /twins/d", false },
        { "POST", "/devices/d/messages/deviceBound", "P", false },
        { "POST", "/devices/d/messages/deviceBound", "POSTCARD", false },
        { "POST", "/devices/d/messages/deviceBound", "POST /devices/d/mess", true },
        { "POST", "/devices/query", "POS", true },
    };
    struct hub_fixture *f = *state;
    struct identity identity;

    fixture_create(f, "d", "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].body);
        struct exchange *exchange = start_of(cases[i].method, cases[i].path, (int64_t)length);

        print_message("case %s %s\n", cases[i].method, cases[i].body);
        assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_WAIT);
        assert_int_equal(exchange_body(exchange, f->hub, cases[i].body, length),
                         cases[i].again ? EXCHANGE_RESPOND_NOW : EXCHANGE_WAIT);
        assert_int_equal(exchange->close, cases[i].again);
        assert_int_equal(exchange->responded, cases[i].again);
        if (cases[i].again)
            assert_int_equal(exchange->response.status, 503);
        exchange_free(exchange);
    }
    assert_int_equal(hub_get_identity(f->hub, "d", "", &identity), 0);
}

static void exchange_body_whose_later_piece_looks_like_a_head_is_a_body(void **state)
{
    struct hub_fixture *f = *state;
    struct exchange *exchange = start_of("PATCH", "/twins/d", 20);

    assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_WAIT);
    assert_int_equal(exchange_body(exchange, f->hub, "{\"a\":\"", 6), EXCHANGE_WAIT);
    assert_int_equal(exchange_body(exchange, f->hub, "PATCH /twins", 12), EXCHANGE_WAIT);
    exchange_free(exchange);
}

static void authorize(struct exchange *exchange, const struct hub_fixture *f)
{
    char token[SAS_TOKEN_MAX];

    assert_int_equal(sas_token(token, sizeof token, FIXTURE_HOST,
                               access_policy_key(hub_access(f->hub), "service"), "service",
                               FIXTURE_WALL_S + 60),
                     0);
    exchange->texts[REST_AUTHORIZATION] = strdup(token);
}

static void count_ready(struct exchange *exchange)
{
    int *ready = exchange->owner;

    ++*ready;
}

/* A method waits for a module that is not there. */
static struct exchange *call_method(struct hub_fixture *f, int *ready)
{
    static const char body[] = "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":5}";
    struct exchange *exchange = start_of("POST", "/twins/d/methods", sizeof body - 1);

    authorize(exchange, f);
    exchange->ready = count_ready;
    exchange->owner = ready;
    assert_int_equal(exchange_start(exchange, f->hub), EXCHANGE_WAIT);
    assert_int_equal(exchange_body(exchange, f->hub, body, sizeof body - 1), EXCHANGE_WAIT);
    assert_int_equal(exchange_body_end(exchange, f->hub), EXCHANGE_LATER);
    return exchange;
}

static void exchange_of_a_method_is_ready_later(void **state)
{
    struct hub_fixture *f = *state;
    struct exchange *exchange;
    int ready = 0;

    fixture_create(f, "d", "");
    exchange = call_method(f, &ready);
    assert_int_equal(exchange_body_end(exchange, f->hub), EXCHANGE_LATER); /* bytes behind it */
    assert_false(exchange->responded);
    hub_tick(f->hub, f->now_ms + 4999);
    assert_int_equal(ready, 0);

    f->now_ms += 5000;
    hub_tick(f->hub, f->now_ms);
    assert_int_equal(ready, 1);
    assert_true(exchange->responded);
    assert_int_equal(exchange->response.status, 404);
    exchange_free(exchange);
}

static void exchange_that_is_gone_is_not_made_ready(void **state)
{
    struct hub_fixture *f = *state;
    int ready = 0;

    fixture_create(f, "d", "");
    exchange_free(call_method(f, &ready));
    f->now_ms += 10000;
    assert_int_equal(hub_tick(f->hub, f->now_ms), 0);
    assert_int_equal(ready, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exchange_start_says_whether_a_body_follows),
        TEST(exchange_body_in_pieces_is_one_body),
        TEST(exchange_start_chunked_is_refused_at_once),
        TEST(exchange_start_too_large_is_answered_behind_the_body),
        TEST(exchange_start_cut_path_touches_nothing),
        TEST(exchange_start_without_a_header_that_was_sent_touches_nothing),
        TEST(exchange_body_that_is_the_head_again_is_answered_and_not_done),
        TEST(exchange_body_whose_later_piece_looks_like_a_head_is_a_body),
        TEST(exchange_of_a_method_is_ready_later),
        TEST(exchange_that_is_gone_is_not_made_ready),
        TEST(exchange_body_longer_than_announced_hangs_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
