/* One IoT Hub session for one module identity: the states, their deadlines and their failures. What is
 * said in them stands in session_hub.c.
 *
 *          tick: due             link up, CONNECT      CONNACK 0, SUBSCRIBE    SUBACK, get
 *   WAITING ------> CONNECTING(link) ---> CONNECTING(CONNACK) ---> CONNECTING(SUBACK) ---> GETTING
 *    ^  ^               |                        |                       |               |   ^  |
 *    |  '-- failure: ---+------------------------+-----------------------+--- 4xx, 5xx --'   |  | 200
 *    |      deadline, link down, bad bytes                                              gap, |  |
 *    |                                                                            bad patch |  v
 *    '------------------------------------------------------------------ link down, deadline READY
 *   CONNECTING -- credential, CONNACK 4 5 1 2 --> REFUSED -- long back-off, credential file --> CONNECTING
 *   READY, GETTING -- 75 to 85 % of the token's life: DISCONNECT --> CONNECTING(link), no back-off
 *   any -- session_stop: DISCONNECT, close --> STOPPED
 *
 * Happy path: the upper line, then READY for a token's life, then a planned reconnect.
 * Fails when: anything is late, refused or unreadable. Each failure goes through session_fail, which
 * closes the link and plans one next try; a new connect waits until the old link told its end. The
 * error text stays until the session is ready, so that a message that repeats is no news. */
#include "bridge/session_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A wall clock before this is wrong: 2026-01-01T00:00:00Z, fixed so that builds are reproducible. */
#define CLOCK_FLOOR_MS (INT64_C(1767225600) * 1000)

enum {
    EVICTED_FAILURES = 5
}; /* an evicted client waits as after so many refusals: 16 s at least */

/* ---- life ---- */

int session_new(struct session **out, const char *name, const struct session_options *options,
                const struct env *env, const struct session_io *io, void *io_data,
                const struct session_events *events, void *owner)
{
    struct session *s = calloc(1, sizeof *s);

    if (s == NULL)
        return -ENOMEM;
    s->name = strdup(name);
    s->product_info = strdup(options->product_info);
    if (s->name == NULL || s->product_info == NULL) {
        session_free(s);
        return -ENOMEM;
    }
    s->options = *options;
    s->options.product_info = s->product_info;
    if (s->options.keepalive_ms > SESSION_KEEPALIVE_MAX_MS)
        s->options.keepalive_ms = SESSION_KEEPALIVE_MAX_MS;
    s->env = env;
    s->io = io;
    s->io_data = io_data;
    s->events = events;
    s->owner = owner;
    s->state = SESSION_WAITING;
    s->since_wall_ms = env_wall_ms(env);
    s->backoff = (struct backoff){ .min_ms = 1000, .max_ms = 60000 };
    s->refused = (struct backoff){ .min_ms = 1000, .max_ms = 300000 };
    s->throttled = (struct backoff){ .min_ms = 20000, .max_ms = 60000 };
    s->try_at_ms = 1;
    s->rid_run = env_random_u32(env);
    s->desired_version = s->reported_version = -1;
    inbox_init(&s->inbox);
    mqtt_reader_init(&s->reader, MQTT_PACKET_MAX);
    *out = s;
    return 0;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    assert(!session->link_open);
    explicit_bzero(&session->credential, sizeof session->credential);
    inbox_done(&session->inbox);
    mqtt_reader_done(&session->reader);
    free(session->product_info);
    free(session->name);
    free(session);
}

/* ---- state and telling ---- */

void session_set(struct session *s, enum session_state state, const char *error)
{
    if (error != NULL && strcmp(s->error, error) != 0) {
        snprintf(s->error, sizeof s->error, "%s", error);
        s->untold = true;
    }
    if (s->state != state) {
        s->state = state;
        s->since_wall_ms = env_wall_ms(s->env);
        s->untold = true;
    }
}

void session_tell(struct session *s)
{
    if (!s->untold || s->in_patch)
        return;
    s->untold = false;
    s->events->state(s->owner, s->state);
}

/* Says good-bye, where CONNECT was said; whether it can still be sent does not matter. */
static void disconnect(struct session *s)
{
    struct buf buf;

    if (s->phase < PHASE_CONNACK || s->phase > PHASE_READY)
        return;
    buf_init(&buf, MQTT_PACKET_MAX);
    if (mqtt_write_disconnect(&buf) == 0)
        (void)s->io->send(s->io_data, buf.bytes, buf.length);
    buf_done(&buf);
}

