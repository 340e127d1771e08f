/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/takeover.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "scrapers/scraper.h"
#include "scrapers/target.h"

#define LOOK_NS      (2 * NS_PER_MS) /* between two looks at what is waited for, at first */
#define LOOK_LATE_NS (50 * NS_PER_MS)
#define SOON_NS      NS_PER_S        /* at first */
#define WORK_NS      (2 * NS_PER_MS) /* of copying in a turn */
#define FORGET_NS    (300 * NS_PER_S)

static void on_timer(struct loop_timer *timer);

void takeover_init(struct scraper *scraper)
{
    scraper->takeover = (struct takeover){
        .scraper = scraper, .timer.expired = on_timer, .copies.store = &scraper->store};
    left_behind_begin(scraper);
}

/* ---- peers ---- */

uint32_t takeover_living(const struct scraper *scraper)
{
    uint64_t count =
        scraper->supervisor == NULL
            ? 0
            : atomic_load_explicit(&scraper->supervisor->scrapers, memory_order_acquire);
    return count < SHM_MAX_SCRAPERS ? (uint32_t)count : SHM_MAX_SCRAPERS;
}

static bool has_segments(const struct scraper *scraper, uint32_t index)
{
    int ring;
    int series;
    return scraper->peers->segments(scraper->peers->context, index, &ring, &series);
}

static uint64_t taken_by(const struct shm_slot *slot)
{
    return atomic_load_explicit(&slot->targets_generation, memory_order_acquire);
}

static uint64_t settled_by(const struct shm_slot *slot)
{
    return atomic_load_explicit(&slot->settled_generation, memory_order_acquire);
}

static bool never_started(const struct shm_slot *slot)
{
    return atomic_load_explicit(&slot->state, memory_order_acquire) == SHM_STATE_NONE;
}

/*
 * Whether all others know the table: from then on nothing new comes to be there of what is this
 * scraper's.
 */
static bool all_have_taken(const struct scraper *scraper)
{
    for (uint32_t i = 0; scraper->peers != NULL && i < takeover_living(scraper); i++) {
        const struct shm_slot *slot = scraper->peers->slot(scraper->peers->context, i);
        if (i == scraper->index || never_started(slot))
            continue;
        if (taken_by(slot) < scraper->targets.generation || !has_segments(scraper, i))
            return false;
    }
    return true;
}

/* Whether all others have what is theirs. */
static bool all_have_settled(const struct scraper *scraper)
{
    for (uint32_t i = 0; scraper->peers != NULL && i < takeover_living(scraper); i++) {
        const struct shm_slot *slot = scraper->peers->slot(scraper->peers->context, i);
        if (i != scraper->index && settled_by(slot) < scraper->targets.generation)
            return false;
    }
    return true;
}

struct series_peer *takeover_peer(struct scraper *scraper, uint32_t index)
{
    struct series_peer **peer = &scraper->takeover.peers[index];
    struct errctx why;
    int ring;
    int series;
    if (*peer != NULL || scraper->peers == NULL || index == scraper->index ||
        !scraper->peers->segments(scraper->peers->context, index, &ring, &series))
        return *peer;
    *peer = malloc(sizeof(**peer));
    check(*peer != NULL);
    if (series_peer_attach(*peer, ring, series, index, &why) == 0)
        return *peer;
    log_warn(MSG("cannot look at the series of another scraper"), INT("scraper", index),
             STR("err", why.text));
    free(*peer);
    *peer = NULL;
    return NULL;
}

static void detach_peers(struct takeover *takeover)
{
    copies_end(&takeover->copies);
    for (uint32_t i = 0; i < SHM_MAX_SCRAPERS; i++) {
        if (takeover->peers[i] != NULL)
            series_peer_detach(takeover->peers[i]);
        free(takeover->peers[i]);
        takeover->peers[i] = NULL;
    }
    takeover->searched = 0;
}

