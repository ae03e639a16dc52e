/* Modbus/TCP frames: in any pieces, glued, and what is none. */
#include "adapters/modbus/framing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The example of the implementation guide's 3.1.3 with the answer it gets, and an exception between. */
static const uint8_t three_frames[] = {
    0x15, 0x01, 0x00, 0x00, 0x00, 0x06, 0xFF, 0x03, 0x00, 0x04, 0x00, 0x01, /* */
    0x15, 0x02, 0x00, 0x00, 0x00, 0x03, 0x11, 0x83, 0x02,                   /* */
    0x15, 0x03, 0x00, 0x00, 0x00, 0x05, 0x01, 0x03, 0x02, 0x00, 0x05,
};

static const struct {
    uint16_t transaction;
    uint8_t unit_id;
    size_t at, length; /* of the PDU */
} expected[] = {
    { 0x1501, 0xFF, 7, 5 },
    { 0x1502, 0x11, 19, 2 },
    { 0x1503, 0x01, 28, 4 },
};

static void assert_expected(const struct framing_frame *frame, size_t n)
{
    assert_int_equal(frame->transaction, expected[n].transaction);
    assert_int_equal(frame->unit_id, expected[n].unit_id);
    assert_int_equal(frame->length, expected[n].length);
    assert_memory_equal(frame->pdu, three_frames + expected[n].at, expected[n].length);
}

/* Feeds one piece; every frame that becomes whole must be the next expected one. */
static void feed(struct framing_reader *reader, const uint8_t *bytes, size_t length, size_t *seen)
{
    struct framing_frame frame;
    int rc;

    while ((rc = framing_next(reader, &bytes, &length, &frame)) == 0)
        assert_expected(&frame, (*seen)++);
    assert_int_equal(rc, -EAGAIN);
    assert_int_equal(length, 0);
}

static void framing_next_glued_frames_come_one_by_one(void **state)
{
    struct framing_reader reader;
    size_t seen = 0;

    (void)state;
    framing_reader_init(&reader);
    feed(&reader, three_frames, sizeof three_frames, &seen);
    assert_int_equal(seen, 3);
}

static void framing_next_split_at_every_byte_gives_the_same_frames(void **state)
{
    (void)state;
    for (size_t first = 0; first <= sizeof three_frames; first++) {
        for (size_t second = first; second <= sizeof three_frames; second++) {
            struct framing_reader reader;
            size_t seen = 0;

            framing_reader_init(&reader);
            feed(&reader, three_frames, first, &seen);
            feed(&reader, three_frames + first, second - first, &seen);
            feed(&reader, three_frames + second, sizeof three_frames - second, &seen);
            assert_int_equal(seen, 3);
        }
    }
}

static void framing_next_whole_frame_is_handed_out_where_it_lies(void **state)
{
    const uint8_t *bytes = three_frames;
    size_t length = sizeof three_frames;
    struct framing_reader reader;
    struct framing_frame frame;

    (void)state;
    framing_reader_init(&reader);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(framing_next(&reader, &bytes, &length, &frame), 0);
        assert_ptr_equal(frame.pdu, three_frames + expected[i].at);
    }
}

static void framing_next_byte_by_byte_gives_a_frame_at_its_last_byte(void **state)
{
    static const size_t ends[] = { 12, 21, 32 };
    struct framing_reader reader;
    size_t seen = 0;

    (void)state;
    framing_reader_init(&reader);
    for (size_t i = 0; i < sizeof three_frames; i++) {
        feed(&reader, three_frames + i, 1, &seen);
        assert_int_equal(seen, (i + 1 >= ends[0]) + (i + 1 >= ends[1]) + (i + 1 >= ends[2]));
    }
}

static void framing_next_largest_frame_fits(void **state)
{
    uint8_t bytes[FRAMING_MAX] = { 0, 1, 0, 0, 0, 254, 9, 3 };
    const uint8_t *at = bytes;
    size_t length = sizeof bytes;
    struct framing_reader reader;
    struct framing_frame frame;

    (void)state;
    bytes[FRAMING_MAX - 1] = 0x5A;
    framing_reader_init(&reader);
    assert_int_equal(framing_next(&reader, &at, &length, &frame), 0);
    assert_int_equal(frame.length, 253);
    assert_int_equal(frame.pdu[252], 0x5A);
    assert_int_equal(length, 0);
}

