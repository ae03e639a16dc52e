/* config/locate and config/scan: places, paths, duplicates, and what is said about a text that is no
 * JSON. */
#include "config/locate.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct tree {
    cJSON *root;
    struct locate *locate;
};

/* A copy of exactly the text's size, so that a byte read too far is seen. */
static struct tree tree_of(const char *text, size_t length)
{
    struct tree tree;
    char *copy = malloc(length + 1);

    assert_non_null(copy);
    memcpy(copy, text, length);
    copy[length] = 0;
    tree.root = cJSON_ParseWithLengthOpts(copy, length + 1, NULL, true);
    assert_int_equal(locate_new(&tree.locate, copy, length, tree.root), 0);
    free(copy); /* only locate_text looks at it again */
    return tree;
}

static void tree_free(struct tree *tree)
{
    locate_free(tree->locate);
    cJSON_Delete(tree->root);
}

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(object, name);

    assert_non_null(node);
    return node;
}

static void locate_find_gives_lines_and_columns_of_keys_and_values(void **state)
{
    static const char text[] = "{\n  \"a\": 1,\n\t\"b\" : [ true,\r\n  {\"c\": \"x\"} ]\n}\n";
    struct tree tree = tree_of(text, sizeof text - 1);
    const cJSON *b = member(tree.root, "b");
    const cJSON *c = member(cJSON_GetArrayItem(b, 1), "c");
    const struct {
        const cJSON *node;
        unsigned key_line, key_column, line, column;
    } cases[] = {
        { tree.root, 0, 0, 1, 1 },
        { member(tree.root, "a"), 2, 3, 2, 8 },
        { b, 3, 2, 3, 8 },
        { cJSON_GetArrayItem(b, 0), 0, 0, 3, 10 },
        { cJSON_GetArrayItem(b, 1), 0, 0, 4, 3 },
        { c, 4, 4, 4, 9 },
    };

    (void)state;
    assert_true(locate_is_json(tree.locate));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct locate_node where;

        assert_true(locate_find(tree.locate, cases[i].node, &where));
        assert_int_equal(where.key.line, cases[i].key_line);
        assert_int_equal(where.key.column, cases[i].key_column);
        assert_int_equal(where.value.line, cases[i].line);
        assert_int_equal(where.value.column, cases[i].column);
    }
    tree_free(&tree);
}

static void locate_find_counts_columns_in_characters(void **state)
{
    static const char text[] =
        "\xEF\xBB\xBF{\"\xC2\xB0\xE2\x82\xAC\": \"\xF0\x9F\x94\xA5\", \"b\": 2}";
    struct tree tree = tree_of(text, sizeof text - 1);
    struct locate_node where;

    (void)state;
    assert_true(locate_find(tree.locate, member(tree.root, "b"), &where));
    assert_int_equal(where.key.column, 13); /* {"°€": "🔥", "b" */
    assert_int_equal(where.value.column, 18);
    assert_true(locate_find(tree.locate, tree.root, &where));
    assert_int_equal(where.value.column, 1);
    tree_free(&tree);
}

static void locate_find_of_a_strange_node_is_false(void **state)
{
    struct tree tree = tree_of("{}", 2);
    struct locate_node where;
    cJSON other;

    (void)state;
    assert_false(locate_find(tree.locate, &other, &where));
    assert_false(locate_find(tree.locate, NULL, &where));
    tree_free(&tree);
}

static void locate_path_names_keys_and_indices(void **state)
{
    static const char text[] = "{\"devices\":{\"boiler-7\":{\"tags\":{\"a b\":[0,{\"\":1}]}}}}";
    struct tree tree = tree_of(text, sizeof text - 1);
    const cJSON *device = member(member(tree.root, "devices"), "boiler-7");
    const cJSON *list = member(member(device, "tags"), "a b");
    char path[LOCATE_PATH_MAX];

    (void)state;
    locate_path(tree.locate, tree.root, path);
    assert_string_equal(path, "");
    locate_path(tree.locate, device, path);
    assert_string_equal(path, "devices.boiler-7");
    locate_path(tree.locate, list, path);
    assert_string_equal(path, "devices.boiler-7.tags[\"a b\"]");
    locate_path(tree.locate, member(cJSON_GetArrayItem(list, 1), ""), path);
    assert_string_equal(path, "devices.boiler-7.tags[\"a b\"][1][\"\"]");
    tree_free(&tree);
}

