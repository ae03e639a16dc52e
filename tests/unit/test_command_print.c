/* base/command: what is printed from a table: help, man page, completion. */
#include "base/command.h"

#include "command_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- help ---- */

static void help_of_the_program_lists_verbs_common_options_and_sections(void **state)
{
    static const char want[] = "usage: tool VERB ARGUMENTS... [options]\n"
                               "\n"
                               "tool: a tool\n"
                               "\n"
                               "Does what a tool does.\n"
                               "\n"
                               "Verbs:\n"
                               "  run FILE                              run it\n"
                               "  twin get DEVICE[/MODULE]              show a twin\n"
                               "  twin update DEVICE[/MODULE] PATCH...  change a twin\n"
                               "  list                                  list some\n"
                               "  list all                              list all\n"
                               "\n"
                               "'tool VERB --help' tells more.\n"
                               "\n"
                               "Options:\n"
                               "  --json             print JSON\n"
                               "  --port PORT        of the hub\n"
                               "  --hub-connection-string-file FILE\n"
                               "                     where the sign-in is\n"
                               "  --help             print this help\n"
                               "  --version          print the version\n"
                               "  --man              print the manual page, to pipe into man -l -\n"
                               "  --bash-completion  print a completion script for bash\n"
                               "\n"
                               "Exit status:\n"
                               "  0   done\n"
                               "  64  wrong usage\n"
                               "\n"
                               "See also:\n"
                               "  sim(1), and /tmp/FILE of FILENAME\n";
    struct outcome outcome;

    (void)state;
    fixture_read(&outcome, &fixture_tool, "--help");

    assert_string_equal(outcome.out, want);
}

static void help_of_a_verb_says_its_text_and_its_options_before_the_common_ones(void **state)
{
    static const char update[] = "usage: tool twin update DEVICE[/MODULE] PATCH... [options]\n"
                                 "\n"
                                 "Change a twin.\n"
                                 "\n"
                                 "PATCH is any of\n"
                                 "  a=1    sets a to what stands\n"
                                 "         behind\n"
                                 "  a-very-long-one\n"
                                 "         the same\n"
                                 "  -      standard input, with --json too\n"
                                 "and changes what it names.\n"
                                 "\n"
                                 "  tool twin update d 'a=\\1' .x\n"
                                 ".hidden and 'quoted' stay as they are.\n"
                                 "\n"
                                 "Options:\n"
                                 "  --etag ETAG  only while it has ETAG\n"
                                 "  --force      whatever its etag is\n"
                                 "\n"
                                 "Options of every verb:\n"
                                 "  --json       print JSON\n"
                                 "  --port PORT  of the hub\n"
                                 "  --hub-connection-string-file FILE\n"
                                 "               where the sign-in is\n"
                                 "  --help       print this help\n";
    static const char run[] =
        "usage: tool run FILE [options]\n"
        "\n"
        "Run it.\n"
        "\n"
        "It runs until it is stopped.\n"
        "\n"
        "Options:\n"
        "  --level low|middle|high  how much of it\n"
        "  --offset N               from where on, counted from the end when it is below\n"
        "                           zero, as it is with the oldest\n"
        "\n"
        "Options of every verb:\n"
        "  --json                   print JSON\n"
        "  --port PORT              of the hub\n"
        "  --hub-connection-string-file FILE\n"
        "                           where the sign-in is\n"
        "  --help                   print this help\n";
    struct outcome outcome;

    (void)state;
    fixture_read(&outcome, &fixture_tool, "twin update --help");
    assert_string_equal(outcome.out, update);

    fixture_read(&outcome, &fixture_tool, "run --help");
    assert_string_equal(outcome.out, run);
}

static void help_of_an_option_keeps_the_lines_that_begin_with_a_blank(void **state)
{
    static const char want[] = "  --listen ADDR:PORT  where to listen; repeatable\n"
                               "\n"
                               "                      Takes\n"
                               "                        any     all addresses\n"
                               "                        ::1     this one\n"
                               "  --quick             hurry\n";
    struct outcome outcome;

    (void)state;
    fixture_read(&outcome, &fixture_tool, "twin get --help");

    assert_non_null(strstr(outcome.out, want));
}

