/* base/command: command lines read against a table, and what is said of wrong ones. */
#include "base/command.h"

#include "command_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The verb, the arguments and what the options set, as one text. */
static const char *summary_of(const struct outcome *outcome, char *text, size_t size)
{
    const struct settings *settings = &outcome->settings;
    size_t at = (size_t)snprintf(text, size, "%s:", outcome->command.verb->name);

    for (size_t i = 0; i < outcome->command.argument_count; i++)
        at += (size_t)snprintf(text + at, size - at, " [%s]", outcome->command.arguments[i]);
    if (settings->json || settings->force)
        at += (size_t)snprintf(text + at, size - at, "%s%s", settings->json ? " json" : "",
                               settings->force ? " force" : "");
    if (settings->port != 443 || settings->offset != 0)
        at += (size_t)snprintf(text + at, size - at, " port=%ld offset=%ld", settings->port,
                               settings->offset);
    if (settings->level >= 0)
        at += (size_t)snprintf(text + at, size - at, " level=%d", settings->level);
    if (settings->etag != NULL)
        at += (size_t)snprintf(text + at, size - at, " etag=%s", settings->etag);
    for (size_t i = 0; i < settings->listen_count; i++)
        at += (size_t)snprintf(text + at, size - at, " listen=%s", settings->listen[i]);
    if (settings->quick > 0)
        snprintf(text + at, size - at, " quick=%d", settings->quick);
    return text;
}

static void command_read_of_a_good_line_gives_verb_arguments_and_options(void **state)
{
    static const struct {
        const char *line, *want;
    } cases[] = {
        { "run a.json", "run: [a.json]" },
        { "twin get d/m", "twin get: [d/m]" },
        { "twin update d a=1 b=2 c=3", "twin update: [d] [a=1] [b=2] [c=3]" },
        /* A verb and a group of the same name: the longer one counts. */
        { "list", "list:" },
        { "list all", "list all:" },
        /* Options anywhere behind the verb, in both forms. */
        { "twin update --json d --etag x a=1", "twin update: [d] [a=1] json etag=x" },
        { "twin update d a=1 --etag=x=y --force", "twin update: [d] [a=1] force etag=x=y" },
        { "run --port 8443 a", "run: [a] port=8443 offset=0" },
        { "run --port=1 a", "run: [a] port=1 offset=0" },
        { "run --port=65535 a", "run: [a] port=65535 offset=0" },
        { "run a --offset -10", "run: [a] port=443 offset=-10" },
        { "run a --level low", "run: [a] level=0" },
        { "run a --level=high", "run: [a] level=2" },
        { "twin update d a=1 --etag=", "twin update: [d] [a=1] etag=" },
        { "twin update d a=1 --etag ''", "twin update: [d] [a=1] etag=" },
        /* Given again: the last counts, but for what is collected. */
        { "run a --port 1 --port 2 --level low --level middle",
          "run: [a] port=2 offset=0 level=1" },
        { "twin get d --listen x --quick --listen=y --quick",
          "twin get: [d] listen=x listen=y quick=2" },
        /* What looks like an option and is none. */
        { "twin update d -", "twin update: [d] [-]" },
        { "twin update d -5 -.5 -5x", "twin update: [d] [-5] [-.5] [-5x]" },
        { "twin update d -- --json -x --", "twin update: [d] [--json] [-x] [--]" },
        { "run -- --help", "run: [--help]" },
        { "run ''", "run: []" },
        { "twin update --etag -1 d a", "twin update: [d] [a] etag=-1" },
        { "twin update --etag --nope d a", "twin update: [d] [a] etag=--nope" },
    };
    struct outcome outcome;
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_read(&outcome, &fixture_tool, cases[i].line);

        assert_string_equal(outcome.err, "");
        assert_int_equal(outcome.rc, 0);
        assert_string_equal(outcome.out, "");
        assert_string_equal(summary_of(&outcome, text, sizeof text), cases[i].want);
        assert_ptr_equal(outcome.command.program, &fixture_tool);
        assert_ptr_equal(outcome.command.options, &outcome.settings);
    }
}

