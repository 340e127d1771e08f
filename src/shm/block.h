/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks: what lies in a ring. The format is struct shm_block in layout.h; here it is written by
 * the scraper and read, with every number checked, by whoever reads.
 */
#ifndef SHM_BLOCK_H
#define SHM_BLOCK_H

#include "base/slice.h"
#include "shm/ring.h"

/* The staleness marker's bits (Prometheus' value.StaleNaN). */
#define SHM_STALE_BITS UINT64_C(0x7ff0000000000002)

/* Whether the count of blocks of this kind is one of samples (or histograms, exemplars, markers).
 */
bool block_has_samples(uint16_t kind);

/* Bytes of a block of this shape, a multiple of 64; those of its items come on top. */
size_t block_length(uint16_t kind, uint16_t flags, uint32_t count);
size_t block_length_bytes(uint16_t kind, uint16_t flags, uint32_t count, uint32_t bytes);

/* More bytes than these are in no block. */
#define BLOCK_BYTES_MAX (1u << 30)

/* Where the columns of a new block go; NULL for a column that it has not. */
struct block_columns {
    uint32_t *refs;
    uint64_t *bits;
    int64_t *timestamps;
    int64_t *starts;
    uint32_t *ends;
    uint8_t *bytes;
};

/*
 * Reserves a block in the ring. *head gives everything but magic and length, which are filled in;
 * 1 <= count <= SHM_BLOCK_SAMPLES. Errors of ring_reserve.
 */
int block_reserve(struct ring_producer *ring, const struct shm_block *head,
                  struct block_columns *ret_columns) MUST_USE;

/* The same for a block of HISTOGRAMS or EXEMPLARS, whose items have so many bytes together. */
int block_reserve_bytes(struct ring_producer *ring, const struct shm_block *head, uint32_t bytes,
                        struct block_columns *ret_columns) MUST_USE;

/* A block in a ring; the columns point into it. */
struct block_view {
    struct shm_block head; /* a copy: checked once, cannot change any more */
    const uint32_t *refs;
    const uint64_t *bits;
    const int64_t *timestamps;
    const int64_t *starts;
    const uint32_t *ends; /* as they are now: block_bytes checks them */
    const uint8_t *bytes;
    uint32_t bytes_len;
    uint64_t pos;
    uint64_t next_pos;
};

/*
 * The block at pos; everything before `end` is published. ERR_CORRUPT when it is no block: then
 * nothing up to the next known good position can be read.
 */
int block_read(const struct ring_consumer *ring, uint64_t pos, uint64_t end,
               struct block_view *ret_view) MUST_USE;

/* The bytes of item i of a block of HISTOGRAMS or EXEMPLARS. False: damaged. */
bool block_bytes(const struct block_view *view, uint32_t i, struct slice *ret_bytes) MUST_USE;

#endif
