/* What reading a command line, help, man page and completion all ask of a program's table. Pure;
 * for base/command*.c only. */
#pragma once

#include "base/command.h"

/* The options of a verb (or of the program) come in three lists. */
enum command_list {
    COMMAND_LIST_VERB, /* of the verb and others that share a group with it */
    COMMAND_LIST_ALL,  /* of every verb */
    COMMAND_LIST_OWN,  /* of every program: --help and its like; behind a verb only --help */
};

/* The option of the list at or behind *i, and *i behind it; NULL after the last. Start with *i = 0.
 * `verb` NULL: of the program, whose list of a verb is empty. */
const struct command_option *command_option_next(const struct command_program *program,
                                                 const struct command_verb *verb,
                                                 enum command_list list, size_t *i);

/* Whether the program has verbs that are named. */
bool command_has_verbs(const struct command_program *program);

/* Whether the option may stand behind the verb. */
bool command_takes(const struct command_verb *verb, const struct command_option *option);

/* The length of the group that the verb is in, its first word of two; 0 when it is in none. */
size_t command_group(const struct command_verb *verb);

/* Whether the verb's first word of two is `group`. */
bool command_in_group(const struct command_verb *verb, const char *group);

/* The next line of *text without its end; false after the last. */
bool command_next_line(const char **text, const char **line, size_t *length);

/* The next of the words of *text, which `separator` stands between; false after the last. */
bool command_next_word(const char **text, char separator, const char **word, size_t *length);
