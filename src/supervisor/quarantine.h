/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets on which scrapers die. A scraper's slot says whose bytes it is looking at; three deaths
 * by a program error (SEGV, BUS, ILL, FPE, ABRT) on the same target within an hour put that target
 * under quarantine for an hour: scrapers skip it. Time is a parameter, nothing is shared in here.
 */
#ifndef SUPERVISOR_QUARANTINE_H
#define SUPERVISOR_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define QUARANTINE_DEATHS  3u
#define QUARANTINE_NS      (3600 * NS_PER_S)
#define QUARANTINE_TARGETS 32u /* at most at a time; as in struct shm_supervisor */

struct suspect {
    uint64_t target; /* 0 = free */
    uint32_t deaths;
    int64_t since; /* of the last death, or of the quarantine */
};

struct quarantine {
    struct suspect suspects[QUARANTINE_TARGETS];
};

/* Whether a death by this signal (0 = by none) accuses the target. */
bool quarantine_accuses(int signal_number);

/* A scraper died on the target (0 = on none). True: the target is under quarantine from now on. */
bool quarantine_death(struct quarantine *quarantine, uint64_t target, int64_t now);

/* The targets under quarantine now, zeros behind them. True if something ended since the last
   call of this or of quarantine_death. */
bool quarantine_list(struct quarantine *quarantine, int64_t now,
                     uint64_t ret_targets[QUARANTINE_TARGETS]);

#endif
