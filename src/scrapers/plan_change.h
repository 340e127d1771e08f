/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one target has shown of how its plan changes, for the others that follow the same plan:
 * replicas get the same new series in the same scrape, and the first one that is read has learnt
 * them. A change is from one plan to the next; where a body leaves the first, it may go on with the
 * second, and what that means for its series is known.
 *
 * A context keeps the last few. They hold no reference: a change is gone with either of its plans.
 */
#ifndef SCRAPERS_PLAN_CHANGE_H
#define SCRAPERS_PLAN_CHANGE_H

#include "scrapers/plan.h"

/* So many changes of a context are known. */
#define PLAN_CHANGES 8u

/* One with which more lines go is not kept. */
#define PLAN_CHANGE_GONE_MAX 32u

/* Neither is one of plans with more entries. */
#define PLAN_CHANGE_COUNT_MAX 16384u

struct plan_change {
    const struct plan *from;
    struct plan *to;
    uint32_t start; /* the first entry that is another one */
    uint32_t added; /* lines that only `to` has */
    uint32_t gone;  /* lines that only `from` has, in its order */
    uint32_t lines[PLAN_CHANGE_GONE_MAX];
};

/* Zeroed before its first use; part of a context. */
struct plan_changes {
    uint32_t count;
    uint32_t next; /* the place that is used next */
    struct plan_change items[PLAN_CHANGES];
};

/*
 * A target that followed `from` has shown `to`, a plan of the same context, with so many lines that
 * are new and these that are gone. Both plans are plain (scrapers/plan.h) and without histograms.
 */
void plan_change_note(const struct plan *from, struct plan *to, uint32_t added,
                      const uint32_t *gone, uint32_t gone_count);

/* The change between the two, or NULL; it stays until another one is noted or a plan goes. */
const struct plan_change *plan_change_between(const struct plan *from, const struct plan *to);

/*
 * A plan that goes on otherwise at entry `at` of `from`, with what these bytes begin with; NULL:
 * none does. No reference. *ret_wanted: if it is NULL, so many bytes are needed to be sure of that;
 * 0: no more.
 */
struct plan *plan_change_find(const struct plan *from, uint32_t at, const struct gap_key *key,
                              struct slice bytes, size_t *ret_wanted);

/* Whether others have gone on otherwise at entry `at` of `from`, but none of them with this line.
 */
bool plan_change_is_another(const struct plan *from, uint32_t at, uint32_t line);

/* A plan that ends at entry `at` of `from`, or NULL. No reference. */
struct plan *plan_change_end(const struct plan *from, uint32_t at);

/* The plan goes. */
void plan_change_forget(const struct plan *plan);

#endif
