/* Programs and command lines for the tests of base/command.
 *
 * Happy path: standard output and standard error go to memory while a command line is read, and to
 * where they went before afterwards. What the system refuses ends the test program. */
#include "command_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GROUP_RUN = 1, GROUP_GET = 2, GROUP_UPDATE = 4 };

/* ---- the programs ---- */

static int take_listen(void *data, const char *value, struct err *err)
{
    struct settings *settings = data;

    if (strcmp(value, "bad") == 0) {
        err_set(err, "wants an address, not '%s'", value);
        return -EINVAL;
    }
    settings->listen[settings->listen_count++] = value;
    return 0;
}

static int take_quick(void *data, const char *value, struct err *err)
{
    struct settings *settings = data;

    (void)err;
    settings->quick += value == NULL ? 1 : 100;
    return 0;
}

/* Prints its arguments; the exit code is their number plus 40, or 0. */
static int run(const struct command *command)
{
    puts("runs");
    for (size_t i = 0; i < command->argument_count; i++)
        puts(command->arguments[i]);
    return command->argument_count == 0 ? 0 : 40 + (int)command->argument_count;
}

static const struct command_option options[] = {
    { .name = "--level",
      .value = "low|middle|high",
      .text = "how much of it",
      .groups = GROUP_RUN,
      .kind = COMMAND_WORD,
      .field = offsetof(struct settings, level) },
    { .name = "--offset",
      .value = "N",
      .text = "from where on, counted from the end when it is below zero, as it is with the oldest",
      .groups = GROUP_RUN,
      .kind = COMMAND_NUMBER,
      .field = offsetof(struct settings, offset),
      .least = -10,
      .most = 10 },
    { .name = "--listen",
      .value = "ADDR:PORT",
      .text = "where to listen;\nrepeatable\n\nTakes\n  any     all addresses\n  ::1     this one",
      .groups = GROUP_GET,
      .kind = COMMAND_TAKE,
      .take = take_listen },
    { .name = "--quick",
      .text = "hurry",
      .groups = GROUP_GET,
      .kind = COMMAND_TAKE,
      .take = take_quick },
    { .name = "--etag",
      .value = "ETAG",
      .text = "only while it has ETAG",
      .groups = GROUP_UPDATE,
      .kind = COMMAND_TEXT,
      .field = offsetof(struct settings, etag) },
    { .name = "--force",
      .text = "whatever its etag is",
      .groups = GROUP_UPDATE | GROUP_GET,
      .kind = COMMAND_FLAG,
      .field = offsetof(struct settings, force) },
    { .name = "--json",
      .text = "print JSON",
      .kind = COMMAND_FLAG,
      .field = offsetof(struct settings, json) },
    { .name = "--port",
      .value = "PORT",
      .text = "of the hub",
      .kind = COMMAND_NUMBER,
      .field = offsetof(struct settings, port),
      .least = 1,
      .most = 65535 },
    { .name = "--hub-connection-string-file",
      .value = "FILE",
      .text = "where the sign-in is",
      .kind = COMMAND_TEXT,
      .field = offsetof(struct settings, file) },
};

static const struct command_verb verbs[] = {
    { "run", "FILE", "run it", "It runs until it is stopped.", GROUP_RUN, 1, 1, run },
    { "twin get", "DEVICE[/MODULE]", "show a twin", "", GROUP_GET, 1, 1, run },
    { "twin update", "DEVICE[/MODULE] PATCH...", "change a twin",
      "PATCH is any of\n"
      "  a=1    sets a to what stands\n"
      "         behind\n"
      "  a-very-long-one\n"
      "         the same\n"
      "  -      standard input, with --json too\n"
      "and changes what it names.\n"
      "\n"
      "  tool twin update d 'a=\\1' .x\n"
      ".hidden and 'quoted' stay as they are.",
      GROUP_UPDATE, 2, SIZE_MAX, run },
    { "list", "", "list some", "", 0, 0, 0, run },
    { "list all", "", "list all", "", 0, 0, 0, run },
};

static const struct command_section sections[] = {
    { "Exit status", "  0   done\n  64  wrong usage" },
    { "See also", "sim(1), and /tmp/FILE of FILENAME" },
};

