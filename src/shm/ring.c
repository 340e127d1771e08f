/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/crashpoint.h"

#define PREPARE_MAX (512u << 10) /* bytes a call of ring_prepare */

static bool geometry_fits(const struct shm_header *header)
{
    uint64_t size = header->geometry;
    return size >= SHM_PIECE && (size & (size - 1)) == 0 && header->size == SHM_RING_DATA + size;
}

static int map_fixed(uint8_t *at, uint64_t len, bool writable, int fd, uint64_t offset)
{
    int protection = PROT_READ | (writable ? PROT_WRITE : 0);
    void *got =
        mmap(at, len, protection, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, (off_t)offset);
    return got == MAP_FAILED ? -errno : 0;
}

/*
 * Maps header, control pages and the data twice, each page writable only for its owner: a stray
 * store faults in the process that does it.
 */
static int map_ring(int fd, uint64_t size, bool producer, bool consumer, uint8_t **ret_base)
{
    uint64_t total = SHM_RING_DATA + 2 * size;
    uint8_t *base =
        mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -errno;
    int err = map_fixed(base, SHM_PAGE, false, fd, 0);
    if (err == 0)
        err = map_fixed(base + SHM_PAGE, SHM_PAGE, producer, fd, SHM_PAGE);
    if (err == 0)
        err = map_fixed(base + 2 * SHM_PAGE, SHM_PAGE, consumer, fd, 2 * SHM_PAGE);
    if (err == 0)
        err = map_fixed(base + SHM_RING_DATA, size, producer, fd, SHM_RING_DATA);
    if (err == 0)
        err = map_fixed(base + SHM_RING_DATA + size, size, producer, fd, SHM_RING_DATA);
    if (err != 0) {
        munmap(base, total);
        return err;
    }
    *ret_base = base;
    return 0;
}

static int attach(int fd, uint32_t index, bool producer, bool consumer, uint8_t **ret_base,
                  uint64_t *ret_size, struct errctx *reterr)
{
    struct shm_header header;
    int err = segment_check(fd, SHM_KIND_RING, index, &header, reterr);
    if (err != 0)
        return err;
    if (!geometry_fits(&header))
        return err_set(reterr, ERR_CORRUPT, "ring %u says it has %llu bytes of data", index,
                       (unsigned long long)header.geometry);
    err = map_ring(fd, header.geometry, producer, consumer, ret_base);
    if (err != 0)
        return err_set(reterr, err, "cannot map ring %u: %s", index, strerror(-err));
    *ret_size = header.geometry;
    return 0;
}

/* ---- producer: where what follows lies ---- */

/* A part of the data with bytes that are not acknowledged. */
struct extent {
    uint64_t start;
    uint64_t len;
};

static uint64_t within(const struct ring_producer *ring, uint64_t place)
{
    return place & (ring->size - 1);
}

static const struct ring_lap *lap_in_hand(const struct ring_producer *ring)
{
    return &ring->laps[ring->lap_count - 1];
}

/* The place of the next byte, if the lap in hand goes on. */
static uint64_t place_in_hand(const struct ring_producer *ring)
{
    const struct ring_lap *lap = lap_in_hand(ring);
    return within(ring, lap->place + (ring->written - lap->from));
}

/* Of laps of which everything is acknowledged nothing is known any more. */
static void forget_laps(struct ring_producer *ring)
{
    uint32_t gone = 0;
    while (gone + 1 < ring->lap_count && ring->laps[gone + 1].from <= ring->cached_acked)
        gone++;
    ring->lap_count -= gone;
    memmove(ring->laps, ring->laps + gone, ring->lap_count * sizeof(ring->laps[0]));
}

static uint32_t live_extents(const struct ring_producer *ring, struct extent *extents)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ring->lap_count; i++) {
        const struct ring_lap *lap = &ring->laps[i];
        uint64_t from = lap->from < ring->cached_acked ? ring->cached_acked : lap->from;
        uint64_t to = i + 1 < ring->lap_count ? lap[1].from : ring->written;
        if (from < to)
            extents[count++] =
                (struct extent){within(ring, lap->place + (from - lap->from)), to - from};
    }
    return count;
}

/* So many bytes are free from this place on. */
static uint64_t gap_at(const struct ring_producer *ring, uint64_t place,
                       const struct extent *extents, uint32_t count)
{
    uint64_t gap = ring->size;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t distance = within(ring, extents[i].start - place);
        gap = distance < gap ? distance : gap;
    }
    return gap;
}