/* Forgets the connection and asks for its end. A patch in flight is lost. */
static void leave(struct session *s)
{
    bool lost = s->patch.active;

    s->phase = PHASE_IDLE;
    s->phase_deadline_ms = s->get_at_ms = s->connack_ms = s->ready_ms = 0;
    s->ping_ms = s->renew_at_ms = 0;
    s->get.active = s->patch.active = false;
    s->bad_documents = 0;
    inbox_done(&s->inbox);
    explicit_bzero(s->credential.token, sizeof s->credential.token);
    if (s->link_open)
        s->io->close(s->io_data);
    if (lost)
        s->events->patched(s->owner, 0, -1, "the connection ended before the answer");
}

/* ---- failures ---- */

static uint32_t wait_ms(struct session *s, enum failure failure)
{
    uint32_t chance = env_random_u32(s->env);

    switch (failure) {
    case FAILURE_EVICTED:
        if (s->refused.failures < EVICTED_FAILURES)
            s->refused.failures = EVICTED_FAILURES;
        return backoff_next_ms(&s->refused, chance);
    case FAILURE_REFUSED:
        return backoff_next_ms(&s->refused, chance);
    case FAILURE_THROTTLED:
        return backoff_next_ms(&s->throttled, chance);
    case FAILURE_CLOCK:
        return SESSION_CLOCK_MS;
    default:
        return backoff_next_ms(&s->backoff, chance);
    }
}

/* A credential that changed while the old one was being refused is tried at once. */
static uint64_t next_try_ms(struct session *s, uint64_t now_ms, enum failure failure)
{
    bool now = failure == FAILURE_REFUSED && s->credential_changed;

    s->credential_changed = false;
    return now ? now_ms : now_ms + wait_ms(s, failure);
}

void session_fail(struct session *s, uint64_t now_ms, enum failure failure, const char *format, ...)
{
    char text[SESSION_ERROR_MAX];
    size_t prefix;
    va_list args;

    if (s->phase == PHASE_IDLE || s->phase == PHASE_STOPPED)
        return;
    if (s->ready_ms != 0 && now_ms - s->ready_ms >= SESSION_STABLE_MS) {
        backoff_reset(&s->backoff);
        backoff_reset(&s->refused);
    }
    prefix = (size_t)snprintf(text, sizeof text, "module %s: ", s->name);
    va_start(args, format);
    vsnprintf(text + prefix, sizeof text - prefix, format, args);
    va_end(args);
    /* a text from outside may name the module itself */
    if (strncmp(text, text + prefix, prefix) == 0)
        memmove(text, text + prefix, strlen(text + prefix) + 1);

    s->planned = false;
    s->try_at_ms = next_try_ms(s, now_ms, failure);
    session_set(s, failure == FAILURE_REFUSED ? SESSION_REFUSED : SESSION_WAITING, text);
    leave(s);
    session_tell(s);
}

bool session_send(struct session *s, uint64_t now_ms, const struct buf *packet, int rc)
{
    if (rc == 0)
        rc = s->io->send(s->io_data, packet->bytes, packet->length);
    if (rc == 0) {
        s->said_ms = now_ms;
        return true;
    }
    session_fail(s, now_ms, FAILURE_RETRY,
                 rc == -ENOBUFS ? "the network takes no more bytes: the send queue is full"
                                : "could not send: %s",
                 strerror(-rc));
    return false;
}

/* ---- connecting ---- */

/* 75 to 85 % of the life that the token has left. */
static void plan_renewal(struct session *s, uint64_t now_ms, int64_t left_ms)
{
    uint64_t percent = 75 + env_random_u32(s->env) % 11;
    uint64_t wait = (uint64_t)left_ms / 100 * percent;

    s->renew_at_ms = now_ms + (wait < SESSION_RENEW_MIN_MS ? SESSION_RENEW_MIN_MS : wait);
}

static void start_connect(struct session *s, uint64_t now_ms)
{
    int64_t wall_ms = env_wall_ms(s->env), left_ms;
    struct err err = { "" };

    s->phase = PHASE_LINK;
    s->phase_deadline_ms = now_ms + SESSION_LINK_MS;
    if (wall_ms < CLOCK_FLOOR_MS) {
        session_fail(s, now_ms, FAILURE_CLOCK,
                     "this machine's clock is wrong: it is before 2026; set it or let NTP do so");
        return;
    }
    if (s->io->credential(s->io_data, &s->credential, &err) != 0) {
        session_fail(s, now_ms, FAILURE_REFUSED, "%s", err.msg);
        return;
    }
    left_ms = s->credential.expiry_s > INT64_MAX / 1000 ? INT64_MAX / 100
                                                        : s->credential.expiry_s * 1000 - wall_ms;
    if (left_ms <= 0) {
        session_fail(s, now_ms, FAILURE_REFUSED,
                     "its token has expired: write a new one, or a key, and check this machine's "
                     "clock");
        return;
    }
    plan_renewal(s, now_ms, left_ms);
    session_set(s, SESSION_CONNECTING, NULL);
    if (s->io->connect(s->io_data, s->credential.dial_host, s->options.port, &err) != 0) {
        session_fail(s, now_ms, FAILURE_RETRY, "%s", err.msg);
        return;
    }
    s->link_open = true;
    session_tell(s);
}

