/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of a producer's data, by pieces: taken before they are written to, kept as long as
 * they are used, and given back when they have not been for a while.
 */
#include "shm/ring_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PREPARE_MAX (512u << 10) /* bytes a call of ring_prepare */

static uint64_t piece_count(const struct ring_producer *ring)
{
    return ring->size / SHM_PIECE;
}

/* The pieces in which these bytes lie: the first one, and how many. */
static uint64_t pieces_of(const struct ring_producer *ring, uint64_t place, uint64_t bytes,
                          uint64_t *ret_first)
{
    *ret_first = place / SHM_PIECE;
    uint64_t count = (place + bytes + SHM_PIECE - 1) / SHM_PIECE - *ret_first;
    return count < piece_count(ring) ? count : piece_count(ring);
}

static struct ring_piece *piece_at(const struct ring_producer *ring, uint64_t number)
{
    return &ring->pieces[number & (piece_count(ring) - 1)];
}

static void use_piece(struct ring_producer *ring, uint64_t number)
{
    uint64_t index = number & (piece_count(ring) - 1);
    ring->pieces[index].used_s = ring->now_s;
    if (index >= ring->pieces_end)
        ring->pieces_end = index + 1;
}

static int take_piece(struct ring_producer *ring, uint64_t number)
{
    uint64_t start = ring_within(ring, number * SHM_PIECE);
    uint64_t offset = SHM_RING_DATA + start;
    int err = segment_reserve(ring->fd, offset, offset + SHM_PIECE);
    if (err != 0)
        return err;
    segment_touch(ring->data + start, SHM_PIECE);
    piece_at(ring, number)->is_taken = true;
    return 0;
}

int ring_take_memory(struct ring_producer *ring, uint64_t place, uint64_t bytes, uint64_t limit)
{
    uint64_t first;
    uint64_t count = pieces_of(ring, place, bytes, &first);
    for (uint64_t i = first; i < first + count; i++) {
        if (!piece_at(ring, i)->is_taken) {
            if (limit-- == 0)
                return 0;
            int err = take_piece(ring, i);
            if (err != 0)
                return err;
        }
        use_piece(ring, i);
    }
    return 1;
}

/* What waits to be read is in use. */
static void use_live_pieces(struct ring_producer *ring)
{
    struct ring_extent extents[SHM_RING_LAPS];
    uint32_t count = ring_live_extents(ring, extents);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t first;
        uint64_t pieces = pieces_of(ring, extents[i].start, extents[i].len, &first);
        for (uint64_t j = first; j < first + pieces; j++)
            use_piece(ring, j);
    }
}

static void release_pieces(struct ring_producer *ring, uint64_t from, uint64_t to)
{
    if (from == to)
        return;
    segment_release(ring->fd, SHM_RING_DATA + from * SHM_PIECE, SHM_RING_DATA + to * SHM_PIECE);
    memset(ring->pieces + from, 0, (to - from) * sizeof(ring->pieces[0]));
}

/*
 * What memory the predecessor had is not known. What nobody reads goes back; what is to be written
 * is taken again, which costs little.
 */
void ring_start_memory(struct ring_producer *ring)
{
    uint64_t from = 0;
    ring->now_s = ring->peak_s = 1;
    ring->pieces = calloc(piece_count(ring), sizeof(ring->pieces[0]));
    check(ring->pieces != NULL);
    use_live_pieces(ring);
    for (uint64_t i = 0; i < piece_count(ring); i++) {
        if (ring->pieces[i].used_s == 0)
            continue;
        release_pieces(ring, from, i);
        from = i + 1;
    }
    release_pieces(ring, from, piece_count(ring));
}

static void release_unused(struct ring_producer *ring)
{
    uint64_t end = 0;
    for (uint64_t i = 0; i < ring->pieces_end; i++) {
        uint32_t used_s = ring->pieces[i].used_s;
        if (used_s != 0 && ring->now_s - used_s >= RING_KEEP_S)
            release_pieces(ring, i, i + 1);
        else if (used_s != 0)
            end = i + 1;
    }
    ring->pieces_end = end;
}

void ring_trim(struct ring_producer *ring, int64_t now_ns)
{
    if (ring->first_ns == 0)
        ring->first_ns = now_ns;
    ring->now_s = 1 + (uint32_t)((now_ns - ring->first_ns) / NS_PER_S);
    if (ring->now_s - ring->peak_s >= RING_KEEP_S / 2) {
        ring->peak_before = ring->peak;
        ring->peak = 0;
        ring->peak_s = ring->now_s;
    }
    (void)ring_acked(ring);
    ring_forget_laps(ring);
    use_live_pieces(ring);
    release_unused(ring);
}

bool ring_prepare(struct ring_producer *ring, uint64_t bytes)
{
    uint64_t place, gap;
    if (!ring_choose_place(ring, bytes, &place, &gap))
        return true;
    return ring_take_memory(ring, place, bytes, PREPARE_MAX / SHM_PIECE) != 0;
}
