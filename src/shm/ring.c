/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

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

/* ---- producer ---- */

/*
 * What memory the predecessor had is not known. What nobody reads goes back; what is to be written
 * is taken again, which costs little.
 */
static void start_memory(struct ring_producer *ring)
{
    uint64_t from = (ring->published + SHM_PIECE - 1) / SHM_PIECE * SHM_PIECE;
    uint64_t to = ring->cached_acked / SHM_PIECE * SHM_PIECE + ring->size;
    ring->taken_from = ring->taken_to = to - ring->size;
    for (; from < to; from += SHM_PIECE) {
        uint64_t offset = SHM_RING_DATA + (from & (ring->size - 1));
        segment_release(ring->fd, offset, offset + SHM_PIECE);
    }
}

int ring_producer_attach(struct ring_producer *ring, int fd, uint32_t index, struct errctx *reterr)
{
    *ring = (struct ring_producer){.fd = fd};
    int err = attach(fd, index, true, false, &ring->base, &ring->size, reterr);
    if (err != 0)
        return err;
    ring->own = (struct shm_ring_producer *)(void *)(ring->base + SHM_PAGE);
    ring->peer = (const struct shm_ring_consumer *)(void *)(ring->base + 2 * SHM_PAGE);
    ring->data = ring->base + SHM_RING_DATA;
    ring->published = atomic_load_explicit(&ring->own->produced_pos, memory_order_relaxed);
    ring->written = ring->published;
    ring->cached_acked = atomic_load_explicit(&ring->peer->acked_pos, memory_order_acquire);
    bool is_aligned = ring->published % RING_ALIGN == 0 && ring->cached_acked % RING_ALIGN == 0;
    if (!is_aligned || ring->published - ring->cached_acked > ring->size) {
        ring_producer_detach(ring);
        return err_set(reterr, ERR_CORRUPT, "ring %u: produced and acknowledged do not fit", index);
    }
    start_memory(ring);
    return 0;
}

void ring_producer_detach(struct ring_producer *ring)
{
    if (ring->base != NULL)
        munmap(ring->base, SHM_RING_DATA + 2 * ring->size);
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
    return ring->size - (ring->written - ring_acked(ring));
}

/* Memory for [written, to) of the stream, in whole pieces. */
static int take_memory(struct ring_producer *ring, uint64_t to)
{
    while (ring->taken_to < to) {
        uint64_t offset = SHM_RING_DATA + (ring->taken_to & (ring->size - 1));
        int err = segment_reserve(ring->fd, offset, offset + SHM_PIECE);
        if (err != 0)
            return err;
        segment_touch(ring->data + (ring->taken_to & (ring->size - 1)), SHM_PIECE);
        ring->taken_to += SHM_PIECE;
    }
    return 0;
}

bool ring_prepare(struct ring_producer *ring, uint64_t bytes)
{
    if (bytes > ring_room(ring))
        return true;
    uint64_t wanted = ring->written + bytes;
    uint64_t to = wanted < ring->taken_to + PREPARE_MAX ? wanted : ring->taken_to + PREPARE_MAX;
    return take_memory(ring, to) != 0 || to == wanted;
}

int ring_reserve(struct ring_producer *ring, size_t bytes, void **ret_room)
{
    check(bytes % RING_ALIGN == 0 && bytes > 0);
    uint64_t used = ring->written - ring->cached_acked;
    if (bytes > ring->size - used && bytes > ring_room(ring))
        return ERR_FULL;
    int err = take_memory(ring, ring->written + bytes);
    if (err != 0)
        return err;
    *ret_room = ring->data + (ring->written & (ring->size - 1));
    ring->written += bytes;
    return 0;
}

void ring_rollback(struct ring_producer *ring)
{
    ring->written = ring->published;
}

bool ring_publish(struct ring_producer *ring)
{
    check(ring->written - ring->published <= ring->size);
    CRASHPOINT("ring.reserved_not_published");
    ring->published = ring->written;
    /*
     * release: whoever sees the position sees the bytes. seq_cst, together with the load of
     * wake_pos: either this sees that the writer wants to be woken, or the writer, which stores
     * wake_pos before it looks at produced_pos, sees the new position and does not sleep.
     */
    atomic_store_explicit(&ring->own->produced_pos, ring->published, memory_order_seq_cst);
    CRASHPOINT("ring.published");
    return ring->published >= atomic_load_explicit(&ring->peer->wake_pos, memory_order_seq_cst);
}

void ring_trim(struct ring_producer *ring)
{
    uint64_t keep_from = ring_acked(ring) / SHM_PIECE * SHM_PIECE;
    while (ring->taken_from < keep_from && ring->taken_from < ring->taken_to) {
        uint64_t offset = SHM_RING_DATA + (ring->taken_from & (ring->size - 1));
        /* A piece of the lap before may have been taken again for this lap. */
        if (ring->taken_to - ring->taken_from <= ring->size)
            segment_release(ring->fd, offset, offset + SHM_PIECE);
        ring->taken_from += SHM_PIECE;
    }
    if (ring->taken_to < ring->taken_from)
        ring->taken_to = ring->taken_from;
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
