/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a body says of its metric families (HELP, TYPE, UNIT), as a METADATA record.
 *
 * While a body follows its plan nobody reads comments. So a family is known by the gap in which it
 * stood: as long as an entry of the plan has that gap, the family is exposed, and only what the
 * parser saw is new.
 */
#ifndef SCRAPERS_METADATA_H
#define SCRAPERS_METADATA_H

#include "base/arena.h"
#include "exposition/exposition.h"
#include "shm/series.h"

/* A family as far as the parser saw it. */
struct metadata_family {
    struct family family; /* the texts are the draft's */
    uint32_t order;       /* private */
    bool has_help;
    bool has_type;
    bool has_unit;
    uint64_t gap; /* hash of the gap; 0: it will be seen each time */
};

/* What the parser saw of a body. All zero at the start; the memory stays. */
struct metadata_draft {
    struct metadata_family *items;
    uint32_t count;
    uint64_t print; /* of all of it: the same print, the same metadata */
    /* private */
    uint32_t room;
    uint32_t settled; /* so many items have their gap */
    struct arena texts;
};

/* What is known of the families of a plan: the record, whose reference is the owner's, and the gap
   of each of its families. */
struct metadata {
    uint32_t ref; /* 0: nothing is known */
    uint64_t *gaps;
    uint64_t print;
    uint64_t loose; /* print of what was said in no gap of the plan */
};

void metadata_draft_clear(struct metadata_draft *draft);
void metadata_draft_fini(struct metadata_draft *draft);

/* Takes in an entry of one of the three kinds. */
void metadata_draft_note(struct metadata_draft *draft, const struct exposition_entry *entry,
                         enum exposition_format format);

/* Families of a body, with their texts, may take so many bytes: some 40,000 of a usual size. */
#define METADATA_DRAFT_MAX (8u << 20)

/* Whether they take more. */
bool metadata_draft_is_full(const struct metadata_draft *draft);

/* A print of what was said in no gap of the next plan, such as behind the last sample: nobody knows
   it by a gap, so it is there only if it is said. 0: nothing. */
uint64_t metadata_draft_loose(const struct metadata_draft *draft);

/* The body is over: memory for very many families goes back. */
void metadata_draft_end(struct metadata_draft *draft);

/* What was noted since the last call stands in this gap: that of an entry of the next plan, or 0.
 */
void metadata_draft_settle(struct metadata_draft *draft, uint64_t gap);

/* What is known of the body before, and the hashes of its gaps, among which are the families' but
   for those that are 0. */
struct metadata_before {
    const struct metadata *metadata;
    const uint64_t *hashes;
    uint32_t count;
};

/*
 * What is known of the families of a body: those of the draft, and those of `before` (may be NULL)
 * whose gap is among the hashes. The draft is sorted. -ENOSPC.
 */
int metadata_make(struct series_store *store, struct metadata_draft *draft,
                  const struct metadata_before *before, const uint64_t *hashes, uint32_t count,
                  struct metadata *ret_metadata) MUST_USE;

/* The hashes of a body's gaps, and the places of some of them, in order. */
struct metadata_gaps {
    const uint64_t *hashes;
    uint32_t count;
    const uint32_t *places;
    uint32_t place_count;
};

/* Whether what the draft says stands in the gaps at these places, and is of families of which no
   other gap of the body says anything, as far as `before` knows; NULL: they are not. */
bool metadata_is_apart(const struct series_store *store, const struct metadata_draft *draft,
                       const struct metadata *before, const struct metadata_gaps *gaps) MUST_USE;

/*
 * A METADATA record (a reference for the caller) of the families of `base` (0: none) and those of
 * the draft, which are none of these. `known`: what that was before with the same base, or 0. The
 * draft is sorted. 0: there are none. -ENOSPC.
 */
int metadata_add(struct series_store *store, struct metadata_draft *draft, uint32_t base,
                 uint32_t known, uint32_t *ret_ref) MUST_USE;

/* Gives everything back. */
void metadata_release(struct series_store *store, struct metadata *metadata);

/* A METADATA record (a reference for the caller) of the families of `fresh` and those of `old` that
   are not among them. Either may be 0. -ENOSPC. */
int metadata_unite(struct series_store *store, uint32_t fresh, uint32_t old,
                   uint32_t *ret_ref) MUST_USE;

#endif
