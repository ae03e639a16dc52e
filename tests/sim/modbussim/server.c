/* Modbus/TCP servers that answer with libmodbus.
 *
 * Happy path: a client's socket becomes readable when a whole request lies in it (SO_RCVLOWAT is
 * the length that it still needs), libmodbus receives it without waiting and answers from the
 * unit's map. An unknown unit gets exception 11 (gateway target device failed to respond). What a unit
 * that misbehaves answers, libmodbus writes into a socket pair, and a delivery sends what the fault makes
 * of it. A client that sends what is no Modbus/TCP, hangs up, or does not take its answers is closed. */
#include "tests/sim/modbussim/server.h"

#include "tests/sim/modbussim/delivery.h"
#include "tests/sim/modbussim/request.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DELIVERIES_MAX = 64
}; /* answers of one client that wait for their time; one more is not sent */

struct client {
    uv_poll_t poll;
    struct server *server;
    struct client *previous, *next; /* in the server's list */
    modbus_t *modbus;
    int fd;
    int wake_at; /* SO_RCVLOWAT now: bytes that make the socket readable */
    bool busy;   /* an answer takes its time: no request is looked at before it is out */
    struct delivery *deliveries[DELIVERIES_MAX];
    struct delivery *blocking; /* the one that makes it busy */
    size_t open_handles;       /* freed with the last */
};

struct server {
    uv_poll_t poll;
    uv_loop_t *loop;
    int fd;
    int pair[2]; /* libmodbus writes into the first what a fault is to spoil */
    struct registers *registers;
    uint64_t random; /* state of chance */
    struct client *clients;
    size_t *client_count; /* of the process */
    size_t open_handles;  /* freed with the last */
};

static void handle_closed(struct server *server)
{
    if (--server->open_handles > 0)
        return;
    close(server->pair[0]);
    close(server->pair[1]);
    free(server);
}

/* ---- a client ---- */

static void client_handle_closed(void *owner)
{
    struct client *client = owner;
    struct server *server = client->server;

    if (--client->open_handles > 0)
        return;
    close(client->fd);
    modbus_free(client->modbus);
    free(client);
    handle_closed(server);
}

