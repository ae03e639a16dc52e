/* hubsim: a local IoT Hub for development, demonstrations and tests.
 *
 * Happy path: options -> state file -> certificates -> hub -> server -> the lines that scripts wait
 * for -> loop, until SIGTERM or SIGINT -> everything closed, exit 0. Or: options -> state file ->
 * its content as JSON. Fails when: an option is wrong (64), the state is another process's or the
 * port is taken (75), the state or the port is not allowed (77), the state is no state (78), OpenSSL
 * or libwebsockets refuse (70). */
#include "tests/sim/hubsim/authority.h"
#include "tests/sim/hubsim/dump.h"
#include "tests/sim/hubsim/entra.h"
#include "tests/sim/hubsim/faults.h"
#include "tests/sim/hubsim/hub.h"
#include "tests/sim/hubsim/hubsim_options.h"
#include "tests/sim/hubsim/registry.h"
#include "tests/sim/hubsim/server.h"
#include "tests/sim/modbussim/address.h"
#include "tests/sim/modbussim/control.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

#include <uv.h>

enum { DESCRIPTORS_MAX = 16384, CERTIFICATE_MAX = 64 * 1024 };

static int exit_code_of(int rc)
{
    switch (rc) {
    case -EBUSY:
    case -EADDRINUSE:
        return EX_TEMPFAIL;
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return EX_NOPERM;
    case -EADDRNOTAVAIL:
        return EX_UNAVAILABLE;
    case -EINVAL:
    case -ENOENT:
    case -EISDIR:
    case -ENOTDIR:
        return EX_CONFIG;
    default:
        return EX_SOFTWARE;
    }
}

/* ---- the machine ---- */

static uint64_t now_ms(void *data)
{
    (void)data;
    return uv_hrtime() / 1000000;
}

/* The hub's clock, which a fault may put wrong; `data` says where the faults are, NULL = none. */
static int64_t wall_ms(void *data)
{
    struct faults *const *faults = data;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 +
           (faults != NULL ? faults_clock_ms(*faults) : 0);
}

static uint32_t random_u32(void *data)
{
    uint32_t number;

    (void)data;
    while (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
        if (errno != EINTR)
            abort(); /* keys are made of it: there is no second best */
    }
    return number;
}

static void print_note(void *data, const char *text)
{
    (void)data;
    fprintf(stderr, "hubsim: %s\n", text);
}

/* Room for many connections. Containers may allow a billion, for which libwebsockets would make
 * tables. */
static unsigned int raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    setrlimit(RLIMIT_NOFILE, &limit);
    return (unsigned int)limit.rlim_cur;
}

/* ---- running ---- */

struct program {
    struct hubsim_options options;
    struct env env;
    uv_loop_t loop;
    uv_signal_t signals[2];
    struct registry *registry;
    struct entra *entra;
    char *entra_certificate;
    struct hub *hub;
    struct server *server;
    struct faults *faults;
    struct control *control;
    char control_address[ADDRESS_TEXT_MAX];
    char imds_host[64];
    uint16_t imds_port;
    const char *names[ACCESS_NAMES_MAX];
    size_t name_count;
    char authority_path[PATH_MAX];
};

static void add_name(struct program *program, const char *name)
{
    for (size_t i = 0; i < program->name_count; i++) {
        if (auth_same_host(program->names[i], name))
            return;
    }
    program->names[program->name_count++] = name;
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct program *program = signal->data;

    (void)number;
    for (size_t i = 0; i < 2; i++) {
        if (!uv_is_closing((uv_handle_t *)&program->signals[i]))
            uv_close((uv_handle_t *)&program->signals[i], NULL);
    }
    control_close(program->control);
    server_close(program->server);
}

/* "https://HOST:PORT", with brackets around an IPv6 address. */
static void print_url(const char *scheme, const char *host, int port)
{
    bool bare = strchr(host, ':') != NULL;

    printf("%s://%s%s%s:%d\n", scheme, bare ? "[" : "", host, bare ? "]" : "", port);
}

