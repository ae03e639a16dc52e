/* Connection strings and tokens; the vectors are those of iot-hub.md section 13. */
#include "bridge/sas.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#define KEY    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define EXPIRY 1767225600

static void sas_token_of_each_resource_equals_the_vector(void **state)
{
    static const struct {
        const char *resource;
        const char *policy;
        const char *want;
    } cases[] = {
        { "emu.azure-devices.net/devices/dev1", NULL,
          "SharedAccessSignature sr=emu.azure-devices.net%2Fdevices%2Fdev1"
          "&sig=piJIRWQ72Bp%2BsN1WUru7oKFXERJFY4bvC9Owub9ivTM%3D&se=1767225600" },
        { "emu.azure-devices.net/devices/dev1/modules/mod.1", "",
          "SharedAccessSignature sr=emu.azure-devices.net%2Fdevices%2Fdev1%2Fmodules%2Fmod.1"
          "&sig=Db4%2FpGLUum6sUGBI4Ko%2BEmDNouxFBGkRhgmw5WEzLlw%3D&se=1767225600" },
        { "emu.azure-devices.net/devices/dev 1#x/modules/m+1", NULL,
          "SharedAccessSignature sr=emu.azure-devices.net%2Fdevices%2Fdev%201%23x%2Fmodules%2Fm%2B1"
          "&sig=3rS4M%2FdEQ6IXY5tOxVwBmqKlIszth%2BFizSHDzCb3yPc%3D&se=1767225600" },
        { "emu.azure-devices.net", "service",
          "SharedAccessSignature sr=emu.azure-devices.net"
          "&sig=IfAtu3gW%2FXIlV%2FU6iVSSKLiUwRuB%2BGQzbsu781UPcPI%3D&skn=service&se=1767225600" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char token[SAS_TOKEN_MAX];

        assert_int_equal(
            sas_token(token, sizeof token, cases[i].resource, KEY, cases[i].policy, EXPIRY), 0);
        assert_string_equal(token, cases[i].want);

        /* just enough room, and one byte less */
        assert_int_equal(sas_token(token, strlen(cases[i].want) + 1, cases[i].resource, KEY,
                                   cases[i].policy, EXPIRY),
                         0);
        strcpy(token, "before");
        assert_int_equal(sas_token(token, strlen(cases[i].want), cases[i].resource, KEY,
                                   cases[i].policy, EXPIRY),
                         -ENOSPC);
        assert_string_equal(token, "before");
    }
}

static void sas_sign_of_raw_resources_equals_the_vector(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { "emu.azure-devices.net%2Fdevices%2Fdev1%2Fmodules%2Fmod.1\n1767225600",
          "Db4/pGLUum6sUGBI4Ko+EmDNouxFBGkRhgmw5WEzLlw=" },
        { "emu.azure-devices.net%2fdevices%2fdev1%2fmodules%2fmod.1\n1767225600",
          "fiCsS8PXvribvgU4Q1fqwFyk9rMI2thBcrzCkoAjalI=" },
        { "emu.azure-devices.net/devices/dev1/modules/mod.1\n1767225600",
          "2mJ+7RCnnxUhB8/QH67BSM/3hKj8HZ2YktArgcuwVCw=" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char signature[64];

        assert_int_equal(
            sas_sign(signature, sizeof signature, KEY, cases[i].text, strlen(cases[i].text)), 0);
        assert_string_equal(signature, cases[i].want);
    }
}

static void sas_sign_with_a_group_key_derives_the_documented_device_key(void **state)
{
    static const char group[] =
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
    static const char id[] = "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6";
    char key[64];

    (void)state;
    assert_int_equal(sas_sign(key, sizeof key, group, id, strlen(id)), 0);
    assert_string_equal(key, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
}

static void sas_sign_with_a_bad_key_is_refused(void **state)
{
    static const char *const keys[] = {
        "",
        "AAAA",                                        /* 3 bytes */
        "AAECAwQFBgcICQoLDA0O",                        /* 15 bytes */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", /* padding lost */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", /* same length, with a blank */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh==8===",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd====",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-_", /* the URL alphabet */
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A"
         "AAAA"), /* 69 bytes */
    };
    char out[64] = "before";

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        print_message("key \"%s\"\n", keys[i]);
        assert_int_equal(sas_sign(out, sizeof out, keys[i], "x", 1), -EINVAL);
        assert_string_equal(out, "before");
    }
    assert_int_equal(sas_sign(out, sizeof out, "AAECAwQFBgcICQoLDA0ODw==", "x", 1), 0); /* 16 */
    assert_int_equal(sas_sign(out, 44, KEY, "x", 1), -ENOSPC);
    assert_int_equal(sas_sign(out, 45, KEY, "x", 1), 0);
}

