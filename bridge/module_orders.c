/* Orders of one module: from a decision to a committed result. See order.h for the life of one.
 *
 * Happy path: ORDER -> written and read back -> record committed -> acknowledged 200.
 * Never again: the record is committed before the acknowledgement, and a record equal to what is desired
 * makes no order. A write_once order is committed before it is sent (record with code 0), so that after
 * a crash it is known to have been on its way. */
#include "bridge/module_state.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_answer_text[] = "no answer";

bool module_device_answers(const struct module *m, size_t device)
{
    return m->states[device] == DEVICE_ONLINE || m->states[device] == DEVICE_DEGRADED;
}

/* ---- the list of orders ---- */

static void order_free(struct order *order)
{
    if (order == NULL)
        return;
    free(order->desired);
    free(order);
}

void module_orders_free(struct module *m)
{
    for (size_t i = 0; m->slots != NULL && i < m->first[m->mapping->device_count]; i++) {
        order_free(m->slots[i].order);
        order_free(m->slots[i].newer);
    }
}

static void activate(struct module *m, struct order *order)
{
    module_slot(m, order->device, order->tag)->order = order;
    order->next = m->orders;
    m->orders = order;
}

/* Takes the order off the list and frees it; a newer one takes its place. */
static void retire(struct module *m, struct order *order)
{
    struct module_slot *slot = module_slot(m, order->device, order->tag);
    struct order **at = &m->orders;

    while (*at != order)
        at = &(*at)->next;
    *at = order->next;
    slot->order = NULL;
    order_free(order);
    if (slot->newer != NULL) {
        order = slot->newer;
        slot->newer = NULL;
        activate(m, order);
    }
}

/* The adapter or the store holds it: it will come back. */
static bool is_out(const struct order *order)
{
    return order->state == ORDER_READING || order->state == ORDER_WRITING ||
           order->state == ORDER_INTENT;
}

struct order *module_order_current(const struct module *m, size_t device, size_t tag)
{
    const struct module_slot *slot = &m->slots[m->first[device] + tag];

    if (slot->newer != NULL)
        return slot->newer;
    return slot->order != NULL && !slot->order->superseded ? slot->order : NULL;
}

void module_order_supersede(struct module *m, size_t device, size_t tag)
{
    struct module_slot *slot = module_slot(m, device, tag);

    order_free(slot->newer);
    slot->newer = NULL;
    if (slot->order == NULL)
        return;
    if (is_out(slot->order))
        slot->order->superseded = true;
    else
        retire(m, slot->order);
}

void module_order_place(struct module *m, const struct desired_decision *d, char *text,
                        uint64_t now_ms)
{
    const struct config_tag *tag = module_tag(m, d->device, d->tag);
    struct module_slot *slot = module_slot(m, d->device, d->tag);
    struct order *order = calloc(1, sizeof *order);

    module_order_supersede(m, d->device, d->tag);
    if (order == NULL) {
        m->missed = true;
        free(text);
        return;
    }
    order->device = d->device;
    order->tag = d->tag;
    order->value = d->value;
    order->version = d->version;
    order->desired = text;
    order->arrived_ms = now_ms;
    order->deadline_ms = tag->write_deadline_ms == 0 ? 0 : now_ms + tag->write_deadline_ms;
    order->read_first = d->read_first;
    if (slot->order != NULL)
        slot->newer = order;
    else
        activate(m, order);
}

/* ---- results ---- */

static void finish(struct module *m, struct order *order, int code, const char *detail,
                   uint64_t now_ms)
{
    struct module_slot *slot = module_slot(m, order->device, order->tag);

    if (!order->superseded) {
        slot->applied = code == 200 ? module_nearest(m, order->device, order->tag, order->value)
                                    : (struct value){ VALUE_NONE, { 0 } };
        slot->applied_ms = now_ms;
        if (module_record_put(m, order->device, order->tag, order->version, order->desired, code,
                              detail, now_ms) != 0)
            m->missed = true;
    }
    retire(m, order);
}

/* Written without a read-back: the value shown is the one written. */
static void finish_unverified(struct module *m, struct order *order, uint64_t now_ms)
{
    bool readable = (module_tag(m, order->device, order->tag)->access & CONFIG_READ) != 0;

    report_written(m->report, order->device, order->tag,
                   module_nearest(m, order->device, order->tag, order->value), now_ms);
    finish(m, order, 200, readable ? "not verified" : "not readable", now_ms);
}

