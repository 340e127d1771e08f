/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/target_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "scrapers/scrape.h"
#include "scrapers/scraper.h"
#include "scrapers/target.h"

#define BUCKETS_MIN 64u

/* After the room in ring or memory for the markers was missing. */
#define RETRY_NS NS_PER_S

/* ---- the set ---- */

void target_set_init(struct target_set *set)
{
    *set = (struct target_set){.mask = BUCKETS_MIN - 1};
    hash_key_make(&set->secret);
    set->buckets = calloc(BUCKETS_MIN, sizeof(*set->buckets));
    check(set->buckets != NULL);
}

void target_set_each(struct target_set *set, void (*visit)(struct target *target))
{
    for (uint32_t i = 0; i <= set->mask; i++) {
        for (struct target *target = set->buckets[i], *next; target != NULL; target = next) {
            next = target->next;
            visit(target);
        }
    }
}

void target_set_fini(struct target_set *set)
{
    target_set_each(set, target_free);
    free(set->buckets);
    free(set->labels);
    free(set->foreign);
}

/* Who chooses labels can choose ids, too, but not which of them share a bucket. */
static struct target **bucket_of(const struct target_set *set, uint64_t id)
{
    return &set->buckets[hash64_keyed(&id, sizeof(id), &set->secret) & set->mask];
}

struct target *target_set_find(const struct target_set *set, uint64_t id)
{
    struct target *target = *bucket_of(set, id);
    while (target != NULL && target->id != id)
        target = target->next;
    return target;
}

static void grow(struct target_set *set)
{
    struct target_set larger = *set;
    larger.mask = set->mask * 2 + 1;
    larger.buckets = calloc((size_t)larger.mask + 1, sizeof(*larger.buckets));
    check(larger.buckets != NULL);
    for (uint32_t i = 0; i <= set->mask; i++) {
        for (struct target *target = set->buckets[i], *next; target != NULL; target = next) {
            struct target **bucket = bucket_of(&larger, target->id);
            next = target->next;
            target->next = *bucket;
            *bucket = target;
        }
    }
    free(set->buckets);
    *set = larger;
}

static void add(struct target_set *set, struct target *target)
{
    if (set->count > set->mask)
        grow(set);
    struct target **bucket = bucket_of(set, target->id);
    target->next = *bucket;
    *bucket = target;
    set->count++;
}

static void take_out(struct target_set *set, struct target *target)
{
    struct target **link = bucket_of(set, target->id);
    while (*link != target)
        link = &(*link)->next;
    *link = target->next;
    set->count--;
}

static const struct label *labels_of(struct target_set *set, const struct target_view *view)
{
    if (set->label_room < view->label_count) {
        free(set->labels);
        set->labels = malloc(view->label_count * sizeof(*set->labels));
        check(set->labels != NULL);
        set->label_room = view->label_count;
    }
    return target_labels_decode(view, set->labels) == 0 ? set->labels : NULL;
}

/* ---- departures ---- */

/* An active target with the same labels, whose series are those of the departing one. */
static struct target *find_heir(const struct target_set *set, const struct target *departing)
{
    for (uint32_t i = 0; i <= set->mask; i++) {
        for (struct target *target = set->buckets[i]; target != NULL; target = target->next) {
            if (target != departing && target->life == TARGET_ACTIVE &&
                target->labels_key == departing->labels_key)
                return target;
        }
    }
    return NULL;
}

