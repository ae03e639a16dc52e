/* Responses of a Modbus device, and the values in them.
 *
 * Input: a request (function, address, count), a tag (two bytes), the response. Demanded: an
 * accepted read holds exactly what was asked for; values decode to finite numbers, and the value
 * of a writable tag written back reads the same. */
#include "adapters/modbus/codec.h"
#include "adapters/modbus/pdu.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

static bool is_read(uint8_t function)
{
    return function >= PDU_READ_COILS && function <= PDU_READ_INPUT;
}

static bool is_of_bits(uint8_t function)
{
    return function == PDU_READ_COILS || function == PDU_READ_DISCRETE;
}

static int build(struct pdu *out, uint8_t function, uint16_t address, uint16_t count)
{
    static const uint8_t zeros[PDU_MAX];
    const uint8_t word[2] = { (uint8_t)(count >> 8), (uint8_t)count };

    switch (function) {
    case PDU_WRITE_COIL:
        return pdu_write_coil(out, address, count % 2 != 0);
    case PDU_WRITE_REGISTER:
        return pdu_write_register(out, address, word);
    case PDU_WRITE_COILS:
        return pdu_write_coils(out, address, count, zeros);
    case PDU_WRITE_REGISTERS:
        return pdu_write_registers(out, address, count, zeros);
    default:
        return pdu_read(out, (enum pdu_function)function, address, count);
    }
}

static struct modbus_tag tag_of(uint8_t which, uint8_t how, bool bits, uint16_t address)
{
    static const double scales[] = { 1, 0.1, 0.01, 0.5, 10, -1, 1000, 0.001 };
    static const int decimals[] = { -1, 1, 2, 1, 0, 0, 0, 3 };
    struct modbus_tag tag = {
        .table = bits ? MODBUS_TABLE_COIL : MODBUS_TABLE_HOLDING,
        .address = address,
        .count = 1,
        .type = (enum modbus_type)(which % 6),
        .order = (enum modbus_order)(how % 4),
        .bit = -1,
        .scale = scales[how / 4 % 8],
        .decimals = decimals[how / 4 % 8],
        .scaled = how / 4 % 8 != 0,
        .access = CONFIG_READ_WRITE,
    };

    if (bits)
        tag.type = MODBUS_TYPE_BOOL;
    else if (tag.type == MODBUS_TYPE_BOOL)
        tag.bit = which / 6 % 16;
    if (tag.type == MODBUS_TYPE_INT32 || tag.type == MODBUS_TYPE_UINT32 ||
        tag.type == MODBUS_TYPE_FLOAT32)
        tag.count = 2;
    return tag;
}

/* A float32 may lose a scaled value's last decimals; everything else reads back as it was
 * written. */
static void write_back(const struct modbus_tag *tag, struct value value)
{
    uint8_t raw[CODEC_RAW_MAX];
    struct value again;
    const char *reason;
    int rc = codec_encode(tag, value, raw);

    if (tag->bit >= 0 || (tag->type == MODBUS_TYPE_FLOAT32 && tag->scaled)) {
        FUZZ_REQUIRE(tag->bit < 0 || rc == -EINVAL);
        return;
    }
    FUZZ_REQUIRE(rc == 0);
    FUZZ_REQUIRE(codec_decode(tag, raw, &again, &reason) == 0);
    FUZZ_REQUIRE(value_equal(value, again));
    FUZZ_REQUIRE(value_equal(codec_nearest(tag, value), value));
}

static void decode(const struct modbus_tag *tag, const struct pdu_response *response)
{
    uint8_t raw[CODEC_RAW_MAX];
    char text[VALUE_TEXT_MAX];
    struct value value = value_int(7);
    const char *reason = NULL;
    int rc;

    FUZZ_REQUIRE(codec_raw(tag, tag->address, response->data, raw) == codec_raw_length(tag));
    rc = codec_decode(tag, raw, &value, &reason);
    FUZZ_REQUIRE((rc == -EBADMSG) == (reason != NULL));
    if (rc != 0) {
        FUZZ_REQUIRE(value.type == VALUE_INT && value.integer == 7);
        return;
    }
    FUZZ_REQUIRE(isfinite(value_number(value)));
    FUZZ_REQUIRE(value_print(value, text) < sizeof text && strtod(text, NULL) < INFINITY);
    write_back(tag, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    uint8_t function = fuzz_byte(&script);
    uint16_t address = fuzz_word(&script);
    uint16_t count = fuzz_word(&script);
    uint8_t which = fuzz_byte(&script), how = fuzz_byte(&script);
    struct modbus_tag tag = tag_of(which, how, is_of_bits(function), address);
    struct pdu_response response = { .exception = 77 };
    struct pdu request;
    uint8_t *bytes;
    int rc;

    if (build(&request, function, address, count) != 0)
        return 0;
    bytes = fuzz_copy(script.bytes, script.length, 0);
    rc = pdu_parse(&response, &request, bytes, script.length);
    FUZZ_REQUIRE(rc == 0 || rc == -EPROTO || rc == -EBADMSG);
    if (rc != 0)
        FUZZ_REQUIRE(response.exception == 77);
    if (rc == 0 && response.exception != 0) {
        FUZZ_REQUIRE(pdu_exception_text(response.exception)[0] != 0);
        FUZZ_REQUIRE(script.length == 2);
    }
    if (rc == 0 && response.exception == 0 && is_read(function)) {
        FUZZ_REQUIRE(response.length == (is_of_bits(function) ? (count + 7u) / 8u : count * 2u));
        FUZZ_REQUIRE(response.data + response.length == bytes + script.length);
        if (tag.count <= count)
            decode(&tag, &response);
    }
    free(bytes);
    return 0;
}
