/* The table of verbs and options, and the reading of a command line against it.
 *
 * Happy path: the words before the first option name a verb, options may stand anywhere behind it,
 * "--" ends them, what is left are its arguments. Fails with usage (64) and one line that names
 * what is wrong and where the help is. */
#include "bridge/service/verb.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
    OPTION_COMMON = 1, /* of every verb */
    OPTION_ETAG = 2,
    OPTION_TAGS = 4,
    OPTION_WHOLE = 8,
    OPTION_DRY_RUN = 16,
    OPTION_HELP = 32, /* kinds without a field */
    OPTION_VERSION = 64,
};

enum option_kind { KIND_FLAG, KIND_TEXT, KIND_PORT, KIND_HELP, KIND_VERSION };

struct option {
    const char *name;
    const char *value; /* what it takes, for the help; NULL for a flag */
    const char *text;
    unsigned bit;
    enum option_kind kind;
    size_t field; /* in struct invocation */
};

static const struct option options[] = {
    { "--json", NULL, "print JSON for scripts", OPTION_COMMON, KIND_FLAG,
      offsetof(struct invocation, json) },
    { "--hub-connection-string-file", "FILE",
      "sign-in: a file with the connection string of a\n"
      "policy of the hub; default: the variable\n"
      "IOTHUB_CONNECTION_STRING",
      OPTION_COMMON, KIND_TEXT, offsetof(struct invocation, connection_string_file) },
    { "--port", "PORT", "of the hub; default 443", OPTION_COMMON, KIND_PORT,
      offsetof(struct invocation, port) },
    { "--ca-file", "FILE", "PEM bundle to verify the hub with; default: the\nsystem's",
      OPTION_COMMON, KIND_TEXT, offsetof(struct invocation, ca_file) },
    { "--tags", NULL, "the patch is for the tags, not for the desired\nproperties", OPTION_TAGS,
      KIND_FLAG, offsetof(struct invocation, tags) },
    { "--whole", NULL,
      "the patch is {\"tags\": ..., \"properties\":\n"
      "{\"desired\": ...}}, as twin get --json prints it",
      OPTION_WHOLE, KIND_FLAG, offsetof(struct invocation, whole) },
    { "--etag", "ETAG",
      "update only while the twin still has this etag;\ndefault: that of the twin just read",
      OPTION_ETAG, KIND_TEXT, offsetof(struct invocation, etag) },
    { "--force", NULL, "update whatever the twin's etag is", OPTION_ETAG, KIND_FLAG,
      offsetof(struct invocation, force) },
    { "--dry-run", NULL, "say what would be done, change nothing", OPTION_DRY_RUN, KIND_FLAG,
      offsetof(struct invocation, dry_run) },
    { "--help", NULL, "print this", OPTION_COMMON, KIND_HELP, 0 },
    { "--version", NULL, "print the version", OPTION_COMMON, KIND_VERSION, 0 },
};

static const struct verb verbs[] = {
    { "twin get", "DEVICE[/MODULE]", "show a twin: desired and reported side by side",
      "Prints each property with its desired and its reported value and how long ago each was\n"
      "written; '!' marks a desired value that is not reported. --json prints the hub's "
      "document.\n",
      0, 1, 1, twin_get_run },
    { "twin update", "DEVICE[/MODULE] PATCH...", "change desired properties or tags of a twin",
      "PATCH is any of\n"
      "  a.b=1   sets the property b in a; the value is JSON if it parses, else text;\n"
      "          null deletes the property\n"
      "  FILE    a file with a JSON object; write ./FILE when its name holds a '='\n"
      "  -       a JSON object from standard input\n"
      "and changes only what it names. The twin is read first, and the update is refused when\n"
      "somebody else changed it in between (exit code 75).\n",
      OPTION_ETAG | OPTION_TAGS | OPTION_WHOLE, 2, SIZE_MAX, twin_update_run },
    { "provision", "FILE", "make a mapping file's device, modules and credentials",
      "Creates the device and the modules of the mapping file FILE that the hub does not have "
      "yet,\n"
      "keeps those it has, and writes each module's connection string into the credentials folder\n"
      "of the mapping file, readable by its owner only. Port and CA file default to the mapping\n"
      "file's. Needs a policy with registry write (iothubowner). Running it again changes nothing\n"
      "that is right already.\n",
      OPTION_DRY_RUN, 1, 1, provision_run },
};

enum {
    VERB_COUNT = sizeof verbs / sizeof verbs[0],
    OPTION_COUNT = sizeof options / sizeof options[0]
};

int verb_fail(int exit_code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("twinctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return exit_code;
}

/* ---- help ---- */

/* `text` with the lines after the first indented by `indent`. */
static void print_indented(const char *text, int indent)
{
    for (; *text != '\0'; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", indent, "");
    }
    putchar('\n');
}

static void print_options(unsigned bits)
{
    enum { COLUMN = 38 };

    puts("options:");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        char head[COLUMN];

        if ((option->bit & bits) == 0)
            continue;
        snprintf(head, sizeof head, "%s %s", option->name,
                 option->value == NULL ? "" : option->value);
        printf("  %-*s", COLUMN, head);
        print_indented(option->text, COLUMN + 2);
    }
}

static void print_verb_help(const struct verb *verb)
{
    printf("usage: twinctl %s %s [options]\n\n%s\n", verb->name, verb->arguments, verb->text);
    print_options(verb->options | OPTION_COMMON);
}

