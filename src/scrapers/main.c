/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limpet-scraper: asks targets for their metrics and puts what they say into its ring.
 *
 * Its life: attach to ring and series table, where everything that was committed before lies; take
 * in the table of targets; then turn the loop. A turn starts the scrapes of a tick, takes what has
 * come of others, commits what is complete, looks for a new table and moves the sign of life. On
 * STOP what is running may end within the time that the supervisor grants. On ROLL, too, but what
 * is quick and due meanwhile is scraped as ever: the successor can make up for one tick of a target
 * and no more. Nothing else is done at the end, so kill -9 is as good.
 */
#include <errno.h>
#include <malloc.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "child/beat.h"
#include "child/child.h"
#include "config/freeze.h"
#include "scrapers/scraper.h"

#define GATHER      32           /* answers, while many are awaited */
#define BUFFER_SIZE (128u << 10) /* of large bodies much is there at once */
#define LEAVING_MS  500          /* of the time that the supervisor grants, for what comes after */

struct life {
    struct child child;
    struct config *config;
    struct scraper scraper;
    struct loop_op wake;
    struct loop_op orders;
    enum child_order order;
    bool has_peer[SHM_MAX_SCRAPERS]; /* ring and series of that scraper are inherited */
    int64_t stop_at_ns;              /* on ROLL: when the last scrape starts, at the latest */
    int64_t leave_at_ns;             /* at the latest, once there is an order */
};

static struct life life;

/* That there is a new table is seen in every turn; this only ends the sleep. */
static void on_wake(struct loop_op *op, int result)
{
    eventfd_t times;
    if (result == 0)
        (void)eventfd_read(HERITAGE_WAKE, &times);
    loop_poll_readable(life.scraper.loop, op, HERITAGE_WAKE);
}

static void obey(enum child_order order, int64_t limit_ms)
{
    int64_t time_ms = limit_ms > 2 * LEAVING_MS ? limit_ms - LEAVING_MS : limit_ms / 2;
    if (order == CHILD_ORDER_ORPHANED)
        time_ms = 0;
    life.order = order;
    life.leave_at_ns = clock_mono_ns() + time_ms * NS_PER_MS;
    life.stop_at_ns = life.leave_at_ns - SCRAPER_QUICK_NS;
    if (order == CHILD_ORDER_ROLL)
        scraper_prepare_to_leave(&life.scraper);
    else
        scraper_stop(&life.scraper);
}

/* On ROLL: what was running is over, or has no more time; what has been started since ends soon. */
static void stop_if_due(void)
{
    int64_t now_ns = clock_mono_ns();
    if (life.order != CHILD_ORDER_ROLL || life.scraper.stopping ||
        (life.scraper.awaited > 0 && now_ns < life.stop_at_ns))
        return;
    scraper_stop(&life.scraper);
    if (life.leave_at_ns > now_ns + SCRAPER_QUICK_NS)
        life.leave_at_ns = now_ns + SCRAPER_QUICK_NS;
}

static void supply(void *context, struct supplies *supplies)
{
    (void)context;
    jobs_supply(&life.scraper.jobs, supplies);
}

static void ask(struct slice host)
{
    child_ask(&life.child, host);
}

static void ask_tls(uint32_t entry)
{
    child_ask_tls(&life.child, entry);
}

static void take_orders(void)
{
    int64_t limit_ms = 0;
    enum child_order order;
    while (life.order != CHILD_ORDER_ORPHANED &&
           (order = child_take_order(&life.child, &limit_ms)) != CHILD_ORDER_NONE)
        obey(order, limit_ms);
}

static void on_orders(struct loop_op *op, int result)
{
    (void)result;
    take_orders();
    if (life.order != CHILD_ORDER_ORPHANED)
        loop_poll_readable(life.scraper.loop, op, HERITAGE_SUPERVISION);
}

static bool may_leave(void)
{
    if (life.order == CHILD_ORDER_NONE)
        return false;
    if (life.order == CHILD_ORDER_ROLL && !life.scraper.stopping)
        return false;
    return life.scraper.running == 0 || clock_mono_ns() >= life.leave_at_ns;
}

