/* Walks over a program's table and its texts.
 *
 * Happy path: an iterator is asked until it says that there is no more. Fails never: a table is the
 * program's own. */
#include "base/command_table.h"

#include <string.h>

/* The options that every program has. --help comes first: it is the one that a verb has, too. */
static const struct command_option own[] = {
    { .name = "--help", .text = "print this help" },
    { .name = "--version", .text = "print the version" },
    { .name = "--man", .text = "print the manual page, to pipe into man -l -" },
    { .name = "--bash-completion", .text = "print a completion script for bash" },
};

enum { OWN_COUNT = sizeof own / sizeof own[0] };

const struct command_option *command_option_next(const struct command_program *program,
                                                 const struct command_verb *verb,
                                                 enum command_list list, size_t *i)
{
    bool of_verb = verb != NULL && verb->name[0] != '\0';

    if (list == COMMAND_LIST_OWN)
        return *i < (of_verb ? 1 : OWN_COUNT) ? &own[(*i)++] : NULL;
    while (*i < program->option_count) {
        const struct command_option *option = &program->options[(*i)++];

        if (list == COMMAND_LIST_ALL ? option->groups == 0
                                     : verb != NULL && (option->groups & verb->groups) != 0)
            return option;
    }
    return NULL;
}

bool command_has_verbs(const struct command_program *program)
{
    return program->verbs[0].name[0] != '\0';
}

bool command_takes(const struct command_verb *verb, const struct command_option *option)
{
    return option->groups == 0 || (option->groups & verb->groups) != 0;
}

size_t command_group(const struct command_verb *verb)
{
    const char *space = strchr(verb->name, ' ');

    return space == NULL ? 0 : (size_t)(space - verb->name);
}

bool command_in_group(const struct command_verb *verb, const char *group)
{
    size_t length = command_group(verb);

    return length > 0 && strlen(group) == length && strncmp(verb->name, group, length) == 0;
}

bool command_next_line(const char **text, const char **line, size_t *length)
{
    if (**text == '\0')
        return false;
    *line = *text;
    *length = strcspn(*text, "\n");
    *text += *length + ((*text)[*length] == '\n');
    return true;
}

bool command_next_word(const char **text, char separator, const char **word, size_t *length)
{
    const char end[] = { separator, '\0' };

    *text += strspn(*text, end);
    if (**text == '\0')
        return false;
    *word = *text;
    *length = strcspn(*text, end);
    *text += *length;
    return true;
}
