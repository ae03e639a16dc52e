/* twinbridge check: every mistake in a mapping file, without touching a device or the hub.
 *
 * Mistakes and warnings go to standard error, a line each that editors and scripts can jump to; the
 * summary goes to standard output when the file can be used. With --json one array goes to standard
 * output and nothing else is said. */
#include "bridge/cli/cli.h"

#include "adapters/adapter.h"
#include "config/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct options {
    const char *file;
    bool strict;
    bool json;
};

static void print_help(FILE *out)
{
    fputs("usage: twinbridge check FILE [--strict] [--json]\n\n"
          "Lists every mistake in a mapping file as FILE:LINE:COLUMN: PATH: what, and what to "
          "write.\n"
          "Touches no device and no hub.\n\n"
          "  --strict  warnings count as mistakes\n"
          "  --json    an array of {file, line, column, path, severity, message} for scripts\n\n"
          "exit codes: 0 no mistakes, 64 usage, 66 the file cannot be read, 78 mistakes\n",
          out);
}

/* 0 to go on, -1 when `*code` is the answer already. */
static int read_options(int argc, char **argv, struct options *out, int *code)
{
    static const struct option known[] = {
        { "strict", no_argument, NULL, 's' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (option) {
        case 's':
            out->strict = true;
            break;
        case 'j':
            out->json = true;
            break;
        case 'h':
            print_help(stdout);
            *code = EX_OK;
            return -1;
        default:
            fprintf(stderr,
                    "twinbridge check: there is no option %s; see twinbridge check --help\n",
                    argv[optind - 1]);
            *code = EX_USAGE;
            return -1;
        }
    }
    if (argc - optind != 1) {
        fprintf(stderr, "twinbridge check: %s; see twinbridge check --help\n",
                argc == optind ? "name a mapping file" : "one mapping file at a time");
        *code = EX_USAGE;
        return -1;
    }
    out->file = argv[optind];
    return 0;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_contents(const struct config *config)
{
    size_t tags = 0;

    for (size_t i = 0; i < config->device_count; i++)
        tags += config->devices[i].tag_count;
    printf("%s: %zu connection%s, %zu device%s, %zu tag%s, %zu module%s", config->path,
           config->connection_count, plural(config->connection_count), config->device_count,
           plural(config->device_count), tags, plural(tags), config->module_count,
           plural(config->module_count));
}

static void print_result(const struct options *options, const struct config *config,
                         const struct config_errors *errors)
{
    size_t mistakes = config_errors_count(errors), warnings = config_warnings_count(errors);

    config_errors_print(errors, stderr);
    if (config == NULL) {
        fprintf(stderr, "%s: %zu mistake%s", options->file, mistakes, plural(mistakes));
        if (warnings > 0)
            fprintf(stderr, ", %zu warning%s", warnings, plural(warnings));
        fputc('\n', stderr);
        return;
    }
    print_contents(config);
    if (warnings > 0)
        printf(": no mistakes, %zu warning%s\n", warnings, plural(warnings));
    else
        puts(": no mistakes");
}

static int print_json(const struct config_errors *errors)
{
    char *json = config_errors_json(errors);

    if (json == NULL)
        return -ENOMEM;
    puts(json);
    free(json);
    return 0;
}

int cli_load_code(int rc, const char *file)
{
    if (rc == -EINVAL)
        return access(file, R_OK) != 0 ? EX_NOINPUT : EX_CONFIG;
    return rc == 0 ? EX_OK : EX_SOFTWARE;
}

static int check(const struct options *options, struct config_errors *errors)
{
    struct config *config = NULL;
    int rc = config_load(&config, options->file, adapters_config, errors);
    int code = cli_load_code(rc, options->file);

    if (rc == 0 && options->strict && config_warnings_count(errors) > 0)
        code = EX_CONFIG;
    if (rc != -ENOMEM && options->json)
        rc = print_json(errors);
    else if (rc != -ENOMEM)
        print_result(options, config, errors);
    config_free(config);
    if (rc == -ENOMEM) {
        fprintf(stderr, "twinbridge check: out of memory\n");
        return EX_SOFTWARE;
    }
    return code;
}

int cli_check(int argc, char **argv)
{
    struct options options = { 0 };
    struct config_errors *errors;
    int code;

    if (read_options(argc, argv, &options, &code) < 0)
        return code;
    errors = config_errors_new();
    if (errors == NULL) {
        fprintf(stderr, "twinbridge check: out of memory\n");
        return EX_SOFTWARE;
    }
    code = check(&options, errors);
    config_errors_free(errors);
    return code;
}