static void help_of_a_group_lists_its_verbs(void **state)
{
    static const char want[] = "usage: tool twin VERB ARGUMENTS... [options]\n"
                               "\n"
                               "Verbs:\n"
                               "  twin get DEVICE[/MODULE]              show a twin\n"
                               "  twin update DEVICE[/MODULE] PATCH...  change a twin\n"
                               "\n"
                               "'tool twin VERB --help' tells more.\n";
    struct outcome outcome;

    (void)state;
    fixture_read(&outcome, &fixture_tool, "twin --help");

    assert_string_equal(outcome.out, want);
}

static void help_of_a_program_without_verbs_is_one_page(void **state)
{
    static const char want[] = "usage: sim FILE [options]\n"
                               "\n"
                               "sim: a simulator\n"
                               "\n"
                               "Simulates.\n"
                               "\n"
                               "More of it.\n"
                               "\n"
                               "Options:\n"
                               "  --state FOLDER     where to keep it\n"
                               "  --count N          how many\n"
                               "  --json             print JSON\n"
                               "  --help             print this help\n"
                               "  --version          print the version\n"
                               "  --man              print the manual page, to pipe into man -l -\n"
                               "  --bash-completion  print a completion script for bash\n"
                               "\n"
                               "Exit status:\n"
                               "  0   done\n"
                               "  64  wrong usage\n";
    struct outcome outcome;

    (void)state;
    fixture_read(&outcome, &fixture_sim, "--help");

    assert_string_equal(outcome.out, want);
}

static void help_is_no_wider_than_80_columns_whatever_the_words(void **state)
{
    static const char text[] = "a bb ccc dddd eeeee ffffff ggggggg hhhhhhhh iiiiiiiii jjjjjjjjjj a "
                               "bb ccc dddd eeeee ffffff ggggggg hhhhhhhh iiiiiiiii jjjjjjjjjj";

    size_t widest = 0;

    (void)state;
    for (size_t start = 0; start < sizeof text - 1; start++) {
        if (text[start] == ' ')
            continue; /* a line that is kept has the width it has */
        const struct command_verb verb = {
            .name = "do", .arguments = "IT", .summary = text + start, .text = text + start
        };
        const struct command_program program = { .name = "tool",
                                                 .version = "1",
                                                 .summary = "a tool",
                                                 .text = text + start,
                                                 .verbs = &verb,
                                                 .verb_count = 1 };
        char *printed = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&printed, &length);

        assert_non_null(out);
        command_print_help(out, &program, NULL, "");
        command_print_help(out, &program, &verb, "");
        fclose(out);
        for (const char *line = printed; *line != '\0'; line += strcspn(line, "\n") + 1) {
            size_t width = strcspn(line, "\n");

            assert_true(width == 0 || line[width - 1] != ' ');
            widest = width > widest ? width : widest;
        }
        free(printed);
    }
    assert_int_equal(widest, 80);
}

/* ---- man page ---- */

