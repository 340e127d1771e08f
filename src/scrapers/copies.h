/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scraper copies into its own segment of what another one has: lines, and the layouts and
 * times that are made of them. A layout may have a million lines; it is copied a part at a time.
 */
#ifndef SCRAPERS_COPIES_H
#define SCRAPERS_COPIES_H

#include "scrapers/layout.h"
#include "scrapers/refmap.h"
#include "shm/series_peer.h"

/* All zero but for the store at the start. The rest is private. */
struct copies {
    struct series_store *store;
    struct series_peer *from; /* the maps are about this one's records */
    struct refmap lines;      /* from its refs to the store's, of which each has a reference */
    struct refmap layouts;
    uint32_t lines_left; /* room in the maps */
    uint32_t layouts_left;
    uint32_t *under_way; /* lines of a layout that is being copied; NULL: none */
    uint32_t at;         /* so many of them are there */
    uint32_t count;
    uint32_t ref; /* of the layout there */
    uint32_t generation;
    struct layout_maker maker;
    struct refmap old; /* lines that are let go */
    uint32_t old_at;
};

/* *budget is the number of lines that may be looked at, and becomes what is left of it. */

#define COPIES_MORE 1 /* not yet: the budget is used up */

/*
 * The store's LAYOUT with the lines of the peer's; a reference for the caller. Of more lines than
 * the budget is for, as long as it is asked for again and no other is: COPIES_MORE. ERR_CORRUPT,
 * -ENOSPC. 0 for 0.
 */
int copies_layout(struct copies *copies, struct series_peer *peer, uint32_t ref,
                  uint32_t generation, uint32_t *budget, uint32_t *ret_layout) MUST_USE;

/* The same for a STAMPED record, all at once. */
int copies_stamped(struct copies *copies, struct series_peer *peer, uint32_t ref,
                   uint32_t generation, uint32_t *ret_stamped) MUST_USE;

/* The layout that is being copied is not wanted any more. */
void copies_give_up(struct copies *copies);

/* Nothing is wanted of the peers any more; copies_release gives back what is held. */
void copies_end(struct copies *copies);

/* Whether copies_release has something to do. */
bool copies_are_held(const struct copies *copies);

/* True: nothing is left to be given back. */
bool copies_release(struct copies *copies, uint32_t *budget);

#endif
