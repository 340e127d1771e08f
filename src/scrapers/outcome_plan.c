/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/outcome_plan.h"

#include <stdlib.h>

#include "base/check.h"
#include "scrapers/outcome_difference.h"

/* Whether the samples are those of the plan and can only be taken, each with the scrape's time. */
static bool is_plain(const struct outcome_input *input, const struct harvest *harvest,
                     const struct plan *plan, bool followed)
{
    const struct plan *known = input->known;
    return followed && plan->plain && !plan->has_histograms && known != NULL &&
           !harvest->has_times && input->before.layout == known->layout &&
           outcome_knows_strays(input) &&
           (input->sample_limit == 0 || plan->count - plan->dropped <= input->sample_limit);
}

/* The values that go with the lines of the plan's layout. */
static const uint64_t *bits_of_layout(struct outcome *outcome, const struct harvest *harvest,
                                      const struct plan *plan)
{
    uint32_t kept = 0;
    if (plan->dropped == 0)
        return harvest->bits;
    if (outcome->kept_room < plan->count) {
        outcome->kept_bits = realloc(outcome->kept_bits, plan->count * sizeof(*outcome->kept_bits));
        check(outcome->kept_bits != NULL);
        outcome->kept_room = plan->count;
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->columns.lines[i] != LINE_DROPPED)
            outcome->kept_bits[kept++] = harvest->bits[i];
    }
    return outcome->kept_bits;
}

/* Their start timestamps; NULL: there are none. */
static const int64_t *starts_of_layout(struct outcome *outcome, const struct harvest *harvest,
                                       const struct plan *plan)
{
    uint32_t kept = 0;
    if (!harvest->has_starts || plan->dropped == 0)
        return harvest->has_starts ? harvest->starts : NULL;
    outcome->kept_starts =
        realloc(outcome->kept_starts, plan->count * sizeof(*outcome->kept_starts));
    check(outcome->kept_starts != NULL);
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->columns.lines[i] != LINE_DROPPED)
            outcome->kept_starts[kept++] = harvest->starts[i];
    }
    return outcome->kept_starts;
}

bool outcome_by_plan(struct outcome *outcome, const struct outcome_input *input,
                     const struct harvest *harvest, const struct plan *plan, bool followed)
{
    if (!is_plain(input, harvest, plan, followed) || !outcome_by_change(outcome, input, plan))
        return false;
    outcome->plan = plan;
    outcome->plan_bits = bits_of_layout(outcome, harvest, plan);
    outcome->plan_starts = starts_of_layout(outcome, harvest, plan);
    return true;
}
