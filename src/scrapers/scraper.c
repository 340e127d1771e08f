/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/scraper.h"

#include <malloc.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "scrapers/scrape.h"
#include "scrapers/target.h"

#define TRIM_NS      NS_PER_S        /* so often the ring's memory is looked at */
#define NEXT_TURN_NS (2 * NS_PER_MS) /* until more of much that is free is reclaimed */

static int attach(struct scraper *scraper, const struct scraper_segments *segments,
                  struct errctx *reterr)
{
    int err = ring_producer_attach(&scraper->ring, segments->ring, scraper->index, reterr);
    if (err != 0)
        return err;
    err = series_store_attach(&scraper->store, segments->series, scraper->index, &scraper->ring,
                              reterr);
    if (err != 0)
        return err;
    err = reasons_attach(&scraper->reasons, segments->ring);
    if (err != 0)
        return err_set(reterr, err, "cannot map the reasons: %s", err_text(err));
    err = failures_attach(&scraper->failures, segments->ring);
    if (err != 0)
        return err_set(reterr, err, "cannot map the failures: %s", err_text(err));
    err = costs_attach(&scraper->costs, segments->ring);
    if (err != 0)
        return err_set(reterr, err, "cannot map the costs: %s", err_text(err));
    err = targets_reader_attach(&scraper->table, segments->targets, reterr);
    if (err == 0)
        err = names_reader_attach(&scraper->names, segments->targets, reterr);
    if (err != 0)
        return err;
    scraper->lookups.names = &scraper->names;
    scraper->lookups.slot = scraper->slot;
    err = report_lines_get(&scraper->store, &scraper->report);
    if (err != 0)
        return err_set(reterr, err, "no memory in the series table: %s", err_text(err));
    if (scraper->store.damaged > 0)
        log_warn(MSG("some of the series table was damaged and is left out"),
                 INT("records", scraper->store.damaged));
    return 0;
}

static bool sends_exemplars(const struct config *config)
{
    bool any = false;
    for (size_t i = 0; i < config->remote_write.len; i++)
        any |= config->remote_write.items[i].send_exemplars;
    return any;
}

/* In requests of its own, or with the series of 2.0. */
static bool sends_metadata(const struct config *config)
{
    bool any = false;
    for (size_t i = 0; i < config->remote_write.len; i++) {
        const struct config_remote *remote = &config->remote_write.items[i];
        any |= remote->metadata_config.send || remote->protobuf_message != CONFIG_MESSAGE_V1;
    }
    return any;
}

static void begin_turn(struct loop_timer *timer)
{
    (void)timer;
}

int scraper_init(struct scraper *scraper, const struct scraper_segments *segments,
                 struct errctx *reterr)
{
    int err = attach(scraper, segments, reterr);
    if (err == 0)
        err = jobs_init(&scraper->jobs, &scraper->config->scrape_configs, reterr);
    if (err != 0)
        return err;
    scraper->takes_exemplars = sends_exemplars(scraper->config);
    scraper->takes_metadata = sends_metadata(scraper->config);
    gap_key_make(&scraper->tools.key, cpu_has_avx2());
    scraper->tools.store = &scraper->store;
    plans_init(&scraper->plans, &scraper->store, &scraper->contexts, scraper->report.lines,
               REPORT_EXTRA_COUNT);
    scraper->commit = (struct commit){
        .ring = &scraper->ring, .store = &scraper->store, .report = &scraper->report};
    schedule_init(&scraper->schedule, scraper->loop, scraper->config->limpet.tick_max * NS_PER_MS,
                  scrape_due);
    work_init(&scraper->work, scraper->loop);
    scraper->next_turn.expired = begin_turn;
    ramp_init(&scraper->ramp, scraper->loop, scrape_begin);
    throttle_init(&scraper->throttle, scraper->loop, scrape_begin_held);
    scraper->schedule.sharers = scraper->scrapers;
    target_set_init(&scraper->targets);
    takeover_init(scraper);
    CRASHPOINT("scraper.attached");
    return 0;
}

static void unschedule(struct target *target)
{
    if (target->life == TARGET_ACTIVE)
        schedule_remove(&target->scraper->schedule, &target->tick);
}

void scraper_fini(struct scraper *scraper)
{
    check(scraper->running == 0);
    loop_timer_clear(scraper->loop, &scraper->next_turn);
    target_set_each(&scraper->targets, unschedule);
    schedule_fini(&scraper->schedule);
    takeover_fini(scraper);
    work_fini(&scraper->work);
    ramp_fini(&scraper->ramp);
    target_set_fini(&scraper->targets);
    throttle_fini(&scraper->throttle);
    plan_maker_fini(&scraper->ending.maker);
    plans_fini(&scraper->plans);
    report_lines_release(&scraper->store, &scraper->report);
    scrapes_fini(scraper);
    outcome_fini(&scraper->ending.outcome);
    body_tools_fini(&scraper->tools);
    jobs_fini(&scraper->jobs);
    names_reader_detach(&scraper->names);
    targets_reader_detach(&scraper->table);
    series_store_detach(&scraper->store);
    reasons_detach(&scraper->reasons);
    failures_detach(&scraper->failures);
    costs_detach(&scraper->costs);
    ring_producer_detach(&scraper->ring);
}

