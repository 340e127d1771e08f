/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two scrapers of one process (rig.h), between which target 1 moves. */
#ifndef TESTS_UNIT_SCRAPERS_PAIR_H
#define TESTS_UNIT_SCRAPERS_PAIR_H

#include "tests/unit/scrapers/rig.h"

struct pair {
    struct rig *rigs[2];
};

struct pair pair_new(void);
void pair_free(struct pair *pair);

/* Both take in a table with target 1 at this owner. */
void pair_give(struct pair *pair, uint32_t owner, bool moved);

/* Lets both look after each other for a while. */
void pair_settle(struct pair *pair);

/* pair_give of a target that moves, and pair_settle. */
void pair_move(struct pair *pair, uint32_t owner);

/* As rig_scrape. The clock of one rig goes on with the other's. */
const char *pair_scrape(struct pair *pair, uint32_t owner, const struct rig_answer *answer);

/* How many targets a scraper has records of. */
uint32_t pair_records(const struct pair *pair, uint32_t index);

#endif
