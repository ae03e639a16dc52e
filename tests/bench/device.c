/* Devices for the benchmark: one process that answers reads of registers on any number of TCP connections,
 * as cheaply as the kernel lets it, so that the client under test is what limits the rate.
 *
 * Happy path: listen, print "listening PORT", then answer every request of function 3 or 4 with as many
 * registers as it asks for: register n holds n, or with --moving a number that is another in every answer.
 * Other functions get exception 1. A client that sends no Modbus/TCP, or does not take its answers, is
 * closed. Ends with SIGTERM. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    EVENTS = 256,
    HEADER = 7,
    REQUEST = 12, /* of a read: header, function, address, count */
    ANSWER_MAX = 260,
    GATHERED = 16 * REQUEST, /* more requests at once than any client has in flight */
};

struct client {
    uint8_t bytes[GATHERED]; /* requests that are not whole yet */
    size_t length;
};

struct device {
    int epoll, listener;
    bool moving;
    uint16_t move;          /* what --moving answers next */
    struct client *clients; /* by descriptor */
    size_t client_max;
};

static void die(const char *what)
{
    perror(what);
    exit(EX_OSERR);
}

static unsigned word(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static void put_word(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* Writes the answer to one request; returns its length. */
static size_t answer(struct device *device, const uint8_t *request, uint8_t *out)
{
    unsigned function = request[HEADER];
    unsigned address = word(request + 8);
    unsigned count = word(request + 10);

    memcpy(out, request, HEADER);
    if ((function != 3 && function != 4) || count < 1 || count > 125) {
        put_word(out + 4, 3);
        out[HEADER] = (uint8_t)(function | 0x80);
        out[HEADER + 1] = 1;
        return HEADER + 2;
    }
    put_word(out + 4, 3 + 2 * count);
    out[HEADER] = (uint8_t)function;
    out[HEADER + 1] = (uint8_t)(2 * count);
    if (device->moving)
        address = device->move++;
    for (unsigned i = 0; i < count; i++)
        put_word(out + HEADER + 2 + 2 * i, address + i);
    return HEADER + 2 + 2 * count;
}

/* Answers all requests that are whole. False: this is no client for us. */
static bool serve(struct device *device, int fd, struct client *client)
{
    uint8_t out[GATHERED / REQUEST * ANSWER_MAX];
    size_t length = 0;
    size_t at = 0;

    for (; client->length - at >= REQUEST; at += REQUEST) {
        const uint8_t *request = client->bytes + at;

        if (word(request + 2) != 0 || word(request + 4) != REQUEST - 6)
            return false;
        length += answer(device, request, out + length);
    }
    client->length -= at;
    memmove(client->bytes, client->bytes + at, client->length);
    return length == 0 || send(fd, out, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static void on_readable(struct device *device, int fd)
{
    struct client *client = &device->clients[fd];
    ssize_t n = recv(fd, client->bytes + client->length, sizeof client->bytes - client->length, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        client->length += (size_t)n;
        if (serve(device, fd, client))
            return;
    }
    close(fd);
}

static void add(struct device *device, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

    if (epoll_ctl(device->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
}

static void on_client(struct device *device)
{
    int one = 1;
    int fd = accept4(device->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if ((size_t)fd >= device->client_max) {
        device->client_max = (size_t)fd * 2;
        device->clients = realloc(device->clients, device->client_max * sizeof *device->clients);
        if (device->clients == NULL)
            die("realloc");
    }
    device->clients[fd].length = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    add(device, fd);
}

static int listen_anywhere(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, BACKLOG) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        die("listen");
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit");
}

static void on_term(int signal)
{
    (void)signal;
    _exit(0);
}

int main(int argc, char **argv)
{
    struct device device = { .moving = argc == 2 && strcmp(argv[1], "--moving") == 0 };
    struct epoll_event events[EVENTS];

    if (argc > 1 && !device.moving) {
        fprintf(stderr, "usage: %s [--moving]\n", argv[0]);
        return EX_USAGE;
    }
    signal(SIGTERM, on_term);
    raise_descriptor_limit();
    device.epoll = epoll_create1(EPOLL_CLOEXEC);
    device.listener = listen_anywhere();
    add(&device, device.listener);
    for (;;) {
        int count = epoll_wait(device.epoll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == device.listener)
                on_client(&device);
            else
                on_readable(&device, events[i].data.fd);
        }
    }
}