static void detach_unused_peers(struct takeover *takeover)
{
    if (takeover->arriving == 0 && !left_behind_is_under_way(takeover->scraper))
        detach_peers(takeover);
}

void takeover_fini(struct scraper *scraper)
{
    uint32_t budget = UINT32_MAX;
    detach_peers(&scraper->takeover);
    bool done = copies_release(&scraper->takeover.copies, &budget);
    check(done);
    left_behind_end(scraper);
    loop_timer_clear(scraper->loop, &scraper->takeover.timer);
}

/* ---- searching ---- */

struct search {
    struct scraper *scraper;
    struct series_peer *peer;
    enum target_life life; /* of the targets that are searched for */
};

static uint32_t own_seq(const struct target *target)
{
    return target->ref == 0 ? 0
                            : series_target_state(&target->scraper->store, target->ref).scrape_seq;
}

/* A state is better than none, a later one than an earlier; one that may still come is awaited. */
static void look_at_record(void *context, uint64_t target_id, uint32_t ref)
{
    const struct search *search = context;
    struct target *target = target_set_find(&search->scraper->targets, target_id);
    struct series_peer_target theirs;
    struct series_peer_target best = {.scrape_seq = 0};
    if (target == NULL || target->life != search->life ||
        !series_peer_target(search->peer, ref, target_id, &theirs))
        return;
    bool has_best = target->from != NULL &&
                    series_peer_target(target->from, target->from_ref, target_id, &best);
    uint32_t least = has_best ? best.scrape_seq : own_seq(target);
    bool may_come =
        !has_best && !theirs.released && search->peer->index < takeover_living(search->scraper);
    if (theirs.scrape_seq > least || may_come) {
        target->from = search->peer;
        target->from_ref = ref;
    }
}

static void forget_source(struct target *target)
{
    target->from = NULL;
    target->from_ref = 0;
}

/* Finds out for all targets of this life where else their state is. */
static void search_peers(struct scraper *scraper, enum target_life life)
{
    struct search search = {scraper, NULL, life};
    target_set_each(&scraper->targets, forget_source);
    for (uint32_t i = 0; i < SHM_MAX_SCRAPERS; i++) {
        search.peer = takeover_peer(scraper, i);
        if (search.peer != NULL)
            series_peer_each(search.peer, look_at_record, &search);
    }
}

/* ---- copying ---- */

/* The peer's state of the target becomes this scraper's. What is known of families is learnt anew.
 */
static int adopt(struct target *target, const struct series_peer_target *theirs)
{
    struct scraper *scraper = target->scraper;
    struct takeover *takeover = &scraper->takeover;
    struct series_state state = {.timestamp_ms = theirs->timestamp_ms,
                                 .scrape_seq = theirs->scrape_seq + 1,
                                 .flags = theirs->flags};
    int err = copies_layout(&takeover->copies, target->from, theirs->layout_ref,
                            theirs->layout_generation, &takeover->budget, &state.layout);
    takeover->under_way = err == COPIES_MORE ? target : NULL;
    if (err != 0)
        return err;
    err = copies_stamped(&takeover->copies, target->from, theirs->stamped_ref,
                         theirs->stamped_generation, &state.stamped);
    if (err != 0) {
        series_release_optional(&scraper->store, state.layout);
        return err;
    }
    err = commit_takeover(&scraper->commit, target->ref, &state, target->from->index, theirs->pos);
    if (err == 0)
        slot_add(scraper->slot, COUNTER_TAKEOVERS, 1);
    return err;
}

/* ---- arriving ---- */

bool takeover_is_due(const struct scraper *scraper)
{
    return scraper->peers != NULL && settled_by(scraper->slot) < scraper->targets.generation;
}

void takeover_expect(struct target *target)
{
    target->life = TARGET_ARRIVING;
    target->from = NULL;
    target->scraper->takeover.arriving++;
    target->scraper->takeover.searched = 0;
}

