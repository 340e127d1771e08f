/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the series store share: records by ref, space, the queue of what may be freed.
 */
#ifndef SHM_SERIES_PRIVATE_H
#define SHM_SERIES_PRIVATE_H

#include "shm/series.h"

/* Flags of a record. */
#define RECORD_PENDING 1u  /* stands in the queue */
#define RECORD_AGAIN   2u  /* was needed and released again while standing in the queue */
#define RECORD_IN_RING 4u  /* recovery: a block that is not acknowledged speaks of it */
#define RECORD_DROPPED 8u  /* a TARGET that is gone */
#define RECORD_HOLE    16u /* free space of any size, which may have no memory but for its start */

#define SERIES_UNITS_MIN 4u /* of a record: free space has room for its links */

static inline struct shm_record *record_at(const struct series_store *store, uint32_t ref)
{
    return (struct shm_record *)(void *)(store->arena + (uint64_t)(ref - 1) * SHM_SERIES_UNIT);
}

/*
 * Keeps stores in the order they are written down: for who comes after a death, and for another
 * scraper, which may look at the same time (shm/series_peer.h).
 */
static inline void series_in_order(void)
{
    /* release; pairs with body_at() there, and with the sizes by which it walks */
    atomic_thread_fence(memory_order_release);
}

static inline void *record_body(struct shm_record *record)
{
    return record + 1;
}

/* ---- series_space.c ---- */

/*
 * A record with room for `bytes`; its generation has moved. It is free space until
 * series_complete says what it is. -ENOSPC.
 */
int series_allocate(struct series_store *store, size_t bytes, uint32_t count,
                    uint32_t *ret_ref) MUST_USE;
void series_complete(struct series_store *store, uint32_t ref, uint16_t kind);

/* Puts a record's space where series_allocate finds it. What has no size of a record is a hole. */
void series_free(struct series_store *store, uint32_t ref);

/* Queues a record that nobody refers to any more. */
void series_retire(struct series_store *store, uint32_t ref);
void series_queue_fini(struct series_store *store);

/* Whether a record can have this size: whatever else is read there is damage. */
bool series_size_valid(uint32_t units);

/* The record after this one; the one that would be the next one after all. */
uint32_t series_next_ref(const struct series_store *store, uint32_t ref);
uint32_t series_end_ref(const struct series_store *store);

/*
 * Joins free space that lies together and gives its pages back, a part at a time; goes on where it
 * was. *budget: records that may be looked at; becomes what is left of it.
 */
void series_sweep(struct series_store *store, uint32_t *budget);

/* Gives back what a predecessor had of holes, who may have died before it did. */
void series_empty_holes(const struct series_store *store);

/* ---- series.c ---- */

struct series_index *series_index_of(struct series_store *store, uint16_t kind);
struct shm_target_state *series_valid_state(const struct series_store *store,
                                            struct shm_target_body *body);

/*
 * The hash of a TARGET, and of any other record. It chooses the place in an index, so that whoever
 * could foresee it could make all records wait for each other there: it has a seed.
 */
uint32_t series_target_hash(const struct series_store *store, uint64_t target_id);
uint32_t series_content_hash(const struct series_store *store, const void *bytes, size_t len,
                             uint32_t count);

/* The NAME of a LINE; 0: it has none. */
uint32_t series_name_of(struct shm_record *line);

/* The times of a STAMPED record. */
int64_t *series_times_of(struct shm_record *record);

/* ---- series_recover.c ---- */

/* Makes references, indexes, free lists and the queue anew from what lies in the segment. */
void series_recover(struct series_store *store, const struct ring_consumer *ring);

#endif
