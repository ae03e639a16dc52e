/* --bash-completion: a script that completes the program in bash, from its table.
 *
 * Happy path: the script holds the table as the branches of two case statements: what may stand
 * behind an option that takes something, and what may follow the verb so far. It needs nothing but
 * bash 4. Fails never: what the stream does not take is lost with it. */
#include "base/command_table.h"

#include <string.h>

/* ---- what may be given for a placeholder ---- */

/* The action of bash's compgen for a value or an argument; NULL for what only the user knows. */
static const char *action_of(const char *what)
{
    if (strstr(what, "FILE") != NULL || strstr(what, "PATCH") != NULL)
        return "file";
    return strstr(what, "FOLDER") != NULL ? "directory" : NULL;
}

/* "a|b|c" is words; "A|b" is the user's. */
static bool is_words(const char *value)
{
    return strchr(value, '|') != NULL && strpbrk(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL;
}

static void print_value(FILE *out, const char *value)
{
    const char *action = action_of(value), *word;
    size_t length;

    if (!is_words(value)) {
        fprintf(out, "kind='%s'", action != NULL ? action : "none");
        return;
    }
    fputs("kind='words' words='", out);
    while (command_next_word(&value, '|', &word, &length))
        fprintf(out, "%.*s%s", (int)length, word, value[0] != '\0' ? " " : "'");
}

/* Options of one name take the same, whichever verb they stand behind. */
static bool is_first_of_name(const struct command_program *program, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(program->options[i].name, program->options[index].name) == 0)
            return false;
    return true;
}

/* A branch for each option that takes something. */
static void print_values(FILE *out, const struct command_program *program)
{
    for (size_t i = 0; i < program->option_count; i++) {
        const struct command_option *option = &program->options[i];

        if (option->value == NULL || !is_first_of_name(program, i))
            continue;
        fprintf(out, "    %s) ", option->name);
        print_value(out, option->value);
        fputs(" ;;\n", out);
    }
}

/* ---- what may follow the words so far ---- */

static void print_option_names(FILE *out, const struct command_program *program,
                               const struct command_verb *verb)
{
    const struct command_option *option;
    const char *between = "";

    for (enum command_list list = COMMAND_LIST_VERB; list <= COMMAND_LIST_OWN; list++) {
        /* In front of the verb stand only the options that end the program at once. */
        if (verb == NULL && list != COMMAND_LIST_OWN)
            continue;
        for (size_t i = 0; (option = command_option_next(program, verb, list, &i)) != NULL;) {
            fprintf(out, "%s%s", between, option->name);
            between = " ";
        }
    }
}

/* The branch of a verb: `pattern` is what the line then begins with. */
static void print_verb(FILE *out, const struct command_program *program,
                       const struct command_verb *verb)
{
    const char *action = verb->most > 0 ? action_of(verb->arguments) : NULL;

    if (verb->name[0] != '\0')
        fprintf(out, "        '%s '*)", verb->name);
    else
        fputs("        *)", out);
    if (action != NULL)
        fprintf(out, " kind='%s'", action);
    fputs(" options='", out);
    print_option_names(out, program, verb);
    fputs("' ;;\n", out);
}

static size_t first_word(const struct command_verb *verb)
{
    return strcspn(verb->name, " ");
}

static bool same_first_word(const struct command_verb *a, const struct command_verb *b)
{
    return first_word(a) == first_word(b) && strncmp(a->name, b->name, first_word(a)) == 0;
}

/* Whether no verb above this one (`grouped`: none of two words) begins with its first word. */
static bool is_first(const struct command_program *program, size_t index, bool grouped)
{
    const struct command_verb *verb = &program->verbs[index];

    for (size_t i = 0; i < index; i++)
        if ((!grouped || command_group(&program->verbs[i]) > 0) &&
            same_first_word(&program->verbs[i], verb))
            return false;
    return true;
}

/* The second words of a group, behind its first. */
static void print_group(FILE *out, const struct command_program *program, size_t first)
{
    const struct command_verb *verb = &program->verbs[first];
    const char *between = "";

    fprintf(out, "        '%.*s ') words='", (int)first_word(verb), verb->name);
    for (size_t i = first; i < program->verb_count; i++) {
        const struct command_verb *other = &program->verbs[i];

        if (command_group(other) == 0 || !same_first_word(other, verb))
            continue;
        fprintf(out, "%s%s", between, other->name + first_word(verb) + 1);
        between = " ";
    }
    fputs("' options='--help' ;;\n", out);
}

/* The words that a command line can begin with. */
static void print_first_words(FILE *out, const struct command_program *program)
{
    const char *between = "";

    fputs("        ' ') words='", out);
    for (size_t i = 0; i < program->verb_count; i++) {
        const struct command_verb *verb = &program->verbs[i];

        if (!is_first(program, i, false))
            continue;
        fprintf(out, "%s%.*s", between, (int)first_word(verb), verb->name);
        between = " ";
    }
    fputs("' options='", out);
    print_option_names(out, program, NULL);
    fputs("' ;;\n", out);
}

/* Verbs of two words come first: where a group's name is a verb too, the longer one counts. */
static void print_verbs(FILE *out, const struct command_program *program)
{
    if (!command_has_verbs(program)) {
        print_verb(out, program, &program->verbs[0]);
        return;
    }
    for (size_t i = 0; i < program->verb_count; i++)
        if (command_group(&program->verbs[i]) > 0)
            print_verb(out, program, &program->verbs[i]);
    for (size_t i = 0; i < program->verb_count; i++)
        if (command_group(&program->verbs[i]) > 0 && is_first(program, i, true))
            print_group(out, program, i);
    for (size_t i = 0; i < program->verb_count; i++)
        if (command_group(&program->verbs[i]) == 0)
            print_verb(out, program, &program->verbs[i]);
    print_first_words(out, program);
}

/* ---- the whole ---- */

/* bash splits "--name=value" at the "=". */
static const char begin[] =
    "    local IFS=$' \\t\\n' kind='' words='' options=''\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local line=\"${COMP_WORDS[*]:1:COMP_CWORD-1} \"\n"
    "    COMPREPLY=()\n"
    "    if [[ $word == '=' ]]; then\n"
    "        word=''\n"
    "    elif [[ $before == '=' ]]; then\n"
    "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n";

/* Options are offered to who asks for them, and where there is nothing else to offer. Where no file
 * is found readline looks itself: it knows quotes and "~". */
static const char end[] = "        [[ $word != -* && -n $kind$words ]] || kind='' words=$options\n"
                          "    fi\n"
                          "    case $kind in\n"
                          "    none) ;;\n"
                          "    file | directory)\n"
                          "        compopt -o filenames -o default 2>/dev/null\n"
                          "        mapfile -t COMPREPLY < <(compgen -A \"$kind\" -- \"$word\")\n"
                          "        ;;\n"
                          "    *) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
                          "    esac\n";

void command_print_completion(FILE *out, const struct command_program *program)
{
    const char *name = program->name;

    fprintf(out, "# bash completion of %s %s, printed by %s --bash-completion\n", name,
            program->version, name);
    fprintf(out, "# shellcheck shell=bash\n_%s()\n{\n%s", name, begin);
    fputs("    case $before in\n", out);
    print_values(out, program);
    fputs("    esac\n    if [[ -z $kind ]]; then\n        case $line in\n", out);
    print_verbs(out, program);
    fprintf(out, "        esac\n%s}\ncomplete -F _%s %s\n", end, name, name);
}
