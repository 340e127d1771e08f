/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes of a scrape whose answer is there, or will not be: outcome, report, plan, metadata. */
#include "scrapers/scrape_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "scrapers/plan_change.h"
#include "scrapers/strays.h"

const struct config_limits *scrape_limits_of(const struct target *target)
{
    static const struct config_limits none;
    return target->job != NULL ? &target->job->config->limits : &none;
}

uint64_t scrape_sample_limit(const struct target *target)
{
    uint64_t own = target->sample_limit;
    return own > 0 ? own : (uint64_t)scrape_limits_of(target)->sample_limit;
}

static bool reports_extra(const struct target *target)
{
    return target->job != NULL && target->job->config->extra_scrape_metrics;
}

static struct outcome_input input_of(const struct scrape *scrape)
{
    const struct target *target = scrape->target;
    struct scraper *scraper = target->scraper;
    return (struct outcome_input){
        .store = &scraper->store,
        .before = series_target_state(&scraper->store, target->ref),
        .known = target->past.plan,
        .known_strays = target->past.strays,
        .reserved = scraper->report.lines,
        .reserved_count = reports_extra(target) ? REPORT_EXTRA_COUNT : REPORT_COUNT,
        .timestamp_ms = scrape->timestamp_ms,
        .now_ms = clock_ms_of_ns(scraper->schedule.wall_now()),
        .sample_limit = scrape_sample_limit(target),
        .window_ms = scraper->config->storage.tsdb.out_of_order_time_window,
        .exemplars = &scrape->target->exemplars,
        .track_timestamps = (target->flags & SHM_TARGET_TRACK_TIMESTAMPS) != 0,
        .failed = scrape->failure != SCRAPE_GOOD,
    };
}

/* What it takes in the ring, at most. */
static uint64_t bytes_of(const struct outcome *outcome)
{
    uint32_t columns = 1; /* of 8 bytes a sample */
    columns += outcome->tracked_have_times ? 2 : 0;
    columns += outcome->have_starts ? 1 : 0;
    return commit_bytes(outcome_tracked_count(outcome) * columns, outcome->stale.count) +
           commit_bytes(outcome->extra.count * 4, 0) + commit_bytes_of_items(outcome);
}

static bool is_too_big(const struct scraper *scraper, uint64_t bytes)
{
    return bytes > scraper->ring.size / 2;
}

/* Whether the transport and everything before the body's content was right. */
static bool was_read(const struct scrape *scrape)
{
    switch (scrape->failure) {
    case SCRAPE_GOOD:
    case COUNTER_SCRAPE_PARSE:
    case COUNTER_SCRAPE_LABELS:
    case COUNTER_SCRAPE_LABEL_LIMIT:
    case COUNTER_SCRAPE_NAME_LENGTH_LIMIT:
    case COUNTER_SCRAPE_VALUE_LENGTH_LIMIT:
    case COUNTER_SCRAPE_SAMPLE_LIMIT:
    case COUNTER_SCRAPE_TOO_BIG:
    case COUNTER_SCRAPE_BUCKET_LIMIT:
        return true;
    default:
        return false;
    }
}

static bool has_body(const struct scrape *scrape)
{
    return scrape->uses_body && was_read(scrape);
}

static void begin_outcome(const struct scrape *scrape, struct outcome *outcome, bool failed)
{
    const struct body *body = &scrape->body;
    struct outcome_input input = input_of(scrape);
    input.failed |= failed;
    if (has_body(scrape))
        outcome_begin(outcome, &input, &body->harvest, body->plan, body_followed_plan(body));
    else
        outcome_begin(outcome, &input, NULL, NULL, false);
}

/* The outcome is there. False: it is to be made anew, as that of a scrape that has failed. */
static bool accept_outcome(struct scrape *scrape, const struct outcome *outcome, uint64_t bytes)
{
    if (!has_body(scrape))
        return true;
    bool was_good = scrape->failure == SCRAPE_GOOD;
    if (outcome->exceeded)
        scrape_fail(scrape, COUNTER_SCRAPE_SAMPLE_LIMIT, "sample limit exceeded");
    else if (was_good && is_too_big(scrape->target->scraper, bytes)) {
        scrape_fail(scrape, COUNTER_SCRAPE_TOO_BIG, "its samples take more than half of the ring");
        return false;
    }
    return true;
}

