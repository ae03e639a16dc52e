/* twinctl: what a back end does with module twins, from the command line. This file is the table of
 * verbs and options that is read, and printed as help, man page and completion (base/command.h). */
#include "bridge/service/verb.h"
#include "bridge/service/way.h"

#include "config/duration.h"

#include <curl/curl.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Which verbs an option belongs to. */
enum {
    ETAG = 1,
    CHANGE = 2, /* twin update, twin replace */
    DRY_RUN = 4,
    CREATE = 8,
    KEYS = 16,
    SHOW_MODULE = 32,
    LIMIT = 64,
    QUERY = 128,
    METHOD = 256,
    WATCH = 512,
    PROVISION = 1024,
    DISABLE = 2048,
    SHOW_IDENTITY = 4096,
};

/* ---- options ---- */

/* A duration with its unit, or a bare number of seconds, from `least_ms` to `most_ms`. */
static int take_duration(uint32_t *out_ms, const char *value, uint32_t least_ms, uint32_t most_ms,
                         struct err *err)
{
    char seconds[DURATION_TEXT_MAX];
    char least[DURATION_TEXT_MAX];
    char most[DURATION_TEXT_MAX];
    uint32_t duration_ms;

    snprintf(seconds, sizeof seconds, "%ss", value);
    if ((duration_parse(value, &duration_ms) != 0 && duration_parse(seconds, &duration_ms) != 0) ||
        duration_ms < least_ms || duration_ms > most_ms) {
        duration_print(least_ms, least);
        duration_print(most_ms, most);
        err_set(err, "wants a time from %s to %s (30s, 500ms, 5m), not '%.40s'", least, most,
                value);
        return -EINVAL;
    }
    *out_ms = duration_ms;
    return 0;
}

/* The same in whole seconds, as the hub wants them. */
static int take_seconds(long *out_s, const char *value, uint32_t least_s, uint32_t most_s,
                        struct err *err)
{
    uint32_t duration_ms;
    int rc = take_duration(&duration_ms, value, least_s * 1000, most_s * 1000, err);

    if (rc == 0 && duration_ms % 1000 != 0) {
        err_set(err, "wants whole seconds, not '%.40s'", value);
        rc = -EINVAL;
    }
    if (rc == 0)
        *out_s = duration_ms / 1000;
    return rc;
}

static int take_interval(void *data, const char *value, struct err *err)
{
    struct options *options = data;

    return take_duration(&options->interval_ms, value, 100, 86400000, err);
}

static int take_timeout(void *data, const char *value, struct err *err)
{
    struct options *options = data;

    return take_duration(&options->timeout_ms, value, 1, 7 * 86400000u, err);
}

static int take_response_timeout(void *data, const char *value, struct err *err)
{
    struct options *options = data;

    return take_seconds(&options->response_timeout_s, value, 5, 300, err);
}

static int take_connect_timeout(void *data, const char *value, struct err *err)
{
    struct options *options = data;

    return take_seconds(&options->connect_timeout_s, value, 0, 300, err);
}

static int take_request_timeout(void *data, const char *value, struct err *err)
{
    struct options *options = data;

    return take_duration(&options->sign_in.timeout_ms, value, 100, 3600000, err);
}

static int take_retry_for(void *data, const char *value, struct err *err)
{
    struct options *options = data;
    int rc = take_duration(&options->retry_for_ms, value, 0, 3600000, err);

    if (rc == 0)
        options->sign_in.retry_for_ms = &options->retry_for_ms;
    return rc;
}

static int take_sign_in(void *data, const char *value, struct err *err)
{
    struct options *options = data;

    if (!way_known(value)) {
        err_set(err, "is one of %s, not '%.40s'", WAY_NAMES, value);
        return -EINVAL;
    }
    options->sign_in.sign_in = value;
    return 0;
}

#define FIELD(name) offsetof(struct options, name)

