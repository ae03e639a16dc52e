/* What the fuzz targets share. A target is one file with one function, LLVMFuzzerTestOneInput:
 * it hands bytes of an enemy to a reader and demands what holds for all of them. That nothing
 * crashes, leaks or reads beyond its end is the sanitizers' part; hangs and memory are
 * libFuzzer's limits (tests/fuzz/run).
 *
 * A target whose subject is a state machine takes its input as a script (struct fuzz_script):
 * bytes that say what happens next, each with what it needs behind it. Every input is a script. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the run with a finding unless `condition` holds. */
#define FUZZ_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct fuzz_script {
    const uint8_t *bytes;
    size_t length;
};

/* The next byte; 0 behind the end. */
static inline uint8_t fuzz_byte(struct fuzz_script *script)
{
    uint8_t byte = 0;

    if (script->length > 0) {
        byte = *script->bytes++;
        script->length--;
    }
    return byte;
}

static inline uint16_t fuzz_word(struct fuzz_script *script)
{
    uint8_t high = fuzz_byte(script);

    return (uint16_t)(high << 8 | fuzz_byte(script));
}

/* The next `length` bytes, or what is left of them. */
static inline struct fuzz_script fuzz_take(struct fuzz_script *script, size_t length)
{
    struct fuzz_script taken = { script->bytes, length };

    if (taken.length > script->length)
        taken.length = script->length;
    script->bytes += taken.length;
    script->length -= taken.length;
    return taken;
}

/* A copy of its own, so that the sanitizer sees a read one byte beyond it; NUL-terminated only when
 * `text` is asked for. Never NULL; to be freed. */
static inline void *fuzz_copy(const void *bytes, size_t length, int text)
{
    char *copy = malloc(length + (text != 0 || length == 0));

    if (copy == NULL)
        abort();
    if (length > 0)
        memcpy(copy, bytes, length);
    if (text != 0)
        copy[length] = 0;
    return copy;
}