/* Nothing is told of a body that the transport did not bring whole. */
static double reported_bytes(const struct scrape *scrape)
{
    if (scrape->failure == COUNTER_SCRAPE_BODY_LIMIT)
        return -1;
    bool came = was_read(scrape) || scrape->failure == COUNTER_SCRAPE_CONTENT_TYPE;
    return came ? (double)scrape->body_bytes : 0;
}

static void fill_report(const struct scrape *scrape, const struct outcome *outcome, double *report)
{
    const struct body *body = &scrape->body;
    bool counts = has_body(scrape);
    const struct target *target = scrape->target;
    report[REPORT_UP] = scrape->failure == SCRAPE_GOOD ? 1 : 0;
    report[REPORT_DURATION] = (double)(clock_mono_ns() - scrape->started_ns) / 1e9;
    report[REPORT_SCRAPED] = counts ? body->scraped : 0;
    report[REPORT_POST] = counts ? body->accepted - body->dropped : 0;
    report[REPORT_ADDED] = counts ? outcome->added : 0;
    report[REPORT_TIMEOUT] = (double)target->timeout_ns / 1e9;
    report[REPORT_SAMPLE_LIMIT] = (double)scrape_sample_limit(target);
    report[REPORT_BODY_BYTES] = reported_bytes(scrape);
}

static void count_items(const struct scraper *scraper, const struct outcome *outcome,
                        const struct exemplars *exemplars)
{
    scrape_count(scraper, COUNTER_HISTOGRAMS_COMMITTED,
                 outcome->histograms.count + outcome->extra_histograms.count);
    scrape_count(scraper, COUNTER_EXEMPLARS_COMMITTED, outcome->exemplars.count);
    scrape_count(scraper, COUNTER_EXEMPLARS_REPEATED, outcome->repeated_exemplars);
    scrape_count(scraper, COUNTER_EXEMPLARS_TOO_LONG, exemplars->too_long);
    scrape_count(scraper, COUNTER_EXEMPLARS_INVALID, exemplars->invalid);
}

static void count_outcome(const struct scrape *scrape, const struct outcome *outcome)
{
    const struct scraper *scraper = scrape->target->scraper;
    scrape_count(scraper, COUNTER_SAMPLES_DUPLICATE, outcome->duplicate);
    scrape_count(scraper, COUNTER_SAMPLES_RESPELLED, outcome->respelled);
    scrape_count(scraper, COUNTER_SAMPLES_OUT_OF_ORDER, outcome->out_of_order);
    scrape_count(scraper, COUNTER_SAMPLES_OUT_OF_BOUNDS, outcome->out_of_bounds);
    if (!scrape->uses_body)
        return;
    count_items(scraper, outcome, &scrape->body.harvest.exemplars);
    scrape_count(scraper, COUNTER_SAMPLES_DUPLICATE, scrape->body.repeated);
    scrape_count(scraper, COUNTER_SAMPLES_SCRAPED, scrape->body.scraped);
    scrape_count(scraper, COUNTER_SAMPLES_RELABEL_DROPPED, scrape->body.dropped);
    scrape_count(scraper, COUNTER_LINES_PREDICTED, scrape->body.predicted);
    scrape_count(scraper, COUNTER_LINES_LEARNT, scrape->body.learnt);
}

static void set_plan(struct target *target, struct plan *plan)
{
    plan_release(&target->scraper->plans, target->past.plan);
    target->past.plan = plan;
}

