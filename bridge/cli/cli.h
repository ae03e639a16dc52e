/* The verbs of `twinbridge`, one file each. Exit codes are those of sysexits.h: 0 done, 64 usage, 66 no
 * such file, 69 unreachable, 70 internal, 75 try again, 77 not allowed, 78 the mapping file is wrong. */
#pragma once

#include "base/command.h"

/* The options of all verbs together; a verb sees those of its rows in main.c. */
struct cli_options {
    int log_level; /* an enum log_level */
    bool strict;
    bool json;
};

/* The exit code of a config_load of `file` that returned `rc`. */
int cli_load_code(int rc, const char *file);

int cli_run(const struct command *command);
int cli_check(const struct command *command);
