/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The single-producer single-consumer ring of a scraper. The scraper writes whatever belongs
 * together and makes it visible by one release store (late publish): a scraper that dies before
 * leaves nothing that anyone sees. The writer reads in place, any number of times, and gives room
 * back by moving acked_pos.
 *
 * Positions are free-running byte counts. Data is mapped twice back to back, so what is reserved in
 * one piece is contiguous. Everything is aligned to 64 bytes.
 *
 * Where a position lies is told by laps (shm/layout.h): the scraper goes back to the start of the
 * data as soon as there is room enough for what it has lately had under way, so that it writes into
 * memory that it has, and which is in the caches. What is under way may take the whole ring all the
 * same.
 */
#ifndef SHM_RING_H
#define SHM_RING_H

#include "shm/segment.h"

#define RING_ALIGN 64u

/* ---- producer: the scraper ---- */

/* A lap that is not over, or has bytes that are not acknowledged. */
struct ring_lap {
    uint64_t from;
    uint64_t place;
    uint32_t slot; /* in own->laps */
};

/* What is known of SHM_PIECE bytes of the data. */
struct ring_piece {
    uint32_t
        used_s;    /* ring->now_s when it was last written to or waited to be read; 0: not at all */
    bool is_taken; /* there certainly is memory for it */
};

struct ring_producer {
    struct shm_ring_producer *own;
    const struct shm_ring_consumer *peer;
    uint8_t *data;
    uint64_t size;
    uint64_t published;    /* own->produced_pos */
    uint64_t written;      /* published, and what is reserved behind it */
    uint64_t cached_acked; /* at most the peer's acked_pos */
    uint64_t bound;        /* up to here the lap in hand may be written */
    uint64_t promised;     /* the caller's: bytes whose gap is not split by going back */
    bool has_begun;        /* since the last publish: the lap has been chosen */
    uint32_t lap_count;
    struct ring_lap laps[SHM_RING_LAPS]; /* oldest first; the last one is in hand */
    uint64_t peak;                       /* bytes under way, at most, since peak_s */
    uint64_t peak_before;                /* the same in the time before */
    uint32_t peak_s;
    uint32_t now_s;   /* time of the last trim after the first one, from 1 on */
    int64_t first_ns; /* of the first trim; 0: there was none */
    struct ring_piece *pieces;
    uint64_t pieces_end; /* those from here on have not been used */
    uint8_t *base;       /* of the mapping */
    int fd;
};

/* Memory that has not been used for so long goes back. */
#define RING_KEEP_S 30u

/* Maps the ring and goes on at produced_pos, whatever happened to the predecessor. */
int ring_producer_attach(struct ring_producer *ring, int fd, uint32_t index,
                         struct errctx *reterr) MUST_USE;
void ring_producer_detach(struct ring_producer *ring);

/*
 * Bytes that can be reserved now (looks at acked_pos), by one ring_begin. Where laps have left more
 * than one gap it is the largest that counts, until the older ones are acknowledged.
 */
uint64_t ring_room(struct ring_producer *ring);

/* The consumer's acknowledged position now. */
uint64_t ring_acked(struct ring_producer *ring);

/*
 * Has memory ready for so many bytes that are to be published together, some of it in each call,
 * since much of it takes the kernel long. True: all of it is there, or there will be none;
 * ring_reserve says.
 */
bool ring_prepare(struct ring_producer *ring, uint64_t bytes) MUST_USE;

/*
 * Up to so many bytes follow that are to be published together: chooses where they lie. To be
 * called when nothing is reserved, and before what has several reservations; what does not fit is
 * found out by ring_reserve.
 */
void ring_begin(struct ring_producer *ring, uint64_t bytes);

/*
 * `bytes` more (a multiple of RING_ALIGN), contiguous, behind what is reserved already. 0;
 * ERR_FULL when the writer has not given back enough; -ENOSPC when there is no memory. After an
 * error with nothing reserved the next call chooses anew where it lies.
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

/* Gives back memory that has not been used for RING_KEEP_S. Call it about once a second. */
void ring_trim(struct ring_producer *ring, int64_t now_ns);

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

/*
 * Where a position lies that is not acknowledged, and up to the end of what was reserved with it.
 * Of laps that cannot be it is any place in the data.
 */
const void *ring_consumer_at(const struct ring_consumer *ring, uint64_t pos);

/* Gives back everything before pos; one that does not lie in [acked, produced] is ignored. */
void ring_consumer_ack(struct ring_consumer *ring, uint64_t pos);

/*
 * Asks for the doorbell once produced_pos >= pos (UINT64_MAX: never). Returns the produced position
 * as it is afterwards: if it has reached pos already, do not sleep.
 */
uint64_t ring_consumer_wake_at(struct ring_consumer *ring, uint64_t pos);

#endif
