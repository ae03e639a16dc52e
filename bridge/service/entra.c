/* The token endpoint's request.
 *
 * Happy path: a form with client id, scope and one of three proofs, answered with a token. The
 * proofs are read at every request, for secrets, certificates and above all federated tokens (an
 * hour, in Kubernetes) are renewed beside us. */
#include "bridge/service/entra.h"

#include "bridge/service/acquire.h"
#include "bridge/service/assertion.h"
#include "bridge/service/secret_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FORM_MAX = 512 * 1024, FEDERATED_TOKEN_MAX = 32 * 1024 };

/* Appends "name=value", percent-encoded, behind an '&' if need be. */
static void form_add(struct buf *form, const char *name, const char *value)
{
    buf_printf(form, "%s%s=", form->length == 0 ? "" : "&", name);
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c < 0x80 && strchr("-._~", c) != NULL))
            buf_add_byte(form, c);
        else
            buf_printf(form, "%%%02X", c);
    }
}

static void form_add_assertion(struct buf *form, const char *assertion)
{
    form_add(form, "client_assertion_type",
             "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form_add(form, "client_assertion", assertion);
}

static int add_certificate(struct buf *form, const struct entra *entra,
                           const struct exchange *exchange, const char *url, struct err *err)
{
    const char *chain = way_variable(entra->lookup, "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN");
    const struct assertion assertion = {
        .path = way_variable(entra->lookup, "AZURE_CLIENT_CERTIFICATE_PATH"),
        .password = way_variable(entra->lookup, "AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        .client_id = way_variable(entra->lookup, "AZURE_CLIENT_ID"),
        .audience = url,
        .send_chain = chain != NULL && (strcmp(chain, "1") == 0 || strcasecmp(chain, "true") == 0),
    };
    struct buf text;
    int rc;

    buf_init(&text, FORM_MAX);
    rc = assertion_make(&text, &assertion, exchange->env, err);
    if (rc == 0)
        form_add_assertion(form, buf_text(&text));
    secret_file_wipe(&text); /* for ten minutes it is as good as the key */
    return rc;
}

static int add_federated(struct buf *form, const struct entra *entra, struct err *err)
{
    const char *path = way_variable(entra->lookup, "AZURE_FEDERATED_TOKEN_FILE");
    struct buf file;
    size_t length;
    int rc;

    buf_init(&file, FEDERATED_TOKEN_MAX);
    rc = secret_file_read(&file, path, err);
    if (rc == 0) {
        while (file.length > 0 && file.bytes[file.length - 1] <= ' ')
            file.bytes[--file.length] = '\0';
        length = strlen(buf_text(&file));
        if (length == 0 || length != file.length) {
            err_set(err, "%s: holds no token", path);
            rc = -EINVAL;
        }
    }
    if (rc == 0)
        form_add_assertion(form, buf_text(&file));
    secret_file_wipe(&file);
    return rc;
}

static int make_form(struct buf *form, const struct entra *entra, const struct exchange *exchange,
                     const char *url, struct err *err)
{
    int rc = 0;

    /* All room at once: a buffer that grows leaves copies of the secret behind. */
    if (buf_reserve(form, FORM_MAX) == NULL)
        return -ENOMEM;
    form_add(form, "grant_type", "client_credentials");
    form_add(form, "client_id", way_variable(entra->lookup, "AZURE_CLIENT_ID"));
    form_add(form, "scope", "https://iothubs.azure.net/.default");
    if (entra->way == WAY_SECRET)
        form_add(form, "client_secret", way_variable(entra->lookup, "AZURE_CLIENT_SECRET"));
    else if (entra->way == WAY_CERTIFICATE)
        rc = add_certificate(form, entra, exchange, url, err);
    else
        rc = add_federated(form, entra, err);
    return rc == 0 ? form->error : rc;
}

/* Whether the text holds the secret as far as anybody could use it: a long message is cut. */
static bool shows(const char *text, const char *secret)
{
    enum { ENOUGH = 8 };
    char start[ENOUGH + 1];

    snprintf(start, sizeof start, "%s", secret);
    return start[0] != '\0' && strstr(text, start) != NULL;
}

/* A service that shows what it was sent (a proxy's error page) does not bring a proof into a
 * message: the secret, as it is or as it was sent, or an assertion. */
static void hide_proofs(const struct entra *entra, struct err *err)
{
    const char *secret = way_variable(entra->lookup, "AZURE_CLIENT_SECRET");
    struct buf sent;
    bool shown = strstr(err->msg, "client_assertion=") != NULL;

    buf_init(&sent, FORM_MAX);
    if (secret != NULL && buf_reserve(&sent, 3 * strlen(secret) + 2) != NULL) {
        form_add(&sent, "", secret);
        shown = shown || shows(err->msg, secret) || shows(err->msg, buf_text(&sent) + 1);
    }
    secret_file_wipe(&sent);
    if (shown)
        err_set(err, "the token service answered with what it was sent; its words are not shown");
}

int entra_token(struct token *out, const struct entra *entra, const struct exchange *exchange,
                struct err *err)
{
    static const struct http_header headers[] = {
        { "Content-Type", "application/x-www-form-urlencoded" },
        { "Accept", "application/json" },
    };
    struct http_request request = { .method = "POST",
                                    .headers = headers,
                                    .header_count = sizeof headers / sizeof headers[0],
                                    .peer = HTTP_PEER_SIGN_IN,
                                    .kind = RETRY_REPEATABLE };
    char url[ENTRA_URL_MAX];
    char host[ENTRA_HOST_MAX];
    struct buf form;
    int rc = entra_address(url, host, entra, err);

    if (rc != 0)
        return rc;
    buf_init(&form, FORM_MAX);
    err_set(err, "out of memory");
    rc = make_form(&form, entra, exchange, url, err);
    if (rc == 0) {
        request.url = url;
        request.body = buf_text(&form);
        rc = acquire_token(out, exchange, &request, host, err);
    }
    secret_file_wipe(&form);
    if (rc != 0)
        hide_proofs(entra, err);
    return rc == -ENOSPC ? -EINVAL : rc;
}
