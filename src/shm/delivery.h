/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far delivery has come: per remote and lane a position in each ring, and per shard the batch
 * that is under way. The writer alone writes this; it lives in shared memory so that a new writer
 * goes on where the old one died and repeats an uncertain batch byte by byte.
 */
#ifndef SHM_DELIVERY_H
#define SHM_DELIVERY_H

#include "base/slice.h"
#include "shm/segment.h"

struct delivery {
    struct shm_segment segment;
    struct shm_delivery *data;
    uint32_t rings; /* that there are */
};

/*
 * Maps the segment; finishes what was begun (a batch that is DONE moves its lanes' positions; again
 * is harmless).
 */
int delivery_attach(struct delivery *delivery, int fd, uint32_t rings, bool writable,
                    struct errctx *reterr) MUST_USE;
void delivery_detach(struct delivery *delivery);

/* How a remote is known from start to start, and how it is shown. */
struct delivery_names {
    const char *key;  /* what stays the same as long as it is the same remote */
    const char *name; /* these may change */
    const char *url;
};

/*
 * The place of the remote with this key: the one it had, or a free one, whose lanes start at
 * `start` (one position per ring). ERR_FULL: there are SHM_MAX_REMOTES already.
 */
int delivery_remote(struct delivery *delivery, const struct delivery_names *names,
                    const uint64_t *start, struct shm_remote **ret_remote) MUST_USE;

/* The place that the remote with this key has, or NULL. */
struct shm_remote *delivery_find(struct delivery *delivery, const char *key);

/* Frees the places of remotes that are not in `kept` (count of them). */
void delivery_keep_only(struct delivery *delivery, struct shm_remote *const *kept, uint32_t count);

/*
 * For a writer that starts: what may be read of each ring lies in [acked, produced]. Drops batches
 * and moves lanes to `acked` that say something else (a ring was lost and made anew, say). Returns
 * how many.
 */
uint32_t delivery_mend(struct delivery *delivery, struct shm_remote *remote, const uint64_t *acked,
                       const uint64_t *produced);

/* The lane of a target: the same on every start. */
uint32_t delivery_lane(uint64_t target_id);

/* The batch of a shard that is OPEN or DONE, or NULL when there is none. */
const struct shm_batch *delivery_batch(const struct shm_remote *remote, uint32_t shard);

/*
 * Commits a batch's boundaries: state OPEN. `batch` gives all but sequence and state. Here and
 * below `shard` may be SHM_SPOOL_SLOT.
 */
void delivery_open(struct shm_remote *remote, uint32_t shard, const struct shm_batch *batch);

/* Notes a new attempt of the open batch, and its body's hash. */
void delivery_attempt(struct shm_remote *remote, uint32_t shard, uint64_t body_hash);

/* The open batch is sent in the other version of remote write from now on: nobody has it yet. */
void delivery_change_message(struct shm_remote *remote, uint32_t shard, uint32_t message);

/*
 * So is its body with another compression, and this hash. Somebody may have got the same items with
 * the former one.
 */
void delivery_change_compression(struct shm_remote *remote, uint32_t shard, uint32_t compression,
                                 uint64_t body_hash);

/* What the items of a batch are. */
enum delivery_kind { DELIVERY_SAMPLES, DELIVERY_HISTOGRAMS, DELIVERY_EXEMPLARS, DELIVERY_KINDS };

/* What became of the items of one kind, as the remote's counters of these names say it. */
struct delivery_tally {
    uint64_t delivered;
    uint64_t already_delivered;
    uint64_t failed;
    uint64_t too_old;
    uint64_t damaged;
    uint64_t too_large;
    uint64_t unwanted; /* write_relabel_configs dropped them */
    uint64_t behind;   /* given up: the remote held too much of a ring, and there is no spool */
};

struct delivery_outcome {
    struct delivery_tally of[DELIVERY_KINDS];
    uint64_t custom_buckets; /* histograms that remote write 1.0 cannot carry */
    uint64_t spooled;        /* items of all kinds that went into the spool */
    uint64_t unspooled;      /* of a record of the spool that is over */
};

/*
 * The open batch is over: moves its lanes' positions to its end and adds the outcome to the
 * remote's counters. One store commits both, so that each batch is counted exactly once.
 */
void delivery_done(struct delivery *delivery, struct shm_remote *remote, uint32_t shard,
                   const struct delivery_outcome *outcome);

/* The open batch is none any more; nothing moves and nothing is counted. */
void delivery_cancel(struct shm_remote *remote, uint32_t shard);

/*
 * Moves a lane's position in a ring forward where nothing of the lane lies between; never back,
 * and not while its shard has an open batch.
 */
void delivery_skip(struct shm_remote *remote, uint32_t lane, uint32_t ring,
                   struct shm_position position);

/* The least position of all lanes of all remotes in this ring; `none` when there is no remote. */
uint64_t delivery_least(const struct delivery *delivery, uint32_t ring, uint64_t none);

#endif
