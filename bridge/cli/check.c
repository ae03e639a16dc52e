/* twinbridge check: every mistake in a mapping file, without touching a device or the hub.
 *
 * Mistakes and warnings go to standard error, a line each that editors and scripts can jump to; the
 * summary goes to standard output when the file can be used. With --json one array goes to standard
 * output and nothing else is said. */
#include "bridge/cli/cli.h"

#include "adapters/adapter.h"
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

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

static void print_result(const char *file, const struct config *config,
                         const struct config_errors *errors)
{
    size_t mistakes = config_errors_count(errors), warnings = config_warnings_count(errors);

    config_errors_print(errors, stderr);
    if (config == NULL) {
        fprintf(stderr, "%s: %zu mistake%s", file, mistakes, plural(mistakes));
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

static int check(const struct command *command, struct config_errors *errors)
{
    const struct cli_options *options = command->options;
    const char *file = command->arguments[0];
    struct config *config = NULL;
    int rc = config_load(&config, file, adapters_config, errors);
    int code = cli_load_code(rc, file);

    if (rc == 0 && options->strict && config_warnings_count(errors) > 0)
        code = EX_CONFIG;
    if (rc != -ENOMEM && options->json)
        rc = print_json(errors);
    else if (rc != -ENOMEM)
        print_result(file, config, errors);
    config_free(config);
    return rc == -ENOMEM ? command_fail(command, EX_SOFTWARE, "out of memory") : code;
}

int cli_check(const struct command *command)
{
    struct config_errors *errors = config_errors_new();
    int code;

    if (errors == NULL)
        return command_fail(command, EX_SOFTWARE, "out of memory");
    code = check(command, errors);
    config_errors_free(errors);
    return code;
}
