/* The command line of a program as a table: what it takes is read, explained (--help), printed as a
 * man page (--man) and completed (--bash-completion) from the same rows. Pure but for standard
 * output and standard error.
 *
 * Texts are plain ASCII. Lines are joined to paragraphs and filled to 80 columns, an empty line
 * ends a paragraph, and a line that begins with a blank is kept as it stands (in a section at its
 * column, elsewhere indented with its text). Kept lines of the form "  TERM  meaning" (two or more
 * blanks between) are a list, which a man page sets in its own way; what goes on with a meaning
 * stands in the meaning's column.
 *
 * Upper-case words that arguments and options take are placeholders: FILE and FOLDER are completed
 * as such, and so is PATCH, which may be a file. A program of a single verb has one row whose name
 * is "". */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct command;

enum command_kind {
    COMMAND_FLAG,   /* field: bool */
    COMMAND_TEXT,   /* field: const char *; argv's, NULL when absent */
    COMMAND_NUMBER, /* field: long, from `least` to `most` */
    COMMAND_TAKE,   /* `take` is called, once for each time it is given */
    COMMAND_WORD,   /* field: int; which of the words of `value` ("a|b|c") it is, from 0 */
};

/* Given again, an option says it anew: the last value counts, but for COMMAND_TAKE. */
struct command_option {
    const char *name; /* "--port" */
    const char
        *value; /* what it takes: "PORT", "FILE", "FOLDER" or its words "a|b|c"; NULL: a flag */
    const char *text;
    unsigned groups; /* the bits of the verbs it belongs to; 0 = all of them */
    enum command_kind kind;
    size_t field; /* where it goes: an offset into the program's options */
    long least, most;
    /* Takes a value (NULL: it is a flag): 0, or -EINVAL with `err`, which follows the option's name
     * in the complaint: "--listen" "wants an IP address, not 'x'". */
    int (*take)(void *options, const char *value, struct err *err);
};

struct command_verb {
    const char *name;      /* one word, or two of which the first is the group: "twin get" */
    const char *arguments; /* "DEVICE[/MODULE]" */
    const char *summary;   /* for the list of all verbs: one line without a full stop */
    const char *text;      /* the rest of its help, behind the summary */
    unsigned groups;       /* the options it takes, besides those of all verbs */
    size_t least, most;    /* how many arguments */
    /* Does it; returns the exit code, a number of <sysexits.h>. */
    int (*run)(const struct command *command);
};

struct command_section {
    const char *title; /* "Environment" */
    const char *text;
};

struct command_program {
    const char *name;
    const char *version;
    const char *summary; /* "a local IoT Hub": follows the name in the first line */
    const char *text;    /* what it is for */
    const struct command_verb *verbs;
    size_t verb_count;
    const struct command_option *options; /* --help, --version, --man, --bash-completion come by
                                             themselves */
    size_t option_count;
    /* The rest of the help, in the order of man pages: "Exit status", "Environment", "Files",
     * "Examples", "See also"; the first at least. */
    const struct command_section *sections;
    size_t section_count;
};

/* What a command line said. */
struct command {
    const struct command_program *program;
    const struct command_verb *verb;
    void *options;
    const char *const *arguments;
    size_t argument_count;
};

/* Reads the command line into `options`, a struct that the caller has filled with the defaults. 0:
 * out->verb->run(out) may be called. Otherwise (-EINVAL) the program is over with *exit_code: help
 * was printed (0, or 70 when standard output did not take it), or the usage was wrong (64), said in
 * one line on standard error; *out is untouched then. A command line without a word gets the help
 * there and 64 if a verb is needed.
 *
 * Options may stand anywhere behind the verb, "--name VALUE" or "--name=VALUE"; "--" ends them. "-"
 * and negative numbers are arguments. `argv` is put in order in place and stays what out->arguments
 * points to. */
int command_read(struct command *out, int *exit_code, const struct command_program *program,
                 void *options, int argc, char **argv);

/* command_read and run in one: the exit code of the program. What was done but did not reach
 * standard output's reader (a full disk) is not done: 70. */
int command_main(const struct command_program *program, void *options, int argc, char **argv);

/* "PROGRAM: ..." or "PROGRAM VERB: ..." and a newline to standard error; returns `exit_code`. */
__attribute__((format(printf, 3, 4))) int command_fail(const struct command *command, int exit_code,
                                                       const char *format, ...);

/* The same for wrong usage that only the program can see, ending in where the help is; returns 64.
 */
__attribute__((format(printf, 2, 3))) int command_misused(const struct command *command,
                                                          const char *format, ...);

/* What --help prints: of one verb, or (verb NULL) of the program; `group` cuts that to the verbs
 * whose first word it is ("" = none). */
void command_print_help(FILE *out, const struct command_program *program,
                        const struct command_verb *verb, const char *group);

/* The man page, section 1, in man(7) macros, dated by the build's version only. */
void command_print_man(FILE *out, const struct command_program *program);

/* A script for bash-completion: verbs, options, and the words or files that an option takes. */
void command_print_completion(FILE *out, const struct command_program *program);