static void watch_clock(struct scraper *scraper)
{
    if (!schedule_watch_clock(&scraper->schedule))
        return;
    slot_add(scraper->slot, COUNTER_CLOCK_STEPS, 1);
    if (!scraper->warned_of_clock)
        log_warn(MSG("the wall clock was set; scrapes follow it, further steps are only counted"));
    scraper->warned_of_clock = true;
}

static void count_lost_ticks(struct scraper *scraper)
{
    if (scraper->schedule.lost == 0)
        return;
    slot_add(scraper->slot, COUNTER_SCRAPE_SKIPPED_MISSED, scraper->schedule.lost);
    scraper->schedule.lost = 0;
}

static void show_state(struct scraper *scraper)
{
    const struct loop_stats *stats = loop_stats(scraper->loop);
    struct series_usage usage = series_usage(&scraper->store);
    struct shm_slot *slot = scraper->slot;
    slot_set(slot, COUNTER_LOOP_TURNS, stats->turns);
    slot_set(slot, COUNTER_LOOP_WAKEUPS, stats->wakeups);
    slot_set(slot, COUNTER_LOOP_SYSTEM_CALLS, stats->system_calls);
    slot_set(slot, COUNTER_LINES, usage.lines);
    slot_set(slot, COUNTER_LAYOUTS, usage.layouts);
    slot_set(slot, COUNTER_SERIES_BYTES, usage.bytes);
    slot_set(slot, COUNTER_SCRAPER_TARGETS, scraper->targets.active);
    slot_set(slot, COUNTER_SERIES_ACTIVE, scraper->active_series);
}

/*
 * So many scrapes at once are a peak, after which there is much free memory between what is used;
 * so are so many lines of which half is gone.
 */
#define PEAK_MIN       512u
#define PEAK_LINES_MIN 20000u

static void give_memory_back(struct scraper *scraper, int64_t now_ns)
{
    uint32_t lines = series_usage(&scraper->store).lines;
    bool scrapes_are_over = scraper->peak >= PEAK_MIN && scraper->running <= scraper->peak / 4;
    bool lines_are_gone = scraper->peak_lines >= PEAK_LINES_MIN && lines <= scraper->peak_lines / 2;
    ring_trim(&scraper->ring, now_ns);
    if (scrapes_are_over || lines_are_gone)
        (void)malloc_trim(0);
    if (scrapes_are_over)
        scraper->peak = 0;
    if (lines_are_gone || lines > scraper->peak_lines)
        scraper->peak_lines = lines;
}

bool scraper_turn(struct scraper *scraper)
{
    int64_t now_ns = loop_now(scraper->loop);
    atomic_store_explicit(&scraper->slot->working_on, 0, memory_order_relaxed);
    watch_clock(scraper);
    count_lost_ticks(scraper);
    if (!scraper->stopping)
        target_set_refresh(scraper);
    if (series_reclaim(&scraper->store) && !scraper->stopping)
        loop_timer_set(scraper->loop, &scraper->next_turn, now_ns + NEXT_TURN_NS);
    if (now_ns >= scraper->next_trim_ns) {
        give_memory_back(scraper, now_ns);
        scraper->next_trim_ns = now_ns + TRIM_NS;
    }
    show_state(scraper);
    bool doorbell = scraper->commit.doorbell;
    scraper->commit.doorbell = false;
    if (doorbell)
        slot_add(scraper->slot, COUNTER_DOORBELLS, 1);
    return doorbell;
}

static void await_scrape(struct target *target)
{
    if (target->scrape == NULL || target->scrape->is_awaited)
        return;
    target->scrape->is_awaited = true;
    target->scraper->awaited++;
}

void scraper_prepare_to_leave(struct scraper *scraper)
{
    scraper->leaving = true;
    target_set_each(&scraper->targets, await_scrape);
}

void scraper_stop(struct scraper *scraper)
{
    scraper->stopping = true;
    loop_timer_clear(scraper->loop, &scraper->next_turn);
    schedule_stop(&scraper->schedule);
}

static void abandon(struct target *target)
{
    if (target->scrape != NULL)
        scrape_abandon(target->scrape);
}

void scraper_abandon(struct scraper *scraper)
{
    target_set_each(&scraper->targets, abandon);
}