static const struct command_option options_table[] = {
    { "--tags", NULL, "the patch is for the tags, not for the desired properties", CHANGE,
      COMMAND_FLAG, FIELD(tags), 0, 0, NULL },
    { "--whole", NULL,
      "the patch is {\"tags\": ..., \"properties\": {\"desired\": ...}}, as twin get --json prints "
      "it",
      CHANGE, COMMAND_FLAG, FIELD(whole), 0, 0, NULL },
    { "--etag", "ETAG", "only while it still has this etag; default: the one just read", ETAG,
      COMMAND_TEXT, FIELD(etag), 0, 0, NULL },
    { "--force", NULL, "whatever its etag is", ETAG, COMMAND_FLAG, FIELD(force), 0, 0, NULL },
    { "--dry-run", NULL, "say what would be done, change nothing", DRY_RUN, COMMAND_FLAG,
      FIELD(dry_run), 0, 0, NULL },
    { "--if-missing", NULL, "keep it when it exists already, instead of exit code 65", CREATE,
      COMMAND_FLAG, FIELD(if_missing), 0, 0, NULL },
    { "--show-keys", NULL,
      "print its connection string (with --json: its keys), which are secrets; without, they are "
      "left out",
      KEYS, COMMAND_FLAG, FIELD(show_keys), 0, 0, NULL },
    { "--connection-string", NULL, "print its connection string and nothing else", SHOW_IDENTITY,
      COMMAND_FLAG, FIELD(connection_string), 0, 0, NULL },
    { "--reason", "TEXT", "why, for whoever looks at the device next; at most 128 characters",
      DISABLE, COMMAND_TEXT, FIELD(reason), 0, 0, NULL },
    { "--limit", "N", "print at most N", LIMIT, COMMAND_NUMBER, FIELD(limit), 1, 1000000000, NULL },
    { "--page-size", "N", "rows that the hub sends at a time, 1 to 1000; default 100", QUERY,
      COMMAND_NUMBER, FIELD(page_size), 1, 1000, NULL },
    { "--json-lines", NULL, "print each row as JSON on a line of its own, as it comes", QUERY,
      COMMAND_FLAG, FIELD(json_lines), 0, 0, NULL },
    { "--timeout", "TIME", "how long the method may take to answer, 5s to 300s; default 30s",
      METHOD, COMMAND_TAKE, 0, 0, 0, take_response_timeout },
    { "--connect-timeout", "TIME",
      "how long to wait for a module that is not connected, up to 300s; default 0s", METHOD,
      COMMAND_TAKE, 0, 0, 0, take_connect_timeout },
    { "--interval", "TIME", "how often to look; default 5s", WATCH, COMMAND_TAKE, 0, 0, 0,
      take_interval },
    { "--count", "N", "end after N changes", WATCH, COMMAND_NUMBER, FIELD(count), 1, 1000000000,
      NULL },
    { "--until", "PATH=VALUE",
      "end as soon as this holds, also at once: reported.pump=true, desired.$version=7, "
      "connectionState=Connected; PATH=null waits until it is gone",
      WATCH, COMMAND_TEXT, FIELD(until), 0, 0, NULL },
    { "--timeout", "TIME", "give up after this long, with exit code 75; default: never", WATCH,
      COMMAND_TAKE, 0, 0, 0, take_timeout },
    { "--owner", "USER[:GROUP]", "whom the credential files are for; only root can give files away",
      PROVISION, COMMAND_TEXT, FIELD(owner), 0, 0, NULL },
    { "--json", NULL, "print JSON for scripts", 0, COMMAND_FLAG, FIELD(json), 0, 0, NULL },
    { "--hub-connection-string-file", "FILE",
      "sign-in: a file with the connection string of a policy of the hub; default: the variable "
      "IOTHUB_CONNECTION_STRING",
      0, COMMAND_TEXT, FIELD(sign_in.connection_string_file), 0, 0, NULL },
    { "--hub-name", "NAME",
      "sign in to this hub with Entra instead: its host name, or the first part of it", 0,
      COMMAND_TEXT, FIELD(sign_in.hub_name), 0, 0, NULL },
    { "--sign-in", WAY_NAMES, "how to sign in; default: the first way that is set up", 0,
      COMMAND_TAKE, 0, 0, 0, take_sign_in },
    { "--request-timeout", "TIME", "how long to wait for an answer of the hub; default 60s", 0,
      COMMAND_TAKE, 0, 0, 0, take_request_timeout },
    { "--retry-for", "TIME",
      "how long to repeat what the hub was too busy for, where repeating is safe; default 30s, 0s: "
      "not at all",
      0, COMMAND_TAKE, 0, 0, 0, take_retry_for },
    { "--verbose", NULL, "say on standard error what is tried", 0, COMMAND_FLAG,
      FIELD(sign_in.verbose), 0, 0, NULL },
    { "--port", "PORT", "of the hub; default 443", 0, COMMAND_NUMBER, FIELD(sign_in.port), 1, 65535,
      NULL },
    { "--ca-file", "FILE", "PEM bundle to verify the hub with; default: the system's", 0,
      COMMAND_TEXT, FIELD(sign_in.ca_file), 0, 0, NULL },
};

/* ---- verbs ---- */

#define PATCH_TEXT                                                                                 \
    "PATCH is any of\n"                                                                            \
    "  a.b=1   the property b in a; the value is JSON if it parses, else text\n"                   \
    "  {...}   a JSON object\n"                                                                    \
    "  FILE    a file with a JSON object; write ./FILE when its name holds a '='\n"                \
    "  -       a JSON object from standard input\n"

