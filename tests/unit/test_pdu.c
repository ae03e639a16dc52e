/* Requests and responses against the examples of the Modbus Application Protocol V1.1b3. */
#include "adapters/modbus/pdu.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- requests ---- */

static void assert_request(const struct pdu *got, const uint8_t *want, size_t length)
{
    assert_int_equal(got->length, length);
    assert_memory_equal(got->bytes, want, length);
}

static void pdu_read_examples_of_the_specification_give_their_bytes(void **state)
{
    static const struct {
        enum pdu_function function;
        uint16_t address, count;
        uint8_t want[5];
    } cases[] = {
        { PDU_READ_COILS, 0x13, 0x13, { 0x01, 0x00, 0x13, 0x00, 0x13 } },    /* 6.1: 20 to 38 */
        { PDU_READ_DISCRETE, 0xC4, 0x16, { 0x02, 0x00, 0xC4, 0x00, 0x16 } }, /* 6.2: 197 to 218 */
        { PDU_READ_HOLDING, 0x6B, 3, { 0x03, 0x00, 0x6B, 0x00, 0x03 } },     /* 6.3: 108 to 110 */
        { PDU_READ_INPUT, 8, 1, { 0x04, 0x00, 0x08, 0x00, 0x01 } },          /* 6.4: 9 */
        { PDU_READ_COILS, 0, 2000, { 0x01, 0x00, 0x00, 0x07, 0xD0 } },
        { PDU_READ_HOLDING, 65411, 125, { 0x03, 0xFF, 0x83, 0x00, 0x7D } },
        { PDU_READ_INPUT, 65535, 1, { 0x04, 0xFF, 0xFF, 0x00, 0x01 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pdu pdu;

        print_message("case %zu\n", i);
        assert_int_equal(pdu_read(&pdu, cases[i].function, cases[i].address, cases[i].count), 0);
        assert_request(&pdu, cases[i].want, sizeof cases[i].want);
    }
}

static void pdu_read_beyond_a_limit_is_refused_and_touches_nothing(void **state)
{
    static const struct {
        enum pdu_function function;
        uint16_t address, count;
    } cases[] = {
        { PDU_READ_COILS, 0, 0 },          { PDU_READ_COILS, 0, 2001 },
        { PDU_READ_DISCRETE, 0, 2001 },    { PDU_READ_HOLDING, 0, 0 },
        { PDU_READ_HOLDING, 0, 126 },      { PDU_READ_INPUT, 0, 126 },
        { PDU_READ_INPUT, 65535, 2 },      { PDU_READ_HOLDING, 65412, 125 },
        { PDU_READ_COILS, 63537, 2000 },   { PDU_WRITE_COIL, 0, 1 },
        { PDU_WRITE_REGISTERS, 0, 1 },     { (enum pdu_function)0, 0, 1 },
        { (enum pdu_function)0x83, 0, 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pdu pdu = { .length = 77 };

        print_message("case %zu\n", i);
        assert_int_equal(pdu_read(&pdu, cases[i].function, cases[i].address, cases[i].count),
                         -EINVAL);
        assert_int_equal(pdu.length, 77);
    }
}

static void pdu_write_coil_gives_ff00_or_0000(void **state)
{
    struct pdu pdu;

    (void)state;
    assert_int_equal(pdu_write_coil(&pdu, 0xAC, true), 0); /* 6.5: coil 173 */
    assert_request(&pdu, BYTES(0x05, 0x00, 0xAC, 0xFF, 0x00));
    assert_int_equal(pdu_write_coil(&pdu, 0xFFFF, false), 0);
    assert_request(&pdu, BYTES(0x05, 0xFF, 0xFF, 0x00, 0x00));
}

static void pdu_write_register_example_of_6_6_gives_its_bytes(void **state)
{
    struct pdu pdu;

    (void)state;
    assert_int_equal(pdu_write_register(&pdu, 1, (const uint8_t[]){ 0x00, 0x03 }), 0);
    assert_request(&pdu, BYTES(0x06, 0x00, 0x01, 0x00, 0x03));
}

static void pdu_write_coils_example_of_6_11_gives_its_bytes(void **state)
{
    struct pdu pdu;

    (void)state;
    assert_int_equal(pdu_write_coils(&pdu, 0x13, 10, (const uint8_t[]){ 0xCD, 0x01 }), 0);
    assert_request(&pdu, BYTES(0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x01));
}

static void pdu_write_coils_clears_the_bits_behind_the_last_coil(void **state)
{
    struct pdu pdu;

    (void)state;
    assert_int_equal(pdu_write_coils(&pdu, 0x13, 10, (const uint8_t[]){ 0xCD, 0xFF }), 0);
    assert_request(&pdu, BYTES(0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x03));
}

static void pdu_write_registers_example_of_6_12_gives_its_bytes(void **state)
{
    struct pdu pdu;

    (void)state;
    assert_int_equal(pdu_write_registers(&pdu, 1, 2, (const uint8_t[]){ 0x00, 0x0A, 0x01, 0x02 }),
                     0);
    assert_request(&pdu, BYTES(0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02));
}

static void pdu_write_of_the_largest_count_fits_and_one_more_is_refused(void **state)
{
    static const uint8_t zeros[256];
    struct pdu pdu;

    (void)state;
    assert_int_equal(pdu_write_coils(&pdu, 0, 1968, zeros), 0);
    assert_int_equal(pdu.length, 6 + 246);
    assert_int_equal(pdu_write_registers(&pdu, 0, 123, zeros), 0);
    assert_int_equal(pdu.length, 6 + 246);
    assert_int_equal(pdu_write_coils(&pdu, 0, 1969, zeros), -EINVAL);
    assert_int_equal(pdu_write_registers(&pdu, 0, 124, zeros), -EINVAL);
    assert_int_equal(pdu_write_coils(&pdu, 0, 0, zeros), -EINVAL);
    assert_int_equal(pdu_write_registers(&pdu, 0, 0, zeros), -EINVAL);
    assert_int_equal(pdu_write_registers(&pdu, 65535, 2, zeros), -EINVAL);
    assert_int_equal(pdu_write_coils(&pdu, 65535, 2, zeros), -EINVAL);
}

/* ---- responses ---- */

/* A request as its bytes, so that every response below stands beside the question it answers. */
static struct pdu request_of(const uint8_t *bytes, size_t length)
{
    struct pdu request = { .length = length };

    memcpy(request.bytes, bytes, length);
    return request;
}

static void pdu_parse_examples_of_the_specification_give_their_data(void **state)
{
    static const struct {
        uint8_t request[5];
        uint8_t response[8];
        size_t length, data_length;
    } cases[] = {
        { { 0x01, 0x00, 0x13, 0x00, 0x13 }, { 0x01, 0x03, 0xCD, 0x6B, 0x05 }, 5, 3 },
        { { 0x02, 0x00, 0xC4, 0x00, 0x16 }, { 0x02, 0x03, 0xAC, 0xDB, 0x35 }, 5, 3 },
        { { 0x03, 0x00, 0x6B, 0x00, 0x03 },
          { 0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64 },
          8,
          6 },
        { { 0x04, 0x00, 0x08, 0x00, 0x01 }, { 0x04, 0x02, 0x00, 0x0A }, 4, 2 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pdu request = request_of(cases[i].request, 5);
        struct pdu_response response;

        print_message("case %zu\n", i);
        assert_int_equal(pdu_parse(&response, &request, cases[i].response, cases[i].length), 0);
        assert_int_equal(response.exception, 0);
        assert_int_equal(response.length, cases[i].data_length);
        assert_ptr_equal(response.data, cases[i].response + 2);
    }
}

static void pdu_parse_echo_of_a_write_is_done_without_data(void **state)
{
    static const struct {
        uint8_t request[10];
        size_t length;
        uint8_t response[5];
    } cases[] = {
        { { 0x05, 0x00, 0xAC, 0xFF, 0x00 }, 5, { 0x05, 0x00, 0xAC, 0xFF, 0x00 } },
        { { 0x06, 0x00, 0x01, 0x00, 0x03 }, 5, { 0x06, 0x00, 0x01, 0x00, 0x03 } },
        { { 0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x01 }, 8, { 0x0F, 0x00, 0x13, 0x00, 0x0A } },
        { { 0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02 },
          10,
          { 0x10, 0x00, 0x01, 0x00, 0x02 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pdu request = request_of(cases[i].request, cases[i].length);
        struct pdu_response response;

        print_message("case %zu\n", i);
        assert_int_equal(pdu_parse(&response, &request, cases[i].response, 5), 0);
        assert_int_equal(response.exception, 0);
        assert_int_equal(response.length, 0);
        assert_null(response.data);
    }
}

static void pdu_parse_echo_of_another_value_is_told(void **state)
{
    static const struct {
        uint8_t request[5], response[5];
        bool altered;
    } cases[] = {
        { { 6, 0, 1, 0, 3 }, { 6, 0, 1, 0, 3 }, false },
        { { 6, 0, 1, 0, 3 }, { 6, 0, 1, 0, 4 }, true },
        { { 5, 0, 1, 0xFF, 0 }, { 5, 0, 1, 0, 0 }, true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pdu request = request_of(cases[i].request, 5);
        struct pdu_response response;

        print_message("case %zu\n", i);
        assert_int_equal(pdu_parse(&response, &request, cases[i].response, 5), 0);
        assert_int_equal(response.exception, 0);
        assert_int_equal(response.altered, cases[i].altered);
    }
}

static void pdu_parse_exception_response_gives_its_code(void **state)
{
    struct pdu request = request_of(BYTES(0x01, 0x04, 0xA1, 0x00, 0x01)); /* the example of 7 */
    struct pdu_response response;

    (void)state;
    assert_int_equal(pdu_parse(&response, &request, BYTES(0x81, 0x02)), 0);
    assert_int_equal(response.exception, 2);
    assert_null(response.data);
    assert_int_equal(response.length, 0);
}

static void pdu_parse_wrong_response_is_refused_and_touches_nothing(void **state)
{
    static const struct {
        const char *name;
        uint8_t request[5];
        uint8_t response[8];
        size_t length;
        int want;
    } cases[] = {
        { "nothing", { 3, 0, 0, 0, 1 }, { 0 }, 0, -EBADMSG },
        { "function only", { 3, 0, 0, 0, 1 }, { 3 }, 1, -EBADMSG },
        { "byte count too small", { 3, 0, 0, 0, 2 }, { 3, 2, 1, 2 }, 4, -EBADMSG },
        { "byte count too large", { 3, 0, 0, 0, 1 }, { 3, 4, 1, 2, 3, 4 }, 6, -EBADMSG },
        { "fewer bytes than counted", { 3, 0, 0, 0, 2 }, { 3, 4, 1, 2 }, 4, -EBADMSG },
        { "more bytes than counted", { 3, 0, 0, 0, 1 }, { 3, 2, 1, 2, 3 }, 5, -EBADMSG },
        { "registers counted as words", { 4, 0, 0, 0, 2 }, { 4, 2, 1, 2, 3, 4 }, 6, -EBADMSG },
        { "one byte of bits too many", { 1, 0, 0, 0, 8 }, { 1, 2, 1, 2 }, 4, -EBADMSG },
        { "one byte of bits too few", { 2, 0, 0, 0, 9 }, { 2, 1, 1 }, 3, -EBADMSG },
        { "exception without code", { 3, 0, 0, 0, 1 }, { 0x83 }, 1, -EBADMSG },
        { "exception 0", { 3, 0, 0, 0, 1 }, { 0x83, 0 }, 2, -EBADMSG },
        { "exception with a tail", { 3, 0, 0, 0, 1 }, { 0x83, 2, 0 }, 3, -EBADMSG },
        { "another function", { 3, 0, 0, 0, 1 }, { 4, 2, 1, 2 }, 4, -EPROTO },
        { "another function's exception", { 3, 0, 0, 0, 1 }, { 0x84, 2 }, 2, -EPROTO },
        { "short echo", { 6, 0, 1, 0, 3 }, { 6, 0, 1, 0 }, 4, -EBADMSG },
        { "long echo", { 6, 0, 1, 0, 3 }, { 6, 0, 1, 0, 3, 0 }, 6, -EBADMSG },
        { "echo of another address", { 6, 0, 1, 0, 3 }, { 6, 0, 2, 0, 3 }, 5, -EPROTO },
        { "echo of another count", { 16, 0, 1, 0, 2 }, { 16, 0, 1, 0, 1 }, 5, -EPROTO },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pdu request = request_of(cases[i].request, 5);
        struct pdu_response response = { .exception = 99 };

        print_message("case %s\n", cases[i].name);
        assert_int_equal(pdu_parse(&response, &request, cases[i].response, cases[i].length),
                         cases[i].want);
        assert_int_equal(response.exception, 99);
    }
}

static void pdu_parse_of_a_response_of_any_other_length_is_refused(void **state)
{
    static const struct {
        const char *name;
        const uint8_t request[5], response[12];
        size_t length;
    } cases[] = {
        { "read registers", { 3, 0, 0, 0, 2 }, { 3, 4, 0, 1, 0, 2 }, 6 },
        { "read coils", { 1, 0, 0, 0, 10 }, { 1, 2, 0xcd, 1 }, 4 },
        { "write register", { 6, 0, 1, 0, 7 }, { 6, 0, 1, 0, 7 }, 5 },
        { "exception", { 3, 0, 0, 0, 2 }, { 0x83, 2 }, 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pdu request = { .length = 5 };

        print_message("case %s\n", cases[i].name);
        memcpy(request.bytes, cases[i].request, 5);
        for (size_t length = 0; length <= sizeof cases[i].response; length++) {
            struct pdu_response response = { .exception = 77 };
            uint8_t *copy = malloc(length == 0 ? 1 : length); /* of its own, for the sanitizer */
            int rc;

            assert_non_null(copy);
            memcpy(copy, cases[i].response, length);
            rc = pdu_parse(&response, &request, copy, length);
            free(copy);
            assert_int_equal(rc == 0, length == cases[i].length);
            assert_int_equal(rc != 0, response.exception == 77);
        }
    }
}

static void pdu_bit_numbers_from_the_lowest_bit_of_the_first_byte(void **state)
{
    static const uint8_t bits[] = { 0xCD, 0x6B, 0x05 }; /* 6.1: coils 27-20, 35-28, 38-36 */
    static const bool want[] = { 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1 };

    (void)state;
    for (size_t i = 0; i < COUNT(want); i++)
        assert_int_equal(pdu_bit(bits, i), want[i]);
}

/* ---- exceptions ---- */

static void pdu_exception_text_names_every_code(void **state)
{
    (void)state;
    assert_string_equal(pdu_exception_text(1), "illegal function (exception 1)");
    assert_string_equal(pdu_exception_text(2), "illegal data address (exception 2)");
    assert_string_equal(pdu_exception_text(11),
                        "gateway target device failed to respond (exception 11)");
    assert_string_equal(pdu_exception_text(7), "unknown exception (exception 0x07)");
    assert_string_equal(pdu_exception_text(0xE0), "unknown exception (exception 0xE0)");
    assert_string_equal(pdu_exception_text(255), "unknown exception (exception 0xFF)");
    for (int code = 0; code <= 255; code++)
        assert_non_null(strstr(pdu_exception_text((uint8_t)code), "(exception "));
}

static void pdu_exception_kind_tells_refused_busy_and_absent(void **state)
{
    (void)state;
    for (int code = 1; code <= 255; code++) {
        enum pdu_exception_kind want = code == 5 || code == 6     ? PDU_EXCEPTION_BUSY
                                       : code == 10 || code == 11 ? PDU_EXCEPTION_ABSENT
                                                                  : PDU_EXCEPTION_REFUSED;

        assert_int_equal(pdu_exception_kind((uint8_t)code), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pdu_read_examples_of_the_specification_give_their_bytes),
        cmocka_unit_test(pdu_read_beyond_a_limit_is_refused_and_touches_nothing),
        cmocka_unit_test(pdu_write_coil_gives_ff00_or_0000),
        cmocka_unit_test(pdu_write_register_example_of_6_6_gives_its_bytes),
        cmocka_unit_test(pdu_write_coils_example_of_6_11_gives_its_bytes),
        cmocka_unit_test(pdu_write_coils_clears_the_bits_behind_the_last_coil),
        cmocka_unit_test(pdu_write_registers_example_of_6_12_gives_its_bytes),
        cmocka_unit_test(pdu_write_of_the_largest_count_fits_and_one_more_is_refused),
        cmocka_unit_test(pdu_parse_examples_of_the_specification_give_their_data),
        cmocka_unit_test(pdu_parse_echo_of_a_write_is_done_without_data),
        cmocka_unit_test(pdu_parse_echo_of_another_value_is_told),
        cmocka_unit_test(pdu_parse_exception_response_gives_its_code),
        cmocka_unit_test(pdu_parse_wrong_response_is_refused_and_touches_nothing),
        cmocka_unit_test(pdu_parse_of_a_response_of_any_other_length_is_refused),
        cmocka_unit_test(pdu_bit_numbers_from_the_lowest_bit_of_the_first_byte),
        cmocka_unit_test(pdu_exception_text_names_every_code),
        cmocka_unit_test(pdu_exception_kind_tells_refused_busy_and_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
