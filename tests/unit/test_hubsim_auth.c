/* User names, tokens, ids. The vectors are those of iot-hub.md section 13. */
#include "tests/sim/hubsim/auth.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define SAS "SharedAccessSignature "

static void auth_parse_username_of_the_sdks_is_taken_apart(void **state)
{
    static const struct {
        const char *text, *device_id, *module_id, *api_version, *model_id;
    } cases[] = {
        { "h.net/d/?api-version=2021-04-12", "d", "", "2021-04-12", "" },
        { "h.net/d/m/?api-version=2021-04-12", "d", "m", "2021-04-12", "" },
        { "h.net/d/api-version=2016-11-14", "d", "", "2016-11-14", "" },
        { "h.net/dev1/mod.1/"
          "?api-version=2021-04-12&model-id=dtmi:com:example:Gw;1&DeviceClientType=azure-iot-"
          "device%2F1",
          "dev1", "mod.1", "2021-04-12", "dtmi:com:example:Gw;1" },
        { "h.net/d/m/?model-id=dtmi%3Aa%3Bx;1&api-version=1&api-version=2", "d", "m", "1",
          "dtmi:a;x;1" },
        { "h.net/d-:.+%_#*!(),=@$'/?api-version=1&x=a/b", "d-:.+%_#*!(),=@$'", "", "1", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct auth_username name;

        print_message("case %s\n", cases[i].text);
        assert_int_equal(auth_parse_username(&name, cases[i].text, strlen(cases[i].text)), 0);
        assert_string_equal(name.host, "h.net");
        assert_string_equal(name.device_id, cases[i].device_id);
        assert_string_equal(name.module_id, cases[i].module_id);
        assert_string_equal(name.api_version, cases[i].api_version);
        assert_string_equal(name.model_id, cases[i].model_id);
    }
}

static void auth_parse_username_of_another_form_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "h.net",
        "h.net/d",
        "h.net/d/",
        "h.net/d/m",
        "h.net/d/m/x/?api-version=1",
        "/d/?api-version=1",
        "h.net//?api-version=1",
        "h.net/d//?api-version=1",
        "h.net/d/?",
        "h.net/d/?api-version",
        "h.net/d/?api-version=",
        "h.net/d/?api-version=%",
        "h.net/d/?api-version=%4",
        "h.net/d/?api-version=%00",
        "h.net/d e/?api-version=1",
        "h.net/d/m\xc3\xa9/?api-version=1",
        "h.net/?api-version=1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct auth_username name = { .host = "untouched" };

        print_message("case %s\n", cases[i]);
        assert_int_equal(auth_parse_username(&name, cases[i], strlen(cases[i])), -EBADMSG);
        assert_string_equal(name.host, "untouched");
    }
}

static void auth_signed_by_vectors_are_verified_over_the_raw_text(void **state)
{
    static const struct {
        const char *token, *path, *key_name;
    } cases[] = {
        { SAS "sr=emu.azure-devices.net%2Fdevices%2Fdev1"
              "&sig=piJIRWQ72Bp%2BsN1WUru7oKFXERJFY4bvC9Owub9ivTM%3D&se=1767225600",
          "/devices/dev1", "" },
        { SAS "sr=emu.azure-devices.net%2Fdevices%2Fdev1%2Fmodules%2Fmod.1"
              "&sig=Db4%2FpGLUum6sUGBI4Ko%2BEmDNouxFBGkRhgmw5WEzLlw%3D&se=1767225600",
          "/devices/dev1/modules/mod.1", "" },
        { SAS "sr=emu.azure-devices.net%2fdevices%2fdev1%2fmodules%2fmod.1"
              "&sig=fiCsS8PXvribvgU4Q1fqwFyk9rMI2thBcrzCkoAjalI%3D&se=1767225600",
          "/devices/dev1/modules/mod.1", "" },
        { SAS "SE=1767225600&sig=2mJ%2B7RCnnxUhB8%2FQH67BSM%2F3hKj8HZ2YktArgcuwVCw%3D"
              "&SR=emu.azure-devices.net/devices/dev1/modules/mod.1",
          "/devices/dev1/modules/mod.1", "" },
        { SAS "sr=emu.azure-devices.net%2Fdevices%2Fdev%201%23x%2Fmodules%2Fm%2B1"
              "&sig=3rS4M%2FdEQ6IXY5tOxVwBmqKlIszth%2BFizSHDzCb3yPc%3D&se=1767225600",
          "/devices/dev 1#x/modules/m+1", "" },
        { SAS "sr=emu.azure-devices.net&sig=IfAtu3gW%2FXIlV%2FU6iVSSKLiUwRuB%2BGQzbsu781UPcPI%3D"
              "&skn=service&se=1767225600",
          "", "service" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct auth_token token;

        print_message("case %s\n", cases[i].token);
        assert_int_equal(auth_parse_token(&token, cases[i].token, strlen(cases[i].token)), 0);
        assert_string_equal(token.host, "emu.azure-devices.net");
        assert_string_equal(token.path, cases[i].path);
        assert_string_equal(token.key_name, cases[i].key_name);
        assert_true(token.expiry_s == 1767225600);
        assert_true(auth_signed_by(&token, KEY));
        assert_false(auth_signed_by(&token, "BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
        assert_false(auth_signed_by(&token, ""));
    }
}

static void auth_signed_by_changed_token_is_false(void **state)
{
    static const char *const cases[] = {
        /* another device, another end, a raw '+' in the signature, a cut one */
        SAS "sr=emu.azure-devices.net%2Fdevices%2Fdev2"
            "&sig=piJIRWQ72Bp%2BsN1WUru7oKFXERJFY4bvC9Owub9ivTM%3D&se=1767225600",
        SAS "sr=emu.azure-devices.net%2Fdevices%2Fdev1"
            "&sig=piJIRWQ72Bp%2BsN1WUru7oKFXERJFY4bvC9Owub9ivTM%3D&se=1767225601",
        SAS "sr=emu.azure-devices.net%2Fdevices%2Fdev1"
            "&sig=piJIRWQ72Bp+sN1WUru7oKFXERJFY4bvC9Owub9ivTM%3D&se=1767225600",
        SAS "sr=emu.azure-devices.net%2Fdevices%2Fdev1&sig=piJIRWQ72Bp%2B&se=1767225600",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct auth_token token;

        assert_int_equal(auth_parse_token(&token, cases[i], strlen(cases[i])), 0);
        assert_false(auth_signed_by(&token, KEY));
    }
}

static void auth_parse_token_of_another_form_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "Bearer x",
        "SharedAccessSignature",
        "sharedaccesssignature sr=h&sig=x&se=1",
        SAS "sr=h&sig=x",
        SAS "sr=h&se=1",
        SAS "sig=x&se=1",
        SAS "sr=h&sig=x&se=",
        SAS "sr=h&sig=x&se=1x",
        SAS "sr=h&sig=x&se=inf",
        SAS "sr=h&sig=x&se=nan",
        SAS "sr=&sig=x&se=1",
        SAS "sr=%2Fdevices&sig=x&se=1",
        SAS "sr=h%0&sig=x&se=1",
        SAS "sr=h%00&sig=x&se=1",
        SAS "sr=h&sig=&se=1",
        SAS "sr=h&sig=%zz&se=1",
        SAS "sr=h&sig=x&se=1&novalue",
        SAS "sr=h&sig=x&se=1&se=2",
        SAS "sr=h&sr=h%2Fdevices&sig=x&se=1",
        SAS "sr=h&sig=x&se=1&SIG=y",
        SAS "sr=h&sig=x&se=1&skn=&skn=device",
    };
    struct auth_token token;
    char long_host[AUTH_RESOURCE_MAX] = "", long_one[AUTH_RESOURCE_MAX + 64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i]);
        assert_int_equal(auth_parse_token(&token, cases[i], strlen(cases[i])), -EBADMSG);
    }
    memset(long_host, 'h', sizeof long_host - 1);
    snprintf(long_one, sizeof long_one, SAS "sr=%s&sig=x&se=1", long_host);
    assert_int_equal(auth_parse_token(&token, long_one, strlen(long_one)), -EBADMSG);
}

