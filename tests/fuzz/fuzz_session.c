/* A whole session fed by a hub that is out of order.
 *
 * Input: how the fake world is (three bytes), then a script: what the hub, the link, the clock
 * and the owner do next (enum step). Demanded: nothing is sent, closed or opened out of turn;
 * what goes out is MQTT; desired patches are told in order, without a gap; every reported patch
 * is answered exactly once; memory stays bounded; the session says when it wants to be called
 * next, and that is not now for ever; and when the hub behaves again the session is ready again
 * without help. */
#include "bridge/session_impl.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/session_fixture.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <inttypes.h>

enum step {
    STEP_BYTES,      /* anything */
    STEP_RIGHT,      /* what a good hub does next */
    STEP_GET_ANSWER, /* an answer to the get, of any status and body */
    STEP_PATCH_ANSWER,
    STEP_DESIRED, /* a desired patch near the known version */
    STEP_PUBLISH, /* any topic, with the end of a good one */
    STEP_PATCH,   /* the owner reports */
    STEP_TIME,    /* to the next deadline */
    STEP_LATER,   /* by up to 2^17 ms */
    STEP_DOWN,    /* the link goes away */
    STEP_CHANGED, /* the credential file changed */
    STEP_FAIL,    /* the outside fails: credential, connect, send */
    STEP_COUNT,
};

enum {
    STEPS_MAX = 400,
    TICKS_MAX = 64, /* deadlines in a row that may be due at once */
    RECOVERY_MAX = 400,
    HELD_MAX = 2 * MQTT_PACKET_MAX,
};

static size_t patches_open;
static int64_t known_version; /* of desired, as the owner was told */

/* Whatever the session asks of the outside and tells. */
static void on_event(struct fixture *f, const char *what)
{
    static const char *const never[] = {
        "CONNECT OVER AN OPEN LINK",
        "CLOSE WITHOUT A LINK",
        "SEND WITHOUT A LINK",
        "BAD PUBLISH",
        "NOT A PACKET",
        "UNEXPECTED",
    };

    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        FUZZ_REQUIRE(strcmp(what, never[i]) != 0);
    if (strncmp(what, "patched ", 8) == 0) {
        FUZZ_REQUIRE(patches_open == 1);
        patches_open = 0;
    }
    if (strncmp(what, "ready ", 6) == 0)
        known_version = f->session->desired_version;
    if (strncmp(what, "desired ", 8) == 0) {
        FUZZ_REQUIRE(strtoll(what + 8, NULL, 10) == known_version + 1);
        known_version++;
    }
}

static void check(struct fixture *f)
{
    struct session_status status = fixture_status(f);

    FUZZ_REQUIRE(f->session->reader.buf.length <= HELD_MAX);
    FUZZ_REQUIRE(f->session->inbox.count <= INBOX_PATCHES_MAX);
    FUZZ_REQUIRE(f->session->inbox.bytes <= INBOX_BYTES_MAX);
    FUZZ_REQUIRE((status.state == SESSION_READY) == (f->session->phase == PHASE_READY));
    FUZZ_REQUIRE(status.state != SESSION_STOPPED);
    FUZZ_REQUIRE(status.state != SESSION_READY || status.error[0] == 0);
    FUZZ_REQUIRE((patches_open == 1) == f->session->patch.active);
    if (!f->closing) /* else the end of the link is awaited */
        FUZZ_REQUIRE(f->deadline_ms != 0);
    for (int i = 0; f->deadline_ms != 0 && f->deadline_ms <= f->now_ms; i++) {
        FUZZ_REQUIRE(i < TICKS_MAX);
        fixture_tick(f);
    }
}

/* ---- the hub ---- */

static void publish(struct fixture *f, const char *topic, const void *body, size_t length)
{
    uint8_t packet[4096];
    size_t topic_length = strlen(topic), remaining = 2 + topic_length + length;

    FUZZ_REQUIRE(topic_length < 512 && length <= 2048);
    packet[0] = MQTT_PUBLISH << 4;
    packet[1] = (uint8_t)(remaining % 128 | 0x80);
    packet[2] = (uint8_t)(remaining / 128);
    packet[3] = (uint8_t)(topic_length >> 8);
    packet[4] = (uint8_t)topic_length;
    memcpy(packet + 5, topic, topic_length);
    if (length > 0)
        memcpy(packet + 5 + topic_length, body, length);
    if (f->link_open && !f->closing)
        fixture_bytes(f, packet, 5 + topic_length + length);
}

static void answer(struct fixture *f, const char *rid, struct fuzz_script *script)
{
    static const int statuses[] = { 200, 204, 400, 413, 429, 500, 503, 99, 600, 202 };
    char topic[200];
    uint8_t which = fuzz_byte(script);
    struct fuzz_script body = fuzz_take(script, fuzz_byte(script));

    snprintf(topic, sizeof topic, "$iothub/twin/res/%d/?$rid=%s%s", statuses[which % 10], rid,
             which & 64 ? "&$version=7" : "");
    publish(f, topic, body.bytes, body.length);
}

static void desired(struct fixture *f, struct fuzz_script *script)
{
    char topic[200];
    int8_t ahead = (int8_t)fuzz_byte(script);
    struct fuzz_script body = fuzz_take(script, fuzz_byte(script));

    snprintf(topic, sizeof topic, "$iothub/twin/PATCH/properties/desired/?$version=%" PRId64,
             fixture_status(f).desired_version + ahead);
    publish(f, topic, body.bytes, body.length);
}