/* Where the largest gap behind a lap is, and its size. */
static uint64_t largest_gap(const struct ring_producer *ring, const struct extent *extents,
                            uint32_t count, uint64_t *ret_place)
{
    uint64_t largest = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end = within(ring, extents[i].start + extents[i].len);
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
    return ring->lap_count < SHM_RING_LAPS || lap_in_hand(ring)->from == ring->written;
}

/* So many bytes are free at the start of the data. */
static uint64_t gap_at_start(const struct ring_producer *ring, const struct extent *extents,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (extents[i].start + extents[i].len > ring->size)
            return 0;
    }
    return gap_at(ring, 0, extents, count);
}

/* Whether what is promised still fits into one gap when so many bytes lie at the start. */
static bool keeps_promises(const struct ring_producer *ring, uint64_t bytes, struct extent *extents,
                           uint32_t count)
{
    uint64_t place;
    extents[count] = (struct extent){0, bytes};
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
                           struct extent *extents, uint32_t count)
{
    return gap >= SHM_PIECE && gap >= bytes && gap - bytes >= recent_peak(ring) &&
           ring->lap_count <= SHM_RING_LAPS / 2 && place_in_hand(ring) > gap &&
           keeps_promises(ring, bytes, extents, count);
}

/* Where so many bytes are to lie, and how many may. False: they do not fit; what follows may. */
static bool choose_place(struct ring_producer *ring, uint64_t bytes, uint64_t *ret_place,
                         uint64_t *ret_gap)
{
    struct extent extents[SHM_RING_LAPS];
    (void)ring_acked(ring);
    forget_laps(ring);
    uint32_t count = live_extents(ring, extents);
    *ret_place = 0;
    *ret_gap = gap_at_start(ring, extents, count);
    if (count == 0 || should_go_back(ring, bytes, *ret_gap, extents, count))
        return bytes <= *ret_gap;
    *ret_place = place_in_hand(ring);
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

static uint32_t free_slot(const struct ring_producer *ring)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < ring->lap_count; i++)
        used |= UINT32_C(1) << ring->laps[i].slot;
    return (uint32_t)__builtin_ctz(~used);
}

/* One that has no bytes yet is begun anew. */
static void begin_lap(struct ring_producer *ring, uint64_t place)
{
    if (lap_in_hand(ring)->from != ring->written) {
        check(ring->lap_count < SHM_RING_LAPS);
        uint32_t slot = free_slot(ring);
        ring->laps[ring->lap_count++] = (struct ring_lap){.from = ring->written, .slot = slot};
    }
    struct ring_lap *lap = &ring->laps[ring->lap_count - 1];
    lap->place = place;
    show_lap(ring, lap);
    CRASHPOINT("ring.lap_begun");
}

/* Those that the predecessor has left, oldest first. */
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
    forget_laps(ring);
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

/*
 * Goes on with the laps that are there; what the predecessor has begun and not published would be
 * taken for one later. In an empty ring a new one begins. False: there is none for what waits.
 */
static bool adopt_laps(struct ring_producer *ring)
{
    bool is_empty = ring->published == ring->cached_acked;
    if (!is_empty) {
        collect_laps(ring);
        if (!laps_fit(ring))
            return false;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < ring->lap_count; i++)
        used |= UINT32_C(1) << ring->laps[i].slot;
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

/* ---- producer: memory ---- */

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
    uint64_t start = within(ring, number * SHM_PIECE);
    uint64_t offset = SHM_RING_DATA + start;
    int err = segment_reserve(ring->fd, offset, offset + SHM_PIECE);
    if (err != 0)
        return err;
    segment_touch(ring->data + start, SHM_PIECE);
    piece_at(ring, number)->is_taken = true;
    return 0;
}

/*
 * Memory for so many bytes from a place on, in whole pieces; `limit` of them at most are new. 1: it
 * is there; 0: some of it is; -ENOSPC and the like.
 */
static int take_memory(struct ring_producer *ring, uint64_t place, uint64_t bytes, uint64_t limit)
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
    struct extent extents[SHM_RING_LAPS];
    uint32_t count = live_extents(ring, extents);
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
static void start_memory(struct ring_producer *ring)
{
    uint64_t from = 0;
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
    forget_laps(ring);
    use_live_pieces(ring);
    release_unused(ring);
}

/* ---- producer ---- */

