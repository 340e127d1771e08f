/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/outcome_difference.h"
#include "scrapers/outcome_list.h"
#include "scrapers/outcome_plan.h"
#include "scrapers/outcome_stamped.h"

#include <stdlib.h>

#include "base/search.h"

/* So long a series with own timestamps is remembered after it was last seen. */
#define REMEMBER_MS (INT64_C(600) * 1000)

void outcome_fini(struct outcome *outcome)
{
    outcome_list_fini(&outcome->tracked);
    outcome_list_fini(&outcome->extra);
    outcome_list_fini(&outcome->stale);
    outcome_list_fini(&outcome->stamped);
    outcome_list_fini(&outcome->histograms);
    outcome_list_fini(&outcome->extra_histograms);
    outcome_list_fini(&outcome->exemplars);
    free(outcome->input);
    outcome->input = NULL;
    free(outcome->kept_starts);
    refmap_fini(&outcome->exemplar_index);
    free(outcome->kept_bits);
    refmap_fini(&outcome->before);
    refmap_fini(&outcome->seen);
}

bool outcome_release(struct outcome *outcome, uint32_t *budget)
{
    struct outcome_list *lists[] = {&outcome->tracked,    &outcome->extra,
                                    &outcome->stale,      &outcome->stamped,
                                    &outcome->histograms, &outcome->extra_histograms,
                                    &outcome->exemplars};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (!outcome_list_release(lists[i], budget))
            return false;
    }
    return refmap_release(&outcome->before, budget) && refmap_release(&outcome->seen, budget);
}

static void clear(struct outcome *outcome)
{
    outcome->tracked.count = outcome->extra.count = 0;
    outcome->stale.count = outcome->stamped.count = 0;
    outcome->histograms.count = outcome->extra_histograms.count = outcome->exemplars.count = 0;
    outcome->harvest = NULL;
    outcome->plan_starts = NULL;
    outcome->have_starts = false;
    outcome->repeated_exemplars = 0;
    outcome->plan = NULL;
    outcome->plan_bits = NULL;
    outcome->tracked_have_times = outcome->exceeded = outcome->is_difference = false;
    outcome->has_strays = false;
    outcome->counted = 0;
    outcome->layout = outcome->stamped_layout = 0;
    outcome->added = outcome->duplicate = outcome->respelled = 0;
    outcome->out_of_order = outcome->out_of_bounds = 0;
}

uint32_t outcome_tracked_count(const struct outcome *outcome)
{
    return outcome->plan != NULL ? outcome->plan->count - outcome->plan->dropped
                                 : outcome->tracked.count + outcome->histograms.count;
}

/* ---- what was there before ---- */

/* Values of outcome.before: these flags, and the place among the stamped lines above them. */
#define BEFORE_KNOWN   1u
#define BEFORE_TRACKED 2u
#define BEFORE_STAMPED 4u
#define BEFORE_SHIFT   3u

static uint32_t count_of(const struct series_store *store, uint32_t ref)
{
    return ref == 0 ? 0 : series_count(store, ref);
}

/* Lines of a record, from `at` to `end`. */
static void note_lines(struct outcome *outcome, const uint32_t *lines, uint32_t at, uint32_t end,
                       uint32_t flags)
{
    for (; at < end; at++)
        *refmap_at(&outcome->before, lines[at]) |= flags;
}

/* They are remembered for longer than a series counts as known: only after a new start, when
   nothing else is, they are taken for such. */
static void note_stamped(struct outcome *outcome, const struct outcome_input *input, uint32_t at,
                         uint32_t end)
{
    const uint32_t *lines = series_stamped_lines(input->store, input->before.stamped);
    if (outcome_had_strays(input)) {
        note_lines(outcome, lines, at, end, BEFORE_KNOWN | BEFORE_TRACKED);
        return;
    }
    uint32_t flags = BEFORE_STAMPED | (input->known == NULL ? BEFORE_KNOWN : 0);
    for (; at < end; at++)
        *refmap_at(&outcome->before, lines[at]) |= flags | at << BEFORE_SHIFT;
}

static uint32_t known_layout(const struct outcome_input *input)
{
    return input->known != NULL ? input->known->layout : 0;
}

static uint32_t flags_before(const struct outcome *outcome, uint32_t line)
{
    const uint32_t *flags = refmap_find(&outcome->before, line);
    return flags == NULL ? 0 : *flags;
}

