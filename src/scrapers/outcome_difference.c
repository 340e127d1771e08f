/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/outcome_difference.h"

#include <string.h>

#include "base/search.h"
#include "scrapers/outcome_list.h"
#include "scrapers/plan_change.h"

/* More new lines are looked up in tables. */
#define FRESH_MAX 32u

/* All of it is done in one piece. */
#define COUNT_MAX 16384u

/* Entries [start, old_end) of the plan have become entries [start, new_end) of the harvest. */
struct difference {
    uint32_t start;
    uint32_t old_end;
    uint32_t new_end;
};

/* Lines that are tracked beside the layout. */
struct strays {
    const uint32_t *lines;
    uint32_t count;
};

/*
 * Everything tracked is what the plan says, each line once, and whatever comes is newer. What
 * remains to be asked of the lines between is in compare_between.
 */
static bool is_simple(const struct outcome_input *input, const struct harvest *harvest)
{
    const struct plan *plan = input->known;
    return harvest->is_drafted && plan != NULL && plan->plain && !plan->has_histograms &&
           input->before.layout == plan->layout && outcome_knows_strays(input) &&
           !harvest->has_times && !input->failed && harvest->count <= COUNT_MAX &&
           plan->count <= COUNT_MAX &&
           (input->sample_limit == 0 || harvest->count <= input->sample_limit);
}

static bool is_same(const struct plan_columns *old, uint32_t i, const struct plan_columns *new,
                    uint32_t k)
{
    return old->lines[i] == new->lines[k] && old->types[i] == new->types[k];
}

static struct difference find_difference(const struct plan_columns *old, uint32_t old_count,
                                         const struct plan_columns *new, uint32_t new_count)
{
    struct difference found = {0, old_count, new_count};
    uint32_t shorter = old_count < new_count ? old_count : new_count;
    while (found.start < shorter && is_same(old, found.start, new, found.start))
        found.start++;
    while (found.old_end > found.start && found.new_end > found.start &&
           is_same(old, found.old_end - 1, new, found.new_end - 1)) {
        found.old_end--;
        found.new_end--;
    }
    return found;
}

bool outcome_had_strays(const struct outcome_input *input)
{
    return (input->before.flags & SHM_STATE_STRAYS) != 0 && input->before.stamped != 0;
}

bool outcome_knows_strays(const struct outcome_input *input)
{
    return input->before.stamped == input->known_strays &&
           (input->known_strays == 0 || outcome_had_strays(input));
}

static struct strays strays_before(const struct outcome_input *input)
{
    uint32_t ref = input->known_strays;
    if (ref == 0)
        return (struct strays){.lines = NULL};
    return (struct strays){series_stamped_lines(input->store, ref),
                           series_count(input->store, ref)};
}

/* Whether each of the lines between is there once, and none is a histogram's or reserved. Counts
   those that were not known. */
static bool compare_between(const struct outcome_input *input, const struct difference *between,
                            const struct plan *plan, const struct plan_columns *new,
                            uint32_t *ret_added)
{
    const uint32_t *old = plan->columns.lines;
    struct strays strays = strays_before(input);
    *ret_added = 0;
    if (between->new_end - between->start > FRESH_MAX)
        return false;
    for (uint32_t i = between->start; i < between->new_end; i++) {
        uint32_t line = new->lines[i];
        if (line == LINE_DROPPED)
            continue;
        if ((new->types[i] & PLAN_HISTOGRAM) != 0 ||
            search_has(input->reserved, 0, input->reserved_count, line) ||
            search_has(new->lines, between->start, i, line) ||
            search_has(old, 0, between->start, line) ||
            search_has(old, between->old_end, plan->count, line))
            return false;
        *ret_added += !search_has(old, between->start, between->old_end, line) &&
                      !search_has(strays.lines, 0, strays.count, line);
    }
    return true;
}

static void mark_vanished(struct outcome *outcome, const struct outcome_input *input,
                          const struct difference *between, const struct plan_columns *old,
                          const struct plan_columns *new)
{
    struct strays strays = strays_before(input);
    for (uint32_t i = 0; i < strays.count; i++) {
        if (!search_has(new->lines, between->start, between->new_end, strays.lines[i]))
            outcome_append(&outcome->stale, strays.lines[i], 0, input->timestamp_ms);
    }
    for (uint32_t i = between->start; i < between->old_end; i++) {
        uint32_t line = old->lines[i];
        if (line != LINE_DROPPED && !search_has(new->lines, between->start, between->new_end, line))
            outcome_append(&outcome->stale, line, 0, input->timestamp_ms);
    }
}

static void take_all(struct outcome_list *tracked, const struct harvest *harvest)
{
    uint32_t count = harvest->count;
    outcome_make_room(tracked, count);
    memcpy(tracked->lines, harvest->draft.lines, count * sizeof(*tracked->lines));
    memcpy(tracked->bits, harvest->bits, count * sizeof(*tracked->bits));
    if (harvest->has_starts)
        memcpy(tracked->starts, harvest->starts, count * sizeof(*tracked->starts));
    tracked->count = count;
}

static void leave_dropped_out(struct outcome_list *tracked)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < tracked->count; i++) {
        tracked->lines[kept] = tracked->lines[i];
        tracked->bits[kept] = tracked->bits[i];
        tracked->starts[kept] = tracked->starts[i];
        kept += tracked->lines[i] != LINE_DROPPED;
    }
    tracked->count = kept;
}

bool outcome_by_difference(struct outcome *outcome, const struct outcome_input *input,
                           const struct harvest *harvest)
{
    const struct plan *plan = input->known;
    if (!is_simple(input, harvest))
        return false;
    const struct plan_columns *old = &plan->columns;
    const struct plan_columns *new = &harvest->draft;
    struct difference between = find_difference(old, plan->count, new, harvest->count);
    uint32_t added;
    if (!compare_between(input, &between, plan, new, &added))
        return false;
    outcome->added = added;
    outcome->is_difference = true;
    mark_vanished(outcome, input, &between, old, new);
    if (harvest->count > 0)
        take_all(&outcome->tracked, harvest);
    if (plan->dropped > 0 || search_has(new->lines, between.start, between.new_end, LINE_DROPPED))
        leave_dropped_out(&outcome->tracked);
    return true;
}

bool outcome_by_change(struct outcome *outcome, const struct outcome_input *input,
                       const struct plan *plan)
{
    struct strays strays = strays_before(input);
    if (plan == input->known) {
        for (uint32_t i = 0; i < strays.count; i++)
            outcome_append(&outcome->stale, strays.lines[i], 0, input->timestamp_ms);
        return true;
    }
    const struct plan_change *change = plan_change_between(input->known, plan);
    if (change == NULL || input->failed || strays.count > 0)
        return false;
    outcome->added = change->added;
    for (uint32_t i = 0; i < change->gone; i++)
        outcome_append(&outcome->stale, change->lines[i], 0, input->timestamp_ms);
    return true;
}
