/* What clients of modbussim send: requests, and words of its control address.
 *
 * Input: a number for chance (one byte), then the words of a fault ("unit" and the number left
 * out) up to a line's end, then a request. Demanded: a request is judged by its own bytes alone;
 * what a fault makes of an answer stays within its limits. */
#include "tests/sim/modbussim/fault.h"
#include "tests/sim/modbussim/request.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>

enum { WORDS_MAX = 8 };

static int read_fault(char *line, struct fault *out)
{
    char *words[WORDS_MAX], *word;
    size_t count = 0;

    while (count < WORDS_MAX && (word = strtok_r(line, " \t", &line)) != NULL)
        words[count++] = word;
    return fault_parse(out, words, count);
}

static void spoil(struct fault *fault, const uint8_t *answer, size_t length, uint64_t random)
{
    for (int i = 0; i < 8; i++) {
        enum fault_kind kind = fault_next(fault, &random);
        struct fault_wire wire;

        FUZZ_REQUIRE(kind != FAULT_ANY);
        fault_wire(&wire, kind, fault->at, answer, length, &random);
        FUZZ_REQUIRE(wire.length <= FAULT_BYTES_MAX);
        FUZZ_REQUIRE(wire.piece >= 1 || wire.length == 0);
        FUZZ_REQUIRE(!wire.endless || wire.length > 0);
        if ((int)kind < FAULT_WIRE_FIRST || (int)kind > FAULT_WIRE_LAST)
            FUZZ_REQUIRE(wire.length == length && memcmp(wire.bytes, answer, length) == 0);
    }
}

static void judge(struct fuzz_script request, struct fault *fault, uint64_t random)
{
    uint8_t *bytes = fuzz_copy(request.bytes, request.length, 0);
    int length = request_length(bytes, request.length);
    uint8_t *whole;

    FUZZ_REQUIRE(length == -EBADMSG || (length >= REQUEST_HEADER && length <= REQUEST_MAX));
    for (size_t i = 0; i < REQUEST_HEADER && i < request.length; i++)
        FUZZ_REQUIRE(request_length(bytes, i) == REQUEST_HEADER || length == -EBADMSG);
    if (length >= REQUEST_HEADER + 1 && request.length >= (size_t)length) {
        int exception;

        whole = fuzz_copy(bytes, (size_t)length, 0);
        exception = request_exception(whole, (size_t)length);
        FUZZ_REQUIRE(exception == 0 || exception == 1 || exception == 3);
        if (exception == 0)
            (void)request_touches(whole, (size_t)length, 3);
        spoil(fault, whole, (size_t)length, random);
        free(whole);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    uint64_t random = fuzz_byte(&script) + UINT64_C(1);
    const uint8_t *end = script.length == 0 ? NULL : memchr(script.bytes, '\n', script.length);
    struct fuzz_script line = fuzz_take(&script, end == NULL ? 0 : (size_t)(end - script.bytes));
    struct fault fault = { .kind = FAULT_NONE, .address = -1 };
    char *text = fuzz_copy(line.bytes, line.length, 1);
    int rc = read_fault(text, &fault);

    FUZZ_REQUIRE(rc == 0 || (rc == -EINVAL && fault.kind == FAULT_NONE && fault.address == -1));
    FUZZ_REQUIRE(fault.percent <= 100);
    (void)fuzz_byte(&script); /* the line's end */
    judge(script, &fault, random);
    free(text);
    return 0;
}
