/* The command line of modbussim. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct options_move {
    const char *connection;
    const char *listen; /* ADDR:PORT */
};

struct options {
    const char *file;
    const char *control;        /* ADDR:PORT, or NULL */
    const char *connection;     /* while reading: one that waits for its --listen, or NULL */
    struct options_move *moves; /* owned */
    size_t move_count;
    bool still;
};

/* 0: *out is the caller's. Otherwise the program is over with *exit_code: help was printed, or the
 * usage was wrong and said so on standard error. Texts are argv's, which is put in order in place. */
int options_read(struct options *out, int *exit_code, int argc, char **argv);
void options_done(struct options *options);
