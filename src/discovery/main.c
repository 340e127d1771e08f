/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limpet-discovery: where the targets are. Its life: it reads the configuration it has inherited,
 * asks for all host names, waits for the answers (a moment at most, so that no target looks
 * removed while its name is being asked for), writes the target table and wakes the scrapers.
 * Then it sleeps until a watched directory changes, a refresh is due, or a name has a new address,
 * and writes the table again. Its death leaves the last table in force.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "child/child.h"
#include "config/freeze.h"
#include "discovery/sync.h"
#include "loop/loop.h"

#define FIRST_TABLE_WAIT_NS (5 * NS_PER_S)   /* for names, before the first table is written */
#define GATHER_NS           (100 * NS_PER_MS) /* changes within this time make one new table */
#define RETRY_NS            (1 * NS_PER_S)
#define TICK_NS             (500 * NS_PER_MS) /* sign of life, and things that are due */

struct discovery {
    struct child child;
    struct config *config;
    struct loop *loop;
    struct resolver *resolver;
    struct targets_writer table;
    struct control control;
    struct sync sync;
    int inotify_fd;
    struct loop_op orders;
    struct loop_op files;
    struct loop_op names;
    struct loop_timer tick;
    struct loop_timer write_due; /* set while a new table is wanted */
    bool wrote_first;
    bool trim_wanted; /* the old half of the table still has its memory */
    bool leaving;
};

#define OWNER(pointer, member)                                                                     \
    ((struct discovery *)(void *)((char *)(pointer)-offsetof(struct discovery, member)))

static void want_table(struct discovery *discovery, int64_t within_ns)
{
    if (!loop_timer_running(&discovery->write_due) || !discovery->wrote_first)
        loop_timer_set(discovery->loop, &discovery->write_due,
                       loop_now(discovery->loop) + within_ns);
}

static void wake_scrapers(const struct discovery *discovery)
{
    for (uint32_t i = 0; i < discovery->child.scrapers; i++)
        (void)eventfd_write(HERITAGE_WAKE_OF(i), 1); /* they look by themselves, too, if it fails */
}

/* Readers may still be in the old half; it is overwritten only once none of them is. */
static bool readers_have_moved_on(const struct discovery *discovery)
{
    uint64_t generation = targets_writer_generation(&discovery->table);
    for (uint32_t i = 0; i < discovery->child.scrapers; i++) {
        const struct shm_slot *slot = control_slot(&discovery->control, SHM_SLOT_SCRAPER(i));
        uint64_t seen = atomic_load_explicit(&slot->targets_generation, memory_order_acquire);
        uint32_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (state == SHM_STATE_READY && seen < generation)
            return false;
    }
    return true;
}

static void write_table(struct discovery *discovery)
{
    bool first = !discovery->wrote_first;
    int err = sync_write(&discovery->sync, !first);
    if (err != 0) {
        log_error(MSG("cannot write the target table; the old one stays in force"),
                  STR("err", err == ERR_FULL ? "it is larger than its segment" : err_text(err)));
        want_table(discovery, RETRY_NS);
        return;
    }
    discovery->wrote_first = true;
    discovery->trim_wanted = true;
    wake_scrapers(discovery);
    log_info(MSG("target table written"),
             INT("targets", slot_get(discovery->child.slot, COUNTER_TARGETS)),
             INT("generation", targets_writer_generation(&discovery->table)));
}

static void on_write_due(struct loop_timer *timer)
{
    struct discovery *discovery = OWNER(timer, write_due);
    if (!discovery->wrote_first || readers_have_moved_on(discovery))
        write_table(discovery);
    else
        want_table(discovery, GATHER_NS);
}

static void on_names(struct loop_op *op, int result)
{
    struct discovery *discovery = OWNER(op, names);
    if (result == -ECANCELED)
        return;
    bool changed = resolver_collect(discovery->resolver);
    slot_set(discovery->child.slot, COUNTER_RESOLVE_FAILURES,
             resolver_failures(discovery->resolver));
    bool all_known = resolver_pending(discovery->resolver) == 0;
    if (changed && (discovery->wrote_first || all_known))
        want_table(discovery, discovery->wrote_first ? GATHER_NS : 0);
    loop_poll_readable(discovery->loop, op, resolver_fd(discovery->resolver));
}