void takeover_forget(const struct target *target)
{
    struct takeover *takeover = &target->scraper->takeover;
    takeover->arriving -= target->life == TARGET_ARRIVING;
    takeover->released -= target->life == TARGET_RELEASED;
    if (takeover->under_way != target)
        return;
    copies_give_up(&takeover->copies);
    takeover->under_way = NULL;
}

static void arrive(struct target *target)
{
    takeover_forget(target);
    series_target_release(&target->scraper->store, target->ref, false);
    target_note_series(target);
    target->from = NULL;
    target_set_activate(target);
}

/* True: the former owner will write no more of it. */
static bool is_free(const struct target *target, const struct series_peer_target *theirs)
{
    return theirs->released || target->from->index >= takeover_living(target->scraper);
}

static void take_over(struct target *target)
{
    struct scraper *scraper = target->scraper;
    struct takeover *takeover = &scraper->takeover;
    struct series_peer_target theirs;
    if (target->life != TARGET_ARRIVING || target->from != takeover->source || takeover->has_more)
        return;
    if (takeover->under_way != NULL && takeover->under_way != target)
        return;
    if (target->ref == 0) {
        target_set_retry(&scraper->targets);
        return;
    }
    int err = 0;
    atomic_store_explicit(&scraper->slot->working_on, target->id, memory_order_relaxed);
    if (target->from != NULL &&
        series_peer_target(target->from, target->from_ref, target->id, &theirs)) {
        if (!is_free(target, &theirs))
            return;
        if (theirs.scrape_seq > own_seq(target))
            err = adopt(target, &theirs);
    }
    if (err == COPIES_MORE) {
        takeover->has_more = true;
        return;
    }
    if (err == ERR_CORRUPT) {
        slot_add(scraper->slot, COUNTER_TABLE_DAMAGED, 1);
        log_error(MSG("what another scraper knew of a target is damaged; it begins anew"),
                  INT("scraper", target->from->index));
        err = 0;
    }
    if (err == 0)
        arrive(target);
    takeover->has_more = clock_mono_ns() > takeover->work_until_ns;
}

static void take_over_some(struct scraper *scraper)
{
    struct takeover *takeover = &scraper->takeover;
    if (!all_have_taken(scraper))
        return;
    if (takeover->searched != scraper->targets.generation)
        search_peers(scraper, TARGET_ARRIVING);
    takeover->searched = scraper->targets.generation;
    takeover->budget = TAKEOVER_LINES;
    takeover->has_more = false;
    takeover->source = NULL; /* those that are nowhere else; then one source after another */
    target_set_each(&scraper->targets, take_over);
    for (uint32_t i = 0; i < SHM_MAX_SCRAPERS; i++) {
        takeover->source = takeover->peers[i];
        if (takeover->source != NULL)
            target_set_each(&scraper->targets, take_over);
    }
    atomic_store_explicit(&scraper->slot->working_on, 0, memory_order_relaxed);
    schedule_settle(&scraper->schedule);
}

/* What others wait for before they forget the targets that have moved here. */
static void tell_settled(struct scraper *scraper)
{
    struct takeover *takeover = &scraper->takeover;
    if (takeover->arriving > 0 || !left_behind_take(scraper, takeover->work_until_ns) ||
        takeover->arriving > 0)
        return;
    /* release; pairs with settled_by: all takeovers are published */
    atomic_store_explicit(&scraper->slot->settled_generation, scraper->targets.generation,
                          memory_order_release);
    CRASHPOINT("scraper.settled");
}

/* ---- released ---- */

static void let_go(struct target *target)
{
    series_target_release(&target->scraper->store, target->ref, true);
    CRASHPOINT("scraper.released");
}

