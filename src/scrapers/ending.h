/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SCRAPERS_ENDING_H
#define SCRAPERS_ENDING_H

#include "scrapers/outcome.h"
#include "scrapers/plan.h"

/* What is known of families when the scrape is committed; both records are references. */
struct ending_metadata {
    uint32_t known;   /* METADATA of what is exposed, and was not long ago; 0: nothing */
    uint32_t exposed; /* METADATA, as the rest of what becomes part of the target's past */
    uint32_t left;
    uint64_t said;
};

/*
 * How a scrape with very many series ends, a part a turn of the loop (scrapers/work.h); with fewer,
 * all at once. Its outcome, layout and plan are made one after another, then all of it is put into
 * the ring, then what it held is given back.
 */
struct ending {
    struct outcome outcome;
    struct plan_maker maker;
    struct layout_maker layout;
    struct plan *plan; /* a reference, once it is made */
    bool has_plan; /* the target will be expected to serve `plan`, or, if that is NULL, nothing */
    bool was_too_big;
    struct ending_metadata metadata;
    uint64_t bytes; /* that the outcome takes in the ring, at most */
    uint8_t stage;
};

#endif
