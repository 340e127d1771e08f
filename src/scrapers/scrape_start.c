/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether and when a scrape starts. */
#include "base/clock.h"
#include "base/crashpoint.h"
#include "scrapers/scrape_private.h"
#include "scrapers/way.h"

/* A scrape is likely to need a little more than the last one. */
#define PROMISE_SPARE 256u

static bool is_quarantined(const struct scraper *scraper, uint64_t id)
{
    const struct shm_supervisor *supervisor = scraper->supervisor;
    if (supervisor == NULL)
        return false;
    for (size_t i = 0; i < sizeof(supervisor->quarantined) / sizeof(supervisor->quarantined[0]);
         i++) {
        if (atomic_load_explicit(&supervisor->quarantined[i], memory_order_relaxed) == id)
            return true;
    }
    return false;
}

/* What the scrape will probably put into the ring. */
static uint64_t promise_of(const struct target *target)
{
    const struct plan *plan = target->past.plan;
    uint32_t expected = plan != NULL ? plan->count - plan->dropped : 0;
    return commit_bytes(expected + PROMISE_SPARE, target->series);
}

static void count_lateness(const struct scrape *scrape)
{
    static const struct {
        int64_t limit_ns;
        enum counter counter;
    } buckets[] = {{1 * NS_PER_MS, COUNTER_LATE_1MS},
                   {2 * NS_PER_MS, COUNTER_LATE_2MS},
                   {5 * NS_PER_MS, COUNTER_LATE_5MS},
                   {50 * NS_PER_MS, COUNTER_LATE_50MS},
                   {INT64_MAX, COUNTER_LATE_ALL}};
    const struct scraper *scraper = scrape->target->scraper;
    int64_t late_ns = scraper->schedule.wall_now() - scrape->due_ns;
    uint64_t late = late_ns < 0 ? 0 : (uint64_t)late_ns;
    scrape_count(scraper, COUNTER_LATE_SUM_NS, late);
    if (late > slot_get(scraper->slot, COUNTER_LATE_MAX_NS))
        slot_set(scraper->slot, COUNTER_LATE_MAX_NS, late);
    for (size_t i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++) {
        if (late_ns <= buckets[i].limit_ns)
            scrape_count(scraper, buckets[i].counter, 1);
    }
}

/* The request is sent, over a connection that is there or is opened now. */
static void ask(struct scrape *scrape)
{
    struct target *target = scrape->target;
    struct fetch_request request;
    struct errctx why;
    count_lateness(scrape);
    if (way_request(target, scrape_deadline(scrape), &request, &why) != 0) {
        scrape_fail(scrape, COUNTER_SCRAPE_CONNECT, why.text);
        scrape_finish(scrape);
        return;
    }
    fetch_start(&target->conn, &request);
    CRASHPOINT("scraper.scrape_started");
}

static struct scrape *waiting(struct ramp_entry *entry)
{
    return (struct scrape *)(void *)((char *)entry - offsetof(struct scrape, ramp));
}

void scrape_begin(struct ramp_entry *entry)
{
    ask(waiting(entry));
}

/* No connection could be opened in time. */
static void on_waited_too_long(struct loop_timer *timer)
{
    struct ramp_entry *entry =
        (struct ramp_entry *)(void *)((char *)timer - offsetof(struct ramp_entry, timer));
    struct scrape *scrape = waiting(entry);
    count_lateness(scrape);
    scrape_count(scrape->target->scraper, COUNTER_SCRAPE_WAITED, 1);
    scrape_fail(scrape, COUNTER_SCRAPE_TIMEOUT, err_text(ERR_TIMEOUT));
    scrape_finish(scrape);
}

/*
 * The timestamp of a scrape that starts now, of a tick whose time is tick_ns. Of one target it only
 * ever grows, whoever made the last scrape: after a standstill that one may have begun, with its
 * true time, when this tick was due already, and then this one has its true time, too. False: that
 * is the same millisecond still; two scrapes of one timestamp are of no use to anybody. A scrape is
 * made where the clock has been set back, since its outcome is shown, and then dropped.
 */