/* The time of the last sample of a line; INT64_MIN when none is known. */
static int64_t last_time(const struct outcome_input *input, uint32_t flags)
{
    if ((flags & BEFORE_STAMPED) != 0)
        return series_stamped_times(input->store, input->before.stamped)[flags >> BEFORE_SHIFT];
    return (flags & BEFORE_TRACKED) != 0 ? input->before.timestamp_ms : INT64_MIN;
}

/* ---- what has come ---- */

/*
 * Values of outcome.seen: whether the line is tracked now, came with a time of its own, had a
 * sample that was taken; above that the place of the last one taken in the harvest.
 */
#define SEEN_TRACKED  1u
#define SEEN_EXPLICIT 2u
#define SEEN_TAKEN    4u
#define SEEN_SHIFT    3u

static bool is_reserved(const struct outcome_input *input, uint32_t line)
{
    return search_has(input->reserved, 0, input->reserved_count, line);
}

struct sample {
    uint32_t line;
    uint64_t bits;
    int64_t time_ms;
    int64_t start_ms;
    bool is_explicit;
    bool is_histogram;
    uint8_t print;
};

static struct sample sample_at(const struct outcome_input *input, const struct harvest *harvest,
                               const struct plan *plan, uint32_t at)
{
    bool is_explicit = harvest->has_times && harvest->times[at] != HARVEST_NO_TIME;
    return (struct sample){
        .line = harvest_lines(harvest, plan)[at],
        .bits = harvest->bits[at],
        .time_ms = is_explicit ? harvest->times[at] : input->timestamp_ms,
        .start_ms = harvest->has_starts ? harvest->starts[at] : 0,
        .is_explicit = is_explicit,
        .is_histogram = (harvest_types(harvest, plan)[at] & PLAN_HISTOGRAM) != 0,
        .print = harvest_prints(harvest, plan)[at],
    };
}

/* Whether the sample is refused because of an earlier one of this scrape; counts it then. */
static bool repeats(struct outcome *outcome, const struct sample *earlier,
                    const struct sample *sample)
{
    bool same_text = earlier->print == sample->print;
    if (same_text && !sample->is_explicit)
        outcome->duplicate++;
    else if (sample->is_explicit && earlier->is_explicit && sample->time_ms > earlier->time_ms)
        return false;
    else if (sample->is_explicit && earlier->is_explicit && sample->time_ms < earlier->time_ms)
        outcome->out_of_order++;
    else if (same_text)
        outcome->duplicate++;
    else
        outcome->respelled++;
    return true;
}

static bool is_same_text(const struct outcome_input *input, const struct harvest *harvest,
                         const struct plan *plan, uint32_t seen, const struct sample *sample)
{
    return (seen & SEEN_TAKEN) != 0 && !sample->is_explicit &&
           sample_at(input, harvest, plan, seen >> SEEN_SHIFT).print == sample->print;
}

/* A sample that is beyond the limit is as one that has not come. */
static bool is_beyond_limit(struct outcome *outcome, const struct outcome_input *input)
{
    if (input->sample_limit == 0 || ++outcome->counted <= input->sample_limit)
        return false;
    outcome->exceeded = true;
    return true;
}

static bool is_too_old_or_new(struct outcome *outcome, const struct outcome_input *input,
                              const struct sample *sample, uint32_t flags)
{
    if (sample->is_explicit && outcome_is_too_far_ahead(input, sample->time_ms)) {
        outcome->out_of_bounds++;
        return true;
    }
    bool is_old = !outcome_is_newer(input, sample->time_ms, last_time(input, flags));
    outcome->out_of_order += is_old;
    return is_old;
}

static struct outcome_list *list_of(struct outcome *outcome, bool is_histogram, bool is_tracked)
{
    if (is_histogram)
        return is_tracked ? &outcome->histograms : &outcome->extra_histograms;
    return is_tracked ? &outcome->tracked : &outcome->extra;
}

static void take(struct outcome *outcome, const struct outcome_input *input,
                 const struct sample *sample, uint32_t *seen)
{
    bool is_first = (*seen & SEEN_TAKEN) == 0;
    bool tracks = !sample->is_explicit || input->track_timestamps;
    struct outcome_list *list = list_of(outcome, sample->is_histogram, tracks && is_first);
    outcome_append(list, sample->line, sample->bits, sample->time_ms);
    list->starts[list->count - 1] = sample->start_ms;
    if (tracks && is_first) {
        *seen |= SEEN_TRACKED;
        outcome->tracked_have_times |= sample->is_explicit;
    }
}

