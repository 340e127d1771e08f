/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Series of one kind on their way into blocks of the ring, as many as it takes. */
#ifndef SCRAPERS_COLUMN_H
#define SCRAPERS_COLUMN_H

#include "scrapers/harvest.h"
#include "shm/block.h"
#include "shm/series.h"

/* Blocks of items with bytes are not much larger than this. */
#define COLUMN_BLOCK_BYTES (256u << 10)

/* The lines of a layout, or those of an array. */
struct column {
    uint16_t kind;
    uint16_t flags;
    uint32_t layout;     /* 0: lines */
    uint32_t first_line; /* of the layout */
    uint32_t count;
    const uint32_t *lines;
    const uint64_t *bits;
    const int64_t *times;
    const int64_t *starts;
    const struct harvest *harvest; /* of HISTOGRAMS and EXEMPLARS: bits are their numbers in it */
};

/*
 * `common` says whose blocks they are; the rest is filled in. Nothing is written for no lines.
 * ERR_FULL: the ring has no room; what was written before is to be rolled back.
 */
int column_put(struct ring_producer *ring, const struct series_store *store,
               const struct shm_block *common, const struct column *column) MUST_USE;

/* Bytes in the ring of so many lines that have no bytes of their own. */
uint64_t column_bytes(uint16_t kind, uint16_t flags, uint32_t count);

#endif
