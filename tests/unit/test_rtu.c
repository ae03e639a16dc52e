/* Modbus RTU answers: whole, in any pieces, between strays. The frames were written by pymodbus. */
#include "adapters/modbus/rtu.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *name;
    size_t length;
    uint8_t bytes[16];
} answers[] = {
    { "holding registers", 11, { 0x11, 0x03, 0x06, 0x41, 0xa4, 0, 0, 0, 0x07, 0xd3, 0xbf } },
    { "an input register", 7, { 0x11, 0x04, 0x02, 0xff, 0xff, 0x79, 0x43 } },
    { "coils", 7, { 0x11, 0x01, 0x02, 0x05, 0x00, 0x7b, 0x6f } },
    { "discrete inputs", 6, { 0x11, 0x02, 0x01, 0xff, 0xe5, 0x08 } },
    { "a written register", 8, { 0x11, 0x06, 0x00, 0x64, 0x00, 0xd7, 0x8a, 0xdb } },
    { "a written coil", 8, { 0x11, 0x05, 0x00, 0x03, 0xff, 0x00, 0x7e, 0xaa } },
    { "written registers", 8, { 0x11, 0x10, 0x00, 0x10, 0x00, 0x02, 0x42, 0x9d } },
    { "written coils", 8, { 0x11, 0x0f, 0x00, 0x13, 0x00, 0x0a, 0x26, 0x99 } },
    { "an exception", 5, { 0x11, 0x83, 0x02, 0xc1, 0x34 } },
};

/* All answers, one behind the other. */
static size_t all(uint8_t out[128])
{
    size_t length = 0;

    for (size_t i = 0; i < COUNT(answers); i++) {
        memcpy(out + length, answers[i].bytes, answers[i].length);
        length += answers[i].length;
    }
    return length;
}

/* Feeds one piece; every frame that becomes whole must be the next answer. */
static void feed(struct rtu_reader *reader, const uint8_t *bytes, size_t length, size_t *seen)
{
    struct rtu_frame frame;
    int rc;

    while ((rc = rtu_next(reader, &bytes, &length, &frame)) == 0) {
        assert_true(*seen < COUNT(answers));
        assert_int_equal(frame.unit_id, 0x11);
        assert_int_equal(frame.length, answers[*seen].length - RTU_AROUND);
        assert_memory_equal(frame.pdu, answers[*seen].bytes + 1, frame.length);
        (*seen)++;
    }
    assert_int_equal(rc, -EAGAIN);
    assert_int_equal(length, 0);
}

static void rtu_next_each_answer_of_another_implementation_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct rtu_reader reader;
        size_t seen = i;

        print_message("case %s\n", answers[i].name);
        rtu_reader_init(&reader);
        feed(&reader, answers[i].bytes, answers[i].length, &seen);

        assert_int_equal(seen, i + 1);
        assert_int_equal(reader.strays, 0);
    }
}

static void rtu_next_split_at_every_byte_gives_the_same_frames(void **state)
{
    uint8_t stream[128];
    size_t length = all(stream);

    (void)state;
    for (size_t first = 0; first <= length; first++) {
        struct rtu_reader reader;
        size_t seen = 0;

        rtu_reader_init(&reader);
        feed(&reader, stream, first, &seen);
        feed(&reader, stream + first, length - first, &seen);

        assert_int_equal(seen, COUNT(answers));
        assert_int_equal(reader.strays, 0);
    }
}

static void rtu_next_one_byte_at_a_time_gives_the_same_frames(void **state)
{
    uint8_t stream[128];
    size_t length = all(stream);
    struct rtu_reader reader;
    size_t seen = 0;

    (void)state;
    rtu_reader_init(&reader);
    for (size_t i = 0; i < length; i++)
        feed(&reader, stream + i, 1, &seen);

    assert_int_equal(seen, COUNT(answers));
}

