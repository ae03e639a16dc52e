/* --man: a manual page in man(7) macros, from a program's table.
 *
 * Happy path: the page's parts in their usual order; what the table says in plain text is marked up
 * on the way: options bold, placeholders italic, lists and examples set as such. Fails never: what
 * the stream does not take is lost with it. */
#include "base/command_table.h"

#include <ctype.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 60, /* of the page's source, marks not counted, where there is a choice */
    TERM_WIDTH_MAX = 24, /* a longer term of a list has a line of its own */
};

struct page {
    FILE *out;
    const struct command_program *program;
};

/* ---- characters and words ---- */

/* What troff would take for its own, or make typographic, as it stands. */
static void put_char(struct page *page, char c)
{
    static const char plain[] = "-\\'`^~";
    static const char *const escapes[] = { "\\-", "\\e", "\\(aq", "\\(ga", "\\(ha", "\\(ti" };
    const char *at = c == '\0' ? NULL : strchr(plain, c);

    if (at == NULL)
        fputc(c, page->out);
    else
        fputs(escapes[at - plain], page->out);
}

static void put_plain(struct page *page, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        put_char(page, text[i]);
}

/* A character of a name: beside one of these, no other name begins. */
static bool is_of_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static size_t name_length(const char *text, size_t length)
{
    size_t i = 0;

    while (i < length && is_of_name(text[i]))
        i++;
    return i;
}

/* Whether `text` takes the name as a placeholder: "DEVICE[/MODULE]" takes MODULE. */
static bool has_placeholder(const char *text, const char *name, size_t length)
{
    for (const char *at = text; text != NULL && *at != '\0'; at++) {
        size_t found = name_length(at, strlen(at));

        if (found == length && strncmp(at, name, length) == 0)
            return true;
        at += found > 0 ? found - 1 : 0;
    }
    return false;
}

static bool is_placeholder(const struct command_program *program, const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isupper((unsigned char)name[i]) && name[i] != '_')
            return false;
    for (size_t i = 0; i < program->verb_count; i++)
        if (has_placeholder(program->verbs[i].arguments, name, length))
            return true;
    for (size_t i = 0; i < program->option_count; i++)
        if (has_placeholder(program->options[i].value, name, length))
            return true;
    return false;
}

static bool is_reference(const char *behind, size_t length)
{
    return length >= 3 && behind[0] == '(' && isdigit((unsigned char)behind[1]) && behind[2] == ')';
}

/* The font of a name: of --option and page(1) bold, of a PLACEHOLDER italic, else `font`. */
static char font_of(const struct page *page, const char *text, size_t length, size_t name,
                    char font)
{
    if (name == 0)
        return font;
    if ((name > 2 && strncmp(text, "--", 2) == 0) || is_reference(text + name, length - name))
        return 'B';
    return is_placeholder(page->program, text, name) ? 'I' : font;
}

/* A piece of text with its names marked; the rest in `font`, which is the one in force. */
static void put_marked(struct page *page, const char *text, size_t length, char font)
{
    while (length > 0) {
        size_t name = name_length(text, length);
        char marked = font_of(page, text, length, name, font);

        if (marked != font)
            fprintf(page->out, "\\f%c", marked);
        put_plain(page, text, name > 0 ? name : 1);
        if (marked != font)
            fprintf(page->out, "\\f%c", font);
        text += name > 0 ? name : 1;
        length -= name > 0 ? name : 1;
    }
}

static void put_bold(struct page *page, const char *text, size_t length)
{
    fputs("\\fB", page->out);
    put_marked(page, text, length, 'B');
    fputs("\\fR", page->out);
}

/* What an option takes: "FILE" with its placeholders marked, "error|warn" as words. */
static void put_value(struct page *page, const char *value)
{
    const char *word;
    size_t length;

    while (command_next_word(&value, '|', &word, &length)) {
        if (isupper((unsigned char)word[0]))
            put_marked(page, word, length, 'R');
        else
            put_bold(page, word, length);
        if (value[0] != '\0')
            fputc('|', page->out);
    }
}

/* ---- text ---- */

/* A text is read line by line; lines of a kind make a block. */
enum block { BLOCK_NONE, BLOCK_FILLED, BLOCK_LIST, BLOCK_KEPT };

struct text {
    enum block block;
    bool within;    /* the text of an option: its paragraphs and lists stay indented */
    bool gap;       /* an empty line, or the end of a list or of kept lines, is above */
    size_t column;  /* in the page's source, in filled text and lists */
    size_t indent;  /* the column of a list's terms in the text */
    size_t meaning; /* of their meanings */
    size_t items;   /* of this list so far */
};

