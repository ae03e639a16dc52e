/* A TCP stream on libuv.
 *
 * Happy path: name -> addresses (libuv's pool) -> connect -> opened -> bytes ... -> close -> closed.
 * Fails when: the name is unknown, every address refuses or stays silent for the connect timeout, the
 * peer closes or resets, or takes no more bytes. Every failure goes through the same chain of closes;
 * `closed` is fired in one place, when the socket, the timer and the resolver are all through. A resolver
 * under way cannot be cancelled, so closing waits for it.
 *
 * The socket is ours and libuv only waits on it: send and recv on a socket cost less than the read and
 * write that a uv_tcp_t calls, and bytes are received into the stack, which is in the cache, instead of
 * into a buffer for each of a thousand connections (tests/bench/run transaction). */
#include "adapters/modbus/stream.h"

#include "base/err.h"

#include <uv.h>

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 1024,           /* several answers in one read; the largest frame has 260 bytes */
    KEEPALIVE_IDLE_SECONDS = 30, /* until the kernel asks whether the peer is still there */
    KEEPALIVE_INTERVAL_SECONDS = 1,
    KEEPALIVE_PROBES = 10,
};

struct tcp {
    struct stream stream; /* first */
    const struct stream_events *events;
    void *owner;
    int socket; /* valid while poll_open */

    bool closing;   /* by the owner or after a failure: nothing but `closed` will be told */
    bool connected; /* else the socket is still connecting */
    bool resolving; /* libuv holds `resolve` */
    bool poll_open, timer_open;
    size_t unsent_length; /* of what the kernel did not take yet */

    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t timer;

    const char *host;
    int port;
    uint32_t connect_timeout_ms;
    uv_getaddrinfo_t resolve;
    struct sockaddr_storage numeric; /* the address when `host` is one */
    struct addrinfo *addresses;      /* of the resolver; NULL otherwise */
    const struct addrinfo *next;     /* to be tried */

    int rc; /* what ended it, or the failure of the last address */
    struct err why;
    uint8_t unsent[STREAM_WRITE_MAX];
};

static void try_next(struct tcp *t);

/* ---- the end ---- */

static void maybe_closed(struct tcp *t)
{
    if (!t->closing || t->resolving || t->poll_open || t->timer_open)
        return;

    uv_freeaddrinfo(t->addresses);
    t->addresses = NULL;
    t->next = NULL;
    t->events->closed(t->owner, t->rc, t->why.msg); /* t may be freed or open again now */
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;

    close(t->socket);
    t->poll_open = false;
    if (t->closing)
        maybe_closed(t);
    else
        try_next(t);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;

    t->timer_open = false;
    maybe_closed(t);
}

static void close_poll(struct tcp *t)
{
    if (t->poll_open && !uv_is_closing((uv_handle_t *)&t->poll))
        uv_close((uv_handle_t *)&t->poll, on_poll_closed);
}

