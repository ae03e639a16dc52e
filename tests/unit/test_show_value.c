#include "bridge/service/show_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

static const int64_t NOON_S = 1795348800; /* 2026-11-22T12:00:00Z */

static void show_json_document_reads_back_the_same(void **state)
{
    static const char *const documents[] = {
        "{\"a\":[1,2.5,-3,{\"b\":null}],\"c\":true,\"d\":false,\"f\":{},\"g\":[]}",
        "{\"e\":\"x\\\"y\\u000a\"}",
        "4503599627370495",
        "0.1",
        "20.1",
        "1.7976931348623157e+308",
        "\"\"",
        "null",
    };

    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        cJSON *node = cJSON_Parse(documents[i]);
        struct buf out;

        buf_init(&out, 1000);
        assert_int_equal(show_json(&out, node), 0);

        assert_string_equal(buf_text(&out), documents[i]);
        buf_done(&out);
        cJSON_Delete(node);
    }
}

static void show_text_what_moves_a_terminal_is_written_out(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "plain", "plain" },
        { "a\nb\tc\rd", "a\\nb\\tc\\u000dd" },
        { "\033[2J", "\\u001b[2J" },
        { "x\x7f", "x\\u007f" },
        { "\xc2\x9b"
          "2J",
          "\\u009b2J" },
        { "Grüße 日本 😀", "Grüße 日本 😀" },
        { "e\xcc\x81", "e\xcc\x81" }, /* a combining accent */
        { "\xe2\x80\xae"
          "abc",
          "\\u202eabc" }, /* writes from right to left from here on */
        { "a\xe2\x80\x8b"
          "b",
          "a\\u200bb" }, /* a blank without width */
        { "\xef\xbb\xbfx", "\\ufeffx" },
        { "\xff\xfe", "\\xff\\xfe" },
        { "\xc3", "\\xc3" }, /* cut off */
        { "\xe2\x82", "\\xe2\\x82" },
        { "\xc0\xaf", "\\xc0\\xaf" },          /* longer than it need be */
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* half of a pair of UTF-16 */
        { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
        { "\xf3\xa0\x81\x81", "\\ue0041" }, /* a tag character */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out;

        buf_init(&out, 1000);
        assert_int_equal(show_text(&out, cases[i].text), 0);

        assert_string_equal(buf_text(&out), cases[i].want);
        buf_done(&out);
    }
}

static void show_value_nothing_is_a_dash_and_null_is_null(void **state)
{
    cJSON *null = cJSON_CreateNull();
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    assert_int_equal(show_value(&out, NULL), 0);
    assert_string_equal(buf_text(&out), "-");
    buf_clear(&out);
    assert_int_equal(show_value(&out, null), 0);
    assert_string_equal(buf_text(&out), "null");
    buf_done(&out);
    cJSON_Delete(null);
}

static void show_value_without_room_fails(void **state)
{
    cJSON *text = cJSON_CreateString("0123456789");
    struct buf out;

    (void)state;
    buf_init(&out, 5);
    assert_int_equal(show_value(&out, text), -ENOSPC);
    buf_done(&out);
    cJSON_Delete(text);
}

static void show_width_counts_columns_of_a_terminal(void **state)
{
    static const struct {
        const char *text;
        size_t width;
    } cases[] = {
        { "", 0 },  { "abc", 3 },  { "Grüße", 5 }, { "日本", 4 }, { "e\xcc\x81", 1 },
        { "😀", 2 }, { "\xff", 1 }, { "한글", 4 },  { "a…b", 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(show_width(cases[i].text), cases[i].width);
}

static void show_cut_ends_at_a_whole_character_with_room_for_the_mark(void **state)
{
    static const struct {
        const char *text;
        size_t columns, bytes;
    } cases[] = {
        { "abcdef", 6, 6 }, { "abcdef", 5, 4 }, { "日本語", 6, 9 }, { "日本語", 5, 6 },
        { "日本語", 4, 3 }, { "日本語", 1, 0 }, { "", 0, 0 },       { "Grüße", 4, 4 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(show_cut(cases[i].text, cases[i].columns), cases[i].bytes);
}

static void show_age_time_gives_the_largest_unit(void **state)
{
    static const struct {
        const char *time;
        const char *want;
    } cases[] = {
        { "2026-11-22T11:59:57.1234567Z", "3 s" },
        { "2026-11-22T11:58:01Z", "119 s" },
        { "2026-11-22T11:58:00Z", "2 min" },
        { "2026-11-22T10:00:01Z", "119 min" },
        { "2026-11-22T10:00:00Z", "2 h" },
        { "2026-11-20T12:00:01Z", "47 h" },
        { "2026-11-14T12:00:00Z", "8 d" },
        { "2026-11-22T12:00:05Z", "0 s" },
        { "0001-01-01T00:00:00Z", "never" },
        { "yesterday", "" },
        { "", "" },
        { NULL, "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char age[SHOW_AGE_MAX];

        show_age(age, cases[i].time, NOON_S);
        assert_string_equal(age, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_json_document_reads_back_the_same),
        cmocka_unit_test(show_text_what_moves_a_terminal_is_written_out),
        cmocka_unit_test(show_value_nothing_is_a_dash_and_null_is_null),
        cmocka_unit_test(show_value_without_room_fails),
        cmocka_unit_test(show_width_counts_columns_of_a_terminal),
        cmocka_unit_test(show_cut_ends_at_a_whole_character_with_room_for_the_mark),
        cmocka_unit_test(show_age_time_gives_the_largest_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