static int start(struct ring_producer *ring, uint32_t index, struct errctx *reterr)
{
    ring->own = (struct shm_ring_producer *)(void *)(ring->base + SHM_PAGE);
    ring->peer = (const struct shm_ring_consumer *)(void *)(ring->base + 2 * SHM_PAGE);
    ring->data = ring->base + SHM_RING_DATA;
    ring->published = atomic_load_explicit(&ring->own->produced_pos, memory_order_relaxed);
    ring->written = ring->bound = ring->published;
    ring->cached_acked = atomic_load_explicit(&ring->peer->acked_pos, memory_order_acquire);
    bool is_aligned = ring->published % RING_ALIGN == 0 && ring->cached_acked % RING_ALIGN == 0;
    if (!is_aligned || ring->published - ring->cached_acked > ring->size)
        return err_set(reterr, ERR_CORRUPT, "ring %u: produced and acknowledged do not fit", index);
    if (!adopt_laps(ring))
        return err_set(reterr, ERR_CORRUPT, "ring %u: its laps do not say where what waits lies",
                       index);
    ring->now_s = ring->peak_s = 1;
    ring->pieces = calloc(piece_count(ring), sizeof(ring->pieces[0]));
    check(ring->pieces != NULL);
    start_memory(ring);
    return 0;
}

int ring_producer_attach(struct ring_producer *ring, int fd, uint32_t index, struct errctx *reterr)
{
    *ring = (struct ring_producer){.fd = fd};
    int err = attach(fd, index, true, false, &ring->base, &ring->size, reterr);
    if (err != 0)
        return err;
    err = start(ring, index, reterr);
    if (err != 0)
        ring_producer_detach(ring);
    return err;
}

void ring_producer_detach(struct ring_producer *ring)
{
    if (ring->base != NULL)
        munmap(ring->base, SHM_RING_DATA + 2 * ring->size);
    free(ring->pieces);
    *ring = (struct ring_producer){0};
}

uint64_t ring_acked(struct ring_producer *ring)
{
    /* acquire; pairs with ring_consumer_ack: the reader has finished with what lies before */
    uint64_t acked = atomic_load_explicit(&ring->peer->acked_pos, memory_order_acquire);
    /* A position that cannot be is not believed: room is only ever too small, never too large. */
    if (acked <= ring->published && ring->published - acked <= ring->size)
        ring->cached_acked = acked;
    return ring->cached_acked;
}

uint64_t ring_room(struct ring_producer *ring)
{
    struct extent extents[SHM_RING_LAPS];
    (void)ring_acked(ring);
    forget_laps(ring);
    uint32_t count = live_extents(ring, extents);
    uint64_t place;
    uint64_t in_hand = gap_at(ring, place_in_hand(ring), extents, count);
    uint64_t other = can_begin_lap(ring) ? largest_gap(ring, extents, count, &place) : 0;
    return in_hand > other ? in_hand : other;
}

bool ring_prepare(struct ring_producer *ring, uint64_t bytes)
{
    uint64_t place, gap;
    if (!choose_place(ring, bytes, &place, &gap))
        return true;
    return take_memory(ring, place, bytes, PREPARE_MAX / SHM_PIECE) != 0;
}

void ring_begin(struct ring_producer *ring, uint64_t bytes)
{
    check(ring->written == ring->published);
    uint64_t place, gap;
    (void)choose_place(ring, bytes, &place, &gap);
    if (place != place_in_hand(ring))
        begin_lap(ring, place);
    ring->bound = ring->written + gap;
    ring->has_begun = true;
}

/* Whether so many bytes may follow in the lap in hand. */
static bool may_go_on(struct ring_producer *ring, uint64_t bytes)
{
    if (bytes <= ring->bound - ring->written)
        return true;
    struct extent extents[SHM_RING_LAPS];
    (void)ring_acked(ring);
    uint32_t count = live_extents(ring, extents);
    uint64_t gap = gap_at(ring, place_in_hand(ring), extents, count);
    ring->bound = ring->written + gap;
    return bytes <= gap;
}

int ring_reserve(struct ring_producer *ring, size_t bytes, void **ret_room)
{
    check(bytes % RING_ALIGN == 0 && bytes > 0);
    if (!ring->has_begun && ring->written == ring->published)
        ring_begin(ring, bytes);
    uint64_t place = place_in_hand(ring);
    int err = may_go_on(ring, bytes) ? take_memory(ring, place, bytes, UINT64_MAX) : ERR_FULL;
    if (err < 0) {
        if (ring->written == ring->published)
            ring->has_begun = false;
        return err;
    }
    *ret_room = ring->data + place;
    ring->written += bytes;
    return 0;
}

