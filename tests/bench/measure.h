/* What the clients of the benchmark have in common: their command line, and the window of time in which
 * CPU time and transactions are counted. */
#pragma once

#include <stdint.h>

struct measure_options {
    int port;        /* of the devices, on 127.0.0.1 */
    int connections; /* each with one request outstanding at a time */
    int registers;   /* of one request, 1 to 125 */
    int per_second;  /* requests of each connection: 0 = the next as soon as one is answered, else a
                        divisor of 100 (a grain of 10 ms) */
    double warm_up_s, seconds;
    int reads; /* bench_adapter: ask with adapter_ops.read, not by the schedule */
};

enum { MEASURE_GRAIN_MS = 10 };

struct measure {
    uint64_t transactions;
    int64_t cpu_us, wall_us;
};

/* Reads the command line; says what is wrong with it and ends the program when it cannot. */
void measure_parse(struct measure_options *out, int argc, char **argv);

/* Monotonic time. */
int64_t measure_now_us(void);

/* The window begins, with so many transactions done so far. */
void measure_begin(struct measure *measure, uint64_t transactions);

/* The window ends: prints it as one line of JSON. `failures`: whatever did not go as it should. */
void measure_end(const struct measure *measure, uint64_t transactions, uint64_t failures);

/* A connected TCP socket without Nagle's delay; ends the program when it cannot. */
int measure_connect(int port);