static void locate_path_of_very_long_keys_is_cut(void **state)
{
    char text[2000] = "{\"", path[LOCATE_PATH_MAX];
    struct tree tree;

    (void)state;
    memset(text + 2, 'k', 900);
    snprintf(text + 902, sizeof text - 902, "\":{\"b\":1}}");
    tree = tree_of(text, strlen(text));

    locate_path(tree.locate, tree.root->child->child, path);

    assert_int_equal(strlen(path), LOCATE_PATH_MAX - 1);
    tree_free(&tree);
}

static void locate_text_is_the_value_as_written(void **state)
{
    static const char text[] = "{\"a\": 0.10, \"b\": [1 ,2], \"c\": \"x\\n\", \"d\":-1E+2}";
    cJSON *root = cJSON_Parse(text);
    struct locate *locate;
    static const struct {
        const char *key, *text;
    } cases[] = { { "a", "0.10" }, { "b", "[1 ,2]" }, { "c", "\"x\\n\"" }, { "d", "-1E+2" } };

    (void)state;
    assert_int_equal(locate_new(&locate, text, sizeof text - 1, root), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length;
        const char *value = locate_text(locate, member(root, cases[i].key), &length);

        assert_int_equal(length, strlen(cases[i].text));
        assert_memory_equal(value, cases[i].text, length);
    }
    locate_free(locate);
    cJSON_Delete(root);
}

static void locate_new_with_duplicate_keys_tells_each(void **state)
{
    static const char text[] = "{ \"a\": 1,\n  \"b\": { \"x\": 1, \"y\": 2, \"x\": 3 },\n"
                               "  \"a\": 2, \"A\": 3,\n  \"a\": 4 }";
    struct tree tree = tree_of(text, sizeof text - 1);
    unsigned lines[8] = { 0 };

    (void)state;
    assert_true(locate_is_json(tree.locate));
    assert_int_equal(locate_mistake_count(tree.locate), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct locate_mistake *mistake = locate_mistake(tree.locate, i);

        lines[mistake->place.line]++;
        assert_non_null(mistake->node);
        if (mistake->place.line == 2) {
            assert_int_equal(mistake->place.column, 26);
            assert_string_equal(mistake->message,
                                "\"x\" stands here again, the first is at 2:10: remove one");
        } else {
            assert_string_equal(mistake->message,
                                "\"a\" stands here again, the first is at 1:3: remove one");
        }
    }
    assert_int_equal(lines[2], 1);
    assert_int_equal(lines[3], 1);
    assert_int_equal(lines[4], 1);
    tree_free(&tree);
}

