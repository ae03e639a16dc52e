/* The control address: commands in lines, an answer in a line for each. What a command does is the
 * owner's business. */
#pragma once

#include <stddef.h>
#include <uv.h>

struct control;

enum {
    CONTROL_LINE_MAX = 512,   /* bytes of a command, with its newline */
    CONTROL_ANSWER_MAX = 256, /* bytes of an answer, with its NUL */
    CONTROL_CLIENTS_MAX = 32, /* one more is hung up on */
};

/* Carries out one command (without its newline) and writes the answer, one line without its
 * newline. */
typedef void (*control_command)(void *owner, char *line, char answer[CONTROL_ANSWER_MAX]);

/* Listens on `fd`, which becomes the control's, also when this fails. 0, -ENOMEM, or the loop's
 * error. */
int control_new(struct control **out, uv_loop_t *loop, int fd, control_command command,
                void *owner);

/* Closes it and its clients; freed when the loop has closed the handles. NULL is fine. */
void control_close(struct control *control);
