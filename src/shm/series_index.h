/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The private hash tables of the series store: 32 bits of content hash to a ref. A cache of what
 * lies in the segment, made anew on each start and never shared. Linear probing; removal shifts
 * back, so that there are no tombstones.
 */
#ifndef SHM_SERIES_INDEX_H
#define SHM_SERIES_INDEX_H

#include "shm/series.h"

struct series_entry {
    uint32_t hash;
    uint32_t ref; /* 0 = empty */
};

/* Calls same(context, ref) for each ref of this hash until it says yes; that ref, or 0. */
uint32_t series_index_find(const struct series_index *index, uint32_t hash,
                           bool (*same)(const void *context, uint32_t ref), const void *context);

void series_index_add(struct series_index *index, uint32_t hash, uint32_t ref);

/* The pair must be there. */
void series_index_remove(struct series_index *index, uint32_t hash, uint32_t ref);

void series_index_fini(struct series_index *index);

#endif
