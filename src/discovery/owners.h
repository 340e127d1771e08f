/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who owns which target. An owner stays until its scraper is no more or the load has to be shared
 * out anew (discovery/balance.h); a target that vanishes and comes back within some minutes has the
 * one it had. What a predecessor decided is in its table.
 *
 * A target with another owner than before is marked as moved in all tables until every scraper has
 * said that it has what is its own; only then others move. With one scraper, and nothing that has
 * moved to it, none of this takes memory.
 */
#ifndef DISCOVERY_OWNERS_H
#define DISCOVERY_OWNERS_H

#include <stdbool.h>

#include "discovery/balance.h"

struct owner_entry;

struct owners {
    uint32_t scrapers;
    uint64_t moves; /* so far */
    /* private */
    uint64_t seed;               /* of the places of ids */
    struct owner_entry *entries; /* open addressing by id */
    size_t mask;
    size_t count;
    uint64_t generation; /* of the table that is being written, or was written last */
    uint64_t settled;    /* all scrapers have what was theirs in this table */
    size_t unsettled;    /* targets that were marked as moved in the last table */
    struct balance_loads loads;
    uint64_t usual_load;
    int64_t now_ns;
};

void owners_init(struct owners *owners, uint32_t scrapers);
void owners_fini(struct owners *owners);

/* What the table of a predecessor says, whose generation is `generation`. */
void owners_recall(struct owners *owners, uint64_t generation, uint64_t target_id, uint32_t owner,
                   bool moved);

/* A table is going to be written; now_ns: monotonic. */
void owners_begin(struct owners *owners, uint64_t generation, int64_t now_ns);

/* For each target of that table: its owner, and whether it is to be marked as moved. */
uint32_t owners_of(struct owners *owners, uint64_t target_id, int64_t interval_ms, bool *ret_moved);

/* All scrapers have what was theirs in this table. True: the next table has fewer marks. */
bool owners_settled(struct owners *owners, uint64_t generation);

/* What a scrape of the target costs. */
void owners_note_cost(struct owners *owners, uint64_t target_id, uint64_t cost_ns);

/*
 * Shares out anew, if all have settled. available: the scrapers that work, a bit each. True:
 * targets move with the next table.
 */
bool owners_balance(struct owners *owners, uint64_t available);

#endif
