/* bridge/status/listen: the address of the status server. */
#include "bridge/status/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void status_listen_parse_of_loopback_gives_the_address(void **state)
{
    static const struct {
        const char *text, *address;
        int family;
        in_port_t port;
    } cases[] = {
        { "127.0.0.1:8080", "127.0.0.1", AF_INET, 8080 },
        { "127.0.0.1:0", "127.0.0.1", AF_INET, 0 },
        { "127.9.8.7:65535", "127.9.8.7", AF_INET, 65535 },
        { "localhost:80", "127.0.0.1", AF_INET, 80 },
        { "[::1]:8080", "::1", AF_INET6, 8080 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sockaddr_storage out;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
        char text[INET6_ADDRSTRLEN];
        struct err err = { "" };

        print_message("case %s\n", cases[i].text);
        assert_int_equal(status_listen_parse(cases[i].text, &out, &err), 0);

        assert_int_equal(out.ss_family, cases[i].family);
        memcpy(&ip4, &out, sizeof ip4);
        memcpy(&ip6, &out, sizeof ip6);
        inet_ntop(cases[i].family,
                  cases[i].family == AF_INET ? (void *)&ip4.sin_addr : (void *)&ip6.sin6_addr, text,
                  sizeof text);
        assert_string_equal(text, cases[i].address);
        assert_int_equal(ntohs(cases[i].family == AF_INET ? ip4.sin_port : ip6.sin6_port),
                         cases[i].port);
    }
}

static void status_listen_parse_refuses_with_the_remedy(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "0.0.0.0:8080", "only loopback" },
        { "128.0.0.1:8080", "only loopback" },
        { "192.168.1.1:80", "only loopback" },
        { "[::]:80", "only loopback" },
        { "[2001:db8::1]:80", "only loopback" },
        { "[::ffff:127.0.0.1]:80", "only loopback" },
        { "", "is not ADDR:PORT" },
        { ":", "is not ADDR:PORT" },
        { ":8080", "is not ADDR:PORT" },
        { "8080", "is not ADDR:PORT" },
        { "127.0.0.1", "is not ADDR:PORT" },
        { "127.0.0.1:", "is not ADDR:PORT" },
        { "127.0.0.1:65536", "is not ADDR:PORT" },
        { "127.0.0.1:123456", "is not ADDR:PORT" },
        { "127.0.0.1:-1", "is not ADDR:PORT" },
        { "127.0.0.1:80 ", "is not ADDR:PORT" },
        { "127.0.0.256:80", "is not ADDR:PORT" },
        { "::1:8080", "is not ADDR:PORT" },
        { "[::1]", "is not ADDR:PORT" },
        { "[::1:8080", "is not ADDR:PORT" },
        { "[]:8080", "is not ADDR:PORT" },
        { "gateway.example:8080", "is not ADDR:PORT" },
        { "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80", "is not ADDR:PORT" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sockaddr_storage out, before;
        struct err err = { "" };

        print_message("case %s\n", cases[i].text);
        memset(&out, 0x5a, sizeof out);
        before = out;

        assert_int_equal(status_listen_parse(cases[i].text, &out, &err), -EINVAL);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_non_null(strstr(err.msg, cases[i].text));
        assert_memory_equal(&out, &before, sizeof out);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_listen_parse_of_loopback_gives_the_address),
        cmocka_unit_test(status_listen_parse_refuses_with_the_remedy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