/* The column of the meaning in "  TERM  meaning"; 0 when the line is no such item. */
static size_t meaning_at(const char *line, size_t length)
{
    size_t i = strspn(line, " ");

    while (i + 1 < length && (line[i] != ' ' || line[i + 1] != ' '))
        i++;
    i += strspn(line + i, " ");
    return i + 1 < length ? i : 0;
}

/* Whether the line goes on with the meaning of the item above. */
static bool goes_on(const struct text *text, const char *line)
{
    return text->block == BLOCK_LIST && strspn(line, " ") == text->meaning;
}

/* Whether the line is a term too long to have its meaning beside it. */
static bool is_long_term(const struct text *text, const char *line)
{
    return text->block == BLOCK_LIST && strspn(line, " ") == text->indent;
}

static enum block block_of(const struct text *text, const char *line, size_t length)
{
    if (length == 0)
        return BLOCK_NONE;
    if (line[0] != ' ')
        return BLOCK_FILLED;
    if (text->block == BLOCK_KEPT)
        return BLOCK_KEPT;
    return meaning_at(line, length) > 0 || goes_on(text, line) || is_long_term(text, line)
               ? BLOCK_LIST
               : BLOCK_KEPT;
}

static void end_source_line(struct page *page, struct text *text)
{
    if (text->column > 0)
        fputc('\n', page->out);
    text->column = 0;
}

static void end_block(struct page *page, struct text *text)
{
    end_source_line(page, text);
    if (text->block == BLOCK_KEPT)
        fputs(".EE\n", page->out);
    if (text->block == BLOCK_LIST && text->items > 1)
        fputs(".PD\n", page->out);
    if (text->block == BLOCK_LIST && text->within)
        fputs(".RE\n", page->out);
    text->gap = text->gap || text->block == BLOCK_KEPT || text->block == BLOCK_LIST;
    text->block = BLOCK_NONE;
}

static void begin_block(struct page *page, struct text *text, enum block block)
{
    if (text->gap && block != BLOCK_LIST)
        fputs(text->within ? ".IP\n" : ".PP\n", page->out);
    if (block == BLOCK_KEPT)
        fputs(".EX\n", page->out);
    if (block == BLOCK_LIST && text->within)
        fputs(".RS\n", page->out);
    text->items = 0;
    text->gap = false;
    text->block = block;
}

/* Puts words into the page's source, in lines of a handy length. */
static void put_words(struct page *page, struct text *text, const char *words, size_t length)
{
    const char *end = words + length;

    while (words < end) {
        size_t word = strcspn(words, " \n");

        if (text->column > 0 && text->column + 1 + word > LINE_MAX_BYTES)
            end_source_line(page, text);
        if (text->column > 0)
            fputc(' ', page->out);
        else if (words[0] == '.') /* "'" is escaped anyway */
            fputs("\\&", page->out);
        put_marked(page, words, word, 'R');
        text->column += word + 1;
        words += word;
        words += strspn(words, " ");
    }
}

/* The first item keeps its distance from what is above, the others are close. */
static void put_item(struct page *page, struct text *text, const char *line, size_t length)
{
    size_t indent = strspn(line, " "), meaning = meaning_at(line, length), width;
    size_t end = meaning > 0 ? meaning : length;

    end_source_line(page, text);
    while (line[end - 1] == ' ')
        end--;
    text->indent = indent;
    text->meaning = meaning > 0 ? meaning : text->meaning;
    width = text->meaning - indent;
    if (text->items++ == 1)
        fputs(".PD 0\n", page->out);
    fprintf(page->out, ".TP %zu\n", width < TERM_WIDTH_MAX ? width : TERM_WIDTH_MAX);
    put_bold(page, line + indent, end - indent);
    fputc('\n', page->out);
    if (meaning > 0)
        put_words(page, text, line + meaning, length - meaning);
}

static void put_line(struct page *page, struct text *text, const char *line, size_t length)
{
    if (text->block == BLOCK_FILLED) {
        put_words(page, text, line, length);
    } else if (text->block == BLOCK_KEPT) {
        put_plain(page, line, length);
        fputc('\n', page->out);
    } else if (goes_on(text, line)) {
        put_words(page, text, line + text->meaning, length - text->meaning);
    } else {
        put_item(page, text, line, length);
    }
}

