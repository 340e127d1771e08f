/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the ring share: ring.c maps it and moves the positions, ring_laps.c chooses the
 * places that positions have, ring_memory.c has memory there. All of it but the mapping is the
 * producer's.
 */
#ifndef SHM_RING_PRIVATE_H
#define SHM_RING_PRIVATE_H

#include "shm/ring.h"

static inline uint64_t ring_within(const struct ring_producer *ring, uint64_t place)
{
    return place & (ring->size - 1);
}

static inline const struct ring_lap *ring_lap_in_hand(const struct ring_producer *ring)
{
    return &ring->laps[ring->lap_count - 1];
}

/* The place of the next byte, if the lap in hand goes on. */
static inline uint64_t ring_place_in_hand(const struct ring_producer *ring)
{
    const struct ring_lap *lap = ring_lap_in_hand(ring);
    return ring_within(ring, lap->place + (ring->written - lap->from));
}

/* ---- ring_laps.c ---- */

/* A part of the data with bytes that are not acknowledged, as far as cached_acked says. */
struct ring_extent {
    uint64_t start;
    uint64_t len;
};

/* Puts them into room for SHM_RING_LAPS; returns how many there are. */
uint32_t ring_live_extents(const struct ring_producer *ring, struct ring_extent *extents);

/* Of laps of which everything is acknowledged nothing is known any more. */
void ring_forget_laps(struct ring_producer *ring);

/* Where so many bytes are to lie, and how many may. False: they do not fit; what follows may. */
bool ring_choose_place(struct ring_producer *ring, uint64_t bytes, uint64_t *ret_place,
                       uint64_t *ret_gap);

/* How many bytes may follow in the lap in hand. */
uint64_t ring_gap_in_hand(const struct ring_producer *ring);

/*
 * Goes on with the laps that a predecessor has left; in an empty ring a new one begins. False:
 * there is none for what waits.
 */
bool ring_adopt_laps(struct ring_producer *ring) MUST_USE;

/* ---- ring_memory.c ---- */

/* To be called once when the laps are known. */
void ring_start_memory(struct ring_producer *ring);

/*
 * Memory for so many bytes from a place on, in whole pieces; `limit` of them at most are new. 1: it
 * is there; 0: some of it is; -ENOSPC and the like.
 */
int ring_take_memory(struct ring_producer *ring, uint64_t place, uint64_t bytes,
                     uint64_t limit) MUST_USE;

#endif
