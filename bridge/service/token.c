/* Token documents and refusals.
 *
 * Happy path: {"token_type": "Bearer", "expires_in": 3599, "access_token": "..."}. Fails when the
 * answer is something else, whatever a proxy or a portal made of it, or when the token could not
 * stand in a header line. */
#include "bridge/service/token.h"

#include "bridge/service/answer.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIFE_UNKNOWN_S = 300, RENEW_BEFORE_S = 300 };

static const int64_t LIFE_MAX_S = INT64_C(366) * 24 * 3600;

/* A whole number that is written as one or as a text. */
static bool number_of(const cJSON *object, const char *key, int64_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    const char *text = cJSON_GetStringValue(item);

    if (cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < 1e12) {
        *out = (int64_t)item->valuedouble;
        return true;
    }
    if (text == NULL || *text == '\0' || strlen(text) > 12 ||
        strspn(text, "0123456789") != strlen(text))
        return false;
    *out = strtoll(text, NULL, 10);
    return true;
}

/* When it ends; 0 or negative when the answer says that it has ended. */
static int64_t life_of(const cJSON *root, int64_t now_s)
{
    int64_t life_s;

    if (!number_of(root, "expires_in", &life_s)) {
        if (!number_of(root, "expires_on", &life_s))
            return LIFE_UNKNOWN_S;
        life_s -= now_s;
    }
    return life_s < LIFE_MAX_S ? life_s : LIFE_MAX_S;
}

/* Whether it can stand in a header line (RFC 6750, 2.1). */
static bool is_token(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return length > 0 && length <= TOKEN_MAX;
}

static int check(const cJSON *root, struct err *err)
{
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(root, "token_type");
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "access_token"));

    if (!cJSON_IsObject(root))
        err_set(err, "the answer is no token document");
    else if (text == NULL)
        err_set(err, "the answer holds no access_token");
    else if (!is_token(text))
        err_set(err, "the access_token is empty, too long, or no text of a token");
    else if (type != NULL &&
             (!cJSON_IsString(type) || strcasecmp(type->valuestring, "Bearer") != 0))
        err_set(err, "the token is of another type than Bearer");
    else
        return 0;
    return -EBADMSG;
}

/* cJSON's copy of the token is not left behind in free memory. */
static void wipe(cJSON *root)
{
    cJSON *text = cJSON_GetObjectItemCaseSensitive(root, "access_token");

    if (cJSON_IsString(text))
        explicit_bzero(text->valuestring, strlen(text->valuestring));
    cJSON_Delete(root);
}

int token_read(struct token *out, const char *body, size_t length, int64_t now_s, struct err *err)
{
    cJSON *root = cJSON_ParseWithLengthOpts(body, length + 1, NULL, 1);
    int rc = check(root, err);
    int64_t life_s = life_of(root, now_s);
    char *text;

    if (rc == 0 && life_s <= 0) {
        err_set(err, "the token has ended already; check the clock of this machine");
        rc = -EBADMSG;
    }
    if (rc == 0) {
        text = strdup(cJSON_GetObjectItemCaseSensitive(root, "access_token")->valuestring);
        if (text == NULL) {
            err_set(err, "out of memory");
            rc = -ENOMEM;
        }
    }
    if (rc == 0) {
        token_forget(out);
        out->text = text;
        out->expires_s = now_s + life_s;
        out->renew_s = out->expires_s - (life_s / 5 < RENEW_BEFORE_S ? life_s / 5 : RENEW_BEFORE_S);
    }
    wipe(root);
    return rc;
}

void token_forget(struct token *token)
{
    if (token->text != NULL)
        explicit_bzero(token->text, strlen(token->text));
    free(token->text);
    *token = (struct token){ 0 };
}

/* ---- refusals ---- */

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text == NULL || *text == '\0' ? NULL : text;
}

static const char *description_of(const cJSON *root)
{
    const char *text = text_of(root, "error_description");

    if (text == NULL) /* Azure's other services: {"error": {"code", "message"}} */
        text = text_of(cJSON_GetObjectItemCaseSensitive(root, "error"), "message");
    if (text == NULL)
        text = text_of(root, "message");
    return text == NULL ? text_of(root, "error") : text;
}

/* The first sentence, without its full stop; control characters as blanks. */
static void copy_sentence(char out[TOKEN_REFUSAL_MAX], const char *text)
{
    size_t length = 0;

    for (; *text != '\0' && *text != '\r' && *text != '\n'; text++) {
        if (*text == '.' && (text[1] == ' ' || text[1] == '\0' || text[1] == '\r'))
            break;
        if (length < TOKEN_REFUSAL_MAX - 1)
            out[length++] = (unsigned char)*text < ' ' || *text == 0x7F ? ' ' : *text;
    }
    out[length] = '\0';
}

void token_refusal(char out[TOKEN_REFUSAL_MAX], long status, const char *body, size_t length)
{
    cJSON *root = cJSON_ParseWithLengthOpts(body, length + 1, NULL, 1);
    const char *description = description_of(root);
    char line[ANSWER_TEXT_MAX];

    if (description != NULL) {
        copy_sentence(out, description);
    } else {
        answer_describe(line, status, "", body, length);
        /* The status is said by the caller. */
        snprintf(out, TOKEN_REFUSAL_MAX, "%s", line + strspn(line, "0123456789 "));
    }
    cJSON_Delete(root);
}

/* https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const char *token_remedy(const char *refusal)
{
    static const struct {
        const char *code; /* with its colon: 70021 is not 700211 */
        const char *remedy;
    } table[] = {
        { "AADSTS7000215:", "; it must be the secret's value, not the secret's ID" },
        { "AADSTS7000222:", "; make a new secret for the application" },
        { "AADSTS700016:", "; check AZURE_CLIENT_ID and AZURE_TENANT_ID" },
        { "AADSTS7000112:", "; the application is disabled: enable it in Entra" },
        { "AADSTS90002:", "; check AZURE_TENANT_ID and AZURE_AUTHORITY_HOST" },
        { "AADSTS900023:", "; check AZURE_TENANT_ID" },
        { "AADSTS700027:", "; upload this certificate to the application in Entra" },
        { "AADSTS700024:", "; check the clock of this machine" },
        { "AADSTS70021:", "; check issuer, subject and audience of the federated credential" },
        { "AADSTS700211:", "; check the issuer of the federated credential" },
        { "AADSTS700212:", "; check the audience of the federated credential" },
        { "AADSTS700213:", "; check the subject of the federated credential" },
        { "Identity not found", "; assign a managed identity, or check AZURE_CLIENT_ID" },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strncmp(refusal, table[i].code, strlen(table[i].code)) == 0)
            return table[i].remedy;
    return "; check the sign-in's application or identity in Entra";
}
