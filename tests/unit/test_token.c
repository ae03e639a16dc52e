#include "bridge/service/token.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_S = 1700000000 };

static void token_read_dialects_give_token_and_end(void **state)
{
    static const struct {
        const char *name;
        const char *body;
        int64_t life_s, renew_after_s;
    } cases[] = {
        { "Entra",
          "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,"
          "\"access_token\":\"aa.bb.cc\"}",
          3599, 3299 },
        { "metadata service",
          "{\"access_token\":\"aa.bb.cc\",\"client_id\":\"x\",\"expires_in\":\"86399\","
          "\"expires_on\":\"1700086399\",\"token_type\":\"bearer\"}",
          86399, 86099 },
        { "App Service",
          "{\"access_token\":\"aa.bb.cc\",\"expires_on\":\"1700000600\",\"resource\":\"r\"}", 600,
          480 },
        { "a short life", "{\"access_token\":\"aa.bb.cc\",\"expires_in\":10}", 10, 8 },
        { "an end as a number", "{\"access_token\":\"aa.bb.cc\",\"expires_on\":1700001000}", 1000,
          800 },
        { "no end", "{\"access_token\":\"aa.bb.cc\"}", 300, 240 },
        { "an end that is none", "{\"access_token\":\"aa.bb.cc\",\"expires_in\":\"soon\"}", 300,
          240 },
        { "a life of ages", "{\"access_token\":\"aa.bb.cc\",\"expires_in\":99999999999}",
          366 * 24 * 3600, 366 * 24 * 3600 - 300 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct token token = { 0 };
        struct err err = { "" };

        print_message("case %s\n", cases[i].name);
        assert_int_equal(token_read(&token, cases[i].body, strlen(cases[i].body), NOW_S, &err), 0);
        assert_string_equal(token.text, "aa.bb.cc");
        assert_int_equal(token.expires_s, NOW_S + cases[i].life_s);
        assert_int_equal(token.renew_s, NOW_S + cases[i].renew_after_s);
        token_forget(&token);
        assert_null(token.text);
    }
}

static void token_read_what_is_no_token_is_refused_and_the_old_one_kept(void **state)
{
    static const struct {
        const char *body;
        const char *why;
    } cases[] = {
        { "", "no token document" },
        { "<html>Welcome</html>", "no token document" },
        { "[]", "no token document" },
        { "{\"access_token\":\"aa\"", "no token document" },
        { "{\"access_token\":\"aa\"} x", "no token document" },
        { "{}", "no access_token" },
        { "{\"Access_Token\":\"aa\"}", "no access_token" },
        { "{\"access_token\":5}", "no access_token" },
        { "{\"access_token\":\"\"}", "empty" },
        { "{\"access_token\":\"a b\"}", "no text of a token" },
        { "{\"access_token\":\"a\\r\\nX: y\"}", "no text of a token" },
        { "{\"access_token\":\"a\xC3\xA4\"}", "no text of a token" },
        { "{\"access_token\":\"aa\",\"token_type\":\"pop\"}", "another type" },
        { "{\"access_token\":\"aa\",\"token_type\":7}", "another type" },
        { "{\"access_token\":\"aa\",\"expires_on\":\"1699999999\"}", "ended already" },
        { "{\"access_token\":\"aa\",\"expires_in\":\"0\"}", "ended already" },
    };
    static char old[] = "old";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct token token = { old, 1, 2 };
        struct err err = { "" };

        print_message("case %s\n", cases[i].body);
        assert_int_equal(token_read(&token, cases[i].body, strlen(cases[i].body), NOW_S, &err),
                         -EBADMSG);
        assert_non_null(strstr(err.msg, cases[i].why));
        assert_null(strstr(err.msg, "aa"));
        assert_ptr_equal(token.text, old);
        assert_int_equal(token.expires_s, 2);
    }
}

