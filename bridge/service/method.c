/* twinctl method: a direct method of a device or module.
 *
 * Happy path: one POST, the module's own status and its answer are printed; the exit code follows
 * the module's status. Fails when nobody is there (69), when no answer comes in time (75), and as
 * the hub says. Nothing is ever sent twice: what it asks for may have been done. */
#include "bridge/service/given.h"
#include "bridge/service/verb.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum {
    PAYLOAD_MAX = 128 * 1024, /* iot-hub.md section 5.3 */
    MARGIN_S = 15,            /* for the hub's own way, on top of what the module may take */
};

static const char BYTE_ORDER_MARK[] = "\xEF\xBB\xBF";

/* All of standard input. The exit code. */
static int read_input(const struct verb *verb, struct buf *out)
{
    char block[8192];
    size_t count;

    while ((count = fread(block, 1, sizeof block, stdin)) > 0)
        if (buf_add(out, block, count) != 0)
            return verb_fail(verb, EX_DATAERR, "the payload is larger than 128 KiB");
    if (ferror(stdin))
        return verb_fail(verb, EX_NOINPUT, "standard input: cannot read it to its end");
    if (strlen(buf_text(out)) != out->length)
        return verb_fail(verb, EX_DATAERR, "the payload is no text: it holds a NUL byte");
    return EX_OK;
}

/* The payload as the user wrote it: JSON, whose numbers stay as they are, or else a text. The exit
 * code. */
static int make_payload(const struct verb *verb, const struct buf *given, cJSON **out)
{
    const char *text = buf_text(given);
    struct given_mistake mistake;
    cJSON *parsed = NULL;
    int rc = given_json(&parsed, text, given->length, GIVEN_AS_IT_IS, &mistake);

    cJSON_Delete(parsed);
    if (rc == -EINVAL)
        return verb_fail(verb, EX_USAGE, "the payload, line %u, character %u: %s",
                         mistake.place.line, mistake.place.column, mistake.message);
    if (rc == 0)
        *out = cJSON_CreateRaw(text + (strncmp(text, BYTE_ORDER_MARK, 3) == 0 ? 3 : 0));
    else if (rc == -EBADMSG)
        *out = cJSON_CreateString(text);
    return *out != NULL ? EX_OK : verb_fail(verb, EX_SOFTWARE, "out of memory");
}

/* The body around a payload, which it takes in any case. NULL without memory. */
static char *print_body(const struct verb *verb, cJSON *payload)
{
    const struct options *options = verb->options;
    cJSON *body = cJSON_CreateObject();
    char *text = NULL;

    if (!cJSON_AddItemToObject(body, "payload", payload)) {
        cJSON_Delete(payload);
        cJSON_Delete(body);
        return NULL;
    }
    if (cJSON_AddStringToObject(body, "methodName", verb->command->arguments[1]) != NULL &&
        cJSON_AddNumberToObject(body, "responseTimeoutInSeconds",
                                (double)options->response_timeout_s) != NULL &&
        cJSON_AddNumberToObject(body, "connectTimeoutInSeconds",
                                (double)options->connect_timeout_s) != NULL)
        text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    return text;
}

/* The request's body. The exit code. */
static int make_body(const struct verb *verb, char **out)
{
    const struct command *command = verb->command;
    int exit_code = EX_OK;
    cJSON *payload = NULL;
    struct buf given;

    buf_init(&given, PAYLOAD_MAX);
    /* Without a payload it is null: Microsoft's SDKs fail over one that is empty. */
    if (command->argument_count <= 2)
        buf_add_text(&given, "null");
    else if (strcmp(command->arguments[2], "-") == 0)
        exit_code = read_input(verb, &given);
    else if (buf_add_text(&given, command->arguments[2]) != 0)
        exit_code = verb_fail(verb, EX_DATAERR, "the payload is larger than 128 KiB");
    if (exit_code == EX_OK)
        exit_code = make_payload(verb, &given, &payload);
    if (exit_code == EX_OK) {
        *out = print_body(verb, payload);
        if (*out == NULL)
            exit_code = verb_fail(verb, EX_SOFTWARE, "out of memory");
    }
    buf_done(&given);
    return exit_code;
}

