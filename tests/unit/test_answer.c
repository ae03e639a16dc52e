#include "bridge/service/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void answer_exit_status_gives_the_code_of_the_design(void **state)
{
    static const struct {
        long status;
        int want;
    } cases[] = {
        { 200, EX_OK },       { 201, EX_OK },       { 204, EX_OK },          { 400, EX_DATAERR },
        { 409, EX_DATAERR },  { 413, EX_DATAERR },  { 401, EX_NOPERM },      { 403, EX_NOPERM },
        { 404, EX_NOINPUT },  { 408, EX_TEMPFAIL }, { 412, EX_TEMPFAIL },    { 429, EX_TEMPFAIL },
        { 500, EX_TEMPFAIL }, { 503, EX_TEMPFAIL }, { 302, EX_UNAVAILABLE }, { 0, EX_UNAVAILABLE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %ld\n", cases[i].status);
        assert_int_equal(answer_exit(cases[i].status), cases[i].want);
    }
}

static void answer_describe_body_gives_one_line(void **state)
{
    static const struct {
        const char *name;
        long status;
        const char *code;
        const char *body;
        const char *want;
    } cases[] = {
        { "the hub's JSON with its header", 404, "ModuleNotFound",
          "{\"Message\":\"ErrorCode:ModuleNotFound;Module mod1 is not registered.\","
          "\"ExceptionMessage\":\"Tracking ID:29e9-G:5\"}",
          "404 ModuleNotFound: Module mod1 is not registered. (Tracking ID:29e9-G:5)" },
        { "the hub's JSON without its header", 412, "",
          "{\"Message\":\"ErrorCode:PreconditionFailed;Precondition failed\","
          "\"ExceptionMessage\":\"x\"}",
          "412 PreconditionFailed: Precondition failed" },
        { "JSON in the message", 404, "DeviceNotOnline",
          "{\"Message\":\"{\\\"errorCode\\\":404103,\\\"message\\\":\\\"The device is not "
          "online\\\"}\",\"ExceptionMessage\":\"\"}",
          "404 DeviceNotOnline: The device is not online" },
        { "the form of the device side", 400, "",
          "{\"errorCode\":400004,\"message\":\"bad thing\"}", "400 bad thing" },
        { "no semicolon", 400, "", "{\"Message\":\"just text\"}", "400 just text" },
        { "a page", 502, "",
          "<html><head><style>p { color: red }</style><title>502 Bad Gateway</title></head>\r\n"
          "<body>\n  <h1>Bad   Gateway</h1></body></html>",
          "502 502 Bad Gateway Bad Gateway" },
        { "a page that was cut off", 401, "", "<html><body>No acc", "401 No acc" },
        { "a page that was cut off in a tag", 401, "", "<html><body>No <a hre", "401 No" },
        { "a page that was cut off in a style", 401, "", "<html><style>p {", "401 unauthorized" },
        { "JSON that was cut off", 400, "", "{\"Message\":\"ErrorCode:ArgumentInvalid;the f",
          "400 {\"Message\":\"ErrorCode:ArgumentInvalid;the f" },
        { "text", 503, "", "try\nlater\x1b[2J\n", "503 try later [2J" },
        { "nothing", 429, "", "", "429 too many requests" },
        { "nothing but the header", 429, "ThrottlingException", "",
          "429 ThrottlingException: too many requests" },
        { "JSON of another kind", 500, "", "[1]", "500 [1]" },
        { "a status nobody knows", 499, "", "", "499 no reason given" },
        { "a message that is no text", 400, "", "{\"Message\":5}", "400 {\"Message\":5}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[ANSWER_TEXT_MAX];

        print_message("case %s\n", cases[i].name);
        answer_describe(out, cases[i].status, cases[i].code, cases[i].body, strlen(cases[i].body));
        assert_string_equal(out, cases[i].want);
    }
}

static void answer_describe_body_cut_at_every_byte_stays_in_one_line(void **state)
{
    static const char body[] =
        "{\"Message\":\"ErrorCode:ModuleNotFound;Module \\u001b[1m is\\nnot registered.\","
        "\"ExceptionMessage\":\"Tracking ID:29e9-G:5\"}";

    (void)state;
    for (size_t length = 0; length <= strlen(body); length++) {
        char out[ANSWER_TEXT_MAX];
        char *exact = malloc(length + 1); /* so that a read behind its end is seen */

        assert_non_null(exact);
        memcpy(exact, body, length);
        answer_describe(out, 404, "", exact, length);
        free(exact);

        assert_int_equal(strncmp(out, "404 ", 4), 0);
        for (const char *at = out; *at != '\0'; at++)
            assert_true((unsigned char)*at >= ' ');
    }
}

static void answer_describe_long_body_is_cut(void **state)
{
    char body[4 * ANSWER_TEXT_MAX];
    char out[ANSWER_TEXT_MAX];

    (void)state;
    memset(body, 'x', sizeof body);
    answer_describe(out, 400, "", body, sizeof body);

    assert_int_equal(strlen(out), ANSWER_TEXT_MAX - 1);
}

static void answer_remedy_lost_etag_names_force(void **state)
{
    (void)state;
    assert_non_null(strstr(answer_remedy(412), "--force"));
    assert_non_null(strstr(answer_remedy(401), "policy"));
    assert_string_equal(answer_remedy(400), "");
}

static void answer_mistaken_says_what_came_instead(void **state)
{
    static const struct {
        const char *body;
        const char *want;
    } cases[] = {
        { "", "empty" },
        { " \r\n", "empty" },
        { "<html><title>Sign in</title><body>Guest\nnetwork</body></html>",
          "a web page (Sign in Guest network)" },
        { "<html><img src=x>", "a web page" },
        { "{\"etag\":", "JSON that is cut off" },
        { "[1, 2", "JSON that is cut off" },
        { "{}", "JSON of another kind" },
        { "\"x\"", "JSON of another kind" },
        { "busy\x1b[2J now", "text (busy [2J now)" },
        { "\x01", "empty" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[ANSWER_TEXT_MAX];

        print_message("case %s\n", cases[i].want);
        answer_mistaken(out, cases[i].body, strlen(cases[i].body));
        assert_string_equal(out, cases[i].want);
    }
}

static void answer_mistaken_long_page_is_cut(void **state)
{
    char body[1000] = "<html>";
    char out[ANSWER_TEXT_MAX];

    (void)state;
    memset(body + 6, 'x', sizeof body - 7);
    answer_mistaken(out, body, sizeof body - 1);

    assert_int_equal(strlen(out), strlen("a web page ()") + 99);
    assert_int_equal(out[strlen(out) - 1], ')');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_exit_status_gives_the_code_of_the_design),
        cmocka_unit_test(answer_describe_body_gives_one_line),
        cmocka_unit_test(answer_describe_body_cut_at_every_byte_stays_in_one_line),
        cmocka_unit_test(answer_describe_long_body_is_cut),
        cmocka_unit_test(answer_remedy_lost_etag_names_force),
        cmocka_unit_test(answer_mistaken_says_what_came_instead),
        cmocka_unit_test(answer_mistaken_long_page_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