static void token_read_longest_token_is_taken_and_one_more_refused(void **state)
{
    static const char head[] = "{\"access_token\":\"";
    char *body = malloc(TOKEN_MAX + 64);

    (void)state;
    assert_non_null(body);
    for (size_t more = 0; more < 2; more++) {
        struct token token = { 0 };
        struct err err = { "" };
        size_t length = strlen(head) + TOKEN_MAX + more;

        strcpy(body, head);
        memset(body + strlen(head), 'x', TOKEN_MAX + more);
        strcpy(body + length, "\"}");
        assert_int_equal(token_read(&token, body, length + 2, NOW_S, &err),
                         more == 0 ? 0 : -EBADMSG);
        token_forget(&token);
    }
    free(body);
}

static void token_read_document_cut_at_every_byte_is_refused(void **state)
{
    static const char body[] = "{\"access_token\":\"aa.bb\",\"expires_in\":\"3599\"}";

    (void)state;
    for (size_t length = 0; length < strlen(body); length++) {
        char *exact = strndup(body, length);
        struct token token = { 0 };
        struct err err = { "" };

        assert_non_null(exact);
        assert_int_equal(token_read(&token, exact, length, NOW_S, &err), -EBADMSG);
        assert_null(token.text);
        free(exact);
    }
}

static void token_refusal_gives_code_and_first_sentence(void **state)
{
    static const struct {
        const char *name;
        long status;
        const char *body;
        const char *want;
        const char *remedy; /* part of it */
    } cases[] = {
        { "Entra", 401,
          "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client "
          "secret provided. Ensure the secret being sent is the value.\\r\\nTrace ID: 1-2\"}",
          "AADSTS7000215: Invalid client secret provided", "not the secret's ID" },
        { "a dot inside", 400,
          "{\"error_description\":\"AADSTS90002: Tenant 'contoso.com' not found. Check.\"}",
          "AADSTS90002: Tenant 'contoso.com' not found", "AZURE_TENANT_ID" },
        { "no full stop", 400, "{\"error_description\":\"AADSTS700024: not in time\\nTrace\"}",
          "AADSTS700024: not in time", "clock" },
        { "a code that another begins with", 400,
          "{\"error_description\":\"AADSTS700213: No matching federated identity record.\"}",
          "AADSTS700213: No matching federated identity record", "subject" },
        { "metadata service", 400,
          "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}",
          "Identity not found", "assign a managed identity" },
        { "App Service", 400, "{\"statusCode\":400,\"message\":\"No managed identity found.\"}",
          "No managed identity found", "check" },
        { "Azure's other form", 403,
          "{\"error\":{\"code\":\"Forbidden\",\"message\":\"Not for you\"}}", "Not for you",
          "check" },
        { "the code alone", 400, "{\"error\":\"invalid_scope\"}", "invalid_scope", "check" },
        { "control characters", 400, "{\"error_description\":\"a\\u001b[1mb\"}", "a [1mb",
          "check" },
        { "a page", 502, "<html><h1>Bad\nGateway</h1></html>", "Bad Gateway", "check" },
        { "nothing", 503, "", "service unavailable", "check" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[TOKEN_REFUSAL_MAX];

        print_message("case %s\n", cases[i].name);
        token_refusal(out, cases[i].status, cases[i].body, strlen(cases[i].body));
        assert_string_equal(out, cases[i].want);
        assert_non_null(strstr(token_remedy(out), cases[i].remedy));
    }
}

static void token_refusal_long_sentence_is_cut(void **state)
{
    char body[1024] = "{\"error_description\":\"";
    char out[TOKEN_REFUSAL_MAX];
    size_t head = strlen(body);

    (void)state;
    memset(body + head, 'x', 900);
    strcpy(body + head + 900, "\"}");
    token_refusal(out, 400, body, strlen(body));

    assert_int_equal(strlen(out), TOKEN_REFUSAL_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_read_dialects_give_token_and_end),
        cmocka_unit_test(token_read_what_is_no_token_is_refused_and_the_old_one_kept),
        cmocka_unit_test(token_read_longest_token_is_taken_and_one_more_refused),
        cmocka_unit_test(token_read_document_cut_at_every_byte_is_refused),
        cmocka_unit_test(token_refusal_gives_code_and_first_sentence),
        cmocka_unit_test(token_refusal_long_sentence_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
