/* One HTTPS request to the hub.
 *
 * Happy path: a fresh token of one hour for the hub, the request with api-version and User-Agent,
 * the whole answer in memory. libcurl verifies the hub's certificate, always, and honours
 * HTTPS_PROXY and NO_PROXY. Fails when the sign-in cannot be used, nobody answers in time, or the
 * certificate is not to be trusted; an answer that is an error is an answer, also one that is cut
 * off. Redirects are not followed: a token goes to the hub and to nobody else. */
#include "bridge/service/rest.h"

#include "bridge/sas.h"

#include <curl/curl.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

static const char API_VERSION[] = "2021-04-12";
static const long CONNECT_TIMEOUT_S = 15;
static const long TIMEOUT_S = 60;
static const int64_t TOKEN_LIFETIME_S = 3600;

struct rest {
    struct sas_connection_string sign_in;
    char *ca_file; /* NULL: the system's */
    int port;
    CURL *curl; /* kept, so that several requests share a connection */
};

/* ---- sign-in ---- */

/* The first bytes of a small file as a text. 0 or -errno. */
static int read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t count;

    if (fd < 0)
        return -errno;
    do {
        count = read(fd, out + length, size - 1 - length);
        length += count > 0 ? (size_t)count : 0;
    } while (count > 0 && length < size - 1);
    close(fd);
    if (count < 0)
        return -EIO;
    out[length] = '\0';
    return 0;
}

static int read_sign_in(struct rest *rest, const char *file, struct err *err)
{
    const char *source = file == NULL ? "IOTHUB_CONNECTION_STRING" : file;
    const char *variable = getenv("IOTHUB_CONNECTION_STRING");
    struct err why = { "" };
    char text[4096] = "";
    int rc;

    if (file == NULL && (variable == NULL || *variable == '\0')) {
        err_set(err, "no sign-in: give --hub-connection-string-file FILE or set "
                     "IOTHUB_CONNECTION_STRING to the connection string of a policy of the hub");
        return -EINVAL;
    }
    rc = file == NULL ? 0 : read_small(file, text, sizeof text);
    if (rc != 0) {
        err_set(err, "sign-in %s: cannot read: %s", file, strerror(-rc));
        return rc == -ENOENT || rc == -EACCES ? rc : -EINVAL;
    }
    rc = sas_parse_connection_string(&rest->sign_in, file == NULL ? variable : text, &why);
    explicit_bzero(text, sizeof text);
    if (rc != 0) {
        err_set(err, "sign-in %s: %s", source, why.msg);
        return rc;
    }
    if (rest->sign_in.device_id[0] != '\0') {
        err_set(err,
                "sign-in %s: this is the connection string of the device %s; twinctl wants one "
                "of a policy of the hub (SharedAccessKeyName=...)",
                source, rest->sign_in.device_id);
        return -EINVAL;
    }
    if (rest->sign_in.key[0] != '\0' && rest->sign_in.key_name[0] == '\0') {
        err_set(err, "sign-in %s: SharedAccessKeyName is missing: the name of the policy", source);
        return -EINVAL;
    }
    return 0;
}

int rest_new(struct rest **out, const struct rest_options *options, struct err *err)
{
    struct rest *rest = calloc(1, sizeof *rest);
    int rc;

    if (rest == NULL)
        return -ENOMEM;
    rc = read_sign_in(rest, options->connection_string_file, err);
    if (rc != 0)
        goto fail;
    rest->port = options->port == 0 ? 443 : options->port;
    rest->curl = curl_easy_init();
    rest->ca_file = options->ca_file == NULL ? NULL : strdup(options->ca_file);
    if (rest->curl == NULL || (options->ca_file != NULL && rest->ca_file == NULL)) {
        err_set(err, "out of memory");
        rc = -ENOMEM;
        goto fail;
    }
    *out = rest;
    return 0;

fail:
    rest_free(rest);
    return rc;
}

void rest_free(struct rest *rest)
{
    if (rest == NULL)
        return;
    if (rest->curl != NULL)
        curl_easy_cleanup(rest->curl);
    sas_forget(&rest->sign_in);
    free(rest->ca_file);
    free(rest);
}

const char *rest_host(const struct rest *rest)
{
    return rest->sign_in.host_name;
}

/* The value of the Authorization header. 0 or -errno. */
static int write_token(const struct rest *rest, char *out, size_t size)
{
    const struct sas_connection_string *sign_in = &rest->sign_in;

    if (sign_in->token[0] == '\0')
        return sas_token(out, size, sign_in->host_name, sign_in->key, sign_in->key_name,
                         (int64_t)time(NULL) + TOKEN_LIFETIME_S);
    return snprintf(out, size, "%s", sign_in->token) < (int)size ? 0 : -ENOSPC;
}

/* ---- a request ---- */

void rest_answer_init(struct rest_answer *answer)
{
    *answer = (struct rest_answer){ 0 };
    buf_init(&answer->body, REST_BODY_MAX);
}

void rest_answer_done(struct rest_answer *answer)
{
    buf_done(&answer->body);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct rest_answer *answer = data;

    return buf_add(&answer->body, bytes, size * count) == 0 ? size * count : 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *data)
{
    static const char name[] = "iothub-errorcode:";
    struct rest_answer *answer = data;
    size_t length = size * count;
    const char *value = bytes + sizeof name - 1;
    const char *end = bytes + length;

    if (length < sizeof name || strncasecmp(bytes, name, sizeof name - 1) != 0)
        return length;
    while (value < end && *value == ' ')
        value++;
    while (end > value && (unsigned char)end[-1] <= ' ')
        end--;
    snprintf(answer->error_code, sizeof answer->error_code, "%.*s", (int)(end - value), value);
    return length;
}