void target_set_forget(struct target *target)
{
    takeover_forget(target);
    take_out(&target->scraper->targets, target);
    target_free(target);
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void note_foreign(struct target_set *set, const struct target_view *view)
{
    const struct label *labels = labels_of(set, view);
    if (labels == NULL)
        return;
    if (set->foreign_count == set->foreign_room) {
        set->foreign_room = set->foreign_room == 0 ? 64 : set->foreign_room * 2;
        set->foreign = realloc(set->foreign, set->foreign_room * sizeof(*set->foreign));
        check(set->foreign != NULL);
    }
    set->foreign[set->foreign_count++] = target_labels_key(&set->secret, labels, view->label_count);
}

/* Whether another scraper has a target with the labels of the departing one. Found out once a
 * table. */
static bool has_foreign_heir(struct scraper *scraper, const struct target *departing)
{
    struct target_set *set = &scraper->targets;
    struct targets_cursor cursor;
    struct target_view view;
    if (scraper->scrapers == 1)
        return false;
    if (set->foreign_generation != set->generation &&
        targets_reader_open(&scraper->table, &cursor) == 0) {
        set->foreign_count = 0;
        set->foreign_generation = set->generation;
        while (targets_cursor_next(&cursor, &view) == 1) {
            if (view.owner != scraper->index)
                note_foreign(set, &view);
        }
        if (set->foreign_count > 0)
            qsort(set->foreign, set->foreign_count, sizeof(*set->foreign), compare_keys);
    }
    return set->foreign_count > 0 &&
           bsearch(&departing->labels_key, set->foreign, set->foreign_count, sizeof(*set->foreign),
                   compare_keys) != NULL;
}

/* To another instance: by an allocator that still has the job, or since the shares have changed. */
static bool may_have_moved(const struct target *target)
{
    return target->is_shared ||
           (target->supplied && (target->job == NULL || !target->job->retired));
}

/* 0, or why the markers could not be written now. */
static int mark_departed(struct scraper *scraper, struct target *target)
{
    const struct target *heir = find_heir(&scraper->targets, target);
    if (target->ref == 0)
        return 0;
    if (heir == NULL && has_foreign_heir(scraper, target)) {
        /* What that one serves is not known here, but most of it will be the same series. */
        series_target_drop(&scraper->store, target->ref);
        return 0;
    }
    int64_t markers = commit_departure(&scraper->commit, target->ref, heir == NULL ? 0 : heir->ref,
                                       target->departed_ms, may_have_moved(target));
    if (markers < 0)
        return (int)markers;
    slot_add(scraper->slot, COUNTER_STALE_MARKERS, (uint64_t)markers);
    slot_add(scraper->slot, COUNTER_SAMPLES_APPENDED, (uint64_t)markers);
    return 0;
}

static void on_departure(struct loop_timer *timer)
{
    struct target *target = TARGET_OF(timer, departure);
    struct scraper *scraper = target->scraper;
    if (scraper->stopping)
        return;
    if (target->scrape != NULL || mark_departed(scraper, target) != 0)
        loop_timer_set(scraper->loop, timer, loop_now(scraper->loop) + RETRY_NS);
    else
        target_set_forget(target);
}

/*
 * The time of the markers is the next tick; that they are written later gives it time to return.
 * One that may be another instance's now gets an interval more: an allocator may give it back when
 * it has made up its mind. If it is the other's, that one has been there by then, and receivers
 * refuse what is older; those that take it should have the markers before the other's first sample,
 * so their time is that of the last one here.
 */
static void depart_at(struct target *target, int64_t next_ns, int64_t interval_ns)
{
    struct scraper *scraper = target->scraper;
    int64_t patience_ns = may_have_moved(target) ? interval_ns : 0;
    int64_t wait_ns =
        next_ns - scraper->schedule.wall_now() + interval_ns + interval_ns / 10 + patience_ns;
    target->life = TARGET_DEPARTING;
    target->departed_ms = clock_ms_of_ns(next_ns);
    if (may_have_moved(target) && target->ref != 0)
        target->departed_ms = series_target_state(&scraper->store, target->ref).timestamp_ms + 1;
    target->departure.expired = on_departure;
    loop_timer_set(scraper->loop, &target->departure, loop_now(scraper->loop) + wait_ns);
}

static void depart(struct target *target)
{
    struct schedule *schedule = &target->scraper->schedule;
    int64_t next_ns = schedule_next(schedule, &target->tick);
    schedule_remove(schedule, &target->tick);
    target->pending_due_ns = 0;
    target->scraper->targets.active--;
    depart_at(target, next_ns, target->tick.interval_ns);
}

/* ---- a table ---- */

static void schedule_target(struct target *target)
{
    const struct scraper *scraper = target->scraper;
    int64_t last_ms = 0;
    if (target->ref != 0)
        last_ms = series_target_state(&scraper->store, target->ref).timestamp_ms;
    target->scraper->targets.active++;
    schedule_add(&target->scraper->schedule, &target->tick, last_ms * NS_PER_MS);
}

void target_set_activate(struct target *target)
{
    struct scraper *scraper = target->scraper;
    target->life = TARGET_ACTIVE;
    schedule_target(target);
    if (target->seen != scraper->targets.generation)
        depart(target);
}

/* It has not moved, or back before anybody took it over. */
static void take_back(struct target *target)
{
    if (target->ref != 0)
        series_target_release(&target->scraper->store, target->ref, false);
    schedule_target(target);
}

static bool add_target(struct scraper *scraper, const struct target_view *view)
{
    const struct label *labels = labels_of(&scraper->targets, view);
    struct target *target = labels == NULL ? NULL : target_new(scraper, view, labels);
    if (target == NULL)
        return false;
    add(&scraper->targets, target);
    target->seen = scraper->targets.generation;
    if ((view->flags & SHM_TARGET_MOVED) != 0 && takeover_is_due(scraper))
        takeover_expect(target);
    else
        take_back(target);
    return true;
}

static void stop_schedule(struct target *target)
{
    if (target->life != TARGET_ACTIVE)
        return;
    schedule_remove(&target->scraper->schedule, &target->tick);
    target->scraper->targets.active--;
}

/*
 * The table says something else of a target than before (a new address, say), or it is one of
 * which nothing but the record is known: it is made anew and takes over what it served. A scrape
 * that is running is given up and, by the schedule, made up for.
 */
static bool replace(struct scraper *scraper, struct target *old, const struct target_view *view)
{
    struct target_past past = old->past;
    old->past = (struct target_past){0};
    if (old->scrape != NULL)
        scrape_abandon(old->scrape);
    stop_schedule(old);
    target_set_forget(old);
    bool added = add_target(scraper, view);
    struct target *fresh = target_set_find(&scraper->targets, view->id);
    if (added && past.plan != NULL && fresh->context == past.plan->context)
        fresh->past = past;
    else
        target_past_forget(scraper, &past);
    return added;
}

static void keep_target(struct scraper *scraper, struct target *target,
                        const struct target_view *view)
{
    if (target->life == TARGET_DEPARTING) {
        loop_timer_clear(scraper->loop, &target->departure);
        target->life = TARGET_ACTIVE;
        schedule_target(target);
    }
    target->seen = scraper->targets.generation;
    if (target->ref != 0)
        return;
    const struct label *labels = labels_of(&scraper->targets, view);
    if (labels != NULL)
        target_record(target, labels, view->label_count);
}

/* The target is another scraper's now and goes on there; a scrape that is running is the last. */
static void hand_over(struct target *target)
{
    stop_schedule(target);
    if (target->ref != 0) {
        takeover_release(target);
        return;
    }
    if (target->scrape != NULL)
        scrape_abandon(target->scrape);
    target_set_forget(target);
}

struct target *target_set_add_left_behind(struct scraper *scraper, uint32_t ref)
{
    struct target *target = target_new_departing(scraper, ref);
    add(&scraper->targets, target);
    return target;
}

/* Another scraper's. What a predecessor knew of it, that one may have to take over still. */
static void take_foreign(struct scraper *scraper, uint64_t id)
{
    uint32_t ref = scraper->targets.has_taken ? 0 : series_target_find(&scraper->store, id);
    if (ref != 0)
        takeover_release(target_set_add_left_behind(scraper, ref));
}

/* A supplied job has come in place of the one that the target has. */
static bool has_another_job(const struct target *target, const struct target_view *view)
{
    const struct jobs *jobs = &target->scraper->jobs;
    const struct scraper_job *job = jobs->changed ? jobs_find(jobs, view->job) : NULL;
    return job != NULL && job != target->job;
}

static bool take_target(struct scraper *scraper, const struct target_view *view)
{
    struct target *target = target_set_find(&scraper->targets, view->id);
    bool is_ours = view->owner == scraper->index;
    /*
     * A job that is not known is one of a newer configuration, at a reload: what its targets are
     * owed (credentials, limits, rules) is known to the successor, who is on his way.
     */
    if (target == NULL && is_ours)
        return jobs_find(&scraper->jobs, view->job) == NULL || add_target(scraper, view);
    if (target == NULL)
        take_foreign(scraper, view->id);
    else if (!is_ours)
        hand_over(target);
    else if (target->life == TARGET_RELEASED || target->description != target_describe(view) ||
             has_another_job(target, view))
        return replace(scraper, target, view);
    else
        keep_target(scraper, target, view);
    return true;
}

static void depart_if_unseen(struct target *target)
{
    if (target->life == TARGET_ACTIVE && target->seen != target->scraper->targets.generation)
        depart(target);
}

static void find_left_behind(void *context, uint64_t target_id, uint32_t ref)
{
    struct scraper *scraper = context;
    if (target_set_find(&scraper->targets, target_id) != NULL)
        return;
    struct target *target = target_set_add_left_behind(scraper, ref);
    if (scraper->peers == NULL) {
        depart_at(target, scraper->schedule.wall_now(), target->tick.interval_ns);
        return;
    }
    /* Perhaps it has gone on elsewhere, and ended there. */
    takeover_release(target);
    target->seen = 0;
}

void target_set_depart(struct target *target)
{
    takeover_forget(target);
    series_target_release(&target->scraper->store, target->ref, false);
    depart_at(target, target->scraper->schedule.wall_now(), target->tick.interval_ns);
}

/* 0; ERR_CORRUPT: some of it could not be read; ERR_NOT_READY: it was replaced meanwhile. */
static int walk_table(struct scraper *scraper, struct targets_cursor *cursor)
{
    struct target_view view;
    bool all_taken = true;
    int more;
    schedule_forget_counts(&scraper->schedule);
    while ((more = targets_cursor_next(cursor, &view)) == 1) {
        /* What was read counts only if it was not being overwritten. */
        if (!targets_cursor_valid(&scraper->table, cursor))
            return ERR_NOT_READY;
        schedule_count(&scraper->schedule, view.interval_ms * NS_PER_MS);
        all_taken = take_target(scraper, &view) && all_taken;
        CRASHPOINT("scraper.table_half_taken");
    }
    if (!targets_cursor_valid(&scraper->table, cursor))
        return ERR_NOT_READY;
    return more == 0 && all_taken ? 0 : ERR_CORRUPT;
}

static void take_table(struct scraper *scraper, struct targets_cursor *cursor)
{
    struct target_set *set = &scraper->targets;
    set->generation = cursor->generation;
    int err = walk_table(scraper, cursor);
    set->is_torn = err == ERR_NOT_READY;
    if (set->is_torn) {
        schedule_settle(&scraper->schedule);
        return; /* again next time; nobody departs */
    }
    if (err != 0) {
        slot_add(scraper->slot, COUNTER_TABLE_DAMAGED, 1);
        log_error(MSG("the target table is damaged; what it has lost stays as it was"),
                  INT("generation", set->generation));
    } else {
        target_set_each(set, depart_if_unseen);
        if (!set->has_taken)
            series_targets_each(&scraper->store, find_left_behind, scraper);
        set->has_taken = true;
        takeover_table_taken(scraper);
        scraper->jobs.changed = false;
    }
    schedule_settle(&scraper->schedule);
    CRASHPOINT("scraper.table_taken");
    atomic_store_explicit(&scraper->slot->targets_generation, set->generation,
                          memory_order_release);
    log_debug(MSG("target table taken in"), INT("generation", set->generation),
              INT("targets", set->active));
}

void target_set_retry(struct target_set *set)
{
    set->wants_retry = true;
}

static bool is_retry_due(struct scraper *scraper)
{
    struct target_set *set = &scraper->targets;
    int64_t now_ns = loop_now(scraper->loop);
    if (!set->wants_retry || now_ns < set->retry_at_ns)
        return false;
    set->wants_retry = false;
    set->retry_at_ns = now_ns + RETRY_NS;
    return true;
}

void target_set_refresh(struct scraper *scraper)
{
    struct targets_cursor cursor;
    if (targets_reader_generation(&scraper->table) == scraper->targets.generation &&
        !is_retry_due(scraper) && !scraper->jobs.changed)
        return;
    int err = targets_reader_open(&scraper->table, &cursor);
    if (err == 0)
        take_table(scraper, &cursor);
    else if (err == ERR_CORRUPT)
        slot_add(scraper->slot, COUNTER_TABLE_DAMAGED, 1);
}
