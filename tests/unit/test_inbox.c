/* Desired patches around a get. */
#include "bridge/inbox.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <cmocka.h>

static void hold(struct inbox *inbox, int64_t version, const char *text)
{
    cJSON *patch = cJSON_Parse(text);

    assert_non_null(patch);
    inbox_hold(inbox, version, patch, strlen(text));
}

/* Merges what is held into `text` of `version`; gives the result as a text in `out`. */
static int merge(struct inbox *inbox, int64_t version, const char *text, char out[256])
{
    cJSON *desired = cJSON_Parse(text);
    int rc = inbox_merge(inbox, desired, version);

    assert_true(cJSON_PrintPreallocated(desired, out, 256, false));
    cJSON_Delete(desired);
    return rc;
}

static void take_of_each_version_says_where_it_stands(void **state)
{
    struct inbox inbox;
    char text[256];

    (void)state;
    inbox_init(&inbox);
    inbox_asked(&inbox);
    assert_int_equal(merge(&inbox, 5, "{\"$version\":5}", text), 0);

    assert_int_equal(inbox_take(&inbox, 4), INBOX_OLD);
    assert_int_equal(inbox_take(&inbox, 5), INBOX_OLD);
    assert_int_equal(inbox_take(&inbox, 7), INBOX_AHEAD);
    assert_int_equal(inbox_take(&inbox, 6), INBOX_NEXT);
    assert_int_equal(inbox_take(&inbox, 6), INBOX_OLD);
    assert_int_equal(inbox_take(&inbox, 7), INBOX_NEXT);
    inbox_done(&inbox);
}

static void merge_applies_what_is_newer_in_order(void **state)
{
    struct inbox inbox;
    char text[256];

    (void)state;
    inbox_init(&inbox);
    inbox_asked(&inbox);
    hold(&inbox, 4, "{\"a\":\"old\",\"$version\":4}");
    hold(&inbox, 5, "{\"a\":\"same\",\"$version\":5}");
    hold(&inbox, 6, "{\"a\":6,\"b\":null,\"$version\":6}");
    hold(&inbox, 6, "{\"a\":\"twice\",\"$version\":6}");
    hold(&inbox, 7, "{\"c\":7,\"$version\":7}");

    assert_int_equal(merge(&inbox, 5, "{\"a\":5,\"b\":5,\"$version\":5}", text), 0);

    assert_string_equal(text, "{\"a\":6,\"c\":7,\"$version\":7}");
    assert_int_equal(inbox.version, 7);
    assert_int_equal(inbox.count, 0);
    inbox_done(&inbox);
}

static void merge_with_a_gap_after_the_get_asks_again(void **state)
{
    struct inbox inbox;
    char text[256];

    (void)state;
    inbox_init(&inbox);
    inbox_asked(&inbox);
    hold(&inbox, 6, "{\"a\":6}");
    hold(&inbox, 8, "{\"a\":8}");
    assert_int_equal(merge(&inbox, 5, "{\"$version\":5}", text), -EAGAIN);
    assert_int_equal(inbox.version, 6);

    inbox_asked(&inbox);
    assert_int_equal(merge(&inbox, 8, "{\"$version\":8}", text), 0);
    inbox_done(&inbox);
}

static void merge_takes_the_hubs_word_on_what_was_seen_before_the_get(void **state)
{
    struct inbox inbox;
    char text[256];

    (void)state;
    inbox_init(&inbox);
    hold(&inbox, 1000000, "{\"a\":\"nonsense\"}");
    inbox_asked(&inbox);

    assert_int_equal(merge(&inbox, 5, "{\"a\":5,\"$version\":5}", text), 0);

    assert_string_equal(text, "{\"a\":5,\"$version\":5}");
    assert_int_equal(inbox_take(&inbox, 6), INBOX_NEXT);
    inbox_done(&inbox);
}

static void merge_after_an_overflow_asks_again(void **state)
{
    struct inbox inbox;
    char text[256];

    (void)state;
    inbox_init(&inbox);
    inbox_asked(&inbox);
    for (int64_t v = 6; v < 6 + INBOX_PATCHES_MAX + 1; v++)
        hold(&inbox, v, "{\"a\":1}");
    assert_int_equal(inbox.count, INBOX_PATCHES_MAX);
    assert_int_equal(merge(&inbox, 5, "{\"$version\":5}", text), -EAGAIN);

    /* the same, but the get's answer knew them all: nothing is missing */
    inbox_asked(&inbox);
    for (int64_t v = 6; v < 6 + INBOX_PATCHES_MAX + 1; v++)
        hold(&inbox, v, "{\"a\":1}");
    assert_int_equal(merge(&inbox, 22, "{\"$version\":22}", text), 0);
    inbox_done(&inbox);
}

static void hold_of_too_many_bytes_is_dropped_and_noticed(void **state)
{
    struct inbox inbox;
    char text[256];

    (void)state;
    inbox_init(&inbox);
    inbox_asked(&inbox);
    inbox_hold(&inbox, 6, cJSON_CreateObject(), INBOX_BYTES_MAX);
    inbox_hold(&inbox, 7, cJSON_CreateObject(), 1);
    assert_int_equal(inbox.count, 1);

    assert_int_equal(merge(&inbox, 5, "{\"$version\":5}", text), -EAGAIN);
    assert_int_equal(inbox.version, 6);
    inbox_done(&inbox);
}

static void missed_patch_asks_again_once(void **state)
{
    struct inbox inbox;
    char text[256];

    (void)state;
    inbox_init(&inbox);
    inbox_asked(&inbox);
    inbox_missed(&inbox);
    assert_int_equal(merge(&inbox, 5, "{\"$version\":5}", text), -EAGAIN);
    inbox_asked(&inbox);
    assert_int_equal(merge(&inbox, 5, "{\"$version\":5}", text), 0);
    inbox_done(&inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_of_each_version_says_where_it_stands),
        cmocka_unit_test(merge_applies_what_is_newer_in_order),
        cmocka_unit_test(merge_with_a_gap_after_the_get_asks_again),
        cmocka_unit_test(merge_takes_the_hubs_word_on_what_was_seen_before_the_get),
        cmocka_unit_test(merge_after_an_overflow_asks_again),
        cmocka_unit_test(hold_of_too_many_bytes_is_dropped_and_noticed),
        cmocka_unit_test(missed_patch_asks_again_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