void ring_rollback(struct ring_producer *ring)
{
    ring->written = ring->published;
    ring->has_begun = false;
}

bool ring_publish(struct ring_producer *ring)
{
    check(ring->written - ring->published <= ring->size);
    CRASHPOINT("ring.reserved_not_published");
    ring->published = ring->written;
    ring->has_begun = false;
    if (ring->written - ring->cached_acked > ring->peak)
        ring->peak = ring->written - ring->cached_acked;
    /*
     * release: whoever sees the position sees the bytes, and the laps. seq_cst, together with the
     * load of wake_pos: either this sees that the writer wants to be woken, or the writer, which
     * stores wake_pos before it looks at produced_pos, sees the new position and does not sleep.
     */
    atomic_store_explicit(&ring->own->produced_pos, ring->published, memory_order_seq_cst);
    CRASHPOINT("ring.published");
    return ring->published >= atomic_load_explicit(&ring->peer->wake_pos, memory_order_seq_cst);
}

/* ---- consumer ---- */

int ring_consumer_attach(struct ring_consumer *ring, int fd, uint32_t index, bool writable,
                         struct errctx *reterr)
{
    *ring = (struct ring_consumer){.writable = writable};
    int err = attach(fd, index, false, writable, &ring->base, &ring->size, reterr);
    if (err != 0)
        return err;
    ring->peer = (const struct shm_ring_producer *)(void *)(ring->base + SHM_PAGE);
    ring->own = (struct shm_ring_consumer *)(void *)(ring->base + 2 * SHM_PAGE);
    ring->data = ring->base + SHM_RING_DATA;
    return 0;
}

void ring_consumer_detach(struct ring_consumer *ring)
{
    if (ring->base != NULL)
        munmap(ring->base, SHM_RING_DATA + 2 * ring->size);
    *ring = (struct ring_consumer){0};
}

uint64_t ring_consumer_acked(const struct ring_consumer *ring)
{
    /* Its own page: nobody else moves it. acquire for the console, which only looks. */
    return atomic_load_explicit(&ring->own->acked_pos, memory_order_acquire);
}

const void *ring_consumer_at(const struct ring_consumer *ring, uint64_t pos)
{
    uint64_t from = 0, place = 0;
    for (uint32_t slot = 0; slot < SHM_RING_LAPS; slot++) {
        const struct shm_ring_lap *lap = &ring->peer->laps[slot];
        /* Of one that is being begun `from` lies behind everything that may be read. */
        uint64_t lap_from = atomic_load_explicit(&lap->from, memory_order_acquire);
        if (lap_from > pos || lap_from < from)
            continue;
        from = lap_from;
        place = atomic_load_explicit(&lap->place, memory_order_acquire);
    }
    place += pos - from;
    return ring->data + (place / RING_ALIGN * RING_ALIGN & (ring->size - 1));
}

static uint64_t believable(const struct ring_consumer *ring, uint64_t produced)
{
    uint64_t acked = ring_consumer_acked(ring);
    return produced - acked <= ring->size && produced % RING_ALIGN == 0 ? produced : acked;
}

uint64_t ring_consumer_produced(const struct ring_consumer *ring)
{
    /* acquire; pairs with ring_publish */
    return believable(ring, atomic_load_explicit(&ring->peer->produced_pos, memory_order_acquire));
}

void ring_consumer_ack(struct ring_consumer *ring, uint64_t pos)
{
    check(ring->writable);
    uint64_t acked = ring_consumer_acked(ring);
    /* What is produced is another process' word: it may have been taken back. */
    if (pos - acked > ring_consumer_produced(ring) - acked)
        return;
    /* release; pairs with ring_acked: all reads of what lies before are done */
    atomic_store_explicit(&ring->own->acked_pos, pos, memory_order_release);
}

uint64_t ring_consumer_wake_at(struct ring_consumer *ring, uint64_t pos)
{
    check(ring->writable);
    /* seq_cst; pairs with ring_publish: store first, then look */
    atomic_store_explicit(&ring->own->wake_pos, pos, memory_order_seq_cst);
    return believable(ring, atomic_load_explicit(&ring->peer->produced_pos, memory_order_seq_cst));
}