static void locate_new_with_bad_characters_tells_them_and_goes_on(void **state)
{
    static const struct {
        const char *text;
        unsigned column;
        const char *message;
    } cases[] = {
        { "{\"a\": \"caf\xE9\"}", 11, "the byte 0xE9 is not UTF-8, save the file as UTF-8" },
        { "{\"caf\xE9\": 1}", 6, "the byte 0xE9 is not UTF-8, save the file as UTF-8" },
        { "[\"\xED\xA0\x80\"]", 3, "the byte 0xED is not UTF-8, save the file as UTF-8" },
        { "[\"\xC0\x80\"]", 3, "the byte 0xC0 is not UTF-8, save the file as UTF-8" },
        { "[\"x\\u0000y\"]", 4, "\\u0000 cannot stand in a text, remove it" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tree tree = tree_of(cases[i].text, strlen(cases[i].text));

        assert_true(locate_is_json(tree.locate));
        assert_int_equal(locate_mistake_count(tree.locate), 1);
        assert_int_equal(locate_mistake(tree.locate, 0)->place.column, cases[i].column);
        assert_string_equal(locate_mistake(tree.locate, 0)->message, cases[i].message);
        tree_free(&tree);
    }
}

static void locate_new_of_what_is_no_json_says_where_and_what_to_write(void **state)
{
    static const struct {
        const char *text;
        unsigned line, column;
        const char *message;
    } cases[] = {
        { "", 1, 1,
          "the file is empty, write an object with \"hub\", \"connections\" and "
          "\"devices\"" },
        { " \n\n", 3, 1,
          "the file is empty, write an object with \"hub\", \"connections\" and "
          "\"devices\"" },
        { "{", 1, 2, "the file ends inside the object that opens at line 1: \"}\" is missing" },
        { "{\n \"a\": [1,\n 2", 3, 3,
          "the file ends inside the list that opens at line 2: \"]\" is missing" },
        { "{\"a\": 1,}", 1, 8, "a comma before \"}\" is no JSON, remove it" },
        { "[1,2,\n]", 1, 5, "a comma before \"]\" is no JSON, remove it" },
        { "{\"a\": 1\n \"b\": 2}", 2, 2, "a comma is missing before this" },
        { "[1 2]", 1, 4, "a comma is missing before this" },
        { "{\"a\": [1}", 1, 9, "\"}\" does not close the list that opens at line 1, write \"]\"" },
        { "{\"a\": 1]", 1, 8, "\"]\" does not close the object that opens at line 1, write \"}\"" },
        { "{\"a\": 1; \"b\": 2}", 1, 8, "expected \",\" or \"}\", not \";\"" },
        { "{\"a\" 1}", 1, 6, "expected \":\" behind the key, not \"1\"" },
        { "{\"a\" = 1}", 1, 6, "expected \":\" behind the key, not \"=\"" },
        { "{\"a\": }", 1, 7, "expected a value, not \"}\"" },
        { "{\"a\":", 1, 6, "expected a value, but the file ends here" },
        { "{a: 1}", 1, 2, "a key needs double quotes, write \"a\"" },
        { "{poll_interval: 1}", 1, 2, "a key needs double quotes, write \"poll_interval\"" },
        { "{'a': 1}", 1, 2,
          "expected a key in double quotes: write double quotes, not single ones" },
        { "{\"a\": 'x'}", 1, 7, "expected a value: write double quotes, not single ones" },
        { "{\"a\": 1, // c\n}", 1, 10,
          "JSON has no comments: remove it, or write it as a \"description\"" },
        { "# c\n{}", 1, 1, "JSON has no comments: remove it, or write it as a \"description\"" },
        { "{} x", 1, 4, "expected the end of the file, not \"x\"" },
        { "{}\n{}", 2, 1, "expected the end of the file, not \"{\"" },
        { "{\"a\": \"x\n\"}", 1, 7, "the closing \" of this text is missing" },
        { "{\"a\": \"x", 1, 7, "the closing \" of this text is missing" },
        { "{\"a\": \"x\\\"}", 1, 7, "the closing \" of this text is missing" },
        { "[\"a\tb\"]", 1, 4, "a control character (0x09) inside a text, write \\u0009" },
        { "[\"C:\\dir\"]", 1, 5, "this is no escape of JSON: a backslash itself is \\\\" },
        { "[\"\\u12g4\"]", 1, 3, "\\u needs four hexadecimal digits, such as \\u00b0" },
        { "[\"\\u12", 1, 3, "\\u needs four hexadecimal digits, such as \\u00b0" },
        { "[\"\\ud83d\"]", 1, 3,
          "half of a surrogate pair, write the character itself or both halves" },
        { "[\"\\udd25\"]", 1, 3,
          "half of a surrogate pair, write the character itself or both halves" },
        { "[01]", 1, 2, "a number does not start with 0, write \"01\" without it" },
        { "[0x64]", 1, 2, "this is no number, write it in double quotes: \"0x64\"" },
        { "[10s]", 1, 2, "this is no number, write it in double quotes: \"10s\"" },
        { "[1.]", 1, 4, "expected a digit after the decimal point, not \"]\"" },
        { "[1e]", 1, 4, "expected a digit of the exponent, not \"]\"" },
        { "[-]", 1, 3, "expected a digit after \"-\", not \"]\"" },
        { "[+1]", 1, 2, "a number has no plus sign in JSON, remove it" },
        { "[.5]", 1, 2, "a number starts with a digit in JSON, write \"0.\"" },
        { "[True]", 1, 2, "True is no value of JSON, write true" },
        { "[None]", 1, 2, "None is no value of JSON, write null" },
        { "[off]", 1, 2, "off is no value of JSON, write false" },
        { "[NaN]", 1, 2, "NaN is no value of JSON, write null" },
        { "[tcp]", 1, 2, "a text needs double quotes, write \"tcp\"" },
        { "[truex]", 1, 2, "a text needs double quotes, write \"truex\"" },
        { "\xFF\xFE{", 1, 1, "the file is UTF-16, save it as UTF-8" },
        { "[\x01]", 1, 2, "expected a value, not \"\\x01\"" },
        { "[1\x0C]", 1, 3, "expected \",\" or \"]\", not \"\\x0c\"" },
        { "[\xC2\xB0]", 1, 2, "expected a value, not \"\xC2\xB0\"" },
        { "[1111111111222222222233333333334444444444555555555566666666667]", 1, 2,
          "a number of more than 60 characters" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tree tree = tree_of(cases[i].text, strlen(cases[i].text));
        const struct locate_mistake *mistake;

        assert_false(locate_is_json(tree.locate));
        assert_int_equal(locate_mistake_count(tree.locate), 1);
        mistake = locate_mistake(tree.locate, 0);
        assert_string_equal(mistake->message, cases[i].message);
        assert_int_equal(mistake->place.line, cases[i].line);
        assert_int_equal(mistake->place.column, cases[i].column);
        tree_free(&tree);
    }
}

static void locate_new_with_a_nul_byte_is_no_json(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        unsigned column;
    } cases[] = { { "{}\0", 3, 3 }, { "{\0}", 3, 2 }, { "[\"a\0b\"]", 7, 4 }, { "[1\0]", 4, 3 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tree tree = tree_of(cases[i].text, cases[i].length);

        assert_false(locate_is_json(tree.locate));
        assert_int_equal(locate_mistake(tree.locate, 0)->place.column, cases[i].column);
        tree_free(&tree);
    }
}

static void locate_new_up_to_the_deepest_level_passes_and_one_more_does_not(void **state)
{
    char text[5000];

    (void)state;
    for (size_t depth = LOCATE_DEPTH_MAX - 1; depth <= 2000; depth += 1 + depth / 2) {
        struct tree tree;

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        tree = tree_of(text, 2 * depth);
        assert_int_equal(locate_is_json(tree.locate), depth <= LOCATE_DEPTH_MAX);
        if (depth > LOCATE_DEPTH_MAX)
            assert_string_equal(locate_mistake(tree.locate, 0)->message,
                                "nested deeper than 32 levels");
        tree_free(&tree);
    }
}

/* Cut at every byte: never a crash, never JSON before the end, and cJSON never refuses what passed. */
static void locate_new_of_a_text_cut_at_every_byte_tells_one_mistake(void **state)
{
    static const char text[] =
        "{\"a\": [1, -2.5e+3, true, null], \"\xC2\xB0\": {\"b\\u00b0\\ud83d\\udd25\": \"x\\\"\"}}";

    (void)state;
    for (size_t length = 0; length < sizeof text - 1; length++) {
        struct tree tree = tree_of(text, length);

        assert_false(locate_is_json(tree.locate));
        assert_true(locate_mistake_count(tree.locate) >= 1);
        tree_free(&tree);
    }
}

/* Every byte replaced by every other: what passes here has a tree, or cJSON and we disagree. */
static void locate_new_of_a_text_with_any_byte_changed_passes_only_what_cjson_reads(void **state)
{
    static const char good[] = "{\"a\":[1,-2.5e+3,true],\"b\":{\"c\\u00b0\":\"x\\n\"}}";
    char text[sizeof good];

    (void)state;
    for (size_t at = 0; at < sizeof good - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct tree tree;

            memcpy(text, good, sizeof good);
            text[at] = (char)byte;
            tree = tree_of(text, sizeof good - 1);
            if (locate_is_json(tree.locate))
                assert_non_null(tree.root);
            tree_free(&tree);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locate_find_gives_lines_and_columns_of_keys_and_values),
        cmocka_unit_test(locate_find_counts_columns_in_characters),
        cmocka_unit_test(locate_find_of_a_strange_node_is_false),
        cmocka_unit_test(locate_path_names_keys_and_indices),
        cmocka_unit_test(locate_path_of_very_long_keys_is_cut),
        cmocka_unit_test(locate_text_is_the_value_as_written),
        cmocka_unit_test(locate_new_with_duplicate_keys_tells_each),
        cmocka_unit_test(locate_new_with_bad_characters_tells_them_and_goes_on),
        cmocka_unit_test(locate_new_of_what_is_no_json_says_where_and_what_to_write),
        cmocka_unit_test(locate_new_with_a_nul_byte_is_no_json),
        cmocka_unit_test(locate_new_up_to_the_deepest_level_passes_and_one_more_does_not),
        cmocka_unit_test(locate_new_of_a_text_cut_at_every_byte_tells_one_mistake),
        cmocka_unit_test(locate_new_of_a_text_with_any_byte_changed_passes_only_what_cjson_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
