#include "bridge/service/patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include <errno.h>
#include <string.h>

enum { ARGUMENTS_MAX = 4 };

/* Puts the arguments together ("{...}" is a document, the rest are assignments) and makes the body.
 */
static int make(char **body, const char *const *arguments, enum patch_form form, struct err *err)
{
    cJSON *fragment = cJSON_CreateObject();
    int rc = 0;

    assert_non_null(fragment);
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL && rc == 0; i++) {
        if (strchr("{[", arguments[i][0]) != NULL)
            rc = patch_add_document(fragment, arguments[i], strlen(arguments[i]), "FILE", err);
        else
            rc = patch_add_assignment(fragment, arguments[i], err);
    }
    if (rc == 0)
        rc = patch_body(body, fragment, form, err);
    cJSON_Delete(fragment);
    return rc;
}

static void patch_body_arguments_give_the_request(void **state)
{
    static const struct {
        const char *name;
        enum patch_form form;
        const char *arguments[ARGUMENTS_MAX];
        const char *want;
    } cases[] = {
        { "a number", PATCH_DESIRED, { "a=1" }, "{\"properties\":{\"desired\":{\"a\":1}}}" },
        { "a path",
          PATCH_DESIRED,
          { "a.b.c=true" },
          "{\"properties\":{\"desired\":{\"a\":{\"b\":{\"c\":true}}}}}" },
        { "paths that meet",
          PATCH_DESIRED,
          { "a.b=1", "a.c=2", "d=3" },
          "{\"properties\":{\"desired\":{\"a\":{\"b\":1,\"c\":2},\"d\":3}}}" },
        { "text",
          PATCH_DESIRED,
          { "a=winter" },
          "{\"properties\":{\"desired\":{\"a\":\"winter\"}}}" },
        { "text that looks like a number",
          PATCH_DESIRED,
          { "a=\"5\"" },
          "{\"properties\":{\"desired\":{\"a\":\"5\"}}}" },
        { "text with an equals sign",
          PATCH_DESIRED,
          { "a=b=c" },
          "{\"properties\":{\"desired\":{\"a\":\"b=c\"}}}" },
        { "empty text", PATCH_DESIRED, { "a=" }, "{\"properties\":{\"desired\":{\"a\":\"\"}}}" },
        { "JSON with something behind it is text",
          PATCH_DESIRED,
          { "a=1 bar" },
          "{\"properties\":{\"desired\":{\"a\":\"1 bar\"}}}" },
        { "text that only cJSON takes for a number",
          PATCH_DESIRED,
          { "zip=00742", "v=1." },
          "{\"properties\":{\"desired\":{\"zip\":\"00742\",\"v\":\"1.\"}}}" },
        { "null deletes",
          PATCH_DESIRED,
          { "a=null" },
          "{\"properties\":{\"desired\":{\"a\":null}}}" },
        { "an object",
          PATCH_DESIRED,
          { "a={\"b\":[1,2]}" },
          "{\"properties\":{\"desired\":{\"a\":{\"b\":[1,2]}}}}" },
        { "numbers keep their digits",
          PATCH_DESIRED,
          { "a=0.1", "b=4503599627370495", "c=1e15", "d=0.30000000000000004" },
          "{\"properties\":{\"desired\":{\"a\":0.1,\"b\":4503599627370495,\"c\":1000000000000000,"
          "\"d\":0.30000000000000004}}}" },
        { "a document and an assignment",
          PATCH_DESIRED,
          { "{\"a\":{\"b\":1}}", "a.c=2" },
          "{\"properties\":{\"desired\":{\"a\":{\"b\":1,\"c\":2}}}}" },
        { "tags", PATCH_TAGS, { "site=north" }, "{\"tags\":{\"site\":\"north\"}}" },
        { "a whole twin as the hub shows it",
          PATCH_WHOLE,
          { "{\"deviceId\":\"d\",\"etag\":\"AAE=\",\"version\":3,\"tags\":{\"a\":1},\"properties\":"
            "{\"desired\":{\"b\":2,\"$version\":4,\"$metadata\":{\"b\":{}}},"
            "\"reported\":{\"c\":3}}}" },
          "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":2}}}" },
        { "a whole twin by assignments",
          PATCH_WHOLE,
          { "tags.a=1", "properties.desired.b=2" },
          "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":2}}}" },
        { "half of a twin", PATCH_WHOLE, { "tags.a=1" }, "{\"tags\":{\"a\":1}}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = { "" };
        char *body = NULL;

        print_message("case %s\n", cases[i].name);
        assert_int_equal(make(&body, cases[i].arguments, cases[i].form, &err), 0);
        assert_string_equal(body, cases[i].want);
        cJSON_free(body);
    }
}

