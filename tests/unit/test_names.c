/* config/names: the grammars, and repairing. */
#include "config/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void names_is_valid_holds_each_kind_to_its_grammar(void **state)
{
    static const struct {
        const char *name;
        bool plain, tag, hub, host;
    } cases[] = {
        { "boiler-7", true, true, true, true },
        { "7boiler", true, false, true, true },
        { "a", true, true, true, true },
        { "", false, false, false, false },
        { "_x", false, false, true, false },
        { "-x", false, false, true, false },
        { "a_b-C9", true, true, true, true },
        { "a b", false, false, false, false },
        { "a.b", false, false, true, true },
        { "a/b", false, false, false, false },
        { "a+b", false, false, false, false },
        { "a#b", false, false, false, false },
        { "$edgeAgent", false, false, true, false },
        { "a:b%(c)*?!,=@;'", false, false, true, false },
        { "health", true, false, true, true },
        { "healthy", true, true, true, true },
        { ".", false, false, false, false },
        { "..", false, false, false, false },
        { "caf\xC3\xA9", false, false, false, false },
        { "contoso.azure-devices.net", false, false, true, true },
        { "https://contoso.azure-devices.net", false, false, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(names_is_valid(NAMES_PLAIN, cases[i].name), cases[i].plain);
        assert_int_equal(names_is_valid(NAMES_TAG, cases[i].name), cases[i].tag);
        assert_int_equal(names_is_valid(NAMES_HUB, cases[i].name), cases[i].hub);
        assert_int_equal(names_is_valid(NAMES_HOST, cases[i].name), cases[i].host);
    }
}

static void names_is_valid_up_to_128_characters(void **state)
{
    char name[130];

    (void)state;
    memset(name, 'a', sizeof name);
    name[129] = 0;
    assert_false(names_is_valid(NAMES_PLAIN, name));
    name[128] = 0;
    assert_true(names_is_valid(NAMES_PLAIN, name));
}

static void names_repair_gives_the_most_similar_valid_name(void **state)
{
    static const struct {
        enum names_kind kind;
        const char *name, *repaired;
    } cases[] = {
        { NAMES_PLAIN, "boiler 7", "boiler-7" },
        { NAMES_PLAIN, "__boiler.7", "boiler-7" },
        { NAMES_PLAIN, "caf\xC3\xA9 1", "caf--1" },
        { NAMES_TAG, "7th", "th" },
        { NAMES_TAG, "123", "" },
        { NAMES_TAG, "health", "" },
        { NAMES_HUB, "site/boiler+1", "site-boiler-1" },
        { NAMES_HUB, "..", "" },
        { NAMES_HOST, "https://contoso.azure-devices.net:443/x", "contoso.azure-devices.net" },
        { NAMES_HOST, "://", "" },
    };
    char out[NAMES_LENGTH_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        names_repair(cases[i].kind, cases[i].name, out);
        assert_string_equal(out, cases[i].repaired);
        assert_true(out[0] == 0 || names_is_valid(cases[i].kind, out));
    }
}

static void names_repair_of_a_very_long_name_is_cut(void **state)
{
    char name[1000], out[NAMES_LENGTH_MAX + 1];

    (void)state;
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;

    names_repair(NAMES_PLAIN, name, out);

    assert_int_equal(strlen(out), NAMES_LENGTH_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_is_valid_holds_each_kind_to_its_grammar),
        cmocka_unit_test(names_is_valid_up_to_128_characters),
        cmocka_unit_test(names_repair_gives_the_most_similar_valid_name),
        cmocka_unit_test(names_repair_of_a_very_long_name_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
