/* config_load without memory: every allocation fails once, ours and cJSON's. */
#include "config/config.h"

#include "tests/unit/fake_config_adapter.h"
#include "tests/unit/mapping_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The allocation that fails, counted down; 0 = none. */
static size_t fail_at;

static bool fails(void)
{
    return fail_at > 0 && --fail_at == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t length)
{
    return fails() ? NULL : __real_strndup(text, length);
}

static const char good[] =
    "{\"hub\": { \"host_name\": \"h\", \"device_id\": \"gw\", \"credentials\": \"c\" },\n"
    "\"report\": \"always\",\n"
    "\"connections\": { \"a\": { \"transport\": \"fake\" }, \"b\": { \"transport\": \"fake\" } },\n"
    "\"templates\": { \"t\": { \"tags\": { \"x\": { \"address\": 1 }, \"y\": { \"address\": 2 } } "
    "} },\n"
    "\"devices\": { \"d\": { \"connection\": \"a\", \"template\": \"t\" },\n"
    "  \"e\": { \"connection\": \"a\", \"template\": \"t\", \"tags\": { \"x\": null } } },\n"
    "\"modules\": { \"m\": { \"devices\": [\"d\"], \"connection_string_file\": \"k\" } } }";

static const char bad[] =
    "{\"hub\": { \"host_name\": 5, \"device_id\": \"gw\", \"device_id\": \"gw\" },\n"
    "\"connections\": { \"a\": { \"transport\": \"fake\", \"ip\": 5 } },\n"
    "\"devices\": { \"d\": { \"connection\": \"b\", \"template\": \"t\" } }, \"e\": \"caf\xE9\" }";

/* Loads with the n-th allocation failing, for every n; returns how many there are. */
static size_t load_without_memory(const char *text, size_t length, int rc_with_memory)
{
    struct mapping mapping = { 0 };
    size_t n = 0;
    int rc;

    mapping_write(&mapping, text, length);
    do {
        struct config_errors *errors = config_errors_new();
        struct config *config = NULL;

        assert_non_null(errors);
        fail_at = ++n;
        rc = config_load(&config, mapping.path, fake_adapters, errors);
        if (fail_at == 0) { /* it did fail */
            assert_int_equal(rc, -ENOMEM);
            assert_null(config);
        } else {
            assert_int_equal(rc, rc_with_memory);
        }
        if (fail_at != 0)
            n = 0; /* the loop's end */
        fail_at = 0;
        config_free(config);
        config_errors_free(errors);
        if (n > 0)
            mapping.rc = (int)n;
    } while (n > 0);
    mapping_free(&mapping);
    return (size_t)mapping.rc;
}

static void config_load_of_a_good_mapping_without_memory_fails_cleanly(void **state)
{
    (void)state;
    assert_true(load_without_memory(good, sizeof good - 1, 0) > 50);
}

static void config_load_of_a_bad_mapping_without_memory_fails_cleanly(void **state)
{
    (void)state;
    assert_true(load_without_memory(bad, sizeof bad - 1, -EINVAL) > 40);
}

static void config_errors_without_memory_give_null(void **state)
{
    struct mapping mapping;

    (void)state;
    fail_at = 1;
    assert_null(config_errors_new());
    fail_at = 2;
    assert_null(config_errors_new());
    fail_at = 0;
    mapping_load_bytes(&mapping, bad, sizeof bad - 1, fake_adapters);
    fail_at = 1;
    assert_null(config_errors_json(mapping.errors));
    fail_at = 2;
    assert_null(config_errors_json(mapping.errors));
    fail_at = 0;
    mapping_free(&mapping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_load_of_a_good_mapping_without_memory_fails_cleanly),
        cmocka_unit_test(config_load_of_a_bad_mapping_without_memory_fails_cleanly),
        cmocka_unit_test(config_errors_without_memory_give_null),
    };
    cJSON_Hooks hooks = { .malloc_fn = __wrap_malloc, .free_fn = free };

    cJSON_InitHooks(
        &hooks); /* cJSON is a shared library: the linker's wrapping does not reach it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
