/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limpet-discovery: where the targets are. Its life: it reads the configuration it has inherited,
 * takes over the addresses that its predecessor's table has, asks for the names that are new, waits
 * a moment for the answers, writes the target table and wakes the scrapers. Then it sleeps until a
 * watched directory changes, a refresh is due, or a name has another address, and writes the table
 * again. Its death leaves the last table in force.
 */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "child/beat.h"
#include "child/child.h"
#include "config/freeze.h"
#include "discovery/allocator.h"
#include "discovery/locality.h"
#include "discovery/provision.h"
#include "discovery/remotes.h"
#include "discovery/sharding.h"
#include "discovery/sync.h"
#include "discovery/watch.h"
#include "loop/loop.h"
#include "shm/costs.h"

#define FIRST_TABLE_WAIT_NS (1 * NS_PER_S)    /* for new names, before the first table is written */
#define GATHER_NS           (100 * NS_PER_MS) /* changes within this time make one new table */

/* Sources that change all the time get a table as often as it takes this share of the time. */
#define TABLE_SHARE   20
#define GATHER_MAX_NS (5 * NS_PER_S)

/*
 * So often targets may move to other scrapers; the first time when all children have the
 * configuration in force.
 */
#define BALANCE_NS       (5 * NS_PER_S)
#define BALANCE_FIRST_NS (10 * NS_PER_S)

#define READERS_WAIT_NS (1 * NS_PER_S) /* for scrapers to let go of the former table */
#define RETRY_NS        (1 * NS_PER_S)
#define TICK_NS         (500 * NS_PER_MS) /* so often things are due, if there are any */

/*
 * Who replaces a file takes more than one step, between which it may be missing or half written;
 * and somebody may write to the directory all the time.
 */
#define FILES_SETTLE_NS (50 * NS_PER_MS)
#define FILES_SPACE_NS  (400 * NS_PER_MS)

struct discovery {
    struct child child;
    struct config *config;
    struct loop *loop;
    struct resolver *resolver;
    struct targets_writer table;
    struct targets_reader former; /* the same table, as it is in force */
    struct sharding sharding;
    struct locality locality;
    struct source_host host;
    struct sync sync;
    struct remotes remotes;
    struct provision *provision;
    struct allocator *allocator; /* NULL: none is configured */
    struct watches watches;
    struct loop_op orders;
    struct loop_op files;
    struct loop_op names;
    struct loop_timer tick;
    struct loop_timer files_due; /* set while files are to be read again */
    struct loop_timer write_due; /* set while a new table is wanted */
    bool changed;                /* some source has, in this turn of the loop */
    int64_t files_read_at;
    int64_t written_at;
    int64_t table_took_ns;
    int64_t balance_at;
    uint64_t name_failures; /* counted so far */
    bool wrote_first;
    bool write_failed; /* and the log has it */
    bool trim_wanted;  /* the old half of the table still has its memory */
    bool leaving;
};

#define OWNER(pointer, member)                                                                     \
    ((struct discovery *)(void *)((char *)(pointer)-offsetof(struct discovery, member)))

static void want_table(struct discovery *discovery, int64_t within_ns)
{
    /* Nothing but the first table may be wanted earlier than it was before. */
    if (!loop_timer_running(&discovery->write_due) || !discovery->wrote_first)
        loop_timer_set(discovery->loop, &discovery->write_due,
                       loop_now(discovery->loop) + within_ns);
}

static void wake_scrapers(const struct discovery *discovery)
{
    for (uint32_t i = 0; i < discovery->child.scrapers; i++)
        (void)eventfd_write(HERITAGE_WAKE_OF(i), 1); /* they look by themselves, too, if it fails */
}

static bool readers_have_moved_on(const struct discovery *discovery)
{
    uint64_t generation = targets_writer_generation(&discovery->table);
    for (uint32_t i = 0; i < discovery->child.scrapers; i++) {
        const struct shm_slot *slot = control_slot(&discovery->child.control, SHM_SLOT_SCRAPER(i));
        uint64_t seen = atomic_load_explicit(&slot->targets_generation, memory_order_acquire);
        uint32_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (state == SHM_STATE_READY && seen < generation)
            return false;
    }
    return true;
}

