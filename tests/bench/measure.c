/* The window is cut by the program itself, so that neither its start nor its end is counted: the CPU time
 * is that of all its threads between the two moments (getrusage). */
#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { REGISTERS_MAX = 125, GRAINS_PER_SECOND = 1000 / MEASURE_GRAIN_MS };

static int is_valid(const struct measure_options *o)
{
    return o->port > 0 && o->connections > 0 && o->registers > 0 && o->registers <= REGISTERS_MAX &&
           o->per_second >= 0 && (o->per_second == 0 || GRAINS_PER_SECOND % o->per_second == 0) &&
           o->warm_up_s >= 0 && o->seconds > 0;
}

void measure_parse(struct measure_options *out, int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },
        { "connections", required_argument, NULL, 'c' },
        { "registers", required_argument, NULL, 'r' },
        { "per-second", required_argument, NULL, 'n' },
        { "warm-up", required_argument, NULL, 'w' },
        { "seconds", required_argument, NULL, 's' },
        { "reads", no_argument, NULL, 'a' },
        { NULL, 0, NULL, 0 },
    };
    struct measure_options o = {
        .connections = 1, .registers = 10, .warm_up_s = 0.5, .seconds = 2
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            o.port = atoi(optarg);
            break;
        case 'c':
            o.connections = atoi(optarg);
            break;
        case 'r':
            o.registers = atoi(optarg);
            break;
        case 'n':
            o.per_second = atoi(optarg);
            break;
        case 'w':
            o.warm_up_s = atof(optarg);
            break;
        case 's':
            o.seconds = atof(optarg);
            break;
        case 'a':
            o.reads = 1;
            break;
        default:
            exit(EX_USAGE);
        }
    }
    if (optind < argc || !is_valid(&o)) {
        fprintf(
            stderr,
            "usage: %s --port PORT [--connections N] [--registers 1..125] [--per-second 1..100]\n"
            "       [--warm-up SECONDS] [--seconds SECONDS]\n",
            argv[0]);
        exit(EX_USAGE);
    }
    *out = o;
}

int64_t measure_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t us_of(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static int64_t cpu_us(const struct rusage *usage)
{
    return us_of(usage->ru_utime) + us_of(usage->ru_stime);
}

void measure_begin(struct measure *measure, uint64_t transactions)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    *measure = (struct measure){ transactions, cpu_us(&usage), measure_now_us() };
}

void measure_end(const struct measure *measure, uint64_t transactions, uint64_t failures)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf("{\"transactions\":%llu,\"seconds\":%.6f,\"cpu_us\":%lld,\"process_cpu_us\":%lld,"
           "\"rss_kb\":%ld,\"failures\":%llu}\n",
           (unsigned long long)(transactions - measure->transactions),
           (double)(measure_now_us() - measure->wall_us) / 1e6,
           (long long)(cpu_us(&usage) - measure->cpu_us), (long long)cpu_us(&usage),
           usage.ru_maxrss, (unsigned long long)failures);
    fflush(stdout);
}

int measure_connect(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "cannot connect to 127.0.0.1:%d: %s\n", port, strerror(errno));
        exit(EX_UNAVAILABLE);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}
