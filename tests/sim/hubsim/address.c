/* Literal addresses.
 *
 * Happy path: text -> socket address -> bound, listening, closed again.
 * Fails when: the port is another process's or needs a right, or the address is no interface of
 * ours. */
#include "tests/sim/hubsim/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The length of the socket address, 0 when `text` is none. */
static socklen_t parse(const char *text, int port, union address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        return sizeof out->v6;
    }
    return 0;
}

bool address_is_literal(const char *text)
{
    union address address;

    return parse(text, 0, &address) != 0;
}

int address_try(const char *text, int port, struct err *err)
{
    const int on = 1;
    union address address;
    socklen_t length = parse(text, port, &address);
    int fd, rc = 0;

    assert(length != 0);
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, &address.any, length) != 0 || listen(fd, 1) != 0)
        rc = -errno;
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        err_set(err, "cannot listen on %s port %d: %s", text, port, strerror(-rc));
    return rc;
}
