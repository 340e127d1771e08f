/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets that left the table together with their scraper (a reload or restart with fewer scrapers
 * that removes jobs, too): nobody who has a process knows of them. So scraper 0 takes them over, as
 * if they had moved to it, and marks them in its own ring, when it is sure that nobody else will.
 */
#ifndef SCRAPERS_LEFT_BEHIND_H
#define SCRAPERS_LEFT_BEHIND_H

#include <stdbool.h>

struct scraper;

/*
 * At the start of a scraper. A predecessor that had been told of more scrapers may have settled
 * with a table of fewer, without having looked: that does not count.
 */
void left_behind_begin(struct scraper *scraper);

/*
 * Looks for them once a table, in what former scrapers have left that the supervisor keeps; what
 * there is then arrives (takeover.h). False: it could not be done yet, as a scraper that is not
 * wanted any more has not ended, or something is in the way; ask again soon.
 */
bool left_behind_take(struct scraper *scraper);

#endif
