/* The status document without memory: the piece says so, nothing else changes. */
#include "bridge/status/document.h"

#include "tests/unit/memory_fault.h"
#include "tests/unit/twin_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { PIECES_MAX = 50 };

static void connection(const void *data, size_t index, struct adapter_connection_status *out)
{
    (void)data;
    (void)index;
    *out = (struct adapter_connection_status){ .error = "" };
}

static void device(const void *data, size_t index, struct adapter_device_status *out)
{
    (void)data;
    (void)index;
    *out = (struct adapter_device_status){ .error = "" };
}

static void module(const void *data, size_t index, struct module_status *out)
{
    (void)data;
    (void)index;
    *out = (struct module_status){ .session = { .error = "" }, .error = "" };
}

static void latest(const void *data, size_t index, size_t tag, struct sample *out)
{
    const struct twin_fixture *twin = data;

    *out = twin->samples[index][tag];
}

static const char *state_error(const void *data)
{
    (void)data;
    return "";
}

/* As the server does: piece by piece, until the end or an error. */
static int write_document(const struct twin_fixture *twin)
{
    struct document_source source = { .config = &twin->config,
                                      .data = twin,
                                      .connection = connection,
                                      .device = device,
                                      .module = module,
                                      .latest = latest,
                                      .state_error = state_error };
    struct document_now now = { .now_ms = 1000, .wall_ms = 1800000000000 };
    struct status_cursor cursor = { .query = { .tags = true } };
    bool more = true;
    int rc = 0;

    for (int i = 0; more && rc == 0; i++) {
        struct buf piece;

        assert_true(i < PIECES_MAX);
        buf_init(&piece, 64 * 1024);
        more = document_next(&source, &now, &cursor, &piece);
        rc = piece.error;
        buf_done(&piece);
    }
    return rc;
}

static void document_without_memory_says_so_in_its_piece(void **state)
{
    static const struct config_connection line = { .name = "plant", .transport = "tcp" };
    static struct twin_fixture twin;
    size_t n = 0, places = 0;
    int rc;

    (void)state;
    twin_fixture_init(&twin);
    twin.config.connections = &line;
    twin.config.connection_count = 1;
    do {
        memory_fault_at(++n);
        rc = write_document(&twin);
        if (memory_fault_over()) {
            places++;
            assert_int_equal(rc, -ENOMEM);
        } else {
            assert_int_equal(rc, 0);
            n = 0;
        }
    } while (n > 0);
    assert_true(places > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_without_memory_says_so_in_its_piece),
    };

    memory_fault_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
