/* See memory_fault.h. */
#include "tests/unit/memory_fault.h"

#include <cjson/cJSON.h>
#include <openssl/crypto.h>

#include <stdlib.h>
#include <string.h>

static size_t fail_at; /* 0 = none */
static size_t count;
static bool failed;
static const bool *only_while; /* NULL = always */

void *__real_malloc(size_t size);
void *__real_calloc(size_t number, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t number, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

static bool fails(void)
{
    if (only_while != NULL && !*only_while)
        return false;
    count++;
    if (fail_at == 0 || count != fail_at)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t number, size_t size)
{
    return fails() ? NULL : __real_calloc(number, size);
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

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return __wrap_malloc(size);
}

static void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0) {
        free(old);
        return NULL;
    }
    return __wrap_realloc(old, size);
}

static void crypto_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

void memory_fault_init(void)
{
    cJSON_Hooks hooks = { .malloc_fn = __wrap_malloc, .free_fn = free };

    cJSON_InitHooks(&hooks);
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        abort(); /* something was allocated before */
}

void memory_fault_at(size_t n)
{
    count = 0;
    failed = false;
    fail_at = n;
}

bool memory_fault_over(void)
{
    fail_at = 0;
    return failed;
}

size_t memory_fault_count(void)
{
    return count;
}

void memory_fault_only_while(const bool *inside)
{
    only_while = inside;
}
