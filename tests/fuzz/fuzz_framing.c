/* Frames of Modbus/TCP.
 *
 * Input: where the stream is cut (two bytes), the stream. Demanded: the same frames and the same
 * end however it is cut; a frame written again is the bytes it was read from. */
#include "adapters/modbus/framing.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>

struct outcome {
    size_t frames;
    size_t taken; /* bytes of whole frames */
    const char *reason;
};

static void require_frame(const struct framing_frame *frame, const uint8_t *from)
{
    uint8_t again[FRAMING_MAX];
    size_t length;

    FUZZ_REQUIRE(frame->length >= 1 && frame->length <= FRAMING_MAX - FRAMING_HEADER);
    length = framing_write(again, frame->transaction, frame->unit_id, frame->pdu, frame->length);
    FUZZ_REQUIRE(length == frame->length + FRAMING_HEADER);
    FUZZ_REQUIRE(memcmp(again, from, length) == 0);
}

/* False when the stream is lost. */
static bool feed(struct framing_reader *reader, const uint8_t *stream, size_t from, size_t to,
                 struct outcome *o)
{
    uint8_t *copy = fuzz_copy(stream + from, to - from, 0);
    const uint8_t *bytes = copy;
    size_t length = to - from;
    struct framing_frame frame;
    int rc;

    while ((rc = framing_next(reader, &bytes, &length, &frame)) == 0) {
        FUZZ_REQUIRE(bytes == copy + (to - from - length));
        require_frame(&frame, stream + o->taken);
        o->frames++;
        o->taken += frame.length + FRAMING_HEADER;
        FUZZ_REQUIRE(o->taken <= to - length);
    }
    FUZZ_REQUIRE(rc == -EAGAIN || rc == -EBADMSG);
    FUZZ_REQUIRE((rc == -EBADMSG) == (reader->reason != NULL));
    if (rc == -EAGAIN)
        FUZZ_REQUIRE(length == 0 && reader->length < FRAMING_MAX);
    free(copy);
    return rc == -EAGAIN;
}

static struct outcome read_in_pieces(const uint8_t *stream, size_t length, size_t cut, size_t piece)
{
    struct outcome o = { 0 };
    struct framing_reader reader;
    struct framing_frame frame;
    bool fine;

    framing_reader_init(&reader);
    fine = feed(&reader, stream, 0, cut, &o);
    for (size_t at = cut; at < length && fine; at += piece)
        fine = feed(&reader, stream, at, length - at < piece ? length : at + piece, &o);
    o.reason = reader.reason;
    if (!fine) /* for ever */
        FUZZ_REQUIRE(framing_next(&reader, &stream, &length, &frame) == -EBADMSG);
    return o;
}

static void require_same(struct outcome a, struct outcome b)
{
    FUZZ_REQUIRE(a.frames == b.frames && a.taken == b.taken && a.reason == b.reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    size_t cut = fuzz_word(&script) % (script.length + 1);
    struct outcome whole = read_in_pieces(script.bytes, script.length, script.length,
                                          script.length);

    require_same(whole, read_in_pieces(script.bytes, script.length, cut, script.length));
    require_same(whole, read_in_pieces(script.bytes, script.length, 0, 1));
    return 0;
}