/* Adds "name: value" to *list. 0 or -ENOMEM. */
static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    char line[SAS_TOKEN_MAX + 64];
    struct curl_slist *longer;

    snprintf(line, sizeof line, "%s: %s", name, value);
    longer = curl_slist_append(*list, line);
    explicit_bzero(line, sizeof line);
    if (longer == NULL)
        return -ENOMEM;
    *list = longer;
    return 0;
}

static int make_headers(struct curl_slist **list, const struct rest *rest, const char *etag,
                        const char *body)
{
    char token[SAS_TOKEN_MAX];
    char quoted[256];
    int rc = write_token(rest, token, sizeof token);

    if (rc == 0)
        rc = add_header(list, "Authorization", token);
    explicit_bzero(token, sizeof token);
    if (rc == 0)
        rc = add_header(list, "Accept", "application/json");
    if (rc == 0 && body != NULL)
        rc = add_header(list, "Content-Type", "application/json; charset=utf-8");
    /* Without its quotes an etag is ignored by the hub, and the write goes through. */
    snprintf(quoted, sizeof quoted, "\"%s\"", etag == NULL ? "" : etag);
    if (rc == 0 && etag != NULL)
        rc = add_header(list, "If-Match", quoted);
    return rc;
}

/* What curl could not do, for a person. */
static int explain(struct rest *rest, CURLcode code, const char *detail, struct err *err)
{
    const char *why = *detail == '\0' ? curl_easy_strerror(code) : detail;
    const char *remedy = "; check host name, --port, network and HTTPS_PROXY";
    long proxy_status = 0;
    int rc = -EHOSTUNREACH;

    curl_easy_getinfo(rest->curl, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        rc = -ENOMEM;
        remedy = "";
        break;
    case CURLE_SSL_CACERT_BADFILE:
        rc = -EINVAL;
        remedy = "; --ca-file (in a mapping file hub.ca_file) must name a PEM file";
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
        remedy = "; give the CA of this hub with --ca-file, and its right host name";
        break;
    case CURLE_WRITE_ERROR:
        why = "the answer is too large";
        remedy = "";
        break;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        if (proxy_status >= 300)
            remedy = "; HTTPS_PROXY names this proxy, with user:password@ where it wants them";
        else
            remedy = "; whether it was done is not known, look before repeating";
        break;
    default:
        break;
    }
    err_set(err, "hub %s:%d: %s%s", rest->sign_in.host_name, rest->port, why, remedy);
    return rc;
}

static void set_options(struct rest *rest, const char *method, const char *url,
                        struct curl_slist *headers, const char *body, struct rest_answer *out)
{
    CURL *curl = rest->curl;

    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "twinctl/" TWINBRIDGE_VERSION);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, out);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's are not the hub's */
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    if (rest->ca_file != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, rest->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
}

int rest_call(struct rest *rest, const char *method, const char *path, const char *etag,
              const char *body, struct rest_answer *out, struct err *err)
{
    struct curl_slist *headers = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    char url[REST_PATH_MAX + 384];
    CURLcode code;
    int rc;

    out->status = 0;
    out->error_code[0] = '\0';
    buf_clear(&out->body);
    snprintf(url, sizeof url, "https://%s:%d%s?api-version=%s", rest->sign_in.host_name, rest->port,
             path, API_VERSION);
    rc = make_headers(&headers, rest, etag, body);
    if (rc != 0) {
        curl_slist_free_all(headers);
        err_set(err, rc == -ENOMEM ? "out of memory"
                                   : "sign-in: SharedAccessKey is not the base64 of a key");
        return rc == -ENOMEM ? rc : -EINVAL;
    }
    set_options(rest, method, url, headers, body, out);
    curl_easy_setopt(rest->curl, CURLOPT_ERRORBUFFER, detail);
    code = curl_easy_perform(rest->curl);
    curl_easy_setopt(rest->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_getinfo(rest->curl, CURLINFO_RESPONSE_CODE, &out->status);
    curl_slist_free_all(headers);
    if (code != CURLE_OK && out->status < 400)
        return explain(rest, code, detail, err);
    return 0;
}

int rest_exit(int rc)
{
    switch (rc) {
    case 0:
        return EX_OK;
    case -ENOENT:
        return EX_NOINPUT;
    case -EACCES:
        return EX_NOPERM;
    case -EINVAL:
        return EX_CONFIG;
    case -ENOMEM:
        return EX_SOFTWARE;
    default:
        return EX_UNAVAILABLE;
    }
}

int rest_path(char out[REST_PATH_MAX], const char *collection, const char *device,
              const char *module)
{
    char encoded[2][400] = { "", "" };
    int rc = sas_percent_encode(encoded[0], sizeof encoded[0], device);

    if (rc >= 0 && module != NULL)
        rc = sas_percent_encode(encoded[1], sizeof encoded[1], module);
    if (rc < 0)
        return -ENOSPC;
    snprintf(out, REST_PATH_MAX, "/%s/%s%s%s", collection, encoded[0],
             module == NULL ? "" : "/modules/", encoded[1]);
    return 0;
}