static const struct command_verb verbs[] = {
    { "twin get", "DEVICE[/MODULE]", "show desired and reported side by side",
      "Prints each property with its desired and its reported value, how long ago each was written "
      "and what the module said about it; '!' marks a desired value that is not the reported one. "
      "--json prints the hub's document as it is.",
      0, 1, 1, twin_get_run },
    { "twin update", "DEVICE[/MODULE] PATCH...", "change desired properties or tags",
      PATCH_TEXT
      "and changes only what it names; null deletes a property. The twin is read first, and the "
      "update is refused when somebody else changed it in between: then both sides are shown, and "
      "the exit code is 75.\n"
      "\n"
      "  twinctl twin update gateway-01/boiler-7 setpoint=21.5 mode.night=true\n"
      "  twinctl twin update gateway-01 --tags site=north",
      ETAG | CHANGE | DRY_RUN, 2, SIZE_MAX, twin_update_run },
    { "twin replace", "DEVICE[/MODULE] PATCH...", "set all desired properties or all tags",
      PATCH_TEXT
      "and is what is there afterwards: the properties that it does not name are removed, and the "
      "module is told so. Without --whole the desired properties are replaced and the tags stay as "
      "they are; with --tags it is the other way round. --dry-run shows what would go.\n"
      "\n"
      "  twinctl twin replace gateway-01/boiler-7 desired.json --dry-run",
      ETAG | CHANGE | DRY_RUN, 2, SIZE_MAX, twin_replace_run },
    { "module list", "DEVICE", "list the modules of a device", "", LIMIT, 1, 1, module_list_run },
    { "module show", "DEVICE/MODULE", "show a module's identity",
      "Keys are printed only with --show-keys or --connection-string.", KEYS | SHOW_IDENTITY, 1, 1,
      module_show_run },
    { "module create", "DEVICE/MODULE", "create a module of a device",
      "The hub makes its keys. twinctl provision FILE does this for a whole mapping file.",
      CREATE | KEYS, 1, 1, module_create_run },
    { "module delete", "DEVICE/MODULE", "delete a module and its twin",
      "Asks nothing. Only the module that was just read is deleted: when somebody else changed or "
      "made it anew in between, the exit code is 75.",
      ETAG, 1, 1, module_delete_run },
    { "device list", "", "list the devices of the hub",
      "The hub lists at most 1000; twinctl query 'SELECT * FROM devices' goes through all of them.",
      LIMIT, 0, 0, device_list_run },
    { "device show", "DEVICE", "show a device's identity",
      "Keys are printed only with --show-keys or --connection-string.", KEYS | SHOW_IDENTITY, 1, 1,
      device_show_run },
    { "device create", "DEVICE", "create a device",
      "The hub makes its keys. A device holds up to 50 modules.", CREATE | KEYS, 1, 1,
      device_create_run },
    { "device delete", "DEVICE", "delete a device and its modules",
      "Asks nothing, and says which modules went along. Only the device that was just read is "
      "deleted: when somebody else changed or made it anew in between, the exit code is 75.",
      ETAG, 1, 1, device_delete_run },
    { "device enable", "DEVICE", "let a device and its modules connect", "", ETAG, 1, 1,
      device_enable_run },
    { "device disable", "DEVICE", "keep a device and its modules away",
      "The hub ends their connections and refuses new ones until the device is enabled again.",
      ETAG | DISABLE, 1, 1, device_disable_run },
    { "query", "QUERY", "ask the hub in its query language",
      "Prints all rows, page after page, as they come: a table for people, with --json one array, "
      "with --json-lines a row on each line. What was changed a moment ago may not be found yet. "
      "Rows that came before a failure stay printed; the array of --json is not closed then, so "
      "that nobody takes it for all.\n"
      "\n"
      "  twinctl query \"SELECT * FROM devices.modules\n"
      "                 WHERE deviceId = 'gateway-01'\"\n"
      "  twinctl query \"SELECT deviceId, moduleId FROM devices.modules\n"
      "                 WHERE properties.reported.temperature > 90\"\n"
      "  twinctl query \"SELECT COUNT() AS modules FROM devices.modules\"",
      LIMIT | QUERY, 1, 1, query_run },
    { "method", "DEVICE[/MODULE] NAME [PAYLOAD|-]", "call a method of a module",
      "PAYLOAD is JSON if it parses, else a text; - reads it from standard input. Prints the "
      "status that the method gave and its answer. The exit code is 0 for a status of 200 to 299, "
      "65 for any other, 69 when the module is not connected, 75 when it does not answer in time. "
      "A call is never repeated: what was asked for may have been done.\n"
      "\n"
      "  twinctl method gateway-01/boiler-7 read '{\"tags\": [\"temperature\"]}'",
      METHOD, 2, 3, method_run },
    { "watch", "DEVICE[/MODULE]", "follow a twin: print what changes",
      "Reads the twin again and again and prints a line for each property that changed, with the "
      "time at which that was seen (UTC); with --json an object on each line. Changes that come "
      "and go between two looks are not seen. When the hub is away it waits, and says so once. "
      "Ctrl-C ends it.\n"
      "\n"
      "  twinctl watch gateway-01/boiler-7\n"
      "  twinctl watch gateway-01/boiler-7 --until connectionState=Connected\n"
      "  twinctl watch gateway-01/boiler-7 --until tags.site=north --timeout 1m",
      WATCH, 1, 1, watch_run },
    { "provision", "FILE", "make what a mapping file needs",
      "Creates the device and the modules of the mapping file FILE that the hub does not have yet, "
      "keeps those it has, and writes each module's connection string into the credentials folder "
      "of the mapping file, readable by its owner only. A file there that is for another module or "
      "hub is left alone and named. Port and CA file default to the mapping file's. Needs a policy "
      "with registry write (iothubowner). Running it again changes nothing that is right already, "
      "and goes on where an earlier run was cut off.\n"
      "\n"
      "  sudo twinctl provision /etc/twinbridge/mapping.json --owner twinbridge",
      DRY_RUN | PROVISION, 1, 1, provision_run },
};