/*
 * The half that is not in force is used only when no scraper reads it any more, which spares them
 * a second try. One that does not come, because it has died or hangs, is not waited for.
 */
static bool may_use_old_half(const struct discovery *discovery)
{
    return readers_have_moved_on(discovery) ||
           loop_now(discovery->loop) - discovery->written_at >= READERS_WAIT_NS;
}

static void complain(struct discovery *discovery, int err)
{
    if (!discovery->write_failed)
        log_error(MSG("cannot write the target table; the old one stays in force"),
                  STR("err", err == ERR_FULL ? "it is larger than its segment" : err_text(err)));
    discovery->write_failed = true;
}

static void send_supplies(struct discovery *discovery, enum provision_role role, uint32_t to)
{
    struct errctx why;
    int fd;
    if (!provision_is_needed(discovery->provision, role))
        return;
    int err = provision_seal(discovery->provision, role, &fd, &why);
    if (err == 0) {
        err = child_send_supplies(&discovery->child, to, fd);
        close(fd);
        if (err != 0)
            err_set(&why, err, "%s", err_text(err));
    }
    if (err != 0)
        log_error(MSG("cannot hand credentials on"), STR("err", why.text));
}

static void send_all_supplies(struct discovery *discovery)
{
    send_supplies(discovery, PROVISION_SCRAPERS, ROLE_SCRAPER);
    send_supplies(discovery, PROVISION_WRITER, ROLE_WRITER);
}

/* What https needs, for jobs that turn out to have such targets. */
static void supply_tls_to_jobs(struct discovery *discovery)
{
    bool news = false;
    for (size_t i = 0; i < discovery->sync.job_count; i++) {
        const struct sync_job *job = &discovery->sync.jobs[i];
        if (job->has_https &&
            provision_expect_https(discovery->provision, PROVISION_SCRAPERS, job->entry))
            news = true;
    }
    if (news)
        send_supplies(discovery, PROVISION_SCRAPERS, ROLE_SCRAPER);
}

/* Sent even if it is no news: it has not arrived where it was sent before. */
static void supply_tls(void *context, uint32_t role, uint64_t entry)
{
    struct discovery *discovery = context;
    enum provision_role set = role == ROLE_WRITER ? PROVISION_WRITER : PROVISION_SCRAPERS;
    (void)provision_expect_https(discovery->provision, set, entry);
    send_supplies(discovery, set, role);
}

/* What comes after a table is due soon, though nothing else may be. */
static void tick_soon(struct discovery *discovery)
{
    int64_t soon = discovery->written_at + TICK_NS;
    if (discovery->tick.at_ns > soon)
        loop_timer_set(discovery->loop, &discovery->tick, soon);
}

static void write_table(struct discovery *discovery)
{
    int64_t began_ns = clock_mono_ns();
    discovery->sync.expects_jobs =
        discovery->allocator != NULL && !allocator_is_synced(discovery->allocator);
    int err = sync_write(&discovery->sync);
    discovery->table_took_ns = clock_mono_ns() - began_ns;
    if (err != 0) {
        complain(discovery, err);
        want_table(discovery, RETRY_NS);
        return;
    }
    discovery->write_failed = false;
    discovery->wrote_first = true;
    discovery->trim_wanted = true;
    discovery->written_at = loop_now(discovery->loop);
    supply_tls_to_jobs(discovery);
    tick_soon(discovery);
    wake_scrapers(discovery);
    log_info(MSG("target table written"),
             INT("targets", slot_get(discovery->child.slot, COUNTER_TARGETS)),
             INT("generation", targets_writer_generation(&discovery->table)));
}

static void on_write_due(struct loop_timer *timer)
{
    struct discovery *discovery = OWNER(timer, write_due);
    if (may_use_old_half(discovery))
        write_table(discovery);
    else
        want_table(discovery, GATHER_NS);
}

static void count_name_failures(struct discovery *discovery)
{
    uint64_t failures = resolver_failures(discovery->resolver);
    slot_add(discovery->child.slot, COUNTER_RESOLVE_FAILURES, failures - discovery->name_failures);
    discovery->name_failures = failures;
}

