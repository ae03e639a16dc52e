/* Modbus/TCP servers that answer with libmodbus.
 *
 * Happy path: a client's socket becomes readable when a whole request lies in it (SO_RCVLOWAT is
 * the length that it still needs), libmodbus receives it without waiting and answers from the
 * unit's map. An unknown unit gets exception 11 (gateway target device failed to respond); a silent
 * one nothing. A client that sends what is no Modbus/TCP, hangs up, or does not take its answers is
 * closed. */
#include "tests/sim/modbussim/server.h"

#include "tests/sim/modbussim/request.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
    uv_poll_t poll;
    struct server *server;
    struct client *previous, *next; /* in the server's list */
    modbus_t *modbus;
    int fd;
    int wake_at; /* SO_RCVLOWAT now: bytes that make the socket readable */
};

struct server {
    uv_poll_t poll;
    uv_loop_t *loop;
    int fd;
    struct registers *registers;
    struct client *clients;
    size_t *client_count; /* of the process */
    size_t open_handles;  /* freed with the last */
};

static void handle_closed(struct server *server)
{
    if (--server->open_handles == 0)
        free(server);
}

/* ---- a client ---- */

static void client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    struct server *server = client->server;

    close(client->fd);
    modbus_free(client->modbus);
    free(client);
    handle_closed(server);
}

static void client_close(struct client *client)
{
    struct server *server = client->server;

    if (uv_is_closing((uv_handle_t *)&client->poll))
        return;
    if (client->previous != NULL)
        client->previous->next = client->next;
    else
        server->clients = client->next;
    if (client->next != NULL)
        client->next->previous = client->previous;
    (*server->client_count)--;
    uv_close((uv_handle_t *)&client->poll, client_closed);
}

/* From now on the socket is readable when `count` bytes are there, or its end. 0 or -errno. */
static int wake_at(struct client *client, int count)
{
    if (client->wake_at == count)
        return 0;
    if (setsockopt(client->fd, SOL_SOCKET, SO_RCVLOWAT, &count, sizeof count) != 0)
        return -errno;
    client->wake_at = count;
    return 0;
}

/* Answers the request that lies whole at the front of the socket. 0, or -errno: the client is lost.
 */
static int client_answer(struct client *client, const uint8_t *peeked, int length)
{
    struct registers_unit *unit = registers_unit(client->server->registers, peeked[6]);
    int exception = request_exception(peeked, (size_t)length);
    uint8_t request[REQUEST_MAX];
    int rc;

    /* libmodbus takes the request in pieces and asks select() before each. */
    if (wake_at(client, 1) != 0)
        return -EIO;
    /* A malformed one is taken by the length of its header, which libmodbus would not look at. */
    rc = exception == 0 ? modbus_receive(client->modbus, request)
                        : (int)recv(client->fd, request, (size_t)length, 0);
    if (rc != length)
        return -EPROTO;
    if (unit->silent)
        return 0;
    if (unit->map == NULL)
        exception = MODBUS_EXCEPTION_GATEWAY_TARGET;
    if (exception != 0)
        rc = modbus_reply_exception(client->modbus, request, (unsigned)exception);
    else
        rc = modbus_reply(client->modbus, request, length, unit->map);
    return rc < 0 ? -errno : 0;
}

/* Takes all whole requests; asks to be woken when the next is. 0, or -errno: the client is lost. */
static int client_read(struct client *client)
{
    for (;;) {
        uint8_t bytes[REQUEST_MAX];
        ssize_t length = recv(client->fd, bytes, sizeof bytes, MSG_PEEK);
        int needed;
        int rc;

        if (length == 0)
            return -ECONNRESET;
        if (length < 0 && errno != EAGAIN)
            return -errno;
        if (length < 0)
            length = 0;
        needed = request_length(bytes, (size_t)length);
        if (needed < 0)
            return needed;
        if (length < needed)
            return wake_at(client, length == 0 ? 1 : needed);
        rc = client_answer(client, bytes, needed);
        if (rc != 0)
            return rc;
    }
}

static void on_client_ready(uv_poll_t *poll, int status, int events)
{
    struct client *client = poll->data;

    if (status < 0 || client_read(client) != 0 || (events & UV_DISCONNECT) != 0)
        client_close(client);
}

/* libmodbus on a connected socket, told to wait for nothing. */
static modbus_t *modbus_on(int fd)
{
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", 0);

    if (modbus == NULL)
        return NULL;
    modbus_set_socket(modbus, fd);
    modbus_set_response_timeout(modbus, 0, 1);
    modbus_set_byte_timeout(modbus, 0, 1);
    return modbus;
}

/* Makes `fd` a client of the server, which owns it then. 0 or -errno. */
static int client_add(struct server *server, int fd)
{
    struct client *client = calloc(1, sizeof *client);
    int on = 1;
    int rc;

    if (client == NULL)
        return -ENOMEM;
    client->server = server;
    client->fd = fd;
    client->wake_at = 1;
    client->modbus = modbus_on(fd);
    rc = client->modbus == NULL ? -ENOMEM : uv_poll_init(server->loop, &client->poll, fd);
    if (rc != 0) {
        modbus_free(client->modbus);
        free(client);
        return rc;
    }
    client->poll.data = client;
    client->next = server->clients;
    if (client->next != NULL)
        client->next->previous = client;
    server->clients = client;
    server->open_handles++;
    (*server->client_count)++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (uv_poll_start(&client->poll, UV_READABLE | UV_DISCONNECT, on_client_ready) != 0)
        client_close(client);
    return 0;
}

/* ---- the server ---- */

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    int fd;

    (void)events;
    if (status < 0)
        return;
    fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return; /* gone again; no lack of descriptors: modbussim.c raised the limit above the cap */
    if (fd >= FD_SETSIZE || *server->client_count >= SERVER_CLIENTS_MAX) {
        fprintf(stderr, "modbussim: more than %d clients, one was hung up on\n",
                SERVER_CLIENTS_MAX);
        close(fd);
    } else if (client_add(server, fd) != 0) {
        close(fd);
    }
}

static void listener_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;

    close(server->fd);
    handle_closed(server);
}

int server_new(struct server **out, uv_loop_t *loop, int fd, struct registers *registers,
               size_t *clients)
{
    struct server *server = calloc(1, sizeof *server);
    int rc = server == NULL ? -ENOMEM : uv_poll_init(loop, &server->poll, fd);

    if (rc != 0) {
        close(fd);
        free(server);
        return rc;
    }
    server->poll.data = server;
    server->loop = loop;
    server->fd = fd;
    server->registers = registers;
    server->client_count = clients;
    server->open_handles = 1;
    rc = uv_poll_start(&server->poll, UV_READABLE, on_connection);
    if (rc != 0) {
        uv_close((uv_handle_t *)&server->poll, listener_closed);
        return rc;
    }
    *out = server;
    return 0;
}

void server_close(struct server *server)
{
    while (server->clients != NULL)
        client_close(server->clients);
    uv_close((uv_handle_t *)&server->poll, listener_closed);
}
