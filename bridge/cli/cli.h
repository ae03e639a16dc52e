/* The verbs of `twinbridge`, one file each. Exit codes are those of sysexits.h: 0 done, 64 usage, 66 no
 * such file, 69 unreachable, 70 internal, 77 not allowed, 78 the mapping file is wrong. */
#pragma once

struct cli_verb {
    const char *name;
    const char *arguments; /* as shown in the list of verbs: "FILE" */
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; the exit code */
};

/* The exit code of a config_load of `file` that returned `rc`. */
int cli_load_code(int rc, const char *file);

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