static void close_timer(struct tcp *t)
{
    if (t->timer_open && !uv_is_closing((uv_handle_t *)&t->timer))
        uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void close_all(struct tcp *t)
{
    t->closing = true;
    if (t->resolving)
        uv_cancel((uv_req_t *)&t->resolve); /* works only while it waits for a thread */
    close_poll(t);
    close_timer(t);
}

static void explain(struct tcp *t, int rc)
{
    const char *peer = t->stream.peer;

    t->rc = rc;
    switch (rc) {
    case UV_ECONNREFUSED:
        err_set(&t->why, "connection refused by %s: is Modbus/TCP enabled on the device?", peer);
        break;
    case UV_ETIMEDOUT:
        err_set(&t->why, "no answer from %s within %u ms: is the device on, and the address right?",
                peer, (unsigned)t->connect_timeout_ms);
        break;
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
        err_set(&t->why, "no route to %s: check the network and the address", peer);
        break;
    case UV_EOF:
    case UV_ECONNRESET:
    case UV_EPIPE:
        t->rc = -ECONNRESET;
        err_set(&t->why, "%s closed the connection: does the device allow one more client?", peer);
        break;
    case UV_EAI_AGAIN:
    case UV_EAI_FAIL:
        t->rc = -EHOSTUNREACH;
        err_set(&t->why,
                "cannot find %s now: the name server does not answer, check the DNS of this "
                "machine",
                peer);
        break;
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
        t->rc = -EHOSTUNREACH;
        err_set(&t->why, "cannot find %s: no such host name, check \"host\"", peer);
        break;
    default:
        if (rc <= UV_EAI_ADDRFAMILY)
            t->rc = -EHOSTUNREACH; /* libuv's own numbers of the resolver are no errno */
        err_set(&t->why, "cannot reach %s: %s", peer, uv_strerror(rc));
    }
}

static void fail(struct tcp *t, int rc)
{
    explain(t, rc);
    close_all(t);
}

/* ---- connected ---- */

static void on_event(uv_poll_t *poll, int status, int events);

static void wait_for(struct tcp *t, int events)
{
    int rc = uv_poll_start(&t->poll, events, on_event);

    assert(rc == 0); /* the handle is open and the descriptor valid */
    (void)rc;
}

/* The peer's bytes, or its end. The last thing to do in an event: the owner may close from inside. */
static void receive(struct tcp *t)
{
    uint8_t bytes[READ_BYTES];
    ssize_t count = recv(t->socket, bytes, sizeof bytes, 0);

    if (count > 0) {
        t->events->bytes(t->owner, bytes, (size_t)count);
        return;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    fail(t, count == 0 ? UV_EOF : -errno);
    if (t->rc == UV_ETIMEDOUT) /* of keepalive or a retransmission, not of connect */
        err_set(&t->why, "lost the connection to %s: check the device and the network",
                t->stream.peer);
}

/* How many bytes the kernel took, or -errno. */
static ssize_t try_send(const struct tcp *t, const uint8_t *bytes, size_t length)
{
    ssize_t count = send(t->socket, bytes, length, MSG_NOSIGNAL);

    if (count >= 0)
        return count;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

/* The kernel takes bytes again. */
static void send_rest(struct tcp *t)
{
    ssize_t count = try_send(t, t->unsent, t->unsent_length);

    if (count < 0) {
        fail(t, (int)count);
        return;
    }
    t->unsent_length -= (size_t)count;
    memmove(t->unsent, t->unsent + count, t->unsent_length);
    if (t->unsent_length == 0)
        wait_for(t, UV_READABLE);
}

static void tcp_write(struct stream *stream, const uint8_t *bytes, size_t length)
{
    struct tcp *t = (struct tcp *)stream;
    ssize_t count;

    assert(length <= STREAM_WRITE_MAX);
    if (t->closing)
        return;
    if (t->unsent_length >
        0) { /* not even the last request went out: nobody reads at the other end */
        fail(t, UV_ECONNRESET);
        err_set(&t->why, "%s takes no more requests: is the device overloaded?", t->stream.peer);
        return;
    }

    count = try_send(t, bytes, length);
    if (count == (ssize_t)length)
        return;
    if (count < 0) {
        fail(t, (int)count);
        return;
    }
    t->unsent_length = length - (size_t)count;
    memcpy(t->unsent, bytes + count, t->unsent_length);
    wait_for(t, UV_READABLE | UV_WRITABLE);
}

/* ---- opening ---- */

static void on_connected(struct tcp *t)
{
    socklen_t length = sizeof(int);
    int error = 0;

    if (getsockopt(t->socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    uv_timer_stop(&t->timer);
    if (error != 0) {
        explain(t, -error);
        close_poll(t); /* and on to the next address */
        return;
    }
    t->connected = true;
    wait_for(t, UV_READABLE);
    close_timer(t);
    t->events->opened(t->owner);
}

/* `status` says that the socket has an error, but not which: the next call on it does. */
static void on_event(uv_poll_t *poll, int status, int events)
{
    struct tcp *t = poll->data;

    if (t->closing)
        return;
    if (!t->connected) {
        on_connected(t);
        return;
    }
    if ((events & UV_WRITABLE) != 0 && t->unsent_length > 0)
        send_rest(t);
    if (!t->closing && (status < 0 || (events & UV_READABLE) != 0))
        receive(t);
    if (!t->closing && status < 0) /* bytes came before it; libuv has stopped waiting */
        wait_for(t, UV_READABLE);
}

static void on_timeout(uv_timer_t *timer)
{
    struct tcp *t = timer->data;

    if (t->closing)
        return;
    explain(t, UV_ETIMEDOUT);
    close_poll(t);
}

/* Only comfort: a connection without them works too. */
static void set_options(int socket)
{
    static const struct {
        int level, name, value;
    } options[] = {
        { IPPROTO_TCP, TCP_NODELAY, 1 },
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS },
        { IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS },
        { IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(socket, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

/* 0, or -errno; with the socket open (poll_open) when it got that far. */
static int start_connect(struct tcp *t, const struct sockaddr *address)
{
    socklen_t length = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                      : sizeof(struct sockaddr_in);
    int rc;

    t->socket = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->socket < 0)
        return -errno;
    rc = uv_poll_init(t->loop, &t->poll, t->socket);
    if (rc < 0) {
        close(t->socket);
        return rc;
    }
    t->poll.data = t;
    t->poll_open = true;
    t->connected = false;
    t->unsent_length = 0;
    set_options(t->socket);
    if (connect(t->socket, address, length) != 0 && errno != EINPROGRESS)
        return -errno;
    wait_for(t, UV_WRITABLE); /* connected, or why not: told on the loop in any case */
    return 0;
}

/* One address after the other; when there is none left, the failure of the last is the reason. */
static void try_next(struct tcp *t)
{
    const struct addrinfo *address = t->next;
    int rc;

    if (address == NULL) {
        close_all(t); /* the timer at least is open, its end tells */
        return;
    }
    t->next = address->ai_next;
    rc = start_connect(t, address->ai_addr);
    if (rc == 0)
        rc = uv_timer_start(&t->timer, on_timeout, t->connect_timeout_ms, 0);
    if (rc == 0)
        return;
    explain(t, rc);
    if (t->poll_open)
        close_poll(t);
    else
        fail(t, rc); /* no socket: another address would get none either */
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct tcp *t = request->data;

    t->resolving = false;
    t->addresses = addresses;
    if (t->closing) {
        maybe_closed(t);
        return;
    }
    if (status < 0) {
        fail(t, status);
        return;
    }
    t->next = addresses;
    try_next(t);
}

static int start_resolve(struct tcp *t)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    char service[8];
    int rc;

    snprintf(service, sizeof service, "%d", t->port);
    rc = uv_getaddrinfo(t->loop, &t->resolve, on_resolved, t->host, service, &hints);
    if (rc == 0)
        t->resolving = true;
    return rc;
}

static bool is_numeric(struct tcp *t)
{
    return uv_ip4_addr(t->host, t->port, (struct sockaddr_in *)&t->numeric) == 0 ||
           uv_ip6_addr(t->host, t->port, (struct sockaddr_in6 *)&t->numeric) == 0;
}

static int tcp_open(struct stream *stream, const struct stream_events *events, void *owner)
{
    struct tcp *t = (struct tcp *)stream;
    int rc;

    assert(!t->resolving && !t->poll_open && !t->timer_open);
    t->events = events;
    t->owner = owner;
    t->closing = false;
    t->rc = 0;
    t->why.msg[0] = '\0';

    if (is_numeric(t))
        rc = start_connect(t, (const struct sockaddr *)&t->numeric);
    else
        rc = start_resolve(t);
    if (rc < 0 && !t->poll_open)
        return rc;

    uv_timer_init(t->loop, &t->timer);
    t->timer.data = t;
    t->timer_open = true;
    if (rc < 0)
        fail(t, rc); /* the socket must be closed first: told on the loop */
    else if (t->poll_open)
        uv_timer_start(&t->timer, on_timeout, t->connect_timeout_ms, 0);
    return 0;
}

static void tcp_close(struct stream *stream)
{
    struct tcp *t = (struct tcp *)stream;

    if (t->closing || (!t->resolving && !t->poll_open && !t->timer_open))
        return;
    t->rc = 0;
    t->why.msg[0] = '\0';
    close_all(t);
}

static void tcp_free(struct stream *stream)
{
    struct tcp *t = (struct tcp *)stream;

    assert(!t->resolving && !t->poll_open && !t->timer_open);
    free(t);
}

static const struct stream_ops tcp_ops = {
    .open = tcp_open,
    .write = tcp_write,
    .close = tcp_close,
    .free = tcp_free,
};

int tcp_new(struct stream **out, struct uv_loop_s *loop, const char *host, int port,
            uint32_t connect_timeout_ms)
{
    struct tcp *t = calloc(1, sizeof *t);
    bool v6 = strchr(host, ':') != NULL;

    if (t == NULL)
        return -ENOMEM;
    t->stream.ops = &tcp_ops;
    snprintf(t->stream.peer, sizeof t->stream.peer, "%s%s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "",
             port);
    t->loop = loop;
    t->host = host;
    t->port = port;
    t->connect_timeout_ms = connect_timeout_ms;
    t->resolve.data = t;
    *out = &t->stream;
    return 0;
}
