/* hubsim: a local IoT Hub for development, demonstrations and tests.
 *
 * Happy path: options -> state file -> certificates -> hub -> server -> the lines that scripts wait
 * for -> loop, until SIGTERM or SIGINT -> everything closed, exit 0. Fails when: an option is wrong
 * (64), the state is another process's or the port is taken (75), the state or the port is not
 * allowed (77), the state is no state (78), OpenSSL or libwebsockets refuse (70). */
#include "tests/sim/hubsim/address.h"
#include "tests/sim/hubsim/certificate.h"
#include "tests/sim/hubsim/faults.h"
#include "tests/sim/hubsim/hub.h"
#include "tests/sim/hubsim/registry.h"
#include "tests/sim/hubsim/server.h"
#include "tests/sim/modbussim/address.h"
#include "tests/sim/modbussim/control.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

enum { DESCRIPTORS_MAX = 16384 };

static const char usage[] =
    "hubsim: a local IoT Hub: MQTT over WebSockets and the REST API on one TLS port\n"
    "\n"
    "  hubsim --state FILE [options]\n"
    "\n"
    "  --state FILE         keys, identities and twins; made when it is not there\n"
    "  --listen ADDRESS     address to listen on (127.0.0.1)\n"
    "  --port PORT          0 = any (8443)\n"
    "  --host-name NAME     the hub's name in connection strings and certificate (localhost)\n"
    "  --expiry-grace S     seconds that a token is good for after its end (0)\n"
    "  --control ADDR:PORT  take faults here, a line each: \"* drop\", \"DEVICE/MODULE refuse "
    "5\",\n"
    "                       \"... ok\", \"... status\"; an unknown one is answered with all names\n"
    "  --help, --version\n"
    "\n"
    "It prints, a line each:\n"
    "  policy NAME HostName=...;SharedAccessKeyName=NAME;SharedAccessKey=...\n"
    "  ca PATH              the certificate that clients must trust\n"
    "  control ADDR:PORT    with --control\n"
    "  ready https://HOST:PORT\n";

struct options {
    const char *state;
    const char *listen;
    const char *host_name;
    const char *control; /* NULL = none */
    int port;
    uint32_t expiry_grace_s;
};

/* ---- options ---- */

static int read_number(const char *text, long max, long *out)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || number < 0 || number > max)
        return -EINVAL;
    *out = number;
    return 0;
}

static bool is_host_name(const char *name)
{
    size_t length = strspn(name,
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:");

    return length > 0 && length < AUTH_NAME_MAX && name[length] == 0;
}

static int wrong(const char *text, const char *value)
{
    fprintf(stderr, "hubsim: %s%s; see hubsim --help\n", text, value);
    return EX_USAGE;
}

/* `argument` is the one that getopt stands at, for complaints. */
static int take_option(struct options *options, int option, const char *argument)
{
    long number;

    switch (option) {
    case 's':
        options->state = optarg;
        return 0;
    case 'l':
        options->listen = optarg;
        return address_is_literal(optarg) ? 0 : wrong("--listen is not an IP address: ", optarg);
    case 'n':
        options->host_name = optarg;
        return is_host_name(optarg) ? 0 : wrong("--host-name is not a host name: ", optarg);
    case 'p':
        if (read_number(optarg, 65535, &number) != 0)
            return wrong("--port is not 0 to 65535: ", optarg);
        options->port = (int)number;
        return 0;
    case 'g':
        if (read_number(optarg, 86400, &number) != 0)
            return wrong("--expiry-grace is not 0 to 86400 seconds: ", optarg);
        options->expiry_grace_s = (uint32_t)number;
        return 0;
    case 'c':
        options->control = optarg;
        return 0;
    case ':':
        return wrong("a value is missing behind ", argument);
    default:
        return wrong("unknown option ", argument);
    }
}

/* 0: go on. -1: done, exit 0. Else an exit code. */
static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        { "state", required_argument, NULL, 's' },
        { "listen", required_argument, NULL, 'l' },
        { "port", required_argument, NULL, 'p' },
        { "host-name", required_argument, NULL, 'n' },
        { "expiry-grace", required_argument, NULL, 'g' },
        { "control", required_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        int rc;

        if (option == 'h') {
            fputs(usage, stdout);
            return -1;
        }
        if (option == 'v') {
            puts("hubsim " TWINBRIDGE_VERSION);
            return -1;
        }
        rc = take_option(options, option, argv[optind - 1]);
        if (rc != 0)
            return rc;
    }
    if (optind < argc)
        return wrong("unexpected: ", argv[optind]);
    return options->state != NULL ? 0 : wrong("--state FILE is missing", "");
}

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

