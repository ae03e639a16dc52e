/* The context of libwebsockets that all websockets (and the status server) share, on our loop: made, given
 * its turns, taken down.
 *
 * The happy path of the end: the first lws_context_destroy begins to close what the library has in the
 * loop; when its own handles are gone the second one frees it and unloads the event-loop plugin; then our
 * own handle closes, and `closed` is called.
 *
 * Failure modes: a name lookup that hangs delays `closed` (libuv cannot cancel it) and costs nothing
 * meanwhile; without the plugin there is no context at all. */
#include "bridge/websocket_impl.h"

#include "bridge/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SERVICE_BYTES = 32768,  /* shared; the server stalls on TLS below 16384 */
    HEADER_BYTES = 16384,   /* of one request or answer */
    LIBRARY_TIMEOUT_S = 60, /* longer than any deadline of ours, so that it never decides */
    DESCRIPTORS_MIN = 64,
};

/* ---- the turn of the loop ---- */

static void context_advance(struct websocket_context *context);

static void on_turn(uv_idle_t *turn)
{
    struct websocket_context *context = uv_handle_get_data((uv_handle_t *)turn);
    struct websocket *last = context->last_due;

    /* Only those of now: what they make due comes in the next turn. */
    while (context->first_due != NULL) {
        struct websocket *websocket = context->first_due;
        bool was_last = websocket == last;

        context->first_due = websocket->next_due;
        if (context->first_due == NULL)
            context->last_due = NULL;
        websocket->is_due = false;
        websocket_advance(websocket);
        if (was_last)
            break;
    }
    if (context->closing)
        context_advance(context);
    else if (context->first_due == NULL)
        uv_idle_stop(turn);
}

void websocket_make_due(struct websocket *websocket)
{
    struct websocket_context *context = websocket->context;

    if (websocket->is_due)
        return;
    websocket->is_due = true;
    websocket->next_due = NULL;
    if (context->first_due == NULL)
        context->first_due = websocket;
    else
        context->last_due->next_due = websocket;
    context->last_due = websocket;
    uv_idle_start(&context->turn, on_turn);
}

/* A connect that fails at once (no route) closes the socket and forgets the poll handle made for it: the
 * handle would stay in the loop for ever, and uv_loop_close() fail. The normal way has closed
 * the handle before WSI_DESTROY. */
static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void close_if_of(uv_handle_t *handle, void *wsi)
{
    if (uv_handle_get_type(handle) == UV_POLL && uv_handle_get_data(handle) == wsi &&
        !uv_is_closing(handle))
        uv_close(handle, free_handle);
}

void websocket_close_poll_handle(struct websocket_context *context, struct lws *wsi)
{
    uv_walk(context->loop, close_if_of, wsi);
}

/* ---- making ---- */

static void count_handle(uv_handle_t *handle, void *data)
{
    (void)handle;
    ++*(size_t *)data;
}

struct handle_search {
    struct websocket_context *context;
    size_t skip; /* handles that were there before */
};

/* libwebsockets makes an idle handle and a timer that live as long as its context, and a poll handle for
 * the descriptor that wakes it. */
static void remember_handle(uv_handle_t *handle, void *data)
{
    struct handle_search *search = data;
    struct websocket_context *context = search->context;
    uv_handle_type type = uv_handle_get_type(handle);

    if (search->skip > 0) {
        search->skip--;
        return;
    }
    if ((type == UV_IDLE || type == UV_TIMER) &&
        context->library_count < WEBSOCKET_LIBRARY_HANDLES_MAX)
        context->library[context->library_count++] = handle;
    if (type == UV_POLL)
        uv_fileno(handle, &context->wake_fd);
}

static int make_lws(struct websocket_context *context, size_t descriptor_limit)
{
    struct lws_context_creation_info info = { 0 };
    void *loops[1] = { context->loop };
    struct handle_search search = { .context = context };

    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    info.foreign_loops = loops;
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.pt_serv_buf_size = SERVICE_BYTES;
    info.max_http_header_data = HEADER_BYTES;
    info.timeout_secs = LIBRARY_TIMEOUT_S;
    info.connect_timeout_secs = LIBRARY_TIMEOUT_S;
    info.fd_limit_per_thread = (unsigned)(descriptor_limit < DESCRIPTORS_MIN ? DESCRIPTORS_MIN
                                                                             : descriptor_limit);
    info.alpn = "http/1.1";

    uv_walk(context->loop, count_handle, &search.skip);
    context->lws = lws_create_context(&info);
    if (context->lws == NULL)
        return -EIO;
    uv_walk(context->loop, remember_handle, &search);

    info.vhost_name = "hub";
    info.protocols = WEBSOCKET_PROTOCOLS;
    info.provided_client_ssl_ctx = trust_ssl_ctx(context->trust);
    context->vhost = lws_create_vhost(context->lws, &info);
    return context->vhost == NULL ? -EIO : 0;
}

