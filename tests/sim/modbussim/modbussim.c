/* modbussim: the Modbus devices of a mapping file, simulated.
 *
 * Happy path: the mapping file is read as the bridge reads it, every connection gets a listening
 * address (connections at the same one share it, and its units), libmodbus answers there from the
 * units' registers, and a timer moves the values. SIGTERM and SIGINT close everything and end with
 * 0. Fails at start only: mapping file, address, port; each said in one line with what to do. */
#include "adapters/adapter.h"
#include "tests/sim/modbussim/command.h"
#include "tests/sim/modbussim/options.h"
#include "tests/sim/modbussim/simulator.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

enum { STEP_MS = 200 };

static int fail(int exit_code, const char *what, const char *why, const char *remedy)
{
    fprintf(stderr, "modbussim: %s: %s%s\n", what, why, remedy);
    return exit_code;
}

/* ---- what the mapping file says ---- */

static int load_mapping(struct simulator *sim, const char *path)
{
    struct config_errors *errors = config_errors_new();
    int rc = errors == NULL ? -ENOMEM : config_load(&sim->config, path, adapters_config, errors);

    if (rc == -EINVAL)
        config_errors_print(errors, stderr);
    config_errors_free(errors);
    if (rc == -EINVAL)
        return fail(EX_CONFIG, path, "the mapping file has the mistakes above", "");
    return rc == 0 ? EX_OK : fail(EX_SOFTWARE, path, strerror(-rc), "");
}

static int read_connections(struct simulator *sim)
{
    size_t count = sim->config->connection_count;

    sim->lines = calloc(count + 1, sizeof *sim->lines);
    if (sim->lines == NULL)
        return fail(EX_SOFTWARE, sim->config->path, "out of memory", "");
    for (size_t i = 0; i < count; i++) {
        struct line *line = &sim->lines[i];
        int rc = mapping_read(&line->mapping, sim->config, i);

        if (rc != 0)
            return fail(EX_SOFTWARE, sim->config->connections[i].name, strerror(-rc), "");
        snprintf(line->host, sizeof line->host, "%s", line->mapping->host);
        line->port = line->mapping->port;
    }
    return EX_OK;
}

static int move_connections(struct simulator *sim, const struct options *options)
{
    for (size_t i = 0; i < options->move_count; i++) {
        const struct options_move *move = &options->moves[i];
        struct line *line = NULL;

        for (size_t j = 0; j < sim->config->connection_count; j++)
            if (strcmp(sim->config->connections[j].name, move->connection) == 0)
                line = &sim->lines[j];
        if (line == NULL)
            return fail(EX_NOINPUT, move->connection, "no such connection in ", sim->config->path);
        if (address_split(move->listen, line->host, sizeof line->host, &line->port) != 0)
            return fail(EX_USAGE, move->listen, "not ADDR:PORT", "");
    }
    return EX_OK;
}

static bool same_address(const struct line *a, const struct line *b)
{
    return a->port != 0 && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* The registers of every address, from all connections that lead there. */
static int make_registers(struct simulator *sim)
{
    size_t count = sim->config->connection_count;
    const struct modbus_connection **members = calloc(count + 1,
                                                      sizeof(struct modbus_connection *));
    int rc = members == NULL ? -ENOMEM : 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t member_count = 0;

        for (sim->lines[i].leader = 0;
             !same_address(&sim->lines[sim->lines[i].leader], &sim->lines[i]) &&
             sim->lines[i].leader < i;
             sim->lines[i].leader++)
            ;
        if (sim->lines[i].leader != i)
            continue;
        for (size_t j = i; j < count; j++)
            if (j == i || same_address(&sim->lines[i], &sim->lines[j]))
                members[member_count++] = sim->lines[j].mapping;
        rc = registers_new(&sim->lines[i].registers, members, member_count);
    }
    free(members);
    return rc == 0 ? EX_OK : fail(EX_SOFTWARE, "registers", strerror(-rc), "");
}

static int make_device(struct simulator *sim, struct registers *registers,
                       const struct modbus_device *device)
{
    const struct config_device *config = &sim->config->devices[device->index];
    struct point *points = calloc(device->tag_count + 1, sizeof *points);

    if (points == NULL)
        return -ENOMEM;
    sim->points[device->index] = points;
    for (size_t i = 0; i < device->tag_count; i++) {
        points[i].tag = &config->tags[i];
        points[i].modbus = &device->tags[i];
        points[i].unit = registers_unit(registers, device->unit_id);
    }
    return motion_new(&sim->motions[device->index], points, device->tag_count);
}

static int make_devices(struct simulator *sim)
{
    size_t count = sim->config->device_count;
    int rc;

    sim->points = calloc(count + 1, sizeof(struct point *));
    sim->motions = calloc(count + 1, sizeof(struct motion *));
    rc = sim->points == NULL || sim->motions == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < sim->config->connection_count && rc == 0; i++) {
        const struct line *line = &sim->lines[i];

        for (size_t j = 0; j < line->mapping->device_count && rc == 0; j++)
            rc = make_device(sim, sim->lines[line->leader].registers, &line->mapping->devices[j]);
    }
    return rc == 0 ? EX_OK : fail(EX_SOFTWARE, "devices", strerror(-rc), "");
}

/* ---- the loop ---- */

static void on_step(uv_timer_t *timer)
{
    struct simulator *sim = timer->data;
    uint64_t now_ms = uv_now(&sim->loop);
    double seconds = (double)(now_ms - sim->stepped_ms) / 1000.0;

    sim->stepped_ms = now_ms;
    for (size_t i = 0; i < sim->config->device_count; i++)
        if (sim->motions[i] != NULL)
            motion_step(sim->motions[i], seconds, &sim->random);
}

