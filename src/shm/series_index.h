/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The private hash tables of the series store: from content to ref. A cache of what lies in the
 * segment, made anew on each start and never shared.
 *
 * Extendible hashing: the first bits of a record's hash choose one of many small tables, of which
 * one that is full is split in two, so that no addition costs more than moving a few thousand
 * entries, however many there are. The tables probe linearly; removal shifts back, so that there
 * are no tombstones. An entry is the ref and 16 bits of the hash; the others are in the record.
 * About 8 bytes a record.
 */
#ifndef SHM_SERIES_INDEX_H
#define SHM_SERIES_INDEX_H

#include "shm/series.h"

#define SERIES_TABLE_ROOM_MAX 4096u

/* Calls same(context, ref) for each ref of this hash until it says yes; that ref, or 0. */
uint32_t series_index_find(const struct series_store *store, const struct series_index *index,
                           uint32_t hash, bool (*same)(const void *context, uint32_t ref),
                           const void *context);

/* The record has its hash. */
void series_index_add(const struct series_store *store, struct series_index *index, uint32_t ref);

/* The record must be there. */
void series_index_remove(const struct series_store *store, struct series_index *index,
                         uint32_t ref);

void series_index_fini(struct series_index *index);

#endif
