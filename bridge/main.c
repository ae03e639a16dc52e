/* twinbridge: the command line. Each verb is a file in cli/ and a row here. */
#include "bridge/cli/cli.h"

#include "bridge/log.h"

#include <stddef.h>

enum { GROUP_RUN = 1, GROUP_CHECK = 2 };

static const struct command_option options[] = {
    { .name = "--log-level",
      .value = "error|warn|info|debug", /* in the order of enum log_level */
      .text = "log what is at least as serious; info when it is not given",
      .groups = GROUP_RUN,
      .kind = COMMAND_WORD,
      .field = offsetof(struct cli_options, log_level) },
    { .name = "--strict",
      .text = "warnings count as mistakes",
      .groups = GROUP_CHECK,
      .kind = COMMAND_FLAG,
      .field = offsetof(struct cli_options, strict) },
    { .name = "--json",
      .text = "print an array of {file, line, column, path, severity, message} on standard output, "
              "and nothing else",
      .groups = GROUP_CHECK,
      .kind = COMMAND_FLAG,
      .field = offsetof(struct cli_options, json) },
};

static const struct command_verb verbs[] = {
    { .name = "run",
      .arguments = "FILE",
      .summary = "run the bridge on a mapping file, until SIGTERM or SIGINT",
      .text = "Mistakes in FILE end it before anything is started. Absent devices, an absent hub "
              "and missing credentials do not: they are logged, shown on the status page and tried "
              "again.\n"
              "\n"
              "The log goes to standard error, a line for each event. The status page is at "
              "http://127.0.0.1:8080/ unless FILE says otherwise.",
      .groups = GROUP_RUN,
      .least = 1,
      .most = 1,
      .run = cli_run },
    { .name = "check",
      .arguments = "FILE",
      .summary = "list every mistake in a mapping file",
      .text =
          "Touches no device and no hub. Each mistake is a line on standard error: "
          "FILE:LINE:COLUMN: where in the document it is, what is wrong, and what to write "
          "instead. Warnings are marked as such. A file that can be used is summed up in a line "
          "on standard output.\n"
          "\n"
          "Exits with 0 when there is no mistake, else with 78.",
      .groups = GROUP_CHECK,
      .least = 1,
      .most = 1,
      .run = cli_check },
};

static const struct command_section sections[] = {
    { .title = "Exit status",
      .text = "  0   done; run: stopped by SIGTERM or SIGINT\n"
              "  64  the command line is wrong\n"
              "  66  FILE cannot be read\n"
              "  70  an internal error, or memory ran out\n"
              "  75  run: the address of the status page is taken\n"
              "  78  FILE has mistakes" },
    { .title = "Environment",
      .text = "  CREDENTIALS_DIRECTORY  where modules' connection strings are looked for after\n"
              "                         the folder that FILE names; systemd sets it\n"
              "  STATE_DIRECTORY        where the state is kept when FILE does not say; systemd\n"
              "                         sets it\n"
              "  JOURNAL_STREAM         set by systemd: log lines are without time and level,\n"
              "                         which the journal keeps" },
    { .title = "Files",
      .text = "  /etc/twinbridge/credentials/MODULE  the connection string of a module, unless\n"
              "                                      FILE names another folder\n"
              "  /var/lib/twinbridge                 the state: which orders of the twin were\n"
              "                                      carried out" },
    { .title = "Examples",
      .text =
          "  twinbridge check mapping.json\n"
          "  twinctl provision mapping.json\n"
          "  twinbridge run mapping.json\n"
          "\n"
          "The mapping file is found without mistakes, its modules are made on the hub, and the "
          "bridge runs until Ctrl-C." },
    { .title = "See also", .text = "twinctl(1), hubsim(1), modbussim(1)" },
};

static const struct command_program program = {
    .name = "twinbridge",
    .version = TWINBRIDGE_VERSION,
    .summary = "keeps Azure IoT Hub module twins true to Modbus devices",
    .text = "Polls Modbus devices and keeps an Azure IoT Hub module twin for each of them true in "
            "both directions: registers become reported properties, desired properties become "
            "register writes that are read back and acknowledged. One mapping file says which "
            "devices there are, what their registers mean and where the hub is.",
    .verbs = verbs,
    .verb_count = sizeof verbs / sizeof verbs[0],
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .sections = sections,
    .section_count = sizeof sections / sizeof sections[0],
};

int main(int argc, char **argv)
{
    struct cli_options values = { .log_level = LEVEL_INFO };

    return command_main(&program, &values, argc, argv);
}