static void man_page_has_the_usual_parts_marked_up(void **state)
{
    static const char want[] =
        ".\\\" Printed by tool --man\n"
        ".TH TOOL 1 2000-01-01 \"twinbridge 1.2.3\" \"User Commands\"\n"
        ".SH NAME\n"
        "tool \\- a tool\n"
        ".SH SYNOPSIS\n"
        "\\fBtool\\fR \\fBrun\\fR \\fIFILE\\fR [\\fIoptions\\fR]\n"
        ".br\n"
        "\\fBtool\\fR \\fBtwin get\\fR \\fIDEVICE\\fR[/\\fIMODULE\\fR] [\\fIoptions\\fR]\n"
        ".br\n"
        "\\fBtool\\fR \\fBtwin update\\fR \\fIDEVICE\\fR[/\\fIMODULE\\fR] \\fIPATCH\\fR... "
        "[\\fIoptions\\fR]\n"
        ".br\n"
        "\\fBtool\\fR \\fBlist\\fR [\\fIoptions\\fR]\n"
        ".br\n"
        "\\fBtool\\fR \\fBlist all\\fR [\\fIoptions\\fR]\n"
        ".SH DESCRIPTION\n"
        "Does what a tool does.\n"
        ".SH VERBS\n"
        ".SS run \\fIFILE\\fR\n"
        "Run it.\n"
        ".PP\n"
        "It runs until it is stopped.\n"
        ".TP\n"
        "\\fB\\-\\-level\\fR \\fBlow\\fR|\\fBmiddle\\fR|\\fBhigh\\fR\n"
        "how much of it\n"
        ".TP\n"
        "\\fB\\-\\-offset\\fR \\fIN\\fR\n"
        "from where on, counted from the end when it is below zero,\n"
        "as it is with the oldest\n"
        ".SS twin get \\fIDEVICE\\fR[/\\fIMODULE\\fR]\n"
        "Show a twin.\n"
        ".TP\n"
        "\\fB\\-\\-listen\\fR \\fIADDR\\fR:\\fIPORT\\fR\n"
        "where to listen; repeatable\n"
        ".IP\n"
        "Takes\n"
        ".RS\n"
        ".TP 8\n"
        "\\fBany\\fR\n"
        "all addresses\n"
        ".PD 0\n"
        ".TP 8\n"
        "\\fB::1\\fR\n"
        "this one\n"
        ".PD\n"
        ".RE\n"
        ".TP\n"
        "\\fB\\-\\-quick\\fR\n"
        "hurry\n"
        ".TP\n"
        "\\fB\\-\\-force\\fR\n"
        "whatever its etag is\n"
        ".SS twin update \\fIDEVICE\\fR[/\\fIMODULE\\fR] \\fIPATCH\\fR...\n"
        "Change a twin.\n"
        ".PP\n"
        "\\fIPATCH\\fR is any of\n"
        ".TP 7\n"
        "\\fBa=1\\fR\n"
        "sets a to what stands behind\n"
        ".PD 0\n"
        ".TP 7\n"
        "\\fBa\\-very\\-long\\-one\\fR\n"
        "the same\n"
        ".TP 7\n"
        "\\fB\\-\\fR\n"
        "standard input, with \\fB\\-\\-json\\fR too\n"
        ".PD\n"
        ".PP\n"
        "and changes what it names.\n"
        ".PP\n"
        ".EX\n"
        "  tool twin update d \\(aqa=\\e1\\(aq .x\n"
        ".EE\n"
        ".PP\n"
        "\\&.hidden and \\(aqquoted\\(aq stay as they are.\n"
        ".TP\n"
        "\\fB\\-\\-etag\\fR \\fIETAG\\fR\n"
        "only while it has \\fIETAG\\fR\n"
        ".TP\n"
        "\\fB\\-\\-force\\fR\n"
        "whatever its etag is\n"
        ".SS list\n"
        "List some.\n"
        ".SS list all\n"
        "List all.\n"
        ".SH OPTIONS\n"
        ".TP\n"
        "\\fB\\-\\-json\\fR\n"
        "print JSON\n"
        ".TP\n"
        "\\fB\\-\\-port\\fR \\fIPORT\\fR\n"
        "of the hub\n"
        ".TP\n"
        "\\fB\\-\\-hub\\-connection\\-string\\-file\\fR \\fIFILE\\fR\n"
        "where the sign\\-in is\n"
        ".TP\n"
        "\\fB\\-\\-help\\fR\n"
        "print this help\n"
        ".TP\n"
        "\\fB\\-\\-version\\fR\n"
        "print the version\n"
        ".TP\n"
        "\\fB\\-\\-man\\fR\n"
        "print the manual page, to pipe into man \\-l \\-\n"
        ".TP\n"
        "\\fB\\-\\-bash\\-completion\\fR\n"
        "print a completion script for bash\n"
        ".SH EXIT STATUS\n"
        ".TP 4\n"
        "\\fB0\\fR\n"
        "done\n"
        ".PD 0\n"
        ".TP 4\n"
        "\\fB64\\fR\n"
        "wrong usage\n"
        ".PD\n"
        ".SH SEE ALSO\n"
        "\\fBsim\\fR(1), and /tmp/\\fIFILE\\fR of FILENAME\n";
    char *page = fixture_printed(command_print_man, &fixture_tool);
    /* The date is the build's. */
    char *date = strstr(page, ".TH TOOL 1 ");

    (void)state;
    assert_non_null(date);
    memcpy(date + strlen(".TH TOOL 1 "), "2000-01-01", 10);

    assert_string_equal(page, want);
    free(page);
}

