/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outcome of a scrape that is nearly the one before: lines that both have at their start and at
 * their end need no looking up, so only what lies between them is compared.
 */
#ifndef SCRAPERS_OUTCOME_DIFFERENCE_H
#define SCRAPERS_OUTCOME_DIFFERENCE_H

#include "scrapers/outcome.h"

/* Whether the target tracks strays (scrapers/strays.h). */
bool outcome_had_strays(const struct outcome_input *input);

/* Whether what it tracks beside its layout is known_strays, or nothing. */
bool outcome_knows_strays(const struct outcome_input *input);

/*
 * The outcome of a body that left its plan: the same as line by line. False: it is no simple case,
 * nothing has been done.
 */
bool outcome_by_difference(struct outcome *outcome, const struct outcome_input *input,
                           const struct harvest *harvest);

/*
 * What has vanished and what has come where a target that served input->known, and perhaps strays,
 * serves all of `plan` now and nothing else: its own, or one to which another has gone over before
 * it. Its samples are not looked at. False: nothing is known of that, nothing has been done.
 */
bool outcome_by_change(struct outcome *outcome, const struct outcome_input *input,
                       const struct plan *plan);

#endif