void session_link_up(struct session *session, uint64_t now_ms)
{
    if (session->phase != PHASE_LINK)
        return; /* it is being closed */
    mqtt_reader_reset(&session->reader);
    session->heard_ms = now_ms;
    session_hub_connect(session, now_ms);
}

void session_link_bytes(struct session *session, uint64_t now_ms, const uint8_t *bytes,
                        size_t length)
{
    struct mqtt_packet packet;
    int rc;

    if (session->phase < PHASE_CONNACK || session->phase > PHASE_READY)
        return;
    rc = mqtt_reader_feed(&session->reader, bytes, length);
    while (rc == 0) {
        rc = mqtt_reader_next(&session->reader, &packet);
        if (rc == 0)
            session_hub_packet(session, now_ms, &packet);
        if (session->phase < PHASE_CONNACK || session->phase > PHASE_READY)
            return; /* over, by a failure or by the owner */
    }
    if (rc != -EAGAIN)
        session_fail(session, now_ms, FAILURE_RETRY,
                     rc == -ENOMEM   ? "out of memory"
                     : rc == -ENOSPC ? "the hub sent a packet of more than 256 KB"
                                     : "the peer does not speak MQTT 3.1.1: check hub.host_name");
}

/* Twice may be chance; a client that is put out each time it comes is not. */
static bool evicted(struct session *s, uint64_t now_ms)
{
    if (s->connack_ms == 0)
        return false;
    s->evictions = now_ms - s->connack_ms < SESSION_EVICTED_MS ? s->evictions + 1 : 0;
    return s->evictions >= SESSION_EVICTIONS;
}

void session_link_down(struct session *session, uint64_t now_ms, const char *reason, int status)
{
    struct session *s = session;

    s->link_open = false;
    if (s->stopping) {
        s->phase = PHASE_STOPPED;
        session_set(s, SESSION_STOPPED, NULL);
        session_tell(s);
    } else if (s->phase == PHASE_IDLE) {
        return; /* as asked; the next try is planned */
    } else if (evicted(s, now_ms)) {
        session_fail(s, now_ms, FAILURE_EVICTED,
                     "the hub ends each connection within seconds: probably another client uses "
                     "this identity; stop it, or give it a module of its own");
    } else if (strstr(reason, "not yet valid") != NULL) {
        session_fail(s, now_ms, FAILURE_CLOCK,
                     "%s: this machine's clock is probably wrong; set it or let NTP do so", reason);
    } else {
        session_fail(s, now_ms, status == 429 ? FAILURE_THROTTLED : FAILURE_RETRY, "%s%s",
                     s->phase == PHASE_LINK ? "" : "the connection ended: ", reason);
    }
}

/* ---- deadlines ---- */

static bool online(const struct session *s)
{
    return s->phase == PHASE_SUBACK || s->phase == PHASE_GET || s->phase == PHASE_READY;
}

static void check_phase(struct session *s, uint64_t now_ms)
{
    if (s->phase_deadline_ms == 0 || now_ms < s->phase_deadline_ms)
        return;
    if (s->phase == PHASE_LINK)
        session_fail(s, now_ms, FAILURE_RETRY,
                     "no connection to %s port %d within 15 s: check network, proxy and firewall",
                     s->credential.dial_host, s->options.port);
    else if (s->phase == PHASE_CONNACK)
        session_fail(s, now_ms, FAILURE_RETRY, "the hub did not answer CONNECT within 60 s");
    else
        session_fail(s, now_ms, FAILURE_RETRY, "the hub did not answer SUBSCRIBE within 20 s");
}

static void check_request(struct session *s, uint64_t now_ms, struct request *request,
                          const char *what)
{
    if (!request->active)
        return;
    if (now_ms - request->sent_ms >= SESSION_ANSWER_MS) {
        session_fail(s, now_ms, FAILURE_RETRY, "the hub did not answer a twin %s within 60 s",
                     what);
    } else if (now_ms - request->sent_ms >= SESSION_ANSWER_PING_MS && !request->pinged) {
        request->pinged = true;
        if (s->ping_ms == 0)
            session_hub_ping(s, now_ms);
    }
}

static uint64_t keepalive_due_ms(const struct session *s)
{
    uint64_t first = s->heard_ms < s->said_ms ? s->heard_ms : s->said_ms;

    if (s->options.keepalive_ms == 0)
        return UINT64_MAX; /* never */
    return first + s->options.keepalive_ms;
}

