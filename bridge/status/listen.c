/* "ADDR:PORT" of the mapping file's status.listen.
 *
 * Failure modes: a text of another form, and an address that other machines could reach. */
#include "bridge/status/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The port behind the last ':', and what stands before it in `host`, without brackets. */
static bool split(const char *text, char *host, size_t size, in_port_t *port)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    unsigned long number;

    if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return false;
    number = strtoul(colon + 1, NULL, 10);
    if (number > UINT16_MAX)
        return false;
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL) {
        return false; /* IPv6 without brackets: where does the port begin? */
    }
    if (length == 0 || length >= size)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    *port = (in_port_t)number;
    return true;
}

/* 0; -EINVAL: no address; -EACCES: one that is not of loopback. */
static int read_address(const char *host, in_port_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in ip4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &ip4.sin_addr) == 1) {
        if (ntohl(ip4.sin_addr.s_addr) >> 24 != 127)
            return -EACCES;
        memcpy(out, &ip4, sizeof ip4);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &ip6.sin6_addr) == 1) {
        if (!IN6_IS_ADDR_LOOPBACK(&ip6.sin6_addr))
            return -EACCES;
        memcpy(out, &ip6, sizeof ip6);
        return 0;
    }
    return -EINVAL;
}

int status_listen_parse(const char *text, struct sockaddr_storage *out, struct err *err)
{
    struct sockaddr_storage address = { 0 };
    char host[INET6_ADDRSTRLEN];
    in_port_t port;
    int rc = -EINVAL;

    if (split(text, host, sizeof host, &port))
        rc = read_address(host, port, &address);
    if (rc == -EACCES) {
        err_set(
            err,
            "status.listen \"%.100s\": only loopback (127.0.0.1 or [::1]) is served, because the "
            "page has no sign-in; use an SSH tunnel to see it from elsewhere",
            text);
        return -EINVAL;
    }
    if (rc != 0) {
        err_set(err,
                "status.listen \"%.100s\" is not ADDR:PORT, such as 127.0.0.1:8080 or [::1]:8080",
                text);
        return rc;
    }
    *out = address;
    return 0;
}
