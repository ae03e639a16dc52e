/* The form of a request (Modbus Application Protocol V1.1b3, section 6). */
#include "tests/sim/modbussim/request.h"

#include <errno.h>
#include <modbus.h>

static unsigned word(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

int request_length(const uint8_t *bytes, size_t length)
{
    unsigned rest;

    if (length < REQUEST_HEADER)
        return REQUEST_HEADER;
    rest = word(bytes + 4);
    if (word(bytes + 2) != 0 || rest < 2 || rest > REQUEST_MAX - 6)
        return -EBADMSG;
    return (int)(6 + rest);
}

/* What the function's own fields say about the length and the quantities of its request. */
struct form {
    size_t length;
    unsigned quantity, most;
};

/* The form of reads and single writes: a start and a quantity, or an address and a value. */
static struct form form_short(const uint8_t *pdu, size_t length, unsigned most)
{
    struct form form = { .length = 5, .quantity = 1, .most = most };

    if (length == 5 && most != 0)
        form.quantity = word(pdu + 3);
    return form;
}

/* The form of a write of several: `at` is where start and quantity stand; the data follows. */
static struct form form_write(const uint8_t *pdu, size_t length, size_t at, unsigned bits,
                              unsigned most)
{
    struct form form = { .length = at + 5, .quantity = 0, .most = most };

    if (length < at + 5)
        return form;
    form.quantity = word(pdu + at + 2);
    form.length = at + 5 + (form.quantity * bits + 7) / 8;
    if (pdu[at + 4] != (form.quantity * bits + 7) / 8)
        form.quantity = 0;
    return form;
}

int request_exception(const uint8_t *request, size_t length)
{
    const uint8_t *pdu = request + REQUEST_HEADER;
    struct form form;

    length -= REQUEST_HEADER;
    switch (pdu[0]) {
    case MODBUS_FC_READ_COILS:
    case MODBUS_FC_READ_DISCRETE_INPUTS:
        form = form_short(pdu, length, MODBUS_MAX_READ_BITS);
        break;
    case MODBUS_FC_READ_HOLDING_REGISTERS:
    case MODBUS_FC_READ_INPUT_REGISTERS:
        form = form_short(pdu, length, MODBUS_MAX_READ_REGISTERS);
        break;
    case MODBUS_FC_WRITE_SINGLE_COIL:
    case MODBUS_FC_WRITE_SINGLE_REGISTER:
        form = form_short(pdu, length, 0);
        form.most = 1;
        break;
    case MODBUS_FC_WRITE_MULTIPLE_COILS:
        form = form_write(pdu, length, 1, 1, MODBUS_MAX_WRITE_BITS);
        break;
    case MODBUS_FC_WRITE_MULTIPLE_REGISTERS:
        form = form_write(pdu, length, 1, 16, MODBUS_MAX_WRITE_REGISTERS);
        break;
    case MODBUS_FC_MASK_WRITE_REGISTER:
        form = (struct form){ .length = 7, .quantity = 1, .most = 1 };
        break;
    case MODBUS_FC_WRITE_AND_READ_REGISTERS:
        form = form_write(pdu, length, 5, 16, MODBUS_MAX_WR_WRITE_REGISTERS);
        if (length >= 5 && (word(pdu + 3) < 1 || word(pdu + 3) > MODBUS_MAX_WR_READ_REGISTERS))
            form.quantity = 0;
        break;
    default:
        return MODBUS_EXCEPTION_ILLEGAL_FUNCTION;
    }
    if (length != form.length || form.quantity < 1 || form.quantity > form.most)
        return MODBUS_EXCEPTION_ILLEGAL_DATA_VALUE;
    return 0;
}

/* Whether `address` is among the `count` from the one that stands at `at`. */
static bool within(const uint8_t *at, unsigned count, unsigned address)
{
    return address >= word(at) && address - word(at) < count;
}

bool request_touches(const uint8_t *request, size_t length, unsigned address)
{
    const uint8_t *pdu = request + REQUEST_HEADER;

    if (length < REQUEST_HEADER + 5)
        return false;
    switch (pdu[0]) {
    case MODBUS_FC_WRITE_SINGLE_COIL:
    case MODBUS_FC_WRITE_SINGLE_REGISTER:
    case MODBUS_FC_MASK_WRITE_REGISTER:
        return within(pdu + 1, 1, address);
    case MODBUS_FC_WRITE_AND_READ_REGISTERS:
        if (length >= REQUEST_HEADER + 9 && within(pdu + 5, word(pdu + 7), address))
            return true;
        break;
    }
    return within(pdu + 1, word(pdu + 3), address);
}