static void auth_covers_whole_segments_only(void **state)
{
    static const struct {
        const char *granted, *wanted;
        bool want;
    } cases[] = {
        { "", "/devices/d", true },
        { "/", "/devices/d", true },
        { "/devices/d", "/devices/d", true },
        { "/devices/d/", "/devices/d", true },
        { "/devices/d", "/devices/d/modules/m", true },
        { "/devices/d", "/devices/dd", false },
        { "/devices/D", "/devices/d", false },
        { "/devices/d/modules/m", "/devices/d", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct auth_token token = { .host = "h" };

        snprintf(token.path, sizeof token.path, "%s", cases[i].granted);
        print_message("case %s %s\n", cases[i].granted, cases[i].wanted);
        assert_int_equal(auth_covers(&token, cases[i].wanted), cases[i].want);
    }
}

static void auth_id_valid_at_its_edges(void **state)
{
    char id[AUTH_ID_MAX + 1];

    (void)state;
    memset(id, 'x', sizeof id);
    id[128] = 0;
    assert_true(auth_id_valid(id));
    id[128] = 'x';
    id[129] = 0;
    assert_false(auth_id_valid(id));
    assert_true(auth_id_valid("$edgeAgent"));
    assert_true(auth_id_valid("Az09-:.+%_#*?!(),=@;$'"));
    assert_false(auth_id_valid(""));
    assert_false(auth_id_valid("a b"));
    assert_false(auth_id_valid("a/b"));
    assert_false(auth_id_valid("a&b"));
    assert_false(auth_id_valid("\xc3\xa9"));
}

static uint32_t counting(void *data)
{
    return (*(uint32_t *)data)++;
}

static void auth_new_key_is_base64_of_32_bytes_and_valid(void **state)
{
    uint32_t count = 0;
    const struct env env = { .random_u32 = counting, .data = &count };
    char one[AUTH_KEY_MAX], other[AUTH_KEY_MAX];

    (void)state;
    auth_new_key(one, &env);
    auth_new_key(other, &env);
    assert_int_equal(strlen(one), 44);
    assert_string_not_equal(one, other);
    assert_true(auth_key_valid(one));
    assert_false(auth_key_valid(""));
    assert_false(auth_key_valid("c2hvcnQ="));
    assert_false(auth_key_valid("not base64 at all, but long enough"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auth_parse_username_of_the_sdks_is_taken_apart),
        cmocka_unit_test(auth_parse_username_of_another_form_is_refused),
        cmocka_unit_test(auth_signed_by_vectors_are_verified_over_the_raw_text),
        cmocka_unit_test(auth_signed_by_changed_token_is_false),
        cmocka_unit_test(auth_parse_token_of_another_form_is_refused),
        cmocka_unit_test(auth_covers_whole_segments_only),
        cmocka_unit_test(auth_id_valid_at_its_edges),
        cmocka_unit_test(auth_new_key_is_base64_of_32_bytes_and_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