static void patch_body_mistake_is_named(void **state)
{
    static const struct {
        const char *name;
        enum patch_form form;
        const char *arguments[ARGUMENTS_MAX];
        const char *want; /* part of the message */
    } cases[] = {
        { "no value", PATCH_DESIRED, { "a" }, "'a' is not PROPERTY=VALUE" },
        { "no name", PATCH_DESIRED, { "=1" }, "'=1' is not PROPERTY=VALUE" },
        { "an empty part", PATCH_DESIRED, { "a..b=1" }, "no name" },
        { "an empty end", PATCH_DESIRED, { "a.=1" }, "no name" },
        { "twice", PATCH_DESIRED, { "a=1", "a=1" }, "'a' is named twice" },
        { "value and object", PATCH_DESIRED, { "a=1", "a.b=1" }, "'a' is named twice" },
        { "twice in a document",
          PATCH_DESIRED,
          { "{\"a\":1,\"a\":2}" },
          "FILE:1:8: \"a\" stands here again" },
        { "twice, deeper",
          PATCH_DESIRED,
          { "a={\"p\":{\"a\":1,\"a\":2}}" },
          "the value of 'a', character 13: \"a\" stands here again" },
        { "a text that would be cut", PATCH_TAGS, { "a.b=\"x\\u0000y\"" }, "value of 'a.b'" },
        { "more digits than a twin keeps",
          PATCH_DESIRED,
          { "serial=12345678901234567" },
          "the value of 'serial', character 1: a twin's integers go from" },
        { "an empty document", PATCH_DESIRED, { "{ \n" }, "FILE:2:1: " },
        { "a dollar", PATCH_DESIRED, { "$version=1" }, "'$version' cannot be the name" },
        { "a blank", PATCH_DESIRED, { "a b=1" }, "'a b' cannot be the name" },
        { "a dot in a document", PATCH_DESIRED, { "{\"a.b\":1}" }, "'a.b' cannot be the name" },
        { "not JSON", PATCH_DESIRED, { "{\"a\":1,\n}" }, "FILE:1:7: a comma before" },
        { "not an object", PATCH_DESIRED, { "[1]" }, "FILE: a patch is a JSON object" },
        { "nothing", PATCH_DESIRED, { "{}" }, "changes nothing" },
        { "a number that is none", PATCH_DESIRED, { "a=1e999" }, "the number of 'a' is too large" },
        { "a whole twin as a fragment",
          PATCH_DESIRED,
          { "{\"properties\":{\"desired\":{\"a\":1}}}" },
          "add --whole" },
        { "a whole twin as tags", PATCH_TAGS, { "properties.desired.a=1" }, "add --whole" },
        { "a fragment as a whole twin", PATCH_WHOLE, { "setpoint=1" }, "'setpoint' is no part" },
        { "other properties", PATCH_WHOLE, { "properties.setpoint=1" }, "'setpoint' is no part" },
        { "tags that are text", PATCH_WHOLE, { "tags=1" }, "tags is not a JSON object" },
        { "reported only", PATCH_WHOLE, { "properties.reported.a=1" }, "changes nothing" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = { "" };
        char *body = NULL;

        print_message("case %s\n", cases[i].name);
        assert_int_equal(make(&body, cases[i].arguments, cases[i].form, &err), -EINVAL);
        if (strstr(err.msg, cases[i].want) == NULL)
            print_message("said: %s\n", err.msg);
        assert_non_null(strstr(err.msg, cases[i].want));
        assert_null(body);
    }
}

/* The replacement that the arguments make of the twin. */
static int replace(char **body, const char *const *arguments, enum patch_form form,
                   const char *twin_json, struct err *err)
{
    cJSON *fragment = cJSON_CreateObject();
    cJSON *twin = cJSON_Parse(twin_json);
    int rc = 0;

    assert_non_null(fragment);
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL && rc == 0; i++) {
        if (strchr("{[", arguments[i][0]) != NULL)
            rc = patch_add_document(fragment, arguments[i], strlen(arguments[i]), "FILE", err);
        else
            rc = patch_add_assignment(fragment, arguments[i], err);
    }
    if (rc == 0)
        rc = patch_replacement(body, fragment, form, twin, err);
    cJSON_Delete(fragment);
    cJSON_Delete(twin);
    return rc;
}

static const char TWIN[] =
    "{\"etag\":\"x\",\"tags\":{\"site\":\"A\"},\"properties\":{\"desired\":{\"a\":0.1,\"b\":2,"
    "\"$version\":3,\"$metadata\":{}},\"reported\":{\"r\":1}}}";