static void on_files(struct loop_op *op, int result)
{
    struct discovery *discovery = OWNER(op, files);
    _Alignas(struct inotify_event) char events[4096];
    if (result == -ECANCELED)
        return;
    while (read(discovery->inotify_fd, events, sizeof(events)) > 0) {
        /* Which file it was does not matter: reading an unchanged one is cheap. */
    }
    /* A directory that was made anew wants a new watch. */
    sync_watch(&discovery->sync, discovery->inotify_fd);
    if (sync_refresh(&discovery->sync, true, loop_now(discovery->loop))) {
        (void)sync_resolve(&discovery->sync);
        want_table(discovery, GATHER_NS);
    }
    loop_poll_readable(discovery->loop, op, discovery->inotify_fd);
}

static void on_tick(struct loop_timer *timer)
{
    struct discovery *discovery = OWNER(timer, tick);
    int64_t now = loop_now(discovery->loop);
    if (sync_next_refresh(&discovery->sync) <= now &&
        sync_refresh(&discovery->sync, false, now)) {
        (void)sync_resolve(&discovery->sync);
        want_table(discovery, GATHER_NS);
    }
    resolver_refresh(discovery->resolver, now);
    if (discovery->trim_wanted && readers_have_moved_on(discovery)) {
        targets_writer_trim(&discovery->table);
        resolver_sweep(discovery->resolver);
        discovery->trim_wanted = false;
    }
    loop_timer_set(discovery->loop, timer, now + TICK_NS);
}

static void on_orders(struct loop_op *op, int result)
{
    struct discovery *discovery = OWNER(op, orders);
    if (result == -ECANCELED)
        return;
    enum child_order order;
    while ((order = child_take_order(&discovery->child, NULL)) != CHILD_ORDER_NONE) {
        /* Nothing is in flight here: whatever ends it, it can leave at once. */
        discovery->leaving = true;
        if (order == CHILD_ORDER_ORPHANED)
            return;
    }
    loop_poll_readable(discovery->loop, op, HERITAGE_SUPERVISION);
}

static int attach(struct discovery *discovery, struct errctx *why)
{
    const struct loop_options options = {
        .backend = LOOP_BACKEND_EPOLL, .entries = 64, .buffers = 1, .buffer_size = 4096};
    int err = config_thaw(HERITAGE_CONFIG, &discovery->config, why);
    if (err == 0)
        err = control_attach(&discovery->control, HERITAGE_CONTROL, false, why);
    if (err == 0)
        err = targets_writer_attach(&discovery->table, HERITAGE_TARGETS, why);
    if (err == 0)
        err = resolver_new(&discovery->resolver, why);
    if (err == 0)
        err = loop_new(&options, &discovery->loop, why);
    if (err != 0)
        return err;
    discovery->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (discovery->inotify_fd < 0)
        return err_set(why, -errno, "cannot watch files (fs.inotify.max_user_instances?): %s",
                       strerror(errno));
    return 0;
}

static void start(struct discovery *discovery)
{
    char host_name[256] = "";
    (void)gethostname(host_name, sizeof(host_name) - 1);
    sync_init(&discovery->sync, discovery->config, discovery->resolver, &discovery->table,
              discovery->child.slot, discovery->child.scrapers, host_name);
    discovery->orders.done = on_orders;
    discovery->files.done = on_files;
    discovery->names.done = on_names;
    discovery->tick.expired = on_tick;
    discovery->write_due.expired = on_write_due;
    loop_poll_readable(discovery->loop, &discovery->orders, HERITAGE_SUPERVISION);
    loop_poll_readable(discovery->loop, &discovery->files, discovery->inotify_fd);
    loop_poll_readable(discovery->loop, &discovery->names, resolver_fd(discovery->resolver));
    sync_watch(&discovery->sync, discovery->inotify_fd);
    (void)sync_refresh(&discovery->sync, true, loop_now(discovery->loop));
    int missing = sync_resolve(&discovery->sync);
    want_table(discovery, missing == 0 ? 0 : FIRST_TABLE_WAIT_NS);
    loop_timer_set(discovery->loop, &discovery->tick, loop_now(discovery->loop) + TICK_NS);
}

static int run(struct discovery *discovery)
{
    while (!discovery->leaving) {
        int err = loop_run_once(discovery->loop, -1);
        if (err != 0)
            return err;
        child_progress(&discovery->child);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct discovery discovery;
    struct errctx why;
    int err = child_start(&discovery.child, CHILD_ROLE_DISCOVERY, argc, argv, &why);
    if (err == 0)
        err = attach(&discovery, &why);
    if (err != 0)
        return child_fail(err, &why);
    start(&discovery);
    child_ready(&discovery.child);
    err = run(&discovery);
    if (err != 0) {
        err_set(&why, err, "the event loop failed: %s", err_text(err));
        return child_fail(err, &why);
    }
    return child_leave(&discovery.child);
}