static void print_lines(const struct program *program)
{
    const char *host = program->options.host_name;

    for (size_t i = 0; i < AUTH_POLICY_COUNT; i++) {
        const char *name = auth_policies[i].name;

        printf("policy %s HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%s\n", name, host,
               name, access_policy_key(hub_access(program->hub), name));
    }
    if (program->entra != NULL) {
        printf("entra %s %s %s ", entra_tenant(program->entra), entra_client_id(program->entra),
               entra_secret(program->entra));
        print_url("https", host, server_port(program->server));
    }
    if (program->options.imds != NULL) {
        fputs("imds ", stdout);
        print_url("http", program->imds_host, server_metadata_port(program->server));
    }
    printf("ca %s\n", program->authority_path);
    if (program->control != NULL)
        printf("control %s\n", program->control_address);
    fputs("ready ", stdout);
    print_url("https", host, server_port(program->server));
    fflush(stdout);
}

/* The whole of a small text file, owned by the caller. */
static int read_file(const char *path, char **out, struct err *err)
{
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? calloc(1, CERTIFICATE_MAX) : NULL;
    int rc = 0;

    if (file == NULL)
        rc = -errno;
    else if (text == NULL)
        rc = -ENOMEM;
    else if (fread(text, 1, CERTIFICATE_MAX - 1, file) == 0)
        rc = -EINVAL;
    if (file != NULL)
        fclose(file);
    if (rc != 0) {
        err_set(err, "%.200s: %s", path, rc == -EINVAL ? "it cannot be read" : strerror(-rc));
        free(text);
        return rc;
    }
    *out = text;
    return 0;
}

static int open_entra(struct program *program, struct err *err)
{
    const struct hubsim_options *options = &program->options;
    struct entra_options entra = {
        .env = &program->env,
        .registry = program->registry,
        .names = program->names,
        .name_count = program->name_count,
        .lifetime_s = (uint32_t)options->entra_lifetime_s,
        .federated_file = options->entra_federated_token,
    };
    int rc = 0;

    if (!options->entra)
        return 0;
    if (options->entra_certificate != NULL)
        rc = read_file(options->entra_certificate, &program->entra_certificate, err);
    if (rc != 0)
        return rc;
    entra.certificate = program->entra_certificate;
    rc = entra_open(&program->entra, &entra);
    if (rc != 0)
        err_set(err, "%.200s: the state cannot be read or written", options->state);
    return rc;
}

static int open_hub(struct program *program, struct err *err)
{
    struct hub_options options = {
        .access = { .env = &program->env,
                    .registry = program->registry,
                    .names = program->names,
                    .name_count = program->name_count,
                    .expiry_grace_s = (uint32_t)program->options.expiry_grace_s,
                    .entra = program->entra },
        .rules = program->options.rules,
        .note = print_note,
    };
    int rc = faults_new(&program->faults);

    if (rc != 0)
        return rc;
    options.faults = program->faults;
    rc = hub_open(&program->hub, &options);
    if (rc != 0)
        err_set(err, "%.200s: the state cannot be read or written", program->options.state);
    return rc;
}

static int open_state(struct program *program, struct err *err)
{
    int rc = registry_open(&program->registry, program->options.state, err);

    if (rc == 0)
        rc = open_entra(program, err);
    return rc == 0 ? open_hub(program, err) : rc;
}

static int open_server(struct program *program, const struct certificate *certificate,
                       struct err *err)
{
    struct server_options options = {
        .loop = &program->loop,
        .hub = program->hub,
        .certificate = certificate,
        .listen = program->options.listen,
        .port = (int)program->options.port,
        .tls_12_only = program->options.tls == 1,
        .descriptors_max = raise_descriptors(),
    };
    const char *imds = program->options.imds;

    if (imds != NULL) {
        if (address_split(imds, program->imds_host, sizeof program->imds_host,
                          &program->imds_port) != 0) {
            err_set(err, "--imds is not ADDR:PORT: %.100s", imds);
            return -EINVAL;
        }
        options.metadata_listen = program->imds_host;
        options.metadata_port = program->imds_port;
    }
    return server_open(&program->server, &options, err);
}

