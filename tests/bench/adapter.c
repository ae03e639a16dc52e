/* The client under test: the Modbus adapter behind adapters/adapter.h on a libuv loop, as the bridge has it,
 * one connection of the mapping for each line. Only the bridge above it is missing.
 *
 * By default the schedule has more due than any line can carry (BLOCKS blocks at 100 a second each), so that
 * the next request goes out with every answer. With --per-second each line has one block at that rate, and
 * the lines are opened so that their slots are spread evenly over the grain, as those of bench_raw are. With
 * --reads nothing is due, and each read_done asks for the next read.
 *
 * Requests are counted by the adapter itself (adapter_device_status). Whatever its counters say went wrong
 * is a failure. */
#include "tests/bench/measure.h"

#include "adapters/adapter.h"
#include "config/config.h"

#include <uv.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS = 10, BLOCK_STRIDE = 200, GRAINS_PER_SECOND = 1000 / MEASURE_GRAIN_MS };

struct client {
    struct measure_options options;
    uv_loop_t loop;
    struct env env;
    struct config *config;
    struct adapter **adapters;
    uv_timer_t opener, clock;
    bool opened[GRAINS_PER_SECOND]; /* the lines of that slot are */
    bool begun;
    struct measure window;
    int open;
    int rc;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_adapter: %s\n", what);
    exit(EX_SOFTWARE);
}

/* ---- clock and chance, as the bridge has them ---- */

static uint64_t loop_now_ms(void *data)
{
    return uv_now(data);
}

