/* Pieces of bytes on a timer.
 *
 * Happy path: a piece, a pause, a piece ... done. Fails when the peer is gone, or takes nothing more of an
 * answer that has an end; an endless one waits for room. */
#include "tests/sim/modbussim/delivery.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct delivery {
    uv_timer_t timer;
    struct delivery_open args;
    struct fault_wire wire;
    size_t sent;
};

static void on_closed(uv_handle_t *handle)
{
    struct delivery *delivery = handle->data;
    const struct delivery_open args = delivery->args;

    free(delivery);
    args.closed(args.owner);
}

void delivery_cancel(struct delivery *delivery)
{
    if (!uv_is_closing((uv_handle_t *)&delivery->timer))
        uv_close((uv_handle_t *)&delivery->timer, on_closed);
}

static void finish(struct delivery *delivery, int rc)
{
    delivery_cancel(delivery);
    delivery->args.done(delivery->args.owner, delivery, rc);
}

/* 0, or -errno; -EAGAIN: no room. */
static int send_piece(struct delivery *delivery)
{
    const struct fault_wire *wire = &delivery->wire;
    size_t left = wire->length - delivery->sent;
    size_t length = left < wire->piece ? left : wire->piece;
    ssize_t sent;

    if (length == 0)
        return 0;
    sent = send(delivery->args.fd, wire->bytes + delivery->sent, length,
                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return -errno;
    delivery->sent += (size_t)sent;
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct delivery *delivery = timer->data;
    const struct fault_wire *wire = &delivery->wire;
    bool waits = delivery->args.wait_while != NULL && *delivery->args.wait_while;
    int rc = waits ? 0 : send_piece(delivery);

    if (rc < 0 && !(rc == -EAGAIN && wire->endless)) {
        finish(delivery, rc);
        return;
    }
    if (!waits && delivery->sent == wire->length) {
        delivery->sent = 0;
        if (!wire->endless) {
            finish(delivery, 0);
            return;
        }
    }
    uv_timer_start(timer, on_timer, waits ? 1 : wire->pause_ms, 0);
}

int delivery_new(struct delivery **out, const struct delivery_open *args)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);

    if (delivery == NULL)
        return -ENOMEM;
    uv_timer_init(args->loop, &delivery->timer);
    delivery->timer.data = delivery;
    delivery->args = *args;
    delivery->wire = *args->wire;
    uv_timer_start(&delivery->timer, on_timer, args->delay_ms, 0);
    *out = delivery;
    return 0;
}

bool delivery_hangs_up(const struct delivery *delivery)
{
    return delivery->wire.hang_up;
}