static const struct command_section sections[] = {
    { "Exit status", "  0   done\n"
                     "  64  the command line is wrong\n"
                     "  65  refused by the hub or the module\n"
                     "  66  no such device, module or file\n"
                     "  69  the hub or the module is not reachable\n"
                     "  70  an internal error, or memory ran out\n"
                     "  75  try again: the hub is too busy, or somebody else changed the same\n"
                     "  77  not allowed\n"
                     "  78  the configuration is wrong: sign-in, certificates, mapping file" },
    { "Environment",
      "  IOTHUB_CONNECTION_STRING  sign-in with a shared access policy, when no file is\n"
      "                            given\n"
      "  AZURE_TENANT_ID, AZURE_CLIENT_ID\n"
      "                            sign-in with Entra: who, with one of the next three;\n"
      "                            a managed identity needs none of them\n"
      "  AZURE_CLIENT_SECRET       its secret\n"
      "  AZURE_CLIENT_CERTIFICATE_PATH\n"
      "                            its certificate and key (PEM); the password is in\n"
      "                            AZURE_CLIENT_CERTIFICATE_PASSWORD\n"
      "  AZURE_FEDERATED_TOKEN_FILE\n"
      "                            a token of somebody whom Entra trusts for it\n"
      "  AZURE_AUTHORITY_HOST      where Entra is; default: Azure's public cloud\n"
      "  HTTPS_PROXY, NO_PROXY     the proxy to the hub, and the hosts without one\n"
      "  NO_COLOR                  no colours, on a terminal either" },
    { "Examples", "  export IOTHUB_CONNECTION_STRING='HostName=...;SharedAccessKey=...'\n"
                  "  twinctl provision mapping.json\n"
                  "  twinctl twin get gateway-01/boiler-7\n"
                  "  twinctl twin update gateway-01/boiler-7 setpoint=21.5\n"
                  "  twinctl watch gateway-01/boiler-7 --until reported.setpoint.value=21.5" },
    { "See also", "twinbridge(1), hubsim(1), modbussim(1)" },
};

static const struct command_program program = {
    .name = "twinctl",
    .version = TWINBRIDGE_VERSION,
    .summary = "the module twins of an Azure IoT Hub, from the back end's side",
    .text =
        "Shows and changes twins, makes devices and modules, asks the hub, calls methods. DEVICE "
        "and MODULE are ids of the hub: gateway-01/boiler-7 is the module boiler-7 of the device "
        "gateway-01, gateway-01 alone is the device.",
    .verbs = verbs,
    .verb_count = sizeof verbs / sizeof verbs[0],
    .options = options_table,
    .option_count = sizeof options_table / sizeof options_table[0],
    .sections = sections,
    .section_count = sizeof sections / sizeof sections[0],
};

int main(int argc, char **argv)
{
    struct options options = { .page_size = 100, .response_timeout_s = 30, .interval_ms = 5000 };
    struct command command;
    int exit_code;

    if (command_read(&command, &exit_code, &program, &options, argc, argv) != 0)
        return exit_code;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return command_fail(&command, EX_SOFTWARE, "libcurl does not start");
    exit_code = command.verb->run(&command);
    curl_global_cleanup();
    /* A result that did not reach its reader (a full disk behind '>') is not done. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == EX_OK)
        return command_fail(&command, EX_SOFTWARE, "cannot write to standard output");
    return exit_code;
}
