/* Reads a command line against a program's table.
 *
 * Happy path: the words before the first option name a verb, options stand anywhere behind it, what
 * is left are its arguments. Fails with usage (64) and one line that names what is wrong, what was
 * probably meant and where the help is. */
#include "base/command.h"

#include "base/command_table.h"
#include "base/near.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { NAME_MAX_BYTES = 64, LIST_MAX_BYTES = 256 };

/* ---- complaints ---- */

static const char *verb_name(const struct command *command)
{
    return command->verb == NULL ? "" : command->verb->name;
}

/* What follows the program's name in a complaint: ": " or " VERB: ". */
static void print_head(const struct command *command)
{
    const char *verb = verb_name(command);

    fprintf(stderr, "%s%s%s: ", command->program->name, verb[0] != '\0' ? " " : "", verb);
}

int command_fail(const struct command *command, int exit_code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_head(command);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return exit_code;
}

int command_misused(const struct command *command, const char *format, ...)
{
    const char *verb = verb_name(command);
    va_list args;

    va_start(args, format);
    print_head(command);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; see %s %s%s--help\n", command->program->name, verb,
            verb[0] != '\0' ? " " : "");
    return EX_USAGE;
}

/* ---- what was probably meant ---- */

struct hint {
    struct near near;
    char nearest[NAME_MAX_BYTES]; /* what near.best points to */
    char begun[NAME_MAX_BYTES];   /* what begins or ends with what was written */
    char text[2 * NAME_MAX_BYTES];
};

static void hint_init(struct hint *hint, const char *wanted)
{
    *hint = (struct hint){ .text = "" };
    near_init(&hint->near, wanted);
}

/* Offers the first `length` characters of `known`. */
static void hint_offer(struct hint *hint, const char *known, size_t length)
{
    const char *wanted = hint->near.wanted;
    size_t wanted_length = strlen(wanted);
    char name[NAME_MAX_BYTES];
    bool begins, ends;

    snprintf(name, sizeof name, "%.*s", (int)length, known);
    length = strlen(name);
    near_offer(&hint->near, name);
    if (hint->near.best == name)
        hint->near.best = memcpy(hint->nearest, name, sizeof name);
    if (wanted_length == 0 || wanted_length >= length || hint->begun[0] != '\0')
        return;
    begins = strncmp(name, wanted, wanted_length) == 0;
    ends = name[length - wanted_length - 1] == ' ' &&
           strcmp(name + length - wanted_length, wanted) == 0;
    if (begins || ends)
        memcpy(hint->begun, name, sizeof name);
}

/* " (did you mean 'NAME'?)", or "" when nothing is near. */
static const char *hint_text(struct hint *hint)
{
    const char *meant = hint->near.best != NULL ? hint->near.best : hint->begun;

    if (meant[0] != '\0')
        snprintf(hint->text, sizeof hint->text, " (did you mean '%s'?)", meant);
    return hint->text;
}

/* ---- verbs ---- */

/* How many of the words at `argv` make the name `name`; 0 when they do not. */
static int words_of(const char *name, int argc, char **argv)
{
    const char *word;
    size_t length;
    int words = 0;

    while (command_next_word(&name, ' ', &word, &length)) {
        if (words >= argc || strlen(argv[words]) != length ||
            strncmp(argv[words], word, length) != 0)
            return 0;
        words++;
    }
    return words;
}

/* The verb that the command line names, and how many words that took. Of "twin" and "twin get" the
 * longer one. */
static const struct command_verb *find_verb(const struct command_program *program, int argc,
                                            char **argv, int *words)
{
    const struct command_verb *found = NULL;

    *words = 0;
    if (!command_has_verbs(program))
        return &program->verbs[0];
    for (size_t i = 0; i < program->verb_count; i++) {
        int count = words_of(program->verbs[i].name, argc, argv);

        if (count > *words) {
            found = &program->verbs[i];
            *words = count;
        }
    }
    return found;
}

static bool is_group(const struct command_program *program, const char *word)
{
    for (size_t i = 0; i < program->verb_count; i++)
        if (command_in_group(&program->verbs[i], word))
            return true;
    return false;
}

/* A group alone: says what it can be followed by. */
static int without_second_word(const struct command *command, const char *group)
{
    const struct command_program *program = command->program;
    char list[LIST_MAX_BYTES] = "";
    size_t length = 0;

    for (size_t i = 0; i < program->verb_count; i++) {
        const struct command_verb *verb = &program->verbs[i];

        if (!command_in_group(verb, group) || length >= sizeof list)
            continue;
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s",
                                   length == 0 ? "" : ", ", verb->name + command_group(verb) + 1);
    }
    return command_misused(command, "'%s' wants a second word: %s", group, list);
}

