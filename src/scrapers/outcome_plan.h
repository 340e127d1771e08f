/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outcome of a scrape whose samples are those of its plan, which is what most scrapes are: its
 * layout has the lines, so no line is looked at.
 */
#ifndef SCRAPERS_OUTCOME_PLAN_H
#define SCRAPERS_OUTCOME_PLAN_H

#include "scrapers/outcome.h"

/*
 * The same as line by line, for a body that was all of `plan` and nothing else (`followed`): plan,
 * plan_bits and plan_starts stand for what is tracked. False: some could be refused or have times
 * of their own, or nothing is known of what the target served before; nothing has been done.
 */
bool outcome_by_plan(struct outcome *outcome, const struct outcome_input *input,
                     const struct harvest *harvest, const struct plan *plan, bool followed);

#endif