static void rtu_next_strays_in_front_are_counted_and_the_frame_is_found(void **state)
{
    static const struct {
        const char *name;
        size_t length;
        uint8_t bytes[8];
    } strays[] = {
        { "a zero of a driver that switches late", 1, { 0 } },
        { "noise", 4, { 0xff, 0x00, 0xfe, 0x7f } },
        { "a byte count of 0", 3, { 0x11, 0x03, 0x00 } },
        { "a byte count over 250", 3, { 0x11, 0x03, 0xfb } },
        { "an exception with a wrong CRC", 5, { 0x11, 0x83, 0x02, 0x00, 0x00 } },
        { "a function that nobody asks for", 3, { 0x11, 0x2b, 0x0e } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(strays); i++) {
        uint8_t stream[128];
        size_t length = strays[i].length;
        struct rtu_reader reader;
        size_t seen = 0;

        print_message("case %s\n", strays[i].name);
        memcpy(stream, strays[i].bytes, length);
        length += all(stream + length);
        rtu_reader_init(&reader);
        feed(&reader, stream, length, &seen);

        assert_int_equal(seen, COUNT(answers));
        assert_int_equal(reader.strays, strays[i].length);
    }
}

static void rtu_next_any_bit_turned_is_never_that_frame(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        for (size_t bit = 0; bit < answers[i].length * 8; bit++) {
            uint8_t damaged[16];
            const uint8_t *bytes = damaged;
            size_t length = answers[i].length;
            struct rtu_reader reader;
            struct rtu_frame frame;

            memcpy(damaged, answers[i].bytes, length);
            damaged[bit / 8] ^= (uint8_t)(1U << bit % 8);
            rtu_reader_init(&reader);

            assert_int_equal(rtu_next(&reader, &bytes, &length, &frame), -EAGAIN);
        }
    }
}

static void rtu_next_longest_answer_is_taken(void **state)
{
    uint8_t pdu[252] = { 0x03, 250 }, frame_bytes[RTU_MAX];
    size_t length = rtu_write(frame_bytes, 247, pdu, sizeof pdu);
    const uint8_t *bytes = frame_bytes;
    struct rtu_reader reader;
    struct rtu_frame frame;

    (void)state;
    rtu_reader_init(&reader);

    assert_int_equal(length, 255);
    assert_int_equal(rtu_next(&reader, &bytes, &length, &frame), 0);
    assert_int_equal(frame.unit_id, 247);
    assert_int_equal(frame.length, sizeof pdu);
}

static void rtu_next_a_cut_answer_waits_for_its_caller_to_give_up(void **state)
{
    struct rtu_reader reader;
    size_t seen = 0;

    (void)state;
    rtu_reader_init(&reader);
    feed(&reader, answers[0].bytes, answers[0].length - 1, &seen);
    assert_int_equal(seen, 0);

    rtu_reader_init(&reader); /* the next request */
    feed(&reader, answers[0].bytes, answers[0].length, &seen);
    assert_int_equal(seen, 1);
}

static void rtu_write_request_is_that_of_another_implementation(void **state)
{
    static const uint8_t pdu[] = { 0x03, 0x00, 0x00, 0x00, 0x0a };
    static const uint8_t expected[] = { 0x11, 0x03, 0x00, 0x00, 0x00, 0x0a, 0xc7, 0x5d };
    uint8_t out[RTU_MAX];

    (void)state;
    assert_int_equal(rtu_write(out, 0x11, pdu, sizeof pdu), sizeof expected);
    assert_memory_equal(out, expected, sizeof expected);
}

/* Appendix B: 02 07 has the CRC 12 41, sent 41 first. */
static void rtu_crc_example_of_the_specification_is_right(void **state)
{
    (void)state;
    assert_int_equal(rtu_crc((const uint8_t[]){ 0x02, 0x07 }, 2), 0x1241);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rtu_next_each_answer_of_another_implementation_is_taken),
        cmocka_unit_test(rtu_next_split_at_every_byte_gives_the_same_frames),
        cmocka_unit_test(rtu_next_one_byte_at_a_time_gives_the_same_frames),
        cmocka_unit_test(rtu_next_strays_in_front_are_counted_and_the_frame_is_found),
        cmocka_unit_test(rtu_next_any_bit_turned_is_never_that_frame),
        cmocka_unit_test(rtu_next_longest_answer_is_taken),
        cmocka_unit_test(rtu_next_a_cut_answer_waits_for_its_caller_to_give_up),
        cmocka_unit_test(rtu_write_request_is_that_of_another_implementation),
        cmocka_unit_test(rtu_crc_example_of_the_specification_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