/* No verb: what is wrong with the words before the first option. */
static int without_verb(const struct command *command, int argc, char **argv)
{
    const struct command_program *program = command->program;
    bool two = argc > 1 && argv[1][0] != '-';
    char words[2 * NAME_MAX_BYTES];
    struct hint hint;

    assert(program->verbs != NULL);
    if (argc == 0) {
        command_print_help(stderr, program, NULL, "");
        return EX_USAGE;
    }
    if (argv[0][0] == '-')
        return command_misused(command, "the verb comes first, before '%s'", argv[0]);
    if (is_group(program, argv[0]) && !two)
        return without_second_word(command, argv[0]);
    if (is_group(program, argv[0]))
        snprintf(words, sizeof words, "%s %s", argv[0], argv[1]);
    else
        snprintf(words, sizeof words, "%s", argv[0]);
    hint_init(&hint, words);
    for (size_t i = 0; i < program->verb_count; i++) {
        const struct command_verb *verb = &program->verbs[i];

        hint_offer(&hint, verb->name, strlen(verb->name));
        hint_offer(&hint, verb->name, command_group(verb));
    }
    return command_misused(command, "there is no verb '%s'%s", words, hint_text(&hint));
}

/* ---- options ---- */

static bool is_named(const struct command_option *option, const char *word)
{
    size_t length = strcspn(word, "=");

    return strlen(option->name) == length && strncmp(option->name, word, length) == 0;
}

static const struct command_option *find_option(const struct command *command, const char *word)
{
    const struct command_program *program = command->program;

    for (size_t i = 0; i < program->option_count; i++)
        if (command_takes(command->verb, &program->options[i]) &&
            is_named(&program->options[i], word))
            return &program->options[i];
    return NULL;
}

/* The first verb that has the option; NULL when there is none. */
static const struct command_verb *find_owner(const struct command_program *program,
                                             const char *word)
{
    for (size_t i = 0; i < program->option_count; i++)
        for (size_t j = 0; is_named(&program->options[i], word) && j < program->verb_count; j++)
            if (command_takes(&program->verbs[j], &program->options[i]))
                return &program->verbs[j];
    return NULL;
}

static int no_option(const struct command *command, const char *word)
{
    const struct command_program *program = command->program;
    const struct command_verb *owner = find_owner(program, word);
    const struct command_option *option;
    char name[NAME_MAX_BYTES];
    struct hint hint;

    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    if (owner != NULL)
        return command_misused(command, "there is no option '%s' here, '%s' has it", name,
                               owner->name);
    hint_init(&hint, name);
    for (enum command_list list = COMMAND_LIST_VERB; list <= COMMAND_LIST_OWN; list++)
        for (size_t i = 0;
             (option = command_option_next(program, command->verb, list, &i)) != NULL;)
            hint_offer(&hint, option->name, strlen(option->name));
    return command_misused(command, "there is no option '%s'%s", name, hint_text(&hint));
}

static int set_number(const struct command *command, const struct command_option *option,
                      long *field, const char *value)
{
    char *end = NULL;
    long number = 0;

    errno = 0;
    if (isdigit((unsigned char)value[0]) || value[0] == '-')
        number = strtol(value, &end, 10);
    if (end == NULL || end == value || *end != '\0' || errno != 0 || number < option->least ||
        number > option->most)
        return command_misused(command, "%s wants a number from %ld to %ld, not '%s'", option->name,
                               option->least, option->most, value);
    *field = number;
    return 0;
}

/* "a|b|c" as "a, b or c". */
static void list_words(char list[LIST_MAX_BYTES], const char *words)
{
    const char *word;
    size_t length, at = 0;

    list[0] = '\0';
    while (command_next_word(&words, '|', &word, &length) && at < LIST_MAX_BYTES)
        at += (size_t)snprintf(list + at, LIST_MAX_BYTES - at, "%s%.*s",
                               at == 0            ? ""
                               : words[0] == '\0' ? " or "
                                                  : ", ",
                               (int)length, word);
}

static int set_word(const struct command *command, const struct command_option *option, int *field,
                    const char *value)
{
    const char *words = option->value, *word;
    char list[LIST_MAX_BYTES];
    size_t length;

    for (int i = 0; command_next_word(&words, '|', &word, &length); i++)
        if (strlen(value) == length && strncmp(value, word, length) == 0) {
            *field = i;
            return 0;
        }
    list_words(list, option->value);
    return command_misused(command, "%s is %s, not '%s'", option->name, list, value);
}

static int set_option(const struct command *command, const struct command_option *option,
                      const char *value)
{
    void *field = (char *)command->options + option->field;
    struct err err = { "cannot be used" };

    switch (option->kind) {
    case COMMAND_FLAG:
        *(bool *)field = true;
        return 0;
    case COMMAND_TEXT:
        *(const char **)field = value;
        return 0;
    case COMMAND_NUMBER:
        return set_number(command, option, field, value);
    case COMMAND_WORD:
        return set_word(command, option, field, value);
    case COMMAND_TAKE:
        if (option->take(command->options, value, &err) == 0)
            return 0;
        return command_misused(command, "%s %s", option->name, err.msg);
    }
    assert(false);
    return 0;
}

/* Reads the option at argv[*i], moving *i over its value. 0, or the usage code after saying what is
 * wrong. */
