/* --help, from a program's table.
 *
 * Happy path: usage, what it is for, verbs, options, sections, all of it within 80 columns but for
 * lines that are kept. Fails never: what the stream does not take is lost with it. */
#include "base/command_table.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

enum {
    WIDTH = 80,
    HEAD_MAX_BYTES = 128,
    SUMMARY_MAX_BYTES = 256,
    VERB_COLUMN_MAX = 40, /* a longer head has a line of its own */
    OPTION_COLUMN_MAX = 34,
};

/* ---- filled text ---- */

/* Prints the words of one line, the cursor being at `column`, broken to the width with `indent`
 * blanks in front. Returns the column behind them. */
static size_t fill_words(FILE *out, const char *line, size_t column, size_t indent)
{
    for (;;) {
        size_t length;

        line += strspn(line, " ");
        length = strcspn(line, " \n");
        if (length == 0)
            return column;
        if (column > indent && column + 1 + length > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fwrite(line, 1, length, out);
        column += length;
        line += length;
    }
}

/* Prints a text and ends its last line. The cursor stands at `indent`, where every line begins but
 * those that are kept: they have `kept_indent`. */
static void fill_and_keep(FILE *out, const char *text, size_t indent, size_t kept_indent)
{
    size_t length, column = indent;
    const char *line;

    while (command_next_line(&text, &line, &length)) {
        bool kept = length == 0 || line[0] == ' ';

        if (kept && column > indent) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0 && length > 0) {
            column = kept ? kept_indent : indent;
            fprintf(out, "%*s", (int)column, "");
        }
        if (kept) {
            fprintf(out, "%.*s\n", (int)length, line);
            column = 0;
        } else {
            column = fill_words(out, line, column, indent);
        }
    }
    if (column > 0)
        fputc('\n', out);
}

static void fill(FILE *out, const char *text, size_t indent)
{
    fill_and_keep(out, text, indent, indent);
}

/* ---- rows of two columns ---- */

/* Where the second column begins: behind the longest of the heads that are not too long. */
struct columns {
    size_t at, most;
};

static void columns_fit(struct columns *columns, const char *head)
{
    size_t wanted = strlen(head) + 4;

    if (wanted > columns->at && wanted <= columns->most)
        columns->at = wanted;
}

static void print_row(FILE *out, const struct columns *columns, const char *head, const char *text)
{
    size_t length = strlen(head) + 2;

    fprintf(out, "  %s", head);
    if (length + 2 > columns->at) {
        fputc('\n', out);
        length = 0;
    }
    fprintf(out, "%*s", (int)(columns->at - length), "");
    fill(out, text, columns->at);
}

/* ---- options ---- */

static void option_head(char head[HEAD_MAX_BYTES], const struct command_option *option)
{
    snprintf(head, HEAD_MAX_BYTES, "%s%s%s", option->name, option->value == NULL ? "" : " ",
             option->value == NULL ? "" : option->value);
}

static void print_list(FILE *out, const struct command_program *program,
                       const struct command_verb *verb, enum command_list list,
                       const struct columns *columns)
{
    const struct command_option *option;
    char head[HEAD_MAX_BYTES];

    for (size_t i = 0; (option = command_option_next(program, verb, list, &i)) != NULL;) {
        option_head(head, option);
        print_row(out, columns, head, option->text);
    }
}

static bool has_list(const struct command_program *program, const struct command_verb *verb,
                     enum command_list list)
{
    size_t i = 0;

    return command_option_next(program, verb, list, &i) != NULL;
}

static void print_options(FILE *out, const struct command_program *program,
                          const struct command_verb *verb)
{
    struct columns columns = { .most = OPTION_COLUMN_MAX };
    const struct command_option *option;
    char head[HEAD_MAX_BYTES];

    for (enum command_list list = COMMAND_LIST_VERB; list <= COMMAND_LIST_OWN; list++)
        for (size_t i = 0; (option = command_option_next(program, verb, list, &i)) != NULL;) {
            option_head(head, option);
            columns_fit(&columns, head);
        }
    fputs("\nOptions:\n", out);
    print_list(out, program, verb, COMMAND_LIST_VERB, &columns);
    if (has_list(program, verb, COMMAND_LIST_VERB) && has_list(program, verb, COMMAND_LIST_ALL))
        fputs("\nOptions of every verb:\n", out);
    print_list(out, program, verb, COMMAND_LIST_ALL, &columns);
    print_list(out, program, verb, COMMAND_LIST_OWN, &columns);
}