static void close_all(struct simulator *sim)
{
    for (size_t i = 0; sim->lines != NULL && i < sim->config->connection_count; i++)
        if (sim->lines[i].server != NULL)
            server_close(sim->lines[i].server);
    control_close(sim->control);
    uv_close((uv_handle_t *)&sim->step, NULL);
    uv_close((uv_handle_t *)&sim->signals[0], NULL);
    uv_close((uv_handle_t *)&sim->signals[1], NULL);
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    uv_stop(signal->loop);
}

/* Room for all listeners and clients. Beyond FD_SETSIZE clients are refused, listeners are not. */
static void raise_descriptor_limit(size_t listeners)
{
    rlim_t wanted = 2 * 1024 + listeners;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int listen_failed(int rc, const struct err *err, const char *who, const char *remedy)
{
    int exit_code = rc == -EADDRINUSE ? EX_TEMPFAIL : rc == -EACCES ? EX_NOPERM : EX_UNAVAILABLE;

    return fail(exit_code, who, err->msg, remedy);
}

static int open_line(struct simulator *sim, struct line *line)
{
    struct err err = { "" };
    char who[128];
    int fd;
    int rc;

    snprintf(who, sizeof who, "connection %s: cannot listen", line->mapping->name);
    rc = address_listen(&fd, line->host, line->port, &err);
    if (rc != 0)
        return listen_failed(rc, &err, who, "; move it: --connection NAME --listen 127.0.0.1:0");
    address_print(line->address, fd);
    rc = server_new(&line->server, &sim->loop, fd, line->registers, &sim->client_count);
    return rc == 0 ? EX_OK : fail(EX_SOFTWARE, who, strerror(-rc), "");
}

static int open_control(struct simulator *sim, const char *where)
{
    char text[ADDRESS_TEXT_MAX];
    struct err err = { "" };
    char host[256];
    uint16_t port;
    int fd;
    int rc;

    if (address_split(where, host, sizeof host, &port) != 0)
        return fail(EX_USAGE, where, "not ADDR:PORT", "");
    rc = address_listen(&fd, host, port, &err);
    if (rc != 0)
        return listen_failed(rc, &err, "control", "; give another --control ADDR:PORT");
    address_print(text, fd);
    rc = control_new(&sim->control, &sim->loop, fd, command_run, sim);
    if (rc != 0)
        return fail(EX_SOFTWARE, "control", strerror(-rc), "");
    printf("control %s\n", text);
    return EX_OK;
}

static int open_all(struct simulator *sim, const struct options *options)
{
    int exit_code = EX_OK;

    raise_descriptor_limit(sim->config->connection_count);
    for (size_t i = 0; i < sim->config->connection_count && exit_code == EX_OK; i++) {
        struct line *leader = &sim->lines[sim->lines[i].leader];

        if (leader == &sim->lines[i])
            exit_code = open_line(sim, leader);
        if (exit_code == EX_OK)
            printf("listening %s %s\n", sim->lines[i].mapping->name, leader->address);
    }
    if (exit_code == EX_OK && options->control != NULL)
        exit_code = open_control(sim, options->control);
    if (exit_code != EX_OK)
        return exit_code;
    sim->stepped_ms = uv_now(&sim->loop);
    if (!options->still)
        uv_timer_start(&sim->step, on_step, STEP_MS, STEP_MS);
    uv_signal_start(&sim->signals[0], on_signal, SIGTERM);
    uv_signal_start(&sim->signals[1], on_signal, SIGINT);
    puts("ready");
    fflush(stdout);
    return EX_OK;
}

/* Serves until a signal. The loop is closed empty, however it went. */
static int serve(struct simulator *sim, const struct options *options)
{
    int exit_code;

    if (uv_loop_init(&sim->loop) != 0)
        return fail(EX_SOFTWARE, "event loop", "does not start", "");
    uv_timer_init(&sim->loop, &sim->step);
    uv_signal_init(&sim->loop, &sim->signals[0]);
    uv_signal_init(&sim->loop, &sim->signals[1]);
    sim->step.data = sim;
    exit_code = open_all(sim, options);
    if (exit_code == EX_OK)
        uv_run(&sim->loop, UV_RUN_DEFAULT);
    close_all(sim);
    uv_run(&sim->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&sim->loop) != 0)
        return fail(EX_SOFTWARE, "event loop", "a handle was left open", "");
    return exit_code;
}

static void simulator_done(struct simulator *sim)
{
    for (size_t i = 0; sim->motions != NULL && i < sim->config->device_count; i++)
        motion_free(sim->motions[i]);
    for (size_t i = 0; sim->points != NULL && i < sim->config->device_count; i++)
        free(sim->points[i]);
    for (size_t i = 0; sim->lines != NULL && i < sim->config->connection_count; i++) {
        registers_free(sim->lines[i].registers);
        mapping_free(sim->lines[i].mapping);
    }
    free(sim->motions);
    free(sim->points);
    free(sim->lines);
    config_free(sim->config);
}

int main(int argc, char **argv)
{
    struct simulator sim = { .random = (uint64_t)time(NULL) * 2654435761U + 1 };
    struct options options;
    int exit_code;

    if (options_read(&options, &exit_code, argc, argv) != 0)
        return exit_code;
    signal(SIGPIPE, SIG_IGN);
    exit_code = load_mapping(&sim, options.file);
    if (exit_code == EX_OK)
        exit_code = read_connections(&sim);
    if (exit_code == EX_OK)
        exit_code = move_connections(&sim, &options);
    if (exit_code == EX_OK)
        exit_code = make_registers(&sim);
    if (exit_code == EX_OK)
        exit_code = make_devices(&sim);
    if (exit_code == EX_OK)
        exit_code = serve(&sim, &options);
    simulator_done(&sim);
    options_done(&options);
    return exit_code;
}
