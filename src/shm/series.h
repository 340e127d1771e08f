/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The series segment of a scraper: LINE, NAME, LAYOUT, STAMPED, METADATA and TARGET records
 * (layout.h).
 * One scraper writes it; the writer and the console read it through series_reader.h.
 *
 * Records are reused only when the ring's acked_pos has passed the position that was written when
 * they were last needed: the ring position is the epoch. Reference counts and indexes are private
 * and made anew by series_store_attach, which is the only recovery there is: what is reachable
 * from TARGET records and unacknowledged blocks stays, all else is free.
 */
#ifndef SHM_SERIES_H
#define SHM_SERIES_H

#include "labels/label_set.h"
#include "shm/family.h"
#include "shm/label_bytes.h"
#include "shm/ring.h"

/* struct shm_target_state without its commit machinery. */
struct series_state {
    int64_t timestamp_ms;
    uint32_t layout; /* refs; 0 = none */
    uint32_t stamped;
    uint32_t scrape_seq;
    uint32_t flags;    /* SHM_STATE_REPORTED */
    uint32_t metadata; /* ref; 0 = none */
};

/* Private: from contents to records, shm/series_index.h. */
struct series_index {
    struct series_table **tables; /* 1 << depth of them, some of them the same; NULL: none yet */
    uint32_t depth;
    uint32_t count;
};

#define SERIES_SIZE_CLASSES 320u

struct series_store {
    struct shm_segment segment;
    struct shm_series_head *head; /* all private from here on */
    uint8_t *arena;
    uint64_t arena_size;
    uint64_t used;  /* head->used */
    uint64_t seed;  /* head->seed */
    uint64_t taken; /* bytes of the arena that have memory */
    struct ring_producer *ring;
    struct series_index lines;
    struct series_index layouts;
    struct series_index targets;
    struct series_index metadata;
    struct series_index names;
    uint32_t free_lists[SERIES_SIZE_CLASSES];
    uint64_t free_bytes; /* in these lists */
    uint32_t holes;      /* free space of any size, its pages given back; a list */
    uint64_t hole_bytes; /* in that list */
    uint32_t filling;    /* the hole that has memory up to `filled` of the segment; 0: none */
    uint64_t filled;
    uint32_t sweep;               /* where free space is being joined to holes; 0: nowhere */
    uint64_t sweep_at;            /* that begins again with so many free_bytes */
    struct series_queue *pending; /* records without references, until the ring allows re-use */
    struct series_queue *pending_undated;
    struct series_queue *pending_last;
    uint32_t releasing; /* a LAYOUT whose lines are being let go; 0: none */
    uint32_t released;  /* so many of them are */
    uint8_t *scratch;
    size_t scratch_room;
    uint64_t damaged; /* records that recovery could not make sense of */
};

/*
 * Maps the segment and recovers. `ring` must be attached and outlive the store. The refs of blocks
 * that are not acknowledged stay valid.
 */
int series_store_attach(struct series_store *store, int fd, uint32_t index,
                        struct ring_producer *ring, struct errctx *reterr) MUST_USE;
void series_store_detach(struct series_store *store);

/*
 * The LINE with these labels: sorted by name, unique, values not empty unless they hide. The caller
 * gets a reference, which it gives back by series_release when a layout or nobody needs the
 * line. -ENOSPC: no memory, or the segment is full.
 */
int series_line(struct series_store *store, const struct label *labels, uint32_t count,
                uint32_t *ret_ref) MUST_USE;

/*
 * Has memory ready for a LAYOUT of so many lines, some of it in each call, since much of it takes
 * the kernel long. True: all of it is there, or there will be none.
 */
bool series_prepare_layout(struct series_store *store, uint32_t count) MUST_USE;

/*
 * The LAYOUT of these lines in this order; a reference for the caller. The caller has retained each
 * of the lines: if the layout is a new one, these references are the layout's now, else they are
 * the caller's still. count >= 1. -ENOSPC.
 */
int series_layout_of_retained(struct series_store *store, const uint32_t *lines, uint32_t count,
                              uint32_t *ret_ref, bool *ret_is_new) MUST_USE;

/* The LAYOUT of these lines in this order; a reference for the caller. count >= 1. */
int series_layout(struct series_store *store, const uint32_t *lines, uint32_t count,
                  uint32_t *ret_ref) MUST_USE;

/* A new STAMPED record of these lines, or of those of a LAYOUT; a reference for the caller. count
 * >= 1. -ENOSPC.
 */
