/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets that left the table together with their scraper (a reload or restart with fewer scrapers
 * that removes jobs, too): nobody who has a process knows of them. So scraper 0 takes them over, as
 * if they had moved to it, and marks them in its own ring, when it is sure that nobody else will.
 */
#ifndef SCRAPERS_LEFT_BEHIND_H
#define SCRAPERS_LEFT_BEHIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scraper;
struct left_behind_candidate;

enum left_behind_step {
    LEFT_BEHIND_NOTE,      /* what scrapers without a process have */
    LEFT_BEHIND_TO_OTHERS, /* what those with one know better */
    LEFT_BEHIND_TO_TABLE,  /* what is not gone */
    LEFT_BEHIND_TAKE,
};

/* Private. A search goes on from turn to turn. */
struct left_behind {
    uint64_t looked;     /* the table for which all is done */
    uint64_t generation; /* the table of the search that is under way; 0: none is */
    enum left_behind_step step;
    uint32_t peer;                       /* that is looked through next */
    struct left_behind_candidate *items; /* sorted after the first step */
    size_t len;
    size_t room;
    size_t next; /* that is taken */
    size_t found;
    bool lacks_memory;
    uint64_t *taken; /* in all searches so far, sorted: their markers may have been written since */
    size_t taken_len;
    size_t taken_room;
};

/*
 * At the start of a scraper. A predecessor that had been told of more scrapers may have settled
 * with a table of fewer, without having looked: that does not count.
 */
void left_behind_begin(struct scraper *scraper);
void left_behind_end(struct scraper *scraper);

/*
 * Looks for them once a table, in what former scrapers have left that the supervisor keeps; what
 * there is then arrives (takeover.h). A step is made at least (a walk over what one scraper has, or
 * over the table, or one target), and more until `until_ns`. False: it is not done yet, for lack of
 * time, as a scraper that is not wanted any more has not ended, or as something is in the way.
 */
bool left_behind_take(struct scraper *scraper, int64_t until_ns);

/* There was no time left; until it is done peers are looked at. */
bool left_behind_is_under_way(const struct scraper *scraper);

#endif