/* The verbs whose name starts with the first `length` characters of `prefix`. */
static void print_list(const char *prefix, size_t length)
{
    puts("usage: twinctl VERB ARGUMENTS... [options]\n\n"
         "What a back end does with the module twins of an Azure IoT Hub.\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        char head[64];

        if (strncmp(verbs[i].name, prefix, length) != 0)
            continue;
        snprintf(head, sizeof head, "%s %s", verbs[i].name, verbs[i].arguments);
        printf("  %-38s%s\n", head, verbs[i].summary);
    }
    puts("\n'twinctl VERB --help' tells more. Proxies are taken from HTTPS_PROXY and NO_PROXY.\n"
         "Exit codes: 0 done, 64 usage, 65 refused by the hub, 66 no such device, module or file,\n"
         "69 hub not reachable, 70 internal, 75 try again, 77 not allowed, 78 configuration.");
}

/* ---- reading ---- */

/* The verb that argv names, and how many words that took; NULL when it names none. */
static const struct verb *find_verb(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        const char *space = strchr(verbs[i].name, ' ');
        size_t first = space == NULL ? strlen(verbs[i].name) : (size_t)(space - verbs[i].name);

        if (argc < 2 || strlen(argv[1]) != first || strncmp(argv[1], verbs[i].name, first) != 0)
            continue;
        if (space == NULL || (argc > 2 && strcmp(argv[2], space + 1) == 0)) {
            *words = space == NULL ? 1 : 2;
            return &verbs[i];
        }
    }
    return NULL;
}

static bool asks_for(const char *option, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], option) == 0)
            return true;
    return false;
}

/* No verb: help when that is what was asked for, else what is wrong. */
static int without_verb(int argc, char **argv)
{
    if (argc < 2) {
        print_list("", 0);
        return EX_USAGE;
    }
    if (asks_for("--version", argc, argv)) {
        puts("twinctl " TWINBRIDGE_VERSION);
        return EX_OK;
    }
    if (asks_for("--help", argc, argv)) {
        print_list(argv[1], argv[1][0] == '-' ? 0 : strlen(argv[1]));
        return EX_OK;
    }
    return verb_fail(EX_USAGE, "there is no verb '%s%s%s'; twinctl --help lists them", argv[1],
                     argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
}

static const struct option *find_option(const char *word, const struct verb *verb,
                                        const char **value)
{
    size_t length = strcspn(word, "=");

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((options[i].bit & (verb->options | OPTION_COMMON)) == 0)
            continue;
        if (strlen(options[i].name) == length && strncmp(options[i].name, word, length) == 0) {
            *value = word[length] == '=' ? word + length + 1 : NULL;
            return &options[i];
        }
    }
    return NULL;
}

/* Stores a value for `option`; 0 or -EINVAL. */
static int set_option(struct invocation *out, const struct option *option, const char *value)
{
    void *field = (char *)out + option->field;
    char *end;
    long port;

    switch (option->kind) {
    case KIND_FLAG:
        *(bool *)field = true;
        return 0;
    case KIND_TEXT:
        *(const char **)field = value;
        return 0;
    case KIND_PORT:
        assert(value != NULL); /* its row says that it takes one */
        errno = 0;
        port = strtol(value, &end, 10);
        if (errno != 0 || *end != '\0' || port < 1 || port > 65535)
            return -EINVAL;
        *(int *)field = (int)port;
        return 0;
    default:
        return 0;
    }
}

/* Reads the option at argv[*i], moving *i over its value. 0, or the usage code after saying what is
 * wrong. */
static int read_option(struct invocation *out, int *i, int argc, char **argv)
{
    const char *value = NULL;
    const struct option *option = find_option(argv[*i], out->verb, &value);

    if (option == NULL)
        return verb_fail(EX_USAGE, "%s has no option '%s'; twinctl %s --help lists them",
                         out->verb->name, argv[*i], out->verb->name);
    if (option->value == NULL && value != NULL)
        return verb_fail(EX_USAGE, "%s takes no value", option->name);
    if (option->value != NULL && value == NULL) {
        if (*i + 1 >= argc)
            return verb_fail(EX_USAGE, "%s wants a value: %s %s", option->name, option->name,
                             option->value);
        value = argv[++*i];
    }
    if (set_option(out, option, value) != 0)
        return verb_fail(EX_USAGE, "%s wants a port number from 1 to 65535, not '%s'", option->name,
                         value);
    return 0;
}

int verb_parse(struct invocation *out, int *exit_code, int argc, char **argv)
{
    struct invocation call = { 0 };
    bool options_end = false;
    int words = 0;

    call.verb = find_verb(argc, argv, &words);
    if (call.verb == NULL) {
        *exit_code = without_verb(argc, argv);
        return -EINVAL;
    }
    if (asks_for("--help", argc, argv)) {
        print_verb_help(call.verb);
        *exit_code = EX_OK;
        return -EINVAL;
    }
    *exit_code = EX_USAGE;
    for (int i = 1 + words; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0)
            options_end = true;
        else if (options_end || strncmp(argv[i], "--", 2) != 0)
            argv[1 + words + (int)call.argument_count++] = argv[i];
        else if (read_option(&call, &i, argc, argv) != 0)
            return -EINVAL;
    }
    call.arguments = (const char *const *)(argv + 1 + words);
    if (call.argument_count < call.verb->least || call.argument_count > call.verb->most) {
        verb_fail(0, "usage: twinctl %s %s; twinctl %s --help tells more", call.verb->name,
                  call.verb->arguments, call.verb->name);
        return -EINVAL;
    }
    *out = call;
    return 0;
}
