/* Lines in, lines out.
 *
 * Happy path: bytes are gathered until a newline, the command is carried out at once, its answer is
 * sent before the next is read. A client is closed when it hangs up, sends a line that is too long,
 * or does not take its answers. */
#include "tests/sim/modbussim/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct control_client {
    uv_tcp_t tcp;
    struct control *control;
    struct control_client *next;
    char line[CONTROL_LINE_MAX];
    size_t length;
};

struct control {
    uv_tcp_t tcp;
    control_command command;
    void *owner;
    struct control_client *clients;
    size_t client_count;
    size_t open_handles; /* freed with the last */
};

static void handle_closed(struct control *control)
{
    if (--control->open_handles == 0)
        free(control);
}

static void client_closed(uv_handle_t *handle)
{
    struct control_client *client = handle->data;
    struct control *control = client->control;

    free(client);
    handle_closed(control);
}

static void client_close(struct control_client *client)
{
    struct control_client **link = &client->control->clients;

    if (uv_is_closing((uv_handle_t *)&client->tcp))
        return;
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    client->control->client_count--;
    uv_close((uv_handle_t *)&client->tcp, client_closed);
}

/* Carries out one line and sends the answer; false when the client does not take it. */
static bool carry_out(struct control_client *client, char *line)
{
    char answer[CONTROL_ANSWER_MAX] = "";
    char line_out[CONTROL_ANSWER_MAX + 1];
    uv_buf_t bytes;

    client->control->command(client->control->owner, line, answer);
    bytes = uv_buf_init(line_out, (unsigned)snprintf(line_out, sizeof line_out, "%s\n", answer));
    /* An answer is far smaller than a socket's buffer: one that does not fit was never read. */
    return uv_try_write((uv_stream_t *)&client->tcp, &bytes, 1) == (int)bytes.len;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct control_client *client = handle->data;

    (void)suggested;
    *buf = uv_buf_init(client->line + client->length,
                       (unsigned)(sizeof client->line - client->length));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct control_client *client = stream->data;
    char *newline;

    (void)buf;
    if (count < 0) { /* the end, or -ENOBUFS: the line is too long */
        client_close(client);
        return;
    }
    client->length += (size_t)count;
    while ((newline = memchr(client->line, '\n', client->length)) != NULL) {
        size_t taken = (size_t)(newline - client->line) + 1;

        *newline = '\0';
        if (newline > client->line && newline[-1] == '\r')
            newline[-1] = '\0';
        if (!carry_out(client, client->line)) {
            client_close(client);
            return;
        }
        client->length -= taken;
        memmove(client->line, client->line + taken, client->length);
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct control *control = server->data;
    struct control_client *client;

    if (status < 0)
        return;
    client = calloc(1, sizeof *client);
    if (client == NULL || uv_tcp_init(server->loop, &client->tcp) != 0) {
        free(client);
        return;
    }
    client->tcp.data = client;
    client->control = control;
    client->next = control->clients;
    control->clients = client;
    control->client_count++;
    control->open_handles++;
    if (uv_accept(server, (uv_stream_t *)&client->tcp) != 0 ||
        control->client_count > CONTROL_CLIENTS_MAX ||
        uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read) != 0)
        client_close(client);
}

static void listener_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

int control_new(struct control **out, uv_loop_t *loop, int fd, control_command command, void *owner)
{
    struct control *control = calloc(1, sizeof *control);
    int rc = control == NULL ? -ENOMEM : uv_tcp_init(loop, &control->tcp);

    if (rc != 0) {
        close(fd);
        free(control);
        return rc;
    }
    control->tcp.data = control;
    control->command = command;
    control->owner = owner;
    control->open_handles = 1;
    rc = uv_tcp_open(&control->tcp, fd);
    if (rc != 0)
        close(fd);
    else
        rc = uv_listen((uv_stream_t *)&control->tcp, 16, on_connection);
    if (rc != 0) {
        uv_close((uv_handle_t *)&control->tcp, listener_closed);
        return rc;
    }
    *out = control;
    return 0;
}

void control_close(struct control *control)
{
    if (control == NULL)
        return;
    while (control->clients != NULL)
        client_close(control->clients);
    uv_close((uv_handle_t *)&control->tcp, listener_closed);
}
