/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a producer writes. A lap goes on where it is as long as there is room; a new one begins at
 * the start of the data when what is under way will be acknowledged before the room there is used
 * up, and in the largest gap when there is no other way. shm/layout.h says what the consumer sees.
 */
#include "shm/ring_private.h"

#include <string.h>

#include "base/crashpoint.h"

void ring_forget_laps(struct ring_producer *ring)
{
    uint32_t gone = 0;
    while (gone + 1 < ring->lap_count && ring->laps[gone + 1].from <= ring->cached_acked)
        gone++;
    ring->lap_count -= gone;
    memmove(ring->laps, ring->laps + gone, ring->lap_count * sizeof(ring->laps[0]));
}

uint32_t ring_live_extents(const struct ring_producer *ring, struct ring_extent *extents)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ring->lap_count; i++) {
        const struct ring_lap *lap = &ring->laps[i];
        uint64_t from = lap->from < ring->cached_acked ? ring->cached_acked : lap->from;
        uint64_t to = i + 1 < ring->lap_count ? lap[1].from : ring->written;
        if (from < to)
            extents[count++] =
                (struct ring_extent){ring_within(ring, lap->place + (from - lap->from)), to - from};
    }
    return count;
}

/* So many bytes are free from this place on. */
static uint64_t gap_at(const struct ring_producer *ring, uint64_t place,
                       const struct ring_extent *extents, uint32_t count)
{
    uint64_t gap = ring->size;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t distance = ring_within(ring, extents[i].start - place);
        gap = distance < gap ? distance : gap;
    }
    return gap;
}

/* Where the largest gap behind a lap is, and its size. */
static uint64_t largest_gap(const struct ring_producer *ring, const struct ring_extent *extents,
                            uint32_t count, uint64_t *ret_place)
{
    uint64_t largest = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end = ring_within(ring, extents[i].start + extents[i].len);
        uint64_t gap = gap_at(ring, end, extents, count);
        if (gap > largest) {
            largest = gap;
            *ret_place = end;
        }
    }
    return largest;
}

static bool can_begin_lap(const struct ring_producer *ring)
{
    return ring->lap_count < SHM_RING_LAPS || ring_lap_in_hand(ring)->from == ring->written;
}

/* So many bytes are free at the start of the data. */
static uint64_t gap_at_start(const struct ring_producer *ring, const struct ring_extent *extents,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (extents[i].start + extents[i].len > ring->size)
            return 0;
    }
    return gap_at(ring, 0, extents, count);
}

/* Whether what is promised still fits into one gap when so many bytes lie at the start. */
static bool keeps_promises(const struct ring_producer *ring, uint64_t bytes,
                           struct ring_extent *extents, uint32_t count)
{
    uint64_t place;
    extents[count] = (struct ring_extent){0, bytes};
    return largest_gap(ring, extents, count + 1, &place) >= ring->promised;
}

/* Bytes that have lately been under way, at most. */
static uint64_t recent_peak(const struct ring_producer *ring)
{
    uint64_t peak = ring->peak > ring->peak_before ? ring->peak : ring->peak_before;
    uint64_t under_way = ring->written - ring->cached_acked;
    return under_way > peak ? under_way : peak;
}

/*
 * It is time to go back to the start when what has lately been under way fits there, and these
 * bytes besides: then what lies behind is acknowledged before the gap is used up. Some laps are
 * left for when it is not.
 */
static bool should_go_back(const struct ring_producer *ring, uint64_t bytes, uint64_t gap,
                           struct ring_extent *extents, uint32_t count)
{
    return gap >= SHM_PIECE && gap >= bytes && gap - bytes >= recent_peak(ring) &&
           ring->lap_count <= SHM_RING_LAPS / 2 && ring_place_in_hand(ring) > gap &&
           keeps_promises(ring, bytes, extents, count);
}

bool ring_choose_place(struct ring_producer *ring, uint64_t bytes, uint64_t *ret_place,
                       uint64_t *ret_gap)
{
    struct ring_extent extents[SHM_RING_LAPS];
    (void)ring_acked(ring);
    ring_forget_laps(ring);
    uint32_t count = ring_live_extents(ring, extents);
    *ret_place = 0;
    *ret_gap = gap_at_start(ring, extents, count);
    if (count == 0 || should_go_back(ring, bytes, *ret_gap, extents, count))
        return bytes <= *ret_gap;
    *ret_place = ring_place_in_hand(ring);
    *ret_gap = gap_at(ring, *ret_place, extents, count);
    if (bytes <= *ret_gap)
        return true;
    uint64_t place = 0;
    uint64_t gap = can_begin_lap(ring) ? largest_gap(ring, extents, count, &place) : 0;
    if (gap < bytes)
        return false;
    *ret_place = place;
    *ret_gap = gap;
    return true;
}