static void command_read_of_a_wrong_line_names_what_is_wrong_in_one_line(void **state)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
        { "rn a", "tool: there is no verb 'rn' (did you mean 'run'?); see tool --help\n" },
        { "ru a", "tool: there is no verb 'ru' (did you mean 'run'?); see tool --help\n" },
        { "twn get d", "tool: there is no verb 'twn' (did you mean 'twin'?); see tool --help\n" },
        { "twin gte d",
          "tool: there is no verb 'twin gte' (did you mean 'twin get'?); see tool --help\n" },
        { "update d",
          "tool: there is no verb 'update' (did you mean 'twin update'?); see tool --help\n" },
        { "Run a", "tool: there is no verb 'Run' (did you mean 'run'?); see tool --help\n" },
        { "elephant", "tool: there is no verb 'elephant'; see tool --help\n" },
        { "''", "tool: there is no verb ''; see tool --help\n" },
        { "twin", "tool: 'twin' wants a second word: get, update; see tool --help\n" },
        { "twin --json", "tool: 'twin' wants a second word: get, update; see tool --help\n" },
        { "--json run a", "tool: the verb comes first, before '--json'; see tool --help\n" },
        { "-- run a", "tool: the verb comes first, before '--'; see tool --help\n" },
        { "run", "tool run: FILE is missing: tool run FILE; see tool run --help\n" },
        { "twin update d",
          "tool twin update: PATCH is missing: tool twin update DEVICE[/MODULE] PATCH...; "
          "see tool twin update --help\n" },
        { "run a b",
          "tool run: 'b' is one argument too many: tool run FILE; see tool run --help\n" },
        { "list x", "tool list: there is no argument to take 'x'; see tool list --help\n" },
        { "run a --jso",
          "tool run: there is no option '--jso' (did you mean '--json'?); see tool run --help\n" },
        { "run a -json",
          "tool run: there is no option '-json' (did you mean '--json'?); see tool run --help\n" },
        { "run a --hub",
          "tool run: there is no option '--hub' (did you mean '--hub-connection-string-file'?); "
          "see tool run --help\n" },
        { "run a --hlep",
          "tool run: there is no option '--hlep' (did you mean '--help'?); see tool run --help\n" },
        { "run a --elephant=5",
          "tool run: there is no option '--elephant'; see tool run --help\n" },
        { "run a -x", "tool run: there is no option '-x'; see tool run --help\n" },
        { "run a --etag x", "tool run: there is no option '--etag' here, 'twin update' has it; see "
                            "tool run --help\n" },
        { "run a --json=yes", "tool run: --json takes no value; see tool run --help\n" },
        { "run a --port", "tool run: --port wants a value: --port PORT; see tool run --help\n" },
        { "run --port --json a",
          "tool run: --port wants a value: --port PORT; see tool run --help\n" },
        { "run --port -- a", "tool run: --port wants a value: --port PORT; see tool run --help\n" },
        { "run a --port 0",
          "tool run: --port wants a number from 1 to 65535, not '0'; see tool run --help\n" },
        { "run a --port 65536",
          "tool run: --port wants a number from 1 to 65535, not '65536'; see tool run --help\n" },
        { "run a --port 80x",
          "tool run: --port wants a number from 1 to 65535, not '80x'; see tool run --help\n" },
        { "run a --port +80",
          "tool run: --port wants a number from 1 to 65535, not '+80'; see tool run --help\n" },
        { "run a --port=",
          "tool run: --port wants a number from 1 to 65535, not ''; see tool run --help\n" },
        { "run a --port 99999999999999999999",
          "tool run: --port wants a number from 1 to 65535, not '99999999999999999999'; "
          "see tool run --help\n" },
        { "run a --offset -",
          "tool run: --offset wants a number from -10 to 10, not '-'; see tool run --help\n" },
        { "run a --offset -11",
          "tool run: --offset wants a number from -10 to 10, not '-11'; see tool run --help\n" },
        { "run a --level lo",
          "tool run: --level is low, middle or high, not 'lo'; see tool run --help\n" },
        { "run a --level ''",
          "tool run: --level is low, middle or high, not ''; see tool run --help\n" },
        { "twin get d --listen bad",
          "tool twin get: --listen wants an address, not 'bad'; see tool twin get --help\n" },
    };
    struct outcome outcome;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_read(&outcome, &fixture_tool, cases[i].line);

        assert_string_equal(outcome.err, cases[i].said);
        assert_int_equal(outcome.rc, -EINVAL);
        assert_int_equal(outcome.exit_code, 64);
        assert_string_equal(outcome.out, "");
        assert_null(outcome.command.program); /* untouched */
    }
}

static void command_read_of_very_long_words_complains_as_of_others(void **state)
{
    struct outcome outcome;
    char line[FIXTURE_WORD_BYTES];

    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "run a --", 8);
    line[sizeof line - 1] = '\0';
    fixture_read(&outcome, &fixture_tool, line);
    assert_int_equal(outcome.exit_code, 64);
    assert_non_null(strstr(outcome.err, "there is no option '--xxxxxxxx"));

    fixture_read(&outcome, &fixture_tool, line + 8);
    assert_int_equal(outcome.exit_code, 64);
    assert_non_null(strstr(outcome.err, "there is no verb 'xxxxxxxx"));
}

static void command_read_without_a_word_says_what_there_is_where_errors_go(void **state)
{
    struct command command = { 0 };
    struct settings settings = { 0 };
    struct outcome outcome;
    char *none[] = { NULL };
    int exit_code;

    (void)state;
    fixture_read(&outcome, &fixture_tool, "");

    assert_int_equal(outcome.exit_code, 64);
    assert_string_equal(outcome.out, "");
    assert_non_null(strstr(outcome.err, "usage: tool VERB"));

    /* A caller that hands over no name either. */
    assert_int_equal(command_read(&command, &exit_code, &fixture_sim, &settings, 0, none), -EINVAL);
    assert_int_equal(exit_code, 64);
}