static const struct {
    const char *name;
    uint8_t bytes[7];
    size_t judged_at; /* bytes after which it must be known */
    const char *reason;
} garbage[] = {
    { "text", { 'H', 'T', 'T', 'P', '/', '1', '.' }, 4, "protocol id" },
    { "protocol id 1", { 0, 1, 0, 1, 0, 6, 1 }, 4, "protocol id" },
    { "protocol id 256", { 0, 1, 1, 0, 0, 6, 1 }, 4, "protocol id" },
    { "length 0", { 0, 1, 0, 0, 0, 0, 1 }, 6, "length" },
    { "length 1", { 0, 1, 0, 0, 0, 1, 1 }, 6, "length" },
    { "length 255", { 0, 1, 0, 0, 0, 255, 1 }, 6, "length" },
    { "length 65535", { 0, 1, 0, 0, 255, 255, 1 }, 6, "length" },
};

static void framing_next_garbage_is_refused_as_soon_as_its_bytes_are_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(garbage); i++) {
        struct framing_reader reader;
        struct framing_frame frame;
        const uint8_t *at = garbage[i].bytes;
        size_t length = garbage[i].judged_at - 1;

        print_message("case %s\n", garbage[i].name);
        framing_reader_init(&reader);
        assert_int_equal(framing_next(&reader, &at, &length, &frame), -EAGAIN);
        assert_null(reader.reason);
        length = 1;
        assert_int_equal(framing_next(&reader, &at, &length, &frame), -EBADMSG);
        assert_non_null(strstr(reader.reason, garbage[i].reason));
    }
}

static void framing_next_after_garbage_stays_lost_until_init(void **state)
{
    struct framing_reader reader;
    struct framing_frame frame;
    const uint8_t *at = garbage[0].bytes;
    size_t length = sizeof garbage[0].bytes, seen = 0;

    (void)state;
    framing_reader_init(&reader);
    assert_int_equal(framing_next(&reader, &at, &length, &frame), -EBADMSG);

    at = three_frames;
    length = sizeof three_frames;
    assert_int_equal(framing_next(&reader, &at, &length, &frame), -EBADMSG);
    assert_int_equal(length, sizeof three_frames);

    framing_reader_init(&reader);
    feed(&reader, three_frames, sizeof three_frames, &seen);
    assert_int_equal(seen, 3);
}

static void framing_write_then_next_gives_the_same_frame_for_every_length(void **state)
{
    uint8_t pdu[253], bytes[FRAMING_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof pdu; i++)
        pdu[i] = (uint8_t)(i * 7);
    for (size_t length = 1; length <= sizeof pdu; length++) {
        struct framing_reader reader;
        struct framing_frame frame;
        size_t left = framing_write(bytes, 0xBEEF, 17, pdu, length);
        const uint8_t *at = bytes;

        assert_int_equal(left, FRAMING_HEADER + length);
        framing_reader_init(&reader);
        assert_int_equal(framing_next(&reader, &at, &left, &frame), 0);
        assert_int_equal(frame.transaction, 0xBEEF);
        assert_int_equal(frame.unit_id, 17);
        assert_int_equal(frame.length, length);
        assert_memory_equal(frame.pdu, pdu, length);
    }
}

static void framing_write_example_gives_its_bytes(void **state)
{
    uint8_t bytes[FRAMING_MAX];
    size_t length = framing_write(bytes, 0x1501, 0xFF, three_frames + 7, 5);

    (void)state;
    assert_int_equal(length, 12);
    assert_memory_equal(bytes, three_frames, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framing_next_glued_frames_come_one_by_one),
        cmocka_unit_test(framing_next_split_at_every_byte_gives_the_same_frames),
        cmocka_unit_test(framing_next_whole_frame_is_handed_out_where_it_lies),
        cmocka_unit_test(framing_next_byte_by_byte_gives_a_frame_at_its_last_byte),
        cmocka_unit_test(framing_next_largest_frame_fits),
        cmocka_unit_test(framing_next_garbage_is_refused_as_soon_as_its_bytes_are_there),
        cmocka_unit_test(framing_next_after_garbage_stays_lost_until_init),
        cmocka_unit_test(framing_write_then_next_gives_the_same_frame_for_every_length),
        cmocka_unit_test(framing_write_example_gives_its_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