static void sas_percent_encode_keeps_the_unreserved_only(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { "AZaz09-._~", "AZaz09-._~" },
        { "a b/c+d=e&f%g", "a%20b%2Fc%2Bd%3De%26f%25g" },
        { "!'()*;:@$", "%21%27%28%29%2A%3B%3A%40%24" },
        { "\xc3\xa9\x7f\x01", "%C3%A9%7F%01" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64];
        size_t length = strlen(cases[i].want);

        assert_int_equal(sas_percent_encode(out, sizeof out, cases[i].text), length);
        assert_string_equal(out, cases[i].want);
        assert_int_equal(sas_percent_encode(out, length + 1, cases[i].text), length);
        assert_int_equal(sas_percent_encode(out, length, cases[i].text), -ENOSPC);
    }
}

static void sas_token_expiry_of_each_token_is_read_or_refused(void **state)
{
    static const struct {
        const char *token;
        int rc;
        int64_t want;
    } cases[] = {
        { "SharedAccessSignature sr=h&sig=x%3D&se=1767225600", 0, 1767225600 },
        { "SharedAccessSignature se=12&sr=h&sig=x", 0, 12 },
        { "SharedAccessSignature sr=h&SE=12&sig=x", 0, 12 },
        { "sr=h&se=9", 0, 9 },
        { "SharedAccessSignature sr=h&sig=x", -EBADMSG, 7 },
        { "SharedAccessSignature sr=se=5&sig=x", -EBADMSG, 7 },
        { "SharedAccessSignature sr=h&se=&sig=x", -EBADMSG, 7 },
        { "SharedAccessSignature sr=h&se=-5", -EBADMSG, 7 },
        { "SharedAccessSignature sr=h&se=5x", -EBADMSG, 7 },
        { "SharedAccessSignature sr=h&se=99999999999999999999", -EBADMSG, 7 },
        { "", -EBADMSG, 7 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t expiry = 7;

        print_message("token %s\n", cases[i].token);
        assert_int_equal(sas_token_expiry(cases[i].token, &expiry), cases[i].rc);
        assert_true(expiry == cases[i].want);
    }
}

static void sas_parse_of_a_module_string_gives_all_fields(void **state)
{
    struct sas_connection_string s;
    struct err err = { "" };

    (void)state;
    assert_int_equal(
        sas_parse_connection_string(&s,
                                    "HostName=h.azure-devices.net;DeviceId=gw-1;ModuleId=boiler=7;"
                                    "SharedAccessKey=" KEY ";GatewayHostName=edge.local \r\n",
                                    &err),
        0);

    assert_string_equal(s.host_name, "h.azure-devices.net");
    assert_string_equal(s.device_id, "gw-1");
    assert_string_equal(s.module_id, "boiler=7"); /* split at the first '=' */
    assert_string_equal(s.key, KEY);
    assert_string_equal(s.gateway_host_name, "edge.local");
    assert_string_equal(s.key_name, "");
    assert_string_equal(s.token, "");
}

static void sas_parse_of_service_and_token_strings_is_taken(void **state)
{
    struct sas_connection_string s;
    struct err err = { "" };

    (void)state;
    assert_int_equal(
        sas_parse_connection_string(
            &s, "SharedAccessKey=" KEY ";HostName=h;SharedAccessKeyName=service;", &err),
        0);
    assert_string_equal(s.key_name, "service");

    assert_int_equal(
        sas_parse_connection_string(&s,
                                    "HostName=h;DeviceId=d;ModuleId=m;SharedAccessSignature="
                                    "SharedAccessSignature sr=h&sig=x%3D&se=99",
                                    &err),
        0);
    assert_string_equal(s.token, "SharedAccessSignature sr=h&sig=x%3D&se=99");
    assert_string_equal(s.key, "");
}

static void sas_parse_of_a_bad_string_names_the_field_and_no_secret(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        { "", "empty" },
        { " \r\n", "empty" },
        { KEY, "not known" }, /* a bare key: '=' makes it a pair */
        { "just text", "no '='" },
        { "HostName=h;DeviceId=d;SharedAccessKey=" KEY "\nHostName=h", "more than one line" },
        { "DeviceId=d;SharedAccessKey=" KEY, "HostName is missing" },
        { "HostName=h;DeviceId=d", "exactly one of" },
        { "HostName=h;SharedAccessKey=" KEY ";SharedAccessSignature=se=1", "exactly one of" },
        { "HostName=h;HostName=h;SharedAccessKey=" KEY, "HostName stands twice" },
        { "HostName=h;SharedAccessKey=" KEY ";SharedAccessKey=" KEY, "stands twice" },
        { "HostName=;SharedAccessKey=" KEY, "HostName is empty" },
        { "hostname=h;SharedAccessKey=" KEY, "write HostName" },
        { "HostName=h;DeviceId=d;x509=true", "x509" },
        { "HostName=h;Port=8443;SharedAccessKey=" KEY, "field 2 is not known" },
        { "HostName=h;;SharedAccessKey=" KEY, "field 2 has no '='" },
        { "HostName=https://h;SharedAccessKey=" KEY, "HostName is not a host name" },
        { "HostName=h;GatewayHostName=a b;SharedAccessKey=" KEY, "GatewayHostName is not" },
        { "HostName=h;DeviceId=a/b;SharedAccessKey=" KEY, "DeviceId" },
        { "HostName=h;DeviceId=d;ModuleId=a#;SharedAccessKey=" KEY, "ModuleId" },
        { "HostName=h;ModuleId=m;SharedAccessKey=" KEY, "ModuleId needs DeviceId" },
        { "HostName=h;DeviceId=d;SharedAccessKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaG", "base64" },
        { "HostName=h;DeviceId=d;SharedAccessSignature=AAECAwQFBgcICQoLDA0ODxARE", "no expiry" },
    };
    char too_long[600];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sas_connection_string s = { .host_name = "before" };
        struct err err = { "" };

        print_message("case %s\n", cases[i].says);
        assert_int_equal(sas_parse_connection_string(&s, cases[i].text, &err), -EINVAL);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_null(strstr(err.msg, "AAECAwQ"));
        assert_string_equal(s.host_name, "before");
    }

    snprintf(too_long, sizeof too_long, "HostName=%0300d;SharedAccessKey=" KEY, 0);
    {
        struct sas_connection_string s;
        struct err err;

        assert_int_equal(sas_parse_connection_string(&s, too_long, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "HostName is too long"));
    }
}