static void command_read_of_a_program_without_verbs_needs_no_verb(void **state)
{
    struct outcome outcome;

    (void)state;
    fixture_read(&outcome, &fixture_sim, "--json a --state=b");
    assert_int_equal(outcome.rc, 0);
    assert_string_equal(outcome.command.arguments[0], "a");
    assert_true(outcome.settings.json);
    assert_string_equal(outcome.settings.file, "b");

    fixture_read(&outcome, &fixture_sim, "a --count 9223372036854775807");
    assert_int_equal(outcome.settings.port, INT64_MAX);
    fixture_read(&outcome, &fixture_sim, "a --count 9223372036854775808");
    assert_int_equal(outcome.exit_code, 64);
    assert_non_null(strstr(outcome.err, "--count wants a number from 0 to 9223372036854775807, "));

    fixture_read(&outcome, &fixture_sim, "");
    assert_int_equal(outcome.exit_code, 64);
    assert_string_equal(outcome.err, "sim: FILE is missing: sim FILE; see sim --help\n");
    fixture_read(&outcome, &fixture_sim, "a b");
    assert_string_equal(outcome.err,
                        "sim: 'b' is one argument too many: sim FILE; see sim --help\n");
    fixture_read(&outcome, &fixture_sim, "a --stat b");
    assert_string_equal(
        outcome.err,
        "sim: there is no option '--stat' (did you mean '--state'?); see sim --help\n");
}

static void command_read_of_an_option_that_prints_is_over_with_0(void **state)
{
    static const struct {
        const char *line, *begins;
    } cases[] = {
        { "--help", "usage: tool VERB ARGUMENTS... [options]\n" },
        { "-h", "usage: tool VERB ARGUMENTS... [options]\n" },
        { "--version", "tool 1.2.3\n" },
        { "run --version", "tool 1.2.3\n" },
        { "run --help", "usage: tool run FILE [options]\n" },
        { "run a b c --nope --help", "usage: tool run FILE [options]\n" },
        { "twin get -h", "usage: tool twin get DEVICE[/MODULE] [options]\n" },
        { "twin --help", "usage: tool twin VERB ARGUMENTS... [options]\n" },
        { "twin nope --help", "usage: tool twin VERB ARGUMENTS... [options]\n" },
        { "nope --help", "usage: tool VERB ARGUMENTS... [options]\n" },
        { "list --help", "usage: tool list [options]\n" },
        { "--man", ".\\\" Printed by tool --man\n" },
        { "--bash-completion", "# bash completion of tool 1.2.3, " },
    };
    struct outcome outcome;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_read(&outcome, &fixture_tool, cases[i].line);

        assert_string_equal(outcome.err, "");
        assert_int_equal(outcome.rc, -EINVAL);
        assert_int_equal(outcome.exit_code, 0);
        assert_memory_equal(outcome.out, cases[i].begins, strlen(cases[i].begins));
    }
}

static void command_main_runs_the_verb_and_gives_its_code(void **state)
{
    struct outcome outcome;

    (void)state;
    fixture_main(&outcome, &fixture_tool, "twin update d a=1", NULL);
    assert_int_equal(outcome.exit_code, 42);
    assert_string_equal(outcome.out, "runs\nd\na=1\n");

    fixture_main(&outcome, &fixture_tool, "twin get", NULL);
    assert_int_equal(outcome.exit_code, 64);
    assert_string_equal(outcome.out, "");
}

static void command_main_whose_output_is_lost_says_so(void **state)
{
    struct outcome outcome;

    (void)state;
    fixture_main(&outcome, &fixture_tool, "--help", "/dev/full");
    assert_int_equal(outcome.exit_code, 70);
    assert_string_equal(outcome.err, "tool: cannot write to standard output\n");

    fixture_main(&outcome, &fixture_tool, "list", "/dev/full");
    assert_int_equal(outcome.exit_code, 70);
    assert_string_equal(outcome.err, "tool list: cannot write to standard output\n");

    /* A failure of the verb's own counts more. */
    fixture_main(&outcome, &fixture_tool, "run a", "/dev/full");
    assert_int_equal(outcome.exit_code, 41);
    assert_string_equal(outcome.err, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_read_of_a_good_line_gives_verb_arguments_and_options),
        cmocka_unit_test(command_read_of_a_wrong_line_names_what_is_wrong_in_one_line),
        cmocka_unit_test(command_read_of_very_long_words_complains_as_of_others),
        cmocka_unit_test(command_read_without_a_word_says_what_there_is_where_errors_go),
        cmocka_unit_test(command_read_of_a_program_without_verbs_needs_no_verb),
        cmocka_unit_test(command_read_of_an_option_that_prints_is_over_with_0),
        cmocka_unit_test(command_main_runs_the_verb_and_gives_its_code),
        cmocka_unit_test(command_main_whose_output_is_lost_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