static void check_alive(struct session *s, uint64_t now_ms)
{
    if (online(s) && s->ping_ms != 0 && now_ms - s->ping_ms >= SESSION_PINGRESP_MS)
        session_fail(s, now_ms, FAILURE_RETRY, "the link is dead: no answer to PINGREQ in 10 s");
    if (online(s))
        check_request(s, now_ms, &s->get, "get");
    if (online(s))
        check_request(s, now_ms, &s->patch, "patch");
    if (online(s) && s->ping_ms == 0 && now_ms >= keepalive_due_ms(s))
        session_hub_ping(s, now_ms);
}

bool session_renew_if_due(struct session *s, uint64_t now_ms)
{
    if ((s->phase != PHASE_GET && s->phase != PHASE_READY) || now_ms < s->renew_at_ms)
        return false;
    if (s->patch.active && now_ms < s->renew_at_ms + SESSION_RENEW_WAIT_MS)
        return false;
    if (s->ready_ms != 0 && now_ms - s->ready_ms >= SESSION_STABLE_MS) {
        backoff_reset(&s->backoff);
        backoff_reset(&s->refused);
    }
    disconnect(s);
    s->planned = true;
    s->try_at_ms = now_ms;
    session_set(s, SESSION_CONNECTING, NULL);
    leave(s);
    return true;
}

static void earlier(uint64_t *deadline, uint64_t candidate)
{
    if (candidate != 0 && (*deadline == 0 || candidate < *deadline))
        *deadline = candidate;
}

static uint64_t next_deadline(const struct session *s)
{
    const struct request *requests[] = { &s->get, &s->patch };
    uint64_t deadline = 0;

    if (s->phase == PHASE_IDLE && !s->link_open && !s->stopping)
        return s->try_at_ms;
    earlier(&deadline, s->phase_deadline_ms);
    if (!online(s))
        return deadline;
    for (size_t i = 0; i < 2; i++) {
        if (requests[i]->active)
            earlier(&deadline,
                    requests[i]->sent_ms +
                        (requests[i]->pinged ? SESSION_ANSWER_MS : SESSION_ANSWER_PING_MS));
    }
    earlier(&deadline, s->ping_ms != 0 ? s->ping_ms + SESSION_PINGRESP_MS : keepalive_due_ms(s));
    if (!s->patch.active)
        earlier(&deadline, s->get_at_ms);
    if (s->phase != PHASE_SUBACK)
        earlier(&deadline, s->renew_at_ms + (s->patch.active ? SESSION_RENEW_WAIT_MS : 0));
    return deadline;
}

uint64_t session_tick(struct session *session, uint64_t now_ms)
{
    struct session *s = session;

    if (s->phase == PHASE_IDLE && !s->link_open && !s->stopping && now_ms >= s->try_at_ms)
        start_connect(s, now_ms);
    check_phase(s, now_ms);
    session_renew_if_due(s, now_ms);
    check_alive(s, now_ms);
    if (s->phase == PHASE_GET && s->get_at_ms != 0 && now_ms >= s->get_at_ms && !s->patch.active)
        session_hub_get(s, now_ms);
    session_tell(s);
    return next_deadline(s);
}

/* ---- the owner's side ---- */

int session_patch(struct session *session, uint64_t now_ms, const char *json, size_t length)
{
    int rc;

    if (session->phase != PHASE_READY)
        return -ENOTCONN;
    if (session->patch.active)
        return -EBUSY;
    session->in_patch = true;
    rc = session_hub_patch(session, now_ms, json, length);
    session->in_patch = false;
    return rc;
}

void session_again(struct session *session, uint64_t now_ms)
{
    if (session->phase == PHASE_READY)
        session_hub_get_again(session, now_ms);
}

bool session_idle(const struct session *session)
{
    return !session->get.active && !session->patch.active;
}

void session_credential_changed(struct session *session, uint64_t now_ms)
{
    backoff_reset(&session->refused);
    if (session->phase == PHASE_IDLE)
        session->try_at_ms = now_ms;
    else
        session->credential_changed = session->phase <= PHASE_CONNACK;
}

void session_stop(struct session *session, uint64_t now_ms)
{
    struct session *s = session;

    (void)now_ms;
    if (s->stopping)
        return;
    s->stopping = true;
    if (s->phase != PHASE_IDLE) {
        disconnect(s);
        leave(s);
    }
    if (!s->link_open) {
        s->phase = PHASE_STOPPED;
        session_set(s, SESSION_STOPPED, NULL);
        session_tell(s);
    }
}

void session_status(const struct session *session, struct session_status *out)
{
    out->state = session->state;
    out->since_wall_ms = session->since_wall_ms;
    out->error = session->error;
    out->reconnects = session->reconnects;
    out->desired_version = session->desired_version;
    out->reported_version = session->reported_version;
}
