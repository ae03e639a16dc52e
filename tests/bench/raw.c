/* The floor: a Modbus/TCP client that does nothing but what the kernel wants for it, on epoll and no
 * library. One send and one recv for each transaction, one epoll_wait for as many as are ready.
 *
 * With --per-second every connection has its slot on a grain of 10 ms, evenly spread. An answer that is
 * not the one that was asked for ends the program: the measurement would be worth nothing. */
#include "tests/bench/measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>

enum { EVENTS = 256, HEADER = 7, REQUEST = 12, ANSWER_MAX = 260 };

struct connection {
    int fd;
    uint16_t transaction; /* of the request that is out */
    int waiting;          /* it is not answered yet */
    uint8_t answer[ANSWER_MAX];
    size_t length;
};

struct raw {
    struct measure_options options;
    int epoll;
    struct connection *connections;
    uint64_t transactions;
    uint64_t failures; /* slots at which the answer to the one before was still out */
};

static void die(const char *what)
{
    fprintf(stderr, "bench_raw: %s: %s\n", what, strerror(errno));
    exit(EX_SOFTWARE);
}

static void ask(struct raw *raw, struct connection *c)
{
    uint8_t request[REQUEST] = { [5] = REQUEST - 6, [6] = 1, [7] = 3 };

    c->transaction++;
    request[0] = (uint8_t)(c->transaction >> 8);
    request[1] = (uint8_t)c->transaction;
    request[11] = (uint8_t)raw->options.registers;
    c->waiting = 1;
    c->length = 0;
    if (send(c->fd, request, REQUEST, MSG_NOSIGNAL) != REQUEST)
        die("send");
}

static void on_readable(struct raw *raw, struct connection *c)
{
    size_t whole = HEADER + 2 + 2 * (size_t)raw->options.registers;
    ssize_t n = recv(c->fd, c->answer + c->length, sizeof c->answer - c->length, 0);

    if (n <= 0)
        die("recv");
    c->length += (size_t)n;
    if (c->length < whole)
        return;
    if (c->length != whole || !c->waiting || c->answer[0] != c->transaction >> 8 ||
        c->answer[1] != (c->transaction & 0xff) || c->answer[HEADER] != 3)
        die("an answer to another request");
    c->waiting = 0;
    raw->transactions++;
    if (raw->options.per_second == 0)
        ask(raw, c);
}

/* Asks all whose slot a grain is. */
static void ask_due(struct raw *raw, int64_t grain)
{
    int every = 1000 / MEASURE_GRAIN_MS / raw->options.per_second;

    for (int i = (int)(grain % every); i < raw->options.connections; i += every) {
        if (raw->connections[i].waiting)
            raw->failures++;
        else
            ask(raw, &raw->connections[i]);
    }
}

/* Milliseconds that epoll may sleep: until the next grain, or for ever. */
static int sleep_ms(const struct raw *raw)
{
    int64_t in_grain_us = measure_now_us() % (MEASURE_GRAIN_MS * 1000);

    if (raw->options.per_second == 0)
        return -1;
    return (int)((MEASURE_GRAIN_MS * 1000 - in_grain_us + 999) / 1000);
}

static void run_until(struct raw *raw, int64_t end_us)
{
    struct epoll_event events[EVENTS];
    int64_t done = measure_now_us() / 1000 / MEASURE_GRAIN_MS;

    for (int64_t now_us; (now_us = measure_now_us()) < end_us;) {
        int64_t grain = now_us / 1000 / MEASURE_GRAIN_MS;
        int count;

        while (raw->options.per_second > 0 && done < grain)
            ask_due(raw, ++done);
        count = epoll_wait(raw->epoll, events, EVENTS, sleep_ms(raw));
        for (int i = 0; i < count; i++)
            on_readable(raw, events[i].data.ptr);
    }
}

static void connect_all(struct raw *raw)
{
    for (int i = 0; i < raw->options.connections; i++) {
        struct connection *c = &raw->connections[i];
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

        c->fd = measure_connect(raw->options.port);
        if (epoll_ctl(raw->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
            die("epoll_ctl");
        if (raw->options.per_second == 0)
            ask(raw, c);
    }
}

int main(int argc, char **argv)
{
    struct raw raw = { .failures = 0 };
    struct measure window;
    int64_t start_us;

    measure_parse(&raw.options, argc, argv);
    raw.epoll = epoll_create1(EPOLL_CLOEXEC);
    raw.connections = calloc((size_t)raw.options.connections, sizeof *raw.connections);
    if (raw.epoll < 0 || raw.connections == NULL)
        die("start");
    connect_all(&raw);
    start_us = measure_now_us() + (int64_t)(raw.options.warm_up_s * 1e6);
    run_until(&raw, start_us);
    raw.failures = 0;
    measure_begin(&window, raw.transactions);
    run_until(&raw, start_us + (int64_t)(raw.options.seconds * 1e6));
    measure_end(&window, raw.transactions, raw.failures);
    return 0;
}