static int64_t wall_ms(void *data)
{
    struct timespec now;

    (void)data;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint32_t random_u32(void *data)
{
    uint32_t random = 0;

    (void)data;
    while (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        continue;
    return random;
}

/* ---- the mapping ---- */

static void write_tags(FILE *file, const struct measure_options *o)
{
    int blocks = o->per_second > 0 || o->reads ? 1 : BLOCKS;

    for (int i = 0; i < blocks * o->registers; i++)
        fprintf(file, "%s\"r%d\":{\"table\":\"holding\",\"address\":%d,\"type\":\"uint16\"}",
                i > 0 ? "," : "", i, i / o->registers * BLOCK_STRIDE + i % o->registers);
}

static void write_mapping(FILE *file, const struct measure_options *o)
{
    int interval_ms = o->reads ? 3600000
                               : 1000 / (o->per_second > 0 ? o->per_second : GRAINS_PER_SECOND);

    fprintf(
        file,
        "{\"hub\":{\"host_name\":\"localhost\",\"device_id\":\"bench\"},\"templates\":{\"meter\":"
        "{\"poll_interval\":\"%dms\",\"tags\":{",
        interval_ms);
    write_tags(file, o);
    fprintf(file, "}}},\"connections\":{");
    for (int i = 0; i < o->connections; i++)
        fprintf(file, "%s\"c%d\":{\"transport\":\"tcp\",\"host\":\"127.0.0.1\",\"port\":%d}",
                i > 0 ? "," : "", i, o->port);
    fprintf(file, "},\"devices\":{");
    for (int i = 0; i < o->connections; i++)
        fprintf(file,
                "%s\"d%d\":{\"connection\":\"c%d\",\"unit_id\":1,\"template\":\"meter\",\"module\":"
                "null}",
                i > 0 ? "," : "", i, i);
    fprintf(file, "}}\n");
}

static void load(struct client *client)
{
    struct config_errors *errors = config_errors_new();
    char path[] = "/tmp/bench_adapter.XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    int rc;

    if (errors == NULL || file == NULL)
        die("cannot write a mapping to /tmp");
    write_mapping(file, &client->options);
    if (fclose(file) != 0)
        die("cannot write a mapping to /tmp");
    rc = config_load(&client->config, path, adapters_config, errors);
    unlink(path);
    if (rc != 0) {
        config_errors_print(errors, stderr);
        die("its own mapping is refused");
    }
    config_errors_free(errors);
}

/* ---- events ---- */

static void on_sample(void *owner, size_t device, size_t tag, const struct sample *sample)
{
    (void)owner;
    (void)device;
    (void)tag;
    (void)sample;
}

static void ask(struct client *client, size_t device)
{
    const struct adapter *adapter = client->adapters[device];

    if (adapter->ops->read(client->adapters[device], device, 0) != 0)
        client->rc = -EPROTO;
}

static void on_read_done(void *owner, size_t device, size_t tag, int rc)
{
    struct client *client = owner;

    (void)tag;
    if (rc != 0 && rc != -ECANCELED)
        client->rc = rc;
    if (rc == 0)
        ask(client, device);
}

static void on_write_done(void *owner, size_t device, size_t tag, const struct write_result *result)
{
    (void)owner;
    (void)device;
    (void)tag;
    (void)result;
}

static void on_connection_state(void *owner, size_t connection, enum connection_state state)
{
    struct client *client = owner;

    if (state == CONNECTION_WAITING)
        client->rc = -ENOTCONN;
    if (state == CONNECTION_CONNECTED && client->options.reads)
        ask(client, connection); /* a connection has one device, of the same number */
}

static void on_device_state(void *owner, size_t device, enum device_state state)
{
    (void)owner;
    (void)device;
    (void)state;
}

static const struct adapter_events events = {
    .sample = on_sample,
    .read_done = on_read_done,
    .write_done = on_write_done,
    .connection_state = on_connection_state,
    .device_state = on_device_state,
};

/* ---- opening ---- */

static void open_line(struct client *client, int number)
{
    struct adapter_open args = {
        .loop = &client->loop,
        .env = &client->env,
        .config = client->config,
        .connection = (size_t)number,
        .events = &events,
        .owner = client,
    };
    const struct adapter_ops *ops = adapters_find(client->config->connections[number].adapter);
    struct err err;

    if (ops->open(&client->adapters[number], &args, &err) != 0)
        die(err.msg);
    client->open++;
}

/* A line's slots begin where it was opened: each grain opens the lines that belong to it. */
static void on_opener(uv_timer_t *timer)
{
    struct client *client = timer->data;
    int rate = client->options.per_second;
    int slots = rate > 0 ? GRAINS_PER_SECOND / rate : 1;
    int slot = (int)(uv_now(&client->loop) / MEASURE_GRAIN_MS % (uint64_t)slots);

    for (int i = slot; i < client->options.connections && !client->opened[slot]; i += slots)
        open_line(client, i);
    client->opened[slot] = true;
    if (client->open == client->options.connections)
        uv_close((uv_handle_t *)timer, NULL);
}

/* ---- the window ---- */

static uint64_t count(const struct client *client, uint64_t *failures)
{
    uint64_t requests = 0;

    *failures = client->rc != 0;
    for (int i = 0; i < client->options.connections; i++) {
        struct adapter_device_status status;

        client->adapters[i]->ops->device_status(client->adapters[i], (size_t)i, &status);
        requests += status.requests;
        *failures += status.timeouts + status.exceptions + status.late + status.other;
    }
    return requests;
}

static void on_closed(void *owner)
{
    struct client *client = owner;

    client->open--;
}

static void on_clock(uv_timer_t *timer)
{
    struct client *client = timer->data;
    uint64_t requests, failures;

    if (client->open < client->options.connections)
        die("the lines are not open yet: longer --warm-up");
    requests = count(client, &failures);
    if (!client->begun) {
        client->begun = true;
        uv_timer_start(timer, on_clock, (uint64_t)(client->options.seconds * 1000), 0);
        measure_begin(&client->window, requests);
        return;
    }
    measure_end(&client->window, requests, failures);
    for (int i = 0; i < client->options.connections; i++)
        client->adapters[i]->ops->close(client->adapters[i], on_closed);
    uv_close((uv_handle_t *)timer, NULL);
}

static void start_timer(struct client *client, uv_timer_t *timer, uv_timer_cb callback,
                        uint64_t delay_ms, uint64_t repeat_ms)
{
    uv_timer_init(&client->loop, timer);
    timer->data = client;
    uv_timer_start(timer, callback, delay_ms, repeat_ms);
}

int main(int argc, char **argv)
{
    struct client client = { .rc = 0 };

    measure_parse(&client.options, argc, argv);
    load(&client);
    uv_loop_init(&client.loop);
    client.env = (struct env){ loop_now_ms, wall_ms, random_u32, &client.loop };
    client.adapters = calloc((size_t)client.options.connections, sizeof(struct adapter *));
    if (client.adapters == NULL)
        die("no memory");
    start_timer(&client, &client.opener, on_opener, 0, 1);
    start_timer(&client, &client.clock, on_clock, (uint64_t)(client.options.warm_up_s * 1000), 0);
    uv_run(&client.loop, UV_RUN_DEFAULT);
    if (client.open != 0 || uv_loop_close(&client.loop) != 0)
        die("the loop does not close");
    free(client.adapters);
    config_free(client.config);
    return 0;
}
