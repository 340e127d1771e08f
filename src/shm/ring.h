/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The single-producer single-consumer ring of a scraper. The scraper writes whatever belongs
 * together and makes it visible by one release store (late publish): a scraper that dies before
 * leaves nothing that anyone sees. The writer reads in place, any number of times, and gives room
 * back by moving acked_pos.
 *
 * Positions are free-running byte counts. Data is mapped twice back to back, so what lies at a
 * position is contiguous up to the size of the ring. Everything is aligned to 64 bytes.
 */
#ifndef SHM_RING_H
#define SHM_RING_H

#include "shm/segment.h"

#define RING_ALIGN 64u

/* ---- producer: the scraper ---- */

struct ring_producer {
    struct shm_ring_producer *own;
    const struct shm_ring_consumer *peer;
    uint8_t *data;
    uint64_t size;
    uint64_t published;    /* own->produced_pos */
    uint64_t written;      /* published, and what is reserved behind it */
    uint64_t cached_acked; /* at most the peer's acked_pos */
    uint64_t taken_from;   /* memory is taken for the pieces of [taken_from, taken_to) */
    uint64_t taken_to;
    uint8_t *base; /* of the mapping */
    int fd;
};

/* Maps the ring and goes on at produced_pos, whatever happened to the predecessor. */
int ring_producer_attach(struct ring_producer *ring, int fd, uint32_t index,
                         struct errctx *reterr) MUST_USE;
void ring_producer_detach(struct ring_producer *ring);

/* Bytes that can be reserved now (looks at acked_pos). */
uint64_t ring_room(struct ring_producer *ring);

/* The consumer's acknowledged position now. */
uint64_t ring_acked(struct ring_producer *ring);

/*
 * Has memory ready for so many bytes, some of it in each call, since much of it takes the kernel
 * long. True: all of it is there, or there will be none; ring_reserve says.
 */
bool ring_prepare(struct ring_producer *ring, uint64_t bytes) MUST_USE;

/*
 * `bytes` more (a multiple of RING_ALIGN), contiguous, behind what is reserved already. 0;
 * ERR_FULL when the writer has not given back enough; -ENOSPC when there is no memory.
 */
int ring_reserve(struct ring_producer *ring, size_t bytes, void **ret_room) MUST_USE;

/* Forgets what is reserved and not published. */
void ring_rollback(struct ring_producer *ring);

/* Where the next reserved byte will lie; after the publish everything before it is visible. */
static inline uint64_t ring_written(const struct ring_producer *ring)
{
    return ring->written;
}

/* Makes everything reserved visible. True: the writer asked to be woken (ring its doorbell). */
bool ring_publish(struct ring_producer *ring) MUST_USE;

/* Gives back the memory of what is acknowledged, but for one piece. Call it now and then. */
void ring_trim(struct ring_producer *ring);

/* ---- consumer: the writer; read-only also the console and the series store ---- */

struct ring_consumer {
    const struct shm_ring_producer *peer;
    struct shm_ring_consumer *own; /* written to only if attached for writing */
    const uint8_t *data;
    uint64_t size;
    uint8_t *base;
    bool writable;
};

int ring_consumer_attach(struct ring_consumer *ring, int fd, uint32_t index, bool writable,
                         struct errctx *reterr) MUST_USE;
void ring_consumer_detach(struct ring_consumer *ring);

/*
 * [acked, produced) may be read. A produced position that lies before acked or more than the ring's
 * size behind it cannot be: then acked is returned, as if the ring were empty.
 */
uint64_t ring_consumer_produced(const struct ring_consumer *ring);
uint64_t ring_consumer_acked(const struct ring_consumer *ring);

static inline const void *ring_consumer_at(const struct ring_consumer *ring, uint64_t pos)
{
    return ring->data + (pos & (ring->size - 1));
}

/* Gives back everything before pos; one that does not lie in [acked, produced] is ignored. */
void ring_consumer_ack(struct ring_consumer *ring, uint64_t pos);

/*
 * Asks for the doorbell once produced_pos >= pos (UINT64_MAX: never). Returns the produced position
 * as it is afterwards: if it has reached pos already, do not sleep.
 */
uint64_t ring_consumer_wake_at(struct ring_consumer *ring, uint64_t pos);

#endif