static void patch_replacement_sends_both_sections(void **state)
{
    static const struct {
        const char *name;
        enum patch_form form;
        const char *arguments[ARGUMENTS_MAX];
        const char *twin, *want;
    } cases[] = {
        { "desired, the tags as read",
          PATCH_DESIRED,
          { "a=5" },
          TWIN,
          "{\"tags\":{\"site\":\"A\"},\"properties\":{\"desired\":{\"a\":5}}}" },
        { "tags, the desired as read, its numbers exact",
          PATCH_TAGS,
          { "x=1" },
          TWIN,
          "{\"tags\":{\"x\":1},\"properties\":{\"desired\":{\"a\":0.1,\"b\":2}}}" },
        { "nothing empties the section",
          PATCH_DESIRED,
          { "{}" },
          TWIN,
          "{\"tags\":{\"site\":\"A\"},\"properties\":{\"desired\":{}}}" },
        { "a whole twin",
          PATCH_WHOLE,
          { TWIN },
          "{}",
          "{\"tags\":{\"site\":\"A\"},\"properties\":{\"desired\":{\"a\":0.1,\"b\":2}}}" },
        { "half a twin",
          PATCH_WHOLE,
          { "{\"tags\":{}}" },
          TWIN,
          "{\"tags\":{},\"properties\":{\"desired\":{\"a\":0.1,\"b\":2}}}" },
        { "a section as the hub shows it",
          PATCH_DESIRED,
          { "{\"a\":1,\"$version\":3,\"$metadata\":{\"a\":{}}}" },
          TWIN,
          "{\"tags\":{\"site\":\"A\"},\"properties\":{\"desired\":{\"a\":1}}}" },
        { "a twin without tags",
          PATCH_DESIRED,
          { "a=1" },
          "{\"properties\":{}}",
          "{\"tags\":{},\"properties\":{\"desired\":{\"a\":1}}}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = { "" };
        char *body = NULL;

        print_message("case %s\n", cases[i].name);
        assert_int_equal(replace(&body, cases[i].arguments, cases[i].form, cases[i].twin, &err), 0);
        assert_string_equal(body, cases[i].want);
        cJSON_free(body);
    }
}

static void patch_replacement_mistake_is_named(void **state)
{
    static const struct {
        enum patch_form form;
        const char *arguments[ARGUMENTS_MAX];
        const char *want;
    } cases[] = {
        { PATCH_DESIRED, { "a.b=null" }, "'b' is null: a replacement leaves out what is to go" },
        { PATCH_DESIRED, { "$x=1" }, "'$x' cannot be the name of a property" },
        { PATCH_DESIRED, { TWIN }, "this is a whole twin" },
        { PATCH_WHOLE, { "{\"properties\":{\"reported\":{}}}" }, "nothing to replace" },
        { PATCH_WHOLE, { "{\"tags\":[1]}" }, "tags is not a JSON object" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = { "" };
        char *body = NULL;

        assert_int_equal(replace(&body, cases[i].arguments, cases[i].form, TWIN, &err), -EINVAL);
        assert_non_null(strstr(err.msg, cases[i].want));
        assert_null(body);
    }
}

/* iot-hub.md section 4.3. */
static void patch_merge_does_what_a_hub_does(void **state)
{
    static const struct {
        const char *section, *patch, *want;
    } cases[] = {
        { "{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}" },
        { "{\"a\":1}", "{\"a\":2}", "{\"a\":2}" },
        { "{\"a\":1,\"b\":2}", "{\"a\":null}", "{\"b\":2}" },
        { "{}", "{\"a\":null}", "{}" },
        { "{}", "{\"p\":{\"q\":null}}", "{\"p\":{}}" },
        { "{\"p\":{\"x\":1}}", "{\"p\":{\"y\":2}}", "{\"p\":{\"x\":1,\"y\":2}}" },
        { "{\"p\":5}", "{\"p\":{\"y\":2,\"z\":null}}", "{\"p\":{\"y\":2}}" },
        { "{\"p\":{\"x\":1}}", "{\"p\":5}", "{\"p\":5}" },
        { "{\"p\":[1,2]}", "{\"p\":[3]}", "{\"p\":[3]}" },
        { "{\"A\":1}", "{\"a\":null}", "{\"A\":1}" },
        { "{\"a\":1,\"a\":2}", "{\"a\":3}", "{\"a\":3}" },
        { "{\"a\":1,\"b\":2,\"a\":2}", "{\"a\":null}", "{\"b\":2}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *section = cJSON_Parse(cases[i].section);
        cJSON *patch = cJSON_Parse(cases[i].patch);
        char *text;

        assert_int_equal(patch_merge(section, patch), 0);
        text = cJSON_PrintUnformatted(section);
        assert_string_equal(text, cases[i].want);
        cJSON_free(text);
        cJSON_Delete(section);
        cJSON_Delete(patch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patch_body_arguments_give_the_request),
        cmocka_unit_test(patch_body_mistake_is_named),
        cmocka_unit_test(patch_replacement_sends_both_sections),
        cmocka_unit_test(patch_replacement_mistake_is_named),
        cmocka_unit_test(patch_merge_does_what_a_hub_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