static int open_door(struct program *program, struct err *err)
{
    const struct authority_names names = { program->names, program->name_count };
    struct certificate authority = { 0 }, certificate = { 0 };
    int rc = authority_load(program->registry, &names, wall_ms(NULL) / 1000, &authority,
                            &certificate);

    if (rc != 0)
        err_set(err, "the certificates cannot be made or read");
    if (rc == 0)
        rc = authority_publish(&authority, program->options.state, program->authority_path, err);
    if (rc == 0)
        rc = open_server(program, &certificate, err);
    certificate_done(&authority);
    certificate_done(&certificate);
    return rc;
}

/* The control address, where faults are asked for. */
static int open_control(struct program *program, struct err *err)
{
    const char *address = program->options.control;
    char host[64];
    uint16_t port;
    int fd, rc;

    if (address == NULL)
        return 0;
    rc = address_split(address, host, sizeof host, &port);
    if (rc != 0) {
        err_set(err, "--control is not ADDR:PORT: %.100s", address);
        return rc;
    }
    rc = address_listen(&fd, host, port, err);
    if (rc != 0)
        return rc;
    address_print(program->control_address, fd);
    return control_new(&program->control, &program->loop, fd, faults_run, program->faults);
}

static void run(struct program *program)
{
    static const int numbers[2] = { SIGTERM, SIGINT };

    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&program->loop, &program->signals[i]);
        program->signals[i].data = program;
        uv_signal_start(&program->signals[i], on_signal, numbers[i]);
    }
    print_lines(program);
    uv_run(&program->loop, UV_RUN_DEFAULT);
}

/* Says why, and lets the loop close what is open. */
static void give_up(struct program *program, const struct err *err)
{
    fprintf(stderr, "hubsim: %s\n", err->msg);
    control_close(program->control);
    uv_run(&program->loop, UV_RUN_DEFAULT);
}

static int serve(struct program *program)
{
    struct err err = { "out of memory" };
    int rc;

    if (uv_loop_init(&program->loop) != 0)
        return EX_OSERR;
    rc = open_state(program, &err);
    if (rc == 0)
        rc = open_control(program, &err);
    if (rc == 0)
        rc = open_door(program, &err);
    if (rc == 0)
        run(program);
    else
        give_up(program, &err);
    server_free(program->server);
    hub_close(program->hub);
    entra_close(program->entra);
    free(program->entra_certificate);
    faults_free(program->faults);
    registry_close(program->registry);
    if (uv_loop_close(&program->loop) != 0) {
        fputs("hubsim: the loop did not close\n", stderr);
        return EX_SOFTWARE;
    }
    return rc == 0 ? EXIT_SUCCESS : exit_code_of(rc);
}

/* --dump: no server, no loop. */
static int dump(const struct hubsim_options *options)
{
    struct registry *registry;
    struct err err;
    int rc;

    err_set(&err, "%.200s: the state cannot be read", options->state);
    rc = registry_open_present(&registry, options->state, &err);

    if (rc == 0) {
        rc = dump_print(registry, options->dump_keys, stdout);
        registry_close(registry);
    }
    if (rc == 0)
        return EXIT_SUCCESS;
    if (ferror(stdout))
        err_set(&err, "standard output cannot be written");
    fprintf(stderr, "hubsim: %s%s\n", err.msg,
            rc == -EBUSY ? "; end that one first, or dump a copy" : "");
    return rc == -ENOENT ? EX_NOINPUT : exit_code_of(rc);
}

int main(int argc, char **argv)
{
    struct program program = { .env = { now_ms, wall_ms, random_u32, &program.faults } };
    int exit_code;

    if (hubsim_options_read(&program.options, &exit_code, argc, argv) != 0)
        return exit_code;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a full disk: the write says so */
    if (program.options.dump)
        return dump(&program.options);
    add_name(&program, program.options.host_name);
    add_name(&program, "localhost");
    add_name(&program, "127.0.0.1");
    add_name(&program, "::1");
    add_name(&program, program.options.listen);
    return serve(&program);
}
