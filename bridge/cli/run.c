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

int cli_run(const struct command *command)
{
    const struct cli_options *options = command->options;
    const char *file = command->arguments[0];
    struct config_errors *errors = config_errors_new();
    struct config *config = NULL;
    int code;

    if (errors == NULL)
        return command_fail(command, EX_SOFTWARE, "out of memory");
    log_set_level((enum log_level)options->log_level);
    code = cli_load_code(config_load(&config, file, adapters_config, errors), file);
    config_errors_print(errors, stderr);
    config_errors_free(errors);
    if (code == EX_OK)
        code = run_config(config);
    config_free(config);
    return code;
}
