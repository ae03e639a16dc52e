/* A TCP stream on libuv.
 *
 * Happy path: name -> addresses (libuv's pool) -> connect -> opened -> bytes ... -> close -> closed.
 * Fails when: the name is unknown, every address refuses or stays silent for the connect timeout, the
 * peer closes or resets, or takes no more bytes. Every failure goes through the same chain of closes;
 * `closed` is fired in one place, when the socket, the timer and the resolver are all through. A resolver
 * under way cannot be cancelled, so closing waits for it. */
#include "adapters/modbus/stream.h"

#include "base/err.h"

#include <uv.h>

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    READ_BYTES = 1024,     /* several answers in one read; the largest frame has 260 bytes */
    KEEPALIVE_SECONDS = 30 /* idle time before the kernel asks whether the peer is still there */
};

struct tcp {
    struct stream stream; /* first */
    uv_loop_t *loop;
    const char *host;
    int port;
    uint32_t connect_timeout_ms;
    const struct stream_events *events;
    void *owner;

    bool closing;   /* by the owner or after a failure: nothing but `closed` will be told */
    bool resolving; /* libuv holds `resolve` */
    bool tcp_open, timer_open;
    bool writing; /* libuv holds `write` and `unsent` */

    uv_getaddrinfo_t resolve;
    struct sockaddr_storage numeric; /* the address when `host` is one */
    struct addrinfo *addresses;      /* of the resolver; NULL otherwise */
    const struct addrinfo *next;     /* to be tried */
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_write_t write;
    uint8_t unsent[STREAM_WRITE_MAX];
    char received[READ_BYTES];

    int rc; /* what ended it, or the failure of the last address */
    struct err why;
};

static void try_next(struct tcp *t);

/* ---- the end ---- */

static void maybe_closed(struct tcp *t)
{
    if (!t->closing || t->resolving || t->tcp_open || t->timer_open)
        return;

    uv_freeaddrinfo(t->addresses);
    t->addresses = NULL;
    t->next = NULL;
    t->events->closed(t->owner, t->rc, t->why.msg); /* t may be freed or open again now */
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;

    t->tcp_open = false;
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

static void close_tcp(struct tcp *t)
{
    if (t->tcp_open && !uv_is_closing((uv_handle_t *)&t->tcp))
        uv_close((uv_handle_t *)&t->tcp, on_tcp_closed);
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
    close_tcp(t);
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

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct tcp *t = handle->data;

    (void)suggested;
    *out = uv_buf_init(t->received, sizeof t->received);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct tcp *t = stream->data;

    if (t->closing || count == 0)
        return;
    if (count < 0) {
        fail(t, (int)count);
        if (count == UV_ETIMEDOUT) /* of keepalive or a retransmission, not of connect */
            err_set(&t->why, "lost the connection to %s: check the device and the network",
                    t->stream.peer);
        return;
    }
    t->events->bytes(t->owner, (const uint8_t *)buf->base, (size_t)count);
}

static void on_written(uv_write_t *request, int status)
{
    struct tcp *t = request->data;

    t->writing = false;
    if (status < 0 && !t->closing)
        fail(t, status);
}

static void tcp_write(struct stream *stream, const uint8_t *bytes, size_t length)
{
    struct tcp *t = (struct tcp *)stream;
    uv_buf_t buf;
    int rc;

    assert(length <= STREAM_WRITE_MAX);
    if (t->closing)
        return;
    if (t->writing) { /* not even the last request went out: nobody reads at the other end */
        fail(t, UV_ECONNRESET);
        err_set(&t->why, "%s takes no more requests: is the device overloaded?", t->stream.peer);
        return;
    }

    memcpy(t->unsent, bytes, length);
    buf = uv_buf_init((char *)t->unsent, (unsigned)length);
    rc = uv_try_write((uv_stream_t *)&t->tcp, &buf, 1);
    if (rc == (int)length)
        return;
    if (rc > 0)
        buf = uv_buf_init((char *)t->unsent + rc, (unsigned)length - (unsigned)rc);
    if (rc < 0 && rc != UV_EAGAIN) {
        fail(t, rc);
        return;
    }

    rc = uv_write(&t->write, (uv_stream_t *)&t->tcp, &buf, 1, on_written);
    if (rc < 0)
        fail(t, rc);
    else
        t->writing = true;
}

/* ---- opening ---- */

static void on_connected(uv_connect_t *request, int status)
{
    struct tcp *t = request->data;

    if (t->closing || status == UV_ECANCELED) /* cancelled by our own close */
        return;
    uv_timer_stop(&t->timer);
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_read);
    if (status < 0) {
        explain(t, status);
        close_tcp(t); /* and on to the next address */
        return;
    }

    /* Only comfort: a connection without them works too. */
    uv_tcp_nodelay(&t->tcp, 1);
    uv_tcp_keepalive(&t->tcp, 1, KEEPALIVE_SECONDS);
    close_timer(t);
    t->events->opened(t->owner);
}

static void on_timeout(uv_timer_t *timer)
{
    struct tcp *t = timer->data;

    if (t->closing)
        return;
    explain(t, UV_ETIMEDOUT);
    close_tcp(t);
}

/* 0, or -errno with the socket not open. */
static int start_connect(struct tcp *t, const struct sockaddr *address)
{
    int rc = uv_tcp_init(t->loop, &t->tcp);

    if (rc < 0)
        return rc;
    t->tcp.data = t;
    t->tcp_open = true;
    return uv_tcp_connect(&t->connect, &t->tcp, address, on_connected);
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
    if (t->tcp_open)
        close_tcp(t);
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

    assert(!t->resolving && !t->tcp_open && !t->timer_open);
    t->events = events;
    t->owner = owner;
    t->closing = false;
    t->rc = 0;
    t->why.msg[0] = '\0';

    if (is_numeric(t))
        rc = start_connect(t, (const struct sockaddr *)&t->numeric);
    else
        rc = start_resolve(t);
    if (rc < 0 && !t->tcp_open)
        return rc;

    uv_timer_init(t->loop, &t->timer);
    t->timer.data = t;
    t->timer_open = true;
    if (rc < 0)
        fail(t, rc); /* the socket must be closed first: told on the loop */
    else if (t->tcp_open)
        uv_timer_start(&t->timer, on_timeout, t->connect_timeout_ms, 0);
    return 0;
}

static void tcp_close(struct stream *stream)
{
    struct tcp *t = (struct tcp *)stream;

    if (t->closing || (!t->resolving && !t->tcp_open && !t->timer_open))
        return;
    t->rc = 0;
    t->why.msg[0] = '\0';
    close_all(t);
}

static void tcp_free(struct stream *stream)
{
    struct tcp *t = (struct tcp *)stream;

    assert(!t->resolving && !t->tcp_open && !t->timer_open);
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
    t->connect.data = t;
    t->write.data = t;
    *out = &t->stream;
    return 0;
}