static int64_t wall_ms(void *data)
{
    struct timespec now;

    (void)data;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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

/* ---- certificates ---- */

static int load_certificate(struct registry *registry, const char *name, struct certificate *out)
{
    char key[64];
    int rc;

    snprintf(key, sizeof key, "%s/certificate", name);
    rc = registry_get_text(registry, key, &out->certificate);
    if (rc == 0) {
        snprintf(key, sizeof key, "%s/key", name);
        rc = registry_get_text(registry, key, &out->key);
    }
    return rc;
}

static int keep_certificate(struct registry *registry, const char *name,
                            const struct certificate *certificate)
{
    char key[64];
    int rc = registry_begin(registry);

    if (rc != 0)
        return rc;
    snprintf(key, sizeof key, "%s/certificate", name);
    rc = registry_put_text(registry, key, certificate->certificate);
    if (rc == 0) {
        snprintf(key, sizeof key, "%s/key", name);
        rc = registry_put_text(registry, key, certificate->key);
    }
    return registry_end(registry, rc);
}

static int get_authority(struct registry *registry, int64_t now_s, struct certificate *out)
{
    int rc = load_certificate(registry, "authority", out);

    if (rc != -ENOENT)
        return rc;
    certificate_done(out);
    rc = certificate_new_authority(out, now_s);
    return rc == 0 ? keep_certificate(registry, "authority", out) : rc;
}

/* The kept one, or a new one when names were added or its end is near. */
static int get_server_certificate(struct registry *registry, const struct certificate *authority,
                                  const char *const *names, size_t name_count, int64_t now_s,
                                  struct certificate *out)
{
    int rc = load_certificate(registry, "server", out);

    if (rc == 0 && certificate_serves(out, authority, names, name_count, now_s))
        return 0;
    if (rc != 0 && rc != -ENOENT)
        return rc;
    certificate_done(out);
    rc = certificate_issue(out, authority, names, name_count, now_s);
    return rc == 0 ? keep_certificate(registry, "server", out) : rc;
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t length = strlen(text);
    int rc = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, length) != (ssize_t)length)
        rc = -EIO;
    close(fd);
    return rc;
}

/* Puts the authority's certificate beside the state, for clients to trust. It is written aside
 * first: who reads it while hubsim starts again sees a whole one. */
static int write_authority(const char *state, const struct certificate *authority,
                           char path[PATH_MAX], struct err *err)
{
    char aside[PATH_MAX], relative[PATH_MAX];
    int rc;

    if (snprintf(aside, sizeof aside, "%s.ca.pem.new", state) >= (int)sizeof aside ||
        snprintf(relative, sizeof relative, "%s.ca.pem", state) >= (int)sizeof relative) {
        err_set(err, "%.100s...: the path is too long", state);
        return -EINVAL;
    }
    rc = write_file(aside, authority->certificate);
    if (rc == 0 && rename(aside, relative) != 0)
        rc = -errno;
    if (rc == 0 && realpath(relative, path) == NULL)
        rc = -errno;
    if (rc != 0)
        err_set(err, "%.200s: %s", relative, strerror(-rc));
    return rc;
}