int series_stamped(struct series_store *store, const uint32_t *lines, const int64_t *timestamps_ms,
                   uint32_t count, uint32_t *ret_ref) MUST_USE;
int series_stamped_of(struct series_store *store, uint32_t layout, const int64_t *timestamps_ms,
                      uint32_t *ret_ref) MUST_USE;

/* The METADATA of these families, sorted by name and unique; a reference for the caller. count
 * >= 1.
 */
int series_metadata(struct series_store *store, const struct family *families, uint32_t count,
                    uint32_t *ret_ref) MUST_USE;

/* One more reference; one reference less. All but TARGET. */
void series_retain(struct series_store *store, uint32_t ref);
void series_release(struct series_store *store, uint32_t ref);

/* The same of what need not be there: of 0 there is nothing to do. The first returns `ref`. */
static inline uint32_t series_retain_optional(struct series_store *store, uint32_t ref)
{
    if (ref != 0)
        series_retain(store, ref);
    return ref;
}

static inline void series_release_optional(struct series_store *store, uint32_t ref)
{
    if (ref != 0)
        series_release(store, ref);
}

/*
 * The TARGET record of this id, made if it is not there (an id stands for its labels). It stays
 * until series_target_drop.
 */
int series_target(struct series_store *store, uint64_t target_id, const struct label *labels,
                  uint32_t count, uint32_t *ret_ref) MUST_USE;

/* The TARGET record of this id, or 0. */
uint32_t series_target_find(const struct series_store *store, uint64_t target_id);

/*
 * Says to the other scrapers whether the target's state is the last one here, so that its new owner
 * can take it over (shm/series_peer.h). The record stays until it is dropped.
 */
void series_target_release(struct series_store *store, uint32_t ref, bool released);
bool series_target_is_released(const struct series_store *store, uint32_t ref);

/* The record goes once the ring allows it, and so do the references of its state. */
void series_target_drop(struct series_store *store, uint32_t ref);

/* Calls back for each TARGET record there is; used once after attach. */
void series_targets_each(struct series_store *store,
                         void (*visit)(void *context, uint64_t target_id, uint32_t ref),
                         void *context);

uint64_t series_target_id(const struct series_store *store, uint32_t ref);

/* A TARGET as the functions of shm/series_reader.h want it. */
struct series_record;
void series_target_view(const struct series_store *store, uint32_t ref,
                        struct series_record *ret_record);

/* The state that is committed. All zero when there is none. */
struct series_state series_target_state(const struct series_store *store, uint32_t ref);

/* The time of the last scrape in it. False: there has been none. */
bool series_target_last(const struct series_store *store, uint32_t ref, int64_t *ret_ms);

/*
 * Writes the state that will be the target's once the ring has published everything reserved now.
 * Must be followed by ring_publish, or by series_target_forget when that does not come. Takes over
 * one reference of state->layout, state->stamped and state->metadata each (those of the old state
 * are given back by series_target_commit).
 */
void series_target_prepare(struct series_store *store, uint32_t ref,
                           const struct series_state *state);

/* After ring_publish: gives back the references of the state before. */
void series_target_commit(struct series_store *store, uint32_t ref);

/* Instead of ring_publish: the prepared state is void; its references are the caller's again. */
void series_target_forget(struct series_store *store, uint32_t ref);

/*
 * Reuses what acked_pos allows and gives memory back, some of it if it is very much: true, then it
 * wants to be called again soon. Call it between scrapes.
 */
bool series_reclaim(struct series_store *store);

/* What a ref stands for, for the owner itself. The generation is what blocks carry. */
uint32_t series_generation(const struct series_store *store, uint32_t ref);
uint32_t series_count(const struct series_store *store, uint32_t ref);
const uint32_t *series_layout_lines(const struct series_store *store, uint32_t ref);
uint32_t series_stamped_layout(const struct series_store *store, uint32_t ref);
const uint32_t *series_stamped_lines(const struct series_store *store, uint32_t ref);
const int64_t *series_stamped_times(const struct series_store *store, uint32_t ref);

/* Family i of a METADATA record. */
struct family series_family(const struct series_store *store, uint32_t ref, uint32_t i);

/* Whether ref still is the record it was when it had this generation. */
bool series_is(const struct series_store *store, uint32_t ref, uint16_t kind, uint32_t generation);

struct series_usage {
    uint64_t bytes; /* of the arena in use by records, free ones included, holes not */
    uint32_t lines;
    uint32_t layouts;
    uint32_t targets;
};
struct series_usage series_usage(const struct series_store *store);

#endif
