/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mapping a ring, and the positions: what the producer shows, what the consumer gives back. */
#include "shm/ring_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crashpoint.h"

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
    if (!ring_adopt_laps(ring))
        return err_set(reterr, ERR_CORRUPT, "ring %u: its laps do not say where what waits lies",
                       index);
    ring_start_memory(ring);
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

/* Whether so many bytes may follow in the lap in hand. */
static bool may_go_on(struct ring_producer *ring, uint64_t bytes)
{
    if (bytes <= ring->bound - ring->written)
        return true;
    (void)ring_acked(ring);
    uint64_t gap = ring_gap_in_hand(ring);
    ring->bound = ring->written + gap;
    return bytes <= gap;
}

int ring_reserve(struct ring_producer *ring, size_t bytes, void **ret_room)
{
    check(bytes % RING_ALIGN == 0 && bytes > 0);
    if (!ring->has_begun && ring->written == ring->published)
        ring_begin(ring, bytes);
    uint64_t place = ring_place_in_hand(ring);
    int err = may_go_on(ring, bytes) ? ring_take_memory(ring, place, bytes, UINT64_MAX) : ERR_FULL;
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
