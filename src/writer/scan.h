/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walking through the rings. A scan visits the samples of some lanes between two positions of every
 * ring, block by block, oldest timestamp first. A target that moved from one scraper to another
 * keeps its order: what is behind its TAKEOVER waits for what the former owner wrote. The same
 * positions always give the same samples in the same order, which is what makes a repeat
 * byte-identical.
 *
 * Blocks are read where they lie; they stay while the ring's acknowledged position is not moved
 * beyond them. Damage is counted and logged once; what it makes unreadable, everything published at
 * that time, is left out.
 */
#ifndef WRITER_SCAN_H
#define WRITER_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/block.h"
#include "shm/ring.h"
#include "shm/series_reader.h"

/* What one scraper writes: its ring, and the series table that the blocks refer to. */
struct source {
    struct ring_consumer ring;
    struct series_reader series;
    uint64_t damaged_from; /* the last damage: nothing in [from, to) can be read */
    uint64_t damaged_to;
    uint64_t damages; /* how many were found */
    int64_t log_again_ns;
};

/* Whose samples are wanted: lanes, and for each lane what has been delivered before. */
struct scan_filter {
    uint64_t lanes;                                           /* bit l: lane l */
    const struct shm_position (*delivered)[SHM_MAX_SCRAPERS]; /* [lane][ring] */
    uint64_t rings; /* so many have a scraper, or had one lately; may be more than sources */
};

/* Samples [first, last) of a block. */
struct scan_piece {
    const struct block_view *block;
    uint32_t ring;
    uint32_t first;
    uint32_t last;
};

/* About 10 KiB: lives on the stack. */
struct scan {
    struct shm_position at[SHM_MAX_SCRAPERS]; /* what has not been visited starts here */
    /* private */
    struct source *sources;
    uint32_t count;
    struct scan_filter filter;
    struct shm_position end[SHM_MAX_SCRAPERS];
    uint64_t produced[SHM_MAX_SCRAPERS];
    bool met_damage;
    bool is_collecting;             /* no end was given */
    bool is_read[SHM_MAX_SCRAPERS]; /* block[] is the one at at[] */
    struct block_view block[SHM_MAX_SCRAPERS];
};

/* One position for each source; a NULL `end` is everything published by now. */
void scan_start(struct scan *scan, struct source *sources, uint32_t count,
                struct scan_filter filter, const struct shm_position *start,
                const struct shm_position *end);

/* The next piece, which is not passed by looking at it. False: there is none. */
bool scan_peek(struct scan *scan, struct scan_piece *ret_piece);

/* Passes `samples` samples of the piece that was looked at; at least 1. */
void scan_pass(struct scan *scan, const struct scan_piece *piece, uint32_t samples);

/* The samples from this piece on that belong to the same scrape. */
uint64_t scan_scrape_length(const struct scan *scan, const struct scan_piece *piece);

/*
 * Passes this and the following pieces of the same ring until `samples` samples are passed or there
 * are no more; returns how many were.
 */
uint64_t scan_pass_scrape(struct scan *scan, const struct scan_piece *piece, uint64_t samples);

/* Adds whole scrapes to the batch, from its end on, as long as it has at most max samples; a scrape
   larger than that is cut. True: the batch is full. */
bool scan_collect(struct source *sources, uint32_t count, struct scan_filter filter, uint32_t max,
                  struct shm_batch *batch);

/* The first scrape in [start, end) of the batch as a batch of its own; false: there is none. */
bool scan_first_scrape(struct source *sources, uint32_t count, struct scan_filter filter,
                       const struct shm_batch *batch, struct shm_batch *ret_part);

/* Reads all that is not acknowledged for nobody: its samples, and where it ends. */
uint64_t scan_pass_all(struct source *source, uint32_t ring, uint64_t *ret_end);

#endif
