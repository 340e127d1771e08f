/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/outcome_stamped.h"

#include "scrapers/outcome_difference.h"
#include "scrapers/outcome_list.h"

/* All of it is done in one piece. */
#define COUNT_MAX 16384u

/* Lines of a record. */
struct lines {
    const uint32_t *lines;
    uint32_t count;
    uint32_t at;
};

static bool is_simple(const struct outcome_input *input, const struct harvest *harvest,
                      const struct plan *plan, bool followed)
{
    return followed && plan == input->known && plan->plain && !plan->has_histograms &&
           harvest->has_times && !harvest->has_starts && harvest->exemplars.count == 0 &&
           !input->failed && !outcome_had_strays(input) && harvest->count <= COUNT_MAX &&
           (input->sample_limit == 0 || plan->count - plan->dropped <= input->sample_limit);
}

static struct lines lines_of_layout(const struct outcome_input *input)
{
    uint32_t layout = input->before.layout;
    if (layout == 0)
        return (struct lines){.lines = NULL};
    return (struct lines){series_layout_lines(input->store, layout),
                          series_count(input->store, layout), 0};
}

static struct lines lines_of_stamped(const struct outcome_input *input)
{
    uint32_t stamped = input->before.stamped;
    if (stamped == 0)
        return (struct lines){.lines = NULL};
    return (struct lines){series_stamped_lines(input->store, stamped),
                          series_count(input->store, stamped), 0};
}

static bool is_next(struct lines *lines, uint32_t line)
{
    return lines->at < lines->count && lines->lines[lines->at++] == line;
}

/* Whether the lines with timestamps, and those that are tracked, are the same as before. */
static bool are_same_lines(const struct outcome_input *input, const struct harvest *harvest,
                           const uint32_t *lines)
{
    struct lines tracked = lines_of_layout(input);
    struct lines stamped = lines_of_stamped(input);
    for (uint32_t i = 0; i < harvest->count; i++) {
        bool is_stamped = harvest->times[i] != HARVEST_NO_TIME;
        if (lines[i] == LINE_DROPPED)
            continue;
        if (is_stamped && !is_next(&stamped, lines[i]))
            return false;
        if ((!is_stamped || input->track_timestamps) && !is_next(&tracked, lines[i]))
            return false;
    }
    return tracked.at == tracked.count && stamped.at == stamped.count;
}

/* A refused sample of a series that is tracked is a series that vanishes. */
static bool may_refuse(const struct outcome_input *input, const struct harvest *harvest,
                       const uint32_t *lines)
{
    const int64_t *last;
    if (!input->track_timestamps || input->before.stamped == 0)
        return false;
    last = series_stamped_times(input->store, input->before.stamped);
    for (uint32_t i = 0; i < harvest->count; i++) {
        int64_t time_ms = harvest->times[i];
        if (lines[i] != LINE_DROPPED && time_ms != HARVEST_NO_TIME &&
            (outcome_is_too_far_ahead(input, time_ms) ||
             !outcome_is_newer(input, time_ms, *last++)))
            return true;
    }
    return false;
}

/* Sends it if it is newer; the later time is remembered. */
static void take_stamped(struct outcome *outcome, const struct outcome_input *input, uint32_t line,
                         uint64_t bits, int64_t time_ms, int64_t last_ms)
{
    bool is_tracked = input->track_timestamps;
    int64_t later_ms = last_ms;
    if (outcome_is_too_far_ahead(input, time_ms)) {
        outcome->out_of_bounds++;
    } else if (!outcome_is_newer(input, time_ms, last_ms)) {
        outcome->out_of_order++;
    } else {
        outcome_append(is_tracked ? &outcome->tracked : &outcome->extra, line, bits, time_ms);
        outcome->tracked_have_times |= is_tracked;
        later_ms = time_ms > last_ms ? time_ms : last_ms;
    }
    outcome_append(&outcome->stamped, line, 0, later_ms);
}

bool outcome_by_stamps(struct outcome *outcome, const struct outcome_input *input,
                       const struct harvest *harvest, const struct plan *plan, bool followed)
{
    if (!is_simple(input, harvest, plan, followed))
        return false;
    const uint32_t *lines = harvest_lines(harvest, plan);
    if (!are_same_lines(input, harvest, lines) || may_refuse(input, harvest, lines))
        return false;
    const int64_t *last = input->before.stamped == 0
                              ? NULL
                              : series_stamped_times(input->store, input->before.stamped);
    for (uint32_t i = 0; i < harvest->count; i++) {
        if (lines[i] == LINE_DROPPED)
            continue;
        if (harvest->times[i] == HARVEST_NO_TIME)
            outcome_append(&outcome->tracked, lines[i], harvest->bits[i], input->timestamp_ms);
        else
            take_stamped(outcome, input, lines[i], harvest->bits[i], harvest->times[i], *last++);
    }
    if (input->before.stamped != 0)
        outcome->stamped_layout = series_stamped_layout(input->store, input->before.stamped);
    return true;
}