static int read_option(const struct command *command, int *i, int argc, char **argv)
{
    const struct command_option *option = find_option(command, argv[*i]);
    const char *value = strchr(argv[*i], '=');

    if (option == NULL)
        return no_option(command, argv[*i]);
    if (option->value == NULL && value != NULL)
        return command_misused(command, "%s takes no value", option->name);
    if (option->value == NULL)
        return set_option(command, option, NULL);
    if (value != NULL)
        return set_option(command, option, value + 1);
    /* A forgotten value must not swallow the option behind it. */
    if (*i + 1 >= argc || strcmp(argv[*i + 1], "--") == 0 ||
        find_option(command, argv[*i + 1]) != NULL)
        return command_misused(command, "%s wants a value: %s %s", option->name, option->name,
                               option->value);
    return set_option(command, option, argv[++*i]);
}

/* ---- arguments ---- */

/* "-" is standard input, and what looks like a negative number is one. */
static bool is_option(const char *word)
{
    const char *digit = word + 1 + (word[0] == '-' && word[1] == '.');

    return word[0] == '-' && word[1] != '\0' && !isdigit((unsigned char)*digit);
}

/* The name of the argument that is missing: the `index`th word of the verb's. */
static void missing_name(char name[NAME_MAX_BYTES], const struct command_verb *verb, size_t index)
{
    const char *arguments = verb->arguments, *word;
    size_t length;

    snprintf(name, NAME_MAX_BYTES, "an argument");
    for (size_t i = 0; command_next_word(&arguments, ' ', &word, &length); i++) {
        if (i != index)
            continue;
        if (length > 3 && strncmp(word + length - 3, "...", 3) == 0)
            length -= 3;
        snprintf(name, NAME_MAX_BYTES, "%.*s", (int)length, word);
    }
}

static int check_arguments(const struct command *command)
{
    const struct command_verb *verb = command->verb;
    const char *space = verb->name[0] != '\0' ? " " : "";
    char name[NAME_MAX_BYTES];

    if (command->argument_count < verb->least) {
        missing_name(name, verb, command->argument_count);
        return command_misused(command, "%s is missing: %s%s%s %s", name, command->program->name,
                               space, verb->name, verb->arguments);
    }
    if (command->argument_count <= verb->most)
        return 0;
    if (verb->most == 0)
        return command_misused(command, "there is no argument to take '%s'", command->arguments[0]);
    return command_misused(command, "'%s' is one argument too many: %s%s%s %s",
                           command->arguments[verb->most], command->program->name, space,
                           verb->name, verb->arguments);
}

/* ---- the whole ---- */

/* `exit_code`, or 70 when standard output did not take what was printed. */
static int flushed(const struct command *command, int exit_code)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == EX_OK)
        return command_fail(command, EX_SOFTWARE, "cannot write to standard output");
    return exit_code;
}

/* Whether an option that only prints was given; then it is done. */
static bool has_printed(const struct command *command, int argc, char **argv)
{
    const struct command_program *program = command->program;

    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            command_print_help(stdout, program, command->verb, argv[0]);
        else if (strcmp(argv[i], "--version") == 0)
            printf("%s %s\n", program->name, program->version);
        else if (strcmp(argv[i], "--man") == 0)
            command_print_man(stdout, program);
        else if (strcmp(argv[i], "--bash-completion") == 0)
            command_print_completion(stdout, program);
        else
            continue;
        return true;
    }
    return false;
}

/* Reads options and arguments behind the verb's `words` words. 0, or the usage code. */
static int read_rest(struct command *command, int words, int argc, char **argv)
{
    bool options_end = false;

    for (int i = words; i < argc; i++) {
        int exit_code;

        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (options_end || !is_option(argv[i])) {
            argv[words + (int)command->argument_count++] = argv[i];
        } else {
            exit_code = read_option(command, &i, argc, argv);
            if (exit_code != 0)
                return exit_code;
        }
    }
    command->arguments = (const char *const *)(argv + words);
    return check_arguments(command);
}

int command_read(struct command *out, int *exit_code, const struct command_program *program,
                 void *options, int argc, char **argv)
{
    struct command command = { .program = program, .options = options };
    int words;

    argc = argc > 0 ? argc - 1 : 0;
    argv++;
    command.verb = find_verb(program, argc, argv, &words);
    if (has_printed(&command, argc, argv)) {
        *exit_code = flushed(&command, EX_OK);
        return -EINVAL;
    }
    if (command.verb == NULL) {
        *exit_code = without_verb(&command, argc, argv);
        return -EINVAL;
    }
    *exit_code = read_rest(&command, words, argc, argv);
    if (*exit_code != 0)
        return -EINVAL;
    *out = command;
    return 0;
}

int command_main(const struct command_program *program, void *options, int argc, char **argv)
{
    struct command command;
    int exit_code;

    if (command_read(&command, &exit_code, program, options, argc, argv) != 0)
        return exit_code;
    return flushed(&command, command.verb->run(&command));
}
