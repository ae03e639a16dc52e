/* Bags and the ring without memory: nothing is half done. */
#include "tests/sim/hubsim/messages.h"

#include "tests/unit/memory_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char text[] = "%24.mid=1&k%20y=v&flag";

static void bag_parse_without_memory_gives_nothing(void **state)
{
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        struct bag bag = { 0 };
        int rc;

        memory_fault_at(n);
        rc = bag_parse(&bag, text, sizeof text - 1);
        failed = memory_fault_over();
        assert_int_equal(rc, failed ? -ENOMEM : 0);
        assert_int_equal(bag.count, failed ? 0 : 3);
        bag_done(&bag);
    }
}

static void count(void *data, const struct hub_message *message)
{
    (void)message;
    ++*(int *)data;
}

/* The ring is full: what has no place does not push out what has one. */
static void messages_add_without_memory_keeps_what_it_had(void **state)
{
    static const struct hub_message message = {
        .device_id = "d", .module_id = "m", .body = "x", .length = 1
    };
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        struct messages *messages = NULL;
        int rc, seen = 0;

        memory_fault_at(n);
        rc = messages_new(&messages, 1, 1000);
        if (rc == 0)
            rc = messages_add(messages, &message);
        if (rc == 0) {
            rc = messages_add(messages, &message);
            messages_each(messages, rc == 0, 9, count, &seen);
            assert_int_equal(seen, 1);
        }
        failed = memory_fault_over();
        assert_int_equal(rc, failed ? -ENOMEM : 0);
        messages_free(messages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bag_parse_without_memory_gives_nothing),
        cmocka_unit_test(messages_add_without_memory_keeps_what_it_had),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