/* ---- running ---- */

struct program {
    struct options options;
    struct env env;
    uv_loop_t loop;
    uv_signal_t signals[2];
    struct registry *registry;
    struct hub *hub;
    struct server *server;
    struct faults *faults;
    struct control *control;
    char control_address[ADDRESS_TEXT_MAX];
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

static void print_lines(const struct program *program)
{
    const char *host = program->options.host_name;
    const char *open = strchr(host, ':') != NULL ? "[" : "";

    for (size_t i = 0; i < AUTH_POLICY_COUNT; i++) {
        const char *name = auth_policies[i].name;

        printf("policy %s HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%s\n", name, host,
               name, access_policy_key(hub_access(program->hub), name));
    }
    printf("ca %s\n", program->authority_path);
    if (program->control != NULL)
        printf("control %s\n", program->control_address);
    printf("ready https://%s%s%s:%d\n", open, host, open[0] != 0 ? "]" : "",
           server_port(program->server));
    fflush(stdout);
}

static int open_state(struct program *program, struct err *err)
{
    struct hub_options options = {
        .access = { .env = &program->env,
                    .names = program->names,
                    .name_count = program->name_count,
                    .expiry_grace_s = program->options.expiry_grace_s },
        .note = print_note,
    };
    int rc = faults_new(&program->faults);

    if (rc != 0)
        return rc;
    options.faults = program->faults;
    rc = registry_open(&program->registry, program->options.state, err);

    if (rc != 0)
        return rc;
    options.access.registry = program->registry;
    rc = hub_open(&program->hub, &options);
    if (rc != 0)
        err_set(err, "%.200s: the state cannot be read or written", program->options.state);
    return rc;
}

static int open_door(struct program *program, struct err *err)
{
    struct certificate authority = { 0 }, certificate = { 0 };
    struct server_options options = {
        .loop = &program->loop,
        .hub = program->hub,
        .certificate = &certificate,
        .listen = program->options.listen,
        .port = program->options.port,
        .descriptors_max = raise_descriptors(),
    };
    int64_t now_s = wall_ms(NULL) / 1000;
    int rc = get_authority(program->registry, now_s, &authority);

    if (rc == 0)
        rc = get_server_certificate(program->registry, &authority, program->names,
                                    program->name_count, now_s, &certificate);
    if (rc != 0)
        err_set(err, "the certificates cannot be made or read");
    if (rc == 0)
        rc = write_authority(program->options.state, &authority, program->authority_path, err);
    if (rc == 0)
        rc = server_open(&program->server, &options, err);
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

int main(int argc, char **argv)
{
    struct program program = {
        .options = { .listen = "127.0.0.1", .host_name = "localhost", .port = 8443 },
        .env = { now_ms, wall_ms, random_u32, NULL },
    };
    struct err err = { "out of memory" };
    int rc = read_options(&program.options, argc, argv);

    if (rc != 0)
        return rc < 0 ? EXIT_SUCCESS : rc;
    add_name(&program, program.options.host_name);
    add_name(&program, "localhost");
    add_name(&program, "127.0.0.1");
    add_name(&program, "::1");
    add_name(&program, program.options.listen);
    if (uv_loop_init(&program.loop) != 0)
        return EX_OSERR;

    rc = open_state(&program, &err);
    if (rc == 0)
        rc = open_control(&program, &err);
    if (rc == 0)
        rc = open_door(&program, &err);
    if (rc == 0)
        run(&program);
    else
        give_up(&program, &err);
    server_free(program.server);
    hub_close(program.hub);
    faults_free(program.faults);
    registry_close(program.registry);
    if (uv_loop_close(&program.loop) != 0) {
        fputs("hubsim: the loop did not close\n", stderr);
        return EX_SOFTWARE;
    }
    return rc == 0 ? EXIT_SUCCESS : exit_code_of(rc);
}