static bool find_timestamp(const struct target *target, int64_t tick_ns, int64_t *ret_ms)
{
    const struct scraper *scraper = target->scraper;
    int64_t last_ms;
    *ret_ms = clock_ms_of_ns(tick_ns);
    if (!series_target_last(&scraper->store, target->ref, &last_ms) || *ret_ms > last_ms)
        return true;
    *ret_ms = clock_ms_of_ns(scraper->schedule.wall_now());
    return *ret_ms != last_ms;
}

static void start(struct target *target, int64_t due_ns, int64_t timestamp_ms, uint64_t promised)
{
    struct scraper *scraper = target->scraper;
    struct scrape *scrape = scrape_take(scraper);
    scrape->target = target;
    scrape->timestamp_ms = timestamp_ms;
    scrape->started_ns = clock_mono_ns();
    scrape->due_ns = due_ns;
    scrape->ramp = (struct ramp_entry){.timer.expired = on_waited_too_long};
    scrape->weight = 0;
    scrape->promised = promised;
    scrape->failure = SCRAPE_GOOD;
    scrape->has_body = scrape->uses_body = scrape->is_gzip = scrape->gzip_over = false;
    scrape->body_bytes = scrape->work = 0;
    scrape->worked_ns = 0;
    scrape->is_awaited = false;
    scrape->content_type[0] = scrape->error[0] = '\0';
    target->scrape = scrape;
    scraper->ring.promised += promised;
    if (++scraper->running > scraper->peak)
        scraper->peak = scraper->running;
    scrape_count(scraper, COUNTER_SCRAPES, 1);
    if (target->error != NULL) {
        count_lateness(scrape);
        scrape_fail(scrape, COUNTER_SCRAPE_FORCED, target->error);
        scrape_finish(scrape);
    } else if (fetch_has_connection(&target->conn)) {
        scrape->weight = throttle_enter(&scraper->throttle, target->timeout_ns);
        ask(scrape);
    } else if (ramp_enter(&scraper->ramp, &scrape->ramp, scrape_deadline(scrape))) {
        ask(scrape);
    }
}

void scrape_due(struct tick_member *member, int64_t due_ns, int64_t timestamp_ns)
{
    struct target *target = TARGET_OF(member, tick);
    struct scraper *scraper = target->scraper;
    atomic_store_explicit(&scraper->slot->working_on, 0, memory_order_relaxed);
    if (scraper->stopping || (scraper->leaving && target->took_ns > SCRAPER_QUICK_NS))
        return;
    if (target->scrape != NULL || throttle_holds(&target->turn)) {
        if (target->pending_due_ns != 0)
            scrape_count(scraper, COUNTER_SCRAPE_SKIPPED_MISSED, 1);
        target->pending_due_ns = due_ns;
        return;
    }
    if (is_quarantined(scraper, target->id)) {
        scrape_count(scraper, COUNTER_SCRAPE_SKIPPED_QUARANTINE, 1);
        return;
    }
    if (!way_is_open(target))
        return; /* discovery is just about to say what is needed */
    uint64_t promised = promise_of(target);
    if (ring_room(&scraper->ring) < scraper->ring.promised + promised) {
        scrape_count(scraper, COUNTER_SCRAPE_SKIPPED_FULL, 1);
        return;
    }
    if (target->ref == 0) {
        scrape_count(scraper, COUNTER_SCRAPE_NOT_STORED, 1);
        target_set_retry(&scraper->targets);
        return;
    }
    if (fetch_has_connection(&target->conn) && !throttle_admits(&scraper->throttle)) {
        scrape_count(scraper, COUNTER_SCRAPE_HELD_BACK, 1);
        target->pending_due_ns = due_ns;
        throttle_wait(&scraper->throttle, &target->turn);
        return;
    }
    int64_t timestamp_ms;
    if (!find_timestamp(target, timestamp_ns, &timestamp_ms)) {
        scrape_count(scraper, COUNTER_SCRAPE_SKIPPED_MISSED, 1);
        return;
    }
    start(target, due_ns, timestamp_ms, promised);
}
