/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A shard of a remote: some of its lanes, one connection, at most one request in flight. It
 * collects what scrapers published for its lanes into a batch, delivers the batch whatever it takes
 * (retries, back-off, the resolving of refused repeats) and only then collects the next: so the
 * samples of a series arrive in order, and a slow remote holds up nothing but ring space.
 *
 *   COLLECTING --full, or deadline, or flush--> SENDING --2xx, refused--> COLLECTING
 *                                               |    ^
 *                        no answer, 5xx, 429    v    |  back-off is over
 *                                               WAITING
 *
 * A batch that is under way for too long, or holds too much of a ring, goes into the spool and is
 * over; while the spool has something of its lanes, every batch goes there, and its carrier
 * (carrier.h) sends it. Without a spool the batch is given up when half of a ring waits for it.
 *
 * A batch is written down in shared memory (shm/delivery.h) before its first attempt. A writer that
 * finds one there repeats it: the same ranges encode to the same bytes.
 *
 * Receivers refuse what they have already. When the first delivery of a batch is uncertain (the
 * connection broke after bytes were sent, a time-out, a 5xx that some proxy may have made up, the
 * death of a writer) and the repeat is answered 400, the batch is resolved: each scrape in it is
 * sent by itself, and one that is refused as out of order or duplicate has been delivered before.
 */
#ifndef WRITER_SHARD_H
#define WRITER_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/delivery.h"
#include "writer/attempt.h"
#include "writer/backoff.h"
#include "writer/build.h"
#include "writer/carrier.h"
#include "writer/remote.h"

struct writer;

enum shard_state { SHARD_COLLECTING, SHARD_SENDING, SHARD_WAITING };

struct shard {
    struct carrier carrier; /* of what the spool has for its lanes */
    /* All private. */
    struct attempt attempt;
    struct loop_timer timer; /* COLLECTING: the batch's deadline; WAITING: the end of back-off */
    int64_t retry_at_ns;     /* what it is set to */
    struct writer *writer;
    struct remote *remote;
    uint32_t index;
    uint64_t lanes; /* 0: this shard is only there to finish a predecessor's batch */
    enum shard_state state;
    uint32_t stretch; /* samples to collect for one that is sent */
    bool is_full;     /* the batch takes no more */
    bool is_due;      /* its deadline has passed */

    struct shm_batch batch; /* what is collected or under way; when resolving, what is left of it */
    struct shm_batch part;  /* when resolving: the scrape that is being sent */
    bool is_resolving;
    bool is_repacked;       /* it was refused as zstd, and is sent as snappy */
    bool is_uncertain;      /* an attempt of what is under way may have been taken in, or there
                               may be newer samples at the receiver */
    int64_t begun_ns;       /* when the batch was taken out of the ring, or taken up */
    int64_t store_again_ns; /* the spool could not be written; not before this time */
    bool is_stored;         /* a predecessor's batch that is in the spool already, as `stored` */
    struct spool_record stored;
    uint32_t attempts;
    struct delivery_outcome outcome; /* of what is known of the batch so far */
    struct backoff backoff;

    uint8_t *body; /* compressed, from its first attempt to its last */
    size_t body_room;
    bool is_copied; /* there is no room for the largest: `body` gets what the builder has built */
    struct build_result built; /* what is in the body, which stands there or is the builder's */
};

/* The lanes of shard `index` of `shard_count`. */
uint64_t shard_lanes(uint32_t index, uint32_t shard_count);

/* `remote` and `writer` must outlive the shard. Takes up the batch that a predecessor left. */
void shard_init(struct shard *shard, struct writer *writer, struct remote *remote, uint32_t index,
                uint64_t lanes);

/* Looks for new blocks and sends what is ready. Cheap when nothing is. */
void shard_poke(struct shard *shard);

/* Bytes of samples that are missing to a full batch, 1 for an empty one, 0: it wants nothing now.
 */
uint64_t shard_hunger(const struct shard *shard);

/* Begins anew where the positions of its lanes are. Nothing may be under way. */
void shard_reset(struct shard *shard);

/* Gives back what it can. True: nothing is under way. */
bool shard_rest(struct shard *shard);

/* It has a batch that is neither delivered nor stored, or records in the spool. */
bool shard_is_busy(const struct shard *shard);

/* A request is under way. */
bool shard_is_sending(const struct shard *shard);

/*
 * What the batch holds that is collected or under way. As long as it is collected, nobody has
 * looked what of it are histograms and exemplars: all count as samples.
 */
void shard_pending(const struct shard *shard, uint64_t ret_of[static DELIVERY_KINDS]);

/* Breaks off what is under way; the next incarnation repeats it. */
void shard_abort(struct shard *shard);

/* True once nothing of it is left in the loop, so that shard_fini may be called. */
bool shard_is_quiet(const struct shard *shard);
void shard_fini(struct shard *shard);

#endif
