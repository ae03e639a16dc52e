/* The command line of modbussim as a table: one mapping file and a few options.
 *
 * Happy path: options are collected as they come, each --listen with the --connection before it.
 * Fails with usage (64), also for one of the two without the other. */
#include "tests/sim/modbussim/options.h"

#include "base/command.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

static int take_connection(void *data, const char *value, struct err *err)
{
    struct options *options = data;

    if (options->connection != NULL) {
        err_set(err, "%s: --listen ADDR:PORT must stand behind --connection %s first", value,
                options->connection);
        return -EINVAL;
    }
    options->connection = value;
    return 0;
}

static int take_listen(void *data, const char *value, struct err *err)
{
    struct options *options = data;
    struct options_move *move = &options->moves[options->move_count];

    if (options->connection == NULL) {
        err_set(err, "%s: --connection NAME must stand before it", value);
        return -EINVAL;
    }
    *move = (struct options_move){ .connection = options->connection, .listen = value };
    options->move_count++;
    options->connection = NULL;
    return 0;
}

static const struct command_option rows[] = {
    { .name = "--connection",
      .value = "NAME",
      .text = "serve connection NAME of FILE at another address, that of the --listen behind it; "
              "repeatable",
      .kind = COMMAND_TAKE,
      .take = take_connection },
    { .name = "--listen",
      .value = "ADDR:PORT",
      .text = "where to serve the connection named before it; port 0 takes a free one",
      .kind = COMMAND_TAKE,
      .take = take_listen },
    { .name = "--control",
      .value = "ADDR:PORT",
      .text = "take commands there, a line each; port 0 takes a free one",
      .kind = COMMAND_TEXT,
      .field = offsetof(struct options, control) },
    { .name = "--still",
      .text = "move nothing: values stay until they are written or set",
      .kind = COMMAND_FLAG,
      .field = offsetof(struct options, still) },
};

static const struct command_verb only = {
    .name = "",
    .arguments = "FILE",
    .summary = "",
    .text = "",
    .least = 1,
    .most = 1,
};

static const struct command_section sections[] = {
    { .title = "Output",
      .text = "A line each on standard output:\n"
              "\n"
              "  listening NAME ADDR:PORT  for each connection\n"
              "  control ADDR:PORT         with --control\n"
              "  ready                     everything listens" },
    { .title = "Commands",
      .text = "What --control takes, answered 'ok', with what was asked for behind it, or\n"
              "'error' and why. A unit is a number (that unit of every connection), a DEVICE of\n"
              "FILE, or * for all.\n"
              "\n"
              "  get DEVICE.TAG          the value\n"
              "  set DEVICE.TAG VALUE    put it into the registers\n"
              "  unit UNIT FAULT [N|N%]  misbehave: always, in the next N answers, or in N% of\n"
              "                          them\n"
              "  unit UNIT ok            behave again\n"
              "  unit UNIT count         how many requests, how many faulty answers" },
    { .title = "Faults",
      .text = "  silent                    answers nothing\n"
              "  slow 2s                   takes 2 s, and its whole connection waits, as behind\n"
              "                            a serial gateway\n"
              "  late 2s                   answers after 2 s; what is asked meanwhile is\n"
              "                            answered before\n"
              "  exception CODE [ADDRESS]  refuses everything, or what touches ADDRESS (takes\n"
              "                            N%, not N)\n"
              "  hangup                    closes the connection when it is asked\n"
              "  wire KIND                 sends what no device should\n"
              "\n"
              "KIND is one of\n"
              "\n"
              "  short, long       a body with a byte too few or too many\n"
              "  cut               the last bytes never come\n"
              "  glued             another's answer in front, in one piece\n"
              "  split, dribble    in pieces, byte by byte\n"
              "  duplicate         twice\n"
              "  foreign-id, foreign-unit, foreign-function\n"
              "                    an answer to somebody else\n"
              "  garbage           bytes of chance\n"
              "  close-at N        closes the connection after N bytes\n"
              "  flood, storm      for ever: bytes without form, answers to nobody\n"
              "  any               one of these by chance, each time another" },
    { .title = "Exit status",
      .text = "  0   ended by SIGTERM or SIGINT\n"
              "  64  the command line is wrong\n"
              "  66  FILE has no connection NAME\n"
              "  69  an address cannot be had on this machine\n"
              "  70  an internal error, or memory ran out\n"
              "  75  a port is taken\n"
              "  77  a port is not allowed\n"
              "  78  FILE cannot be read, or has mistakes" },
    { .title = "Examples",
      .text = "  modbussim mapping.json --connection plant --listen 127.0.0.1:15020 \\\n"
              "      --control 127.0.0.1:15099\n"
              "\n"
              "The connection plant is served at port 15020. In another terminal, with nc(1):\n"
              "\n"
              "  echo 'unit boiler-7 silent 3' | nc -N 127.0.0.1 15099\n"
              "\n"
              "The next three requests to boiler-7 are not answered." },
    { .title = "See also", .text = "twinbridge(1), hubsim(1), twinctl(1)" },
};

static const struct command_program program = {
    .name = "modbussim",
    .version = TWINBRIDGE_VERSION,
    .summary = "the Modbus devices of a mapping file, simulated",
    .text = "For a desk without devices: serves every TCP connection of FILE at its own address, "
            "answers every device's unit id from registers of its own, and moves the values that "
            "FILE only reads. What is written is kept, and temperatures follow their set-point "
            "while the pump runs. An unknown unit is answered with exception 11, as a gateway "
            "does.\n"
            "\n"
            "At most 900 clients at a time are served (libmodbus ends where select(2) does).",
    .verbs = &only,
    .verb_count = 1,
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
    .sections = sections,
    .section_count = sizeof sections / sizeof sections[0],
};

int options_read(struct options *out, int *exit_code, int argc, char **argv)
{
    struct options options = { 0 };
    struct command command;
    int rc;

    options.moves = calloc((size_t)argc + 1, sizeof *options.moves);
    if (options.moves == NULL) {
        *exit_code = EX_SOFTWARE;
        return -ENOMEM;
    }
    rc = command_read(&command, exit_code, &program, &options, argc, argv);
    if (rc == 0 && options.connection != NULL) {
        *exit_code = command_misused(
            &command, "--listen ADDR:PORT must stand behind --connection %s", options.connection);
        rc = -EINVAL;
    }
    if (rc != 0) {
        options_done(&options);
        return rc;
    }
    options.file = command.arguments[0];
    *out = options;
    return 0;
}

void options_done(struct options *options)
{
    free(options->moves);
    *options = (struct options){ 0 };
}
