/* A Modbus line fed by devices that are out of order.
 *
 * Input: a script: what the peer, the connection, the clock and the owner do next (enum step).
 * Demanded: no request before the last one is over; every write is answered exactly once; a
 * block's data has the block's length; the line says when it wants to be called next, and that
 * is not now for ever; and when the devices answer again every unit is online again without
 * help. */
#include "adapters/modbus/traffic.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/line_fixture.h"

enum step {
    STEP_BYTES,  /* anything */
    STEP_ANSWER, /* as a good device */
    STEP_REFUSE,
    STEP_SPOILT, /* a good answer with one byte changed, cut short or with more behind it */
    STEP_OLD,    /* an answer to an earlier request */
    STEP_TIME,   /* to the next deadline */
    STEP_LATER,  /* by up to 2^15 ms */
    STEP_CLOSED, /* by the peer */
    STEP_OPENED,
    STEP_WRITE,
    STEP_READ,
    STEP_FAIL, /* opening the stream fails from now on, or no longer */
    STEP_COUNT,
};

enum {
    STEPS_MAX = 400,
    TICKS_MAX = 64,
    RECOVERY_MAX = 2000,
};

static void tick_until_idle(struct fixture *f)
{
    for (int i = 0; f->next_ms != 0 && f->next_ms <= f->now_ms; i++) {
        FUZZ_REQUIRE(i < TICKS_MAX);
        tick(f);
    }
}

static bool closing(const struct fixture *f)
{
    return f->closes > 0 && f->is_open && line_state(f->line) != CONNECTION_CONNECTED &&
           line_state(f->line) != CONNECTION_CONNECTING;
}

static bool connected(const struct fixture *f)
{
    return f->is_open && line_state(f->line) == CONNECTION_CONNECTED;
}

static void check(struct fixture *f)
{
    FUZZ_REQUIRE(f->is_open == line_stream_open(f->line));
    if (!f->is_open || connected(f)) /* else the stream speaks next */
        FUZZ_REQUIRE(f->next_ms != 0);
    tick_until_idle(f);
    FUZZ_REQUIRE(strlen(f->log) < sizeof f->log - 1);
    FUZZ_REQUIRE(strstr(f->log, " ?;") == NULL); /* an answer that the contract does not know */
    f->log[0] = '\0';
}

/* What a good device, or the operator's network, does next. */
static void right(struct fixture *f)
{
    if (closing(f))
        closed(f, "");
    else if (f->is_open && !connected(f))
        opened(f);
    else if (f->line->transaction.active)
        answer(f);
    else if (f->next_ms > f->now_ms)
        pass(f, f->next_ms - f->now_ms);
}

static void spoilt(struct fixture *f, struct fuzz_script *script)
{
    uint8_t frame[300 + 255];
    size_t length = response(&f->last, frame);
    uint8_t how = fuzz_byte(script);
    uint8_t at = fuzz_byte(script);
    struct fuzz_script more;

    if (how % 3 == 0)
        frame[at % length] = fuzz_byte(script);
    if (how % 3 == 1)
        length = at % length;
    if (how % 3 == 2) {
        more = fuzz_take(script, at);
        if (more.length > 0)
            memcpy(frame + length, more.bytes, more.length);
        length += more.length;
    }
    bytes(f, frame, length);
}

static void old(struct fixture *f, uint8_t age)
{
    struct request request = f->last;
    uint8_t frame[300];

    request.transaction = (uint16_t)(request.transaction - age % 4);
    request.unit_id = (uint8_t)(request.unit_id ^ (age & 4 ? 3 : 0));
    bytes(f, frame, response(&request, frame));
}

/* One that is not out yet. */
static void write_tag(struct fixture *f, uint8_t which)
{
    size_t number = which % WRITES;

    for (const struct line_write *w = f->line->writes; w != NULL; w = w->next) {
        if (w == &f->writes[number])
            return;
    }
    queue_write(f, number, which / WRITES % UNITS, which / 8 % TAGS,
                which & 128 ? f->now_ms + 700 : 0);
}

static void take_step(struct fixture *f, struct fuzz_script *script)
{
    enum step step = (enum step)(fuzz_byte(script) % STEP_COUNT);
    struct fuzz_script taken;
    uint8_t *copy;

    if (step <= STEP_OLD && !connected(f))
        return; /* nobody to say it */
    switch (step) {
    case STEP_BYTES:
        taken = fuzz_take(script, fuzz_byte(script));
        copy = fuzz_copy(taken.bytes, taken.length, 0);
        bytes(f, copy, taken.length);
        free(copy);
        break;
    case STEP_ANSWER:
        answer(f);
        break;
    case STEP_REFUSE:
        refuse(f, fuzz_byte(script));
        break;
    case STEP_SPOILT:
        spoilt(f, script);
        break;
    case STEP_OLD:
        old(f, fuzz_byte(script));
        break;
    case STEP_TIME:
        if (f->next_ms > f->now_ms)
            pass(f, f->next_ms - f->now_ms);
        break;
    case STEP_LATER:
        pass(f, UINT64_C(1) << fuzz_byte(script) % 16);
        break;
    case STEP_CLOSED:
        if (f->is_open)
            closed(f, "");
        break;
    case STEP_OPENED:
        if (f->is_open && line_state(f->line) == CONNECTION_CONNECTING)
            opened(f);
        break;
    case STEP_WRITE:
        write_tag(f, fuzz_byte(script));
        break;
    case STEP_READ:
        line_read(f->line, 0, 0, fuzz_byte(script) % 2 == 0 ? SCHEDULE_ASKED : SCHEDULE_VERIFY);
        tick(f);
        break;
    case STEP_FAIL:
        f->open_rc = f->open_rc == 0 ? -24 : 0;
        break;
    case STEP_COUNT:
        break;
    }
}

static bool well(const struct fixture *f)
{
    return connected(f) && unit(f, 0)->state == DEVICE_ONLINE &&
           unit(f, 1)->state == DEVICE_ONLINE && f->line->writes == NULL;
}

static void recover(struct fixture *f)
{
    int i;

    f->open_rc = 0;
    for (i = 0; i < RECOVERY_MAX && !well(f); i++) {
        right(f);
        pass(f, 20); /* what it said may have been taken for the rest of a frame */
        check(f);
    }
    FUZZ_REQUIRE(i < RECOVERY_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    void *state = NULL;
    struct fixture *f;

    if (set_up(&state) != 0)
        abort();
    f = state;
    tick(f);
    for (int i = 0; i < STEPS_MAX && script.length > 0; i++) {
        take_step(f, &script);
        check(f);
    }
    recover(f);
    tear_down(&state);
    return 0;
}