uint64_t ring_room(struct ring_producer *ring)
{
    struct ring_extent extents[SHM_RING_LAPS];
    (void)ring_acked(ring);
    ring_forget_laps(ring);
    uint32_t count = ring_live_extents(ring, extents);
    uint64_t place;
    uint64_t in_hand = gap_at(ring, ring_place_in_hand(ring), extents, count);
    uint64_t other = can_begin_lap(ring) ? largest_gap(ring, extents, count, &place) : 0;
    return in_hand > other ? in_hand : other;
}

uint64_t ring_gap_in_hand(const struct ring_producer *ring)
{
    struct ring_extent extents[SHM_RING_LAPS];
    uint32_t count = ring_live_extents(ring, extents);
    return gap_at(ring, ring_place_in_hand(ring), extents, count);
}

/* ---- laps, as the consumer sees them ---- */

/* Its bytes are published later, so that who looks for a position before `from` passes over it. */
static void show_lap(struct ring_producer *ring, const struct ring_lap *lap)
{
    struct shm_ring_lap *shown = &ring->own->laps[lap->slot];
    atomic_store_explicit(&shown->from, SHM_NO_LAP, memory_order_relaxed);
    atomic_store_explicit(&shown->place, lap->place, memory_order_release);
    CRASHPOINT("ring.lap_half_begun");
    atomic_store_explicit(&shown->from, lap->from, memory_order_release);
}

/* A bit for each slot of a lap that is known. */
static uint32_t used_slots(const struct ring_producer *ring)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < ring->lap_count; i++)
        used |= UINT32_C(1) << ring->laps[i].slot;
    return used;
}

/* One that has no bytes yet is begun anew. */
static void begin_lap(struct ring_producer *ring, uint64_t place)
{
    if (ring_lap_in_hand(ring)->from != ring->written) {
        check(ring->lap_count < SHM_RING_LAPS);
        uint32_t slot = (uint32_t)__builtin_ctz(~used_slots(ring));
        ring->laps[ring->lap_count++] = (struct ring_lap){.from = ring->written, .slot = slot};
    }
    struct ring_lap *lap = &ring->laps[ring->lap_count - 1];
    lap->place = place;
    show_lap(ring, lap);
    CRASHPOINT("ring.lap_begun");
}

void ring_begin(struct ring_producer *ring, uint64_t bytes)
{
    check(ring->written == ring->published);
    uint64_t place, gap;
    (void)ring_choose_place(ring, bytes, &place, &gap);
    if (place != ring_place_in_hand(ring))
        begin_lap(ring, place);
    ring->bound = ring->written + gap;
    ring->has_begun = true;
}

/* ---- laps of a predecessor ---- */

/* Oldest first. */
static void collect_laps(struct ring_producer *ring)
{
    for (uint32_t slot = 0; slot < SHM_RING_LAPS; slot++) {
        const struct shm_ring_lap *shown = &ring->own->laps[slot];
        struct ring_lap lap = {atomic_load_explicit(&shown->from, memory_order_relaxed),
                               atomic_load_explicit(&shown->place, memory_order_relaxed), slot};
        if (lap.from >= ring->published)
            continue; /* none, or begun by one that died before it published anything there */
        uint32_t at = ring->lap_count;
        for (; at > 0 && ring->laps[at - 1].from > lap.from; at--)
            ring->laps[at] = ring->laps[at - 1];
        if (at > 0 && ring->laps[at - 1].from == lap.from)
            continue; /* a ring that nobody has begun a lap in */
        ring->laps[at] = lap;
        ring->lap_count++;
    }
    ring_forget_laps(ring);
}

static bool laps_fit(const struct ring_producer *ring)
{
    for (uint32_t i = 0; i < ring->lap_count; i++) {
        const struct ring_lap *lap = &ring->laps[i];
        if ((lap->from | lap->place) % RING_ALIGN != 0 || lap->place >= ring->size)
            return false;
    }
    return ring->lap_count > 0 && ring->laps[0].from <= ring->cached_acked;
}

/* What the predecessor has begun and not published would be taken for a lap later. */
bool ring_adopt_laps(struct ring_producer *ring)
{
    bool is_empty = ring->published == ring->cached_acked;
    if (!is_empty) {
        collect_laps(ring);
        if (!laps_fit(ring))
            return false;
    }
    uint32_t used = used_slots(ring);
    for (uint32_t slot = 0; slot < SHM_RING_LAPS; slot++) {
        if ((used >> slot & 1) == 0)
            atomic_store_explicit(&ring->own->laps[slot].from, SHM_NO_LAP, memory_order_relaxed);
    }
    if (is_empty) {
        ring->laps[0] = (struct ring_lap){.from = ring->published};
        ring->lap_count = 1;
        show_lap(ring, &ring->laps[0]);
    }
    return true;
}