static void put_text(struct page *page, const char *source, bool within)
{
    struct text text = { .within = within };
    const char *line;
    size_t length;

    while (command_next_line(&source, &line, &length)) {
        enum block block = block_of(&text, line, length);

        if (block != text.block)
            end_block(page, &text);
        if (block == BLOCK_NONE) {
            text.gap = true;
            continue;
        }
        if (block != text.block)
            begin_block(page, &text, block);
        put_line(page, &text, line, length);
    }
    end_block(page, &text);
}

/* ---- the parts of the page ---- */

static void put_upper(struct page *page, const char *text)
{
    for (; *text != '\0'; text++)
        fputc(toupper((unsigned char)*text), page->out);
}

/* ARGUMENTS, marked, with a blank in front when there are any. */
static void put_arguments(struct page *page, const struct command_verb *verb)
{
    if (verb->arguments[0] != '\0')
        fputc(' ', page->out);
    put_marked(page, verb->arguments, strlen(verb->arguments), 'R');
}

static void put_synopsis(struct page *page)
{
    const struct command_program *program = page->program;

    fputs(".SH SYNOPSIS\n", page->out);
    for (size_t i = 0; i < program->verb_count; i++) {
        const struct command_verb *verb = &program->verbs[i];

        if (i > 0)
            fputs(".br\n", page->out);
        put_bold(page, program->name, strlen(program->name));
        if (verb->name[0] != '\0') {
            fputc(' ', page->out);
            put_bold(page, verb->name, strlen(verb->name));
        }
        put_arguments(page, verb);
        fputs(" [\\fIoptions\\fR]\n", page->out);
    }
}

static void put_options(struct page *page, const struct command_verb *verb, enum command_list list)
{
    const struct command_option *option;

    for (size_t i = 0; (option = command_option_next(page->program, verb, list, &i)) != NULL;) {
        fputs(".TP\n", page->out);
        put_bold(page, option->name, strlen(option->name));
        if (option->value != NULL) {
            fputc(' ', page->out);
            put_value(page, option->value);
        }
        fputc('\n', page->out);
        put_text(page, option->text, true);
    }
}

static void put_verb(struct page *page, const struct command_verb *verb)
{
    fputs(".SS ", page->out);
    put_plain(page, verb->name, strlen(verb->name));
    put_arguments(page, verb);
    fputc('\n', page->out);
    put_char(page, (char)toupper((unsigned char)verb->summary[0]));
    put_marked(page, verb->summary + 1, strlen(verb->summary + 1), 'R');
    fputs(".\n", page->out);
    if (verb->text[0] != '\0') {
        if (verb->text[0] != ' ')
            fputs(".PP\n", page->out);
        put_text(page, verb->text, false);
    }
    put_options(page, verb, COMMAND_LIST_VERB);
}

/* What the program does, with the text of its only verb if that has no name. */
static void put_description(struct page *page)
{
    const struct command_program *program = page->program;
    const char *rest = command_has_verbs(program) ? "" : program->verbs[0].text;

    fputs(".SH DESCRIPTION\n", page->out);
    put_text(page, program->text, false);
    if (rest[0] != '\0' && rest[0] != ' ')
        fputs(".PP\n", page->out);
    put_text(page, rest, false);
}

void command_print_man(FILE *out, const struct command_program *program)
{
    struct page page = { .out = out, .program = program };
    const struct command_verb *only = command_has_verbs(program) ? NULL : &program->verbs[0];

    fprintf(out, ".\\\" Printed by %s --man\n.TH ", program->name);
    put_upper(&page, program->name);
    fprintf(out, " 1 %s \"twinbridge %s\" \"User Commands\"\n", TWINBRIDGE_DATE, program->version);
    fprintf(out, ".SH NAME\n%s \\- ", program->name);
    put_plain(&page, program->summary, strlen(program->summary));
    fputc('\n', out);
    put_synopsis(&page);
    put_description(&page);
    if (only == NULL)
        fputs(".SH VERBS\n", out);
    for (size_t i = 0; only == NULL && i < program->verb_count; i++)
        put_verb(&page, &program->verbs[i]);
    fputs(".SH OPTIONS\n", out);
    put_options(&page, only, COMMAND_LIST_VERB);
    put_options(&page, only, COMMAND_LIST_ALL);
    put_options(&page, only, COMMAND_LIST_OWN);
    for (size_t i = 0; i < program->section_count; i++) {
        fputs(".SH ", out);
        put_upper(&page, program->sections[i].title);
        fputc('\n', out);
        put_text(&page, program->sections[i].text, false);
    }
}