static void on_names(struct loop_op *op, int result)
{
    struct discovery *discovery = OWNER(op, names);
    if (result == -ECANCELED)
        return;
    bool changed = resolver_collect(discovery->resolver);
    count_name_failures(discovery);
    remotes_update(&discovery->remotes);
    if (!discovery->wrote_first && resolver_pending(discovery->resolver) == 0)
        want_table(discovery, 0);
    else if (discovery->wrote_first && changed)
        want_table(discovery, GATHER_NS);
    loop_poll_readable(discovery->loop, op, resolver_fd(discovery->resolver));
}

static void on_change(struct source_host *host)
{
    struct discovery *discovery = OWNER(host, host);
    discovery->changed = true;
}

static int64_t gather_for(const struct discovery *discovery)
{
    int64_t space_ns = TABLE_SHARE * discovery->table_took_ns;
    if (space_ns > GATHER_MAX_NS)
        space_ns = GATHER_MAX_NS;
    int64_t left_ns = discovery->written_at + space_ns - loop_now(discovery->loop);
    return left_ns > GATHER_NS ? left_ns : GATHER_NS;
}

/*
 * After whatever may have changed sources: asks for new names, and for a table with both. One that
 * is under way will have the change.
 */
static void take_changes(struct discovery *discovery)
{
    if (!discovery->changed)
        return;
    discovery->changed = false;
    if (loop_timer_running(&discovery->write_due))
        return;
    (void)sync_resolve(&discovery->sync);
    want_table(discovery, gather_for(discovery));
}

static void read_files(struct discovery *discovery)
{
    int64_t now = loop_now(discovery->loop);
    discovery->files_read_at = now;
    sync_poll(&discovery->sync, now, true);
}

static void want_files(struct discovery *discovery)
{
    int64_t soon = loop_now(discovery->loop) + FILES_SETTLE_NS;
    int64_t spaced = discovery->files_read_at + FILES_SPACE_NS;
    if (!loop_timer_running(&discovery->files_due))
        loop_timer_set(discovery->loop, &discovery->files_due, soon > spaced ? soon : spaced);
}

static void on_files_due(struct loop_timer *timer)
{
    struct discovery *discovery = OWNER(timer, files_due);
    read_files(discovery);
}

static void on_files(struct loop_op *op, int result)
{
    struct discovery *discovery = OWNER(op, files);
    if (result == -ECANCELED)
        return;
    watches_drain(&discovery->watches);
    want_files(discovery);
    loop_poll_readable(discovery->loop, op, discovery->watches.fd);
}

/* The newest table of which all scrapers have what is theirs. */
static uint64_t settled_generation(const struct discovery *discovery, uint64_t *ret_available)
{
    uint64_t settled = UINT64_MAX;
    *ret_available = 0;
    for (uint32_t i = 0; i < discovery->child.scrapers; i++) {
        const struct shm_slot *slot = control_slot(&discovery->child.control, SHM_SLOT_SCRAPER(i));
        uint64_t has = atomic_load_explicit(&slot->settled_generation, memory_order_acquire);
        if (atomic_load_explicit(&slot->state, memory_order_acquire) == SHM_STATE_READY)
            *ret_available |= UINT64_C(1) << i;
        settled = has < settled ? has : settled;
    }
    return settled;
}

static void note_cost(void *context, uint64_t target_id, uint64_t cost_ns)
{
    owners_note_cost(context, target_id, cost_ns);
}

/* Lets targets move, when those that have moved before have arrived. */
static void share_out(struct discovery *discovery, int64_t now)
{
    struct owners *owners = &discovery->sync.owners;
    uint64_t available;
    uint64_t settled = settled_generation(discovery, &available);
    bool wants_table = owners_settled(owners, settled);
    if (discovery->child.scrapers > 1 && now >= discovery->balance_at) {
        discovery->balance_at = now + BALANCE_NS;
        for (uint32_t i = 0; i < discovery->child.scrapers; i++)
            costs_read(HERITAGE_RING(i), note_cost, owners);
        wants_table |= owners_balance(owners, available);
    }
    if (wants_table && discovery->wrote_first)
        want_table(discovery, GATHER_NS);
}

