/* Answers of Modbus RTU.
 *
 * Input: where the stream is cut (two bytes), the stream. Demanded: the same frames and as many strays
 * however it is cut; every byte is of a frame, a stray, or still gathered; a frame written again is the
 * bytes it was read from; strays in front of a good frame do not hide it for ever. */
#include "adapters/modbus/rtu.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>

struct outcome {
    size_t frames;
    size_t taken;    /* bytes of whole frames */
    uint64_t digest; /* of what they hold, in their order */
    uint64_t strays;
    size_t gathered;
};

static void take_frame(struct outcome *o, const struct rtu_frame *frame)
{
    uint8_t again[RTU_MAX];
    size_t length;

    FUZZ_REQUIRE(frame->length >= 2 && frame->length <= RTU_MAX - RTU_AROUND);
    length = rtu_write(again, frame->unit_id, frame->pdu, frame->length);
    FUZZ_REQUIRE(length == frame->length + RTU_AROUND);
    FUZZ_REQUIRE(memcmp(again + 1, frame->pdu, length - 1) == 0); /* the CRC is behind the PDU */
    for (size_t i = 0; i < length; i++)
        o->digest = (o->digest ^ again[i]) * 1099511628211U; /* FNV-1a */
    o->frames++;
    o->taken += length;
}

static void feed(struct rtu_reader *reader, const uint8_t *stream, size_t length, struct outcome *o)
{
    uint8_t *copy = fuzz_copy(stream, length, 0);
    const uint8_t *bytes = copy;
    struct rtu_frame frame;
    int rc;

    while ((rc = rtu_next(reader, &bytes, &length, &frame)) == 0)
        take_frame(o, &frame);
    FUZZ_REQUIRE(rc == -EAGAIN && length == 0);
    FUZZ_REQUIRE(reader->length < RTU_MAX);
    free(copy);
}

static struct outcome read_in_pieces(const struct fuzz_script *stream, size_t cut, size_t piece)
{
    struct outcome o = { 0 };
    struct rtu_reader reader;

    rtu_reader_init(&reader);
    feed(&reader, stream->bytes, cut, &o);
    for (size_t at = cut; at < stream->length; at += piece)
        feed(&reader, stream->bytes + at, stream->length - at < piece ? stream->length - at : piece,
             &o);
    o.strays = reader.strays;
    o.gathered = reader.length;
    FUZZ_REQUIRE(o.taken + o.strays + o.gathered == stream->length);
    return o;
}

static void require_same(struct outcome a, struct outcome b)
{
    FUZZ_REQUIRE(a.frames == b.frames && a.taken == b.taken && a.digest == b.digest);
    FUZZ_REQUIRE(a.strays == b.strays && a.gathered == b.gathered);
}

/* What was gathered waits for at most a frame's length: then a good frame comes through. */
static void require_found(const struct fuzz_script *stream)
{
    static const uint8_t pdu[] = { 0x83, 2 };
    struct outcome o = { 0 };
    struct rtu_reader reader;
    uint8_t good[RTU_MAX];
    size_t length = rtu_write(good, 17, pdu, sizeof pdu);

    rtu_reader_init(&reader);
    feed(&reader, stream->bytes, stream->length, &o);
    o.frames = 0;
    for (size_t sent = 0; sent < 2 * RTU_MAX; sent += length)
        feed(&reader, good, length, &o);
    FUZZ_REQUIRE(o.frames > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    size_t cut = fuzz_word(&script) % (script.length + 1);
    struct outcome whole = read_in_pieces(&script, script.length, 1);

    require_same(whole, read_in_pieces(&script, cut, script.length + 1));
    require_same(whole, read_in_pieces(&script, 0, 1));
    require_found(&script);
    return 0;
}
