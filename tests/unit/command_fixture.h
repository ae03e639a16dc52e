/* Two programs as tables, one with verbs and one without, and a way to read a command line against
 * them with everything that is printed in hand. */
#pragma once

#include "base/command.h"

enum { FIXTURE_WORDS_MAX = 16, FIXTURE_WORD_BYTES = 256, FIXTURE_TEXT_BYTES = 16384 };

/* The options of both programs. */
struct settings {
    bool json, force;
    long port, offset;
    int level;
    const char *etag, *file;
    const char *listen[4]; /* in the order given */
    size_t listen_count;
    int quick; /* how often it was given */
};

extern const struct command_program fixture_tool; /* run, twin get, twin update, list, list all */
extern const struct command_program fixture_sim;  /* FILE */

/* What became of a command line. */
struct outcome {
    int rc, exit_code;
    struct command command;
    struct settings settings;
    char out[FIXTURE_TEXT_BYTES], err[FIXTURE_TEXT_BYTES];
    char words[FIXTURE_WORDS_MAX][FIXTURE_WORD_BYTES]; /* what command.arguments point to */
    char *argv[FIXTURE_WORDS_MAX];
};

/* Reads `line`, words with a blank between ("''" is an empty one), behind the program's name. */
void fixture_read(struct outcome *outcome, const struct command_program *program, const char *line);

/* The same with command_main; `stdout_path` is where standard output goes, or NULL to have it in
 * outcome->out. */
void fixture_main(struct outcome *outcome, const struct command_program *program, const char *line,
                  const char *stdout_path);

/* What `print` writes; the caller frees it. */
char *fixture_printed(void (*print)(FILE *out, const struct command_program *program),
                      const struct command_program *program);