/* Scrapers first: they can do nothing with targets of jobs that they do not know. */
static void on_jobs(void *context)
{
    struct discovery *discovery = context;
    struct supplied_list jobs = allocator_list(discovery->allocator);
    provision_take_jobs(discovery->provision, jobs);
    sync_take_jobs(&discovery->sync, jobs);
    send_supplies(discovery, PROVISION_SCRAPERS, ROLE_SCRAPER);
    discovery->changed = true;
}

/* What holds for the allocator's jobs from moment to moment. */
static void tend_allocator(struct discovery *discovery, int64_t now)
{
    if (discovery->allocator == NULL)
        return;
    struct supplied_list jobs = allocator_list(discovery->allocator);
    for (size_t i = 0; i < jobs.len; i++)
        remotes_ask_proxies(&discovery->remotes, &jobs.items[i].job->http.proxy, now);
}

/* Nothing is due that could not wait for the next sign of life. */
static bool may_rest(const struct discovery *discovery)
{
    return discovery->wrote_first && !discovery->trim_wanted && discovery->allocator == NULL &&
           discovery->child.scrapers == 1 && resolver_pending(discovery->resolver) == 0 &&
           provision_is_patient(discovery->provision) &&
           sources_are_patient(&discovery->sync.sources);
}

static void on_tick(struct loop_timer *timer)
{
    struct discovery *discovery = OWNER(timer, tick);
    int64_t now = loop_now(discovery->loop);
    if (watches_renew(&discovery->watches))
        want_files(discovery);
    if (provision_poll(discovery->provision)) {
        log_info(MSG("credentials or certificates have changed"));
        send_all_supplies(discovery);
    }
    sync_poll(&discovery->sync, now, false);
    remotes_sweep(&discovery->remotes, now);
    tend_allocator(discovery, now);
    remotes_update(&discovery->remotes);
    share_out(discovery, now);
    if (resolver_refresh(discovery->resolver, now) && discovery->wrote_first)
        want_table(discovery, GATHER_NS);
    if (discovery->trim_wanted && may_use_old_half(discovery)) {
        targets_writer_trim(&discovery->table);
        resolver_sweep(discovery->resolver);
        /* Files and tables are large for a moment and small afterwards. */
        malloc_trim(0);
        discovery->trim_wanted = false;
    }
    loop_timer_set(discovery->loop, timer, may_rest(discovery) ? beat_after(now) : now + TICK_NS);
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

static void look_up(void *context, struct slice host)
{
    struct discovery *discovery = context;
    if (!remotes_ask(&discovery->remotes, host, loop_now(discovery->loop)))
        slot_add(discovery->child.slot, COUNTER_NAMES_REFUSED, 1);
}

static int attach(struct discovery *discovery, struct errctx *why)
{
    const struct loop_options options = {
        .backend = LOOP_BACKEND_EPOLL, .entries = 64, .buffer_size = 16384};
    int err = config_thaw(HERITAGE_CONFIG, &discovery->config, why);
    if (err == 0)
        err = targets_writer_attach(&discovery->table, HERITAGE_TARGETS, why);
    if (err == 0)
        err = targets_reader_attach(&discovery->former, HERITAGE_TARGETS, why);
    if (err == 0)
        err = resolver_new(&discovery->resolver, why);
    if (err == 0)
        err = remotes_init(&discovery->remotes, discovery->config, discovery->resolver,
                           HERITAGE_TARGETS, why);
    if (err == 0)
        err = loop_new(&options, &discovery->loop, why);
    if (err == 0)
        err = watches_open(&discovery->watches, why);
    return err;
}

static void listen_to_all(struct discovery *discovery)
{
    discovery->child.errands =
        (struct child_errands){.look_up = look_up, .supply_tls = supply_tls, .context = discovery};
    discovery->orders.done = on_orders;
    discovery->files.done = on_files;
    discovery->names.done = on_names;
    discovery->tick.expired = on_tick;
    discovery->files_due.expired = on_files_due;
    discovery->write_due.expired = on_write_due;
    loop_poll_readable(discovery->loop, &discovery->orders, HERITAGE_SUPERVISION);
    loop_poll_readable(discovery->loop, &discovery->files, discovery->watches.fd);
    loop_poll_readable(discovery->loop, &discovery->names, resolver_fd(discovery->resolver));
    loop_timer_set(discovery->loop, &discovery->tick, loop_now(discovery->loop) + TICK_NS);
}

/* host_name must stay. */
static int find_shard(struct discovery *discovery, const char *host_name, struct errctx *reterr)
{
    static const char *const words[] = {[CONFIG_SHARD_NONE] = "none",
                                        [CONFIG_SHARD_NODE] = "node",
                                        [CONFIG_SHARD_NAMESPACE] = "namespace",
                                        [CONFIG_SHARD_HASH] = "hash"};
    const char *pod_name = getenv("POD_NAME");
    const struct sharding_environment environment = {getenv("NODE_NAME"),
                                                     pod_name != NULL ? pod_name : host_name};
    struct sharding *sharding = &discovery->sharding;
    const char *node = discovery->config->limpet.sharding.node;
    discovery->locality.node = node[0] != '\0' ? node : environment.node_name;
    int err = sharding_init(sharding, &discovery->config->limpet.sharding, &environment, reterr);
    if (err == 0 && sharding->by != CONFIG_SHARD_NONE)
        log_info(MSG("targets are shared out among instances"), STR("by", words[sharding->by]),
                 STR("node", sharding->node != NULL ? sharding->node : ""),
                 INT("shard", sharding->ordinal));
    return err;
}

static void recall(void *context, struct supplies *former)
{
    struct discovery *discovery = context;
    allocator_recall(discovery->allocator, former);
    supplies_free(former);
}

/* What the supervisor has of a predecessor is there from the start. */
static void recall_jobs(struct discovery *discovery)
{
    discovery->child.errands = (struct child_errands){.recall = recall, .context = discovery};
    discovery->leaving = child_take_order(&discovery->child, NULL) != CHILD_ORDER_NONE;
}

static int start_allocator(struct discovery *discovery, struct errctx *reterr)
{
    if (!discovery->config->limpet.target_allocator.given)
        return 0;
    int err = allocator_new(&discovery->host, discovery->config, on_jobs, discovery,
                            &discovery->allocator, reterr);
    if (err != 0)
        return err;
    recall_jobs(discovery);
    struct supplied_list jobs = allocator_list(discovery->allocator);
    provision_take_jobs(discovery->provision, jobs);
    sync_take_jobs(&discovery->sync, jobs);
    return 0;
}

static int start(struct discovery *discovery, struct errctx *reterr)
{
    static char host_name[256];
    (void)gethostname(host_name, sizeof(host_name) - 1);
    int err = find_shard(discovery, host_name, reterr);
    if (err != 0)
        return err;
    discovery->host = (struct source_host){.loop = discovery->loop,
                                           .resolver = discovery->resolver,
                                           .watches = &discovery->watches,
                                           .slot = discovery->child.slot,
                                           .node = discovery->sharding.node,
                                           .sharding = &discovery->sharding,
                                           .locality = &discovery->locality,
                                           .changed = on_change};
    err = sync_init(&discovery->sync, discovery->config, &discovery->host, &discovery->table,
                    &discovery->former, discovery->child.scrapers, host_name, reterr);
    if (err != 0)
        return err;
    discovery->provision = provision_new(discovery->config, &discovery->host);
    err = start_allocator(discovery, reterr);
    if (err != 0)
        return err;
    sync_recall(&discovery->sync);
    supply_tls_to_jobs(discovery);
    send_all_supplies(discovery);
    discovery->balance_at = loop_now(discovery->loop) + BALANCE_FIRST_NS;
    listen_to_all(discovery);
    /* Watched first and read then: no change is missed. */
    (void)watches_renew(&discovery->watches);
    read_files(discovery);
    discovery->changed = false;
    int missing = sync_resolve(&discovery->sync);
    want_table(discovery, missing == 0 ? 0 : FIRST_TABLE_WAIT_NS);
    return 0;
}

static int run(struct discovery *discovery)
{
    while (!discovery->leaving) {
        int err = loop_run_once(discovery->loop, -1);
        if (err != 0)
            return err;
        take_changes(discovery);
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
    if (err == 0)
        err = start(&discovery, &why);
    if (err != 0)
        return child_fail(err, &why);
    child_ready(&discovery.child);
    err = run(&discovery);
    if (err != 0) {
        err_set(&why, err, "the event loop failed: %s", err_text(err));
        return child_fail(err, &why);
    }
    return child_leave(&discovery.child);
}