/* Its lines name no connection; what a person needs is in the reason of `down`. */
static void log_library(int level, const char *line)
{
    (void)level;
    log_line(LEVEL_DEBUG, "libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

int websocket_context_new(struct websocket_context **out, struct uv_loop_s *loop,
                          const char *ca_file, size_t descriptor_limit, struct err *err)
{
    struct websocket_context *context = calloc(1, sizeof *context);

    if (context == NULL || trust_new(&context->trust, ca_file) != 0) {
        free(context);
        err_set(err, "out of memory");
        return -ENOMEM;
    }
    context->loop = loop;
    /* It would be used for every connection, whatever the mapping says. */
    unsetenv("http_proxy");
    lws_set_log_level(LLL_ERR, log_library);
    if (make_lws(context, descriptor_limit) != 0) {
        err_set(err,
                "libwebsockets does not start: is the package libwebsockets-evlib-uv installed?");
        /* A context without its vhost would need the loop to go away: it is left to the exit. */
        trust_free(context->trust);
        free(context);
        return -EIO;
    }
    uv_idle_init(loop, &context->turn);
    uv_handle_set_data((uv_handle_t *)&context->turn, context);
    *out = context;
    return 0;
}

struct lws_context *websocket_context_lws(struct websocket_context *context)
{
    return context->lws;
}

/* ---- closing the context ---- */

struct handle_watch {
    const struct websocket_context *context;
    bool alive;
};

static void look_for_library(uv_handle_t *handle, void *data)
{
    struct handle_watch *watch = data;

    for (size_t i = 0; i < watch->context->library_count; i++)
        watch->alive |= handle == watch->context->library[i];
}

/* libwebsockets does not say when the handles that its first destroy closes are gone. They lie in the
 * memory that the second one frees, so that one must wait. */
static bool library_alive(const struct websocket_context *context)
{
    struct handle_watch watch = { .context = context };

    uv_walk(context->loop, look_for_library, &watch);
    return watch.alive;
}

static void on_turn_closed(uv_handle_t *handle)
{
    struct websocket_context *context = uv_handle_get_data(handle);
    void (*closed)(void *data) = context->closed;
    void *data = context->data;

    free(context);
    closed(data);
}

static void context_advance(struct websocket_context *context)
{
    if (context->lws != NULL && library_alive(context))
        return;
    if (context->lws != NULL) {
        lws_context_destroy(context->lws);
        context->lws = NULL;
        trust_free(context->trust);
    }
    uv_idle_stop(&context->turn); /* a lookup that hangs shall not cost a core */
    if (context->lookups == 0)
        uv_close((uv_handle_t *)&context->turn, on_turn_closed);
}

void websocket_lookup_begins(struct websocket_context *context)
{
    context->lookups++;
}

void websocket_lookup_over(struct websocket_context *context)
{
    context->lookups--;
    if (context->closing)
        uv_idle_start(&context->turn, on_turn);
}

/* The first destroy closes the wake descriptor and closes its number again some turns later, when it may
 * be somebody else's, the database's for example. So the number is kept taken until then. */
static void keep_number(const struct websocket_context *context)
{
    int fd = fcntl(uv_backend_fd(context->loop), F_DUPFD_CLOEXEC, context->wake_fd);

    if (fd >= 0 && fd != context->wake_fd)
        close(fd);
}

void websocket_context_close(struct websocket_context *context, void (*closed)(void *data),
                             void *data)
{
    assert(context->websockets == 0 && !context->closing);
    context->closing = true;
    context->closed = closed;
    context->data = data;
    lws_context_destroy(context->lws);
    keep_number(context);
    uv_idle_start(&context->turn, on_turn);
}
