/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limpet-writer: takes what the scrapers put into their rings and delivers it by remote write.
 *
 * Its life: attach to the rings, the series tables and the delivery segment; take up the batches
 * that a predecessor left; then turn the loop. A turn lets every shard look at the rings, sleeps
 * until a doorbell, a timer or the network has something, and moves the sign of life. On STOP what
 * is there is flushed, for as long as the supervisor allows (some seconds if it is dead); on ROLL
 * only what is in flight is waited for. What is not acknowledged then stays where it is, and the
 * next writer goes on with it: there is no other way to end, kill -9 included.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "child/beat.h"
#include "child/child.h"
#include "config/freeze.h"
#include "writer/writer.h"

#define TURN_MAX_NS     NS_PER_S /* while something is under way, whose time may be over */
#define ORPHAN_FLUSH_MS 5000
#define ROLL_WAIT_MS    1000
#define SPILL_MS        2000 /* before the end, what is not delivered goes into the spool */
#define LEAVING_MS      500  /* of the time that the supervisor grants, for what comes after */

struct life {
    struct child child;
    struct config *config;
    struct writer writer;
    struct loop_op doorbell;
    struct loop_op orders;
    enum child_order order;
    int64_t leave_at_ns; /* at the latest, once there is an order */
    int64_t spill_at_ns; /* at the latest, if it stops */
};

static struct life life;

static void on_doorbell(struct loop_op *op, int result)
{
    (void)result;
    uint64_t rings;
    if (read(HERITAGE_DOORBELL, &rings, sizeof rings) == (ssize_t)sizeof rings)
        slot_add(life.child.slot, COUNTER_WRITER_DOORBELLS, 1);
    loop_poll_readable(life.writer.loop, op, HERITAGE_DOORBELL);
}

static void obey(enum child_order order, int64_t limit_ms)
{
    int64_t time_ms = limit_ms > 2 * LEAVING_MS ? limit_ms - LEAVING_MS : limit_ms / 2;
    if (order == CHILD_ORDER_ORPHANED)
        time_ms = ORPHAN_FLUSH_MS;
    if (order == CHILD_ORDER_ROLL && time_ms > ROLL_WAIT_MS)
        time_ms = ROLL_WAIT_MS;
    life.order = order;
    life.leave_at_ns = clock_mono_ns() + time_ms * NS_PER_MS;
    int64_t spill_ms = time_ms / 2 < SPILL_MS ? time_ms / 2 : SPILL_MS;
    life.spill_at_ns = life.leave_at_ns - spill_ms * NS_PER_MS;
    life.writer.closing = order == CHILD_ORDER_ROLL;
    life.writer.flushing = order != CHILD_ORDER_ROLL;
}

static void supply(void *context, struct supplies *supplies)
{
    (void)context;
    writer_supply(&life.writer, supplies);
}

static void ask(struct slice host)
{
    child_ask(&life.child, host);
}

static void ask_tls(uint32_t entry)
{
    child_ask_tls(&life.child, entry);
}

static void on_orders(struct loop_op *op, int result)
{
    (void)result;
    int64_t limit_ms = 0;
    enum child_order order;
    while ((order = child_take_order(&life.child, &limit_ms)) != CHILD_ORDER_NONE) {
        obey(order, limit_ms);
        if (order == CHILD_ORDER_ORPHANED)
            return;
    }
    loop_poll_readable(life.writer.loop, op, HERITAGE_SUPERVISION);
}

static bool may_leave(void)
{
    if (life.order == CHILD_ORDER_NONE)
        return false;
    if (clock_mono_ns() >= life.leave_at_ns)
        return true;
    if (life.order != CHILD_ORDER_ROLL && !writer_is_drained(&life.writer))
        return false;
    return life.writer.spilling || !writer_is_sending(&life.writer);
}

/* Soon it must leave: what nobody takes goes into the spool. */
static void spill_in_time(void)
{
    if (life.writer.flushing && clock_mono_ns() >= life.spill_at_ns)
        life.writer.spilling = true;
}

static int64_t time_to_sleep(void)
{
    if (!writer_may_sleep(&life.writer))
        return 0;
    int64_t now_ns = clock_mono_ns();
    int64_t until_ns = writer_is_busy(&life.writer) ? now_ns + TURN_MAX_NS : beat_after(now_ns);
    int64_t order_ns =
        life.writer.flushing && !life.writer.spilling ? life.spill_at_ns : life.leave_at_ns;
    if (life.order != CHILD_ORDER_NONE && order_ns < until_ns)
        until_ns = order_ns;
    return until_ns < now_ns ? 0 : until_ns - now_ns;
}

static void show_loop(void)
{
    const struct loop_stats *stats = loop_stats(life.writer.loop);
    slot_set(life.child.slot, COUNTER_LOOP_TURNS, stats->turns);
    slot_set(life.child.slot, COUNTER_LOOP_WAKEUPS, stats->wakeups);
    slot_set(life.child.slot, COUNTER_LOOP_SYSTEM_CALLS, stats->system_calls);
}

static int run(struct errctx *reterr)
{
    for (;;) {
        spill_in_time();
        writer_poke(&life.writer);
        if (may_leave())
            return 0;
        int err = loop_run_once(life.writer.loop, time_to_sleep());
        if (err != 0)
            return err_set(reterr, err, "the event loop failed");
        child_progress(&life.child);
        show_loop();
        if (writer_is_sending(&life.writer))
            CRASHPOINT("writer.sending");
    }
}

static int start_loop(struct errctx *reterr)
{
    const struct loop_options options = {
        .backend = (enum loop_backend_kind)life.config->limpet.event_loop,
        .entries = 128,
    };
    int err = loop_new(&options, &life.writer.loop, reterr);
    if (err != 0)
        return err;
    child_note_backend(&life.child, loop_backend_name(life.writer.loop),
                       loop_backend_why(life.writer.loop));
    return 0;
}

static int start(struct errctx *reterr)
{
    int err = config_thaw(HERITAGE_CONFIG, &life.config, reterr);
    if (err != 0)
        return err;
    err = start_loop(reterr);
    if (err != 0)
        return err;
    life.writer.slot = life.child.slot;
    life.writer.supervisor = life.child.supervisor;
    life.writer.config = life.config;
    life.writer.lookups.ask = ask;
    life.writer.lookups.ask_tls = ask_tls;
    err = writer_init(&life.writer, life.child.scrapers, reterr);
    if (err != 0)
        return err;
    life.doorbell.done = on_doorbell;
    life.child.errands = (struct child_errands){.supply = supply,
                                                .generation = life.config->generation,
                                                .supplies_len = life.config->remote_write.len};
    life.orders.done = on_orders;
    loop_poll_readable(life.writer.loop, &life.doorbell, HERITAGE_DOORBELL);
    loop_poll_readable(life.writer.loop, &life.orders, HERITAGE_SUPERVISION);
    child_ready(&life.child);
    return 0;
}

/* What is in flight is broken off; the next writer repeats it. */
static void leave(void)
{
    if (!writer_is_drained(&life.writer))
        log_info(MSG("leaving undelivered samples in the rings for the next start"));
    writer_abort(&life.writer);
}

int main(int argc, char **argv)
{
    struct errctx why;
    int err = child_start(&life.child, CHILD_ROLE_WRITER, argc, argv, &why);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like others */
    if (err == 0)
        err = start(&why);
    if (err == 0)
        err = run(&why);
    if (err != 0)
        return child_fail(err, &why);
    leave();
    return child_leave(&life.child);
}