const struct command_program fixture_tool = {
    .name = "tool",
    .version = "1.2.3",
    .summary = "a tool",
    .text = "Does what a tool does.",
    .verbs = verbs,
    .verb_count = sizeof verbs / sizeof verbs[0],
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .sections = sections,
    .section_count = sizeof sections / sizeof sections[0],
};

static const struct command_option sim_options[] = {
    { .name = "--state",
      .value = "FOLDER",
      .text = "where to keep it",
      .kind = COMMAND_TEXT,
      .field = offsetof(struct settings, file) },
    { .name = "--count",
      .value = "N",
      .text = "how many",
      .kind = COMMAND_NUMBER,
      .field = offsetof(struct settings, port),
      .least = 0,
      .most = LONG_MAX },
    { .name = "--json",
      .text = "print JSON",
      .kind = COMMAND_FLAG,
      .field = offsetof(struct settings, json) },
};

static const struct command_verb only[] = { { "", "FILE", "", "More of it.", 0, 1, 1, run } };

const struct command_program fixture_sim = {
    .name = "sim",
    .version = "1.2.3",
    .summary = "a simulator",
    .text = "Simulates.",
    .verbs = only,
    .verb_count = 1,
    .options = sim_options,
    .option_count = sizeof sim_options / sizeof sim_options[0],
    .sections = sections,
    .section_count = 1,
};

/* ---- what is printed ---- */

struct redirected {
    int fd, saved, to;
};

static int checked(int result)
{
    if (result < 0) {
        perror("command_fixture");
        abort();
    }
    return result;
}

static void redirect(struct redirected *r, int fd, const char *path)
{
    fflush(NULL);
    r->fd = fd;
    r->to = checked(path == NULL ? memfd_create("printed", 0) : open(path, O_RDWR));
    r->saved = checked(dup(fd));
    checked(dup2(r->to, fd));
}

static void restore(struct redirected *r, char text[FIXTURE_TEXT_BYTES])
{
    ssize_t length;

    fflush(NULL);
    checked(dup2(r->saved, r->fd));
    length = pread(r->to, text, FIXTURE_TEXT_BYTES - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    close(r->saved);
    close(r->to);
    clearerr(stdout);
}

/* ---- command lines ---- */

static int split(struct outcome *outcome, const char *name, const char *line)
{
    int argc = 0;

    *outcome = (struct outcome){ .settings = { .port = 443, .level = -1 } };
    snprintf(outcome->words[argc++], FIXTURE_WORD_BYTES, "%s", name);
    while (*line != '\0') {
        size_t length = strcspn(line, " ");
        bool empty = length == 2 && strncmp(line, "''", 2) == 0;

        snprintf(outcome->words[argc++], FIXTURE_WORD_BYTES, "%.*s", empty ? 0 : (int)length, line);
        line += length + (line[length] == ' ');
    }
    for (int i = 0; i < argc; i++)
        outcome->argv[i] = outcome->words[i];
    return argc;
}

void fixture_read(struct outcome *outcome, const struct command_program *program, const char *line)
{
    int argc = split(outcome, program->name, line);
    struct redirected out, err;

    outcome->exit_code = -1;
    redirect(&out, STDOUT_FILENO, NULL);
    redirect(&err, STDERR_FILENO, NULL);
    outcome->rc = command_read(&outcome->command, &outcome->exit_code, program, &outcome->settings,
                               argc, outcome->argv);
    restore(&err, outcome->err);
    restore(&out, outcome->out);
}

void fixture_main(struct outcome *outcome, const struct command_program *program, const char *line,
                  const char *stdout_path)
{
    int argc = split(outcome, program->name, line);
    struct redirected out, err;

    redirect(&out, STDOUT_FILENO, stdout_path);
    redirect(&err, STDERR_FILENO, NULL);
    outcome->exit_code = command_main(program, &outcome->settings, argc, outcome->argv);
    restore(&err, outcome->err);
    restore(&out, outcome->out);
}

char *fixture_printed(void (*print)(FILE *out, const struct command_program *program),
                      const struct command_program *program)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL)
        abort();
    print(out, program);
    fclose(out);
    return text;
}
