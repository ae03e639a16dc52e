/* The other way: libmodbus with a thread for each connection, as programs on it are written. At most 1,000
 * connections: libmodbus ends the process when a descriptor reaches 1024.
 *
 * With --per-second every thread sleeps until its next slot on a grain of 10 ms, evenly spread. */
#include "tests/bench/measure.h"

#include <modbus.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1000, STACK_BYTES = 128 * 1024 };

struct client {
    const struct measure_options *options;
    int number;
    modbus_t *modbus;
    _Atomic uint64_t transactions; /* written by its thread only */
    _Atomic uint64_t failures;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_libmodbus: %s: %s\n", what, modbus_strerror(errno));
    exit(EX_SOFTWARE);
}

static void sleep_until_us(int64_t at_us)
{
    struct timespec at = { .tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000 };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
}

static void *serve(void *argument)
{
    struct client *client = argument;
    int per_second = client->options->per_second;
    int64_t period_us = per_second == 0 ? 0 : 1000000 / per_second;
    int64_t phase_us = per_second == 0 ? 0 : client->number * MEASURE_GRAIN_MS * 1000 % period_us;
    int64_t due_us = period_us == 0 ? 0 : (measure_now_us() / period_us + 1) * period_us + phase_us;
    uint16_t registers[MODBUS_MAX_READ_REGISTERS];

    for (;; due_us += period_us) {
        if (period_us > 0)
            sleep_until_us(due_us);
        if (modbus_read_registers(client->modbus, 0, client->options->registers, registers) < 0)
            atomic_fetch_add_explicit(&client->failures, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&client->transactions, 1, memory_order_relaxed);
    }
    return NULL;
}

static void start(struct client *client, const struct measure_options *options, int number)
{
    pthread_attr_t attributes;
    pthread_t thread;

    client->options = options;
    client->number = number;
    client->modbus = modbus_new_tcp("127.0.0.1", options->port);
    if (client->modbus == NULL || modbus_connect(client->modbus) != 0)
        die("connect");
    modbus_set_slave(client->modbus, 1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, serve, client) != 0)
        die("thread");
    pthread_attr_destroy(&attributes);
}

static uint64_t count(struct client *clients, int connections, uint64_t *failures)
{
    uint64_t transactions = 0;

    *failures = 0;
    for (int i = 0; i < connections; i++) {
        transactions += atomic_load_explicit(&clients[i].transactions, memory_order_relaxed);
        *failures += atomic_load_explicit(&clients[i].failures, memory_order_relaxed);
    }
    return transactions;
}

int main(int argc, char **argv)
{
    struct measure_options options;
    struct client *clients;
    struct measure window;
    uint64_t failures;
    int64_t start_us;

    measure_parse(&options, argc, argv);
    if (options.connections > CONNECTIONS_MAX) {
        fprintf(stderr, "bench_libmodbus: at most %d connections\n", CONNECTIONS_MAX);
        return EX_USAGE;
    }
    clients = calloc((size_t)options.connections, sizeof *clients);
    if (clients == NULL)
        die("start");
    for (int i = 0; i < options.connections; i++)
        start(&clients[i], &options, i);
    start_us = measure_now_us() + (int64_t)(options.warm_up_s * 1e6);
    sleep_until_us(start_us);
    measure_begin(&window, count(clients, options.connections, &failures));
    sleep_until_us(start_us + (int64_t)(options.seconds * 1e6));
    measure_end(&window, count(clients, options.connections, &failures), failures);
    _exit(0); /* with its threads */
}
