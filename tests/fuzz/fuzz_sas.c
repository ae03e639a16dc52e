/* Connection strings and tokens.
 *
 * Input: a text. Demanded: an accepted connection string has its parts, each terminated, and one
 * secret; a refusal does not depend on the letters of the key; a token signed with its key ends
 * when it was told to. */
#include "bridge/sas.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>

#define TERMINATED(field) (memchr((field), 0, sizeof(field)) != NULL)

static void sign(const struct sas_connection_string *string)
{
    char resource[700], token[SAS_TOKEN_MAX];
    int64_t expiry_s = 0;
    int rc;

    snprintf(resource, sizeof resource, "%s/devices/%s/modules/%s", string->host_name,
             string->device_id, string->module_id);
    rc = sas_token(token, sizeof token, resource, string->key, string->key_name, 1800000000);
    FUZZ_REQUIRE(rc == 0 || rc == -EINVAL || rc == -ENOSPC);
    if (rc == 0) {
        FUZZ_REQUIRE(sas_token_expiry(token, &expiry_s) == 0);
        FUZZ_REQUIRE(expiry_s == 1800000000);
    }
}

static void require_parts(const struct sas_connection_string *s)
{
    FUZZ_REQUIRE(TERMINATED(s->host_name) && TERMINATED(s->gateway_host_name));
    FUZZ_REQUIRE(TERMINATED(s->device_id) && TERMINATED(s->module_id));
    FUZZ_REQUIRE(TERMINATED(s->key_name) && TERMINATED(s->key) && TERMINATED(s->token));
    FUZZ_REQUIRE(s->host_name[0] != 0);
    FUZZ_REQUIRE((s->key[0] != 0) != (s->token[0] != 0));
}

/* Another key of the same shape is refused with the same words. The last four characters stay:
 * what they may be depends on the length. */
static void require_discretion(char *text, const char *message)
{
    struct sas_connection_string string;
    struct err err = { "" };
    char *key = strstr(text, "SharedAccessKey=");
    size_t length;

    if (key == NULL || (key != text && key[-1] != ';'))
        return;
    key += strlen("SharedAccessKey=");
    length = strcspn(key, ";");
    for (size_t i = 0; i + 4 < length; i++) {
        if ((key[i] >= 'a' && key[i] <= 'z') || (key[i] >= 'A' && key[i] <= 'Z'))
            key[i] = (char)(((key[i] & 31) % 26 + 1) | (key[i] & ~31)); /* the next letter */
    }
    FUZZ_REQUIRE(sas_parse_connection_string(&string, text, &err) == -EINVAL);
    FUZZ_REQUIRE(strcmp(err.msg, message) == 0);
}

static void encode(const char *text)
{
    char encoded[400];
    int rc = sas_percent_encode(encoded, sizeof encoded, text);

    FUZZ_REQUIRE(rc == -ENOSPC || (rc >= 0 && (size_t)rc == strlen(encoded)));
    if (rc >= 0)
        FUZZ_REQUIRE(strspn(encoded,
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                            "-._~%") == (size_t)rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size, 1);
    struct sas_connection_string string;
    struct err err = { "" };
    int64_t expiry_s = -7;
    int rc;

    rc = sas_parse_connection_string(&string, text, &err);
    FUZZ_REQUIRE(rc == 0 || rc == -EINVAL);
    FUZZ_REQUIRE((rc != 0) == (err.msg[0] != 0));
    if (rc == 0) {
        require_parts(&string);
        if (string.key[0] != 0)
            sign(&string);
        sas_forget(&string);
        FUZZ_REQUIRE(string.key[0] == 0 && string.token[0] == 0);
    } else {
        require_discretion(text, err.msg);
    }
    rc = sas_token_expiry(text, &expiry_s);
    FUZZ_REQUIRE(rc == 0 || (rc == -EBADMSG && expiry_s == -7));
    encode(text);
    free(text);
    return 0;
}
