/* The command line of modbussim: one mapping file and a few options, in any order. */
#include "tests/sim/modbussim/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const char help[] =
    "usage: modbussim FILE [options]\n"
    "\n"
    "The Modbus devices of the mapping file FILE, for a desk without devices: serves every TCP\n"
    "connection of the file at its own address, answers every device's unit id from registers of "
    "its\n"
    "own, and moves the values that the file only reads. What is written is kept, and "
    "temperatures\n"
    "follow their set-point while the pump runs. An unknown unit is answered with exception 11, as "
    "a\n"
    "gateway does. At most 900 clients at a time (libmodbus ends where select() does).\n"
    "\n"
    "options:\n"
    "  --connection NAME --listen ADDR:PORT   serve connection NAME at ADDR:PORT instead; port 0 "
    "takes\n"
    "                                         a free one; repeatable\n"
    "  --control ADDR:PORT                    take commands there, a line each, answered 'ok' or\n"
    "                                         'error ...':\n"
    "                                           set DEVICE.TAG VALUE\n"
    "                                           get DEVICE.TAG\n"
    "                                           unit N|DEVICE|* FAULT [TIMES|PERCENT%]\n"
    "                                           unit N|DEVICE|* ok\n"
    "                                           unit N|DEVICE|* count   requests, faulty answers\n"
    "  --still                                move nothing\n"
    "  --help                                 print this\n"
    "  --version                              print the version\n"
    "\n"
    "faults, for every answer of the unit, the next TIMES of them, or PERCENT of them:\n"
    "  silent         answers nothing\n"
    "  slow 2s        takes 2 s, and its whole connection waits, as behind a serial gateway\n"
    "  late 2s        answers after 2 s, and what is asked meanwhile is answered before\n"
    "  exception CODE [ADDRESS]   to everything, or to what touches ADDRESS (no TIMES)\n"
    "  hangup         closes the connection when it is asked\n"
    "  wire KIND      what no device should send:\n"
    "    short long     a body with a byte too few or too many\n"
    "    cut            the last bytes never come\n"
    "    glued          another's answer in front, in one piece\n"
    "    split dribble  in pieces, byte by byte\n"
    "    duplicate      twice\n"
    "    foreign-id foreign-unit foreign-function   an answer to somebody else\n"
    "    garbage        bytes of chance\n"
    "    close-at N     closes the connection after N bytes\n"
    "    flood storm    for ever: bytes without form, answers to nobody\n"
    "    any            one of these by chance, each time another\n"
    "\n"
    "Prints 'listening NAME ADDR:PORT' for each connection, 'control ADDR:PORT', then 'ready'.\n"
    "Exit codes: 0 ended by SIGTERM or SIGINT, 64 usage, 66 no such connection, 69 address cannot "
    "be\n"
    "had, 70 internal, 75 port taken, 77 port not allowed, 78 mapping file.\n";

static int usage(const char *what, const char *which)
{
    fprintf(stderr, "modbussim: %s '%s'; modbussim --help tells more\n", what, which);
    return EX_USAGE;
}

/* Takes the word at argv[*i], moving *i over its value. 0, or the exit code after saying why. */
static int take(struct options *options, const char **connection, int *i, int argc, char **argv)
{
    const char *word = argv[*i];

    if (strcmp(word, "--still") == 0) {
        options->still = true;
        return 0;
    }
    if (strncmp(word, "--", 2) != 0) {
        if (options->file != NULL)
            return usage("one mapping file is enough, there is also", word);
        options->file = word;
        return 0;
    }
    if (strcmp(word, "--connection") != 0 && strcmp(word, "--listen") != 0 &&
        strcmp(word, "--control") != 0)
        return usage("there is no option", word);
    if (*i + 1 >= argc)
        return usage("a value is missing behind", word);
    (*i)++;
    if (strcmp(word, "--control") == 0) {
        options->control = argv[*i];
    } else if (strcmp(word, "--connection") == 0) {
        *connection = argv[*i];
    } else {
        if (*connection == NULL)
            return usage("--connection NAME must stand before --listen", argv[*i]);
        options->moves[options->move_count].connection = *connection;
        options->moves[options->move_count++].listen = argv[*i];
        *connection = NULL;
    }
    return 0;
}

int options_read(struct options *out, int *exit_code, int argc, char **argv)
{
    struct options options = { 0 };
    const char *connection = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0) {
            fputs(argv[i][2] == 'h' ? help : "modbussim " TWINBRIDGE_VERSION "\n", stdout);
            *exit_code = EX_OK;
            return -EINVAL;
        }
    }
    options.moves = calloc((size_t)argc + 1, sizeof *options.moves);
    if (options.moves == NULL) {
        *exit_code = EX_SOFTWARE;
        return -ENOMEM;
    }
    *exit_code = 0;
    for (int i = 1; i < argc && *exit_code == 0; i++)
        *exit_code = take(&options, &connection, &i, argc, argv);
    if (*exit_code == 0 && connection != NULL)
        *exit_code = usage("--listen ADDR:PORT must stand behind --connection", connection);
    if (*exit_code == 0 && options.file == NULL)
        *exit_code = usage("which mapping file?", "modbussim FILE");
    if (*exit_code != 0) {
        options_done(&options);
        return -EINVAL;
    }
    *out = options;
    return 0;
}

void options_done(struct options *options)
{
    free(options->moves);
    *options = (struct options){ 0 };
}