/* What the hub says when it got no answer of the module. */
static int judge(struct verb *verb)
{
    const struct options *options = verb->options;

    if (verb->answer.status == 404 && verb_has_code(verb, "DeviceNotOnline", "404103"))
        return verb_fail(verb, EX_UNAVAILABLE,
                         "404 DeviceNotOnline: it is not connected, or does not listen for "
                         "methods; --connect-timeout waits for it");
    if (verb->answer.status == 504)
        return verb_fail(verb, EX_TEMPFAIL,
                         "504 it did not answer within %ld s; what was asked for may have been "
                         "done: look before repeating, or give it a longer --timeout",
                         options->response_timeout_s);
    return verb_judge(verb);
}

static int print_words(const struct verb *verb, double status, const cJSON *payload)
{
    struct buf text;
    int exit_code;

    buf_init(&text, VERB_TEXT_MAX);
    buf_printf(&text, "%s: ", verb->name);
    show_text(&text, verb->command->arguments[1]);
    buf_printf(&text, " answered %.0f", status);
    if (payload != NULL && !cJSON_IsNull(payload)) {
        buf_add_text(&text, ": ");
        show_value(&text, payload);
    }
    exit_code = verb_print(verb, &text, buf_add_text(&text, "\n"));
    buf_done(&text);
    return exit_code;
}

/* Prints the answer. The exit code follows the module's status. */
static int print_answer(const struct verb *verb, const cJSON *answer)
{
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(answer, "status");
    const cJSON *payload = cJSON_GetObjectItemCaseSensitive(answer, "payload");
    int exit_code = EX_OK;

    if (!cJSON_IsNumber(status))
        return verb_fail(verb, EX_UNAVAILABLE, "%ld, but the answer has no status%s",
                         verb->answer.status, answer_remedy(0));
    if (verb->options->json)
        verb_print_raw(verb); /* its numbers stay as they are */
    else
        exit_code = print_words(verb, status->valuedouble, payload);
    if (exit_code != EX_OK || (status->valuedouble >= 200 && status->valuedouble < 300))
        return exit_code;
    return verb_fail(verb, EX_DATAERR, "the module answered '%s' with %.0f",
                     verb->command->arguments[1], status->valuedouble);
}

static int call(struct verb *verb, const char *body)
{
    char path[REST_PATH_MAX];
    char methods[REST_PATH_MAX + 16];
    const struct rest_request request = {
        .method = "POST",
        .path = methods,
        .body = body,
        .timeout_s = verb->options->response_timeout_s + verb->options->connect_timeout_s +
                     MARGIN_S,
    };
    const char *end;
    cJSON *answer;
    int exit_code = verb_path(verb, path, "twins");

    if (exit_code != EX_OK)
        return exit_code;
    snprintf(methods, sizeof methods, "%s/methods", path);
    exit_code = verb_ask(verb, &request);
    if (exit_code == EX_OK && answer_exit(verb->answer.status) != EX_OK)
        exit_code = judge(verb);
    if (exit_code != EX_OK)
        return exit_code;
    answer = cJSON_ParseWithLengthOpts(buf_text(&verb->answer.body), verb->answer.body.length + 1,
                                       &end, 1);
    exit_code = print_answer(verb, answer);
    cJSON_Delete(answer);
    return exit_code;
}

int method_run(const struct command *command)
{
    struct verb verb;
    char *body = NULL;
    int exit_code = verb_open(&verb, command, command->arguments[0]);

    if (exit_code == EX_OK)
        exit_code = make_body(&verb, &body);
    if (exit_code == EX_OK)
        exit_code = call(&verb, body);
    cJSON_free(body);
    verb_close(&verb);
    return exit_code;
}