/* The plan is followed by others, too: what it has become here may help them. */
static void note_change(const struct target *target, const struct ending *ending)
{
    const struct outcome *outcome = &ending->outcome;
    const struct plan *from = target->past.plan;
    struct plan *to = ending->plan;
    uint32_t own = 2; /* references: the target's and its body's */
    if (target->past.strays != 0 || outcome->has_strays)
        return;
    if (outcome->is_difference && from != NULL && to != NULL && from->references > own &&
        from->context == to->context && from != to)
        plan_change_note(from, to, outcome->added, outcome->stale.lines, outcome->stale.count);
}

/* So many scrapes more metadata of a family is known after it was exposed last. */
#define METADATA_SCRAPES 10u

/* But of no more families than so many times those that are exposed, and some. */
#define REMEMBERED_TIMES 4u
#define REMEMBERED_MORE  4096u

/* What is not exposed any more is not remembered without end where something else is said each
 * time. */
static bool may_remember(const struct series_store *store, uint32_t exposed, uint32_t known)
{
    uint32_t now = exposed == 0 ? 0 : series_count(store, exposed);
    return known == 0 || series_count(store, known) / REMEMBERED_TIMES <= now + REMEMBERED_MORE;
}

/* What the scrape exposes: a METADATA record, a reference; 0: nothing. */
static uint32_t expose(struct scrape *scrape, const struct ending *ending, uint64_t *ret_said)
{
    const struct target *target = scrape->target;
    const struct plan *plan = ending->plan;
    *ret_said = STRAYS_SAID_NOTHING;
    if (plan == NULL)
        return 0;
    if (ending->outcome.has_strays)
        return strays_exposed(target, &scrape->body, plan, ret_said);
    return series_retain_optional(&target->scraper->store, plan->metadata.ref);
}

/*
 * What is known of the target's families with this scrape: those that it exposes, and for a while
 * those that it has exposed. Nothing of it counts before it is committed.
 */
static void make_metadata(struct scrape *scrape, struct ending *ending)
{
    const struct target *target = scrape->target;
    struct series_store *store = &target->scraper->store;
    struct ending_metadata *to = &ending->metadata;
    uint32_t known = series_target_state(store, target->ref).metadata;
    *to = (struct ending_metadata){.left = target->past.metadata_left};
    if (scrape->failure == SCRAPE_GOOD) {
        to->exposed = expose(scrape, ending, &to->said);
        uint32_t exposed = to->exposed;
        bool is_new = to->left == 0 || target->past.metadata != exposed;
        if (known != exposed)
            to->left = is_new ? METADATA_SCRAPES : to->left - 1;
        if (to->left == 0 || !may_remember(store, exposed, known))
            known = exposed;
        else if (known != exposed && is_new &&
                 metadata_unite(store, exposed, known, &to->known) == 0)
            return;
    }
    to->known = series_retain_optional(store, known);
}

static void forget_metadata(struct series_store *store, struct ending_metadata *metadata)
{
    series_release_optional(store, metadata->known);
    series_release_optional(store, metadata->exposed);
    *metadata = (struct ending_metadata){0};
}

/* What is exposed becomes part of the target's past. */
static void keep_metadata(struct target *target, struct ending_metadata *metadata)
{
    struct target_past *past = &target->past;
    series_release_optional(&target->scraper->store, past->metadata);
    past->metadata = metadata->exposed;
    past->metadata_left = metadata->left;
    past->said = metadata->said;
    metadata->exposed = 0;
}

static void set_series(struct target *target, uint32_t series)
{
    target->scraper->active_series += series;
    target->scraper->active_series -= target->series;
    target->series = series;
}

/* Whether what it served, or that it served nothing, becomes what is expected. */
static bool is_planned(const struct scrape *scrape)
{
    return scrape->failure == SCRAPE_GOOD && scrape->uses_body;
}