static void take_or_refuse(struct outcome *outcome, const struct outcome_input *input,
                           const struct harvest *harvest, const struct plan *plan, uint32_t at)
{
    struct sample sample = sample_at(input, harvest, plan, at);
    bool is_left_out = sample.is_histogram && sample.bits == HARVEST_NO_HISTOGRAM;
    if (sample.line == LINE_DROPPED || is_left_out)
        return;
    uint32_t *seen = refmap_at(&outcome->seen, sample.line);
    if (!is_same_text(input, harvest, plan, *seen, &sample) && is_beyond_limit(outcome, input))
        return;
    if (is_reserved(input, sample.line)) {
        outcome->respelled++;
        return;
    }
    if (sample.is_explicit)
        *seen |= SEEN_EXPLICIT;
    if ((*seen & SEEN_TAKEN) != 0) {
        struct sample earlier = sample_at(input, harvest, plan, *seen >> SEEN_SHIFT);
        if (repeats(outcome, &earlier, &sample))
            return;
    }
    uint32_t flags = flags_before(outcome, sample.line);
    if (is_too_old_or_new(outcome, input, &sample, flags))
        return;
    if ((*seen & SEEN_TAKEN) == 0 && (flags & BEFORE_KNOWN) == 0)
        outcome->added++;
    take(outcome, input, &sample, seen);
    *seen = (*seen & (SEEN_TRACKED | SEEN_EXPLICIT)) | SEEN_TAKEN | at << SEEN_SHIFT;
}

/* ---- what follows for later ---- */

