/* twinbridge run FILE: the daemon. Checks the mapping file as `check` does, then runs until SIGTERM or
 * SIGINT. Exit: 0 stopped, 64 usage, 66 the mapping file cannot be read, 75 an address is taken, 78 the
 * mapping file is wrong, 70 anything else. */
#include "adapters/adapter.h"
#include "bridge/bridge.h"
#include "bridge/cli/cli.h"
#include "bridge/log.h"
#include "config/config.h"

#include <uv.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

struct run {
    uv_loop_t loop;
    struct bridge *bridge;
    uv_signal_t term, interrupt;
    uv_timer_t patience; /* a stop takes no longer than this */
};

static const char help[] =
    "usage: twinbridge run [--log-level error|warn|info|debug] FILE\n"
    "\n"
    "Runs the bridge on the mapping file FILE until SIGTERM or SIGINT. Absent devices, an absent\n"
    "hub and missing credentials do not end it: they are said, shown on the status page and tried\n"
    "again. `twinbridge check FILE` finds mistakes in FILE without running anything.\n";

static void on_stopped(void *data)
{
    struct run *run = data;

    run->bridge = NULL;
    uv_close((uv_handle_t *)&run->term, NULL);
    uv_close((uv_handle_t *)&run->interrupt, NULL);
    uv_close((uv_handle_t *)&run->patience, NULL);
}

/* Only what cannot be cancelled, a resolver that hangs, gets here: all else is closed and synced. */
static void on_patience_over(uv_timer_t *timer)
{
    const struct run *run = timer->data;

    log_line(LEVEL_WARN, "stopped without waiting for %s", bridge_waits_for(run->bridge));
    fflush(NULL);
    _exit(EX_OK);
}

static void on_signal(uv_signal_t *handle, int signal)
{
    struct run *run = handle->data;

    if (run->bridge == NULL || uv_is_active((uv_handle_t *)&run->patience))
        return;
    log_line(LEVEL_INFO, "stopping (%s)", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    uv_timer_start(&run->patience, on_patience_over, BRIDGE_STOP_MS - 100, 0);
    bridge_stop(run->bridge, on_stopped, run);
}

static void start_signals(struct run *run)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&run->loop, &run->term);
    uv_signal_init(&run->loop, &run->interrupt);
    uv_timer_init(&run->loop, &run->patience);
    run->term.data = run->interrupt.data = run->patience.data = run;
    uv_signal_start(&run->term, on_signal, SIGTERM);
    uv_signal_start(&run->interrupt, on_signal, SIGINT);
}

static void say_open_handle(uv_handle_t *handle, void *data)
{
    (void)data;
    log_line(LEVEL_ERROR, "left open: %s", uv_handle_type_name(handle->type));
}

static int run_config(const struct config *config)
{
    struct run run = { .bridge = NULL };
    struct err err = { "out of memory" };
    int code = EX_OK;
    int rc;

    if (uv_loop_init(&run.loop) != 0)
        return EX_SOFTWARE;
    start_signals(&run);
    rc = bridge_start(&run.bridge, &run.loop, config, &err);
    if (rc != 0) {
        log_line(LEVEL_ERROR, "%s", err.msg);
        code = rc == -EADDRINUSE ? EX_TEMPFAIL : rc == -EINVAL ? EX_CONFIG : EX_SOFTWARE;
        on_stopped(&run);
    } else {
        log_line(LEVEL_INFO,
                 "twinbridge " TWINBRIDGE_VERSION " runs %s: %zu connections, %zu devices, "
                 "%zu modules",
                 config->path, config->connection_count, config->device_count,
                 config->module_count);
    }
    uv_run(&run.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&run.loop) != 0) {
        uv_walk(&run.loop, say_open_handle, NULL);
        return EX_SOFTWARE;
    }
    if (code == EX_OK)
        log_line(LEVEL_INFO, "stopped");
    return code;
}

static int wrong_usage(const char *what, const char *which)
{
    fprintf(stderr, "twinbridge run: %s%s; see twinbridge run --help\n", what, which);
    return EX_USAGE;
}

/* 0 to go on, -1 when `*code` is the answer already. */
static int read_options(int argc, char **argv, enum log_level *level, int *code)
{
    static const struct option options[] = { { "help", no_argument, NULL, 'h' },
                                             { "log-level", required_argument, NULL, 'l' },
                                             { NULL, 0, NULL, 0 } };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == 'l' && log_parse_level(optarg, level))
            continue;
        *code = EX_OK;
        if (option == 'h')
            fputs(help, stdout);
        else if (option == 'l')
            *code = wrong_usage("--log-level is error, warn, info or debug, not ", optarg);
        else if (option == ':')
            *code = wrong_usage("--log-level wants a level", "");
        else
            *code = wrong_usage("there is no option ", argv[optind - 1]);
        return -1;
    }
    if (argc - optind != 1) {
        *code = wrong_usage(argc == optind ? "name a mapping file" : "one mapping file at a time",
                            "");
        return -1;
    }
    return 0;
}

int cli_run(int argc, char **argv)
{
    struct config_errors *errors;
    struct config *config = NULL;
    enum log_level level = LEVEL_INFO;
    int code;

    if (read_options(argc, argv, &level, &code) < 0)
        return code;
    log_set_level(level);
    errors = config_errors_new();
    if (errors == NULL)
        return EX_SOFTWARE;
    code = cli_load_code(config_load(&config, argv[optind], adapters_config, errors), argv[optind]);
    config_errors_print(errors, stderr);
    config_errors_free(errors);
    if (code == EX_OK)
        code = run_config(config);
    config_free(config);
    return code;
}