static void sas_parse_of_a_string_cut_at_every_byte_never_guesses(void **state)
{
    static const char whole[] = "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY;

    (void)state;
    for (size_t i = 0; i < strlen(whole); i++) {
        struct sas_connection_string s;
        struct err err = { "" };
        char *text = test_malloc(i + 1); /* of its own, for the sanitizer */

        memcpy(text, whole, i);
        text[i] = 0;
        if (sas_parse_connection_string(&s, text, &err) == 0) {
            /* cut between two groups of four, a key is still one, but a shorter one */
            assert_int_equal(strlen(s.key) % 4, 0);
            assert_in_range(strlen(s.key), 24, strlen(KEY) - 4);
        } else {
            assert_true(err.msg[0] != 0);
        }
        test_free(text);
    }
}

static void sas_forget_overwrites_the_secrets(void **state)
{
    struct sas_connection_string s = { .host_name = "h", .key = KEY, .token = "secret" };
    static const char zero[SAS_TOKEN_MAX];

    (void)state;
    sas_forget(&s);
    assert_memory_equal(s.key, zero, sizeof s.key);
    assert_memory_equal(s.token, zero, sizeof s.token);
    assert_string_equal(s.host_name, "h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sas_token_of_each_resource_equals_the_vector),
        cmocka_unit_test(sas_sign_of_raw_resources_equals_the_vector),
        cmocka_unit_test(sas_sign_with_a_group_key_derives_the_documented_device_key),
        cmocka_unit_test(sas_sign_with_a_bad_key_is_refused),
        cmocka_unit_test(sas_percent_encode_keeps_the_unreserved_only),
        cmocka_unit_test(sas_token_expiry_of_each_token_is_read_or_refused),
        cmocka_unit_test(sas_parse_of_a_module_string_gives_all_fields),
        cmocka_unit_test(sas_parse_of_service_and_token_strings_is_taken),
        cmocka_unit_test(sas_parse_of_a_bad_string_names_the_field_and_no_secret),
        cmocka_unit_test(sas_parse_of_a_string_cut_at_every_byte_never_guesses),
        cmocka_unit_test(sas_forget_overwrites_the_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
