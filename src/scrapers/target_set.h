/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scraper's targets: those of the table that it owns, and those that have left it and still get
 * their staleness markers.
 *
 * A target that leaves (but for one that another scraper owns now) is marked as Prometheus does it:
 * at the time of its next tick, but only one interval and a tenth later, so that a target which
 * comes back, or one that succeeds it with the same labels, is not marked in between. A scraper
 * that starts anew finds in the series store what its predecessor left, and treats it alike.
 */
#ifndef SCRAPERS_TARGET_SET_H
#define SCRAPERS_TARGET_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

struct scraper;
struct target;
struct label;

struct target_set {
    struct target **buckets; /* by id; private */
    uint32_t mask;
    uint32_t count; /* departing ones included */
    uint32_t active;
    uint64_t generation;    /* of the table that was looked at last; 0: none yet */
    bool has_taken;         /* a whole table has been taken in */
    bool is_torn;           /* that one was replaced meanwhile: nobody knows the rest of it */
    bool wants_retry;       /* a target found no memory for its record */
    int64_t retry_at_ns;    /* monotonic; private */
    struct hash_key secret; /* of label keys and of the places of ids; private */
    uint64_t *foreign;      /* label keys of other scrapers' targets, sorted; private */
    uint32_t foreign_count;
    uint32_t foreign_room;
    uint64_t foreign_generation;
    struct label *labels; /* room for those of one target */
    uint32_t label_room;
};

void target_set_init(struct target_set *set);
void target_set_fini(struct target_set *set);

/* Takes in the table if it is new. */
void target_set_refresh(struct scraper *scraper);

/* There may be memory by now for what the table says: it is taken in again, soon. */
void target_set_retry(struct target_set *set);

/* The target of this id, or NULL. */
struct target *target_set_find(const struct target_set *set, uint64_t id);

/* A target of this TARGET record, of which nothing else is known: departing for the time being. */
struct target *target_set_add_left_behind(struct scraper *scraper, uint32_t ref);

/* A target whose state is here now: it is scraped, if the table has it still. */
void target_set_activate(struct target *target);

/* A target that is no scraper's any more is marked at its time. */
void target_set_depart(struct target *target);

/* Takes it out and frees it. */
void target_set_forget(struct target *target);

/* Calls back for each target. The call may not change the set. */
void target_set_each(struct target_set *set, void (*visit)(struct target *target));

#endif