static void any_publish(struct fixture *f, struct fuzz_script *script)
{
    static const char *const starts[] = { "", "$iothub/twin/res/", "$iothub/twin/PATCH/properties/",
                                          "$iothub/" };
    const char *start = starts[fuzz_byte(script) % 4];
    struct fuzz_script rest = fuzz_take(script, fuzz_byte(script));
    struct fuzz_script body = fuzz_take(script, fuzz_byte(script));
    char topic[400] = "";

    memcpy(topic, start, strlen(start));
    if (rest.length > 0)
        memcpy(topic + strlen(start), rest.bytes, rest.length);
    publish(f, topic, body.bytes, body.length);
}

static void desired_next(struct fixture *f)
{
    fixture_desired(f, fixture_status(f).desired_version + 1, "{\"a\":2}");
}

/* What a good hub does next. */
static void right(struct fixture *f)
{
    if (f->link_open && f->closing)
        fixture_down(f, "closed", 0);
    else if (!f->link_open)
        fixture_to_deadline(f);
    else if (f->session->phase == PHASE_LINK)
        fixture_up(f);
    else if (f->session->phase == PHASE_CONNACK)
        fixture_connack(f, 0);
    else if (f->session->phase == PHASE_SUBACK)
        fixture_suback(f, 0, 0);
    else if (f->session->ping_ms != 0)
        fixture_pingresp(f);
    else if (f->session->patch.active)
        fixture_answer_patch(f, 204, 8, "");
    else if (f->session->get.active)
        fixture_answer_get(f, 200, FIXTURE_TWIN);
    else if (f->session->phase == PHASE_GET)
        fixture_to_deadline(f);
    else
        desired_next(f);
}

/* ---- the script ---- */

static void report(struct fixture *f)
{
    bool may = fixture_status(f).state == SESSION_READY && patches_open == 0;
    int rc;

    patches_open += may; /* it may be lost before the call returns */
    rc = session_patch(f->session, f->now_ms, "{\"t\":1}", 7);
    if (rc != 0 && may) {
        FUZZ_REQUIRE(rc == -ENOTCONN && f->send_rc != 0 && patches_open == 1);
        patches_open = 0;
    }
    FUZZ_REQUIRE((rc == 0) == (may && f->send_rc == 0));
    fixture_tick(f);
}

static void fail(struct fixture *f, uint8_t how)
{
    f->credential_rc = how & 1 ? -EACCES : 0;
    f->connect_rc = how & 2 ? -EMFILE : 0;
    f->send_rc = how & 4 ? -ENOBUFS : 0;
    f->token_life_s = how & 8 ? how / 16 * 4 : 3600;
    snprintf(f->credential_error, sizeof f->credential_error, "no file");
    snprintf(f->connect_error, sizeof f->connect_error, "no descriptor");
}

static void take_step(struct fixture *f, struct fuzz_script *script)
{
    enum step step = (enum step)(fuzz_byte(script) % STEP_COUNT);
    struct fuzz_script taken;

    switch (step) {
    case STEP_BYTES:
        taken = fuzz_take(script, fuzz_byte(script));
        if (f->link_open && !f->closing && f->session->phase != PHASE_LINK)
            fixture_bytes(f, taken.bytes, taken.length);
        break;
    case STEP_RIGHT:
        right(f);
        break;
    case STEP_GET_ANSWER:
        answer(f, f->get_rid, script);
        break;
    case STEP_PATCH_ANSWER:
        answer(f, f->patch_rid, script);
        break;
    case STEP_DESIRED:
        desired(f, script);
        break;
    case STEP_PUBLISH:
        any_publish(f, script);
        break;
    case STEP_PATCH:
        report(f);
        break;
    case STEP_TIME:
        fixture_to_deadline(f);
        break;
    case STEP_LATER:
        fixture_advance(f, UINT64_C(1) << fuzz_byte(script) % 18);
        break;
    case STEP_DOWN:
        taken = fuzz_take(script, fuzz_byte(script) % 64);
        if (f->link_open) {
            char *reason = fuzz_copy(taken.bytes, taken.length, 1);

            fixture_down(f, reason, taken.length % 2 == 0 ? 429 : 0);
            free(reason);
        }
        break;
    case STEP_CHANGED:
        session_credential_changed(f->session, f->now_ms);
        fixture_tick(f);
        break;
    case STEP_FAIL:
        fail(f, fuzz_byte(script));
        break;
    case STEP_COUNT:
        break;
    }
}

/* The hub is well again, though what it says first may be taken for the rest of a packet: the
 * session must be ready soon, and know what became of its patch. */
static void recover(struct fixture *f)
{
    int i;

    fail(f, 0);
    for (i = 0; i < RECOVERY_MAX; i++) {
        if (fixture_status(f).state == SESSION_READY && patches_open == 0)
            break;
        right(f);
        fixture_advance(f, 500);
        check(f);
    }
    FUZZ_REQUIRE(i < RECOVERY_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_script script = { data, size };
    void *state = NULL;
    struct fixture *f;

    patches_open = 0;
    known_version = -1;
    if (fixture_set_up(&state) != 0)
        abort();
    f = state;
    f->log_off = true;
    f->on_event = on_event;
    f->random = (uint32_t)fuzz_byte(&script) << 24;
    f->piece = fuzz_byte(&script) % 8;
    f->wall_ms += fuzz_byte(&script) == 255 ? -1000000 : 0; /* its clock is wrong at first */
    fixture_tick(f);
    for (int i = 0; i < STEPS_MAX && script.length > 0; i++) {
        take_step(f, &script);
        check(f);
    }
    recover(f);
    report(f);
    recover(f);
    fixture_tear_down(&state);
    return 0;
}