static void on_poll_closed(uv_handle_t *handle)
{
    client_handle_closed(handle->data);
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
    for (size_t i = 0; i < DELIVERIES_MAX; i++)
        if (client->deliveries[i] != NULL)
            delivery_cancel(client->deliveries[i]);
    uv_close((uv_handle_t *)&client->poll, on_poll_closed);
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

/* ---- answers ---- */

static void on_client_ready(uv_poll_t *poll, int status, int events);

static void on_delivered(void *owner, struct delivery *delivery, int rc)
{
    struct client *client = owner;

    for (size_t i = 0; i < DELIVERIES_MAX; i++)
        if (client->deliveries[i] == delivery)
            client->deliveries[i] = NULL;
    if (rc != 0 || delivery_hangs_up(delivery)) {
        client_close(client);
        return;
    }
    if (client->blocking != delivery)
        return;
    client->blocking = NULL;
    client->busy = false;
    if (uv_poll_start(&client->poll, UV_READABLE | UV_DISCONNECT, on_client_ready) != 0)
        client_close(client);
}

/* Has `wire` sent. Unless `aside`, the client is busy until it is out. 0 or -errno. */
static int client_deliver(struct client *client, const struct fault_wire *wire, uint32_t delay_ms,
                          bool aside)
{
    const struct delivery_open args = {
        .loop = client->server->loop,
        .fd = client->fd,
        .wire = wire,
        .delay_ms = delay_ms,
        .wait_while = aside ? &client->busy : NULL,
        .done = on_delivered,
        .closed = client_handle_closed,
        .owner = client,
    };
    size_t place = 0;
    int rc;

    while (place < DELIVERIES_MAX && client->deliveries[place] != NULL)
        place++;
    if (place == DELIVERIES_MAX)
        return 0;
    rc = delivery_new(&client->deliveries[place], &args);
    if (rc != 0)
        return rc;
    client->open_handles++;
    if (aside)
        return 0;
    client->busy = true;
    client->blocking = client->deliveries[place];
    return uv_poll_start(&client->poll, UV_DISCONNECT, on_client_ready);
}

static int reply(struct client *client, const uint8_t *request, int length, int exception)
{
    struct registers_unit *unit = registers_unit(client->server->registers, request[6]);
    int rc;

    if (unit->map == NULL)
        exception = MODBUS_EXCEPTION_GATEWAY_TARGET;
    if (exception != 0)
        rc = modbus_reply_exception(client->modbus, request, (unsigned)exception);
    else
        rc = modbus_reply(client->modbus, request, length, unit->map);
    return rc < 0 ? -errno : 0;
}

/* What libmodbus would send. 0 or -errno. */
static int reply_aside(struct client *client, const uint8_t *request, int length, int exception,
                       uint8_t answer[FAULT_FRAME_MAX], size_t *answer_length)
{
    ssize_t count;
    int rc;

    modbus_set_socket(client->modbus, client->server->pair[0]);
    rc = reply(client, request, length, exception);
    modbus_set_socket(client->modbus, client->fd);
    if (rc != 0)
        return rc;
    count = recv(client->server->pair[1], answer, FAULT_FRAME_MAX, MSG_DONTWAIT);
    if (count <= REQUEST_HEADER)
        return -EPROTO;
    *answer_length = (size_t)count;
    return 0;
}

/* The answer of a unit whose fault `kind` strikes. 0, or -errno: the client is lost. */
static int misbehave(struct client *client, enum fault_kind kind, const struct fault *fault,
                     const uint8_t *request, int length, int exception)
{
    uint64_t *random = &client->server->random;
    uint8_t answer[FAULT_FRAME_MAX];
    struct fault_wire wire;
    uint32_t at = fault->at;
    size_t answer_length;
    int rc;

    if (kind == FAULT_SILENT)
        return 0;
    if (kind == FAULT_HANGUP)
        return -ECONNRESET;
    if (kind == FAULT_EXCEPTION)
        return reply(client, request, length, fault->exception);
    rc = reply_aside(client, request, length, exception, answer, &answer_length);
    if (rc != 0)
        return rc;
    if (fault->kind == FAULT_ANY)
        at = fault_chance(random, (uint32_t)answer_length);
    fault_wire(&wire, kind, at, answer, answer_length, random);
    return client_deliver(client, &wire, fault->delay_ms, kind == FAULT_LATE);
}

/* Which fault strikes this request. */
static enum fault_kind strike(struct client *client, struct fault *fault, const uint8_t *request,
                              int length)
{
    if (fault->kind == FAULT_EXCEPTION && fault->address >= 0 &&
        !request_touches(request, (size_t)length, (unsigned)fault->address))
        return FAULT_NONE;
    return fault_next(fault, &client->server->random);
}

/* Answers the request that lies whole at the front of the socket. 0, or -errno: the client is lost.
 */
static int client_answer(struct client *client, const uint8_t *peeked, int length)
{
    struct registers_unit *unit = registers_unit(client->server->registers, peeked[6]);
    int exception = request_exception(peeked, (size_t)length);
    uint8_t request[REQUEST_MAX];
    const struct fault fault = unit->fault; /* the last of its times ends it */
    enum fault_kind kind;
    int rc;

    /* libmodbus takes the request in pieces and asks select() before each. */
    if (wake_at(client, 1) != 0)
        return -EIO;
    /* A malformed one is taken by the length of its header, which libmodbus would not look at. */
    rc = exception == 0 ? modbus_receive(client->modbus, request)
                        : (int)recv(client->fd, request, (size_t)length, 0);
    if (rc != length)
        return -EPROTO;
    kind = strike(client, &unit->fault, request, length);
    unit->asked++;
    if (kind == FAULT_NONE)
        return reply(client, request, length, exception);
    unit->faulty++;
    return misbehave(client, kind, &fault, request, length, exception);
}

/* ---- a client again ---- */

/* Takes all whole requests; asks to be woken when the next is. 0, or -errno: the client is lost. */
static int client_read(struct client *client)
{
    while (!client->busy) {
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
    return 0;
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
    client->open_handles = 1;
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

/* A server with its socket pair; NULL when there is not enough of something. */
static struct server *server_alloc(void)
{
    struct server *server = calloc(1, sizeof *server);

    if (server != NULL &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, server->pair) != 0) {
        free(server);
        return NULL;
    }
    return server;
}

int server_new(struct server **out, uv_loop_t *loop, int fd, struct registers *registers,
               size_t *clients)
{
    struct server *server = server_alloc();
    int rc = server == NULL ? -ENOMEM : uv_poll_init(loop, &server->poll, fd);

    if (rc != 0) {
        close(fd);
        if (server != NULL) {
            close(server->pair[0]);
            close(server->pair[1]);
        }
        free(server);
        return rc;
    }
    server->poll.data = server;
    server->loop = loop;
    server->fd = fd;
    server->registers = registers;
    server->random = (uint64_t)uv_hrtime() | 1;
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
