/* One call of twinctl: the verb, its options, its arguments. A verb is a row of the table in verb.c
 * and a function; its help is made from the row. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct verb;

/* What the command line said. Texts are argv's. Absent texts are NULL, an absent port is 0. */
struct invocation {
    const struct verb *verb;
    const char *connection_string_file;
    const char *ca_file;
    const char *etag;
    int port;
    bool json;
    bool tags;
    bool whole;
    bool force;
    bool dry_run;
    const char *const *arguments;
    size_t argument_count;
};

struct verb {
    const char *name; /* "twin get" */
    const char *arguments;
    const char *summary; /* for the list of all verbs */
    const char *text;    /* the rest of its help, whole lines; "" = nothing to add */
    unsigned options;    /* the bits of its own options, besides those of every verb */
    size_t least, most;  /* how many arguments it takes */
    int (*run)(const struct invocation *call); /* returns the exit code, a number of <sysexits.h> */
};

/* Finds the verb and reads options and arguments. 0: *out can be run (out->verb->run). Otherwise
 * the program is over with the exit code *exit_code: help was printed, or the usage was wrong and
 * said so. out->arguments points into `argv`, which is put in order in place. */
int verb_parse(struct invocation *out, int *exit_code, int argc, char **argv);

/* The verbs; each prints its result to standard output and its failure, in one line, to standard
 * error. Contract of the codes: design section 6. */
int provision_run(const struct invocation *call);
int twin_get_run(const struct invocation *call);
int twin_update_run(const struct invocation *call);

/* "twinctl: ..." and a newline to standard error; returns `exit_code`. */
__attribute__((format(printf, 2, 3))) int verb_fail(int exit_code, const char *format, ...);
