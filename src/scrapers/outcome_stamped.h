/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outcome of a scrape whose samples have timestamps of their own, as those of cAdvisor do, and
 * which is otherwise as the one before: line stands beside line, so nothing is looked up.
 */
#ifndef SCRAPERS_OUTCOME_STAMPED_H
#define SCRAPERS_OUTCOME_STAMPED_H

#include "scrapers/outcome.h"

/*
 * The same as line by line, for a body that was all of `plan` and nothing else (`followed`). False:
 * other lines than before have timestamps, or it is no simple case; then nothing has been done.
 */
bool outcome_by_stamps(struct outcome *outcome, const struct outcome_input *input,
                       const struct harvest *harvest, const struct plan *plan, bool followed);

#endif