static int64_t time_to_sleep(void)
{
    int64_t now_ns = clock_mono_ns();
    int64_t until_ns = beat_after(now_ns); /* a look at the clock is due then, too */
    bool stops = life.order == CHILD_ORDER_ROLL && !life.scraper.stopping;
    int64_t order_ns = stops ? life.stop_at_ns : life.leave_at_ns;
    if (life.order != CHILD_ORDER_NONE && order_ns < until_ns)
        until_ns = order_ns;
    return until_ns < now_ns ? 0 : until_ns - now_ns;
}

static int run(struct errctx *reterr)
{
    for (;;) {
        if (scraper_turn(&life.scraper))
            (void)eventfd_write(HERITAGE_DOORBELL, 1);
        stop_if_due();
        if (may_leave())
            return 0;
        int err = loop_run_once(life.scraper.loop, time_to_sleep());
        if (err != 0)
            return err_set(reterr, err, "the event loop failed: %s", err_text(err));
        child_progress(&life.child);
    }
}

static int start_loop(struct errctx *reterr)
{
    const struct loop_options options = {.backend =
                                             (enum loop_backend_kind)life.config->limpet.event_loop,
                                         .gather = GATHER,
                                         .buffer_size = BUFFER_SIZE};
    int err = loop_new(&options, &life.scraper.loop, reterr);
    if (err != 0)
        return err;
    child_note_backend(&life.child, loop_backend_name(life.scraper.loop),
                       loop_backend_why(life.scraper.loop));
    return 0;
}

static bool peer_segments(void *context, uint32_t index, int *ret_ring, int *ret_series)
{
    (void)context;
    *ret_ring = HERITAGE_RING(index);
    *ret_series = HERITAGE_SERIES(index);
    return index < SHM_MAX_SCRAPERS && life.has_peer[index];
}

/* Before anything else is opened, whose number could be one of these. */
static void find_peers(void)
{
    for (uint32_t i = 0; i < SHM_MAX_SCRAPERS; i++)
        life.has_peer[i] =
            fcntl(HERITAGE_RING(i), F_GETFD) >= 0 && fcntl(HERITAGE_SERIES(i), F_GETFD) >= 0;
}

static const struct shm_slot *peer_slot(void *context, uint32_t index)
{
    (void)context;
    return control_slot(&life.child.control, SHM_SLOT_SCRAPER(index));
}

static const struct scraper_peers peers = {.segments = peer_segments, .slot = peer_slot};

static int start(struct errctx *reterr)
{
    uint32_t index = life.child.index;
    const struct scraper_segments segments = {HERITAGE_RING(index), HERITAGE_SERIES(index),
                                              HERITAGE_TARGETS};
    int err = config_thaw(HERITAGE_CONFIG, &life.config, reterr);
    if (err == 0)
        err = start_loop(reterr);
    if (err != 0)
        return err;
    life.scraper.slot = life.child.slot;
    life.scraper.supervisor = life.child.supervisor;
    life.scraper.config = life.config;
    life.scraper.index = index;
    life.scraper.scrapers = life.child.scrapers;
    life.scraper.lookups.ask = ask;
    life.scraper.lookups.ask_tls = ask_tls;
    life.scraper.peers = &peers;
    err = scraper_init(&life.scraper, &segments, reterr);
    if (err != 0)
        return err;
    life.wake.done = on_wake;
    life.child.errands = (struct child_errands){.supply = supply,
                                                .generation = life.config->generation,
                                                .supplies_len = life.config->scrape_configs.len};
    /* The table may have targets of jobs that are supplied. */
    take_orders();
    life.orders.done = on_orders;
    loop_poll_readable(life.scraper.loop, &life.wake, HERITAGE_WAKE);
    loop_poll_readable(life.scraper.loop, &life.orders, HERITAGE_SUPERVISION);
    child_ready(&life.child);
    return 0;
}

/* Larger pieces of memory are the kernel's again as soon as they are free, and grow without being
 * copied; by itself the C library would soon keep them. */
#define MMAP_THRESHOLD (512 << 10)

int main(int argc, char **argv)
{
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    struct errctx why;
    find_peers();
    int err = child_start(&life.child, CHILD_ROLE_SCRAPER, argc, argv, &why);
    if (err == 0)
        err = start(&why);
    if (err == 0)
        err = run(&why);
    if (err != 0)
        return child_fail(err, &why);
    scraper_abandon(&life.scraper);
    return child_leave(&life.child);
}
