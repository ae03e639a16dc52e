/* config/text: UTF-8, quoting for messages, secrets. */
#include "config/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void text_utf8_length_follows_rfc_3629(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
        { "a", 1 },
        { "\x7F", 1 },
        { "\xC2\x80", 2 },
        { "\xC3\xA9", 2 },
        { "\xDF\xBF", 2 },
        { "\xE0\xA0\x80", 3 },
        { "\xE2\x82\xAC", 3 },
        { "\xED\x9F\xBF", 3 },
        { "\xEF\xBF\xBF", 3 },
        { "\xF0\x90\x80\x80", 4 },
        { "\xF4\x8F\xBF\xBF", 4 },
        /* not UTF-8 */
        { "\x80", 0 },
        { "\xBF", 0 },
        { "\xC0\xAF", 0 }, /* overlong */
        { "\xC1\xBF", 0 },
        { "\xE0\x9F\xBF", 0 },
        { "\xF0\x8F\xBF\xBF", 0 },
        { "\xED\xA0\x80", 0 },     /* surrogate */
        { "\xF4\x90\x80\x80", 0 }, /* above U+10FFFF */
        { "\xF8\x88\x80\x80", 0 },
        { "\xFF", 0 },
        { "\xC3", 0 }, /* cut */
        { "\xE2\x82", 0 },
        { "\xC3"
          "a",
          0 },
        { "\xE2\x82"
          "a",
          0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(text_utf8_length(cases[i].bytes, strlen(cases[i].bytes)), cases[i].length);
}

static void text_utf8_length_never_looks_behind_what_is_left(void **state)
{
    (void)state;
    assert_int_equal(text_utf8_length("\xE2\x82\xAC", 2), 0);
    assert_int_equal(text_utf8_length("\xF0\x90\x80\x80", 3), 0);
    assert_int_equal(text_utf8_length("\xF0\x90\x80\x80", 4), 4);
}

static void text_quote_keeps_a_message_on_one_line(void **state)
{
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        { "", "\"\"" },
        { "boiler-7", "\"boiler-7\"" },
        { "\xC2\xB0"
          "C",
          "\"\xC2\xB0"
          "C\"" },
        { "a\nb\tc\r", "\"a\\nb\\tc\\r\"" },
        { "say \"hi\" \\", "\"say \\\"hi\\\" \\\\\"" },
        { "\x1B[31m", "\"\\x1b[31m\"" },
        { "\x7F", "\"\\x7f\"" },
        { "\xC2\x9B"
          "31m",
          "\"\\u009b31m\"" },               /* C1: an escape sequence to some terminals */
        { "\xE9t\xE9", "\"\\xe9t\\xe9\"" }, /* Latin-1 */
    };
    char out[TEXT_QUOTED_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(text_quote(out, cases[i].text), cases[i].quoted);
}

static void text_quote_cuts_long_texts_between_characters(void **state)
{
    char text[2000], out[TEXT_QUOTED_MAX];

    (void)state;
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 3);

    text_quote(out, text);

    assert_true(strlen(out) < TEXT_QUOTED_MAX);
    assert_string_equal(out + strlen(out) - 6, "\xC3\xA9...\"");
    memset(text, 1, sizeof text - 1); /* all of it escaped */
    text[sizeof text - 1] = 0;
    text_quote(out, text);
    assert_true(strlen(out) < TEXT_QUOTED_MAX);
    assert_string_equal(out + strlen(out) - 4, "...\"");
}

static void text_quote_of_a_secret_does_not_show_it(void **state)
{
    static const char *const secrets[] = {
        "HostName=h.azure-devices.net;DeviceId=d;SharedAccessKey=QUJD",
        "hostname=h",
        "DeviceId=d;sharedaccesskey=QUJD",
        "SharedAccessSignature sr=h&sig=QUJD&se=1",
    };
    char out[TEXT_QUOTED_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        assert_true(text_is_secret(secrets[i]));
        assert_string_equal(text_quote(out, secrets[i]), "(a secret)");
    }
    assert_false(text_is_secret("contoso.azure-devices.net"));
    assert_false(text_is_secret("the SharedAccessKey is elsewhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_utf8_length_follows_rfc_3629),
        cmocka_unit_test(text_utf8_length_never_looks_behind_what_is_left),
        cmocka_unit_test(text_quote_keeps_a_message_on_one_line),
        cmocka_unit_test(text_quote_cuts_long_texts_between_characters),
        cmocka_unit_test(text_quote_of_a_secret_does_not_show_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
