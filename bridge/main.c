/* twinbridge: the command line. Each verb is a file in cli/ and a row here. */
#include "bridge/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct cli_verb verbs[] = {
    { "run", "FILE", "run the bridge on a mapping file", cli_run },
    { "check", "FILE", "find mistakes in a mapping file", cli_check },
};

enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *out)
{
    fputs("twinbridge keeps Azure IoT Hub module twins true to Modbus devices.\n\n"
          "usage: twinbridge VERB [OPTIONS] ...\n\n",
          out);
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-8s %-6s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
    fputs("\n  --help, --version\n\n`twinbridge VERB --help` says more of one.\n", out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EX_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return EX_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("twinbridge " TWINBRIDGE_VERSION);
        return EX_OK;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "twinbridge: there is no verb \"%s\"; see twinbridge --help\n", argv[1]);
    return EX_USAGE;
}
