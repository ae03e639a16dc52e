/* config/near: which known name a mistyped one means. */
#include "base/near.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *nearest(const char *wanted)
{
    static const char *const known[] = { "poll_interval", "min_interval", "max",     "min",
                                         "address",       "boiler",       "access",  "unit_id",
                                         "description",   "deadband",     "template" };
    struct near near;

    near_init(&near, wanted);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        near_offer(&near, known[i]);
    return near.best;
}

static void near_offer_keeps_the_nearest_that_is_near_enough(void **state)
{
    static const struct {
        const char *wanted, *best;
    } cases[] = {
        { "poll_interval", "poll_interval" },
        { "poll_intervall", "poll_interval" },
        { "pol_intervl", "poll_interval" },
        { "adress", "address" },
        { "adderss", "address" }, /* neighbours swapped */
        { "boilr", "boiler" },
        { "Boiler", "boiler" },
        { "biolre", "boiler" },
        { "unitid", "unit_id" },
        { "mni", "min" },
        { "mix", "max" },
        { "tempalte", "template" },
        { "xyz", NULL },
        { "volts", NULL },
        { "", NULL },
        { "something_else_entirely", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *best = nearest(cases[i].wanted);

        if (cases[i].best == NULL)
            assert_null(best);
        else
            assert_string_equal(best, cases[i].best);
    }
}

static void near_offer_of_very_long_names_finds_nothing(void **state)
{
    char name[300];
    struct near near;

    (void)state;
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;

    near_init(&near, name);
    near_offer(&near, name);
    near_offer(&near, "a");

    assert_null(near.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_offer_keeps_the_nearest_that_is_near_enough),
        cmocka_unit_test(near_offer_of_very_long_names_finds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
