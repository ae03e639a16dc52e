#include "tests/sim/modbussim/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void request_length_header_split_at_every_byte_waits_for_it(void **state)
{
    static const uint8_t bytes[] = { 0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1 };

    (void)state;
    for (size_t length = 0; length <= sizeof bytes; length++)
        assert_int_equal(request_length(bytes, length), length < 7 ? 7 : 12);
}

static void request_length_no_modbus_is_refused(void **state)
{
    static const struct {
        const char *name;
        uint8_t bytes[7];
    } cases[] = {
        { "another protocol", { 0, 1, 0, 1, 0, 6, 1 } },
        { "no function", { 0, 1, 0, 0, 0, 1, 1 } },
        { "longer than 260 bytes", { 0, 1, 0, 0, 0, 255, 1 } },
        { "text", { 'G', 'E', 'T', ' ', '/', ' ', 'H' } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %s\n", cases[i].name);
        assert_int_equal(request_length(cases[i].bytes, 7), -EBADMSG);
    }
}

static void request_exception_form_gives_what_the_standard_says(void **state)
{
    static const struct {
        const char *name;
        int want;
        size_t length;
        uint8_t pdu[24];
    } cases[] = {
        { "read 1 coil", 0, 5, { 1, 0, 0, 0, 1 } },
        { "read 2000 coils", 0, 5, { 1, 0, 0, 0x07, 0xD0 } },
        { "read 2001 coils", 3, 5, { 1, 0, 0, 0x07, 0xD1 } },
        { "read no discrete input", 3, 5, { 2, 0, 0, 0, 0 } },
        { "read 125 registers", 0, 5, { 3, 0, 0, 0, 125 } },
        { "read 126 registers", 3, 5, { 3, 0, 0, 0, 126 } },
        { "read too short", 3, 4, { 4, 0, 0, 0 } },
        { "read too long", 3, 6, { 4, 0, 0, 0, 1, 0 } },
        { "write a coil", 0, 5, { 5, 0, 0, 0xFF, 0 } },
        { "write a register", 0, 5, { 6, 0, 0, 0, 0 } },
        { "write a register too short", 3, 3, { 6, 0, 0 } },
        { "write 10 coils", 0, 8, { 15, 0, 0, 0, 10, 2, 0xCD, 1 } },
        { "write 10 coils of one byte", 3, 7, { 15, 0, 0, 0, 10, 1, 0xCD } },
        { "write no coils", 3, 6, { 15, 0, 0, 0, 0, 0 } },
        { "write 2 registers", 0, 10, { 16, 0, 0, 0, 2, 4, 1, 2, 3, 4 } },
        { "write 2 registers with a byte missing", 3, 9, { 16, 0, 0, 0, 2, 4, 1, 2, 3 } },
        { "write 2 registers without a count", 3, 5, { 16, 0, 0, 0, 2 } },
        { "mask write", 0, 7, { 22, 0, 4, 0, 0xF2, 0, 0x25 } },
        { "mask write too short", 3, 6, { 22, 0, 4, 0, 0xF2, 0 } },
        { "read and write", 0, 12, { 23, 0, 3, 0, 6, 0, 14, 0, 1, 2, 0, 0xFF } },
        { "read nothing and write", 3, 12, { 23, 0, 3, 0, 0, 0, 14, 0, 1, 2, 0, 0xFF } },
        { "read and write cut off", 3, 4, { 23, 0, 3, 0 } },
        { "identify", 1, 4, { 43, 14, 1, 0 } },
        { "function 0", 1, 1, { 0 } },
        { "an answer", 1, 2, { 0x83, 2 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = REQUEST_HEADER + cases[i].length;
        uint8_t *request = calloc(1, length); /* exactly as long: a read behind its end is seen */

        print_message("case %s\n", cases[i].name);
        assert_non_null(request);
        memcpy(request + REQUEST_HEADER, cases[i].pdu, cases[i].length);
        assert_int_equal(request_exception(request, length), cases[i].want);
        free(request);
    }
}

static void request_touches_what_it_reads_or_writes(void **state)
{
    static const struct {
        const char *name;
        unsigned address;
        bool want;
        size_t length;
        uint8_t pdu[16];
    } cases[] = {
        { "first of a read", 100, true, 5, { 3, 0, 100, 0, 4 } },
        { "last of a read", 103, true, 5, { 3, 0, 100, 0, 4 } },
        { "before a read", 99, false, 5, { 3, 0, 100, 0, 4 } },
        { "behind a read", 104, false, 5, { 3, 0, 100, 0, 4 } },
        { "a coil that is written", 3, true, 5, { 5, 0, 3, 0xFF, 0 } },
        { "behind a register that is written", 4, false, 5, { 6, 0, 3, 0, 9 } },
        { "registers that are written", 4, true, 10, { 16, 0, 3, 0, 2, 4, 1, 2, 3, 4 } },
        { "what function 23 reads", 3, true, 12, { 23, 0, 3, 0, 6, 0, 14, 0, 1, 2, 0, 0xFF } },
        { "what function 23 writes", 14, true, 12, { 23, 0, 3, 0, 6, 0, 14, 0, 1, 2, 0, 0xFF } },
        { "neither of them", 12, false, 12, { 23, 0, 3, 0, 6, 0, 14, 0, 1, 2, 0, 0xFF } },
        { "too short to tell", 0, false, 2, { 7, 0 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = REQUEST_HEADER + cases[i].length;
        uint8_t *request = calloc(1, length);

        print_message("case %s\n", cases[i].name);
        assert_non_null(request);
        memcpy(request + REQUEST_HEADER, cases[i].pdu, cases[i].length);
        assert_int_equal(request_touches(request, length, cases[i].address), cases[i].want);
        free(request);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_length_header_split_at_every_byte_waits_for_it),
        cmocka_unit_test(request_length_no_modbus_is_refused),
        cmocka_unit_test(request_exception_form_gives_what_the_standard_says),
        cmocka_unit_test(request_touches_what_it_reads_or_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