static void man_page_of_a_program_without_verbs_has_its_text_as_description(void **state)
{
    static const char synopsis[] = ".SH SYNOPSIS\n\\fBsim\\fR \\fIFILE\\fR [\\fIoptions\\fR]\n"
                                   ".SH DESCRIPTION\nSimulates.\n.PP\nMore of it.\n.SH OPTIONS\n"
                                   ".TP\n\\fB\\-\\-state\\fR \\fIFOLDER\\fR\nwhere to keep it\n";
    char *page = fixture_printed(command_print_man, &fixture_sim);

    (void)state;
    assert_non_null(strstr(page, synopsis));
    assert_null(strstr(page, ".SH VERBS"));
    free(page);
}

/* ---- completion ---- */

static void completion_has_a_branch_for_each_value_and_each_verb(void **state)
{
    static const char want[] =
        "    case $before in\n"
        "    --level) kind='words' words='low middle high' ;;\n"
        "    --offset) kind='none' ;;\n"
        "    --listen) kind='none' ;;\n"
        "    --etag) kind='none' ;;\n"
        "    --port) kind='none' ;;\n"
        "    --hub-connection-string-file) kind='file' ;;\n"
        "    esac\n"
        "    if [[ -z $kind ]]; then\n"
        "        case $line in\n"
        "        'twin get '*) options='--listen --quick --force --json --port "
        "--hub-connection-string-file --help' ;;\n"
        "        'twin update '*) kind='file' options='--etag --force --json --port "
        "--hub-connection-string-file --help' ;;\n"
        "        'list all '*) options='--json --port --hub-connection-string-file --help' ;;\n"
        "        'twin ') words='get update' options='--help' ;;\n"
        "        'list ') words='all' options='--help' ;;\n"
        "        'run '*) kind='file' options='--level --offset --json --port "
        "--hub-connection-string-file --help' ;;\n"
        "        'list '*) options='--json --port --hub-connection-string-file --help' ;;\n"
        "        ' ') words='run twin list' options='--help --version --man --bash-completion' ;;\n"
        "        esac\n";
    char *script = fixture_printed(command_print_completion, &fixture_tool);

    (void)state;
    assert_non_null(strstr(script, want));
    assert_non_null(strstr(script, "\n_tool()\n{\n"));
    assert_non_null(strstr(script, "}\ncomplete -F _tool tool\n"));
    free(script);
}

static void completion_of_a_program_without_verbs_has_one_branch(void **state)
{
    static const char want[] =
        "    case $before in\n"
        "    --state) kind='directory' ;;\n"
        "    --count) kind='none' ;;\n"
        "    esac\n"
        "    if [[ -z $kind ]]; then\n"
        "        case $line in\n"
        "        *) kind='file' options='--state --count --json --help --version "
        "--man --bash-completion' ;;\n"
        "        esac\n";
    char *script = fixture_printed(command_print_completion, &fixture_sim);

    (void)state;
    assert_non_null(strstr(script, want));
    free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_of_the_program_lists_verbs_common_options_and_sections),
        cmocka_unit_test(help_of_a_verb_says_its_text_and_its_options_before_the_common_ones),
        cmocka_unit_test(help_of_an_option_keeps_the_lines_that_begin_with_a_blank),
        cmocka_unit_test(help_of_a_group_lists_its_verbs),
        cmocka_unit_test(help_of_a_program_without_verbs_is_one_page),
        cmocka_unit_test(help_is_no_wider_than_80_columns_whatever_the_words),
        cmocka_unit_test(man_page_has_the_usual_parts_marked_up),
        cmocka_unit_test(man_page_of_a_program_without_verbs_has_its_text_as_description),
        cmocka_unit_test(completion_has_a_branch_for_each_value_and_each_verb),
        cmocka_unit_test(completion_of_a_program_without_verbs_has_one_branch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