void takeover_release(struct target *target)
{
    struct scraper *scraper = target->scraper;
    target->seen = scraper->targets.generation;
    if (target->life == TARGET_RELEASED)
        return;
    takeover_forget(target);
    loop_timer_clear(scraper->loop, &target->departure);
    target->pending_due_ns = 0;
    target->life = TARGET_RELEASED;
    scraper->takeover.released++;
    slot_add(scraper->slot, COUNTER_RELEASES, 1);
    if (target->scrape == NULL)
        let_go(target);
}

void takeover_scrape_ended(struct target *target)
{
    let_go(target);
}

static void drop(struct target *target)
{
    series_target_drop(&target->scraper->store, target->ref);
    CRASHPOINT("scraper.released_dropped");
    target_set_forget(target);
}

/* In the table it has another owner, who has it; or it is nobody's any more. */
static void drop_if_taken(struct target *target)
{
    const struct scraper *scraper = target->scraper;
    if (target->life == TARGET_RELEASED && target->scrape == NULL &&
        (target->seen == scraper->targets.generation || own_seq(target) == 0))
        drop(target);
}

bool takeover_is_forgotten(const struct scraper *scraper, int64_t timestamp_ms, int64_t interval_ns)
{
    return scraper->schedule.wall_now() - timestamp_ms * NS_PER_MS > FORGET_NS + interval_ns;
}

static bool is_forgotten(const struct target *target)
{
    const struct scraper *scraper = target->scraper;
    return takeover_is_forgotten(scraper,
                                 series_target_state(&scraper->store, target->ref).timestamp_ms,
                                 target->tick.interval_ns);
}

/*
 * It has left the table before anyone took it over, or after: the one who knows most of it writes
 * its markers.
 */
static void depart_if_unwanted(struct target *target)
{
    if (target->life != TARGET_RELEASED || target->scrape != NULL)
        return;
    if (target->from != NULL || is_forgotten(target))
        drop(target);
    else
        target_set_depart(target);
}

static void drop_released(struct scraper *scraper)
{
    if (!all_have_settled(scraper) || scraper->takeover.arriving > 0)
        return;
    target_set_each(&scraper->targets, drop_if_taken);
    if (scraper->takeover.released == 0)
        return;
    search_peers(scraper, TARGET_RELEASED);
    target_set_each(&scraper->targets, depart_if_unwanted);
}

/* ---- time ---- */

static void arm(struct scraper *scraper)
{
    struct takeover *takeover = &scraper->takeover;
    int64_t now_ns = loop_now(scraper->loop);
    bool is_soon =
        takeover->arriving > 0 && (takeover->has_more || now_ns - takeover->began_ns < SOON_NS);
    bool has_work = copies_are_held(&takeover->copies) || left_behind_is_under_way(scraper);
    if (takeover->arriving + takeover->released == 0 && !takeover_is_due(scraper) && !has_work)
        return;
    is_soon |= has_work;
    loop_timer_set(scraper->loop, &takeover->timer, now_ns + (is_soon ? LOOK_NS : LOOK_LATE_NS));
}

static void on_timer(struct loop_timer *timer)
{
    struct takeover *takeover =
        (struct takeover *)(void *)((char *)timer - offsetof(struct takeover, timer));
    struct scraper *scraper = takeover->scraper;
    if (scraper->stopping)
        return;
    takeover->work_until_ns = clock_mono_ns() + WORK_NS;
    if (takeover->arriving > 0)
        take_over_some(scraper);
    if (!scraper->targets.is_torn) {
        tell_settled(scraper);
        if (takeover->released > 0)
            drop_released(scraper);
    }
    detach_unused_peers(takeover);
    uint32_t budget = TAKEOVER_LINES;
    copies_release(&takeover->copies, &budget);
    arm(scraper);
}

void takeover_table_taken(struct scraper *scraper)
{
    struct takeover *takeover = &scraper->takeover;
    takeover->began_ns = loop_now(scraper->loop);
    takeover->work_until_ns = clock_mono_ns() + WORK_NS;
    tell_settled(scraper);
    detach_unused_peers(takeover);
    arm(scraper);
}