/* Sent, and nobody knows: told as 504. An ordinary order is looked after at the next contact, once. */
static void no_answer(struct module *m, struct order *order, uint64_t now_ms)
{
    const struct config_tag *tag = module_tag(m, order->device, order->tag);

    if ((tag->access & CONFIG_READ) == 0) /* nobody can tell what it holds now */
        report_written(m->report, order->device, order->tag, (struct value){ VALUE_NONE, { 0 } },
                       now_ms);
    if (tag->write_once) {
        finish(m, order, 504, "interrupted, outcome unknown", now_ms);
    } else if (order->recheck || (tag->access & CONFIG_READ) == 0 || order->superseded) {
        finish(m, order, 504, no_answer_text, now_ms);
    } else {
        order->state = ORDER_RECHECK;
        order->recheck = true;
        order->pending_told = true;
        order->recheck_ms = now_ms + ORDER_RECHECK_MS;
        module_slot(m, order->device, order->tag)->applied = (struct value){ VALUE_NONE, { 0 } };
        module_record_put(m, order->device, order->tag, order->version, order->desired, 504,
                          no_answer_text, now_ms);
    }
}

static void differs(struct module *m, struct order *order, const struct write_result *result,
                    uint64_t now_ms)
{
    char value[VALUE_TEXT_MAX];
    char detail[VALUE_TEXT_MAX + 32];

    if (result->readback.quality != QUALITY_GOOD) {
        finish(m, order, 500, result->detail, now_ms);
        return;
    }
    value_print(result->readback.value, value);
    snprintf(detail, sizeof detail, "reads back as %s", value);
    finish(m, order, 500, detail, now_ms);
}

void module_order_written(struct module *m, size_t device, size_t tag,
                          const struct write_result *result, uint64_t now_ms)
{
    struct order *order = module_slot(m, device, tag)->order;

    if (order == NULL || order->state != ORDER_WRITING)
        return;
    switch (result->outcome) {
    case WRITE_DONE:
        if (result->readback.quality == QUALITY_GOOD)
            finish(m, order, 200, "", now_ms);
        else
            finish_unverified(m, order, now_ms);
        break;
    case WRITE_DIFFERS:
        differs(m, order, result, now_ms);
        break;
    case WRITE_REFUSED:
        finish(m, order, 502, result->detail, now_ms);
        break;
    case WRITE_NO_ANSWER:
        if (!m->stopping) /* else the next start reads it, or finds the intent */
            no_answer(m, order, now_ms);
        break;
    case WRITE_NOT_SENT:
        order->state = ORDER_WAITING;
        order->recheck_ms = now_ms + ORDER_RECHECK_MS;
        if (order->superseded)
            retire(m, order);
        break;
    }
}

void module_order_read(struct module *m, size_t device, size_t tag, int rc, uint64_t now_ms)
{
    struct order *order = module_slot(m, device, tag)->order;
    struct sample sample;

    if (order == NULL || order->state != ORDER_READING)
        return;
    if (order->superseded) {
        retire(m, order);
        return;
    }
    order->state = order->recheck ? ORDER_RECHECK : ORDER_WAITING;
    order->recheck_ms = now_ms + ORDER_RECHECK_MS;
    if (rc != 0)
        return;
    sample = module_latest(m, device, tag);
    if (sample.quality == QUALITY_GOOD &&
        value_equal(sample.value, module_nearest(m, device, tag, order->value))) {
        finish(m, order, 200, "", now_ms);
        return;
    }
    order->state = ORDER_WAITING; /* it differs, or cannot be told: now it is written */
    order->read_first = false;
    order->recheck_ms = 0;
}

/* Never sent without a stored intent: after a crash nobody would know that it was. */
void module_order_stored(struct module *m, size_t device, size_t tag, int rc, uint64_t now_ms)
{
    struct order *order = module_slot(m, device, tag)->order;

    if (order == NULL || order->state != ORDER_INTENT)
        return;
    order->state = ORDER_WAITING;
    order->intent = true;
    order->recheck_ms = 0;
    if (order->superseded)
        retire(m, order);
    else if (rc != 0)
        finish(m, order, 504, "not written: the state cannot be stored", now_ms);
}