/* Markers for what was tracked and is not any more. */
static void mark_vanished(struct outcome *outcome, const uint32_t *lines, uint32_t at, uint32_t end)
{
    const struct outcome_input *input = outcome->input;
    for (; at < end; at++) {
        uint32_t line = lines[at];
        const uint32_t *seen = refmap_find(&outcome->seen, line);
        if (seen != NULL && (*seen & SEEN_TRACKED) != 0)
            continue;
        if (last_time(input, flags_before(outcome, line)) < input->timestamp_ms)
            outcome_append(&outcome->stale, line, 0, input->timestamp_ms);
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The last time of a line after this scrape, for one that has or had times of its own. */
static int64_t time_after(const struct outcome *outcome, const struct outcome_input *input,
                          const struct harvest *harvest, uint32_t line)
{
    uint32_t flags = flags_before(outcome, line);
    const uint32_t *seen = refmap_find(&outcome->seen, line);
    int64_t time_ms = last_time(input, flags);
    bool sent = !input->failed && !outcome->exceeded;
    if (sent && seen != NULL && (*seen & SEEN_TAKEN) != 0) {
        uint32_t at = *seen >> SEEN_SHIFT;
        bool is_explicit = harvest->has_times && harvest->times[at] != HARVEST_NO_TIME;
        time_ms = later(time_ms, is_explicit ? harvest->times[at] : input->timestamp_ms);
    }
    bool is_tracked = seen != NULL && (*seen & SEEN_TRACKED) != 0;
    if ((flags & BEFORE_TRACKED) != 0 && !is_tracked)
        time_ms = later(time_ms, input->timestamp_ms); /* its marker's */
    return time_ms;
}

/* A line is remembered once: `seen` loses the flag when it is. */
static void remember(struct outcome *outcome, const struct outcome_input *input,
                     const struct harvest *harvest, uint32_t at, uint32_t end)
{
    const uint32_t *lines = harvest_lines(harvest, outcome->source);
    for (uint32_t i = at; i < end; i++) {
        if (lines[i] == LINE_DROPPED)
            continue;
        uint32_t *seen = refmap_at(&outcome->seen, lines[i]);
        if ((*seen & SEEN_EXPLICIT) == 0)
            continue;
        int64_t time_ms = time_after(outcome, input, harvest, lines[i]);
        *seen &= ~SEEN_EXPLICIT;
        if (time_ms != INT64_MIN)
            outcome_append(&outcome->stamped, lines[i], 0, time_ms);
    }
}

/* Those that had times of their own before and have not come with one now. */
static void note_fresh(struct outcome *outcome, uint32_t at, uint32_t end)
{
    for (; at < end; at++)
        *refmap_at(&outcome->seen, outcome->stamped.lines[at]) |= SEEN_EXPLICIT;
}

static void keep_remembering(struct outcome *outcome, const struct outcome_input *input,
                             const struct harvest *harvest, uint32_t at, uint32_t end)
{
    for (; at < end; at++) {
        uint32_t line = series_stamped_lines(input->store, input->before.stamped)[at];
        const uint32_t *seen = refmap_find(&outcome->seen, line);
        if (seen != NULL && (*seen & SEEN_EXPLICIT) != 0)
            continue;
        int64_t time_ms = time_after(outcome, input, harvest, line);
        if (time_ms > input->now_ms - REMEMBER_MS)
            outcome_append(&outcome->stamped, line, 0, time_ms);
    }
}

/* The lines of the layout that is tracked from now on. */
static void join_lines(struct outcome *outcome)
{
    struct outcome_list *tracked = &outcome->tracked;
    const struct outcome_list *histograms = &outcome->histograms;
    outcome_make_room(tracked, tracked->count + histograms->count);
    for (uint32_t i = 0; i < histograms->count; i++)
        tracked->lines[tracked->count + i] = histograms->lines[i];
}

/* Whether samples of the line came but none of them was taken, as its time is too old or too new.
 */
static bool is_refused(const struct outcome *outcome, uint32_t line)
{
    const uint32_t *seen = outcome->plan == NULL ? refmap_find(&outcome->seen, line) : NULL;
    return seen != NULL && (*seen & SEEN_TAKEN) == 0;
}

/* Those that do not repeat what the series had last. */
static void choose_exemplars(struct outcome *outcome, const struct outcome_input *input,
                             const struct harvest *harvest, const struct plan *plan)
{
    struct exemplars *exemplars = (struct exemplars *)(uintptr_t)&harvest->exemplars;
    uint32_t seq = input->before.scrape_seq + 1;
    if (exemplars->count == 0 || input->failed || input->exemplars == NULL)
        return;
    exemplar_memory_index(input->exemplars, &outcome->exemplar_index, exemplars->count, seq);
    for (uint32_t i = 0; i < exemplars->count; i++) {
        struct exemplar *exemplar = &exemplars->items[i];
        struct sample sample = sample_at(input, harvest, plan, exemplar->sample);
        exemplar->line = sample.line;
        if (!exemplar->has_ms)
            exemplar->ms = sample.time_ms;
        if (is_reserved(input, sample.line) || is_refused(outcome, sample.line))
            continue;
        if (exemplar_repeats(input->exemplars, &outcome->exemplar_index, exemplars, exemplar, seq))
            outcome->repeated_exemplars++;
        else
            outcome_append(&outcome->exemplars, sample.line, i, exemplar->ms);
    }
}

/* ---- all of it, a part at a time ---- */

static const struct harvest no_harvest;

/* In this order; each goes over some lines. */
enum stage {
    NOTE_KNOWN,
    NOTE_TRACKED,
    NOTE_STAMPED,
    TAKE,
    MARK_STRAYS,
    MARK_VANISHED,
    REMEMBER,
    NOTE_FRESH,
    KEEP_REMEMBERING,
    DONE,
};

static uint32_t lines_of_stage(const struct outcome *outcome, const struct harvest *harvest)
{
    const struct outcome_input *input = outcome->input;
    switch ((enum stage)outcome->stage) {
    case NOTE_KNOWN:
        return count_of(input->store, known_layout(input));
    case NOTE_TRACKED:
    case MARK_VANISHED:
        return count_of(input->store, input->before.layout);
    case NOTE_STAMPED:
        return count_of(input->store, input->before.stamped);
    case MARK_STRAYS:
        return outcome_had_strays(input) ? count_of(input->store, input->before.stamped) : 0;
    case KEEP_REMEMBERING:
        return outcome_had_strays(input) ? 0 : count_of(input->store, input->before.stamped);
    case TAKE:
        return harvest->count;
    case REMEMBER:
        return harvest->has_times ? harvest->count : 0;
    case NOTE_FRESH:
        return outcome->stamped.count;
    case DONE:
        break;
    }
    return 0;
}

static void go_over(struct outcome *outcome, const struct harvest *harvest, uint32_t at,
                    uint32_t end)
{
    const struct outcome_input *input = outcome->input;
    switch ((enum stage)outcome->stage) {
    case NOTE_KNOWN:
        note_lines(outcome, series_layout_lines(input->store, known_layout(input)), at, end,
                   BEFORE_KNOWN);
        break;
    case NOTE_TRACKED:
        note_lines(outcome, series_layout_lines(input->store, input->before.layout), at, end,
                   BEFORE_KNOWN | BEFORE_TRACKED);
        break;
    case NOTE_STAMPED:
        note_stamped(outcome, input, at, end);
        break;
    case TAKE:
        for (; at < end; at++)
            take_or_refuse(outcome, input, harvest, outcome->source, at);
        break;
    case MARK_STRAYS:
        mark_vanished(outcome, series_stamped_lines(input->store, input->before.stamped), at, end);
        break;
    case MARK_VANISHED:
        mark_vanished(outcome, series_layout_lines(input->store, input->before.layout), at, end);
        break;
    case REMEMBER:
        remember(outcome, input, harvest, at, end);
        break;
    case NOTE_FRESH:
        note_fresh(outcome, at, end);
        break;
    case KEEP_REMEMBERING:
        keep_remembering(outcome, input, harvest, at, end);
        break;
    case DONE:
        break;
    }
}

static void begin_comparison(struct outcome *outcome, const struct harvest *harvest)
{
    const struct outcome_input *input = outcome->input;
    uint32_t stamped = count_of(input->store, input->before.stamped);
    uint32_t strays = count_of(input->store, input->known_strays);
    refmap_reset(&outcome->before, (size_t)count_of(input->store, known_layout(input)) +
                                       count_of(input->store, input->before.layout) + stamped +
                                       strays);
    refmap_reset(&outcome->seen, (size_t)harvest->count + stamped);
    if (strays > 0)
        note_lines(outcome, series_stamped_lines(input->store, input->known_strays), 0, strays,
                   BEFORE_KNOWN);
    outcome->stage = NOTE_KNOWN;
}

/* The ways that look up no lines, or few. False: it is none of these cases, nothing was done. */
static bool by_short_way(struct outcome *outcome, const struct outcome_input *input,
                         const struct harvest *harvest, const struct plan *plan, bool followed)
{
    if (outcome_by_plan(outcome, input, harvest, plan, followed))
        return true;
    if (!outcome_by_difference(outcome, input, harvest) &&
        !outcome_by_stamps(outcome, input, harvest, plan, followed))
        return false;
    refmap_reset(&outcome->seen, 0); /* nothing was refused */
    return true;
}

void outcome_begin(struct outcome *outcome, const struct outcome_input *input,
                   const struct harvest *harvest, const struct plan *plan, bool followed)
{
    clear(outcome);
    if (outcome->input == NULL)
        outcome->input = malloc(sizeof(*outcome->input));
    check(outcome->input != NULL);
    *outcome->input = *input;
    outcome->harvest = harvest;
    outcome->source = plan;
    outcome->at = 0;
    outcome->have_starts = harvest != NULL && harvest->has_starts;
    if (harvest == NULL || !by_short_way(outcome, input, harvest, plan, followed)) {
        begin_comparison(outcome, harvest == NULL ? &no_harvest : harvest);
        return;
    }
    outcome->stage = DONE;
    choose_exemplars(outcome, input, harvest, plan);
}

bool outcome_step(struct outcome *outcome, uint32_t *budget)
{
    const struct harvest *harvest = outcome->harvest == NULL ? &no_harvest : outcome->harvest;
    while (outcome->stage != DONE) {
        uint32_t count = lines_of_stage(outcome, harvest);
        uint32_t part = count - outcome->at < *budget ? count - outcome->at : *budget;
        if (part > 0)
            go_over(outcome, harvest, outcome->at, outcome->at + part);
        outcome->at += part;
        *budget -= part;
        if (outcome->at < count)
            return false;
        if (outcome->stage == MARK_VANISHED && outcome->harvest != NULL) {
            join_lines(outcome);
            choose_exemplars(outcome, outcome->input, harvest, outcome->source);
        }
        outcome->stage++;
        outcome->at = 0;
    }
    return true;
}

static void step_to_the_end(struct outcome *outcome)
{
    uint32_t budget = UINT32_MAX;
    bool done = outcome_step(outcome, &budget);
    check(done);
}

void outcome_of_body(struct outcome *outcome, const struct outcome_input *input,
                     const struct harvest *harvest, const struct plan *plan, bool followed)
{
    outcome_begin(outcome, input, harvest, plan, followed);
    step_to_the_end(outcome);
}

void outcome_of_nothing(struct outcome *outcome, const struct outcome_input *input)
{
    outcome_begin(outcome, input, NULL, NULL, false);
    step_to_the_end(outcome);
}
