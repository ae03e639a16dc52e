/* A buffer without memory: the error sticks, what was there stays. */
#include "base/buf.h"

#include "tests/unit/memory_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A document in several steps; the first error. */
static int write_document(struct buf *buf)
{
    static const char filling[] = "0123456789012345678901234567890123456789";
    uint8_t *room;

    buf_add_text(buf, "head");
    for (int i = 0; i < 20; i++)
        buf_printf(buf, "%d %s", i, filling);
    buf_add_json(buf, "\"quoted\"\n");
    buf_add_byte(buf, '.');
    room = buf_reserve(buf, 5000);
    if (room == NULL)
        return buf->error;
    memset(room, 'x', 5000);
    buf_commit(buf, 5000);
    return buf->error;
}

static void buf_without_memory_keeps_what_it_has(void **state)
{
    struct buf whole, buf;
    size_t n = 0;

    (void)state;
    buf_init(&whole, 10000);
    assert_int_equal(write_document(&whole), 0);
    do {
        buf_init(&buf, 10000);
        memory_fault_at(++n);
        write_document(&buf);
        if (memory_fault_over()) {
            assert_int_equal(buf.error, -ENOMEM);
            assert_true(buf.length < whole.length);
            if (buf.length > 0)
                assert_memory_equal(buf.bytes, whole.bytes, buf.length);
            assert_int_equal(strlen(buf_text(&buf)), buf.length);
            assert_int_equal(buf_add_byte(&buf, 'x'), -ENOMEM);
            buf_clear(&buf);
            assert_int_equal(write_document(&buf), 0);
        } else {
            n = 0;
        }
        assert_string_equal(buf_text(&buf), buf_text(&whole));
        buf_done(&buf);
    } while (n > 0);
    buf_done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_without_memory_keeps_what_it_has),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
