/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which targets change their scraper so that all have about the same load. Pure functions: the same
 * input gives the same moves.
 *
 * A move costs a connection and a body that is parsed anew, so it has to be worth it: nothing
 * happens while the busiest scraper is within a quarter of the mean, or has not even a
 * ten-thousandth of a CPU more; once it happens, it goes on to a twentieth. The largest targets
 * that fit are moved first, so that few are. A scraper with nothing to do gets something in any
 * case.
 */
#ifndef DISCOVERY_BALANCE_H
#define DISCOVERY_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "shm/layout.h"

struct balance_target {
    uint64_t id;
    uint64_t load;  /* nanoseconds of CPU time a second */
    uint32_t owner; /* < scrapers; balance_plan changes it */
    uint32_t moved; /* 1: it has */
};

/* What each scraper has. */
struct balance_loads {
    uint64_t load[SHM_MAX_SCRAPERS];
    uint32_t targets[SHM_MAX_SCRAPERS];
};

/* The scraper for one more target: that with the least load, then the fewest targets. */
uint32_t balance_place(const struct balance_loads *loads, uint32_t scrapers);

/*
 * Changes the owners of at most max_moves targets; returns of how many. Only scrapers whose bit is
 * set in `available` get any. The order of the targets changes.
 */
size_t balance_plan(struct balance_target *targets, size_t count, uint32_t scrapers,
                    uint64_t available, size_t max_moves);

#endif