/* All is there that the ring is told. */
static void put(struct scrape *scrape, struct ending *ending)
{
    struct target *target = scrape->target;
    struct scraper *scraper = target->scraper;
    const struct outcome *outcome = &ending->outcome;
    make_metadata(scrape, ending);
    struct commit_scrape committed = {.target_ref = target->ref,
                                      .timestamp_ms = scrape->timestamp_ms,
                                      .reports_extra = reports_extra(target),
                                      .send_samples = scrape->failure == SCRAPE_GOOD,
                                      .metadata = ending->metadata.known};
    fill_report(scrape, outcome, committed.report);
    ring_begin(&scraper->ring, ending->bytes);
    int64_t samples = commit_scrape(&scraper->commit, &committed, outcome);
    if (samples < 0) {
        scrape_count(scraper, COUNTER_SCRAPE_NOT_STORED, 1);
        return;
    }
    scrape_count(scraper, COUNTER_SAMPLES_APPENDED, (uint64_t)samples);
    if ((uint64_t)scrape->timestamp_ms > slot_get(scraper->slot, COUNTER_HIGHEST_APPENDED_MS))
        slot_set(scraper->slot, COUNTER_HIGHEST_APPENDED_MS, (uint64_t)scrape->timestamp_ms);
    scrape_count(scraper, COUNTER_STALE_MARKERS, outcome->stale.count);
    count_outcome(scrape, outcome);
    set_series(target, outcome_tracked_count(outcome) + strays_count(outcome));
    if (scrape->failure == SCRAPE_GOOD)
        keep_metadata(target, &ending->metadata);
    if (!ending->has_plan)
        return;
    note_change(target, ending);
    strays_keep(target, outcome);
    set_plan(target, ending->plan);
    ending->plan = NULL;
}

/* ---- a part at a time ---- */

/* The next ones follow when these are done. */
enum stage { BEGIN, OUTCOME, PLAN, MAKE_PLAN, LAYOUT, PREPARE, PUT, RELEASE, OVER };

static bool is_layout_of(const struct series_store *store, const struct plan *plan,
                         const uint32_t *lines, uint32_t count)
{
    return plan != NULL && plan->layout != 0 && series_count(store, plan->layout) == count &&
           memcmp(series_layout_lines(store, plan->layout), lines, count * sizeof(*lines)) == 0;
}

/* The lines that are tracked from now on; as a rule those of the plan, which need no search. */
static enum stage begin_layout(const struct scrape *scrape, struct ending *ending)
{
    struct series_store *store = &scrape->target->scraper->store;
    struct outcome *outcome = &ending->outcome;
    uint32_t count = outcome->plan != NULL ? 0 : outcome_tracked_count(outcome);
    if (count == 0)
        return PREPARE;
    if (!is_layout_of(store, ending->plan, outcome->tracked.lines, count)) {
        layout_begin(&ending->layout, outcome->tracked.lines, count);
        return LAYOUT;
    }
    outcome->layout = ending->plan->layout;
    series_retain(store, outcome->layout);
    return PREPARE;
}

static enum stage begin_plan(struct scrape *scrape, struct ending *ending)
{
    struct plans *plans = &scrape->target->scraper->plans;
    struct body *body = &scrape->body;
    if (!is_planned(scrape))
        return begin_layout(scrape, ending);
    ending->has_plan = true;
    if (body->harvest.count == 0)
        return begin_layout(scrape, ending);
    if (strays_are_wanted(scrape->target, body, &ending->outcome)) {
        bool is_known = strays_set_aside(body, &ending->outcome);
        ending->bytes = bytes_of(&ending->outcome);
        if (is_known) {
            ending->plan = body->plan;
            plan_retain(ending->plan);
            return begin_layout(scrape, ending);
        }
    }
    int r = body_plan_begin(body, plans, &ending->maker, &ending->plan);
    ending->has_plan = r >= 0;
    if (r == 0 && ending->outcome.is_difference)
        plans_is_plain(&ending->maker);
    return r == 0 ? MAKE_PLAN : begin_layout(scrape, ending);
}

static bool make_plan(struct scrape *scrape, struct ending *ending, uint32_t *budget)
{
    int err;
    if (!plans_step(&scrape->target->scraper->plans, &ending->maker, budget, &err, &ending->plan))
        return false;
    ending->has_plan = err == 0;
    return true;
}

/* What the budget is charged for a piece of memory. */
#define PREPARE_COST 2048u

