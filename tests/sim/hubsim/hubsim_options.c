/* The command line of hubsim as a table: a state, addresses, and a switch for every open point of the
 * hub's behaviour.
 *
 * Happy path: options are read over their defaults; what belongs together is joined. Fails with usage
 * (64), also without --state. */
#include "tests/sim/hubsim/hubsim_options.h"

#include "base/command.h"
#include "tests/sim/hubsim/address.h"
#include "tests/sim/hubsim/auth.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static int take_listen(void *data, const char *value, struct err *err)
{
    struct hubsim_options *options = data;

    if (!address_is_literal(value)) {
        err_set(err, "wants an IP address, not '%.100s'", value);
        return -EINVAL;
    }
    options->listen = value;
    return 0;
}

static int take_host_name(void *data, const char *value, struct err *err)
{
    struct hubsim_options *options = data;
    size_t length = strspn(value,
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:");

    if (length == 0 || length >= AUTH_NAME_MAX || value[length] != 0) {
        err_set(err, "wants a host name, not '%.100s'", value);
        return -EINVAL;
    }
    options->host_name = value;
    return 0;
}

#define FIELD(name) .field = offsetof(struct hubsim_options, name)

static const struct command_option rows[] = {
    { .name = "--state",
      .value = "FILE",
      .text = "keys, identities, twins, sessions and queues; made when it is not there",
      .kind = COMMAND_TEXT,
      FIELD(state) },
    { .name = "--listen",
      .value = "ADDRESS",
      .text = "the address to listen on (127.0.0.1)",
      .kind = COMMAND_TAKE,
      .take = take_listen },
    { .name = "--port",
      .value = "PORT",
      .text = "the port; 0 takes a free one (8443)",
      .kind = COMMAND_NUMBER,
      FIELD(port),
      .most = 65535 },
    { .name = "--host-name",
      .value = "NAME",
      .text = "the hub's name in connection strings and in its certificate (localhost)",
      .kind = COMMAND_TAKE,
      .take = take_host_name },
    { .name = "--control",
      .value = "ADDR:PORT",
      .text = "take faults there, a line each; port 0 takes a free one",
      .kind = COMMAND_TEXT,
      FIELD(control) },
    { .name = "--dump",
      .text = "print what FILE holds as JSON, and end",
      .kind = COMMAND_FLAG,
      FIELD(dump) },
    { .name = "--dump-keys",
      .text = "the same with the keys of identities and policies",
      .kind = COMMAND_FLAG,
      FIELD(dump_keys) },
    { .name = "--entra",
      .text = "be an Entra tenant, too: POST /TENANT/oauth2/v2.0/token gives bearer tokens for a "
              "client secret",
      .kind = COMMAND_FLAG,
      FIELD(entra) },
    { .name = "--entra-certificate",
      .value = "FILE",
      .text = "and for assertions that are signed with the key of this certificate (PEM)",
      .kind = COMMAND_TEXT,
      FIELD(entra_certificate) },
    { .name = "--entra-federated-token",
      .value = "FILE",
      .text = "and for the text of this file, as it is when it is asked for",
      .kind = COMMAND_TEXT,
      FIELD(entra_federated_token) },
    { .name = "--entra-lifetime",
      .value = "SECONDS",
      .text = "how long a bearer token is good for (3599)",
      .kind = COMMAND_NUMBER,
      FIELD(entra_lifetime_s),
      .least = 1,
      .most = 86400 },
    { .name = "--imds",
      .value = "ADDR:PORT",
      .text =
          "give tokens to managed identities there, over plain HTTP, as the metadata address of "
          "a machine in Azure does; port 0 takes a free one",
      .kind = COMMAND_TEXT,
      FIELD(imds) },
    { .name = "--strict-if-match",
      .text = "refuse an etag without quotes in If-Match (400); the real hub ignores it and writes",
      .kind = COMMAND_FLAG,
      FIELD(strict_if_match) },
    { .name = "--expiry-grace",
      .value = "SECONDS",
      .text = "how long a shared access signature is good for after its end (0)",
      .kind = COMMAND_NUMBER,
      FIELD(expiry_grace_s),
      .most = 86400 },
    { .name = "--session-lifetime",
      .value = "SECONDS",
      .text = "how long an MQTT session outlives its connection; 0 = for ever (0)",
      .kind = COMMAND_NUMBER,
      FIELD(session_lifetime_s),
      .most = 100000000 },
    { .name = "--forbidden-filter",
      .value = "close|suback",
      .text = "a SUBSCRIBE to a filter that the hub does not have ends the connection, or is "
              "answered with 0x80 (close)",
      .kind = COMMAND_WORD,
      FIELD(forbidden_filter) },
    { .name = "--report-changes",
      .value = "version|both|neither",
      .text =
          "what a reported patch changes in the twin as a whole: its version, that and its etag "
          "(version)",
      .kind = COMMAND_WORD,
      FIELD(report_changes) },
    { .name = "--missing-section",
      .value = "empty|kept",
      .text = "what becomes of tags or desired properties that a PUT leaves out (empty)",
      .kind = COMMAND_WORD,
      FIELD(missing_section) },
    { .name = "--equal-desired",
      .value = "told|ignored",
      .text = "whether desired properties that change nothing count as a write (told)",
      .kind = COMMAND_WORD,
      FIELD(equal_desired) },
    { .name = "--size-rule",
      .value = "characters|bytes",
      .text = "what the size of a twin's section is counted in (characters)",
      .kind = COMMAND_WORD,
      FIELD(size_rule) },
    { .name = "--rest-oversize",
      .value = "413|400",
      .text = "the answer to a write over REST that makes a twin too large (413)",
      .kind = COMMAND_WORD,
      FIELD(rest_oversize) },
    { .name = "--mqtt-oversize",
      .value = "400|413",
      .text = "the answer to a reported patch that does (400)",
      .kind = COMMAND_WORD,
      FIELD(mqtt_oversize) },
    { .name = "--module-created",
      .value = "200|201",
      .text = "the answer to the creation of a module (200)",
      .kind = COMMAND_WORD,
      FIELD(module_created) },
    { .name = "--tls",
      .value = "any|1.2",
      .text = "the versions of TLS that are spoken: 1.2 and 1.3, or 1.2 alone (any)",
      .kind = COMMAND_WORD,
      FIELD(tls) },
};

static const struct command_verb only = {
    .name = "",
    .arguments = "--state FILE",
    .summary = "",
    .text = "",
};

static const struct command_section sections[] = {
    { .title = "Output",
      .text = "A line each on standard output:\n"
              "\n"
              "  policy NAME CONNECTION-STRING\n"
              "            for each of the five shared access policies\n"
              "  entra TENANT CLIENT-ID SECRET AUTHORITY\n"
              "            with --entra: what AZURE_TENANT_ID, AZURE_CLIENT_ID,\n"
              "            AZURE_CLIENT_SECRET and AZURE_AUTHORITY_HOST are to be\n"
              "  imds URL  with --imds: the metadata address\n"
              "  ca FILE   the certificate that clients must trust\n"
              "  control ADDR:PORT\n"
              "            with --control\n"
              "  ready https://HOST:PORT" },
    { .title = "Messages",
      .text = "What devices and modules send is kept, the newest 1,000, and read with\n"
              "GET /hubsim/messages?after=NUMBER&top=COUNT and the permission ServiceConnect:\n"
              "an array of {number, deviceId, moduleId, enqueuedTime, systemProperties,\n"
              "properties, body, bodyBase64}, oldest first.\n"
              "\n"
              "POST /devices/DEVICE/messages/deviceBound?api-version=2021-04-12 sends its body to\n"
              "a device. The headers iothub-messageid, iothub-correlationid, iothub-userid,\n"
              "iothub-to, iothub-ack and content-type become properties, hubsim-properties holds\n"
              "those of the application as in a topic (k=v&k2=v2), hubsim-ttl is its life in\n"
              "seconds." },
    { .title = "Faults",
      .text =
          "What --control takes is answered 'ok', with what was asked for behind it, or 'error'\n"
          "and why; an unknown fault is answered with the names of all. Each is for an\n"
          "identity, DEVICE or DEVICE/MODULE, or for all (*):\n"
          "\n"
          "  * drop                    closes all connections\n"
          "  DEVICE/MODULE refuse 5    answers its CONNECT with code 5\n"
          "  DEVICE/MODULE ok          no faults any more\n"
          "  DEVICE/MODULE status      what was counted of it" },
    { .title = "Exit status",
      .text = "  0   ended by SIGTERM or SIGINT, or dumped\n"
              "  64  the command line is wrong\n"
              "  66  --dump: there is no FILE\n"
              "  69  an address cannot be had on this machine\n"
              "  70  an internal error, or memory ran out\n"
              "  75  FILE is another process's, or a port is taken\n"
              "  77  FILE or a port is not allowed\n"
              "  78  FILE is no state of hubsim, or a certificate cannot be read" },
    { .title = "Files",
      .text = "  FILE         the state, an SQLite database. What was answered with success is\n"
              "               in it, also after SIGKILL\n"
              "  FILE.ca.pem  the certificate that clients must trust" },
    { .title = "Examples",
      .text = "  hubsim --state hub.db &\n"
              "  hubsim --state hub.db --dump | jq '.modules[].twin.properties'\n"
              "\n"
              "The second only when the first has ended." },
    { .title = "See also", .text = "twinctl(1), twinbridge(1), modbussim(1)" },
};

static const struct command_program program = {
    .name = "hubsim",
    .version = TWINBRIDGE_VERSION,
    .summary = "a local IoT Hub",
    .text =
        "For a desk without Azure: MQTT over WebSockets for devices and modules, and the REST API "
        "of the back end, on one TLS port. Azure's SDKs work with it as they are.\n"
        "\n"
        "Where no public source says how the real hub behaves, an option decides; its default is "
        "in parentheses.",
    .verbs = &only,
    .verb_count = 1,
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .sections = sections,
    .section_count = sizeof sections / sizeof sections[0],
};

/* The words as rules; each is in the order of its enumeration, or of its table here. */
static void decide(struct hubsim_options *options)
{
    static const int rest[] = { 413, 400 }, mqtt[] = { 400, 413 }, created[] = { 200, 201 };

    options->rules = (struct hub_rules){
        .forbidden_filter = (enum hub_forbidden_filter)options->forbidden_filter,
        .report_changes = (enum hub_report_changes)options->report_changes,
        .missing_section = (enum hub_missing_section)options->missing_section,
        .size_rule = (enum hub_size_rule)options->size_rule,
        .equal_desired = (enum hub_equal_desired)options->equal_desired,
        .created_status = created[options->module_created],
        .mqtt_oversize_status = mqtt[options->mqtt_oversize],
        .rest_oversize_status = rest[options->rest_oversize],
        .session_expiry_s = (uint32_t)options->session_lifetime_s,
        .strict_if_match = options->strict_if_match,
    };
    options->dump = options->dump || options->dump_keys;
    options->entra = options->entra || options->entra_certificate != NULL ||
                     options->entra_federated_token != NULL || options->imds != NULL;
}

int hubsim_options_read(struct hubsim_options *out, int *exit_code, int argc, char **argv)
{
    struct hubsim_options options = {
        .listen = "127.0.0.1", .host_name = "localhost", .port = 8443, .entra_lifetime_s = 3599
    };
    struct command command;
    int rc = command_read(&command, exit_code, &program, &options, argc, argv);

    if (rc != 0)
        return rc;
    if (options.state == NULL) {
        *exit_code = command_misused(&command, "--state FILE is missing");
        return -EINVAL;
    }
    decide(&options);
    *out = options;
    return 0;
}