/* ---- moving ---- */

/* The one to say 202 of: the newest. */
static struct order *newest(const struct module *m, struct order *order)
{
    struct order *newer = m->slots[m->first[order->device] + order->tag].newer;

    return newer != NULL ? newer : order;
}

/* Says 202 when it is time to. */
static void tell_pending(struct module *m, struct order *order, uint64_t now_ms)
{
    enum device_state state = m->states[order->device];
    bool answers = module_device_answers(m, order->device);
    struct report_ack ack = { 202, order->version,
                              answers ? "being written" : "waiting for the device" };

    if (order->pending_told || (now_ms < order->arrived_ms + ORDER_PENDING_MS &&
                                state != DEVICE_OFFLINE && state != DEVICE_DISABLED))
        return;
    order->pending_told = true;

    if (!order->superseded)
        module_acknowledge(m, order->device, order->tag, &ack, now_ms);
}

/* The adapter would not take it. */
static void not_taken(struct module *m, struct order *order, int rc, uint64_t now_ms)
{
    if (rc == -ERANGE)
        finish(m, order, 403, "more than the register can hold", now_ms);
    else if (rc == -EINVAL)
        finish(m, order, 400, "the device's adapter cannot write this", now_ms);
    else
        order->recheck_ms = now_ms + ORDER_RECHECK_MS;
}

static void send_order(struct module *m, struct order *order, uint64_t now_ms)
{
    size_t device = m->mapping->devices[order->device];
    const struct config_tag *tag = module_tag(m, order->device, order->tag);
    int rc;

    if (order->read_first || order->state == ORDER_RECHECK) {
        rc = m->io->read(m->data, device, order->tag);
        if (rc == 0)
            order->state = ORDER_READING;
        else
            order->recheck_ms = now_ms + ORDER_RECHECK_MS;
        return;
    }
    if (tag->write_once && !order->intent) {
        order->state = ORDER_INTENT;
        order->recheck_ms = now_ms + ORDER_RECHECK_MS;
        if (module_record_put(m, order->device, order->tag, order->version, order->desired, 0, "",
                              now_ms) != 0)
            order->state = ORDER_WAITING;
        return;
    }
    order->state = ORDER_WRITING;
    rc = m->io->write(m->data, device, order->tag, order->value, order->deadline_ms);
    if (rc != 0) {
        order->state = ORDER_WAITING;
        not_taken(m, order, rc, now_ms);
    }
}

/* Does what one order can do now; it may be gone afterwards. */
static void step(struct module *m, struct order *order, uint64_t now_ms)
{
    bool answers = module_device_answers(m, order->device);

    tell_pending(m, newest(m, order), now_ms);
    if (is_out(order))
        return;
    if (order->state == ORDER_WAITING && order->deadline_ms != 0 && now_ms >= order->deadline_ms) {
        finish(m, order, 504, order->recheck ? no_answer_text : "not written", now_ms);
        return;
    }
    if (answers && now_ms >= order->recheck_ms)
        send_order(m, order, now_ms);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    if (a == 0 || (b != 0 && b < a))
        return b;
    return a;
}

static uint64_t next_step(const struct module *m, struct order *order)
{
    const struct order *told = newest(m, order);
    uint64_t next_ms = told->pending_told ? 0 : told->arrived_ms + ORDER_PENDING_MS;

    if (is_out(order))
        return next_ms;
    if (order->state == ORDER_WAITING)
        next_ms = sooner(next_ms, order->deadline_ms);
    if (module_device_answers(m, order->device))
        next_ms = sooner(next_ms, order->recheck_ms != 0 ? order->recheck_ms : 1);
    return next_ms;
}

uint64_t module_orders_tick(struct module *m, uint64_t now_ms)
{
    struct order *next;
    uint64_t next_ms = 0;

    for (struct order *order = m->orders; order != NULL; order = next) {
        next = order->next;
        step(m, order, now_ms);
    }
    for (struct order *order = m->orders; order != NULL; order = order->next)
        next_ms = sooner(next_ms, next_step(m, order));
    return next_ms;
}