static bool prepare_ring(const struct scrape *scrape, const struct ending *ending, uint32_t *budget)
{
    struct ring_producer *ring = &scrape->target->scraper->ring;
    while (!ring_prepare(ring, ending->bytes)) {
        *budget -= *budget < PREPARE_COST ? *budget : PREPARE_COST;
        if (*budget == 0)
            return false;
    }
    return true;
}

/* False: the budget is used up in this stage. */
static bool step(struct scrape *scrape, struct ending *ending, uint32_t *budget)
{
    struct series_store *store = &scrape->target->scraper->store;
    switch ((enum stage)ending->stage) {
    case BEGIN:
        if (has_body(scrape) && !body_finish_columns(&scrape->body, budget))
            return false;
        begin_outcome(scrape, &ending->outcome, ending->was_too_big);
        ending->stage = OUTCOME;
        return true;
    case OUTCOME:
        if (!outcome_step(&ending->outcome, budget))
            return false;
        ending->bytes = bytes_of(&ending->outcome);
        ending->was_too_big = !accept_outcome(scrape, &ending->outcome, ending->bytes);
        ending->stage = ending->was_too_big ? BEGIN : PLAN;
        return true;
    case PLAN:
        ending->stage = (uint8_t)begin_plan(scrape, ending);
        return true;
    case MAKE_PLAN:
        if (!make_plan(scrape, ending, budget))
            return false;
        ending->stage = (uint8_t)begin_layout(scrape, ending);
        return true;
    case LAYOUT:
        if (!layout_step(&ending->layout, store, budget))
            return false;
        ending->outcome.layout = ending->layout.error == 0 ? ending->layout.ref : 0;
        ending->stage = PREPARE;
        return true;
    case PREPARE:
        if (!prepare_ring(scrape, ending, budget))
            return false;
        ending->stage = PUT;
        return *budget > 0;
    case PUT:
        put(scrape, ending);
        ending->stage = RELEASE;
        return *budget > 0;
    case RELEASE:
        if (scrape->uses_body && !body_release(&scrape->body, budget))
            return false;
        if (!outcome_release(&ending->outcome, budget) ||
            !plan_maker_release(&ending->maker, budget))
            return false;
        ending->stage = OVER;
        return true;
    case OVER:
        break;
    }
    return true;
}

bool scrape_commit_part(struct scrape *scrape, uint32_t *budget)
{
    struct ending *ending = scrape->ending;
    while (ending->stage != OVER) {
        if (!step(scrape, ending, budget))
            return false;
    }
    return true;
}

static void give_back(struct scrape *scrape, struct ending *ending)
{
    struct scraper *scraper = scrape->target->scraper;
    if (ending->outcome.layout != 0)
        series_release(&scraper->store, ending->outcome.layout);
    else if (ending->stage == LAYOUT)
        layout_give_up(&ending->layout, &scraper->store);
    ending->outcome.layout = 0;
    forget_metadata(&scraper->store, &ending->metadata);
    plans_give_up(&scraper->plans, &ending->maker);
    plan_release(&scraper->plans, ending->plan);
    ending->plan = NULL;
}

void scrape_ending_free(struct scrape *scrape)
{
    struct ending *ending = scrape->ending;
    if (ending == NULL)
        return;
    give_back(scrape, ending);
    outcome_fini(&ending->outcome);
    plan_maker_fini(&ending->maker);
    free(ending);
    scrape->ending = NULL;
}

/* With more series than this. */
#define PARTS_SERIES 16384u

bool scrape_ends_in_parts(const struct scrape *scrape)
{
    return scrape->target->series > PARTS_SERIES ||
           (scrape->uses_body && scrape->body.harvest.count > PARTS_SERIES);
}

void scrape_commit(struct scrape *scrape)
{
    struct ending *ending = &scrape->target->scraper->ending;
    uint32_t budget = UINT32_MAX;
    ending->stage = BEGIN;
    ending->was_too_big = ending->has_plan = false;
    while (ending->stage != RELEASE) {
        bool done = step(scrape, ending, &budget);
        check(done);
    }
    give_back(scrape, ending);
}
