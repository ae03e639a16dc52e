/* Listening sockets by address. Fails when the address is not this machine's, the port is taken or
 * not allowed, or the name is unknown; the text says which, and the caller says what to do. */
#include "tests/sim/modbussim/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int address_split(const char *text, char *host, size_t host_size, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    size_t length;
    char *end;
    long number;

    if (colon == NULL || colon == text || colon[1] < '0' || colon[1] > '9')
        return -EINVAL;
    errno = 0;
    number = strtol(colon + 1, &end, 10);
    if (errno != 0 || *end != '\0' || number > 65535)
        return -EINVAL;
    length = (size_t)(colon - text);
    if (text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= host_size)
        return -EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    *port = (uint16_t)number;
    return 0;
}

static int listen_at(const struct addrinfo *at)
{
    int on = 1;
    int fd;
    int rc;

    fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* A device that is started again is there at once, not after the old connections' TIME_WAIT. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, 128) != 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

int address_listen(int *out, const char *host, uint16_t port, struct err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    char service[8];
    int rc;

    snprintf(service, sizeof service, "%u", (unsigned)port);
    rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        err_set(err, "%s: %s", host, gai_strerror(rc));
        return -EADDRNOTAVAIL;
    }
    rc = listen_at(found);
    freeaddrinfo(found);
    if (rc < 0) {
        err_set(err, "%s:%u: %s", host, (unsigned)port, strerror(-rc));
        return rc;
    }
    *out = rc;
    return 0;
}

void address_print(char out[ADDRESS_TEXT_MAX], int fd)
{
    struct sockaddr_storage bound = { 0 };
    socklen_t length = sizeof bound;
    char host[64] = "?";
    char service[8] = "0";

    if (getsockname(fd, (struct sockaddr *)&bound, &length) == 0)
        getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, service, sizeof service,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(out, ADDRESS_TEXT_MAX, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
             service);
}