/* ---- verbs ---- */

static void verb_head(char head[HEAD_MAX_BYTES], const struct command_verb *verb)
{
    snprintf(head, HEAD_MAX_BYTES, "%s%s%s", verb->name, verb->arguments[0] != '\0' ? " " : "",
             verb->arguments);
}

static void print_verbs(FILE *out, const struct command_program *program, const char *group)
{
    struct columns columns = { .most = VERB_COLUMN_MAX };
    char head[HEAD_MAX_BYTES];

    for (size_t i = 0; i < program->verb_count; i++) {
        verb_head(head, &program->verbs[i]);
        columns_fit(&columns, head);
    }
    fputs("Verbs:\n", out);
    for (size_t i = 0; i < program->verb_count; i++) {
        const struct command_verb *verb = &program->verbs[i];

        if (group[0] != '\0' && !command_in_group(verb, group))
            continue;
        verb_head(head, verb);
        print_row(out, &columns, head, verb->summary);
    }
}

/* ---- the whole ---- */

/* "usage: PROGRAM ...", going on below what follows the program's name. */
static void print_usage(FILE *out, const struct command_program *program, const char *rest)
{
    size_t indent = strlen("usage:  ") + strlen(program->name);

    fprintf(out, "usage: %s ", program->name);
    fill_words(out, rest, indent, indent);
    fputs("\n\n", out);
}

/* "NAME: SUMMARY", and what it is for. */
static void print_purpose(FILE *out, const struct command_program *program)
{
    char line[SUMMARY_MAX_BYTES];

    snprintf(line, sizeof line, "%s: %s", program->name, program->summary);
    fill(out, line, 0);
    fputc('\n', out);
    fill(out, program->text, 0);
}

/* The summary as a sentence. */
static void print_summary(FILE *out, const struct command_verb *verb)
{
    char line[SUMMARY_MAX_BYTES];

    snprintf(line, sizeof line, "%s.", verb->summary);
    line[0] = (char)toupper((unsigned char)line[0]);
    fill(out, line, 0);
}

static void print_sections(FILE *out, const struct command_program *program)
{
    for (size_t i = 0; i < program->section_count; i++) {
        const struct command_section *section = &program->sections[i];

        fprintf(out, "\n%s:\n%s", section->title, section->text[0] == ' ' ? "" : "  ");
        fill_and_keep(out, section->text, 2, 0);
    }
}

static void print_verb(FILE *out, const struct command_program *program,
                       const struct command_verb *verb)
{
    char usage[2 * HEAD_MAX_BYTES];

    verb_head(usage, verb);
    snprintf(usage + strlen(usage), HEAD_MAX_BYTES, "%s[options]", usage[0] != '\0' ? " " : "");
    print_usage(out, program, usage);
    if (command_has_verbs(program))
        print_summary(out, verb);
    else
        print_purpose(out, program);
    if (verb->text[0] != '\0') {
        fputc('\n', out);
        fill(out, verb->text, 0);
    }
    print_options(out, program, verb);
    if (!command_has_verbs(program))
        print_sections(out, program);
}

static void print_group(FILE *out, const struct command_program *program, const char *group)
{
    char usage[HEAD_MAX_BYTES];

    snprintf(usage, sizeof usage, "%s VERB ARGUMENTS... [options]", group);
    print_usage(out, program, usage);
    print_verbs(out, program, group);
    fprintf(out, "\n'%s %s VERB --help' tells more.\n", program->name, group);
}

static void print_program(FILE *out, const struct command_program *program)
{
    print_usage(out, program, "VERB ARGUMENTS... [options]");
    print_purpose(out, program);
    fputc('\n', out);
    print_verbs(out, program, "");
    fprintf(out, "\n'%s VERB --help' tells more.\n", program->name);
    print_options(out, program, NULL);
    print_sections(out, program);
}

void command_print_help(FILE *out, const struct command_program *program,
                        const struct command_verb *verb, const char *group)
{
    assert(program->verbs != NULL);
    if (verb == NULL && !command_has_verbs(program))
        verb = &program->verbs[0];
    if (verb != NULL) {
        print_verb(out, program, verb);
        return;
    }
    for (size_t i = 0; i < program->verb_count; i++)
        if (command_in_group(&program->verbs[i], group)) {
            print_group(out, program, group);
            return;
        }
    print_program(out, program);
}
