/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What scrapes cost: a table beside each ring that its scraper writes and discovery reads, which
 * shares targets out among scrapers by it. A scraper that starts has an empty one; discovery
 * remembers. With more targets than there are places the cost of some is not told.
 */
#ifndef SHM_COSTS_H
#define SHM_COSTS_H

#include "shm/segment.h"

/* The scraper's side. */
struct costs {
    struct shm_cost *table;
    int fd;         /* borrowed: of the ring's segment */
    uint32_t used;  /* places that have been given out so far, counted from the first */
    uint32_t *free; /* of them, those that were given back */
    uint32_t free_len;
    uint32_t free_room;
};

/* Maps the table and empties it. -errno of mmap. */
int costs_attach(struct costs *costs, int ring_fd) MUST_USE;
void costs_detach(struct costs *costs);

/* Says what a scrape of the target costs. *place is 0 at first and the target's own from then on.
 */
void costs_set(struct costs *costs, uint32_t *place, uint64_t target_id, uint64_t cost_ns);

/* Gives the place back; 0 is harmless. */
void costs_clear(struct costs *costs, uint32_t *place);

/* The reader's side: calls back for each target of which a cost is told. */
void costs_read(int ring_fd, void (*visit)(void *context, uint64_t target_id, uint64_t cost_ns),
                void *context);

#endif
